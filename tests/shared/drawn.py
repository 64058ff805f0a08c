"""Pages drawn by a program from MNIST *test* digits: lines, boxes, signs, tables, sheets on a table.

No code is shared with the reader, nor with `scripts/train_symbols.py`. `pages.py` simulates photographs of
bare handwriting; here a page holds what real pages hold besides.
"""

from __future__ import annotations

import io
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lanterna.images.digits import mnist


class Written(NamedTuple):
    """A digit on the page, and its box (x0, y0, x1, y1 in pixels)."""

    digit: int
    box: tuple[float, float, float, float]


class Sheet:
    """A page to draw on; `digits` are those written, in order."""

    def __init__(self, width: int, height: int, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.ink = Image.new("L", (width, height))
        self.draw = ImageDraw.Draw(self.ink)
        self.digits: list[Written] = []
        test = mnist("test")
        self._images = test.images[:, 0].numpy()
        self._of = [np.flatnonzero(test.labels.numpy() == digit) for digit in range(10)]

    def digit(self, digit: int, x: float, y: float, high: float = 60, wide: float = 1.0) -> float:
        """Write a digit, `wide` times as wide as it was written; return its right edge."""
        image = self._images[self.rng.choice(self._of[digit])]
        ys, xs = np.nonzero(image > 60)
        image = np.pad(image[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1], 2)
        scale = high / (image.shape[0] - 4)
        size = round(image.shape[1] * scale * wide), round(image.shape[0] * scale)
        large = Image.fromarray(image).resize(size, Image.Resampling.BICUBIC)
        ink = large.point([min(255, max(0, int((value - 70) * 2.2))) for value in range(256)])
        self.ink.paste(255, (round(x - 2 * scale * wide), round(y - 2 * scale)), ink)
        right = x + (image.shape[1] - 4) * scale * wide
        self.digits.append(Written(digit, (x, y, right, y + high)))
        return right

    def write(self, text: str, x: float, y: float, high: float = 60, gap: float = 16) -> float:
        """Write digits and signs; return the right edge."""
        for character in text:
            if character == " ":
                x += 0.9 * high
            elif character.isdigit():
                x = self.digit(int(character), x, y, high) + gap
            else:
                x = self.sign(character, x, y, high) + gap
        return x - gap

    def line(self, *points: tuple[float, float], pen: int = 4) -> None:
        """Draw a line by hand through points."""
        path = [np.array(points[0], float)]
        for start, end in pairwise(points):
            steps = max(2, int(np.hypot(end[0] - start[0], end[1] - start[1]) / 14))
            straight = np.linspace(start, end, steps + 1)[1:]
            path += list(straight + self.rng.normal(0, 0.4, straight.shape))
        self.draw.line([tuple(point) for point in path], fill=255, width=pen, joint="curve")

    def box(self, x: float, y: float, wide: float, high: float, pen: int = 4) -> None:
        """Draw a rectangle by hand."""
        self.line((x, y), (x + wide, y), (x + wide, y + high), (x, y + high), (x, y), pen=pen)

    def dot(self, x: float, y: float, size: float) -> None:
        """Draw a point."""
        self.draw.ellipse((x - size / 2, y - size / 2, x + size / 2, y + size / 2), fill=255)

    def sign(self, sign: str, x: float, y: float, high: float) -> float:
        """Draw a sign; return its right edge."""
        pen, half = max(3, round(0.085 * high)), high / 2
        point = 1.7 * pen
        match sign:
            case "." | ",":
                self.dot(x + point / 2, y + high - point / 2, point)
                if sign == ",":
                    self.line((x + point / 2, y + high), (x, y + 1.2 * high), pen=pen)
                return x + point
            case ":":
                self.dot(x + point / 2, y + 0.3 * high, point)
                self.dot(x + point / 2, y + 0.8 * high, point)
                return x + point
            case "-" | "+" | "÷":
                self.line((x, y + half), (x + half, y + half), pen=pen)
                if sign == "+":
                    self.line((x + half / 2, y + 0.25 * high), (x + half / 2, y + 0.78 * high), pen=pen)
                if sign == "÷":
                    self.dot(x + half / 2, y + 0.27 * high, point)
                    self.dot(x + half / 2, y + 0.73 * high, point)
            case "=":
                self.line((x, y + 0.4 * high), (x + half, y + 0.39 * high), pen=pen)
                self.line((x, y + 0.62 * high), (x + half, y + 0.63 * high), pen=pen)
            case "×":
                self.line((x, y + 0.35 * high), (x + half, y + 0.8 * high), pen=pen)
                self.line((x + half, y + 0.33 * high), (x, y + 0.8 * high), pen=pen)
            case "/":
                self.line((x, y + 1.15 * high), (x + half, y - 0.15 * high), pen=pen)
            case "%":
                self.line((x + 0.1 * half, y + high), (x + half, y), pen=pen)
                r = 0.13 * high
                self.draw.ellipse((x, y + r / 2, x + 2 * r, y + 2.5 * r), outline=255, width=pen)
                right, low = x + 1.1 * half, y + high - 2.5 * r
                self.draw.ellipse((right - 2 * r, low, right, low + 2 * r), outline=255, width=pen)
            case "(" | ")":
                left = x if sign == "(" else x - 0.36 * high
                angles = (100, 260) if sign == "(" else (-80, 80)
                box = (left, y - 0.08 * high, left + 0.6 * high, y + 1.08 * high)
                self.draw.arc(box, *angles, fill=255, width=pen)
                return x + 0.24 * high
            case _:
                raise ValueError(sign)
        return x + half

    def picture(self, paper: int = 240, blur: float = 0.6, noise: float = 3.0) -> Image.Image:
        """Return the page as a grey picture, unevenly lit, blurred and noisy."""
        ink = np.asarray(self.ink.filter(ImageFilter.GaussianBlur(blur)), float) / 255
        down, across = np.mgrid[0 : 1 : ink.shape[0] * 1j, 0 : 1 : ink.shape[1] * 1j]
        light = 1 - 0.2 * (down * self.rng.random() + across * self.rng.random())
        grey = paper * light * (1 - 0.83 * ink) + self.rng.normal(0, noise, ink.shape)
        return Image.fromarray(grey.clip(0, 255).astype(np.uint8))

    def jpeg(self, **kind: float) -> bytes:
        """Return the page as the bytes of a JPEG."""
        return as_jpeg(self.picture(**kind))


def as_jpeg(picture: Image.Image) -> bytes:
    """Return a picture as the bytes of a JPEG."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=88)
    return file.getvalue()


def photograph(
    sheet: Sheet,
    corners: list[tuple[float, float]],
    size: tuple[int, int],
    seed: int = 0,
    table: str = "plain",
) -> tuple[bytes, list[Written]]:
    """Photograph a sheet: its corners, clockwise from the upper left, on a table that is `plain` or `rough`.

    Return the JPEG and the digits with their boxes in it.
    """
    page = sheet.picture()
    rows, values = [], []
    for (x, y), (u, v) in zip(corners, [(0, 0), (page.width, 0), page.size, (0, page.height)], strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        values += [u, v]
    back = np.linalg.solve(np.array(rows, float), np.array(values, float))
    forward = np.linalg.inv(np.append(back, 1).reshape(3, 3))
    taken = page.transform(size, Image.Transform.PERSPECTIVE, tuple(back), Image.Resampling.BICUBIC)
    mask = Image.new("L", page.size, 255).transform(size, Image.Transform.PERSPECTIVE, tuple(back))
    rng = np.random.default_rng(seed)
    ground = np.full(size[::-1], 110.0)
    if table == "rough":
        for scale, strength in ((4, 14), (16, 14), (64, 20)):
            shape = (size[1] // scale + 2, size[0] // scale + 2)
            grain = Image.fromarray(rng.normal(0, 1, shape).astype(np.float32))
            ground += strength * np.asarray(grain.resize(size, Image.Resampling.BICUBIC))
    photo = Image.fromarray(ground.clip(0, 255).astype(np.uint8))
    photo.paste(taken, (0, 0), mask)
    moved = []
    for digit, (x0, y0, x1, y1) in sheet.digits:
        u, v, w = forward @ np.array([(x0, y0, 1), (x1, y0, 1), (x0, y1, 1), (x1, y1, 1)], float).T
        u, v = u / w, v / w
        moved.append(Written(digit, (float(u.min()), float(v.min()), float(u.max()), float(v.max()))))
    return as_jpeg(photo), moved
