"""Films of dreams move, do not flicker, loop, and can be resumed."""

import itertools
import json
import shlex

import pytest
import torch

from interrupts import ctrl_c_when
from lanterna import shelf
from lanterna.images import open_picture, save_picture
from lanterna.images.film_reading import open_film
from lanterna.images.films import save_film
from lanterna.images.motion import flicker, flow
from lanterna.surfaces.cli import main
from lanterna.techniques.dream.film import DreamFilm, dream_frames, dream_zoom, with_first, zoomed
from lanterna.techniques.octaves import resized

pytestmark = pytest.mark.usefixtures("real_shelf")

QUICK = {"size": 96, "octaves": 2, "steps": 3, "frame_octaves": 1, "frame_steps": 1}


@pytest.fixture(scope="module")
def cat():
    return resized(open_picture(shelf.need("photographs") / "chelsea.png"), (64, 96)).clamp(0, 1)


@pytest.fixture(scope="module")
def pan():
    """Eight frames of a camera moving over a photograph, 2 pixels a frame."""
    wide = resized(open_picture(shelf.need("photographs") / "coffee.png"), (120, 180)).clamp(0, 1)
    return [wide[:, 10:74, 2 * number : 2 * number + 96] for number in range(8)]


def pictures(frames):
    return [frame.picture for frame in frames]


@pytest.mark.slow
def test_the_zoom_moves_outward_from_the_middle(cat):
    settings = DreamFilm.checked({**QUICK, "frames": 3, "zoom": 1.06, "loop": False})
    first, second, _ = pictures(dream_zoom(cat, settings))
    moved = flow(first, second)  # where each pixel was: nearer to the middle
    assert moved[0, 16:48, 72:88].mean() < -0.5
    assert moved[0, 16:48, 8:24].mean() > 0.5
    assert (second - zoomed(first, settings)).abs().mean() < (second - first).abs().mean()


def test_turn_and_shift_are_those_of_the_settings():
    picture = torch.zeros(3, 40, 40)
    picture[:, 18:22, 28:32] = 1  # to the right of the middle
    turned = zoomed(picture, DreamFilm(zoom=1.0, turn=30.0), times=3)
    assert turned[:, 8:12, 18:22].mean() > 0.9  # a quarter turn anticlockwise: above it
    shifted = zoomed(picture, DreamFilm(zoom=1.0, shift=(-25.0, 10.0)))
    assert shifted[:, 22:26, 18:22].mean() > 0.9  # 10 pixels to the left, 4 down


@pytest.mark.slow
def test_a_loop_closes_as_smoothly_as_it_runs(cat):
    """The step from the last frame to the first is like any other; without a loop it is a jump."""

    def steps(loop):
        settings = DreamFilm.checked({**QUICK, "frames": 12, "zoom": 1.2, "loop": loop})
        film = pictures(dream_zoom(cat, settings))
        gaps = [
            (after - zoomed(before, settings)).square().mean().sqrt().item()
            for before, after in zip(film, [*film[1:], film[0]], strict=True)
        ]
        return sorted(gaps[:-1])[len(gaps) // 2], gaps[-1]

    typical, closing = steps(loop=True)
    _, jump = steps(loop=False)
    assert closing < 3 * typical
    assert closing < jump / 3


def test_the_first_frame_is_reached_in_the_loop(cat):
    other = torch.rand(cat.shape, generator=torch.Generator().manual_seed(0))
    settings = DreamFilm(frames=100, zoom=1.03)
    assert torch.equal(with_first(other, cat, 90, settings), other)  # still too small to be blended in
    near = zoomed(with_first(other, cat, 5, settings), settings, times=5)
    inside = (slice(None), slice(8, -8), slice(8, -8))
    assert (near[inside] - cat[inside]).abs().mean() < 0.03


@pytest.mark.slow
def test_brightness_and_colour_do_not_drift(cat):
    settings = DreamFilm.checked({**QUICK, "frames": 30, "zoom": 1.05, "loop": False})
    film = pictures(dream_zoom(cat, settings))
    assert (film[-1].mean((1, 2)) - film[0].mean((1, 2))).abs().max() < 0.12
    assert film[-1].std() < 1.35 * film[0].std()
    assert ((film[-1] == 0) | (film[-1] == 1)).float().mean() < 0.25


@pytest.mark.slow
def test_a_dreamed_film_flickers_far_less_than_frames_dreamed_alone(pan):
    pan, settings = pan[:4], {**QUICK, "steps": 4}
    alone = pictures(dream_frames(pan, DreamFilm.checked({**settings, "carry": 0}), count=4))
    carried = pictures(dream_frames(pan, DreamFilm.checked(settings), count=4))
    assert flicker(carried, pan) < flicker(alone, pan) / 3
    changes = [(dreamed - real).abs().mean() for dreamed, real in zip(carried, pan, strict=True)]
    assert changes[-1] > 0.6 * changes[0]  # the dream does not fade


@pytest.mark.slow
@pytest.mark.parametrize("done", [1, 3])
def test_a_resumed_zoom_is_identical_to_an_uninterrupted_one(cat, done):
    settings = DreamFilm.checked({**QUICK, "frames": 5, "zoom": 1.1})
    film = pictures(dream_zoom(cat, settings))
    resumed = pictures(dream_zoom(cat, settings, done=done, first=film[0], last=film[done - 1]))
    assert len(resumed) == 5 - done
    assert all(itertools.starmap(torch.equal, zip(resumed, film[done:], strict=True)))


@pytest.mark.slow
def test_a_stopped_film_is_resumed_to_the_same_film(pan, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_film(pan, "pan.gif", count=8, fps=10)
    words = ["dream", "pan.gif", "--size", "96", "--octaves", "1", "--steps", "3", "--film"]
    with ctrl_c_when(lambda: len(list(tmp_path.glob("*.frames/*.png"))) >= 3):
        assert main([*words, "a.webp"]) == 130
    assert "of 8 frames: add --resume" in capsys.readouterr().err
    count = open_film(tmp_path / "a.webp").count
    assert 3 <= count < 8
    assert main([*words, "a.webp", "--resume"]) == 0
    assert not (tmp_path / "a.webp.frames").exists()
    assert main([*words, "b.webp"]) == 0
    assert (tmp_path / "a.webp").read_bytes() == (tmp_path / "b.webp").read_bytes()
    assert open_film(tmp_path / "b.webp").fps == pytest.approx(10)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--film", "zoom.png"], "does not save .png films"),
        (["--zoom", "1.1"], "--zoom is for a film: add --film film.webp"),
        (["--film", "zoom.webp", "--sheet", "layers"], "--sheet and --film do not go together"),
        (["--film", "zoom.webp", "--resume"], "nothing to resume"),
        (["--film", "zoom.webp", "--zoom", "9"], "zoom: expected at most 1.25"),
    ],
)
def test_bad_options_are_reported_in_one_line(cat, tmp_path, capsys, monkeypatch, words, message):
    save_picture(cat, tmp_path / "cat.png")
    monkeypatch.chdir(tmp_path)
    assert main(["dream", "cat.png", *words]) in (2, 3)
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert [each.name for each in tmp_path.iterdir()] == ["cat.png"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["webp", "avif", "gif", "mp4", "webm"])
def test_a_film_carries_its_recipe_and_the_command_makes_the_same(cat, tmp_path, capsys, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    save_picture(cat, "cat.png")
    # Below 128 pixels x264 is not deterministic: its macroblock tree reads beyond the frame.
    words = ["--size", "128", "--octaves", "1", "--steps", "1", "--frames", "3", "--frame-steps", "1", "-q"]
    assert main(["dream", "cat.png", "--film", f"zoom.{suffix}", *words, "--zoom", "1.1"]) == 0
    capsys.readouterr()
    assert main(["recipe", f"zoom.{suffix}", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["settings"]["zoom"] == 1.1
    command = shlex.split(document["command"].replace(f"zoom.{suffix}", f"again.{suffix}"))
    assert main([*command[1:], "-q"]) == 0
    first, second = (open_film(tmp_path / f"{name}.{suffix}") for name in ("zoom", "again"))
    assert all(itertools.starmap(torch.equal, zip(first, second, strict=True)))
    assert main(["rerun", f"zoom.{suffix}"]) == 2
    assert "lanterna dream cat.png" in capsys.readouterr().err
