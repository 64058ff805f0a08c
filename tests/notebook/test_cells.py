"""Views in the cells of a notebook, in a browser, with a kernel behind them: drawing, watching, stopping."""

from __future__ import annotations

import re
import sys

import pytest

from browsing import DIGIT_THREE, draw_stroke, violations
from cells import Cells
from lanterna import LanternaError, MissingError, notebook, open_network
from lanterna.networks.digits import build
from lanterna.networks.plan import Plan
from lanterna.surfaces.notebook.views import Pad
from lanterna.surfaces.web.lesson_page import LOOK_LESSONS, WIDGETS
from lanterna.surfaces.web.page import asset
from places import SCREENSHOTS

BEGIN = """
import lanterna
from lanterna import notebook, shelf
from lanterna.images.digits import mnist
seven = mnist("test").images[0].float() / 255
recipe = lanterna.Train(network="dense", hidden=(32,), epochs=1, fraction=0.2)
"""

DRAWN = """(
    pad.digit, int(network(pad.image[None]).argmax()), max(pad.shares), tuple(pad.image.shape),
    pad.image.sum().item(),
    sum(float(ink) * (x + 0.5) for x, ink in enumerate(pad.image[0].sum(0))) / pad.image.sum().item(),
)"""

BIAS = 'piece.settings["bias"], *piece.settings["weights"]'


@pytest.fixture(scope="module")
def kernel(session_home):
    cells = Cells(session_home)
    cells.run(BEGIN)
    cells.run("for frame in lanterna.train(recipe): network = frame.network")
    yield cells
    cells.close()


@pytest.fixture(params=["dark", "light"])
def cells(kernel, browser, request):
    context = browser.new_context(viewport={"width": 1000, "height": 720}, color_scheme="dark")
    page = context.new_page()
    # The system is dark. What a notebook's own theme is, its colour says.
    kernel.show_in(page, *(("#111", "#ddd") if request.param == "dark" else ("#fff", "#222")))
    yield kernel
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower())
    page.screenshot(path=SCREENSHOTS / f"{name}.png")
    context.close()
    assert kernel.errors == []


@pytest.mark.parametrize("cells", ["light"], indirect=True)
def test_what_is_drawn_is_read_in_python(cells):
    cells.run("pad = notebook.pad(network); pad")
    read, canvas = cells.inside.locator(".read"), cells.inside.locator(".pad canvas")
    canvas.wait_for()
    draw_stroke(cells.page, canvas, DIGIT_THREE)
    cells.wait_until(lambda: "Read as" in read.text_content())
    cells.wait_until(cells.is_quiet)  # all of the stroke has come, and is answered
    digit, again, share, shape, mass, middle = eval(cells.value(DRAWN))
    assert digit == again
    cells.wait_until(lambda: f"Read as {digit}," in read.text_content())
    best = cells.inside.locator(".bars .best")
    assert best.locator("b").text_content() == str(digit)
    assert abs(float(best.locator("span").text_content().split()[0]) - 100 * share) < 1
    # The pad scaled and centred it as MNIST's are.
    assert shape == (1, 28, 28)
    assert mass > 30
    assert middle == pytest.approx(14, abs=0.7)
    cells.inside.get_by_role("button", name="Clear").click()
    cells.wait_until(lambda: read.text_content() == "Nothing drawn yet.")
    cells.wait_until(lambda: cells.value("pad.digit, pad.image") == "(None, None)")


def test_a_page_in_a_cell_has_the_notebooks_theme(cells, request):
    cells.run("notebook.pad(network)")
    body = cells.inside.locator("body")
    cells.inside.locator(".bars li").first.wait_for()
    colour = body.evaluate("body => getComputedStyle(body).backgroundColor")
    dark = "dark" in request.node.name
    assert (sum(map(int, re.findall(r"\d+", colour))) < 384) == dark
    heights = []

    def fits() -> bool:
        heights[:] = [cells.cell.locator("iframe").evaluate("frame => frame.clientHeight"),
                      body.evaluate("body => document.documentElement.scrollHeight")]  # fmt: skip
        return heights[0] == heights[1]

    cells.wait_until(fits)  # nothing in it has to be scrolled to


@pytest.mark.parametrize("cells", ["dark"], indirect=True)
def test_a_dream_is_watched_and_stopped(cells):
    cells.run('cat = lanterna.open_picture(shelf.need("photographs") / "chelsea.png", longest=160)')
    cells.run('dreamed = notebook.make("dream", cat, steps=200)\ndreamed')
    picture, count = cells.cell.locator("img"), cells.cell.locator(".count")

    def step() -> int:
        found = re.match(r"step ([\d,]+) of", count.text_content())
        return int(found[1].replace(",", "")) if found else 0

    cells.wait_until(lambda: step() > 0)
    first, address = step(), picture.get_attribute("src")
    cells.wait_until(lambda: step() > first and picture.get_attribute("src") != address)
    cells.wait_until(lambda: picture.evaluate("image => image.naturalWidth") > 0)
    assert violations(cells.page) == []
    cells.cell.get_by_role("button", name="Stop").click()
    cells.wait_until(lambda: cells.cell.locator(".said").text_content() == "stopped")
    last = int(cells.value("dreamed.frame.step"))
    assert first < last < 400
    cells.wait_until(lambda: step() == last)
    assert cells.cell.get_by_role("button", name="Stop").count() == 0  # there is nothing to stop
    assert cells.value("dreamed.picture.shape == cat.shape") == "True"  # however far it had come
    assert "image/png" in cells.run("dreamed")


@pytest.mark.parametrize("cells", ["light"], indirect=True)
def test_failed_work_shows_the_reason(cells):
    cells.run("""
def work():
    yield from lanterna.train(recipe)
    raise lanterna.LanternaError("the paper is used up")
failing = notebook.watch(work(), "Training")
failing""")
    cells.wait_until(lambda: cells.cell.locator(".said").text_content() == "the paper is used up")
    with pytest.raises(AssertionError, match="the paper is used up"):
        cells.value("failing.frame")


@pytest.mark.parametrize("cells", ["light"], indirect=True)
def test_a_digit_flows_through_the_network_in_a_cell(cells):
    shown = cells.run('notebook.look(network, seven, title="A seven")')
    assert "image/png" in shown  # for where nothing can be shown but a picture
    reading = cells.inside.locator("#reading")
    reading.filter(has_text="Read as 7").wait_for()
    assert cells.inside.locator("#flows canvas").count() > 0
    # It is live: another digit is chosen in the page, and the page computes.
    draw_stroke(cells.page, cells.inside.locator(".pad canvas").first, [(0.5, 0.15), (0.5, 0.85)])
    reading.filter(has_text="Read as").filter(has_not_text="Read as 7").wait_for()


@pytest.mark.parametrize("cells", ["dark"], indirect=True)
def test_what_is_set_by_hand_is_in_python_and_back(cells):
    cells.run('piece = notebook.play("neuron", weights=[2.0, 1.0], digits=50, runs=1); piece')
    bias = cells.inside.get_by_role("slider", name="Bias")
    bias.fill("-5")
    cells.wait_until(lambda: eval(cells.value(BIAS)) == (-5, 2, 1))
    assert (
        "and with the bias to -2.4" in cells.run('lanterna.lesson("neuron", **piece.settings)')["text/plain"]
    )
    cells.run('piece.settings = {"bias": 3.0}')
    cells.wait_until(lambda: float(bias.input_value()) == 3.0)
    assert eval(cells.value(BIAS)) == (3, 2, 1)


@pytest.mark.parametrize("cells", ["light"], indirect=True)
def test_every_piece_is_mounted_in_a_cell(cells):
    for name in WIDGETS:
        cells.run(f'notebook.play("{name}")')
        cells.inside.locator(".piece svg, .piece canvas").first.wait_for()


def test_pieces_are_those_of_the_studio():
    room = re.search(r"const FIGURES = {.*?};", asset("studio/lesson.js"), re.DOTALL)[0]
    theirs = dict(re.findall(r'(\w+): "(\w+)"', room))
    assert {**WIDGETS, **dict.fromkeys(LOOK_LESSONS, "inside")} == theirs


@pytest.mark.parametrize(
    "pixels", [None, "x" * 784, [None] * 784, [{}] * 784, [-1] * 784, [1e400] * 784, [5]]
)
def test_a_drawing_that_is_none_is_not_read(pixels):
    pad = Pad(build(Plan(network="dense", hidden=(8,))))
    pad.set_state({"from_page": {"pixels": [200] * 784, "number": 1}})
    assert pad.image.shape == (1, 28, 28)
    assert pad.to_page["number"] == 1
    pad.set_state({"from_page": {"pixels": pixels, "number": 2}})
    assert pad.image is None
    assert pad.to_page == {"number": 2, "shares": []}


@pytest.mark.slow
def test_what_cannot_be_shown_gets_a_line(monkeypatch):
    for call, message in (
        (lambda: notebook.play("nonsense"), "unknown lesson 'nonsense'"),
        (lambda: notebook.lesson("nonsense"), "unknown lesson 'nonsense'"),
        (lambda: notebook.lesson("curve", degrees=3), "has no setting 'degrees'"),
        (lambda: notebook.pad(open_network("efficientnet-lite0")), "expected a network that reads digits"),
        (lambda: notebook.make("paint", 3), "expected a file or a picture"),
        (lambda: notebook.make("dream", "no-such.png"), "no-such.png"),
        (lambda: notebook.make("dream", "no-such.png", steps=0), "steps"),
    ):
        with pytest.raises(LanternaError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)
    for name in [name for name in sys.modules if name.startswith("lanterna.surfaces.notebook.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(MissingError, match=r'pip install "lanterna\[notebook\]"'):
        _ = notebook.pad
