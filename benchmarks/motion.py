"""How long the flow between two frames takes, and how far it is from the truth, beside two simple methods.

`python benchmarks/motion.py [--quick] [--threads 2]`, all in float32: at 512 × 288 and 1,280 × 720, for a
photograph that moves, turns and grows, and for a disc of one photograph that moves before another: the median
seconds of a pair, the mean distance from the true flow in pixels (of what can be seen in both frames), and
the share of pixels that are more than 1 pixel away. They take turns in one run. The two methods, written here
from their papers, are what a first course has:

- `lucas_kanade`: Lucas and Kanade 1981, in a pyramid as Bouguet 2000 has it, at every pixel: grey, windows
  of 21 × 21 that fall off to the sides, 5 iterations a level, nothing that fills in or doubts.
- `phase_correlation`: Kuglin and Hines 1975: one movement of whole pixels for the whole picture, which is the
  sharpest thing's where there are two.
"""

import math
from functools import partial

import bench
import torch
import torch.nn.functional as F

from lanterna import shelf
from lanterna.images import open_picture
from lanterna.images.motion import flow, warp

ROUNDS = {(512, 288): 7, (1280, 720): 3}
QUICK = {(256, 144): 1, (512, 288): 1}


def main() -> None:
    options = bench.options(__doc__)
    methods = {"lanterna": flow, "lucas_kanade": lucas_kanade, "phase_correlation": phase_correlation}
    figures = {"threads": options.threads}
    for (width, height), rounds in (QUICK if options.quick else ROUNDS).items():
        for name, make in {"camera": camera, "thing": thing}.items():
            bench.say(f"{name} {width} × {height}")
            figures[f"{name} {width} x {height}"] = compared(methods, make(width, height), rounds)
    bench.show(figures)


def compared(methods, scene, rounds):
    before, after, truth, seen = scene
    works = {name: partial(method, before, after) for name, method in methods.items()}
    seconds, found = bench.by_turns(works, rounds)
    errors = {name: (each - truth).norm(dim=0)[seen] for name, each in found.items()}
    figures = {
        name: {
            "seconds": round(seconds[name], 3),
            "error_px": round(float(error.mean()), 3),
            "over_1_px": round(float((error > 1).float().mean()), 4),
        }
        for name, error in errors.items()
    }
    return {**figures, "no_motion": {"error_px": round(float(truth.norm(dim=0)[seen].mean()), 3)}}


def photograph(name, width, height):
    """A third larger than a frame."""
    picture = open_picture(shelf.need("photographs") / name)[None]
    scale = max(1.34 * width / picture.shape[3], 1.34 * height / picture.shape[2])
    how = {"mode": "bicubic", "antialias": True, "align_corners": False}
    return F.interpolate(picture, scale_factor=scale, **how)[0].clamp(0, 1)


def places(width, height):
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y]).float()


def framed(picture, where):
    (_, high, wide), (_, height, width) = picture.shape, where.shape
    x, y = where[0] + (wide - width) // 2, where[1] + (high - height) // 2
    grid = torch.stack([2 * x / (wide - 1) - 1, 2 * y / (high - 1) - 1], -1)[None]
    return F.grid_sample(picture[None], grid, mode="bicubic", align_corners=True)[0].clamp(0, 1)


def camera(width, height):
    """The astronaut, 12 pixels right and 8 up, turned by 3 degrees and 3 % larger (at 512 pixels)."""
    picture, here, size = photograph("astronaut.png", width, height), places(width, height), width / 512
    middle = torch.tensor([(width - 1) / 2, (height - 1) / 2]).view(2, 1, 1)
    x, y = here - middle
    cos, sin = math.cos(math.radians(3)) / 1.03, math.sin(math.radians(3)) / 1.03
    came_from = torch.stack([cos * x - sin * y - 12 * size, sin * x + cos * y + 8 * size]) + middle
    seen = ((came_from >= 0) & (came_from <= 2 * middle)).all(0)
    return framed(picture, here), framed(picture, came_from), came_from - here, seen


def thing(width, height):
    """A disc of coffee that moves 18 pixels right and 6 down (at 512 pixels) before gravel, which stays."""
    here, size = places(width, height), width / 512
    background, disc = photograph("gravel.png", width, height), photograph("coffee.png", width, height)
    middle = torch.tensor([width / 2, height / 2]).view(2, 1, 1)
    moved = torch.tensor([round(18 * size), round(6 * size)]).view(2, 1, 1)
    was_there = (here - middle).norm(dim=0) < 50 * size
    is_there = (here - middle - moved).norm(dim=0) < 50 * size
    before = torch.where(was_there, framed(disc, here), framed(background, here))
    after = torch.where(is_there, framed(disc, here - moved), framed(background, here))
    return before, after, torch.where(is_there, -moved.float(), torch.zeros(2, 1, 1)), is_there | ~was_there


def lucas_kanade(before, after, reach=5, iterations=5, damping=1e-4):
    """Halved until the shorter side is under 32 pixels; at each level, windows solved by least squares."""
    levels = [(before.mean(0)[None, None], after.mean(0)[None, None])]
    while min(levels[-1][0].shape[-2:]) >= 32:
        halves = {"scale_factor": 0.5, "mode": "bilinear", "antialias": True}
        levels.append(tuple(F.interpolate(one, **halves) for one in levels[-1]))
    found = torch.zeros(2, *levels[-1][0].shape[-2:])
    for then, now in reversed(levels):
        height, width = now.shape[-2:]
        longer = torch.tensor([width / found.shape[2], height / found.shape[1]]).view(2, 1, 1)
        found = F.interpolate(found[None], (height, width), mode="bilinear")[0] * longer
        for _ in range(iterations):
            moved = warp(then, found)
            wide = F.pad((moved + now) / 2, (1, 1, 1, 1), mode="replicate")
            across = (wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]) / 2
            down = (wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]) / 2
            change = moved - now
            windows = torch.cat((across**2, across * down, down**2, across * change, down * change))
            for _ in range(2):  # a box alone makes the iterations diverge
                windows = F.avg_pool2d(windows, 2 * reach + 1, 1, reach, count_include_pad=False)
            xx, xy, yy, xt, yt = windows[:, 0]
            xx, yy = xx + damping, yy + damping  # without, what has no texture flies away
            step = torch.stack([xy * yt - yy * xt, xy * xt - xx * yt]) / (xx * yy - xy * xy)
            found = found + step.clamp(-1, 1)
    return found


def phase_correlation(before, after):
    """One movement for all: where the correlation of the two spectra's phases is highest."""
    height, width = before.shape[1:]
    window = torch.hann_window(height)[:, None] * torch.hann_window(width)
    then, now = (torch.fft.rfft2((one.mean(0) - one.mean()) * window) for one in (before, after))
    cross = then * now.conj()
    peak = int(torch.fft.irfft2(cross / cross.abs().clamp_min(1e-9), s=(height, width)).argmax())
    down, right = divmod(peak, width)
    down, right = (down + height // 2) % height - height // 2, (right + width // 2) % width - width // 2
    return torch.tensor([right, down]).float().view(2, 1, 1).expand(2, height, width)


if __name__ == "__main__":
    main()
