"""Paintings: what a viewer would expect of them, and their networks against references."""

import json
import math
from collections import deque

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional as F

from lanterna import shelf
from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.images import open_picture
from lanterna.images.drawing import round_to_8_bits
from lanterna.networks.coordinate_plan import CoordinatePlan
from lanterna.networks.coordinates import Coordinates
from lanterna.networks.hash_grid import HashGrid
from lanterna.techniques.octaves import resized
from lanterna.techniques.paint.algorithm import Paint, paint
from lanterna.techniques.paint.painting import open_painting

NETWORKS = ("hash", "siren", "fourier", "relu")


def photograph(name="astronaut.png", height=32, width=32):
    return resized(open_picture(shelf.need("photographs") / name), (height, width)).clamp(0, 1)


@pytest.fixture(scope="module")
def astronaut(real_shelf):
    del real_shelf
    return photograph()


@pytest.fixture(scope="module")
def larger(real_shelf):
    """Large enough for several batches of every network but the hash grid."""
    del real_shelf
    return photograph(height=64, width=64)


def last_frame(frames):
    (last,) = deque(frames, maxlen=1)
    return last


def learned(picture, options=None, **settings):
    return last_frame(paint(picture, Paint.checked({"steps": 60, **settings}), **(options or {})))


def positions(count, seed=0, dtype=torch.float32):
    return torch.rand(count, 2, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def psnr(one, other):
    return -10 * math.log10((one - other).square().mean().item())


@pytest.mark.slow
@pytest.mark.parametrize(("network", "steps", "floor"), [
    ("hash", 100, 34), ("siren", 100, 38), ("fourier", 100, 22), ("relu", 300, 16),
])  # fmt: skip
def test_each_network_learns_the_picture(astronaut, network, steps, floor):
    frame = learned(astronaut, network=network, steps=steps)
    assert frame.picture.shape == astronaut.shape
    assert psnr(frame.picture, astronaut) > floor
    assert frame.numbers["psnr"] == pytest.approx(psnr(frame.picture, round_to_8_bits(astronaut)), abs=0.01)
    assert (frame.step, frame.steps) == (steps, steps)
    # Rendered at twice the size and shrunk, it is the same.
    larger = frame.painting.render((64, 64))
    assert psnr(F.avg_pool2d(larger, 2), frame.picture) > (28 if network == "hash" else 30)


@pytest.mark.slow
@pytest.mark.parametrize("preset", Paint.presets)
def test_every_preset_paints_better_than_grey(real_shelf, preset):
    del real_shelf
    picture = photograph(height=24, width=24)
    steps = {"lecture": 800, "convnetjs": 1500}  # presets with small batches
    frame = learned(picture, **Paint.presets[preset], steps=steps.get(preset, 60))
    grey = picture.mean((1, 2), keepdim=True).expand_as(picture)
    assert frame.numbers["psnr"] > psnr(grey, picture) + 1.5


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_equal_seeds_give_equal_paintings(larger, network):
    one, same, other = (learned(larger, network=network, seed=seed, steps=6) for seed in (3, 3, 4))
    assert torch.equal(one.picture, same.picture)
    assert not torch.equal(one.picture, other.picture)


@pytest.mark.slow
def test_a_timed_run_is_reproduced_by_its_settings(astronaut):
    by_seconds = last_frame(paint(astronaut, Paint(seconds=0.4)))
    assert by_seconds.numbers["seconds"] > 0.2
    assert by_seconds.settings.steps == by_seconds.step == by_seconds.steps
    again = last_frame(paint(astronaut, by_seconds.settings))
    assert torch.equal(again.picture, by_seconds.picture)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["hash", "siren"])
def test_a_resumed_run_ends_like_an_uninterrupted_one(astronaut, tmp_path, network):
    settings = Paint(network=network, batch=512, steps=30)
    uninterrupted = last_frame(paint(astronaut, settings))
    checkpoint = tmp_path / "checkpoint"
    first = paint(astronaut, settings, checkpoint=checkpoint, extra_steps=(13,))
    for frame in first:
        if frame.step >= 13:
            break
    first.close()
    assert frame.step == 13
    resumed = last_frame(paint(astronaut, settings, checkpoint=checkpoint, resume=True))
    assert torch.equal(resumed.picture, uninterrupted.picture)
    (done,) = paint(
        astronaut, settings, checkpoint=checkpoint, resume=True
    )  # as if killed before the result was saved
    assert torch.equal(done.picture, uninterrupted.picture)
    with pytest.raises(UsageError, match="another picture"):
        paint(1 - astronaut, settings, checkpoint=checkpoint, resume=True)
    with pytest.raises(MissingError, match="nothing to resume"):
        paint(astronaut, settings, checkpoint=tmp_path / "none", resume=True)


@pytest.mark.slow
def test_frames_at_requested_steps_do_not_change_the_result(astronaut):
    frames = list(paint(astronaut, Paint(steps=40), extra_steps=range(10, 21)))
    assert set(range(10, 21)) <= {frame.step for frame in frames}
    assert torch.equal(frames[-1].picture, learned(astronaut, steps=40).picture)


def test_a_rate_sent_to_the_generator_takes_effect(astronaut):
    frames = paint(astronaut, Paint(steps=100_000, schedule="constant"))
    next(frames)
    frames.send(Paint(rate=1e-4))
    assert next(frames).numbers["rate"] == pytest.approx(1e-4)
    frames.close()


def test_masked_pixels_are_never_used(astronaut):
    mask = torch.zeros(32, 32)
    mask[10:20, 5:15] = 1
    poisoned = torch.where(mask > 0, torch.nan, astronaut)
    for size in (32, 20):  # not even when the picture is shrunk
        clean = learned(astronaut, {"masks": [mask]}, size=size, steps=20)
        blind = learned(poisoned, {"masks": [mask]}, size=size, steps=20)
        assert torch.equal(clean.picture, blind.picture)
        assert clean.numbers["psnr"] == blind.numbers["psnr"]
        assert "held_out" in clean.numbers
        assert "held_out" not in blind.numbers
    assert not torch.equal(clean.picture, learned(astronaut, size=20, steps=20).picture)


def test_few_pixels_are_memorised_and_the_rest_is_guessed(astronaut):
    frame = learned(astronaut, keep=0.1, steps=150)
    assert frame.numbers["psnr"] > 35
    assert 9 < frame.numbers["held_out"] < 25
    with pytest.raises(UsageError, match="no pixels are left"):
        paint(astronaut, masks=[torch.ones(8, 8)])


def test_a_view_of_a_painting_shows_the_right_part(larger):
    painting = learned(larger[:, 8:56], steps=40).painting  # 64 wide, 48 high
    full = painting.render()
    assert torch.allclose(painting.render((24, 32), zoom=2), full[:, 12:36, 16:48], atol=2e-3)
    assert torch.allclose(
        painting.render((24, 32), zoom=2, centre=(0.25, 0.75))[:, 1:], full[:, 25:, :32], atol=2e-3
    )
    around = painting.render((72, 96), beyond=0.25)
    assert torch.allclose(around[:, 12:60, 16:80], full, atol=2e-3)
    turned = painting.render((64, 48), turn=90, zoom=4 / 3)  # clockwise: left becomes top
    assert torch.allclose(turned, full.rot90(-1, (1, 2)), atol=2e-3)
    wide = painting.render((48, 128))  # another aspect ratio: no distortion
    assert torch.allclose(wide[:, :, 32:96], full, atol=2e-3)
    with pytest.raises(UsageError, match="zoom"):
        painting.render(zoom=0)


@pytest.mark.slow
def test_several_pictures_and_interpolation_between_them(real_shelf):
    del real_shelf
    pictures = [photograph(), photograph("chelsea.png"), photograph("coffee.png", 32, 48)]
    frame = learned(pictures, network="siren", batch=512, steps=150)
    painting = frame.painting
    for number, picture in enumerate(pictures[:2]):
        assert psnr(painting.render(which=number), picture) > 20
        assert psnr(painting.render(which=1 - number), picture) < 15
    half = painting.render(which=0.5)
    assert torch.equal(half, painting.render(which=[0.5, 0.5, 0]))
    assert all(psnr(half, picture) < 20 for picture in pictures[:2])
    with pytest.raises(UsageError, match="0 to 2"):
        painting.render(which=2.5)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_saved_painting_opens_unchanged(astronaut, tmp_path, network):
    painting = learned([astronaut, 1 - astronaut], network=network, steps=10).painting
    path = tmp_path / "astronaut.painting"
    painting.save(path)
    again = open_painting(path)
    assert again.bytes == painting.bytes == path.stat().st_size
    assert again.parameters == painting.parameters
    assert again.size == (32, 32)
    assert again.pictures == 2
    assert psnr(again.render(which=0.3), painting.render(which=0.3)) > 50


def test_equal_paintings_are_equal_files(astronaut, tmp_path):
    for name in ("one", "other"):
        learned(astronaut, steps=1).painting.save(tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_an_invalid_file_is_refused_in_one_line(astronaut, tmp_path):
    path = tmp_path / "good"
    learned(astronaut, steps=1).painting.save(path)
    weights = load_file(path)
    raw = path.read_bytes()
    entries = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    metadata = json.loads(entries["lanterna"])
    plan = metadata["plan"]
    invalid = tmp_path / "invalid"

    def refused(weights, metadata, error=UsageError):
        save_file(weights, invalid, {"lanterna": json.dumps(metadata)})
        with pytest.raises(error) as raised:
            open_painting(invalid)
        assert "\n" not in str(raised.value)

    refused(weights, {})
    refused(weights, [])
    refused(weights, {**metadata, "size": [1_000_000, 1_000_000]})
    refused(weights, {**metadata, "size": "no"})
    refused(weights, {**metadata, "plan": {**plan, "neurons": 1024}})
    refused(weights, {**metadata, "plan": {**plan, "grid_entries": 24}})
    refused(weights, {**metadata, "plan": {**plan, "unheard": 1}})
    refused({**weights, "output.bias": torch.zeros(4)}, metadata)
    refused({**weights, "more": torch.zeros(4)}, metadata)
    refused({**weights, "output.bias": torch.full((3,), torch.nan)}, metadata, LanternaError)
    invalid.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UsageError):
        open_painting(invalid)
    with pytest.raises(MissingError):
        open_painting(tmp_path / "none")


# The networks, against references.


def test_a_dense_grid_is_read_as_grid_sample_reads_it():
    grid = HashGrid((1.0, 0.75), levels=1, entries=2**12, features=3, coarsest=20, finest=20).double()
    torch.nn.init.normal_(grid.table)
    points = positions(500, dtype=torch.float64)
    corners = grid.corners(points)
    picture = grid.table.view(16, 21, 3).permute(2, 0, 1)[None]
    expected = F.grid_sample(picture, (2 * points - 1)[None, None], mode="bilinear", align_corners=True)
    # Weights are stored in float32.
    assert torch.allclose(grid(corners), expected[0, :, 0].T, atol=1e-5)


def test_a_grid_with_too_many_corners_shares_entries_evenly():
    grid = HashGrid((1.0, 1.0), levels=3, entries=2**8, features=2, coarsest=8, finest=128)
    assert grid.total == 81 + 2 * 256
    rows = grid.corners(positions(20_000)).rows.view(-1, 3, 4)
    for level, (first, count) in enumerate([(0, 81), (81, 256), (337, 256)]):
        read = rows[:, level] - first
        assert read.min() >= 0
        assert read.max() < count
        assert len(read.unique()) == count
    assert read.flatten().bincount().max() < 4 * read.numel() / 256


def test_a_grids_gradient_matches_finite_differences_and_plain_indexing():
    grid = HashGrid((1.0, 0.6), levels=3, entries=16, features=2, coarsest=3, finest=11).double()
    torch.nn.init.normal_(grid.table)
    corners = grid.corners(positions(40, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda table: _read_grid(grid, table, corners), grid.table)
    gradient = torch.randn(40, 6, dtype=torch.float64)
    grid(corners).backward(gradient)
    ours, grid.table.grad = grid.table.grad, None
    read = grid.table[corners.rows.long()] * corners.weights[:, None]
    read.view(40, 3, 4, 2).sum(2).flatten(1).backward(gradient)
    assert torch.allclose(ours, grid.table.grad)


def _read_grid(grid, table, corners):
    return torch.func.functional_call(grid, {"table": table}, (corners,))


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_match_finite_differences(network):
    plan = CoordinatePlan(network=network, layers=2, neurons=5, waves=4, grid_levels=2, grid_entries=4)
    network = Coordinates(plan, (30, 40), pictures=2)
    network.initialise(torch.Generator().manual_seed(0))
    network.double()
    names, values = zip(*network.named_parameters(), strict=True)
    which = torch.tensor([0, 1, 1, 0, 1, 0])

    def colours(*values):
        parameters = dict(zip(names, values, strict=True))
        return torch.func.functional_call(network, parameters, (positions(6, dtype=torch.float64), which))

    assert torch.autograd.gradcheck(colours, values)


@torch.no_grad()
def test_a_sirens_initial_activations_have_the_papers_std():
    network = Coordinates(CoordinatePlan(network="siren", layers=5, neurons=512), (64, 64))
    network.initialise(torch.Generator().manual_seed(0))
    *hidden, _ = network.run(network.encode(positions(4000)))
    for layer in hidden[1:]:  # arcsine distribution: std sqrt(1/2)
        assert layer.std() == pytest.approx(math.sqrt(0.5), abs=0.06)
    x = hidden[2]
    sums = 30 * F.linear(x, network.hidden[3].weight)  # without the biases that the paper's code adds
    assert sums.std() == pytest.approx(1, abs=0.06)  # theorem 1.8: standard normal


def test_random_waves_approximate_the_kernel_of_their_frequencies():
    plan = CoordinatePlan(network="fourier", waves=4096, frequency=2.0)
    network = Coordinates(plan, (64, 64))
    network.initialise(torch.Generator().manual_seed(0))
    one, other = positions(200), positions(200, seed=1)
    actual = (network.encode(one) * network.encode(other)).mean(1) * 2
    distance = (one - other).norm(dim=1)
    # The characteristic function of a normal distribution: exp(-(2 pi sigma distance)^2 / 2).
    assert torch.allclose(actual, (-0.5 * (2 * math.pi * 2.0 * distance) ** 2).exp(), atol=0.06)


@torch.no_grad()
def test_the_lectures_positions_and_network():
    settings = Paint.checked({**Paint.presets["lecture"]}).resolved()
    network = Coordinates(settings, (48, 64))
    network.initialise(torch.Generator().manual_seed(0))
    rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    both = torch.stack([columns, rows], 2).view(-1, 2)
    expected = (both - both.mean()) / both.std(correction=0)
    actual = network.encode(torch.stack([(columns + 0.5) / 64, (rows + 0.5) / 48], 2).view(-1, 2))
    assert torch.allclose(actual, expected, atol=1e-5)
    shapes = [tuple(layer.weight.shape) for layer in [*network.hidden, network.output]]
    assert shapes == [(64, 2), *[(64, 64)] * 5, (3, 64)]
    assert torch.cat([layer.weight.flatten() for layer in network.hidden]).std() == pytest.approx(
        0.1, abs=0.003
    )
    assert (settings.rate, settings.batch, settings.cost, settings.optimiser) == (
        1e-3,
        50,
        "absolute",
        "adam",
    )


def test_the_aspect_ratio_is_preserved():
    for network in NETWORKS:
        coordinates = Coordinates(CoordinatePlan(network=network, layers=1, neurons=8), (30, 60))
        if coordinates.grid is not None:
            across, down = coordinates.grid.scale.unbind(1)
            assert torch.allclose(across / 60, down / 30)
        else:
            step = coordinates._scale(torch.tensor([[0.5, 0.5], [0.6, 0.5], [0.5, 0.7]]))
            assert torch.allclose(step[1, 0] - step[0, 0], step[2, 1] - step[0, 1])


def test_invalid_pictures_are_refused(astronaut):
    for invalid in ([], [astronaut] * 101, torch.zeros(64, 64), torch.zeros(3, 8, 8, dtype=torch.uint8)):
        with pytest.raises(UsageError):
            paint(invalid)
    with pytest.raises(UsageError, match="mask"):
        paint([astronaut] * 3, masks=[torch.zeros(4, 4)] * 2)
    with pytest.raises(UsageError, match="network"):
        Paint.checked({"network": "cubist"})
