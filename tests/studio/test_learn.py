"""The room Learn as a student uses it: lessons that follow their controls, and hands-on pieces whose
arithmetic agrees with Python's and torch's."""

from __future__ import annotations

import math
import re
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from playwright.sync_api import expect

from browsing import draw_stroke, go, settings_in, violations, wait_until_settled
from lanterna.errors import UsageError
from lanterna.lessons import LESSONS, cells, descent
from lanterna.lessons.circuits import random_circuit
from lanterna.lessons.exercises import EXERCISES
from lanterna.lessons.measured import measured
from lanterna.lessons.scalars import circuit
from lanterna.surfaces.studio.interactive import time_limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page

    from served import Server

PIECES = {name for name, lesson in LESSONS.items() if lesson.seen}


@pytest.fixture(scope="module")
def modules(studio: Server, browser: Browser) -> Iterator[Page]:
    """A page of the studio, to compute with its modules."""
    page = browser.new_page(base_url=studio.address)
    go(page, "#/learn")
    yield page
    page.close()


def open_lesson(page: Page, name: str, query: str = "") -> None:
    go(page, f"#/learn?kind=learn-{name}{query}")
    expect(page.get_by_role("heading", level=1, name=LESSONS[name].question)).to_be_visible()


def hands_on(page: Page) -> Any:
    return page.get_by_role("region", name="Hands on")


def computed(page: Page, module: str, code: str, *args: Any) -> Any:
    """Evaluate JavaScript in the page, in which `m` is one of its modules and `g` the arguments."""
    return page.evaluate(f"async ([path, g]) => {{ const m = await import(path); return {code}; }}",
                         [f"/web/{module}", args])  # fmt: skip


def finding(name: str, **settings: Any) -> str:
    lesson = LESSONS[name]
    return lesson.experiment(lesson.settings.checked(settings)).finding.words


def test_lessons_are_listed_in_order_and_linked(page: Page):
    go(page, "#/learn")
    links = page.locator(".contents li a")
    expect(links).to_have_count(len(LESSONS))
    for index, lesson in enumerate(LESSONS.values()):
        lines = links.nth(index).inner_text().split("\n")
        assert [line for line in lines if line] == [str(index + 1), lesson.title, lesson.question]
    first, second = list(LESSONS.values())[:2]
    links.first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=first.question)).to_be_visible()
    expect(page.locator(".claim")).to_have_text(first.claim)
    expect(page.get_by_text(first.source)).to_be_visible()
    page.get_by_role("navigation", name="Lessons", exact=True).get_by_role("link", name="Next").click()
    expect(page.get_by_role("heading", level=1, name=second.question)).to_be_visible()
    page.get_by_role("link", name="All lessons").first.click()
    expect(links).to_have_count(len(LESSONS))


def test_a_finding_follows_a_control_and_returns_with_the_link(page: Page):
    open_lesson(page, "descent")
    shown_finding = page.locator(".verdict-of")
    expect(shown_finding).to_contain_text(finding("descent"))
    chart = LESSONS["descent"].experiment(descent.Descent()).charts[-1]
    shown = page.get_by_role("img", name=re.compile("^" + re.escape(chart.title)))
    expect(shown).to_be_visible()
    rate = page.locator("#set-rate")
    rate.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.wait_for_url(re.compile("rate="))
    changed = float(settings_in(page)["rate"])
    assert changed > 0.1
    expect(shown_finding).to_contain_text(finding("descent", rate=changed))
    page.reload()
    expect(shown_finding).to_contain_text(finding("descent", rate=changed))
    # Arrow keys read out the chart, and there is a table of it.
    shown.focus()
    page.keyboard.press("ArrowLeft")
    readout = page.locator(".charts .readout").last
    expect(readout).to_contain_text(re.compile(f"^{chart.across} .*{re.escape(chart.lines[-1].name)} "))
    page.locator(".charts summary").last.click()
    expect(page.get_by_role("columnheader", name=chart.up).last).to_be_visible()


def test_invalid_settings_are_reported_and_the_charts_stay(page: Page):
    open_lesson(page, "circuits", "&others=5&numbers=-1,2,3,-2,1")
    expect(page.locator(".verdict-of")).to_contain_text("True:")
    field = page.locator("#set-expression")
    field.fill("a *")
    field.press("Enter")
    expect(page.locator(".finding .wrong")).to_contain_text(
        "expected an expression like (a * b + c) * d, got 'a *'"
    )
    expect(page.locator(".charts")).to_have_attribute("data-stale", "true")
    expect(hands_on(page).get_by_role("alert")).to_contain_text("Expected an expression like")
    field.fill("a * b + c")
    field.press("Enter")
    expect(page.locator(".finding .wrong")).to_be_empty()
    expect(page.locator(".verdict-of")).to_contain_text("The output is 1.")
    expect(page.get_by_role("region", name="Measurements").get_by_role("row")).to_have_count(6)


def test_the_api_answers_errors_in_one_line(studio: Server):
    quick = {each["name"]: each["quick"] for each in studio("GET", "/api/lessons")}
    assert list(quick) == list(LESSONS)
    for name, body, status, words in (
        ("descent", {"rate": 0}, 422, "rate: expected more than 0, got 0"),
        ("descent", {"rat": 1}, 422, "has no setting 'rat'"),
        ("neuron", {}, 422, "start it as a job of the kind learn-neuron"),
        ("nothing", {}, 404, "there is no lesson 'nothing'"),
        ("gates", None, 404, "nothing was measured in advance for 'gates': run its experiment"),
        ("nothing", None, 404, "nothing was measured in advance for 'nothing'"),
    ):
        method = "GET" if body is None else "POST"
        answered, line = studio.error(method, f"/api/lessons/{name}", body)
        assert (answered, words in line, "\n" in line) == (status, True, False), line


def test_an_experiment_that_takes_too_long_is_stopped():
    with pytest.raises(UsageError, match="choose smaller numbers"), time_limit(0.05):
        sum(1 for _ in iter(int, 1))  # endless
    with time_limit(0.5):
        pass
    time.sleep(0.7)  # what finished in time is not interrupted


def test_a_lesson_goes_from_the_question_to_the_code(page: Page):
    lesson = LESSONS["neuron"]
    open_lesson(page, "neuron")
    shown = page.locator("article.lesson")
    expect(shown.locator(".experiment").first).to_contain_text("Measured in advance")
    places = shown.evaluate("""(article, texts) => {
        const all = [...article.querySelectorAll("*")];
        const place = (found) => all.findIndex(found);
        const says = (text) => place((e) => e.childElementCount === 0 && e.textContent.includes(text));
        const is = (selector) => place((e) => e.matches(selector));
        return [...texts.slice(0, 4).map(says), is(".hands"), ...texts.slice(4, 6).map(says),
                is(".verdict-of"), is("figure.chart"), is(".again"), is(".exercises"), says(texts[6])];
    }""", [lesson.question, lesson.quote.line, lesson.paragraphs[0], lesson.paragraphs[-1],
           " ".join(lesson.seen.split()), lesson.claim, lesson.source])  # fmt: skip
    assert -1 not in places
    assert places == sorted(places)
    expect(shown.get_by_role("link", name=lesson.quote.author)).to_have_attribute("href", lesson.quote.url)


def test_lines_of_text_have_at_most_70_characters(page: Page):
    page.set_viewport_size({"width": 1280, "height": 900})
    open_lesson(page, "squash")
    expect(page.locator(".experiment").first).to_contain_text("Measured in advance")
    for text in page.locator(".explained p, .quote blockquote, .claim, .verdict-of").all():
        longest = text.evaluate("""(element) => {
            const counts = {};
            const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
            const range = document.createRange();
            for (let node = walker.nextNode(); node; node = walker.nextNode())
                for (let at = 0; at < node.length; at += 1) {
                    range.setStart(node, at);
                    range.setEnd(node, at + 1);
                    const box = range.getBoundingClientRect();
                    const line = Math.round(box.bottom / 12);
                    if (box.width) counts[line] = (counts[line] ?? 0) + 1;
                }
            return Math.max(0, ...Object.values(counts));
        }""")
        assert longest <= 70, text.inner_text()


@pytest.mark.parametrize("name", [name for name, lesson in LESSONS.items() if not lesson.quick])
def test_no_slow_lesson_opens_blank(page: Page, name: str):
    found = measured(LESSONS[name])
    assert found is not None
    open_lesson(page, name)
    shown = page.get_by_role("region", name="The experiment")
    expect(shown.locator(".verdict-of")).to_contain_text(found.outcome.finding.words)
    expect(shown).to_contain_text(f"with the default settings; it took {found.took}")
    for chart in found.outcome.charts:
        expect(shown.get_by_role("img", name=re.compile("^" + re.escape(chart.title))).first).to_be_visible()
    if found.outcome.rows:
        rows = shown.get_by_role("region", name="Measurements").get_by_role("row")
        expect(rows).to_have_count(len(found.outcome.rows))


def test_a_slow_lesson_is_a_job_whose_picture_stays(page: Page, studio: Server):
    open_lesson(page, "neuron", "&digits=50&runs=1")
    own = page.get_by_role("region", name="Change it yourself")
    expect(own).to_contain_text("Your own measurement will appear here.")
    # The hands-on piece responds immediately, and changes the experiment's settings.
    page.get_by_label("Bias", exact=True).first.focus()
    page.keyboard.press("Home")
    expect(hands_on(page).locator(".status")).to_have_text(
        "+3.00 +0.60 −1.20 −10.00 = −7.6. More speaks against it than for it."
    )
    expect(hands_on(page).get_by_text("output 0, slope 0", exact=True)).to_have_count(2)  # sigmoid and ReLU
    page.wait_for_url(re.compile("bias=-10"))
    own.get_by_role("button", name="Measure").click()
    shown = page.get_by_role("img", name=re.compile("A neuron: the result. True: .* with the bias to -7.6"))
    expect(shown).to_be_visible()
    expect(own.locator(".verdict-of")).to_contain_text("Lower all their biases by 10")
    assert studio("GET", f"/api/jobs/{settings_in(page)['job']}")["settings"]["bias"] == -10
    expect(own.locator(".finding dl")).to_contain_text("on, as trained")
    open_lesson(page, "neuron")  # the result is still there, with its settings
    expect(shown).to_be_visible()
    expect(page.get_by_text("run with bias -10, digits 50, runs 1")).to_be_visible()


@pytest.mark.parametrize(
    ("saved", "verdict"),
    [
        ("True: It is so.", "holds"),
        ("Partly true: It is so.", "holds only when"),
        ("Not true: It is so.", "does not hold"),
        ("Holds. It is so.", "holds"),  # as 0.1.0 saved it
        ("Holds only when. It is so.", "holds only when"),
        ("Does not hold. It is so.", "does not hold"),
    ],
)
def test_saved_findings_are_parsed(modules: Page, saved: str, verdict: str) -> None:
    found = computed(modules, "studio/lesson.js", "m.parseFinding(g[0])", saved)
    assert found == {"verdict": verdict, "words": "It is so."}


def test_the_page_s_autograd_agrees_with_python(modules: Page):
    circuits = [random_circuit(seed) for seed in range(40)]
    circuits += [(text, {"a": 1.7, "b": -0.6}) for text in ("a / b - a ** 3", "-exp(b) * log(a) ** -2 / 3")]
    for expression, numbers in circuits:
        ours = circuit(expression, numbers)
        ours.backward()
        grads = {value.name: value.grad for value in ours.nodes() if value.name in numbers}
        output, found, gap = computed(modules, "lessons/scalars.js", """(() => {
            const values = m.build(g[0]);
            const output = m.forward(values, g[1]);
            m.backward(values);
            const smooth = values.filter((v) => v.operation !== 'relu' || v.inputs[0].data);
            const size = (v, i) => 1 + Math.abs(v.localGrads[i]);
            const gap = (v, i) => Math.abs(v.localGrads[i] - m.nudged(v, i)) / size(v, i);
            const gaps = smooth.flatMap((v) => v.inputs.map((_, i) => gap(v, i)));
            const inputs = values.filter((v) => !v.operation).map((v) => [v.name, v.grad]);
            return [output, Object.fromEntries(inputs), Math.max(0, ...gaps)];
        })()""", expression, list(numbers.values()))  # fmt: skip
        assert output == pytest.approx(ours.data, rel=1e-9, abs=1e-12)
        for name, grad in grads.items():
            assert found[name] == pytest.approx(grad, rel=1e-9, abs=1e-12), (expression, name)
        assert gap < 1e-6, expression


def test_a_circuit_is_stepped_through_and_a_value_dragged(page: Page):
    open_lesson(page, "circuits", "&others=0&expression=a%20*%20b%20%2B%20c&numbers=2,-3,10")
    hand = hands_on(page)
    status, board = hand.locator(".status"), hand.get_by_role("group", name="The circuit")
    hand.get_by_role("button", name="To the start").click()
    assert board.locator(".gradient").all_text_contents() == [""] * 5
    lines = []
    for _ in range(5):
        hand.get_by_role("button", name="Step forward").click()
        lines.append(status.inner_text())
    assert lines == [
        "Forward: × of 2 and −3 is −6.", "Forward: + of −6 and 10 is 4.",
        "The output’s gradient with respect to itself is 1. Step on, and gradients flow back.",
        "Back: + receives 1 and sends 1 to the × before, 1 to c.",
        "Back: × receives 1 and sends −3 to a, 2 to b.",
    ]  # fmt: skip
    hand.get_by_role("button", name="Step back").click()
    assert sorted(board.locator(".gradient").all_text_contents()) == ["", "", "1", "1", "1"]
    hand.get_by_role("button", name="To the end").click()
    knob = hand.get_by_role("slider", name="Value of a")
    box = knob.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 70, box["y"] + 20, steps=3)
    page.mouse.up()
    page.wait_for_url(re.compile("numbers=4"))
    expect(knob).to_have_attribute("aria-valuenow", "4")
    expect(page.locator(".verdict-of")).to_contain_text("The output is -2.")
    knob.focus()
    page.keyboard.press("ArrowLeft")
    expect(knob).to_have_attribute("aria-valuenow", "3.9")
    expect(knob).to_be_focused()
    field = hand.get_by_role("textbox", name="Expression of the circuit")
    field.fill("log(a - a)")
    expect(hand.get_by_role("alert")).to_contain_text("is undefined at these numbers")
    field.fill("tanh(d)")  # a new input starts at 1
    expect(hand.get_by_role("slider", name="Value of d")).to_have_attribute("aria-valuenow", "1")
    expect(page.locator(".verdict-of")).to_contain_text("The output is 0.7616.")


def test_the_page_s_network_learns_as_torch_does(modules: Page):
    for activation in ("relu", "tanh", "sigmoid", "none"):
        learns_as_torch_does(modules, activation)


def learns_as_torch_does(page: Page, activation: str) -> None:
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(12, 2, generator=generator, dtype=torch.float64)
    classes = torch.arange(12) % 2
    apply = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid, "none": lambda x: x}[
        activation
    ]
    found = computed(page, "lessons/net.js", """(() => {
        let state = 1;
        const net = m.network([2, 5, 1], g[0], () => (state = (state * 16807) % 2147483647) / 2147483647);
        const plain = (layers) => layers.map(({ weights, biases }) => [[...weights], [...biases]]);
        const initial = plain(net.layers);
        const { loss, layers } = m.gradient(net, g[1], g[2]);
        const step = m.makeOptimiser(net, 0.03);
        for (let n = 0; n < 3; n += 1) step(g[1], g[2]);
        return [initial, loss, plain(layers), plain(net.layers)];
    })()""", activation, points.tolist(), classes.tolist())  # fmt: skip
    initial, first_loss, gradients, learned = found
    parameters = []
    for (weights, biases), shape in zip(initial, ((5, 2), (1, 5)), strict=True):
        parameters += [torch.tensor(weights, dtype=torch.float64).view(shape).requires_grad_(),
                       torch.tensor(biases, dtype=torch.float64).requires_grad_()]  # fmt: skip
    optimiser = torch.optim.Adam(parameters, 0.03)
    for step in range(3):
        w1, b1, w2, b2 = parameters
        logits = (apply(points @ w1.T + b1) @ w2.T + b2)[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, classes.double())
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            assert first_loss == pytest.approx(loss.item(), rel=1e-12)
            for parameter, flat in zip(
                parameters, [each for layer in gradients for each in layer], strict=True
            ):
                np.testing.assert_allclose(parameter.grad.flatten(), flat, rtol=1e-9, atol=1e-14)
        optimiser.step()
    for parameter, flat in zip(parameters, [each for layer in learned for each in layer], strict=True):
        np.testing.assert_allclose(parameter.detach().flatten(), flat, rtol=1e-9)


def test_two_layers_learn_the_rings_and_one_does_not(page: Page):
    open_lesson(page, "layers", "&hidden=8&points=rings&activation=relu")
    hand = hands_on(page)
    one, two = (hand.locator("dl").nth(place) for place in (0, 1))
    expect(one).to_contain_text(re.compile(r"connections\s*2\s*parameters\s*3"))
    expect(two).to_contain_text(re.compile(r"connections\s*24\s*parameters\s*33"))
    assert hand.locator(".graph line").count() == 26
    hand.get_by_role("button", name="Train").click()
    expect(two).to_contain_text(re.compile(r"accuracy\s*(9[5-9]|100)[. ]"))
    hand.get_by_role("button", name="Pause").click()
    share = re.search(r"accuracy\s*([\d.]+)", one.inner_text())
    assert share is not None
    assert float(share[1]) < 80
    # The student's own points, by pointer and by key.
    hand.get_by_role("button", name="Remove all points").click()
    plane = hand.get_by_role("application", name=re.compile("^One layer: 0 points"))
    plane.click(position={"x": 40, "y": 40})
    hand.get_by_role("radio", name="blue").check()
    plane = hand.get_by_role("application", name=re.compile("^One layer: 1 points"))
    plane.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(hand.get_by_role("application", name=re.compile("^Two layers: 2 points"))).to_be_visible()
    hand.get_by_role("button", name="One step").click()
    expect(hand.get_by_text("1 step")).to_be_visible()


def test_the_page_s_descent_agrees_with_the_lesson(modules: Page):
    cases = [(name, start, rate) for name in ("plain", "momentum", "adam") for start in (6.0, -3.3)
             for rate in (0.003, 0.1, 1.5, 9.0)]  # fmt: skip
    found = computed(modules, "lessons/descent.js",
                     "g[0].map(([name, at, rate]) => m.descend([at], rate, 60, name, m.derivative))"
                     ".map((path) => path.map(([x]) => x))",
                     cases)  # fmt: skip
    for (name, start, rate), ours in zip(cases, found, strict=True):
        theirs = descent.run(start, rate, 60, name)
        assert len(ours) == len(theirs)
        # A run that jumps around doubles rounding errors at each step: only its first steps can agree.
        few = 61 if rate < 1 else 8
        np.testing.assert_allclose(ours[:few], theirs[:few], rtol=1e-6)
    # The gradient of two parameters, compared with nudges.
    for x, y in ((0.3, -1.2), (-4.0, 2.0)):
        gradient, costs = computed(modules, "lessons/descent.js",
                                "[m.gradient2(...g), [[1, 0], [-1, 0], [0, 1], [0, -1]]"
                                ".map(([a, b]) => m.cost2(g[0] + a / 1e5, g[1] + b / 1e5))]",
                                x, y)  # fmt: skip
        assert gradient == pytest.approx(
            [(costs[0] - costs[1]) / 2e-5, (costs[2] - costs[3]) / 2e-5], abs=1e-6
        )


def test_a_ball_is_released_anywhere(page: Page):
    open_lesson(page, "descent", "&start=6&rate=0.1&steps=80")
    hand = hands_on(page)
    hill = hand.get_by_role("img", name=re.compile("^The hill, Plain, from 6: at rest"))
    box = hill.bounding_box()
    assert box is not None
    hill.click(position={"x": box["width"] / 2 + 13, "y": box["height"] / 2})
    page.wait_for_url(re.compile(r"start=-?0"))
    start = float(settings_in(page)["start"])
    assert abs(start) < 1
    end = descent.cost(descent.run(start, 0.1, 80)[-1])
    expect(hand.get_by_role("status").first).to_have_text(f"at rest, cost {end:.2f}".replace("-", "−"))
    expect(page.locator("#set-start")).to_have_attribute("aria-valuetext", str(settings_in(page)["start"]))
    hand.get_by_role("slider", name="Learning rate").focus()
    page.keyboard.press("End")
    expect(hand.get_by_role("status").first).not_to_contain_text("at rest")
    hand.get_by_role("button", name="One step").click()
    expect(hand.get_by_text("after 0 of 80 steps")).to_be_visible()
    hand.get_by_role("button", name="Play").click()
    expect(hand.get_by_text("after 80 of 80 steps")).to_be_visible()
    top = hand.get_by_role("application")
    outcomes = hand.locator(".outcomes")
    before = outcomes.inner_text()
    top.focus()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowRight")
    assert outcomes.inner_text() != before


def test_a_nudge_in_32_bits_is_rounded_as_numpy_rounds(page: Page, modules: Page):
    single = np.float32
    for h in (0.5, 1e-3, 1e-6, 1e-8):
        for both in (False, True):
            x, by = single(1.0), single(h)
            low, high = (x - by if both else x), x + by
            with np.errstate(all="ignore"):
                expected = (single(high * high * high) - single(low * low * low)) / (high - low)
            found = computed(modules, "lessons/slope.js", "m.measured('cube', 1, g[0], g[1])", h, both)
            assert (
                (found is None or math.isnan(found))
                if math.isnan(expected)
                else found == pytest.approx(expected, rel=0.2)
            )
    open_lesson(page, "derivative", "&x=0.5")
    hand = hands_on(page)
    off = hand.locator("dd").nth(2)
    errors = []
    nudge = hand.get_by_role("slider", name="Nudge h")
    for key in ("End", "Home"):
        nudge.focus()
        page.keyboard.press(key)
        errors.append(off.inner_text())
    assert float(errors[0].split()[0]) > 20
    assert errors[1] == "100 %: the nudge is lost in rounding"
    top = hand.get_by_role("application")
    top.focus()
    page.keyboard.press("ArrowUp")
    expect(hand.locator(".status")).to_contain_text("At (−1.4, 0.7)")


def test_fits_agree_with_least_squares(modules: Page):
    for neurons in (1, 8, 64):
        fits_as_least_squares(modules, neurons)


def fits_as_least_squares(page: Page, neurons: int) -> None:
    xs = np.linspace(0, 1, 401)
    ys = np.sin(5 * math.pi * xs) + 0.5 * np.sin(2 * math.pi * xs)
    corners = np.linspace(0, 1, neurons + 2)[1:-1]
    at = np.concatenate([np.ones((len(xs), 1)), xs[:, None], np.maximum(0, xs[:, None] - corners)], 1)
    best = at @ np.linalg.lstsq(at, ys, rcond=None)[0]
    found = computed(page, "lessons/fit.js",
                     "((c) => g[0].map((x) => m.height(c, x)))(m.fitHeights(g[0], g[1], g[2]))",
                     xs.tolist(), ys.tolist(), neurons)  # fmt: skip
    np.testing.assert_allclose(found, best, atol=1e-5)


def test_a_drawn_curve_goes_to_the_experiment(page: Page):
    open_lesson(page, "functions")
    hand = hands_on(page)
    board = hand.get_by_role("application")
    board.evaluate("each => each.scrollIntoView({ block: 'center' })")
    draw_stroke(page, board, [(0.2, 0.8), (0.5, 0.2), (0.8, 0.8)])
    page.wait_for_url(re.compile("curve=own"))
    own = [float(each) for each in settings_in(page)["own"].split(",")]
    assert own[40] > own[20] + 1
    expect(page.locator(".verdict-of")).to_contain_text(finding("functions", curve="own", own=own))
    before = hand.locator(".status").inner_text()
    board.focus()
    page.keyboard.press("Shift+ArrowUp")
    expect(hand.locator(".status")).not_to_have_text(before)
    page.reload()
    expect(hand.get_by_role("radio", name="own")).to_be_checked()
    # In lesson 7 the neurons get noisy points, and with many neurons they follow the noise.
    open_lesson(page, "curve", "&noise=0.5")
    hand.get_by_role("slider", name="Neurons").focus()
    page.keyboard.press("End")
    text = hand.locator(".status").inner_text()
    assert re.fullmatch(
        r"128 neurons get within 0\.\d+ of the curve, and within [\d.]+ × 10⁻\S+ of the points\.", text
    )


def test_each_method_pays_for_its_runs_of_the_gate(page: Page, modules: Page):
    for method, runs in (("random", 1), ("numerical", 3), ("analytic", 1)):
        found = computed(modules, "lessons/gates.js",
                         "((n) => m.takeStep(g[0], [-2, 3], 0.05, () => (n = (n * 7.3) % 1)))(0.1)",
                         method)  # fmt: skip
        assert found["runs"] == runs
        assert math.hypot(found["at"][0] + 2, found["at"][1] - 3) == pytest.approx(0.05) or method == "random"
        assert found["at"][0] * found["at"][1] >= -6
        if method != "random":
            assert found["gradient"] == pytest.approx([3, -2], abs=1e-6)
    open_lesson(page, "gates", "&gates=2&tries=1")
    hand = hands_on(page)
    hand.get_by_role("button", name="Step by nudges").click()
    expect(hand.get_by_text("3 runs of the gate, output −5.8")).to_be_visible()
    hand.get_by_role("button", name="Ten of each").click()
    outputs = [
        float(each.split("output ")[1].replace("−", "-"))
        for each in hand.locator(".runs-of").all_inner_texts()
    ]
    assert -6 < outputs[0] < outputs[2] < outputs[1] + 1  # both derivatives climb alike, random search less
    expect(hand.get_by_role("img", name=re.compile("^Output against runs of the gate"))).to_be_visible()


def test_the_tiny_network_agrees_with_torch(modules: Page):
    pixels = torch.rand(196, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights, shares, picture, gradients = computed(modules, "lessons/digits.js", """(() => {
        const [weights, pixels] = [m.trained(), Float64Array.from(g[0])];
        const reading = m.read(weights, pixels);
        const logits = reading.shares.map((share, digit) => share - (digit === 3 ? 1 : 0));
        const back = m.backward(weights, reading, { logits });
        return [weights, reading.shares, back.picture, back.weights].map((each) =>
            each.length === 4 ? each.map((part) => [...part]) : [...each]);
    })()""", pixels.tolist())  # fmt: skip
    shapes = ((24, 196), (24,), (10, 24), (10,))
    w1, b1, w2, b2 = parts = [
        torch.tensor(each, dtype=torch.float64).view(shape).requires_grad_()
        for each, shape in zip(weights, shapes, strict=True)
    ]
    pixels.requires_grad_()
    logits = w2 @ torch.relu(w1 @ pixels + b1) + b2
    F.cross_entropy(logits[None], torch.tensor([3])).backward()
    np.testing.assert_allclose(shares, logits.softmax(0).detach(), rtol=1e-9)
    np.testing.assert_allclose(picture, pixels.grad, rtol=1e-9, atol=1e-15)
    for part, gradient in zip(parts, gradients, strict=True):
        np.testing.assert_allclose(gradient, part.grad.flatten(), rtol=1e-9, atol=1e-15)


def test_the_figures_compute_what_torch_and_numpy_do(modules: Page):
    generator = torch.Generator().manual_seed(1)
    picture = torch.rand(1, 1, 9, 9, generator=generator, dtype=torch.float64)
    kernel = torch.randn(1, 1, 3, 3, generator=generator, dtype=torch.float64)
    found = computed(modules, "lessons/kernel.js", "[...m.filtered(g[0], 9, g[1])]",
                     picture.flatten().tolist(), kernel.flatten().tolist())  # fmt: skip
    padded = F.pad(picture, (1, 1, 1, 1), mode="replicate")
    np.testing.assert_allclose(found, F.conv2d(padded, kernel).flatten(), atol=1e-12)
    target = torch.rand(144, generator=generator).double().numpy()
    alive = torch.rand(7, 9, generator=generator) < 0.4
    after = computed(modules, "lessons/cells.js", "[...m.stepped(Uint8Array.from(g[0]), 9, 7, '36', '125')]",
                     alive.flatten().int().tolist())  # fmt: skip
    assert after == cells.stepped(alive, "36", "125").flatten().int().tolist()
    basis, weights = computed(modules, "lessons/waves.js", """(() => {
        const basis = m.features(12, 9, 4);
        return [[...basis.all], [...m.leastSquares(basis)((at) => g[0][at])]];
    })()""", target.tolist())  # fmt: skip
    design = np.array(basis).reshape(144, 21)
    np.testing.assert_allclose(design[:, 3] ** 2 + design[:, 4] ** 2, 1)  # a sine and a cosine
    penalty = math.sqrt(144 * 1e-3) * np.eye(21)
    best = np.linalg.lstsq(np.vstack([design, penalty]), np.append(target, np.zeros(21)), rcond=None)[0]
    np.testing.assert_allclose(weights, best, atol=1e-9)
    scores = torch.randn(10, generator=generator, dtype=torch.float64, requires_grad=True)
    loss = F.cross_entropy(scores[None], torch.tensor([6]))
    loss.backward()
    theirs = computed(modules, "lessons/loss.js", """(() => {
        const { loss, gradient } = m.lossOf(Float64Array.from(g[0]), 6);
        return [loss, ...gradient];
    })()""", scores.tolist())  # fmt: skip
    assert scores.grad is not None
    assert theirs == pytest.approx([loss.item(), *scores.grad.tolist()])


def test_dreams_and_gram_matrices_have_the_gradients_of_torch(modules: Page):
    side, generator = 12, torch.Generator().manual_seed(2)

    def maps(pixels: torch.Tensor, layer: dict[str, Any]) -> torch.Tensor:
        size, channels = layer["size"], layer["channels"]
        kernels = torch.tensor(layer["kernels"], dtype=torch.float64).view(-1, channels, size, size)
        padded = F.pad(pixels.view(1, channels, side, side), (size // 2,) * 4, mode="circular")
        return torch.relu(F.conv2d(padded, kernels))[0].flatten(1)

    plain = "({ ...l, kernels: l.kernels.map((each) => [...each]) })"
    sky = torch.rand(side**2, generator=generator, dtype=torch.float64).requires_grad_()
    layer, energy, gradient = computed(modules, "lessons/clouds.js", f"""(() => {{
        const l = m.LAYERS.stripes;
        const {{ energy, gradient }} = m.respond(l, g[0], {side});
        return [{plain}, energy, [...gradient]];
    }})()""", sky.tolist())  # fmt: skip
    ours = maps(sky, layer).square().mean() / 2
    ours.backward()
    assert energy == pytest.approx(ours.item())
    np.testing.assert_allclose(gradient, sky.grad, atol=1e-12)
    smaller = computed(modules, "lessons/clouds.js", f"[...m.resized(g[0], {side}, 8)]", sky.tolist())
    theirs = F.interpolate(sky.detach().view(1, 1, side, side), (8, 8), mode="bilinear", antialias=True)
    np.testing.assert_allclose(smaller, theirs.flatten(), atol=1e-6)

    picture = torch.rand(3 * side**2, generator=generator, dtype=torch.float64).requires_grad_()
    target = torch.rand(15, 15, generator=generator, dtype=torch.float64)
    target = target + target.T
    layer, loss, gradient = computed(modules, "lessons/gram.js", f"""(() => {{
        const l = m.LAYER;
        const {{ loss, gradient }} = m.distance(g[0], g[1], {side});
        return [{plain}, loss, [...gradient]];
    }})()""", picture.tolist(), target.flatten().tolist())  # fmt: skip
    found = maps(picture, layer)
    own = target.diagonal()
    off = ((found @ found.T / side**2 - target).square() / (own[:, None] * own)).sum()
    off.backward()
    assert loss == pytest.approx(off.item())
    np.testing.assert_allclose(gradient, picture.grad, atol=1e-10)


def test_clouds_are_dreamed_on_and_noise_gets_the_gram_matrix(page: Page):
    open_lesson(page, "dream")
    hand, times = hands_on(page), re.compile(r"the layer responds ([\d.]+) times")
    status = hand.locator(".status")
    expect(status).to_have_text(re.compile("^0 steps, at 43 pixels"))
    hand.get_by_role("radio", name="1", exact=True).check()
    hand.get_by_role("button", name="One step").click()
    expect(status).to_have_text(re.compile("^1 step, at 96 pixels"))
    before = float(times.search(status.inner_text())[1])  # type: ignore[index]
    hand.get_by_role("button", name="One step").click()
    expect(status).to_have_text(re.compile("^2 steps"))
    assert float(times.search(status.inner_text())[1]) > before > 1  # type: ignore[index]
    open_lesson(page, "style")
    hand = hands_on(page)
    status = hand.locator(".status").last
    hand.get_by_role("button", name="Shuffle the squares").click()
    maps, matrix = map(float, re.findall(r"by ([\d.]+) %", status.inner_text()))
    assert maps > 10 * matrix
    hand.get_by_role("application", name="The Gram matrix").focus()
    expect(hand.locator("[data-chosen=true]")).to_have_count(2)
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    expect(hand.locator(".status").first).to_have_text(
        re.compile(r"^How many red spots there are: 0\.\d+\.$")
    )
    expect(hand.locator("[data-chosen=true]")).to_have_count(1)
    hand.get_by_role("button", name="From noise").click()
    expect(status).to_have_text(re.compile(r"^Step \d+: the noise’s Gram matrix is ([2-9]|\d\d)"))


def test_sigmoids_lose_the_correction_unless_they_start_well(modules: Page):
    def first(activation: str, gain: float, centred: bool) -> float:
        arguments = [activation, 8, gain, centred, 0]
        share: float = computed(modules, "lessons/chain.js", "m.corrections(...g[0]).shares[0]", arguments)
        return share

    assert first("sigmoid", 1, False) < 1e-4
    assert 0.3 < first("tanh", 1, False) < 3
    assert 0.1 < first("sigmoid", 4, True) < 3


def test_a_digit_off_its_place_is_misread_until_it_is_normalised(page: Page):
    open_lesson(page, "normalised")
    hand = hands_on(page)
    moved, cleaned = (hand.locator(".status").nth(place) for place in (0, 1))
    for digit in (2, 8):
        hand.get_by_role("radio", name=str(digit), exact=True).check()
        expect(moved).to_have_text(re.compile(f"^Read as {digit}, .* sure\\.$"))
    hand.get_by_role("radio", name="5", exact=True).check()
    board = hand.get_by_role("application")
    board.focus()
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    expect(moved).to_contain_text("it is a 5.")
    expect(cleaned).to_have_text(re.compile("^Read as 5"))
    expect(hand.get_by_role("slider", name="To the side")).to_have_js_property("value", "6")


def test_one_loop_changes_the_picture_or_the_network(page: Page):
    open_lesson(page, "parts")
    hand = hands_on(page)
    status = hand.locator(".status")
    expect(status).to_have_text(re.compile("^0 steps: read as 4"))
    for what in ("the picture", "the weights"):
        hand.get_by_role("radio", name=what).check()
        hand.get_by_role("radio", name="9", exact=True).check()
        hand.get_by_role("button", name="Run").click()
        expect(status).to_have_text(re.compile("read as 9, 99"))
        hand.get_by_role("button", name="Start again").click()
        expect(status).to_have_text(re.compile("^0 steps: read as 4"))
    # One step of training moves the right score up.
    open_lesson(page, "quickstart")
    expect(page.locator(".program code")).to_have_text(LESSONS["quickstart"].program)
    shown = page.get_by_role("region", name="Measurements").locator("code", has_text="optimiser.zero_grad()")
    assert "\n" in shown.inner_text()  # its lines stay lines
    score = hand.get_by_role("slider", name="Score of 3")
    before = float(score.get_attribute("aria-valuenow") or "")
    hand.get_by_role("button", name="One step").click()
    assert float(score.get_attribute("aria-valuenow") or "") > before + 1
    score.focus()
    page.keyboard.press("ArrowDown")
    expect(hand.locator(".status")).not_to_contain_text("After")


def test_cells_live_by_the_rule_that_is_chosen(page: Page):
    open_lesson(page, "cells")
    hand = hands_on(page)
    status = hand.locator(".status")
    expect(hand.get_by_role("radio", name="life")).to_be_checked()
    hand.get_by_role("button", name="Empty").click()
    expect(status).to_have_text("0 steps: 0 of 6,144 cells are alive.")
    board = hand.get_by_role("application")
    board.focus()
    for key in ("Space", "ArrowRight", "ArrowRight", "Space"):  # three in a row
        page.keyboard.press(key)
    expect(status).to_contain_text("3 of")
    hand.get_by_role("button", name="One step").click()
    expect(status).to_have_text("1 step: 3 of 6,144 cells are alive.")
    hand.get_by_role("button", name="Survives with 2 living neighbours").click()  # not any more
    page.wait_for_url(re.compile("survives=3"))
    expect(hand.get_by_role("radio", name="life")).not_to_be_checked()
    hand.get_by_role("button", name="One step").click()
    expect(status).to_contain_text("2 of")
    hand.get_by_role("radio", name="maze").check()
    hand.get_by_role("button", name="Random start").click()
    hand.get_by_role("button", name="Run").click()
    expect(status).to_contain_text("20 steps")
    hand.get_by_role("button", name="Pause").click()


CHART: dict[str, Any] = {
    "title": "Odd", "across": "steps", "up": "cost", "log_across": False, "log_up": True,
    "whole_across": True,
    "lines": [{"name": "one", "xs": [0, 1, 2], "ys": [1, 0.1, 0.01], "style": "line"},
              {"name": "some", "xs": [0.5], "ys": [None], "style": "marks"},
              {"name": "other", "xs": [0, 2], "ys": [1, 1], "style": "dashed"}],
    "surface": None, "arrows": [],
}  # fmt: skip


def test_a_chart_draws_what_it_is_given(page: Page):
    go(page, "#/learn")
    expect(page.locator(".contents")).to_be_visible()
    page.evaluate("""async ([chart, picture]) => {
        const { makeChart } = await import("lanterna/chart.js");
        const host = () => document.querySelector(".contents").appendChild(document.createElement("div"));
        const hosts = [host(), host(), host()];
        const surface = { heights: [[0, 1], [1, 4]], left: -1, right: 1, bottom: 0, top: 2 };
        makeChart(hosts[0]).show(chart);
        const arrows = [[0, 1, 1, 0], [0, 1, 0, -2]];
        makeChart(hosts[1]).show({ ...chart, title: "Light", log_up: false, lines: [], surface, arrows });
        makeChart(hosts[2]).show({ title: "Picture", words: "a square", source: picture });
    }""", [CHART, "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA="])  # fmt: skip
    odd = page.get_by_role(
        "img", name=re.compile(r"^Odd\. cost against steps\. one: 3 points, from 1 to 0.01")
    )
    (path,) = [odd.locator(".line").nth(0).get_attribute("d")]
    places = [tuple(map(float, pair.split())) for pair in re.split("[ML]", path or "")[1:]]
    (x0, y0), (x1, y1), (x2, y2) = places
    assert (x1 - x0, y1 - y0) == pytest.approx((x2 - x1, y2 - y1), abs=0.2)  # equal steps on a log axis
    assert y1 > y0
    assert set(odd.locator(".grid text[text-anchor=middle]").all_text_contents()) <= {"0", "1", "2"}
    expect(odd.locator(".mark")).to_have_count(0)  # no mark for null
    light = page.get_by_role("img", name=re.compile("^Light.*a surface as light, 0 to 4. 2 arrows"))
    expect(light.locator("image")).to_have_count(1)
    light.scroll_into_view_if_needed()
    box = light.bounding_box()
    assert box is not None
    light.hover(position={"x": box["width"] - 40, "y": 40})
    expect(page.get_by_text(re.compile("steps 0.9.* · cost 1.[89].* · height 4"))).to_be_visible()
    arrows = [each.get_attribute("d") or "" for each in light.locator(".arrow").all()]
    ends = [[tuple(map(float, pair.split())) for pair in re.split("[ML]", d)[1:3]] for d in arrows]
    assert ends[0][1][0] > ends[0][0][0] + 5  # to the right
    assert ends[0][1][1] == ends[0][0][1]
    assert ends[1][1][1] - ends[1][0][1] == pytest.approx(
        2 * (ends[0][1][0] - ends[0][0][0]), abs=0.3
    )  # down
    expect(page.get_by_role("img", name="Picture. a square")).to_be_visible()


def test_the_window_itself_does_not_scroll(page: Page):
    page.set_viewport_size({"width": 1280, "height": 800})
    for name in ("gates", "squash"):
        open_lesson(page, name)
        assert page.evaluate("document.querySelector('main').scrollHeight") > 1000
        assert page.evaluate("document.documentElement.scrollHeight") == 800


SMALL_TEXT = """() => {
    const found = [], deck = document.querySelector("dialog");
    const texts = document.createTreeWalker(deck, NodeFilter.SHOW_TEXT);
    for (let each = texts.nextNode(); each; each = texts.nextNode()) {
        const within = each.parentElement, box = within.getBoundingClientRect();
        const size = parseFloat(getComputedStyle(within).fontSize) * within.currentCSSZoom;
        if (each.textContent.trim() && box.width && !within.closest(".unseen, option") && size < 32)
            found.push(`${size}: ${each.textContent}`);
    }
    return found;
}"""
"""Texts of a presented lesson that the back row cannot read."""


def test_a_lesson_is_presented_one_thing_at_a_time(page: Page):
    page.set_viewport_size({"width": 1920, "height": 1080})
    open_lesson(page, "descent")
    lesson = LESSONS["descent"]
    page.get_by_role("button", name="Present").click()
    deck = page.get_by_role("dialog", name="Gradient descent, presented")
    slide = deck.get_by_role("group")
    expect(slide).to_have_text(lesson.question)
    page.keyboard.press("ArrowRight")
    assert lesson.quote is not None
    expect(slide).to_contain_text(lesson.quote.line)
    page.keyboard.press("ArrowLeft")
    expect(slide).to_have_text(lesson.question)
    page.emulate_media(color_scheme="light")
    for _ in range(2 + len(lesson.paragraphs)):
        assert page.evaluate(SMALL_TEXT) == []
        page.keyboard.press("PageDown")
    # The figure is zoomed, and a click lands where the pointer is.
    expect(hands_on(deck).locator(".piece")).to_be_visible()
    assert page.evaluate(SMALL_TEXT) == []
    hill = deck.get_by_role("img", name=re.compile("^The hill, Plain, from 6"))
    box = hill.bounding_box()
    assert box is not None
    hill.click(position={"x": box["width"] / 2 + 26, "y": box["height"] / 2})
    page.wait_for_url(re.compile(r"start=-?0"))
    assert abs(float(settings_in(page)["start"])) < 1
    assert not violations(page)
    deck.get_by_role("slider", name="Learning rate").focus()
    page.keyboard.press("ArrowRight")  # moves the slider, not the slide
    expect(hands_on(deck).locator(".piece")).to_be_visible()
    for _ in range(3):
        page.keyboard.press("PageDown")
    expect(slide).to_contain_text("True:")
    page.keyboard.press("Escape")
    expect(deck).to_have_count(0)
    expect(page.get_by_role("heading", level=1, name=lesson.question)).to_be_visible()
    assert "slide" not in settings_in(page)


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_lessons_are_accessible(page: Page, theme: Any):
    page.emulate_media(color_scheme=theme)
    page.set_viewport_size({"width": 390, "height": 844})
    open_lesson(page, "gates", "&gates=2&tries=1")
    for name in list(LESSONS)[theme == "light" :: 2]:
        page.evaluate("hash => { location.hash = hash; }", f"#/learn?kind=learn-{name}")
        expect(page.get_by_role("heading", level=1, name=LESSONS[name].question)).to_be_visible()
        if name in PIECES:  # or the offer to train a network, if no test before has trained one
            expect(hands_on(page).locator(".piece").or_(page.locator(".train-first"))).to_be_visible()
        if LESSONS[name].quick:
            experiment = page.get_by_role("region", name="The experiment")
            expect(experiment).to_have_attribute("aria-busy", "false")
        wait_until_settled(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        assert violations(page) == [], name


def test_a_lesson_embeds_the_look_view(page: Page, studio: Server):
    job = studio.start(
        "train", settings={"network": "dense", "hidden": [16], "epochs": 1, "fraction": 0.1}, title="inside"
    )
    assert studio.wait(job)["state"] == "done"
    go(page, "#/learn")
    expect(page.locator(".contents")).to_be_visible()
    page.evaluate("""async () => {
        const { mount } = await import("lanterna/lessons/inside.js");
        const { url } = await import("lanterna/studio/api.js");
        const only = { network: "conv", networks: ["inside", "dense"], api: url("/api") };
        mount(document.querySelector(".contents"), only, () => {}).set({ network: "conv", digit: 3 });
    }""")
    expect(page.get_by_role("radio", name="inside")).to_be_checked()  # conv is not there
    frame = page.frame_locator("iframe[title='A digit in the network']")
    expect(frame.get_by_label(re.compile("^Pad: draw a digit"))).to_be_visible()
    page.get_by_role("radio", name="dense").check()
    expect(page.locator(".inside .status")).to_contain_text("there is no network 'dense'")
    expect(page.get_by_role("link", name="Train one first")).to_have_attribute("href", "#/train")


def test_a_prediction_is_checked_without_giving_the_answer_away(page: Page):
    open_lesson(page, "edges")
    sheet = page.get_by_role("region", name="Exercises")
    first = sheet.get_by_role("listitem").first
    answer = first.get_by_label(EXERCISES["edges"][0].predict)
    check, reply = first.get_by_role("button", name="Check"), first.locator(".reply")
    expect(check).to_be_disabled()
    answer.fill("3")
    answer.press("Enter")
    expect(reply).to_have_text(f"Not yet. {EXERCISES['edges'][0].hint}")
    answer.fill("some")
    check.click()
    expect(reply).to_contain_text("expected an exact number, got 'some'")
    answer.fill("0")
    check.click()
    expect(reply).to_contain_text(EXERCISES["edges"][0].explain)
    answer.fill("3")
    check.click()
    expect(reply).to_contain_text("Your first right answer is the one that is handed in.")
    # What was typed is still there after a reload, and is handed in.
    first.get_by_label("Why? In your own words").fill("Left and right cancel.")
    expect(first.get_by_text("Saved on this machine.")).to_be_visible()
    page.reload()
    expect(first.get_by_label("Why? In your own words")).to_have_value("Left and right cancel.")
    expect(answer).to_have_value("0")
    expect(reply).to_have_text("Right.")
    page.get_by_role("link", name="All lessons").first.click()
    section = page.get_by_role("region", name="Hand in")
    expect(section).to_contain_text(re.compile(r"\d+ answers?, \d+ explanations?"))
    section.get_by_role("button", name="Save the file").click()
    expect(section.get_by_role("alert")).to_contain_text("Write your name first")
    expect(section.get_by_label("Your name")).to_be_focused()
    section.get_by_label("Your name").fill("Ada Lovelace")
    assert not violations(page)
    with page.expect_download() as download:
        section.get_by_role("button", name="Save the file").click()
    assert download.value.suggested_filename == "hand-in-Ada-Lovelace.html"
    handed_in = download.value.path().read_text(encoding="utf-8")
    assert "Ada Lovelace" in handed_in
    assert "Left and right cancel." in handed_in


def test_tabs_show_each_others_explanations_and_a_reload_loses_none(page: Page):
    open_lesson(page, "edges")
    other = page.context.new_page()
    open_lesson(other, "edges")
    here, there = (each.get_by_label("Why? In your own words").nth(1) for each in (page, other))
    here.fill("Nudge each input.")
    page.reload()  # at once
    expect(here).to_have_value("Nudge each input.")
    other.evaluate("dispatchEvent(new Event('focus'))")  # as when its tab is shown
    expect(there).to_have_value("Nudge each input.")
    there.fill("Nudge all 128.")
    there.blur()
    expect(other.get_by_text("Saved on this machine.")).to_be_visible()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    here.focus()
    here.blur()  # not edited here
    page.evaluate("dispatchEvent(new Event('focus'))")
    expect(here).to_have_value("Nudge all 128.")
    assert not [url for url in sent if url.endswith("/explain")]
    other.close()


def test_lessons_open_although_the_answers_are_damaged(page: Page, studio: Server):
    check = {"exercise": 1, "answer": -0.02}
    studio("POST", "/api/lessons/gates/check", check)
    place = studio.home / "answers/answers.json"
    before = place.read_bytes()
    place.write_text("[" * 200_000)
    try:
        go(page, "#/learn")
        line = re.compile(re.escape(str(place)) + ", your answers to exercises, is damaged: move it away")
        expect(page.get_by_role("region", name="Hand in").get_by_role("alert")).to_have_text(line)
        open_lesson(page, "gates")
        sheet = page.get_by_role("region", name="Exercises")
        expect(sheet.get_by_role("alert")).to_have_text(line)
        assert line.search(studio.error("POST", "/api/lessons/gates/check", check)[1])
    finally:
        place.write_bytes(before)
