"""Options and helpers that the verbs of the command line share, and how to add a verb.

The command of a technique is built from its declaration (`cli/techniques.py`). Any other verb is one module
`cli/VERB.py` with one function of the verb's name, and one line in `VERBS` (`cli/__init__.py`). The module is
imported only when its verb is run, so it may import torch at its top. It must not start with
`from __future__ import annotations`: its annotations become the options at run time.

    from lanterna.surfaces.cli.common import Force, Json, Output, Quiet, Settings, given_settings

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
        '''Bake a cake.      (the first line of `--help`)

        More about it. The help of the settings comes from the fields' descriptions.
        '''
        bake = Bake.checked({**Bake.presets.get(preset, {}), **given_settings(settings)})

- Settings annotated with `Settings` become one option for each field (`--eggs 5 --sizes 12 20 --no-sugar`).
  The parameter is None if no option was given. `given_settings(settings)` has only those that the user
  gave, on the command line, in `LANTERNA_BAKE_EGGS` or under `[bake]` in lanterna.toml, so that a preset
  can fill in the rest.
- Return None (or 0) on success, or another exit code. Raise `UsageError`, `MissingError` or
  `LanternaError`: `dispatch.py` prints it as one line, `lanterna: …`, and exits with its code. Let Ctrl-C
  through (130) after saving the work done so far.
- Standard output is for the result alone: with `--json` exactly one document (`emit_json`), otherwise lines
  (`show`). Everything else goes to standard error: `say` for a line, `console()` for tables, `progress` for
  a bar (terminals only). Print with nothing else: these escape control characters, as names come from
  strangers.
- `fetch_missing("mnist", quiet=quiet)` fetches data with a progress bar before the work begins.
- `-` arrives as `Path("-")`, for standard input or output.
- In tests, `main(["bake", "plum"])` returns the exit code; read the output with pytest's capsys.
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

from lanterna.errors import UsageError, escape
from lanterna.files import format_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pydantic import BaseModel
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment


Settings = Parameter(name="*")
"""Mark settings whose fields become options."""

Json = Annotated[bool, Parameter(name="--json", negative="", help="Print the result as JSON.")]
Quiet = Annotated[bool, Parameter(name=("--quiet", "-q"), negative="", help="Print only results and errors.")]
Force = Annotated[bool, Parameter(name="--force", negative="", help="Overwrite existing files.")]
Output = Annotated[Path | None, Parameter(name=("--output", "-o"), help="The file to write.")]
Device = Annotated[Literal["auto", "cpu", "cuda", "mps"], Parameter(help="The device to compute on.")]
Changes = Annotated[
    list[str] | None,
    Parameter(name="--set", negative="", consume_multiple=1, help="Change settings: KEY=VALUE …"),
]


class Update(Protocol):
    """A function that moves a progress bar to `done` of `total`, with a short note next to it."""

    def __call__(self, done: float, total: float | None = None, note: str = "") -> None:
        """Move the bar."""


def given_settings(settings: BaseModel | None) -> dict[str, Any]:
    """Return only the settings that the user gave, without defaults."""
    return {} if settings is None else {name: getattr(settings, name) for name in settings.model_fields_set}


def parse_assignments(changes: Sequence[str] | None) -> dict[str, str]:
    """Parse `["epochs=5"]` into `{"epochs": "5"}`.

    Errors: `UsageError` if an `=` is missing, or a key is given twice.
    """
    found: dict[str, str] = {}
    for change in changes or ():
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise UsageError(f"--set: expected KEY=VALUE, got {change!r}")
        name = key.strip().replace("-", "_")
        if name in found:
            raise UsageError(f"--set: {key.strip()} is given twice, as {found[name]!r} and {value.strip()!r}")
        found[name] = value.strip()
    return found


def emit_json(document: object) -> None:
    """Print the JSON document of a command that was run with `--json`."""
    print(json.dumps(document, indent=2, allow_nan=False))


def say(text: str, *, quiet: bool = False) -> None:
    """Print a line for the user, on standard error."""
    if not quiet:
        print(escape(text), file=sys.stderr)


def show(*lines: str) -> None:
    """Print lines of the result, on standard output, with unprintable characters escaped, except for tabs."""
    print("\n".join("\t".join(map(escape, line.split("\t"))) for line in lines), flush=True)


def console(*, stdout: bool = False) -> Console:
    """Create a rich console on standard error that prints text literally, escaped as in `show`."""
    from rich.console import Console
    from rich.segment import Segment

    class Safe(Console):
        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterator[Segment]:
            for text, style, control in super().render(renderable, options):
                safe = text if control else "\n".join(map(escape, text.split("\n")))
                yield Segment(safe, style, control)

    return Safe(stderr=not stdout, markup=False, highlight=False, emoji=False)


def on_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr.isatty()


@contextlib.contextmanager
def progress(
    title: str, *, unit: Literal["steps", "bytes"] = "steps", quiet: bool = False
) -> Iterator[Update]:
    """Show a progress bar on standard error while the block runs, if it is a terminal."""
    if quiet or not on_terminal():
        yield lambda *_, **__: None
        return
    from rich import progress as rich

    count = rich.DownloadColumn() if unit == "bytes" else rich.MofNCompleteColumn()
    remaining = rich.TimeRemainingColumn()
    columns = ("{task.description}", rich.BarColumn(style="dim"), count, remaining, "{task.fields[note]}")
    with rich.Progress(*columns, console=console(), transient=True) as bar:
        task = bar.add_task(title, total=None, note="")
        yield lambda done, total=None, note="": bar.update(task, completed=done, total=total, note=note)


def fetch_missing(*names: str, quiet: bool = False) -> None:
    """Fetch those items that are not on the shelf yet, with a progress bar.

    Errors: `MissingError` if one cannot be fetched, `UsageError` for an unknown name.
    """
    from lanterna import settings, shelf

    for name in names:
        if not shelf.is_fetched(name):
            say(f"fetching {name} ({format_size(shelf.ITEMS[name].size)})", quiet=quiet or settings.offline())
            with progress(name, unit="bytes", quiet=quiet) as update:
                shelf.need(name, functools.partial(_update_bar, update))


def report_device(device: str, *, quiet: bool = False) -> None:
    """Print the device that long work runs on. Call it after the last check that can fail."""
    from lanterna.devices import choose_device, describe_device

    say(f"computing on {describe_device(choose_device(device))}", quiet=quiet)


def _update_bar(update: Update, _: str, done: int, total: int) -> None:
    update(done, total)


def format_duration(seconds: float) -> str:
    """Format an estimated duration: about 4 minutes."""
    return f"about {seconds:.0f} seconds" if seconds < 90 else f"about {seconds / 60:.0f} minutes"


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Yield a function that returns whether Ctrl-C was pressed; a second Ctrl-C interrupts immediately.

    With it, long work can finish its step and save what it has so far.
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
