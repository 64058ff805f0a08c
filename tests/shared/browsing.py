"""Helpers for tests of the studio's pages: open rooms, draw, run a dream and check accessibility."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from PIL import Image
from playwright.sync_api import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

AXE = Path(__file__).parent.joinpath("vendor", "axe.min.js").read_text(encoding="utf-8")
TIMEOUT_MS = 180_000  # generous, for busy machines
SMALL = "size=144&octaves=2&steps=4"
ENDLESS = "size=320&octaves=1&steps=1000"  # a dream that runs until it is stopped
DIGIT_THREE = (
    (0.35, 0.25),
    (0.5, 0.2),
    (0.62, 0.3),
    (0.55, 0.42),
    (0.45, 0.48),
    (0.6, 0.55),
    (0.65, 0.7),
    (0.5, 0.8),
    (0.34, 0.74),
)

SHIFTS = """
  window.shifts = 0;
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) window.shifts += each.value;
  }).observe({ type: "layout-shift", buffered: true });
  Object.defineProperty(navigator, "language", { value: "C" });  // as WebKit's with LANG=C
"""
"""Adds up layout shifts in the page, as `shifts`."""


def go(page: Page, hash_: str) -> None:
    """Open a room with settings in a fresh page, relative to the context's `base_url`."""
    if page.url != "about:blank":
        page.goto("about:blank")  # otherwise only the hash would change
    page.goto(hash_)


def switch_room(page: Page, room: str) -> None:
    """Switch to another room in the open page, and wait until it is complete."""
    page.evaluate("room => { location.hash = `#/${room}`; }", room)
    expect(page).to_have_title(re.compile(f"^{room}", re.IGNORECASE))
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    wait_until_settled(page)


def wait_until_settled(page: Page) -> None:
    """Wait until nothing in the page changes, loads or is animated."""
    page.evaluate("""async () => {
        let changed = performance.now();
        const observer = new MutationObserver(() => { changed = performance.now(); });
        observer.observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
        const loading = () => [...document.images].some((each) => each.loading !== "lazy" && !each.complete);
        const animated = () => document.getAnimations().some((each) => each.playState === "running");
        const busy = () => document.querySelector("[aria-busy=true]") !== null;
        while (performance.now() < changed + 150 || loading() || animated() || busy())
            await new Promise((resolve) => setTimeout(resolve, 30));
        observer.disconnect();
    }""")


def settings_in(page: Page) -> dict[str, str]:
    """Return the settings in the page's address."""
    return {
        name: values[0] for name, values in parse_qs(urlsplit(page.url).fragment.partition("?")[2]).items()
    }


def draw_stroke(page: Page, canvas: Locator, points: Any) -> None:
    """Draw a stroke with the mouse; points are fractions of the canvas."""
    box = canvas.bounding_box()
    assert box is not None
    positions = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*positions[0])
    page.mouse.down()
    for position in positions[1:]:
        page.mouse.move(*position, steps=4)
    page.mouse.up()


def drop(page: Page, selector: str, count: int) -> bool:
    """Drop pictures on an element as a user does; return whether the page has taken them."""
    files = []
    for number in range(count):
        file = io.BytesIO()
        Image.new("RGB", (48, 32), (60 * number, 90, 200 - 60 * number)).save(file, "PNG")
        files.append([f"Cat {number}.png", list(file.getvalue())])
    taken: bool = page.locator(selector).evaluate(
        """(element, files) => {
          const data = new DataTransfer();
          for (const [name, bytes] of files)
            data.items.add(new File([new Uint8Array(bytes)], name, { type: "image/png" }));
          const send = (kind) => {
            const options = { dataTransfer: data, bubbles: true, cancelable: true };
            return !element.dispatchEvent(new DragEvent(kind, options));
          };
          return send("dragover") && send("drop");
        }""",
        files,
    )
    return taken


def stop_job(page: Page) -> None:
    """Stop the job on the page, and wait until it has ended."""
    page.locator(".panel").get_by_role("button", name="Stop").click()
    expect(page.locator(".facts")).to_contain_text("stopped")


def run_small_dream(page: Page, more: str = "") -> None:
    """Run a small dream on the example picture to its end."""
    go(page, f"#/dream?{SMALL}{more}")
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".facts")).to_contain_text("done")


def violations(page: Page) -> list[str]:
    """Return the accessibility violations that axe finds in the page."""
    session = page.context.new_cdp_session(page)
    if not page.evaluate("'axe' in window"):
        session.send("Runtime.evaluate", {"expression": AXE})
    found = session.send(
        "Runtime.evaluate",
        {
            "expression": "axe.run({resultTypes: ['violations']}).then(({violations}) =>"
            " violations.map(({id, nodes}) => id + ': ' +"
            " nodes.map(({target, failureSummary}) => target + ' ' + failureSummary).join('; ')))",
            "awaitPromise": True,
            "returnByValue": True,
        },
    )
    return found["result"]["value"]
