"""An objective of your own: what to want of a picture, and a dream that follows it.

`python examples/add_objective.py cat.jpg symmetric.png` dreams the second from the first.
"""

import sys

import lanterna
from lanterna.probes.objectives import Objective, Outputs, Tensor, energy


def symmetry(layer: str) -> Objective:
    """How alike what a layer puts out is to its own mirror image: 0 the same, about -1 not at all."""

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = outputs[layer]  # (N, C, H, W)
        apart = (maps - maps.flip(3)).square().flatten(1).mean(1)
        return -apart / (2 * maps.square().flatten(1).mean(1))  # (N,): one number for each picture

    return Objective(frozenset({layer}), measure)


def main(source: str, place: str) -> None:
    """Dream of more of what `block9` sees, the same on the left and on the right."""
    network = lanterna.open_network("efficientnet-lite0")
    picture = lanterna.open_picture(source, longest=384)
    objective = 0.02 * energy("block9") + 4 * symmetry("block5")
    settings = lanterna.Dream(jitter=0)  # a picture that is shifted has its middle elsewhere
    *_, last = lanterna.dream(picture, settings, network=network, objective=objective)
    for name, each in (("before", picture), ("after", last.picture)):
        print(f"{name}: {symmetry('block5')(network, each[None]).item():.2f}")
    lanterna.save_picture(last.picture, place)


if __name__ == "__main__":
    main(*sys.argv[1:])
