"""The studio's rooms beyond starting a job: rewinding, choosing, comparing, explaining."""

from __future__ import annotations

import gzip
import io
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import expect

from browsing import (
    DIGIT_THREE,
    ENDLESS,
    SMALL,
    TIMEOUT_MS,
    draw_stroke,
    go,
    run_small_dream,
    settings_in,
    stop_job,
    switch_room,
    violations,
    wait_until_settled,
)
from places import ROOT
from served import Server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WEB = ROOT / "src/lanterna/surfaces/web"


@pytest.fixture(scope="module")
def network(studio: Server) -> str:
    """Train a small network that reads digits, and return its name."""
    settings = {"network": "dense", "hidden": [32], "epochs": 1, "fraction": 0.3}
    job = studio.start("train", settings=settings, title="small")
    assert studio.wait(job)["state"] == "done"
    return "small"


def picture(studio: Server, path: str) -> np.ndarray:
    status, content, _ = studio.request("GET", path)
    assert status == 200
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=float)


def test_a_job_is_rewound_resumed_and_branched(page: Page, studio: Server):
    go(page, f"#/dream?{ENDLESS}")
    page.get_by_role("button", name="Start").click()
    steps = page.get_by_role("radio", name=re.compile("^Step "))
    expect(steps.nth(2)).to_be_visible()
    first = steps.nth(0)
    number = int(first.get_attribute("aria-label").removeprefix("Step "))
    first.click()
    expect(page.get_by_role("img", name=f"Dream: step {number}")).to_be_visible()
    page.get_by_role("button", name="Go back to this step").click()
    expect(page.locator(".facts")).to_contain_text(f"step {number} of 1000")
    expect(page.locator(".facts")).to_contain_text("paused")
    job = settings_in(page)["job"]
    page.get_by_role("button", name="Resume").first.click()
    studio.wait_until(job, lambda found: found["state"] == "running" and found["step"] > number)
    stop_job(page)
    # With the keyboard: from the newest step to the one before it.
    page.get_by_role("radio", name="end").click()
    page.get_by_role("radio", name=re.compile("^Step ")).last.focus()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("radio", name=re.compile("^Step "), checked=True)).to_have_count(1)
    page.get_by_role("button", name="Branch from this step").click()
    page.wait_for_url(lambda url: job not in url)
    branch = settings_in(page)["job"]
    assert studio("GET", f"/api/jobs/{branch}")["parent"] == job
    stop_job(page)
    page.get_by_role("button", name=re.compile("^Resume from step")).click()
    page.wait_for_url(lambda url: branch not in url)
    stop_job(page)


def test_a_cell_of_a_sheet_is_made_at_full_size(page: Page, studio: Server):
    go(page, "#/paint?kind=random-sheet&seed=5&sheet=4&width=80&height=80&samples=1&layers=4")
    page.get_by_role("button", name="Start").click()
    cell = page.get_by_role("link", name="Make at full size: 7")
    expect(cell).to_be_visible()
    sheet = studio("GET", f"/api/jobs/{settings_in(page)['job']}")["picture"]
    cell.focus()
    page.keyboard.press("Enter")
    expect(
        page.get_by_role("radiogroup", name="Technique").get_by_label("Random", exact=True)
    ).to_be_checked()
    assert settings_in(page)["seed"] == "7"
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".facts")).to_contain_text("done")
    result = studio("GET", f"/api/jobs/{settings_in(page)['job']}")["picture"]
    large = picture(studio, f"/api/pictures/{result}/file")
    # It is the chosen cell, not one of its neighbours.
    full, distances = picture(studio, f"/api/pictures/{sheet}/file"), []
    for each in studio("GET", f"/api/pictures/{sheet}")["recipe"]["sheet"]:
        left, top, right, bottom = each["box"]
        cut = Image.fromarray(full[top:bottom, left:right].astype("uint8")).resize(large.shape[1::-1])
        distances.append((np.abs(np.asarray(cut, dtype=float) - large).mean(), each["label"]))
    assert min(distances)[1] == "7"


def test_each_painting_has_its_own_mask(page: Page, studio: Server):
    go(page, "#/style?size=96&steps=2")
    expect(page.locator('[data-role="style"] img')).to_have_count(1)
    page.locator('[data-role="style"]').nth(1).get_by_role("button").click()
    page.get_by_role("button", name="cat", exact=True).click()
    page.get_by_role("button", name="Draw a mask for 2").click()
    mask = page.get_by_role("application", name=re.compile("where its style goes: style 2"))
    draw_stroke(page, mask, ((0.1, 0.5), (0.4, 0.5)))
    page.get_by_role("button", name="Use this mask").click()
    expect(page.locator('[data-role="mask"] img')).to_have_count(2)
    one, two = settings_in(page)["in.mask"].split(",")
    everywhere, drawn = (picture(studio, f"/api/pictures/{each}/file") for each in (one, two))
    assert everywhere.min() == 255  # the other painting covers the whole picture
    assert drawn[drawn.shape[0] // 2, drawn.shape[1] // 4].min() == 255
    assert drawn[:, -10:].max() == 0
    # The mask is edited, not replaced.
    page.get_by_role("button", name="Change mask 2").click()
    draw_stroke(page, page.get_by_role("application", name=re.compile("style 2")), ((0.9, 0.2), (0.9, 0.8)))
    page.get_by_role("button", name="Use this mask").click()
    page.wait_for_url(lambda url: two not in url)
    changed = picture(studio, f"/api/pictures/{settings_in(page)['in.mask'].split(',')[1]}/file")
    assert changed[changed.shape[0] // 2, changed.shape[1] // 4].min() > 200
    assert changed[changed.shape[0] // 2, int(changed.shape[1] * 0.9)].min() > 200
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.locator(".facts")).to_contain_text("done")


def test_a_film_plays_and_is_paused(page: Page):
    go(page, "#/paint?kind=random-loop&frames=4&width=64&height=64")
    page.get_by_role("button", name="Start").click()
    shown = page.get_by_role("img", name="Random loop: the result")
    expect(shown).to_have_attribute("src", re.compile("/file$"))
    page.get_by_role("button", name="Pause").click()
    expect(shown).to_have_attribute("src", re.compile("/thumbnail$"))
    page.emulate_media(reduced_motion="reduce")
    page.reload()
    expect(page.get_by_role("button", name="Play")).to_be_visible()  # it does not start by itself
    expect(shown).to_have_attribute("src", re.compile("/thumbnail$"))


def test_presets_have_thumbnails_and_shortcuts_work(page: Page):
    run_small_dream(page)
    expect(page.locator(".presets img")).to_have_count(13)
    page.locator("#main").focus()
    page.keyboard.press("c")
    expect(page.get_by_role("slider", name="Before and after")).to_be_visible()
    page.keyboard.press("l")
    expect(page.get_by_role("application", name=re.compile("^Loupe"))).to_be_visible()


def test_a_drawing_is_explained_and_shown_in_look(page: Page, network: str):
    go(page, f"#/read?network={network}")
    pad = page.get_by_label(re.compile("^Pad: "))
    draw_stroke(page, pad, DIGIT_THREE)
    expect(page.get_by_test_id("answer")).to_have_text("3")
    why = page.get_by_role("img", name=re.compile("^Pixels that count for"))
    colours = np.array(
        why.evaluate("canvas => [...canvas.getContext('2d').getImageData(0, 0, 28, 28).data]")
    ).reshape(28, 28, 4)[..., :3]
    amber = (colours[..., 0] > colours[..., 2] + 60).sum()
    blue = (colours[..., 2] > colours[..., 0] + 60).sum()
    assert amber > 5
    assert blue > 0
    page.get_by_role("button", name="Show the steps").click()
    steps = page.get_by_role("img", name=re.compile("^Each step from the page"))
    expect(steps).to_have_js_property("complete", True)
    assert steps.evaluate("image => image.naturalWidth") > 800
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Look inside while drawing").click()
    inside = page.frame_locator("iframe").get_by_role("heading", level=1)
    expect(inside).to_contain_text("Read as 3")
    page.get_by_role("button", name="Clear").click()
    wait_until_settled(page)
    expect(page.get_by_test_id("answer")).to_have_text("?")  # no late answer to the old drawing
    draw_stroke(page, pad, ((0.5, 0.15), (0.5, 0.85)))
    expect(page.get_by_test_id("answer")).to_have_text("1")
    expect(inside).to_contain_text("Read as 1")  # it is updated while the pen moves
    # Two digits are shown above the buttons, not below them.
    page.get_by_role("button", name="Look inside while drawing").click()
    draw_stroke(page, pad, ((0.85, 0.15), (0.85, 0.85)))
    found = page.get_by_role("group", name="Digits found").bounding_box()
    assert found["y"] + found["height"] <= page.locator(".reading > .acts").bounding_box()["y"] + 8


def test_a_pen_draws_broader_with_more_pressure(page: Page, network: str):
    go(page, f"#/read?network={network}")
    pad = page.get_by_label(re.compile("^Pad: "))
    box = pad.bounding_box()
    assert box is not None
    session, ink = page.context.new_cdp_session(page), []
    for force in (0.1, 0.9):
        for kind, across in (("mousePressed", 0.3), ("mouseMoved", 0.7), ("mouseReleased", 0.7)):
            session.send("Input.dispatchMouseEvent", {
                "type": kind, "x": box["x"] + across * box["width"], "y": box["y"] + box["height"] / 2,
                "button": "left", "buttons": 1, "clickCount": 1, "pointerType": "pen", "force": force,
            })  # fmt: skip
        drawn = "pad => pad.getContext('2d').getImageData(0, 0, 224, 224).data.filter((_, at) => at % 4 == 3)"
        ink.append(sum(pad.evaluate(f"pad => Array.from(({drawn})(pad))")))
        page.get_by_role("button", name="Clear").click()
    assert 1.5 * ink[0] < ink[1]


def test_a_page_dropped_on_the_pad_is_read(page: Page, network: str, real_shelf: Path):
    go(page, f"#/read?network={network}")
    expect(page.get_by_label(re.compile("^Pad: "))).to_be_visible()
    content = (real_shelf / "photographs/page.png").read_bytes()
    page.evaluate(
        """bytes => {
          const data = new DataTransfer();
          data.items.add(new File([new Uint8Array(bytes)], "page.png", { type: "image/png" }));
          const event = new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true });
          document.querySelector(".read").dispatchEvent(event);
        }""",
        list(content),
    )
    expect(page.get_by_role("img", name="The page being read")).to_be_visible()
    expect(page.locator(".page-read button").nth(20)).to_be_visible()
    # Many digits cover neither the hint nor the buttons.
    covered = page.locator(".reading .acts .button").evaluate_all(
        """(all) => all.filter((each) => {
          const box = each.getBoundingClientRect();
          const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
          return box.bottom > innerHeight || !each.contains(top);
        }).length"""
    )
    assert covered == 0
    digits, hint = page.locator(".digits-found").bounding_box(), page.locator(".reading .hint").bounding_box()
    assert digits
    assert hint
    assert digits["y"] + digits["height"] <= hint["y"]


def test_the_cameras_picture_is_read(page: Page, network: str):
    go(page, f"#/read?network={network}")
    page.get_by_role("button", name="Camera").click()
    # The fake camera's picture has a clock whose digits are found.
    expect(page.locator(".page-read button").first).to_be_visible()
    page.get_by_role("button", name="Use this frame").click()
    expect(page.get_by_role("img", name="The page being read")).to_be_visible()
    page.get_by_role("button", name="Back to the pad").click()
    expect(page.get_by_label(re.compile("^Pad: "))).to_be_visible()


def test_runs_are_compared_and_networks_renamed_and_deleted(page: Page, studio: Server, network: str):
    other = {"network": "dense", "hidden": [16], "epochs": 1, "fraction": 0.05}
    assert studio.wait(studio.start("train", settings=other, title="smaller"))["state"] == "done"
    go(page, "#/train")
    runs = page.get_by_role("list", name="Runs")
    for each in (network, "smaller"):
        expect(runs.get_by_role("button", name=re.compile(f"^{each} "))).to_be_visible()
    runs.get_by_role("button", name=re.compile(f"^{network} ")).click()
    expect(runs.get_by_role("button", name=re.compile(f"^{network} .*hidden 32"))).to_be_visible()
    page.get_by_text("Your networks").click()
    name = page.get_by_label("Name of smaller")
    name.fill("tiny")
    name.press("Enter")
    expect(page.get_by_label("Name of tiny")).to_be_visible()
    assert {"tiny", network} <= {each["name"] for each in studio("GET", "/api/networks") if each["here"]}
    taken = page.get_by_label("Name of tiny")
    taken.fill(network)
    taken.press("Enter")
    expect(page.locator(".notices")).to_contain_text(f"There is already a network '{network}'")
    page.get_by_role("button", name="Delete tiny").click()
    expect(page.get_by_label("Name of tiny")).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_label("Name of tiny")).to_be_visible()
    assert studio("DELETE", "/api/networks/tiny") == {"name": "tiny"}
    assert studio.error("DELETE", "/api/networks/tiny")[0] == 404


def test_misread_digits_are_shown_during_training(page: Page):
    go(page, "#/train?network=dense&epochs=4")
    page.get_by_role("button", name=re.compile("^Start")).click()
    shown = page.get_by_role("img", name=re.compile("test digits that are currently misread"))
    expect(shown).to_be_visible()
    page.get_by_role("button", name="Stop").first.click()
    expect(page.locator(".facts")).to_contain_text("it can be used as it is, or resumed")
    expect(page.get_by_role("link", name="Draw a digit")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".facts")).to_contain_text(re.compile(r"step \d+ of 784.* left"))


def test_a_title_is_changed_and_the_seed_varied(page: Page, studio: Server):
    run_small_dream(page)
    page.get_by_role("link", name="Gallery").click()
    page.locator(".tile").first.click()
    title = page.get_by_label("Title")
    title.fill("Whiskers")
    title.press("Enter")
    page.locator("dialog").press("s")
    expect(page.locator("dialog .star")).to_have_attribute("aria-pressed", "true")
    assert violations(page) == []
    newest = studio("GET", "/api/gallery?words=whiskers")[0]
    assert (newest["title"], newest["starred"]) == ("Whiskers", True)
    page.get_by_role("button", name="Vary").click()
    expect(page.locator(".notices")).to_contain_text("with seed 1")
    assert settings_in(page)["seed"] == "1"
    page.go_back()
    page.get_by_role("button", name="Make larger").click()
    page.wait_for_url(re.compile("#/dream"))
    assert settings_in(page)["size"] == "288"


def test_pictures_are_tagged_and_filtered(page: Page, studio: Server):
    for seed in (1, 2, 3):
        settings = {"seed": seed, "width": 24, "height": 24}
        studio.wait(studio.start("random", settings=settings, title=f"Tile {seed}"))
    go(page, "#/gallery?words=tile")
    pictures = page.locator(".tile")
    expect(pictures).to_have_count(3)
    pictures.first.click()
    field = page.get_by_role("dialog").get_by_label("Add a tag")
    field.fill("Winter, for the show")
    field.press("Enter")
    own = page.get_by_role("dialog").get_by_role("list", name="Tags")
    expect(own.get_by_role("button", name="winter", exact=True)).to_be_visible()
    assert violations(page) == []
    own.get_by_role("button", name="for the show", exact=True).click()  # filters by it
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(pictures).to_have_count(1)
    filters = page.get_by_role("group", name="Tags")
    chosen = filters.get_by_role("button", name="for the show 1")
    expect(chosen).to_have_attribute("aria-pressed", "true")
    chosen.click()
    expect(pictures).to_have_count(3)
    # Several at once, which can be undone.
    for box in page.get_by_role("checkbox", name=re.compile("^Choose ")).all():
        box.check()
    tag = page.get_by_label("Tag the chosen pictures")
    tag.fill("winter")
    tag.press("Enter")
    expect(filters.get_by_role("button", name="winter 3")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(filters.get_by_role("button", name="winter 1")).to_be_visible()
    page.get_by_role("searchbox", name="Search").fill("the show")
    expect(pictures).to_have_count(1)
    assert violations(page) == []
    # A removed tag can be brought back.
    pictures.click()
    own.get_by_role("button", name="Remove the tag winter").click()
    expect(own.get_by_role("button", name="winter", exact=True)).to_have_count(0)
    page.get_by_role("dialog").press("Escape")
    page.locator(".notice", has_text="was removed").get_by_role("button", name="Undo").click()
    expect(filters.get_by_role("button", name="winter 1")).to_be_visible()


def test_more_pictures_load_on_scrolling_and_all_are_chosen(page: Page, studio: Server):
    for seed in range(70):  # a page of the gallery has sixty
        studio.start("random", settings={"seed": seed, "width": 24, "height": 24})
    studio.wait(studio.start("random", settings={"width": 24, "height": 24}))
    go(page, "#/gallery?room=paint")
    pictures = page.locator(".tile")
    expect(pictures.nth(59)).to_be_attached()
    page.locator("#main").evaluate("each => each.scrollTo(0, each.scrollHeight)")
    expect(pictures.nth(70)).to_be_attached()
    page.get_by_role("checkbox", name=re.compile("^Choose ")).first.check()
    page.get_by_role("button", name="All", exact=True).click()
    chosen = page.get_by_role("toolbar", name="Chosen pictures")
    expect(chosen).to_contain_text(f"{pictures.count()} chosen")
    with page.expect_download() as download:
        chosen.get_by_role("link", name="Export").click()
    assert Path(download.value.path()).stat().st_size > 10_000


def test_dialogs_and_menus_have_no_accessibility_violation(page: Page):
    run_small_dream(page)
    for theme in ("dark", "light"):
        page.emulate_media(color_scheme=theme)
        check_dialogs(page)


def check_dialogs(page: Page) -> None:
    page.get_by_text("Send to …").click()
    wait_until_settled(page)
    assert violations(page) == []
    page.keyboard.press("Escape")
    picture = page.locator('[data-role="guide"]').get_by_role("button")
    picture.click()
    wait_until_settled(page)
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(picture).to_be_focused()  # the focus returns
    page.get_by_role("button", name="Draw a mask").click()
    assert violations(page) == []
    page.get_by_role("button", name="Cancel").click()
    queue = page.get_by_role("button", name=re.compile("^Queue"))
    queue.click()
    wait_until_settled(page)
    assert violations(page) == []
    queue.click()  # its list covers the controls used next


def test_missing_items_are_offered_and_a_closed_studio_reported(
    real_shelf: Path, tmp_path: Path, browser: Browser
):
    """An empty shelf, and no network to fetch from (the tests are offline); then the studio is closed."""
    first = Server(tmp_path)
    context = browser.new_context(base_url=first.address)
    page = context.new_page()
    page.set_default_timeout(TIMEOUT_MS)
    try:
        go(page, "#/dream")
        offer = page.get_by_role("group", name="Required downloads")
        expect(offer).to_contain_text(re.compile(r"photographs.*MB"))
        offer.get_by_role("button", name=re.compile("^Fetch")).click()
        expect(offer.get_by_role("status")).to_contain_text("forbids downloads")
        page.goto(f"{first.base}/#/look")
        expect(page.get_by_role("group", name="Required downloads")).to_contain_text("efficientnet-lite0")
        wait_until_settled(page)
        assert violations(page) == []

        shutil.rmtree(tmp_path / "shelf", ignore_errors=True)
        (tmp_path / "shelf").symlink_to(real_shelf, target_is_directory=True)
        go(page, f"#/dream?{SMALL}")
        expect(page.get_by_role("img", name="cat")).to_be_visible()
        first.close()
        expect(page.get_by_text("Connection lost")).to_be_visible()
        second = Server(tmp_path, "--port", str(first.port))  # has the same token: the page works on
        expect(page.get_by_text("Connection lost")).to_have_count(0)
        page.get_by_role("button", name="Start").press("Enter")
        expect(page.locator(".facts")).to_contain_text("done")
        second.close()
        (tmp_path / "studio" / "access.json").unlink()
        third = Server(tmp_path, "--port", str(first.port))
        try:
            # The page says so until the new link has been opened in any tab, also after a reload.
            again = page.get_by_text("Open the link that its terminal shows")
            expect(again).to_be_visible()
            page.get_by_role("button", name="Try again").click()
            expect(again).to_be_visible()
            context.new_page().goto(third.address)
            page.get_by_role("button", name="Try again").click()
            expect(page.get_by_role("button", name="Start")).to_be_enabled()
            expect(again).to_have_count(0)
        finally:
            third.close()
    finally:
        context.close()


def test_the_pages_code_is_small_and_makes_no_other_requests(page: Page, studio: Server):
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    go(page, "#/dream")
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    paths = {url.removeprefix(studio.base).partition("?")[0].lstrip("/") for url in requests}
    own = [WEB.parent / path for path in paths if path.startswith("web/") and "vendor" not in path]
    assert len(own) > 5
    sizes = [len(gzip.compress(each.read_bytes())) for each in own if each.suffix in (".js", ".css", ".html")]
    assert sum(sizes) < 70_000  # loaded before the first picture; a room's script loads with the room
    for room in ("learn", "read", "train", "look", "dream", "style", "paint", "gallery"):
        switch_room(page, room)
    assert {url for url in requests if not url.startswith((studio.base, "about:", "blob:", "data:"))} == set()
