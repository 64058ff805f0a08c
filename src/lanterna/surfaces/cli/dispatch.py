"""What surrounds every verb: finding it, its settings, and turning every error into one line."""

from __future__ import annotations

import difflib
import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cyclopts import App, CycloptsError, Parameter, UnknownOptionError
from cyclopts.config import Env

from lanterna import __version__
from lanterna.errors import LanternaError, UsageError, one_line
from lanterna.renamed import current_name
from lanterna.surfaces.cli import BUILT, MODULES, VERBS, settings_file, verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cyclopts import Argument

# No argument can hold a NUL, so this stands for `-` (standard input or output), which would otherwise be
# taken for an option, until the arguments are parsed.
_DASH = "\0"


def run(tokens: Sequence[str]) -> int:
    """Run one verb and give its exit code. Only Ctrl-C and a closed pipe are left to the caller."""
    try:
        _check_verb(tokens[0])
        app = make_app()
        asked = [_DASH if token == "-" else token for token in tokens]
        command, bound, _ = app.parse_args(asked, print_error=False, exit_on_error=False)
        outcome = command(*map(_dashed, bound.args), **{k: _dashed(v) for k, v in bound.kwargs.items()})
        return outcome if isinstance(outcome, int) else 0
    except LanternaError as error:
        if os.environ.get("LANTERNA_DEBUG") and error.__cause__:
            traceback.print_exc()
        return _say(str(error), error.exit_code)
    except CycloptsError as error:
        error.verbose = False
        return _say(_explain(error).replace(_DASH, "-"), 2)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _say(f"{where}{error.strerror or error}", 1)
    except MemoryError:
        return _say("there is not enough memory for this: try something smaller", 1)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except Exception as error:
        if os.environ.get("LANTERNA_DEBUG"):
            traceback.print_exc()
        what = f"{type(error).__name__}: {error}"
        return _say(f"{what} (this is a bug in Lanterna: LANTERNA_DEBUG=1 shows where)", 1)


def make_app() -> App:
    """The command line with all of its verbs, none of them imported yet."""
    app = App(
        name="lanterna",
        version=__version__,
        help_format="plaintext",
        config=[Env("LANTERNA_", show=False), settings_file.fill_in],
        # `--hidden 128 64` takes several values; `--empty-hidden` and the like would only be noise.
        default_parameter=Parameter(consume_multiple=True, negative_iterable=(), negative_none=()),
    )
    for verb in verbs():
        module = "techniques" if verb in BUILT or verb not in VERBS else MODULES.get(verb, verb)
        app.command(f"lanterna.surfaces.cli.{module}:{verb}", name=verb)
    app.register_install_completion_command()
    return app


def _check_verb(word: str) -> None:
    """Refuse an unknown verb here, because cyclopts would import every verb in order to say so."""
    if word in verbs() or word in ("--install-completion", "__complete"):
        return
    if word.startswith("-"):
        raise UsageError(f"expected a verb first, got {word!r}: `lanterna --help` lists the verbs")
    close = difflib.get_close_matches(word, verbs(), n=1)
    hint = f"did you mean {close[0]}?" if close else f"the verbs are {', '.join(verbs())}"
    raise UsageError(f"there is no verb {_short(word)}: {hint}")


def _explain(error: CycloptsError) -> str:
    """What was wrong with the arguments, in words; pydantic's report is cut down to its first complaint."""
    if isinstance(error, UnknownOptionError) and error.command_chain:
        option = error.token.keyword or ""  # `--mask-stage`, or `[mask_stage]` of a settings file
        old = option.strip("-[]").replace("-", "_")
        if (new := current_name(error.command_chain[0], old)) != old:
            return f"{option} is now called {option.replace(old.replace('_', '-'), new.replace('_', '-'))}"
    cause = error.__cause__
    report: Callable[..., list[dict[str, Any]]] | None = getattr(cause, "errors", None)
    if report is None or error.argument is None:
        return str(error)
    first = report(include_url=False)[0]
    place = [str(part) for part in first["loc"]]
    message = str(first["msg"]).removeprefix("Value error, ")
    return f"{_given_as(error.argument, place)}: {message}, got {_short(first['input'])}"


def _given_as(argument: Argument, place: Sequence[str]) -> str:
    """How a person gave a setting: the option, the environment's variable, or the line of the file."""
    for child in argument.children_recursive:
        if place and child.keys[-1:] == (place[0],):
            for token in child.tokens:
                if token.source == "env":
                    return str(token.keyword)
                if token.source != "cli":
                    return f"{place[0]} in {token.source}"
            return str(child.name)
    return ".".join(place) or str(argument.name)


def _short(value: object, most: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= most else text[: most - 1] + "…"


def _dashed(value: object) -> object:
    """The argument with `-` put back."""
    if isinstance(value, list | tuple):
        return type(value)(map(_dashed, value))
    if isinstance(value, Path):
        return Path("-") if str(value) == _DASH else value
    return "-" if value == _DASH else value


def _say(message: str, code: int) -> int:
    print(f"lanterna: {one_line(message)}", file=sys.stderr)
    return code
