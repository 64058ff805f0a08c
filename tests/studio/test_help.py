"""What the page says to whoever is new to it, its theme, and that nothing moves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browsing import go, settings_in, switch_room, violations, wait_until_settled

if TYPE_CHECKING:
    from playwright.sync_api import Page

LIGHT, DARK = "rgb(247, 242, 232)", "rgb(16, 18, 24)"
# Records the first colour that the page has once it has a body.
FIRST_COLOUR = """new MutationObserver((_, observer) => {
    if (!document.body) return;
    window.first = getComputedStyle(document.body).backgroundColor;
    observer.disconnect();
}).observe(document, { subtree: true, childList: true })"""
SHIFTS = """window.shift = 0; new PerformanceObserver((list) => {
    for (const each of list.getEntries()) if (!each.hadRecentInput) window.shift += each.value;
}).observe({ type: "layout-shift", buffered: true })"""


def test_the_theme_is_chosen_and_remembered(page: Page) -> None:
    page.add_init_script(FIRST_COLOUR)
    go(page, "#/read")
    body = page.locator("body")
    expect(body).to_have_css("background-color", DARK)  # the system's
    page.get_by_role("button", name="Theme: as the system").click()
    expect(body).to_have_css("background-color", LIGHT)
    expect(page.locator(":root")).to_have_css("color-scheme", "light")
    page.reload()
    page.get_by_role("heading", level=1).wait_for()
    assert page.evaluate("window.first") == LIGHT  # from the first moment
    assert violations(page) == []
    other = page.context.new_page()  # another tab follows
    other.goto(page.url)
    other.get_by_role("button", name="Theme: light").click()
    expect(body).to_have_css("background-color", DARK)
    page.emulate_media(color_scheme="light")
    expect(body).to_have_css("background-color", DARK)  # whatever the system does
    other.close()


def test_a_look_page_and_a_lesson_have_the_theme(page: Page) -> None:
    go(page, "#/look?network=efficientnet-lite0")
    inside = page.frame_locator("iframe")
    expect(inside.get_by_role("heading", level=1)).to_be_visible()
    page.get_by_role("button", name="Theme: as the system").click()
    expect(inside.locator("body")).to_have_css("background-color", LIGHT)
    page.reload()  # it is loaded with the theme
    expect(inside.locator("body")).to_have_css("background-color", LIGHT)
    go(page, "#/learn?kind=learn-curve")
    expect(page.locator("body")).to_have_css("background-color", LIGHT)
    expect(page.locator("main svg").first).to_be_visible()


def test_a_room_introduces_itself_until_it_is_told_not_to(page: Page) -> None:
    go(page, "#/dream")
    expect(page.get_by_text("Press Start to amplify what a network sees")).to_be_visible()
    page.get_by_role("button", name="Hide the introduction").click()
    expect(page.locator("#main")).to_be_focused()
    page.reload()
    page.get_by_role("heading", name="Dream").wait_for()
    expect(page.locator(".introduction p")).to_have_count(0)
    switch_room(page, "gallery")
    expect(page.locator(".introduction p")).to_contain_text("its settings come back")


def test_a_question_mark_opens_the_help(page: Page) -> None:
    go(page, "#/dream")
    page.get_by_role("heading", name="Dream").wait_for()
    page.locator("#main").focus()
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog", name="Help")
    expect(help_.get_by_text("before and after")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("Escape")
    expect(help_).to_have_count(0)
    page.locator("#set-layer").focus()
    page.keyboard.type("?")  # is text
    expect(help_).to_have_count(0)
    page.get_by_role("button", name="Help", exact=True).click()
    expect(help_).to_be_visible()


def test_kinds_of_paint_are_grouped_by_what_they_start_from(page: Page) -> None:
    go(page, "#/paint")
    groups = page.get_by_role("radiogroup", name="Group").get_by_role("radio")
    expect(groups).to_have_count(3)
    kinds = page.get_by_role("radiogroup", name="Technique").get_by_role("radio")
    shown = []
    for group in groups.all():
        group.check()
        shown += [each.evaluate("radio => radio.labels[0].textContent.trim()") for each in kinds.all()]
        expect(kinds.first).to_be_checked()
    assert shown == [
        "Paint", "A film", "A race", "A film of a race",
        "Large", "In between", "Morph", "Neurons", "Random", "Random sheet", "Random loop",
    ]  # fmt: skip
    assert settings_in(page)["kind"] == "random"
    go(page, "#/dream")  # whose kinds all start from a picture
    expect(page.get_by_role("radiogroup", name="Technique")).to_be_visible()
    expect(page.get_by_role("radiogroup", name="Group")).to_have_count(0)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_moves_while_a_room_loads(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.add_init_script(SHIFTS)
    for room in ("learn", "read", "train", "teach", "look", "dream", "style", "paint", "gallery"):
        go(page, f"#/{room}")
        page.get_by_role("heading", level=1).wait_for()
        wait_until_settled(page)
        assert page.evaluate("window.shift") < 0.02, room
