"""What pages say can be done: their commands and their Python run, and what they name is there.

A page's commands run one after the other in a folder with the pictures that the page speaks of, small, and
with options that leave less to do. What each has to write is written and opens.
"""

from __future__ import annotations

import json
import random
import re
import shlex
import shutil
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from lanterna import open_painting, open_picture, save_picture
from lanterna.images.digits import mnist
from lanterna.images.film_reading import open_film
from lanterna.images.films import SUFFIXES as FILMS
from lanterna.images.films import save_film
from lanterna.lessons import LESSONS
from lanterna.networks import cache_networks
from lanterna.networks.trained import is_trained, open_trained
from lanterna.surfaces.cli import distributed, main, verbs
from lanterna.surfaces.cli.dispatch import make_app
from lanterna.techniques.dream import technique as dreams
from lanterna.techniques.dream.algorithm import Dream
from lanterna.techniques.imagine import technique as imagines
from lanterna.techniques.imagine.algorithm import Learning
from lanterna.techniques.paint.algorithm import Paint
from lanterna.techniques.paint.random_picture import RandomPicture
from lanterna.techniques.style import technique as declared
from lanterna.techniques.train.film import evenly_spaced
from places import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lanterna.techniques.train.parallel import Processes


@dataclass(frozen=True)
class Page:
    """A page, and what makes its commands small.

    Of `smaller` the first rule counts whose words are all in the command: its options are added. Each word
    in `instead` is replaced. `writes` are rules of the same kind for the file that a command without -o
    writes.
    """

    place: str
    smaller: tuple[tuple[str, str], ...] = ()
    instead: dict[str, str] = field(default_factory=dict)
    writes: tuple[tuple[str, str], ...] = ()
    least: int = 0
    """Pixels that the longer side of each picture has at least."""
    light: int = 250_000
    """Bytes that each picture in the page has at most."""
    trained: bool = True
    """Whether the digit networks are there from the beginning."""

    @property
    def text(self) -> str:
        return (ROOT / self.place).read_text(encoding="utf-8")

    @property
    def commands(self) -> list[str]:
        """Lines of code, and code in a line where it is a whole command."""
        found = re.findall(r"(?:^    |`)lanterna ([a-z]+ [^`\n]+|[a-z]+(?=` \||$))", self.text, re.MULTILINE)
        return list(dict.fromkeys(found))

    @property
    def python(self) -> list[str]:
        return re.findall(r"```python\n(.*?)```", self.text, re.DOTALL)

    @property
    def pictures(self) -> list[Path]:
        named = re.findall(r"!\[[^]]+\]\((.+?)\)", self.text)
        return [(ROOT / self.place).parent / name for name in named]

    def small(self, command: str) -> list[str]:
        words = [self.instead.get(word, word) for word in shlex.split(command)]
        return words + shlex.split(first_rule(self.smaller, words))


def first_rule(rules: tuple[tuple[str, str], ...], words: list[str]) -> str:
    return next((then for when, then in rules if set(when.split()) <= set(words)), "")


SHALLOW = "--style-layers relu1_1 relu2_1 --content-layer relu2_2"  # not the layers that take longest
PAGES = {
    "start": Page(
        "docs/start.md",
        smaller=(
            ("train", "--fraction 0.01 --epochs 1 --hold-out 100 --channels 4 4"),
            ("rerun", "--set size=64"),
            ("paint", "--width 48 --height 48 --samples 1"),
            ("style", "--size 64 --brush 4"),
            ("dream", "--size 64 --steps 1"),
            ("learn descent", "--set steps=5"),
        ),
        instead={"steps=20": "steps=2"},
        writes=(("look", "page-look.html"), ("dream", "dream.png")),
        trained=False,
    ),
    "dream": Page(
        "docs/dream.md",
        smaller=(
            ("dream clip.mp4", "--size 64 --steps 1"),
            ("dream --film", "--size 64 --steps 1 --frames 3"),
            ("dream --sheet", "--side 64 --steps 1 --octaves 1"),
            ("dream -o", "--size 64 --steps 1"),
            ("dream", "--size 64 --steps 1 --force"),
        ),
        writes=(("dream --film", ""), ("dream", "dream.png")),
        least=64,
    ),
    "style": Page(
        "docs/style.md",
        smaller=(
            ("style --film --instant", "--size 64 --brush 4"),
            ("style --film", f"{SHALLOW} --size 64 --steps 1 --frame-steps 1"),
            ("style --sheet --instant", "--size 64 --force"),
            ("style --print", "--brush 4"),
            ("style --built-in", "--size 64 --brush 4"),
            ("style --instant", "--size 64 --brush 4 --force"),
            ("style --checkpoint", f"{SHALLOW} --steps 1"),
            ("style", f"{SHALLOW} --size 64 --steps 1"),
        ),
        instead={"30cm@300dpi": "2cm@150dpi", "1200": "96"},
        writes=(
            ("style --film", ""),
            ("style --sheet", "style-presets.png"),
            ("style --strengths", "style-sheet.png"),
            ("style", "style.png"),
        ),
        least=64,
    ),
    "paint": Page(
        "docs/paint.md",
        smaller=(
            ("paint render --morph", "--frames 2 --size 48"),
            ("paint render", ""),
            ("paint neurons", "--side 16"),
            ("paint --random --loop", "--width 48 --height 48 --samples 1 --frames 4"),
            ("paint --random --sheet", "--width 240 --height 16 --samples 1"),
            ("paint --random", "--width 48 --height 48 --samples 1"),
            ("paint", "--size 48 --steps 10"),
        ),
        instead={"2000": "64", "4000x3000": "80x60", "30cm@300dpi": "2cm@100dpi"},
        writes=(
            ("paint render --morph", ""),
            ("paint render --grid", "grid.png"),
            ("paint render", "render.png"),
            ("paint neurons", "neurons.png"),
            ("paint --sheet", "random-sheet.png"),
            ("paint --loop", ""),
            ("paint --random", "random.png"),
            ("paint --race", "race.png"),
            ("paint", "paint.png"),
        ),
        least=48,
    ),
    "teach": Page(
        "docs/teach.md",
        smaller=(
            ("dream", "--size 64 --steps 1 --octaves 1"),
            ("feature", "--size 64 --steps 1"),
        ),
        instead={"4": "1"},
        least=64,
    ),
    "train": Page(
        "docs/train.md",
        smaller=(
            ("train conv", "--fraction 0.01 --epochs 1 --hold-out 100 --channels 4 4"),
            ("train", "--fraction 0.01 --epochs 1 --hold-out 100"),
        ),
        trained=False,
    ),
    "lecture": Page(
        "docs/lecture.md",
        smaller=(
            ("train quickstart", "--fraction 0.01 --epochs 1 --hold-out 100"),
            ("train", "--fraction 0.01 --epochs 1 --hold-out 100 --channels 4 4 -o other"),
            ("learn", "--set gates=2 tries=1"),
            ("feature", "-o kernels.png"),
            ("dream", "--size 64 --steps 1"),
            ("style", f"{SHALLOW} --size 64 --steps 1"),
            ("paint", "--size 48 --steps 10"),
        ),
        writes=(
            ("look", "page-look.html"),
            ("dream", "dream.png"),
            ("style", "style.png"),
            ("paint", "paint.png"),
            ("imagine", "imagine.png"),
        ),
    ),
    "inside": Page(
        "docs/inside.md",
        smaller=(("feature", "-o kernels.png"),),
        writes=(("look page.jpg", "page-look.html"),),
    ),
    "class": Page("docs/class.md"),
    "README": Page(
        "README.md",
        smaller=(
            ("examples", "new"),
            ("render", "--size 64 --steps 1 --workers 1"),
            ("train", "--fraction 0.01 --epochs 1 --hold-out 100 --channels 4 4 -o other"),
            ("feature", "--size 64 --steps 1 -o feature.png"),
            ("dream", "--size 64 --steps 1 -o dream.png"),
            ("style", "--size 64 --steps 1"),
            ("paint", "--size 48 --steps 10"),
            ("grow", "--training 1 --side 32 --detail 32 --size 64 --steps 2"),
            ("learn", "--set points=8 degree=5 neurons=2"),
        ),
        instead={"picture.png": "style.png", "bark.jpg": "waves.jpg"},
        writes=(
            ("look", "digit-look.html"),
            ("style", "style.png"),
            ("paint", "paint.png"),
            ("imagine", "imagine.png"),
            ("grow", "grow.png"),
            ("page", "class-site/index.html"),
        ),
        light=256 * 1024,
    ),
}
ANSWERS = {"examples", "classify", "read", "networks", "recipe", "learn", "shelf", "doctor"}
"""Verbs that print an answer."""
SERVES = {"studio", "class"}
"""Verbs that go on until they are stopped."""


@pytest.fixture(scope="module")
def pictures(real_shelf: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures, masks, films and folders that pages speak of, small."""
    here = tmp_path_factory.mktemp("pictures")
    photographs = real_shelf / "photographs"
    for name, source in ("cat", "chelsea"), ("cup", "coffee"), ("waves", "gravel"):
        save_picture(open_picture(photographs / f"{source}.png", longest=96), here / f"{name}.jpg")
    for name, box in ("mask", (0, 0, 15, 40)), ("other", (15, 0, 30, 40)), ("face", (10, 10, 20, 20)):
        mask = Image.new("L", (30, 40))
        mask.paste(255, box)
        mask.save(here / f"{name}.png")
    cat = open_picture(here / "cat.jpg")
    save_film([cat[:, :60, shift : shift + 80] for shift in (0, 2, 4)], here / "clip.mp4", count=3)
    page = open_picture(ROOT / "src/lanterna/surfaces/cli/page.jpg", longest=800)
    save_picture(page, here / "page.jpg")
    Image.fromarray(255 - mnist("test").images[0, 0].numpy()).resize((96, 96)).save(here / "digit.png")
    where = random.Random(0)
    for name, source in ("fern", "grass"), ("ivy", "gravel"), ("moss", "brick"):
        photograph = open_picture(photographs / f"{source}.png")
        (here / "plants" / name).mkdir(parents=True)
        for number in range(5):
            top, left = where.randrange(400), where.randrange(400)
            window = photograph[:, top : top + 96, left : left + 96]
            save_picture(window, here / "plants" / name / f"{number}.jpg")
    save_picture(window, here / "photo.jpg")
    (here / "photos").mkdir()
    shutil.copy(here / "cat.jpg", here / "photos")
    return here


@pytest.fixture
def here(pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in with `pictures`."""
    monkeypatch.chdir(shutil.copytree(pictures, tmp_path / "here"))
    return tmp_path / "here"


@pytest.fixture
def page(request: pytest.FixtureRequest, private_home: Path, trained: Path) -> Page:
    """A page, and a home of its own for it."""
    found = PAGES[request.param]
    if found.trained:
        shutil.copytree(trained / "networks", private_home / "networks")
    return found


@pytest.fixture
def quicker(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Processes]]:
    """Sheets of few and small pictures; networks that stay open from one command to the next.

    Several processes are started as far as their launch, which is noted.
    `techniques/test_parallel.py` goes on from there.
    """
    monkeypatch.setattr(declared, "_BRUSHES", (1.0,))
    monkeypatch.setattr(declared, "SHEET_SIDE", 64)
    monkeypatch.setattr(declared, "_STRENGTHS_SIDE", 64)
    monkeypatch.setattr(dreams, "strongest_channels", partial(dreams.strongest_channels, count=6))
    monkeypatch.setattr("lanterna.techniques.style.instant.COARSEST", 128)
    monkeypatch.setattr("lanterna.techniques.dream.estimate._SAMPLE", 64)
    monkeypatch.setattr(imagines, "learning_of", lambda _: Learning(epochs=1, width=32, blocks=1, channels=4))
    monkeypatch.setattr(imagines, "mnist", lambda split: evenly_spaced(mnist(split), 500))
    launched: list[Processes] = []

    def launch(_: object, __: object, wanted: Processes) -> int:
        launched.append(wanted)
        return 0

    monkeypatch.setattr(distributed, "launch", launch)
    with cache_networks():
        yield launched


def written(page: Page, words: list[str]) -> Iterator[Path]:
    """The files that a command has to write."""
    for option in ("-o", "--film", "--morph", "--loop"):
        if option in words:
            yield Path(words[words.index(option) + 1])
    if "-o" not in words and (default := first_rule(page.writes, words)):
        yield Path(default)
    if words[0] == "paint" and not {"render", "neurons", "--random", "--race"} & set(words):
        picture = words[words.index("-o") + 1] if "-o" in words else "paint.png"
        yield Path(picture).with_suffix(".safetensors")


def check_opens(place: Path, least: int) -> None:
    """That a file is there and is what its name says."""
    if place.suffix in FILMS:
        assert open_film(place).count > 1
    elif place.suffix == ".safetensors":
        assert open_painting(place).pictures >= 1
    elif place.suffix == ".html":
        assert "<html" in place.read_text(encoding="utf-8")[:1000]
        assert place.stat().st_size > 1000
    else:
        assert max(open_picture(place).shape) >= least


def check_trained(words: list[str], launched: list[Processes]) -> None:
    """That a network is kept under its name, or a launch in several processes was asked for."""
    name = words[words.index("-o") + 1] if "-o" in words else words[1]
    if {"--devices", "--nodes"} & set(words):
        (how,) = launched
        assert how.nodes * how.devices == 2
        assert not is_trained(name)
        launched.clear()
    else:
        open_trained(name)


@pytest.mark.parametrize("page", PAGES, indirect=True)
def test_commands_write_their_files(page: Page, here: Path, quicker, capsys, monkeypatch):
    assert page.commands
    if page is PAGES["start"]:  # it begins in an empty folder
        here = here / "new"
        here.mkdir()
        monkeypatch.chdir(here)
    printed = {}
    for line in page.commands:
        words = page.small(line)
        if words[0] in SERVES:
            continue
        answers = words[0] in ANSWERS
        assert main([*words, *([] if answers else ["--quiet"])]) in (0, None), line
        printed[words[0]] = capsys.readouterr().out
        if words == ["examples"]:
            for place in here.glob("*.jpg"):  # smaller, so that the rest is quick
                with Image.open(place) as image:
                    image.reduce(2).save(place)
        if answers:
            assert printed[words[0]], line
        elif words[0] in ("train", "teach"):
            check_trained(words, quicker)
        elif words[0] == "render":
            assert len(list((here / words[words.index("-o") + 1]).glob("*.png"))) == 1
        else:
            places = list(written(page, words))
            assert places, line
            for place in places:
                check_opens(here / place, page.least)
    if page is PAGES["dream"]:
        assert main(["recipe", "presets.png", "--json"]) == 0
        commands = json.loads(capsys.readouterr().out)["commands"]
        presets = set(re.findall(r"--preset=(\w+)", " ".join(commands)))
        assert presets == set(Dream.presets)
        assert all(open_film(here / name).count == 3 for name in ("flight.webp", "dreamed.mp4"))
    if page is PAGES["teach"]:
        assert "moss" in printed["classify"]


def dreamed(here: Path, message: str) -> None:
    steps, excited = message.split(" steps, ")
    first, _, last = steps.partition(" of ")
    assert first == last
    assert float(excited.split()[0]) > 1.2
    assert open_picture(here / "dream.png").shape == open_picture(here / "cat.jpg").shape


def painted(here: Path, message: str) -> None:
    decibels, parameters = message.split(" dB, ")
    assert float(decibels) > 20
    assert int(parameters.split()[0]) > 1000
    assert open_picture(here / "turned.png").shape == (3, 300, 400)


def taught(_here: Path, message: str) -> None:
    *_, count, name = message.splitlines()
    assert re.fullmatch(r"\d of 3 right: fern ivy moss", count)
    assert name == "moss"


def trained_a_tenth(_here: Path, message: str) -> None:
    steps, right = message.split(" steps, ")
    assert int(steps) == 20
    assert float(right) > 0.7


def added_up(_here: Path, message: str) -> None:
    answer, explained, note = re.split("[=,]", message, maxsplit=2)
    assert abs(float(answer) - float(explained)) < 1e-3
    assert "exact" in note


def read_the_page(_here: Path, message: str) -> None:
    assert sum(character.isdigit() for character in message.rpartition("of")[2]) > 10


PYTHON = {
    "dream": dreamed,
    "paint": painted,
    "teach": taught,
    "train": trained_a_tenth,
    "inside": added_up,
    "README": read_the_page,
}


@pytest.mark.parametrize("page", PYTHON, indirect=True)
def test_python_blocks_run(page: Page, here: Path, capsys):
    (code,) = page.python
    exec(compile(code, page.place, "exec"), {})
    (name,) = (name for name, each in PAGES.items() if each is page)
    PYTHON[name](here, capsys.readouterr().out)


def test_every_block_of_python_is_run():
    assert {name for name, page in PAGES.items() if page.python} == set(PYTHON)


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_pictures_that_it_shows_are_there_and_light(page: Page):
    assert len(page.pictures) == page.text.count("![")
    for place in page.pictures:
        assert place.stat().st_size < page.light
        assert open_picture(place).shape[0] == 3


def options_of(verb: str) -> set[str]:
    return {name for each in make_app()[verb].assemble_argument_collection() for name in each.names}


@pytest.mark.parametrize("name", ["dream", "style", "paint", "teach", "train", "class"])
def test_the_options_it_names_are_there(name: str):
    named = set(re.findall(r"`(--[a-z-]+)", PAGES[name].text))
    assert named
    known = options_of(name)
    if name == "paint":
        known |= {f"--{each}" for each in RandomPicture.model_fields}  # with --random
    assert named <= known


def test_the_options_in_the_readme_are_those_of_their_verbs():
    rows = re.findall(r"^\| `lanterna (\w+)[^|]*\|(.*)\|$", PAGES["README"].text, re.MULTILINE)
    assert {verb for verb, _ in rows} <= set(verbs())
    for verb, output in rows:
        for option in re.findall(r"`(--[a-z-]+)", output):
            assert option in options_of(verb) | options_of("rerun"), (verb, option)


def test_the_presets_of_dreams_that_it_names_are_there():
    output = PAGES["dream"].text.partition("## Presets")[2].partition("## ")[0]
    named = set(re.findall(r"`(\w+)`", output)) | set(re.findall(r"--preset (\w+)", PAGES["dream"].text))
    assert len(named) > 3
    assert named <= set(Dream.presets)


def test_the_settings_and_presets_of_paintings_that_it_names_are_there():
    text = PAGES["paint"].text
    presets = set(re.findall(r"--preset (\w+)", text))
    assert presets
    assert presets <= set(Paint.presets) | set(RandomPicture.presets)
    learning, _, unlearned = text.partition("## Pictures from random networks")
    for part, kind in (learning, Paint), (unlearned, RandomPicture):
        output = set(re.findall(r"`--(\w+)`", part))
        assert output
        assert output <= {*kind.model_fields, "mask", "keep", "race", "resume", "preset", "loop"}


def test_the_lecture_leads_to_every_lesson():
    text = PAGES["lecture"].text
    assert set(re.findall(r"\(lessons\.md#lesson-([a-z]+)\)", text)) == set(LESSONS)
    for name, lesson in LESSONS.items():
        assert f"[{lesson.title}](lessons.md#lesson-{name})" in text
    links = re.findall(r"\]\(([^)#]+)", text)
    assert all(link.startswith("https://") or (ROOT / "docs" / link).is_file() for link in links), links
    answers = re.findall(r"^> .*(?:\n> .*)*\n\n((?:.+\n)+)", text, re.MULTILINE)
    assert len(answers) == len(re.findall(r'^> "', text, re.MULTILINE)) > 40
    assert all("](" in answer or "`lanterna " in answer for answer in answers), answers


def test_the_address_is_one_of_a_home_network():
    assert re.findall(r"--address (\S+)", PAGES["train"].text) == ["192.168.0.10:29500"] * 2
