"""Draw a photograph of a handwritten note, from curves alone, and save it as `page.jpg`.

    python examples/draw_page.py src/lanterna/surfaces/cli/page.jpg

Each digit is a few pen strokes, each a smooth curve through points. The points, the slant, the size and the
pressure vary, as in real handwriting. The sheet is then placed on a table under a lamp.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

ROWS = ["020 7946 0958", "24.12.2026", "  3486", "   715", "_", "  4201"]
SIZE = (2000, 1500)

# The strokes of each character, x from 0 to 1 and y from 0 (top) to 1 (baseline). A repeated point is a corner.
STROKES: dict[str, list[list[tuple[float, float]]]] = {
    "0": [[(0.58, 0.03), (0.25, 0.12), (0.06, 0.48), (0.2, 0.88), (0.48, 0.98), (0.8, 0.82), (0.92, 0.45), (0.78, 0.12),
           (0.52, 0.02)]],
    "1": [[(0.25, 0.28), (0.42, 0.17), (0.58, 0.02), (0.58, 0.02), (0.55, 0.5), (0.5, 1.0)]],
    "2": [[(0.1, 0.24), (0.28, 0.05), (0.62, 0.02), (0.83, 0.22), (0.7, 0.5), (0.38, 0.78), (0.06, 0.97), (0.06, 0.97),
           (0.4, 0.93), (0.94, 0.96)]],
    "3": [[(0.14, 0.12), (0.45, 0.01), (0.78, 0.13), (0.7, 0.37), (0.36, 0.46), (0.36, 0.46), (0.78, 0.56), (0.86, 0.78),
           (0.58, 0.98), (0.2, 0.96), (0.04, 0.85)]],
    "4": [[(0.58, 0.03), (0.32, 0.38), (0.04, 0.68), (0.04, 0.68), (0.5, 0.66), (0.95, 0.62)],
          [(0.74, 0.34), (0.68, 0.65), (0.62, 1.0)]],
    "5": [[(0.24, 0.05), (0.2, 0.25), (0.15, 0.45), (0.15, 0.45), (0.45, 0.37), (0.78, 0.5), (0.82, 0.76), (0.55, 0.97),
           (0.22, 0.98), (0.05, 0.88)], [(0.23, 0.05), (0.5, 0.06), (0.88, 0.03)]],
    "6": [[(0.68, 0.02), (0.38, 0.22), (0.14, 0.56), (0.12, 0.82), (0.34, 0.98), (0.66, 0.94), (0.82, 0.75), (0.66, 0.56),
           (0.38, 0.56), (0.15, 0.74)]],
    "7": [[(0.06, 0.08), (0.5, 0.06), (0.92, 0.04), (0.92, 0.04), (0.66, 0.4), (0.48, 0.7), (0.38, 1.0)]],
    "8": [[(0.74, 0.16), (0.5, 0.02), (0.23, 0.12), (0.26, 0.33), (0.54, 0.48), (0.82, 0.7), (0.7, 0.94), (0.42, 0.99),
           (0.16, 0.86), (0.25, 0.66), (0.55, 0.46), (0.77, 0.28), (0.72, 0.13)]],
    "9": [[(0.84, 0.2), (0.6, 0.03), (0.26, 0.1), (0.13, 0.32), (0.34, 0.48), (0.68, 0.42), (0.85, 0.2), (0.85, 0.2),
           (0.8, 0.58), (0.68, 1.0)]],
    ".": [[(0.1, 0.97), (0.14, 1.0), (0.12, 0.98)]],
    "_": [[(0.0, 0.1), (2.5, 0.04), (5.2, 0.12)]],
}  # fmt: skip
WIDTHS = {"1": 0.34, ".": 0.26, " ": 0.42, "_": 5.4}


def curve(points: np.ndarray, steps: int = 60) -> np.ndarray:
    """Interpolate points `(P, 2)` by a smooth curve `(N, 2)` (Catmull and Rom 1974)."""
    padded = np.vstack([points[:1], points, points[-1:]])
    t = np.linspace(0, 1, steps, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], strict=True):
        pieces.append(
            0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        )
    return np.vstack([*pieces, points[-1:]])


def write(
    draw: ImageDraw.ImageDraw,
    character: str,
    x: float,
    y: float,
    height: float,
    pen: float,
    rng: np.random.Generator,
) -> None:
    """Write a character with its upper left corner at (x, y), `height` pixels high, with a `pen` pixels wide."""
    width = height * (0.58 if character in "0123456789" else 0.6) * rng.normal(1, 0.06)
    slant = rng.normal(0.13, 0.03)
    for stroke in STROKES[character]:
        jitter = rng.normal(0, 0.018, (len(stroke), 2))
        points = np.array(stroke)
        corner = (points[1:] == points[:-1]).all(1)
        jitter[1:][corner] = jitter[:-1][corner]
        path = curve(points + jitter)
        across = x + path[:, 0] * width + (1 - path[:, 1]) * slant * height
        down = y + path[:, 1] * height
        # The pressure varies, and falls quickly at the end.
        pressure = 1 + 0.16 * np.sin(np.linspace(rng.uniform(0, 6), rng.uniform(7, 10), len(path)))
        pressure[-25:] *= np.linspace(1, 0.72, 25)
        for u, v, p in zip(across, down, pressure, strict=True):
            r = pen * p / 2
            draw.ellipse((u - r, v - r, u + r, v + r), fill=255)


def handwriting(
    rows: list[str], size: tuple[int, int], rng: np.random.Generator, height: float = 124, pen: float = 7.5
) -> np.ndarray:
    """Write rows of characters; return the ink, `(H, W)` from 0 to 1."""
    scale = 2  # drawn larger, then reduced, for smooth edges
    sheet = Image.new("L", (size[0] * scale, size[1] * scale))
    draw = ImageDraw.Draw(sheet)
    y = 0.12 * size[1]
    for row in rows:
        x = size[0] * 0.15 + rng.normal(0, 6)
        for character in row:
            if character in STROKES:
                tall = height * rng.normal(1, 0.04)
                top = y + height - tall + rng.normal(0, 3) + 0.006 * x
                write(draw, character, x * scale, top * scale, tall * scale, pen * scale, rng)
            x += height * (WIDTHS.get(character, 0.58) + 0.24) * rng.normal(1, 0.04)
        y += height * (0.4 if row == "_" else 1.72)
    ink = np.asarray(sheet.resize(size, Image.Resampling.LANCZOS), np.float32) / 255
    flow = noise(ink.shape, 18, rng)  # the ink is uneven
    return np.clip(ink * (0.9 + 0.07 * flow), 0, 1)


def noise(shape: tuple[int, int], scale: tuple[float, float] | float, rng: np.random.Generator) -> np.ndarray:
    """Make smooth noise with a std of about 1 and features of `scale` pixels."""
    down, across = scale if isinstance(scale, tuple) else (scale, scale)
    small = rng.normal(0, 1, (int(shape[0] / down) + 3, int(shape[1] / across) + 3)).astype(np.float32)
    return np.asarray(Image.fromarray(small).resize(shape[::-1], Image.Resampling.BICUBIC))


def table(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Draw dark walnut, `(H, W, 3)`: long fibres, wide rings, a few boards."""
    rings = np.sin(6 * noise(shape, (260, 1500), rng) + np.linspace(0, 34, shape[0])[:, None])
    fibre = 0.6 * noise(shape, (2.2, 150), rng) + 0.5 * noise(shape, (5, 420), rng)
    tone = 0.75 + 0.1 * rings + 0.1 * fibre + 0.05 * noise(shape, 300, rng)
    return np.clip(tone, 0.2, 1.4)[..., None] * np.float32((0.30, 0.185, 0.115))


def photograph(ink: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Render the written sheet on a table, in perspective, in warm light from the upper left."""
    height, width = ink.shape
    shape = (height, width)
    paper = (
        np.float32((0.955, 0.935, 0.885))
        * (1 + 0.010 * noise(shape, 2, rng) + 0.008 * noise(shape, 9, rng) + 0.012 * noise(shape, 220, rng))[
            ..., None
        ]
    )
    sheet = paper * (1 - ink[..., None]) + np.float32((0.085, 0.105, 0.26)) * ink[..., None]
    corners = np.array([(168, 96), (1838, 58), (1872, 1402), (128, 1446)], float) * (width / 2000)
    back = perspective(corners, np.array([(0, 0), (width, 0), (width, height), (0, height)], float))
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane, np.float32)).transform(
            (width, height), Image.Transform.PERSPECTIVE, back, Image.Resampling.BICUBIC))
        for plane in (*np.moveaxis(sheet, -1, 0), np.ones(shape, np.float32))
    ]  # fmt: skip
    on_sheet = np.clip(planes[3], 0, 1)[..., None]
    under = Image.fromarray((on_sheet[..., 0] * 255).astype(np.uint8)).transform(
        (width, height), Image.Transform.AFFINE, (1, 0, -16, 0, 1, -20)
    )
    shade = np.asarray(under.filter(ImageFilter.GaussianBlur(22)), np.float32)[..., None] / 255
    scene = table(shape, rng) * (1 - 0.72 * shade)
    scene = scene * (1 - on_sheet) + np.stack(planes[:3], -1) * on_sheet
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    lamp = 0.76 * np.exp(-(((x - 0.3) / 0.8) ** 2 + ((y - 0.18) / 0.85) ** 2)) + 0.2
    # Away from the lamp, the cooler light of the room dominates.
    warm, cool = np.float32((1.04, 0.96, 0.82)), np.float32((0.80, 0.88, 1.0))
    mix = lamp[..., None]
    lit = scene * (warm * mix + cool * (1 - mix)) * lamp[..., None]
    lit = lit + 0.006 * rng.normal(0, 1, lit.shape) + 0.006 * noise(shape, 1.5, rng)[..., None]
    picture = Image.fromarray((np.clip(lit, 0, 1) * 255).astype(np.uint8))
    return picture.filter(ImageFilter.GaussianBlur(0.7))


def perspective(source: np.ndarray, flat: np.ndarray) -> tuple[float, ...]:
    """Solve for Pillow's eight coefficients, which map the photograph to the flat sheet, from four corners."""
    rows, values = [], []
    for (x, y), (u, v) in zip(source, flat, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    return tuple(np.linalg.solve(np.array(rows), np.array(values)))


if __name__ == "__main__":
    generator = np.random.default_rng(12)
    page = photograph(handwriting(ROWS, SIZE, generator), generator)
    page.save(Path(sys.argv[1] if len(sys.argv) > 1 else "page.jpg"), quality=84, optimize=True)
