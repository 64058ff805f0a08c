"""What a round computes in one of its steps, with the child processes. Each returns the round's result.

Errors: `LanternaError` in one line, which the screen shows, if something is missing.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

from lanterna.errors import LanternaError
from lanterna.surfaces.classroom import compute
from lanterna.surfaces.classroom.rounds import SHOWN
from lanterna.surfaces.classroom.views import answer, percent, split

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from lanterna.surfaces.classroom.class_file import Round
    from lanterna.surfaces.classroom.room import Room

_MIN_TO_LEARN = 10  # drawings
_PHOTOGRAPH, _THUMBNAIL = "photograph.jpg", 256  # pixels of the longer side


async def find_truth(room: Room, round_: Round) -> dict[str, Any]:
    """Return which choice is `right`, and `words` that say why."""
    question = round_.question
    if "drawing" in question:
        chances = (room.file.drawing(question["drawing"]).reading or {"chances": [1]})["chances"]
        right = answer(chances)
        return {"right": right, "words": f"It reads {right}, with a probability of {percent(chances)}."}
    if not question:
        raise LanternaError("there is no question: go back, and choose one")
    return await room.worker.run(compute.truth, question)


async def learn(room: Room, round_: Round) -> dict[str, Any]:
    """Train a network on the class's digits, and show each frame; return what to show of it."""
    if round_.result.get("learned"):
        return {}
    drawings = [
        each
        for each in room.file.drawings(round_.id)
        if not each.step and each.asked is not None and each.sight != "hidden"
    ]
    if len(drawings) < _MIN_TO_LEARN:
        raise LanternaError(f"there are {len(drawings)} digits: go back until there are {_MIN_TO_LEARN}")
    strokes, labels = [each.strokes for each in drawings], [each.asked for each in drawings]
    await room.worker.run(compute.begin_to_learn, strokes, labels)
    result: dict[str, Any] = {"learned": len(drawings), "curve": []}
    weights = b""
    while (frame := await room.worker.run(compute.go_on_learning)) is not None:
        weights, reads = frame.pop("weights"), frame.pop("reads")
        result["curve"].append(round(frame["accuracy"], 4))
        result |= frame
        ids = [each.id for each in drawings]
        result["reads"] = dict(list(zip(ids, reads, strict=True))[-SHOWN:])
        room.change(room.current(round_)._replace(result={**result, "learned": 0}))
        room.notify_screens()
    room.file.save(round_.id, "network.safetensors", weights)
    return result


async def show_styles(room: Room, round_: Round) -> dict[str, Any]:
    """Paint a thumbnail of the photograph in each style, for the class to choose; return how many."""
    photo = await _photograph(room, round_)
    for style in range(round_.result.get("thumbnails", 0), len(room.styles)):
        room.change(room.current(round_)._replace(result=round_.result | {"thumbnails": style}))
        room.notify_screens()
        picture = await room.worker.run(compute.paint, photo, (style,), _THUMBNAIL)
        room.file.save(round_.id, f"style-{style}.jpg", picture)
    return {"thumbnails": len(room.styles)}


async def _photograph(room: Room, round_: Round) -> bytes:
    """Return the photograph of a round; the first time it is saved there."""
    try:
        return room.file.read(round_.id, _PHOTOGRAPH)
    except KeyError:
        photo = await room.worker.run(compute.photograph, room.photo)
        room.file.save(round_.id, _PHOTOGRAPH, photo)
        return photo


async def paint(room: Room, round_: Round) -> dict[str, Any]:
    """Paint the photograph in the two styles that most chose: both at once, then each."""
    counts = split(room, round_)
    if not any(counts):
        raise LanternaError("nobody has chosen yet: go back, and choose two styles")
    chosen = sorted(range(len(counts)), key=lambda each: -counts[each])[:2]
    photo, names = await _photograph(room, round_), [room.styles[each] for each in chosen]
    painted: dict[str, str] = {}
    before = round_.result.get("painted", {})
    for name, words, styles in (
        ("both", " and ".join(names), chosen),
        ("first", names[0], chosen[:1]),
        ("second", names[1], chosen[1:]),
    ):
        if before.get(name) != words:
            picture = await room.worker.run(compute.paint, photo, tuple(styles))
            room.file.save(round_.id, f"{name}.jpg", picture)
        painted[name] = words
        room.change(room.current(round_)._replace(result=round_.result | {"painted": dict(painted)}))
        room.notify_screens()
    return {"painted": painted}


async def imagine(room: Room, round_: Round) -> dict[str, Any]:
    """Return twelve digits, and which of them were imagined."""
    if "digits" in round_.result:
        return {}
    return await room.worker.run(compute.hunt, secrets.randbelow(2**31))


WORK: dict[tuple[str, str], Callable[[Room, Round], Awaitable[dict[str, Any]]]] = {
    ("vote", "truth"): find_truth,
    ("train", "learn"): learn,
    ("style", "choose"): show_styles,
    ("style", "paint"): paint,
    ("hunt", "choose"): imagine,
}
"""By the kind of a round and the name of its step."""
