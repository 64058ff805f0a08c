"""`lanterna dream --film`: the endless zoom into a picture, or a film dreamed frame after frame."""

import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lanterna.errors import UsageError
from lanterna.images import open_picture
from lanterna.images.film_reading import open_film
from lanterna.images.films import check_film_place, save_film
from lanterna.images.record import note_input
from lanterna.recipes.dream_film import DreamFilm, dream_frames, dream_zoom
from lanterna.surfaces.cli.common import emit_json, fetch_and_open, progress, say, stoppable
from lanterna.surfaces.frame_folder import FrameFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from torch import Tensor

    from lanterna.recipes.recipe import Frame
    from lanterna.surfaces.cli.common import Update

_FILMS = (".mp4", ".mov", ".m4v", ".webm", ".mkv", ".gif")


def is_film(path: Path) -> bool:
    """Whether a path is a film by its name or a folder of frames; an animated WebP is taken for a picture."""
    try:
        return path.suffix.lower() in _FILMS or path.is_dir()
    except OSError:  # too long a name; whoever opens it says so
        return False


def usual_place() -> Path:
    """Where a film goes if nobody says: MP4 where it can be written, as everybody can play it."""
    return Path("dream.mp4" if find_spec("av") else "dream.webp")


def film(
    source: Path,
    recipe: DreamFilm,
    place: Path,
    *,
    guide: Path | None,
    watching: "Callable[[], AbstractContextManager[Callable[[Frame], None]]]",
    resume: bool,
    device: str,
    force: bool,
    json: bool,
    quiet: bool,
) -> int | None:
    """Make the film, keep every frame on the way, and remove the frames when it is whole."""
    check_film_place(place, force=force or resume)
    begun = time.perf_counter()
    given = open_film(source) if is_film(source) else None
    taken = sys.stdin.buffer.read() if source == Path("-") else source
    still = None if given else open_picture(taken)
    matched = None if guide is None else open_picture(guide)
    network = fetch_and_open(recipe.network, device=device, quiet=quiet)
    if given:
        count, fps = given.count, given.fps
    else:
        count, fps = recipe.frames, recipe.fps
    made_from = {"recipe": recipe.model_dump(mode="json"), "source": _mark(taken), "guide": _mark(guide)}
    frames = FrameFolder(place, made_from, resume=resume, force=force)
    already = frames.done
    if given:
        work = dream_frames(
            given.frames(max(0, already - 1)), recipe, count=count, network=network, guide=matched,
            done=already, last=frames[already - 1] if already else None,
        )  # fmt: skip
    else:
        assert still is not None
        work = dream_zoom(
            still, recipe, network=network, guide=matched, done=already,
            first=frames[0] if already else None, last=frames[already - 1] if already else None,
        )  # fmt: skip
    stopped = False
    with stoppable() as stop_wished, watching() as watch:
        if already < count:
            for frame in work:
                assert frame.picture is not None
                frames.add(frame.picture)
                watch(frame)
                if stop_wished():
                    stopped = frames.done < count
                    break
        work.close()
    if not frames.done:
        raise UsageError(f"{source}: expected a film with pictures, got none")
    with progress("saving", quiet=quiet) as update:
        save_film(_counted(frames, update), place, count=frames.done, fps=fps, force=force or resume)
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


def _counted(frames: FrameFolder, update: "Update") -> "Iterator[Tensor]":
    for number, picture in enumerate(frames, start=1):
        update(number, frames.done)
        yield picture


def _mark(source: Path | bytes | None) -> object:
    """What tells one picture, film or folder of frames from another."""
    if source is None:
        return None
    if isinstance(source, Path) and source.is_dir():
        return sorted([each.name, each.stat().st_size] for each in source.iterdir() if each.is_file())
    return note_input(source).sha256
