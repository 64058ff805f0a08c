"""`lanterna feature`: a picture of what a channel, unit or class of a network wants to see."""

import dataclasses
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from lanterna.errors import UsageError
from lanterna.images import check_place, save_picture
from lanterna.networks.digits import DIGIT_EYE
from lanterna.probes.kernels import first_kernels
from lanterna.recipes.feature import Feature, Kernels
from lanterna.recipes.feature import feature as paint
from lanterna.surfaces.cli.common import (
    Device,
    Force,
    Json,
    Output,
    Quiet,
    Settings,
    emit_json,
    fetch_and_open,
    fetch_missing,
    given,
    progress,
    say,
    show,
    stoppable,
    tell_device,
)
from lanterna.surfaces.featuring import feature_record, kernels_record
from lanterna.techniques.feature.technique import kernels_sheet, sheet

if TYPE_CHECKING:
    from lanterna.recipes.feature import FeatureFrame


def feature(
    stage: str | None = None,
    channel: int | None = None,
    /,
    *,
    kernels: Annotated[
        bool, Parameter(negative="", help="Show the first layer's kernels and measure what they look like.")
    ] = False,
    settings: Annotated[Feature | None, Settings] = None,
    output: Output = None,
    device: Device = "auto",
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
) -> int | None:
    """Paint what a channel, unit or class of a network wants to see.

    `lanterna feature block9 31`, `--class goldfish`, `block9 --direction 31 40`, `block9 --sheet 16`.

    Ctrl-C keeps the picture so far. Without -o it is written to feature.png.
    """
    wishes = given(settings)
    for name, value in (("stage", stage), ("channel", channel)):
        if value is not None and wishes.setdefault(name, value) != value:
            raise UsageError(f"feature {value} with --{name} {wishes[name]}: say it once")
    place = output or Path("kernels.png" if kernels else "feature.png")
    check_place(place, force=force)
    if kernels:
        if wishes.keys() - {"network", "seed"}:
            raise UsageError("--kernels shows the first layer as it is: give it no more than --network")
        _show_kernels(Kernels.checked(wishes), place, force=force, json=json, quiet=quiet)
        return None
    recipe = Feature.checked(wishes)
    return _paint(recipe, place, device=device, force=force, json=json, quiet=quiet)


def _paint(recipe: Feature, place: Path, *, device: str, force: bool, json: bool, quiet: bool) -> int | None:
    recipe.check_wish()
    network = fetch_and_open(recipe.network, device=device, quiet=quiet)
    if recipe.sheet:
        fetch_missing("mnist" if network.eye == DIGIT_EYE else "photographs", quiet=quiet)
    begun = time.perf_counter()
    frames = paint(recipe, network=network)
    tell_device(device, quiet=quiet)
    frame: FeatureFrame | None = None
    with stoppable() as stop_wished, progress("painting", quiet=quiet) as update:
        for frame in frames:
            update(frame.step, frame.steps, f"excitement {frame.numbers['excitement']:.2f}")
            if stop_wished():
                break
        frames.close()
    assert frame is not None
    assert frame.picture is not None
    picture, pairs = sheet(recipe, frame, network) if recipe.sheet else (frame.picture, [])
    save_picture(picture, place, recipe=feature_record(recipe, network), force=force)
    stopped = frame.step < frame.steps
    document: dict[str, Any] = {
        "picture": str(place),
        "finished": not stopped,
        "seconds": round(time.perf_counter() - begun, 2),
        **{name: round(value, 4) for name, value in frame.numbers.items()},
        "recipe": recipe.model_dump(mode="json"),
    }
    if pairs:
        document["channels"] = [dataclasses.asdict(pair) for pair in pairs]
    if json:
        emit_json(document)
    else:
        sure = f", {frame.numbers['probability']:.1%} sure" if "probability" in frame.numbers else ""
        note = f"excitement {frame.numbers['excitement']:.2f}{sure}"
        say(f"{place}: {document['seconds']:.1f} s, {note}", quiet=quiet)
    if stopped:
        say(f"stopped after {frame.step} of {frame.steps} steps; its recipe makes all of them", quiet=quiet)
        return 130
    return None


def _show_kernels(recipe: Kernels, place: Path, *, force: bool, json: bool, quiet: bool) -> None:
    network = fetch_and_open(recipe.network, device="cpu", quiet=quiet)
    measured = first_kernels(network)
    picture = kernels_sheet(measured, network.name)
    save_picture(picture, place, recipe=kernels_record(recipe, network), force=force)
    counts = Counter(found for found in measured.found if found)
    chance = measured.chance.median().item()
    if json:
        rows = zip(measured.found, measured.shapes, measured.explained.tolist(), strict=True)
        emit_json(
            {
                "picture": str(place),
                "network": network.name,
                "size": list(measured.weights.shape),
                "threshold": round(measured.threshold, 4),
                "median_of_noise": round(chance, 4),
                "median": round(measured.explained.median().item(), 4),
                "found": dict(sorted(counts.items())),
                "kernels": [
                    {"found": found, "best_fit": shape, "explained": round(share, 4)}
                    for found, shape, share in rows
                ],
            }
        )
        return
    count, total = sum(counts.values()), len(measured.shapes)
    kinds = ", ".join(f"{number} {shape}" for shape, number in sorted(counts.items())) or "none"
    show(f"{count} of {total} first kernels are an edge, bar or blob ({kinds})")
    say(
        f"that is: one explains more than {measured.threshold:.0%} of the kernel, as of 1 in 100 kernels of "
        f"noise (half of these: {chance:.0%}, half of the network's: {measured.explained.median():.0%})",
        quiet=quiet,
    )
    say(f"{place}: the kernels", quiet=quiet)
