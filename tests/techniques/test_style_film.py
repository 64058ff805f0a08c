"""Films in the style of a painting, as a viewer would judge them: painted, steady, and resumed."""

import pytest
import torch

from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images import open_picture, save_picture
from lanterna.images.film_reading import open_film
from lanterna.images.films import save_film
from lanterna.images.motion import flicker
from lanterna.networks import open_network
from lanterna.probes import objectives
from lanterna.techniques.execute import Job, begin, clean_up, recipe_of, save_result
from lanterna.techniques.octaves import resized
from lanterna.techniques.style.film import InstantFilm, StyleFilm, instant_frames, style_frames
from lanterna.techniques.style.technique import INSTANT_FILM

pytestmark = [pytest.mark.usefixtures("real_shelf"), pytest.mark.slow]

QUICK = {"steps": 10, "frame_steps": 4}
INSTANT = {"brush": 4}  # starts at a quarter of the size, as the frames are small
COUNT = 3


@pytest.fixture(scope="module")
def pan():
    """Frames of a camera moving over a photograph, 2 pixels a frame."""
    wide = resized(open_picture(shelf.need("photographs") / "coffee.png"), (50, 92)).clamp(0, 1)
    return [wide[:, 6:38, 2 * number : 2 * number + 64] for number in range(COUNT)]


@pytest.fixture(scope="module")
def painting():
    """A synthetic painting of cold slanting strokes."""
    y, x = torch.meshgrid(torch.arange(160.0), torch.arange(160.0), indexing="ij")
    strokes = ((x + 0.6 * y + 6 * torch.sin(y / 9)) / 5).sin() > 0.2
    noise = 0.08 * torch.randn(3, 160, 160, generator=torch.Generator().manual_seed(2))
    colours = [0.1 + 0.2 * strokes, 0.2 + 0.5 * strokes, 0.5 + 0.4 * strokes]
    return (torch.stack(colours) + noise).clamp(0, 1)


@pytest.fixture(scope="module")
def vgg(real_shelf):
    del real_shelf
    return open_network("vgg19")


@pytest.fixture(scope="module")
def films(pan, painting, vgg):
    """Each kind of film, carried over from frame to frame and with independent frames."""
    frames = {}
    for carry in (None, 0.0):
        settings = {} if carry is None else {"carry": carry}
        options = {"styles": [painting], "count": COUNT, "device": "cpu"}
        optimised = StyleFilm.checked({**QUICK, **settings})
        frames["optimised", carry] = list(style_frames(pan, optimised, network=vgg, **options))
        instant = InstantFilm.checked({**INSTANT, **settings})
        frames["instant", carry] = list(instant_frames(pan, instant, **options))
    return {name: [frame.picture for frame in film] for name, film in frames.items()}


def style_distance(picture, painting, network, columns=slice(None)):
    """The relative distance of two layers' Gram matrices from the painting's: 1 without any features."""
    distance = 0.0
    for layer in ("relu1_1", "relu2_1"):
        grams = []
        for each, part in ((picture, columns), (painting, slice(None))):
            features = objectives.layer_outputs(network, each[None], frozenset([layer]))[layer][0]
            step = each.shape[2] // features.shape[2]
            part_columns = slice(part.start and part.start // step, part.stop)
            flat = features[:, :, part_columns].flatten(1)
            grams.append(flat @ flat.T / flat.shape[1])
        distance += ((grams[0] - grams[1]).square().sum() / grams[1].square().sum()).item() / 2
    return distance


@pytest.mark.parametrize("kind", ["optimised", "instant"])
def test_a_film_flickers_far_less_than_independent_frames(pan, films, kind):
    assert flicker(films[kind, None], pan) < flicker(films[kind, 0.0], pan) / 3


@pytest.mark.parametrize(("kind", "at_most"), [("optimised", 0.3), ("instant", 0.7)])
def test_the_last_frame_is_still_in_the_style(pan, painting, vgg, films, kind, at_most):
    first, last = films[kind, None][0], films[kind, None][-1]
    assert style_distance(last, painting, vgg) < at_most * style_distance(pan[-1], painting, vgg)
    assert style_distance(last, painting, vgg) < 1.5 * style_distance(first, painting, vgg)


def test_regions_that_enter_the_frame_are_painted_too(painting, vgg):
    wide = resized(open_picture(shelf.need("photographs") / "coffee.png"), (32, 88)).clamp(0, 1)
    two = [wide[:, :, :64], wide[:, :, 24:]]
    (_, frame) = style_frames(two, StyleFilm.checked(QUICK), styles=[painting], count=2, network=vgg)
    entered = slice(44, 64)
    assert style_distance(frame.picture, painting, vgg, entered) < 0.5 * style_distance(
        two[1], painting, vgg, entered
    )


@pytest.mark.parametrize("done", [1, 2])
@pytest.mark.parametrize("kind", ["optimised", "instant"])
def test_a_resumed_film_equals_an_uninterrupted_one(pan, painting, vgg, films, kind, done):
    full = films[kind, None]
    options = {"styles": [painting], "count": COUNT, "device": "cpu", "done": done, "last": full[done - 1]}
    if kind == "optimised":
        rest = style_frames(pan[done - 1 :], StyleFilm.checked(QUICK), network=vgg, **options)
    else:
        rest = instant_frames(pan[done - 1 :], InstantFilm.checked(INSTANT), **options)
    rest = [frame.picture for frame in rest]
    assert len(rest) == COUNT - done
    assert all(torch.equal(one, other) for one, other in zip(rest, full[done:], strict=True))


def test_the_previous_frame_is_not_blurred_by_smaller_sizes(painting, vgg):
    noise = torch.rand(3, 32, 260, generator=torch.Generator().manual_seed(3))
    settings = StyleFilm(size=260, frame_steps=1, carry=0.1)
    options = {"styles": [painting], "count": 2, "network": vgg, "done": 1, "last": noise}
    (frame,) = style_frames([noise, noise], settings, **options)
    assert (frame.picture - noise).abs().mean() < 0.02


def test_bad_arguments_are_refused_before_the_first_frame(pan, painting, vgg):
    with pytest.raises(UsageError, match="weights: expected one for each painting, got 2 for 1"):
        style_frames(pan, StyleFilm(weights=(1, 2)), styles=[painting], count=COUNT, network=vgg)
    with pytest.raises(UsageError, match="at least one painting"):
        style_frames(pan, StyleFilm(), styles=[], count=COUNT, network=vgg)
    with pytest.raises(UsageError, match="paintings as styles, or built-in"):
        instant_frames(pan, InstantFilm(), count=COUNT)


def run(source, path, painting, *, stop_after=None, resume=False):
    """Run the technique, for `stop_after` frames if given; return the steps of the frames."""
    settings, files = InstantFilm.checked(INSTANT), {"picture": [source], "style": [painting]}
    job = Job(INSTANT_FILM, settings, files, device="cpu", film=path, resume=resume)
    work, steps = begin(job), []
    for frame in work.frames:
        steps.append(frame.step)
        if frame.step == stop_after:
            break
    work.frames.close()
    (result,) = work.results(frame, settings)
    save_result(result, path, recipe_of(job, result), force=True)
    if frame.step == frame.steps:
        clean_up(job)
    return steps


def test_a_stopped_film_resumes_to_the_same_file(pan, painting, tmp_path):
    save_film(pan, tmp_path / "pan.gif", count=COUNT, fps=10)
    save_picture(painting, tmp_path / "painting.png")
    paths = tmp_path / "pan.gif", tmp_path / "a.webp", tmp_path / "painting.png"
    assert run(*paths, stop_after=2) == [1, 2]
    assert open_film(tmp_path / "a.webp").count == 2
    assert run(*paths, resume=True) == [2, 3]  # it begins with the last frame that is there
    assert not (tmp_path / "a.webp.frames").exists()
    run(tmp_path / "pan.gif", tmp_path / "b.webp", tmp_path / "painting.png")
    assert (tmp_path / "a.webp").read_bytes() == (tmp_path / "b.webp").read_bytes()
    assert open_film(tmp_path / "b.webp").fps == pytest.approx(10)


def test_a_still_picture_is_refused_as_a_film(painting, tmp_path):
    save_picture(painting, tmp_path / "painting.png")
    with pytest.raises(UsageError, match="is a still picture: expected a film"):
        run(tmp_path / "painting.png", tmp_path / "a.webp", tmp_path / "painting.png")
