"""The studio's page, driven like a user drives it, on a real server with small pictures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from browsing import (
    DIGIT_THREE,
    ENDLESS,
    SMALL,
    draw_stroke,
    go,
    run_small_dream,
    settings_in,
    stop_job,
    switch_room,
    violations,
    wait_until_settled,
)
from served import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

    from served import Server

ROOMS = ("learn", "read", "train", "look", "dream", "style", "paint", "imagine", "grow", "gallery")


def test_a_dream_starts_with_an_example_and_ends_in_the_gallery(page: Page, studio: Server):
    go(page, f"#/dream?{SMALL}")
    before = page.get_by_role("img", name="cat")
    expect(before).to_be_visible()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".facts")).to_contain_text("done")
    after = page.get_by_role("img", name="Dream: the result")
    expect(after).to_have_js_property("complete", True)
    job = studio("GET", f"/api/jobs/{settings_in(page)['job']}")
    assert (job["state"], job["steps"]) == ("done", 8)
    made = studio.request("GET", f"/api/pictures/{job['picture']}/file")[1]
    given = studio.request("GET", f"/api/pictures/{job['inputs'][0]['picture']}/file")[1]
    assert made[:4] == b"\x89PNG"
    assert made != given

    page.get_by_role("button", name="Before and after").click()
    divide = page.get_by_role("slider", name="Before and after")
    divide.focus()
    page.keyboard.press("Home")
    expect(page.locator(".frame")).to_have_attribute("style", re.compile("--place: 0%"))

    page.get_by_role("link", name="Gallery").click()
    newest = page.locator(".tile").first
    expect(newest.locator("img")).to_have_attribute("src", re.compile(job["picture"]))
    newest.click()
    expect(page.get_by_label("Command line")).to_contain_text("lanterna dream")


def test_a_running_dream_survives_a_reload_and_can_be_stopped(page: Page):
    go(page, f"#/dream?{ENDLESS}")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("img", name="Dream: the picture so far")).to_be_visible()
    page.reload()
    expect(page.get_by_role("img", name="Dream: the picture so far")).to_be_visible()
    expect(page.locator(".strip")).to_contain_text("of 1000")
    steps = page.locator("#set-steps")
    expect(steps).to_be_visible()
    page.locator(".strip").get_by_role("button", name="Pause").click()
    expect(page.locator(".strip")).to_contain_text("paused")
    page.locator(".strip").get_by_role("button", name="Resume").click()
    expect(page.locator(".strip").get_by_role("button", name="Pause")).to_be_visible()
    stop_job(page)


def test_a_setting_changes_the_running_job(page: Page, studio: Server):
    go(page, f"#/dream?{ENDLESS}")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("img", name="Dream: the picture so far")).to_be_visible()
    field = page.locator(".field", has=page.locator("#set-step_size"))
    expect(field).to_contain_text("can be changed while running")
    field.get_by_role("spinbutton").fill("7")
    field.get_by_role("spinbutton").press("Enter")
    job = settings_in(page)["job"]
    studio.wait_until(job, lambda found: found["settings"]["step_size"] == 7)
    stop_job(page)


def test_settings_are_stored_in_the_url_and_restored_from_it(page: Page):
    go(page, "#/dream?octaves=7")
    octaves = page.locator("#set-octaves")
    expect(octaves).to_have_attribute("aria-valuetext", "7")
    octaves.focus()
    page.keyboard.press("ArrowRight")
    assert settings_in(page)["octaves"] == "8"
    page.get_by_role("button", name="Octaves: reset to default").click()
    assert "octaves" not in settings_in(page)
    page.get_by_role("radio", name="engraving").check()
    assert settings_in(page)["preset"] == "engraving"
    page.locator(".more summary").click()
    expect(page.locator("#set-keep_colours")).to_be_checked()
    page.locator("#set-keep_colours").uncheck()
    page.reload()
    expect(page.locator("#set-layer")).to_have_value("block5")
    page.locator(".more summary").click()
    expect(page.locator("#set-keep_colours")).not_to_be_checked()


def test_a_mask_is_drawn_on_the_picture_and_respected(page: Page, studio: Server):
    from lanterna import open_picture

    go(page, f"#/dream?{SMALL}")
    page.get_by_role("button", name="Draw a mask").click()
    draw_stroke(page, page.get_by_label(re.compile("Mask: paint")), [(0.05, 0.1), (0.05, 0.9)])
    page.get_by_role("button", name="Use this mask").click()
    expect(page.get_by_role("button", name=re.compile("^mask: "))).to_be_visible()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".facts")).to_contain_text("done")
    job = studio("GET", f"/api/jobs/{settings_in(page)['job']}")
    files = {
        note["role"]: studio.request("GET", f"/api/pictures/{note['picture']}/file")[1]
        for note in job["inputs"]
    }
    made = open_picture(studio.request("GET", f"/api/pictures/{job['picture']}/file")[1])
    given = open_picture(files["picture"], longest=144)
    change = (made - given).abs().mean(0)
    third = change.shape[1] // 3
    assert change[:, : third // 4].mean() > 10 * change[:, -third:].mean()


def test_an_uploaded_result_offers_its_settings(page: Page, studio: Server, tmp_path: Path):
    run_small_dream(page)
    job = studio("GET", f"/api/jobs/{settings_in(page)['job']}")
    file = tmp_path / "kept.png"
    file.write_bytes(studio.request("GET", f"/api/pictures/{job['picture']}/file")[1])
    go(page, "#/dream")
    page.get_by_role("button", name=re.compile("^picture: ")).click()
    page.get_by_label("A picture from this computer").set_input_files(file)
    expect(page.locator(".facts")).to_contain_text("144 × 96")
    page.get_by_role("button", name="Use its settings").click()
    expect(page.locator("#set-octaves")).to_have_attribute("aria-valuetext", "2")


def test_a_deleted_picture_can_be_restored(page: Page, studio: Server):
    run_small_dream(page)
    starred = len(studio("GET", "/api/gallery?starred=1&room=dream"))
    go(page, "#/gallery?room=dream")
    pictures = page.locator(".tile")
    expect(pictures.first).to_be_visible()
    count = pictures.count()
    pictures.first.click()
    page.get_by_role("button", name="Delete").click()
    expect(pictures).to_have_count(count - 1)
    page.get_by_role("button", name="Undo").click()
    expect(pictures).to_have_count(count)
    page.get_by_role("button", name=re.compile("^Star ")).first.click()
    page.get_by_label("Starred").check()
    expect(pictures).to_have_count(starred + 1)
    page.get_by_label("Search").fill("no such thing")
    expect(pictures).to_have_count(0)


def test_a_network_is_built_trained_and_reads_what_is_drawn(page: Page):
    go(page, "#/train")
    presets = page.get_by_role("group", name="Presets")
    expect(presets.get_by_role("radio")).to_have_count(4)  # the default is one of them
    expect(presets.get_by_role("radio", name="fast reads 99 of 100")).to_be_checked()
    expect(presets.get_by_text(re.compile(r"^about \d"))).to_have_count(4)
    go(page, "#/train?preset=fast-dense&epochs=2&fraction=0.3")
    page.get_by_label("Name", exact=True).fill("built")
    page.get_by_label("Name", exact=True).press("Enter")
    page.get_by_role("button", name="+ layer").click()
    expect(page.get_by_role("group", name="The network").get_by_role("spinbutton")).to_have_count(2)
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".facts")).to_contain_text("done")
    curve = page.get_by_role("img", name=re.compile("^Accuracy is"))
    curve.press("ArrowLeft")  # shows the values
    expect(page.locator(".curve .readout").last).to_contain_text(
        re.compile(r"^step \d+ · training accuracy 0\.\d+")
    )
    page.get_by_role("link", name="Draw a digit").click()
    draw_stroke(page, page.get_by_label(re.compile("^Pad: ")), DIGIT_THREE)
    expect(page.get_by_test_id("answer")).to_have_text("3")
    expect(page.locator(".chances [data-best=true]")).to_contain_text("3")
    page.get_by_role("button", name="Open in Look").click()
    view = page.frame_locator("iframe")
    expect(view.get_by_role("heading", level=1)).to_contain_text("Read as 3")
    page.get_by_role("link", name="Read").click()
    draw_stroke(page, page.get_by_label(re.compile("^Pad: ")), DIGIT_THREE)
    expect(page.get_by_test_id("answer")).to_have_text("3")
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_test_id("answer")).to_have_text("?")


def test_the_queue_is_reordered_and_emptied(page: Page, studio: Server):
    go(page, f"#/dream?{ENDLESS}")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".strip")).to_contain_text("of 1000")
    for seed in (1, 2):
        number = page.locator("#set-seed")
        if not number.is_visible():
            page.locator(".more summary").click()
        number.fill(str(seed))
        number.press("Enter")
        page.get_by_role("button", name="Start another").click()
        expect(page.locator(".facts")).to_contain_text("waits for Cat · dream · ")
        expect(page.locator(".count")).to_have_text(str(seed))
    page.get_by_role("button", name=re.compile("^Queue")).click()
    up = page.get_by_role("button", name=re.compile("^Move up: Cat · dream · "))
    up.last.click()
    expect(up).to_have_count(2)

    def waiting() -> list[int]:
        return [job["settings"]["seed"] for job in studio("GET", "/api/jobs") if job["state"] == "queued"]

    wait_until(lambda: waiting() == [2, 1], waiting)
    expect(page.locator(".queue li", has=up).first.locator("a")).to_have_attribute(
        "href", re.compile("seed=2")
    )
    remove = page.locator(".queue").get_by_role("button", name="Remove", exact=True)
    remove.first.click()
    expect(remove).to_have_count(1)
    page.get_by_role("button", name="Undo").click()  # back in its place
    wait_until(lambda: waiting() == [2, 1], waiting)
    expect(remove).to_have_count(2)
    for left in (1, 0):
        remove.first.click()
        expect(remove).to_have_count(left)
    forget = page.get_by_role("button", name=re.compile("^Remove from list"))

    def listed() -> list[str]:
        names: list[str] = forget.evaluate_all("buttons => buttons.map((each) => each.ariaLabel)")
        return names

    before = listed()
    forget.first.click()
    wait_until(lambda: listed() != before, listed)
    page.locator(".notice", has_text="from the list").get_by_role("button", name="Undo").click()
    wait_until(lambda: listed() == before, listed)
    page.locator(".strip > .actions").get_by_role("button", name="Stop").click()
    expect(page.locator(".queue")).to_contain_text("queue is empty")


def test_a_photograph_is_classified_and_its_look_page_sandboxed(page: Page, studio: Server):
    picture = studio("POST", "/api/examples/chelsea.png", {})["id"]
    address = f"/api/look?network=efficientnet-lite0&picture={picture}"
    status, _, headers = studio.request("GET", address)
    policy = {name.lower(): value for name, value in headers.items()}["content-security-policy"]
    assert status == 200
    assert policy.startswith("sandbox allow-scripts;")
    go(page, f"#/look?network=efficientnet-lite0&in.picture={picture}")
    view = page.frame_locator("iframe")
    expect(view.get_by_role("heading", level=1)).to_contain_text("cat")
    expect(page.get_by_role("status", name="Top classes")).to_contain_text("cat")
    go(page, f"#/look?network=no-such&in.picture={picture}")
    expect(page.get_by_text("There is no network 'no-such' in the studio")).to_be_visible()


def test_two_pictures_are_compared(page: Page):
    run_small_dream(page)
    run_small_dream(page, "&layer=block5")
    page.get_by_role("link", name="Gallery").click()
    boxes = page.get_by_role("checkbox", name=re.compile("^Choose "))
    boxes.nth(0).check()
    expect(page.get_by_role("button", name="Compare")).to_be_disabled()
    boxes.nth(1).check()
    page.get_by_role("button", name="Compare").click()
    page.get_by_role("slider", name="Before and after").press("End")
    expect(page.locator(".frame")).to_have_attribute("style", re.compile("--place: 100%"))
    sources = page.locator("dialog img").evaluate_all("all => all.map((each) => each.src)")
    assert len(set(sources)) == 2
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_room_has_an_accessibility_violation(page: Page, theme: Any):
    page.emulate_media(color_scheme=theme)
    go(page, "#/")
    for room in ROOMS:
        switch_room(page, room)
        for details in page.locator("details.more").all():
            details.evaluate("each => { each.open = true; }")
        wait_until_settled(page)
        assert violations(page) == [], room


def test_nothing_is_wider_than_the_window(page: Page):
    go(page, "#/")
    for width in (390, 1280, 2560):
        page.set_viewport_size({"width": width, "height": 844 if width == 390 else width * 9 // 16})
        for room in ("read", "train", "dream", "gallery"):
            switch_room(page, room)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (room, width)
        for room in page.get_by_role("navigation", name="Rooms").get_by_role("link").all():
            expect(room).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": 390, "height": 844})  # so that the last screenshot is not huge


def test_a_mistyped_address_says_so(page: Page, studio: Server):
    go(page, "#/nowhere")
    expect(page.get_by_text("There is no such page.")).to_be_visible()
    status, body, _ = studio.request("GET", "/nowhere.html", token=None, headers={"accept": "text/html"})
    assert (status, b"There is no such page" in body) == (404, True)
    assert studio.error("GET", "/api/nowhere") == (404, "not found")
