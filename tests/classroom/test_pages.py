"""A class in two browsers: a phone and the big screen."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest
from playwright.sync_api import expect

from browsing import DIGIT_THREE, TIMEOUT_MS, draw_stroke, violations
from places import SCREENSHOTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page


class Held(NamedTuple):
    """A class that is held: the addresses of the screen and of the phones, with the code."""

    screen: str
    phones: str


@pytest.fixture
def held(trained: Path, tmp_path: Path) -> Iterator[Held]:
    environment = {**os.environ, "LANTERNA_HOME": str(trained), "LANTERNA_OFFLINE": "1"}
    words = ["class", str(tmp_path / "class.sqlite"), "--no-browser", "--host", "127.0.0.1", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lanterna", *words], env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    yield Held(process.stdout.readline().strip(), process.stdout.readline().strip())
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 0
    process.stdout.close()


def opened(browser: Browser, address: str, width: int, height: int) -> Page:
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme="dark")
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    page.on("pageerror", lambda error: pytest.fail(str(error)))
    page.goto(address)
    return page


def test_a_drawing_flies_to_the_screen_and_is_voted_on(held: Held, browser: Browser) -> None:
    screen = opened(browser, held.screen, 1920, 1080)
    phone = opened(browser, held.phones, 360, 640)
    pad = phone.get_by_role("application")
    draw_stroke(phone, pad, DIGIT_THREE)
    phone.get_by_role("button", name="Send").click()
    tile = screen.locator(".tile")
    expect(tile).to_have_count(1)
    expect(tile.locator("b")).to_have_text("3")
    expect(phone.get_by_role("status")).to_contain_text("Read as 3")
    screen.screenshot(path=SCREENSHOTS / "class-join.png")
    phone.screenshot(path=SCREENSHOTS / "class-phone.png")
    assert phone.evaluate("document.documentElement.scrollHeight <= innerHeight")
    small = screen.evaluate(
        """() => [...document.querySelectorAll("body *")].filter((each) => each.innerText
          && parseFloat(getComputedStyle(each).fontSize) < 32).map((each) => each.outerHTML.slice(0, 80))"""
    )
    assert small == []
    assert violations(screen) == []
    assert violations(phone) == []
    # Drawn with the keyboard.
    for key in ("Space", *["ArrowDown"] * 14, "Space", "Tab", "Tab", "Enter"):
        phone.keyboard.press(key)
    expect(tile).to_have_count(2)
    expect(tile.nth(1).locator("b")).to_have_text("1")
    tile.nth(1).focus()
    screen.keyboard.press("h")
    expect(tile).to_have_count(1)
    # Opened, and hidden with a key.
    tile.click()
    expect(screen.get_by_role("dialog")).to_contain_text("Read as 3")
    screen.keyboard.press("h")
    expect(tile).to_have_count(0)
    screen.get_by_role("button", name="Show again").click()
    expect(tile).to_have_count(1)
    screen.reload()
    expect(tile).to_have_count(1)
    # One key: the next step, then the next round.
    screen.keyboard.press("Space")
    expect(screen.get_by_role("heading", level=1)).to_contain_text("hard to read")
    screen.keyboard.press("Space")
    phone.get_by_role("button", name="5", exact=True).click()
    expect(screen.locator(".count")).to_have_text(re.compile("1 of 1 "))
    screen.keyboard.press("Space")
    screen.keyboard.press("Space")
    expect(screen.locator(".bars .right")).to_contain_text("3")
    assert violations(screen) == []
    expect(phone.get_by_role("heading")).to_have_text("Look at the big screen")
    screen.keyboard.press("l")
    expect(phone.get_by_role("heading")).to_have_text("The room is locked")
    screen.context.close()
    phone.context.close()
