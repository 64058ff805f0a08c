"""What phones can send to a class, and what they cannot."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest
from uvicorn.server import ServerState

from asgi import Answer, Client
from lanterna.surfaces.classroom import phones, server
from lanterna.surfaces.classroom import room as rooms
from lanterna.surfaces.classroom.class_file import ClassFile
from lanterna.surfaces.classroom.phones import phones_app
from lanterna.surfaces.classroom.room import Allowance, Room
from lanterna.surfaces.classroom.views import drawing_as_json, in_sight, phone_state, screen_state
from lanterna.surfaces.studio.server import Files

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

HOST = "192.168.1.20:8770"
UPGRADE = b"GET / HTTP/1.1\r\nHost: 192.168.1.20:8770\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
WEB = Files("classroom/projector.html")
ONE = [[128, 30, 128, 220]]


def phone_of(room: Room, address: str = "192.168.1.30") -> Client:
    return Client(phones_app(room, WEB, port=8770), HOST, address)


def drawing(key: str = "00000001", **changes: Any) -> dict[str, Any]:
    return {"key": key, "round": 1, "step": 0, "strokes": ONE, **changes}


def run(tmp_path: Path, work: Callable[[Room], Coroutine[Any, Any, None]], **options: bool) -> None:
    """Hold a class; in a thread, as the tests' browser has an event loop in this one."""

    def hold() -> None:
        with closing(ClassFile(tmp_path / "class.sqlite")) as file:
            asyncio.run(work(Room(file, **options)))

    with ThreadPoolExecutor(1) as thread:
        thread.submit(hold).result()


async def joined(room: Room, address: str = "192.168.1.30") -> Client:
    phone = phone_of(room, address)
    assert (await phone("POST", "/join", {"code": room.code})).status == 200
    return phone


def test_a_phone_joins_with_the_code_and_draws(tmp_path: Path) -> None:
    async def work(room: Room) -> None:
        phone = phone_of(room)
        assert (await phone("POST", "/draw", drawing())).status == 401
        assert (await phone("POST", "/join", {"code": "AAAA"})).status == 403
        answer = await phone("POST", "/join", {"code": room.code.lower()})
        assert answer.status == 200
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert (await phone("POST", "/draw", drawing())).status == 200
        assert (await phone("POST", "/draw", drawing())).status == 200  # sent again: the answer was lost
        (saved,) = room.file.drawings(1)
        assert saved.strokes == ONE
        # The page is opened again, without the code.
        assert (await phone("POST", "/join", {"code": ""})).status == 200
        assert len(room.phones) == 1

    run(tmp_path, work)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/draw", b"x" * 20_000, 413),
        ("/draw", b"[" * 10_000, 400),
        ("/draw", b"{", 400),
        ("/draw", [], 400),
        ("/draw", drawing(strokes=[]), 422),
        ("/draw", drawing(strokes=[[]]), 422),
        ("/draw", drawing(strokes=[[1]]), 422),
        ("/draw", drawing(strokes=[[1, 2, 3]]), 422),
        ("/draw", drawing(strokes=[[0, 256]]), 422),
        ("/draw", drawing(strokes=[[0, -1]]), 422),
        ("/draw", drawing(strokes=[[0.5, 1]]), 422),
        ("/draw", drawing(strokes=[[True, False]]), 422),
        ("/draw", drawing(strokes=[["0", "1"]]), 422),
        ("/draw", drawing(strokes=[[0, 1]] * 61), 422),
        ("/draw", drawing(strokes=[[0, 1] * 700, [0, 1] * 700]), 422),
        ("/draw", drawing(strokes="../../etc/passwd"), 422),
        ("/draw", drawing(key="../key"), 422),
        ("/draw", drawing(file="x.png"), 422),
        ("/draw", drawing(round=10**12), 422),
        ("/draw", drawing(round=2), 409),
        ("/draw", drawing(step=9), 409),
        ("/draw", drawing(asked=3), 409),
        ("/vote", {"round": 1, "choices": [0]}, 409),
        ("/name", {"name": "x" * 21, "agreed": True}, 422),
        ("/name", {"name": "\u202e\n", "agreed": True}, 422),
        ("/name", {"name": "\u3164", "agreed": True}, 422),
        ("/name", {"name": "\u2800 \uffa0", "agreed": True}, 422),
        ("/name", {"name": "\U0001f600", "agreed": True}, 422),
        ("/join", {"code": "X" * 9}, 422),
    ],
)
def test_what_no_page_sends_is_refused_in_one_line(tmp_path: Path, path: str, body: Any, status: int) -> None:
    async def work(room: Room) -> None:
        phone = await joined(room)
        answer = await phone("POST", path, body)
        assert answer.status == status, answer.body
        error = answer.json["error"]
        assert "\n" not in error
        assert len(error) < 200
        assert room.file.counts()["drawings"] == 0

    run(tmp_path, work)


@pytest.mark.parametrize(
    "path",
    [
        "/api/jobs", "/api/pictures", "/api/events", "/api/go", "/api/look", "/web/studio/index.html",
        "/web/theme.css", "/../class.sqlite", "/phone.js/../../studio/api.js", "/%2e%2e/class.sqlite",
        "/etc/passwd", "/theme.css/", "//theme.css", "/projector.js",
    ],
)  # fmt: skip
def test_there_is_nothing_else(tmp_path: Path, path: str) -> None:
    async def work(room: Room) -> None:
        phone = await joined(room)
        for method in ("GET", "POST", "PUT", "DELETE"):
            assert (await phone(method, path)).status in (307, 404, 405)
            assert (await phone(method, path)).status != 307 or path.endswith("/")

    run(tmp_path, work)


def test_the_page_is_all_that_it_needs(tmp_path: Path) -> None:
    async def work(room: Room) -> None:
        phone = phone_of(room)
        page = await phone("GET", "/")
        assert page.status == 200
        assert page.headers["content-type"].startswith("text/html")
        policy = page.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        for path in ("/phone.js", "/phone.css", "/theme.css"):
            assert (await phone("GET", path)).status == 200
            assert path.encode() in page.body

    run(tmp_path, work)


def test_other_sites_and_names_are_refused(tmp_path: Path) -> None:
    async def refused(answer: Answer) -> bool:
        return answer.status == 403

    async def work(room: Room) -> None:
        phone = await joined(room)
        assert await refused(await phone("POST", "/draw", drawing(), origin="http://evil.example"))
        assert await refused(await phone("POST", "/draw", drawing(), origin="null"))
        assert await refused(await phone("POST", "/draw", drawing(), sec_fetch_site="cross-site"))
        assert await refused(await phone("GET", "/", host="evil.example:8770"))
        assert await refused(await phone("GET", "/", host="192.168.1.20:80"))
        assert (await phone("POST", "/draw", drawing(), content_type="text/plain")).status == 415
        assert (await phone("POST", "/draw", drawing(), origin=f"http://{HOST}")).status == 200

    run(tmp_path, work)


def test_nobody_can_flood_the_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms.time, "monotonic", lambda: 1000.0)

    async def work(room: Room) -> None:
        phone, other = await joined(room), await joined(room)
        sent = [(await phone("POST", "/draw", drawing(f"{key:08x}"))).status for key in range(20)]
        assert sent[:4] == [200] * 4
        assert set(sent[4:]) == {429}
        assert (await other("POST", "/draw", drawing())).status == 200
        guesser = phone_of(room, "192.168.1.66")
        answers = [(await guesser("POST", "/join", {"code": "ZZZZ"})).status for _ in range(30)]
        assert answers == [403] * 20 + [429] * 10
        # It cannot even try the right one now, but who has joined is not affected.
        assert (await guesser("POST", "/join", {"code": room.code})).status == 429
        assert (await other("POST", "/join", {"code": ""})).status == 200
        room.all_joins = Allowance(0, 1)
        program = phone_of(room)
        assert (await program("POST", "/join", {"code": room.code})).status == 200
        program.cookie = ""
        assert (await program("POST", "/join", {"code": room.code})).status == 429

    run(tmp_path, work)


def test_joining_again_and_again_adds_no_rows_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms.time, "monotonic", lambda: 1000.0)
    monkeypatch.setattr(rooms, "PHONES", 5)
    monkeypatch.setattr(phones, "PHONES", 8)

    async def work(room: Room) -> None:
        program = phone_of(room)
        answers = []
        for _ in range(12):
            program.cookie = ""
            answers.append((await program("POST", "/join", {"code": room.code})).status)
        assert answers == [200] * 8 + [429] * 4
        assert room.file.counts()["phones"] == 5  # who sent nothing leaves nothing

    run(tmp_path, work)


def test_a_full_room_gives_seats_of_those_who_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "PHONES", 2)

    async def work(room: Room) -> None:
        first, second = await joined(room), await joined(room)
        present = asyncio.create_task(first("GET", "/events", until="never"))
        await asyncio.sleep(0)
        while not any(each.streams for each in room.phones.values()):
            await asyncio.sleep(0)
        third = await joined(room)  # in the seat of the second
        assert (await second("POST", "/draw", drawing())).status == 401
        assert (await first("POST", "/draw", drawing())).status == 200
        assert (await third("POST", "/draw", drawing())).status == 200
        present.cancel()

    run(tmp_path, work)


def test_a_locked_room_accepts_nothing(tmp_path: Path) -> None:
    async def work(room: Room) -> None:
        phone = await joined(room)
        room.lock(locked=True)
        assert (await phone("POST", "/draw", drawing())).status == 403
        assert (await phone_of(room)("POST", "/join", {"code": room.code})).status == 403
        assert phone_state(room, next(iter(room.phones.values())))["task"] == "wait"
        room.lock(locked=False)
        assert (await phone("POST", "/draw", drawing())).status == 200

    run(tmp_path, work)


def test_a_phone_whose_round_cannot_be_held_looks_at_the_screen(tmp_path: Path) -> None:
    async def work(room: Room) -> None:
        await joined(room)
        room.begin("hunt")
        room.change(room.round._replace(result={"note": "no network has learned to draw digits yet"}))
        state = phone_state(room, next(iter(room.phones.values())))
        assert (state["task"], state["words"]) == ("wait", "Look at the big screen")
        room.close_streams()

    run(tmp_path, work)


def test_what_no_browser_sends_prints_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def work(room: Room) -> None:
        config = server._Server(phone_of(room).app, phones.PhoneConnection, None).config
        config.load()
        for data in (b"nonsense\r\n\r\n", UPGRADE):
            connection = phones.PhoneConnection(config=config, server_state=ServerState(), app_state={})
            transport = Mock(get_extra_info=lambda name: ("192.168.1.30", 5000) if "name" in name else None)
            connection.connection_made(transport)
            connection.data_received(data)
            await asyncio.sleep(0)
            assert transport.write.called
            connection.connection_lost(None)

    run(tmp_path, work)
    assert not caplog.records  # which would be printed to the teacher's terminal


def test_a_full_disk_is_an_error_that_phones_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(room: Room) -> None:
        phone = await joined(room)
        with monkeypatch.context() as full:
            error = sqlite3.OperationalError("database or disk is full")
            full.setattr(ClassFile, "add_drawing", Mock(side_effect=error))
            answer = await phone("POST", "/draw", drawing())
        assert answer.status == 503
        assert "disk is full" in answer.json["error"]
        assert (await phone("POST", "/draw", drawing())).status == 200

    run(tmp_path, work)


@pytest.mark.parametrize("asked", [True, False])
@pytest.mark.parametrize("agreed", [True, False])
def test_a_nickname_is_saved_only_if_both_want_it(tmp_path: Path, asked: bool, agreed: bool) -> None:
    name = "<img src=x>"

    async def work(room: Room) -> None:
        phone = await joined(room)
        assert (await phone("POST", "/name", {"name": name, "agreed": agreed})).status == 200
        assert list(room.file.names().values()) == ([name] if asked and agreed else [])

    run(tmp_path, work, names=asked)


def test_a_vote_replaces_the_one_before_and_gives_nothing_away(tmp_path: Path) -> None:
    async def work(room: Room) -> None:
        phone = await joined(room)
        await phone("POST", "/draw", drawing())
        room.file.set_readings([(1, {"chances": [0.0] * 7 + [1.0, 0.0, 0.0]})])
        room.begin("vote")
        for choice in (3, 4):
            answer = await phone("POST", "/vote", {"round": 2, "choices": [choice]})
            assert answer.status == 200
        for wrong in ([10], [1, 2], [-1]):
            assert (await phone("POST", "/vote", {"round": 2, "choices": wrong})).status == 422
        state = await phone("GET", "/events", until="\n\n")
        found = json.loads(state.body.decode().partition("data: ")[2])
        assert found["choices"] == [str(digit) for digit in range(10)]
        assert found["chosen"] == [4]
        assert "right" not in state.body.decode()
        room.go(1)
        assert screen_state(room)["split"] == [0, 0, 0, 0, 1, 0, 0, 0, 0, 0]
        assert "right" not in screen_state(room)["result"]
        room.go(1)
        while room.busy:
            await asyncio.sleep(0)
        assert screen_state(room)["result"]["right"] == 7
        assert (await phone("POST", "/vote", {"round": 2, "choices": [1]})).status == 409

    run(tmp_path, work)


def test_quiet_drawings_wait_and_hidden_ones_are_gone(tmp_path: Path) -> None:
    def on_screen(room: Room) -> list[dict[str, Any]]:
        return [drawing_as_json(room, each) for each in in_sight(room)]

    async def work(room: Room) -> None:
        phone = await joined(room)
        await phone("POST", "/draw", drawing())
        assert on_screen(room) == [{"id": 1, "sight": "waiting"}]
        room.set_sight(1, "shown")
        assert on_screen(room)[0]["strokes"] == ONE
        room.set_sight(1, "hidden")
        assert on_screen(room) == []

    run(tmp_path, work, quiet=True)


def test_each_phone_is_asked_for_all_digits_in_turn(tmp_path: Path) -> None:
    async def work(room: Room) -> None:
        await joined(room)
        room.begin("train")
        (phone,) = room.phones.values()
        phone.drawings = Allowance(0, 10)
        asked = []
        for key in range(10):
            asked.append(phone_state(room, phone)["asked"])
            room.draw(phone, f"{key:08x}", 2, 0, asked[-1], ONE)
        assert sorted(asked) == list(range(10))
        assert [each.asked for each in room.file.drawings(2)] == asked

    run(tmp_path, work)


def test_the_two_styles_that_most_chose_are_painted(tmp_path: Path) -> None:
    async def work(room: Room) -> None:
        painted = []

        async def compute(*arguments: object) -> bytes:
            painted.append(arguments[2:3])
            return b"a picture"

        room.worker, room.styles = Mock(run=compute), ["woodcut", "crayon", "mosaic"]
        room.begin("style")
        for choices in ([0, 2], [2], [1, 2], [0]):
            phone = await joined(room)
            vote = {"round": room.round.id, "choices": choices}
            assert (await phone("POST", "/vote", vote)).status == 200
        assert (await phone("POST", "/vote", {**vote, "choices": [0, 1, 2]})).status == 422
        room.go(1)
        while room.busy:
            await asyncio.sleep(0)
        assert painted[-3:] == [((2, 0),), ((2,),), ((0,),)]
        names = screen_state(room)["result"]["painted"]
        assert names == {"both": "mosaic and woodcut", "first": "mosaic", "second": "woodcut"}
        assert room.file.read(room.round.id, "both.jpg") == b"a picture"

    run(tmp_path, work)
