"""A picture dreamed window by window is dreamed as it would be whole, and no border of a window shows."""

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
def whole(lite0, picture):
    """The gradient of all the picture at once, per position and not as a mean."""
    slope, _ = gradient(lite0, picture, OBJECTIVE, Tiling(side=512), (0, 0))
    return slope * picture[0].numel()


def by_windows(network, picture, side, margin, shift):
    slope, _ = gradient(network, picture, OBJECTIVE, Tiling(side, margin), shift)
    return slope * side**2


def inside(slope, edge=96):
    """Away from the picture's own edges, where windows see its mirror image and the whole its other end."""
    return slope[:, edge:-edge, edge:-edge]


@pytest.mark.slow
@pytest.mark.parametrize("shift", [(0, 0), (32, 96)])
def test_the_gradient_by_windows_is_that_of_the_whole(lite0, picture, whole, shift):
    """What block5 sees reaches over a margin of 32 pixels a little, over one of 64 hardly, over 96 not."""
    errors = []
    for margin in (32, 64, 96):
        difference = inside(by_windows(lite0, picture, 64 + 2 * margin, margin, shift) - whole)
        errors.append((difference.norm() / inside(whole).norm()).item())
    assert errors[0] < 0.2
    assert errors[1] < 0.02
    assert errors[2] < 1e-4


@pytest.mark.slow
def test_no_border_of_a_window_can_be_measured(lite0, picture, whole):
    """The gradient's size at the cores' borders and its jumps across them are those of anywhere else."""
    tiling = Tiling(side=192, margin=64)
    sizes, jumps = [], []
    for down, across in ((0, 0), (32, 32)):
        slope = by_windows(lite0, picture, tiling.side, tiling.margin, (down, across))
        rows, columns = (
            [int(span.place[0]) for span in tiling.spans(length, shift)[1:]]
            for length, shift in zip(picture.shape[1:], (down, across), strict=True)
        )
        for turned, lines in ((False, rows), (True, columns)):
            ours, unbroken = (each.transpose(1, 2) if turned else each for each in (slope, whole))
            for line in lines:
                if 96 <= line < ours.shape[1] - 96:
                    sizes.append(ratio(ours[:, line], unbroken[:, line]))
                    jumps.append(ratio(*(each[:, line] - each[:, line - 1] for each in (ours, unbroken))))
    assert len(sizes) >= 6
    assert sum(sizes) / len(sizes) == pytest.approx(1, abs=0.02)
    assert sum(jumps) / len(jumps) == pytest.approx(1, abs=0.02)


def ratio(ours, unbroken):
    """Of the mean sizes, 96 pixels from the picture's edges."""
    return (ours[:, 96:-96].abs().mean() / unbroken[:, 96:-96].abs().mean()).item()


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
def test_every_pixel_is_kept_exactly_once_and_seen_where_it_is(size, tiling):
    for shift in (0, 1, 17, 100, tiling.side - 1, -5):
        for length in size:
            place = torch.arange(length)
            spans = tiling.spans(length, shift)
            assert torch.equal(torch.cat([span.place for span in spans]).sort().values, place)
            for span in spans:
                assert torch.equal(place[span.looked_at][span.kept], span.place)
                assert len(span.looked_at) == tiling.side or not tiling.exact
                assert len(span.looked_at) % 32 == 0 or tiling.exact
                assert len(span.looked_at) <= tiling.side


@pytest.mark.parametrize("size", [(45, 61), (300, 40), (20, 20)])
def test_awkward_sizes_have_a_gradient_everywhere(lite0, size):
    picture = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    for tiling in (Tiling(256, 64), Tiling(128, 32)):
        slope, value = gradient(lite0, picture, OBJECTIVE, tiling, (5, 9))
        assert slope.shape == picture.shape
        assert (slope != 0).all(0).float().mean() > 0.99
        assert value > 0


def test_the_grid_lies_anywhere():
    tiling = Tiling(side=192, margin=64)
    assert tiling.reach(192) == 0
    assert tiling.reach(193) == 64
    starts = {int(tiling.spans(400, shift)[1].place[0]) for shift in range(64)}
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
def test_a_picture_of_many_windows_takes_little_more_memory_than_one_of_a_single_window():
    """At 200 bytes a pixel, 12 megapixels stay below 3 GB. Dreamed whole, these would take a thousand."""
    done = subprocess.run([sys.executable, "-c", LARGE], capture_output=True, text=True, check=True)
    one, many = (int(line) * 1024 for line in done.stdout.split())
    assert many - one < 200 * 256 * (3840 - 768)
