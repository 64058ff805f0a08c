"""Two processes of one thread against one process of two threads, at the same training on the same cores.

`python benchmarks/parallel.py [rounds]`: digits a second (the best epoch of a round, rounds in turn),
and the ratio of the medians. 1.0 would mean that processes cost nothing and gain nothing over threads.
"""

import json
import os
import subprocess
import sys
import tempfile
from statistics import median

NETWORKS = {
    "conv": ["conv", "--epochs", "2"],
    "conv, best": ["conv", "--preset", "best", "--epochs", "1", "--fraction", "0.3"],
    "dense": ["dense", "--epochs", "4"],
}
WAYS = {
    "1 process x 1 thread": (1, ["--devices", "1"]),
    "1 process x 2 threads": (2, ["--devices", "1"]),
    "2 processes x 1 thread": (1, ["--devices", "2"]),
}


def digits_a_second(threads: int, words: list[str]) -> float:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "lanterna", "train", *words, "--device", "cpu", "--json", "--quiet"]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run([*command, "-o", f"{folder}/net"], env=environment, stdout=subprocess.PIPE)
        history = json.loads(done.stdout)["history"]
        return max(epoch["examples_a_second"] for epoch in history)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"{os.cpu_count()} cores")
    for name, words in NETWORKS.items():
        rates: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(rounds):
            for way, (threads, more) in WAYS.items():
                rates[way].append(digits_a_second(threads, [*words, *more]))
        middle = {way: median(each) for way, each in rates.items()}
        told = ", ".join(f"{way} {rate:,.0f}" for way, rate in middle.items())
        one, threads, processes = middle.values()
        print(
            f"{name:12} digits a second: {told}; 2 processes reach {processes / threads:.2f} of 2 threads "
            f"and {processes / one:.2f} of 1 thread",
            flush=True,
        )


if __name__ == "__main__":
    main()
