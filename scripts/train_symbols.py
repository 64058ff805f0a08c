"""Train the small network that separates digits from signs and from everything else, and save its weights.

    python scripts/train_symbols.py

A network that was trained on digits alone reads a digit in anything. This one also learns signs, and, as a
class of their own, lines, corners, boxes, letters, scribbles, pieces of digits and touching pairs (as in
Dhamija, Günther and Boult 2018, "Reducing network agnostophobia"). All are drawn here, from curves and from
Pillow's font. It takes some minutes; the weights, 32 kB, are part of the package.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw
from safetensors.torch import save
from torch import Tensor

from lanterna.files import atomic_write
from lanterna.images.digits import mnist, random_affine, random_pen
from lanterna.images.drawing import font
from lanterna.images.normalise import normalised_images
from lanterna.networks.digits import initialise_weights, to_channels_last
from lanterna.techniques.read.symbols import CLASSES, SIGNS, WEIGHTS, build_symbols, digit_log_odds

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

Strokes = list["NDArray[np.float64]"]  # each (P, 2): x to the right, y downwards, in any unit
Random = np.random.Generator

EPOCHS, BATCH, RATE = 12, 128, 4e-3
DIGITS_PER_EPOCH, NORMALISED_DIGITS = 40_000, 30_000
SIGNS_DRAWN, SHAPES_DRAWN, LETTERS_DRAWN, PARTS_DRAWN = 9_000, 20_000, 8_000, 14_000
EXCLUDED, DOUBTED = 0.0005, 0.005  # of the validation digits: taken for no digit, and doubted
CANVAS = 112  # pixels
LETTERS = "ACEFGHJKLMNPQRTUVWXYacdefhijkmnprtuvwxy&?!#$@<>{}[]*"  # not those that are drawn like digits
JITTER = 0.03


def main() -> None:
    """Draw the examples, train, choose the threshold on the validation digits, and save."""
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    digits = mnist("train")
    print("drawing", flush=True)
    names = [SIGNS[n] for n in rng.integers(len(SIGNS), size=SIGNS_DRAWN)]
    kinds = [OTHERS[n] for n in rng.integers(len(OTHERS), size=SHAPES_DRAWN)]
    patches = [draw(DRAWN_SIGNS[name](rng), rng) for name in names]
    patches += [draw(kind(rng), rng) for kind in kinds] + [letter(rng) for _ in range(LETTERS_DRAWN)]
    patches += parts_and_pairs(digits.images, digits.labels, PARTS_DRAWN, rng)
    drawn = normalised_images(patches)
    targets = [CLASSES.index(name) for name in names] + [CLASSES.index("other")] * (len(drawn) - len(names))
    own = normalised_images([enlarged(image) for image in digits.images[:NORMALISED_DIGITS, 0]])
    images = torch.cat([digits.images.float() / 255, own])
    labels = torch.cat([digits.labels, digits.labels[:NORMALISED_DIGITS]])
    network = build_symbols()
    initialise_weights(network, "kaiming", 0.0, generator)
    to_channels_last(network)
    steps = EPOCHS * ((DIGITS_PER_EPOCH + len(drawn)) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, steps, pct_start=0.2)
    for epoch in range(EPOCHS):
        network.train()
        chosen = torch.randperm(len(images), generator=generator)[:DIGITS_PER_EPOCH]
        total = 0.0
        order = torch.randperm(DIGITS_PER_EPOCH + len(drawn), generator=generator)
        for batch in order[: len(order) // BATCH * BATCH].split(BATCH):
            ours = chosen[batch[batch < DIGITS_PER_EPOCH]]
            others = batch[batch >= DIGITS_PER_EPOCH] - DIGITS_PER_EPOCH
            # Less varied than for reading: a 1 that leans more is a line.
            varied = random_affine(images[ours], generator, turn=8, scale=0.15, shear=0.12, move=1.5)
            shifted = random_affine(drawn[others], generator, turn=3, scale=0.05, shear=0.05, move=1.0)
            pictures = random_pen(torch.cat([varied, shifted]), generator)
            loss = F.cross_entropy(
                network(pictures), torch.cat([labels[ours], torch.tensor(targets)[others]])
            )
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
            total += float(loss.detach())
        print(f"epoch {epoch + 1} of {EPOCHS}, loss {total * BATCH / len(order):.4f}", flush=True)
    network.eval()
    validation = mnist("validation").images
    with torch.inference_mode():
        raw = digit_log_odds(network(validation.float() / 255))
        read = digit_log_odds(network(normalised_images([enlarged(image) for image in validation[:, 0]])))
    limits = {
        name: torch.minimum(raw.quantile(share), read.quantile(share))
        for name, share in (("excluded", EXCLUDED), ("doubtful", DOUBTED))
    }
    weights = {name: value.half().contiguous() for name, value in network.state_dict().items()}
    with atomic_write(Path(sys.argv[1]) if len(sys.argv) > 1 else WEIGHTS) as temporary:
        temporary.write_bytes(save(weights | limits))
    print(f"limits of the log odds: {limits}")


def enlarged(image: Tensor) -> Tensor:
    """Return a digit of 28 × 28 bytes as a reader finds it on a page: larger, cropped to its ink."""
    large = F.interpolate(image[None, None].float(), size=(84, 84), mode="bicubic")[0, 0]
    return cropped(((large - 70) / 110).clamp(0, 1))


def cropped(ink: Tensor) -> Tensor:
    """Crop ink to what is above half strength."""
    ys, xs = (ink > 0.5).nonzero(as_tuple=True)
    return ink[int(ys.min()) : int(ys.max()) + 1, int(xs.min()) : int(xs.max()) + 1]


def draw(strokes: Strokes, rng: Random) -> Tensor:
    """Draw strokes with a round pen, turned and slanted a little; return the ink, cropped."""
    turn, lean = rng.normal(0, 0.07), rng.normal(0, 0.08)
    move = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ [[1, -lean], [0, 1]]
    strokes = [stroke @ move.T for stroke in strokes]
    points = np.concatenate(strokes)
    size = float(np.ptp(points, axis=0).max())
    wide = rng.uniform(5, 15)
    scale = (0.85 * CANVAS - wide) / max(size, 1e-6)
    middle = (points.min(0) + points.max(0)) / 2
    image = Image.new("L", (CANVAS, CANVAS))
    pen = ImageDraw.Draw(image)
    for stroke in strokes:
        path = (stroke - middle) * scale + CANVAS / 2
        pen.line(path.ravel().tolist(), fill=255, width=round(wide))
        for x, y in path[:: len(path) // 16 or 1]:
            pen.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), fill=255)
    return cropped(array(image))


def letter(rng: Random) -> Tensor:
    """Draw a letter that does not look like a digit."""
    image = Image.new("L", (CANVAS, CANVAS))
    which = LETTERS[int(rng.integers(len(LETTERS)))]
    bold = int(rng.integers(0, 4))
    ImageDraw.Draw(image).text((CANVAS // 2,) * 2, which, 255, font(80), anchor="mm", stroke_width=bold)
    slant = rng.normal(0, 0.15)
    wide = rng.uniform(0.8, 1.25)
    turned = image.transform(
        image.size, Image.Transform.AFFINE,
        (wide, slant, (1 - wide - slant) * CANVAS / 2, rng.normal(0, 0.06), 1, 0), Image.Resampling.BILINEAR,
    )  # fmt: skip
    return cropped(array(turned))


def array(image: Image.Image) -> Tensor:
    """Return a grey picture as ink in [0, 1]."""
    return torch.from_numpy(np.asarray(image, np.float32) / 255)


PIECES = {
    0: ("left", "right"), 2: ("left", "right"), 3: ("left",), 5: ("left", "right"), 8: ("left",),
}  # fmt: skip


def parts_and_pairs(images: Tensor, labels: Tensor, count: int, rng: Random) -> list[Tensor]:
    """Make pieces of digits, and pairs that touch, as wide as they are or narrower."""
    made: list[Tensor] = []
    while len(made) < count:
        first, second = rng.integers(len(images), size=2)
        digit = enlarged(images[first, 0])
        if rng.random() < 0.6:
            made.append(pair(digit, enlarged(images[second, 0]), rng))
        elif sides := PIECES.get(int(labels[first])):
            cut = round(digit.shape[1] * float(rng.uniform(0.35, 0.65)))
            piece = digit[:, :cut] if sides[int(rng.integers(len(sides)))] == "left" else digit[:, cut:]
            if piece.shape[1] > 5 and float(piece.max()) > 0.5:
                made.append(cropped(piece))
    return made


def pair(a: Tensor, b: Tensor, rng: Random) -> Tensor:
    """Push two digits together until they touch, or overlap by part of a stroke; then squeeze them a little.

    Both stay in sight: a pair of which one is hidden would be a digit with the wrong label.
    """
    high = max(a.shape[0], b.shape[0])
    drop = [int(rng.integers(0, high - part.shape[0] + 1)) for part in (a, b)]
    a, b = (F.pad(p, (0, 0, d, high - p.shape[0] - d)) for p, d in zip((a, b), drop, strict=True))
    # Where the strokes of `a` end in each row, and those of `b` begin.
    ends = ((a > 0.5) * torch.arange(1, a.shape[1] + 1)).amax(1)
    starts = torch.where(b > 0.5, torch.arange(b.shape[1]), b.shape[1]).amin(1)
    shared = (ends > 0) & (starts < b.shape[1])
    touching = int((ends - starts)[shared].max()) if shared.any() else a.shape[1]
    overlap = int(rng.integers(0, 1 + max(1, round(min(6, 0.3 * min(a.shape[1], b.shape[1]))))))
    at = max(touching - overlap, 0)
    both = torch.zeros(high, max(a.shape[1], at + b.shape[1]))
    both[:, : a.shape[1]] = a
    both[:, at : at + b.shape[1]] = torch.maximum(both[:, at : at + b.shape[1]], b)
    wide = max(4, round(both.shape[1] * float(rng.uniform(0.5, 1))))
    squeezed = F.interpolate(both[None, None], size=(high, wide), mode="bilinear", antialias=True)
    return cropped(squeezed[0, 0])


# Strokes of signs and of other shapes; every call draws another hand's.


def _path(rng: Random, *points: tuple[float, float]) -> NDArray[np.float64]:
    return np.array(points) + rng.normal(0, JITTER, (len(points), 2))


def _arc(
    rng: Random, x: float, y: float, wide: float, high: float, start: float, end: float
) -> NDArray[np.float64]:
    """Draw part of an ellipse about (x, y), from `start` to `end` in turns, clockwise from the right."""
    angle = np.linspace(start, end, 24) * 2 * np.pi
    wobble = 1 + rng.normal(0, 0.03) * np.cos(angle + rng.uniform(0, 6))
    return np.stack([x + wide * np.cos(angle) * wobble, y + high * np.sin(angle) * wobble], 1)


def _dot(rng: Random, x: float, y: float) -> NDArray[np.float64]:
    return np.array([[x, y], [x + 0.01, y]]) + rng.normal(0, 0.02, 2)


def _plus(rng: Random) -> Strokes:
    wide, off = rng.uniform(0.8, 1.25), rng.uniform(-0.1, 0.1)
    return [_path(rng, (-wide / 2, off), (wide / 2, off)), _path(rng, (0, -0.5), (0, 0.5))]


def _times(rng: Random) -> Strokes:
    wide = rng.uniform(0.75, 1.3)
    return [_path(rng, (0, 0), (wide, 1)), _path(rng, (wide, 0), (0, 1))]


def _divide(rng: Random) -> Strokes:
    wide, gap = rng.uniform(0.35, 0.6), rng.uniform(0.3, 0.5)
    return [_path(rng, (-wide, 0), (wide, 0)), _dot(rng, 0, -gap), _dot(rng, 0, gap)]


def _equals(rng: Random) -> Strokes:
    gap = rng.uniform(0.25, 0.7)
    return [_path(rng, (0, 0), (1, 0)), _path(rng, (0, gap), (1, gap))]


def _percent(rng: Random) -> Strokes:
    wide, r = rng.uniform(0.5, 0.9), rng.uniform(0.1, 0.2)
    ring, other = (_arc(rng, 0, 0, r, r, 0, 1) + at for at in ((r, r), (wide - r, 1 - r)))
    return [_path(rng, (wide * 0.05, 1), (wide * 0.95, 0)), ring, other]


def _bracket(rng: Random) -> Strokes:
    """A left bracket: an _arc, clearly bent."""
    return [_arc(rng, 0, 0, rng.uniform(0.2, 0.45), 0.5, rng.uniform(0.22, 0.28), rng.uniform(0.72, 0.78))]


def _right_bracket(rng: Random) -> Strokes:
    return [stroke * (-1, 1) for stroke in _bracket(rng)]


DRAWN_SIGNS: dict[str, Callable[[Random], Strokes]] = {
    "+": _plus, "×": _times, "÷": _divide, "=": _equals, "%": _percent, "(": _bracket, ")": _right_bracket,
}  # fmt: skip


def _straight(rng: Random) -> Strokes:
    angle = rng.uniform(-0.45, 0.45)  # about level
    return [_path(rng, (0, 0), (np.cos(angle), np.sin(angle))) * (2, 2)]


def _leaning_back(rng: Random) -> Strokes:
    return [_path(rng, (0, 0), (np.tan(rng.uniform(0.75, 1.1)), 1))]


def _corner(rng: Random) -> Strokes:
    """Two arms at a right angle, but not a 7's, or three."""
    wide, high = rng.uniform(0.5, 1.3), 1.0
    corners = [(0.0, 0.0), (wide, 0.0), (wide, high), (0.0, high)]
    count = int(rng.integers(3, 5))
    start = int(rng.integers(1 if count == 3 else 0, 4))
    return [_path(rng, *[corners[(start + place) % 4] for place in range(count)])]


def _crossing(rng: Random) -> Strokes:
    """A junction of lines: T, in four directions."""
    turns = int(rng.integers(4))
    strokes = [_path(rng, (-0.5, 0), (0.5, 0)), _path(rng, (rng.uniform(-0.3, 0.3), 0), (0, 1))]
    if turns == 0:
        turns = 2
    angle = turns * np.pi / 2
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return [stroke @ turn.T for stroke in strokes]


def _box(rng: Random) -> Strokes:
    wide = rng.uniform(0.5, 2.0)
    strokes = [_path(rng, (0, 0), (wide, 0), (wide, 1), (0, 1), (0, 0))]
    if rng.random() < 0.25:
        strokes.append(_path(rng, (wide / 2, 0), (wide / 2, 1)))
    if rng.random() < 0.2:
        strokes.append(_path(rng, (0, 0), (wide, 1)))
    return strokes


def _tick(rng: Random) -> Strokes:
    return [_path(rng, (0, rng.uniform(0.4, 0.7)), (rng.uniform(0.15, 0.35), 1), (rng.uniform(0.6, 1.1), 0))]


def _scribble(rng: Random) -> Strokes:
    return [rng.random((int(rng.integers(5, 14)), 2)) * (rng.uniform(0.6, 1.8), 1)]


def _curl(rng: Random) -> Strokes:
    """A smooth scribble: a sum of a few waves."""
    t = np.linspace(0, 1, 70)[:, None, None]
    waves = rng.normal(0, 1, (4, 2)) * np.sin(2 * np.pi * (np.arange(1, 5)[:, None] * t + rng.random((4, 2))))
    return [waves.sum(1)]


def _zigzag(rng: Random) -> Strokes:
    count = int(rng.integers(4, 9))
    return [_path(rng, *[(place * rng.uniform(0.2, 0.35), place % 2) for place in range(count)])]


def _triangle(rng: Random) -> Strokes:
    corners = [(rng.uniform(0.2, 0.8), 0.0), (1.0, 1.0), (0.0, 1.0)]
    if rng.random() < 0.5:
        corners = [(x, 1 - y) for x, y in corners]
    return [_path(rng, *corners, corners[0])]


def _star(rng: Random) -> Strokes:
    turns = np.arange(int(rng.integers(3, 5))) * np.pi / 3 + rng.uniform(0, 1)
    return [_path(rng, (-np.cos(a), -np.sin(a)), (np.cos(a), np.sin(a))) for a in turns]


def _arrow(rng: Random) -> Strokes:
    way = rng.choice([-1, 1])
    return [
        _path(rng, (-1, 0), (1, 0)) * (way, 1),
        _path(rng, (0.6, -0.35), (1, 0), (0.6, 0.35)) * (way, 1),
    ]


def _grille(rng: Random) -> Strokes:
    """Crossing lines: a piece of a grid."""
    down, across = int(rng.integers(1, 4)), int(rng.integers(2, 4))
    long = rng.uniform(0.9, 1.1)
    level = [_path(rng, (0, y), (1, y)) for y in np.linspace(0.15, 0.85, down)]
    return level + [_path(rng, (x, 0), (x, long)) for x in np.linspace(0.15, 0.85, across)]


def _flat_arc(rng: Random) -> Strokes:
    way = rng.choice([-1, 1])
    return [_arc(rng, 0, 0, rng.uniform(0.8, 1.4), rng.uniform(0.4, 0.9), 0.5, 1.0) * (1, way)]


def _ring_with_a_cross(rng: Random) -> Strokes:
    ring = _arc(rng, 0, 0, 0.5, 0.5, 0, 1)
    return [ring, _path(rng, (-0.5, 0), (0.5, 0)), _path(rng, (0, -0.5), (0, 0.5))]


OTHERS = (
    _straight, _leaning_back, _corner, _corner, _crossing, _box, _box, _tick, _scribble, _scribble, _curl,
    _curl, _zigzag, _triangle, _star, _arrow, _grille, _flat_arc, _ring_with_a_cross,
)  # fmt: skip


if __name__ == "__main__":
    main()
