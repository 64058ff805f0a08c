"""Whether a style transfer that begins with the instant result gets there sooner than one that begins with
the photograph: processor seconds to the same float32 loss, the instant pass counted.

    python benchmarks/instant_start.py [--quick] [--sizes 256 512] [--pairs 3] [--paintings FILE…]

`photograph` is the recipe as it is, whose loss at the end is the one to reach; `instant` is the same with the
instant result to begin with. `alone` leaves the smaller sizes out of both, and takes twice the steps at the
last.
"""

from __future__ import annotations

import math
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

import bench

from lanterna import shelf
from lanterna.images import open_picture
from lanterna.networks import open_network
from lanterna.probes.statistics import wasserstein_distance
from lanterna.techniques.octaves import resized
from lanterna.techniques.style.algorithm import Stylize, style
from lanterna.techniques.style.instant import instant
from lanterna.techniques.style.layers import LAYER_WEIGHTS
from lanterna.techniques.style.loss import (
    Content,
    Style,
    Target,
    Weights,
    compute_features,
    compute_loss,
    compute_moments,
)

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.networks import Network

PAIRS = (
    ("chelsea.png", "hubble_deep_field.jpg"),
    ("astronaut.png", "coffee.png"),
    ("rocket.jpg", "grass.png"),
)
EVERY = 5  # steps between two looks at the loss


def main() -> None:
    """Print a line for each precision, size, pair and way to begin."""
    options = bench.options(
        __doc__, sizes=([256, 512], [96]), pairs=(len(PAIRS), 1), steps=(Stylize().steps, 10), paintings=[""]
    )
    folder = shelf.need("photographs")
    paintings = [folder / painting for _, painting in PAIRS]
    if any(options.paintings):
        paintings = [Path(painting) for painting in options.paintings]
    network = open_network("vgg16")
    print("precision  size  photograph     begins with           CPU s      loss  CPU s to the same loss")
    for kind in bench.precisions():
        for size in options.sizes:
            for (photo, _), painting in zip(PAIRS[: options.pairs], paintings, strict=False):
                compare(kind, Stylize(size=size, steps=options.steps), folder / photo, painting, network)


def compare(kind: str, settings: Stylize, photo_path: Path, painting_path: Path, network: Network) -> None:
    """The ways to begin, for one pair."""
    photo, painting = open_picture(photo_path), open_picture(painting_path)
    size = settings.size
    target = aimed(fitted(photo, size), fitted(painting, size), network)
    reference = math.inf
    for name in ("photograph", "instant", "photograph alone", "instant alone"):
        bench.say(f"{photo_path.stem}, {size} px, begun with {name}, in {kind}")
        begun, looking, points = time.process_time(), 0.0, []
        how, start = settings, None
        if name.startswith("instant"):
            (frame,) = deque(instant(fitted(photo, size), styles=[painting]), 1)
            start = frame.picture
        if name.endswith("alone"):
            how = settings.model_copy(update={"ratio": math.inf, "steps": 2 * settings.steps})
        for frame in style(photo, how, styles=[painting], start=start, network=network):
            if frame.picture.shape[1:] == frame.final and (frame.steps - frame.step) % EVERY == 0:
                stopped = time.process_time()
                points.append(
                    (stopped - begun - looking, compute_loss(network, frame.picture, target, 4096).total)
                )
                looking += time.process_time() - stopped
        seconds, loss = points[-1]
        reference = min(reference, loss) if name == "photograph" else reference
        there = next((second for second, loss in points if loss <= reference), math.nan)
        print(
            f"{kind:9}  {size:4}  {photo_path.stem:13}  {name:18} {seconds:8.1f}  {loss:8.4f}  {there:8.1f}",
            flush=True,
        )


def aimed(photo: Tensor, painting: Tensor, network: Network) -> Target:
    """The recipe's own loss at its usual weights, in float32."""
    features = compute_features(network, photo, "relu4_2", 4096)
    found = compute_moments(network, painting, list(LAYER_WEIGHTS), 4096)
    return Target(
        Content("relu4_2", features, features.var().item()),
        [Style(1.0, {name: wasserstein_distance(each) for name, each in found.items()})],
        Weights(LAYER_WEIGHTS, 0.03, 2.0),
    )


def fitted(picture: Tensor, longest: int) -> Tensor:
    """A picture with its longer side that long."""
    scale = longest / max(picture.shape[1:])
    return resized(picture, tuple(round(side * scale) for side in picture.shape[1:])).clamp(0, 1)


if __name__ == "__main__":
    main()
