"""A plan on paper for a hundred machines: how long a film takes, and what stragglers and losses cost.

    python benchmarks/render_plan.py [--quick] [--frames 10000] [--machines 1 10 100]

Nothing is rendered. Task times are drawn from those that were measured here (`--manifest manifest.jsonl` of
a run, else 8 dreams are made now); machines are this one. Some are slow (a fifth at half the speed), and
some die and come back. Scheduling is ours: a free worker takes the next task, a task of a dead worker goes
to the end of the queue. What is asked: how near to the ideal (all machines busy to the end), with single
frames and with pieces of 16 and 48 frames that cannot be parted; and what handing out must bear.
"""

from __future__ import annotations

import heapq
import json
import random
from pathlib import Path

import bench

_HANDED_OUT = 0.004  # seconds that one process spends on each task (`render.py`: "added")
_BACK = 120.0  # seconds until a lost machine is there again
_SLOW, _SHARE = 0.5, 0.2  # how fast the slow ones are, and how many of all


def simulate(
    durations: list[float], machines: int, frames: int, piece: int, lost_a_day: float, seed: int
) -> dict[str, float]:
    """Seconds until the last task is done, and beside the ideal; tasks begun in vain, and a second."""
    chance = random.Random(seed)
    speeds = [_SLOW if chance.random() < _SHARE else 1.0 for _ in range(machines)]
    waiting = [
        sum(chance.choice(durations) for _ in range(min(piece, frames - at)))
        for at in range(0, frames, piece)
    ]
    total = sum(waiting)
    free = [(0.0, number) for number in range(machines)]
    heapq.heapify(free)
    ends, vain, handed = 0.0, 0, 0
    while waiting:
        now, machine = heapq.heappop(free)
        task = waiting.pop(0)
        handed += 1
        takes = task / speeds[machine]
        dies = chance.expovariate(lost_a_day / 86_400) if lost_a_day else float("inf")
        if dies < takes:
            vain += 1
            waiting.append(task)
            heapq.heappush(free, (now + dies + _BACK, machine))
            continue
        ends = max(ends, now + takes)
        heapq.heappush(free, (now + takes, machine))
    ideal = total / sum(speeds)
    return {"seconds": ends, "efficiency": ideal / ends, "vain": vain, "a_second": handed / ends}


def measured(manifest: str | None, dreams: int) -> list[float]:
    if manifest is not None:
        entries = [json.loads(line) for line in Path(manifest).read_text(encoding="utf-8").splitlines()]
        return [entry["seconds"] for entry in entries if "seconds" in entry]
    bench.say(f"{dreams} dreams, in float32")
    from lanterna.surfaces.render.render import Renderer

    from lanterna import open_picture, shelf
    from lanterna.images.drawing import as_png
    from lanterna.images.recipe import make_recipe_input
    from lanterna.surfaces.render.task import Given, RenderConfig, Task
    from lanterna.techniques.dream.algorithm import Dream

    render = Renderer(RenderConfig("dream", "dream", ".png", "cpu", 1))
    data = as_png(open_picture(shelf.need("photographs") / "chelsea.png", longest=384))
    settings = Dream(layer="block9").model_dump(mode="json")
    made = [
        render(Task(number, str(number), settings, (Given(make_recipe_input(data), data),)))
        for number in range(1 + dreams)
    ]
    return [each.seconds for each in made[1:]]


def main() -> None:
    given = bench.options(__doc__, frames=(10_000, 1000), machines=[1, 10, 100], dreams=(8, 2), manifest=None)
    durations = measured(given.manifest, given.dreams)
    mean = sum(durations) / len(durations)
    print(f"a frame takes {mean:.2f} s ({min(durations):.2f} to {max(durations):.2f}) on one core here")
    print(f"{given.frames:,} frames, a fifth of the machines at half speed; medians of 5 seeds")
    for machines in given.machines:
        bench.say(f"{machines} machines, on paper")
        for piece in (1, 16, 48):
            for lost in (0.0, 12.0):
                runs = [simulate(durations, machines, given.frames, piece, lost, seed) for seed in range(5)]
                one = sorted(runs, key=lambda run: run["seconds"])[2]
                print(
                    f"{machines:4} machines, pieces of {piece:2}, each lost {lost:2.0f} times a day: "
                    f"{one['seconds'] / 60:8.1f} minutes, {one['efficiency']:4.0%} of the ideal, "
                    f"{one['vain']:3} begun in vain, {one['a_second']:6.1f} tasks a second, which keeps "
                    f"{one['a_second'] * _HANDED_OUT:4.0%} of one process busy"
                )


if __name__ == "__main__":
    main()
