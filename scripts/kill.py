"""Kills every long command at random moments, fills its disk and locks its folder, and looks at what is left.

    python scripts/kill.py [--moments 50] [--seed 0] [--only train render] [--side-by-side 2]

After each kill every file is whole: pictures open, weights and checkpoints load, JSON parses, SQLite passes
its integrity check. Then the same words go on (some are killed again), and end where an unbroken run ends,
bit for bit; nothing is left that is no result. A full disk and a folder that cannot be written are told in
one line, and cost nothing that was made. Prints a table; exit code 1 where anything is not so. Needs Linux;
the full disk is a small tmpfs where one may be mounted, else a limit to the size of files.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from PIL import Image
from safetensors.torch import load_file

from lanterna import open_picture, save_picture, shelf
from lanterna.images.films import save_film
from lanterna.settings import shelf_folder

sys.path.append(str(Path(__file__).parent.parent / "tests" / "shared"))
from served import Server

if TYPE_CHECKING:
    from collections.abc import Iterator

# A state is kept ten times a second, so that nearly every kill leaves one to go on from.
RUN = (
    "import sys; from lanterna.techniques.checkpoint import Checkpointer; Checkpointer.every = 0.1; "
    "from lanterna.surfaces.cli import main; sys.exit(main(sys.argv[1:]))"
)
PATIENCE = 300.0
AGAIN = 0.3  # of the commands that go on are killed once more


@dataclass(frozen=True)
class Command:
    """A long command: its words, those that make it go on, and the files it ends with."""

    name: str
    words: tuple[str, ...]
    results: tuple[str, ...]
    going_on: tuple[str, ...] = ("--resume",)


_DREAM = ("--layer", "block5", "--steps", "4", "--octaves", "2")
COMMANDS = (
    Command(
        "train",
        ("train", "conv", "--fraction", "0.1", "--epochs", "3", "--hold-out", "1000", "-o", "nets/net"),
        tuple(f"nets/net/{name}" for name in
              ("weights.safetensors", "network.json", "recipe.json", "mistakes.png", "confusion.png")),
    ),
    Command(
        "dream",
        ("dream", "cat.png", "--layer", "block5", "--steps", "8", "--octaves", "3", "--size", "256",
         "--checkpoint", "dream.pt", "-o", "dream.png"),
        ("dream.png",),
    ),
    Command(
        "dream film",
        ("dream", "cat.png", *_DREAM, "--size", "96", "--film", "zoom.webp", "--frames", "8"),
        ("zoom.webp",),
    ),
    Command(
        "style",
        ("style", "cat.png", "--style", "cat2.png", "--size", "96", "--steps", "24",
         "--checkpoint", "style.pt", "-o", "style.png"),
        ("style.png",),
    ),
    Command(
        "paint",
        ("paint", "cat.png", "--steps", "400", "--size", "128", "-o", "paint.png"),
        ("paint.png", "paint.safetensors"),
    ),
    Command(
        "render",
        ("render", "photos", "dream", *_DREAM, "-o", "out", "--workers", "2"),
        tuple(f"out/photo{number}.png" for number in range(8)),
        going_on=(),
    ),
    Command(
        "render film",
        ("render", "clip.webp", "dream", *_DREAM, "-o", "film.webp", "--workers", "2", "--chunk", "4",
         "--overlap", "1"),
        ("film.webp",),
        going_on=(),
    ),
)  # fmt: skip


@dataclass
class Row:
    """What came of one command."""

    moments: int = 0
    went_on: int = 0
    left: int = 0  # files in the making that a kill left, and that were gone at the end
    wrong: list[str] = field(default_factory=list)


def whole(folder: Path) -> tuple[list[str], int]:
    """What is not whole below a folder, and how many files in the making there are."""
    wrong, left = [], 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        if path.name.startswith(".") or path.suffix == ".new" or path.parent.name == "incoming":
            left += 1
            continue
        try:
            look_at(path)
        except Exception as error:
            wrong.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}"[:200])
    return wrong, left


def look_at(path: Path) -> None:
    """Raise whatever comes where a file is not whole."""
    if path.suffix in (".png", ".jpg", ".webp"):
        with Image.open(path) as image:
            for number in range(getattr(image, "n_frames", 1)):
                image.seek(number)
                image.load()
    elif path.suffix == ".safetensors":
        load_file(path)
    elif path.suffix in (".pt", ".unfinished"):
        torch.load(path, weights_only=True)
    elif path.suffix == ".json":
        json.loads(path.read_text())
    elif path.suffix == ".jsonl":
        *lines, _ = path.read_text().split("\n")  # the last may be cut off
        for line in lines:
            json.loads(line)
    elif path.suffix == ".sqlite":
        with contextlib.closing(sqlite3.connect(path)) as database:
            (found,) = database.execute("PRAGMA integrity_check").fetchone()
            assert found == "ok", found
    elif path.suffix not in (".log", "", ".txt", ".sqlite-wal", ".sqlite-shm"):
        raise ValueError("nobody knows what this is")


def make_inputs(folder: Path) -> None:
    """The pictures and the clip that the commands are given."""
    cat = open_picture(shelf.need("photographs") / "chelsea.png", longest=256)
    save_picture(cat, folder / "cat.png")
    save_picture(cat.flip(2), folder / "cat2.png")
    for number in range(8):
        save_picture(cat[:, :96, number * 16 : number * 16 + 96], folder / f"photos/photo{number}.png")
    clip = [cat[:, 20:84, place : place + 64] for place in range(0, 24, 2)]
    save_film(clip, folder / "clip.webp", count=len(clip), quality=95)


def begin(words: tuple[str, ...], folder: Path) -> subprocess.Popen[str]:
    """Start a command in a folder, in a process group of its own, with a folder for what is temporary."""
    (folder.parent / f"{folder.name}.tmp").mkdir(exist_ok=True)
    environment = {
        **os.environ,
        "TMPDIR": str(folder.parent / f"{folder.name}.tmp"),
        "LANTERNA_HOME": str(folder.parent.parent / "home"),
        "OMP_NUM_THREADS": "1",
    }
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *words], cwd=folder, env=environment, start_new_session=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    """The exit code of a command that is left alone, and what it said."""
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, said


def go_on(command: Command, folder: Path) -> tuple[tuple[str, ...], bool]:
    """The words with which a person goes on, and whether there is anything to go on from."""
    if not command.going_on:
        return command.words, any(folder.rglob("manifest.jsonl"))
    kept = [*folder.rglob("*.pt"), *folder.rglob("*.unfinished"), *folder.rglob("film.json")]
    there = any(not each.name.startswith(".") for each in kept)
    return (command.words + command.going_on if there else command.words), there


class Kill:
    """One command, its inputs, and how it ends when nothing happens to it."""

    def __init__(self, command: Command, inputs: Path, room: Path) -> None:
        self.command, self.inputs, self.room = command, inputs, room
        self.row = Row()
        self._lock = threading.Lock()
        self.folder = self.new("unbroken")
        begun = time.monotonic()
        code, said = finish(begin(command.words, self.folder))
        self.seconds = time.monotonic() - begun
        assert code == 0, said
        self.expected = {name: (self.folder / name).read_bytes() for name in command.results}

    def new(self, name: str) -> Path:
        """A folder with the inputs in it."""
        folder = self.room / self.command.name.replace(" ", "-") / name
        shutil.copytree(self.inputs, folder)
        return folder

    def wrong(self, what: str) -> None:
        """Note what is not so."""
        with self._lock:
            self.row.wrong.append(what)

    def moment(self, number: int, chance: random.Random) -> None:
        """Kill it at a random moment, look, let it go on, and compare."""
        name = f"{self.command.name}, moment {number}"
        folder = self.new(f"moment{number}")
        words, kills, left_after = self.command.words, 0, 0
        while True:
            process = begin(words, folder)
            at = chance.uniform(0.1, 1.1) * self.seconds
            alone = chance.random() < 0.5  # what it has started is killed with it, or finds out by itself
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=at)
            finished = process.poll() is not None
            with contextlib.suppress(ProcessLookupError):
                (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
            left_after += self.look(folder, f"{name} after {at:.1f} s")
            words, there = go_on(self.command, folder)
            with self._lock:
                self.row.moments += 1
                self.row.went_on += there
            if finished or chance.random() > AGAIN:
                break
        wait_for_group(process.pid)
        if not finished or process.returncode != 0:
            code, said = finish(begin(words, folder))
            complete = code == 2 and "already" in said and self.same(folder)  # it was killed as it ended
            if code != 0 and not complete:
                self.wrong(f"{name}: going on ended with {code}: {said.strip()[-300:]}")
        if not self.same(folder):
            self.wrong(f"{name}: not what an unbroken run makes")
        self.look(folder, f"{name} at the end", at_rest=True)
        with self._lock:
            self.row.left += left_after
        shutil.rmtree(folder)

    def same(self, folder: Path) -> bool:
        """Whether the results are those of the unbroken run, bit for bit."""
        return all(
            (folder / name).is_file() and (folder / name).read_bytes() == content
            for name, content in self.expected.items()
        )

    def look(self, folder: Path, when: str, *, at_rest: bool = False) -> int:
        """Note what is not whole; at rest also what is no result. Gives how many are in the making."""
        wrong, left = whole(folder)
        for each in wrong:
            self.wrong(f"{when}: {each}")
        if at_rest:
            known = {path.relative_to(self.folder) for path in self.folder.rglob("*")}
            strays = {path.relative_to(folder) for path in folder.rglob("*")} - known
            temporary = folder.parent / f"{folder.name}.tmp"
            strays |= {path.relative_to(temporary) for path in temporary.iterdir()}
            if strays:
                self.wrong(f"{when}: left behind: {', '.join(sorted(map(str, strays)))[:300]}")
        return left

    def full_disk(self, chance: random.Random) -> str:
        """Fill the disk as it works; then make room, and let it go on."""
        folder = self.new("full")
        made = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        given = sum(path.stat().st_size for path in self.inputs.rglob("*") if path.is_file())
        kilobytes = int((given + chance.uniform(0.1, 0.8) * max(made - given, 65_536)) / 1000) + 8
        with small_disk(folder, kilobytes) as grow:
            how = "tmpfs" if grow else "limit"
            process = begin(self.command.words, folder)
            if not grow:
                limit = (int(chance.uniform(0.1, 0.6) * max(map(len, self.expected.values()))),) * 2
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)
            code, said = finish(process)
            self.told_in_one_line("a full disk", code, said)
            self.look(folder, "on a full disk")
            if grow:
                grow()
            words, _ = go_on(self.command, folder)
            code, said = finish(begin(words, folder))
            if code != 0 or not self.same(folder):
                self.wrong(f"after a full disk: ended with {code}: {said.strip()[-300:]}")
            self.look(folder, "after a full disk", at_rest=True)
        return how

    def read_only(self) -> None:
        """Let it work in a folder that cannot be written."""
        folder = self.new("locked")
        with locked(folder):
            before = sorted(folder.rglob("*"))
            code, said = finish(begin(self.command.words, folder))
            self.told_in_one_line("a folder that cannot be written", code, said)
            if sorted(folder.rglob("*")) != before:
                self.wrong("a folder that cannot be written was")

    def told_in_one_line(self, what: str, code: int, said: str) -> None:
        """Hold what a command says of a failure to what everybody may expect."""
        last = said.strip().splitlines()[-1:] or [""]
        plain = last[0].startswith("lanterna: ") and "bug in" not in said and "Traceback" not in said
        if code not in (1, 2) or not plain:
            self.wrong(f"{what}: ended with {code}: {said.strip()[-400:]}")


def wait_for_group(group: int) -> None:
    """Wait until all that a killed command had started has found out and ended."""
    end = time.monotonic() + 60
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.05)


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[object]:
    """Put the folder's content on a disk of that size; gives what makes it large, or None without a disk."""
    copy = folder.with_name(f"{folder.name}.copy")
    shutil.copytree(folder, copy)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        yield None
        return
    try:
        shutil.copytree(copy, folder, dirs_exist_ok=True)
        yield lambda: subprocess.run(["mount", "-o", "remount,size=1g", str(folder)], check=True)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let nobody write into a folder: root may whatever the mode says, so for root it is a locked disk."""
    if os.geteuid():
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    with small_disk(folder, 100_000):
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        yield


class KillStudio:
    """A studio that is killed while it works: the server, its worker, or both."""

    def __init__(self, inputs: Path, room: Path) -> None:
        self.inputs, self.room, self.row = inputs, room / "studio", Row()
        self.expected, self.seconds = b"", 0.0
        served = self.open("unbroken")
        begun = time.monotonic()
        job = served.wait(self.start(served))
        self.seconds = time.monotonic() - begun
        self.expected = served.file(job["picture"])
        served.close()

    def open(self, name: str) -> Server:
        """A studio on a home of that name."""
        home = self.room / name
        if not home.exists():
            home.mkdir(parents=True)
            (home / "shelf").symlink_to(shelf_folder().resolve(), target_is_directory=True)
        return Server(home)

    def start(self, served: Server) -> str:
        """Send a picture and start a dream of it."""
        cat = served.send(self.inputs / "cat.png")["id"]
        settings = {"layer": "block5", "steps": 8, "octaves": 3, "size": 256}
        return served.start("dream", settings=settings, inputs=[("picture", cat)])

    def wrong(self, what: str) -> None:
        """Note what is not so."""
        self.row.wrong.append(what)

    def moment(self, number: int, chance: random.Random) -> None:
        """Kill it while a job is made, open it again, and see the job end as if nothing had been."""
        name = f"studio, moment {number}"
        served = self.open(f"moment{number}")
        job = self.start(served)
        kills = 0
        while True:
            time.sleep(chance.uniform(0, 1.1) * self.seconds)
            self.row.moments += 1
            kills += 1
            what = chance.choice(("server", "worker", "both"))
            workers = served.workers() if what != "server" else []
            if what != "worker":
                served.kill()
            for each in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(each, signal.SIGKILL)
            if what != "worker":
                wrong, left = whole(self.room / f"moment{number}" / "studio")
                self.row.left += left
                self.row.wrong += [f"{name} after the kill of the {what}: {each}" for each in wrong]
                served = self.open(f"moment{number}")
            self.row.went_on += served("GET", f"/api/jobs/{job}")["step"] > 0
            if kills == 2 or chance.random() > AGAIN:  # a job whose worker dies twice is given up, and told
                break
        found = served.wait(job)
        if found["state"] != "done" or served.file(found["picture"]) != self.expected:
            self.wrong(f"{name}: {found['state']}, {found['error']}: not what an unbroken studio makes")
        made = served("GET", "/api/gallery")
        if len(made) != 1:
            self.wrong(f"{name}: {len(made)} pictures in the gallery")
        served.close()
        self.open(f"moment{number}").close()  # which sweeps
        folder = self.room / f"moment{number}" / "studio"
        wrong, left = whole(folder)
        kept = Counter(path.parent.name for path in folder.rglob("*") if path.is_file())
        if wrong or left or kept["pictures"] != 2 or kept["thumbnails"] != 2:
            self.wrong(f"{name} at the end: {wrong}, {left} in the making, {dict(kept)}")

    def full_disk(self, chance: random.Random) -> str:
        """Fill the studio's disk; then make room, and let it work."""
        folder = self.room / "full" / "studio"
        folder.mkdir(parents=True)
        (folder.parent / "shelf").symlink_to(shelf_folder().resolve(), target_is_directory=True)
        with small_disk(folder, chance.randrange(1200, 1600)) as grow:
            served = self.open("full")
            job = self.start(served)
            time.sleep(3 * self.seconds)  # it cannot note how the job ends before there is room
            served("GET", "/api/jobs")
            if grow:
                grow()
            first = served.wait(job)
            if first["state"] != "done" and not first["error"]:
                self.wrong(f"studio on a full disk: {first['state']}, and nothing says why")
            second = served.wait(self.start(served))
            if second["state"] != "done" or served.file(second["picture"]) != self.expected:
                self.wrong(f"studio after a full disk: {second['state']}, {second['error']}")
            served.close()
            self.row.wrong += [f"studio after a full disk: {each}" for each in whole(folder)[0]]
        return "tmpfs" if grow else "none"

    def read_only(self) -> None:
        """Open a studio on a folder that cannot be written."""
        home = self.room / "locked"
        home.mkdir(parents=True)
        with locked(home):
            environment = {**os.environ, "LANTERNA_HOME": str(home)}
            words = [sys.executable, "-m", "lanterna", "studio", "--no-browser", "--port", "0"]
            told = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE)
            plain = told.stderr.count("\n") == 1 and "bug in" not in told.stderr
            if told.returncode != 1 or not plain:
                self.wrong(f"studio in a locked folder: {told.returncode}, {told.stderr[-300:]}")


def main() -> int:
    """Kill, look, tell."""
    names = [*(command.name for command in COMMANDS), "studio"]
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("--moments", type=int, default=50, help="kills over all commands, at least")
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--only", nargs="+", choices=names, default=names)
    words.add_argument("--side-by-side", type=int, default=2)
    given = words.parse_args()
    torch.set_num_threads(1)
    rooms: list[Kill | KillStudio] = []
    disks: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="kill-") as name:
        inputs, room = Path(name) / "inputs", Path(name)
        inputs.mkdir()
        make_inputs(inputs)
        (room / "home").mkdir()
        (room / "home/shelf").symlink_to(shelf_folder().resolve(), target_is_directory=True)
        rooms += [Kill(each, inputs, room) for each in COMMANDS if each.name in given.only]
        if "studio" in given.only:
            rooms.append(KillStudio(inputs, room))
        each_has = -(-given.moments // len(rooms))
        with ThreadPoolExecutor(given.side_by_side) as pool:

            def work(number: int, each: Kill | KillStudio) -> None:
                chance = random.Random(f"{given.seed} {names} {number} {type(each).__name__}")
                name = each.command.name if isinstance(each, Kill) else "studio"
                try:
                    if number < each_has:
                        each.moment(number, chance)
                    elif number == each_has:
                        disks[name] = each.full_disk(chance)
                    else:
                        each.read_only()
                except Exception as error:
                    each.wrong(f"{name}, {number}: {type(error).__name__}: {error}")

            list(pool.map(lambda pair: work(*pair), [(n, e) for n in range(each_has + 2) for e in rooms]))
    print("command       seconds  kills  went on  in the making  full disk  wrong")
    for each in rooms:
        name = each.command.name if isinstance(each, Kill) else "studio"
        row = each.row
        print(
            f"{name:12} {each.seconds:8.1f} {row.moments:6} {row.went_on:8} {row.left:14} "
            f"{disks.get(name, '-'):>10} {len(row.wrong):6}"
        )
    for each in rooms:
        for what in each.row.wrong:
            print(what)
    return int(any(each.row.wrong for each in rooms))


if __name__ == "__main__":
    sys.exit(main())
