"""The example does what it says."""

from __future__ import annotations

import runpy

import pytest

from places import ROOT


@pytest.mark.slow
def test_the_example_trains_and_reads(capsys: pytest.CaptureFixture[str]):
    path = ROOT / "examples/train_and_read.py"
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 45
    assert runpy.run_path(str(path))["main"]() > 0.965
    assert "written 7, read 7" in capsys.readouterr().out
