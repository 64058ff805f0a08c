"""The tour's rooms in which pictures are made from pictures, and the page that they hang on."""

import pytest
import torch
from PIL import Image

from lanterna import shelf
from lanterna.images import make_recipe_input, open_picture, read_recipe, save_picture
from lanterna.surfaces.cli import main
from lanterna.surfaces.cli import tour_rooms as tour
from lanterna.surfaces.web.gallery import begin_gallery, check_gallery, write_gallery


@pytest.fixture
def gallery(tmp_path, monkeypatch):
    """A folder to hang pictures in; they are small, so that it does not take long."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tour, "SIDES", {"dream": 96, "at once": 96, "step by step": 64})
    monkeypatch.setattr("lanterna.techniques.style.instant.COARSEST", 128)
    return tmp_path / "gallery"


def rerun_matches(path):
    assert main(["rerun", str(path), "-o", "again.png", "--force"]) == 0
    return torch.equal(open_picture(path), open_picture("again.png"))


def test_the_dream_and_style_rooms_save_their_pictures(gallery, browser):
    painting = gallery.parent / "stars.jpg"
    save_picture(open_picture(shelf.need("photographs") / "hubble_deep_field.jpg", longest=200), painting)
    dreams = tour.dreaming_room(gallery, lambda _: None)
    paintings = tour.styling_room(gallery, lambda _: None, painting)
    assert [exhibit.file for exhibit in dreams.exhibits] == ["dream-page.png", "dream-cat.png"]
    assert all(float(excited) > 1.2 for _, excited in dreams.numbers)
    shown = [exhibit.file for exhibit in paintings.exhibits]
    assert shown == [
        "dream-cup.png", "dream-at-once.png", "dream-step-by-step.png",
        "painting.png", "painting-at-once.png", "painting-step-by-step.png",
    ]  # fmt: skip
    for exhibit in (*dreams.exhibits, *paintings.exhibits):
        with Image.open(gallery / exhibit.file) as picture:
            assert picture.size == (exhibit.width, exhibit.height)

    # Each carries its recipe: the paintings' style is the dream that hangs beside them, or what was given.
    for name, style in ("dream", gallery / "dream-cup.png"), ("painting", painting):
        for how in "at-once", "step-by-step":
            path = gallery / f"{name}-{how}.png"
            photo, used = read_recipe(path).inputs
            assert (used.role, used.sha256) == ("style", make_recipe_input(style).sha256)
            assert photo.path.endswith("chelsea.png")
    for name in "painting-at-once", "dream-at-once", "dream-step-by-step", "dream-page":
        assert rerun_matches(gallery / f"{name}.png"), name
    # The stars are dark, the cup is not: so are the pictures in their styles.
    for how in "at-once", "step-by-step":
        light = [open_picture(gallery / f"{name}-{how}.png").mean() for name in ("painting", "dream")]
        assert light[0] < 0.95 * light[1]

    without = tour.styling_room(gallery, lambda _: None)
    assert [exhibit.file for exhibit in without.exhibits] == shown[:3]
    write_gallery(gallery, [dreams, paintings])
    for width, columns in (1280, 3), (390, 1):
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.goto((gallery / "index.html").as_uri())
        pictures = page.locator("#style img")
        places = pictures.evaluate_all("all => all.map(one => one.getBoundingClientRect().x)")
        assert len(places) == 6
        assert len(set(places)) == columns
        assert page.locator("img").evaluate_all("all => all.every(one => one.naturalWidth > 0)")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        page.close()


def test_a_folder_of_other_files_becomes_no_gallery(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    (tmp_path / "index.html").write_text("my page")
    assert main(["tour", "-o", str(tmp_path), "--quick"]) == 2
    assert "has other files in it: choose another" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["index.html"]
    assert (tmp_path / "index.html").read_text() == "my page"
    begin_gallery(tmp_path / "new")
    (tmp_path / "new" / "page.png").write_bytes(b"")  # as far as it came
    check_gallery(tmp_path / "new")


def test_the_room_of_the_race_shows_its_film_or_how_it_ended(gallery, browser, monkeypatch):
    monkeypatch.setattr(tour, "RACE", {"size": 32, "steps": 30})
    room = tour.painting_room(gallery, lambda _: None)
    write_gallery(gallery, [room])
    shown = room.exhibits[0]
    with Image.open(gallery / shown.film) as film, Image.open(gallery / shown.file) as end:
        assert film.size == end.size == (shown.width, shown.height)
        assert film.n_frames > 2
    assert read_recipe(gallery / shown.film).output == "race-film"
    assert {each.name for each in gallery.iterdir()} == {"index.html", "race.png", "race.webp", "neurons.png"}
    assert [name for name, _ in room.numbers] == ["dB, hash", "dB, siren", "dB, fourier", "dB, relu"]
    assert all(float(reached) > 10 for _, reached in room.numbers)
    for motion, file in ("no-preference", "race.webp"), ("reduce", "race.png"):
        page = browser.new_page(viewport={"width": 390, "height": 800}, reduced_motion=motion)
        page.goto((gallery / "index.html").as_uri())
        sources = page.locator("img").evaluate_all("all => all.map(one => one.currentSrc)")
        assert [source.rpartition("/")[2] for source in sources] == [file, "neurons.png"]
        assert page.locator("img").evaluate_all("all => all.every(one => one.naturalWidth > 0)")
        assert page.locator("figure a").first.get_attribute("href") == "race.webp"
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.close()


def test_the_tour_has_all_rooms_in_order():
    assert list(tour.all_rooms()) == [
        "training", "reading a page", "classifying", "looking inside", "dreaming", "painting in a style",
        "learning to paint",
    ]  # fmt: skip


def test_a_bad_painting_is_an_error_before_any_work(gallery, empty_home, capsys):
    assert main(["tour", "--painting", "gone.jpg"]) == 2
    (message,) = capsys.readouterr().err.splitlines()[-1:]
    assert "gone.jpg" in message
    assert not gallery.exists()
    assert not list(empty_home.iterdir())
