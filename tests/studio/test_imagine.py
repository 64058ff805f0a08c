"""The room Imagine: dragging across a digit moves through noise."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from browsing import go, violations, wait_until_settled
from trained import install_untrained_flow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from served import Server


@pytest.fixture
def learned(studio: Server) -> Iterator[None]:
    """A network of the right shapes for the studio, as quick as one that has learned."""
    file = install_untrained_flow(studio.home)
    yield
    file.unlink()


def levels(studio: Server, **place: float) -> list[int]:
    found = studio("POST", "/api/imagine", {"digit": 4, **place})
    assert found["milliseconds"] > 0
    return found["levels"]


@pytest.mark.usefixtures("learned")
def test_places_near_each_other_have_similar_digits_and_a_place_always_the_same(studio: Server) -> None:
    here = levels(studio, across=0.2, down=0.1)
    assert (len(here), min(here) >= 0, max(here) <= 255) == (784, True, True)
    assert levels(studio, across=0.2, down=0.1) == here
    near, far = levels(studio, across=0.22, down=0.1), levels(studio, across=3, down=-2)

    def distance(there: list[int]) -> int:
        return sum(abs(a - b) for a, b in zip(here, there, strict=True))

    assert 0 < distance(near) < distance(far) / 4
    assert distance(levels(studio, across=0.2, down=0.1, seed=7)) > distance(near)
    for wrong in ({"digit": 10}, {"digit": 4, "across": "left"}, {"digit": 4, "steps": 0}, {"height": 3}):
        assert studio.error("POST", "/api/imagine", wrong)[0] == 422


@pytest.mark.usefixtures("learned")
def test_a_digit_is_dragged_and_moved_by_keys(page: Page) -> None:
    go(page, "#/imagine?view=plane")
    plane = page.get_by_role("application", name="An imagined 4")
    expect(page.get_by_text("from the noise to the digit")).to_be_visible()
    pixels = "canvas => canvas.toDataURL()"
    before = plane.evaluate(pixels)
    plane.hover()
    page.mouse.down()
    page.mouse.move(500, 300, steps=3)
    page.mouse.up()
    page.wait_for_function("before => document.querySelector('.plane').toDataURL() !== before", arg=before)
    assert "across=" in page.url
    dragged = page.url
    plane.press("ArrowRight")
    assert page.url != dragged
    page.get_by_role("radio", name="7", exact=True).check()
    expect(page.get_by_role("application", name="An imagined 7")).to_be_visible()
    page.get_by_role("button", name="Save the picture").click()
    expect(page.get_by_text("The picture is saved in the gallery")).to_be_visible()
    wait_until_settled(page)
    assert violations(page) == []
    page.get_by_role("link", name="Draw many digits").click()
    expect(page.get_by_role("radio", name="Like yours")).to_be_visible()


def test_without_a_network_the_room_offers_to_let_one_learn(page: Page, studio: Server) -> None:
    go(page, "#/imagine?view=plane")
    expect(page.get_by_role("button", name="Start learning")).to_be_visible()
    expect(page.get_by_text(re.compile(r"It takes about [\d hmin]+ (min|s)\."))).to_be_visible()
    file = install_untrained_flow(studio.home)  # from then on, only drawing takes time
    assert studio("POST", "/api/jobs/check", {"kind": "imagine"})["seconds"] <= 10
    file.unlink()
    wait_until_settled(page)
    assert violations(page) == []
