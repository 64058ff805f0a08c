"""The command line: `lanterna VERB …`. How to add a verb is told in `lanterna.surfaces.cli.common`.

This module imports nothing heavy. The front page is written from the table below, and a verb's own module
(with torch, numpy, Pillow and pydantic behind it) is imported when that verb is asked for.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as in `lanterna/__init__.py`
if TYPE_CHECKING:
    from collections.abc import Sequence

# Verb -> what it does, in the order a person meets them. `cli/VERB.py` holds a function (or a cyclopts App)
# of that name; the verbs that share another's module are in MODULES.
VERBS: dict[str, str] = {
    "tour": "Fetch, train, read a page, classify a photograph, dream and paint: the gallery in one go.",
    "train": "Train a network on handwritten digits and watch it learn.",
    "read": "Read the handwritten digits on a page, drawn or photographed.",
    "classify": "Say what is in a photograph.",
    "teach": "Teach a network your own classes: the subfolders of a folder of pictures.",
    "look": "Look at a picture flowing through a network: every layer, and the paths that made the answer.",
    "feature": "Paint what a channel, unit or class of a network wants to see.",
    "dream": "Turn a picture into what a network sees in it.",
    "style": "Paint a photograph in the style of a painting.",
    "paint": "Let a network learn to paint a picture, and paint it at any size.",
    "render": "Do one thing to thousands of pictures, on this machine or on many.",
    "learn": "Do an experiment about something that the lecture says, and see whether it holds.",
    "studio": "Open the studio: all of it live, in a browser on this machine.",
    "networks": "List the networks, their layers, shapes and sizes.",
    "recipe": "Print the recipe that a picture carries.",
    "rerun": "Make a picture again from the recipe it carries, or vary it.",
    "shelf": "The data and weights that Lanterna uses: list, fetch, verify, clear.",
    "doctor": "What this machine has, and what to do about what is missing.",
}
MODULES = {"rerun": "recipe"}
BUILT = ("read", "classify", "teach", "feature", "dream", "style", "paint")
"""Verbs whose commands are built from the declarations of techniques."""

_NARROWEST = 20


def verbs() -> dict[str, str]:
    """Every verb and what it does: those of the table, and techniques of packages that are installed."""
    from lanterna.techniques import registry

    return {**registry.others(), **VERBS}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command in this process and give its exit code; nothing is raised.

    0 it went well, 1 it failed, 2 it was asked for wrongly, 3 data is not here, 130 Ctrl-C.
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
        return 1  # whoever was reading (`| head`) has seen enough
    except KeyboardInterrupt:
        print("lanterna: stopped", file=sys.stderr)
        return 130


def run() -> None:
    """Run the `lanterna` script.

    No process that it starts imports from the current folder, in which a stranger's `pickle.py` may lie.
    """
    try:
        _prepare()
    except KeyboardInterrupt:
        sys.exit(130)
    code = main()
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes again on its way out and would complain: let it flush into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _prepare() -> None:
    """Make the environment one in which every verb works."""
    import shutil

    os.environ["PYTHONSAFEPATH"] = "1"
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # it was closed; each takes the number of its own, as the lowest free
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115
    columns = shutil.get_terminal_size().columns
    if "COLUMNS" in os.environ or columns < _NARROWEST:  # what lays out a page of one column never ends
        os.environ["COLUMNS"] = str(max(_NARROWEST, columns))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that the terminal cannot show must not end in a traceback
            stream.reconfigure(errors="backslashreplace")


def _front_page() -> str:
    there = verbs()
    width = max(map(len, there)) + 2
    rows = "\n".join(f"  {verb:<{width}}{what}" for verb, what in {**VERBS, **there}.items())
    return f"""\
Lanterna: classify and generate images with deep neural networks, and look inside them.

Usage: lanterna VERB [OPTIONS]

{rows}

  {"--help":<{width}}Show this page; `lanterna VERB --help` tells all about one verb.
  {"--version":<{width}}Show the version.
  {"--install-completion":<{width}}
  {"":<{width}}Let the shell complete verbs and options with the Tab key.

An option is taken from the command line, then from LANTERNA_VERB_OPTION in the environment, then from
[VERB] in a lanterna.toml here or further up in the project. New here? Try `lanterna tour`."""
