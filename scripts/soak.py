"""Soak test of the studio: half an hour of mixed load, without leaks of memory, files or processes.

    python scripts/soak.py [--minutes 30] [--seed 0] [--megabytes-an-hour 60]

Simulated users draw digits, classify, dream, style, paint, do lessons, browse the gallery, open and close
pages, stop their jobs and send invalid requests, concurrently. Every five seconds the memory and the open
files of the server, its worker, its decoder and its reader are recorded. In the first third the studio fills
its caches; after that the growth of its memory (Theil-Sen: the median of all pairwise slopes) is limited.
Exit code 1 if it grows faster, if files stay open, if a process, a zombie or a temporary file is left, or if
a response was a server error. Needs Linux.
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


class Users:
    """Simulated users, each in a thread, until they are stopped."""

    def __init__(self, served: Server, seed: int) -> None:
        self.served, self.seed = served, seed
        self.end = threading.Event()
        self.done: Counter[str] = Counter()
        self.failures: list[str] = []
        photographs = shelf.need("photographs")
        self.files = [photographs / name for name in ("chelsea.png", "coffee.png", "astronaut.png")]
        self.digits = drawings(30)
        self.pictures = [served.send(file)["id"] for file in self.files]
        self.lessons = [lesson["name"] for lesson in served("GET", "/api/lessons")]

    def ask(self, method: str, path: str, body: object = None, **options: object) -> tuple[int, bytes]:
        """Send a request, and record server errors."""
        status, content, _ = self.served.request(method, path, body, **options)
        if status >= 500:
            self.failures.append(f"{method} {path}: {status} {content[:200]!r}")
        return status, content

    def start(self) -> list[threading.Thread]:
        """Start all threads."""
        actions = (self.draw, self.draw, self.jobs, self.gallery, self.pages, self.nonsense, self.learn)
        threads = [threading.Thread(target=self._repeat, args=(act, n)) for n, act in enumerate(actions)]
        for thread in threads:
            thread.start()
        return threads

    def _repeat(self, act: Callable[[random.Random], None], number: int) -> None:
        chance = random.Random(self.seed * 100 + number)
        while not self.end.is_set():
            try:
                act(chance)
                self.done[act.__name__] += 1
            except Exception as error:
                self.failures.append(f"{act.__name__}: {type(error).__name__}: {error}"[:300])
            self.end.wait(chance.uniform(0.1, 0.8))

    def draw(self, chance: random.Random) -> None:
        """Draw a digit, which is read after every stroke; sometimes classify a photograph."""
        png = {"headers": {"Content-Type": "image/png"}}
        for drawing in chance.choice(self.digits):
            self.ask("POST", "/api/read?surface=pad&cut=0", drawing, **png)
        self.ask("POST", "/api/read?surface=pad&why=1", drawing, **png)
        if chance.random() < 0.2:
            self.ask("POST", "/api/classify", chance.choice(self.files).read_bytes(), **png)
        if chance.random() < 0.1:
            self.ask("POST", "/api/read/steps", drawing, **png)

    def jobs(self, chance: random.Random) -> None:
        """Start a job; change, pause or stop it, or let it finish; sometimes delete it."""
        kind = chance.choice(list(JOBS))
        inputs = [{"role": role, "picture": chance.choice(self.pictures)} for role in ROLES.get(kind, ())]
        if kind == "paint":
            inputs = [{"role": "picture", "picture": chance.choice(self.pictures)}]
        settings = {**JOBS[kind], "seed": chance.randrange(10**6)}
        if kind == "feature":
            settings = {"layer": "block5", "channel": chance.randrange(20), "size": 128, "steps": 8}
        status, content = self.ask(
            "POST", "/api/jobs", {"kind": kind, "settings": settings, "inputs": inputs}
        )
        if status != 201:
            self.done[f"refused {kind}"] += 1
            return
        job = json.loads(content)["id"]
        time.sleep(chance.uniform(0, 1.5))
        for state in chance.choice(((), (), ("stopped",), ("paused", "running"), ("paused", "stopped"))):
            self.ask("PATCH", f"/api/jobs/{job}", {"state": state})
            time.sleep(chance.uniform(0, 0.5))
        ended = self.served.wait(job)
        self.done[f"{kind} {ended['state']}"] += 1
        if ended["state"] == "failed":
            self.failures.append(f"{kind}: {ended['error']}")
        self.ask("GET", f"/api/jobs/{job}/numbers")
        if chance.random() < 0.5:
            self.ask("DELETE", f"/api/jobs/{job}")

    def gallery(self, chance: random.Random) -> None:
        """Open a page of the gallery; star, delete and restore pictures; export some as a zip or PDF."""
        _, content = self.ask("GET", f"/api/gallery?limit={chance.choice((5, 60))}")
        pictures = json.loads(content)
        for picture in pictures[:4]:
            self.ask("GET", f"/api/pictures/{picture['id']}/thumbnail")
            self.ask("GET", f"/api/pictures/{picture['id']}/file")
        if pictures:
            chosen = chance.choice(pictures)["id"]
            self.ask("PATCH", f"/api/gallery/{chosen}", {"starred": chance.random() < 0.5})
            self.ask("DELETE", f"/api/gallery/{chosen}")
            if chance.random() < 0.7:
                self.ask("POST", f"/api/gallery/{chosen}/restore")
            if chance.random() < 0.1:
                ids = ",".join(picture["id"] for picture in pictures[:12])
                self.ask("GET", f"/api/gallery/{chance.choice(('export.zip', 'sheet.pdf'))}?ids={ids}")

    def pages(self, chance: random.Random) -> None:
        """Open a few event streams, listen for a moment, and close them."""
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(self.served.events()) for _ in range(chance.randint(1, 5))]
            for stream in streams:
                next(stream)
            time.sleep(chance.uniform(0, 2))
        self.ask("GET", "/api/look?network=conv")

    def nonsense(self, chance: random.Random) -> None:
        """Send invalid requests."""
        unknown = "0" * 32
        self.ask("GET", f"/api/jobs/{chance.choice((unknown, '..', 'x' * 3000))}")
        self.ask("POST", "/api/jobs", chance.choice((b"{", b"[]", b'{"kind": 3}', b"\xff" * 99)))
        self.ask("POST", "/api/jobs", {"kind": "dream", "settings": {"steps": -1}})
        self.ask("POST", "/api/pictures", chance.randbytes(3000), headers={"Content-Type": "image/png"})
        self.ask("POST", "/api/classify", chance.randbytes(300), headers={"Content-Type": "image/png"})
        self.ask("POST", f"/api/lessons/{chance.choice(self.lessons)}", {"seed": "x"})
        self.ask("PATCH", f"/api/gallery/{unknown}", {"starred": True}, token=None)
        self.ask("GET", "/api/jobs", headers={"Host": "evil.example"})
        with socket.create_connection(("127.0.0.1", self.served.port)) as partial:  # an incomplete request
            partial.sendall(
                b"POST /api/pictures HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999\r\n\r\nab"
            )
        with contextlib.suppress(http.client.HTTPException, OSError):
            connection = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=5)
            connection.request("BREW", "/%00%ff//..", headers={"Cookie": "x" * 2000})
            connection.getresponse().read()
            connection.close()

    def learn(self, chance: random.Random) -> None:
        """Run a quick lesson, and answer an exercise."""
        name = chance.choice(self.lessons)
        self.ask("POST", f"/api/lessons/{name}", {"seed": chance.randrange(1000)})
        self.ask("POST", f"/api/lessons/{name}/check", {"exercise": 1, "answer": chance.random()})
        time.sleep(chance.uniform(0, 1))


class Monitor:
    """Samples of the memory and open files of the studio's processes."""

    def __init__(self, served: Server) -> None:
        self.served = served
        self.samples: list[tuple[float, dict[str, float], dict[str, int]]] = []
        self.pids: dict[str, set[int]] = {}
        self.zombies = 0

    def processes(self) -> dict[str, int]:
        """Return the studio's processes by role."""
        workers = self.served.workers()
        readers = [pid for pid in self.served.processes() if pid not in workers]
        processes = [("server", self.served.process.pid)]
        processes += [("worker", pid) for pid in workers]
        processes += zip(("decoder", "reader"), sorted(readers), strict=False)  # the decoder starts first
        return dict(processes)

    def sample(self) -> None:
        """Take one sample."""
        memory, files = {}, {}
        for name, pid in self.processes().items():
            with contextlib.suppress(OSError):
                memory[name] = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096 / 1e6
                files[name] = open_files(pid)
                self.pids.setdefault(name, set()).add(pid)
        self.zombies += len(zombies(self.served.process.pid))
        self.samples.append((time.monotonic(), memory, files))

    def growth(self, name: str) -> float:
        """Return the memory growth after the first third in MB per hour: the median of pairwise slopes."""
        first, last = self.samples[0][0], self.samples[-1][0]
        points = [(at, memory[name]) for at, memory, _ in self.samples
                  if name in memory and at > first + (last - first) / 3]  # fmt: skip
        slopes = [(b - a) / (t1 - t0) for (t0, a), (t1, b) in itertools.combinations(points, 2)]
        return statistics.median(slopes) * 3600


def open_files(pid: int) -> int:
    """Return the number of open files and connections of a process."""
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def zombies(parent: int) -> list[int]:
    """Return the zombie children of a process."""
    found = []
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent_of = file.read_text().rpartition(")")[2].split()[:2]
            if state == "Z" and int(parent_of) == parent:
                found.append(int(file.parent.name))
    return found


def main() -> int:
    """Run the soak test, and report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--megabytes-an-hour", type=float, default=60, help="the maximum growth of memory")
    given = parser.parse_args()
    open_or_train("conv", device="cpu")
    failures: list[str] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as name:
        home, temporary = Path(name) / "home", Path(name) / "tmp"
        home.mkdir()
        temporary.mkdir()
        shutil.copytree(networks_folder(), home / "networks")
        (home / "shelf").symlink_to(shelf_folder().resolve(), target_is_directory=True)
        os.environ["TMPDIR"] = str(temporary)
        served = Server(home)
        users, monitor = Users(served, given.seed), Monitor(served)
        start, quiet = time.monotonic(), {}
        for part in (
            given.minutes / 3,
            given.minutes * 2 / 3,
        ):  # with a pause after each, to count open files
            threads = users.start()
            end = time.monotonic() + part * 60
            while time.monotonic() < end:
                monitor.sample()
                time.sleep(EVERY)
            users.end.set()
            for thread in threads:
                thread.join()
            users.end.clear()
            time.sleep(QUIET)
            before, quiet = quiet, {pid: open_files(pid) for pid in monitor.processes().values()}
        minutes = (time.monotonic() - start) / 60
        processes = monitor.processes()
        if served.process.poll() is not None or len(processes) < 3:
            print(
                f"the studio died, with {served.process.poll()}: {(home / 'studio.log').read_text()[-3000:]}"
            )
            return 1
        counts = ", ".join(f"{count} {name}" for name, count in sorted(users.done.items()))
        print(f"{minutes:.0f} minutes: {counts}")
        for role in ("server", "worker", "decoder", "reader"):
            memory = [sample[role] for _, sample, _ in monitor.samples if role in sample]
            files = [sample[role] for _, _, sample in monitor.samples if role in sample]
            growth, pid = monitor.growth(role), processes[role]
            print(
                f"{role}: {memory[0]:.0f} MB first, {max(memory):.0f} max, {memory[-1]:.0f} last, "
                f"{growth:+.0f} MB an hour; open files: {before.get(pid)} idle after a third, "
                f"{quiet[pid]} at the end, {max(files)} max; {len(monitor.pids[role])} process"
            )
            if growth > given.megabytes_an_hour:
                failures.append(f"the {role} grows by {growth:.0f} MB an hour")
            if len(monitor.pids[role]) > 1:
                failures.append(f"the {role} died {len(monitor.pids[role]) - 1} times")
            elif quiet[pid] > before[pid] + 2:
                failures.append(f"the {role} has {quiet[pid] - before[pid]} more files open")
        if monitor.zombies:
            failures.append(f"{monitor.zombies} zombies")
        served.close()
        left = [path for path in (home / "studio").rglob("*") if path.suffix == ".new" or path.name[0] == "."]
        left += (home / "studio/incoming").iterdir()
        left += (
            path for path in temporary.iterdir() if not path.name.startswith("torchinductor_")
        )  # torch's
        failures += [f"left behind: {path.relative_to(name)}" for path in left]
        alive = [pid for pid in processes.values() if Path(f"/proc/{pid}").exists()]
        failures += [f"process {pid} is still running" for pid in alive]
        log = (home / "studio.log").read_text()
        if "Traceback" in log:
            failures.append(log[log.index("Traceback") :][:1500])
        failures += users.failures[:20]
    print("\n".join(failures) or "no failures")
    return int(bool(failures))


if __name__ == "__main__":
    sys.exit(main())
