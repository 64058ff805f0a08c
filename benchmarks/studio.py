"""The studio in figures: first paint, the size of its code, pen to answer, from Start to the picture, and how
it stands under load.

`python benchmarks/studio.py [--quick] [--seconds 120] [--clients 50] [--pages 500]`, all in float32. From
Start on, each technique runs with its defaults: the milliseconds until the page responds, until the first
preview and until the picture is done, the longest task of the page's thread, and how far the page's parts
moved; then once more with a processor that is six times slower for the page. Under
load, a dream is being made again and again while clients draw (a digit in five strokes' time, a glance after
each, then all of it and a look) and pages of a gallery of 300 pictures are asked for, thumbnails and all.
"""

import gzip
import io
import json
import random
import shutil
import statistics
import sys
import tempfile
import threading
import time
from http.client import HTTPConnection
from pathlib import Path

import bench
import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

from lanterna import shelf
from lanterna.images.digits import mnist
from lanterna.settings import networks_folder, shelf_folder
from lanterna.techniques.train.technique import open_or_train

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "tests" / "shared"))
from served import Server  # noqa: E402

STARTED = {
    "dream": "#/dream",
    "instant style": "#/style?kind=instant",
    "style": "#/style?size=320",
    "paint": "#/paint?seconds=10",
    "random": "#/paint?kind=random",
    "sheet of dreams": "#/dream?kind=dream-sheet",
}
WEB = ROOT / "src/lanterna/surfaces/web"
STROKES, BETWEEN, LOOK = 5, 0.2, 1.5  # of a person who draws: readings of a digit, seconds between, and after


def main() -> None:
    given = bench.options(
        __doc__,
        seconds=(120.0, 10.0),
        clients=(50, 10),
        pages=(500, 40),
        pictures=(300, 30),
        paints=(5, 2),
        started=(6, 1),
        slower=(6, 6),
    )
    bench.say("opening conv, which is trained where there is none")
    open_or_train("conv", device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "networks").symlink_to(networks_folder())
        (home / "shelf").symlink_to(shelf_folder())
        served = Server(home)
        try:
            code_size()
            bench.say("first paint, and pen to answer")
            in_the_browser(served, given.paints)
            bench.say("from Start to the picture")
            from_start(served, [*STARTED][: given.started], given.slower)
            bench.say(f"a gallery of {given.pictures} pictures")
            fill(served, given.pictures)
            bench.say(f"{given.clients} clients for {given.seconds:.0f} s while dreams are made")
            under_load(served, given.seconds, given.clients, given.pages)
        finally:
            served.close()


def code_size() -> None:
    own = [
        each
        for each in WEB.rglob("*")
        if each.suffix in (".js", ".css", ".html") and "vendor" not in each.parts
    ]
    vendor = [each for each in (WEB / "vendor").rglob("*") if each.suffix in (".js", ".css")]
    studio = [each for each in own if "studio" in each.relative_to(WEB).parts]
    for name, found in (
        ("the studio's own modules", studio),
        ("with all that it shares with other pages", own),
        ("vendored", vendor),
    ):
        print(f"{name}: {sum(len(gzip.compress(each.read_bytes())) for each in found) / 1e3:.0f} kB gzipped")


def in_the_browser(served: Server, paints_wanted: int) -> None:
    """First paint, and the time from the pen to the bars as the page itself measures it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell") or shutil.which("chromium"),
            args=["--no-sandbox"],
        )
        paints = []
        for _ in range(paints_wanted):
            page = browser.new_page()
            page.goto(served.address)
            page.wait_for_selector("main h1")
            paints.append(
                page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
            )
            page.close()
        print(
            f"first paint: {statistics.median(paints):.0f} ms (of {len(paints)}, {min(paints):.0f} to {max(paints):.0f})"
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(served.address)
        page.goto(served.base + "/#/read")
        page.wait_for_selector(".pad canvas")
        times = page.evaluate(PEN)
        print(
            f"pen to bars: {statistics.median(times):.0f} ms, p95 {np.percentile(times, 95):.0f} ms (of {len(times)})"
        )
        browser.close()


# A stroke moves on; the bars have changed at the next frame in which their answer is another.
PEN = """async () => {
  const canvas = document.querySelector(".pad canvas"), box = canvas.getBoundingClientRect(), times = [];
  canvas.setPointerCapture = () => {};
  const send = (kind, x, y) => {
    const where = { pointerId: 1, buttons: 1, bubbles: true, pressure: 0.5, clientX: box.left + box.width * x, clientY: box.top + box.height * y };
    canvas.dispatchEvent(new PointerEvent(kind, { ...where, coalescedEvents: [new PointerEvent(kind, where)] }));
  };
  const bars = () => document.querySelector(".chances").innerHTML;
  send("pointerdown", 0.5, 0.2);
  for (let i = 1; i < 60; i++) {
    const before = bars(), begun = performance.now();
    send("pointermove", 0.5 + 0.25 * Math.sin(i / 6), 0.2 + i / 100);
    while (bars() === before && performance.now() - begun < 1000) await new Promise(requestAnimationFrame);
    if (performance.now() - begun < 1000) times.push(performance.now() - begun);
    await new Promise((later) => setTimeout(later, 30));
  }
  return times.slice(5);
}"""


WATCH = """() => {
  window.seen = { begun: performance.now(), task: 0, shifts: 0 };
  const since = () => Math.round(performance.now() - seen.begun);
  const shown = () => [...document.querySelectorAll(".well img.picture, .well canvas")].map((e) => e.src).join();
  const before = shown(), facts = () => document.querySelector(".facts")?.textContent ?? "", first = facts();
  new MutationObserver(() => {
    if (!seen.response && facts() !== first) seen.response = since();
    if (!seen.preview && shown() !== before) seen.preview = since();
    if (!seen.done && facts().includes("done")) seen.done = since();
  }).observe(document, { subtree: true, childList: true, attributes: true, characterData: true });
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) seen.task = Math.max(seen.task, Math.round(each.duration));
  }).observe({ type: "longtask" });
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) if (!each.hadRecentInput) seen.shifts += each.value;
  }).observe({ type: "layout-shift" });
}"""


DONE = """async () => {
  while (!seen.done) await new Promise((later) => setTimeout(later, 100));
  return seen;
}"""


def from_start(served: Server, names: list[str], slower: int) -> None:
    """What is seen after Start is clicked, with the page's own clock."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell") or shutil.which("chromium"),
            args=["--no-sandbox"],
        )
        for rate in (1, slower):
            for name in names:
                page = browser.new_page(viewport={"width": 1280, "height": 800})
                page.goto(served.address)
                page.goto("about:blank")
                page.goto(served.base + "/" + STARTED[name])
                page.wait_for_selector(".go .primary:enabled")
                page.wait_for_timeout(3000)  # until the room is complete
                page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": rate})
                page.evaluate(WATCH)
                page.click(".go .primary")
                page.set_default_timeout(600_000)
                seen = page.evaluate(DONE)
                slow = f", the page {rate} times slower" if rate > 1 else ""
                print(
                    f"{name}{slow}: response after {seen.get('response')} ms, first preview {seen.get('preview')},"
                    f" done {seen['done']}; longest task {seen['task']} ms, layout shift {seen['shifts']:.3f}"
                )
                page.close()
        browser.close()


def fill(served: Server, count: int) -> None:
    """A gallery of pictures."""
    begun = time.monotonic()
    jobs = [
        served.start("random", settings={"width": 96, "height": 96, "seed": seed}) for seed in range(count)
    ]
    for job in jobs:
        served.wait(job)
    print(
        f"{count} random pictures through the queue: {(time.monotonic() - begun) / count * 1000:.0f} ms each"
    )


class Client:
    """A connection that stays, and what came of it."""

    def __init__(self, served: Server) -> None:
        self.connection = HTTPConnection("127.0.0.1", served.port, timeout=30)
        self.headers = {"Authorization": f"Bearer {served.token}", "Content-Type": "image/png"}
        self.times: list[float] = []
        self.errors: list[str] = []

    def ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        begun = time.perf_counter()
        try:
            self.connection.request(method, path, body, self.headers)
            answer = self.connection.getresponse()
            content = answer.read()
            if answer.status != 200:
                self.errors.append(f"{answer.status} {content[:80]!r}")
        except OSError as error:
            self.connection.close()
            self.errors.append(repr(error))
            return b"[]"
        self.times.append(time.perf_counter() - begun)
        return content


def drawings(count: int) -> list[list[bytes]]:
    """Digits as they are drawn: what is on the pad after each stroke, as PNG."""
    images = mnist("test").images[:count]
    found = []
    for image in images:
        picture = np.zeros((80, 80), np.uint8)
        picture[12:68, 12:68] = np.asarray(Image.fromarray(image.view(28, 28).numpy()).resize((56, 56)))
        layers = []
        for stroke in range(1, STROKES + 1):
            so_far = picture.copy()
            so_far[12 + 56 * stroke // STROKES :] = 0
            file = io.BytesIO()
            Image.fromarray(so_far).save(file, "PNG", compress_level=1)
            layers.append(file.getvalue())
        found.append(layers)
    return found


def under_load(served: Server, seconds: float, clients: int, pages: int) -> None:
    cat = served.send(shelf.need("photographs") / "chelsea.png")["id"]
    end = time.monotonic() + seconds
    digits, readers, gallery = drawings(200), [Client(served) for _ in range(clients)], Client(served)
    memory = [resident(served)]
    dreams = 0

    def draw(client: Client, seed: int) -> None:
        chance = random.Random(seed)
        time.sleep(chance.uniform(0, LOOK))
        while time.monotonic() < end:
            for drawing in digits[chance.randrange(len(digits))]:
                client.ask("POST", "/api/read?surface=pad&cut=0", drawing)
                time.sleep(BETWEEN)
            client.ask("POST", "/api/read?surface=pad&why=1", drawing)  # as the page does when the pen rests
            time.sleep(LOOK)

    def turn_pages() -> None:
        begun, last = time.monotonic(), ""
        for page in range(pages):
            time.sleep(max(0.0, begun + page * seconds / pages - time.monotonic()))
            found = json.loads(gallery.ask("GET", f"/api/gallery?limit=60{last}"))
            last = f"&before={found[-1]['id']}" if len(found) == 60 else ""
            for picture in found[:4]:
                gallery.ask("GET", f"/api/pictures/{picture['id']}/thumbnail")

    threads = [threading.Thread(target=draw, args=(each, seed)) for seed, each in enumerate(readers)]
    threads.append(threading.Thread(target=turn_pages))
    for each in threads:
        each.start()
    while time.monotonic() < end:
        served.wait(served.start("dream", settings={"size": 384, "seed": dreams}, inputs=[("picture", cat)]))
        dreams += 1
        memory.append(resident(served))
    for each in threads:
        each.join()
    times = [each * 1000 for reader in readers for each in reader.times]
    errors = [error for client in (*readers, gallery) for error in client.errors]
    print(
        f"{clients} clients for {seconds:.0f} s while {dreams} dreams were made: {len(times)} readings, {len(errors)} errors"
    )
    print(
        f"a reading: {statistics.median(times):.0f} ms, p95 {np.percentile(times, 95):.0f} ms, p99 {np.percentile(times, 99):.0f} ms"
    )
    turned = [each * 1000 for each in gallery.times]
    print(f"{pages} pages of the gallery with thumbnails: p95 {np.percentile(turned, 95):.0f} ms a request")
    print(
        f"memory of the server: {memory[0]:.0f} MB before, {max(memory):.0f} at most, {memory[-1]:.0f} after"
    )
    for error in errors[:5]:
        print(error)


def resident(served: Server) -> float:
    """Megabytes that the server holds; the worker is apart."""
    pages = Path(f"/proc/{served.process.pid}/statm").read_text().split()[1]
    return int(pages) * 4096 / 1e6


if __name__ == "__main__":
    main()
