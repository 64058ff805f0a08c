"""Pictures that come from people and from jobs: checked, kept as files, and made small."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.files import sha256
from lanterna.surfaces.studio.store import new_id

if TYPE_CHECKING:
    from torch import Tensor

    from lanterna.images import Recipe
    from lanterna.surfaces.studio.store import Store

MEDIA = {
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".avif": "image/avif",
    ".gif": "image/gif",
}
"""What every browser shows; a picture of another format is kept as a PNG."""

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "AVIF": ".avif", "GIF": ".gif"}
_THUMBNAIL = 512

Picture = dict[str, Any]


def receive(sent: Path, folder: Path, picture_id: str) -> Picture:
    """Check a file that somebody sent, put it in its place, make it small, and describe it.

    It is refused from its header where it is no picture or has too many pixels, and decoded once, whole, so
    that no broken one is kept. Runs in a process of its own. Errors: `UsageError`.
    """
    from lanterna.images import open_picture, read_recipe, save_picture
    from lanterna.images.decoding import opened

    with opened(sent) as file:
        form = file.format or ""
    digest = sha256(sent)
    small = open_picture(sent, longest=_THUMBNAIL)
    try:
        recipe = read_recipe(sent)
    except UsageError:
        recipe = None
    suffix = _SUFFIXES.get(form, ".png")
    place = folder / "pictures" / f"{picture_id}{suffix}"
    if form not in _SUFFIXES:
        save_picture(open_picture(sent), place, recipe=recipe)
        sent.unlink()
    else:
        sent.replace(place)
    write_jpeg(small, folder / "thumbnails" / f"{picture_id}.jpg", _THUMBNAIL)
    width, height = _size(place)
    return {
        "kind": recipe.verb if recipe else "",
        "suffix": suffix,
        "width": width,
        "height": height,
        "bytes": place.stat().st_size,
        "sha256": digest,
        "recipe": describe_recipe(recipe, place.name) if recipe else None,
    }


def write_jpeg(picture: Tensor, place: Path, side: int) -> None:
    """Write a picture as a JPEG of at most `side` pixels along its longer side, whole or not at all."""
    from lanterna.images.drawing import as_image

    image = as_image(picture)
    image.thumbnail((side, side), reducing_gap=2.0)
    temporary = place.with_suffix(".new")
    image.save(temporary, "JPEG", quality=88)
    temporary.replace(place)


def file_name(picture: Picture) -> str:
    """What a picture's file is called where it leaves the studio: by its title, as far as names go."""
    title = picture["title"].removesuffix(picture["suffix"])
    kept = re.sub(r"[^\w.-]+", "-", title).strip("-.")[:60] or picture["kind"] or "picture"
    return f"{kept}{picture['suffix']}"


def _size(place: Path) -> tuple[int, int]:
    """Width and height, the way up that it was taken."""
    from lanterna.images.decoding import opened

    with opened(place) as file:
        width, height = file.size
        on_its_side = file.getexif().get(274, 1) in (5, 6, 7, 8)
    return (height, width) if on_its_side else (width, height)


def describe_recipe(recipe: Recipe, name: str) -> Picture:
    """What a recipe says, for the page: kind of job, settings, command, and the sha256 of what went in."""
    from lanterna.techniques.registry import find_technique
    from lanterna.techniques.rerun import command_line

    technique = find_technique(recipe.verb, recipe.output)
    first = technique.inputs[0].name if technique and technique.inputs else "picture"
    return {
        "kind": technique.name if technique else None,
        "settings": recipe.settings,
        "command": command_line(recipe, name),
        "inputs": [{"role": note.role or first, "sha256": note.sha256} for note in recipe.inputs],
        "changes": [change.model_dump(mode="json") for change in recipe.changes],
    }


def keep(store: Store, room: str, job: Picture, made: list[Picture]) -> str | None:
    """Take what a job has made from its folder into the gallery. Gives the id of the first picture.

    It can be called again with the same, where something failed on the way, such as a disk that is full:
    the id of a picture is noted in `made` before its files are moved.
    """
    first = None
    for each in made:
        picture_id = each.setdefault("id", new_id())
        file = Path(each["file"])
        place = store.folder / "pictures" / f"{picture_id}{file.suffix}"
        _move(file, place)
        _move(Path(each["thumbnail"]), store.thumbnail(picture_id))
        also = None
        if each["also"]:
            beside = Path(each["also"])
            also = beside.suffix
            _move(beside, place.with_suffix(also))
        title = job["title"] or job["preset"] or ""
        told = " ".join([job["kind"], each["output"], title, _words(each["recipe"]["settings"])])
        recipe = {**each["recipe"], "sheet": each["sheet"], "preset": job["preset"]}
        recipe["numbers"] = {**job["numbers"], **each["numbers"]}
        recipe["words"] = each["words"]
        recipe["inputs"] = [
            {"role": note["role"], "sha256": store.picture(note["picture"])["sha256"]}
            for note in job["inputs"]
        ]
        store.add_picture(
            picture_id, origin="made", kind=job["kind"], room=room, title=title, suffix=file.suffix,
            width=each["width"], height=each["height"], bytes=place.stat().st_size, sha256=each["sha256"],
            recipe=recipe, also=also, job=job["id"], words=told.lower(),
        )  # fmt: skip
        first = first or picture_id
    return first


def _move(file: Path, place: Path) -> None:
    """Move a file that may be in its place already. Errors: `FileNotFoundError` where it is in neither."""
    if file.exists() or not place.exists():
        file.replace(place)


def _words(settings: dict[str, Any]) -> str:
    """The words among settings, by which a picture is found again."""
    found = [value for value in settings.values() if isinstance(value, str)]
    lists = [value for value in settings.values() if isinstance(value, list)]
    return " ".join([*found, *(str(one) for each in lists for one in each if isinstance(one, str))])


def described(store: Store, picture: Picture) -> Picture:
    """A picture as the API tells it."""
    shown = {
        name: picture[name]
        for name in ("id", "kind", "room", "title", "width", "height", "bytes", "made", "job", "origin")
    }
    shown["starred"] = bool(picture["starred"])
    shown["deleted"] = picture["deleted"] is not None
    shown["also"] = picture["also"]
    shown["media"] = MEDIA[picture["suffix"]]
    recipe = picture["recipe"]
    if recipe is not None:
        inputs = []
        for note in recipe["inputs"]:
            there = store.picture_of_content(note["sha256"])
            inputs.append({"role": note["role"], "picture": there["id"] if there else None})
        recipe = {**recipe, "inputs": inputs}
    shown["recipe"] = recipe
    return shown
