"""How far a dream travels: `python scripts/way.py` counts lines, and the files that one dream passes through.

Lines are all of Python in `src/lanterna`. The way is that of `lanterna dream PICTURE` from the command line:
the files in which a function runs, and the changes of file, each pair of a calling and a called function in
two files once. What runs only when a module is imported is not counted.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import lanterna
from lanterna.images import save_picture
from lanterna.surfaces.cli import main

if TYPE_CHECKING:
    from types import FrameType

SOURCE = Path(lanterna.__file__).parent


def way(words: list[str]) -> tuple[set[str], set[tuple[str, str]]]:
    """The files that a command passes through, and the changes of file on its way."""
    files: set[str] = set()
    changes: set[tuple[str, str]] = set()
    inside = str(SOURCE)

    def note(frame: FrameType, event: str, _: object) -> None:
        code = frame.f_code
        if event != "call" or not code.co_filename.startswith(inside) or code.co_name == "<module>":
            return
        files.add(code.co_filename)
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(inside):
            caller = caller.f_back
        if caller is None or caller.f_code.co_name == "<module>":
            return
        if caller.f_code.co_filename != code.co_filename:
            changes.add((_named(caller), _named(frame)))

    main(words)  # imports are made, and networks compiled
    sys.setprofile(note)
    try:
        main(words)
    finally:
        sys.setprofile(None)
    return files, changes


def _named(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}"


def measured() -> dict[str, int]:
    """Lines of Python, and the way of one dream."""
    import torch

    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in SOURCE.rglob("*.py"))
    with tempfile.TemporaryDirectory() as folder:
        picture, made = Path(folder) / "cat.png", Path(folder) / "dream.png"
        save_picture(torch.rand(3, 64, 96), picture)
        words = [
            "dream",
            str(picture),
            "--steps",
            "1",
            "--octaves",
            "2",
            "-o",
            str(made),
            "--force",
            "--quiet",
        ]
        files, changes = way(words)
    return {"lines": lines, "files": len(files), "changes_of_file": len(changes)}


if __name__ == "__main__":
    print(json.dumps(measured(), indent=2))
