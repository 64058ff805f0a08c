"""The main job of every room in Firefox and WebKit: `make browsers`."""

from __future__ import annotations

import re
import shutil
from typing import TYPE_CHECKING

import pytest
import torch

from browsing import DIGIT_THREE
from driven import Browser, Firefox, WebKit
from lanterna import open_picture, save_picture
from lanterna.images.digits import mnist
from lanterna.networks.digits import conv
from lanterna.surfaces.web.class_site import Contents, write_site
from places import SCREENSHOTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from served import Server

pytestmark = pytest.mark.browsers
ROOMS = ("learn", "read", "train", "teach", "look", "dream", "style", "paint", "imagine", "grow", "gallery")


@pytest.fixture(scope="module", params=[Firefox, WebKit], ids=["firefox", "webkit"])
def page(
    request: pytest.FixtureRequest, studio: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Browser]:
    """A browser with the studio open, at 1280 × 800."""
    kind: type[Firefox | WebKit] = request.param
    if missing := [program for program in kind.programs if not shutil.which(program)]:
        pytest.fail(f"needs {' and '.join(missing)}: apt-get install {kind.packages}")
    opened = kind(tmp_path_factory.mktemp("browser"))
    opened.open(studio.address)
    opened.resize(1280, 800)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def screenshot(page: Browser, request: pytest.FixtureRequest) -> Iterator[None]:
    """Save what the page shows at the end of a test."""
    yield
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    name = re.sub(r"\W+", "-", request.node.name).strip("-")
    (SCREENSHOTS / f"{name}.png").write_bytes(page.screenshot())


def go(page: Browser, studio: Server, hash_: str) -> None:
    page.open("about:blank")
    page.open(studio.address + hash_)
    page.wait("document.querySelector('main h1')?.checkVisibility()")


def test_a_finding_follows_a_setting(page: Browser, studio: Server):
    go(page, studio, "#/learn?kind=learn-descent")
    page.wait_for(".verdict-of", "True")
    before = page.evaluate("document.querySelector('.verdict-of').textContent")
    page.evaluate("document.querySelector('#set-rate').focus()")
    page.press("End")
    page.wait("location.hash.includes('rate=')")
    page.wait(f"document.querySelector('.verdict-of').textContent !== {before!r}")


def test_a_network_is_trained_and_reads_a_drawing(page: Browser, studio: Server):
    go(page, studio, "#/train?preset=fast-dense&epochs=2&fraction=0.3")
    page.click("=Start")
    page.wait_for(".facts", "done")
    page.click("=Draw a digit")
    page.draw("canvas[aria-label^=Pad]", DIGIT_THREE)
    page.wait_for("[data-testid=answer]", "3")


def test_two_classes_are_taught(page: Browser, studio: Server, real_shelf: Path, tmp_path: Path):
    go(page, studio, f"#/teach?name=ground-{type(page).__name__.lower()}")
    for place, name in enumerate(("brick", "grass"), 1):
        photograph = open_picture(real_shelf / f"photographs/{name}.png")
        files = [tmp_path / f"{name}{number}.png" for number in range(6)]
        for number, file in enumerate(files):
            save_picture(photograph[:, :120, 60 * number : 60 * number + 120], file)
        page.click(f"[aria-label='Name of class {place}']")
        page.press(*name, "Enter")
        page.wait(f"!!document.querySelector('[aria-label^=\"Pictures of {name} from\"]')")
        page.upload(f"[aria-label^='Pictures of {name} from']", *files)
        page.wait_for(f"[aria-label='Pictures of {name}']", "6")
    page.click(".go .primary")
    page.wait_for(".facts", "is ready")
    page.upload("[aria-label='A picture to classify']", tmp_path / "brick0.png")
    page.wait_for("[aria-label='Predicted classes'] li", "brick")


def test_a_photograph_is_looked_into(page: Browser, studio: Server):
    picture = studio("POST", "/api/examples/chelsea.png", {})["id"]
    go(page, studio, f"#/look?network=efficientnet-lite0&in.picture={picture}")
    page.wait_for("[aria-label='Top classes']", "cat")


@pytest.mark.parametrize(
    "hash_",
    [
        "#/dream?size=144&octaves=2&steps=4",
        "#/style?kind=instant&size=144&built_in=3",
        "#/style?network=efficientnet-lite0&size=96&steps=2",
        "#/paint?width=64&height=64&steps=30",
        "#/paint?kind=random&width=64&height=64",
        "#/grow?training=2&side=32&detail=32&size=64&steps=2",
    ],
)
def test_a_picture_is_made_and_in_the_gallery(page: Browser, studio: Server, hash_: str):
    go(page, studio, hash_)
    page.click("=Start")
    page.wait_for(".facts", "done")
    page.wait("[...document.querySelectorAll('.stage img')].every((each) => each.naturalWidth > 0)")
    go(page, studio, "#/gallery")
    page.wait("document.querySelector('.tile img')?.naturalWidth > 0")


def test_no_room_is_wider_than_a_phone(page: Browser, studio: Server):
    page.resize(390, 844)  # WebKit's window cannot be as narrow
    for room in ROOMS:
        go(page, studio, f"#/{room}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), room
    page.resize(1280, 800)


def test_a_site_opened_from_disk_trains_a_network(page: Browser, tmp_path: Path):
    torch.manual_seed(0)
    write_site(tmp_path / "site", Contents(networks={"conv": conv().eval().requires_grad_(False)}))
    page.open((tmp_path / "site/index.html").as_uri())
    page.wait_for("h1", "Read as")
    test = mnist("test")
    digits = [test.images[(test.labels == digit).nonzero()[0, 0]].flatten().tolist() for digit in range(10)]
    ink = ".".join("".join(f"{round(level / 17):x}" for level in pixels) for pixels in digits)
    page.open(f"{(tmp_path / 'site/train.html').as_uri()}#digits={ink}")
    page.click(".go .primary")
    page.wait_for(".training .numbers", "100 %")
    page.click("=Stop")
    page.draw("section:last-of-type canvas[aria-label^=Pad]", DIGIT_THREE)
    page.wait_for(".read", "Read as")
