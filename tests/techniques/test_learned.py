"""What is learned once is saved on this machine: whether it can be is known before it is learned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from lanterna import save_picture
from lanterna.surfaces.cli import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("words", [["imagine", "4"], ["grow", "sand.png", "--training", "1", "--side", "32"]])
def test_a_folder_that_cannot_be_written_is_named_before_learning(
    words: list[str], private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    save_picture(torch.rand(3, 48, 48, generator=torch.Generator().manual_seed(0)), tmp_path / "sand.png")
    (private_home / "networks").write_text("not a folder")
    assert main(words) == 2
    assert f"{private_home / 'networks'} is not a folder" in capsys.readouterr().err
    assert not list(tmp_path.glob("*.unfinished"))
