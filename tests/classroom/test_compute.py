"""What a class computes: readings, a network of its own, questions and their truth."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from lanterna.errors import UsageError
from lanterna.images.digits import mnist
from lanterna.images.strokes import draw_strokes
from lanterna.surfaces.classroom import compute
from lanterna.surfaces.studio.isolated import started_without_interrupts
from lanterna.techniques.few_digits import open_few, train_few

if TYPE_CHECKING:
    from pathlib import Path

DIGITS = {
    1: [[128, 30, 126, 120, 124, 225]],
    7: [[50, 50, 200, 50, 150, 130, 110, 230]],
    4: [[90, 40, 60, 140, 200, 140], [160, 40, 155, 230]],
    3: [[70, 50, 130, 30, 180, 70, 160, 110, 110, 125, 170, 140, 190, 190, 130, 225, 60, 200]],
}


def test_drawings_are_read(trained: Path) -> None:
    del trained
    readings = compute.read(list(DIGITS.values()), None)
    assert [max(range(10), key=each["chances"].__getitem__) for each in readings] == list(DIGITS)
    assert all(sum(each["chances"]) == pytest.approx(1, abs=0.001) for each in readings)


def test_a_dot_and_a_scribble_are_ink() -> None:
    dot = draw_strokes([[0, 0]])
    assert dot.max() == 1
    assert max(dot.shape) < 12
    scribble = draw_strokes([[0, 0, 255, 255], [255, 0, 0, 255]])
    assert scribble.shape[0] == scribble.shape[1] > 90


def test_a_network_learns_from_few_digits(real_shelf: Path) -> None:
    del real_shelf
    digits = mnist("validation")
    images, labels = digits.images[:500].float() / 255, digits.labels[:500]
    frames = list(train_few(images[:100], labels[:100], steps=80))
    assert (frames[0].step, frames[-1].step) == (0, 80)
    assert frames[-1].numbers["accuracy"] > 0.85 > frames[0].numbers["accuracy"]
    network = open_few(frames[-1].weights)
    with torch.inference_mode():
        right = (network(images[100:]).argmax(1) == labels[100:]).float().mean().item()
    assert right > 0.6  # of digits that it has not seen
    *_, again = train_few(images[:100], labels[:100], steps=80)
    assert again.weights == frames[-1].weights


def test_a_claim_is_answered_by_its_finding() -> None:
    questions = compute.questions()
    claim = next(each for each in questions if each["lesson"] == "quickstart" and "exercise" not in each)
    assert claim["choices"] == ["True", "Partly true", "Not true"]
    found = compute.truth(claim)
    assert found["right"] in range(3)
    assert found["words"]
    chosen = next(each for each in questions if "exercise" in each)
    assert 0 <= compute.truth(chosen)["right"] < len(chosen["choices"])
    with pytest.raises(UsageError, match="no lesson asks this question"):
        compute.truth({**claim, "choices": ["yes", "no"]})  # a stranger's file


def test_a_damaged_network_is_one_line(trained: Path) -> None:
    del trained
    with pytest.raises(UsageError, match="network of this class is damaged"):
        compute.read([DIGITS[1]], b"no network")


def test_a_child_process_never_gets_ctrl_c() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('alive')"
    with started_without_interrupts():
        child = subprocess.run([sys.executable, "-ISc", code], capture_output=True, text=True, check=False)
    assert (child.stdout, child.stderr) == ("alive\n", "")
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())  # this process does
