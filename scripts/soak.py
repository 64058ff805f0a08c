"""The studio under mixed work for half an hour: whether its memory, its files and its processes stay few.

    python scripts/soak.py [--minutes 30] [--seed 0] [--megabytes-an-hour 60]

People draw and have it read, classify, dream, style, paint, do lessons, look, turn pages of the gallery, open
and close pages, stop their jobs and ask for nonsense, all at once. Every five seconds the memory and the open
files of the server, its worker, its decoder and its reader are noted. In its first third a studio fills its
caches; after that the slope of its memory (Theil and Sen: the median of all slopes) has a bound. Exit code 1
where it is above that, where files stay open, a process is left or a zombie, a temporary file is left, or
anything was answered with an error of the server's own. Needs Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import itertools
import json
import os
import random
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from lanterna import shelf
from lanterna.settings import networks_folder, shelf_folder
from lanterna.techniques.train.technique import open_or_train

ROOT = Path(__file__).parent.parent
sys.path += [str(ROOT / "tests" / "shared"), str(ROOT / "benchmarks")]
from studio import drawings  # noqa: E402

from served import Server  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable

EVERY = 5.0
QUIET = 12.0
JOBS: dict[str, dict[str, object]] = {
    "dream": {"layer": "block5", "steps": 4, "octaves": 2, "size": 192},
    "style": {"size": 96, "steps": 10},
    "instant": {},
    "paint": {"steps": 150, "size": 96},
    "random": {"width": 96, "height": 96},
    "feature": {},
}
ROLES = {"dream": ("picture",), "style": ("picture", "style"), "instant": ("picture", "style")}


class People:
    """What people do, each in a thread of their own, until they are told to stop."""

    def __init__(self, served: Server, seed: int) -> None:
        self.served, self.seed = served, seed
        self.end = threading.Event()
        self.done: Counter[str] = Counter()
        self.wrong: list[str] = []
        photographs = shelf.need("photographs")
        self.files = [photographs / name for name in ("chelsea.png", "coffee.png", "astronaut.png")]
        self.digits = drawings(30)
        self.pictures = [served.send(each)["id"] for each in self.files]
        self.lessons = [each["name"] for each in served("GET", "/api/lessons")]

    def ask(self, method: str, path: str, body: object = None, **options: object) -> tuple[int, bytes]:
        """Ask, and note what the server says is its own fault."""
        status, content, _ = self.served.request(method, path, body, **options)
        if status >= 500:
            self.wrong.append(f"{method} {path}: {status} {content[:200]!r}")
        return status, content

    def start(self) -> list[threading.Thread]:
        """Begin, all of them."""
        does = (self.draw, self.draw, self.jobs, self.gallery, self.pages, self.nonsense, self.learn)
        threads = [threading.Thread(target=self._keep_on, args=(each, n)) for n, each in enumerate(does)]
        for each in threads:
            each.start()
        return threads

    def _keep_on(self, act: Callable[[random.Random], None], number: int) -> None:
        chance = random.Random(self.seed * 100 + number)
        while not self.end.is_set():
            try:
                act(chance)
                self.done[act.__name__] += 1
            except Exception as error:
                self.wrong.append(f"{act.__name__}: {type(error).__name__}: {error}"[:300])
            self.end.wait(chance.uniform(0.1, 0.8))

    def draw(self, chance: random.Random) -> None:
        """Draw a digit, which is read after every stroke; now and then a photograph is classified."""
        png = {"headers": {"Content-Type": "image/png"}}
        for drawing in chance.choice(self.digits):
            self.ask("POST", "/api/read?surface=pad&cut=0", drawing, **png)
        self.ask("POST", "/api/read?surface=pad&why=1", drawing, **png)
        if chance.random() < 0.2:
            self.ask("POST", "/api/classify", chance.choice(self.files).read_bytes(), **png)
        if chance.random() < 0.1:
            self.ask("POST", "/api/read/steps", drawing, **png)

    def jobs(self, chance: random.Random) -> None:
        """Start a job; change it, pause it, stop it or let it be made; forget it sometimes."""
        kind = chance.choice(list(JOBS))
        notes = [{"role": each, "picture": chance.choice(self.pictures)} for each in ROLES.get(kind, ())]
        if kind == "paint":
            notes = [{"role": "picture", "picture": chance.choice(self.pictures)}]
        settings = {**JOBS[kind], "seed": chance.randrange(10**6)}
        if kind == "feature":
            settings = {"layer": "block5", "channel": chance.randrange(20), "size": 128, "steps": 8}
        status, content = self.ask("POST", "/api/jobs", {"kind": kind, "settings": settings, "inputs": notes})
        if status != 201:
            self.done[f"refused {kind}"] += 1
            return
        job = json.loads(content)["id"]
        time.sleep(chance.uniform(0, 1.5))
        for act in chance.choice(((), (), ("stopped",), ("paused", "running"), ("paused", "stopped"))):
            self.ask("PATCH", f"/api/jobs/{job}", {"state": act})
            time.sleep(chance.uniform(0, 0.5))
        found = self.served.wait(job)
        self.done[f"{kind} {found['state']}"] += 1
        if found["state"] == "failed":
            self.wrong.append(f"{kind}: {found['error']}")
        self.ask("GET", f"/api/jobs/{job}/numbers")
        if chance.random() < 0.5:
            self.ask("DELETE", f"/api/jobs/{job}")

    def gallery(self, chance: random.Random) -> None:
        """Turn a page, look at what is on it, star, delete, take back, and take some away as a zip or PDF."""
        _, content = self.ask("GET", f"/api/gallery?limit={chance.choice((5, 60))}")
        found = json.loads(content)
        for picture in found[:4]:
            self.ask("GET", f"/api/pictures/{picture['id']}/thumbnail")
            self.ask("GET", f"/api/pictures/{picture['id']}/file")
        if found:
            chosen = chance.choice(found)["id"]
            self.ask("PATCH", f"/api/gallery/{chosen}", {"starred": chance.random() < 0.5})
            self.ask("DELETE", f"/api/gallery/{chosen}")
            if chance.random() < 0.7:
                self.ask("POST", f"/api/gallery/{chosen}/restore")
            if chance.random() < 0.1:
                ids = ",".join(picture["id"] for picture in found[:12])
                self.ask("GET", f"/api/gallery/{chance.choice(('export.zip', 'sheet.pdf'))}?ids={ids}")

    def pages(self, chance: random.Random) -> None:
        """Open a few pages' event streams, listen for a moment, and close them, some without a word."""
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(self.served.events()) for _ in range(chance.randint(1, 5))]
            for stream in streams:
                next(stream)
            time.sleep(chance.uniform(0, 2))
        self.ask("GET", "/api/look?network=conv")

    def nonsense(self, chance: random.Random) -> None:
        """Ask for what there is not, in ways that are not asked in."""
        nobody = "0" * 32
        self.ask("GET", f"/api/jobs/{chance.choice((nobody, '..', 'x' * 3000))}")
        self.ask("POST", "/api/jobs", chance.choice((b"{", b"[]", b'{"kind": 3}', b"\xff" * 99)))
        self.ask("POST", "/api/jobs", {"kind": "dream", "settings": {"steps": -1}})
        self.ask("POST", "/api/pictures", chance.randbytes(3000), headers={"Content-Type": "image/png"})
        self.ask("POST", "/api/classify", chance.randbytes(300), headers={"Content-Type": "image/png"})
        self.ask("POST", f"/api/lessons/{chance.choice(self.lessons)}", {"seed": "x"})
        self.ask("PATCH", f"/api/gallery/{nobody}", {"starred": True}, token=None)
        self.ask("GET", "/api/jobs", headers={"Host": "evil.example"})
        with socket.create_connection(("127.0.0.1", self.served.port)) as half:  # and goes away
            half.sendall(b"POST /api/pictures HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nab")
        with contextlib.suppress(http.client.HTTPException, OSError):
            connection = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=5)
            connection.request("BREW", "/%00%ff//..", headers={"Cookie": "x" * 2000})
            connection.getresponse().read()
            connection.close()

    def learn(self, chance: random.Random) -> None:
        """Do a quick lesson, and answer an exercise."""
        name = chance.choice(self.lessons)
        self.ask("POST", f"/api/lessons/{name}", {"seed": chance.randrange(1000)})
        self.ask("POST", f"/api/lessons/{name}/check", {"exercise": 1, "answer": chance.random()})
        time.sleep(chance.uniform(0, 1))


class Watch:
    """Notes, every few seconds, what the studio's processes hold."""

    def __init__(self, served: Server) -> None:
        self.served = served
        self.notes: list[tuple[float, dict[str, float], dict[str, int]]] = []
        self.pids: dict[str, set[int]] = {}
        self.zombies = 0

    def processes(self) -> dict[str, int]:
        """The studio's processes by what they are."""
        workers = self.served.workers()
        readers = [each for each in self.served.processes() if each not in workers]
        found = [("server", self.served.process.pid)]
        found += [("worker", pid) for pid in workers]
        found += zip(("decoder", "reader"), sorted(readers), strict=False)  # pictures are sent first
        return dict(found)

    def note(self) -> None:
        """Note it once."""
        memory, files = {}, {}
        for name, pid in self.processes().items():
            with contextlib.suppress(OSError):
                memory[name] = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
                files[name] = open_files(pid)
                self.pids.setdefault(name, set()).add(pid)
        self.zombies += len(zombies(self.served.process.pid))
        self.notes.append((time.monotonic(), memory, files))

    def slope(self, name: str) -> float:
        """Megabytes an hour after the first third: the median of the slopes between all notes."""
        first, last = self.notes[0][0], self.notes[-1][0]
        kept = [(at, memory[name]) for at, memory, _ in self.notes
                if name in memory and at > first + (last - first) / 3]  # fmt: skip
        slopes = [(b - a) / (there - here) for (here, a), (there, b) in itertools.combinations(kept, 2)]
        return statistics.median(slopes) * 3600


def open_files(pid: int) -> int:
    """How many files and connections a process has open."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def zombies(parent: int) -> list[int]:
    """The children of a process that have ended and were not waited for."""
    found = []
    for each in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, mother = each.read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(mother) == parent:
                found.append(int(each.parent.name))
    return found


def main() -> int:
    """Soak it, and tell."""
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--minutes", type=float, default=30)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--megabytes-an-hour", type=float, default=60, help="what memory may grow by")
    given = words.parse_args()
    open_or_train("conv", device="cpu")
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        home, temporary = Path(name) / "home", Path(name) / "tmp"
        home.mkdir()
        temporary.mkdir()
        shutil.copytree(networks_folder(), home / "networks")
        (home / "shelf").symlink_to(shelf_folder().resolve(), target_is_directory=True)
        os.environ["TMPDIR"] = str(temporary)
        served = Server(home)
        people, watch = People(served, given.seed), Watch(served)
        begun, quiet = time.monotonic(), {}
        for part in (
            given.minutes / 3,
            given.minutes * 2 / 3,
        ):  # and a rest after each, to count what is open
            threads = people.start()
            end = time.monotonic() + part * 60
            while time.monotonic() < end:
                watch.note()
                time.sleep(EVERY)
            people.end.set()
            for each in threads:
                each.join()
            people.end.clear()
            time.sleep(QUIET)
            before, quiet = quiet, {pid: open_files(pid) for pid in watch.processes().values()}
        minutes = (time.monotonic() - begun) / 60
        processes = watch.processes()
        if served.process.poll() is not None or len(processes) < 3:
            print(
                f"the studio died, with {served.process.poll()}: {(home / 'studio.log').read_text()[-3000:]}"
            )
            return 1
        print(
            f"{minutes:.0f} minutes: " + ", ".join(f"{n} {what}" for what, n in sorted(people.done.items()))
        )
        for each in ("server", "worker", "decoder", "reader"):
            memory = [note[each] for _, note, _ in watch.notes if each in note]
            files = [note[each] for _, _, note in watch.notes if each in note]
            slope, pid = watch.slope(each), processes[each]
            print(
                f"{each}: {memory[0]:.0f} MB at first, {max(memory):.0f} at most, {memory[-1]:.0f} at last, "
                f"{slope:+.0f} MB an hour; files open: {before.get(pid)} at rest after a third, "
                f"{quiet[pid]} at the end, {max(files)} at most; {len(watch.pids[each])} process"
            )
            if slope > given.megabytes_an_hour:
                wrong.append(f"the {each} grows by {slope:.0f} MB an hour")
            if len(watch.pids[each]) > 1:
                wrong.append(f"the {each} died {len(watch.pids[each]) - 1} times")
            elif quiet[pid] > before[pid] + 2:
                wrong.append(f"the {each} has {quiet[pid] - before[pid]} more files open")
        if watch.zombies:
            wrong.append(f"{watch.zombies} zombies were seen")
        served.close()
        left = [path for path in (home / "studio").rglob("*") if path.suffix == ".new" or path.name[0] == "."]
        left += (home / "studio/incoming").iterdir()
        left += (
            each for each in temporary.iterdir() if not each.name.startswith("torchinductor_")
        )  # torch's
        wrong += [f"left behind: {path.relative_to(name)}" for path in left]
        alive = [pid for pid in processes.values() if Path(f"/proc/{pid}").exists()]
        wrong += [f"process {pid} is left" for pid in alive]
        log = (home / "studio.log").read_text()
        if "Traceback" in log:
            wrong.append(log[log.index("Traceback") :][:1500])
        wrong += people.wrong[:20]
    print("\n".join(wrong) or "nothing is wrong")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
