"""What verbs that make films share: frames are kept one by one, the film is saved when it is whole."""

import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lanterna.errors import UsageError
from lanterna.images.films import save_film
from lanterna.images.record import make_record, note_input
from lanterna.surfaces.cli.common import emit_json, progress, say, stoppable
from lanterna.techniques.frame_folder import FrameFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor

    from lanterna.images import Record
    from lanterna.networks import Network
    from lanterna.recipes.recipe import Frame, Recipe
    from lanterna.surfaces.cli.common import Update

    Watching = Callable[[], AbstractContextManager[Callable[[Frame], None]]]

_FILMS = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".gif")


def is_film(path: Path) -> bool:
    """Whether a path is a film by its name or a folder of frames; an animated WebP is taken for a picture."""
    try:
        return path.suffix.lower() in _FILMS or path.is_dir()
    except OSError:  # too long a name; whoever opens it says so
        return False


def usual_place(verb: str) -> Path:
    """Where a verb's film goes if nobody says: MP4 where it can be written, as everybody can play it."""
    return Path(f"{verb}.mp4" if find_spec("av") else f"{verb}.webp")


def filming(
    place: Path,
    recipe: "Recipe",
    work: "Callable[[FrameFolder], Generator[Frame, None, None]]",
    *,
    made_from: "Mapping[str, object]",
    count: int,
    fps: float,
    record: "Record | None",
    watching: "Watching",
    resume: bool,
    force: bool,
    json: bool,
    quiet: bool,
) -> int | None:
    """Make a film of `count` frames, keep every frame on the way, and remove the frames when it is whole.

    `work` is given the frames that there are already and makes the rest. `made_from` tells one film from
    another, as `mark` does for each thing that it is made from; the recipe is added to it. The film carries
    `record`. The exit code is 130 where it was stopped.
    """
    begun = time.perf_counter()
    note = {"recipe": recipe.model_dump(mode="json"), **made_from}
    frames = FrameFolder(place, note, resume=resume, force=force)
    stopped = False
    with stoppable() as stop_wished, watching() as watch:
        if frames.done < count:
            rest = work(frames)
            for frame in rest:
                assert frame.picture is not None
                frames.add(frame.picture)
                watch(frame)
                if stop_wished():
                    stopped = frames.done < count
                    break
            rest.close()
    if not frames.done:
        raise UsageError(f"{place}: expected a film with pictures to make it from, got none")
    with progress("saving", quiet=quiet) as update:
        save_film(
            _counted(frames, update), place, count=frames.done, fps=fps, recipe=record, force=force or resume
        )
    if not stopped:
        frames.remove()
    document = {
        "film": str(place),
        "finished": not stopped,
        "frames": frames.done,
        "seconds": round(time.perf_counter() - begun, 2),
        "recipe": recipe.model_dump(mode="json"),
    }
    if json:
        emit_json(document)
    else:
        say(f"{place}: {frames.done} frames, {document['seconds']:.1f} s", quiet=quiet)
    if stopped:
        say(
            f"stopped after {frames.done} of {count} frames: --resume with the same words goes on",
            quiet=quiet,
        )
        return 130
    return None


def mark(source: Path | bytes | None) -> object:
    """What tells one picture, film or folder of frames from another."""
    if source is None:
        return None
    if isinstance(source, Path) and source.is_dir():
        return sorted([each.name, each.stat().st_size] for each in source.iterdir() if each.is_file())
    return note_input(source).sha256


def film_record(
    verb: str,
    made: str,
    recipe: "Recipe",
    source: Path | bytes,
    network: "Network | None" = None,
    items: "Iterable[str]" = (),
    **others: "Path | Sequence[Path] | None",
) -> "Record | None":
    """How a film was made of `source`, and of `others` by role; None of a folder, which has no hash."""
    if isinstance(source, Path) and source.is_dir():
        return None
    notes = [note_input(source)]
    for role, given in others.items():
        paths = [] if given is None else [given] if isinstance(given, Path) else given
        notes += [note_input(path, role=role) for path in paths]
    return make_record(
        verb, made, recipe, inputs=notes, network=network, shelf_items=items,
        device="cpu" if network is None else network.get_buffer("mean").device,
        network_name=getattr(recipe, "network", None),
    )  # fmt: skip


def _counted(frames: FrameFolder, update: "Update") -> "Iterator[Tensor]":
    for number, picture in enumerate(frames, start=1):
        update(number, frames.done)
        yield picture
