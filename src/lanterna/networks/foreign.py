"""Opening `module:function`: importing it, calling it, and finding out how its network wants to see."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.networks.classes import imagenet_classes, numbered_classes
from lanterna.networks.network import InputSpec
from lanterna.networks.tracing import ForeignNetwork, extract_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

# How almost every network trained on ImageNet sees, unless it says otherwise.
_IMAGENET = InputSpec(3, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), crop=224 / 256)
_SMALL_GREY = InputSpec(1, 28, (0.0,), (1.0,))
_SMALL = InputSpec(3, 32, (0.5,) * 3, (0.5,) * 3)


def open_foreign(name: str) -> ForeignNetwork:
    """The network that `module:function` (or `file.py:function`) makes when it is called, at rest.

    What it takes comes from the network's own `input_spec`, timm's `pretrained_cfg`, the transforms of
    torchvision's weights, or else is ImageNet's usual: 224 pixels, mean (0.485, 0.456, 0.406), deviation
    (0.229, 0.224, 0.225). The names of its classes come from its own `classes`, or are ImageNet's where it
    has 1,000 answers, or else `class 0`, `class 1`, ….

    Errors: `UsageError`, one line, where there is no such module or function, where it needs arguments,
    fails, gives no `nn.Module`, or where the network takes no picture.
    """
    function = _find(name)
    with _its_code(f"{name} failed"):
        network = function()
    if not isinstance(network, nn.Module):
        raise UsageError(f"{name} gives {type(network).__name__}: expected a torch.nn.Module")
    if next(network.parameters(), None) is None:
        raise UsageError(f"the network of {name} has no weights: there is nothing to look at")
    specs = list(_input_specs(network, function))
    for attempt, spec in enumerate(specs, start=1):
        try:
            with _its_code(f"the network of {name} takes no picture of {_size(spec)}"):
                opened, shape = extract_layers(name, network, spec, _known_about(function))
            break
        except UsageError as error:
            if attempt == len(specs):
                hint = "give the network an attribute `input_spec`, a lanterna.InputSpec: what it takes"
                raise UsageError(f"{error}: {hint}") from error
    opened.classes = _classes(network, shape)
    return opened


def _find(name: str) -> Callable[[], object]:
    """The function that `module:function` names, importable from the folder we are in."""
    place, _, function_name = name.rpartition(":")
    if not place or not function_name.isidentifier():
        raise UsageError(f"expected module:function, got {name!r}")
    module = _import(place)
    found = getattr(module, function_name, None)
    if not callable(found):
        raise UsageError(f"{place} has no function {function_name!r}")
    if inspect.isbuiltin(found) or (inspect.isclass(found) and not issubclass(found, nn.Module)):
        # Written in C, or of another class: it makes no network, and `os:abort` should not be tried.
        raise UsageError(f"{name} makes no network: expected a function that gives a torch.nn.Module")
    function: Callable[[], object] = found
    with contextlib.suppress(ValueError):  # some functions written in C tell nothing
        needed = [
            each.name
            for each in inspect.signature(function).parameters.values()
            if each.default is each.empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        ]
        if needed:
            raise UsageError(
                f"{name} needs arguments ({', '.join(needed)}): write a function without any that calls it"
            )
    return function


def _import(place: str) -> ModuleType:
    with _its_code(f"{place} cannot be imported"):
        if place.endswith(".py"):
            if not Path(place).is_file():
                raise UsageError(f"there is no file {place}")
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            if spec is None or spec.loader is None:
                raise UsageError(f"{place} is no Python file")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            if error.name and (place == error.name or place.startswith(f"{error.name}.")):
                raise UsageError(
                    f"there is no module {error.name!r}, neither installed nor in this folder"
                ) from error
            raise


@contextlib.contextmanager
def _its_code(trouble: str) -> Iterator[None]:
    """Run somebody's code; whatever it raises becomes one line that starts with `trouble`.

    It can import from the folder we are in, and what it prints goes to standard error.
    """
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except LanternaError:
        raise
    except (Exception, SystemExit) as error:
        lines = str(error).strip().splitlines()
        what = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
        raise UsageError(f"{trouble} ({what})") from error
    finally:
        sys.path.remove(here)


def _input_specs(network: nn.Module, function: Callable[[], object]) -> Iterator[InputSpec]:
    """How the network wants to see: what it says itself, or guesses, the likeliest first."""
    own = getattr(network, "input_spec", None)
    if isinstance(own, InputSpec):
        yield own
        return
    told = _from_timm(network) or _from_torchvision(function)
    if told:
        yield told
        return
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    if first is not None and first.in_channels not in (1, 3):
        raise UsageError(f"its first convolution takes {first.in_channels} channels: a picture has 1 or 3")
    for spec in (_IMAGENET, _SMALL_GREY, _SMALL):
        if first is None or first.in_channels == spec.channels:
            yield spec


def _from_timm(network: nn.Module) -> InputSpec | None:
    told: Any = getattr(network, "pretrained_cfg", None)
    try:
        channels, size, _ = told["input_size"]
        crop = float(told.get("crop_pct") or 1)
        mean, std = (tuple(map(float, told[key])) for key in ("mean", "std"))
        return InputSpec(int(channels), int(size), mean, std, min(1.0, crop))
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def _from_torchvision(function: Callable[[], object]) -> InputSpec | None:
    models: Any = sys.modules.get("torchvision.models")
    try:
        transforms = models.get_model_weights(function).DEFAULT.transforms()
        (size,), (larger,) = transforms.crop_size, transforms.resize_size
        return InputSpec(3, size, tuple(transforms.mean), tuple(transforms.std), min(1.0, size / larger))
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def _known_about(function: Callable[[], object]) -> str:
    """Whether the weights may be untrained: that can only be told from how the function is written."""
    with contextlib.suppress(ValueError):
        for each in inspect.signature(function).parameters.values():
            if each.name in ("weights", "pretrained") and each.default in (None, False):
                return f"called with {each.name}={each.default}, so its weights are probably untrained"
    return "whether its weights are trained cannot be told from outside"


def _classes(network: nn.Module, shape: tuple[int, ...]) -> tuple[str, ...]:
    if len(shape) != 2:
        return ()  # it puts out something else than answers
    own = getattr(network, "classes", None)
    if isinstance(own, list | tuple) and len(own) == shape[1]:
        return tuple(map(str, own))
    if shape[1] == 1000:
        with contextlib.suppress(MissingError):
            return imagenet_classes()
    return numbered_classes(shape[1])


def _size(spec: InputSpec) -> str:
    return f"{spec.channels} × {spec.size} × {spec.size}"
