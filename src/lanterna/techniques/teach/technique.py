"""The technique `teach`: teach a network your own classes and save it under a name that others can use."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, Field

from lanterna.errors import UsageError
from lanterna.images.folders import gather
from lanterna.networks.naming import slugify
from lanterna.networks.trained import trained_folder
from lanterna.techniques.teach.algorithm import teach
from lanterna.techniques.teach.results import (
    confusion_picture,
    mistakes_picture,
    notes_for,
    save_taught,
    warnings_for,
)
from lanterna.techniques.teach.settings import Teach
from lanterna.techniques.technique import Input, Output, Report, Result, Technique, Work

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lanterna.images.folders import PictureFolder
    from lanterna.techniques.execute import File, Job
    from lanterna.techniques.teach.algorithm import TeachFrame

_MIN_PICTURES = 4  # in a class: one to test with and three to learn from


class TeachWithLabels(Teach):
    """Teach a network to classify your pictures."""

    labels: tuple[str, ...] = Field(default=(), description="The class of each picture, in the same order.")


def _check(settings: TeachWithLabels, counts: Mapping[str, int]) -> TeachWithLabels:
    given = counts.get("picture", 0)
    if given == 1 and not settings.labels:
        return settings  # a folder, whose subfolders are the classes
    if len(settings.labels) != given:
        raise UsageError(f"labels: expected one for each picture, got {len(settings.labels)} for {given}")
    for label in settings.labels:
        if not label.strip() or label != label.strip() or set(label) & set('/\\:*?"<>|') or label[0] == ".":
            raise UsageError(f"a class is named by one word or a few, got {label[:60]!r}")
        if len(label) > 60 or not label.isprintable():
            raise UsageError(f"a class name has at most 60 characters, got {label[:60]!r}")
    counts_by_label = Counter(settings.labels)
    if len(counts_by_label) < 2:
        raise UsageError("at least two classes are needed")
    too_small = [label for label, count in counts_by_label.items() if count < _MIN_PICTURES]
    if too_small:
        raise UsageError(f"{too_small[0]!r} needs at least {_MIN_PICTURES} pictures, better 20: add some")
    return settings


def _default_name(settings: TeachWithLabels, files: Mapping[str, Sequence[File]]) -> str:
    """Return the name of the folder of pictures. Errors: `UsageError` if no name can be made from it."""
    if settings.labels or not files:
        return "taught"
    folder = Path(str(files["picture"][0]))
    if name := slugify(folder.resolve().name):
        return name
    raise UsageError(f"{folder} cannot be used as the network's name: give one with -o NAME")


def _classes(job: Job) -> PictureFolder:
    """Gather the pictures by class, from the given folder or from files with labels."""
    labels, files = job.settings.labels, job.sources("picture")
    if not labels:
        assert isinstance(files[0], Path)
        return gather(files[0])
    assert job.checkpoint is not None
    folder = job.checkpoint.with_name("classes")
    shutil.rmtree(folder, ignore_errors=True)
    for number, (file, label) in enumerate(zip(files, labels, strict=True)):
        assert isinstance(file, Path)
        target = folder / label / f"{number:04}{file.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return gather(folder)


def _teach(job: Job) -> Work:
    settings: Teach = job.settings.as_base(Teach)
    if job.resume and not settings.fine_tune:
        raise UsageError("--resume is for --fine-tune: without it, repeating the command continues the work")
    gathered, target = _classes(job), trained_folder(job.title)
    network = job.network
    if gathered.empty:
        job.notify(f"left out, because they have no pictures: {', '.join(gathered.empty)}")
    if gathered.unread:
        job.notify(gathered.unread)
    if gathered.loose:
        job.notify(
            f"left out: {gathered.loose} {'picture' if gathered.loose == 1 else 'pictures'} in "
            f"{gathered.folder} but in none of its subfolders"
        )
    start = time.perf_counter()
    frames = teach(
        gathered, settings, network=network, name=target.name, workers=job.options.get("workers", 0),
        checkpoint=job.checkpoint if settings.fine_tune else None, resume=job.resume,
    )  # fmt: skip
    summary: dict[str, Any] = {}

    def results(frame: TeachFrame, _: object) -> list[Result]:
        if frame.results is None or frame.network is None:
            return []  # stopped before the network was trained
        test_results, trained = frame.results, frame.network
        seconds = time.perf_counter() - start
        low, high = test_results.interval
        text = (
            f"{test_results.correct} of {test_results.held_out} held-out pictures are classified correctly; "
            f"for other pictures expect {low:.0%} to {high:.0%}"
        )
        pictures = {
            "mistakes": mistakes_picture(test_results, gathered.folder, trained),
            "confusion": confusion_picture(test_results),
        }
        summary.update(save_taught(target, trained, settings, test_results, seconds, pictures))
        numbers = {"accuracy": test_results.accuracy}
        return [
            Result(picture, name, settings, network=trained, numbers=numbers, words=text)
            for name, picture in pictures.items()
        ]

    def report(frame: TeachFrame) -> Report:
        if frame.results is None:
            return Report()
        notes = [
            *notes_for(frame.results, summary["seconds"]),
            f"saved in {target}: weights, settings, confusion.png, mistakes.png",
            f"next: lanterna classify PHOTO --network {job.title}",
        ]
        return Report(summary, notes=notes, warnings=warnings_for(frame.results.left_out))

    return Work(frames, results, lambda _: None, report=report)


def _describe(frame: TeachFrame) -> str:
    n = frame.numbers
    text = f", {frame.phase}"
    if "computed" in n:
        text += f", {n['pictures_a_second']:.0f} a second"
    return f"{text}, loss {n['loss']:.3f}" if "loss" in n else text


class TeachOptions(BaseModel):
    """Options for reading the pictures."""

    workers: int | None = Field(
        default=None, ge=0, le=64,
        description="How many processes decode pictures; 0 uses none. [default: automatic]",
    )  # fmt: skip


TEACH = Technique(
    name="teach", title="Teach", help="Teach a network to classify your own pictures.",
    settings=TeachWithLabels, run=_teach, output=Output.NETWORK, outputs=("mistakes", "confusion"),
    inputs=(
        Input(
            "picture", "the pictures of all classes", required=True, many=True,
            folder="a folder whose subfolders are classes, with pictures in each",
        ),
    ),
    shown_first=("network", "fine_tune"), hidden=("labels",), check=_check, default_name=_default_name,
    options=TeachOptions, resumes="always", describe=_describe, reruns=False, records_inputs=False,
    manual="""
    Teach a network your own classes: each subfolder of FOLDER is one, with twenty or more pictures.

    Some of the pictures are held out to test the network with. The network is saved under a name for
    `classify`, `look`, `feature` and `dream` to use. Features of pictures are cached, so repeating the
    command processes only new pictures, and continues work that was stopped.
    """,
)  # fmt: skip

TECHNIQUES = (TEACH,)
