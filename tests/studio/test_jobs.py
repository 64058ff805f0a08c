"""Jobs of the studio, through its API and a real worker: what they make, and that nothing is lost."""

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

KILLS = int(os.environ.get("KILLS", "1"))  # beside the first
SETTINGS = {"size": 144, "octaves": 2, "steps": 6}
UNBROKEN = {"size": 144, "octaves": 2, "steps": 30}
KILLED = {"size": 96, "octaves": 2, "steps": 20}
REST = 0.25  # seconds: a state is kept no more often than that


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
    """Whether a process that is not our child still runs; a container may never bury its dead."""
    state = subprocess.run(["ps", "-o", "state=", "-p", str(process)], capture_output=True, text=True)
    return state.stdout.strip() not in ("", "Z")


@pytest.fixture(scope="module")
def unbroken(studio: Server, cat: str) -> bytes:
    """The picture of a dream that nothing has held up."""
    job = studio.start("dream", settings=UNBROKEN, inputs=[("picture", cat)])
    return studio.file(studio.wait(job)["picture"])


def with_history(studio: Server, job: str, count: int) -> list[int]:
    """The steps of a job to which one can go back, once it has so many; it is held up until it has.

    A state is kept at the first step after a rest, so that it does not hang on how fast the machine is.
    """

    def kept() -> list[int] | None:
        studio("PATCH", f"/api/jobs/{job}", {"state": "paused"})
        time.sleep(REST)
        before = studio("GET", f"/api/jobs/{job}")
        studio("PATCH", f"/api/jobs/{job}", {"state": "running"})
        now = studio.wait_until(job, lambda found: found["step"] > before["step"])
        return [each["step"] for each in now["history"]] if len(now["history"]) >= count else None

    return wait_until(kept)


def long_dream(studio: Server, cat: str) -> str:
    """A dream that does not end before it is stopped, and that has begun."""
    job = studio.start(
        "dream", settings={"size": 320, "octaves": 1, "steps": 1000}, inputs=[("picture", cat)]
    )
    studio.wait_until(job, lambda found: found["step"] > 2)
    return job


def test_a_dream_is_watched_and_kept(studio: Server, cat: str, real_shelf: Path) -> None:
    seen = []
    with studio.events() as events:
        assert next(events)[1] == "hello"
        job = studio.start("dream", settings=SETTINGS, inputs=[("picture", cat)], title="Whiskers")
        for _, event, data in events:
            seen.append((event, data))
            if event == "job" and data["id"] == job and data["state"] == "done":
                break
    told = [data for event, data in seen if event == "job" and data["id"] == job]
    steps = [data["step"] for data in told]
    assert steps == sorted(steps)
    assert told[-1]["step"] == told[-1]["steps"] == 12
    assert any(data["preview"] for data in told)
    made = next(data for event, data in seen if event == "gallery")
    assert made["id"] == told[-1]["picture"]
    assert made["title"] == "Whiskers"
    # Nothing else than what the library makes of the same picture and settings.
    file = studio.file(made["id"])
    (last,) = deque(
        dream(open_picture(real_shelf / "photographs" / "chelsea.png"), Dream.checked(SETTINGS)), maxlen=1
    )
    assert last.picture is not None
    assert (open_picture(file) - last.picture).abs().max() < 0.6 / 255
    assert read_recipe(file).settings == told[-1]["settings"]
    numbers = studio("GET", f"/api/jobs/{job}/numbers")
    assert numbers[-1]["step"] == 12
    assert numbers[-1]["numbers"]["energy"] > 1


def test_the_preview_is_of_the_picture_so_far(studio: Server, cat: str) -> None:
    job = long_dream(studio, cat)
    studio.wait_until(job, lambda found: found["preview"] > 1)
    status, content, headers = studio.request("GET", f"/api/jobs/{job}/preview?n=2")
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert max(Image.open(io.BytesIO(content)).size) <= 1024
    stopped = studio.stop(job)
    assert stopped["state"] == "stopped"
    assert 0 < stopped["step"] < stopped["steps"]
    # What there was when it was stopped is kept, at its final size.
    kept = studio("GET", f"/api/pictures/{stopped['picture']}")
    assert max(kept["width"], kept["height"]) == 320
    assert studio("GET", "/api/gallery")[0]["id"] == stopped["picture"]


def test_settings_change_on_the_way(studio: Server, cat: str, coffee: str) -> None:
    job = studio.start(
        "style", settings={"size": 96, "steps": 1000}, inputs=[("picture", cat), ("style", coffee)]
    )
    before = studio.wait_until(job, lambda found: found["step"] > 3)
    status, words = studio.error("PATCH", f"/api/jobs/{job}", {"settings": {"brush": 2}})
    assert status == 422
    assert "brush cannot change" in words
    assert studio.error("PATCH", f"/api/jobs/{job}", {"settings": {"strength": -1}})[0] == 422
    studio("PATCH", f"/api/jobs/{job}", {"settings": {"strength": 50}})
    # Hardly a photograph any more: its content is let go.
    studio.wait_until(job, lambda found: found["numbers"]["content"] > before["numbers"]["content"] + 0.05)
    picture = studio.stop(job)["picture"]
    recipe = read_recipe(studio.file(picture))
    assert recipe.settings["strength"] == 50
    (change,) = recipe.changes  # and it says that it was not so from the beginning
    assert change.step >= before["step"]
    assert change.settings == {"strength": 50}
    command = studio("GET", f"/api/pictures/{picture}")["recipe"]["command"]
    assert command.startswith("lanterna style chelsea.png --size=96 ")
    assert " --style coffee.png " in command
    assert str(studio.home) not in command + recipe.model_dump_json()


def test_a_dream_takes_another_layer_and_refuses_one_that_is_not_there(studio: Server, cat: str) -> None:
    job = long_dream(studio, cat)
    studio("PATCH", f"/api/jobs/{job}", {"settings": {"layer": ["nonsense"]}})
    refused = studio.wait_until(job, lambda found: found["error"])
    assert "no layer 'nonsense'" in refused["error"]
    assert refused["settings"]["layer"] == []
    went = studio.wait_until(job, lambda found: found["step"] > refused["step"] + 2)
    assert went["state"] == "running"
    studio("PATCH", f"/api/jobs/{job}", {"settings": {"layer": ["block5"]}})
    studio.wait_until(job, lambda found: found["step"] > went["step"] + 5)
    studio("PATCH", f"/api/jobs/{job}", {"state": "stopped"})
    assert read_recipe(studio.file(studio.wait(job)["picture"])).settings["layer"] == ["block5"]


def test_a_paused_job_makes_way_and_ends_as_if_it_had_not_and_can_be_branched(
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
    time.sleep(REST)
    assert studio("GET", f"/api/jobs/{job}")["step"] == held["step"]
    studio("PATCH", f"/api/jobs/{job}", {"state": "running"})
    parent = studio.wait(job)
    assert studio.file(parent["picture"]) == unbroken

    def branch(**fields: Any) -> dict[str, Any]:
        return studio("POST", "/api/jobs", {"parent": parent["id"], "at": middle, **fields})

    same = studio.wait(branch()["id"])
    assert studio.file(same["picture"]) == unbroken
    assert same["parent"] == parent["id"]
    assert min([step["step"] for step in same["history"]], default=middle) >= middle  # it did not begin anew
    other = studio.wait(branch(settings={"step_size": 0.1})["id"])
    assert other["settings"]["step_size"] == 0.1
    assert studio.file(other["picture"]) != unbroken
    at = {"parent": parent["id"], "at": middle}
    assert "cannot change" in studio.error("POST", "/api/jobs", {**at, "settings": {"size": 64}})[1]
    assert studio.error("POST", "/api/jobs", {**at, "at": 10**6})[0] == 409


def test_a_job_goes_back_and_on_and_ends_as_if_it_had_not(studio: Server, cat: str, unbroken: bytes) -> None:
    job = studio.start("dream", settings=UNBROKEN, inputs=[("picture", cat)])
    kept = with_history(studio, job, 3)
    assert len(kept) <= 24
    first = kept[0]
    earlier = studio.request("GET", f"/api/jobs/{job}/history/{first}")
    assert (earlier[0], earlier[2]["content-type"]) == (200, "image/jpeg")
    studio("PATCH", f"/api/jobs/{job}", {"back": first})
    back = studio.wait_until(job, lambda found: found["step"] == first)
    assert back["state"] == "paused"
    assert studio.request("GET", f"/api/jobs/{job}/preview")[1] == earlier[1]
    time.sleep(REST)
    assert studio("GET", f"/api/jobs/{job}")["step"] == first  # it rests
    studio("PATCH", f"/api/jobs/{job}", {"state": "running"})
    studio.wait_until(job, lambda found: found["step"] > first)
    # Stopped, it goes on from where it was, as another job.
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


def test_the_queue_is_put_in_another_order(studio: Server, cat: str) -> None:
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


def test_a_network_is_trained_watched_and_then_reads(studio: Server) -> None:
    settings = {"fraction": 0.1, "epochs": 3}
    job = studio.start("train", preset="fast-dense", settings=settings, title="quick-one")
    done = studio.wait(job)
    assert done["state"] == "done", done["error"]
    assert done["numbers"]["validation_accuracy"] > 0.85
    assert "quick-one" in [each["name"] for each in studio("GET", "/api/networks") if each["here"]]
    made = studio("GET", "/api/gallery?room=train")
    assert {each["recipe"]["numbers"]["accuracy"] > 0.85 for each in made} == {True}
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


def test_a_painting_comes_with_what_was_learned(studio: Server, cat: str, tmp_path: Path) -> None:
    from lanterna.techniques.paint.painting import open_painting

    job = studio.start("paint", settings={"steps": 200, "size": 48}, inputs=[("picture", cat)])
    done = studio.wait(job)
    assert done["numbers"]["psnr"] > 25
    _, content, _ = studio.request("GET", f"/api/pictures/{done['picture']}/also")
    (tmp_path / "cat.safetensors").write_bytes(content)
    assert max(open_painting(tmp_path / "cat.safetensors").size) == 48


def test_a_sheet_says_where_each_picture_is_and_what_makes_it_large(studio: Server) -> None:
    settings = {"width": 80, "height": 48, "sheet": 5, "seed": 3, "samples": 2, "layers": 4}
    sheet = studio.wait(studio.start("random-sheet", settings=settings))["picture"]
    tiles = studio("GET", f"/api/pictures/{sheet}")["recipe"]["sheet"]
    assert [tile["label"] for tile in tiles] == ["3", "4", "5", "6", "7"]
    tile = tiles[4]  # the first of the second row
    x0, y0, x1, y1 = tile["box"]
    small = open_picture(studio.file(sheet))[:, y0:y1, x0:x1]
    large = studio.wait(studio.start(tile["kind"], settings=tile["settings"]))["picture"]
    whole = open_picture(studio.file(large))
    assert (
        torch.nn.functional.interpolate(small[None], whole.shape[1:], mode="area")[0].sub(whole).abs().mean()
        < 0.02
    )
    assert tile["command"].startswith("lanterna paint --random --seed=7 ")


@pytest.mark.parametrize(
    ("kind", "settings", "roles"),
    [
        ("instant", {"size": 64, "brush": 4}, ("picture", "style")),
        ("dream-sheet", {"sheet": "channels", "shown": ["block5:1", "block5:2"]}, ("picture",)),
        ("random-sheet", {"sheet": 2, "width": 64, "height": 64, "samples": 1}, ()),
        ("feature", {"layer": "block1", "channel": 0, "steps": 3, "size": 64}, ()),
    ],
)  # fmt: skip
def test_every_other_kind_makes_a_picture(
    studio: Server, cat: str, coffee: str, kind: str, settings: dict[str, Any], roles: tuple[str, ...]
) -> None:
    files = {"picture": cat, "style": coffee}
    job = studio.start(kind, settings=settings, inputs=[(role, files[role]) for role in roles])
    done = studio.wait(job)
    assert done["state"] == "done", done["error"]
    assert studio("GET", f"/api/pictures/{done['picture']}")["recipe"]["kind"] == kind
    assert read_recipe(studio.file(done["picture"])).verb


def test_a_job_that_is_stopped_before_its_first_picture_is_stopped(
    studio: Server, cat: str, coffee: str
) -> None:
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
        ({"kind": "train", "title": "../x"}, "expected a network name"),
        ({"kind": "train", "title": "vgg16"}, "a built-in network"),
        ({"kind": "random", "inputs": [{"picture": "0" * 32}]}, "not here"),
        ({"kind": "random", "extra": 1}, "no 'extra'"),
        ({"kind": "fetch", "settings": {"item": "everything"}}, "the shelf has no"),
    ],
)
def test_a_wrong_wish_is_told_in_one_line(studio: Server, body: dict[str, Any], words: str) -> None:
    status, told = studio.error("POST", "/api/jobs", body)
    assert status == 422
    assert words in told
    assert "\n" not in told


def test_a_lesson_that_trains_says_how_far_it_is_and_can_be_stopped(studio: Server) -> None:
    settings = {"depths": [1, 2], "runs": 1, "steps": 200}
    job = studio.start("learn-squash", settings=settings)
    said = studio.wait_until(job, lambda found: found["step"] > 0)
    assert said["note"].startswith("training networks, ")
    assert said["steps"] == 2 * 3  # depths and squashes
    studio("PATCH", f"/api/jobs/{job}", {"state": "stopped"})
    ended = studio.wait(job)
    assert (ended["state"], ended["picture"], ended["error"]) == ("stopped", None, None)
    done = studio.wait(studio.start("learn-squash", settings={**settings, "depths": [1]}))
    assert done["state"] == "done"


def killed_and_followed(studio: Server, worker: int) -> int:
    """Kill the worker, and give the one that the studio starts instead."""
    before = set(studio.processes())
    os.kill(worker, signal.SIGKILL)
    (following,) = wait_until(lambda: set(studio.processes()) - before)
    return following


def test_a_worker_that_is_killed_is_tried_once_more_and_one_that_ends_as_it_begins_after_a_rest(
    studio: Server, cat: str
) -> None:
    job = long_dream(studio, cat)
    following = studio.start("random", settings={"width": 64, "height": 64})
    (worker,) = wait_until(lambda: len(found := studio.workers()) == 1 and found)
    second = killed_and_followed(studio, worker)
    studio.wait_until(job, lambda found: found["note"] == "")  # it is at work, no longer "beginning"
    starts_them = psutil.Process(second).ppid()
    limits = resource.prlimit(starts_them, resource.RLIMIT_AS)
    resource.prlimit(starts_them, resource.RLIMIT_AS, (2**20, limits[1]))  # the third has no memory to begin
    os.kill(second, signal.SIGKILL)
    failed = studio.wait(job)
    assert failed["state"] == "failed"
    assert "SIGKILL" in failed["error"]
    studio.wait_until(following, lambda found: "as it began: trying again" in found["note"])
    assert studio.workers() == []  # it rests, and the page is there
    resource.prlimit(starts_them, resource.RLIMIT_AS, limits)
    assert studio.wait(following)["state"] == "done"


def test_a_worker_without_memory_says_so_and_the_next_job_is_done(studio: Server, cat: str) -> None:
    job = studio.start("dream", settings={"size": 64, "octaves": 1, "steps": 2}, inputs=[("picture", cat)])
    assert studio.wait(job)["state"] == "done"  # it has all that a small one needs
    (worker,) = studio.workers()
    pages = int(Path(f"/proc/{worker}/statm").read_text().split()[0])
    limits = resource.prlimit(worker, resource.RLIMIT_AS)
    here = pages * resource.getpagesize() + 300 * 2**20
    resource.prlimit(worker, resource.RLIMIT_AS, (here, limits[1]))
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
    home, moments = new_home(real_shelf, tmp_path), random.Random(7)
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
    wait_until(lambda: not any(map(is_alive, helpers)))  # they do not go on computing for nobody
    studio = Server(home)
    begun = studio.wait_until(dreaming, lambda found: found["note"] == "" and found["step"] > 0)
    assert begun["step"] > 5  # it goes on, and does not begin anew
    for kill in range(KILLS):
        before, steps = done_so_far(studio, jobs), moments.randrange(100)
        wait_until(lambda: done_so_far(studio, jobs) >= before + steps)  # noqa: B023
        helpers = studio.processes()
        studio.kill()
        for each in () if kill % 2 else helpers:  # now all of it, as when the power is cut
            with contextlib.suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        studio = Server(home)
    try:
        ended = [studio.wait(job) for job in jobs]
        assert [(each["state"], each["error"]) for each in ended] == [("done", None)] * 3
        for made in studio("GET", "/api/gallery"):
            open_picture(studio.file(made["id"]))
        assert len(studio("GET", "/api/gallery")) == 3
        (last,) = deque(
            dream(open_picture(real_shelf / "photographs" / "chelsea.png"), Dream.checked(KILLED)), maxlen=1
        )
        assert last.picture is not None
        assert (open_picture(studio.file(ended[0]["picture"])) - last.picture).abs().max() < 0.6 / 255
    finally:
        studio.close()


def done_so_far(studio: Server, jobs: list[str]) -> float:
    """The steps that have been done of all these jobs; without a bound once they have ended."""
    found = [studio("GET", f"/api/jobs/{job}") for job in jobs]
    return float("inf") if all(each["ended"] for each in found) else sum(each["step"] for each in found)
