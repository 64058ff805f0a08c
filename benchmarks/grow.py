"""Textures and shapes that grow: training, growing in torch, and the page in a browser.

    python benchmarks/grow.py [--quick] [--steps 40] [--size 512]

Printed are:

- seconds of a step of training, the median, and the process's peak memory, for each side of the planes; the
  number of the rule's own steps in each is random, and the same for all; and the same for a shape, a disc of
  40 cells, after as many steps as fill its planes;
- frames a second of the rule in torch: two steps of the rule, and the picture;
- frames a second of the page in headless Chromium, which computes WebGL2 on the processor (SwiftShader): two
  steps of the rule, shown, and one pixel read back so that they have been computed. A graphics card takes a
  small part of that.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from pathlib import Path

import bench
import torch
from playwright.sync_api import sync_playwright

from lanterna.devices import choose_device
from lanterna.lessons.photographs import photograph
from lanterna.networks import open_network
from lanterna.techniques.grow.algorithm import Learning, Training, example_of
from lanterna.techniques.grow.page import texture_page
from lanterna.techniques.grow.rule import Rule, colours, grown_picture, nothing
from lanterna.techniques.grow.shape import ShapeLearning, ShapeTraining, drawing_of

FRAMES = """([size, count]) => {
  const { texture } = document.getElementById("cells");
  texture.resize(size);
  const frame = () => {
    texture.step(2);
    texture.show();
    texture.gl.readPixels(0, 0, 1, 1, texture.gl.RGBA, texture.gl.UNSIGNED_BYTE, new Uint8Array(4));
  };
  frame();
  const begun = performance.now();
  for (let n = 0; n < count; n++) frame();
  return (1000 * count) / (performance.now() - begun);
}"""


def training(side, steps):
    """Return the median seconds of a step, and the peak memory in MB."""
    settings = Learning(side=side)
    example = example_of(photograph("gravel", 256), settings.detail)
    state = Training(example, settings, open_network("vgg19"), choose_device("cpu"))
    state.advance()
    seconds = [bench.timed(state.advance)[0] for _ in range(steps)]
    return {"seconds a step": round(statistics.median(seconds), 3), "peak MB": bench.peak_mb()}


def training_a_shape(steps):
    """Return the median seconds of a step of a grown shape, and the peak memory in MB."""
    settings = ShapeLearning()
    away = torch.arange(128) - 63.5
    disc = (away[:, None] ** 2 + away**2 > 50**2).float().expand(3, -1, -1)
    state = ShapeTraining(drawing_of(disc, settings.detail), settings)
    seconds = [bench.timed(state.advance)[0] for _ in range(4 * steps)]
    return {"seconds a step": round(statistics.median(seconds[-steps:]), 3), "peak MB": bench.peak_mb()}


def moving():
    """Return a rule that moves: its speed does not depend on its weights."""
    rule = Rule(3)
    rule.act.data = (torch.rand(rule.act.shape, generator=torch.Generator().manual_seed(0)) - 0.5) * 0.05
    return rule


def in_torch(size, count):
    """Return the frames a second of the rule in torch, and the peak memory in MB."""
    rule, cells = moving(), nothing(size, size)
    rule.advance(cells, 0, 0)
    begun = time.perf_counter()
    for number in range(2 * count):
        rule.advance(cells, number, 0)
        if number % 2:
            colours(cells)[0].clamp(0, 1)
    return {
        "frames a second": round(count / (time.perf_counter() - begun), 1),
        "peak MB": bench.peak_mb(),
    }


def in_page(size, count):
    """Return the frames a second of the page, and its size in kB."""
    rule = moving()
    html = texture_page([rule], ["texture"], grown_picture(rule, 64, 2))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = Path(folder) / "page.html"
        file.write_text(html, encoding="utf-8")
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium-headless-shell") or shutil.which("chromium"),
            args=["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"],
        )
        page = browser.new_page()
        page.add_init_script("requestAnimationFrame = () => 0")  # no other frames than those of the benchmark
        page.goto(file.as_uri())
        page.wait_for_selector("body.alive")
        rate = page.evaluate(FRAMES, [size, count])
        browser.close()
    return {"frames a second": round(rate, 2), "kB": round(len(html.encode()) / 1000)}


def main():
    """Measure and print."""
    options = bench.options(__doc__, sides=[64, 128], steps=(40, 8), size=512, frames=(20, 4))
    figures = {"threads": options.threads}

    def note(name, found):
        bench.say(f"{name}: {found}")
        figures[name] = found

    for side in options.sides:
        note(f"training, {side} × {side}", bench.apart(training, side, options.steps))
    note("training, a shape", bench.apart(training_a_shape, options.steps))
    note(f"in torch, {options.size} px", bench.apart(in_torch, options.size, options.frames))
    note(f"in the page, {options.size} px", in_page(options.size, options.frames))
    bench.show(figures)


if __name__ == "__main__":
    main()
