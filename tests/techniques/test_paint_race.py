"""A race: all four networks paint one picture, and each is set beside the JPEG that is as good."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from lanterna import open_picture, shelf
from lanterna.errors import UsageError
from lanterna.images.drawing import as_image
from lanterna.techniques.octaves import resized
from lanterna.techniques.paint.jpeg_comparison import jpeg_of_equal_psnr
from lanterna.techniques.paint.race import NETWORKS, Race, entry, race


@pytest.fixture(scope="module")
def cat():
    """A photograph of 64 × 43 pixels, as bytes would have it."""
    picture = open_picture(shelf.need("photographs") / "chelsea.png")
    return (resized(picture, (43, 64)).clamp(0, 1) * 255).round() / 255


@pytest.fixture(scope="module")
def frames(cat):
    return list(race(cat, Race(size=64, steps=120, equal="parameters", parameters=12_000)))


def decibels(one, other):
    """PSNR by its definition, in numpy."""
    return -10 * np.log10(np.mean((one.double().numpy() - other.double().numpy()) ** 2))


def jpeg(picture, quality, *, halved):
    file = io.BytesIO()
    as_image(picture).save(file, "JPEG", quality=quality, subsampling=2 if halved else 0, optimize=True)
    again = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255
    return len(file.getvalue()), decibels(again, picture)


@pytest.mark.slow
def test_each_ends_with_the_psnr_that_its_painting_really_has(cat, frames):
    last = frames[-1]
    assert last.finished
    assert last.step == last.steps == 4 * 120
    for name in NETWORKS:
        runner = last.runners[name]
        painted = runner.painting.render()
        assert painted.shape == cat.shape
        assert runner.psnr == pytest.approx(decibels(painted, cat), abs=1e-3)
        assert last.numbers[name] == runner.psnr
        # It learned, and was watched while it did.
        assert runner.psnr > runner.curve[0][1] + 2
        assert [moment for moment, _ in runner.curve] == sorted(moment for moment, _ in runner.curve)
        assert runner.seconds == runner.curve[-1][0]


@pytest.mark.slow
def test_all_are_in_every_frame_and_a_film_of_them_has_one_size(frames):
    assert len({frame.picture.shape for frame in frames}) == 1
    assert all(side % 2 == 0 for side in frames[0].picture.shape[1:])  # as films want it
    for frame in frames:
        assert set(frame.runners) == set(NETWORKS)
    # What is drawn changes where the paintings are.
    height = frames[0].picture.shape[1] // 4
    assert (frames[0].picture[:, :height] - frames[-1].picture[:, :height]).abs().mean() > 0.01


@pytest.mark.parametrize("size", [(43, 64), (256, 256)])
@pytest.mark.parametrize("goal", [6_000, 25_000, 50_000, 200_000])
def test_equal_parameters_are_within_five_per_cent(goal, size):
    from lanterna.networks.coordinates import Coordinates

    for name in NETWORKS:
        plan = entry(name, Race(equal="parameters", parameters=goal), size)
        network = Coordinates(plan, size)
        assert plan.network == name
        assert sum(each.numel() for each in network.parameters()) == pytest.approx(goal, rel=0.05)


def test_parameters_and_bytes_are_those_of_the_file(frames, tmp_path):
    for runner in frames[-1].runners.values():
        runner.painting.save(tmp_path / "painting.safetensors")
        assert runner.bytes == (tmp_path / "painting.safetensors").stat().st_size
        assert runner.parameters == pytest.approx(12_000, rel=0.05)


@pytest.mark.slow
def test_at_equal_seconds_no_clock_is_far_ahead_of_another(cat):
    seconds = [
        [runner.seconds for runner in frame.runners.values()]
        for frame in race(cat, Race(size=64, seconds=0.6))
    ]
    # While all still paint, they have had as much time but for a turn.
    early = [each for each in seconds if max(each) < 0.4]
    assert early
    assert all(max(each) - min(each) < 0.3 for each in early)


@pytest.mark.parametrize("goal", [24.0, 30.0, 38.0])
def test_the_jpeg_is_as_good_and_the_next_smaller_is_not(cat, goal):
    found = jpeg_of_equal_psnr(cat, goal)
    assert jpeg(cat, found.quality, halved=found.halved) == (found.bytes, pytest.approx(found.psnr, abs=1e-3))
    assert found.psnr >= goal
    assert jpeg(cat, found.quality - 1, halved=found.halved)[1] < goal
    # No other that is as good is smaller: all of a stretch of qualities are tried.
    others = [jpeg(cat, quality, halved=halved) for quality in range(1, 101, 3) for halved in (True, False)]
    assert found.bytes <= min(size for size, reached in others if reached >= goal) * 1.02


def test_where_no_jpeg_is_as_good_or_as_bad_it_says_so(cat):
    assert jpeg_of_equal_psnr(cat, 90.0) is None
    least = jpeg_of_equal_psnr(cat, 5.0)
    assert least.least
    assert least.quality == 1
    assert least.psnr > 5


def test_what_is_no_picture_is_told_at_once():
    with pytest.raises(UsageError, match="a picture is floats"):
        race(torch.zeros(1, 20, 20))
