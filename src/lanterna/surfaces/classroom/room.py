"""The room: its phones, its rounds, and what the screen and the phones show.

Only the event loop's thread uses it. Every change is saved in the class's file first.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import sqlite3
import time
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.exceptions import HTTPException

from lanterna.errors import LanternaError, describe
from lanterna.surfaces.classroom import compute
from lanterna.surfaces.classroom.class_file import Drawing, Round
from lanterna.surfaces.classroom.rounds import CERTAIN, KINDS, PICTURES, SHOWN, TARGET, Kind, Step
from lanterna.surfaces.classroom.views import (
    answer,
    drawing_as_json,
    in_sight,
    percent,
    phone_state,
    screen_state,
)
from lanterna.surfaces.classroom.work import WORK
from lanterna.surfaces.studio.isolated import IsolatedProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from lanterna.surfaces.classroom.class_file import ClassFile, Sight, Strokes

PHONES = 220
"""Seats in the room."""
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"  # no vowels, so that no code is a word
_MAX_DRAWINGS = 50_000  # of a class: some 50 MB
_STREAMS = 2  # of a phone: its page, and the same page opened again
_BATCH = 64
_SECONDS_BETWEEN_EVENTS, _HEARTBEAT = 0.05, 15.0
_SECONDS = 60.0  # for a call in a child process, after which it is killed


class Allowance:
    """A token bucket: `rate` a second on average, and up to `burst` at once."""

    def __init__(self, rate: float, burst: int) -> None:
        self.rate, self.burst, self.left, self.then = rate, burst, float(burst), time.monotonic()

    def available(self) -> bool:
        """Return whether there is one."""
        now = time.monotonic()
        self.left = min(self.burst, self.left + (now - self.then) * self.rate)
        self.then = now
        return self.left >= 1

    def take(self) -> bool:
        """Use one, and return whether there was one."""
        found = self.available()
        self.left -= found
        return found


class Listener:
    """An open event stream, and what it has to send: the state, drawings, or how one was read."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.state, self.reset, self.closed = True, True, False
        self.drawings: dict[int, Drawing] = {}
        self.reading: dict[str, object] | None = None

    async def wait(self) -> bool:
        """Wait until there is something to send; return False after a while without."""
        try:
            await asyncio.wait_for(self.wake.wait(), _HEARTBEAT)
        except TimeoutError:
            return False
        await asyncio.sleep(_SECONDS_BETWEEN_EVENTS)
        self.wake.clear()
        return True


class Phone:
    """A phone that has joined, by its number; what it may still send, and its open streams."""

    def __init__(self, number: int, sent: int = 0) -> None:
        self.number, self.sent = number, sent
        self.drawings, self.votes = Allowance(0.8, 4), Allowance(2, 6)
        self.streams: list[Listener] = []
        self.seen = time.monotonic()


class Room:
    """A class that is held, or one that was held (`review`): then it is only looked at.

    With `quiet`, a drawing waits until the teacher shows it; with `names`, phones may give a nickname.
    `photo` is the teacher's photograph. `address` is where phones reach the room.
    """

    def __init__(
        self, file: ClassFile, *, quiet: bool = False, names: bool = False, photo: Path | None = None,
        review: bool = False,
    ) -> None:  # fmt: skip
        self.file, self.quiet, self.names, self.review, self.photo = file, quiet, names, review, photo
        self.address = ""
        self.code = file.fact("code", "".join(secrets.choice(_LETTERS) for _ in range(4)))
        self.locked = self.closing = False
        self.trouble = ""
        self.screens: set[Listener] = set()
        self.all_drawings, self.all_joins = Allowance(150, 400), Allowance(5, 300)
        sent = file.sent()
        self.phones = {secret: Phone(number, sent.get(number, 0)) for secret, number in file.phones().items()}
        self.called = file.names()
        self.drawings = sum(sent.values())
        if not file.rounds():
            file.add_round("draw", {})
        self.rounds = file.rounds()
        self.place = 0 if review else len(self.rounds) - 1
        self.step_shown = self._first_step(0) if review else self.round.step
        self._about_drawing: list[dict[str, Any]] = []
        self._lessons: list[dict[str, Any]] = []
        self.styles: list[str] = []
        self._unread: asyncio.Queue[Drawing] = asyncio.Queue()
        self._tasks: set[asyncio.Task[None]] = set()
        self._work: asyncio.Task[None] | None = None
        self._count()

    async def open(self) -> None:
        """Start the child processes, read what has not been read, and begin the current step."""
        self.reader, self.worker = IsolatedProcess(_SECONDS), IsolatedProcess(_SECONDS)
        for drawing in self.file.unread():
            self._unread.put_nowait(drawing)
        if not self.review:
            self.reader.submit(compute.warm_up)
        self._choose_drawing()
        self._background(self._read_drawings())
        self._background(self._prepare())
        self._enter()

    async def close(self) -> None:
        """End the child processes."""
        for task in self._tasks:
            task.cancel()
        self.reader.close()
        self.worker.close()

    def close_streams(self) -> None:
        """End the event streams, so that the servers can stop."""
        self.closing = True
        for listener in self._listeners():
            listener.wake.set()

    # Rounds.

    @property
    def round(self) -> Round:
        """The round on the screen."""
        return self.rounds[self.place]

    @property
    def kind(self) -> Kind:
        """The kind of the round on the screen."""
        return KINDS[self.round.kind]

    @property
    def step(self) -> Step:
        """The step on the screen."""
        return self.kind.steps[self.step_shown]

    @property
    def busy(self) -> bool:
        """Whether something is computed that the next step needs: not while phones still choose."""
        return self.step.task == "wait" and self._work is not None and not self._work.done()

    def go(self, by: int) -> None:
        """Go on to the next step, or back; after the last step comes the next round."""
        if self.busy:
            return
        step = self.step_shown + by
        if (self._first_step(self.place) if self.review else 0) <= step < len(self.kind.steps):
            self._show(self.place, step)
        elif by < 0 and self.place:
            self._show(self.place - 1, len(KINDS[self.rounds[self.place - 1].kind].steps) - 1)
        elif by > 0 and self.place + 1 < len(self.rounds):
            self._show(self.place + 1, self._first_step(self.place + 1))
        elif by > 0 and not self.review:
            kinds = list(KINDS)
            self.begin(kinds[(kinds.index(self.round.kind) + 1) % len(kinds)])

    def begin(self, kind: str) -> None:
        """Begin a new round. Errors: `KeyError` if there is no such kind."""
        if kind not in KINDS:
            raise KeyError(kind)
        if self.review:
            raise HTTPException(409, "this class is over")
        self._choose_drawing()
        question = self.questions()[:1] if kind == "vote" else []
        self.file.add_round(kind, question[0] if question else {})
        self.rounds = self.file.rounds()
        self._show(len(self.rounds) - 1, self._first_step(len(self.rounds) - 1))

    def _first_step(self, place: int) -> int:
        """Return the first step of a round: who has drawn has joined, and joins no more."""
        joins = KINDS[self.rounds[place].kind].steps[0].name == "join"
        return int(joins and (self.review or self.drawings > 0))

    def _show(self, place: int, step: int) -> None:
        if self._work is not None:
            self._work.cancel()
            self._work = None
        self.place, self.step_shown = place, step
        if not self.review and step != self.round.step:
            self.change(self.round._replace(step=step))
        self._enter()
        for screen in self.screens:
            screen.reset = True
        self._notify()

    def change(self, round_: Round) -> None:
        """Save a round that has changed."""
        self.rounds[[each.id for each in self.rounds].index(round_.id)] = round_
        if not self.review:
            self.file.set_round(round_)

    def _enter(self) -> None:
        """Begin to compute what the step on the screen shows."""
        self._count()
        work = WORK.get((self.round.kind, self.step.name))
        if work is not None and not self.review:
            self._work = self._background(self._report(self.round, work))

    async def _report(self, round_: Round, work: Callable[[Room, Round], Awaitable[dict[str, Any]]]) -> None:
        """Run the work of a step; an error becomes a note on the screen."""
        try:
            result = await work(self, round_)
        except BrokenProcessPool:
            result = {"note": "this took too long, and was stopped: go back, and try again"}
        except (LanternaError, KeyError) as error:
            result = {"note": str(error)}
        before = {name: value for name, value in round_.result.items() if name != "note"}
        self.change(self.current(round_)._replace(result=before | result))
        self._work = None
        self._notify()

    def current(self, round_: Round) -> Round:
        """Return a round as it is now."""
        return next(each for each in self.rounds if each.id == round_.id)

    # Vote.

    async def _prepare(self) -> None:
        """Load the questions of the lessons, and the names of the styles."""
        self._lessons = await self.worker.run(compute.questions)
        self.styles = await self.worker.run(compute.style_names)
        if self.round.kind == "vote" and not self.round.question and not self.review:
            self.ask(0)
        self._notify()

    def _choose_drawing(self) -> None:
        """Choose the drawing that can be asked about."""
        drawing = self.file.least_certain()
        self._about_drawing = [_about(drawing)] if drawing else []

    def questions(self) -> list[dict[str, Any]]:
        """Return what can be asked: about a drawing, if there is one, and the lessons' questions."""
        return [*self._about_drawing, *self._lessons]

    def ask(self, number: int) -> None:
        """Ask another question of `questions`. Errors: `IndexError` if there is none, 409 after the vote."""
        if self.round.kind != "vote" or self.step_shown or self.review:
            raise HTTPException(409, "another question can only be asked before the split is shown")
        question = self.questions()[number]
        if question != self.round.question:
            self.file.clear_votes(self.round.id)
            self.change(self.round._replace(question=question, result={}))
            self._notify()

    # Phones.

    def join(self, code: str, secret: str | None) -> tuple[Phone, str | None]:
        """Return the phone with this id, or a new one and its id.

        Errors: 403 for a wrong code or a locked room, 429 if too many join, 503 if all seats are taken.
        """
        known = self.phone(secret)
        if known is not None:
            return known, None
        if not secrets.compare_digest(code.strip().upper().encode(), self.code.encode()):
            raise HTTPException(403, "this is not the code: the big screen shows it")
        if self.locked:
            raise HTTPException(403, "the room is locked")
        if not self.all_joins.take():
            raise HTTPException(429, "too many join at once: wait a moment", {"retry-after": "2"})
        if len(self.phones) >= PHONES:
            gone = [(phone.seen, key) for key, phone in self.phones.items() if not phone.streams]
            if not gone:
                raise HTTPException(503, f"the room is full: it has {PHONES} seats")
            self.file.forget_phone(self.phones.pop(min(gone)[1]).number)
        secret = secrets.token_hex(16)
        phone = Phone(self.file.add_phone(_hash(secret)))
        self.phones[_hash(secret)] = phone
        self.notify_screens()
        return phone, secret

    def phone(self, secret: str | None) -> Phone | None:
        """Return the phone with this id, or None."""
        phone = self.phones.get(_hash(secret)) if secret else None
        if phone is not None:
            phone.seen = time.monotonic()
        return phone

    def name(self, phone: Phone, name: str) -> None:
        """Save a nickname, if names were asked for."""
        if self.names:
            self.called[phone.number] = name
            self.file.set_name(phone.number, name)

    def draw(
        self, phone: Phone, key: str, round_id: int, step: int, asked: int | None, strokes: Strokes
    ) -> None:
        """Save a drawing; a `key` that this phone has sent before is the same drawing.

        Errors: 403 if the room is locked, 409 if nothing is drawn in that step, 429 if it sends too much.
        """
        round_ = next((each for each in self.rounds if each.id == round_id), None)
        steps = KINDS[round_.kind].steps if round_ else ()
        if round_ is None or step >= len(steps) or steps[step].task != "draw":
            raise HTTPException(409, "nothing is drawn at the moment")
        if (asked is None) == KINDS[round_.kind].asks:
            raise HTTPException(409, "asked: expected the digit that was asked for")
        if self.locked:
            raise HTTPException(403, "the room is locked")
        if not (phone.drawings.take() and self.all_drawings.take()) or self.drawings >= _MAX_DRAWINGS:
            raise HTTPException(429, "that was quick: wait a moment", {"retry-after": "2"})
        sight: Sight = "waiting" if self.quiet else "shown"
        number = self.file.add_drawing(round_._replace(step=step), phone.number, key, asked, strokes, sight)
        if number is None:
            return
        self.drawings, phone.sent = self.drawings + 1, phone.sent + 1
        drawing = Drawing(number, round_id, step, phone.number, asked, strokes, None, sight)
        self.tally["drawn"] += (round_id, step) == (self.round.id, self.step_shown)
        self._unread.put_nowait(drawing)
        self._show_drawing(drawing)
        self._notify_phone(phone)

    def vote(self, phone: Phone, round_id: int, choices: list[int]) -> None:
        """Save a vote. Errors: 403 if the room is locked, 409 if nothing is voted on, 422, 429."""
        if self.step.task != "vote" or self.round.id != round_id or self.review:
            raise HTTPException(409, "nothing is voted on at the moment")
        if self.locked:
            raise HTTPException(403, "the room is locked")
        count, most = len(self.choices()), self.most
        if len(set(choices)) != len(choices) or len(choices) > most or any(each >= count for each in choices):
            raise HTTPException(422, f"choices: expected up to {most} different ones, from 0 to {count - 1}")
        if not phone.votes.take():
            raise HTTPException(429, "that was quick: wait a moment", {"retry-after": "1"})
        self.file.vote(round_id, phone.number, sorted(choices))
        self.notify_screens()

    def choices(self) -> list[str]:
        """Return what can be chosen in the round on the screen."""
        match self.round.kind:
            case "vote":
                return list(self.round.question.get("choices", ()))
            case "style":
                return self.styles
            case "hunt":
                return [str(number + 1) for number in range(PICTURES)]
        return []

    @property
    def most(self) -> int:
        """How many choices a phone has."""
        return {"style": 2, "hunt": PICTURES}.get(self.round.kind, 1)

    # The teacher's.

    def lock(self, *, locked: bool) -> None:
        """Lock the room: nobody joins and nothing is accepted; or unlock it."""
        self.locked = locked
        self._notify()

    def set_sight(self, drawing_id: int, sight: Sight) -> None:
        """Show or hide a drawing. Errors: `KeyError` if there is none."""
        drawing = self.file.drawing(drawing_id)
        self.file.set_sight(drawing_id, sight)
        self._count()
        self._show_drawing(drawing._replace(sight=sight))

    def show_waiting(self) -> None:
        """Show all drawings of the round that wait."""
        for drawing in self.file.waiting(self.round.id):
            self.file.set_sight(drawing.id, "shown")
            self._show_drawing(drawing._replace(sight="shown"))

    async def look(self, drawing_id: int) -> str:
        """Return the look page of a drawing. Errors: `KeyError`, and those of a child process."""
        drawing = self.file.drawing(drawing_id)
        return await self.worker.run(compute.look, drawing.strokes, "a drawing of this class")

    # Reading.

    async def _read_drawings(self) -> None:
        """Read drawings as they come: each batch is what arrived while the one before was read."""
        while True:
            batch = [await self._unread.get()]
            while not self._unread.empty() and len(batch) < _BATCH:
                batch.append(self._unread.get_nowait())
            tests = [each for each in batch if self._is_test(each)]
            for drawings in ([each for each in batch if each not in tests], tests):
                if drawings:
                    readings = await self._read(drawings)
                    try:
                        self.file.set_readings(zip([each.id for each in drawings], readings, strict=True))
                    except sqlite3.Error as error:  # the disk is full: they are read again by the next start
                        self.trouble = f"the class's file cannot be written: {error}"
                    for drawing, reading in zip(drawings, readings, strict=True):
                        self._show_reading(drawing._replace(reading=reading))

    async def _read(self, drawings: list[Drawing]) -> list[dict[str, Any]]:
        """Return how drawings are read; an empty reading for one that cannot be."""
        own = None
        if self._is_test(drawings[0]):
            own = self.file.read(drawings[0].round, "network.safetensors")
        try:
            return await self.reader.run(compute.read, [each.strokes for each in drawings], own)
        except (BrokenProcessPool, LanternaError, ValueError, RuntimeError) as error:
            if len(drawings) == 1:
                self.trouble = f"a drawing could not be read: {describe(error)}"
                return [{}]
            return [(await self._read([each]))[0] for each in drawings]

    def _is_test(self, drawing: Drawing) -> bool:
        round_ = next(each for each in self.rounds if each.id == drawing.round)
        return bool(KINDS[round_.kind].asks and drawing.step and round_.result.get("learned"))

    def _show_reading(self, drawing: Drawing) -> None:
        if drawing.round == self.round.id:
            drawing = drawing._replace(sight=self.file.drawing(drawing.id).sight)  # hidden meanwhile?
            self._add(drawing)
            self._show_drawing(drawing)
        phone = next((each for each in self.phones.values() if each.number == drawing.phone), None)
        if phone is not None and drawing.reading:
            chances = drawing.reading["chances"]
            for stream in phone.streams:
                stream.reading = {
                    "digit": answer(chances), "percent": percent(chances),
                    "round": drawing.round, "step": drawing.step,
                }  # fmt: skip
                stream.wake.set()

    def _count(self) -> None:
        """Count again how the drawings of this step were read."""
        self.tally: dict[str, int] = {"drawn": 0}
        for drawing in self.file.drawings(self.round.id):
            self.tally["drawn"] += drawing.step == self.step_shown and drawing.sight != "hidden"
            self._add(drawing)

    def _add(self, drawing: Drawing) -> None:
        """Count how a drawing was read, if it is one of this step."""
        if drawing.sight == "hidden" or drawing.step != self.step_shown or not drawing.reading:
            return
        chances, own = drawing.reading["chances"], drawing.reading.get("own")
        counted = {
            "read": True,
            "certain": max(chances) >= CERTAIN,
            "fooled": answer(chances) == TARGET and max(chances) >= CERTAIN,
            "right": answer(chances) == drawing.asked,
            "own_right": own is not None and answer(own) == drawing.asked,
        }
        for name, true in counted.items():
            self.tally[name] = self.tally.get(name, 0) + true

    # Events.

    async def screen_events(self) -> AsyncIterator[str]:
        """Yield the events of a screen: its `state`, and `drawings` as they come."""
        listener = Listener()
        self.screens.add(listener)
        try:
            while not self.closing:
                if listener.state:
                    listener.state = False
                    yield _event("state", screen_state(self))
                if listener.reset:
                    listener.reset = False
                    listener.drawings.clear()
                    drawings = in_sight(self)
                    yield _event(
                        "drawings",
                        {"all": True, "drawings": [*map(partial(drawing_as_json, self), drawings)]},
                    )
                if listener.drawings:
                    drawings, listener.drawings = list(listener.drawings.values()), {}
                    yield _event("drawings", {"drawings": [*map(partial(drawing_as_json, self), drawings)]})
                if not await listener.wait():
                    yield ": still here\n\n"
        finally:
            self.screens.discard(listener)

    async def phone_events(self, phone: Phone) -> AsyncIterator[str]:
        """Yield the events of a phone: its `state`, and the `reading` of what it drew."""
        listener = Listener()
        phone.streams.append(listener)
        for stream in phone.streams[:-_STREAMS]:
            stream.closed = True
            stream.wake.set()
        self.notify_screens()
        try:
            while not (self.closing or listener.closed):
                if listener.state:
                    listener.state = False
                    yield _event("state", phone_state(self, phone))
                if listener.reading is not None:
                    reading, listener.reading = listener.reading, None
                    yield _event("reading", reading)
                if not await listener.wait():
                    yield ": still here\n\n"
        finally:
            phone.streams.remove(listener)
            phone.seen = time.monotonic()
            self.notify_screens()

    def _show_drawing(self, drawing: Drawing) -> None:
        late = self.kind.asks and drawing.step != self.step_shown and drawing.sight != "hidden"
        if drawing.round == self.round.id and not late:
            for screen in self.screens:
                screen.drawings[drawing.id] = drawing
                if len(screen.drawings) > SHOWN:  # the others would be replaced at once
                    screen.drawings.pop(next(iter(screen.drawings)))
        self.notify_screens()

    def _notify(self) -> None:
        self.notify_screens()
        for phone in self.phones.values():
            self._notify_phone(phone)

    def notify_screens(self) -> None:
        """Send all screens the state, which has changed."""
        for screen in self.screens:
            screen.state = True
            screen.wake.set()

    @staticmethod
    def _notify_phone(phone: Phone) -> None:
        for stream in phone.streams:
            stream.state = True
            stream.wake.set()

    def _listeners(self) -> Iterator[Listener]:
        yield from self.screens
        for phone in self.phones.values():
            yield from phone.streams

    def _background(self, work: Any) -> asyncio.Task[None]:  # noqa: ANN401  (a coroutine)
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.trouble = f"start the class again: {describe(error)}"
            self.notify_screens()


def _about(drawing: Drawing) -> dict[str, Any]:
    """Return the question how a drawing is read."""
    text, choices = "What will the network read?", [str(digit) for digit in range(10)]
    return {"drawing": drawing.id, "title": "A drawing", "text": text, "choices": choices}


def _event(name: str, data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data, separators=(',', ':'))}\n\n"


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()
