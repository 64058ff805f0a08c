"""The style wall: thumbnails of one's own photograph in every style, painted in the background."""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from browsing import SHIFTS, TIMEOUT_MS, drop, go, settings_in, violations, wait_until_settled
from lanterna import open_picture
from lanterna.techniques.style.instant import Instant, instant
from served import Server

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.usefixtures("wall")


PAINTED_MS = 5 * TIMEOUT_MS  # the wall is painted at the lowest priority: a busy machine takes minutes


def styled(studio: Server, picture: str, query: str) -> np.ndarray:
    path = f"/api/pictures/{picture}/styled?{query}"
    status, content, headers = studio.request("GET", path, timeout=PAINTED_MS / 1000)
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB").resize((12, 8)), dtype=float)


def test_a_thumbnail_looks_like_the_job(studio: Server, real_shelf: Path) -> None:
    cat = studio("POST", "/api/examples/chelsea.png")["id"]
    coffee = studio("POST", "/api/examples/coffee.png")["id"]
    found = {query: styled(studio, cat, query) for query in ("built_in=3", "built_in=14", f"style={coffee}")}
    photograph = open_picture(real_shelf / "photographs/chelsea.png", longest=384)
    painting = open_picture(real_shelf / "photographs/coffee.png", longest=384)
    expected = {
        "built_in=3": (Instant(built_in=(3,)), ()),
        "built_in=14": (Instant(built_in=(14,)), ()),
        f"style={coffee}": (Instant(), (painting,)),
    }
    for query, (settings, styles) in expected.items():
        *_, last = instant(photograph, settings, styles=styles, device="cpu")
        painted = Image.fromarray((last.picture.permute(1, 2, 0) * 255).byte().numpy()).resize((12, 8))
        distance = {each: np.abs(picture - np.asarray(painted)).mean() for each, picture in found.items()}
        assert min(distance, key=distance.get) == query
    assert (styled(studio, cat, "built_in=3") == found["built_in=3"]).all()
    assert len(studio.wall_painters()) == 1


def test_unknown_styles_are_refused_in_one_line(studio: Server) -> None:
    cat = studio("POST", "/api/examples/chelsea.png")["id"]
    path = f"/api/pictures/{cat}/styled"
    for number in (26, -1):
        expected = f"built_in: expected a number from 0 to 25, got '{number}'"
        assert studio.error("GET", f"{path}?built_in={number}") == (422, expected)
    job = {"kind": "instant", "settings": {"built_in": [True]}, "inputs": [{"picture": cat}]}
    expected = "built_in: expected a style's name or its number, from 0 to 25, got True"
    assert studio.error("POST", "/api/jobs/check", job) == (422, expected)
    assert studio.error("GET", f"{path}?style={'0' * 32}")[0] == 404
    assert studio.error("GET", f"{path}?style=../../x")[0] == 404
    for query in ("", f"?built_in=3&style={'0' * 32}"):
        assert studio.error("GET", path + query)[0] == 422


def test_a_click_paints_in_a_built_in_style(page: Page, studio: Server):
    page.add_init_script(SHIFTS)
    go(page, "#/style?kind=instant&size=96&brush=3")
    styles = page.get_by_role("button", name=re.compile("^Paint in built-in style"))
    expect(styles).to_have_count(26)
    expect(page.locator(".styled[data-state=loaded]").nth(2)).to_be_attached(timeout=PAINTED_MS)
    assert page.evaluate("shifts") < 0.02
    assert violations(page) == []
    # While another job runs, a click queues, and the wall can be shown again.
    other = studio.start("paint", settings={"steps": 100_000, "size": 32}, inputs=[picture_of(page)])
    style = page.get_by_role("button", name="Paint in built-in style 19: blue brush strokes")
    style.focus()
    style.press("Enter")
    expect(page.locator(".facts")).to_contain_text(re.compile("waits for .* · paint · "))
    queued = settings_in(page)["job"]
    page.get_by_role("button", name="Show the wall").click()
    expect(style).to_be_visible()
    studio.stop(other)
    go(page, f"#/style?kind=instant&job={queued}")
    expect(page.locator(".facts")).to_contain_text("done")
    job = studio("GET", f"/api/jobs/{settings_in(page)['job']}")
    assert (job["kind"], job["settings"]["built_in"], job["settings"]["brush"]) == ("instant", [19], 3)
    painted = studio("GET", f"/api/pictures/{job['picture']}")
    assert painted["recipe"]["settings"]["built_in"] == [19]
    assert painted["title"].startswith("Cat · instant · blue brush strokes · ")
    page.get_by_label("Built in").select_option("golden ink")
    assert settings_in(page)["built_in"] == "11"
    page.get_by_role("button", name="Show the wall").click()
    expect(style).to_be_visible()


def test_a_painting_of_ones_own_is_one_drop_away(page: Page, studio: Server):
    go(page, "#/style?network=efficientnet-lite0&size=64&steps=1")
    expect(page.locator(".style-cell").first).to_be_visible()
    assert drop(page, ".choose-cell >> nth=1", 1)
    own = page.get_by_role("button", name="Paint in the style of Cat 0")
    expect(page.get_by_role("button", name="style: Cat 0.png. Choose another")).to_be_visible()
    expect(own.locator(".styled[data-state=loaded]")).to_be_attached(timeout=PAINTED_MS)
    page.reload()
    page.get_by_role("button", name="Remove Cat 0.png from the wall").click()
    expect(own).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    own.click()
    expect(page.locator(".facts")).to_contain_text("done")
    job = studio("GET", f"/api/jobs/{settings_in(page)['job']}")
    assert (job["kind"], job["settings"]["size"]) == ("style", 64)
    painting = next(each["picture"] for each in job["inputs"] if each["role"] == "style")
    assert studio("GET", f"/api/pictures/{painting}")["title"] == "Cat 0.png"


def test_the_wall_stops_when_one_leaves_the_room(page: Page, studio: Server, tmp_path: Path):
    image = tmp_path / "grey.png"
    Image.new("RGB", (90, 60), (120, 100, 80)).save(image)
    picture = studio.send(image)["id"]
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/styled" in request.url else None)
    go(page, f"#/style?in.picture={picture}")
    expect(page.locator(".styled[data-state=loaded]").nth(1)).to_be_attached(timeout=PAINTED_MS)
    page.evaluate("location.hash = '#/gallery'")
    expect(page.get_by_role("heading", name="Gallery")).to_be_visible()
    wait_until_settled(page)
    before = len(asked)
    assert before < 26
    styled(studio, picture, "built_in=25")  # after whatever was still being painted
    assert len(asked) == before
    go(page, f"#/style?in.picture={picture}")  # what has been painted comes from the cache
    expect(page.locator(".styled[data-state=loaded]").nth(before - 1)).to_be_attached(timeout=PAINTED_MS)
    # On a phone the wall is no wider than the window, and the settings follow within a screen.
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("h1").bounding_box()["y"] < 844


def picture_of(page: Page) -> tuple[str, str]:
    """Return the page's photograph, as an input of a job."""
    return "picture", settings_in(page)["in.picture"]


@pytest.mark.slow
def test_the_wall_waits_for_weights_that_are_missing(real_shelf: Path, tmp_path: Path, browser: Browser):
    (tmp_path / "shelf").mkdir()
    (tmp_path / "shelf" / "photographs").symlink_to(real_shelf / "photographs", target_is_directory=True)
    studio = Server(tmp_path)
    context = browser.new_context(base_url=studio.address)
    page = context.new_page()
    try:
        go(page, "#/style?kind=instant")
        expect(page.get_by_role("group", name="Required downloads")).to_contain_text(
            re.compile(r"instant-style.*MB")
        )
        expect(page.locator(".style-cell .faint").nth(25)).to_be_visible()
        expect(page.locator(".styled")).to_have_count(0)
        cat = studio("POST", "/api/examples/chelsea.png")["id"]
        code, words = studio.error("GET", f"/api/pictures/{cat}/styled?built_in=3")
        assert (code, words) == (
            404, "instant-style has not been fetched yet: lanterna shelf fetch instant-style",
        )  # fmt: skip
        # Where digits are read, and no network has been trained, that is what is offered.
        for room in ("#/read", "#/learn?kind=learn-digit"):
            go(page, room)
            expect(page.get_by_role("button", name="Train a network")).to_be_visible()
            expect(page.get_by_label(re.compile("^Pad: "))).to_have_count(0)
            expect(page.locator("iframe")).to_have_count(0)
    finally:
        context.close()
        studio.close()
