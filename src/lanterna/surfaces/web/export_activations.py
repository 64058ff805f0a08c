"""The recording of one picture in a network that the page cannot compute.

It has the output of every layer with maps or units, their contributions to each of the top answers
(`probes.paths`), and the contributions of the links between neighbouring layers (`probes.links`), for the
maps that are among the strongest for any of these answers. A comparison of two answers needs no further
data: the contributions to a difference are differences of contributions.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.probes import look, paths
from lanterna.probes.links import links_between
from lanterna.probes.look import as_batch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from lanterna.networks.network import Network
    from lanterna.probes import Paths

MAX_ANSWERS = 10  # the most probable ones and the requested ones
MAX_STEPS = 64  # of integrated gradients
MAX_MAPS = 12  # per layer and answer, whose links are recorded
MAX_HEAT_SIDE = 56  # pixels along a side of the recorded heat maps
MAX_MAP_SIDE = 64  # pixels along a side of the recorded maps: larger ones are averaged down

_MAX_GAP = 0.01  # of the answer: contributions with a smaller one add up
_QUICK = 3.0  # seconds for all answers, before which one answer is not worth a page
_MANY_VALUES = 2**23  # of all layers: of a network with more, the links of fewer maps are computed
_MAX_VALUES = 2**27  # contributions and gradients of all answers in memory: 1 GB


def record(
    network: Network,
    image: Tensor,
    *,
    answer: int | None = None,
    against: int | None = None,
    watch: Callable[[int, int], object] = lambda *_: None,
) -> Iterator[tuple[dict[str, object], dict[str, Tensor]]]:
    """Yield the JSON and the arrays for `web/recorded.js`. `image` is the input, `(C, H, W)` in [0, 1].

    The first recording has one answer, or those requested; later ones have all answers and are finer, until
    the contributions add up. `watch` is called with how much of the next one is done, and the total. Without
    classes, only maps and units are recorded. Errors: `UsageError` if the network has no such answer.
    """
    activations = look(network, image)
    if not network.classes:
        if answer is not None or against is not None:
            raise UsageError(f"{network.name} has no classes, so there is no answer to explain")
        yield _recording(network, image, activations, [])
        return
    logits = network(image.unsqueeze(0).to(next(network.parameters())))[0].float()
    values = sum(output.numel() for output in activations.values())
    answers = _answers(logits, answer, against, max(2, min(MAX_ANSWERS, _MAX_VALUES // values)))
    first = [answers[0] if answer is None else answer, *([] if against is None else [against])]
    steps = 1
    for chosen in (list(dict.fromkeys(first)), answers):
        while True:
            begun = time.perf_counter()
            path_sets = _paths(network, image, chosen, steps, watch)
            seconds = (time.perf_counter() - begun) / len(chosen) * len(answers)
            if len(chosen) == len(answers) or seconds > _QUICK or not path_sets[0].exact:
                yield _recording(network, image, activations, path_sets, logits, watch)
            if steps >= MAX_STEPS or all(map(_add_up, path_sets)):
                break
            steps *= 2
        if len(chosen) == len(answers):
            return


def _paths(
    network: Network, image: Tensor, answers: Sequence[int], steps: int, watch: Callable[[int, int], object]
) -> list[Paths]:
    """Return the contributions to each answer."""

    def watched(number: int) -> Callable[[int, int], object]:
        return lambda done, total: watch(number * total + done, len(answers) * total)

    return [
        paths(network, image, answer, steps=steps, connections=False, watch=watched(number))
        for number, answer in enumerate(answers)
    ]


def _add_up(found: Paths) -> bool:
    return found.exact or found.error <= _MAX_GAP * abs(found.value - found.empty)


def _recording(
    network: Network,
    image: Tensor,
    activations: Mapping[str, Tensor],
    path_sets: Sequence[Paths],
    logits: Tensor | None = None,
    watch: Callable[[int, int], object] = lambda *_: None,
) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Return the JSON and the arrays of a recording of these paths."""
    arrays: dict[str, Tensor] = {"picture": (image * 255).round().to(torch.uint8)}
    outputs = {name: output.float() for name, output in activations.items() if output.dim() in (1, 3)}
    notes = [getattr(network, "note", "")]
    if omitted := [name for name in activations if name not in outputs]:
        notes.append(f"not shown, because they are neither maps nor units: {', '.join(omitted)}")
    answers = [each.answer for each in path_sets]
    if logits is not None:
        outputs.pop(list(activations)[-1], None)  # the answers have their own column
        arrays["logits"] = logits[answers]
        arrays["probabilities"] = logits.softmax(0)[answers]
    else:
        notes.append("it has no classes, so there is no answer to explain")
    columns, chosen_maps = [_input_column(image)], {}
    values = sum(output.numel() for output in outputs.values())
    for name, output in outputs.items():
        column = _column(name, output, arrays)
        columns.append(column)
        if path_sets and name in path_sets[0].contributions:
            contributions = torch.stack([each.contributions[name].float() for each in path_sets])  # (A, C, …)
            by_map = contributions.flatten(2).sum(2) if contributions.dim() > 2 else contributions
            arrays[f"contributions {name}"] = by_map
            chosen_maps[name] = _strongest(by_map, MAX_MAPS if values < _MANY_VALUES else MAX_MAPS // 3)
            if contributions.dim() == 4:
                arrays[f"heat {name}"] = _heat(contributions.sum(1))
    if path_sets:
        by_pixel = [each.contributions["input"] for each in path_sets]
        arrays["contributions input"] = torch.stack([each.sum().float() for each in by_pixel])[:, None]
        arrays["heat input"] = _heat(torch.stack([each.sum(0).float() for each in by_pixel]))
        layer_inputs = {"input": as_batch(network, image)} | {
            name: activations[name][None] for name in outputs
        }
        _add_links(network, path_sets, layer_inputs, chosen_maps, arrays, notes, watch)
    return {
        "classes": {each: network.classes[each] for each in answers},
        "answers": answers,
        "columns": columns,
        "depth": ([name for name in outputs if f"heat {name}" in arrays] or ["none"])[-1],
        "last": list(network.layers)[-1],
        "values": [each.value for each in path_sets],
        "offsets": {
            name: [each.offsets_after(name) for each in path_sets]
            for name in ("input", *outputs)
            if path_sets and name in path_sets[0].contributions
        },
        "exact": all(each.exact for each in path_sets) and bool(path_sets),
        "note": "; ".join(note for note in (*notes, path_sets[0].note if path_sets else "") if note),
    }, arrays


def _answers(logits: Tensor, answer: int | None, against: int | None, count: int) -> list[int]:
    """Return the `count` most probable answers and the requested ones."""
    likeliest: list[int] = logits.topk(min(count, len(logits))).indices.tolist()
    requested = [each for each in (answer, against) if each is not None]
    if bad := [each for each in requested if not 0 <= each < len(logits)]:
        raise UsageError(f"there is no answer {bad[0]}: expected 0 to {len(logits) - 1}")
    missing = [each for each in requested if each not in likeliest]
    return likeliest[: max(1, count - len(missing))] + missing


def _input_column(image: Tensor) -> dict[str, object]:
    return {"name": "input", "kind": "picture", "count": 1, "height": image.shape[1], "width": image.shape[2]}


def _column(name: str, output: Tensor, arrays: dict[str, Tensor]) -> dict[str, object]:
    """Quantise a layer's maps to 256 levels, from `low` in steps of `step`."""
    maps = output if output.dim() == 3 else output[:, None, None]  # (C, H, W)
    if max(maps.shape[1:]) > MAX_MAP_SIDE:
        maps = F.adaptive_avg_pool2d(
            maps, (min(maps.shape[1], MAX_MAP_SIDE), min(maps.shape[2], MAX_MAP_SIDE))
        )
    low = min(0.0, maps.min().item())
    step = max((maps.max().item() - low) / 255, 1e-12)
    arrays[f"maps {name}"] = ((maps - low) / step).round().clamp(0, 255).to(torch.uint8)
    count, height, width = maps.shape
    kind = "maps" if output.dim() == 3 and output[0].numel() > 1 else "units"
    size = [*output.shape[1:]] if output.dim() == 3 else [1, 1]
    return {
        "name": name, "kind": kind, "count": count, "height": height, "width": width,
        "size": size, "low": low, "step": step,
    }  # fmt: skip


def _strongest(contributions: Tensor, count: int) -> list[int]:
    """Return the maps that are among the strongest for any answer, or for any answer against the first."""
    both = torch.cat([contributions, contributions[0] - contributions[1:]])
    chosen = both.abs().topk(min(count, contributions.shape[1]), dim=1).indices
    return sorted(set(chosen.flatten().tolist()))


def _heat(heat: Tensor) -> Tensor:
    """Sum contributions `(A, H, W)` into at most `MAX_HEAT_SIDE` places along each side."""
    side = max(heat.shape[1:])
    if side > MAX_HEAT_SIDE:
        size = min(heat.shape[1], MAX_HEAT_SIDE), min(heat.shape[2], MAX_HEAT_SIDE)
        area = heat[0].numel() / (size[0] * size[1])
        heat = F.adaptive_avg_pool2d(heat, size) * area
    return heat.float()


def _add_links(
    network: Network,
    path_sets: Sequence[Paths],
    layer_inputs: Mapping[str, Tensor],
    chosen_maps: dict[str, list[int]],
    arrays: dict[str, Tensor],
    notes: list[str],
    watch: Callable[[int, int], object],
) -> None:
    """Add the links between the chosen maps of neighbouring layers, `(A, to, from)`, up to the answers.

    `layer_inputs` are the outputs of the shown layers, `(1, C, …)`.
    """
    layers = list(network.layers)
    order = ["input", *layers]
    pairs = zip(layer_inputs, [*list(layer_inputs)[1:], layers[-1]], strict=True)
    for number, (source, target) in enumerate(pairs, start=1):
        watch(number, len(layer_inputs))
        if order.index(target) != order.index(source) + 1:
            continue  # a layer in between is not shown
        try:
            gradients = torch.stack([each.gradients[target] for each in path_sets])
            flow = links_between(
                network, target, layer_inputs[source], gradients, chosen_maps.get(source)
            ).float()
        except (KeyError, UsageError, RuntimeError, NotImplementedError):
            notes.append(f"the links into {target} cannot be computed")
            continue
        if source == "input":
            flow = flow.sum(1, keepdim=True)  # the picture is one unit, not one per colour
        if target == layers[-1]:
            flow = flow[:, :, [each.answer for each in path_sets]]
        elif target in chosen_maps:
            flow = flow[:, :, chosen_maps[target]]
        else:
            continue
        arrays[f"links {target}"] = flow.transpose(1, 2).contiguous().half()
    for name, units in chosen_maps.items():
        arrays[f"units {name}"] = torch.tensor(units, dtype=torch.int32)
