"""How long a picture of what a channel wants takes, and what bfloat16 saves.

`python benchmarks/feature.py [--threads 2] [--steps 40]`: seconds for the default picture (160 steps) from
as many steps as are asked for; and the same in float32 and in bfloat16, in turns, with the ratio and the
excitement that each reached, measured in float32. The ratio is what to trust.
"""

import argparse
import copy
import json
import statistics
import time
from collections import deque
from unittest.mock import patch

import torch

from lanterna.networks import open_network
from lanterna.probes import objectives
from lanterna.recipes import feature as recipes
from lanterna.recipes.feature import Feature, feature

WISHES = (("efficientnet-lite0", "block9", 31), ("efficientnet-lite0", "output", 1), ("vgg16", "conv4_2", 7))
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--steps", type=int, default=40)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    figures = {"threads": options.threads, "default_steps": Feature(channel=0).steps}
    for name, stage, channel in WISHES:
        figures[f"{name} {stage} {channel}"] = measured(name, stage, channel, options.steps)
    print(json.dumps(figures, indent=2))


def in_precision(network, dtype):
    """The copy that work is done with, in this precision whatever the recipe would choose."""
    work = copy.deepcopy(network).to(memory_format=torch.channels_last)
    work.stages.to(dtype)
    return work


def measured(name, stage, channel, steps):
    network = open_network(name)
    recipe = Feature(network=name, stage=stage, channel=channel, steps=steps)
    precisions = {"float32": torch.float32, "bfloat16": torch.bfloat16}
    seconds, reached = {kind: [] for kind in precisions}, {}
    for _ in range(ROUNDS):
        for kind, dtype in precisions.items():
            with patch.object(recipes, "quicken", lambda given, _, dtype=dtype: in_precision(given, dtype)):
                begun = time.perf_counter()
                (last,) = deque(feature(recipe, network=network), maxlen=1)
                seconds[kind].append(time.perf_counter() - begun)
            with torch.no_grad():
                reached[kind] = objectives.channel(stage, channel)(network, last.pictures).item()
    each = {kind: statistics.median(times) / steps for kind, times in seconds.items()}
    return {
        "default_picture_seconds": round(min(each.values()) * Feature(channel=0).steps, 1),
        **{f"{kind}_ms_a_step": round(1000 * value, 1) for kind, value in each.items()},
        "float32_to_bfloat16": round(each["float32"] / each["bfloat16"], 2),
        "excitement": {kind: round(value, 2) for kind, value in reached.items()},
    }


if __name__ == "__main__":
    main()
