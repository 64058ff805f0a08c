"""The frames of a film in the making: numbered pictures in a folder beside it, so that nothing is lost."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from lanterna.errors import MissingError, UsageError
from lanterna.files import atomic_write
from lanterna.images import open_picture
from lanterna.images.drawing import as_image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor


class FrameFolder:
    """Frames 0, 1, 2 … of one film, as 8-bit PNGs, with a note of what they were made from.

    `film` is where the film will be; the folder is beside it, `NAME.frames`. `made_from` is the note: with
    `resume` it must be the one that is there.

    Errors: `MissingError` where there is nothing to resume; `UsageError` where it was made from something
    else, or unfinished frames are there and neither `resume` nor `force` is given.
    """

    def __init__(
        self, film: Path, made_from: Mapping[str, object], *, resume: bool = False, force: bool = False
    ) -> None:
        self.path = film.with_name(f"{film.name}.frames")
        note = self.path / "film.json"
        text = json.dumps(made_from, indent=2, sort_keys=True)
        if resume:
            if not note.is_file():
                raise MissingError(f"nothing to resume at {self.path}: start without --resume")
            if note.read_text(encoding="utf-8") != text:
                raise UsageError(
                    f"{self.path} was begun with other settings or pictures: resume with those, "
                    "or start anew with --force"
                )
        else:
            if self.path.exists():
                if not force or not note.is_file():
                    raise UsageError(
                        f"{self.path} has the frames of an unfinished film: --resume goes on, "
                        "--force starts anew"
                        if note.is_file()
                        else f"{self.path} is in the way: move it, or name another film"
                    )
                shutil.rmtree(self.path)
            with atomic_write(note) as temporary:
                temporary.write_text(text, encoding="utf-8")
        self.done = 0
        while self._place(self.done).is_file():
            self.done += 1

    def __getitem__(self, number: int) -> Tensor:
        """One frame, `(3, H, W)` in [0, 1], counted from 0."""
        return open_picture(self._place(number))

    def __iter__(self) -> Iterator[Tensor]:
        return (self[number] for number in range(self.done))

    def add(self, picture: Tensor) -> None:
        """Keep the next frame, `(3, H, W)` in [0, 1]."""
        with atomic_write(self._place(self.done)) as temporary:
            as_image(picture).save(temporary, "PNG", compress_level=1)
        self.done += 1

    def remove(self) -> None:
        """Remove the frames, once the film is whole."""
        shutil.rmtree(self.path)

    def _place(self, number: int) -> Path:
        return self.path / f"{number:05}.png"
