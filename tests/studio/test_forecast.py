"""How long a job will take, by those that were done: `forecast`, and what the page says before Start."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from playwright.sync_api import expect

from browsing import SMALL, go, run_small_dream
from lanterna.surfaces.studio.forecast import forecast

if TYPE_CHECKING:
    from playwright.sync_api import Page


def job(seconds: float, pixels: tuple[int, int] = (300, 200), **settings: Any) -> dict[str, Any]:
    return {"settings": {"network": "vgg19", "steps": 10, **settings}, "seconds": seconds, "pixels": pixels}


@pytest.mark.parametrize(
    ("settings", "pixels", "seconds"),
    [
        ({"size": 256, "steps": 10}, (300, 200), 20),  # the same again
        ({"size": 512, "steps": 10}, (300, 200), 60),  # four times the pixels: 80 s, to the minute
        ({"size": 256, "steps": 5}, (300, 200), 10),
        ({"size": 256, "steps": 10}, (300, 300), 30),  # a square has more pixels
        ({"size": None, "steps": 10}, (256, 171), 20),  # the picture's own size
    ],
)
def test_the_time_is_proportional_to_steps_and_pixels(settings, pixels, seconds):
    found = forecast({"network": "vgg19", **settings}, pixels, [job(20, size=256)])
    assert found == {"seconds": seconds, "smaller": None}


def test_jobs_with_the_same_settings_are_the_measure():
    done = [job(3, size=256, layer="relu1_1"), *(job(s, size=256, layer="relu5_1") for s in (40, 900, 45))]
    assert forecast(done[1]["settings"], (300, 200), done)["seconds"] == 45  # and one slow job is no matter


def test_a_job_of_a_second_was_mostly_starting():
    found = forecast({"network": "vgg19", "size": 512, "steps": 10}, (300, 200), [job(1, size=128)])
    assert found["seconds"] <= 5  # not 16 times a second


def test_nothing_is_said_of_a_network_that_never_ran():
    assert forecast({"network": "vgg16", "size": 256}, None, [job(20, size=256)])["seconds"] is None


def test_a_smaller_size_is_offered_above_five_minutes():
    found = forecast({"network": "vgg19", "size": 1024, "steps": 10}, (300, 200), [job(60, size=256)])
    assert found["seconds"] == 960
    assert found["smaller"] == 352
    less = forecast({"network": "vgg19", "size": 352, "steps": 10}, (300, 200), [job(60, size=256)])
    assert less["seconds"] == 120


def test_start_says_how_long_it_will_take(page: Page):
    run_small_dream(page)
    go(page, f"#/dream?{SMALL}")
    start = page.get_by_role("button", name=re.compile(r"^Start\s*about \d+ s$"))
    expect(start).to_be_visible()
    go(page, "#/dream?size=4096&steps=400&octaves=2")
    expect(page.get_by_role("button", name=re.compile("^Start"))).to_contain_text("about")
    page.get_by_role("button", name=re.compile(r"^Take \d+ pixels$")).click()
    expect(page.locator("#set-size")).not_to_have_value("4096")
