"""Digit networks against TensorFlow's beginner quickstart, on this machine, in this call.

    python benchmarks/train.py [--quick] [--seeds 5]

The quickstart runs in an environment of its own (made the first time under build/), on the same digits, in a
fresh process for each seed; so does `lanterna train`, in float32 and, where the processor has it, in
bfloat16. Printed are medians over the seeds: test accuracy, seconds of training, seconds of the whole
process, and each as a ratio to the quickstart's; and the highest memory of the process. Settings were chosen
on validation digits; these seeds were used for nothing else.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import bench
import numpy as np

from lanterna.images.digits import mnist
from lanterna.techniques.train.technique import TRAIN

HERE = Path(__file__).parent
ENVIRONMENT = HERE.parent / "build/tensorflow"
RUNS = {
    "dense, preset quickstart": ["dense", "--preset", "quickstart"],
    "dense, preset fast": ["dense", "--preset", "fast"],
    "conv, preset fast": ["conv", "--preset", "fast"],
    "conv, preset best": ["conv", "--preset", "best"],
}


def measured(command: list[str]) -> tuple[dict, float, float]:
    """Run a command; give the JSON it printed, its wall seconds and its highest memory in MB."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    said = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(command)}")
    return json.loads(said), time.perf_counter() - begun, usage.ru_maxrss / 1000


def quickstart(digits: Path, seed: int, epochs: int) -> tuple[dict, float, float]:
    python = ENVIRONMENT / "bin/python"
    made = ENVIRONMENT / "made"
    if not made.exists():
        bench.say("installing TensorFlow in an environment of its own")
        subprocess.run([sys.executable, "-m", "venv", ENVIRONMENT], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", "tensorflow-cpu"], check=True)
        made.touch()
    script = HERE / "tensorflow_quickstart.py"
    said, wall, memory = measured([str(each) for each in (python, script, digits, seed, epochs)])
    return {"test_accuracy": said["accuracy"], "seconds": said["seconds"]}, wall, memory


def ours(options: list[str], seed: int, folder: Path) -> tuple[dict, float, float]:
    command = [sys.executable, "-m", "lanterna", "train", *options, "--json", "--quiet"]
    return measured([*command, "--seed", str(seed), "-o", str(folder)])


def main() -> None:
    given = bench.options(__doc__, seeds=(5, 1), fraction=(1.0, 0.05))
    seeds = range(1001, 1001 + given.seeds)
    print(f"{os.cpu_count()} cores, seeds {seeds[0]} to {seeds[-1]}, {given.fraction:.0%} of the digits")
    with tempfile.TemporaryDirectory() as temporary:
        digits = Path(temporary) / "digits.npz"
        parts = [mnist("train"), mnist("validation")]
        every = round(1 / given.fraction)
        np.savez(
            digits,
            train_images=np.concatenate([part.images[:, 0].numpy() for part in parts])[::every],
            train_labels=np.concatenate([part.labels.numpy() for part in parts])[::every],
            test_images=mnist("test").images[:, 0].numpy(),
            test_labels=mnist("test").labels.numpy(),
        )
        name = "TensorFlow quickstart"
        bench.say(name)
        base = report(name, [quickstart(digits, seed, 1 if given.quick else 5) for seed in seeds])
        for kind in bench.precisions():
            for name, words in RUNS.items():
                if (
                    TRAIN.preset(TRAIN.variant(words[2], {"network": words[0]})).get("precision", kind)
                    != kind
                ):
                    continue  # a preset for the other precision alone
                options = [
                    *words,
                    "--fraction",
                    str(given.fraction),
                    *(["--epochs", "1"] if given.quick else []),
                ]
                bench.say(f"{name}, in {kind}")
                folders = (Path(temporary) / f"{kind}-{name}-{seed}".replace(" ", "-") for seed in seeds)
                runs = [ours(options, seed, next(folders)) for seed in seeds]
                report(f"{name}, {kind}", runs, base)


def report(name: str, runs: list[tuple[dict, float, float]], base: tuple[float, float] | None = None):
    accuracy = median(run["test_accuracy"] for run, _, _ in runs)
    seconds = median(run["seconds"] for run, _, _ in runs)
    wall = median(wall for _, wall, _ in runs)
    memory = max(memory for _, _, memory in runs)
    against = f", {seconds / base[0]:.2f} and {wall / base[1]:.2f} of the quickstart's" if base else ""
    print(
        f"{name:35} {accuracy:.2%} training {seconds:6.1f} s, whole {wall:6.1f} s{against}, {memory:.0f} MB",
        flush=True,
    )
    return seconds, wall


if __name__ == "__main__":
    main()
