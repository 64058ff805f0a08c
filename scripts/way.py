"""A measure of complexity: lines of code, and the files that a dream's call path passes through.

`python scripts/way.py` counts the lines of Python in `src/lanterna`, and traces `lanterna dream PICTURE`: the
files in which a function runs, and the calls between files, each pair of caller and callee once. Code that
runs only when a module is imported is not counted.
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


def trace(words: list[str]) -> tuple[set[str], set[tuple[str, str]]]:
    """Return the files in which a command runs, and its calls between files."""
    files: set[str] = set()
    changes: set[tuple[str, str]] = set()
    inside = str(SOURCE)

    def record(frame: FrameType, event: str, _: object) -> None:
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
            changes.add((_qualified_name(caller), _qualified_name(frame)))

    main(words)  # modules are imported, and networks compiled
    sys.setprofile(record)
    try:
        main(words)
    finally:
        sys.setprofile(None)
    return files, changes


def _qualified_name(frame: FrameType) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_code.co_qualname}"


def measure() -> dict[str, int]:
    """Return the lines of Python, and the files and calls between files of one dream."""
    import torch

    lines = sum(len(file.read_text(encoding="utf-8").splitlines()) for file in SOURCE.rglob("*.py"))
    with tempfile.TemporaryDirectory() as folder:
        picture, output = Path(folder) / "cat.png", Path(folder) / "dream.png"
        save_picture(torch.rand(3, 64, 96), picture)
        words = [
            "dream",
            str(picture),
            "--steps",
            "1",
            "--octaves",
            "2",
            "-o",
            str(output),
            "--force",
            "--quiet",
        ]
        files, changes = trace(words)
    return {"lines": lines, "files": len(files), "changes_of_file": len(changes)}


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
