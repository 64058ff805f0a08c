"""What the tests share: the real shelf, and homes that are not the home of whoever runs them."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect, sync_playwright

from browsers import MISSING, find_chromium
from browsing import TIMEOUT_MS
from lanterna import settings, shelf
from lanterna.networks import cache_networks
from places import SCREENSHOTS
from served import Server
from trained import install_trained

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

expect.set_options(timeout=TIMEOUT_MS)

# What makes a test too slow to run before every commit: a browser, a studio, a kernel, a cluster, a training.
SLOW_FIXTURES = {"browser", "page", "studio", "kernel", "hosts", "trained"}


def pytest_xdist_auto_num_workers() -> int:
    """Run tests in one process more than there are cores: many wait for a browser, a worker or a kernel."""
    return min(4, 1 + (os.cpu_count() or 1))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as `slow` what uses one of these fixtures: `make quick` leaves it out."""
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.fixture(scope="session")
def real_shelf() -> Path:
    """The folder of the real shelf, all of it here: fetched the first time, kept for the next run."""
    shelf.fetch(shelf.ITEMS)
    return settings.shelf_folder().resolve()


@pytest.fixture(scope="session")
def session_home(real_shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One home for the whole run: the real shelf, and no networks but those that the tests train."""
    home = tmp_path_factory.mktemp("home")
    (home / "shelf").symlink_to(real_shelf, target_is_directory=True)
    return home


@pytest.fixture(autouse=True)
def home(session_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """LANTERNA_HOME for every test: `session_home`.

    No other LANTERNA_ setting of the person's is seen, but for the precision that the tests are run in.
    """
    for key in [key for key in os.environ if key.startswith("LANTERNA_") and key != "LANTERNA_PRECISION"]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("LANTERNA_HOME", str(session_home))
    return session_home


@pytest.fixture(scope="session")
def trained(session_home: Path) -> Path:
    """`session_home` with the networks `conv` and `dense` in it, trained once for all runs."""
    install_trained(session_home)
    return session_home


@pytest.fixture(scope="module")
def cached_networks() -> Iterator[None]:
    """A network that was opened stays open for the commands that follow, as in a worker of a render."""
    with cache_networks():
        yield


@pytest.fixture
def empty_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home for one test alone, with nothing in it: an empty shelf, no networks."""
    del home  # asked for so that this one is set after it
    alone = tmp_path / "empty-home"
    alone.mkdir()
    monkeypatch.setenv("LANTERNA_HOME", str(alone))
    return alone


@pytest.fixture
def private_home(real_shelf: Path, empty_home: Path) -> Path:
    """A home for one test alone, with the real shelf in it and no networks."""
    (empty_home / "shelf").symlink_to(real_shelf, target_is_directory=True)
    return empty_home


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium of this machine, without a window. WebGL is computed by the processor."""
    chromium = find_chromium()
    if chromium is None:
        pytest.fail(MISSING)
    # Only WebGL is left to the slow imitation of a graphics card: a page is composed three times as fast.
    arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    arguments += ["--disable-gpu-compositing"]
    arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a camera
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def studio(real_shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The studio of a whole run, with the real shelf. What other tests have made in it may be there."""
    home = tmp_path_factory.mktemp("studio")
    (home / "shelf").symlink_to(real_shelf, target_is_directory=True)
    served = Server(home)
    yield served
    served.close()


@pytest.fixture
def page(studio: Server, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in which `go` opens rooms of the studio. What it looked like at the end is kept."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme="dark", base_url=studio.address
    )
    context.set_default_timeout(TIMEOUT_MS)
    opened = context.new_page()
    wrong: list[str] = []
    opened.on("pageerror", lambda error: wrong.append(str(error)))
    opened.on(
        "console", lambda line: wrong.append(line.text) if "Content Security Policy" in line.text else None
    )
    yield opened
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:80]
    opened.screenshot(path=SCREENSHOTS / f"{name}.jpg", type="jpeg")  # a PNG takes ten times as long
    context.close()
    assert wrong == []
