"""A race: all four networks learn one picture, and each is compared with the JPEG of equal PSNR."""

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
    """A photograph of 64 × 43 pixels, rounded to bytes."""
    picture = open_picture(shelf.need("photographs") / "chelsea.png")
    return (resized(picture, (43, 64)).clamp(0, 1) * 255).round() / 255


@pytest.fixture(scope="module")
def frames(cat):
    return list(race(cat, Race(size=64, steps=120, equal="parameters", parameters=12_000)))


def decibels(one, other):
    """PSNR by its definition, in numpy."""
    return -10 * np.log10(np.mean((one.double().numpy() - other.double().numpy()) ** 2))


def jpeg(picture, quality, *, subsampled):
    file = io.BytesIO()
    as_image(picture).save(file, "JPEG", quality=quality, subsampling=2 if subsampled else 0, optimize=True)
    decoded = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1) / 255
    return len(file.getvalue()), decibels(decoded, picture)


@pytest.mark.slow
def test_each_ends_with_the_psnr_of_its_painting(cat, frames):
    last = frames[-1]
    assert last.finished
    assert last.step == last.steps == 4 * 120
    for name in NETWORKS:
        runner = last.runners[name]
        painted = runner.painting.render()
        assert painted.shape == cat.shape
        assert runner.psnr == pytest.approx(decibels(painted, cat), abs=1e-3)
        assert last.numbers[name] == runner.psnr
        # It improved, and its curve is in order.
        assert runner.psnr > runner.curve[0][1] + 2
        assert [time for time, _ in runner.curve] == sorted(time for time, _ in runner.curve)
        assert runner.seconds == runner.curve[-1][0]


@pytest.mark.slow
def test_every_frame_has_all_networks_and_the_same_size(frames):
    assert len({frame.picture.shape for frame in frames}) == 1
    assert all(side % 2 == 0 for side in frames[0].picture.shape[1:])  # as film codecs require
    for frame in frames:
        assert set(frame.runners) == set(NETWORKS)
    # The part with the paintings changes.
    height = frames[0].picture.shape[1] // 4
    assert (frames[0].picture[:, :height] - frames[-1].picture[:, :height]).abs().mean() > 0.01


@pytest.mark.parametrize("size", [(43, 64), (256, 256)])
@pytest.mark.parametrize("target", [6_000, 25_000, 50_000, 200_000])
def test_equal_parameters_are_within_five_per_cent(target, size):
    from lanterna.networks.coordinates import Coordinates

    for name in NETWORKS:
        plan = entry(name, Race(equal="parameters", parameters=target), size)
        network = Coordinates(plan, size)
        assert plan.network == name
        assert sum(each.numel() for each in network.parameters()) == pytest.approx(target, rel=0.05)


@pytest.mark.slow
def test_parameters_and_bytes_are_those_of_the_file(frames, tmp_path):
    for runner in frames[-1].runners.values():
        runner.painting.save(tmp_path / "painting.safetensors")
        assert runner.bytes == (tmp_path / "painting.safetensors").stat().st_size
        assert runner.parameters == pytest.approx(12_000, rel=0.05)


@pytest.mark.slow
def test_at_equal_seconds_no_network_is_far_ahead_in_time(cat):
    seconds = [
        [runner.seconds for runner in frame.runners.values()]
        for frame in race(cat, Race(size=64, seconds=0.6))
    ]
    # While all are still training, their times differ by one turn at most.
    early = [each for each in seconds if max(each) < 0.4]
    assert early
    assert all(max(each) - min(each) < 0.3 for each in early)


@pytest.mark.parametrize("target", [24.0, 30.0, 38.0])
def test_the_jpeg_is_as_good_and_the_next_lower_quality_is_not(cat, target):
    best = jpeg_of_equal_psnr(cat, target)
    assert jpeg(cat, best.quality, subsampled=best.subsampled) == (
        best.bytes,
        pytest.approx(best.psnr, abs=1e-3),
    )
    assert best.psnr >= target
    assert jpeg(cat, best.quality - 1, subsampled=best.subsampled)[1] < target
    # No other JPEG that is as good is smaller.
    others = [
        jpeg(cat, quality, subsampled=subsampled)
        for quality in range(1, 101, 3)
        for subsampled in (True, False)
    ]
    assert best.bytes <= min(size for size, other_psnr in others if other_psnr >= target) * 1.02


def test_targets_outside_the_range_of_jpegs(cat):
    assert jpeg_of_equal_psnr(cat, 90.0) is None
    lowest = jpeg_of_equal_psnr(cat, 5.0)
    assert lowest.lowest
    assert lowest.quality == 1
    assert lowest.psnr > 5


def test_an_invalid_picture_is_refused_immediately():
    with pytest.raises(UsageError, match="expected a picture"):
        race(torch.zeros(1, 20, 20))
