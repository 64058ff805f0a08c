"""The site: built once, read as a visitor reads it, and held to what it is made from."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import subprocess
import sys
from functools import cache, partial
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from bs4 import BeautifulSoup
from PIL import Image

import lanterna
from declared import clear_registry, register_example
from lanterna import shelf
from lanterna.images.digits import mnist
from lanterna.lessons import LESSONS
from lanterna.lessons.drawing import draw
from lanterna.surfaces.cli import main, verbs
from lanterna.surfaces.cli.dispatch import make_app
from lanterna.surfaces.notebook.views import play
from lanterna.surfaces.studio.openapi import description
from lanterna.surfaces.studio.routes import ROUTES
from lanterna.techniques.registry import all_techniques
from lanterna.techniques.rerun import parse_value
from lanterna.techniques.technique import Settings
from places import ROOT
from served import wait_until

if TYPE_CHECKING:
    from pathlib import Path

OLD = {"api", "dream", "style", "paint", "inside", "studio"}  # whose commands other tests run


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site. Notebooks are not executed, lessons not drawn; no warning is let pass."""
    place = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet",
         "-D", "nb_execution_mode=off", "-D", "lesson_pictures=0", "-d", place / "kept",
         ROOT / "docs", place / "site"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert (built.returncode, built.stderr) == (0, "")
    return place / "site"


@cache
def parsed(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def article(site: Path, name: str) -> BeautifulSoup:
    return parsed(site / f"{name}.html").select_one("article")


def words(element) -> str:
    return " ".join(element.get_text().split())


def fits(page, width: int) -> bool:
    """Whether a page is no wider than its window; canvases follow the window a moment later."""
    return page.evaluate("document.documentElement.scrollWidth") <= width


def test_pages_load_nothing_from_elsewhere_and_fit_the_window(site, browser):
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = context.new_page()
    asked, wrong = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: wrong.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 14
    for each in pages:
        page.goto(each.as_uri())
        empty = "[...document.images].filter(i => !i.complete || !i.naturalWidth).map(i => i.src)"
        wrong += page.evaluate(empty)
        for width in (1024, 390):
            page.set_viewport_size({"width": width, "height": 800})
            wait_until(partial(fits, page, width), f"{each.name} at {width} px".__str__)
    context.close()
    assert wrong == []
    assert [url for url in asked if not url.startswith((site.as_uri(), "data:"))] == []


@pytest.mark.slow
def test_links_within_the_site_lead_somewhere(site):
    for page in site.rglob("*.html"):
        for link in parsed(page).select("a[href]"):
            target, _, anchor = link["href"].partition("#")
            if re.match(r"\w+:", target):
                continue
            place = (page.parent / target).resolve() if target else page
            assert place.is_file(), (page.name, link["href"])
            if anchor and place.suffix == ".html":
                assert parsed(place).find(id=anchor) is not None, (page.name, link["href"])


def message(default: object) -> str:
    """A default as JSON has it, as the page should say it."""
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, list):
        return " ".join(map(message, default)) or "none"
    return "none" if default in (None, "") else str(default)


def hyphened(name: str) -> str:
    return name.rstrip("_").replace("_", "-")


def check_setting(page: BeautifulSoup, anchor: str, schema: dict) -> None:
    """That a setting is told with its help, its default and the ends of its range."""
    term = page.find(id=anchor)
    assert term is not None, anchor
    output = words(term.find_parent("dt").find_next_sibling("dd")).replace("`", "")
    assert " ".join(schema["description"].replace("`", "").split()) in output, anchor
    assert output.endswith(f"Default: {message(schema.get('default'))}."), anchor
    for kind in (schema, *schema.get("anyOf", ())):
        for end in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"):
            assert end not in kind or f"{kind[end]:,}".removesuffix(".0") in output, (anchor, end)
        assert all(str(choice) in output for choice in kind.get("enum", ())), anchor


@pytest.mark.slow
def test_every_setting_has_its_range_and_default(site):
    page = article(site, "settings")
    exported = [getattr(lanterna, name) for name in lanterna.__all__]
    kinds = {each for each in exported if isinstance(each, type) and issubclass(each, Settings)}
    kinds |= {each.settings for each in all_techniques().values() if each.verb != "learn"}
    assert len(kinds) > 18
    for kind in kinds:
        assert page.find(id=f"settings-{kind.__name__.lower()}")
        for name, schema in kind.model_json_schema()["properties"].items():
            # What a class has from another is described there.
            owners = [base for base in kind.__mro__ if name in getattr(base, "model_fields", {})]
            anchors = [f"settings-{base.__name__.lower()}-{hyphened(name)}" for base in owners]
            found = [anchor for anchor in anchors if page.find(id=anchor)]
            assert found, (kind, name)
            check_setting(page, found[0], schema)


@pytest.mark.slow
def test_options_are_those_of_the_command_line(site):
    for section in article(site, "settings").select("section:has(> h3)"):
        command = section.select_one("pre")
        if command is None:
            continue
        app = make_app()
        for word in re.match(r"lanterna ([a-z ]+)(--random)?", command.get_text()).expand(r"\1 \2").split():
            app = app[word]
        known = {name for argument in app.assemble_argument_collection() for name in argument.names}
        assert {words(option) for option in section.select("code.option")} <= known


@pytest.mark.slow
def test_every_lesson_has_its_section(site):
    page = article(site, "lessons")
    for name, lesson in LESSONS.items():
        section = page.find(id=f"lesson-{name}").find_parent("section") or page.find(id=f"lesson-{name}")
        output = words(section)
        for text in (lesson.title, lesson.question, lesson.claim, lesson.source, f"lanterna learn {name}"):
            assert text in output, (name, text)
        for setting, schema in lesson.settings.model_json_schema()["properties"].items():
            check_setting(page, f"lesson-{name}-{hyphened(setting)}", schema)


def test_every_call_and_every_name_has_its_place(site):
    calls = {words(each).removesuffix("¶").strip() for each in article(site, "calls").select("h3")}
    for path, methods in description(ROUTES)["paths"].items():
        assert {f"{method.upper()} {path}" for method in methods} <= calls
    output = words(article(site, "python"))
    assert all(name in output for name in lanterna.__all__)


def commands(page: Path) -> list[str]:
    """What a page says to type: lines of code blocks, and code in a line."""
    code = parsed(page).select("article pre, article code")
    lines = [line.strip() for block in code for line in block.get_text().splitlines()]
    return list(dict.fromkeys(line.partition("  #")[0] for line in lines if line.startswith("lanterna ")))


@pytest.mark.slow
def test_commands_are_understood(site, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    register_example(monkeypatch, tmp_path)
    lines = [line for page in site.glob("*.html") if page.stem not in OLD for line in commands(page)]
    assert len(lines) > 100
    for line in lines:
        verb, *rest = shlex.split(line)[1:]
        if verb == "VERB" or verb.startswith("--"):
            continue
        assert verb in verbs(), line
        if not rest:
            continue  # a verb's name in a sentence
        make_app().parse_args([verb, *rest], print_error=False, exit_on_error=False)
        if verb == "learn" and "--set" in rest:
            lesson = LESSONS[rest[0]]
            name, _, text = rest[rest.index("--set") + 1].partition("=")
            lesson.settings.checked(
                {name: parse_value(text, lesson.settings().model_dump(mode="json")[name])}
            )
    clear_registry()


def test_the_settings_file_example_is_read(tmp_path, monkeypatch):
    (text,) = re.findall(
        r"```toml\n(.*?)```", (ROOT / "docs/start.md").read_text(encoding="utf-8"), re.DOTALL
    )
    (tmp_path / "lanterna.toml").write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LANTERNA_DREAM_STEPS", "7")
    _, bound, _ = make_app().parse_args(["dream", "cat.jpg"], print_error=False, exit_on_error=False)
    settings = bound.arguments["settings"]
    assert (settings.layer, settings.steps) == (("block9",), 7)  # the environment before the file


@pytest.fixture
def here(real_shelf, tmp_path, monkeypatch):
    """A folder to work in, with a cat and a seven that is written on paper."""
    cat = lanterna.open_picture(real_shelf / "photographs/chelsea.png", longest=160)
    lanterna.save_picture(cat, tmp_path / "cat.jpg")
    digit = 255 - mnist("test").images[0, 0].numpy()
    Image.fromarray(digit).resize((280, 280)).save(tmp_path / "seven.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("here")
def test_the_python_of_its_page_dreams(capsys):
    for code in re.findall(
        r"```python\n(.*?)```", (ROOT / "docs/python.md").read_text(encoding="utf-8"), re.DOTALL
    ):
        exec(compile(code, "docs/python.md", "exec"), {})
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("1 of")
    assert last.split()[0] == last.split()[2]
    assert lanterna.read_recipe is not None
    assert lanterna.open_picture("dream.png").shape[0] == 3
    assert lanterna.read_recipe("dreamed.png").inputs[0].path == "cat.jpg"


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_the_network_that_is_added_reads_and_explains_itself(capsys):
    name = f"{ROOT / 'examples/add_network.py'}:mine"
    assert main(["classify", "seven.png", "--network", name, "--top", "3", "--json"]) == 0
    (photo,) = json.loads(capsys.readouterr().out)
    assert photo["answers"][0]["class"] == "7"
    network = lanterna.open_network(name)
    test = mnist("test")
    digits, labels = test.images[:500] / 255, test.labels[:500]
    assert (network(digits).argmax(1) == labels).float().mean() > 0.93
    terms = lanterna.paths(network, digits[0], 7)
    assert terms.exact
    assert terms.explained("edges") == pytest.approx(network(digits[:1])[0, 7].item(), rel=1e-4)


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_the_objective_that_is_added_is_followed(capsys):
    example = runpy.run_path(str(ROOT / "examples/add_objective.py"))
    example["main"]("cat.jpg", "symmetric.png")
    before, after = (float(line.split()[1]) for line in capsys.readouterr().out.splitlines())
    assert after > before + 0.3

    def alike(place: str) -> float:
        picture = lanterna.open_picture(place).mean(0)
        return np.corrcoef(picture.flatten(), picture.flip(1).flatten())[0, 1]

    assert alike("symmetric.png") > alike("cat.jpg") + 0.1
    outputs = {"layer": torch.rand(2, 3, 4, 5)}
    outputs["layer"][0] = outputs["layer"][0] + outputs["layer"][0].flip(2)
    same, other = example["symmetry"]("layer").measure(torch.zeros(2, 3, 4, 5), outputs)
    assert other < -0.01 < same == 0


@pytest.mark.slow
@pytest.mark.usefixtures("here")
def test_the_example_lesson_finds_the_limit_of_its_claim():
    example = runpy.run_path(str(ROOT / "examples/add_lesson.py"))
    lesson, kind = example["LESSON"], example["Softmax"]
    outcome = lesson.experiment(kind())
    assert outcome.finding.verdict == "holds only when"
    edge = np.log(np.finfo(np.float32).max) - 2  # the largest score is 2
    assert edge < outcome.finding.numbers["fails at"] < edge + 2
    assert lesson.experiment(kind(largest=50)).finding.verdict == "holds"
    scores = np.array([2.0, 1.0, -1.0])
    wanted = torch.softmax(torch.tensor(scores), 0).numpy()
    assert np.allclose(example["softmax"](scores, stable=True), wanted)
    softmax = example["softmax"]
    example["experiment"].__globals__["softmax"] = lambda logits, **_: softmax(logits, stable=False)
    assert lesson.experiment(kind()).finding.verdict == "does not hold"
    assert min(draw(lesson, outcome).shape[1:]) > 600


def test_a_mistyped_address_and_a_widget_without_a_kernel_have_a_page(site):
    assert words(article(site, "404")).startswith("There is no such page")
    for name in ("gates", "neuron"):
        page = (site / f"live/lessons/{name}.html").read_text(encoding="utf-8")
        assert LESSONS[name].title in page
    data, _ = play("gates")._repr_mimebundle_()
    assert "../live/lessons/gates.html" in data["text/html"]


def test_the_licences_are_those_of_the_shelf(site):
    output = words(article(site, "faq")).replace("`", "")
    for item in shelf.ITEMS.values():
        assert f"Licence: {item.licence.replace('`', '')}" in output
