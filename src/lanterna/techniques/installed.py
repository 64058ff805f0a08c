"""Import the techniques of other packages, validate them, and attribute their errors to the package.

Such a package cannot break anything else. If it cannot be imported, or its declaration is invalid, it is left
out; if it fails while it runs, its job ends with one line that names the package.
"""

from __future__ import annotations

import dataclasses
import json
import math
import pkgutil
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import torch

from lanterna.errors import LanternaError, UsageError, one_line
from lanterna.techniques.registry import NAME
from lanterna.techniques.technique import (
    Estimate,
    Frame,
    Frames,
    Input,
    Output,
    Report,
    Result,
    Settings,
    Technique,
    Work,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.metadata import EntryPoint

_FIELD = re.compile(r"[a-z][a-z0-9_]{0,39}")
_OPTIONS = {
    "checkpoint", "device", "film", "folder", "force", "help", "input", "inputs", "json", "options", "output",
    "preset", "preview", "quiet", "resume", "settings",
}  # fmt: skip
"""Options that commands have already."""

_Call = Callable[..., Any]


def load(entry: EntryPoint) -> tuple[Technique, ...]:
    """Import the techniques of an entry point. Errors: `LanternaError`, which names the package."""
    package = f" of the package {entry.dist.name}" if entry.dist else ""
    who = f"the technique {one_line(entry.name)[:40]}{package}"
    with errors_attributed_to(who, "cannot be imported"):
        value = pkgutil.resolve_name(entry.value)
    techniques = value if isinstance(value, tuple) and value else (value,)
    for each in techniques:
        if not isinstance(each, Technique):
            raise LanternaError(
                f"{who} is wrong: expected a Technique at {entry.value}, got {_type_name(each)}"
            )
        try:
            with errors_attributed_to(who, "is wrong"):
                problem = next(filter(None, _problems(each, entry.name, techniques)), "")
        except UsageError as error:
            problem = str(error)
        if problem:
            raise LanternaError(f"{who} is wrong: {one_line(problem)}")
    return tuple(_guarded(each, who) for each in techniques)


@contextmanager
def errors_attributed_to(who: str, verdict: str = "has failed") -> Iterator[None]:
    """Turn errors in the block into a `LanternaError` that names the technique and its package."""
    try:
        yield
    except (LanternaError, OSError, MemoryError, KeyboardInterrupt, GeneratorExit, StopIteration):
        raise
    except BaseException as error:
        words = one_line(f"{type(error).__name__}: {error}")[:300]
        raise LanternaError(f"{who} {verdict}: {words}") from error


def _type_name(value: object) -> str:
    return "none" if value is None else type(value).__name__


def _problems(technique: Technique, verb: str, techniques: Sequence[Technique]) -> Iterator[str]:
    """Yield the result of each check of a declaration: what is wrong with it, or an empty text.

    `techniques` are all those of the entry point.
    """
    fields = technique.settings.model_fields
    names = {"name": [technique.name], "outputs": technique.outputs, "flags": technique.flags,
             "presets": technique.presets}  # fmt: skip
    for what, words in names.items():
        bad = [each for each in words if not (isinstance(each, str) and NAME.fullmatch(each))]
        yield f"{what}: expected small letters, digits and -, got {bad[0]!r}" if bad else ""
    if technique.verb != verb or technique.command[:1] != (verb,):
        yield f"verb: expected {verb!r}, the name of its entry point, got {' '.join(technique.command)!r}"
    if [each.name for each in techniques].count(technique.name) > 1:
        yield f"name: there are two techniques {technique.name!r}"
    for what in ("title", "help"):
        yield "" if str(getattr(technique, what)).strip() else f"{what}: expected a few words, got none"
    if len(PurePath(technique.file).parts) != 1 or technique.file.startswith("."):
        yield f"file: expected a plain name, got {technique.file!r}"
    if not (isinstance(technique.settings, type) and issubclass(technique.settings, Settings)):
        yield f"settings: expected a subclass of Settings, got {technique.settings!r}"
    for name, info in fields.items():
        if not _FIELD.fullmatch(name) or name in _OPTIONS:
            yield f"settings: no setting can be called {name!r}"
        if info.is_required():
            yield f"settings: {name} needs a default"
    defaults = technique.settings.checked({})
    json.dumps([defaults.model_dump(mode="json"), technique.settings.model_json_schema()], allow_nan=False)
    for preset in technique.presets.values():
        technique.settings.checked({**preset})
    lists = {what: getattr(technique, what) for what in ("shown_first", "hidden", "live", "arguments")}
    chooser = technique.output_setting
    for what, settings in {**lists, "output_setting": [chooser] if chooser else []}.items():
        unknown = [each for each in settings if each not in fields]
        yield f"{what}: there is no setting {unknown[0]!r}" if unknown else ""
    names_so_far: set[str] = set()
    for each in technique.inputs:
        if not isinstance(each, Input):
            yield f"inputs: expected an Input, got {_type_name(each)}"
        field = each.name.replace("-", "_")
        if not NAME.fullmatch(each.name) or field in fields or field in _OPTIONS or field in names_so_far:
            yield f"inputs: no input can be called {each.name!r}"
        yield "" if each.help.strip() else f"inputs: {each.name} needs a help text, got none"
        names_so_far.add(field)
    if technique.inputs and not technique.inputs[0].required:
        yield f"inputs: the first, {technique.inputs[0].name}, has to be required"
    if (technique.output is Output.FILM) != bool(technique.film_flag):
        yield "film_flag: expected one if the output is a film, and none otherwise"
    unflagged = [each for each in techniques if each.command == technique.command and not each.flags]
    yield "" if unflagged else f"flags: {verb} needs a technique without flags"


def _guarded(technique: Technique, who: str) -> Technique:
    """Wrap the technique's functions so that their errors and invalid results are attributed to it."""
    results = {
        "check": Settings, "networks": tuple, "items": tuple, "default_name": str, "describe": str,
        "estimate": (Estimate, type(None)), "log_lines": object, "cells": object,
    }  # fmt: skip
    calls: dict[str, Any] = {
        name: _call(getattr(technique, name), who, kind)
        for name, kind in results.items()
        if getattr(technique, name) is not None
    }

    def run(job: Any) -> Work:
        with errors_attributed_to(who):
            started = technique.run(job)
        work = started if isinstance(started, Work) else Work(started)
        if not isinstance(work.frames, Generator):
            raise LanternaError(
                f"{who} has failed: expected a generator of frames, got {_type_name(started)}"
            )
        return replace(
            work, frames=_frames(work.frames, who), preview=_call(work.preview, who),
            fraction_done=_call(work.fraction_done, who), report=_report(work.report, who),
            results=_results(work.results, technique.output, who),
        )  # fmt: skip

    if technique.film_frames is not None:
        film_frames = technique.film_frames
        calls["film_frames"] = lambda job, done: _frames(film_frames(job, done), who)
    return replace(technique, run=run, **calls)


def _call(function: _Call, who: str, kind: Any = object) -> _Call:
    def call(*arguments: Any) -> Any:
        with errors_attributed_to(who):
            result = function(*arguments)
        if not isinstance(result, kind):
            name = getattr(function, "__name__", "it")
            raise LanternaError(f"{who} has failed: {name} returned {result!r:.60}")
        return result

    return call


def _frames(frames: Frames, who: str) -> Frames:
    """Yield the same frames, validating each."""
    frame, sent = None, None
    try:
        while True:
            with errors_attributed_to(who):
                try:
                    frame = frames.send(sent)
                except StopIteration:
                    break
                problem = _frame_problem(frame)
            if problem:
                raise LanternaError(f"{who} has failed: {problem}")
            sent = yield frame
    finally:
        with errors_attributed_to(who):
            frames.close()
    if frame is None:
        raise LanternaError(f"{who} has failed: it yielded no frame")
    if frame.step != frame.steps:
        raise LanternaError(f"{who} has failed: it ended at step {frame.step} of {frame.steps}")


def _frame_problem(frame: Any) -> str:
    if not isinstance(frame, Frame):
        return f"expected a Frame, got {_type_name(frame)}"
    if not (isinstance(frame.step, int) and isinstance(frame.steps, int) and 0 < frame.step <= frame.steps):
        return f"expected a step from 1 to the number of steps, got {frame.step!r} of {frame.steps!r}"
    if not isinstance(frame.numbers, Mapping) or not all(
        isinstance(name, str) and isinstance(value, int | float) and math.isfinite(value)
        for name, value in frame.numbers.items()
    ):
        return f"expected finite numbers by name, got {frame.numbers!r:.60}"
    return "" if frame.picture is None else _picture_problem(frame.picture)


def _picture_problem(picture: Any) -> str:
    if not isinstance(picture, torch.Tensor) or not picture.is_floating_point():
        got = picture.dtype if isinstance(picture, torch.Tensor) else _type_name(picture)
        return f"expected a picture of floating-point numbers, got {got}"
    if picture.ndim != 3 or picture.shape[0] != 3 or not picture.numel():
        return f"expected a picture (3, H, W), got {tuple(picture.shape)}"
    low, high = picture.aminmax()
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # a comparison with NaN is false
        return f"expected a picture with values from 0 to 1, got {float(low):.3g} to {float(high):.3g}"
    return ""


def _results(function: _Call, output: Output, who: str) -> _Call:
    def results(frame: Any, settings: Any) -> list[Result]:
        with errors_attributed_to(who):
            outputs = list(function(frame, settings))
        for each in outputs:
            if not isinstance(each, Result):
                raise LanternaError(f"{who} has failed: expected a Result, got {_type_name(each)}")
            if problem := _picture_problem(each.picture):
                raise LanternaError(f"{who} has failed: {problem}")
            if (each.film is None) == (output is Output.FILM):
                raise LanternaError(f"{who} has failed: expected its output to be a {output}")
        if output not in (Output.WORDS, Output.NETWORK) and len(outputs) != 1:
            raise LanternaError(f"{who} has failed: expected one picture, got {len(outputs) or 'none'}")
        return [
            replace(each, sidecar=(each.sidecar[0], _call(each.sidecar[1], who))) if each.sidecar else each
            for each in outputs
        ]

    return results


def _report(function: _Call, who: str) -> _Call:
    def report(frame: Any) -> Report:
        with errors_attributed_to(who):
            finished: Report = function(frame)
            json.dumps(dataclasses.asdict(finished)["document"], allow_nan=False)
        return finished

    return report
