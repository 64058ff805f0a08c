"""What a page shows of a network that it cannot compute: one picture, recorded.

What every layer with maps or units put out, what each of them contributed to each of the top answers
(`probes.paths`), and how much flowed from map to map between neighbouring layers (`probes.links`), for the
maps that are among the strongest for any of these answers. One answer against another needs no more:
contributions to a difference are differences of contributions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.errors import UsageError
from lanterna.probes import look, paths
from lanterna.probes.links import links_between
from lanterna.probes.look import as_batch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lanterna.networks.network import Network
    from lanterna.probes import Paths

ANSWERS = 10  # the likeliest, and those that were asked for
STRONGEST = 12  # maps of each layer, for each answer, whose links are kept
FINEST_HEAT = 56  # pixels of a side of the heat that is kept
LARGEST_MAP = 64  # pixels of a side of the maps that are kept: larger ones are averaged down


def recorded(
    network: Network, image: Tensor, *, answer: int | None = None, against: int | None = None
) -> tuple[dict[str, object], dict[str, Tensor]]:
    """What `web/recorded.js` needs: JSON and arrays. `image` is `(C, H, W)` in [0, 1] as the network sees it.

    Errors: `UsageError` where the network has no such answer; where it has no classes, only its maps and
    units are recorded.
    """
    arrays: dict[str, Tensor] = {"picture": (image * 255).round().to(torch.uint8)}
    seen = look(network, image)
    outputs = {name: output.float() for name, output in seen.items() if output.dim() in (1, 3)}
    notes = [getattr(network, "note", "")]
    if left_out := [name for name in seen if name not in outputs]:
        notes.append(f"not shown, because they are neither maps nor units: {', '.join(left_out)}")
    answers: list[int] = []
    found: list[Paths] = []
    if network.classes:
        logits = network(image.unsqueeze(0).to(next(network.parameters())))[0].float()
        answers = _answers(logits, answer, against)
        found = [paths(network, image, each) for each in answers]
        outputs.pop(list(seen)[-1], None)  # the answers are a column of their own
        arrays["logits"] = logits[answers]
        arrays["probabilities"] = logits.softmax(0)[answers]
    elif answer is not None or against is not None:
        raise UsageError(f"{network.name} has no classes, so there is no answer to ask about")
    else:
        notes.append("it has no classes, so there is no answer, and nothing contributed to one")
    columns, kept = [_picture_column(image)], {}
    for name, output in outputs.items():
        column = _column(name, output, arrays)
        columns.append(column)
        if found and name in found[0].contributions:
            given = torch.stack([each.contributions[name].float() for each in found])  # (A, C, …)
            by_map = given.flatten(2).sum(2) if given.dim() > 2 else given
            arrays[f"given {name}"] = by_map
            kept[name] = _strongest(by_map)
            if given.dim() == 4:
                arrays[f"heat {name}"] = _heat(given.sum(1))
    if found:
        by_pixel = [each.contributions["input"] for each in found]
        arrays["given input"] = torch.stack([each.sum().float() for each in by_pixel])[:, None]
        arrays["heat input"] = _heat(torch.stack([each.sum(0).float() for each in by_pixel]))
        came = {"input": as_batch(network, image)} | {name: seen[name][None] for name in outputs}
        _add_links(network, found, came, kept, arrays, notes)
    return {
        "classes": {each: network.classes[each] for each in answers},
        "answers": answers,
        "columns": columns,
        "depth": ([name for name in outputs if f"heat {name}" in arrays] or ["none"])[-1],
        "last": list(network.layers)[-1],
        "values": [each.value for each in found],
        "behind": {
            name: [each.offsets_after(name) for each in found]
            for name in ("input", *outputs)
            if found and name in found[0].contributions
        },
        "exact": all(each.exact for each in found) and bool(found),
        "note": "; ".join(note for note in (*notes, found[0].note if found else "") if note),
    }, arrays


def _answers(logits: Tensor, answer: int | None, against: int | None) -> list[int]:
    likeliest: list[int] = logits.topk(min(ANSWERS, len(logits))).indices.tolist()
    asked = [each for each in (answer, against) if each is not None]
    if bad := [each for each in asked if not 0 <= each < len(logits)]:
        raise UsageError(f"there is no answer {bad[0]}: there are 0 to {len(logits) - 1}")
    more = [each for each in asked if each not in likeliest]
    return likeliest[: max(1, ANSWERS - len(more))] + more


def _picture_column(image: Tensor) -> dict[str, object]:
    return {"name": "input", "kind": "picture", "count": 1, "height": image.shape[1], "width": image.shape[2]}


def _column(name: str, output: Tensor, arrays: dict[str, Tensor]) -> dict[str, object]:
    """A layer's maps as 256 levels from `low` in steps of `step`."""
    maps = output if output.dim() == 3 else output[:, None, None]  # (C, H, W)
    if max(maps.shape[1:]) > LARGEST_MAP:
        maps = F.adaptive_avg_pool2d(maps, (min(maps.shape[1], LARGEST_MAP), min(maps.shape[2], LARGEST_MAP)))
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


def _strongest(given: Tensor) -> list[int]:
    """The maps that are among the strongest for any answer, or for any answer against the first."""
    both = torch.cat([given, given[0] - given[1:]])
    chosen = both.abs().topk(min(STRONGEST, given.shape[1]), dim=1).indices
    return sorted(set(chosen.flatten().tolist()))


def _heat(heat: Tensor) -> Tensor:
    """`(A, H, W)` contributions by place, summed into larger places where there are too many."""
    side = max(heat.shape[1:])
    if side > FINEST_HEAT:
        size = min(heat.shape[1], FINEST_HEAT), min(heat.shape[2], FINEST_HEAT)
        area = heat[0].numel() / (size[0] * size[1])
        heat = F.adaptive_avg_pool2d(heat, size) * area
    return heat.float()


def _add_links(
    network: Network,
    found: Sequence[Paths],
    came: Mapping[str, Tensor],
    kept: dict[str, list[int]],
    arrays: dict[str, Tensor],
    notes: list[str],
) -> None:
    """What flowed between kept maps of neighbouring layers, `(A, to, from)`; the last are the answers.

    `came` is what came out of each layer that is shown, `(1, C, …)`.
    """
    layers = list(network.layers)
    order = ["input", *layers]
    for before, after in zip(came, [*list(came)[1:], layers[-1]], strict=True):
        if order.index(after) != order.index(before) + 1:
            continue  # a layer between them is not shown
        try:
            slopes = torch.stack([each.gradients[after] for each in found])
            flowed = links_between(network, after, came[before], slopes, kept.get(before)).float()
        except (KeyError, UsageError, RuntimeError, NotImplementedError):
            notes.append(f"how much flowed into {after} cannot be told")
            continue
        if before == "input":
            flowed = flowed.sum(1, keepdim=True)  # the picture is one unit, not its colours
        if after == layers[-1]:
            flowed = flowed[:, :, [each.answer for each in found]]
        elif after in kept:
            flowed = flowed[:, :, kept[after]]
        else:
            continue
        arrays[f"links {after}"] = flowed.transpose(1, 2).contiguous().half()
    for name, units in kept.items():
        arrays[f"kept {name}"] = torch.tensor(units, dtype=torch.int32)
