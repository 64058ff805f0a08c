"""What the benches share. Each says on stderr what it is measuring, and prints its figures on stdout."""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from types import NoneType

import torch

from lanterna.devices import choose_device, fast_dtype


def options(words, **settings):
    """Read the command line: `--quick`, `--threads` and a flag for each setting.

    A setting is given by its value, or by two: the usual one and the one with `--quick`. A list takes several
    values, False makes a switch, and None stands for a text that need not be given.
    """
    how = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=words, formatter_class=how, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="smaller and fewer: under two minutes")
    parser.add_argument("--threads", type=int, help="how many compute, where the bench does not vary them")
    for name, value in settings.items():
        flag = f"--{name.replace('_', '-')}"
        default = value["--quick" in sys.argv] if isinstance(value, tuple) else value
        if default is False:
            parser.add_argument(flag, action="store_true")
            continue
        several = isinstance(default, list)
        kind = type(default[0] if several else default)
        parser.add_argument(
            flag,
            type=str if kind is NoneType else kind,
            nargs="+" if several else None,
            default=default,
            help="default: %(default)s",
        )
    found = parser.parse_args()
    if found.threads:
        torch.set_num_threads(found.threads)
        os.environ["OMP_NUM_THREADS"] = str(found.threads)  # for the processes that the bench starts
    found.threads = torch.get_num_threads()
    return found


def say(words):
    """Say on stderr what is being measured."""
    print(words, file=sys.stderr, flush=True)


def show(figures):
    """Print the figures as one JSON document."""
    print(json.dumps(figures, indent=2))


def precisions(device="cpu"):
    """Compute in each precision that the device is fast in: float32, and bfloat16 where the hardware has it.

    Yields each one's name, and until the next, `LANTERNA_PRECISION` is set to it, also for new processes. If
    it was float32 before, that is the only one.
    """
    asked = os.environ.get("LANTERNA_PRECISION", "auto")
    fastest = str(fast_dtype(choose_device(device))).removeprefix("torch.")
    try:
        for name in dict.fromkeys(("float32", fastest)):
            os.environ["LANTERNA_PRECISION"] = "float32" if name == "float32" else "auto"
            yield name
    finally:
        os.environ["LANTERNA_PRECISION"] = asked


def timed(work):
    """Do some work: the seconds it took, and what it gave."""
    begun = time.perf_counter()
    result = work()
    return time.perf_counter() - begun, result


def by_turns(works, rounds, warm=1):
    """Do several pieces of work in turns, after `warm` rounds to warm up: median seconds, and last results.

    Whatever else this machine does then slows all of them: the ratio is what to trust.
    """
    seconds, results = {name: [] for name in works}, {}
    for turn in range(warm + rounds):
        for name, work in works.items():
            took, results[name] = timed(work)
            if turn >= warm:
                seconds[name].append(took)
    return {name: statistics.median(each) for name, each in seconds.items()}, results


def apart(work, *arguments):
    """Call a function of a bench in a process of its own, so that its peak memory is its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(work, *arguments).result()


def peak_mb():
    """Give the most memory that this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
