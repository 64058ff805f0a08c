"""Techniques of installed packages: imported, checked, and blamed by name for what goes wrong in them.

Whatever such a package does, nothing else suffers: what cannot be imported, or is not declared rightly, is
left out, and what raises an error while it works ends its own job in one line that names it.
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
"""Names of the options that commands have already."""

_Call = Callable[..., Any]


def load(entry: EntryPoint) -> tuple[Technique, ...]:
    """Import the techniques of an entry point. Errors: `LanternaError`, which names the package."""
    package = f" of the package {entry.dist.name}" if entry.dist else ""
    who = f"the technique {one_line(entry.name)[:40]}{package}"
    with blamed(who, "cannot be imported"):
        found = pkgutil.resolve_name(entry.value)
    techniques = found if isinstance(found, tuple) and found else (found,)
    for each in techniques:
        if not isinstance(each, Technique):
            raise LanternaError(f"{who} is wrong: expected a Technique at {entry.value}, got {_kind(each)}")
        try:
            with blamed(who, "is wrong"):
                wrong = next((words for words in _wrong(each, entry.name, techniques) if words), "")
        except UsageError as error:
            wrong = str(error)
        if wrong:
            raise LanternaError(f"{who} is wrong: {one_line(wrong)}")
    return tuple(_guarded(each, who) for each in techniques)


@contextmanager
def blamed(who: str, what: str = "has failed") -> Iterator[None]:
    """Turn an error in the block into a `LanternaError` that names whose it is."""
    try:
        yield
    except (LanternaError, OSError, MemoryError, KeyboardInterrupt, GeneratorExit, StopIteration):
        raise
    except BaseException as error:
        words = one_line(f"{type(error).__name__}: {error}")[:300]
        raise LanternaError(f"{who} {what}: {words}") from error


def _kind(thing: object) -> str:
    return "none" if thing is None else type(thing).__name__


def _wrong(technique: Technique, verb: str, sisters: Sequence[Technique]) -> Iterator[str]:
    """What is wrong with a declaration, each in words; an empty text where nothing is."""
    fields = technique.settings.model_fields
    names = {"name": [technique.name], "outputs": technique.outputs, "flags": technique.flags,
             "presets": technique.presets}  # fmt: skip
    for what, words in names.items():
        bad = [each for each in words if not (isinstance(each, str) and NAME.fullmatch(each))]
        yield f"{what}: expected small letters, digits and -, got {bad[0]!r}" if bad else ""
    if technique.verb != verb or technique.command[:1] != (verb,):
        yield f"verb: expected {verb!r}, the name of its entry point, got {' '.join(technique.command)!r}"
    if [each.name for each in sisters].count(technique.name) > 1:
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
    usual = technique.settings.checked({})
    json.dumps([usual.model_dump(mode="json"), technique.settings.model_json_schema()], allow_nan=False)
    for preset in technique.presets.values():
        technique.settings.checked({**preset})
    named = {what: getattr(technique, what) for what in ("shown_first", "hidden", "live", "arguments")}
    chosen = technique.output_setting
    for what, those in {
        **named,
        "output_setting": [chosen] if chosen else [],
    }.items():
        unknown = [each for each in those if each not in fields]
        yield f"{what}: there is no setting {unknown[0]!r}" if unknown else ""
    seen: set[str] = set()
    for each in technique.inputs:
        if not isinstance(each, Input):
            yield f"inputs: expected an Input, got {_kind(each)}"
        field = each.name.replace("-", "_")
        if not NAME.fullmatch(each.name) or field in fields or field in _OPTIONS or field in seen:
            yield f"inputs: no input can be called {each.name!r}"
        yield "" if each.help.strip() else f"inputs: {each.name} needs a help, got none"
        seen.add(field)
    if technique.inputs and not technique.inputs[0].required:
        yield f"inputs: the first, {technique.inputs[0].name}, has to be required"
    if (technique.output is Output.FILM) != bool(technique.film_flag):
        yield "film_flag: a technique has one if its output is a film, and only then"
    plain = [each for each in sisters if each.command == technique.command and not each.flags]
    yield "" if plain else f"flags: {verb} needs a technique that no option has to choose"


def _guarded(technique: Technique, who: str) -> Technique:
    """Let whatever the technique's functions do wrong be said of it."""
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
        with blamed(who):
            begun = technique.run(job)
        work = begun if isinstance(begun, Work) else Work(begun)
        if not isinstance(work.frames, Generator):
            raise LanternaError(f"{who} has failed: expected a generator of frames, got {_kind(begun)}")
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
    def call(*given: Any) -> Any:
        with blamed(who):
            found = function(*given)
        if not isinstance(found, kind):
            raise LanternaError(f"{who} has failed: {getattr(function, '__name__', 'it')} gave {found!r:.60}")
        return found

    return call


def _frames(frames: Frames, who: str) -> Frames:
    """The frames, each looked at before it is passed on."""
    frame, sent = None, None
    try:
        while True:
            with blamed(who):
                try:
                    frame = frames.send(sent)
                except StopIteration:
                    break
                wrong = _wrong_frame(frame)
            if wrong:
                raise LanternaError(f"{who} has failed: {wrong}")
            sent = yield frame
    finally:
        with blamed(who):
            frames.close()
    if frame is None:
        raise LanternaError(f"{who} has failed: it gave no frame")
    if frame.step != frame.steps:
        raise LanternaError(f"{who} has failed: it ended at step {frame.step} of {frame.steps}")


def _wrong_frame(frame: Any) -> str:
    if not isinstance(frame, Frame):
        return f"expected a Frame, got {_kind(frame)}"
    if not (isinstance(frame.step, int) and isinstance(frame.steps, int) and 0 < frame.step <= frame.steps):
        return f"expected a step from 1 to all of them, got {frame.step!r} of {frame.steps!r}"
    if not isinstance(frame.numbers, Mapping) or not all(
        isinstance(name, str) and isinstance(value, int | float) and math.isfinite(value)
        for name, value in frame.numbers.items()
    ):
        return f"expected finite numbers by name, got {frame.numbers!r:.60}"
    return "" if frame.picture is None else _wrong_picture(frame.picture)


def _wrong_picture(picture: Any) -> str:
    if not isinstance(picture, torch.Tensor) or not picture.is_floating_point():
        got = picture.dtype if isinstance(picture, torch.Tensor) else _kind(picture)
        return f"expected a picture of floating-point numbers, got {got}"
    if picture.ndim != 3 or picture.shape[0] != 3 or not picture.numel():
        return f"expected a picture (3, H, W), got {tuple(picture.shape)}"
    low, high = picture.aminmax()
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # no comparison with NaN is true
        return f"expected a picture with values from 0 to 1, got {float(low):.3g} to {float(high):.3g}"
    return ""


def _results(function: _Call, output: Output, who: str) -> _Call:
    def results(frame: Any, settings: Any) -> list[Result]:
        with blamed(who):
            found = list(function(frame, settings))
        for each in found:
            if not isinstance(each, Result):
                raise LanternaError(f"{who} has failed: expected a Result, got {_kind(each)}")
            if wrong := _wrong_picture(each.picture):
                raise LanternaError(f"{who} has failed: {wrong}")
            if (each.film is None) == (output is Output.FILM):
                raise LanternaError(f"{who} has failed: its output is a {output}, and it made another")
        if output not in (Output.WORDS, Output.NETWORK) and len(found) != 1:
            raise LanternaError(f"{who} has failed: expected one picture, got {len(found) or 'none'}")
        return [
            replace(each, sidecar=(each.sidecar[0], _call(each.sidecar[1], who))) if each.sidecar else each
            for each in found
        ]

    return results


def _report(function: _Call, who: str) -> _Call:
    def report(frame: Any) -> Report:
        with blamed(who):
            found: Report = function(frame)
            json.dumps(dataclasses.asdict(found)["document"], allow_nan=False)
        return found

    return report
