"""Two processes of one thread against one process of two threads, at the same training on the same cores.

`python benchmarks/parallel.py [--quick] [--rounds 3]`: digits a second (the best epoch of a round, rounds in
turn) in each precision, and the ratio of the medians. 1.0 would mean that processes cost nothing and gain
nothing over threads.
"""

import json
import os
import subprocess
import sys
import tempfile
from statistics import median

import bench

NETWORKS = {
    "conv": ["conv", "--epochs", "2", "--fraction", "1.0"],
    "conv, best": ["conv", "--preset", "best", "--epochs", "1", "--fraction", "0.3"],
    "dense": ["dense", "--epochs", "4", "--fraction", "1.0"],
}
QUICK = ["--epochs", "1", "--fraction", "0.05", "--hold-out", "1000"]  # in place of the last four
WAYS = {
    "1 process x 1 thread": (1, ["--devices", "1"]),
    "1 process x 2 threads": (2, ["--devices", "1"]),
    "2 processes x 1 thread": (1, ["--devices", "2"]),
}


def digits_a_second(threads: int, words: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lanterna", "train", *words, "--device", "cpu", "--json", "--quiet"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(
            [*command, "-o", f"{folder}/net"], env=environment, check=True, stdout=subprocess.PIPE
        )
        history = json.loads(done.stdout)["history"]
        return max(epoch["examples_a_second"] for epoch in history)


def main() -> None:
    options = bench.options(__doc__, rounds=(3, 1))
    print(f"{os.cpu_count()} cores")
    for kind in bench.precisions():
        for name, words in NETWORKS.items():
            compare(kind, name, [*words[:-4], *QUICK] if options.quick else words, options.rounds)


def compare(kind: str, name: str, words: list[str], rounds: int) -> None:
    """Train a network in each way, in turn."""
    rates: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, (threads, more) in WAYS.items():
            bench.say(f"{name}, {way}, in {kind}")
            rates[way].append(digits_a_second(threads, [*words, *more]))
    middle = {way: median(each) for way, each in rates.items()}
    told = ", ".join(f"{way} {rate:,.0f}" for way, rate in middle.items())
    one, threads, processes = middle.values()
    print(
        f"{kind:8} {name:12} digits a second: {told}; 2 processes reach {processes / threads:.2f} of 2 "
        f"threads and {processes / one:.2f} of 1 thread",
        flush=True,
    )


if __name__ == "__main__":
    main()
