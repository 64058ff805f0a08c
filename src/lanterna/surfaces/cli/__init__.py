"""The command line: `lanterna VERB …`. `lanterna.surfaces.cli.common` explains how to add a verb.

This module imports nothing heavy. The front page is made from the table below, and a verb's own module
(with torch, numpy, Pillow and pydantic) is imported only when that verb is run.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as in `lanterna/__init__.py`
if TYPE_CHECKING:
    from collections.abc import Sequence

# Verb -> its help, in the order of the front page. `cli/VERB.py` holds a function (or a cyclopts App) of that
# name (`class_` for a word that is Python's own); MODULES names the module where it is called otherwise.
VERBS: dict[str, str] = {
    "tour": "Train, read, classify, dream and paint: a gallery in one go.",
    "examples": "Save example pictures in this folder, to try things with.",
    "train": "Train a network on handwritten digits and watch it learn.",
    "read": "Read the handwritten digits on a photographed or drawn page.",
    "classify": "Name what is in a photograph.",
    "teach": "Teach a network your own classes, from folders of pictures.",
    "look": "Look inside a network: every layer, and the paths to its answer.",
    "feature": "Paint what a channel, unit or class of a network responds to.",
    "dream": "Turn a picture into what a network sees in it.",
    "style": "Paint a photograph in the style of a painting.",
    "paint": "Let a network learn a picture, and paint it at any size.",
    "render": "Process thousands of pictures, on one machine or on many.",
    "learn": "Run an experiment that tests a claim of the lecture.",
    "studio": "Open the studio: everything live, in your browser.",
    "class": "Hold a class: everybody draws on a phone, the big screen reads.",
    "page": "Write a website for a class: draw and train without installing.",
    "networks": "List the networks, their layers, shapes and sizes.",
    "recipe": "Print the recipe that is stored in a picture.",
    "rerun": "Make a picture again from its recipe, or vary it.",
    "shelf": "List, fetch, verify or clear the data and weights.",
    "doctor": "Check this machine, and say how to fix what is missing.",
}
MODULES = {"rerun": "recipe", "class": "classroom"}
BUILT = ("read", "classify", "teach", "feature", "dream", "style", "paint")
"""Verbs whose commands are built from the declarations of techniques."""

_MIN_COLUMNS = 20


def verbs() -> dict[str, str]:
    """Return every verb with its help, in the order of the front page.

    Built-in techniques that the table does not name follow its last one, those of installed packages the end.
    """
    from lanterna.techniques import registry

    table = {}
    for verb, text in VERBS.items():
        table[verb] = text
        if verb == BUILT[-1]:
            others = [each for each in registry.BUILT_IN if each not in VERBS]
            table |= {each: registry.summary(each) for each in others}
    return {**table, **registry.summaries(), **VERBS}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command in this process and return its exit code; never raise.

    0 success, 1 failure, 2 wrong usage, 3 missing data, 130 Ctrl-C.
    """
    tokens = list(sys.argv[1:] if argv is None else argv)
    try:
        if not tokens or tokens in (["--help"], ["-h"], ["help"]):
            print(_front_page())
            return 0
        if tokens in (["--version"], ["version"]):
            from lanterna import __version__

            print(f"lanterna {__version__}")
            return 0
        from lanterna.surfaces.cli import dispatch

        return dispatch.run(tokens)
    except BrokenPipeError:
        return 1  # the reader (`| head`) has closed the pipe
    except KeyboardInterrupt:
        print("lanterna: stopped", file=sys.stderr)
        return 130


def run() -> None:
    """Run the `lanterna` script.

    No process that it starts imports from the current folder, which may contain a stranger's `pickle.py`.
    """
    try:
        _prepare()
    except KeyboardInterrupt:
        sys.exit(130)
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes again when it exits, and would report the broken pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _prepare() -> None:
    """Prepare the process: safe imports, open streams, a terminal wide enough, printable output."""
    import shutil

    os.environ["PYTHONSAFEPATH"] = "1"
    if not (sys.warnoptions or os.environ.get("LANTERNA_DEBUG")):
        import warnings

        warnings.simplefilter("ignore")  # those of torch are for programmers
        os.environ["PYTHONWARNINGS"] = "ignore"  # in the processes that this one starts
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed; reopened in order, each gets its own number back
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    columns = shutil.get_terminal_size().columns
    if "COLUMNS" in os.environ or columns < _MIN_COLUMNS:  # rich never returns from a page of one column
        os.environ["COLUMNS"] = str(max(_MIN_COLUMNS, columns))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # or a name that the terminal cannot show raises
            stream.reconfigure(errors="backslashreplace")


def _front_page() -> str:
    table = verbs()
    width = max(map(len, table)) + 2
    rows = "\n".join(f"  {verb:<{width}}{text}" for verb, text in table.items())
    return f"""\
Lanterna: classify and generate images with deep neural networks, and look
inside them.

Usage: lanterna VERB [OPTIONS]

{rows}

  --help                Show this page; `lanterna VERB --help` describes a verb.
  --version             Show the version.
  --install-completion  Let your shell complete verbs and options with Tab.

Options come from the command line, then from LANTERNA_VERB_OPTION in the
environment, then from [VERB] in lanterna.toml, in this folder or above it in
the project. New here? Try `lanterna tour`."""
