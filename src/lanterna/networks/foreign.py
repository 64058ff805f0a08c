"""Open a network given as `module:function`: import it, call it and determine the network's input."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.random import fork_rng

from lanterna.errors import LanternaError, MissingError, UsageError, describe
from lanterna.networks.classes import imagenet_classes, numbered_classes
from lanterna.networks.network import InputSpec
from lanterna.networks.random_weights import RandomWeights
from lanterna.networks.tracing import ForeignNetwork, extract_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

# The input of almost every network trained on ImageNet.
_IMAGENET = InputSpec(3, 224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), crop=224 / 256)
_SMALL_GREY = InputSpec(1, 28, (0.0,), (1.0,))
_SMALL = InputSpec(3, 32, (0.5,) * 3, (0.5,) * 3)


def open_foreign(name: str, seed: int = 0) -> ForeignNetwork:
    """Open the network that `module:function` (or `file.py:function`) returns, in eval mode.

    Random weights are those of `seed`; this process's random state stays as it is.

    Its input is taken from the network's attribute `input_spec`, timm's `pretrained_cfg` or the transforms of
    torchvision's weights; the default is ImageNet's: 224 pixels, mean (0.485, 0.456, 0.406), std (0.229,
    0.224, 0.225). Its class names are its attribute `classes`, or ImageNet's if it has 1,000 classes, or
    `class 0`, `class 1`, ….

    Errors: `UsageError` in one line if there is no such module or function, if the function needs arguments,
    fails or does not return an `nn.Module`, or if the network does not accept a picture.
    """
    with fork_rng(devices=[]), _foreign_code(f"the network of {name} cannot be used"):
        torch.manual_seed(seed)
        return _open(name)


def _open(name: str) -> ForeignNetwork:
    function = _find(name)
    random_weights = RandomWeights()
    with _foreign_code(f"{name} failed"), random_weights:
        network = function()
    if not isinstance(network, nn.Module):
        raise UsageError(f"{name} returns {type(network).__name__}: expected a torch.nn.Module")
    if len(inputs := _required(network.forward)) > 1:
        raise UsageError(
            f"the network of {name} takes several inputs ({', '.join(inputs)}): expected one picture"
        )
    if next(network.parameters(), None) is None:
        raise UsageError(f"the network of {name} has no weights: expected a network with parameters")
    note = "untrained: its weights are random" if random_weights.are_most_of(network) else ""
    declared = _declared_input(network, function)
    specs = [declared] if declared else _guess_inputs(network)
    for spec in specs:
        try:
            with _foreign_code(f"the network of {name} failed"):
                opened, shape = extract_layers(name, network, spec, note)
            break
        except UsageError as error:
            reason = error.__cause__
            if reason is None or not _may_be_of_size(reason):
                raise
            if spec is specs[-1]:
                size = f"{spec.channels} × {spec.size} × {spec.size}"
                refused = f"the network of {name} does not accept a picture of {size}"
                if declared:
                    raise UsageError(f"{refused}, its declared input ({describe(reason)})") from reason
                hint = "give the network an attribute `input_spec`, a lanterna.InputSpec for its input"
                raise UsageError(f"{refused} ({describe(reason)}): {hint}") from reason
    opened.classes = _classes(network, shape)
    return opened


def _may_be_of_size(error: BaseException) -> bool:
    """Whether a network may have raised this error because a picture has the wrong size."""
    return isinstance(error, RuntimeError | ValueError | AssertionError | IndexError) and not isinstance(
        error, NotImplementedError | RecursionError
    )


def _find(name: str) -> Callable[[], object]:
    """Import the function named by `module:function`, also from the current folder."""
    module_name, _, function_name = name.rpartition(":")
    if not module_name or not function_name.isidentifier():
        raise UsageError(f"expected module:function, got {name!r}")
    module = _import(module_name)
    found = getattr(module, function_name, None)
    if not callable(found):
        raise UsageError(f"{module_name} has no function {function_name!r}")
    if inspect.isbuiltin(found) or (inspect.isclass(found) and not issubclass(found, nn.Module)):
        # A builtin or another class returns no network, and `os:abort` should not be tried.
        raise UsageError(f"{name} returns no network: expected a function that returns a torch.nn.Module")
    function: Callable[[], object] = found
    with contextlib.suppress(ValueError):  # some functions written in C have no signature
        if needed := _required(function):
            raise UsageError(
                f"{name} needs arguments ({', '.join(needed)}): write a function without any that calls it"
            )
    return function


def _required(function: Callable[..., object]) -> list[str]:
    """Return the names of the arguments that a function needs. Errors: `ValueError` without a signature."""
    return [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _import(name: str) -> ModuleType:
    """Import a module by its name or its file."""
    with _foreign_code(f"{name} cannot be imported"):
        if name.endswith(".py"):
            if not Path(name).is_file():
                raise UsageError(f"there is no file {name}")
            spec = importlib.util.spec_from_file_location(Path(name).stem, name)
            if spec is None or spec.loader is None:
                raise UsageError(f"{name} is not a Python file")
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
        if not all(map(str.isidentifier, name.split("."))):
            raise UsageError(f"{name} is no module: expected its name, or its file as in {name}.py")
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name and (name == error.name or name.startswith(f"{error.name}.")):
                raise UsageError(
                    f"there is no module {error.name!r}, neither installed nor in this folder"
                ) from error
            raise


@contextlib.contextmanager
def _foreign_code(failure: str) -> Iterator[None]:
    """Run foreign code; whatever it raises becomes a UsageError whose message starts with `failure`.

    It can import from the current folder, and what it prints goes to standard error.
    """
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of torch are for programmers
            yield
    except (LanternaError, KeyboardInterrupt, GeneratorExit):
        raise
    except BaseException as error:
        raise UsageError(f"{failure} ({describe(error)})") from error
    finally:
        with contextlib.suppress(ValueError):  # that code may have changed the list
            sys.path.remove(folder)


def _declared_input(network: nn.Module, function: Callable[[], object]) -> InputSpec | None:
    """Return the input that the network declares, or None."""
    declared = getattr(network, "input_spec", None)
    return declared if isinstance(declared, InputSpec) else _from_timm(network) or _from_torchvision(function)


def _guess_inputs(network: nn.Module) -> list[InputSpec]:
    """Return guesses of the network's input, the likeliest first."""
    first = next((module for module in network.modules() if isinstance(module, nn.Conv2d)), None)
    if first is not None and first.in_channels not in (1, 3):
        raise UsageError(f"its first convolution takes {first.in_channels} channels: a picture has 1 or 3")
    guesses = (_IMAGENET, _SMALL_GREY, _SMALL)
    return [spec for spec in guesses if first is None or first.in_channels == spec.channels]


def _from_timm(network: nn.Module) -> InputSpec | None:
    config: Any = getattr(network, "pretrained_cfg", None)
    try:
        channels, size, _ = config["input_size"]
        crop = float(config.get("crop_pct") or 1)
        mean, std = (tuple(map(float, config[key])) for key in ("mean", "std"))
        return InputSpec(int(channels), int(size), mean, std, min(1.0, crop))
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def _from_torchvision(function: Callable[[], object]) -> InputSpec | None:
    models: Any = sys.modules.get("torchvision.models")
    try:
        transforms = models.get_model_weights(function).DEFAULT.transforms()
        (size,), (resized,) = transforms.crop_size, transforms.resize_size
        return InputSpec(3, size, tuple(transforms.mean), tuple(transforms.std), min(1.0, size / resized))
    except (TypeError, KeyError, ValueError, AttributeError):
        return None


def _classes(network: nn.Module, shape: tuple[int, ...]) -> tuple[str, ...]:
    if len(shape) != 2:
        return ()  # not a classifier
    names = getattr(network, "classes", None)
    if isinstance(names, list | tuple) and len(names) == shape[1]:
        return tuple(map(str, names))
    if shape[1] == 1000:
        with contextlib.suppress(MissingError):
            return imagenet_classes()
    return numbered_classes(shape[1])
