"""What docs/train.md says can be done: its Python and its commands run."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from lanterna.networks.trained import open_trained
from lanterna.surfaces import launching
from lanterna.surfaces.cli import main
from places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs" / "train.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^    (lanterna train .+)$", PAGE, re.MULTILINE)
SMALL = ["--fraction", "0.01", "--epochs", "1", "--quiet"]


def test_the_python_trains(capsys: pytest.CaptureFixture[str]):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(compile(code, "docs/train.md", "exec"), {})
    steps, right = capsys.readouterr().out.split(" steps, ")
    assert int(steps) == 20
    assert float(right) > 0.7


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_trains(command: str, private_home: Path, monkeypatch: pytest.MonkeyPatch):
    """Those for several processes are started as far as their launch: test_parallel.py goes on from there."""
    launched = []

    def launch(*_: object, **options: object) -> int:
        launched.append(options)
        return 0

    monkeypatch.setattr(launching, "launch", launch)
    _, *words = shlex.split(command)
    assert main([*words, *SMALL]) == 0
    if "--devices" in words or "--nodes" in words:
        assert launched[0]["nodes"] * launched[0]["devices"] == 2
        assert not (private_home / "networks").exists()
    else:
        open_trained(words[words.index("-o") + 1] if "-o" in words else words[1])


def test_its_address_is_one_of_a_home_network():
    assert re.findall(r"--address (\S+)", PAGE) == ["192.168.0.10:29500"] * 2
