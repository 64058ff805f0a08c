"""Draw docs/ablation.png: how the answer changes as connections are ablated, ranked in five ways.

`python benchmarks/ablation.py [--quick] [--picture FILE] [--digits 200]`: the digit networks `conv` (trained
with its fast preset if necessary) and a dense one with hidden layers of 64 and 32 units, each on the first
200 test digits, in float32. For each digit the connections are ranked again and the strongest are set to
zero; the curve is the remaining answer, as a share of the full answer, averaged over the digits. Prints the
figures that it draws. With `--quick` they are drawn in build/ablation.png.
"""

import math

import bench
import torch
from PIL import Image, ImageDraw

import lanterna
from lanterna.images.digits import mnist
from lanterna.images.drawing import AMBER, BLUE, DIM, LIGHT, NIGHT, SHADE, as_picture, font
from lanterna.probes import BY, ablation
from lanterna.techniques.train.settings import Train
from lanterna.techniques.train.technique import open_or_train

SHARES = [0, *(10 ** (exponent / 4) for exponent in range(-16, -1))]  # one in 10,000 to a third
LOWEST = -1.0  # of the full answer: the bottom of the plot
NAMES = {
    "for": "contribution for the answer",
    "contribution": "contribution, for or against",
    "activation": "activation of the input unit",
    "weight": "magnitude of the weight",
    "random": "at random",
}
COLOURS = {"for": AMBER, "contribution": (255, 217, 150), "activation": BLUE, "weight": LIGHT, "random": DIM}
SCALE = 2  # drawn larger and reduced, for smooth lines
WIDTH, HEIGHT, LEFT, TOP, PLOT_WIDTH, PLOT_HEIGHT, BETWEEN = 1040, 600, 88, 128, 424, 336, 72


def main() -> None:
    options = bench.options(
        __doc__,
        picture=("docs/ablation.png", "build/ablation.png"),
        digits=(200, 10),
        epochs=(Train().epochs, 1),
    )
    bench.say("training the dense network, and conv if necessary")
    *_, frame = lanterna.train(Train(network="dense", hidden=(64, 32), epochs=options.epochs))
    networks = {"conv": open_or_train("conv", device="cpu"), "dense": frame.network.cpu()}
    curves = {name: remaining_answer(name, network, options.digits) for name, network in networks.items()}
    lanterna.save_picture(draw(curves, options.digits), options.picture, force=True)
    figures = {
        name: {
            by: dict(zip((f"{s:.2%}" for s in SHARES), curve, strict=True)) for by, curve in ranked.items()
        }
        for name, ranked in curves.items()
    }
    bench.show(figures)


def remaining_answer(name, network, digits):
    """Return, for each ranking, the mean remaining share of the answer for each ablated share."""
    network = network.eval().requires_grad_(False)
    images = mnist("test").images[:digits].float() / 255
    answers = network(images).argmax(1).tolist()
    curves = {}
    for by in BY:
        bench.say(f"{name}: {digits} digits, connections ranked by {by}")
        remaining = torch.stack(
            [ablation(network, image, answer, by, SHARES, seed=n)
             for n, (image, answer) in enumerate(zip(images, answers, strict=True))]
        )  # fmt: skip
        curves[by] = [round(share, 4) for share in (remaining / remaining[:, :1]).mean(0).tolist()]
    return curves


def draw(curves, digits):
    page = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), NIGHT)
    pen = ImageDraw.Draw(page)

    def write(x, y, words, colour, size, anchor="ls"):
        pen.text((x * SCALE, y * SCALE), words, colour, font(size * SCALE), anchor)

    def line(points, colour, width):
        pen.line([(x * SCALE, y * SCALE) for x, y in points], colour, width * SCALE, "curve")

    write(LEFT - 56, 48, "The remaining answer when connections are ablated", LIGHT, 24)
    write(LEFT - 56, 76, f"mean of {digits} test digits, the strongest connections first", DIM, 15)
    for panel, (network, ranked) in enumerate(curves.items()):
        left = LEFT + panel * (PLOT_WIDTH + BETWEEN)
        write(left, TOP - 16, network, LIGHT, 17)
        for level in (1.0, 0.5, 0.0, -0.5, -1.0):
            y = height_of(level)
            line([(left, y), (left + PLOT_WIDTH, y)], DIM if level == 0 else SHADE, 1)
            write(left - 10, y, f"{100 * level:.0f} %", DIM, 13, "rm")
        for share, words in ((1e-4, "0.01 %"), (1e-3, "0.1 %"), (1e-2, "1 %"), (1e-1, "10 %")):
            write(left + across(share), TOP + PLOT_HEIGHT + 22, words, DIM, 13, "ms")
        for by in reversed(NAMES):
            points = visible([
                (left + across(share), level) for share, level in zip(SHARES[1:], ranked[by][1:], strict=True)
            ])  # fmt: skip
            line([(x, height_of(level)) for x, level in points], COLOURS[by], 4 if by == "for" else 2)
    write(
        LEFT + PLOT_WIDTH + BETWEEN / 2, TOP + PLOT_HEIGHT + 46, "share of connections ablated", DIM, 13, "ms"
    )
    for place, (by, words) in enumerate(NAMES.items()):
        x, y = LEFT + place % 3 * 312, HEIGHT - 52 + place // 3 * 28
        line([(x, y - 5), (x + 28, y - 5)], COLOURS[by], 4 if by == "for" else 2)
        write(x + 40, y, words, LIGHT, 15)
    return as_picture(page.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def visible(points):
    """Return the curve up to where it leaves the plot at the bottom."""
    shown = []
    for x, level in points:
        if level < LOWEST:
            if shown:
                (x0, level0) = shown[-1]
                shown.append((x0 + (x - x0) * (level0 - LOWEST) / (level0 - level), LOWEST))
            break
        shown.append((x, level))
    return shown


def across(share):
    first, last = math.log(SHARES[1]), math.log(SHARES[-1])
    return PLOT_WIDTH * (math.log(share) - first) / (last - first)


def height_of(level):
    return TOP + PLOT_HEIGHT * (1 - level) / (1 - LOWEST)


if __name__ == "__main__":
    main()
