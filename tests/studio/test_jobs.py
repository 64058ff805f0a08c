"""The studio's jobs through its API and a real worker: their results, and that nothing is lost."""

from __future__ import annotations

import contextlib
import io
import os
import random
import resource
import signal
import subprocess
import time
from collections import deque
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from PIL import Image

from lanterna.images import open_picture, read_recipe
from lanterna.techniques.dream.algorithm import Dream, dream
from served import Server, wait_until

KILLS = int(os.environ.get("KILLS", "1"))  # in addition to the first
SETTINGS = {"size": 144, "octaves": 2, "steps": 6}
UNBROKEN = {"size": 144, "octaves": 2, "steps": 30}
KILLED = {"size": 96, "octaves": 2, "steps": 20}
INTERVAL = 0.25  # seconds: longer than the minimum between two checkpoints


def new_home(real_shelf: Path, folder: Path) -> Path:
    (folder / "shelf").symlink_to(real_shelf, target_is_directory=True)
    return folder


@pytest.fixture(scope="module")
def cat(studio: Server) -> str:
    picture: str = studio("POST", "/api/examples/chelsea.png")["id"]
    return picture


@pytest.fixture(scope="module")
def coffee(studio: Server) -> str:
    picture: str = studio("POST", "/api/examples/coffee.png")["id"]
    return picture


def is_alive(process: int) -> bool:
    """Return whether a process that is not our child still runs; a container may never reap zombies."""
    state = subprocess.run(["ps", "-o", "state=", "-p", str(process)], capture_output=True, text=True)
    return state.stdout.strip() not in ("", "Z")


@pytest.fixture(scope="module")
def unbroken(studio: Server, cat: str) -> bytes:
    """Return the picture of a dream that ran without interruption."""
    job = studio.start("dream", settings=UNBROKEN, inputs=[("picture", cat)])
    return studio.file(studio.wait(job)["picture"])


def with_history(studio: Server, job: str, count: int) -> list[int]:
    """Return a job's saved steps once there are `count`.

    Pausing the job between steps makes it save one at each resume, however fast the machine is.
    """

    def saved_steps() -> list[int] | None:
        studio("PATCH", f"/api/jobs/{job}", {"state": "paused"})
        time.sleep(INTERVAL)
        before = studio("GET", f"/api/jobs/{job}")
        studio("PATCH", f"/api/jobs/{job}", {"state": "running"})
        now = studio.wait_until(job, lambda found: found["step"] > before["step"])
        return [each["step"] for each in now["history"]] if len(now["history"]) >= count else None

    return wait_until(saved_steps)


def long_dream(studio: Server, cat: str) -> str:
    """Start a dream that runs until it is stopped."""
    job = studio.start(
        "dream", settings={"size": 320, "octaves": 1, "steps": 1000}, inputs=[("picture", cat)]
    )
    studio.wait_until(job, lambda found: found["step"] > 2)
    return job


def test_a_long_random_picture_is_seen_and_stopped_at_once(studio: Server) -> None:
    job = studio.start("random", settings={"width": 4000, "height": 3000, "samples": 8})  # takes minutes
    studio.wait_until(job, lambda found: found["preview"] > 0 and found["state"] == "running")
    status, content, _ = studio.request("GET", f"/api/jobs/{job}/preview")
    assert status == 200
    preview = Image.open(io.BytesIO(content))
    assert preview.size == (1024, 768)
    dark, light = preview.convert("L").crop((0, 700, 1024, 768)).getextrema()
    assert light > dark + 20  # down to its last rows
    assert studio.stop(job)["state"] == "stopped"


def test_a_dream_reports_its_progress_and_is_saved(studio: Server, cat: str, real_shelf: Path) -> None:
    seen = []
    with studio.events() as events:
        assert next(events)[1] == "hello"
        job = studio.start("dream", settings=SETTINGS, inputs=[("picture", cat)], title="Whiskers")
        for _, event, data in events:
            seen.append((event, data))
            if event == "job" and data["id"] == job and data["state"] == "done":
                break
    updates = [data for event, data in seen if event == "job" and data["id"] == job]
    steps = [data["step"] for data in updates]
    assert steps == sorted(steps)
    assert updates[-1]["step"] == updates[-1]["steps"] == 12
    assert any(data["preview"] for data in updates)
    entry = next(data for event, data in seen if event == "gallery")
    assert entry["id"] == updates[-1]["picture"]
    assert entry["title"] == "Whiskers"
    # The same picture as the library's for this input and these settings.
    file = studio.file(entry["id"])
    (last,) = deque(
        dream(open_picture(real_shelf / "photographs" / "chelsea.png"), Dream.checked(SETTINGS)), maxlen=1
    )
    assert last.picture is not None
    assert (open_picture(file) - last.picture).abs().max() < 0.6 / 255
    assert read_recipe(file).settings == updates[-1]["settings"]
    numbers = studio("GET", f"/api/jobs/{job}/numbers")
    assert numbers[-1]["step"] == 12
    assert numbers[-1]["numbers"]["energy"] > 1


def test_the_preview_shows_the_picture_so_far_and_a_stopped_job_saves_it(studio: Server, cat: str) -> None:
    job = long_dream(studio, cat)
    studio.wait_until(job, lambda found: found["preview"] > 1)
    status, content, headers = studio.request("GET", f"/api/jobs/{job}/preview?n=2")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert max(Image.open(io.BytesIO(content)).size) <= 1024
    stopped = studio.stop(job)
    assert stopped["state"] == "stopped"
    assert 0 < stopped["step"] < stopped["steps"]
    # The picture so far is saved at its final size.
    saved = studio("GET", f"/api/pictures/{stopped['picture']}")
    assert max(saved["width"], saved["height"]) == 320
    assert studio("GET", "/api/gallery")[0]["id"] == stopped["picture"]


def test_settings_change_during_a_run(studio: Server, cat: str, coffee: str) -> None:
    job = studio.start(
        "style", settings={"size": 96, "steps": 1000}, inputs=[("picture", cat), ("style", coffee)]
    )
    before = studio.wait_until(job, lambda found: found["step"] > 3)
    status, words = studio.error("PATCH", f"/api/jobs/{job}", {"settings": {"brush": 2}})
    assert status == 422
    assert "brush cannot change" in words
    assert studio.error("PATCH", f"/api/jobs/{job}", {"settings": {"strength": -1}})[0] == 422
    studio("PATCH", f"/api/jobs/{job}", {"settings": {"strength": 50}})
    # With so much style the content loss grows.
    studio.wait_until(job, lambda found: found["numbers"]["content"] > before["numbers"]["content"] + 0.05)
    picture = studio.stop(job)["picture"]
    recipe = read_recipe(studio.file(picture))
    assert recipe.settings["strength"] == 50
    (change,) = recipe.changes  # the recipe has the step of the change
    assert change.step >= before["step"]
    assert change.settings == {"strength": 50}
    command = studio("GET", f"/api/pictures/{picture}")["recipe"]["command"]
    assert command.startswith("lanterna style cat.png --size=96 ")
    assert " --style cup.png " in command
    assert str(studio.home) not in command + recipe.model_dump_json()


def test_a_dream_accepts_another_layer_and_refuses_an_unknown_one(studio: Server, cat: str) -> None:
    job = long_dream(studio, cat)
    status, error = studio.error("PATCH", f"/api/jobs/{job}", {"settings": {"layer": ["nonsense"]}})
    assert (status, "no layer 'nonsense'" in error) == (422, True)
    resumed = studio("GET", f"/api/jobs/{job}")
    assert (resumed["state"], resumed["settings"]["layer"]) == ("running", [])
    studio("PATCH", f"/api/jobs/{job}", {"settings": {"layer": ["block5"]}})
    studio.wait_until(job, lambda found: found["step"] > resumed["step"] + 5)
    studio("PATCH", f"/api/jobs/{job}", {"state": "stopped"})
    assert read_recipe(studio.file(studio.wait(job)["picture"])).settings["layer"] == ["block5"]


def test_a_paused_job_lets_another_run_ends_the_same_and_can_be_branched(
    studio: Server, cat: str, unbroken: bytes
) -> None:
    job = studio.start("dream", settings=UNBROKEN, inputs=[("picture", cat)])
    studio.wait_until(job, lambda found: found["step"] > 2)
    middle = with_history(studio, job, 1)[-1]
    studio("PATCH", f"/api/jobs/{job}", {"state": "paused"})
    other = studio.start("random", settings={"width": 64, "height": 64})
    assert studio.wait(other)["state"] == "done"
    held = studio("GET", f"/api/jobs/{job}")
    assert held["state"] == "paused"
    time.sleep(INTERVAL)
    assert studio("GET", f"/api/jobs/{job}")["step"] == held["step"]
    studio("PATCH", f"/api/jobs/{job}", {"state": "running"})
    parent = studio.wait(job)
    assert studio.file(parent["picture"]) == unbroken

    def branch(**fields: Any) -> dict[str, Any]:
        return studio("POST", "/api/jobs", {"parent": parent["id"], "at": middle, **fields})

    same = studio.wait(branch()["id"])
    assert studio.file(same["picture"]) == unbroken
    assert same["parent"] == parent["id"]
    assert min([step["step"] for step in same["history"]], default=middle) >= middle  # it did not restart
    other = studio.wait(branch(settings={"step_size": 0.1})["id"])
    assert other["settings"]["step_size"] == 0.1
    assert studio.file(other["picture"]) != unbroken
    at = {"parent": parent["id"], "at": middle}
    assert "cannot change" in studio.error("POST", "/api/jobs", {**at, "settings": {"size": 64}})[1]
    assert studio.error("POST", "/api/jobs", {**at, "at": 10**6})[0] == 409


def test_a_rewound_job_ends_the_same(studio: Server, cat: str, unbroken: bytes) -> None:
    job = studio.start("dream", settings=UNBROKEN, inputs=[("picture", cat)])
    steps = with_history(studio, job, 3)
    assert len(steps) <= 24
    first = steps[0]
    earlier = studio.request("GET", f"/api/jobs/{job}/history/{first}")
    assert (earlier[0], earlier[2]["content-type"]) == (200, "image/jpeg")
    studio("PATCH", f"/api/jobs/{job}", {"back": first})
    back = studio.wait_until(job, lambda found: found["step"] == first)
    assert back["state"] == "paused"
    assert studio.request("GET", f"/api/jobs/{job}/preview")[1] == earlier[1]
    time.sleep(INTERVAL)
    assert studio("GET", f"/api/jobs/{job}")["step"] == first  # it stays paused
    studio("PATCH", f"/api/jobs/{job}", {"state": "running"})
    studio.wait_until(job, lambda found: found["step"] > first)
    # Once stopped, a new job can resume from its last step.
    studio("PATCH", f"/api/jobs/{job}", {"state": "paused"})
    stopped = studio.stop(job)
    assert studio.error("PATCH", f"/api/jobs/{job}", {"back": first})[0] == 409
    last = stopped["history"][-1]["step"]
    assert last == stopped["step"] < stopped["steps"]
    assert first < last
    on = studio("POST", "/api/jobs", {"parent": job, "at": last})
    done = studio.wait(on["id"])
    assert done["state"] == "done"
    assert studio.file(done["picture"]) == unbroken


def test_the_queue_is_reordered(studio: Server, cat: str) -> None:
    first = long_dream(studio, cat)
    small = {"width": 64, "height": 64}
    one, two, three = (studio.start("random", settings={**small, "seed": seed}) for seed in range(3))
    studio("PATCH", f"/api/jobs/{three}", {"before": one})
    studio("PATCH", f"/api/jobs/{one}", {"before": None})
    waiting = [each["id"] for each in studio("GET", "/api/jobs") if each["state"] == "queued"]
    assert waiting == [three, two, one]
    assert studio.error("PATCH", f"/api/jobs/{first}", {"before": one})[0] == 409
    studio("PATCH", f"/api/jobs/{two}", {"state": "stopped"})
    studio.stop(first)
    ended = [studio.wait(each) for each in (three, two, one)]
    assert [each["state"] for each in ended] == ["done", "stopped", "done"]
    assert ended[0]["ended"] < ended[2]["ended"]
    studio("DELETE", f"/api/jobs/{two}")
    assert studio.error("GET", f"/api/jobs/{two}")[0] == 404


def test_a_network_is_trained_and_then_reads(studio: Server) -> None:
    settings = {"fraction": 0.1, "epochs": 3}
    job = studio.start("train", preset="fast-dense", settings=settings, title="quick-one")
    done = studio.wait(job)
    assert done["state"] == "done", done["error"]
    assert done["numbers"]["validation_accuracy"] > 0.85
    assert "quick-one" in [each["name"] for each in studio("GET", "/api/networks") if each["here"]]
    pictures = studio("GET", "/api/gallery?room=train")
    assert all(each["recipe"]["numbers"]["accuracy"] > 0.85 for each in pictures)
    assert pictures
    status, words = studio.error("POST", "/api/jobs", {"kind": "train", "title": "quick-one"})
    assert status == 422
    assert "already" in words
    drawing = Image.new("L", (280, 280), 255)
    drawing.paste(0, (130, 50, 154, 230))
    file = io.BytesIO()
    drawing.save(file, "PNG")
    read = studio(
        "POST", "/api/read?network=quick-one", file.getvalue(), headers={"Content-Type": "image/png"}
    )
    assert [each["digit"] for each in read["digits"]] == [1]
    assert abs(sum(read["digits"][0]["chances"]) - 1) < 0.01


def test_a_painting_comes_with_its_network(studio: Server, cat: str, tmp_path: Path) -> None:
    from lanterna.techniques.paint.painting import open_painting

    job = studio.start("paint", settings={"steps": 200, "size": 48}, inputs=[("picture", cat)])
    done = studio.wait(job)
    assert done["numbers"]["psnr"] > 25
    _, content, _ = studio.request("GET", f"/api/pictures/{done['picture']}/also")
    (tmp_path / "cat.safetensors").write_bytes(content)
    assert max(open_painting(tmp_path / "cat.safetensors").size) == 48


def test_a_sheet_has_each_cells_box_and_full_size_settings(studio: Server) -> None:
    settings = {"width": 80, "height": 48, "sheet": 5, "seed": 3, "samples": 2, "layers": 4}
    sheet = studio.wait(studio.start("random-sheet", settings=settings))["picture"]
    cells = studio("GET", f"/api/pictures/{sheet}")["recipe"]["sheet"]
    assert [cell["label"] for cell in cells] == ["3", "4", "5", "6", "7"]
    cell = cells[4]  # the first of the second row
    x0, y0, x1, y1 = cell["box"]
    small = open_picture(studio.file(sheet))[:, y0:y1, x0:x1]
    large = studio.wait(studio.start(cell["kind"], settings=cell["settings"]))["picture"]
    full = open_picture(studio.file(large))
    assert (
        torch.nn.functional.interpolate(small[None], full.shape[1:], mode="area")[0].sub(full).abs().mean()
        < 0.02
    )
    assert cell["command"].startswith("lanterna paint --random --seed=7 ")


@pytest.mark.parametrize(
    ("kind", "settings", "roles"),
    [
        ("instant", {"size": 64, "brush": 4}, ("picture", "style")),
        (
            "dream-sheet",
            {"sheet": "channels", "shown": ["block5:1", "block5:2"], "side": 64, "steps": 2},
            ("picture",),
        ),
        ("random-sheet", {"sheet": 2, "width": 64, "height": 64, "samples": 1}, ()),
        ("feature", {"layer": "block1", "channel": 0, "steps": 3, "size": 64}, ()),
    ],
)  # fmt: skip
def test_every_other_kind_outputs_a_picture(
    studio: Server, cat: str, coffee: str, kind: str, settings: dict[str, Any], roles: tuple[str, ...]
) -> None:
    files = {"picture": cat, "style": coffee}
    job = studio.start(kind, settings=settings, inputs=[(role, files[role]) for role in roles])
    done = studio.wait(job)
    assert done["state"] == "done", done["error"]
    assert studio("GET", f"/api/pictures/{done['picture']}")["recipe"]["kind"] == kind
    assert read_recipe(studio.file(done["picture"])).verb


def test_a_job_stopped_before_its_first_picture_saves_none(studio: Server, cat: str, coffee: str) -> None:
    job = studio.start("instant", inputs=[("picture", cat), ("style", coffee)])
    studio("PATCH", f"/api/jobs/{job}", {"state": "stopped"})
    found = studio.wait(job)
    assert (found["state"], found["error"], found["picture"]) == ("stopped", None, None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"kind": "nonsense"}, "no kind of job 'nonsense'"),
        ({"kind": "dream"}, "needs a picture"),
        ({"kind": "random", "settings": {"layers": 1000}}, "layers: "),
        ({"kind": "random", "settings": {"colour": "red"}}, "no setting 'colour'"),
        ({"kind": "random", "preset": "nonsense"}, "no preset 'nonsense'"),
        ({"kind": "random", "settings": {"width": 32768, "height": 32768}}, "pixels"),
        ({"kind": "feature", "settings": {"network": "os:getcwd", "class_": "1"}}, "no network"),
        ({"kind": "feature", "settings": {"network": "../../x", "class_": "1"}}, "no network"),
        ({"kind": "train", "title": "../x"}, "a network name"),
        ({"kind": "train", "title": "vgg16"}, "the name of a built-in network"),
        ({"kind": "random", "inputs": [{"picture": "0" * 32}]}, "not in the studio"),
        ({"kind": "random", "extra": 1}, "unknown field 'extra'"),
        ({"kind": "fetch", "settings": {"item": "everything"}}, "the shelf has no"),
    ],
)
def test_a_wrong_job_is_refused_in_one_line(studio: Server, body: dict[str, Any], words: str) -> None:
    status, error = studio.error("POST", "/api/jobs", body)
    assert status == 422
    assert words in error
    assert "\n" not in error


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"layer": ["block5", "block99"]}, "no layer 'block99'"),
        ({"mask_layer": ["block5:4000"]}, "block5 has channels 0 to"),
        ({"class": ["goldfsh"]}, "did you mean goldfish"),
        ({"network": "vgg19", "class": ["goldfish"]}, "vgg19 has no classes"),
        ({"layer": [1]}, "layer: expected text"),  # not layer.0
    ],
)
def test_what_a_network_lacks_is_said_before_a_dream_starts(studio: Server, cat, settings, words) -> None:
    order = {"kind": "dream", "settings": settings, "inputs": [{"role": "picture", "picture": cat}]}
    status, error = studio.error("POST", "/api/jobs/check", order)
    assert (status, words in error) == (422, True), error


def test_a_channel_that_a_layer_lacks_is_said_before_a_feature_starts(studio: Server) -> None:
    order = {"kind": "feature", "settings": {"layer": "block1", "channel": 4000}}
    status, error = studio.error("POST", "/api/jobs/check", order)
    assert (status, "block1 has channels 0 to" in error) == (422, True), error


def test_a_lesson_that_trains_reports_progress_and_can_be_stopped(studio: Server) -> None:
    settings = {"depths": [1, 2], "runs": 1, "steps": 200}
    job = studio.start("learn-squash", settings=settings)
    running = studio.wait_until(job, lambda found: found["step"] > 0)
    assert running["note"].startswith("training networks, ")
    assert running["steps"] == 2 * 4  # depths and activations
    studio("PATCH", f"/api/jobs/{job}", {"state": "stopped"})
    ended = studio.wait(job)
    assert (ended["state"], ended["picture"], ended["error"]) == ("stopped", None, None)
    done = studio.wait(studio.start("learn-squash", settings={**settings, "depths": [1]}))
    assert done["state"] == "done"


def kill_and_get_successor(studio: Server, worker: int) -> int:
    """Kill the worker, and return the one that the studio starts instead."""
    before = set(studio.processes())
    os.kill(worker, signal.SIGKILL)
    (successor,) = wait_until(lambda: set(studio.processes()) - before)
    return successor


def test_a_killed_worker_is_restarted_and_one_that_fails_to_start_is_retried_after_a_pause(
    studio: Server, cat: str
) -> None:
    job = long_dream(studio, cat)
    waiting = studio.start("random", settings={"width": 64, "height": 64})
    (worker,) = wait_until(studio.workers)
    second = kill_and_get_successor(studio, worker)
    studio.wait_until(job, lambda found: found["note"] == "")  # no longer "starting"
    fork_server = psutil.Process(second).ppid()
    limits = resource.prlimit(fork_server, resource.RLIMIT_AS)
    resource.prlimit(fork_server, resource.RLIMIT_AS, (2**20, limits[1]))  # the third cannot start
    os.kill(second, signal.SIGKILL)
    failed = studio.wait(job)
    assert failed["state"] == "failed"
    assert "SIGKILL" in failed["error"]
    studio.wait_until(waiting, lambda found: "while starting: trying again" in found["note"])
    assert studio.workers() == []  # the studio waits, and the page still works
    resource.prlimit(fork_server, resource.RLIMIT_AS, limits)
    assert studio.wait(waiting)["state"] == "done"


def test_a_job_without_memory_fails_and_the_next_one_is_done(studio: Server, cat: str) -> None:
    job = studio.start("dream", settings={"size": 64, "octaves": 1, "steps": 2}, inputs=[("picture", cat)])
    assert studio.wait(job)["state"] == "done"  # everything is loaded
    (worker,) = studio.workers()
    pages = int(Path(f"/proc/{worker}/statm").read_text().split()[0])
    limits = resource.prlimit(worker, resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + 300 * 2**20
    resource.prlimit(worker, resource.RLIMIT_AS, (limit, limits[1]))
    try:
        large = studio.start("dream", settings={"size": 6000, "octaves": 1}, inputs=[("picture", cat)])
        failed = studio.wait(large)
        assert failed["state"] == "failed"
        assert failed["error"] == "there is not enough memory for this: try a smaller size"
        small = studio.start("random", settings={"width": 64, "height": 64})
        assert studio.wait(small)["state"] == "done"
    finally:
        for process in studio.workers():
            resource.prlimit(process, resource.RLIMIT_AS, limits)


@pytest.mark.slow
def test_killed_at_any_moment_a_studio_loses_nothing(real_shelf: Path, tmp_path: Path) -> None:
    home, rng = new_home(real_shelf, tmp_path), random.Random(7)
    studio = Server(home)
    cat = studio("POST", "/api/examples/chelsea.png")["id"]
    dreaming = studio.start("dream", settings=KILLED, inputs=[("picture", cat)])
    jobs = [
        dreaming,
        studio.start("paint", settings={"size": 48, "steps": 200}, inputs=[("picture", cat)]),
        studio.start("random", settings={"width": 64, "height": 64}),
    ]
    studio.wait_until(dreaming, lambda found: found["step"] > 5)
    helpers = studio.processes()
    studio.kill()
    wait_until(lambda: not any(map(is_alive, helpers)))  # the child processes exit with the server
    studio = Server(home)
    begun = studio.wait_until(dreaming, lambda found: found["note"] == "" and found["step"] > 0)
    assert begun["step"] > 5  # it resumed instead of restarting
    for kill in range(KILLS):
        before, steps = done_so_far(studio, jobs), rng.randrange(100)
        wait_until(lambda: done_so_far(studio, jobs) >= before + steps)  # noqa: B023
        helpers = studio.processes()
        studio.kill()
        for each in () if kill % 2 else helpers:  # every other time all processes, as in a power cut
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        studio = Server(home)
    try:
        ended = [studio.wait(job) for job in jobs]
        assert [(each["state"], each["error"]) for each in ended] == [("done", None)] * 3
        for entry in studio("GET", "/api/gallery"):
            open_picture(studio.file(entry["id"]))
        assert len(studio("GET", "/api/gallery")) == 3
        (last,) = deque(
            dream(open_picture(real_shelf / "photographs" / "chelsea.png"), Dream.checked(KILLED)), maxlen=1
        )
        assert last.picture is not None
        assert (open_picture(studio.file(ended[0]["picture"])) - last.picture).abs().max() < 0.6 / 255
    finally:
        studio.close()


def done_so_far(studio: Server, jobs: list[str]) -> float:
    """Return the total of steps done by these jobs, or infinity once all have ended."""
    found = [studio("GET", f"/api/jobs/{job}") for job in jobs]
    return float("inf") if all(each["ended"] for each in found) else sum(each["step"] for each in found)
