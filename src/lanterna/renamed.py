"""Map old names of settings, fields and weights to the current ones, so that older files can be used."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

Value = TypeVar("Value")

_SETTINGS = {
    "dream": {"stage": "layer", "mask_stage": "mask_layer"},
    "feature": {"stage": "layer"},
    "style": {
        "content_stage": "content_layer",
        "style_stages": "style_layers",
        "stage_weights": "layer_weights",
    },
    "learn": {"stage": "layer", "bend": "activation", "weight": "weights"},
}  # by verb: a setting's old name and its current one
_ADDED: dict[str, tuple[frozenset[str], dict[str, Any]]] = {
    "dream": (frozenset({"network", "layer", "octaves", "vivid", "blend", "tile"}), {"pooling": "maximum"}),
    "feature": (frozenset({"network", "layer", "fall", "robustness", "ink"}), {"pooling": "maximum"}),
    "style": (
        frozenset({"network", "size", "strength", "statistics", "optimiser", "steps", "ratio", "tile"}),
        {"pooling": "maximum", "tolerance": 0.0},
    ),
}  # by verb: settings that 0.1.0 did not have, with what it ran with; added to those that have all the others
_DEFAULT_LAYERS = {"efficientnet-lite0": ["block9"], "lite0": ["block9"]}  # of 0.1.0, where another is now
_SHEETS = {"stages": "layers"}  # the sheets of `dream --sheet`
_SIDE = 224  # pixels along the longer side of a picture on a sheet of dreams, at most
OLD_PRESET = " (0.1)"  # after the name of a preset on a sheet of 0.1.0: presets were chosen again since
_STATE = {"recipe": "settings", "steered": "live"}  # in checkpoints
_LAYERS = "stages.", "layers."  # prefixes of the names of a network's weights, old and current


def current_name(verb: str, setting: str) -> str:
    """Return the current name of a setting of a verb (`dream`, `learn parts`)."""
    return _SETTINGS.get(verb.partition(" ")[0], {}).get(setting, setting)


def current_settings(verb: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the settings of a verb to their current names, and add those that 0.1.0 did not have."""
    current = {current_name(verb, name): value for name, value in settings.items()}
    complete, added = _ADDED.get(verb.partition(" ")[0], (frozenset(), {}))
    if current.keys() >= complete:
        if verb == "dream" and "pooling" not in current and _dreams_by_default(current):
            current["layer"] = _DEFAULT_LAYERS.get(current["network"], [])
        if verb == "dream" and "pooling" not in current and "sheet" in current:
            current["side"] = min(current.get("size") or _SIDE, _SIDE)
        if "pooling" not in current and current.get("sheet") == "presets":
            current["shown"] = [f"{name}{OLD_PRESET}" for name in current.get("shown", ())]
        current = {**added, **current}
    if isinstance(sheet := current.get("sheet"), str):
        current["sheet"] = _SHEETS.get(sheet, sheet)
    return current


def _dreams_by_default(settings: Mapping[str, Any]) -> bool:
    """Return whether a dream of 0.1.0 has its network's default layer; on a sheet, `shown` has the layers."""
    by_class = settings.get("class_") and not settings.get("guided")
    return not (settings["layer"] or by_class or "sheet" in settings)


def current_recipe(fields: object) -> object:
    """Rename the fields and settings of a recipe; return anything else unchanged."""
    if not isinstance(fields, dict) or not isinstance(verb := fields.get("verb"), str):
        return fields
    current = {
        "output" if name == "made" else name: value for name, value in current_document(verb, fields).items()
    }
    if verb == "dream" and isinstance(output := current.get("output"), str):
        current["output"] = _SHEETS.get(output, output)
    return current


def current_document(verb: str, document: Any) -> Any:  # noqa: ANN401  # JSON
    """Rename the settings anywhere in a saved document of a verb, and the options in its commands."""
    if isinstance(document, list):
        return [current_document(verb, each) for each in document]
    if not isinstance(document, dict):
        return document
    current = {}
    for name, value in document.items():
        if name == "settings" and isinstance(value, dict):
            value = current_settings(verb, value)
        elif name == "settings" and isinstance(value, list):
            value = [current_settings(verb, each) if isinstance(each, dict) else each for each in value]
        elif name == "command" and isinstance(value, str):
            value = _current_command(verb, value)
        else:
            value = current_document(verb, value)
        current["changes" if name == "steered" else name] = value
    return current


def current_text(verb: str, text: str) -> str:
    """Rename the settings in a document saved as JSON with sorted keys; return other text unchanged."""
    try:
        return json.dumps(current_document(verb, json.loads(text)), indent=2, sort_keys=True)
    except (ValueError, RecursionError):
        return text


def _current_command(verb: str, command: str) -> str:
    for old, new in _SETTINGS.get(verb, {}).items():
        command = re.sub(rf"--{_option(old)}(?=[= ]|$)", f"--{_option(new)}", command)
    for old, new in _SHEETS.items():
        command = re.sub(rf"(--sheet[= ]){old}(?= |$)", rf"\1{new}", command)
    return command


def _option(setting: str) -> str:
    return setting.replace("_", "-")


def current_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Rename the fields of a checkpoint to their current names."""
    return {_STATE.get(name, name): value for name, value in state.items()}


def current_weights(weights: Mapping[str, Value]) -> dict[str, Value]:
    """Rename a network's weights to their current names."""
    old, new = _LAYERS
    return {
        new + key.removeprefix(old) if key.startswith(old) else key: value for key, value in weights.items()
    }


def original_name(weight: str) -> str:
    """Return a weight's name in 0.1.0: checksums use it, so that those in old recipes remain valid."""
    old, new = _LAYERS
    return old + weight.removeprefix(new) if weight.startswith(new) else weight
