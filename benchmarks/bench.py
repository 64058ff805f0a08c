"""Shared code of the benchmarks. Each reports its progress on stderr, and prints its figures on stdout."""

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
    """Parse the command line: `--quick`, `--threads` and an option for each setting.

    A setting is its default value, or a pair: the default and the value with `--quick`. A list takes several
    values, False creates a flag, and None stands for an optional text.
    """
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=words, formatter_class=formatter, allow_abbrev=False)
    parser.add_argument("--quick", action="store_true", help="smaller and fewer: under two minutes")
    parser.add_argument("--threads", type=int, help="number of threads, unless the benchmark varies it")
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
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
        os.environ["OMP_NUM_THREADS"] = str(arguments.threads)  # for child processes
    arguments.threads = torch.get_num_threads()
    return arguments


def say(words):
    """Print on stderr what is being measured."""
    print(words, file=sys.stderr, flush=True)


def show(figures):
    """Print the figures as one JSON document."""
    print(json.dumps(figures, indent=2))


def precisions(device="cpu"):
    """Yield the names of the device's fast precisions: float32, and bfloat16 if the hardware supports it.

    Until the next one, `LANTERNA_PRECISION` is set to each, also for child processes. If it was float32
    before, that is the only one.
    """
    previous = os.environ.get("LANTERNA_PRECISION", "auto")
    fastest = str(fast_dtype(choose_device(device))).removeprefix("torch.")
    try:
        for name in dict.fromkeys(("float32", fastest)):
            os.environ["LANTERNA_PRECISION"] = "float32" if name == "float32" else "auto"
            yield name
    finally:
        os.environ["LANTERNA_PRECISION"] = previous


def timed(work):
    """Run `work`; return the seconds it took, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def by_turns(works, rounds, warm=1):
    """Run several functions alternately, after `warm` rounds to warm up; return median seconds, last results.

    Other load on the machine then slows all of them: the ratio is reliable.
    """
    seconds, results = {name: [] for name in works}, {}
    for turn in range(warm + rounds):
        for name, work in works.items():
            elapsed, results[name] = timed(work)
            if turn >= warm:
                seconds[name].append(elapsed)
    return {name: statistics.median(times) for name, times in seconds.items()}, results


def apart(work, *arguments):
    """Call a function in a new process, so that its peak memory is measured alone."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(work, *arguments).result()


def peak_mb():
    """Return this process's peak memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
