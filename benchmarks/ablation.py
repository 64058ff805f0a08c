"""Draws docs/ablation.png: how the answer changes as connections are taken away, ranked in five ways.

`python benchmarks/ablation.py [--quick] [--picture FILE] [--digits 200]`: the digit networks `conv` (trained
with its fast preset where there is none yet) and a dense one with hidden layers of 64 and 32 units, each over
the first 200 test digits, in float32. For each digit the connections are ranked anew and the strongest are
set to zero; the curve is the mean over the digits of the answer that is left, as a share of the whole answer.
Prints the figures it draws. With `--quick` they are drawn in build/ablation.png.
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
LOWEST = -1.0  # of the whole answer; what falls further leaves the page
NAMES = {
    "for": "contribution for the answer",
    "contribution": "contribution either way",
    "activation": "brightness of the unit before",
    "weight": "size of the weight",
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
    bench.say("training the dense network, and conv where there is none")
    *_, frame = lanterna.train(Train(network="dense", hidden=(64, 32), epochs=options.epochs))
    networks = {"conv": open_or_train("conv", device="cpu"), "dense": frame.network.cpu()}
    curves = {name: left_of_the_answer(name, network, options.digits) for name, network in networks.items()}
    lanterna.save_picture(drawn(curves, options.digits), options.picture, force=True)
    told = {
        name: {by: dict(zip((f"{s:.2%}" for s in SHARES), curve, strict=True)) for by, curve in each.items()}
        for name, each in curves.items()
    }
    bench.show(told)


def left_of_the_answer(name, network, digits):
    """For each way to rank, the mean share of the answer that is left, for each share taken away."""
    network = network.eval().requires_grad_(False)
    images = mnist("test").images[:digits].float() / 255
    answers = network(images).argmax(1).tolist()
    curves = {}
    for by in BY:
        bench.say(f"{name}: {digits} digits, connections ranked by {by}")
        left = torch.stack(
            [ablation(network, image, answer, by, SHARES, seed=n)
             for n, (image, answer) in enumerate(zip(images, answers, strict=True))]
        )  # fmt: skip
        curves[by] = [round(each, 4) for each in (left / left[:, :1]).mean(0).tolist()]
    return curves


def drawn(curves, digits):
    page = Image.new("RGB", (WIDTH * SCALE, HEIGHT * SCALE), NIGHT)
    draw = ImageDraw.Draw(page)

    def write(x, y, words, colour, size, anchor="ls"):
        draw.text((x * SCALE, y * SCALE), words, colour, font(size * SCALE), anchor)

    def line(points, colour, width):
        draw.line([(x * SCALE, y * SCALE) for x, y in points], colour, width * SCALE, "curve")

    write(LEFT - 56, 48, "What is left of the answer when connections are taken away", LIGHT, 24)
    write(LEFT - 56, 76, f"mean of {digits} test digits, the strongest connections first", DIM, 15)
    for panel, (network, each) in enumerate(curves.items()):
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
                (left + across(share), level) for share, level in zip(SHARES[1:], each[by][1:], strict=True)
            ])  # fmt: skip
            line([(x, height_of(level)) for x, level in points], COLOURS[by], 4 if by == "for" else 2)
    write(LEFT + PLOT_WIDTH + BETWEEN / 2, TOP + PLOT_HEIGHT + 46, "connections taken away", DIM, 13, "ms")
    for place, (by, words) in enumerate(NAMES.items()):
        x, y = LEFT + place % 3 * 312, HEIGHT - 52 + place // 3 * 28
        line([(x, y - 5), (x + 28, y - 5)], COLOURS[by], 4 if by == "for" else 2)
        write(x + 40, y, words, LIGHT, 15)
    return as_picture(page.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS))


def visible(points):
    """The curve up to where it leaves the bottom of the page."""
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
