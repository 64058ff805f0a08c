"""The example and the README's Python do what they say."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

ROOT = Path(__file__).parent.parent


def test_the_example_trains_and_reads(capsys: pytest.CaptureFixture[str]):
    path = ROOT / "examples/train_and_read.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 45
    assert runpy.run_path(str(path))["main"]() > 0.965
    assert "written 7, read 7" in capsys.readouterr().out


def test_the_readmes_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    page = ROOT / "src/lanterna/surfaces/page.jpg"
    (tmp_path / "page.jpg").write_bytes(page.read_bytes())
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    read = capsys.readouterr().out.rpartition("of")[2]
    assert sum(character.isdigit() for character in read) > 10
