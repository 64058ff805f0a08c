"""Kill every long command at random moments, fill its disk, make its folder read-only, and check the files.

    python scripts/kill.py [--moments 50] [--seed 0] [--only train render] [--side-by-side 2]

After each kill every file is valid: pictures open, weights and checkpoints load, JSON parses, SQLite passes
its integrity check. Then the command is resumed (sometimes killed again), and its results equal those of an
uninterrupted run, bit for bit; no other files are left. A full disk and a read-only folder are reported in
one line, and no finished work is lost. Prints a table; exit code 1 if a check fails. Needs Linux; the full
disk is a small tmpfs if one can be mounted, else a limit on the size of files.
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

# A checkpoint is saved ten times a second, so that nearly every kill leaves one to resume from.
RUN = (
    "import sys; from lanterna.techniques.checkpoint import Checkpointer; Checkpointer.every = 0.1; "
    "from lanterna.surfaces.cli import main; sys.exit(main(sys.argv[1:]))"
)
PATIENCE = 300.0
AGAIN = 0.3  # the share of resumed commands that are killed again


@dataclass(frozen=True)
class Command:
    """A long command: its arguments, those that resume it, and its results."""

    name: str
    words: tuple[str, ...]
    results: tuple[str, ...]
    resuming: tuple[str, ...] = ("--resume",)


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
        resuming=(),
    ),
    Command(
        "render film",
        ("render", "clip.webp", "dream", *_DREAM, "-o", "film.webp", "--workers", "2", "--chunk", "4",
         "--overlap", "1"),
        ("film.webp",),
        resuming=(),
    ),
)  # fmt: skip


@dataclass
class Row:
    """The outcome of one command."""

    moments: int = 0
    resumed: int = 0
    left: int = 0  # temporary files left by kills, and removed by the end
    failures: list[str] = field(default_factory=list)


def check_files(folder: Path) -> tuple[list[str], int]:
    """Return descriptions of the broken files below a folder, and the number of temporary files."""
    broken, temporary = [], 0
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or path.is_symlink():
            continue
        if path.name.startswith(".") or path.suffix == ".new" or path.parent.name == "incoming":
            temporary += 1
            continue
        try:
            check_file(path)
        except Exception as error:
            broken.append(f"{path.relative_to(folder)}: {type(error).__name__}: {error}"[:200])
    return broken, temporary


def check_file(path: Path) -> None:
    """Raise an exception if a file is broken."""
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
        raise ValueError("an unexpected kind of file")


def make_inputs(folder: Path) -> None:
    """Create the pictures and the clip that are the commands' inputs."""
    cat = open_picture(shelf.need("photographs") / "chelsea.png", longest=256)
    save_picture(cat, folder / "cat.png")
    save_picture(cat.flip(2), folder / "cat2.png")
    for number in range(8):
        save_picture(cat[:, :96, number * 16 : number * 16 + 96], folder / f"photos/photo{number}.png")
    clip = [cat[:, 20:84, place : place + 64] for place in range(0, 24, 2)]
    save_film(clip, folder / "clip.webp", count=len(clip), quality=95)


def begin(words: tuple[str, ...], folder: Path) -> subprocess.Popen[str]:
    """Start a command in a folder, in a new process group, with its own folder for temporary files."""
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
    """Wait for a command; return its exit code and standard error."""
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, err


def resume_words(command: Command, folder: Path) -> tuple[tuple[str, ...], bool]:
    """Return the arguments that resume a command, and whether there is a checkpoint to resume from."""
    if not command.resuming:
        return command.words, any(folder.rglob("manifest.jsonl"))
    checkpoints = [*folder.rglob("*.pt"), *folder.rglob("*.unfinished"), *folder.rglob("film.json")]
    exists = any(not path.name.startswith(".") for path in checkpoints)
    return (command.words + command.resuming if exists else command.words), exists


class Kill:
    """One command, its inputs, and its results when it is not interrupted."""

    def __init__(self, command: Command, inputs: Path, room: Path) -> None:
        self.command, self.inputs, self.room = command, inputs, room
        self.row = Row()
        self._lock = threading.Lock()
        self.folder = self.new("uninterrupted")
        start = time.monotonic()
        code, err = finish(begin(command.words, self.folder))
        self.seconds = time.monotonic() - start
        assert code == 0, err
        self.expected = {name: (self.folder / name).read_bytes() for name in command.results}

    def new(self, name: str) -> Path:
        """Create a folder with the inputs in it."""
        folder = self.room / self.command.name.replace(" ", "-") / name
        shutil.copytree(self.inputs, folder)
        return folder

    def fail(self, message: str) -> None:
        """Record a failure."""
        with self._lock:
            self.row.failures.append(message)

    def moment(self, number: int, chance: random.Random) -> None:
        """Kill the command at a random moment, check its files, resume it, and compare the results."""
        name = f"{self.command.name}, moment {number}"
        folder = self.new(f"moment{number}")
        words, kills, left_after = self.command.words, 0, 0
        while True:
            process = begin(words, folder)
            at = chance.uniform(0.1, 1.1) * self.seconds
            alone = (
                chance.random() < 0.5
            )  # its child processes are killed with it, or must notice by themselves
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.communicate(timeout=at)
            finished = process.poll() is not None
            with contextlib.suppress(ProcessLookupError):
                (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
            process.communicate()
            kills += 1
            left_after += self.check(folder, f"{name} after {at:.1f} s")
            words, resumed = resume_words(self.command, folder)
            with self._lock:
                self.row.moments += 1
                self.row.resumed += resumed
            if finished or chance.random() > AGAIN:
                break
        wait_for_group(process.pid)
        if not finished or process.returncode != 0:
            code, err = finish(begin(words, folder))
            complete = code == 2 and "already" in err and self.same(folder)  # it was killed as it ended
            if code != 0 and not complete:
                self.fail(f"{name}: the resumed command ended with {code}: {err.strip()[-300:]}")
        if not self.same(folder):
            self.fail(f"{name}: the results differ from those of an uninterrupted run")
        self.check(folder, f"{name} at the end", at_rest=True)
        with self._lock:
            self.row.left += left_after
        shutil.rmtree(folder)

    def same(self, folder: Path) -> bool:
        """Return whether the results equal those of the uninterrupted run, bit for bit."""
        return all(
            (folder / name).is_file() and (folder / name).read_bytes() == content
            for name, content in self.expected.items()
        )

    def check(self, folder: Path, when: str, *, at_rest: bool = False) -> int:
        """Record broken files, and at rest also stray ones; return the number of temporary files."""
        broken, left = check_files(folder)
        for message in broken:
            self.fail(f"{when}: {message}")
        if at_rest:
            known = {path.relative_to(self.folder) for path in self.folder.rglob("*")}
            strays = {path.relative_to(folder) for path in folder.rglob("*")} - known
            temporary = folder.parent / f"{folder.name}.tmp"
            strays |= {path.relative_to(temporary) for path in temporary.iterdir()}
            if strays:
                self.fail(f"{when}: left behind: {', '.join(sorted(map(str, strays)))[:300]}")
        return left

    def full_disk(self, chance: random.Random) -> str:
        """Fill the disk during the run; then free some space, and resume."""
        folder = self.new("full")
        total = sum(path.stat().st_size for path in self.folder.rglob("*") if path.is_file())
        inputs = sum(path.stat().st_size for path in self.inputs.rglob("*") if path.is_file())
        kilobytes = int((inputs + chance.uniform(0.1, 0.8) * max(total - inputs, 65_536)) / 1000) + 8
        with small_disk(folder, kilobytes) as grow:
            method = "tmpfs" if grow else "limit"
            process = begin(self.command.words, folder)
            if not grow:
                limit = (int(chance.uniform(0.1, 0.6) * max(map(len, self.expected.values()))),) * 2
                resource.prlimit(process.pid, resource.RLIMIT_FSIZE, limit)
            code, err = finish(process)
            self.check_error("a full disk", code, err)
            self.check(folder, "on a full disk")
            if grow:
                grow()
            words, _ = resume_words(self.command, folder)
            code, err = finish(begin(words, folder))
            if code != 0 or not self.same(folder):
                self.fail(f"after a full disk: ended with {code}: {err.strip()[-300:]}")
            self.check(folder, "after a full disk", at_rest=True)
        return method

    def read_only(self) -> None:
        """Run the command in a folder that cannot be written."""
        folder = self.new("locked")
        with locked(folder):
            before = sorted(folder.rglob("*"))
            code, err = finish(begin(self.command.words, folder))
            self.check_error("a read-only folder", code, err)
            if sorted(folder.rglob("*")) != before:
                self.fail("a read-only folder was written to")

    def check_error(self, situation: str, code: int, err: str) -> None:
        """Check that a command reports a failure in one line, with the right exit code."""
        last = err.strip().splitlines()[-1:] or [""]
        plain = last[0].startswith("lanterna: ") and "bug in" not in err and "Traceback" not in err
        if code not in (1, 2) or not plain:
            self.fail(f"{situation}: ended with {code}: {err.strip()[-400:]}")


def wait_for_group(group: int) -> None:
    """Wait until the child processes of a killed command have noticed and ended."""
    end = time.monotonic() + 60
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.killpg(group, 0)
            time.sleep(0.05)


@contextlib.contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[object]:
    """Move a folder to a disk of this size; yield a function that enlarges it, or None without a disk."""
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
    """Make a folder read-only: by its mode, or for root, who ignores modes, by a read-only disk."""
    if os.geteuid():
        folder.chmod(0o555)
        yield
        folder.chmod(0o755)
        return
    with small_disk(folder, 100_000):
        subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
        yield


class KillStudio:
    """A studio that is killed during a job: the server, its worker, or both."""

    def __init__(self, inputs: Path, room: Path) -> None:
        self.inputs, self.room, self.row = inputs, room / "studio", Row()
        self.expected, self.seconds = b"", 0.0
        served = self.open("uninterrupted")
        start = time.monotonic()
        job = served.wait(self.start(served))
        self.seconds = time.monotonic() - start
        self.expected = served.file(job["picture"])
        served.close()

    def open(self, name: str) -> Server:
        """Start a studio on the home of this name."""
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

    def fail(self, message: str) -> None:
        """Record a failure."""
        self.row.failures.append(message)

    def moment(self, number: int, chance: random.Random) -> None:
        """Kill the studio during a job, start it again, and check that the job ends as if uninterrupted."""
        name = f"studio, moment {number}"
        served = self.open(f"moment{number}")
        job = self.start(served)
        kills = 0
        while True:
            time.sleep(chance.uniform(0, 1.1) * self.seconds)
            self.row.moments += 1
            kills += 1
            target = chance.choice(("server", "worker", "both"))
            workers = served.workers() if target != "server" else []
            if target != "worker":
                served.kill()
            for pid in workers:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            if target != "worker":
                broken, left = check_files(self.room / f"moment{number}" / "studio")
                self.row.left += left
                self.row.failures += [f"{name} after the kill of the {target}: {text}" for text in broken]
                served = self.open(f"moment{number}")
            self.row.resumed += served("GET", f"/api/jobs/{job}")["step"] > 0
            if kills == 2 or chance.random() > AGAIN:  # a job whose worker dies twice fails, with an error
                break
        ended = served.wait(job)
        if ended["state"] != "done" or served.file(ended["picture"]) != self.expected:
            self.fail(f"{name}: {ended['state']}, {ended['error']}: the picture differs")
        gallery = served("GET", "/api/gallery")
        if len(gallery) != 1:
            self.fail(f"{name}: {len(gallery)} pictures in the gallery")
        served.close()
        self.open(f"moment{number}").close()  # removes stale files
        folder = self.room / f"moment{number}" / "studio"
        broken, left = check_files(folder)
        counts = Counter(path.parent.name for path in folder.rglob("*") if path.is_file())
        if broken or left or counts["pictures"] != 2 or counts["thumbnails"] != 2:
            self.fail(f"{name} at the end: {broken}, {left} temporary files, {dict(counts)}")

    def full_disk(self, chance: random.Random) -> str:
        """Fill the studio's disk; then free some space, and run a job."""
        folder = self.room / "full" / "studio"
        folder.mkdir(parents=True)
        (folder.parent / "shelf").symlink_to(shelf_folder().resolve(), target_is_directory=True)
        with small_disk(folder, chance.randrange(1200, 1600)) as grow:
            served = self.open("full")
            job = self.start(served)
            time.sleep(3 * self.seconds)  # the end of the job cannot be saved until there is space
            served("GET", "/api/jobs")
            if grow:
                grow()
            first = served.wait(job)
            if first["state"] != "done" and not first["error"]:
                self.fail(f"studio on a full disk: {first['state']}, without an error message")
            second = served.wait(self.start(served))
            if second["state"] != "done" or served.file(second["picture"]) != self.expected:
                self.fail(f"studio after a full disk: {second['state']}, {second['error']}")
            served.close()
            self.row.failures += [f"studio after a full disk: {text}" for text in check_files(folder)[0]]
        return "tmpfs" if grow else "none"

    def read_only(self) -> None:
        """Start a studio on a folder that cannot be written."""
        home = self.room / "locked"
        home.mkdir(parents=True)
        with locked(home):
            environment = {**os.environ, "LANTERNA_HOME": str(home)}
            words = [sys.executable, "-m", "lanterna", "studio", "--no-browser", "--port", "0"]
            done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE)
            plain = done.stderr.count("\n") == 1 and "bug in" not in done.stderr
            if done.returncode != 1 or not plain:
                self.fail(f"studio in a read-only folder: {done.returncode}, {done.stderr[-300:]}")


def main() -> int:
    """Run the kills, and print the table."""
    names = [*(command.name for command in COMMANDS), "studio"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--moments", type=int, default=50, help="minimum number of kills over all commands")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--side-by-side", type=int, default=2, help="number of commands run in parallel")
    given = parser.parse_args()
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
        moments = -(-given.moments // len(rooms))
        with ThreadPoolExecutor(given.side_by_side) as pool:

            def work(number: int, test: Kill | KillStudio) -> None:
                chance = random.Random(f"{given.seed} {names} {number} {type(test).__name__}")
                name = test.command.name if isinstance(test, Kill) else "studio"
                try:
                    if number < moments:
                        test.moment(number, chance)
                    elif number == moments:
                        disks[name] = test.full_disk(chance)
                    else:
                        test.read_only()
                except Exception as error:
                    test.fail(f"{name}, {number}: {type(error).__name__}: {error}")

            list(pool.map(lambda pair: work(*pair), [(n, t) for n in range(moments + 2) for t in rooms]))
    print("command       seconds  kills  resumed  temporary files  full disk  failures")
    for test in rooms:
        name = test.command.name if isinstance(test, Kill) else "studio"
        row = test.row
        print(
            f"{name:12} {test.seconds:8.1f} {row.moments:6} {row.resumed:8} {row.left:16} "
            f"{disks.get(name, '-'):>10} {len(row.failures):9}"
        )
    for test in rooms:
        for failure in test.row.failures:
            print(failure)
    return int(any(test.row.failures for test in rooms))


if __name__ == "__main__":
    sys.exit(main())
