"""Measure the slow lessons with their default settings, for pages that show a finding before anything is run.

    nice -n 15 .venv/bin/python scripts/findings.py [--only NAME ...] [--again]

Each outcome is written to `src/lanterna/lessons/findings` as soon as it is measured, so that the script can
be stopped at any time. It skips lessons whose file still belongs to them, unless `--again` is given; without
`--only` it takes about ten minutes. Everything is computed with one thread, and `conv` is a network trained
for this, not the user's own. Exits with 1 if a lesson fails.
"""

from __future__ import annotations

import argparse
import base64
import io
import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

os.environ["OMP_NUM_THREADS"] = "1"

import torch

from lanterna import settings, shelf
from lanterna.files import atomic_write
from lanterna.images.drawing import as_image
from lanterna.lessons import LESSONS
from lanterna.lessons.documents import outcome_as_json
from lanterna.lessons.measured import FOLDER, fingerprint, measured
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.lessons import Lesson

HOME = Path(__file__).parents[1] / "build" / "findings"
LONGEST = 512  # pixels of a picture
QUALITY = 70  # of the pictures with more than LOSSLESS pixels a side
LOSSLESS = 200
DIGITS = 5  # significant ones of each number


def main() -> int:
    """Measure the lessons, and return the exit code."""
    slow = [name for name, lesson in LESSONS.items() if not lesson.quick]
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--only", nargs="+", default=slow, choices=slow, metavar="NAME", help="measure these lessons"
    )
    parser.add_argument("--again", action="store_true", help="measure also what has not changed")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    use_own_home()
    failed = 0
    for name in chosen.only:
        found = measured(LESSONS[name])
        if found and found.fingerprint == fingerprint(LESSONS[name]) and not chosen.again:
            print(f"{name}: nothing has changed", flush=True)
            continue
        try:
            measure(LESSONS[name])
        except Exception:
            failed += 1
            print(f"{name}: failed", traceback.format_exc(), sep="\n", flush=True)
    return 1 if failed else 0


def use_own_home() -> None:
    """Use a home with the same shelf and networks trained for this."""
    shelf.fetch({need for lesson in LESSONS.values() for need in lesson.needs})
    found = settings.shelf_folder().resolve()
    HOME.mkdir(parents=True, exist_ok=True)
    if not (HOME / "shelf").exists():
        (HOME / "shelf").symlink_to(found, target_is_directory=True)
    os.environ["LANTERNA_HOME"] = str(HOME)
    open_or_train("conv", device="cpu")


def measure(lesson: Lesson) -> None:
    """Run a lesson's experiment and write its file."""
    start = time.process_time()
    outcome = lesson.experiment(lesson.settings())
    seconds = max(1, round(time.process_time() - start))
    document = {"fingerprint": fingerprint(lesson), "seconds": seconds, **outcome_as_json(outcome, as_url)}
    FOLDER.mkdir(exist_ok=True)
    with atomic_write(FOLDER / f"{lesson.name}.json") as path:
        text = json.dumps(rounded(document), ensure_ascii=False, separators=(",", ":"))
        path.write_text(f"{text}\n", encoding="utf-8")
    print(f"{lesson.name}: {seconds} s of one core. {outcome.finding}", flush=True)


def as_url(picture: Tensor) -> str:
    """Return a picture as a WebP data URL."""
    image = as_image(picture)
    image.thumbnail((LONGEST, LONGEST))
    file = io.BytesIO()
    image.save(file, "WEBP", lossless=max(image.size) <= LOSSLESS, quality=QUALITY, method=6)
    return "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()


def rounded(value: object) -> object:
    """Round every number to a few digits."""
    if isinstance(value, dict):
        return {name: rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple | range):
        return [rounded(item) for item in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


if __name__ == "__main__":
    sys.exit(main())
