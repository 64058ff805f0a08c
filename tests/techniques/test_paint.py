"""Paintings as somebody who looks at them would judge them, and their networks against oracles."""

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
from lanterna.images.drawing import in_8_bits
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
    """Of so many pixels that every network but a hash grid sees them in several batches."""
    del real_shelf
    return photograph(height=64, width=64)


def last_of(frames):
    (last,) = deque(frames, maxlen=1)
    return last


def learned(picture, given=None, **settings):
    return last_of(paint(picture, Paint.checked({"steps": 60, **settings}), **(given or {})))


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
    assert frame.numbers["psnr"] == pytest.approx(psnr(frame.picture, in_8_bits(astronaut)), abs=0.01)
    assert (frame.step, frame.steps) == (steps, steps)
    # Painted at twice the size and shrunk it is the same.
    larger = frame.painting.render((64, 64))
    assert psnr(F.avg_pool2d(larger, 2), frame.picture) > (28 if network == "hash" else 30)


@pytest.mark.slow
@pytest.mark.parametrize("preset", Paint.presets)
def test_every_preset_paints_better_than_grey(real_shelf, preset):
    del real_shelf
    picture = photograph(height=24, width=24)
    many = {"lecture": 800, "convnetjs": 1500}  # those that see few pixels a step
    frame = learned(picture, **Paint.presets[preset], steps=many.get(preset, 60))
    grey = picture.mean((1, 2), keepdim=True).expand_as(picture)
    assert frame.numbers["psnr"] > psnr(grey, picture) + 1.5


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_equal_seeds_give_equal_paintings(larger, network):
    one, same, other = (learned(larger, network=network, seed=seed, steps=6) for seed in (3, 3, 4))
    assert torch.equal(one.picture, same.picture)
    assert not torch.equal(one.picture, other.picture)


@pytest.mark.slow
def test_a_run_by_seconds_is_made_again_by_its_recipe(astronaut):
    by_seconds = last_of(paint(astronaut, Paint(seconds=0.4)))
    assert by_seconds.numbers["seconds"] > 0.2
    assert by_seconds.settings.steps == by_seconds.step == by_seconds.steps
    again = last_of(paint(astronaut, by_seconds.settings))
    assert torch.equal(again.picture, by_seconds.picture)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["hash", "siren"])
def test_resumed_work_ends_where_unbroken_work_does(astronaut, tmp_path, network):
    settings = Paint(network=network, batch=512, steps=30)
    unbroken = last_of(paint(astronaut, settings))
    kept = tmp_path / "kept"
    first = paint(astronaut, settings, checkpoint=kept, extra_steps=(13,))
    for begun in first:
        if begun.step >= 13:
            break
    first.close()
    assert begun.step == 13
    resumed = last_of(paint(astronaut, settings, checkpoint=kept, resume=True))
    assert torch.equal(resumed.picture, unbroken.picture)
    (done,) = paint(astronaut, settings, checkpoint=kept, resume=True)  # killed before it was saved
    assert torch.equal(done.picture, unbroken.picture)
    with pytest.raises(UsageError, match="another picture"):
        paint(1 - astronaut, settings, checkpoint=kept, resume=True)
    with pytest.raises(MissingError, match="nothing to resume"):
        paint(astronaut, settings, checkpoint=tmp_path / "none", resume=True)


@pytest.mark.slow
def test_frames_come_at_the_steps_that_are_asked_for_and_change_nothing(astronaut):
    frames = list(paint(astronaut, Paint(steps=40), extra_steps=range(10, 21)))
    assert set(range(10, 21)) <= {frame.step for frame in frames}
    assert torch.equal(frames[-1].picture, learned(astronaut, steps=40).picture)


def test_a_rate_that_is_sent_in_takes_over(astronaut):
    frames = paint(astronaut, Paint(steps=100_000, schedule="constant"))
    next(frames)
    frames.send(Paint(rate=1e-4))
    assert next(frames).numbers["rate"] == pytest.approx(1e-4)
    frames.close()


def test_pixels_that_are_masked_are_never_seen(astronaut):
    mask = torch.zeros(32, 32)
    mask[10:20, 5:15] = 1
    poisoned = torch.where(mask > 0, torch.nan, astronaut)
    for size in (32, 20):  # and not where the picture is made smaller
        clean = learned(astronaut, {"masks": [mask]}, size=size, steps=20)
        blind = learned(poisoned, {"masks": [mask]}, size=size, steps=20)
        assert torch.equal(clean.picture, blind.picture)
        assert clean.numbers["psnr"] == blind.numbers["psnr"]
        assert "held_out" in clean.numbers
        assert "held_out" not in blind.numbers
    assert not torch.equal(clean.picture, learned(astronaut, size=20, steps=20).picture)


def test_few_pixels_are_learned_by_heart_and_the_rest_is_guessed(astronaut):
    frame = learned(astronaut, keep=0.1, steps=150)
    assert frame.numbers["psnr"] > 35
    assert 9 < frame.numbers["held_out"] < 25
    with pytest.raises(UsageError, match="no pixel is left"):
        paint(astronaut, masks=[torch.ones(8, 8)])


def test_a_window_on_a_painting_shows_the_right_part(larger):
    painting = learned(larger[:, 8:56], steps=40).painting  # 64 wide, 48 high
    whole = painting.render()
    assert torch.allclose(painting.render((24, 32), zoom=2), whole[:, 12:36, 16:48], atol=2e-3)
    assert torch.allclose(
        painting.render((24, 32), zoom=2, centre=(0.25, 0.75))[:, 1:], whole[:, 25:, :32], atol=2e-3
    )
    around = painting.render((72, 96), beyond=0.25)
    assert torch.allclose(around[:, 12:60, 16:80], whole, atol=2e-3)
    turned = painting.render((64, 48), turn=90, zoom=4 / 3)  # clockwise: what was left is now above
    assert torch.allclose(turned, whole.rot90(-1, (1, 2)), atol=2e-3)
    wide = painting.render((48, 128))  # of another shape: nothing is squeezed
    assert torch.allclose(wide[:, :, 32:96], whole, atol=2e-3)
    with pytest.raises(UsageError, match="zoom"):
        painting.render(zoom=0)


@pytest.mark.slow
def test_several_pictures_and_what_lies_between(real_shelf):
    del real_shelf
    several = [photograph(), photograph("chelsea.png"), photograph("coffee.png", 32, 48)]
    frame = learned(several, network="siren", batch=512, steps=150)
    painting = frame.painting
    for number, picture in enumerate(several[:2]):
        assert psnr(painting.render(which=number), picture) > 20
        assert psnr(painting.render(which=1 - number), picture) < 15
    half = painting.render(which=0.5)
    assert torch.equal(half, painting.render(which=[0.5, 0.5, 0]))
    assert all(psnr(half, picture) < 20 for picture in several[:2])
    with pytest.raises(UsageError, match="0 to 2"):
        painting.render(which=2.5)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_painting_in_a_file_is_the_painting(astronaut, tmp_path, network):
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


def test_a_file_that_is_no_painting_is_refused_in_one_line(astronaut, tmp_path):
    path = tmp_path / "good"
    learned(astronaut, steps=1).painting.save(path)
    weights = load_file(path)
    raw = path.read_bytes()
    entries = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])["__metadata__"]
    about = json.loads(entries["lanterna"])
    plan = about["plan"]
    wrong = tmp_path / "wrong"

    def refused(weights, about, error=UsageError):
        save_file(weights, wrong, {"lanterna": json.dumps(about)})
        with pytest.raises(error) as found:
            open_painting(wrong)
        assert "\n" not in str(found.value)

    refused(weights, {})
    refused(weights, [])
    refused(weights, {**about, "size": [1_000_000, 1_000_000]})
    refused(weights, {**about, "size": "no"})
    refused(weights, {**about, "plan": {**plan, "neurons": 1024}})
    refused(weights, {**about, "plan": {**plan, "grid_entries": 24}})
    refused(weights, {**about, "plan": {**plan, "unheard": 1}})
    refused({**weights, "output.bias": torch.zeros(4)}, about)
    refused({**weights, "more": torch.zeros(4)}, about)
    refused({**weights, "output.bias": torch.full((3,), torch.nan)}, about, LanternaError)
    wrong.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UsageError):
        open_painting(wrong)
    with pytest.raises(MissingError):
        open_painting(tmp_path / "none")


# The networks, against oracles.


def test_a_dense_grid_is_read_as_grid_sample_reads_it():
    grid = HashGrid((1.0, 0.75), levels=1, entries=2**12, features=3, coarsest=20, finest=20).double()
    torch.nn.init.normal_(grid.table)
    where = positions(500, dtype=torch.float64)
    corners = grid.corners(where)
    picture = grid.table.view(16, 21, 3).permute(2, 0, 1)[None]
    wanted = F.grid_sample(picture, (2 * where - 1)[None, None], mode="bilinear", align_corners=True)
    # Weights are kept in float32.
    assert torch.allclose(grid(corners), wanted[0, :, 0].T, atol=1e-5)


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


def test_a_grids_gradient_is_that_of_finite_differences_and_of_plain_indexing():
    grid = HashGrid((1.0, 0.6), levels=3, entries=16, features=2, coarsest=3, finest=11).double()
    torch.nn.init.normal_(grid.table)
    corners = grid.corners(positions(40, dtype=torch.float64))
    assert torch.autograd.gradcheck(lambda table: _through(grid, table, corners), grid.table)
    slope = torch.randn(40, 6, dtype=torch.float64)
    grid(corners).backward(slope)
    ours, grid.table.grad = grid.table.grad, None
    read = grid.table[corners.rows.long()] * corners.weights[:, None]
    read.view(40, 3, 4, 2).sum(2).flatten(1).backward(slope)
    assert torch.allclose(ours, grid.table.grad)


def _through(grid, table, corners):
    return torch.func.functional_call(grid, {"table": table}, (corners,))


@pytest.mark.slow
@pytest.mark.parametrize("network", NETWORKS)
def test_gradients_are_those_of_finite_differences(network):
    plan = CoordinatePlan(network=network, layers=2, neurons=5, waves=4, grid_levels=2, grid_entries=4)
    network = Coordinates(plan, (30, 40), pictures=2)
    network.start(torch.Generator().manual_seed(0))
    network.double()
    names, values = zip(*network.named_parameters(), strict=True)
    which = torch.tensor([0, 1, 1, 0, 1, 0])

    def colours(*values):
        given = dict(zip(names, values, strict=True))
        return torch.func.functional_call(network, given, (positions(6, dtype=torch.float64), which))

    assert torch.autograd.gradcheck(colours, values)


@torch.no_grad()
def test_a_sirens_layers_begin_as_spread_as_its_paper_says():
    network = Coordinates(CoordinatePlan(network="siren", layers=5, neurons=512), (64, 64))
    network.start(torch.Generator().manual_seed(0))
    *hidden, _ = network.run(network.inputs(positions(4000)))
    for layer in hidden[1:]:  # arcsine: its deviation is sqrt(1/2), its extremes are the most frequent
        assert layer.std() == pytest.approx(math.sqrt(0.5), abs=0.06)
    x = hidden[2]
    sums = 30 * F.linear(
        x, network.hidden[3].weight
    )  # the paper's authors add biases, and leave them out here
    assert sums.std() == pytest.approx(1, abs=0.06)  # theorem 1.8: standard normal


def test_random_waves_make_the_kernel_of_their_frequencies():
    plan = CoordinatePlan(network="fourier", waves=4096, frequency=2.0)
    network = Coordinates(plan, (64, 64))
    network.start(torch.Generator().manual_seed(0))
    one, other = positions(200), positions(200, seed=1)
    found = (network.inputs(one) * network.inputs(other)).mean(1) * 2
    distance = (one - other).norm(dim=1)
    # The characteristic function of a normal distribution: exp(-(2 pi sigma distance)^2 / 2).
    assert torch.allclose(found, (-0.5 * (2 * math.pi * 2.0 * distance) ** 2).exp(), atol=0.06)


@torch.no_grad()
def test_the_lectures_positions_and_network():
    settings = Paint.checked({**Paint.presets["lecture"]}).resolved()
    network = Coordinates(settings, (48, 64))
    network.start(torch.Generator().manual_seed(0))
    rows, columns = torch.meshgrid(torch.arange(48.0), torch.arange(64.0), indexing="ij")
    both = torch.stack([columns, rows], 2).view(-1, 2)
    wanted = (both - both.mean()) / both.std(correction=0)
    found = network.inputs(torch.stack([(columns + 0.5) / 64, (rows + 0.5) / 48], 2).view(-1, 2))
    assert torch.allclose(found, wanted, atol=1e-5)
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


def test_square_things_stay_square():
    for network in NETWORKS:
        painter = Coordinates(CoordinatePlan(network=network, layers=1, neurons=8), (30, 60))
        if painter.grid is not None:
            across, down = painter.grid.scale.unbind(1)
            assert torch.allclose(across / 60, down / 30)
        else:
            step = painter._placed(torch.tensor([[0.5, 0.5], [0.6, 0.5], [0.5, 0.7]]))
            assert torch.allclose(step[1, 0] - step[0, 0], step[2, 1] - step[0, 1])


def test_what_is_no_picture_is_refused_in_one_line(astronaut):
    for wrong in ([], [astronaut] * 101, torch.zeros(64, 64), torch.zeros(3, 8, 8, dtype=torch.uint8)):
        with pytest.raises(UsageError):
            paint(wrong)
    with pytest.raises(UsageError, match="mask"):
        paint([astronaut] * 3, masks=[torch.zeros(4, 4)] * 2)
    with pytest.raises(UsageError, match="network"):
        Paint.checked({"network": "cubist"})
