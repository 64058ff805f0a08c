"""How quickly a photograph is classified, and a folder of them, beside the network alone.

python benchmarks/classify.py
"""

from __future__ import annotations

import time
from statistics import median

import torch

from lanterna import shelf
from lanterna.networks import open_network
from lanterna.recipes.classify import Classify, classify

PICTURES = 64


def seconds(work, times: int = 5) -> float:
    taken = []
    for _ in range(times):
        begun = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begun)
    return median(taken)


def main() -> None:
    network = open_network("efficientnet-lite0")
    photographs = sorted(shelf.need("photographs").glob("c*.png"))
    sources = (photographs * PICTURES)[:PICTURES]
    batch = torch.rand(16, 3, network.eye.size, network.eye.size)
    with torch.inference_mode():
        one = seconds(lambda: network(batch[:1]))
        sixteen = seconds(lambda: network(batch))
    whole = seconds(lambda: list(classify(sources, Classify(), network=network)), times=3)
    print(f"network alone: one picture {one * 1000:.0f} ms, {16 / sixteen:.0f} pictures a second in batches")
    ratio = whole * 16 / PICTURES / sixteen
    print(f"files to answers: {PICTURES / whole:.0f} pictures a second, {ratio:.2f} times the network's time")


if __name__ == "__main__":
    main()
