"""What is killed, has no room, or comes from elsewhere: nothing is lost, left behind or run.

More moments, more inputs and the studio for half an hour: scripts/kill.py, scripts/fuzz.py, scripts/soak.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import torch

from places import ROOT

sys.path.append(str(ROOT / "scripts"))
import fuzz
import kill

from lanterna import open_picture, save_picture
from lanterna.errors import LanternaError
from lanterna.files import atomic_write, working_folder
from lanterna.images import decoding
from lanterna.networks.digits import build
from lanterna.networks.plan import Plan
from lanterna.networks.trained import open_trained, save_trained
from lanterna.surfaces.cli import main
from lanterna.surfaces.studio import jobs
from lanterna.surfaces.studio.jobs import Queue
from lanterna.surfaces.studio.pictures import add_results
from lanterna.surfaces.studio.store import Store
from lanterna.techniques.checkpoint import read_state, write_state
from lanterna.techniques.paint.algorithm import Paint

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRAIN = ("train", "dense", "--hidden", "16", "--fraction", "0.2", "--epochs", "30", "--hold-out", "0",
         "--device", "cpu", "--quiet", "-o", "nets/net")  # fmt: skip
RENDER = ("render", "photos", "dream", "--layer", "block2", "--steps", "2", "--octaves", "1",
          "--device", "cpu", "--workers", "1", "--quiet", "-o", "out")  # fmt: skip

PICTURE = {
    "origin": "made", "kind": "", "room": "", "title": "", "suffix": ".png", "width": 1, "height": 1,
    "bytes": 1, "sha256": "", "recipe": None, "also": None, "words": "",
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """What is compared bit for bit is made with as many threads."""
    default = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(default)


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def written(file: Path) -> int | None:
    return file.stat().st_mtime_ns if file.exists() else None


def killed(words: tuple[str, ...], folder: Path, begun: str, after: float) -> None:
    """Run a command, and kill it and all that it started when it has written a file, and a moment later."""
    before = written(folder / begun)
    process = subprocess.Popen(
        [sys.executable, "-c", kill.RUN, *words], cwd=folder, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    end = time.monotonic() + 600
    while written(folder / begun) == before:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.005)
    time.sleep(after)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.mark.slow
def test_a_training_that_is_killed_ends_as_an_unbroken_one(tmp_path, monkeypatch):
    chance = random.Random(0)
    monkeypatch.chdir(tmp_path)
    assert main(list(TRAIN)) == 0
    expected = everything(tmp_path / "nets")
    shutil.rmtree("nets")
    words = TRAIN
    for _ in range(2):
        killed(words, tmp_path, "nets/net/checkpoint.pt", chance.uniform(0, 0.3))
        wrong, _ = kill.check_files(tmp_path)
        assert wrong == []
        words = (*TRAIN, "--resume")
    assert main(list(words)) == 0
    found = everything(tmp_path / "nets")
    assert found.keys() == expected.keys()
    for name in ("net/weights.safetensors", "net/network.json", "net/mistakes.png"):
        assert found[name] == expected[name], name


@pytest.mark.slow
def test_a_render_that_is_killed_is_finished_by_the_same_words(tmp_path, real_shelf, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cat = open_picture(real_shelf / "photographs/chelsea.png", longest=160)
    for number in range(12):
        save_picture(cat[:, :48, number * 8 : number * 8 + 48], f"photos/cat{number:02}.png")
    killed(RENDER, tmp_path, "out/cat03.png", 0.05)
    wrong, _ = kill.check_files(tmp_path)
    assert wrong == []
    before = everything(tmp_path / "out")
    assert len(before) < 14
    assert main(list(RENDER)) == 0
    found = everything(tmp_path / "out")
    assert sorted(found) == sorted([*(f"cat{n:02}.png" for n in range(12)), "manifest.jsonl", "render.json"])
    for name in ("cat00.png", "cat01.png", "cat02.png"):  # these were not made twice
        assert found[name] == before[name]
    lines = [json.loads(line)["name"] for line in found["manifest.jsonl"].decode().splitlines()]
    assert len(lines) - len(set(lines)) <= 1


@contextlib.contextmanager
def no_room(size: int) -> Iterator[None]:
    """Let no file be longer than that many bytes: to who writes one, the disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_one_line_and_old_files_stay(tmp_path):
    plan = Plan(network="dense", hidden=(64,))
    save_trained(build(plan), plan, tmp_path / "net")
    write_state(tmp_path / "work.pt", {"numbers": torch.zeros(9)})
    save_picture(torch.zeros(3, 8, 8), tmp_path / "a.png")
    before = everything(tmp_path)
    with no_room(20_000):
        for write in (
            lambda: save_trained(build(plan), plan, tmp_path / "net"),
            lambda: write_state(tmp_path / "work.pt", {"numbers": torch.rand(9000)}),
            lambda: save_picture(torch.rand(3, 200, 200), tmp_path / "a.png", force=True),
        ):
            with pytest.raises(LanternaError, match="cannot write") as printed_text:
                write()
            assert "\n" not in str(printed_text.value)
    after = everything(tmp_path)
    assert after.keys() == before.keys()
    assert {name: after[name] for name in after if name != "net/network.json"} == {
        name: before[name] for name in before if name != "net/network.json"
    }
    open_trained(tmp_path / "net")


@pytest.mark.slow
def test_a_training_without_room_is_taken_up_when_there_is_some(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = [*TRAIN[:7], "3", *TRAIN[8:]]
    assert main([*words[:-1], "nets/unbroken"]) == 0
    with no_room(50_000):  # the checkpoint is longer, the plan and the recipe are not
        assert main(words) == 1
    output_text = capsys.readouterr().err.splitlines()
    assert output_text[-1].startswith("lanterna: cannot write nets/net/checkpoint.pt: ")
    assert everything(tmp_path / "nets/net") == {}
    assert main(words) == 0
    ours, theirs = (
        everything(tmp_path / "nets" / name)["weights.safetensors"] for name in ("net", "unbroken")
    )
    assert ours == theirs


def test_what_a_killed_process_left_is_taken_away_and_what_another_is_at_work_on_is_not(tmp_path):
    place = tmp_path / "picture.png"
    with atomic_write(place) as left:
        left.write_bytes(b"half")
        kept = left.read_bytes()
        with atomic_write(place) as other:  # somebody else's, at the same time
            assert other != left
            other.write_bytes(b"theirs")
        assert left.read_bytes() == kept
        assert all(path.name.startswith(".") for path in (left, other))  # they look like no result
    assert place.read_bytes() == b"half"
    left.write_bytes(b"of a process that was killed")
    with atomic_write(place) as again:
        again.write_bytes(b"whole")
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]
    assert place.read_bytes() == b"whole"
    elsewhere = tmp_path / "precious"
    elsewhere.write_bytes(b"precious")
    left.symlink_to(elsewhere)  # a trap
    with atomic_write(place) as again:
        again.write_bytes(b"whole")
    assert elsewhere.read_bytes() == b"precious"


def test_a_working_folder_of_a_killed_process_goes_and_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "work-left").mkdir()
    (tmp_path / "work-left" / "file").touch()
    (tmp_path / "work-left" / ".made-by-lanterna").touch()
    (tmp_path / "work-letters").mkdir()  # somebody else's, though it is called so
    (tmp_path / "work-letters" / "letter.txt").touch()
    with working_folder("work-") as one, working_folder("work-") as other:
        assert sorted(tmp_path.iterdir()) == sorted((one, other, tmp_path / "work-letters"))
    assert list(tmp_path.rglob("*")) == [tmp_path / "work-letters", tmp_path / "work-letters/letter.txt"]


def test_a_studio_that_was_killed_between_a_file_and_its_row_leaves_neither(tmp_path):
    store = Store(tmp_path)
    known, unknown, gone = "a" * 32, "b" * 32, "c" * 32
    (tmp_path / f"pictures/{known}.png").touch()
    store.add_picture(known, job=None, **{**PICTURE, "origin": "sent"})
    job = store.add_job(kind="dream", settings={}, inputs=[])
    for name in (
        f"pictures/{unknown}.png",
        f"thumbnails/{known}.new",
        f"jobs/{job}/history/.3.pt",
        f"jobs/{gone}/x.pt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / f"jobs/{job}/history/3.pt").touch()
    store.close()
    Store(tmp_path).close()
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert {name for name in left if "sqlite" not in name} == {
        f"pictures/{known}.png",
        f"jobs/{job}/history/3.pt",
    }


def test_a_picture_that_goes_for_good_takes_what_belongs_to_it_along(tmp_path):
    store = Store(tmp_path)
    for name in ("a" * 32, "b" * 32):
        for file in (f"pictures/{name}.png", f"pictures/{name}.safetensors", f"thumbnails/{name}.jpg"):
            (tmp_path / file).touch()
        store.add_picture(name, job=None, **{**PICTURE, "also": ".safetensors"})
    store.change_picture("a" * 32, deleted=1.0)
    store.purge_deleted(2.0)
    store.close()
    left = [path.stem for path in tmp_path.rglob("*") if path.is_file() and "sqlite" not in path.name]
    assert left == ["b" * 32] * 3


def in_a_loop(does):
    """What a coroutine gives, in a thread of its own: a browser's loop may be running in this one."""
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(lambda: asyncio.run(does())).result()


def test_a_job_and_its_pictures_end_together(tmp_path):
    async def end() -> tuple[str, int]:
        store = Store(tmp_path)
        job = store.add_job(kind="dream", settings={}, inputs=[], title="")

        def add_results(*_: object) -> str:
            store.add_picture("a" * 32, job=job, **PICTURE)
            raise KeyboardInterrupt  # it is killed here

        queue = Queue(store, add_results)
        with pytest.raises(KeyboardInterrupt):
            queue._handle_end(job, {"end": "done", "results": []})
        found = store.job(job)["state"], len(store.gallery())
        store.close()
        return found

    assert in_a_loop(end) == ("queued", 0)


def test_a_job_that_ends_while_the_disk_is_full_ends_when_there_is_room(tmp_path, monkeypatch):
    monkeypatch.setattr(jobs, "_DISK_FULL_RETRY", 0.01)

    async def end() -> list[str]:
        store = Store(tmp_path)
        job = store.add_job(kind="dream", settings={}, inputs=[], title="")
        queue = Queue(store, lambda *_: None)
        queue.active = job
        pages = store._one("PRAGMA page_count")[0]
        store._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own full disk
        error = "cannot write: " + "no space " * 2000
        queue._receive({"job": job, "end": "failed", "error": error})
        seen = [store.job(job)["state"]]
        await asyncio.sleep(0.05)
        seen.append(store.job(job)["state"])
        store._db.execute("PRAGMA max_page_count = 100000")
        await asyncio.sleep(0.1)
        seen.append(store.job(job)["state"])
        store.close()
        return seen

    assert in_a_loop(end) == ["queued", "queued", "failed"]


@pytest.mark.parametrize("full", ["database", "folder"])
def test_a_picture_finished_on_a_full_disk_is_saved_once_there_is_room(tmp_path, monkeypatch, full):
    monkeypatch.setattr(jobs, "_DISK_FULL_RETRY", 0.01)
    shown = {"output": "dream", "recipe": {"settings": {}}, "sheet": [], "numbers": {}, "words": "w" * 20_000}

    def ended(store: Store, job: str) -> dict[str, object]:
        """What the worker says at the end, of two pictures in the job's folder."""
        folder = store.job_folder(job)
        folder.mkdir()
        results = []
        for number in range(2):
            names = [folder / f"result-{number}.{suffix}" for suffix in ("png", "jpg", "safetensors")]
            for each in names:
                each.write_text(each.name)
            paths = dict(zip(("file", "thumbnail", "also"), map(str, names), strict=True))
            results.append({**shown, **paths, "width": 1, "height": 1, "sha256": str(number)})
        return {"job": job, "end": "done", "results": results}

    async def end() -> list[str]:
        store = Store(tmp_path)
        job = store.add_job(kind="dream", settings={}, inputs=[], title="")
        queue = Queue(store, lambda job, made: add_results(store, "dream", job, made))
        queue.active = job
        message = ended(store, job)
        with monkeypatch.context() as patch:
            if full == "database":
                pages = store._one("PRAGMA page_count")[0]
                store._db.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own full disk
            else:
                patch.setattr("pathlib.Path.replace", no_space)
            queue._receive(message)
            await asyncio.sleep(0.05)
            seen = [store.job(job)["state"]]
        store._db.execute("PRAGMA max_page_count = 100000")
        for _ in range(10_000):
            if store.job(job)["state"] != "queued":
                break
            await asyncio.sleep(0.01)
        seen.append(store.job(job)["state"])
        seen += [store.job(job)["error"] or "", str(len(store.gallery()))]
        store.close()
        return seen

    def no_space(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    assert in_a_loop(end) == ["queued", "done", "", "2"]
    store = Store(tmp_path)  # which sweeps
    for picture in store.gallery():
        place = store.file(picture)
        assert place.read_text() == f"result-{picture['sha256']}.png"
        assert place.with_suffix(".safetensors").exists()
        assert store.thumbnail(picture["id"]).exists()
    store.close()


def test_a_checkpoint_is_no_larger_in_memory_than_its_file(tmp_path):
    place, settings = tmp_path / "work.pt", Paint()
    state = {"recipe": settings.model_dump_json(), "numbers": torch.zeros(10**6)}
    write_state(place, state)
    assert len(read_state(place, settings, {"numbers"})["numbers"]) == 10**6
    with (
        zipfile.ZipFile(place) as before,
        zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as after,
    ):
        for name in before.namelist():
            after.writestr(name, before.read(name))
    torch.save({**state, "numbers": bytearray(10)}, tmp_path / "bytes.pt")
    for name in ("packed.pt", "bytes.pt"):
        with pytest.raises(LanternaError, match="damaged or no checkpoint"):
            read_state(tmp_path / name, settings, {"numbers"})


@pytest.mark.slow
def test_hostile_checkpoints_manifests_and_plans_are_refused_and_run_nothing(
    tmp_path, real_shelf, monkeypatch
):
    """A few hundred of the ten thousand inputs of scripts/fuzz.py, always the same."""
    assert real_shelf
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(decoding, "PIXEL_LIMIT", decoding.PIXEL_LIMIT)
    (tmp_path / "work").mkdir()
    doors = fuzz.Doors(tmp_path / "work", works=("paint", "train"))
    outcomes = []
    for door in ("checkpoint", "manifest", "sweep", "trained"):
        for number in range(60):
            refusal = None
            try:
                getattr(doors, door)(random.Random(f"tests {door} {number}"))
            except LanternaError as error:
                refusal = str(error)
            assert refusal is None or "\n" not in refusal
            outcomes.append("taken" if refusal is None else "refused")
            assert not (tmp_path / "work" / fuzz.HARM).exists()
            for path in (tmp_path / "work").iterdir():
                if path.name not in ("harm.py", "__pycache__"):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert outcomes.count("taken") > 20
    assert outcomes.count("refused") > 100
