"""Teaching a network classes of one's own, declared; it is saved under a name for everything else to use."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from lanterna.errors import UsageError
from lanterna.images.folders import gather
from lanterna.networks.trained import is_trained
from lanterna.settings import networks_folder
from lanterna.techniques.teach.algorithm import teach
from lanterna.techniques.teach.results import confusion_picture, keep_taught, mistakes_picture
from lanterna.techniques.teach.settings import Teach
from lanterna.techniques.technique import Input, Output, Result, Technique, Work
from lanterna.techniques.train.technique import new_name

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    from lanterna.techniques.execute import Job
    from lanterna.techniques.teach.algorithm import TeachFrame

_FEWEST = 4  # pictures of a class: one is held out, and three say what it looks like


class TeachHere(Teach):
    """Teach a network to tell your pictures apart."""

    labels: tuple[str, ...] = Field(default=(), description="The class of each picture, in their order.")


def _check(recipe: TeachHere, counts: Mapping[str, int]) -> TeachHere:
    given = counts.get("picture", 0)
    if len(recipe.labels) != given:
        raise UsageError(f"labels: expected one for each picture, got {len(recipe.labels)} for {given}")
    for label in recipe.labels:
        if not label.strip() or label != label.strip() or set(label) & set('/\\:*?"<>|') or label[0] == ".":
            raise UsageError(f"a class is called by a word or a few, got {label[:60]!r}")
        if len(label) > 60 or not label.isprintable():
            raise UsageError(f"a class has a name of up to 60 letters, got {label[:60]!r}")
    each = Counter(recipe.labels)
    if len(each) < 2:
        raise UsageError("two classes are needed at least, to be told apart")
    few = [label for label, count in each.items() if count < _FEWEST]
    if few:
        raise UsageError(f"{few[0]!r} needs {_FEWEST} pictures at least, and 20 are better: add some")
    return recipe


def _title(wished: str, _: Teach, taken: Container[str]) -> str:
    if wished:
        return new_name(wished, taken)
    names = ["taught", *(f"taught-{number}" for number in range(2, 10_000))]
    return next(name for name in names if name not in taken and not is_trained(networks_folder() / name))


def _teach(job: Job) -> Work:
    given: TeachHere = job.settings
    settings, network = given.only(Teach), job.network
    assert job.checkpoint is not None
    folder = job.checkpoint.with_name("classes")
    shutil.rmtree(folder, ignore_errors=True)
    for number, (file, label) in enumerate(zip(job.sources("picture"), given.labels, strict=True)):
        assert isinstance(file, Path)
        place = folder / label / f"{number:04}{file.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, place)
    begun = time.perf_counter()
    frames = teach(
        gather(folder), settings, network=network, name=job.title, workers=0,
        checkpoint=job.checkpoint if settings.fine_tune else None, resume=job.resume and settings.fine_tune,
    )  # fmt: skip

    def results(frame: TeachFrame, _: object) -> list[Result]:
        if frame.results is None or frame.network is None:
            return []  # it was stopped before it had learned
        found, taught = frame.results, frame.network
        keep_taught(
            networks_folder() / job.title, taught, settings, found, folder, time.perf_counter() - begun
        )
        low, high = found.interval
        words = (
            f"{found.right} of {found.held_out} pictures held out are named right; "
            f"of all such pictures that is {low:.0%} to {high:.0%}"
        )
        made = {"mistakes": mistakes_picture(found, folder, taught), "confusion": confusion_picture(found)}
        numbers = {"accuracy": found.accuracy}
        return [
            Result(picture, name, settings, network=taught, numbers=numbers, words=words)
            for name, picture in made.items()
        ]

    return Work(frames, results, lambda _: None)


TEACH = Technique(
    name="teach", title="Teach", help="A network learns to tell your own pictures apart.",
    settings=TeachHere, run=_teach, output=Output.NETWORK, makes=("mistakes", "confusion"),
    inputs=(Input("picture", "the pictures of all classes", required=True, many=True),),
    shown_first=("network", "fine_tune"), hidden=("labels",), check=_check, title_of=_title,
    again=False, noted=False,
)  # fmt: skip

TECHNIQUES = (TEACH,)
