"""The records of dependencies and vendored files are complete and correct, and the wheel is reproducible."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from hatchling.builders.wheel import WheelBuilder

from lanterna.files import sha256
from places import ROOT

if TYPE_CHECKING:
    import pytest

VENDOR = ROOT / "src/lanterna/surfaces/web/vendor"
HASHES = {
    "axe.min.js": "29348999450cdf2849a8e70b7912fc2da85a849da39c0d0d5394f51d4a9ed95c",
    "axe-core-LICENSE": "af175b9d96ee93c21a036152e1b905b0b95304d4ae8c2c921c7609100ba8df7e",
}
"""The files in tests/shared/vendor: axe-core 4.14.1 from npm, MPL-2.0, which is in no wheel."""

# Licences that allow use, modification and redistribution; the last two require modified files to be shared.
FREE = {
    "MIT", "MIT License", "MIT-0", "MIT-CMU", "BSD", "BSD License", "3-Clause BSD License", "BSD-2-Clause",
    "BSD-3-Clause", "0BSD", "Zlib",
    "CC0-1.0", "ISC License (ISCL)", "PSF-2.0", "Python Software Foundation License", "BSL-1.0",
    "Apache 2.0", "Apache-2.0",
    "Apache License 2.0", "Apache Software License", "Apache-2.0 WITH LLVM-exception",
    "MPL-2.0", "Mozilla Public License 2.0 (MPL 2.0)",
}  # fmt: skip


def bill() -> dict[str, list[str]]:
    """Return the lines of the bill by package: version, licence, last release."""
    lines = [
        [cell.strip() for cell in line.strip("|\n").split("|")]
        for line in (ROOT / "docs/bill.md").read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| package")
    ]
    return {name: rest for name, *rest in lines}


def test_every_dependency_has_a_line_in_the_bill() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    requirements = list(chain(project["dependencies"], *project["optional-dependencies"].values()))
    names = {re.sub(r"[-_.]+", "-", re.split(r"[^\w.-]", line)[0]).lower() for line in requirements}
    assert len(names) > 30
    assert not names - bill().keys(), "python scripts/bill.py --index URL > docs/bill.md"


def test_every_licence_is_a_free_one_and_every_release_has_a_date() -> None:
    for name, (version, licence, date) in bill().items():
        parts = re.split(r" AND | OR |, ", licence)
        assert not set(parts) - FREE, (name, licence)
        assert re.fullmatch(r"\d[\w.+!]*", version), (name, version)
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", date), (name, date)


def test_vendored_files_match_their_recorded_hashes() -> None:
    recorded = dict(
        reversed(line.split())
        for line in re.findall(r"^[0-9a-f]{64}  \S+$", (VENDOR / "README.md").read_text(), re.M)
    )
    files = {
        path.relative_to(VENDOR).as_posix(): sha256(path)
        for path in VENDOR.rglob("*")
        if path.suffix in (".js", ".css", ".mjs", ".map", ".wasm")
    }
    assert files == recorded
    folders = [path for path in VENDOR.iterdir() if path.is_dir() and path.name != "signals-core"]
    assert all((path / "LICENSE").is_file() for path in folders)
    assert {path.name: sha256(path) for path in (ROOT / "tests/shared/vendor").iterdir()} == HASHES


def test_the_wheel_is_reproducible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1600000000")
    wheels = []
    for name in ("first", "second"):
        (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path / name), versions=["standard"])
        wheels.append(Path(built))
    assert wheels[0].name == wheels[1].name
    assert sha256(wheels[0]) == sha256(wheels[1])
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")  # the date in the wheel is this one, not today's
    (built,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path / "later"), versions=["standard"])
    assert sha256(Path(built)) != sha256(wheels[0])
