"""A website that needs no installation: draw a digit, train, lessons, a texture and pictures.

Each page is one file that opens from disk (`web/page.py`), so the folder works from any file server, and by
a double click. Nothing in it is from a data set: the networks are those trained here, the digit that the
first page begins with is drawn by `_example`.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from functools import partial
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw

from lanterna.errors import LanternaError, UsageError
from lanterna.files import MARKER, format_size, refuse_to_overwrite, working_folder
from lanterna.images import open_picture, read_recipe, save_picture
from lanterna.images.drawing import as_picture
from lanterna.images.normalise import normalised_images
from lanterna.lessons import LESSONS
from lanterna.lessons.measured import measured
from lanterna.surfaces.web.lesson_page import WIDGETS, lesson_page
from lanterna.surfaces.web.look_page import drawing_page
from lanterna.surfaces.web.page import asset, standalone, styles, with_imports
from lanterna.techniques.grow.page import still, texture_page
from lanterna.techniques.grow.rule import open_rule
from lanterna.techniques.rerun import command_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor

    from lanterna.images import Recipe
    from lanterna.lessons import Lesson
    from lanterna.networks.network import Network

MAX_FIRST_BYTES = 6_000_000
"""The maximum size of the first page, which a phone loads."""

_LONGEST = 1280  # pixels of a picture
_STEPS = 160  # of a texture's rule, until the still picture
_KINDS = {"conv": "convolutional", "dense": "fully connected"}
_THREE = (
    (78, 56),
    (112, 45),
    (139, 67),
    (123, 94),
    (101, 107),
    (134, 123),
    (146, 157),
    (112, 179),
    (76, 166),
)


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a site contains: digit networks by name, files of textures that live on one page, and pictures."""

    networks: Mapping[str, Network] = field(default_factory=dict)
    textures: Sequence[Path] = ()
    pictures: Sequence[Path] = ()

    @property
    def sections(self) -> dict[str, str]:
        """The title of each section, and its file; that of the first is `index.html`."""
        found = {
            "Look inside": bool(self.networks), "Train": True, "Lessons": True,
            "Texture": bool(self.textures), "Pictures": bool(self.pictures),
        }  # fmt: skip
        titles = [title for title, present in found.items() if present]
        files = {title: f"{title.split()[0].lower()}.html" for title in titles}
        return files | {titles[0]: "index.html"}

    @property
    def steps(self) -> int:
        """The number of files that are written, for a progress bar."""
        return len(self.networks) + 2 + len(WIDGETS) + bool(self.textures) + 2 * len(self.pictures)


def check_site(folder: Path, *, force: bool) -> None:
    """Check that a site may be written to `folder`. Errors: `UsageError` in one line.

    With `force` a site that `write_site` wrote is replaced, a folder with any other file in it never.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: name a folder to write")
    target = folder.resolve()
    if Path.cwd().is_relative_to(target):
        raise UsageError(f"the current folder is in {folder}: name another folder to write")
    refuse_to_overwrite(target.with_name(f".{target.name}-new"), force=True)
    present = set(target.rglob("*"))
    if not present:
        return
    try:
        listed = [target / name for name in (target / MARKER).read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        listed = []
    own = {target / MARKER, *listed, *(parent for file in listed for parent in file.parents)}
    others = sorted(each for each in present if each not in own or each.is_symlink())
    if others:
        raise UsageError(
            f"{folder} has something else in it, such as {others[0].name}: choose another folder"
        )
    if not force:
        raise UsageError(f"{folder} already has a site: choose another folder, or give --force to replace it")


def write_site(
    folder: Path,
    contents: Contents,
    *,
    force: bool = False,
    watch: Callable[[int, int], object] = lambda *_: 0,
) -> int:
    """Write the site to `folder`, whole or not at all; return the size of its first page in bytes.

    `watch` is called with the number of files that are written and of all.

    Errors: those of `check_site`; `UsageError` for a texture or a picture that cannot be opened, or a first
    page of more than `MAX_FIRST_BYTES`; `LanternaError` if the folder cannot be written.
    """
    check_site(folder, force=force)
    folder = folder.resolve()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with working_folder(f".{folder.name}-", folder.parent) as temporary:
            site = temporary / "site"
            for done, (name, content) in enumerate(_files(contents), start=1):
                (site / name).parent.mkdir(parents=True, exist_ok=True)
                if isinstance(content, str):
                    (site / name).write_text(content, encoding="utf-8")
                else:
                    content(site / name)
                watch(done, contents.steps)
            size = (site / "index.html").stat().st_size
            if size > MAX_FIRST_BYTES:
                raise UsageError(
                    f"the first page would have {format_size(size)}, more than "
                    f"{format_size(MAX_FIRST_BYTES)}: train a smaller network"
                )
            names = sorted(file.relative_to(site).as_posix() for file in site.rglob("*") if file.is_file())
            (site / MARKER).write_text("\n".join(names) + "\n", encoding="utf-8")
            if folder.is_dir():
                folder.rename(temporary / "before")  # of which nothing else is in use, see check_site
            shutil.move(site, folder)
    except OSError as error:
        raise LanternaError(f"cannot write {folder}: {error.strerror or error}") from error
    return size


def _files(contents: Contents) -> Iterator[tuple[str, str | Callable[[Path], object]]]:
    """Yield each file's name, and its text or a function that writes it."""
    example = _example()
    for name, network in contents.networks.items():
        place = _place(contents, name)
        head = _bar(contents, "Look inside") + _choice(contents, name)
        page = drawing_page(network, example, name=name, title="A digit, drawn", head=head)
        yield place, page
    yield contents.sections["Train"], _training(contents)
    yield contents.sections["Lessons"], _list_of_lessons(contents)
    lessons = [LESSONS[name] for name in LESSONS if name in WIDGETS]
    for number, lesson in enumerate(lessons):
        before = lessons[number - 1] if number else None
        after = next(iter(lessons[number + 1 :]), None)
        yield f"lessons/{lesson.name}.html", _lesson(contents, lesson, before, after)
    if contents.textures:
        yield contents.sections["Texture"], _texture(contents)
    shown = []
    for number, file in enumerate(contents.pictures, start=1):
        picture, recipe = open_picture(file, longest=_LONGEST), _recipe_of(file)
        place = f"pictures/{number:02}-{_plain(file.stem)}.jpg"
        yield place, partial(save_picture, picture, recipe=recipe)
        command = command_line(recipe, f"{file.stem}.jpg") if recipe else ""
        shown.append(_figure(place, picture, file.stem, command))
    if shown:
        lead = (
            "The command below a picture makes it again, as <code>lanterna rerun</code> does with its file."
        )
        lead = f'<p class="lead">{lead}</p>' if any("<code>" in each for each in shown) else ""
        body = f'<main class="page"><h1>Pictures</h1>{lead}'
        body += f'<div class="wall">{"".join(shown)}</div></main>'
        yield contents.sections["Pictures"], _html("Pictures", _bar(contents, "Pictures") + body)


def _place(contents: Contents, network: str) -> str:
    """Return the file of a network's page."""
    return "index.html" if network == next(iter(contents.networks)) else f"{network}.html"


def _bar(contents: Contents, here: str, root: str = "") -> str:
    """Return the bar with links to every section."""
    links = "".join(
        f'<a href="{root}{file}"{" aria-current=page" * (title == here)}>{title}</a>'
        for title, file in contents.sections.items()
    )
    return f'<nav class="site" aria-label="Sections"><strong>Lanterna</strong>{links}</nav>\n'


def _choice(contents: Contents, here: str) -> str:
    """Return what to do on the page of a network, with a link to the same drawing in the others."""
    words = (
        "Draw a digit and watch it go through the network. Each line is a path to the answer: amber for it, "
        "blue against it."
    )
    links = ", ".join(
        f'<a data-carry href="{_place(contents, name)}">{_KINDS.get(name, name)} network</a>'
        for name in contents.networks
        if name != here
    )
    others = f" The same drawing in the {links}." if links else ""
    return f'<p class="lead">{words}{others}</p>\n<script>{asset("site/carry.js")}</script>\n'


def _training(contents: Contents) -> str:
    words = (
        "Draw ten digits, one of each. A network of 101,770 weights learns them here, in your browser, from "
        "thousands of variants of your drawings. Nothing leaves this device."
    )
    head = f'<header class="page"><h1>Train a network</h1><p class="lead">{words}</p></header>'
    body = _bar(contents, "Train") + head
    return standalone(
        "Train a network – Lanterna", sheets=["chart.css", "cell/cell.css", "site/site.css"],
        modules=with_imports("site/train.js"), entry="site/train.js", data={}, arrays={}, body=body,
    )  # fmt: skip


def _list_of_lessons(contents: Contents) -> str:
    rows = "".join(
        f'<li><a href="lessons/{name}.html"><b>{escape(lesson.title)}</b>'
        f"<span>{escape(lesson.question)}</span></a></li>"
        for name, lesson in LESSONS.items()
        if name in WIDGETS
    )
    body = (
        '<main class="page"><h1>Lessons</h1><p class="lead">Each asks a question about how networks learn, '
    )
    body += f'and has something to try.</p><ol class="list">{rows}</ol></main>'
    return _html("Lessons", _bar(contents, "Lessons") + body)


def _lesson(contents: Contents, lesson: Lesson, before: Lesson | None, after: Lesson | None) -> str:
    """Return a lesson's page: its question, its figure, then its explanation and its finding."""
    quote = lesson.quote
    said = (
        f"<blockquote>{escape(quote.line)}<cite>{escape(quote.author)}</cite></blockquote>" if quote else ""
    )
    texts = "".join(f"<p>{escape(text).replace('`', '')}</p>" for text in lesson.paragraphs)
    claim = f"<p>The claim: {escape(lesson.claim)}</p>"
    ways = [f'<a href="{before.name}.html">← {escape(before.title)}</a>' if before else "<span></span>"]
    ways += [f'<a href="{after.name}.html">{escape(after.title)} →</a>'] if after else []
    body = f"""{_bar(contents, "Lessons", "../")}<main class="page">
<h1>{escape(lesson.title)}</h1>
<p class="question">{escape(lesson.question)}</p>
<div id="piece" class="piece" data-waiting></div>
<noscript><p>The figure needs JavaScript.</p></noscript>
<div class="words">{said}{texts}{claim}{_finding(lesson)}</div>
<nav class="ways" aria-label="Lessons">{"".join(ways)}</nav>
</main>
"""
    return lesson_page(lesson.name, lesson.settings().model_dump(mode="json"), body)


def _finding(lesson: Lesson) -> str:
    """Return the finding that was measured in advance, or the command that measures it in a second or two."""
    found = measured(lesson)
    if found is None:
        return f"<p>Test it: <code>lanterna learn {lesson.name}</code></p>"
    finding = found.outcome.finding
    return f'<p><span class="verdict">{finding.label}:</span> {escape(finding.words)}</p>'


def _texture(contents: Contents) -> str:
    rules = [open_rule(file) for file in contents.textures]
    names = [file.stem for file in contents.textures]
    picture = still(rules[0], _STEPS, 0)
    style = asset("site/site.css") + ".site { padding: 16px 16px 8px; margin: 0; }"
    head = f"<style>{style}</style>{_bar(contents, 'Texture')}"
    return texture_page(rules, names, picture, head)


def _recipe_of(file: Path) -> Recipe | None:
    """Return the recipe of a picture, or None for one that Lanterna did not make."""
    try:
        return read_recipe(file)
    except LanternaError:
        return None


def _figure(place: str, picture: Tensor, title: str, command: str) -> str:
    height, width = picture.shape[1:]
    code = f"<code>{escape(command)}</code>" if command else ""
    name = escape(title, quote=True)
    return (
        f'<figure><a href="{place}"><img src="{place}" width="{width}" height="{height}" alt="{name}" '
        f'loading="lazy"></a><figcaption>{name}{code}</figcaption></figure>'
    )


def _plain(name: str) -> str:
    """Return a file's name for an address: letters, digits and hyphens."""
    return "-".join("".join(c if c.isascii() and c.isalnum() else " " for c in name).split()) or "picture"


def _html(title: str, body: str) -> str:
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="dark light">
<title>{escape(title)} – Lanterna</title>
{styles("cell/cell.css", "site/site.css")}
<script>{asset("theme.js")}</script>
{body}
</html>
"""


def _example() -> Tensor:
    """Draw a three with a round pen, and return it as a network reads it, `(1, 28, 28)`."""
    image, width = Image.new("L", (224, 224)), 20
    draw = ImageDraw.Draw(image)
    draw.line(_THREE, fill=255, width=width, joint="curve")
    for x, y in _THREE[:: len(_THREE) - 1]:
        draw.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)
    ink = as_picture(image.crop(image.getbbox()).convert("RGB"))[0]
    return normalised_images([ink])[0]
