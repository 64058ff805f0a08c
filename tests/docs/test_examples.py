"""The example and the README's Python do what they say."""

from __future__ import annotations

import re
import runpy
from typing import TYPE_CHECKING

import pytest

from places import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_the_example_trains_and_reads(capsys: pytest.CaptureFixture[str]):
    path = ROOT / "examples/train_and_read.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 45
    assert runpy.run_path(str(path))["main"]() > 0.965
    assert "written 7, read 7" in capsys.readouterr().out


@pytest.fixture
def said_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Runs the Python of a document beside a page of digits, and gives what it prints."""
    page = ROOT / "src/lanterna/surfaces/page.jpg"
    (tmp_path / "page.jpg").write_bytes(page.read_bytes())
    monkeypatch.chdir(tmp_path)

    def run(document: str) -> str:
        text = (ROOT / document).read_text(encoding="utf-8")
        (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        exec(compile(code, document, "exec"), {})
        return capsys.readouterr().out

    return run


def test_the_readmes_python_runs(said_by):
    read = said_by("README.md").rpartition("of")[2]
    assert sum(character.isdigit() for character in read) > 10


def test_the_terms_of_an_answer_add_up_to_it(said_by):
    answer, explained, note = re.split("[=,]", said_by("docs/inside.md"), maxsplit=2)
    assert abs(float(answer) - float(explained)) < 1e-3
    assert "exact" in note
