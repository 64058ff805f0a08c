"""The gradient computed tile by tile equals that of the full picture, and has no seams."""

import subprocess
import sys

import pytest
import torch

from lanterna import shelf
from lanterna.images import open_picture
from lanterna.networks import open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.probes import objectives
from lanterna.techniques.dream.tiles import Tiling, gradient

LAYER = "block5"
OBJECTIVE = objectives.energy(LAYER)


@pytest.fixture(scope="module")
def lite0():
    return optimize_for_inference(open_network("efficientnet-lite0"), {LAYER})


@pytest.fixture(scope="module")
def picture():
    return open_picture(shelf.need("photographs") / "chelsea.png")[:, :288, :320]


@pytest.fixture(scope="module")
def full_gradient(lite0, picture):
    """The gradient of the full picture, of the sum over positions instead of the mean."""
    result, _ = gradient(lite0, picture, OBJECTIVE, Tiling(side=512), (0, 0))
    return result * picture[0].numel()


def tiled_gradient(network, picture, side, margin, shift):
    result, _ = gradient(network, picture, OBJECTIVE, Tiling(side, margin), shift)
    return result * side**2


def inside(values, edge=96):
    """Cut off the picture's edges, which is mirrored for tiles, and wraps around for a single one."""
    return values[:, edge:-edge, edge:-edge]


@pytest.mark.slow
@pytest.mark.parametrize("shift", [(0, 0), (32, 96)])
def test_the_tiled_gradient_is_that_of_the_full_picture(lite0, picture, full_gradient, shift):
    """The receptive field of block5 exceeds a margin of 32 pixels a little, 64 hardly, 96 not at all."""
    errors = []
    for margin in (32, 64, 96):
        difference = inside(tiled_gradient(lite0, picture, 64 + 2 * margin, margin, shift) - full_gradient)
        errors.append((difference.norm() / inside(full_gradient).norm()).item())
    assert errors[0] < 0.2
    assert errors[1] < 0.02
    assert errors[2] < 1e-4


@pytest.mark.slow
def test_there_are_no_seams_between_tiles(lite0, picture, full_gradient):
    """The gradient's size at the borders of cores, and its jumps across them, are as in the full gradient."""
    tiling = Tiling(side=192, margin=64)
    sizes, jumps = [], []
    for down, across in ((0, 0), (32, 32)):
        tiled = tiled_gradient(lite0, picture, tiling.side, tiling.margin, (down, across))
        rows, columns = (
            [int(span.target[0]) for span in tiling.spans(length, shift)[1:]]
            for length, shift in zip(picture.shape[1:], (down, across), strict=True)
        )
        for transposed, lines in ((False, rows), (True, columns)):
            pair = [each.transpose(1, 2) if transposed else each for each in (tiled, full_gradient)]
            for line in lines:
                if 96 <= line < pair[0].shape[1] - 96:
                    sizes.append(ratio(*(each[:, line] for each in pair)))
                    jumps.append(ratio(*(each[:, line] - each[:, line - 1] for each in pair)))
    assert len(sizes) >= 6
    assert sum(sizes) / len(sizes) == pytest.approx(1, abs=0.02)
    assert sum(jumps) / len(jumps) == pytest.approx(1, abs=0.02)


def ratio(tiled, full):
    """The ratio of the mean sizes, 96 pixels from the picture's edges."""
    return (tiled[:, 96:-96].abs().mean() / full[:, 96:-96].abs().mean()).item()


@pytest.mark.parametrize(
    ("size", "tiling"),
    [
        ((311, 457), Tiling(256, 64)),
        ((70, 2000), Tiling(256, 64)),
        ((2000, 70), Tiling(768, 128)),
        ((33, 31), Tiling(256, 64)),
        ((257, 256), Tiling(256, 64)),
        ((1, 1), Tiling(256, 64)),
        ((29, 90), Tiling(28, 0, exact=True)),
        ((10, 28), Tiling(28, 0, exact=True)),
    ],
)
def test_every_pixel_is_in_exactly_one_core_and_at_its_position(size, tiling):
    for shift in (0, 1, 17, 100, tiling.side - 1, -5):
        for length in size:
            indices = torch.arange(length)
            spans = tiling.spans(length, shift)
            assert torch.equal(torch.cat([span.target for span in spans]).sort().values, indices)
            for span in spans:
                assert torch.equal(indices[span.source][span.core], span.target)
                assert len(span.source) == tiling.side or not tiling.exact
                assert len(span.source) % 32 == 0 or tiling.exact
                assert len(span.source) <= tiling.side


@pytest.mark.parametrize("size", [(45, 61), (300, 40), (20, 20)])
def test_awkward_sizes_have_a_gradient_everywhere(lite0, size):
    picture = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    for tiling in (Tiling(256, 64), Tiling(128, 32)):
        result, value = gradient(lite0, picture, OBJECTIVE, tiling, (5, 9))
        assert result.shape == picture.shape
        assert (result != 0).all(0).float().mean() > 0.99
        assert value > 0


def test_the_grid_is_shifted_by_every_amount():
    tiling = Tiling(side=192, margin=64)
    assert tiling.period(192) == 0
    assert tiling.period(193) == 64
    starts = {int(tiling.spans(400, shift)[1].target[0]) for shift in range(64)}
    assert len(starts) == 64


LARGE = """
import resource, torch
from lanterna.techniques.dream.algorithm import Dream, dream
for width in (768, 3840):
    frame = next(dream(torch.rand(3, 256, width), Dream(size=width, octaves=1, steps=2)))
    assert frame.picture.shape == (3, 256, width)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_a_picture_of_many_tiles_takes_little_more_memory_than_one_tile():
    """At 200 bytes per pixel, 12 megapixels stay below 3 GB. Without tiles it would be 1,000 bytes."""
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    one_tile, many_tiles = (int(line) * 1024 for line in done.stdout.split())
    assert many_tiles - one_tile < 200 * 256 * (3840 - 768)
