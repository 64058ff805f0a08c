"""What the studio can do, for its page, which names no technique: rooms, techniques, places for pictures."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from lanterna.glossary import GLOSSARY, ORDINARY, forms
from lanterna.surfaces.studio.techniques import techniques

if TYPE_CHECKING:
    from lanterna.surfaces.studio.messages import Making, Place, Room, Techniques
    from lanterna.techniques.technique import Technique


WEB = files("lanterna.surfaces") / "web" / "studio"
LOOKING = "look"  # a room that looks into a network at a picture, and makes none


@cache
def described() -> Techniques:
    """Every technique with the schema of its settings, the rooms, and the places a picture can be sent to."""
    shown = [each for each in techniques().values() if each.room != "shelf"]
    by_room: dict[str, list[Technique]] = {}
    for each in shown:
        by_room.setdefault(each.room, []).append(each)
    return {
        "rooms": [_room(name, those[0]) for name, those in by_room.items()],
        "places": [place for those in by_room.values() for place in _places(those)],
        "techniques": [_technique(each) for each in techniques().values()],
        "glossary": {form: GLOSSARY[term] for form, term in forms().items() if term not in ORDINARY},
    }


def _room(name: str, first: Technique) -> Room:
    """A room: one that has a page of its own, or one that is made from its techniques."""
    own = (WEB / "rooms" / f"{name}.js").is_file()
    return {"name": name, "title": first.title if first.name == name else name.capitalize(), "own": own}


def _places(those: list[Technique]) -> list[Place]:
    """Where a picture can be sent in a room: what its first technique needs, and what needs more than one."""
    first, found = those[0], list[tuple[str, str, str, str]]()
    title = _room(first.room, first)["title"]
    pictures = [each for each in first.inputs if each.required and not each.suffix]
    for each in pictures:
        label = title if len(pictures) == 1 else f"{title}, as {each.help.partition(',')[0]}"
        found.append((label, "", each.name, ""))
    if first.room == LOOKING:
        found.append((title, "", "picture", ""))
    found += [
        (f"{title}: {one.title}", one.name, each.name, each.suffix)
        for one in those
        for each in one.inputs
        if each.suffix
    ]
    return [
        {"label": label, "room": first.room, "kind": kind, "role": role, "suffix": suffix}
        for label, kind, role, suffix in found
    ]


def _thumbnails(technique: Technique) -> dict[str, str]:
    """What each preset makes, as the address of a small picture; "" is what is usual."""
    folder, verb = WEB / "presets", technique.name.partition("-")[0]
    names = {name: f"{verb}-{name}".strip("-") for name in ("", *technique.presets) if technique.presets}
    return {
        name: f"/web/studio/presets/{file}.jpg"
        for name, file in names.items()
        if (folder / f"{file}.jpg").is_file()
    }


def _technique(technique: Technique) -> Making:
    schema = technique.settings.model_json_schema()
    return {
        "kind": technique.name,
        "room": technique.room,
        "title": technique.title,
        "words": technique.help,
        "schema": schema,
        "presets": {name: dict(preset) for name, preset in technique.presets.items()},
        "thumbnails": _thumbnails(technique),
        "inputs": [
            {
                "role": each.name,
                "words": each.help,
                "required": each.required,
                "many": each.many,
                "grey": each.grey,
                "of": each.of,
                "suffix": each.suffix,
                "example": each.example,
            }
            for each in technique.inputs
        ],
        "live": list(technique.live),
        "plain": list(technique.shown_first),
        "hidden": list(technique.hidden),
    }
