"""The room Teach: classes from files and the camera, a network that distinguishes them, its answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browsing import SHIFTS, go, settings_in, violations
from lanterna import open_picture, save_picture

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from served import Server


@pytest.fixture(scope="module")
def textures(real_shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Path]]:
    """Return crops of a brick wall and of grass, seven of each."""
    place = tmp_path_factory.mktemp("textures")
    found: dict[str, list[Path]] = {"brick": [], "grass": []}
    for name, paths in found.items():
        photograph = open_picture(real_shelf / f"photographs/{name}.png")
        for number in range(7):
            paths.append(place / f"{name}{number}.png")
            x, y = 60 * number, 45 * (number % 3)
            save_picture(photograph[:, y : y + 120, x : x + 120], paths[-1])
    return found


def paste(page: Page, file: Path) -> None:
    page.evaluate(
        """(bytes) => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "pasted.png", { type: "image/png" }));
          document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
        }""",
        list(file.read_bytes()),
    )


def test_classes_are_taught_and_pictures_classified(page: Page, studio: Server, textures):
    page.add_init_script(SHIFTS)
    go(page, "#/teach?name=ground")
    teach = page.locator(".go .primary")
    expect(teach).to_have_text("Add two classes of 4 pictures")
    for place, (name, paths) in enumerate(textures.items(), 1):
        page.get_by_label(f"Name of class {place}").fill(name)
        page.get_by_label(f"Pictures of {name} from this computer").set_input_files(paths[:6])
        expect(page.get_by_label(f"Pictures of {name}", exact=True)).to_contain_text("6")
    # Everything survives a reload; one picture is removed again.
    page.reload()
    page.get_by_role("button", name="Remove picture 6 of grass").click()
    expect(page.get_by_label("Pictures of grass", exact=True)).to_contain_text("5")
    expect(teach).to_have_text("Teach")
    teach.click()
    expect(page.locator(".facts")).to_contain_text("the network ground is ready")
    expect(page.locator(".facts")).to_contain_text("100 % right on pictures that it was not taught with")
    page.get_by_label("A picture to classify").set_input_files(textures["brick"][6])
    answers = page.get_by_role("status", name="Predicted classes")
    expect(answers.get_by_role("listitem").first).to_contain_text("brick")
    expect(answers).to_contain_text("It knows only these 2 classes")
    # Collect, teach and try are next to each other, without scrolling.
    columns = [page.get_by_role("heading", name=name) for name in ("Collect", "Teach", "Try")]
    boxes = [column.bounding_box() for column in columns]
    assert boxes[0]["x"] < boxes[1]["x"] < boxes[2]["x"] < 1280
    assert len({box["y"] for box in boxes}) == 1
    # What is pasted outside a class is tried, and no bar moves.
    paste(page, textures["grass"][6])
    expect(answers.locator("[data-best=true]")).to_contain_text("grass")
    expect(answers.get_by_role("listitem").first).to_contain_text("brick")
    expect(page.get_by_label("Pictures of brick", exact=True)).to_contain_text("6")
    assert page.evaluate("shifts") < 0.02
    for size in ({"width": 1280, "height": 800}, {"width": 390, "height": 844}):
        page.set_viewport_size(size)
        page.evaluate("scrollTo(0, 0)")
        page.get_by_label("A picture to classify").set_input_files(textures["brick"][6])
        expect(page.get_by_role("img", name="The picture that was tried")).to_be_in_viewport(ratio=0.6)
        expect(answers.get_by_role("listitem").first).to_be_in_viewport(ratio=1)
    # In another browser, its classes are collected again.
    page.evaluate("localStorage.removeItem('lanterna-classes')")
    page.reload()
    page.get_by_role("button", name="Collect its pictures again").click()
    expect(page.get_by_label("Name of class 2")).to_have_value("grass")
    expect(page.get_by_label("Pictures of grass", exact=True)).to_contain_text("5")
    # It is listed like any network, and its mistakes are in the gallery.
    assert any(each["name"] == "ground" and each["here"] for each in studio("GET", "/api/networks"))
    job = settings_in(page)["job"]
    pictures = [each for each in studio("GET", "/api/gallery?room=teach") if each["job"] == job]
    assert len(pictures) == 2
    assert "held-out pictures are classified correctly" in pictures[0]["recipe"]["words"]
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert not violations(page)


def test_the_camera_adds_pictures(page: Page):
    go(page, "#/teach")
    page.get_by_role("button", name="Open the camera").click()
    take = page.get_by_role("button", name="Take pictures of class 1")
    expect(take).to_be_visible()
    expect(page.locator("video")).to_have_js_property("readyState", 4)
    # On a phone the camera's picture stays in view next to the buttons that take pictures.
    page.set_viewport_size({"width": 390, "height": 844})
    for button in (take, page.get_by_role("button", name="Take pictures of class 2")):
        button.scroll_into_view_if_needed()
        expect(page.locator("video")).to_be_in_viewport(ratio=0.9)
        expect(button).to_be_in_viewport(ratio=1)
    take.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_label("Pictures of class 1", exact=True)).to_contain_text("1")
    page.get_by_role("button", name="Close the camera").click()
    expect(take).to_have_count(0)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["a", "b"], "labels: expected one for each picture, got 2 for 8"),
        (["a"] * 8, "two classes are needed"),
        (["a"] * 7 + ["b"], "'b' needs at least 4 pictures"),
        (["a"] * 4 + ["../b"] * 4, "a class is named by one word or a few, got '../b'"),
        (["a"] * 4 + [" "] * 4, "a class is named by one word or a few, got ' '"),
    ],
)
def test_wrong_classes_are_refused_in_one_line(studio: Server, textures, labels, expected):
    picture = studio.send(textures["brick"][0])["id"]
    inputs = [{"role": "picture", "picture": picture}] * 8
    body = {"kind": "teach", "settings": {"labels": labels}, "inputs": inputs}
    code, words = studio.error("POST", "/api/jobs", body)
    assert code == 422
    assert expected in words
