"""What the page shows, as the page hard-codes none of it: rooms, techniques, destinations for pictures."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from lanterna.glossary import GLOSSARY, ORDINARY, forms
from lanterna.surfaces.studio.techniques import techniques

if TYPE_CHECKING:
    from lanterna.surfaces.studio.messages import Place, Room, TechniqueDescription, Techniques
    from lanterna.techniques.technique import Technique


WEB = files("lanterna.surfaces") / "web" / "studio"
FIRST = {
    "learn": "Each page is a claim of the lecture: see what an experiment found, then change it yourself.",
    "read": "Draw a digit, or drop a photograph of handwritten ones, and see why it is read as it is.",
    "train": "Press Start and watch a network learn to read digits, for use in the other rooms.",
    "teach": "Drop pictures of two classes or more, press Teach, and try a new picture.",
    "look": "See what each layer of a network makes of a picture, and what counts for its answer.",
    "dream": "Press Start to amplify what a network sees in this picture, or choose your own.",
    "style": "Click a style to paint the photograph in it, or drop your own photograph and paintings.",
    "imagine": "Let a network learn to draw digits; then drag across one to move through noise.",
    "grow": "Press Start to learn a texture from the photograph; then wipe what grows, and watch it heal.",
    "paint": "Press Start, and watch a network learn to paint a picture, pixel by pixel.",
}
"""What to do first in each room."""
LOOKING = "look"  # a room that shows a picture in a network, without its own technique


@cache
def studio_description() -> Techniques:
    """Return all techniques with their settings' schemas, the rooms, and where a picture can be sent."""
    by_room: dict[str, list[Technique]] = {}
    for technique in techniques().values():
        if technique.room != "shelf":
            by_room.setdefault(technique.room, []).append(technique)
    return {
        "rooms": [_room(name, group[0]) for name, group in by_room.items()],
        "places": [place for group in by_room.values() for place in _destinations(group)],
        "techniques": [_technique_description(each) for each in techniques().values()],
        "glossary": {form: GLOSSARY[term] for form, term in forms().items() if term not in ORDINARY},
    }


def _room(name: str, first: Technique) -> Room:
    """Describe a room: one with its own script, or one generated from its techniques."""
    own = (WEB / "rooms" / f"{name}.js").is_file()
    return {
        "name": name,
        "title": first.title if first.name == name else name.capitalize(),
        "own": own,
        "first": FIRST.get(name, "Press Start, or choose a picture of your own first."),
    }


def _destinations(techniques: list[Technique]) -> list[Place]:
    """Return where a picture can be sent in a room: the required inputs of its first technique, and every
    input that takes the file next to a picture (such as a painting's weights).
    """
    first, found = techniques[0], list[tuple[str, str, str, str]]()
    title = _room(first.room, first)["title"]
    pictures = [each for each in first.inputs if each.required and not each.suffix]
    for each in pictures:
        label = title if len(pictures) == 1 else f"{title}, as {each.help.partition(',')[0]}"
        found.append((label, "", each.name, ""))
    if first.room == LOOKING:
        found.append((title, "", "picture", ""))
    found += [
        (f"{title}: {technique.title}", technique.name, slot.name, slot.suffix)
        for technique in techniques
        for slot in technique.inputs
        if slot.suffix
    ]
    return [
        {"label": label, "room": first.room, "kind": kind, "role": role, "suffix": suffix}
        for label, kind, role, suffix in found
    ]


def _thumbnails(technique: Technique) -> dict[str, str]:
    """Return the URL of each preset's thumbnail; "" is the default settings."""
    folder, verb = WEB / "presets", technique.name.partition("-")[0]
    names = {name: f"{verb}-{name}".strip("-") for name in ("", *technique.presets) if technique.presets}
    return {
        name: f"/web/studio/presets/{file}.jpg"
        for name, file in names.items()
        if (folder / f"{file}.jpg").is_file()
    }


def _technique_description(technique: Technique) -> TechniqueDescription:
    schema = technique.settings.model_json_schema()
    return {
        "kind": technique.name,
        "room": technique.room,
        "title": technique.title,
        "words": technique.help,
        "schema": schema,
        "example": dict(technique.example),
        "presets": {name: dict(preset) for name, preset in technique.presets.items()},
        "preset_help": dict(technique.settings.preset_help),
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
        "makes": technique.output.value,
        "wall": technique.wall,
        "exclusive": [list(pair) for pair in technique.exclusive],
    }
