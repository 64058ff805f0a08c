"""A training film shows the network at each step, and filming does not change the network."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import weakref
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file

from lanterna.errors import MissingError, UsageError
from lanterna.images import films
from lanterna.images.digits import mnist
from lanterna.images.films import save_film
from lanterna.networks.trained import open_trained
from lanterna.surfaces.cli import main
from lanterna.surfaces.web.film import film_page
from lanterna.techniques.train.algorithm import train
from lanterna.techniques.train.film import TrainingFilm, dequantise, film_steps
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser, Page

SMALL = {"fraction": 0.02, "epochs": 2, "batch_size": 50, "precision": "float32"}
CONV = Train.checked({"channels": (4, 8), "dropout": 0.2, "average": 0.9, **SMALL})
DENSE = Train.checked({"network": "dense", "hidden": (30,), "learning_rate": 0.015, **SMALL, "fraction": 0.1})


def filmed(settings: Train, path: Path) -> tuple[TrainingFilm, dict[str, torch.Tensor]]:
    """Film a training run, and return the film with the final weights."""
    film = TrainingFilm(settings, path)
    for frame in train(settings, device="cpu", extra_steps=film.steps):
        film.record(frame)
    return film, {name: value.clone() for name, value in frame.network.state_dict().items()}


@pytest.fixture(scope="module")
def conv_film(
    session_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingFilm, dict[str, torch.Tensor]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANTERNA_HOME", str(session_home))
        return filmed(CONV, tmp_path_factory.mktemp("film") / "film.pt")


@pytest.fixture(scope="module")
def dense_film(
    session_home: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[TrainingFilm, dict[str, torch.Tensor]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANTERNA_HOME", str(session_home))
        return filmed(DENSE, tmp_path_factory.mktemp("film") / "film.pt")


@pytest.mark.parametrize("steps", [1, 7, 40, 3128, 9060, 1_000_000])
def test_a_film_has_many_frames_early_few_late_and_the_last(steps: int):
    filmed_at = sorted(film_steps(steps))
    assert len(filmed_at) <= 60
    assert filmed_at[-1] == steps
    gaps = np.diff([0, *filmed_at])
    assert (gaps[1:] >= gaps[:-1] - 1).all()
    if steps > 3000:
        assert filmed_at[0] <= 5
        assert 0.4 < sum(step <= steps / 8 for step in filmed_at) / len(filmed_at) < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("which", ["conv_film", "dense_film"])
def test_filming_does_not_change_training_and_misses_no_step(which: str, request: pytest.FixtureRequest):
    film, weights = request.getfixturevalue(which)
    plain = deque(train(film.settings, device="cpu"), maxlen=1)[0].network.state_dict()
    assert plain.keys() == weights.keys()
    assert all(torch.equal(plain[name], weights[name]) for name in plain)
    assert [snapshot.step for snapshot in film.snapshots] == [0, *sorted(film_steps(film.settings.steps))]


@pytest.mark.slow
def test_a_snapshot_agrees_with_the_network_at_that_step(conv_film):
    film, _ = conv_film
    snapshot = film.snapshots[len(film.snapshots) * 2 // 3]
    for frame in train(film.settings, device="cpu", extra_steps={snapshot.step}):
        if frame.step == snapshot.step:
            break
    network = frame.network.eval()
    images, every_label = (part[::10] for part in mnist("validation"))  # every tenth validation digit
    with torch.inference_mode():
        logits = network(images.float() / 255)
        test_logits = network(mnist("test").images[:1000].float() / 255)
    answers = logits.argmax(1).numpy()
    labels = every_label.numpy()
    assert snapshot.accuracy == pytest.approx((answers == labels).mean())
    assert snapshot.loss == pytest.approx(F.cross_entropy(logits, every_label).item(), rel=1e-4)
    confusion = np.zeros((10, 10), int)
    np.add.at(confusion, (labels, answers), 1)
    assert (snapshot.confusion.numpy() == confusion).all()
    assert (snapshot.answers == test_logits.argmax(1)).all()
    # The map, computed by hand for one digit.
    pull = np.exp(test_logits[7].double().numpy() / 3)
    pull /= pull.sum()
    hours = 2 * np.pi * np.arange(10) / 10
    assert snapshot.places[7].numpy() == pytest.approx([pull @ np.sin(hours), pull @ np.cos(hours)], abs=1e-4)
    # The activation maps of a 4.
    four = images[every_label.tolist().index(4)][None].float() / 255
    outputs = dict(network.run(four))
    assert list(snapshot.maps) == ["relu1", "relu2"]
    for layer, levels in snapshot.maps.items():
        values = dequantise(levels[4], snapshot.scales[layer])
        tolerance = snapshot.scales[layer] / 254 + 1e-5
        torch.testing.assert_close(values, outputs[layer][0].detach(), atol=tolerance, rtol=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("which", "first"), [("conv_film", "layers.conv1.weight"), ("dense_film", "layers.hidden1.weight")]
)
def test_the_last_kernels_are_the_trained_weights(which: str, first: str, request: pytest.FixtureRequest):
    film, weights = request.getfixturevalue(which)
    last = film.snapshots[-1]
    expected = weights[first][:24]
    expected = expected[:, 0] if expected.ndim == 4 else expected.view(-1, 28, 28)
    tolerance = last.kernel_scale / 254 * 1.001
    torch.testing.assert_close(dequantise(last.kernels, last.kernel_scale), expected, atol=tolerance, rtol=0)


def test_digits_move_to_their_own_corners_of_the_map(dense_film):
    film, _ = dense_film

    def share_in_own_corner(snapshot) -> float:
        """Return the share of digits that are nearest to their own class's corner."""
        hours = 2 * torch.pi * torch.arange(10) / 10
        corners = torch.stack([hours.sin(), hours.cos()], 1)
        return (torch.cdist(snapshot.places, corners).argmin(1) == film.mapped.labels).float().mean().item()

    assert share_in_own_corner(film.snapshots[0]) < 0.25
    assert share_in_own_corner(film.snapshots[-1]) > 0.5


def test_without_a_validation_set_test_digits_are_evaluated(tmp_path: Path):
    settings = Train.checked({**DENSE.model_dump(), "hold_out": 0})
    film = TrainingFilm(settings, tmp_path / "film.pt")
    assert torch.equal(film.evaluated.images, mnist("test").images[::10])
    assert "1,000 test digits" in film_page(film)


@pytest.mark.slow
def test_a_stopped_film_resumes_without_a_gap(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    path = tmp_path / "stopped.webp"
    settings = ["dense", "--hidden", "20", "--fraction", "0.1", "--epochs", "1", "--batch-size", "20"]
    settings += ["--json", "-o", "stopped", "--film", str(path)]
    # Ctrl-C after thirty steps, sent from inside, so that it comes at the same step on every machine.
    script = (
        "import os, signal, sys, lanterna.techniques.train.film as f\n"
        "from lanterna.surfaces.cli import main\n"
        "record = f.TrainingFilm.record\n"
        "def stopping(self, frame):\n"
        "    record(self, frame)\n"
        "    if frame.step > 30 and not hasattr(self, 'sent'):\n"
        "        self.sent = os.kill(os.getpid(), signal.SIGINT)\n"
        "f.TrainingFilm.record = stopping\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run([sys.executable, "-c", script, "train", *settings], capture_output=True, text=True)
    assert done.returncode == 128 + signal.SIGINT, done.stderr
    folder = home / "networks/stopped"
    with Image.open(path) as so_far:
        frames_so_far = so_far.n_frames
    saved = torch.load(folder / "film.pt", weights_only=True)["snapshots"]
    assert len(saved) == frames_so_far
    assert (folder / "film.pt").stat().st_size < 5e6

    steps: list[list[int]] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "lanterna.surfaces.web.film.save",
            lambda film, *_, **__: steps.append([s.step for s in film.snapshots]),
        )
        assert main(["train", *settings, "--resume"]) == 0
    assert steps == [[0, *sorted(film_steps(250))]]
    assert sorted(file.name for file in folder.iterdir()) == sorted(
        [
            "confusion.png",
            "mistakes.png",
            "network.json",
            "recipe.json",
            "results.json",
            "weights.safetensors",
        ]
    )
    # Uninterrupted training without a film ends with the same weights, bit for bit.
    capsys.readouterr()
    assert main(["train", *settings[:-4], "-o", "unfilmed"]) == 0
    with_film, without = (
        load_file(home / f"networks/{name}/weights.safetensors") for name in ("stopped", "unfilmed")
    )
    assert all(torch.equal(with_film[name], without[name]) for name in with_film)


def test_a_film_of_other_settings_is_neither_resumed_nor_overwritten(tmp_path: Path, dense_film):
    film, _ = dense_film
    film.path = tmp_path / "film.pt"
    film.save()
    other = Train.checked({**DENSE.model_dump(), "seed": 1})
    with TrainingFilm(other, film.path, resume=True) as fresh:
        assert [snapshot.step for snapshot in fresh.snapshots] == [0]
    assert len(TrainingFilm(DENSE, film.path, resume=True).snapshots) == len(film.snapshots)
    film.path.write_bytes(b"no film")
    assert [snapshot.step for snapshot in TrainingFilm(DENSE, film.path, resume=True).snapshots] == [0]


@pytest.mark.slow
def test_film_without_a_path_writes_page_and_webp_into_the_networks_folder(
    home: Path, capsys: pytest.CaptureFixture[str]
):
    small = ["--fraction", "0.01", "--epochs", "1", "--batch-size", "100"]
    assert main(["train", "dense", *small, "-o", "alone", "--json", "--film"]) == 0
    folder = home / "networks/alone"
    output = json.loads(capsys.readouterr().out)
    assert output["film"] == [str(folder / "film.html"), str(folder / "film.webp")]
    assert open_trained("alone").layers
    with Image.open(folder / "film.webp") as film:
        assert film.size == (1280, 720)
        assert film.n_frames == 1 + len(film_steps(5))
        film.seek(film.n_frames - 1)
        assert film.convert("L").getextrema()[1] > 200


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("taken.html", "already exists"),
        ("taken.webp", "already exists"),
        ("film.avi", ".html, .webp"),
        ("conv", ".html"),
    ],
)
def test_a_wrong_path_for_a_film_is_reported_before_training(
    path: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / path).write_text("mine") if path.startswith("taken") else None
    assert main(["train", "dense", "-o", "nowhere", "--film", path]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    if path.startswith("taken"):
        assert (tmp_path / path).read_text() == "mine"


@pytest.fixture
def page(browser: Browser, conv_film, tmp_path: Path):
    """Open the film's page from disk; console messages, errors and network requests fail the test."""
    film, _ = conv_film
    file = tmp_path / "film.html"
    file.write_text(film_page(film), encoding="utf-8")
    page = browser.new_page(viewport={"width": 390, "height": 800})
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "request", lambda request: request.url.startswith(("file:", "data:")) or problems.append(request.url)
    )
    page.goto(file.as_uri())
    yield page
    page.close()
    assert problems == []


def canvas_pixels(page: Page, selector: str) -> str:
    return page.evaluate("selector => document.querySelector(selector).toDataURL()", selector)


def wait_until(page: Page, condition: Callable[[], bool]) -> None:
    """Wait for at most ten seconds. Playwright's wait_for_function uses eval, which the page forbids."""
    for _ in range(100):
        if condition():
            return
        page.wait_for_timeout(100)
    assert condition()


def test_the_page_can_be_scrubbed_by_step(page: Page, conv_film):
    film, _ = conv_film
    last = film.snapshots[-1]
    right = f"{last.accuracy * 100:.1f} % of 1,000 validation digits classified correctly"
    assert page.inner_text("#now").startswith(f"Step {last.step} of {film.settings.steps}: {right}")
    canvases = ("#map", "#kernels", "[data-layer=relu2]", "#accuracy", "#loss")
    page.focus("#step")
    for _ in range(3):  # after reading a canvas back, a browser may render it in another way
        pictures = [canvas_pixels(page, selector) for selector in canvases]
        page.keyboard.press("Home")
        page.keyboard.press("End")
    page.keyboard.press("Home")
    assert page.inner_text("#now").startswith(f"Step 0 of {film.settings.steps}")
    assert all(
        canvas_pixels(page, selector) != last_pixels
        for selector, last_pixels in zip(canvases, pictures, strict=True)
    )
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#now").startswith("Step 1 of")
    assert page.get_attribute("#step", "aria-valuetext") == page.inner_text("#now")
    page.keyboard.press("End")
    assert [canvas_pixels(page, selector) for selector in canvases] == pictures
    counts = [cell or "0" for cell in page.locator("#confusion td").all_inner_texts()[1:]]
    assert counts == [str(count) for count in last.confusion.flatten().tolist()]
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_url_holds_the_step_and_the_digit(page: Page, conv_film):
    film, _ = conv_film
    step = film.snapshots[5].step
    page.evaluate(f"location.hash = 'step={step}&digit=7'")
    wait_until(page, lambda: page.inner_text("#now").startswith(f"Step {step} of"))
    assert page.get_attribute("#digits button:nth-child(8)", "aria-pressed") == "true"
    before = canvas_pixels(page, "[data-layer=relu1]")
    page.click("#digits button:nth-child(3)")
    assert canvas_pixels(page, "[data-layer=relu1]") != before
    wait_until(page, lambda: page.url.endswith(f"#step={step}&digit=2"))


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_the_page_plays_and_pauses(page: Page, motion: str):
    page.emulate_media(reduced_motion=motion)
    page.select_option("#speed", "2")
    page.click("#play")
    assert page.inner_text("#play") == "Pause"
    wait_until(page, lambda: int(page.input_value("#step")) > 3)
    page.click("#play")
    assert page.inner_text("#play") == "Play"
    paused = canvas_pixels(page, "#map")
    page.wait_for_timeout(300)
    assert canvas_pixels(page, "#map") == paused


def test_a_point_shows_its_digit(page: Page, conv_film):
    film, _ = conv_film
    across, up = film.snapshots[-1].places[0].tolist()
    width = page.evaluate("document.querySelector('#map').clientWidth")
    radius = width / 2 - 28
    page.hover("#map", position={"x": width / 2 + across * radius, "y": width / 2 - up * radius})
    description = page.inner_text("#pointed")
    number = int(description.split(":")[0].split()[-1])
    assert f"{film.mapped.labels[number]}, read as {film.snapshots[-1].answers[number]}" in description
    distance = (film.snapshots[-1].places[number] - film.snapshots[-1].places[0]).norm() * radius
    assert distance < 3


@pytest.mark.slow
def test_the_largest_pages_are_under_5_mb(tmp_path: Path):
    best = Train.checked(Train.presets["best"])
    dense = Train.checked({**Train.presets["fast-dense"], "hidden": (512, 256, 128)})
    for settings in (best, dense):
        film = TrainingFilm(settings, tmp_path / "film.pt")
        film.snapshots *= 61
        assert len(film_page(film)) < 5_000_000
        film.save()
        assert film.path.stat().st_size < 5_000_000


def moving_square(count: int, size: tuple[int, int] = (90, 120)):
    """Yield frames of a red square that moves to the right."""
    for number in range(count):
        frame = torch.full((3, *size), 0.1)
        frame[0, 20:60, number * 8 : number * 8 + 40] = 1
        yield frame


def left_edge(image: Image.Image) -> float:
    """Return the x coordinate of the square's left edge."""
    return float(np.argmax(np.asarray(image.convert("RGB"))[40, :, 0] > 140))


@pytest.mark.parametrize("suffix", ["webp", "avif", "gif"])
def test_pillow_films_have_every_frame(suffix: str, tmp_path: Path):
    path = tmp_path / f"film.{suffix}"
    save_film(moving_square(9), path, count=9, fps=10, hold=1)
    with Image.open(path) as film:
        assert (film.n_frames, film.size) == (9, (120, 90))
        durations = []
        for number in range(9):
            film.seek(number)
            film.load()
            durations.append(film.info["duration"])
            assert abs(left_edge(film) - number * 8) <= 2
    assert durations == [100] * 8 + [1100]


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_a_video_has_every_frame_and_holds_the_last(suffix: str, tmp_path: Path):
    av = pytest.importorskip("av")
    path = tmp_path / f"film.{suffix}"
    save_film(moving_square(9, (91, 121)), path, count=9, fps=10, hold=1)
    with av.open(str(path)) as film:
        assert film.streams.video[0].average_rate == 10
        images = [frame.to_image() for frame in film.decode(video=0)]
    assert [image.size for image in images] == [(122, 92)] * 19
    for number, image in enumerate(images):
        assert abs(left_edge(image) - min(number, 8) * 8) <= 3


@pytest.mark.parametrize("suffix", ["mp4", "webm"])
def test_a_video_declares_its_colour_space(suffix: str, tmp_path: Path):
    av = pytest.importorskip("av")
    path = tmp_path / f"film.{suffix}"
    red = torch.tensor([0.8, 0.1, 0.15]).view(3, 1, 1).expand(3, 64, 64)
    save_film([red], path, count=1)
    with av.open(str(path)) as film:
        frame = next(film.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (1, 1)
        luminance = frame.to_ndarray()[32, 32] - 16.0
    # BT.709's luminance, not BT.601's, which would be 0.315.
    assert luminance / 219 == pytest.approx(0.2126 * 0.8 + 0.7152 * 0.1 + 0.0722 * 0.15, abs=0.015)


@pytest.mark.parametrize("suffix", ["webp", "avif"])
def test_frames_are_drawn_one_at_a_time(suffix: str, tmp_path: Path):
    """Pillow would collect all frames in a list before writing the first one."""
    counts: list[int] = []
    alive_now: set[int] = set()

    def frames():
        for number, frame in enumerate(moving_square(8)):
            alive_now.add(number)
            weakref.finalize(frame, alive_now.discard, number)
            counts.append(len(alive_now))
            yield frame
            del frame

    save_film(frames(), tmp_path / f"film.{suffix}", count=8)
    assert len(counts) == 8
    assert max(counts) <= 3


def test_short_films_are_saved_and_impossible_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    path = tmp_path / "film.webp"
    save_film(moving_square(3), path, count=9, fps=10)
    with Image.open(path) as film:
        film.seek(film.n_frames - 1)
        assert abs(left_edge(film) - 16) <= 2
    with pytest.raises(UsageError, match="already exists"):
        save_film(moving_square(3), path, count=3)
    save_film(moving_square(1), path, count=1, force=True)
    with pytest.raises(UsageError, match=r"use \.webp, \.avif, \.mp4, \.webm, \.gif"):
        save_film(moving_square(3), tmp_path / "film.mov", count=3)
    with pytest.raises(UsageError, match="at least one frame"):
        save_film([], tmp_path / "none.webp", count=0)
    two = [torch.zeros(3, 8, 8), torch.zeros(3, 8, 9)]
    with pytest.raises(UsageError, match=r"every frame of a film must be \(3, 8, 8\), got \(3, 8, 9\)"):
        save_film(two, tmp_path / "two.webp", count=2)
    monkeypatch.setattr(films, "find_spec", lambda _: None)
    with pytest.raises(MissingError, match=r"pip install 'lanterna\[video\]'"):
        save_film(moving_square(3), tmp_path / "film.mp4", count=3)
    assert [file.name for file in tmp_path.iterdir()] == ["film.webp"]
