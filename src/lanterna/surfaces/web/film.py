"""The page of a training run: a slider over its steps, one self-contained HTML file under 5 MB."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import torch

from lanterna.errors import UsageError
from lanterna.files import atomic_write, refuse_to_overwrite
from lanterna.images.films import SUFFIXES, check_film_path
from lanterna.surfaces.web.film_frames import save_training_film
from lanterna.surfaces.web.page import standalone
from lanterna.techniques.train.film import class_corners

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from lanterna.techniques.train.film import TrainingFilm

SUFFIX = ".html"


def check_places(paths: Iterable[Path], *, force: bool = False) -> None:
    """Check that a film can be saved there: `.html` for the page, else as `save_film`. Errors: the same."""
    for path in paths:
        if path.suffix.lower() == SUFFIX:
            refuse_to_overwrite(path, force=force)
        elif path.suffix.lower() not in SUFFIXES:
            known = ", ".join((SUFFIX, *SUFFIXES))
            raise UsageError(f"--film {path}: expected a file name that ends in {known}")
        else:
            check_film_path(path, force=force)


def save(film: TrainingFilm, path: Path, *, force: bool = False) -> None:
    """Write a film as a page or as a film, by the suffix. Errors: as `check_places`."""
    if path.suffix.lower() != SUFFIX:
        save_training_film(film, path, force=force)
        return
    check_places([path], force=force)
    with atomic_write(path) as temporary:
        temporary.write_text(film_page(film), encoding="utf-8")


def film_page(film: TrainingFilm) -> str:
    """Return the page as HTML."""
    snapshots = film.snapshots
    layers = list(snapshots[-1].maps)
    data = {
        "network": film.settings.network,
        "total": film.settings.steps,
        "steps": [snapshot.step for snapshot in snapshots],
        "measured": f"{len(film.evaluated.labels):,} {film.evaluated_on} digits",
        "trained": f"{len(film.trained_on.labels):,} training digits",
        "layers": layers,
        "corners": class_corners().tolist(),
    }
    for name in ("accuracy", "loss", "training_accuracy", "training_loss"):
        values = torch.tensor([getattr(snapshot, name) for snapshot in snapshots])
        data[name] = [round(value, 5) for value in values.nan_to_num(1e9, posinf=1e9).tolist()]
    arrays = {
        "kernels": torch.stack([snapshot.kernels for snapshot in snapshots]),  # (S, K, h, w)
        "confusion": torch.stack([snapshot.confusion for snapshot in snapshots]),  # (S, 10, 10)
        "places": torch.stack([snapshot.places for snapshot in snapshots]).half(),  # (S, 1000, 2)
        "answers": torch.stack([snapshot.answers for snapshot in snapshots]),  # (S, 1000)
        "labels": film.mapped.labels.to(torch.uint8),
        "digits": film.mapped.images[:, 0],  # (1000, 28, 28)
        "chosen": film.examples.images[:, 0],  # (10, 28, 28)
    }
    for layer in layers:  # (S, 10, M, h, w), or (S, 10, units)
        arrays[f"maps {layer}"] = torch.stack([snapshot.maps[layer] for snapshot in snapshots])
    return standalone(
        f"Watching {film.settings.network} learn",
        sheets=["film.css"],
        modules=["film.js"],
        entry="film.js",
        data=data,
        arrays=arrays,
        body=_body(film, layers),
    )


def _body(film: TrainingFilm, layers: list[str]) -> str:
    kind = film.settings.network
    first = "The kernels of its first layer" if kind == "conv" else "The weights of its first units"
    rows = "".join(
        f"<figure><figcaption>{escape(layer)}</figcaption>"
        f'<canvas data-layer="{escape(layer)}"></canvas></figure>'
        for layer in layers
    )
    total = f"{film.settings.steps:,}"
    map_label = "2-D map of 1,000 test digits, each pulled towards the ten answers"
    return f"""<header>
<h1>Watching {escape(kind)} learn</h1>
<p id="now"></p>
</header>
<form class="controls" aria-label="Step">
<button type="button" id="play">Play</button>
<input type="range" id="step" min="0" max="{len(film.snapshots) - 1}" step="1" aria-label="Step of {total}">
<label>Speed <select id="speed"><option value="0.5">½</option><option value="1" selected>1</option>
<option value="2">2</option></select></label>
</form>
<main>
<section class="map">
<h2>Ten answers, 1,000 digits</h2>
<p>Each numeral is a test digit, placed by the last hidden layer: an undecided one is in the middle, a
confident one at its answer. <b class="for">Amber</b>: the chosen digit; <b class="against">blue</b>: misread.
Hover over or tap one to see it.</p>
<div class="dial"><canvas id="map" role="img" aria-label="{map_label}"></canvas></div>
<p id="pointed" class="pointed"><canvas width="28" height="28" hidden></canvas><span></span></p>
</section>
<section class="inside">
<h2>Inside the network</h2>
<div id="digits" class="digits" role="group" aria-label="Digit"></div>
<div class="layers">{rows}</div>
<p class="legend">Each layer is scaled to its strongest unit at that step.</p>
<h2>{first}</h2>
<canvas id="kernels" role="img" aria-label="{first}"></canvas>
<p class="legend"><b class="for">Amber</b>: positive weights, <b class="against">blue</b>: negative ones.</p>
</section>
<section class="numbers">
<h2>Accuracy</h2>
<canvas id="accuracy" class="curve" role="img"></canvas>
<p class="legend"><b class="for">Amber</b>: {escape(film.evaluated_on)} digits; grey: training digits, without
augmentation. Each line up means ten times fewer mistakes. Steps are dense at first and sparse at the end.</p>
<h2>Loss</h2>
<canvas id="loss" class="curve" role="img"></canvas>
<h2>Confusion matrix</h2>
<table id="confusion"><caption>Rows: label. Columns: answer.</caption></table>
</section>
</main>
"""
