"""The terms of the glossary are explained where they stand in the studio."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import expect

from browsing import go, violations
from lanterna.glossary import GLOSSARY

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from served import Served


def test_a_term_is_explained_on_hover_focus_and_tap(page: Page, studio: Served):
    del studio
    go(page, "#/dream")
    meaning = page.get_by_role("tooltip").filter(has_text=GLOSSARY["octave"])
    term = page.get_by_role("button", name="octaves").or_(page.get_by_role("button", name="octave")).first
    expect(meaning).to_have_count(0)  # hidden from everyone until it is asked for
    term.hover()
    expect(meaning.first).to_be_visible()
    box, width = meaning.first.bounding_box(), page.viewport_size["width"]
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= width
    page.keyboard.press("Escape")
    page.mouse.move(0, 0)
    expect(meaning).to_have_count(0)
    term.focus()
    expect(meaning.first).to_be_visible()
    assert term.evaluate("term => term.ariaDescribedByElements[0].textContent") == GLOSSARY["octave"]
    page.keyboard.press("Escape")
    expect(meaning).to_have_count(0)
    page.set_viewport_size({"width": 390, "height": 844})
    term.click()
    expect(meaning.first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.screenshot(path="artifacts/screenshots/term.png")
    assert violations(page) == []
