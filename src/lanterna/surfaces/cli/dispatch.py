"""Dispatch a command line to its verb, and turn every error into one line."""

from __future__ import annotations

import difflib
import keyword
import os
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from cyclopts import (
    App,
    CoercionError,
    CycloptsError,
    MissingArgumentError,
    Parameter,
    RepeatArgumentError,
    UnknownCommandError,
    UnknownOptionError,
    UnusedCliTokensError,
)
from cyclopts.config import Env

from lanterna import __version__
from lanterna.errors import LanternaError, UsageError, describe_invalid, explain_blamed_networks, one_line
from lanterna.renamed import current_name
from lanterna.surfaces.cli import BUILT, MODULES, VERBS, settings_file, verbs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from cyclopts import Argument, Token

# Stands for `-` (standard input or output), which cyclopts would take for an option. No argument can contain
# a NUL.
_DASH = "\0"
_KINDS: dict[object, str] = {int: "a whole number", float: "a number", bool: "yes or no"}


def run(tokens: Sequence[str]) -> int:
    """Run one verb and return its exit code. Only Ctrl-C and a closed pipe are left to the caller."""
    try:
        _check_verb(tokens[0])
        _check_environment(tokens[0])
        app = make_app()
        masked = [_DASH if token == "-" else token for token in tokens]
        command, bound, _ = app.parse_args(masked, print_error=False, exit_on_error=False)
        with explain_blamed_networks():
            code = command(*map(_unmask, bound.args), **{k: _unmask(v) for k, v in bound.kwargs.items()})
        return code if isinstance(code, int) else 0
    except LanternaError as error:
        if os.environ.get("LANTERNA_DEBUG") and error.__cause__:
            traceback.print_exc()
        return _fail(_name_option(str(error), tokens[0]), error.exit_code)
    except CycloptsError as error:
        error.verbose = False
        return _fail(_describe(error).replace(_DASH, "-"), 2)
    except (BrokenPipeError, KeyboardInterrupt):
        raise
    except OSError as error:
        file = f"{error.filename}: " if error.filename else ""
        return _fail(f"{file}{error.strerror or error}", 1)
    except MemoryError:
        return _fail("not enough memory: try a smaller size", 1)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    except Exception as error:
        if os.environ.get("LANTERNA_DEBUG"):
            traceback.print_exc()
        bug = f"{type(error).__name__}: {error}"
        return _fail(f"{bug} (this is a bug in Lanterna: LANTERNA_DEBUG=1 shows the traceback)", 1)


def make_app() -> App:
    """Create the command line with all of its verbs, none of them imported yet."""
    app = App(
        name="lanterna",
        version=__version__,
        help_format="plaintext",
        config=[Env("LANTERNA_", show=False), settings_file.fill_in],
        # `--hidden 128 64` takes several values; `--empty-hidden` and the like would only be noise.
        default_parameter=Parameter(
            consume_multiple=True, negative_iterable=(), negative_none=(), show_default=_format_default
        ),
    )
    for verb in verbs():
        module = "techniques" if verb in BUILT or verb not in VERBS else MODULES.get(verb, verb)
        function = f"{verb}_" if keyword.iskeyword(verb) else verb
        app.command(f"lanterna.surfaces.cli.{module}:{function}", name=verb)
    app.register_install_completion_command()
    return app


def _format_default(value: object) -> str | None:
    """Format a default for help, as a user would type it; None hides it."""
    if value is None or value is False or value in ((), [], ""):
        return None
    if isinstance(value, list | tuple):
        return " ".join(str(_format_default(each)) for each in value)
    return "on" if value is True else f"{value:g}" if isinstance(value, float) else str(value)


def _check_verb(word: str) -> None:
    """Raise UsageError for an unknown verb, for which cyclopts would import every verb first."""
    if word in verbs() or word in ("--install-completion", "__complete"):
        return
    if word.startswith("-"):
        raise UsageError(f"expected a verb first, got {word!r}: `lanterna --help` lists the verbs")
    close = difflib.get_close_matches(word, verbs(), n=1)
    hint = f"did you mean {close[0]}?" if close else f"the verbs are {', '.join(verbs())}"
    raise UsageError(f"unknown verb {_short(word)}: {hint}")


def _check_environment(verb: str) -> None:
    """Raise UsageError for a variable with a setting's old name, which would be ignored."""
    prefix = f"LANTERNA_{verb}_".upper()
    for name in os.environ:
        setting = name.removeprefix(prefix).lower()
        if name.startswith(prefix) and (new := current_name(verb, setting)) != setting:
            raise UsageError(f"{name} is now called {prefix}{new.upper()}")


def _describe(error: CycloptsError) -> str:
    """Describe what is wrong with the arguments in one line; of pydantic's errors only the first."""
    if isinstance(error, UnknownOptionError):
        return _describe_unknown_option(error)
    if isinstance(error, UnusedCliTokensError | UnknownCommandError):
        unused = " ".join(map(_short, error.unused_tokens or ()))
        verb = " ".join(error.command_chain or ())
        return f"unexpected argument {unused}: see `lanterna {verb} --help`".replace("  ", " ")
    cause, argument = error.__cause__, error.argument
    list_errors: Callable[..., list[dict[str, Any]]] | None = getattr(cause, "errors", None)
    if list_errors is not None and argument is not None:
        first = list_errors(include_url=False)[0]
        place = [str(part) for part in first["loc"]]
        return f"{_source_of(argument, place)}: {describe_invalid(first)}, got {_short(first['input'])}"
    if isinstance(error, CoercionError) and error.token is not None and error.msg is None:
        return _describe_wrong_value(error.token, argument, error.target_type)
    if isinstance(error, MissingArgumentError) and argument is not None:
        name = error.keyword or next(
            (token.keyword for token in reversed(argument.tokens) if token.keyword), argument.name
        )
        if name.startswith("-"):
            return f"{name}: expected a value after it"
        return f"expected {name}: see `lanterna {' '.join(error.command_chain or ())} --help`"
    if isinstance(error, RepeatArgumentError):
        return f"{error.token.keyword}: given more than once"
    return str(error)


def _describe_unknown_option(error: UnknownOptionError) -> str:
    """Describe an unknown option of a command line, or an unknown key of a settings file."""
    option = error.token.keyword or error.token.value  # `--option`, or `[option]` of a settings file
    old = option.partition("=")[0].strip("-[]").replace("-", "_")
    source = "" if error.token.source == "cli" else f" in {error.token.source}"
    if error.command_chain and (new := current_name(error.command_chain[0], old)) != old:
        new = new if option.startswith("[") else f"--{new.replace('_', '-')}"
        return f"{option.partition('=')[0]}{source} is now called {new}"
    names: Iterable[str] = [
        name for argument in error.argument_collection if argument.parse for name in argument.names
    ]
    close = difflib.get_close_matches(option, names, n=1)
    return f"unknown option {option}{source}" + (f": did you mean {close[0]}?" if close else "")


def _describe_wrong_value(token: Token, argument: Argument | None, kind: object) -> str:
    """Describe a value that cannot be converted to the type of its option."""
    name = token.keyword or (argument.name.lstrip("-").upper() if argument else "")
    source = "" if token.source in ("", "cli") else f" in {token.source}"
    if get_origin(kind) is Literal:
        *others, last = map(str, get_args(kind))
        expected = f"{', '.join(others)} or {last}" if others else last
    else:
        expected = _KINDS.get(kind, getattr(kind, "__name__", str(kind)))
    return f"{name}{source}: expected {expected}, got {_short(token.value)}"


def _source_of(argument: Argument, place: Sequence[str]) -> str:
    """Name where a setting comes from: its option, an environment variable, or a settings file."""
    for child in argument.children_recursive:
        if place and child.keys[-1:] == (place[0],):
            for token in child.tokens:
                if token.source == "env":
                    return str(token.keyword)
                if token.source != "cli":
                    return f"{place[0]} in {token.source}"
            return str(child.name)
    return ".".join(place) or str(argument.name)


def _name_option(message: str, verb: str) -> str:
    if not re.match("[a-z_.0-9-]+: ", message):
        return message
    from lanterna.surfaces.cli.arguments import name_option  # imports torch

    return name_option(message, verb)


def _short(value: object, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _unmask(value: object) -> object:
    """Return the argument with `-` put back."""
    if isinstance(value, list | tuple):
        return type(value)(map(_unmask, value))
    if isinstance(value, Path):
        return Path("-") if str(value) == _DASH else value
    return "-" if value == _DASH else value


def _fail(message: str, code: int) -> int:
    print(f"lanterna: {one_line(message)}", file=sys.stderr)
    return code
