"""What `paths` costs beside one plain forward and backward pass of the same network, on this machine.

`python benchmarks/paths.py [--quick] [--threads 2]`: milliseconds for one digit (conv) and one photograph
(EfficientNet-Lite0), in float32. The plain pass gives the gradient of one answer with respect to the picture
and every weight and bias, as a step of training computes it; `picture_only_ms` is one whose weights are
frozen, which computes less than connections need. They take turns, so that whatever else this machine does
slows all; medians are printed, and the ratio is what to trust.
"""

import statistics
import time

import bench
import torch

from lanterna import open_network, shelf
from lanterna.images import open_picture
from lanterna.images.digits import mnist
from lanterna.networks import to_input
from lanterna.probes import paths
from lanterna.techniques.train.technique import open_or_train


def main() -> None:
    options = bench.options(__doc__, digit=(200, 20), photograph=(15, 3))
    bench.say("opening the networks; conv is trained where there is none")
    lite = open_network("efficientnet-lite0")
    cat = to_input(open_picture(shelf.need("photographs") / "chelsea.png"), lite.input_spec)
    conv = open_or_train("conv", device="cpu").requires_grad_(False)
    works = {"digit": (conv, mnist("test").images[0].float() / 255), "photograph": (lite, cat)}
    figures = {"threads": options.threads}
    for name, work in works.items():
        rounds = vars(options)[name]
        bench.say(f"a {name}, {rounds} times")
        figures[name] = compared(*work, rounds)
    bench.show(figures)


def compared(network, picture, rounds):
    with torch.no_grad():
        answer = int(network(picture[None]).argmax())

    def plain(weights):
        for parameter in network.parameters():
            parameter.requires_grad_(weights)
            parameter.grad = None
        begun = time.perf_counter()
        network(picture[None].clone().requires_grad_())[0, answer].backward()
        seconds = time.perf_counter() - begun
        for parameter in network.parameters():
            parameter.requires_grad_(False).grad = None
        return seconds

    def explained():
        begun = time.perf_counter()
        paths(network, picture, answer)
        return time.perf_counter() - begun

    works = {"paths_ms": explained, "plain_ms": lambda: plain(True), "picture_only_ms": lambda: plain(False)}
    times = {name: [] for name in works}
    for turn in range(rounds + 2):
        for name, work in works.items():
            seconds = work()
            if turn > 1:
                times[name].append(seconds)
    medians = {name: statistics.median(each) for name, each in times.items()}
    ratio = round(medians["paths_ms"] / medians["plain_ms"], 2)
    return {name: round(1000 * seconds, 2) for name, seconds in medians.items()} | {"ratio": ratio}


if __name__ == "__main__":
    main()
