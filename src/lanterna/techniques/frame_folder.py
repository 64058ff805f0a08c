"""Store the frames of an unfinished film as numbered pictures in a folder, so that no work is lost."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from lanterna.errors import MissingError, UsageError
from lanterna.files import atomic_write
from lanterna.images import open_picture
from lanterna.images.drawing import as_image
from lanterna.renamed import current_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor


class FrameFolder:
    """The frames 0, 1, 2 … of a film, as 8-bit PNGs, with a description of what they were made from.

    `film` is the path of the film; the folder is next to it, `NAME.frames`. `made_from` is the description:
    to `resume`, it must equal the stored one.

    Errors: `MissingError` if there is nothing to resume; `UsageError` if the frames were made from something
    else, or if there are unfinished frames and neither `resume` nor `force` is given.
    """

    def __init__(
        self,
        film: Path,
        verb: str,
        made_from: Mapping[str, object],
        *,
        resume: bool = False,
        force: bool = False,
    ) -> None:
        self.path = film.with_name(f"{film.name}.frames")
        description = self.path / "film.json"
        text = json.dumps(made_from, indent=2, sort_keys=True)
        if resume:
            if not description.is_file():
                raise MissingError(f"nothing to resume at {self.path}: start without --resume")
            if current_text(verb, description.read_text(encoding="utf-8")) != text:
                raise UsageError(
                    f"{self.path} was started with other settings or pictures: resume with those, "
                    "or start again with --force"
                )
        else:
            if self.path.exists():
                if not force or not description.is_file():
                    raise UsageError(
                        f"{self.path} has the frames of an unfinished film: --resume continues it, "
                        "--force starts again"
                        if description.is_file()
                        else f"{self.path} is in the way: move it, or name another film"
                    )
                shutil.rmtree(self.path)
            with atomic_write(description) as temporary:
                temporary.write_text(text, encoding="utf-8")
        self.done = 0
        while self._file(self.done).is_file():
            self.done += 1

    def __getitem__(self, number: int) -> Tensor:
        """Open a frame, `(3, H, W)` in [0, 1], counted from 0."""
        return open_picture(self._file(number))

    def __iter__(self) -> Iterator[Tensor]:
        return (self[number] for number in range(self.done))

    def add(self, picture: Tensor) -> None:
        """Save the next frame, `(3, H, W)` in [0, 1]."""
        with atomic_write(self._file(self.done)) as temporary:
            as_image(picture).save(temporary, "PNG", compress_level=1)
        self.done += 1

    def remove(self) -> None:
        """Remove the folder, when the film is complete."""
        shutil.rmtree(self.path)

    def _file(self, number: int) -> Path:
        return self.path / f"{number:05}.png"
