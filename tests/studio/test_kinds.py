"""The other kinds of job: films, what can be rendered from a painting, training films."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image, ImageSequence

from lanterna.images import open_picture
from lanterna.images.film_reading import read_film_recipe
from lanterna.surfaces.studio.describe import studio_description
from lanterna.techniques.registry import all_techniques
from places import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    from served import Server

PRESETS = ROOT / "src/lanterna/surfaces/web"
SMALL_DREAM = {"size": 96, "octaves": 1, "steps": 2}


@pytest.fixture(scope="module")
def pictures(studio: Server) -> dict[str, str]:
    """A photograph, a film, and two paintings, one of them of two pictures."""
    cat, coffee = (studio("POST", f"/api/examples/{name}.png")["id"] for name in ("chelsea", "coffee"))
    film = run_job(studio, "dream-film", {**SMALL_DREAM, "frames": 4}, picture=[cat])
    learned = {"size": 48, "seconds": 0.5}
    return {
        "cat": cat, "coffee": coffee, "film": film,
        "painting": run_job(studio, "paint", learned, picture=[cat]),
        "several": run_job(studio, "paint", learned, picture=[cat, coffee]),
    }  # fmt: skip


def run_job(studio: Server, kind: str, settings: dict[str, Any], **inputs: list[str]) -> str:
    """Run a job, and return the id of its picture."""
    entries = [(role, picture) for role, given in inputs.items() for picture in given]
    done = studio.wait(studio.start(kind, settings=settings, inputs=entries))
    assert done["state"] == "done", done["error"]
    picture: str = done["picture"]
    return picture


def frames(content: bytes) -> list[Image.Image]:
    return [frame.convert("RGB") for frame in ImageSequence.Iterator(Image.open(io.BytesIO(content)))]


def test_a_zoom_is_a_film_with_its_settings(studio: Server, pictures: dict[str, str], tmp_path: Path) -> None:
    content = studio.file(pictures["film"])
    shown = frames(content)
    assert len(shown) == 4
    assert len({frame.tobytes() for frame in shown}) == 4
    described = studio("GET", f"/api/pictures/{pictures['film']}")
    assert described["media"] == "image/webp"
    assert described["recipe"]["command"].endswith("--frames=4 --film film.webp")
    (tmp_path / "film.webp").write_bytes(content)
    assert read_film_recipe(tmp_path / "film.webp").settings["frames"] == 4
    status, small, _ = studio.request("GET", f"/api/pictures/{pictures['film']}/thumbnail")
    assert status == 200
    assert Image.open(io.BytesIO(small)).format == "JPEG"
    # Uploaded elsewhere, it has its recipe.
    again = studio("POST", "/api/pictures", content + b"\0", headers={"Content-Type": "image/webp"})
    assert again["recipe"]["kind"] == "dream-film"


@pytest.mark.parametrize(
    ("kind", "settings", "count"),
    [
        ("dream-film", SMALL_DREAM, 4),
        ("instant-film", {"brush": 4}, 4),
        ("instant-film", {"brush": 4, "built_in": [3]}, 4),
    ],
)
def test_a_film_is_dreamed_and_painted_frame_by_frame(
    studio: Server, pictures: dict[str, str], kind: str, settings: dict[str, Any], count: int
) -> None:
    paintings = [pictures["coffee"]] if kind == "instant-film" and "built_in" not in settings else []
    inputs = {"picture": [pictures["film"]], **({"style": paintings} if paintings else {})}
    film = frames(studio.file(run_job(studio, kind, settings, **inputs)))
    before = frames(studio.file(pictures["film"]))
    assert len(film) == count
    assert all(one.tobytes() != other.tobytes() for one, other in zip(film, before, strict=True))


def test_a_film_of_a_picture_is_refused(studio: Server, pictures: dict[str, str]) -> None:
    inputs = [("picture", pictures["cat"]), ("style", pictures["coffee"])]
    failed = studio.wait(studio.start("instant-film", inputs=inputs))
    assert failed["state"] == "failed"
    assert "expected a film, an animation or a folder of frames" in failed["error"]


@pytest.mark.parametrize(
    ("kind", "settings", "painting", "size"),
    [
        ("render", {"size": "300x200"}, "painting", (300, 200)),
        ("grid", {"between": 1, "size": "60"}, "several", None),
        ("neurons", {"columns": 8, "rows": 1}, "painting", None),
        ("morph", {"frames": 3, "size": "60"}, "several", None),
    ],
)
def test_a_painting_is_rendered_by_each_technique(
    studio: Server, pictures: dict[str, str], kind: str, settings: dict[str, Any], painting: str, size: Any
) -> None:
    picture = run_job(studio, kind, settings, painting=[pictures[painting]])
    described = studio("GET", f"/api/pictures/{picture}")
    # The recipe refers to the painting, for "Make it again".
    assert described["recipe"]["inputs"] == [{"role": "painting", "picture": pictures[painting]}]
    assert described["recipe"]["kind"] == kind
    if size:
        assert (described["width"], described["height"]) == size
        large, small = (open_picture(studio.file(each)) for each in (picture, pictures[painting]))
        assert (large.mean((1, 2)) - small.mean((1, 2))).abs().max() < 0.03  # the same picture
    if kind == "morph":
        assert len(frames(studio.file(picture))) == 6


def test_a_picture_without_a_painting_is_refused(studio: Server, pictures: dict[str, str]) -> None:
    failed = studio.wait(studio.start("render", inputs=[("painting", pictures["cat"])]))
    assert "choose a painting" in failed["error"]


def test_a_training_film_ends_with_the_painting(studio: Server, pictures: dict[str, str]) -> None:
    settings = {"size": 48, "steps": 60}
    job = studio.start("paint-film", settings=settings, inputs=[("picture", pictures["cat"])])
    assert studio.wait(job)["state"] == "done"
    mine = [each for each in studio("GET", "/api/gallery") if each["job"] == job]
    film, picture = sorted(mine, key=lambda each: each["media"], reverse=True)
    assert (film["media"], picture["media"], picture["also"]) == ("image/webp", "image/png", ".safetensors")
    shown = frames(studio.file(film["id"]))
    last = open_picture(studio.file(picture["id"]))
    distances = [(open_picture(as_png(frame)) - last).abs().mean() for frame in shown]
    assert len(shown) > 10
    assert distances[-1] < 0.02 < distances[0]  # it ends with the painting, and does not begin with it


def as_png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("kind", "settings", "count"),
    [
        ("random-loop", {"frames": 3, "width": 48, "height": 48}, 1),
        ("race", {"seconds": 0.3, "size": 32}, 1),
        ("kernels", {"network": "efficientnet-lite0"}, 1),
    ],
)
def test_other_kinds_have_the_expected_number_of_results(
    studio: Server, pictures: dict[str, str], kind: str, settings: dict[str, Any], count: int
) -> None:
    inputs = {"picture": [pictures["cat"]]} if all_techniques()[kind].inputs else {}
    picture = run_job(studio, kind, settings, **inputs)
    job = studio("GET", f"/api/pictures/{picture}")["job"]
    assert len([each for each in studio("GET", "/api/gallery") if each["job"] == job]) == count


def test_a_paused_film_resumes(studio: Server, pictures: dict[str, str]) -> None:
    settings = {**SMALL_DREAM, "frames": 30}
    job = studio.start("dream-film", settings=settings, inputs=[("picture", pictures["cat"])])
    at = studio.wait_until(job, lambda found: found["step"] > 3)["step"]
    studio("PATCH", f"/api/jobs/{job}", {"state": "paused"})
    studio.wait(studio.start("random", settings={"width": 48, "height": 48}))  # runs meanwhile
    studio("PATCH", f"/api/jobs/{job}", {"state": "running"})
    steps = [studio.wait_until(job, lambda found: found["state"] == "running")["step"]]
    done = studio.wait_until(job, lambda found: steps.append(found["step"]) or found["state"] == "done")
    assert min(steps) >= at
    assert len(frames(studio.file(done["picture"]))) == 30
    folder = studio.home / "studio" / "jobs" / job
    assert not list(folder.glob("*.frames"))  # the single frames are deleted


def test_each_preset_has_a_thumbnail() -> None:
    shown: dict[bytes, str] = {}
    for each in studio_description()["techniques"]:
        if each["kind"] in ("dream", "style", "paint", "random"):
            named = {name for name, settings in each["presets"].items() if settings}  # the others are ""
            assert each["thumbnails"].keys() == {"", *named}, each["kind"]
            for name, address in each["thumbnails"].items():
                content = (PRESETS / address.removeprefix("/web/")).read_bytes()
                assert len(content) < 16_000
                assert Image.open(io.BytesIO(content)).size == (200, 150)
                if name:  # the default settings may equal a preset
                    assert shown.setdefault(content, name) == name
