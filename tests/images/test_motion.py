"""Flow finds motion that is known, distrusts what was hidden, and flicker tells steady from unsteady."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images import open_picture
from lanterna.images.motion import flicker, flow, flow_and_confidence, flow_confidence, warp

WIDTH, HEIGHT = 384, 216


class Scene(NamedTuple):
    before: Tensor
    after: Tensor
    motion: Tensor  # the truth, `(2, H, W)`
    seen: Tensor  # `(H, W)`: what of `after` was in `before`


def photograph(name: str) -> Tensor:
    """One that is larger than a frame on every side."""
    picture = open_picture(shelf.need("photographs") / name)[None]
    scale = max(1.35 * WIDTH / picture.shape[3], 1.35 * HEIGHT / picture.shape[2])
    how = {"mode": "bicubic", "antialias": True, "align_corners": False}
    return F.interpolate(picture, scale_factor=scale, **how)[0].clamp(0, 1)


def places() -> Tensor:
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    return torch.stack([x, y]).float()


def framed(picture: Tensor, where: Tensor) -> Tensor:
    """A frame of what the middle of `picture` has at `where` `(2, H, W)`, by cubic interpolation."""
    height, width = picture.shape[1:]
    middle = torch.tensor([(width - WIDTH) // 2, (height - HEIGHT) // 2]).view(2, 1, 1)
    x, y = where + middle
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)[None]
    return F.grid_sample(picture[None], grid, mode="bicubic", align_corners=True)[0].clamp(0, 1)


def inside(where: Tensor) -> Tensor:
    x, y = where
    return (x >= 0) & (x <= WIDTH - 1) & (y >= 0) & (y <= HEIGHT - 1)


def camera(name: str, right: float, down: float, degrees: float = 0, zoom: float = 1) -> Scene:
    """A whole photograph that moves, turns and grows."""
    picture, here = photograph(name), places()
    middle = torch.tensor([(WIDTH - 1) / 2, (HEIGHT - 1) / 2]).view(2, 1, 1)
    x, y = here - middle
    cos, sin = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    came_from = torch.stack([cos * x - sin * y, sin * x + cos * y]) + middle
    came_from = came_from - torch.tensor([right, down]).view(2, 1, 1)
    return Scene(framed(picture, here), framed(picture, came_from), came_from - here, inside(came_from))


def thing(right: int, down: int, radius: int = 45) -> Scene:
    """A disc of one photograph that moves before another, which stays."""
    background, disc, here = photograph("gravel.png"), photograph("coffee.png"), places()
    middle = torch.tensor([WIDTH / 2, HEIGHT / 2]).view(2, 1, 1)
    moved = torch.tensor([right, down]).view(2, 1, 1)
    was_there = (here - middle).norm(dim=0) < radius
    is_there = (here - middle - moved).norm(dim=0) < radius
    before = torch.where(was_there, framed(disc, here), framed(background, here))
    after = torch.where(is_there, framed(disc, here - moved), framed(background, here))
    return Scene(
        before, after, torch.where(is_there, -moved.float(), torch.zeros(2, 1, 1)), is_there | ~was_there
    )


def noisy(scene: Scene, deviation: float) -> Scene:
    dice = torch.Generator().manual_seed(0)
    before, after = (
        (one + deviation * torch.randn(one.shape, generator=dice)).clamp(0, 1)
        for one in (scene.before, scene.after)
    )
    return scene._replace(before=before, after=after)


def endpoint_error(scene: Scene) -> float:
    return float((flow(scene.before, scene.after) - scene.motion).norm(dim=0)[scene.seen].mean())


SCENES = {
    "a part of a pixel": (lambda: camera("chelsea.png", 0.4, -0.3), 0.1),
    "20 pixels": (lambda: camera("chelsea.png", 16.3, -11.6), 0.15),
    "noise": (lambda: noisy(camera("astronaut.png", 9.5, 4), 0.02), 0.4),
    "turn and zoom": (lambda: camera("astronaut.png", 2, -3, degrees=5, zoom=1.05), 0.4),
    "sky": (lambda: camera("rocket.jpg", -4, 3, degrees=-2, zoom=0.97), 0.4),
    "thing": (lambda: thing(16, 6), 0.35),
}


@pytest.mark.slow
@pytest.mark.parametrize("which", SCENES)
def test_known_motion_is_found(which: str):
    scene, most = SCENES[which][0](), SCENES[which][1]
    assert endpoint_error(scene) < most
    # Which way round is half of it: what is warped looks like what came after.
    moved = warp(scene.before, flow(scene.before, scene.after))
    still = (scene.before - scene.after).abs().mean(0)[scene.seen].mean()
    assert (moved - scene.after).abs().mean(0)[scene.seen].mean() < 0.5 * still


def test_a_lamp_that_dims_moves_nothing():
    scene = camera("chelsea.png", 5.5, 4)
    assert endpoint_error(scene._replace(after=0.85 * scene.after)) < 0.3


@pytest.mark.slow
def test_nothing_moves_where_nothing_moves():
    picture = camera("coffee.png", 0, 0).before
    there, believed = flow_and_confidence(picture, picture)
    assert there.abs().max() < 1e-3
    assert believed.min() > 0.99
    assert flow(torch.zeros(3, 40, 60), torch.zeros(3, 40, 60)).abs().max() == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 9), (33, 17)])
def test_small_pictures_have_a_flow(size: tuple[int, int]):
    dice = torch.Generator().manual_seed(0)
    before, after = torch.rand(2, 3, *size, generator=dice)
    there, believed = flow_and_confidence(before, after)
    assert there.shape == (2, *size)
    assert believed.shape == (1, *size)
    assert there.isfinite().all()
    assert ((believed >= 0) & (believed <= 1)).all()


def test_warp_moves_whole_pixels_exactly_and_repeats_the_border():
    picture = torch.rand(3, 12, 16, generator=torch.Generator().manual_seed(0))
    right = torch.zeros(2, 12, 16)
    right[0], right[1] = 3, -2
    moved = warp(picture, right)
    torch.testing.assert_close(moved[:, 2:, :-3], picture[:, :-2, 3:], atol=1e-5, rtol=0)
    torch.testing.assert_close(moved[:, 2:, -3:], picture[:, :-2, -1:].expand(3, 10, 3), atol=1e-5, rtol=0)
    half = torch.zeros(2, 12, 16)
    half[0] = 0.5
    between = (picture[:, :, :-1] + picture[:, :, 1:]) / 2
    torch.testing.assert_close(warp(picture, half)[:, :, :-1], between, atol=1e-5, rtol=0)
    batch = torch.stack([picture, 1 - picture])
    torch.testing.assert_close(warp(batch, right)[1], 1 - moved)


@pytest.mark.slow
def test_what_was_hidden_or_outside_is_not_trusted():
    scene = thing(16, 6)
    _, believed = flow_and_confidence(scene.before, scene.after)
    assert believed[0][~scene.seen].mean() < 0.15
    here = places()
    far = scene.seen & ((here[0] - WIDTH / 2).abs() > 100)
    assert believed[0][far].mean() > 0.97
    disc = (here - torch.tensor([WIDTH / 2 + 16, HEIGHT / 2 + 6]).view(2, 1, 1)).norm(dim=0) < 30
    assert believed[0][disc].mean() > 0.9

    moved = camera("chelsea.png", 15, 0)
    _, believed = flow_and_confidence(moved.before, moved.after)
    assert believed[0][:, :13].mean() < 0.05
    assert believed[0][:, 18:].mean() > 0.95


def test_trust_is_what_its_docstring_says():
    """One pixel at a time in flat pictures: by hand."""
    grey = torch.full((3, 9, 11), 0.5)
    there, back = torch.zeros(2, 9, 11), torch.zeros(2, 9, 11)
    there[0], back[0] = 2, -1
    q = 1 / (0.01 * (4 + 1) + 0.5)
    believed = flow_confidence(grey, grey + 0.1, there, back)
    assert believed[0, 4, 4] == pytest.approx(1 / (1 + q**2) * math.exp(-0.01 / 0.02), rel=1e-4)
    assert believed[0, 4, -1] == 0


WIDE, HIGH = WIDTH // 2, HEIGHT // 2  # of a sequence


def sequence(frames: int = 4) -> list[Tensor]:
    """A part of a photograph that passes by, 3 pixels to the left and 1 down from frame to frame."""
    picture = photograph("coffee.png")[:, 80:, 120:]
    return [picture[:, 20 - k : 20 - k + HIGH, 20 + 3 * k : 20 + 3 * k + WIDE] for k in range(frames)]


@pytest.mark.slow
def test_flicker_tells_what_moves_along_from_what_is_new_each_time():
    originals = sequence()
    # Painted on what is seen, so that it moves with it; and painted anew on each frame.
    dice = torch.Generator().manual_seed(0)
    paint = F.avg_pool2d(torch.rand(3, 300, 500, generator=dice), 5, 1, 2)
    along = [
        (0.5 * frame + paint[:, 20 - k : 20 - k + HIGH, 20 + 3 * k : 20 + 3 * k + WIDE]).clamp(0, 1)
        for k, frame in enumerate(originals)
    ]
    anew = [
        (0.5 * frame + F.avg_pool2d(torch.rand(3, HIGH, WIDE, generator=dice), 5, 1, 2)).clamp(0, 1)
        for frame in originals
    ]
    steady, unsteady = flicker(along, originals), flicker(anew, originals)
    assert steady < 0.001
    assert unsteady > 10 * steady
    # Noise of a known size: twice its variance in each of three channels, less what warping between pixels
    # takes away, which is next to nothing where the motion is of whole pixels.
    noise = [0.5 + 0.1 * torch.randn(3, HIGH, WIDE, generator=dice) for _ in originals]
    assert flicker(noise, originals) == pytest.approx(3 * 2 * 0.1**2, rel=0.15)


@pytest.mark.slow
def test_flicker_of_what_was_warped_by_the_flow_itself_is_none():
    originals = sequence(3)
    frames = [torch.rand(3, HIGH, WIDE, generator=torch.Generator().manual_seed(0))]
    for before, after in itertools.pairwise(originals):
        frames.append(warp(frames[-1], flow(before, after)))
    assert flicker(frames, originals) < 1e-9


def test_what_cannot_be_compared_is_told():
    one, other = torch.zeros(3, 8, 9), torch.zeros(3, 9, 8)
    for wrong in (
        lambda: flow(one, other),
        lambda: warp(one, torch.zeros(2, 9, 8)),
        lambda: flicker([one], [one]),
        lambda: flicker([one, one], [one]),
        lambda: flicker([other, other], [one, one]),
    ):
        with pytest.raises(UsageError):
            wrong()
