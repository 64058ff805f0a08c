"""Pictures from uploads and from jobs: validated, stored as files, with thumbnails."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lanterna.errors import UsageError
from lanterna.files import sha256
from lanterna.surfaces.studio.names import file_name, tags_of
from lanterna.surfaces.studio.store import new_id

if TYPE_CHECKING:
    from PIL import Image
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
"""The formats that every browser shows; a picture in any other format is stored as a PNG."""

_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "WEBP": ".webp", "AVIF": ".avif", "GIF": ".gif"}
_THUMBNAIL_SIDE = 512

Picture = dict[str, Any]


def import_picture(upload: Path, folder: Path, picture_id: str) -> Picture:
    """Validate an uploaded file, move it into the store, save its thumbnail, and return its fields.

    A file that is not a picture or has too many pixels is refused by its header. Every picture is fully
    decoded once, so that no broken one is stored. Runs in a separate process. Errors: `UsageError`.
    """
    from lanterna.images import open_picture, read_recipe, save_picture
    from lanterna.images.decoding import open_image

    with open_image(upload) as file:
        file_format = file.format or ""
        note = "its transparent parts became white" if _is_transparent(file) else ""
    digest = sha256(upload)
    small = open_picture(upload, longest=_THUMBNAIL_SIDE)
    try:
        recipe = read_recipe(upload)
    except UsageError:
        recipe = None
    suffix = _SUFFIXES.get(file_format, ".png")
    target = folder / "pictures" / f"{picture_id}{suffix}"
    if file_format not in _SUFFIXES:
        save_picture(open_picture(upload), target, recipe=recipe)
        upload.unlink()
    else:
        upload.replace(target)
    write_jpeg(small, folder / "thumbnails" / f"{picture_id}.jpg", _THUMBNAIL_SIDE)
    width, height = _size(target)
    return {
        "kind": recipe.verb if recipe else "",
        "suffix": suffix,
        "width": width,
        "height": height,
        "bytes": target.stat().st_size,
        "sha256": digest,
        "recipe": describe_recipe(recipe, target.name) if recipe else None,
        "note": note,
    }


def _is_transparent(file: Image.Image) -> bool:
    """Return whether some part of a picture is transparent."""
    if not file.has_transparency_data:
        return False
    small = file.copy()
    small.thumbnail((_THUMBNAIL_SIDE, _THUMBNAIL_SIDE))
    return any(small.convert("RGBA").getchannel("A").histogram()[:255])


def write_jpeg(picture: Tensor, target: Path, side: int) -> None:
    """Write a picture atomically as a JPEG of at most `side` pixels along its longer side."""
    from torch.nn.functional import avg_pool2d

    from lanterna.images.drawing import as_image

    times = max(picture.shape[1:]) // (2 * side)
    if times > 1:  # averaging is quicker than converting all of a large picture
        picture = avg_pool2d(picture[None], times, ceil_mode=True)[0]
    image = as_image(picture)
    image.thumbnail((side, side), reducing_gap=2.0)
    temporary = target.with_suffix(".new")
    image.save(temporary, "JPEG", quality=88)
    temporary.replace(target)


def _size(target: Path) -> tuple[int, int]:
    """Return width and height, with the EXIF orientation applied."""
    from lanterna.images.decoding import open_image

    with open_image(target) as file:
        width, height = file.size
        rotated = file.getexif().get(274, 1) in (5, 6, 7, 8)
    return (height, width) if rotated else (width, height)


def describe_recipe(recipe: Recipe, name: str) -> Picture:
    """Return a recipe for the page: kind of job, settings, command, and the sha256 of each input."""
    from lanterna.techniques.registry import find_technique
    from lanterna.techniques.rerun import command_line

    technique = find_technique(recipe.verb, recipe.output)
    first = technique.inputs[0].name if technique and technique.inputs else "picture"
    return {
        "kind": technique.name if technique else None,
        "settings": recipe.settings,
        "command": command_line(recipe, name),
        "inputs": [{"role": entry.role or first, "sha256": entry.sha256} for entry in recipe.inputs],
        "changes": [change.model_dump(mode="json") for change in recipe.changes],
    }


def add_results(store: Store, room: str, job: Picture, results: list[Picture]) -> str | None:
    """Move a job's results from its folder into the gallery, and return the id of the first picture.

    It can be called again with the same results after a failure such as a full disk: each picture's id is
    stored in `results` before its files are moved.
    """
    first = None
    for result in results:
        picture_id = result.setdefault("id", new_id())
        file = Path(result["file"])
        target = store.folder / "pictures" / f"{picture_id}{file.suffix}"
        _move_once(file, target)
        _move_once(Path(result["thumbnail"]), store.thumbnail(picture_id))
        also = None
        if result["also"]:
            extra = Path(result["also"])
            also = extra.suffix
            _move_once(extra, target.with_suffix(also))
        title = store.unique_title("pictures", job["title"])
        search_text = " ".join(
            [job["kind"], result["output"], title, _setting_words(result["recipe"]["settings"])]
        )
        recipe = {**result["recipe"], "sheet": result["sheet"], "preset": job["preset"]}
        recipe["numbers"] = {**job["numbers"], **result["numbers"]}
        recipe["words"] = result["words"]
        recipe["inputs"] = [
            {"role": entry["role"], "sha256": store.picture(entry["picture"])["sha256"]}
            for entry in job["inputs"]
        ]
        store.add_picture(
            picture_id, origin="made", kind=job["kind"], room=room, title=title, suffix=file.suffix,
            width=result["width"], height=result["height"], bytes=target.stat().st_size,
            sha256=result["sha256"], recipe=recipe, also=also, job=job["id"], words=search_text.lower(),
        )  # fmt: skip
        first = first or picture_id
    return first


def _move_once(file: Path, target: Path) -> None:
    """Move a file unless that has been done. Errors: `FileNotFoundError` if it is in neither place."""
    if file.exists() or not target.exists():
        file.replace(target)


def _setting_words(settings: dict[str, Any]) -> str:
    """Return the words among settings, for the gallery's search."""
    found = [value for value in settings.values() if isinstance(value, str)]
    lists = [value for value in settings.values() if isinstance(value, list)]
    return " ".join([*found, *(item for values in lists for item in values if isinstance(item, str))])


def picture_as_json(store: Store, picture: Picture) -> Picture:
    """Return a picture as the API's JSON."""
    shown = {
        name: picture[name]
        for name in ("id", "kind", "room", "title", "width", "height", "bytes", "job", "origin", "note")
    }
    shown["created"] = picture["made"]
    shown["starred"] = bool(picture["starred"])
    shown["tags"] = tags_of(picture)
    shown["deleted"] = picture["deleted"] is not None
    shown["also"] = picture["also"]
    shown["media"] = MEDIA[picture["suffix"]]
    shown["file"] = file_name(picture)
    recipe = picture["recipe"]
    if recipe is not None:
        inputs = []
        for entry in recipe["inputs"]:
            known = store.picture_by_sha256(entry["sha256"])
            inputs.append({"role": entry["role"], "picture": known["id"] if known else None})
        recipe = {**recipe, "inputs": inputs}
    shown["recipe"] = recipe
    return shown
