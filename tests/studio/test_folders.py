"""Folders that are dropped: classes to teach, or a job for each picture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from PIL import Image
from playwright.sync_api import expect

from browsing import go, violations, wait_until_settled
from served import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from served import Server


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with pictures, in subfolders and beside them, and other files."""
    folder = tmp_path_factory.mktemp("dropped") / "animals"
    for name, count in (("cats/young", 1), ("cats", 2), ("dogs", 3), ("empty", 0), (".hidden", 1)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            colour = (40 * count + len(name), 60 * number, 90)
            Image.new("RGB", (40, 30), colour).save(folder / name / f"{name.rpartition('/')[2]} {number}.png")
    (folder / "dogs" / "notes.txt").write_text("not a picture")
    return folder


def drop_on(page: Page, selector: str, *paths: Path) -> None:
    """Drop files or folders of this machine on an element, as a user does."""
    box = page.locator(selector).first.bounding_box()
    assert box
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        session.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})


def test_each_subfolder_becomes_a_class(page: Page, folder: Path):
    go(page, "#/gallery")
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    drop_on(page, ".finder h1", folder)
    question = page.get_by_role("dialog", name="6 pictures in “animals”")
    expect(question).to_contain_text("each subfolder is a class: cats, dogs")
    wait_until_settled(page)
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    drop_on(page, ".finder h1", folder)
    question.get_by_role("button", name="Teach with it").press("Enter")
    names = page.get_by_label(re.compile(r"^Name of class \d"))
    expect(names).to_have_count(2)
    assert [name.input_value() for name in names.all()] == ["cats", "dogs"]
    for name in ("cats", "dogs"):
        expect(page.get_by_label(f"Pictures of {name}", exact=True)).to_contain_text("3")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Pictures of cats", exact=True)).to_have_count(0)
    # Several folders are a class each; those of a class that exists are added to it.
    drop_on(page, ".teach .panel h1", folder / "dogs", folder / "cats" / "young")
    question = page.get_by_role("dialog", name="4 pictures in “dogs, young”")
    question.get_by_role("button", name="Teach with it").click()
    expect(page.get_by_label("Pictures of young", exact=True)).to_contain_text("1")
    drop_on(page, ".taught-class >> nth=0", folder / "cats")  # on a class: no question
    expect(page.get_by_label("Pictures of dogs", exact=True)).to_contain_text("6")


def test_each_picture_becomes_a_job(page: Page, studio: Server, folder: Path):
    go(page, "#/dream?size=48&octaves=1&steps=1")
    expect(page.locator(".frame img")).to_be_visible()
    drop_on(page, ".workspace", folder / "dogs")
    question = page.get_by_role("dialog", name="3 pictures in “dogs”")
    expect(question).to_contain_text("with the settings of this room")
    question.get_by_role("button", name="One job for each picture").click()

    def titles() -> set[str]:
        found = [job["title"] for job in studio("GET", "/api/jobs") if job["settings"].get("size") == 48]
        return {title[:6] for title in found if title.startswith("Dogs ")}

    wait_until(lambda: titles() == {"Dogs 0", "Dogs 1", "Dogs 2"}, titles)
    # In a room that makes no pictures, the first that does is opened, and asks before it starts.
    page.evaluate("location.hash = '#/gallery'")
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    drop_on(page, ".finder h1", folder)
    page.get_by_role("button", name="One job for each picture").click()
    expect(page.get_by_role("heading", name="Dream")).to_be_visible()
    expect(page.get_by_role("button", name="Start 6 jobs")).to_be_visible()


def test_folders_without_pictures_and_browsers_that_cannot_open_them(page: Page, folder: Path):
    go(page, "#/dream")
    expect(page.get_by_role("heading", name="Dream")).to_be_visible()
    drop_on(page, ".workspace", folder / "empty")
    expect(page.locator(".notices")).to_contain_text("There are no pictures in “empty”.")
    page.evaluate("() => { delete DataTransferItem.prototype.webkitGetAsEntry; }")
    drop_on(page, ".workspace", folder)
    expect(page.locator(".notices")).to_contain_text(
        "“animals” cannot be opened here: open it, select the pictures in it, and drop those."
    )
