"""Optical flow finds known motion, its confidence is low at occlusions, and flicker measures steadiness."""

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
    visible: Tensor  # `(H, W)`: the pixels of `after` that are visible in `before`


def photograph(name: str) -> Tensor:
    """Return a photograph that is larger than a frame on every side."""
    picture = open_picture(shelf.need("photographs") / name)[None]
    scale = max(1.35 * WIDTH / picture.shape[3], 1.35 * HEIGHT / picture.shape[2])
    options = {"mode": "bicubic", "antialias": True, "align_corners": False}
    return F.interpolate(picture, scale_factor=scale, **options)[0].clamp(0, 1)


def pixel_grid() -> Tensor:
    y, x = torch.meshgrid(torch.arange(HEIGHT), torch.arange(WIDTH), indexing="ij")
    return torch.stack([x, y]).float()


def sample(picture: Tensor, positions: Tensor) -> Tensor:
    """Sample the middle of `picture` at `positions` `(2, H, W)`, by cubic interpolation."""
    height, width = picture.shape[1:]
    middle = torch.tensor([(width - WIDTH) // 2, (height - HEIGHT) // 2]).view(2, 1, 1)
    x, y = positions + middle
    grid = torch.stack([2 * x / (width - 1) - 1, 2 * y / (height - 1) - 1], -1)[None]
    return F.grid_sample(picture[None], grid, mode="bicubic", align_corners=True)[0].clamp(0, 1)


def inside(positions: Tensor) -> Tensor:
    x, y = positions
    return (x >= 0) & (x <= WIDTH - 1) & (y >= 0) & (y <= HEIGHT - 1)


def camera(name: str, right: float, down: float, degrees: float = 0, zoom: float = 1) -> Scene:
    """Return a scene in which a full photograph moves, rotates and grows."""
    picture, grid = photograph(name), pixel_grid()
    middle = torch.tensor([(WIDTH - 1) / 2, (HEIGHT - 1) / 2]).view(2, 1, 1)
    x, y = grid - middle
    cos, sin = math.cos(math.radians(degrees)) / zoom, math.sin(math.radians(degrees)) / zoom
    origin = torch.stack([cos * x - sin * y, sin * x + cos * y]) + middle
    origin = origin - torch.tensor([right, down]).view(2, 1, 1)
    return Scene(sample(picture, grid), sample(picture, origin), origin - grid, inside(origin))


def moving_disc(right: int, down: int, radius: int = 45) -> Scene:
    """Return a scene in which a disc of one photograph moves in front of another, which does not move."""
    background, disc, grid = photograph("gravel.png"), photograph("coffee.png"), pixel_grid()
    middle = torch.tensor([WIDTH / 2, HEIGHT / 2]).view(2, 1, 1)
    motion = torch.tensor([right, down]).view(2, 1, 1)
    disc_before = (grid - middle).norm(dim=0) < radius
    disc_after = (grid - middle - motion).norm(dim=0) < radius
    before = torch.where(disc_before, sample(disc, grid), sample(background, grid))
    after = torch.where(disc_after, sample(disc, grid - motion), sample(background, grid))
    return Scene(
        before,
        after,
        torch.where(disc_after, -motion.float(), torch.zeros(2, 1, 1)),
        disc_after | ~disc_before,
    )


def noisy(scene: Scene, std: float) -> Scene:
    generator = torch.Generator().manual_seed(0)
    before, after = (
        (frame + std * torch.randn(frame.shape, generator=generator)).clamp(0, 1)
        for frame in (scene.before, scene.after)
    )
    return scene._replace(before=before, after=after)


def endpoint_error(scene: Scene) -> float:
    return float((flow(scene.before, scene.after) - scene.motion).norm(dim=0)[scene.visible].mean())


SCENES = {
    "subpixel": (lambda: camera("chelsea.png", 0.4, -0.3), 0.1),
    "20 pixels": (lambda: camera("chelsea.png", 16.3, -11.6), 0.15),
    "noise": (lambda: noisy(camera("astronaut.png", 9.5, 4), 0.02), 0.4),
    "rotation and zoom": (lambda: camera("astronaut.png", 2, -3, degrees=5, zoom=1.05), 0.4),
    "sky": (lambda: camera("rocket.jpg", -4, 3, degrees=-2, zoom=0.97), 0.4),
    "moving disc": (lambda: moving_disc(16, 6), 0.35),
}


@pytest.mark.slow
@pytest.mark.parametrize("which", SCENES)
def test_known_motion_is_found(which: str):
    scene, max_error = SCENES[which][0](), SCENES[which][1]
    assert endpoint_error(scene) < max_error
    # The direction is right too: the warped frame resembles the one after.
    warped = warp(scene.before, flow(scene.before, scene.after))
    unwarped = (scene.before - scene.after).abs().mean(0)[scene.visible].mean()
    assert (warped - scene.after).abs().mean(0)[scene.visible].mean() < 0.5 * unwarped


def test_a_dimming_lamp_causes_no_motion():
    scene = camera("chelsea.png", 5.5, 4)
    assert endpoint_error(scene._replace(after=0.85 * scene.after)) < 0.3


@pytest.mark.slow
def test_equal_frames_have_no_motion():
    picture = camera("coffee.png", 0, 0).before
    motion, confidence = flow_and_confidence(picture, picture)
    assert motion.abs().max() < 1e-3
    assert confidence.min() > 0.99
    assert flow(torch.zeros(3, 40, 60), torch.zeros(3, 40, 60)).abs().max() == 0


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (7, 9), (33, 17)])
def test_small_pictures_have_a_flow(size: tuple[int, int]):
    before, after = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    motion, confidence = flow_and_confidence(before, after)
    assert motion.shape == (2, *size)
    assert confidence.shape == (1, *size)
    assert motion.isfinite().all()
    assert ((confidence >= 0) & (confidence <= 1)).all()


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
def test_confidence_is_low_where_a_pixel_was_occluded_or_outside():
    scene = moving_disc(16, 6)
    _, confidence = flow_and_confidence(scene.before, scene.after)
    assert confidence[0][~scene.visible].mean() < 0.15
    grid = pixel_grid()
    far = scene.visible & ((grid[0] - WIDTH / 2).abs() > 100)
    assert confidence[0][far].mean() > 0.97
    disc = (grid - torch.tensor([WIDTH / 2 + 16, HEIGHT / 2 + 6]).view(2, 1, 1)).norm(dim=0) < 30
    assert confidence[0][disc].mean() > 0.9

    moved = camera("chelsea.png", 15, 0)
    _, confidence = flow_and_confidence(moved.before, moved.after)
    assert confidence[0][:, :13].mean() < 0.05
    assert confidence[0][:, 18:].mean() > 0.95


def test_confidence_matches_the_formula_in_its_docstring():
    """Single pixels of uniform pictures, computed by hand."""
    grey = torch.full((3, 9, 11), 0.5)
    backward, forward = torch.zeros(2, 9, 11), torch.zeros(2, 9, 11)
    backward[0], forward[0] = 2, -1
    q = 1 / (0.01 * (4 + 1) + 0.5)
    confidence = flow_confidence(grey, grey + 0.1, backward, forward)
    assert confidence[0, 4, 4] == pytest.approx(1 / (1 + q**2) * math.exp(-0.01 / 0.02), rel=1e-4)
    assert confidence[0, 4, -1] == 0


WIDE, HIGH = WIDTH // 2, HEIGHT // 2  # of a sequence


def sequence(frames: int = 4) -> list[Tensor]:
    """Return frames of a photograph that moves 3 pixels to the left and 1 down from frame to frame."""
    picture = photograph("coffee.png")[:, 80:, 120:]
    return [picture[:, 20 - k : 20 - k + HIGH, 20 + 3 * k : 20 + 3 * k + WIDE] for k in range(frames)]


@pytest.mark.slow
def test_flicker_distinguishes_moving_texture_from_texture_that_changes():
    originals = sequence()
    # A texture that moves with the picture, and a new texture in each frame.
    generator = torch.Generator().manual_seed(0)
    paint = F.avg_pool2d(torch.rand(3, 300, 500, generator=generator), 5, 1, 2)
    moving = [
        (0.5 * frame + paint[:, 20 - k : 20 - k + HIGH, 20 + 3 * k : 20 + 3 * k + WIDE]).clamp(0, 1)
        for k, frame in enumerate(originals)
    ]
    changing = [
        (0.5 * frame + F.avg_pool2d(torch.rand(3, HIGH, WIDE, generator=generator), 5, 1, 2)).clamp(0, 1)
        for frame in originals
    ]
    steady, unsteady = flicker(moving, originals), flicker(changing, originals)
    assert steady < 0.001
    assert unsteady > 10 * steady
    # Noise of known variance: twice that in each of three channels, minus the smoothing by interpolation,
    # which is negligible for motion by whole pixels.
    noise = [0.5 + 0.1 * torch.randn(3, HIGH, WIDE, generator=generator) for _ in originals]
    assert flicker(noise, originals) == pytest.approx(3 * 2 * 0.1**2, rel=0.15)


@pytest.mark.slow
def test_frames_warped_by_the_flow_have_no_flicker():
    originals = sequence(3)
    frames = [torch.rand(3, HIGH, WIDE, generator=torch.Generator().manual_seed(0))]
    for before, after in itertools.pairwise(originals):
        frames.append(warp(frames[-1], flow(before, after)))
    assert flicker(frames, originals) < 1e-9


def test_mismatched_frames_are_refused():
    wide, high = torch.zeros(3, 8, 9), torch.zeros(3, 9, 8)
    for wrong in (
        lambda: flow(wide, high),
        lambda: warp(wide, torch.zeros(2, 9, 8)),
        lambda: flicker([wide], [wide]),
        lambda: flicker([wide, wide], [wide]),
        lambda: flicker([high, high], [wide, wide]),
    ):
        with pytest.raises(UsageError):
            wrong()
