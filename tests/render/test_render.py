"""Many pictures: whatever dies, fills up or is no good, what is made is kept, and the rest is made later."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from itertools import count, pairwise
from pathlib import Path

import pytest
import torch

from hostile import photograph
from lanterna import open_picture, read_recipe, save_picture
from lanterna.errors import LanternaError, UsageError
from lanterna.images.film_reading import open_film
from lanterna.images.films import save_film
from lanterna.images.motion import flicker
from lanterna.surfaces.cli import main
from lanterna.surfaces.render import dask_engine
from lanterna.surfaces.render.chunks import FilmRun, find_cuts, read_chunks, split_chunks
from lanterna.surfaces.render.folder import MANIFEST, Folder
from lanterna.surfaces.render.local_engine import LocalEngine
from lanterna.surfaces.render.plan import PictureRun, Sweep, open_source, variations
from lanterna.surfaces.render.renderer import Renderer
from lanterna.surfaces.render.scheduler import TRIES, run_tasks
from lanterna.surfaces.render.task import Failed, RenderConfig, Rendered, Task
from lanterna.techniques.dream.algorithm import Dream
from lanterna.techniques.dream.film import DreamFilm, dream_frames
from strangers import fetch, is_loopback, listening_sockets, process_tree, world_accessible

PATIENCE = 300.0  # seconds, so that a test that hangs ends
DREAM = ["--layer", "block2", "--steps", "1", "--octaves", "1"]
CONFIG = RenderConfig("dream", "dream", ".png", "cpu")
RECIPE = Dream(layer="block2", steps=1, octaves=1)


@pytest.fixture(scope="module", autouse=True)
def home(session_home):
    """A home in which the shelf is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANTERNA_HOME", str(session_home))
        yield session_home


@pytest.fixture(scope="module")
def cached_workers():
    """Workers of `lanterna render` that go on from one command to the next, as long as their kit is the same.

    They are its own; to start them anew for each command would take most of the time.
    """
    engines: dict[tuple[RenderConfig, int], LocalEngine] = {}

    def engine(config: RenderConfig, workers: int) -> LocalEngine:
        if (config, workers) not in engines:
            engines[config, workers] = CachedEngine(config, workers)
        return engines[config, workers]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lanterna.surfaces.cli.render.LocalEngine", engine)
        yield
    for each in engines.values():
        LocalEngine.close(each)


class CachedEngine(LocalEngine):
    def close(self) -> None:
        assert all(worker.task is None for worker in self._workers)


@pytest.fixture
def photos(tmp_path: Path, real_shelf: Path) -> Path:
    """A folder of six small pictures."""
    cat = open_picture(real_shelf / "photographs/chelsea.png", longest=160)
    for number in range(6):
        save_picture(cat[:, :48, number * 16 : number * 16 + 48], tmp_path / f"photos/cat{number}.png")
    return tmp_path / "photos"


def kept(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("[!.]*.png"))}


def entries(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / MANIFEST).read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.usefixtures("photos", "cached_workers")
def test_a_folder_is_rendered_and_missing_pictures_again(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    command = ["render", "photos", "dream", *DREAM, "-o", "out", "--workers", "1"]
    assert main([*command, "--json"]) == 0
    printed_text = json.loads(capsys.readouterr().out)
    assert (printed_text["made"], printed_text["already"], printed_text["failed"]) == (6, 0, {})
    before = kept(tmp_path / "out")
    assert sorted(before) == [f"cat{number}.png" for number in range(6)]
    # It is what the verb makes, and carries the recipe of it.
    assert main(["dream", "photos/cat3.png", *DREAM, "-o", "one.png", "--quiet"]) == 0
    apart = (open_picture("one.png") - open_picture("out/cat3.png")).abs()
    assert apart.mean() < 0.5 / 255
    recipe, alone = read_recipe("out/cat3.png"), read_recipe("one.png")
    assert (recipe.settings, recipe.inputs) == (alone.settings, alone.inputs)
    # Nothing is made twice; what is gone is made again, the same.
    (tmp_path / "out/cat2.png").unlink()
    (tmp_path / "out/cat4.png").write_bytes(b"half of")
    assert main([*command, "--json"]) == 0
    printed_text = json.loads(capsys.readouterr().out)
    assert (printed_text["made"], printed_text["already"]) == (2, 4)
    assert kept(tmp_path / "out") == before
    # Another recipe does not go into the same folder unasked.
    other = [*command[:4], "block3", *command[5:]]
    assert main(other) == 2
    assert "has a run with other pictures or settings" in capsys.readouterr().err
    assert kept(tmp_path / "out") == before
    assert main([*command[:-4], "-o", "photos", "--force"]) == 2
    assert "photos is what the result is made from" in capsys.readouterr().err
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("Dear")
    assert main([*command[:-4], "-o", "mine", "--force"]) == 2
    assert "contains other files" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.usefixtures("cached_workers")
def test_a_bad_picture_is_skipped_and_the_rest_rendered(photos, tmp_path, capsys):
    (photos / "cat2.png").write_bytes(b"no picture")
    command = ["render", str(photos), "dream", *DREAM, "-o", str(tmp_path / "out"), "--workers", "1"]
    assert main(command) == 1
    message = capsys.readouterr().err
    assert "cat2: " in message
    assert "1 of 6 failed: give the same command to try them again" in message
    assert len(kept(tmp_path / "out")) == 5
    (failed,) = [entry for entry in entries(tmp_path / "out") if "failed" in entry]
    assert (failed["name"], failed["tries"]) == ("cat2", 1)  # it would be no better the next time
    save_picture(torch.rand(3, 64, 64), photos / "cat2.png", force=True)
    assert main(command) == 0
    assert "1 of 6 made, 5 already there" in capsys.readouterr().err


def run(photos: Path, place: Path, start, watch=lambda *_: None):
    folder = Folder(place, {}, ".png")
    begun, ways = open_source(photos), variations(RECIPE, [])
    whole = PictureRun(begun, ways)
    missing = whole.missing(folder)
    already = len(begun.names) - len(missing)
    return run_tasks(whole.tasks(missing), folder, start, already=already, watch=watch)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_its_task_retried(photos, tmp_path):
    engine = LocalEngine(CONFIG, 1)
    times = count()

    def kill(*_):
        if next(times) == 1:
            os.kill(engine._workers[0].process.pid, signal.SIGKILL)

    summary = run(photos, tmp_path / "out", lambda: engine, kill)
    assert (summary.made, summary.failed) == (6, {})
    assert summary.tried_again <= 1  # it may have been idle
    undisturbed = run(photos, tmp_path / "other", Here)
    assert undisturbed.made == 6
    assert kept(tmp_path / "out") == kept(tmp_path / "other")


class Here:
    """An engine without workers: tasks are made where they are handed out."""

    name, workers = "here", 1

    def __init__(self, config: RenderConfig = CONFIG) -> None:
        self.default = torch.get_num_threads()
        self.renderer, self.task = Renderer(config), None

    def free(self) -> int:
        return int(self.task is None)

    def submit(self, task: Task) -> None:
        self.task = task

    def wait(self) -> Rendered | Failed:
        task, self.task = self.task, None
        return self.renderer(task)

    def close(self) -> None:
        self.renderer.close()
        torch.set_num_threads(self.default)  # which a maker changes


class Deadly:
    """An engine whose workers die over one task."""

    name, workers = "deadly", 1

    def __init__(self, number: int) -> None:
        self.number, self.begun, self.busy = number, [], False

    def free(self) -> int:
        return int(not self.busy)

    def submit(self, task: Task) -> None:
        self.begun.append(task.number)
        self.busy = True

    def wait(self) -> Rendered | Failed:
        number, self.busy = self.begun[-1], False
        if number == self.number:
            return Failed(number, "its worker died (SIGKILL)")
        return Rendered(number, [b"file"])

    def close(self) -> None:
        self.begun.append(-1)


def test_a_task_that_kills_its_worker_fails_after_three_tries(photos, tmp_path):
    engine = Deadly(2)
    summary = run(photos, tmp_path / "out", lambda: engine)
    assert (summary.made, summary.failed) == (5, {"cat2": "its worker died (SIGKILL)"})
    assert engine.begun.count(2) == TRIES
    assert engine.begun[-1] == -1  # it was closed


def test_a_full_disk_ends_it_and_nothing_is_half_written(photos, tmp_path, monkeypatch):
    engine, times = Deadly(-2), count()
    right = Path.write_bytes

    def full(path, data):
        if next(times) == 3:
            right(path, data[:2])
            raise OSError(28, "No space left on device")
        return right(path, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(LanternaError, match="No space left on device"):
        run(photos, tmp_path / "out", lambda: engine)
    assert engine.begun[-1] == -1
    assert set(kept(tmp_path / "out").values()) == {b"file"}
    assert len(list((tmp_path / "out").iterdir())) == 3 + 2  # three pictures, the plan and the manifest
    monkeypatch.setattr(Path, "write_bytes", right)
    summary = run(photos, tmp_path / "out", lambda: Deadly(-2))
    assert (summary.made, summary.already) == (3, 3)


def test_a_manifest_that_was_cut_off_or_is_odd_loses_no_more_than_that(photos, tmp_path):
    run(photos, tmp_path / "out", lambda: Deadly(-2))
    manifest = tmp_path / "out" / MANIFEST
    lines = manifest.read_text().splitlines()
    odd = [
        "",
        "[]",
        "{",
        '{"number": "x"}',
        '{"number": 5, "name": "../../x", "sizes": null}',
        "[" * 9999,
        "\x00",
    ]
    manifest.write_text("\n".join([*lines[:3], *odd, *lines[3:5], lines[5][:9]]))
    summary = run(photos, tmp_path / "out", lambda: Deadly(-2))
    assert (summary.made, summary.already) == (1, 5)


@pytest.mark.slow
def test_force_starts_again_and_removes_only_its_own_files(photos, tmp_path):
    run(photos, tmp_path / "out", Here)
    (tmp_path / "out/mine.txt").write_text("mine")
    ways = variations(RECIPE, [Sweep.parse("seed=1,2")])
    with pytest.raises(UsageError, match="has a run with other pictures"):
        Folder(tmp_path / "out", {"ways": 2}, ".png")
    folder = Folder(tmp_path / "out", {"ways": 2}, ".png", force=True)
    assert run_tasks(PictureRun(open_source(photos), ways).tasks(range(12)), folder, Here).made == 12
    names = set(kept(tmp_path / "out"))
    assert len(names) == 12
    assert "cat0-seed-2.png" in names
    assert "cat0.png" not in names
    assert (tmp_path / "out/mine.txt").read_text() == "mine"


@pytest.mark.slow
def test_what_needs_no_picture_is_swept_too(tmp_path, monkeypatch, capsys):
    """Each picture of a sweep is the one that the technique's own command makes."""
    monkeypatch.chdir(tmp_path)
    words = ["--width", "24", "--height", "16"]
    assert main(["render", "random", *words, "--sweep", "seed=4:6:3", "-o", "seeds", "--workers", "1"]) == 0
    assert main(["paint", "--random", *words, "--seed", "5", "-o", "five.png", "--quiet"]) == 0
    made = sorted((tmp_path / "seeds").glob("*.png"))
    assert [each.name for each in made] == [f"random-seed-{seed}.png" for seed in (4, 5, 6)]
    assert torch.equal(open_picture(made[1]), open_picture("five.png"))
    assert not torch.equal(open_picture(made[0]), open_picture(made[1]))
    assert read_recipe(made[2]).settings["seed"] == 6
    assert main(["render", "random", "dream", "-o", "out"]) == 2  # no file of that name to dream on
    assert "random cannot be read" in capsys.readouterr().err


def test_every_picture_has_a_name_of_its_own(tmp_path):
    for name in ("a.jpg", "a.png", "a-jpg.png", "A.webp", "b.b.png", "b-b.png", "c.png"):
        (tmp_path / name).touch()
    names = open_source(tmp_path).names
    assert sorted(names) == ["A-webp", "a-jpg", "a-jpg-2", "a-png", "b-b", "b.b", "c"]
    swept = variations(Dream(), [Sweep.parse("step_size=1.0000001,1.0000002")])
    assert [each.suffix for each in swept] == ["-step_size-1", "-step_size-1-2"]


def test_sweeps_are_read_and_checked():
    assert Sweep.parse("step_size=0.5:2:4").values == (0.5, 1.0, 1.5, 2.0)
    assert Sweep.parse("seed=0:9:10").values == tuple(range(10))
    assert Sweep.parse("layer=block5,block9") == Sweep("layer", ("block5", "block9"))
    for wrong in ("seed", "=1,2", "seed=", "steps=1:2:x", "steps=1:inf:3", "steps=1:2:0"):
        with pytest.raises(UsageError, match="--sweep: expected NAME="):
            Sweep.parse(wrong)
    made = variations(Dream(), [Sweep.parse("steps=1,2"), Sweep.parse("class=goldfish,tabby")])
    assert [each.suffix for each in made][:2] == ["-steps-1-class-goldfish", "-steps-1-class-tabby"]
    assert made[3].settings["steps"] == 2
    with pytest.raises(UsageError, match="unknown setting 'speed': the settings are"):
        variations(Dream(), [Sweep.parse("speed=1,2")])
    with pytest.raises(UsageError, match="steps"):
        variations(Dream(), [Sweep.parse("steps=0,2")])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["dream"], "expected an output"),
        (
            ["dream", "-o", "x", "--layer", "block2", "--sheet", "layers"],
            "a sheet does not work on many pictures",
        ),
        (["style", "-o", "x"], "expected a painting"),
        (["dream", "-o", "x", "--steps", "0"], "steps"),
        (["dream", "-o", "x", "--colour", "red"], "--colour"),
        (["dream", "-o", "x", "--address", "auto"], "--engine ray"),
        (["dream", "-o", "x", "--workers", "0"], "--workers: expected 1"),
        (["classify", "-o", "x.mp4"], "a film needs a film"),
        (["dream", "-o", "x", "--flow", "--sweep", "seed=1,2"], "--flow is for a film"),
    ],
)
def test_invalid_commands_are_one_line(photos, tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    assert main(["render", str(photos), *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_pictures_are_classified_into_files(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("lanterna.surfaces.cli.render.LocalEngine", lambda config, _: Here(config))
    assert main(["render", str(photos), "classify", "--top", "2", "-o", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out/cat0.json").read_text())
    capsys.readouterr()
    assert main(["classify", str(photos / "cat0.png"), "--top", "2", "--json"]) == 0
    (alone,) = json.loads(capsys.readouterr().out)
    assert [each["index"] for each in found["answers"]] == [each["index"] for each in alone["answers"]]


def test_chunks_cover_a_film_and_split_at_cuts():
    grey, light = torch.full((3, 40, 40), 0.3), torch.full((3, 40, 40), 0.8)
    shaky = [(grey + 0.02 * (number % 2)) for number in range(10)]
    assert find_cuts([*shaky, light, light, light, *shaky]) == [10, 13]
    found = split_chunks(200, [50], 40, 8)
    assert found[0].first == 0
    assert found[-1].last == 200
    for one, other in pairwise(found):
        assert other.first == one.last - other.overlap
        assert other.overlap == (0 if one.last == 50 else 8)
    assert all(24 <= each.last - each.first <= 60 for each in found)
    assert [(each.first, each.last) for each in split_chunks(10, [], 48, 8)] == [(0, 10)]


def test_pieces_are_read_from_a_plan_and_only_such_as_fit():
    found = split_chunks(100, [30], 20, 4)
    plan = {"pieces": [[piece.first, piece.last, piece.overlap] for piece in found]}
    assert read_chunks(plan, 100) == found
    odd = (
        [[0, 50, 0]],
        [[0, 50, 0], [46, 100, 5]],
        [[0, 100, -1]],
        [[0, 2, 0], [-2, 100, 4]],
        [[0, 100]],
        "x",
        [5],
    )
    for each in (plan["pieces"][:-1], *odd):
        assert read_chunks({"pieces": each}, 100) == []
    assert read_chunks({}, 100) == []


@pytest.mark.slow
def test_a_film_is_rendered_in_chunks_without_visible_seams(tmp_path, real_shelf, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cat = open_picture(real_shelf / "photographs/chelsea.png", longest=220)
    save_film(
        [cat[:, 20:68, place : place + 48] for place in range(0, 28, 2)], "clip.webp", count=14, quality=95
    )
    film, begun = open_film("clip.webp"), open_source(Path("clip.webp"))
    settings = DreamFilm(layer="block2", steps=2, octaves=1)
    unsteady = {}
    for overlap in (4, 0):
        cut = split_chunks(film.count, find_cuts(film), 7, overlap)
        assert len(cut) == 2
        place = tmp_path / f"out{overlap}"
        folder = Folder(place, {}, ".png")
        config = RenderConfig("dream", "film", ".png", "cpu", chunks=True)
        whole = FilmRun(begun, film, cut, settings.model_dump(mode="json"))
        assert run_tasks(whole.tasks(range(2)), folder, partial(Here, config)).made == 2
        numbers, made = zip(*whole.frames(folder, range(14)), strict=True)
        assert numbers == tuple(range(14))
        unsteady[overlap] = flicker(made[5:9], list(film)[5:9]) / flicker(made[9:13], list(film)[9:13])
    # Where parts meet it is no more unsteady than elsewhere; without the overlap it would be.
    assert unsteady[4] < 1.3 < unsteady[0]
    # The first piece is, frame by frame, the film that is made in one go.
    alone = [frame.picture for frame in dream_frames(film.frames(), settings, count=14)][:3]
    assert torch.equal(torch.stack(alone), torch.stack(made[:3]))


@pytest.mark.slow
@pytest.mark.usefixtures("cached_workers")
def test_a_film_is_rendered_to_a_film_or_a_folder(tmp_path, real_shelf, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cat = open_picture(real_shelf / "photographs/chelsea.png", longest=220)
    save_film([cat[:, 20:68, place : place + 48] for place in range(0, 12, 2)], "clip.webp", count=6)
    command = ["render", "clip.webp", "dream", *DREAM, "--chunk", "3", "--overlap", "1", "--workers", "1"]
    assert main([*command, "-o", "out.webp", "--json"]) == 0
    printed_text = json.loads(capsys.readouterr().out)
    assert (printed_text["tasks"], printed_text["failed"]) == (2, {})
    assert printed_text["seam"] > 0
    assert open_film("out.webp").count == 6
    assert not (tmp_path / "out.webp.frames").exists()
    # In a folder the same words find that it is whole; what is gone is made again, of its own part alone.
    whole = [*command, "-o", "out", "--json"]
    assert main(whole) == 0
    assert json.loads(capsys.readouterr().out)["made"] == 2
    before = kept(tmp_path / "out")
    assert len(before) == 6
    assert not list((tmp_path / "out").glob(".*"))
    for gone, made in ((None, 0), ("00000.png", 1), ("00002.png", 2), ("00005.png", 1)):
        if gone:
            (tmp_path / "out" / gone).unlink()
        assert main(whole) == 0
        printed_text = json.loads(capsys.readouterr().out)
        assert (gone, printed_text["made"], printed_text["already"]) == (gone, made, 2 - made)
        assert kept(tmp_path / "out") == before
    # With other workers it goes on as it was begun. What they are plays no part from here on.
    monkeypatch.setattr("lanterna.surfaces.cli.render.LocalEngine", lambda config, _: Here(config))
    others = [*command[:9], *whole[-3:], "--workers", "3"]
    (tmp_path / "out/00004.png").unlink()
    assert main(others) == 0
    assert json.loads(capsys.readouterr().out)["made"] == 1
    assert kept(tmp_path / "out") == before
    assert main([*command, "-o", "small", "--form", "jpg", "--quiet"]) == 0
    assert [path.name for path in sorted((tmp_path / "small").glob("0*"))] == [
        f"0000{n}.jpg" for n in range(6)
    ]
    assert main([*command, "-o", "other.webp", "--form", "jpg"]) == 2
    assert "--form is for pictures in a folder" in capsys.readouterr().err
    # Begun anew, nothing of the other film is left.
    few = [*whole[:3], "--layer", "block1", *whole[5:], "--force"]
    assert main(few) == 0
    assert all(before[name] != data for name, data in kept(tmp_path / "out").items())


@pytest.mark.slow
def test_the_same_comes_out_with_ray_though_a_node_is_lost(photos, tmp_path, monkeypatch):
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    from lanterna.surfaces.render.ray_engine import RayEngine

    monkeypatch.setenv("RAY_DISABLE_DOCKER_CPU_WARNING", "1")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    for name, value in {"initial_delay": 1000, "period": 500, "timeout": 1000}.items():  # and not 30 s
        monkeypatch.setenv(f"RAY_health_check_{name}_ms", str(value))
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    try:
        cluster.wait_for_nodes()
        engine = RayEngine(CONFIG, 2, cluster.address, 2)
        before: list[int] = []

        def lose(summary, _):
            if summary.made == 1 and second in cluster.worker_nodes:
                cluster.remove_node(second, allow_graceful=False)
                while sum(node["Alive"] for node in ray.nodes()) > 1:
                    time.sleep(0.05)
            # When that is noticed, the only worker that is left dies, and is waited for.
            elif summary.made and not before and len(engine._running) == 1:
                before.append(summary.tried_again)
                ((actor, _),) = engine._running.values()
                ray.kill(actor)

        summary = run(photos, tmp_path / "out", lambda: engine, lose)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert (summary.made, summary.failed) == (6, {})
    assert summary.tried_again == before[0] + 1
    run(photos, tmp_path / "other", Here)
    assert kept(tmp_path / "out") == kept(tmp_path / "other")


# Renders, and waits after each picture until it may go on.
HELD = """
import sys, time
from pathlib import Path
from lanterna.surfaces.cli import main
from lanterna.surfaces.render.folder import Folder
save, go_on = Folder.save, Path(sys.argv.pop(1))
def save_and_wait(folder, *given):
    save(folder, *given)
    while not go_on.exists():
        time.sleep(0.01)
Folder.save = save_and_wait
sys.exit(main(sys.argv[1:]))
"""
# Asks the head of a Ray cluster what it notes.
ASKS = """
import sys
from ray._raylet import GcsClient
assert GcsClient(address=sys.argv[1], cluster_id=None).internal_kv_keys(b"", None, timeout=60)
"""


def test_a_manifest_that_is_a_link_is_not_written_to(tmp_path):
    (tmp_path / "mine").write_text("mine\n")
    folder = Folder(tmp_path / "out", {"verb": "dream"}, ".png")
    (tmp_path / "out" / "manifest.jsonl").unlink(missing_ok=True)
    (tmp_path / "out" / "manifest.jsonl").symlink_to(tmp_path / "mine")
    with pytest.raises(LanternaError, match="cannot write"):
        folder.save(Task(0, "cat", {}), Rendered(0, [b"file"]))
    assert (tmp_path / "mine").read_text() == "mine\n"


@pytest.mark.slow
def test_a_ray_cluster_of_its_own_is_closed_to_other_users(photos, tmp_path):
    pytest.importorskip("ray")
    go_on, person, out = tmp_path / "go-on", tmp_path / "person", tmp_path / "out"
    person.mkdir()
    command = ["render", str(photos), "dream", *DREAM, "-o", str(out), "--engine", "ray", "--workers", "1"]
    here = tmp_path / "here"  # a stranger's folder: Ray's workers import from where they are started
    here.mkdir()
    for name in ("pydantic", "lanterna"):
        (here / f"{name}.py").write_text(f"open({str(tmp_path / 'it-ran')!r}, 'w')\nraise ImportError\n")
    with tempfile.TemporaryDirectory(prefix="", dir="/tmp") as temporary:  # whose name Ray wants short
        surroundings = {**os.environ, "HOME": str(person), "TMPDIR": temporary, "RAY_AUTH_MODE": "disabled"}
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", HELD, str(go_on), *command], env=surroundings, cwd=here
        )
        try:
            end = time.monotonic() + PATIENCE
            while not kept(out):
                assert process.poll() is None
                assert time.monotonic() < end
                time.sleep(0.05)
            places = listening_sockets(process.pid)
            assert len(places) > 3  # the head, the node, a worker, and whoever hands the work out
            assert all(map(is_loopback, places)), places
            assert not world_accessible(Path(temporary))
            # Whoever wants in has to know a token, which is in no file and no command line.
            started = process_tree(process.pid)[1:]
            (token,) = {each.environ().get("RAY_AUTH_TOKEN") for each in started} - {None}
            assert not any(token in " ".join(each.cmdline()) for each in started)
            assert not list(person.rglob("auth_token"))
            (head,) = (each.pid for each in started if each.name() == "gcs_server")
            ((_, port),) = listening_sockets(head)
            for message, code in ((token, 0), ("a token of somebody else's, of thirty-two", 1)):
                asking = {**surroundings, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": message}
                answer = subprocess.run([sys.executable, "-c", ASKS, f"127.0.0.1:{port}"], env=asking)
                assert answer.returncode == code
        finally:
            go_on.touch()
            assert process.wait(PATIENCE) == 0
        assert not list(Path(temporary).glob("lanterna-ray-*"))
    assert not (tmp_path / "it-ran").exists()
    assert len(kept(out)) == 6


@pytest.mark.slow
def test_the_same_comes_out_with_dask_though_a_worker_is_killed(photos, tmp_path, monkeypatch, capfd):
    distributed = pytest.importorskip("distributed")
    from lanterna.surfaces.render.dask_engine import DaskEngine

    # Another user has made the folder that Dask would use, and may change what is in it.
    default = tmp_path / "dask-scratch-space"
    default.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = listening_sockets(os.getpid())
    engine = DaskEngine(CONFIG, 1, None, 1)
    times = count()

    def look_and_kill(*_):
        time = next(times)
        if time == 0:
            places = listening_sockets(os.getpid()) - before
            assert len(places) > 2  # the scheduler, a worker, and whoever starts it anew
            assert all(map(is_loopback, places)), places
            answers = [fetch(place, "/info/main/workers.html") for place in places]
            assert all(not answer or answer.startswith(b"HTTP/1.1 404") for answer in answers), answers
            assert not list(default.iterdir())
            where = engine._client.scheduler.address.replace("tls://", "")
            for scheme, security in (("tcp", None), ("tls", distributed.Security.temporary())):
                with pytest.raises(OSError):  # noqa: PT011 - how it is refused differs
                    distributed.Client(f"{scheme}://{where}", security=security, timeout=1)
        if time < 2:  # Ctrl-C at a terminal comes to a worker too, which takes no notice
            for nanny in engine._cluster.workers.values():
                os.kill(nanny.process.pid, signal.SIGKILL if time else signal.SIGINT)

    summary = run(photos, tmp_path / "out", lambda: engine, look_and_kill)
    assert (summary.made, summary.failed) == (6, {})
    assert "Traceback" not in capfd.readouterr().err
    run(photos, tmp_path / "other", Here)
    assert kept(tmp_path / "out") == kept(tmp_path / "other")


@pytest.mark.slow
def test_a_missing_cluster_is_one_line(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(dask_engine, "_TIMEOUT", 1)
    command = ["render", str(photos), "dream", *DREAM, "-o", str(tmp_path / "x"), "--address", "127.0.0.1:9"]
    assert main([*command, "--engine", "dask"]) == 1
    error = capsys.readouterr().err
    assert "no Dask workers at 127.0.0.1:9" in error
    assert error.count("\n") == 1


def test_dask_without_cryptography_is_one_line(photos, tmp_path, monkeypatch, capsys):
    find = dask_engine.find_spec
    monkeypatch.setattr(dask_engine, "find_spec", lambda name: None if name == "cryptography" else find(name))
    command = ["render", str(photos), "dream", *DREAM, "-o", str(tmp_path / "x"), "--engine", "dask"]
    assert main(command) == 3
    error = capsys.readouterr().err
    assert error == "lanterna: --engine dask needs cryptography: pip install 'lanterna[cluster]'\n"


@pytest.mark.slow
@pytest.mark.usefixtures("cached_workers", "real_shelf")
def test_a_broken_picture_is_called_by_its_name_and_words_are_written_nowhere_else(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    photograph(20, 20).save("photos/good.png")
    (tmp_path / "photos/broken.jpg").write_bytes(b"no picture")
    assert main(["render", "photos", "classify", "-o", "named"]) == 1
    assert "broken: photos/broken.jpg is not a picture" in capsys.readouterr().err
    assert main(["render", "photos", "read", "--steps", "steps", "-o", "read"]) == 2
    assert "--steps does not work on many pictures: leave it out" in capsys.readouterr().err
