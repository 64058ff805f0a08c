"""One code path for every device: the same results within a tolerance, and tiles if memory is short.

The devices of this machine are compared: always the CPU, and a GPU if there is one.
"""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING

import pytest
import torch

from lanterna import open_picture, shelf
from lanterna.devices import choose_device, describe_device, fit_tiles, free_memory
from lanterna.errors import LanternaError
from lanterna.images.digits import mnist
from lanterna.networks import open_network
from lanterna.probes import objectives
from lanterna.surfaces.cli import main
from lanterna.techniques.dream import algorithm as dreaming
from lanterna.techniques.dream.algorithm import Dream, dream
from lanterna.techniques.dream.tiles import Tiling, gradient
from lanterna.techniques.style import algorithm as styling
from lanterna.techniques.style.algorithm import Stylize, style
from lanterna.techniques.train.algorithm import logits_of, train
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from pathlib import Path

AVAILABLE = [
    name
    for name, available in (
        ("cpu", True), ("cuda", torch.cuda.is_available()), ("mps", torch.backends.mps.is_available())
    )
    if available
]  # fmt: skip
TOLERANCE = 2e-3  # of the largest value: a GPU may round float32 to ten bits in convolutions (TF32)


def last(frames):
    return deque(frames, maxlen=1)[0]


@pytest.fixture(scope="module")
def cat() -> torch.Tensor:
    return open_picture(shelf.need("photographs") / "chelsea.png", longest=320)


@pytest.mark.parametrize("device", AVAILABLE)
def test_a_gradient_equals_that_in_double_precision(device: str, cat: torch.Tensor):
    exact, _ = gradient(
        open_network("efficientnet-lite0", device="cpu").double(), cat.double(), objectives.energy("block9"),
        Tiling(), (0, 0),
    )  # fmt: skip
    chosen = choose_device(device)
    network = open_network("efficientnet-lite0", device=chosen)
    computed, _ = gradient(network, cat.to(chosen), objectives.energy("block9"), Tiling(), (0, 0))
    assert (computed.cpu() - exact).norm() < TOLERANCE * exact.norm()


@pytest.mark.slow
@pytest.mark.parametrize("device", AVAILABLE)
def test_a_training_gives_the_same_network(device: str):
    settings = Train.checked(
        {"channels": (4, 8), "fraction": 0.02, "epochs": 3, "batch_size": 50, "precision": "float32"}
    )
    on_cpu = last(train(settings, device="cpu"))
    on_device = last(train(settings, device=device))
    images = mnist("test").images[:2000]
    answers = logits_of(on_device.network, images.to(choose_device(device))).argmax(1).cpu()
    same = (answers == logits_of(on_cpu.network, images).argmax(1)).float().mean()
    assert same > (1 - 1e-6 if device == "cpu" else 0.97)


def test_tiles_are_halved_until_they_fit(caplog: pytest.LogCaptureFixture):
    def work(tile: int) -> str:
        if tile > 300:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return f"in {tile}"

    with caplog.at_level(logging.WARNING):
        assert fit_tiles(work, 1024, 5000) == ("in 256", 256)
        assert fit_tiles(work, 1024, 600) == ("in 288", 288), "no tile is larger than half the picture"
    assert caplog.messages[0] == "not enough memory: continuing in tiles of 512 pixels"


def test_an_error_is_raised_if_the_smallest_tiles_do_not_fit():
    def work(_: int) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate")

    with pytest.raises(LanternaError, match="use a smaller --size"):
        fit_tiles(work, 512, 512)


def test_other_errors_are_passed_on():
    def work(_: int) -> None:
        raise RuntimeError("sizes do not match")

    with pytest.raises(RuntimeError, match="sizes do not match"):
        fit_tiles(work, 1024, 1024)


@pytest.mark.slow
def test_a_dream_out_of_memory_continues_in_tiles(
    cat: torch.Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    settings = Dream(size=320, octaves=1, steps=3)
    expected = last(dream(cat, settings.changed({"tile": 256}), device="cpu"))
    sides = []

    def short_of_memory(network, picture, objective, tiling, shift):
        if max(picture.shape) > tiling.side or tiling.side <= 256:
            sides.append(tiling.side)
            return gradient(network, picture, objective, tiling, shift)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(dreaming, "gradient", short_of_memory)
    with caplog.at_level(logging.WARNING):
        tiled = last(dream(cat, settings, device="cpu"))
    assert set(sides) == {256}
    assert caplog.messages == ["not enough memory: continuing in tiles of 256 pixels"]
    torch.testing.assert_close(tiled.picture, expected.picture, rtol=0, atol=1e-6)
    assert tiled.numbers["energy"] > 1.2, "the layer's activations are stronger than at the start"


@pytest.mark.slow
def test_a_style_out_of_memory_continues_in_tiles_to_the_same_picture(
    cat: torch.Tensor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    cup = open_picture(shelf.need("photographs") / "coffee.png", longest=160)
    early = {"content_layer": "relu2_1", "style_layers": ("relu1_1", "relu2_1")}  # tiles need small margins
    settings = Stylize(size=288, steps=2, ratio=4.0, **early)
    whole = last(style(cat, settings, styles=[cup], device="cpu"))
    compute_loss, tiles = styling.compute_loss, []

    def short_of_memory(network, picture, target, tile):
        if tile > 256:
            raise torch.OutOfMemoryError("CUDA out of memory")
        tiles.append(tile)
        return compute_loss(network, picture, target, tile)

    monkeypatch.setattr(styling, "compute_loss", short_of_memory)
    with caplog.at_level(logging.WARNING):
        tiled = last(style(cat, settings, styles=[cup], device="cpu"))
    assert set(tiles) == {256}
    assert caplog.messages == ["not enough memory: continuing in tiles of 256 pixels"]
    assert tiled.numbers["loss"] == pytest.approx(whole.numbers["loss"], rel=0.02)
    assert (tiled.picture - whole.picture).abs().mean() < 0.02


@pytest.mark.slow
def test_the_device_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    cat = shelf.need("photographs") / "chelsea.png"
    words = [
        "dream",
        str(cat),
        "--size",
        "64",
        "--steps",
        "1",
        "--octaves",
        "1",
        "-o",
        str(tmp_path / "d.png"),
    ]
    assert main(words) == 0
    best = choose_device("auto")
    assert capsys.readouterr().err.splitlines()[0] == f"computing on {describe_device(best)}"
    assert describe_device(best).startswith(best.type)
    assert main([*words, "--quiet", "--force"]) == 0
    assert capsys.readouterr().err == ""


def test_free_memory_is_plausible():
    free = free_memory(torch.device("cpu"))
    assert free is None or 2**20 < free < 2**50
