"""The showcase: every technique with every preset on the same example pictures, on one page to look at.

    python scripts/showcase.py [--only style,instant] [--pictures chelsea,my.jpg] [--size 512]
        [--paintings FOLDER] [--against OLD] [--quick] [-o build/showcase]

It writes a folder with `index.html`, the pictures with their recipes, and `showcase.json`. Techniques,
presets, sheets and films are those that are declared. All settings are defaults, except that films are small.
A picture of the same settings, inputs and weights that is there already is not made again: the same command
continues after Ctrl-C. After a change of an algorithm, write to a new folder, and give the old one with
`--against`. `--only` takes verbs and techniques. `--quick` takes one picture, makes everything small, and
leaves the sheets out. Exit code 1 if a picture could not be made; the page says why.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import time
import traceback
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from html import escape
from itertools import cycle, islice, zip_longest
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image, ImageDraw

import lanterna
from lanterna import open_picture, save_picture, shelf
from lanterna.errors import LanternaError, UsageError
from lanterna.files import atomic_write, sha256
from lanterna.images.decoding import SUFFIXES
from lanterna.images.drawing import as_picture
from lanterna.images.film_reading import open_film
from lanterna.images.films import save_film
from lanterna.images.recipe import describe_machine
from lanterna.networks import shelf_items
from lanterna.surfaces.web.page import styles
from lanterna.techniques import execute
from lanterna.techniques.octaves import resized
from lanterna.techniques.paint.random_picture import RandomPicture, random_picture
from lanterna.techniques.registry import all_techniques, load_errors
from lanterna.techniques.rerun import command_line
from lanterna.techniques.technique import Output

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "examples"))
from style_sheet import hatching, strokes  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from torch import Tensor

    from lanterna.images import Recipe
    from lanterna.techniques.technique import Input, Result, Technique

PICTURES = ("chelsea", "astronaut", "coffee", "town")
"""The pictures if none are chosen: an animal, a portrait, a cup and a drawing."""

PAN = "pan.webp"
PAGE = ROOT / "src/lanterna/surfaces/cli/page.jpg"
READS_DIGITS = "read"
"""The technique whose picture must be a page with handwritten digits."""

TARGETS: dict[str, Sequence[Mapping[str, str]]] = {
    "feature": (
        {"layer": "block9", "channel": "31"},
        {"class_": "goldfish"},
        {"layer": "block9", "sheet": "8"},
    ),
}
"""Settings for techniques whose defaults are not enough to run them."""

WORDS = {
    "chelsea": "a cat", "astronaut": "a portrait", "coffee": "a cup of coffee", "rocket": "a rocket at dusk",
    "town": "a drawing of a town", "page": "a handwritten page", "pan": "a film of a cat",
    "strokes": "brush strokes", "hatching": "ink hatching", "glass": "swirls of coloured glass",
    "several": "several pictures",
}  # fmt: skip
"""Descriptions of the inputs, by the stems of their files."""

FILM = {"size": "256", "frames": "12"}
"""Settings of films, for those that have them."""

QUICK = {
    "size": "160", "frames": "4", "steps": "10", "frame_steps": "4", "seconds": "1", "epochs": "1",
    "runs": "1", "digits": "500", "training": "30", "fraction": "0.1", "width": "192", "height": "144",
}  # fmt: skip
"""Settings of a quick showcase, for the techniques that have and allow them."""

LONGEST = 400  # pixels, of the examples: a full showcase takes about an hour on two cores
SEVERAL = 3  # pictures, for techniques that learn several at once


# The example pictures.


def town() -> Tensor:
    """Draw a town by a river in ink: two rows of gabled houses, a church, hatched roofs, ripples."""
    random, scale = Random(11), 2
    image = Image.new("RGB", (640 * scale, 427 * scale), (246, 240, 226))
    draw = ImageDraw.Draw(image)

    def line(*points: tuple[float, float], width: int = 2, ink: tuple[int, int, int] = (32, 34, 44)) -> None:
        moved = [(scale * x + random.uniform(-2, 2), scale * y + random.uniform(-2, 2)) for x, y in points]
        draw.line(moved, fill=ink, width=width * scale, joint="curve")

    def house(x: float, ground: float, width: float, height: float, wall: tuple[int, int, int]) -> None:
        eaves, ridge = ground - height, ground - height - width * random.uniform(0.5, 0.8)
        roof = [(x - 5, eaves), (x + width / 2, ridge), (x + width + 5, eaves)]
        corners = [(x, ground), (x, eaves), (x + width, eaves), (x + width, ground)]
        draw.polygon([(scale * a, scale * b) for a, b in corners], fill=wall)
        draw.polygon([(scale * a, scale * b) for a, b in roof], fill=(196, 106, 74))
        line(*corners, corners[0])
        line(*roof, roof[0])
        for part in range(1, 12):  # hatching, parallel to the left slope
            share = part / 12
            foot = (x - 5 + share * (width + 10), eaves)
            line(foot, (foot[0] + (1 - share) * width / 2, eaves + (1 - share) * (ridge - eaves)), width=1)
        for row in range(int(height // 34)):
            for column in range(int(width // 26)):
                left, top = x + 9 + column * 25, eaves + 10 + row * 33
                pane = (left * scale, top * scale, (left + 12) * scale, (top + 18) * scale)
                draw.rectangle(pane, (92, 112, 128))
                line((left, top), (left + 12, top), (left + 12, top + 18), (left, top + 18), (left, top))
                line((left + 6, top), (left + 6, top + 18), width=1)

    draw.ellipse([scale * each for each in (500, 36, 560, 96)], (232, 178, 84), (32, 34, 44), 2 * scale)
    for row in range(14):  # a cloud
        reach = 70 * (1 - abs(row - 7) / 8) + random.uniform(0, 20)
        line((150 - reach, 50 + row * 4), (150 + reach, 46 + row * 4), width=1)
    walls = ((236, 222, 190), (222, 200, 160), (206, 206, 196), (228, 190, 150), (240, 232, 214))
    for number in range(7):
        house(8 + number * 92, 300, random.uniform(66, 84), random.uniform(100, 135), walls[number % 5])
    house(288, 300, 54, 190, (214, 208, 192))  # the church's tower
    line((315, 66), (315, 28))
    line((306, 40), (324, 40))
    for number in range(8):
        house(-22 + number * 86, 340, random.uniform(68, 84), random.uniform(50, 76), walls[number * 2 % 5])
    line((0, 340), (640, 340), width=3)
    for row in range(17):  # the river
        for _ in range(9):
            x, y = random.uniform(0, 640), 348 + row * 4.6
            line((x, y), (x + 14, y - 2), (x + 28, y), (x + 48, y - 1), width=1, ink=(52, 84, 112))
    return as_picture(image.resize((LONGEST, LONGEST * 427 // 640), Image.Resampling.LANCZOS))


def glass() -> Tensor:
    """Return a picture by an untrained network, as a painting."""
    preset = {**RandomPicture.presets.get("glass", {}), "width": 512, "height": 512}
    return random_picture(RandomPicture.checked(preset))


PAINTINGS: dict[str, Callable[[], Tensor]] = {"strokes": strokes, "hatching": hatching, "glass": glass}


def save_pan(path: Path) -> None:
    """Save a film that moves across a photograph."""
    picture = open_picture(shelf.need("photographs") / "chelsea.png")
    frames = [resized(picture[:, :, left : left + 400], (192, 256)).clamp(0, 1) for left in range(0, 48, 8)]
    save_film(frames, path, count=len(frames), fps=8)


def gather(
    folder: Path, pictures: Sequence[str], paintings: Path | None, count: int | None = None
) -> tuple[list[str], list[str]]:
    """Put the example pictures into `folder`; return the files of the pictures and of `count` paintings.

    Errors: `UsageError` if a picture is neither an example nor a file that can be read, or two have one name.
    """
    found = [] if paintings is None else sorted(paintings.glob("*"))
    found = [file for file in found if file.suffix.lower() in SUFFIXES]
    if paintings is not None and not found:
        raise UsageError(f"{paintings} has no pictures: expected a folder with paintings")
    names = Counter([*(Path(name).stem for name in pictures), *PAINTINGS, *(file.stem for file in found)])
    if names.most_common(1)[0][1] > 1:
        raise UsageError(f"two pictures are called {names.most_common(1)[0][0]!r}: rename one")
    folder.mkdir(parents=True, exist_ok=True)
    examples: dict[str, Callable[[], Tensor]] = {
        file.stem: partial(open_picture, file, longest=LONGEST)
        for file in shelf.need("photographs").iterdir()
    }
    examples |= {"town": town, **PAINTINGS}

    def place(name: str) -> str:
        """Return the file of an example, or of a copy of the user's own picture."""
        if name == PAGE.stem:
            return copy(PAGE)
        if name not in examples:
            return copy(Path(name).expanduser())
        if not (folder / f"{name}.png").exists():
            save_picture(examples[name](), folder / f"{name}.png")
        return f"{name}.png"

    def copy(source: Path) -> str:
        open_picture(source, longest=64)  # raises if it is none
        with atomic_write(folder / source.name) as temporary:
            shutil.copyfile(source, temporary)
        return source.name

    copy(PAGE)
    if not (folder / PAN).exists():
        save_pan(folder / PAN)
    painted = [*(partial(place, name) for name in PAINTINGS), *(partial(copy, file) for file in found)]
    return [place(name) for name in pictures], [make() for make in painted[:count]]


# What to make.


@dataclass(frozen=True)
class Cell:
    """One run: a technique with a preset, and the file names of its inputs, relative to the showcase."""

    technique: Technique
    preset: str | None
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    given: Mapping[str, str] = field(default_factory=dict)
    """Settings that override those of the preset."""
    variant: str = ""
    """Which of several sheets or targets it is."""

    @property
    def shown(self) -> list[str]:
        """What it is made from: `chelsea`, and perhaps `strokes`, the painting."""
        return ["several" if len(each) > 1 else Path(each[0]).stem for each in self.files.values()]

    @property
    def name(self) -> str:
        """The start of its files' names, and what it is matched by with an earlier showcase."""
        return "_".join(filter(None, (self.technique.name, self.variant, self.preset, "-".join(self.shown))))

    @property
    def about(self) -> dict[str, Any]:
        """What it is, for its entry in the record."""
        words = [word for word in (self.preset, self.variant, *self.shown) if word]
        return {"technique": self.technique.name, "preset": self.preset, "words": words}

    @property
    def sidecar(self) -> str:
        """The file next to its picture, for techniques that write one."""
        return f"{self.name}{self.technique.sidecar[1]}" if self.technique.sidecar else ""

    @cached_property
    def settings(self) -> Any:
        """Its settings. Errors: `UsageError`."""
        counts = {name: len(files) for name, files in self.files.items()}
        return self.technique.checked(self.preset, self.given, counts)

    def key(self, folder: Path) -> str:
        """Return a digest of everything that its pictures depend on, except the code.

        Errors: `UsageError`.
        """
        for file in (file for files in self.files.values() for file in files):
            if not (folder / file).is_file():
                raise UsageError(f"{file}, which this is made from, could not be made")
        parts = {
            "settings": self.settings.model_dump(mode="json"), "lanterna": lanterna.__version__,
            "files": {name: [sha256(folder / file) for file in files] for name, files in self.files.items()},
            "shelf": {item: shelf.hashes(item) for item in self.items},
        }  # fmt: skip
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def items(self) -> list[str]:
        """The items of the shelf that it needs."""
        networks = self.technique.networks(self.settings)
        return [
            *self.technique.items(self.settings),
            *(item for name in networks for item in shelf_items(name)),
        ]


def is_film(technique: Technique) -> bool:
    """Return whether a technique makes a film, perhaps next to a picture."""
    return bool(technique.film_flag) or technique.output is Output.FILM


def plan(pictures: Sequence[str], paintings: Sequence[str], changes: Mapping[str, str]) -> Iterator[Cell]:
    """Yield what to make; a file that another cell writes comes after it. `changes` are settings for all."""
    length = max(len(pictures), len(paintings))
    pairs = list(zip(islice(cycle(pictures), length), islice(cycle(paintings), length), strict=True))
    several = tuple(dict.fromkeys((*pictures, *paintings)))[:SEVERAL]
    makers: dict[str, Cell] = {}  # of files that are inputs of other techniques, by the input's name
    for technique in all_techniques().values():
        related = [each for each in all_techniques().values() if each.verb == technique.verb]
        taken = {each.name for other in related for each in other.inputs if each.required and not each.grey}
        inputs = [each for each in technique.inputs if each.name in taken]
        once = is_film(technique) or technique.output is Output.SHEET
        subjects = list(_subjects(technique, inputs, pairs, several, makers))
        presets: list[str | None] = [] if technique.default_preset else [None]
        presets += [] if once else technique.presets
        chooser = technique.output_setting
        variants = [{chooser: output} for output in technique.outputs] if chooser else [{}]
        for preset in presets:
            for files in subjects[: 1 if once else None]:
                is_several = any(len(each) > 1 for each in files.values())
                if is_several and preset != presets[0]:
                    continue
                for variant in TARGETS.get(technique.name, variants):
                    wanted = {**(FILM if is_film(technique) else {}), **changes}
                    given = _accepted(technique, preset, files, wanted, variant)
                    cell = Cell(technique, preset, files, given, "-".join(variant.values()))
                    if technique.sidecar and not once and (is_several or technique.sidecar[0] not in makers):
                        makers[technique.sidecar[0]] = cell
                    yield cell


def _subjects(
    technique: Technique,
    inputs: Sequence[Input],
    pairs: Sequence[tuple[str, str]],
    several: tuple[str, ...],
    makers: Mapping[str, Cell],
) -> Iterator[dict[str, tuple[str, ...]]]:
    """Yield the files of each run: each picture, together with a painting for techniques that take two."""
    if not inputs:
        yield {}
        return
    first = inputs[0]
    if any(each.folder for each in inputs):  # of many pictures, which we do not have
        return
    if first.suffix:
        if first.name in makers:
            yield {first.name: (makers[first.name].sidecar,)}
        return
    if technique.name == READS_DIGITS:
        pairs = [(PAGE.name, "")]
    elif first.name == "drawing":  # photographs have no plain paper
        pairs = [pair for pair in pairs if pair[0] == "town.png"]
    elif technique.output is Output.FILM and "picture" not in first.help:  # only an animation
        pairs = [(PAN, pairs[0][1])]
    for pair in dict.fromkeys(pair[: len(inputs)] for pair in pairs):
        yield {each.name: (f"inputs/{file}",) for each, file in zip(inputs, pair, strict=True)}
    if first.many and len(inputs) == 1 and technique.output is Output.PICTURE:
        yield {first.name: tuple(f"inputs/{file}" for file in several)}


def _accepted(
    technique: Technique,
    preset: str | None,
    files: Mapping[str, Sequence[str]],
    changes: Mapping[str, str],
    chosen: Mapping[str, str],
) -> dict[str, str]:
    """Return `chosen` with those of the changes that the technique has a setting for, and that reduce it."""
    given = dict(chosen)
    counts = {name: len(each) for name, each in files.items()}
    for name, value in changes.items():
        if name in technique.settings.model_fields and name not in chosen:
            with suppress(UsageError):  # below the range of this technique
                now = getattr(technique.checked(preset, given, counts), name)
                if name == "size" if now is None else not isinstance(now, int | float) or now > float(value):
                    technique.checked(preset, {**given, name: value}, counts)
                    given[name] = value
    return given


# Making it.


def make(cell: Cell, folder: Path) -> dict[str, Any]:
    """Run a cell, save its pictures in the folder, and return its entry. Errors: those of the technique."""
    technique = cell.technique
    films = folder / f"{cell.name}.webp" if is_film(technique) else None
    paths = {name: [folder / file for file in files] for name, files in cell.files.items()}
    trained = folder / "networks" / cell.name  # not among the user's own networks
    job = execute.Job(
        technique, cell.settings, paths, film=films, force=True, options=technique.run_options(None),
        title=str(trained) if technique.output is Output.NETWORK else "",
        names={folder / file: file for files in cell.files.values() for file in files},
    )  # fmt: skip
    job.fetch(*cell.items)
    begun = time.perf_counter()
    work = execute.begin(job)
    frame = execute.last_frame(work.frames)
    results = list(work.results(frame, job.settings))
    report = work.report(frame)
    seconds = time.perf_counter() - begun
    films_only = [result for result in results if result.film is not None]
    figures = [_save(cell, job, result, folder, len(results) > 1) for result in films_only or results]
    if not figures:  # the answer is in words
        figures = [
            {"file": files[0], "words": [], "command": _command(cell, None, "")}
            for files in cell.files.values()
        ]
    if technique.sidecar and not films:
        suffix, write = next(result.sidecar for result in results if result.sidecar)
        write(folder / f"{cell.name}{suffix}")
    execute.clean_up(job)
    answer = [*(result.words for result in results if result.words), *report.lines]
    return {**cell.about, "seconds": round(seconds, 2), "answer": answer, "figures": figures}


def _save(cell: Cell, job: execute.Job, result: Result, folder: Path, several: bool) -> dict[str, Any]:
    recipe = execute.recipe_of(job, result)
    name = f"{cell.name}_{result.output}" if several and result.film is None else cell.name
    _, height, width = result.picture.shape
    figure: dict[str, Any] = {"file": f"{name}.png", "width": width, "height": height}
    figure["words"] = [result.output] if several and result.film is None else []
    if result.film is None:
        execute.save_result(result, folder / figure["file"], recipe, force=True)
    else:
        figure["film"] = f"{name}.webp"
        execute.save_result(result, folder / figure["film"], recipe, force=True)
        save_picture(result.picture, folder / figure["file"], force=True)
    return {**figure, "command": _command(cell, recipe, figure.get("film", figure["file"]))}


def _command(cell: Cell, recipe: Recipe | None, file: str) -> str:
    if recipe is not None:
        return command_line(recipe, file, preset=cell.preset)
    files = [file for files in cell.files.values() for file in files]
    return " ".join(["lanterna", *cell.technique.command, *files])


class Showcase:
    """A folder of pictures, the record of what is in it, and its page."""

    def __init__(self, folder: Path, against: Path | None = None) -> None:
        self.folder, self.against = folder, against
        self.entries = _read(folder, missing_ok=True)
        for entry in self.entries.values():
            for figure in entry.get("figures", ()):
                figure.pop("before", None)
        self.earlier = _read(against) if against else {}

    def add(self, cell: Cell) -> str:
        """Make what a cell shows, unless it is there; return what happened, in a word or two."""
        before = self.entries.get(cell.name, {})
        try:
            key = cell.key(self.folder)
            if before.get("key") == key and self._is_complete(cell, before):
                self._compare(cell.name)
                return "is there"
            self.entries[cell.name] = {**make(cell, self.folder), "key": key}
        except Exception as error:  # one picture's fault ends no others
            text = str(error)
            if not isinstance(error, LanternaError):
                last = traceback.extract_tb(error.__traceback__)[-1]
                text = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}: {text}"
            self.entries[cell.name] = {**cell.about, "error": text.partition("\n")[0]}
        self._compare(cell.name)
        self.write()
        entry = self.entries[cell.name]
        return f"failed: {entry['error']}" if "error" in entry else f"{entry['seconds']:.1f} s"

    def _is_complete(self, cell: Cell, entry: Mapping[str, Any]) -> bool:
        names = [figure[kind] for figure in entry["figures"] for kind in ("file", "film") if kind in figure]
        names += [cell.sidecar] if cell.sidecar and not is_film(cell.technique) else []
        return all((self.folder / name).is_file() for name in names)

    def _compare(self, name: str) -> None:
        """Copy the earlier showcase's pictures of an entry, and note whether they are the same."""
        earlier = self.earlier.get(name, {})
        assert self.against is not None or not earlier
        pairs = zip(self.entries[name].get("figures", ()), earlier.get("figures", ()), strict=False)
        for figure, old in pairs:
            source = self.against / old.get("film", old["file"])
            if not source.is_file() or old["file"].startswith("inputs/"):
                continue
            with atomic_write(self.folder / "before" / source.name) as copy:
                shutil.copyfile(source, copy)
            now = self.folder / figure.get("film", figure["file"])
            figure["before"] = {
                "file": f"before/{source.name}", "seconds": earlier["seconds"],
                "same": all(
                    a is not None and b is not None and torch.equal(a, b)
                    for a, b in zip_longest(_frames(source), _frames(now))
                ),
            }  # fmt: skip

    def write(self) -> None:
        """Write the record and the page, each atomically."""
        with atomic_write(self.folder / "showcase.json") as temporary:
            temporary.write_text(json.dumps(self.entries, indent=1), encoding="utf-8")
        with atomic_write(self.folder / "index.html") as temporary:
            temporary.write_text(page(self), encoding="utf-8")


def _frames(path: Path) -> Iterable[Tensor]:
    """Return the pictures in a file."""
    return open_film(path).frames(0) if execute.is_animation(path) else [open_picture(path)]


def _read(folder: Path, *, missing_ok: bool = False) -> dict[str, Any]:
    """Return the record of a showcase. Errors: `UsageError` if there is none, or another folder's files."""
    place = folder / "showcase.json"
    if missing_ok and not (folder.is_dir() and any(folder.iterdir())):
        return {}
    try:
        entries: dict[str, Any] = json.loads(place.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{folder}: expected a showcase, whose showcase.json can be read") from error
    return entries


# The page.


def page(showcase: Showcase) -> str:
    """Return the page as HTML: a section for each technique, a row of pictures for each preset."""
    techniques = all_techniques()
    entries = [each for each in showcase.entries.values() if each["technique"] in techniques]
    sections, links, linked = [], [], set()
    for technique in techniques.values():
        own = [each for each in entries if each["technique"] == technique.name]
        names = [name for name in (None, *technique.presets) if any(each["preset"] == name for each in own)]
        if not own:
            continue
        title = technique.title
        if technique.verb != technique.name:
            title = f"{technique.verb.capitalize()}: {title[0].lower()}{title[1:]}"
        rows = [[_figures(technique, each) for each in own if each["preset"] == name] for name in names]
        if all(len(row) == 1 for row in rows):
            rows, names = [[figures for row in rows for figures in row]], [None]
        body = ""
        for name, row in zip(names, rows, strict=True):
            heading = f"<h3>{escape(name or 'defaults')}</h3>" if len(names) > 1 else ""
            body += f'{heading}<div class="row">{"".join(row)}</div>\n'
        if technique.verb not in linked:
            linked.add(technique.verb)
            links.append(f'<a href="#{technique.name}">{technique.verb}</a>')
        sections.append(
            f'<section id="{technique.name}"><h2>{escape(title)}</h2><p>{escape(technique.help)}</p>\n'
            f"{body}</section>\n"
        )
    failed = sum("error" in each for each in entries)
    made = sum(len(each.get("figures", ())) for each in entries)
    seconds = sum(each.get("seconds", 0) for each in entries)
    took = f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    left_out = [name for name in techniques if not any(each["technique"] == name for each in entries)]
    about = (
        f"{made} pictures, made in {took} by Lanterna {lanterna.__version__} "
        f"with torch {torch.__version__} on {describe_machine(torch.device('cpu'))}"
        f"{f'; {failed} failed' if failed else ''}. Commands run in this folder."
    )
    notes = [f"Not shown: {', '.join(left_out)}."] if left_out else []
    notes += [f"{verb}: {error}" for verb, error in load_errors().items()]
    inputs = "".join(
        f'<li><img src="inputs/{escape(file.name)}" alt="{escape(WORDS.get(file.stem, "a picture"))}" '
        f'loading="lazy"><span>{escape(file.stem)}</span></li>'
        for file in sorted((showcase.folder / "inputs").glob("*"))
    )
    filled = {
        "styles": styles(), "about": escape(about), "nav": "".join(links), "inputs": inputs,
        "sections": "".join(sections), "notes": "".join(f"<p>{escape(note)}</p>" for note in notes),
        "filter": FILTER if showcase.earlier else "",
    }  # fmt: skip
    text = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
    for name, value in filled.items():
        text = text.replace(f"<!-- {name} -->", value)
    return text


FILTER = (
    "<p>Earlier pictures that differ are on the right.</p>"
    '<label><input type="checkbox" id="changed"> only pictures that differ</label>'
)


def _figures(technique: Technique, entry: Mapping[str, Any]) -> str:
    """Return the figures of an entry, or one with its error."""
    words = [technique.title, *(WORDS.get(word, word) for word in entry["words"])]
    if "error" in entry:
        return f'<p class="error" role="note">{escape(", ".join(words))}: {escape(entry["error"])}</p>'
    return "".join(_figure(entry, each, ", ".join((*words, *each["words"]))) for each in entry["figures"])


def _figure(entry: Mapping[str, Any], figure: Mapping[str, Any], words: str) -> str:
    size = f' width="{figure["width"]}" height="{figure["height"]}"' if "width" in figure else ""
    before = figure.get("before")
    pictures = _picture(figure["file"], words, size, figure.get("film", ""))
    if before and not before["same"]:
        pictures = f"{pictures}{_picture(before['file'], f'{words}, earlier', '', '')}"
    change = ""
    if before:
        change = ", the same as before" if before["same"] else f", before {before['seconds']:.1f} s"
    title = ", ".join((*entry["words"], *figure["words"]))
    answer = "".join(f"<br>{escape(line)}" for line in entry["answer"])
    command = " ".join(f"<span>{escape(word)}</span>" for word in figure["command"].split(" "))
    return (
        f'<figure class="{"same" if before and before["same"] else ""}">'
        f'<div class="{"pair" if before and not before["same"] else ""}">{pictures}</div>'
        f"<figcaption><b>{escape(title)}</b> "
        f"<span>{entry['seconds']:.1f} s{change}</span>{answer}"
        f'<div class="command"><code>{command}</code><button type="button">Copy</button></div>'
        "</figcaption></figure>\n"
    )


def _picture(file: str, words: str, size: str, film: str) -> str:
    """Return a picture that links to itself; a film moves unless the user prefers reduced motion."""
    image = f'<img src="{escape(file)}" alt="{escape(words)}"{size} loading="lazy">'
    if film:
        still = "(prefers-reduced-motion: no-preference)"
        image = f'<picture><source srcset="{escape(film)}" media="{still}">{image}</picture>'
    return f'<a href="{escape(film or file)}">{image}</a>'


def main(words: Sequence[str] | None = None) -> int:
    """Make the showcase."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, help="the showcase's folder [build/showcase]")
    parser.add_argument("--only", help="verbs or techniques, separated by commas")
    parser.add_argument("--pictures", help="example pictures (town, page, photographs of the shelf) or files")
    parser.add_argument("--paintings", type=Path, help="a folder with more paintings")
    parser.add_argument("--size", type=int, help="pixels along the longer side, instead of the defaults")
    parser.add_argument("--against", type=Path, help="an earlier showcase, to show its pictures beside these")
    parser.add_argument("--quick", action="store_true", help="one picture, everything small: minutes")
    given = parser.parse_args(words)
    folder = given.output or ROOT / "build" / ("showcase-quick" if given.quick else "showcase")
    default = ",".join(PICTURES[:1] if given.quick else PICTURES)
    names = [name for name in (given.pictures or default).split(",") if name]
    only = set((given.only or "").split(",")) - {""}
    changes = {**(QUICK if given.quick else {}), **({"size": str(given.size)} if given.size else {})}
    begun = time.perf_counter()
    try:
        known = {word for each in all_techniques().values() for word in (each.name, each.verb)}
        if unknown := sorted(only - known):
            raise UsageError(f"no technique {unknown[0]!r}: there are {', '.join(sorted(known))}")
        showcase = Showcase(folder, given.against)
        showcase.write()
        count = 1 if given.quick else None
        pictures, paintings = gather(folder / "inputs", names, given.paintings, count)
        cells = list(plan(pictures, paintings, changes))
        if given.quick:
            cells = [cell for cell in cells if cell.technique.output is not Output.SHEET]
        if only:
            chosen = [cell for cell in cells if only & {cell.technique.name, cell.technique.verb}]
            needed = {file for cell in chosen for files in cell.files.values() for file in files}
            cells = [cell for cell in cells if cell in chosen or cell.sidecar in needed]
        for number, cell in enumerate(cells, start=1):
            print(f"{number} of {len(cells)}: {cell.name}", end=" ", file=sys.stderr, flush=True)
            print(showcase.add(cell), file=sys.stderr, flush=True)
        showcase.write()
    except LanternaError as error:
        print(f"showcase: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nstopped: the same command continues", file=sys.stderr)
        return 130
    failed = sum("error" in showcase.entries[cell.name] for cell in cells)
    print(f"{folder / 'index.html'}: {len(cells)} runs, {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
