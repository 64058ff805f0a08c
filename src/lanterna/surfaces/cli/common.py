"""What the verbs of the command line share, and how to add one.

The command of a technique is built from its declaration (`cli/techniques.py`). Any other verb is one module
`cli/VERB.py` with one function of the verb's name, and one line in `VERBS` (`cli/__init__.py`). The module is
imported only when its verb is asked for, so it may import torch at its top. It must not start with
`from __future__ import annotations`: its annotations are read at run time, and become the options.

    from lanterna.surfaces.cli.common import Force, Json, Output, Quiet, Settings, emit_json, given, progress

    def bake(
        cake: Literal["lemon", "plum"] = "plum",      # a positional argument: put it before a lone `/`
        /,
        *,                                            # and options after `*`
        preset: Annotated[str | None, Parameter(help="…")] = None,
        settings: Annotated[Bake | None, Settings] = None,
        output: Output = None,
        force: Force = False,
        json: Json = False,
        quiet: Quiet = False,
    ) -> int | None:
        '''Bake a cake.      (first line: what `--help` shows first)

        More words; the settings' help comes from the fields' descriptions.
        '''
        wanted = Bake.checked({**Bake.presets.get(preset, {}), **given(settings)})

- Settings annotated with `Settings` become one option for each field (`--eggs 5 --sizes 12 20
  --no-sugar`). They are None where nothing was given; `given(settings)` holds only what was given, on the
  command line, in `LANTERNA_BAKE_EGGS` or under `[bake]` in lanterna.toml, so that a preset can fill
  the rest.
- Give back None (or 0) when all went well, or another exit code. Raise `UsageError`, `MissingError` or
  `LanternaError`: the frame prints `lanterna: …` in one line and ends with its code. Let Ctrl-C through (130)
  after keeping what there is.
- Standard output is for the result alone: with `--json` exactly one document (`emit_json`), else lines
  (`show`). Everything else is for standard error: `say` for a line, `console()` for tables, `progress` for a
  bar (terminals only). Nothing else prints: names come from strangers, and these escape what moves a cursor.
- `fetch_missing("mnist", quiet=quiet)` gets data with a bar before the work begins.
- `-` arrives as `Path("-")`, for standard input or output.
- In tests: `main(["bake", "plum"])` gives the exit code; read the output with pytest's capsys.
"""

from __future__ import annotations

import contextlib
import functools
import json
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

from cyclopts import Parameter

from lanterna.errors import UsageError, escaped
from lanterna.files import human_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic import BaseModel
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment


Settings = Parameter(name="*")
"""Marks settings whose fields become options."""

Json = Annotated[bool, Parameter(name="--json", negative="", help="Write one JSON document.")]
Quiet = Annotated[bool, Parameter(name=("--quiet", "-q"), negative="", help="Say only what went wrong.")]
Force = Annotated[bool, Parameter(name="--force", negative="", help="Replace what is already there.")]
Output = Annotated[Path | None, Parameter(name=("--output", "-o"), help="Where to write the result.")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], Parameter(help="Which device computes.")]
Changes = Annotated[
    list[str] | None,
    Parameter(name="--set", negative="", help="Change a setting: KEY=VALUE, as often as needed."),
]


class Update(Protocol):
    """Moves a progress bar to `done` of `total`, with a few words beside it."""

    def __call__(self, done: float, total: float | None = None, note: str = "") -> None:
        """Move it."""


def given_settings(settings: BaseModel | None) -> dict[str, Any]:
    """Only the settings that a person gave, not those that are defaults."""
    return {} if settings is None else {name: getattr(settings, name) for name in settings.model_fields_set}


def parse_assignments(changes: Sequence[str] | None) -> dict[str, str]:
    """`["epochs=5"]` as `{"epochs": "5"}`. Errors: `UsageError` where there is no `=`."""
    found = {}
    for change in changes or ():
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set wants KEY=VALUE, got {change!r}")
        found[key.strip().replace("-", "_")] = value.strip()
    return found


def emit_json(document: object) -> None:
    """Write the one JSON document of a command that was given `--json`."""
    print(json.dumps(document, indent=2, allow_nan=False))


def say(text: str, *, quiet: bool = False) -> None:
    """One line for the person, on standard error."""
    if not quiet:
        print(escaped(text), file=sys.stderr)


def show(*lines: str) -> None:
    """Print lines of the result, on standard output; what cannot be printed in them is shown as its code."""
    print("\n".join(map(escaped, lines)), flush=True)


def console(*, stdout: bool = False) -> Console:
    """Make a rich console on standard error; what it prints is taken literally, and escaped as in `show`."""
    from rich.console import Console
    from rich.segment import Segment

    class Safe(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for text, style, control in super().render(renderable, options):
                safe = text if control else "\n".join(map(escaped, text.split("\n")))
                yield Segment(safe, style, control)

    return Safe(stderr=not stdout, markup=False, highlight=False, emoji=False)


def on_terminal() -> bool:
    """Whether a person is watching standard error."""
    return sys.stderr.isatty()


@contextlib.contextmanager
def progress(
    title: str, *, unit: Literal["steps", "bytes"] = "steps", quiet: bool = False
) -> Iterator[Update]:
    """A bar on standard error while the block runs, on a terminal only; what it gives moves the bar."""
    if quiet or not on_terminal():
        yield lambda *_, **__: None
        return
    from rich import progress as rich

    count = rich.DownloadColumn() if unit == "bytes" else rich.MofNCompleteColumn()
    left = rich.TimeRemainingColumn()
    columns = ("{task.description}", rich.BarColumn(style="dim"), count, left, "{task.fields[note]}")
    with rich.Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda done, total=None, note="": bar.update(task, completed=done, total=total, note=note)


def fetch_missing(*names: str, quiet: bool = False) -> None:
    """Fetch what is not on the shelf yet, with a bar; call it before work that needs these items.

    Errors: `MissingError` where it cannot be fetched, `UsageError` for a name that the shelf does not know.
    """
    from lanterna import settings, shelf

    for name in names:
        if not shelf.is_here(name):
            say(f"fetching {name} ({human_size(shelf.ITEMS[name].size)})", quiet=quiet or settings.offline())
            with progress(name, unit="bytes", quiet=quiet) as update:
                shelf.need(name, functools.partial(_update_bar, update))


def report_device(device: str, *, quiet: bool = False) -> None:
    """Say on what work that takes a while computes; call it when nothing can be wrong any more."""
    from lanterna.devices import choose_device, described

    say(f"computing on {described(choose_device(device))}", quiet=quiet)


def _update_bar(update: Update, _: str, done: int, total: int) -> None:
    update(done, total)


def format_duration(seconds: float) -> str:
    """A length of time that is estimated, as a person says it: about 4 minutes."""
    return f"about {seconds:.0f} seconds" if seconds < 90 else f"about {seconds / 60:.0f} minutes"


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Give a function that says whether Ctrl-C was pressed in the block; a second one stops at once.

    So that long work can end its step, keep what it has, and say so.
    """
    pressed = False

    def press(*_: object) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
