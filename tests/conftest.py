"""Shared fixtures: the real shelf, homes isolated from the user's own, a browser and a studio."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
import torch
from playwright.sync_api import expect, sync_playwright

from browsers import MISSING, find_chromium
from browsing import TIMEOUT_MS
from lanterna import settings, shelf
from lanterna.networks import cache_networks
from places import SCREENSHOTS
from served import Server
from trained import install_trained

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

expect.set_options(timeout=TIMEOUT_MS)

# Fixtures that make a test too slow for every commit: a browser, a studio, the site, a kernel, training.
SLOW_FIXTURES = {"browser", "page", "studio", "site", "kernel", "hosts", "trained"}

FAILED = pytest.StashKey[bool]()


def pytest_xdist_auto_num_workers() -> int:
    """Return one process more than there are cores: many tests wait for a browser, a worker or a kernel."""
    return min(4, 1 + (os.cpu_count() or 1))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that use a slow fixture as `slow`; `make quick` skips them."""
    for item in items:
        if SLOW_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("slow")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note whether a test failed, for its fixtures."""
    report = yield
    if report.when == "call":
        item.stash[FAILED] = report.failed
    return report


@pytest.fixture(scope="session")
def real_shelf() -> Path:
    """The folder of the complete real shelf: fetched the first time, then reused."""
    shelf.fetch(shelf.ITEMS)
    return settings.shelf_folder().resolve()


@pytest.fixture(scope="session")
def session_home(real_shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home for the session: the real shelf, and only networks that the tests train."""
    home = tmp_path_factory.mktemp("home")
    (home / "shelf").symlink_to(real_shelf, target_is_directory=True)
    return home


@pytest.fixture(autouse=True)
def home(session_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Set LANTERNA_HOME to `session_home` for every test.

    All other LANTERNA_ variables of the user are removed, except for the precision that the tests run in.
    """
    for key in [key for key in os.environ if key.startswith("LANTERNA_") and key != "LANTERNA_PRECISION"]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("LANTERNA_HOME", str(session_home))
    return session_home


@pytest.fixture(autouse=True)
def seeded_torch() -> None:
    """Seed torch for every test, so that weights chosen at random do not depend on the tests before it."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def trained(session_home: Path) -> Path:
    """`session_home` with the networks `conv` and `dense`, which are trained once and cached."""
    install_trained(session_home)
    return session_home


@pytest.fixture(scope="module")
def cached_networks() -> Iterator[None]:
    """Cache opened networks across commands, as in a worker of a render."""
    with cache_networks():
        yield


@pytest.fixture
def empty_home(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home for one test: an empty shelf, no networks."""
    del home  # requested only to be set before this one
    empty = tmp_path / "empty-home"
    empty.mkdir()
    monkeypatch.setenv("LANTERNA_HOME", str(empty))
    return empty


@pytest.fixture
def private_home(real_shelf: Path, empty_home: Path) -> Path:
    """A home for one test, with the real shelf and no networks."""
    (empty_home / "shelf").symlink_to(real_shelf, target_is_directory=True)
    return empty_home


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The installed Chromium, headless. WebGL is rendered by the CPU."""
    chromium = find_chromium()
    if chromium is None:
        pytest.fail(MISSING)
    # Use SwiftShader for WebGL only: without it, compositing a page is three times as fast.
    arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
    arguments += ["--disable-gpu-compositing"]
    arguments += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a camera
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=arguments)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def studio(real_shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A studio for the session, with the real shelf. It may contain pictures of other tests."""
    home = tmp_path_factory.mktemp("studio")
    (home / "shelf").symlink_to(real_shelf, target_is_directory=True)
    served = Server(home)
    yield served
    served.close()


# With a route instead, every request of a page would go through Playwright.
ONE_THUMBNAIL = """(() => {
  const { get, set } = Object.getOwnPropertyDescriptor(HTMLImageElement.prototype, "src");
  const thumbnail = (url) => (`${url}`.includes("/styled?") ? "/web/studio/presets/style.jpg" : url);
  const src = { get, set(url) { set.call(this, thumbnail(url)); } };
  Object.defineProperty(HTMLImageElement.prototype, "src", src);
})()"""


@pytest.fixture
def wall() -> None:
    """The style wall is painted: see `page`."""


@pytest.fixture
def page(studio: Server, browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page in which `go` opens rooms of the studio.

    A screenshot of its final state is saved if the test failed, or if the environment has SCREENSHOTS.

    The style wall shows one thumbnail in place of all, unless the test uses the fixture `wall`: to paint them
    takes ten seconds of a processor, at a priority below everything else.
    """
    context = browser.new_context(
        viewport={"width": 1280, "height": 800}, color_scheme="dark", base_url=studio.address
    )
    context.set_default_timeout(TIMEOUT_MS)
    if "wall" not in request.fixturenames:
        context.add_init_script(ONE_THUMBNAIL)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.on(
        "console", lambda line: errors.append(line.text) if "Content Security Policy" in line.text else None
    )
    yield opened
    if request.node.stash.get(FAILED, True) or "SCREENSHOTS" in os.environ:
        name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())[:80]
        opened.screenshot(path=SCREENSHOTS / f"{name}.jpg", type="jpeg")  # a PNG takes ten times as long
    context.close()
    assert errors == []
