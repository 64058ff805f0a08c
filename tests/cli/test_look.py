"""The page of `lanterna look`, in a real browser: it computes what torch does, and does what a hand asks."""

import json
import re
import time

import pytest
import torch
from torch import nn

from browsing import TIMEOUT_MS
from lanterna import shelf
from lanterna.errors import UsageError
from lanterna.images import open_picture, save_picture
from lanterna.images.digits import mnist
from lanterna.networks import InputSpec, open_network, to_input
from lanterna.networks.digits import conv, dense
from lanterna.networks.tracing import extract_layers
from lanterna.networks.trained import open_trained
from lanterna.probes import heat, links, paths
from lanterna.surfaces.cli import main
from lanterna.surfaces.web.export_activations import record
from lanterna.surfaces.web.look_page import look_page

DIGITS = 100
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def network(trained):
    return open_trained(trained / "networks" / "conv")


@pytest.fixture(scope="module")
def images():
    """The test digits that a page offers: the first ten of each."""
    test = mnist("test")
    chosen = torch.cat([(test.labels == digit).nonzero().flatten()[:10] for digit in range(10)])
    return test.images[chosen].float() / 255


def settle(network):
    """A network as if it had been trained: its batch norms have seen digits, its weights are not tiny."""
    torch.manual_seed(3)
    with torch.no_grad():
        network.train()
        network(mnist("validation").images[:256].float() / 255)
    return network.eval().requires_grad_(False)


class Page:
    """A page opened in the browser, with every error that it made."""

    def __init__(self, browser, file, address="", **settings):
        settings = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce", **settings}
        self.context = browser.new_context(**settings)
        self.page = self.context.new_page()
        self.errors = []
        self.page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.goto(f"file://{file}{address}")
        self.settle()

    def wait(self, expression):
        """Until it is so. (The browser's own waiting evaluates text, which the page forbids.)"""
        end = time.monotonic() + TIMEOUT_MS / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, f"never came true: {expression}"
            self.page.wait_for_timeout(50)

    def settle(self):
        self.wait("Boolean(window.lanterna?.views[0]?.flow.layout)")
        self.page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def get(self, expression):
        return self.page.evaluate(expression)

    def logits(self, view=0):
        return torch.tensor(self.get(f"Array.from(lanterna.views[{view}].model.logits)"), dtype=torch.float64)

    def close(self):
        assert self.errors == []
        self.context.close()


@pytest.fixture
def opened(browser):
    """Opens pages and, at the end, wants none of them to have complained."""
    pages = []

    def open_it(file, address="", **settings):
        pages.append(Page(browser, file, address, **settings))
        return pages[-1]

    yield open_it
    for page in pages:
        page.close()


def written(tmp_path_factory, name, html):
    file = tmp_path_factory.mktemp("look") / name
    file.write_text(html, encoding="utf-8")
    return file


@pytest.fixture(scope="module")
def digit_page(tmp_path_factory, network, images, session_home):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANTERNA_HOME", str(session_home))
        html = look_page(network, images[40], name="conv", title="four.png")
    return written(tmp_path_factory, "digit.html", html)


@pytest.fixture(scope="module")
def photograph():
    return open_network("efficientnet-lite0"), to_input(
        open_picture(shelf.need("photographs") / "chelsea.png"), open_network("efficientnet-lite0").input_spec
    )


@pytest.fixture(scope="module")
def photograph_page(tmp_path_factory, photograph):
    html = look_page(*photograph, name="efficientnet-lite0", title="chelsea.png")
    return written(tmp_path_factory, "photograph.html", html)


COMPUTE_ALL = """(count, gaps) => {
  const { model } = lanterna.views[0];
  return Array.from({ length: count }, (_, digit) => {
    model.run(lanterna.pixelsOf(digit), null, null);
    return { logits: Array.from(model.logits), answer: model.question.answer,
      gaps: (gaps ? model.columns : []).map((_, k) => model.sum(k)).map((s) => s.units + s.offsets - s.logit) };
  });
}"""

NETWORKS = {
    "dense": lambda: dense(hidden=(128,)),
    "deep and odd, tanh": lambda: dense(hidden=(7, 300, 12), activation="tanh"),
    "sigmoid convolutions": lambda: conv(channels=(5,), activation="sigmoid", bias=False),
    "two convolutions a group": lambda: conv(channels=(8, 12), convolutions=2, hidden=(20,), dropout=0.2),
}


@pytest.mark.parametrize("name", ["conv", *NETWORKS])
def test_the_page_computes_what_torch_computes(name, network, images, opened, tmp_path_factory):
    chosen = network if name == "conv" else settle(NETWORKS[name]())
    file = written(tmp_path_factory, "page.html", look_page(chosen, images[0], name="none", title="page"))
    page = opened(file, "#columns=every")
    exact = "tanh" not in name and "sigmoid" not in name
    count = DIGITS if exact else 20  # a smooth one is integrated for each, in 64 steps
    found = page.get(f"({COMPUTE_ALL})({count}, {json.dumps(exact)})")
    expected = chosen.double()(images[:count].double())
    chosen.float()
    assert (torch.tensor([each["logits"] for each in found]).double() - expected).abs().max() < TOLERANCE
    assert [each["answer"] for each in found] == expected.argmax(1).tolist()
    if exact:
        assert max(abs(gap) for each in found for gap in each["gaps"]) < 1e-9


@pytest.mark.parametrize("name", ["conv", "deep and odd, tanh", "two convolutions a group"])
def test_contributions_in_the_page_are_those_of_paths(name, network, images, opened, tmp_path_factory):
    chosen = network if name == "conv" else settle(NETWORKS[name]())
    file = written(tmp_path_factory, "page.html", look_page(chosen, images[0], name="none", title="page"))
    page = opened(file, "#columns=every")
    for digit, answer, against in ((0, 0, None), (47, 4, 9), (83, 3, 8)):
        found = page.get(
            f"""(() => {{
              const {{ model }} = lanterna.views[0];
              model.run(lanterna.pixelsOf({digit}), {answer}, {json.dumps(against)});
              return model.columns.map((column, k) => [column.name, Array.from(model.contributions(k)),
                k ? {{ values: Array.from(model.links(k).values), single: model.links(k).single, name: column.mixing === null ? "" : model.network.layers[column.mixing].name }} : null]);
            }})()"""
        )
        expected = paths(chosen.double(), images[digit].double(), answer, against=against)
        chosen.float()
        compared = 0
        for layer, given, into in found[1:-1]:
            contribution = expected.contributions[layer]
            by_unit = contribution.flatten(1).sum(1) if contribution.dim() == 3 else contribution
            assert (torch.tensor(given).double() - by_unit).abs().max() < TOLERANCE, layer
            if not into["single"]:
                weights = expected.connections[into["name"]]
                values = torch.tensor(into["values"]).double()
                by_link = weights.reshape(len(values), -1).sum(
                    1
                )  # all taps, or all places of a flattened map
                assert (values - by_link).abs().max() < TOLERANCE, layer
            compared += 1
        assert compared >= 6


def test_cutting_changes_the_answer_as_in_torch(network, images, opened, digit_page):
    page = opened(digit_page, "#digit=40&cut=relu2.13,relu3.58,conv3:16-12,output:4-46")
    cut = open_network_copy(network)
    cut.layers["conv3"].weight[16, 12] = 0
    cut.layers["output"].weight.view(10, 64, -1)[4, 46] = 0
    x = images[40:41]
    for name, layer in cut.layers.items():
        x = layer(x)
        for at, unit in (("relu2", 13), ("relu3", 58)):
            if name == at:
                x[:, unit] = 0
    assert (page.logits() - x[0]).abs().max() < TOLERANCE
    assert (x[0] - network(images[40:41])[0]).abs().max() > 0.1
    page.page.click("#undo")
    page.page.click("#restore")
    page.settle()
    assert (page.logits() - network(images[40:41])[0]).abs().max() < TOLERANCE


def open_network_copy(network):
    copy = conv()
    copy.load_state_dict(network.state_dict())
    return copy.eval().requires_grad_(False)


def test_a_digit_drawn_with_the_mouse_is_read(opened, digit_page):
    page = opened(digit_page)
    assert page.page.inner_text("h1").startswith("Read as 4")
    box = page.page.locator(".pad canvas").bounding_box()
    page.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.15 * box["height"])
    page.page.mouse.down()
    page.page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.85 * box["height"], steps=12)
    page.page.mouse.up()
    page.settle()
    assert page.page.inner_text("h1").startswith("Read as 1")
    page.wait("location.hash.includes(`ink=${lanterna.state.ink}`)")  # of the whole stroke
    page.page.reload()
    page.wait("document.querySelector('h1').textContent.startsWith('Read as 1')")
    page.wait("document.querySelector('#summary').textContent.startsWith('Read as 1')")
    page.page.click(".pad button")
    page.settle()
    assert page.page.inner_text("h1").startswith("Read as 4")


def test_the_address_restores_everything(opened, digit_page):
    page = opened(digit_page, "#digit=95")
    page.page.select_option("#against", "4")
    page.page.select_option("#scale", "map")
    page.page.select_option("#show", "contribution")
    page.page.locator(".board").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Enter", "x"):
        page.page.keyboard.press(key)
    page.wait("location.hash.includes('cut=')")
    shown = "[document.querySelector('h1').textContent, document.querySelector('#sum').textContent, document.querySelector('#panel h2').textContent, document.querySelector('#drawn').textContent]"
    before = page.get(shown)
    assert before[2] == "relu2, map 1"
    page.page.reload()
    page.wait("document.querySelector('#panel h2') && document.querySelector('h1').textContent.trim()")
    page.settle()
    assert page.get(shown) == before
    assert page.page.input_value("#against") == "4"
    assert page.page.input_value("#scale") == "map"


def test_the_slider_thins_the_lines(opened, digit_page):
    page = opened(digit_page)
    drawn = {}
    for place in (0, 60, 100):
        page.page.fill("#share", str(place))
        page.settle()
        drawn[place] = page.get("lanterna.views[0].flow.curves.drawn")
    assert drawn[0] < drawn[60] < drawn[100] == page.get("lanterna.views[0].flow.curves.links")
    assert page.page.inner_text("#drawn").startswith("all")


def test_lines_are_visible(opened, digit_page):
    """Amber and blue reach the screen: with the graphics card, and without it on a plain canvas."""
    count = """() => { const c = new OffscreenCanvas(400, 300), x = c.getContext("2d"), source = document.querySelector("canvas.lines");
      lanterna.views[0].flow.draw(lanterna.theme, { ...lanterna.state, share: 1 }, { at: 0, way: 0 });
      x.drawImage(source, 0, 0, 400, 300); const d = x.getImageData(0, 0, 400, 300).data; let warm = 0, cold = 0;
      for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 40) { if (d[i] > d[i + 2] + 40) warm++; if (d[i + 2] > d[i] + 40) cold++; }
      return [warm, cold]; }"""
    page = opened(digit_page)
    assert page.get("lanterna.views[0].flow.gpu") is True
    assert min(page.get(count)) > 500
    script = "HTMLCanvasElement.prototype.getContext = ((get) => function (kind, ...rest) { return kind === 'webgl2' ? null : get.call(this, kind, ...rest); })(HTMLCanvasElement.prototype.getContext)"
    plain = opened(digit_page)
    plain.page.add_init_script(script)
    plain.page.reload()
    plain.wait("window.lanterna?.views[0]?.flow.gpu === false")
    plain.settle()
    assert min(plain.get(count)) > 500


def test_two_stand_beside_each_other(network, images, opened, digit_page):
    page = opened(digit_page)
    page.page.select_option("#compare", "before")
    page.settle()
    assert page.page.locator(".view").count() == 2
    assert page.page.locator(".view h2").all_inner_texts() == ["A, after training", "B, before training"]
    assert (page.logits(0) - page.logits(1)).abs().max() > 1
    page.page.select_option("#compare", "70")
    page.settle()
    assert (page.logits(1) - network(images[70:71])[0]).abs().max() < TOLERANCE
    page.page.select_option("#compare", "")
    page.settle()
    assert page.page.locator(".view").count() == 1


def test_the_panel_does_the_arithmetic(network, images, opened, digit_page):
    """What it says a convolution's sum is, and what comes out, are torch's numbers for that place."""
    page = opened(digit_page, "#digit=40&unit=relu2.6")
    page.settle()
    outputs = {}
    x = images[40:41]
    for name, layer in network.layers.items():
        x = outputs[name] = layer(x)
    place = int(outputs["relu2"][0, 6].flatten().argmax())
    output_text = page.page.inner_text("[data-part=arithmetic]")
    assert f"row {place // 7}, column {place % 7}".lower() in output_text.lower()
    numbers = [float(value.replace("−", "-")) for value in re.findall(r"= (−?[\d.]+)", output_text)]
    assert numbers[-1] == pytest.approx(outputs["relu2"][0, 6].max().item(), abs=0.006)
    assert numbers[-3] == pytest.approx(outputs["pool2"][0, 6].flatten()[place].item(), abs=0.006)
    assert sum(numbers[:4]) == pytest.approx(outputs["pool2"][0, 6].flatten()[place].item(), abs=0.03)


def test_the_keyboard_reaches_every_control(opened, digit_page):
    page = opened(digit_page, "#cut=relu2.3")
    page.page.evaluate("document.activeElement.blur()")
    reached = set()
    for _ in range(60):
        page.page.keyboard.press("Tab")
        reached.add(
            page.get(
                "(() => { const e = document.activeElement; return e.id || e.getAttribute('aria-label') || e.textContent; })()"
            )
        )
    wanted = {
        "answer",
        "against",
        "share",
        "show",
        "scale",
        "columns",
        "forward",
        "backward",
        "undo",
        "restore",
        "compare",
        "Brush",
        "Clear",
    }
    assert wanted <= reached
    assert any("Arrow keys move between units" in each for each in reached)
    assert any(each.startswith("Pad") for each in reached)
    assert any(each.startswith("100 test digits") for each in reached)


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_scrolls_sideways(opened, digit_page, photograph_page, width):
    for file in (digit_page, photograph_page):
        page = opened(file, viewport={"width": width, "height": 844}, color_scheme="light")
        assert page.get("document.documentElement.scrollWidth") <= width


SEEN = """window.seen = [];
  new MutationObserver(() => {
    const share = document.querySelector(".answer.for .share")?.textContent;
    if (share && share !== seen.at(-1)) seen.push(share);
  }).observe(document, { subtree: true, childList: true, characterData: true });"""


def test_the_light_goes_through_and_back(opened, digit_page):
    """On its way, the answers are still dark; at the end they are as without any light moving."""
    page = opened(digit_page, reduced_motion="no-preference")
    page.page.add_init_script(SEEN)
    page.page.reload()
    arrives = "seen.includes('0 %') && seen.at(-1) === '100 %'"
    page.wait(arrives)
    page.page.click("#backward")
    page.page.wait_for_timeout(400)
    page.get("seen.length = 0")
    page.page.click("#forward")
    page.wait(arrives)


def test_sizes(digit_page, photograph_page):
    assert digit_page.stat().st_size < 5e6
    assert photograph_page.stat().st_size < 15e6


def test_nothing_comes_from_outside(digit_page, photograph_page):
    for file in (digit_page, photograph_page):
        assert not re.search(r"""(?:src|href)\s*=\s*["']?https?:""", file.read_text())


def test_a_photograph_shows_the_values_of_paths(photograph, opened, photograph_page):
    network, image = photograph
    page = opened(photograph_page)
    answers = page.get("lanterna.data.answers")
    logits = network(image[None])[0]
    assert answers == logits.topk(10).indices.tolist()
    for answer, against in ((answers[0], None), (answers[2], answers[1])):
        page.get(f"lanterna.change({{ answer: {answer}, against: {json.dumps(against)} }})")
        page.settle()
        expected = paths(network, image, answer, against=against)
        for layer in ("block3", "block15", "pool"):
            k = page.get(f"lanterna.views[0].model.columns.findIndex(({{ name }}) => name === '{layer}')")
            given = torch.tensor(page.get(f"Array.from(lanterna.views[0].model.contributions({k}))"))
            contribution = expected.contributions[layer]
            by_map = contribution.flatten(1).sum(1) if contribution.dim() == 3 else contribution
            assert (given - by_map).abs().max() < TOLERANCE
            total = page.get(f"lanterna.views[0].model.sum({k})")
            assert total["units"] + total["offsets"] == pytest.approx(total["logit"], abs=2e-4)
        shown = torch.tensor(page.get("Array.from(lanterna.views[0].model.heat('block15').values)"))
        assert (shown.view(7, 7) - heat(expected, "block15")).abs().max() < TOLERANCE
        k = page.get("lanterna.views[0].model.columns.findIndex(({ name }) => name === 'block9')")
        link = page.get(
            f"(({{ values, toUnits, fromUnits }}) => ({{ values: Array.from(values), to: Array.from(toUnits), from: Array.from(fromUnits) }}))(lanterna.views[0].model.links({k}))"
        )
        flowed = links(network, image, "block9", [answer], against=against, maps=link["from"])[0][
            :, link["to"]
        ].T
        assert (torch.tensor(link["values"]).view_as(flowed) - flowed).abs().max() < 2e-3


def test_a_network_too_large_is_recorded(images, opened, tmp_path_factory):
    large = settle(dense(hidden=(1500,)))
    file = written(tmp_path_factory, "page.html", look_page(large, images[7], name="none", title="large"))
    page = opened(file)
    assert file.stat().st_size < 5e6
    assert "too large to compute" in page.page.inner_text("#panel")
    assert page.page.locator(".pad").count() == 0
    assert (page.logits().max() - large(images[7:8]).max()).abs() < TOLERANCE


FOREIGN = """
import torch
from torch import nn

def classifies():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.GELU(), nn.Conv2d(8, 16, 3, 2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 5))

def sees():
    return nn.Sequential(nn.Conv2d(3, 8, 3, 2), nn.ReLU(), nn.Conv2d(8, 16, 3, 2))
"""


@pytest.mark.parametrize(("function", "says"), [("classifies", "GELU"), ("sees", "no classes")])
def test_anyones_network_shows_what_it_can(function, says, opened, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(FOREIGN)
    picture = str(shelf.need("photographs") / "coffee.png")
    assert main(["look", picture, "--network", f"mine.py:{function}", "-o", "mine.html"]) == 0
    capsys.readouterr()
    for theme, stronger in (("light", "the darker, the stronger"), ("dark", "the brighter, the stronger")):
        page = opened(tmp_path / "mine.html", color_scheme=theme)
        said = page.page.inner_text("body")
        assert says in said
        assert stronger in said
        assert "cropped to its centre, the network's input of 224 × 224 pixels" in said
        assert page.page.locator(".caption").count() > 2
        for control in ("Explain", "compared with", "Lines", "Heat at"):
            assert page.page.get_by_label(control).first.is_visible() == (function == "classifies"), control
    assert "12 of 16 maps" in said
    shown = "ones that contribute most to the answer" if function == "classifies" else "most active ones"
    assert f"Each layer shows at most 12 of its maps, the {shown}" in said


@pytest.mark.usefixtures("network")
def test_the_command(images, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    save_picture(images[13].expand(3, -1, -1), tmp_path / "one.png")
    assert main(["look", "one.png", "--json", "--against", "7"]) == 0
    output_text = json.loads(capsys.readouterr().out)
    assert (output_text["network"], output_text["read_as"], output_text["page"]) == (
        "conv",
        "1",
        "one-look.html",
    )
    assert (tmp_path / "one-look.html").stat().st_size == output_text["bytes"] < 5e6
    assert main(["look", "one.png"]) == 2
    assert "already exists" in capsys.readouterr().err
    assert main(["look", "one.png", "--force", "--answer", "eleven"]) == 2
    assert "no class 'eleven'" in capsys.readouterr().err
    assert main(["look", "one.png", "--force", "--digit", "5"]) == 2
    assert "--digit: expected a digit from 1 to 1, got 5" in capsys.readouterr().err
    save_picture(torch.ones(3, 200, 200), tmp_path / "empty.png")
    assert main(["look", "empty.png", "--digit", "1"]) == 2
    assert "--digit: this page has no digits, got 1" in capsys.readouterr().err
    assert main(["look", "nothing.png"]) == 2
    capsys.readouterr()


def test_an_answer_that_is_not_there(photograph):
    with pytest.raises(UsageError, match="1000"):
        look_page(*photograph, name="efficientnet-lite0", title="cat", answer=1000)


def test_a_network_that_is_not_linear_is_recorded_with_one_answer_first_and_then_finer():
    torch.manual_seed(5)
    spec = InputSpec(3, 32, (0.5,) * 3, (0.2,) * 3)
    module = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.GELU(), nn.Flatten(), nn.Linear(900, 7))
    with torch.no_grad():
        module[0].weight.mul_(4)  # far from linear
    network, _ = extract_layers("smooth", module, spec)
    network.classes = tuple("abcdefg")
    progress = []
    image = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1))
    recordings = list(record(network, image, watch=lambda *done: progress.append(done)))
    assert [len(each["answers"]) for each, _ in recordings][:: len(recordings) - 1] == [1, 7]
    assert not any(each["exact"] for each, _ in recordings)
    gaps = []
    for each, arrays in recordings:
        values, offsets = torch.tensor(each["values"]), torch.tensor(each["offsets"]["input"])
        sums = arrays["contributions input"].sum(1)
        gaps.append(float(((sums + offsets - values).abs() / (values - offsets).abs()).max()))
    assert gaps[0] > gaps[-1]
    assert gaps[-1] <= 0.011
    assert all(0 < done <= total for done, total in progress)
    (first, _), *_ = record(network, image, answer=5, against=2)
    assert first["answers"] == [5, 2]


def test_stopped_it_keeps_the_last_page(tmp_path, monkeypatch, capsys):
    def pages(*_, **__):
        yield "one answer"
        yield "more answers"
        raise KeyboardInterrupt

    monkeypatch.setattr("lanterna.surfaces.cli.look.look_pages", pages)
    save_picture(torch.rand(3, 28, 28), tmp_path / "one.png")
    path = tmp_path / "page.html"
    assert (
        main(["look", str(tmp_path / "one.png"), "--network", "efficientnet-lite0", "-o", str(path)]) == 130
    )
    assert path.read_text() == "more answers"
    assert "stopped: the page is the last one that was finished" in capsys.readouterr().err
