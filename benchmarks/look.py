"""How fast the look page is in a browser: frames a second while a pen moves, milliseconds of its own network.

`python benchmarks/look.py [--quick] [--network conv]`: Chromium without a window and without a graphics card
(WebGL is computed by the processor), so that frames are slower here than on a laptop. A frame is all of it: a
stroke on the pad, its normalisation, forward, backward, every map, every line, the words. The page computes
in the browser's own arithmetic.
"""

import shutil
import tempfile
from pathlib import Path

import bench
from playwright.sync_api import sync_playwright

from lanterna.images.digits import mnist
from lanterna.surfaces.web.look_page import look_page
from lanterna.techniques.train.technique import open_or_train

PEN = """async (frames) => {
  const canvas = document.querySelector(".pad canvas"), box = canvas.getBoundingClientRect();
  const send = (kind, i) => {
    const where = { pointerId: 1, buttons: 1, bubbles: true,
      clientX: box.left + box.width * (0.5 + 0.3 * Math.sin(i / 9)), clientY: box.top + box.height * (0.5 + 0.35 * Math.cos(i / 13)) };
    canvas.dispatchEvent(new PointerEvent(kind, { ...where, coalescedEvents: [new PointerEvent(kind, where)] }));
  };
  canvas.setPointerCapture = () => {};
  send("pointerdown", 0);
  const begun = performance.now();
  for (let i = 0; i < frames; i++) { send("pointermove", i); await new Promise(requestAnimationFrame); }
  return (performance.now() - begun) / frames;
}"""
WORK = """(frames) => {
  const times = [];
  for (let i = 0; i < frames; i++) {
    const begun = performance.now();
    lanterna.change({ digit: i % 100 });
    lanterna.render();
    times.push(performance.now() - begun);
  }
  return times.sort((a, b) => a - b)[frames >> 1];
}"""
RUN = """(runs) => {
  const { model } = lanterna.views[0], pixels = lanterna.pixelsOf(3);
  for (let i = 0; i < 20; i++) model.run(pixels, null, null);
  const begun = performance.now();
  for (let i = 0; i < runs; i++) model.run(pixels, null, null);
  return (performance.now() - begun) / runs;
}"""


def main() -> None:
    options = bench.options(__doc__, network="conv", frames=(120, 30), runs=(200, 50))
    name = options.network
    bench.say(f"opening {name}, which is trained where there is none")
    image = mnist("test").images[4].float() / 255
    html = look_page(open_or_train(name, device="cpu"), image, name=name, title="a digit")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        bench.say("frames while drawing")
        file = Path(folder) / "look.html"
        file.write_text(html, encoding="utf-8")
        arguments = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell") or shutil.which("chromium"),
            args=arguments,
        )
        page = browser.new_page(viewport={"width": 1280, "height": 800}, reduced_motion="reduce")
        page.goto(f"file://{file}")
        page.wait_for_timeout(500)
        frame = page.evaluate(PEN, options.frames)
        page.wait_for_timeout(600)
        bench.say("the network alone, and the script of a frame")
        figures = {
            "network": name,
            "page_mb": round(file.stat().st_size / 1e6, 2),
            "forward_and_backward_ms": round(page.evaluate(RUN, options.runs), 2),
            "script_of_a_frame_ms": round(page.evaluate(WORK, options.frames), 2),
            "frames_a_second_while_drawing": round(1000 / frame, 1),
        }
        browser.close()
    bench.show(figures)


if __name__ == "__main__":
    main()
