"""Transfer learning, top to bottom: extract features, fit a new last layer, optionally fine-tune, test.

A network trained to classify a thousand things computes, before its last layer, 1,280 features that are
useful for many others (Donahue et al. 2014, "DeCAF"). Each picture's features are computed once, and a last
layer for your own classes is fitted to them in seconds (`linear_probe.py`). If that is not enough, the last
blocks can be fine-tuned too (Yosinski et al. 2014, "How transferable are features in deep neural networks?").
"""

from __future__ import annotations

import copy
import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lanterna.devices import reuse_memory, without_dynamo
from lanterna.errors import LanternaError
from lanterna.images.folders import check_counts
from lanterna.networks import Network, open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.networks.taught import with_classes
from lanterna.techniques.checkpoint import Checkpointer
from lanterna.techniques.classify.algorithm import BATCH
from lanterna.techniques.evaluation import Predictions, collect_predictions
from lanterna.techniques.teach.feature_cache import FeatureCache, extract_features, stack
from lanterna.techniques.teach.linear_probe import (
    CHUNK,
    Head,
    balanced_weights,
    choose_strength,
    fit,
    limit_threads,
)
from lanterna.techniques.teach.prefetch import decode, worker_count
from lanterna.techniques.teach.results import LeftOut, Results, summarise
from lanterna.techniques.teach.settings import Teach
from lanterna.techniques.technique import Frame

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from lanterna.images.folders import PictureFolder
    from lanterna.techniques.teach.feature_cache import ExtractionProgress

Phase = Literal["extracting features", "training", "fine-tuning", "testing", "done"]

_MAX_SAMPLE = 5_000  # pictures that the strength of the penalty is chosen on
_WARM_UP = 0.1  # share of the fine-tuning steps in which the learning rate rises
_SMOOTHING = 0.1  # label smoothing in fine-tuning: few pictures, often repeated, make a network overconfident
_MIN_CROP = 0.85  # minimum side of a random crop, as a share of the picture's side


@dataclass(frozen=True, kw_only=True)
class TeachFrame(Frame):
    """Progress of teaching. The last frame has the `network` and its `results`.

    `step` counts pictures while features are extracted, then fine-tuning steps. `numbers`, depending on the
    phase: `computed` (pictures whose features were not in the cache), `pictures_a_second`, `seconds_left`,
    `loss`, and `accuracy` on the test pictures.
    """

    phase: Phase
    network: Network | None = None
    results: Results | None = None


@dataclass(frozen=True)
class UsablePictures:
    """The pictures to train and test with, and those left out.

    `rows` `(N,)` are their indices among the gathered files, `keys` uint8 `(N, 32)` the files' sha256 and
    `labels` int64 `(N,)` their classes.
    """

    rows: NDArray[np.int64]
    keys: NDArray[np.uint8]
    labels: Tensor
    left_out: LeftOut


def teach(
    gathered: PictureFolder,
    settings: Teach | None = None,
    *,
    network: Network | None = None,
    name: str = "taught",
    device: str = "auto",
    workers: int | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> Generator[TeachFrame, None, None]:
    """Teach a network the classes of `gathered` (`images.folders.gather`), yielding frames of progress.

    The base network is `network`, or the one named in the settings; it is not changed. The new network is
    called `name`. `workers` is the number of processes that decode pictures; by default it depends on the
    number of pictures. Features are cached, so a second call continues where an interrupted one stopped.
    Fine-tuning saves its state at `checkpoint` and, with `resume`, continues from there.

    Errors: `UsageError` if a class has too few readable pictures; `MissingError` if the network is not on
    this machine; those of `techniques.checkpoint`.
    """
    settings = settings or Teach()
    base = network or open_network(settings.network, device=device)
    reuse_memory()
    features = FeatureCache(base)
    workers = worker_count(len(gathered.files), workers)
    total, start = len(gathered.files), time.perf_counter()
    for progress in extract_features(gathered, base, features, workers=workers):
        speed = progress.done / (time.perf_counter() - start)
        numbers = {
            "computed": float(progress.computed),
            "pictures_a_second": speed,
            "seconds_left": (total - progress.done) / speed,
        }
        yield TeachFrame(progress.done, total, numbers, phase="extracting features")

    usable = select_usable(gathered, progress)
    train, test = split(usable, settings)
    counts = torch.bincount(usable.labels[train], minlength=len(gathered.classes)).tolist()
    class_weights = balanced_weights(counts) if settings.balance else torch.ones(len(counts))
    positions = features.keys.find(usable.keys)
    if (positions < 0).any():
        raise LanternaError(f"features in {features.folder} were deleted in the meantime: try again")
    yield TeachFrame(total, total, numbers, phase="training")
    with limit_threads(len(train) * features.width * len(counts)):
        head, strength = fit_head(features, positions[train], usable.labels[train], class_weights, settings)
    base_device = base.get_buffer("mean").device
    taught = with_classes(
        base, name, gathered.classes, head.weight.to(base_device), head.bias.to(base_device)
    )

    labels = usable.labels[test]
    predictions = collect_predictions(
        (head.logits(features.rows(positions[test[part]])), usable.labels[test[part]])
        for part in _spans(len(test), CHUNK)
    )
    accuracy_before = None
    if settings.fine_tune:
        accuracy_before = float((predictions.classes == labels).double().mean())
        fine_tuning = FineTuning(taught, gathered, usable, train, class_weights, settings, workers)
        steps = total + fine_tuning.steps
        for step, loss in fine_tuning.run(checkpoint, resume=resume):
            numbers = {"loss": loss, "accuracy_before": accuracy_before}
            yield TeachFrame(total + step, steps, numbers, phase="fine-tuning")
        taught = fine_tuning.network
        yield TeachFrame(steps, steps, numbers, phase="testing")
        predictions, test = evaluate(taught, gathered, usable, test, workers)
        total = steps
    results = summarise(
        predictions,
        usable.labels[test],
        [gathered.files[row] for row in usable.rows[test]],
        counts,
        classes=gathered.classes,
        strength=strength,
        left_out=usable.left_out,
        accuracy_before_tuning=accuracy_before,
    )
    numbers = {**numbers, "accuracy": results.accuracy}
    yield TeachFrame(total, total, numbers, phase="done", network=taught, results=results)


def select_usable(gathered: PictureFolder, progress: ExtractionProgress) -> UsablePictures:
    """Select the pictures to use: readable ones, without duplicates and without those in two classes.

    If copies of a picture were in both the training and the test set, the network would look better than it
    is. A picture that is in two classes is an example of neither.

    Errors: `UsageError` if a class has fewer than two pictures left.
    """
    rows = np.nonzero(progress.readable)[0]
    keys = progress.keys[rows]
    words = keys.view(np.uint64)  # (n, 4)
    order = np.lexsort((np.arange(len(rows)), *words.T))  # equal files next to each other, by name
    is_first = np.ones(len(rows), dtype=np.bool_)  # of each group of equal files
    is_first[1:] = (words[order][1:] != words[order][:-1]).any(1)
    firsts = np.nonzero(is_first)[0]
    labels = gathered.labels.numpy()[rows]
    sorted_labels = labels[order]
    lowest, highest = (
        (reduction.reduceat(sorted_labels, firsts) for reduction in (np.minimum, np.maximum))
        if len(rows)
        else (firsts, firsts)
    )
    consistent = lowest == highest
    group = np.cumsum(is_first) - 1  # for each element of `order`
    contradictory = np.sort(rows[order[~consistent[group]]])
    chosen = np.sort(order[firsts[consistent]])
    left_out = LeftOut(
        tuple(progress.unreadable),
        twice=len(rows) - len(contradictory) - len(chosen),
        contradictory=tuple(gathered.files[row] for row in contradictory),
    )
    chosen_labels = torch.from_numpy(labels[chosen].astype(np.int64))
    check_counts(gathered.classes, torch.bincount(chosen_labels, minlength=len(gathered.classes)).tolist())
    return UsablePictures(rows[chosen], keys[chosen], chosen_labels, left_out)


def split(usable: UsablePictures, settings: Teach) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Split the usable pictures into training and test set, as sorted indices.

    The share `hold_out` of each class goes into the test set, at least one picture and never all. The choice
    depends on the sha256 of seed and file, so that names and order do not matter, and adding pictures moves
    few others.
    """
    seed = settings.seed.to_bytes(8, "little")
    test: list[int] = []
    for label in range(int(usable.labels.max()) + 1):
        members = (usable.labels == label).nonzero()[:, 0].tolist()
        shuffled = sorted(members, key=lambda i: hashlib.sha256(seed + usable.keys[i].tobytes()).digest())
        test += shuffled[: min(max(1, round(settings.hold_out * len(members))), len(members) - 1)]
    held_out = np.zeros(len(usable.rows), dtype=np.bool_)
    held_out[test] = True
    return np.nonzero(~held_out)[0], np.nonzero(held_out)[0]


def fit_head(
    features: FeatureCache,
    positions: NDArray[np.int64],
    labels: Tensor,
    class_weights: Tensor,
    settings: Teach,
) -> tuple[Head, float]:
    """Fit the last layer to the pictures' features; return it with the strength of the L2 penalty.

    The strength is chosen by cross-validation on the training pictures. If there are many, it is chosen on a
    sample and then scaled down in proportion to the number of pictures.
    """
    classes, count = len(class_weights), len(positions)
    sample = np.arange(count)
    if count > _MAX_SAMPLE:
        sample = np.random.default_rng(settings.seed).permutation(count)[:_MAX_SAMPLE]
    sample_features, sample_labels = features.rows(positions[sample]), labels[torch.from_numpy(sample)]
    strength = choose_strength(
        sample_features, sample_labels, class_weights[sample_labels], classes, settings.seed
    )
    strength *= len(sample) / count
    order = np.argsort(positions, kind="stable")  # the order on disk, so that each shard is read once

    def chunks() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for span in _spans(count, CHUNK):
            part = order[span]
            part_labels = labels[torch.from_numpy(part)]
            yield features.rows(positions[part]), part_labels, class_weights[part_labels]

    (head,) = fit(chunks, classes, [strength])
    return head, strength


def _spans(count: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


def evaluate(
    network: Network, gathered: PictureFolder, usable: UsablePictures, chosen: NDArray[np.int64], workers: int
) -> tuple[Predictions, NDArray[np.int64]]:
    """Return a network's predictions for the chosen pictures, and which of these could still be read."""
    fast_network = optimize_for_inference(network, [list(network.layers)[-1]])
    read: list[int] = []

    def logits_and_labels() -> Iterator[tuple[Tensor, Tensor]]:
        for images, members in _load_batches(gathered, usable, _batches(chosen, BATCH), network, workers):
            read.extend(members)
            with torch.inference_mode():
                logits = fast_network(images).cpu()
            yield logits, usable.labels[members]

    predictions = collect_predictions(logits_and_labels())
    return predictions, np.array(read)


def _batches(chosen: NDArray[np.int64], size: int) -> Iterable[NDArray[np.int64]]:
    return (chosen[span] for span in _spans(len(chosen), size))


def _load_batches(
    gathered: PictureFolder,
    usable: UsablePictures,
    batches: Iterable[NDArray[np.int64]],
    network: Network,
    workers: int,
) -> Iterator[tuple[Tensor, list[int]]]:
    """Yield the pictures `(n, 3, S, S)` of each batch of indices among the usable ones, and their indices.

    Files that have been changed or deleted since their features were extracted are skipped.
    """
    requested: list[NDArray[np.int64]] = []

    def files() -> Iterator[list[Path]]:
        for batch in batches:
            requested.append(batch)
            yield [gathered.path(usable.rows[i]) for i in batch]

    device = network.get_buffer("mean").device
    for files_of_batch in decode(files(), network.input_spec, workers=workers):
        batch = requested.pop(0).tolist()
        unchanged = [
            (i, file)
            for i, file in zip(batch, files_of_batch, strict=True)
            if file.picture is not None and file.key == usable.keys[i].tobytes()
        ]
        images = stack([file for _, file in unchanged]) if unchanged else torch.empty(0, 3, 1, 1)
        yield images.to(device, memory_format=torch.channels_last), [i for i, _ in unchanged]


class FineTuning:
    """Fine-tuning: train the last blocks and the last layer further, on the pictures themselves.

    All earlier layers are frozen, and so are the running statistics of batch normalisation, for which there
    are too few pictures. Pictures are randomly cropped. Every step draws its randomness from (seed, step)
    alone, so a run that is stopped and resumed ends with the same weights as an uninterrupted one.
    """

    def __init__(
        self,
        taught: Network,
        gathered: PictureFolder,
        usable: UsablePictures,
        train: NDArray[np.int64],
        class_weights: Tensor,
        settings: Teach,
        workers: int,
    ) -> None:
        self._gathered, self._usable, self._train = gathered, usable, train
        self._class_weights = class_weights
        self._settings, self._workers = settings, workers
        self.steps_an_epoch = -(-len(train) // BATCH)
        self.steps = settings.epochs * self.steps_an_epoch
        names = list(taught.layers)
        first = names.index([name for name in names if name.startswith("block")][-settings.blocks])
        self._trunk = optimize_for_inference(taught, [names[first - 1]])
        self._tail = nn.ModuleDict({name: copy.deepcopy(taught.layers[name]) for name in names[first:]})
        self._tail.requires_grad_(True).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        layers = {**dict(taught.layers.items()), **dict(self._tail.items())}
        self.network = Network(taught.name, taught.input_spec, layers, taught.classes).eval()
        self.network.to(taught.get_buffer("mean").device)
        self._optimiser = without_dynamo(torch.optim.AdamW)(
            list(self._tail.parameters()), settings.learning_rate, weight_decay=0.01, fused=True
        )

    def run(self, checkpoint: Path | None, *, resume: bool) -> Iterator[tuple[int, float]]:
        """Train `network`, yielding the number of finished steps and the loss after each."""
        fingerprint = [torch.from_numpy(self._usable.keys[self._train]), self._class_weights]
        checkpointer = Checkpointer(checkpoint, self._settings, fingerprint)
        step, loss = 0, 0.0
        if resume and checkpoint is not None:
            state = checkpointer.read({"step", "loss", "tail", "optimiser"})
            self._tail.load_state_dict(state["tail"])
            self._optimiser.load_state_dict(state["optimiser"])
            step, loss = state["step"], state["loss"]

        def state_now() -> dict[str, Any]:
            states = {"tail": self._tail.state_dict(), "optimiser": self._optimiser.state_dict()}
            return {"step": step, "loss": loss, **states}

        batches = (self._batch(number) for number in range(step, self.steps))
        try:
            for images, members in _load_batches(
                self._gathered, self._usable, batches, self.network, self._workers
            ):
                if members:
                    loss = self._step(step, images, self._usable.labels[members])
                step += 1
                yield step, loss
                checkpointer.maybe_save(state_now())
        finally:
            checkpointer.write(state_now())
        self.network.requires_grad_(False)

    def _batch(self, step: int) -> NDArray[np.int64]:
        """Return the indices of a step's pictures: each epoch goes through all of them, in a new order."""
        epoch, number = divmod(step, self.steps_an_epoch)
        order = np.random.default_rng((self._settings.seed, epoch)).permutation(self._train)
        return order[number * BATCH : (number + 1) * BATCH]

    def _step(self, step: int, images: Tensor, labels: Tensor) -> float:
        for group in self._optimiser.param_groups:
            group["lr"] = self._settings.learning_rate * self._schedule(step)
        with torch.no_grad():
            x = self._trunk(
                _random_crops(images, np.random.default_rng((self._settings.seed, self.steps, step)))
            )
        for layer in self._tail.values():
            x = layer(x)
        labels = labels.to(x.device)
        losses = F.cross_entropy(x, labels, reduction="none", label_smoothing=_SMOOTHING)
        weights = self._class_weights.to(x.device)[labels]
        loss = (losses * weights).mean()
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._optimiser.step()
        return loss.item()

    def _schedule(self, step: int) -> float:
        """Return the learning rate's factor at a step: a linear warm-up, then linear decay to zero."""
        warm_up = max(1, round(_WARM_UP * self.steps))
        if step < warm_up:
            return (step + 1) / warm_up
        return 1 - (step - warm_up) / max(1, self.steps - warm_up)


def _random_crops(images: Tensor, randomness: np.random.Generator) -> Tensor:
    """Crop a random square from each picture and resize it to full size. `(N, 3, S, S)` in and out."""
    side = images.shape[-1]
    out = torch.empty_like(images)
    for number, image in enumerate(images):
        size = int(side * randomness.uniform(_MIN_CROP, 1))
        top, left = randomness.integers(0, side - size + 1, 2)
        crop = image[:, top : top + size, left : left + size]
        out[number] = F.interpolate(crop[None], (side, side), mode="bilinear")[0]
    return out
