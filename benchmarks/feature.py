"""How long a picture of what a channel wants takes, and what bfloat16 saves.

`python benchmarks/feature.py [--quick] [--threads 2] [--steps 40]`: seconds for the default picture (160
steps) from as many steps as are asked for; and the same in float32 and, where the processor has it, in
bfloat16, in turns, with the ratio and the activation that each reached, measured in float32. The ratio is
what to trust.
"""

import copy
import statistics
from collections import deque
from unittest.mock import patch

import bench
import torch

from lanterna.networks import open_network
from lanterna.probes import objectives
from lanterna.techniques.feature import algorithm as recipes
from lanterna.techniques.feature.algorithm import Feature, feature

OBJECTIVES = (
    ("efficientnet-lite0", "block9", 31),
    ("efficientnet-lite0", "output", 1),
    ("vgg16", "conv4_2", 7),
)


def main() -> None:
    options = bench.options(__doc__, steps=(40, 5), rounds=(3, 1))
    figures = {"threads": options.threads, "default_steps": Feature(channel=0).steps}
    for name, layer, channel in OBJECTIVES:
        figures[f"{name} {layer} {channel}"] = measured(name, layer, channel, options)
    bench.show(figures)


def in_precision(network, dtype):
    """The copy that work is done with, in this precision whatever the recipe would choose."""
    work = copy.deepcopy(network).to(memory_format=torch.channels_last)
    work.layers.to(dtype)
    return work


def measured(name, layer, channel, options):
    network = open_network(name)
    settings = Feature(network=name, layer=layer, channel=channel, steps=options.steps)
    seconds, reached = {}, {}
    for _ in range(options.rounds):
        for kind in bench.precisions():
            bench.say(f"{name} {layer} {channel}, {options.steps} steps in {kind}")
            dtype = getattr(torch, kind)
            in_kind = lambda given, _, dtype=dtype: in_precision(given, dtype)  # noqa: E731
            with patch.object(recipes, "optimize_for_inference", in_kind):
                took, (last,) = bench.timed(lambda: deque(feature(settings, network=network), maxlen=1))
            seconds.setdefault(kind, []).append(took)
            with torch.no_grad():
                reached[kind] = objectives.channel(layer, channel)(network, last.pictures).item()
    each = {kind: statistics.median(times) / options.steps for kind, times in seconds.items()}
    return {
        "default_picture_seconds": round(min(each.values()) * Feature(channel=0).steps, 1),
        **{f"{kind}_ms_a_step": round(1000 * value, 1) for kind, value in each.items()},
        **{f"float32_to_{kind}": round(each["float32"] / each[kind], 2) for kind in list(each)[1:]},
        "activation": {kind: round(value, 2) for kind, value in reached.items()},
    }


if __name__ == "__main__":
    main()
