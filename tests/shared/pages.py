"""Simulated handwritten pages: MNIST *test* digits written with many pens on many papers, then photographed.

No code is shared with the reader. A digit's skeleton is found by thinning (Zhang and Suen 1984, "A fast
parallel algorithm for thinning digital patterns") and redrawn at page resolution with a pen of the requested
width; without a pen, the digit itself is enlarged. The sheet is then placed on a table, projected in
perspective, lit unevenly, blurred, given sensor noise and saved as JPEG.

Each colour channel is a separate array, which numpy processes many times faster than interleaved channels.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from places import ROOT

Array = NDArray[np.float32]


class Written(NamedTuple):
    """A digit on the page, and its box in the photograph (x0, y0, x1, y1 in pixels)."""

    digit: int
    box: tuple[float, float, float, float]
    row: int


class SimulatedPage(NamedTuple):
    """A photograph of a page as a JPEG file, and the digits on it in reading order."""

    data: bytes
    digits: list[Written]


@dataclass(frozen=True)
class Condition:
    """How a page is written, ruled, placed and photographed. Lengths are shares of a digit's height."""

    rows: tuple[int, ...] = (7, 8, 6)
    width: int = 1000  # of the photograph, in pixels
    height: float = 90.0  # of a digit on a sheet 1,400 wide
    pen: tuple[float, float] | None = (0.06, 0.11)  # stroke width; None: as in the original digit
    ink: tuple[float, float, float] = (0.12, 0.12, 0.15)
    strength: tuple[float, float] = (0.85, 1.0)
    pencil: bool = False
    paper: tuple[float, float, float] = (0.93, 0.92, 0.89)
    grain: float = 0.012
    specks: int = 0
    rule: str = ""  # "", "lined", "squared", "margin"
    rule_strength: float = 0.45
    holes: bool = False
    turn: tuple[float, float] = (-2.5, 2.5)  # degrees
    perspective: float = 0.0
    table: str = ""  # "", "wood", "dark", "cloth"
    light: float = 0.18  # how much darker one side is
    shadow: float = 0.0  # darkness of a hard shadow
    gaps: int = 0  # breaks in each stroke
    touching: float = 0.0  # share of neighbouring digits that touch
    edge: bool = False
    blur: float = 0.5
    noise: float = 0.012
    quality: int = 88


PLAIN = Condition()
CONDITIONS: dict[str, Condition] = {
    "plain": PLAIN,
    "uneven light": replace(PLAIN, light=0.65),
    "hard shadow": replace(PLAIN, light=0.25, shadow=0.55),
    "pencil": replace(PLAIN, pencil=True, pen=(0.05, 0.09), ink=(0.35, 0.35, 0.36), strength=(0.6, 0.85)),
    "thin pen": replace(PLAIN, pen=(0.03, 0.045)),
    "thick pen": replace(PLAIN, pen=(0.15, 0.2)),
    "own stroke": replace(PLAIN, pen=None),
    "blue ink": replace(PLAIN, ink=(0.12, 0.2, 0.62)),
    "red ink": replace(PLAIN, ink=(0.78, 0.13, 0.16)),
    "dark paper": replace(PLAIN, paper=(0.36, 0.27, 0.2), ink=(0.05, 0.05, 0.05), grain=0.02),
    "light on dark paper": replace(PLAIN, paper=(0.16, 0.2, 0.18), ink=(0.9, 0.9, 0.86), grain=0.02),
    "coloured paper": replace(PLAIN, paper=(0.97, 0.83, 0.32), ink=(0.15, 0.18, 0.5)),
    "white on black": replace(
        PLAIN, paper=(0.0, 0.0, 0.0), ink=(1.0, 1.0, 1.0), pen=None, grain=0.0, light=0.0, noise=0.0, blur=0.0
    ),
    "lined paper": replace(PLAIN, rule="lined"),
    "squared paper": replace(PLAIN, rule="squared", rule_strength=0.35),
    "turned left": replace(PLAIN, turn=(10.0, 15.0), paper=(0.9, 0.9, 0.88)),
    "turned right": replace(PLAIN, turn=(-15.0, -10.0), rule="lined", rule_strength=0.3),
    "300 px wide": replace(PLAIN, width=300, rows=(6, 7, 6), height=125.0, noise=0.006),
    "12,000 px wide": replace(PLAIN, width=12_000, blur=0.6),
    "at the edge": replace(PLAIN, edge=True, rows=(9, 9, 9)),
    "broken strokes": replace(PLAIN, gaps=2, pen=(0.05, 0.08)),
    "touching": replace(PLAIN, touching=0.2, width=1400),  # less of a digit is lost in a cut
    "specks and grain": replace(PLAIN, specks=260, grain=0.05),
    "on a table": replace(PLAIN, perspective=0.06, table="wood", turn=(-8.0, 8.0), light=0.4),
    "ring binder": replace(
        PLAIN, rule="margin", holes=True, perspective=0.05, table="dark", turn=(-6.0, 6.0),
        light=0.45, ink=(0.15, 0.2, 0.5), pen=(0.045, 0.08),
    ),
    "squared, shadow": replace(
        PLAIN, rule="squared", shadow=0.4, perspective=0.04, table="cloth", ink=(0.1, 0.12, 0.3)
    ),
    "blurred": replace(PLAIN, blur=3.2),
    "JPEG noise": replace(PLAIN, quality=14, noise=0.03),
}  # fmt: skip


def page_of(name: str, images: NDArray[np.uint8], labels: NDArray[np.integer], seed: int) -> SimulatedPage:
    """Simulate a page under a named condition, or load it from the cache, as simulating is slow."""
    version = Path(__file__).read_bytes() + f"{np.__version__} {PIL.__version__}".encode()
    folder = ROOT / "build" / "pages-for-tests" / hashlib.sha256(version).hexdigest()[:16]
    file = folder / f"{name}-{seed}"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        temporary = folder / f"{name}-{seed}-{os.getpid()}"
        temporary.write_bytes(pickle.dumps(simulate(CONDITIONS[name], images, labels, seed)))
        temporary.replace(file)
    page: SimulatedPage = pickle.loads(file.read_bytes())
    return page


def simulate(
    condition: Condition, images: NDArray[np.uint8], labels: NDArray[np.integer], seed: int
) -> SimulatedPage:
    """Simulate a page with digits chosen at random from `images` (N, 28, 28)."""
    rng = np.random.default_rng(seed)
    scale = min(2, max(condition.width, PLAIN.width) / 1400)  # a larger sheet for a larger photograph
    ink = np.zeros((round(1000 * scale), round(1400 * scale)), np.float32)
    placed: list[tuple[int, int, NDArray[np.intp], NDArray[np.intp]]] = []
    _write(condition, images, labels, rng, ink, placed, scale)
    sheet = _paper(condition, ink, rng, scale)
    return _photograph(condition, sheet, placed, rng, scale)


def _write(condition, images, labels, rng, ink, placed, scale) -> None:
    """Write rows of digits into `ink`, and record their pixels in `placed`."""
    tall = condition.height * scale
    rows = len(condition.rows)
    pitch = ink.shape[0] / (rows + 0.35)
    for row, count in enumerate(condition.rows):
        baseline = (row + 0.72) * pitch + rng.normal(0, 0.04) * tall
        if condition.edge:
            baseline = [tall * 0.97, ink.shape[0] * 0.5, ink.shape[0] - 1.0][row]
        x = 0.0 if condition.edge else ink.shape[1] * rng.uniform(0.09, 0.14)
        slope = rng.normal(0, 0.006)
        pen = rng.uniform(*condition.pen) if condition.pen else None
        last = 0
        for place in range(count):
            index = int(rng.integers(len(images)))
            glyph = _glyph(images[index], tall * rng.uniform(0.86, 1.12), pen and pen * tall, condition, rng)
            touches = place > 0 and rng.random() < condition.touching
            gap = tall * rng.uniform(0.28, 0.75)
            left = int(x + gap) if place else int(x)
            top = int(baseline + slope * x - glyph.shape[0] + rng.normal(0, 0.03) * tall)
            top = min(max(top, 0), ink.shape[0] - glyph.shape[0])
            if touches:
                left = _touch(ink, glyph, top, last)
            if condition.edge and place == count - 1:
                left = ink.shape[1] - glyph.shape[1]
            if left + glyph.shape[1] > ink.shape[1]:
                break
            under = ink[top : top + glyph.shape[0], left : left + glyph.shape[1]]
            np.maximum(under, glyph * rng.uniform(*condition.strength), out=under)
            ys, xs = np.nonzero(glyph > 0.5)
            placed.append((int(labels[index]), row, ys + top, xs + left))
            x = last = left + glyph.shape[1]


def _touch(ink, glyph, top, right) -> int:
    """Move a digit to the left until its ink touches the ink before it; return its left edge."""
    before = ink[top : top + glyph.shape[0]] > 0.4
    for left in range(right, right - glyph.shape[1], -1):
        window = before[:, left : left + glyph.shape[1]]
        if (window & (glyph[:, : window.shape[1]] > 0.4)).sum() >= 3:
            return left
    return right - glyph.shape[1] // 4


def _glyph(image, tall, pen, condition, rng) -> Array:
    """Draw a digit at page resolution, ink 1 on 0, cropped to its box; its longer side is `tall` pixels."""
    fine = (
        Image.fromarray(image)
        .resize((112, 112), Image.Resampling.BICUBIC)
        .filter(ImageFilter.GaussianBlur(1.2))
    )
    mask = np.asarray(fine) > 100
    ys, xs = np.nonzero(mask)
    factor = float(tall / max(np.ptp(ys) + 1, np.ptp(xs) + 1))
    size = round(112 * factor)
    skeleton = _thin(mask)
    if pen is None or not _skeleton_is_faithful(skeleton, mask):
        big = Image.fromarray((mask * 255).astype(np.uint8)).resize((size, size), Image.Resampling.BICUBIC)
        field = np.asarray(big.filter(ImageFilter.GaussianBlur(1.2 * factor)), np.float32) / 255
        glyph = np.clip((field - 0.5) * 4 * factor + 0.5, 0, 1)
    else:
        ys, xs = np.nonzero(skeleton)
        glyph = _stroke(ys, xs, size, factor, pen)
    for _ in range(condition.gaps):  # a dry pen leaves gaps in the stroke
        ys, xs = np.nonzero(glyph > 0.5)
        at = int(rng.integers(len(ys)))
        width = max(0.03 * tall, 0.58 * (pen or 0.1 * tall))
        grid_y, grid_x = np.mgrid[: glyph.shape[0], : glyph.shape[1]]
        glyph = glyph * (np.hypot(grid_y - ys[at], grid_x - xs[at]) > width)
    if condition.pencil:
        tooth = np.asarray(
            Image.fromarray(rng.integers(0, 255, glyph.shape, np.uint8)).filter(
                ImageFilter.GaussianBlur(0.9)
            ),
            np.float32,
        )
        tooth = (tooth - tooth.mean()) / max(float(tooth.std()), 1e-3)
        glyph = glyph * np.clip(0.72 + 0.26 * tooth, 0.05, 1)
    ys, xs = np.nonzero(glyph > 0.3)
    return glyph[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1].astype(np.float32)


def _skeleton_is_faithful(skeleton: NDArray[np.bool_], mask: NDArray[np.bool_]) -> bool:
    """Whether a digit redrawn along its skeleton resembles the original.

    A loop filled with ink thins to a single line, and redrawing that gives another figure.
    """
    ys, xs = np.nonzero(skeleton)
    redrawn = _stroke(ys, xs, mask.shape[0], 1.0, float(mask.sum()) / len(ys)) > 0.5
    margin = (len(redrawn) - len(mask)) // 2
    redrawn = redrawn[margin:-margin, margin:-margin]
    return float((redrawn & mask).sum()) > 0.78 * float((redrawn | mask).sum())


def _stroke(ys, xs, size, factor, pen) -> Array:
    """Draw a round pen with a diameter of `pen` pixels along the skeleton."""
    points = np.zeros((size + 8, size + 8), np.uint8)
    points[np.rint(ys * factor).astype(int) + 4, np.rint(xs * factor).astype(int) + 4] = 255
    reach = int(np.ceil(pen / 2 + factor)) + 2
    at_y, at_x = np.nonzero(points)
    best = np.full(points.shape, 1e9, np.float32)
    span = np.arange(-reach, reach + 1)
    disc = np.hypot(*np.meshgrid(span, span)).astype(np.float32)
    padded = np.pad(best, reach, constant_values=1e9)
    for y, x in zip(at_y, at_x, strict=True):
        window = padded[y : y + 2 * reach + 1, x : x + 2 * reach + 1]
        np.minimum(window, disc, out=window)
    # Neighbouring points are up to `factor` apart, so blur the edge by about that much.
    crisp = np.clip((pen / 2 + 0.25 * factor - padded) + 0.5, 0, 1)
    soft = Image.fromarray((crisp * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(0.35 * factor))
    field = np.asarray(soft, np.float32) / 255
    return np.clip((field - 0.5) * 3 + 0.5, 0, 1)


def _removable(second: bool) -> NDArray[np.bool_]:
    """Tabulate whether thinning removes a pixel, by its neighbours: a bit each, clockwise from the top."""
    around = [np.arange(256) >> bit & 1 for bit in range(8)]
    n, e, s, w = around[::2]
    count = sum(around)
    turns = sum((around[i] == 0) & (around[(i + 1) % 8] == 1) for i in range(8))
    ends = (n * e * w == 0) & (n * s * w == 0) if second else (n * e * s == 0) & (e * s * w == 0)
    return (count >= 2) & (count <= 6) & (turns == 1) & ends


_REMOVABLE = (_removable(second=False), _removable(second=True))


def _thin(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Thin a shape to its skeleton, one pixel wide (Zhang and Suen 1984)."""
    padded = np.pad(mask, 1).astype(np.uint8)
    image = padded[1:-1, 1:-1]
    height, width = image.shape
    changed = True
    while changed:
        changed = False
        for removable in _REMOVABLE:
            code = np.zeros_like(image)
            for bit, (y, x) in enumerate(((0, 1), (0, 2), (1, 2), (2, 2), (2, 1), (2, 0), (1, 0), (0, 0))):
                code |= padded[y : y + height, x : x + width] << bit
            removed = removable[code] & (image == 1)
            image[removed] = 0
            changed |= bool(removed.any())
    return image == 1


def _noise(rng, shape, scale) -> Array:
    """Make smooth noise with a std of about 1 and features of `scale` pixels."""
    small = rng.normal(0, 1, (max(2, int(shape[0] / scale) + 2), max(2, int(shape[1] / scale) + 2))).astype(
        np.float32
    )
    return np.asarray(Image.fromarray(small).resize((shape[1], shape[0]), Image.Resampling.BICUBIC))


def _paper(condition, ink, rng, scale) -> list[Array]:
    """Render the written sheet as three channels `(H, W)`."""
    shape = ink.shape
    paper = [np.full(shape, colour) for colour in np.float32(condition.paper)]
    if condition.grain:
        grain = rng.normal(0, 1, shape).astype(np.float32) * 0.6 + _noise(rng, shape, 2.5) * 0.7
        coarse = condition.grain * _noise(rng, shape, 60 * scale)
        rough = 1 + condition.grain * grain + coarse
        paper = [plane * rough for plane in paper]
    blue, red = np.float32((0.45, 0.6, 0.85)), np.float32((0.9, 0.35, 0.4))
    step = 55.0 * scale
    y, x = np.arange(shape[0]) + rng.uniform(0, step), np.arange(shape[1]) + rng.uniform(0, step)
    wide = 1.1 * scale

    def draw(positions, period, colours, axis):
        distance = np.abs((positions + period / 2) % period - period / 2)
        line = np.clip(wide - distance + 0.5, 0, 1) * condition.rule_strength * 2
        line = np.expand_dims(np.clip(line, 0, 1), 1 - axis)
        return [plane * (1 - line * (1 - colour)) for plane, colour in zip(paper, colours, strict=True)]

    if condition.rule in ("lined", "margin"):
        paper = draw(y, 2 * step if condition.rule == "margin" else step * 1.9, blue, 0)
    if condition.rule == "squared":
        paper = draw(y, step, blue, 0)
        paper = draw(x, step, blue, 1)
    if condition.rule == "margin":
        paper = draw(np.arange(shape[1]) - 0.085 * shape[1], 1e9, red, 1)
    for _ in range(condition.specks):
        cy, cx, r = rng.uniform(0, shape[0]), rng.uniform(0, shape[1]), rng.uniform(0.8, 3.0) * scale
        y0, x0 = int(max(cy - 5 * scale, 0)), int(max(cx - 5 * scale, 0))
        y1, x1 = min(y0 + round(10 * scale), shape[0]), min(x0 + round(10 * scale), shape[1])
        gy, gx = np.ogrid[y0:y1, x0:x1]
        speck = 1 - 0.75 * np.clip(r - np.hypot(gy - cy, gx - cx) + 0.5, 0, 1)
        for plane in paper:
            plane[y0:y1, x0:x1] *= speck
    blank = 1 - ink
    paper = [
        plane * blank + colour * ink for plane, colour in zip(paper, np.float32(condition.ink), strict=True)
    ]
    if condition.holes:
        for position in (0.14, 0.38, 0.62, 0.86):
            gy, gx = np.ogrid[: shape[0], : int(0.07 * shape[1])]
            hole = np.clip(17 * scale - np.hypot(gy - position * shape[0], gx - 0.03 * shape[1]) + 0.5, 0, 1)
            for plane in paper:
                part = plane[:, : hole.shape[1]]
                part[:] = part * (1 - hole) + 0.13 * hole
    return [np.clip(plane, 0, 1).astype(np.float32) for plane in paper]


def _homography(source, target) -> NDArray[np.float64]:
    """Solve for the 3 × 3 homography that maps four points to four others."""
    rows = []
    for (x, y), (u, v) in zip(source, target, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y, -u], [0, 0, 0, x, y, 1, -v * x, -v * y, -v]]
    return np.linalg.svd(np.asarray(rows))[2][-1].reshape(3, 3)


def _photograph(condition, sheet, placed, rng, scale) -> SimulatedPage:
    """Photograph the sheet: perspective, light, blur, noise and JPEG compression."""
    height, width = sheet[0].shape
    turn = np.radians(rng.uniform(*condition.turn)) if not (condition.edge or condition.light == 0) else 0.0
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], float)
    margin = 0.07 if condition.table else 0.0
    projected = (corners - (width / 2, height / 2)) @ np.array(
        [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    )
    if condition.perspective:
        projected += rng.uniform(-1, 1, projected.shape) * condition.perspective * height
    if condition.table or abs(turn) > np.radians(4):
        projected -= (projected.min(0) + projected.max(0)) / 2
        projected *= (1 - margin) / (np.abs(projected) / (width / 2, height / 2)).max(
            initial=1.0 if condition.table else 0.0
        )
    projected += (width / 2, height / 2)
    forward = _homography(corners, projected)
    back = np.linalg.inv(forward)
    back /= back[2, 2]
    photo = []
    for plane, colour in zip(sheet, condition.paper, strict=True):
        outside = -1.0 if condition.table else float(colour)
        transformed = Image.fromarray(plane).transform(
            (width, height), Image.Transform.PERSPECTIVE, tuple(back.ravel()[:8]),
            Image.Resampling.BILINEAR, fillcolor=outside,
        )  # fmt: skip
        photo.append(np.asarray(transformed))
    if condition.table:
        on_table = photo[0] < -0.5
        table = _table(condition, (height, width), rng, scale)
        photo = [
            np.where(on_table, under, np.maximum(plane, 0)) for plane, under in zip(photo, table, strict=True)
        ]
    light = _light(condition, (height, width), rng)
    planes = [Image.fromarray((np.clip(plane * light, 0, 1) * 255).astype(np.uint8)) for plane in photo]
    factor = condition.width / width
    size = (condition.width, round(height * factor))
    picture = Image.merge("RGB", planes)
    if factor < 1:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    if condition.blur:
        picture = picture.filter(
            ImageFilter.GaussianBlur(condition.blur * min(scale, condition.width / 1400))
        )
    if condition.noise:
        array = np.asarray(picture, np.float32)
        noise = rng.standard_normal(array.shape, np.float32) * (condition.noise * 255)
        mean = (noise[..., 0] + noise[..., 1] + noise[..., 2]) / 3
        noise *= 0.6
        noise += (0.6 * mean * 1.7)[..., None]
        picture = Image.fromarray(np.clip(array + noise, 0, 255).astype(np.uint8))
    if factor > 1:
        picture = picture.resize(size, Image.Resampling.BICUBIC)
    digits = []
    for digit, row, ys, xs in placed:
        points = np.stack([xs + 0.5, ys + 0.5, np.ones(len(xs))]).astype(float)
        u, v, w = forward @ points
        u, v = u / w * factor, v / w * factor
        digits.append(Written(digit, (float(u.min()), float(v.min()), float(u.max()), float(v.max())), row))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=condition.quality)
    return SimulatedPage(file.getvalue(), digits)


def _table(condition, shape, rng, scale) -> list[Array]:
    """Render the table under the sheet as three channels `(H, W)`."""
    if condition.table == "wood":
        rings = _noise(rng, shape, 400 * scale) * 3 + np.linspace(0, 14, shape[0])[:, None]
        stripe = 0.5 + 0.5 * np.sin(6.28 * (rings + 0.15 * _noise(rng, shape, 40 * scale)))
        stretched = np.asarray(
            Image.fromarray(rng.normal(0, 1, (shape[0] // 2, shape[1] // 60)).astype(np.float32)).resize(
                shape[::-1]
            )
        )
        tone = 0.75 + 0.2 * stripe + 0.06 * stretched
        colours = (0.52, 0.35, 0.22)
    elif condition.table == "dark":
        tone = 1 + 0.12 * _noise(rng, shape, 3 * scale) + 0.1 * _noise(rng, shape, 200 * scale)
        colours = (0.13, 0.13, 0.15)
    else:
        down, across = np.arange(shape[0]) / (2.2 * scale), np.arange(shape[1]) / (2.5 * scale)
        weave = 0.1 * np.sin(down)[:, None] + 0.1 * np.sin(across)
        tone = 0.9 + weave + 0.05 * _noise(rng, shape, 30 * scale)
        colours = (0.35, 0.42, 0.5)
    return [tone * colour for colour in np.float32(colours)]


def _light(condition, shape, rng) -> Array:
    """Compute the light: a falloff across the sheet, and a shadow with a hard edge."""
    y, x = (along.astype(np.float32) for along in np.ogrid[0 : 1 : shape[0] * 1j, 0 : 1 : shape[1] * 1j])
    angle = rng.uniform(0, 2 * np.pi)
    along = (x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle)
    light = 1 - condition.light * np.clip(along + 0.5, 0, 1.2) ** 1.3
    if condition.light:
        light = light * (1 - 0.25 * condition.light * ((x - 0.5) ** 2 + (y - 0.5) ** 2))
    if condition.shadow:
        angle = rng.uniform(0, 2 * np.pi)
        along = (x - rng.uniform(0.35, 0.65)) * math.cos(angle)
        along = along + (y - rng.uniform(0.35, 0.65)) * math.sin(angle)
        light = light * (1 - condition.shadow / (1 + np.exp(-np.clip(along * 260, -30, 30))))
    return light.astype(np.float32)
