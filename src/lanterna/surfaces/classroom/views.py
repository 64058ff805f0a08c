"""What the screen and the phones show of a room, as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lanterna.surfaces.classroom.rounds import KINDS, SCREEN, SHOWN

if TYPE_CHECKING:
    from lanterna.surfaces.classroom.class_file import Drawing, Round
    from lanterna.surfaces.classroom.room import Phone, Room


def answer(chances: list[float]) -> int:
    """Return the digit with the highest probability."""
    return chances.index(max(chances))


def percent(chances: list[float]) -> str:
    """Return the highest probability in words: never 100 %, which no network can know."""
    return f"{min(99, round(100 * max(chances)))} %"


def phone_state(room: Room, phone: Phone) -> dict[str, Any]:
    """Return what a phone shows: the task, and what is asked."""
    task = "wait" if room.locked or "note" in room.round.result else room.step.task
    asked = (phone.number + phone.sent) % 10 if task == "draw" and room.kind.asks else None
    words = room.round.question.get("text") if task == "vote" else None
    words = words or (task == room.step.task and room.step.phone) or SCREEN
    return {
        "round": room.round.id, "step": room.step_shown, "task": task, "asked": asked,
        "locked": room.locked,
        "words": "The room is locked" if room.locked else words if asked is None else f"Draw a {asked}",
        "choices": room.choices() if task == "vote" else [], "most": room.most, "names": room.names,
        "chosen": room.file.votes(room.round.id).get(phone.number, []) if task == "vote" else [],
    }  # fmt: skip


def screen_state(room: Room) -> dict[str, Any]:
    """Return what the screen shows, apart from the drawings."""
    round_ = room.round
    votes = room.file.votes(round_.id) if room.choices() else {}
    question = dict(round_.question)
    if "drawing" in question:
        question["strokes"] = room.file.drawing(question["drawing"]).strokes
    return {
        "address": room.address, "code": room.code, "locked": room.locked, "quiet": room.quiet,
        "trouble": room.trouble, "review": room.review, "joined": len(room.phones), "busy": room.busy,
        "online": sum(bool(phone.streams) for phone in room.phones.values()),
        "kinds": {name: kind.title for name, kind in KINDS.items()},
        "place": room.place, "rounds": len(room.rounds), "round": round_.id, "kind": round_.kind,
        "title": room.kind.title, "step": room.step.name, "words": room.step.words,
        "task": room.step.task, "steps": len(room.kind.steps), "number": room.step_shown,
        "question": question, "result": _shown_result(room), "choices": room.choices(),
        "split": split(room, round_), "votes": len(votes), "tally": room.tally,
        "questions": [
            {"title": each["title"], "text": each["text"]} for each in room.questions()
        ] if round_.kind == "vote" and not room.step_shown and not room.review else [],
    }  # fmt: skip


def _shown_result(room: Room) -> dict[str, Any]:
    """Return the round's result, without what this step must not give away."""
    hidden = set() if room.step.name == "truth" else {"right", "words", "imagined"}
    return {name: value for name, value in room.round.result.items() if name not in hidden}


def split(room: Room, round_: Round) -> list[int]:
    """Return how many phones chose each choice."""
    counts = [0] * len(room.choices())
    for choices in room.file.votes(round_.id).values() if counts else ():
        for choice in choices:
            if choice < len(counts):
                counts[choice] += 1
    return counts


def in_sight(room: Room) -> list[Drawing]:
    """Return the drawings of the step on the screen; while a network learns, those it learns from."""
    step = 0 if room.round.kind == "train" and room.step.name == "learn" else None
    if step is None and room.kind.asks:
        step = room.step_shown
    return room.file.drawings(room.round.id, last=SHOWN, step=step)


def drawing_as_json(room: Room, drawing: Drawing) -> dict[str, Any]:
    """Return a drawing as the screen gets it: nothing of it if it is not shown."""
    found: dict[str, Any] = {"id": drawing.id, "sight": drawing.sight}
    if drawing.sight != "shown":
        return found
    return found | {
        "strokes": drawing.strokes, "reading": drawing.reading, "asked": drawing.asked,
        "name": room.called.get(drawing.phone),
    }  # fmt: skip
