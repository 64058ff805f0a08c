"""Add your own objective, and maximise it in a dream.

`python examples/add_objective.py cat.jpg symmetric.png` dreams on the first picture and saves the second.
"""

import sys

import lanterna
from lanterna.probes.objectives import Objective, Outputs, Tensor, energy


def symmetry(layer: str) -> Objective:
    """Maximise the similarity of a layer's output to its mirror image: 0 the same, about -1 unrelated."""

    def measure(_: Tensor, outputs: Outputs) -> Tensor:
        maps = outputs[layer]  # (N, C, H, W)
        difference = (maps - maps.flip(3)).square().flatten(1).mean(1)
        return -difference / (2 * maps.square().flatten(1).mean(1))  # (N,): one number for each picture

    return Objective(frozenset({layer}), measure)


def main(source: str, target: str) -> None:
    """Amplify what `block9` detects, symmetrically."""
    network = lanterna.open_network("efficientnet-lite0")
    picture = lanterna.open_picture(source, longest=384)
    objective = 0.02 * energy("block9") + 4 * symmetry("block5")
    settings = lanterna.Dream(jitter=0)  # jitter would move the axis of symmetry
    *_, last = lanterna.dream(picture, settings, network=network, objective=objective)
    for name, image in (("before", picture), ("after", last.picture)):
        print(f"{name}: {symmetry('block5')(network, image[None]).item():.2f}")
    lanterna.save_picture(last.picture, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
