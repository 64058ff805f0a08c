"""A class of 200 simulated phones: how long a drawing takes to the big screen, and whether any is lost.

`python benchmarks/class.py [--quick] [--seconds 600] [--phones 200]`. The phones draw, vote, drop out and
come back, while the big screen is open in a real browser and a teacher goes through the rounds. In the middle
the server is killed, and started again with the same file. All of it shares this machine's cores. Exits with
1 if a drawing is lost, or if one in twenty takes longer than half a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import bench
import psutil
from playwright.async_api import async_playwright

from lanterna.settings import networks_folder, shelf_folder
from lanterna.techniques.train.technique import open_or_train

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests" / "shared"))
from browsers import find_chromium  # noqa: E402

BETWEEN = 4.0  # seconds between a phone's drawings, on average
DROP = 0.04  # the chance to drop out after a drawing
LIMIT = 0.5  # seconds from the stroke's end to the screen
DIGITS = (
    [[128, 20, 160, 25, 200, 90, 190, 180, 128, 235, 70, 180, 60, 90, 128, 20]],
    [[128, 30, 126, 120, 124, 225]],
    [[70, 80, 110, 30, 180, 50, 170, 120, 70, 220, 200, 220]],
    [[70, 50, 130, 30, 180, 70, 160, 110, 110, 125, 170, 140, 190, 190, 130, 225, 60, 200]],
    [[90, 40, 60, 140, 200, 140], [160, 40, 155, 230]],
    [[180, 40, 90, 40, 80, 120, 150, 110, 190, 160, 150, 220, 70, 210]],
    [[160, 30, 90, 100, 70, 180, 120, 230, 180, 190, 150, 140, 80, 170]],
    [[50, 50, 200, 50, 150, 130, 110, 230]],
    [[128, 30, 180, 70, 128, 125, 70, 180, 128, 230, 185, 180, 128, 125, 75, 75, 128, 30]],
    [[180, 80, 130, 40, 80, 80, 120, 130, 180, 80, 170, 230]],
)
OBSERVE = """() => {
  window.seen = {};
  const note = (node) => {
    const tiles = node.querySelectorAll?.("[data-id]") ?? [];
    for (const each of tiles) window.seen[each.dataset.id] ??= Date.now();
  };
  new MutationObserver((changes) => {
    for (const change of changes) for (const node of change.addedNodes) note(node.parentNode ?? node);
  }).observe(document, { subtree: true, childList: true });
}"""


def curve(corners: list[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield points of a smooth curve through the corners (Catmull and Rom 1974)."""
    padded = [corners[0], *corners, corners[-1]]
    for a, b, c, d in zip(padded, padded[1:], padded[2:], padded[3:], strict=False):
        for part in range(8):
            t = part / 8
            yield tuple(
                b[i]
                + t * (c[i] - a[i]) / 2
                + t * t * (a[i] - 2.5 * b[i] + 2 * c[i] - d[i] / 2)
                + t**3 * (1.5 * (b[i] - c[i]) + (d[i] - a[i]) / 2)
                for i in (0, 1)
            )
    yield corners[-1]


class Phone:
    """One phone: a connection for requests, and a stream of events."""

    def __init__(self, number: int, port: int, code: str) -> None:
        self.random, self.port, self.code = random.Random(number), port, code
        self.cookie, self.state = "", {}
        self.pipe: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.stream: asyncio.StreamWriter | None = None  # open only as long as somebody refers to it

    async def open(
        self, method: str, path: str, body: object = None
    ) -> tuple[asyncio.StreamReader, int, dict]:
        if self.pipe is not None and self.pipe[0].at_eof():
            self.pipe = None  # idle for so long that the server has closed it: a browser notices too
        if self.pipe is None or path == "/events":
            pipe = await asyncio.open_connection("127.0.0.1", self.port)
            if path == "/events":
                self.stream = pipe[1]
            else:
                self.pipe = pipe
        else:
            pipe = self.pipe
        content = b"" if body is None else json.dumps(body).encode()
        head = f"{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{self.port}\r\ncookie: {self.cookie}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
        pipe[1].write(head.encode() + content)
        await pipe[1].drain()
        lines = (await pipe[0].readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        if "set-cookie" in headers:
            self.cookie = headers["set-cookie"].partition(";")[0]
        return pipe[0], int(lines[0].split()[1]), headers

    async def post(self, path: str, body: object) -> int:
        """Send a request and return the status; 0 if the connection broke."""
        try:
            reader, status, headers = await self.open("POST", path, body)
            await reader.readexactly(int(headers.get("content-length", 0)))
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self.pipe = None
            return 0
        if headers.get("connection") == "close":
            self.pipe = None
        return status

    async def join(self) -> None:
        while await self.post("/join", {"code": self.code}) != 200:
            await asyncio.sleep(1)

    async def listen(self) -> None:
        """Follow the events; connect again when the stream ends, as an EventSource does."""
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                reader, status, _ = await self.open("GET", "/events")
                if status == 401:
                    await self.join()
                while status == 200 and (line := await reader.readline()):
                    if line == b"event: state\r\n" or line == b"event: state\n":
                        self.state = json.loads((await reader.readline()).decode().partition("data: ")[2])
            await asyncio.sleep(1 + self.random.random())

    def drawing(self) -> dict:
        asked = self.state["asked"]
        digit = self.random.randrange(10) if asked is None else asked
        turn, size = self.random.uniform(-0.25, 0.25), self.random.uniform(0.6, 1.05)
        strokes = []
        for line in DIGITS[digit]:
            corners = [
                (x + self.random.gauss(0, 7), y + self.random.gauss(0, 7))
                for x, y in zip(line[::2], line[1::2], strict=True)
            ]
            turned = ((x - 128 - turn * (y - 128), y - 128 + turn * (x - 128)) for x, y in curve(corners))
            points = [min(255, max(0, round(128 + size * value))) for point in turned for value in point]
            strokes.append(points)
        kind = {} if asked is None else {"asked": asked}
        key = f"{self.random.getrandbits(64):016x}"
        return {
            "key": key,
            "round": self.state["round"],
            "step": self.state["step"],
            **kind,
            "strokes": strokes,
        }

    async def live(self, sent: dict[str, float], answered: dict[str, float]) -> None:
        await self.join()
        listening = asyncio.create_task(self.listen())
        voted = None
        while True:
            await asyncio.sleep(self.random.expovariate(1 / BETWEEN))
            task = self.state.get("task")
            if task == "draw":
                drawing = self.drawing()
                sent[drawing["key"]] = time.time()
                while (status := await self.post("/draw", drawing)) in (0, 429):
                    await asyncio.sleep(1)
                if status == 200:
                    answered[drawing["key"]] = time.time()
                else:
                    del sent[drawing["key"]]
            elif task == "vote" and voted != self.state["round"]:
                voted = self.state["round"]
                choices = range(len(self.state["choices"]))
                vote = {"round": voted, "choices": self.random.sample(choices, 1)}
                while not await self.post("/vote", vote):
                    await asyncio.sleep(1)
            if self.random.random() < DROP:
                listening.cancel()
                for pipe in (self.stream, self.pipe and self.pipe[1]):
                    if pipe is not None:
                        pipe.close()
                self.pipe = None
                await asyncio.sleep(self.random.uniform(3, 15))
                listening = asyncio.create_task(self.listen())


class Class:
    """The server in its own process."""

    def __init__(self, home: Path) -> None:
        self.home, self.file = home, home / "class.sqlite"
        self.port = 0

    def start(self) -> None:
        environment = {**os.environ, "LANTERNA_HOME": str(self.home), "LANTERNA_OFFLINE": "1"}
        words = ["class", str(self.file), "--no-browser", "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lanterna", *words], env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.screen = self.process.stdout.readline().strip()
        found = re.match(r"http://127.0.0.1:(\d+)/#(\w+)", self.process.stdout.readline())
        assert found is not None, self.process.communicate()
        self.port, self.code = int(found[1]), found[2]

    def kill(self) -> None:
        """Kill the server and its processes at once, as a power cut does."""
        for each in [*psutil.Process(self.process.pid).children(recursive=True), self.process]:
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                os.kill(each.pid, signal.SIGKILL)
        self.process.wait()

    def megabytes(self) -> tuple[float, float]:
        """Return the memory of the server, and of the processes that it started."""
        server = psutil.Process(self.process.pid)
        own, *others = (
            each.memory_full_info().pss / 2**20 for each in (server, *server.children(recursive=True))
        )
        return own, sum(others)


async def teach(screen: str, seconds: float) -> None:
    """Go through the rounds in `seconds`: most of the time is drawn."""
    base, _, token = screen.partition("/?token=")
    port = int(base.rpartition(":")[2])
    teacher = Phone(0, port, "")
    teacher.cookie = f"x\r\nauthorization: Bearer {token}"
    for part, path, body in (
        (0.35, "/api/begin", {"kind": "vote"}), (0.05, "/api/go", {"by": 1}), (0.02, "/api/go", {"by": 1}),
        (0.02, "/api/begin", {"kind": "train"}), (0.2, "/api/go", {"by": 1}), (0.06, "/api/go", {"by": 1}),
        (0.1, "/api/begin", {"kind": "fool"}),
    ):  # fmt: skip
        await asyncio.sleep(part * seconds)
        while not (status := await teacher.post(path, body)):
            pass  # the idle connection was closed: another one
        bench.say(f"{path} {body}: {status}")


async def hold(server: Class, seconds: float, count: int) -> dict:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        page = await browser.new_page(viewport={"width": 1920, "height": 1080}, color_scheme="dark")
        await page.add_init_script(f"({OBSERVE})()")
        await page.goto(server.screen)
        await page.locator(".code").wait_for()
        sent, answered = {}, {}
        phones = [Phone(number, server.port, server.code) for number in range(1, count + 1)]
        living = [asyncio.create_task(each.live(sent, answered)) for each in phones]
        begun, memory = time.time(), []
        measuring = asyncio.create_task(measure(server, page, seconds / 10, memory))
        await asyncio.sleep(0.25 * seconds)
        bench.say("killed")
        killed = time.time()
        server.kill()
        await asyncio.to_thread(server.start)
        back = time.time()
        bench.say(f"back after {back - killed:.1f} s")
        teaching = asyncio.create_task(teach(server.screen, 0.7 * seconds))
        await asyncio.sleep(max(0, begun + seconds - time.time()))
        measuring.cancel()
        for each in living:
            if each.done():
                each.result()  # raises what ended it
            each.cancel()
        await teaching
        await asyncio.sleep(3)
        await page.screenshot(path=ROOT / "build" / "class.png")
        seen = await page.evaluate("window.seen")
        await browser.close()
    server.process.send_signal(signal.SIGINT)
    server.process.wait(20)
    return {
        "sent": sent, "answered": answered, "seen": seen, "memory": memory, "away": (killed, back),
        "begun": begun,
    }  # fmt: skip


async def measure(server: Class, page, every: float, memory: list) -> None:
    """Note the memory and the processor time of the server and its processes, and the page's heap."""
    while True:
        await asyncio.sleep(every)
        with contextlib.suppress(psutil.Error):  # killed just now
            heap = await page.evaluate("performance.memory.usedJSHeapSize")
            memory.append((*server.megabytes(), heap / 2**20))


def percentiles(values: list[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile."""
    ordered = sorted(values)
    return ordered[len(ordered) // 2], ordered[int(0.95 * len(ordered))]


def main() -> int:
    given = bench.options(__doc__, seconds=(600.0, 60.0), phones=(200, 200))
    open_or_train("conv", device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "networks").symlink_to(networks_folder())
        (home / "shelf").symlink_to(shelf_folder())
        server = Class(home)
        server.start()
        found = asyncio.run(hold(server, given.seconds, given.phones))
        with contextlib.closing(sqlite3.connect(server.file)) as database:
            rows = database.execute("SELECT key, id, reading, round, step FROM drawings").fetchall()
        saved = {key: number for key, number, *_ in rows}
        lost = found["answered"].keys() - saved.keys()
        killed, back = found["away"]
        seen = {int(number): at / 1000 for number, at in found["seen"].items()}
        waits = [
            (at, seen[saved[key]] - at)
            for key, at in found["sent"].items()
            if key in saved and saved[key] in seen and not killed - 1 < at < back + 5
        ]
        p50, p95 = percentiles([wait for _, wait in waits])
        print(f"drawings answered: {len(found['answered'])}, lost: {len(lost)}")
        print(f"drawings saved: {len(saved)}, read: {sum(row[2] is not None for row in rows)}")
        print(f"seen on the screen: {len(waits)} (apart from the {back - killed:.1f} s without a server)")
        print(f"from the stroke's end to the screen: median {1000 * p50:.0f} ms, p95 {1000 * p95:.0f} ms")
        for part in range(10):
            begin, end = (found["begun"] + given.seconds * each / 10 for each in (part, part + 1))
            during = [wait for at, wait in waits if begin <= at < end]
            if during:
                median, slow = (1000 * each for each in percentiles(during))
                print(f"  {part}0 %: {len(during)} drawings, median {median:.0f} ms, p95 {slow:.0f} ms")
        for place, name in enumerate(("server", "child processes", "page")):
            print(f"memory of the {name}, MB:", *(f"{each[place]:.0f}" for each in found["memory"]))
        shutil.copy(server.file, ROOT / "build" / "class.sqlite")
    return int(bool(lost) or p95 > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
