"""What the engines cost: pictures a second against workers, and what an engine adds to each picture.

    python benchmarks/render.py [--quick] [--pictures 24] [--engines local ray dask]

Each picture is a small dream, in float32 (EfficientNet is never run in bfloat16). The peer is the same work
in a loop in one process, with all cores, in the same run. `two by one`: two workers of one thread; `two by
all`: two workers of as many threads as there are cores, which is what happens when nobody splits them.
Startup is told by itself: it is paid once.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import bench
import torch

from lanterna import open_picture, save_picture, shelf
from lanterna.surfaces.render.dask_engine import DaskEngine
from lanterna.surfaces.render.folder import Folder
from lanterna.surfaces.render.local_engine import LocalEngine
from lanterna.surfaces.render.plan import PictureRun, open_source, variations
from lanterna.surfaces.render.ray_engine import RayEngine
from lanterna.surfaces.render.scheduler import run_tasks
from lanterna.surfaces.render.task import RenderConfig
from lanterna.techniques.dream.algorithm import Dream

RECIPE = Dream(layer="block9", steps=4, octaves=2, size=256)


def main() -> None:
    given = bench.options(__doc__, pictures=(24, 6), engines=["local", "ray", "dask"])
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as place:
        photos = Path(place) / "photos"
        cat = open_picture(shelf.need("photographs") / "chelsea.png", longest=300)
        for number in range(given.pictures):
            save_picture(cat[:, :, number : number + 256], photos / f"{number:03}.png")
        begun = open_source(photos)
        coming = list(PictureRun(begun, variations(RECIPE, [])).tasks(range(len(begun.names))))
        bench.say("one process")
        peer = alone(config(cores), coming)
        print(f"{cores} cores, {given.pictures} dreams of 256 pixels, torch {torch.__version__}")
        print(f"{'one process, all cores':<28}{peer:7.2f} pictures a second   1.00")
        one = alone(config(1), coming)
        print(f"{'one process, one core':<28}{one:7.2f} pictures a second   {one / peer:.2f}")
        for name in given.engines:
            for workers, threads, said in ways(cores):
                bench.say(f"{name}, {said}")
                shutil.rmtree(Path(place) / "out", ignore_errors=True)
                engine = started(name, config(threads), workers, cores)
                startup = warm(engine, coming[:workers])
                folder = Folder(Path(place) / "out", {}, ".png")
                now = time.perf_counter()
                summary = run_tasks(coming, folder, lambda engine=engine: engine)
                rate = len(coming) / (time.perf_counter() - now)
                added = (summary.seconds * workers - summary.working) / len(coming)
                efficiency = rate / (one * workers)
                print(
                    f"{name + ', ' + said:<28}{rate:7.2f} pictures a second   {rate / peer:.2f}   "
                    f"{efficiency:4.0%} of {workers} × one core, {1000 * added:5.0f} ms added, "
                    f"{startup:.1f} s to start"
                )


def ways(cores: int) -> list[tuple[int, int, str]]:
    """How many workers, each with how many threads."""
    return [(1, 1, "one, one core"), (cores, 1, "each a core"), (cores, cores, "each all cores")]


def config(threads: int) -> RenderConfig:
    return RenderConfig("dream", "dream", ".png", "cpu", threads)


def alone(own: RenderConfig, coming: list) -> float:
    """Pictures a second in one process, measured in a process of its own, as threads are counted once."""
    code = (
        "import sys, time, pickle\n"
        "from lanterna.surfaces.render.renderer import Renderer\n"
        "config, tasks = pickle.load(sys.stdin.buffer)\n"
        "render = Renderer(config); render(tasks[0]); begun = time.perf_counter()\n"
        "for task in tasks: render(task)\n"
        "print(len(tasks) / (time.perf_counter() - begun))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], input=pickle.dumps((own, coming)), capture_output=True, check=True,
        env={**os.environ, "OMP_NUM_THREADS": str(own.threads)},
    )  # fmt: skip
    return float(found.stdout)


def started(name: str, own: RenderConfig, workers: int, cores: int):
    if name == "local":
        return LocalEngine(own, workers)
    return (RayEngine if name == "ray" else DaskEngine)(own, workers, None, max(cores, workers * own.threads))


def warm(engine, coming: list) -> float:
    """Have every worker open its network; the seconds that takes."""
    begun = time.perf_counter()
    while engine.free() < len(coming):  # a cluster's workers come one after another
        time.sleep(0.02)
    for task in coming:
        engine.submit(task)
    for _ in coming:
        engine.wait()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
