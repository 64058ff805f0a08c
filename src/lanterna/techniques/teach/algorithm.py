"""Teaching a network your own classes, top to bottom: look at all pictures once, learn a last layer, test it.

A network that can name a thousand things has learned, before its last layer, 1,280 features that serve for
many others (Donahue et al. 2014, "DeCAF"). So a picture's features are computed once, and a last layer of
your own classes is learned on them in seconds (`linear_probe.py`). Where that is not enough the last blocks
can learn as well, from there on (Yosinski et al. 2014, "How transferable are features in deep neural
networks?").
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

from lanterna.devices import reuse_memory, uncompiled
from lanterna.errors import LanternaError
from lanterna.images.folders import check_counts
from lanterna.networks import Network, open_network
from lanterna.networks.inference import optimize_for_inference
from lanterna.networks.taught import with_classes
from lanterna.techniques.checkpoint import Checkpointer
from lanterna.techniques.classify.algorithm import BATCH
from lanterna.techniques.evaluation import Predictions, collect_predictions
from lanterna.techniques.teach.feature_cache import Features, look_at_all, stacked
from lanterna.techniques.teach.linear_probe import (
    CHUNK,
    Head,
    choose_strength,
    even_weights,
    fit,
    threads_for,
)
from lanterna.techniques.teach.prefetch import decoded, workers_for
from lanterna.techniques.teach.results import LeftOut, Results, results_of
from lanterna.techniques.teach.settings import Teach
from lanterna.techniques.technique import Frame

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from lanterna.images.folders import Gathered
    from lanterna.techniques.teach.feature_cache import Looked

Doing = Literal["looking", "learning", "fine-tuning", "testing", "done"]

_SAMPLE = 5_000  # pictures, at most, that the strength is chosen on
_WARM_UP = 0.1  # share of the steps of fine-tuning in which the learning rate rises
_SMOOTHING = 0.1  # of labels in fine-tuning: a few pictures seen often would make the network too sure
_SMALLEST_CROP = 0.85  # share of a picture's side that fine-tuning sees of it, at least


@dataclass(frozen=True, kw_only=True)
class TeachFrame(Frame):
    """How far teaching has come, and with what. The last frame has the `network` and its `results`.

    `step` counts pictures looked at, then steps of fine-tuning. `numbers`, where they are known: `computed`
    (pictures the network had to look at, the others were known from before), `pictures_a_second`,
    `seconds_left`, `loss`, and `accuracy` on the held-out pictures.
    """

    doing: Doing
    network: Network | None = None
    results: Results | None = None


@dataclass(frozen=True)
class Usable:
    """The pictures that can be used: `rows`, their places among the gathered files, `keys` uint8 `(N, 32)`
    the files' sha256, `labels` int64 `(N,)`; and what was left out.
    """

    rows: NDArray[np.int64]
    keys: NDArray[np.uint8]
    labels: Tensor
    left_out: LeftOut


def teach(
    gathered: Gathered,
    settings: Teach | None = None,
    *,
    network: Network | None = None,
    name: str = "taught",
    device: str = "auto",
    workers: int | None = None,
    checkpoint: Path | None = None,
    resume: bool = False,
) -> Generator[TeachFrame, None, None]:
    """Teach a network the classes of `gathered` (`images.folders.gather`), yielding a frame every so often.

    `network` is used where given, else the one that the settings name; it is not changed. `name` is what the
    taught one is called. `workers` are the processes that decode, as many as pay if None. What was looked at
    is kept, so a second call goes on where a first was stopped. Fine-tuning keeps its state at `checkpoint`,
    and goes on from there with `resume`.

    Errors: `UsageError` where a class has too few pictures that can be read; `MissingError` where the network
    is not here; those of `techniques.checkpoint`.
    """
    settings = settings or Teach()
    base = network or open_network(settings.network, device=device)
    reuse_memory()
    features = Features(base)
    workers = workers_for(len(gathered.files), workers)
    total, begun = len(gathered.files), time.perf_counter()
    for looked in look_at_all(gathered, base, features, workers=workers):
        speed = looked.done / (time.perf_counter() - begun)
        numbers = {
            "computed": float(looked.computed),
            "pictures_a_second": speed,
            "seconds_left": (total - looked.done) / speed,
        }
        yield TeachFrame(looked.done, total, numbers, doing="looking")

    usable = usable_of(gathered, looked)
    train, test = split(usable, settings)
    counts = torch.bincount(usable.labels[train], minlength=len(gathered.classes)).tolist()
    class_weights = even_weights(counts) if settings.balance else torch.ones(len(counts))
    places = features.keys.find(usable.keys)
    if (places < 0).any():
        raise LanternaError(f"features in {features.folder} were taken away meanwhile: try once more")
    yield TeachFrame(total, total, numbers, doing="learning")
    with threads_for(len(train) * features.width * len(counts)):
        head, strength = learn(features, places[train], usable.labels[train], class_weights, settings)
    device_used = base.get_buffer("mean").device
    taught = with_classes(
        base, name, gathered.classes, head.weight.to(device_used), head.bias.to(device_used)
    )

    labels = usable.labels[test]
    found = collect_predictions(
        (head.logits(features.rows(places[test[part]])), usable.labels[test[part]])
        for part in _spans(len(test), CHUNK)
    )
    before = None
    if settings.fine_tune:
        before = float((found.answers == labels).double().mean())
        tuning = Tuning(taught, gathered, usable, train, class_weights, settings, workers)
        steps = total + tuning.steps
        for step, loss in tuning.run(checkpoint, resume=resume):
            numbers = {"loss": loss, "accuracy_before": before}
            yield TeachFrame(total + step, steps, numbers, doing="fine-tuning")
        taught = tuning.network
        yield TeachFrame(steps, steps, numbers, doing="testing")
        found, test = judge(taught, gathered, usable, test, workers)
        total = steps
    results = results_of(
        found,
        usable.labels[test],
        [gathered.files[row] for row in usable.rows[test]],
        counts,
        classes=gathered.classes,
        strength=strength,
        left_out=usable.left_out,
        before_tuning=before,
    )
    numbers = {**numbers, "accuracy": results.accuracy}
    yield TeachFrame(total, total, numbers, doing="done", network=taught, results=results)


def usable_of(gathered: Gathered, looked: Looked) -> Usable:
    """The pictures that can be used: readable, one of each within a class, and none that is in two classes.

    A copy that was both learned from and tested with would make a network look better than it is; the same
    picture in two classes is no example of either.

    Errors: `UsageError` where a class has fewer than two left.
    """
    rows = np.nonzero(looked.readable)[0]
    keys = looked.keys[rows]
    words = keys.view(np.uint64)  # (n, 4)
    order = np.lexsort((np.arange(len(rows)), *words.T))  # equal files side by side, in order of their names
    fresh = np.ones(len(rows), dtype=np.bool_)
    fresh[1:] = (words[order][1:] != words[order][:-1]).any(1)
    firsts = np.nonzero(fresh)[0]
    labels = gathered.labels.numpy()[rows]
    sorted_labels = labels[order]
    lowest, highest = (
        (each.reduceat(sorted_labels, firsts) for each in (np.minimum, np.maximum))
        if len(rows)
        else (firsts, firsts)
    )
    agreed = lowest == highest
    group = np.cumsum(fresh) - 1  # of each in `order`
    contradictory = np.sort(rows[order[~agreed[group]]])
    kept = np.sort(order[firsts[agreed]])
    left_out = LeftOut(
        tuple(looked.unreadable),
        twice=len(rows) - len(contradictory) - len(kept),
        contradictory=tuple(gathered.files[row] for row in contradictory),
    )
    found = torch.from_numpy(labels[kept].astype(np.int64))
    check_counts(gathered.classes, torch.bincount(found, minlength=len(gathered.classes)).tolist())
    return Usable(rows[kept], keys[kept], found, left_out)


def split(usable: Usable, settings: Teach) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which pictures are learned from and which are held out, as places among the usable ones, in order.

    Of each class the share `hold_out` is held out, at least one and never all. Which ones goes by the sha256
    of the seed and the file, so names and order do not matter, and few change when pictures are added.
    """
    seed = settings.seed.to_bytes(8, "little")
    test: list[int] = []
    for label in range(int(usable.labels.max()) + 1):
        members = (usable.labels == label).nonzero()[:, 0].tolist()
        drawn = sorted(members, key=lambda i: hashlib.sha256(seed + usable.keys[i].tobytes()).digest())
        test += drawn[: min(max(1, round(settings.hold_out * len(members))), len(members) - 1)]
    held_out = np.zeros(len(usable.rows), dtype=np.bool_)
    held_out[test] = True
    return np.nonzero(~held_out)[0], np.nonzero(held_out)[0]


def learn(
    features: Features, places: NDArray[np.int64], labels: Tensor, class_weights: Tensor, settings: Teach
) -> tuple[Head, float]:
    """The last layer of these pictures, and how strongly its weights were pulled to zero.

    The strength is chosen by cross-validation on the pictures learned from, a sample where they are many; the
    more pictures there are the less is pulled.
    """
    classes, count = len(class_weights), len(places)
    sample = np.arange(count)
    if count > _SAMPLE:
        sample = np.random.default_rng(settings.seed).permutation(count)[:_SAMPLE]
    some, theirs = features.rows(places[sample]), labels[torch.from_numpy(sample)]
    strength = choose_strength(some, theirs, class_weights[theirs], classes, settings.seed)
    strength *= len(sample) / count
    order = np.argsort(places, kind="stable")  # as they lie in the shards, so that each is read once

    def chunks() -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        for span in _spans(count, CHUNK):
            part = order[span]
            theirs = labels[torch.from_numpy(part)]
            yield features.rows(places[part]), theirs, class_weights[theirs]

    (head,) = fit(chunks, classes, [strength])
    return head, strength


def _spans(count: int, size: int) -> Iterator[slice]:
    return (slice(first, min(first + size, count)) for first in range(0, count, size))


def judge(
    network: Network, gathered: Gathered, usable: Usable, chosen: NDArray[np.int64], workers: int
) -> tuple[Predictions, NDArray[np.int64]]:
    """The answers of a network to the chosen pictures, and which of them could still be read."""
    quick = optimize_for_inference(network, [list(network.layers)[-1]])
    read: list[int] = []

    def answered() -> Iterator[tuple[Tensor, Tensor]]:
        for images, members in _pictures(gathered, usable, _parts(chosen, BATCH), network, workers):
            read.extend(members)
            with torch.inference_mode():
                logits = quick(images).cpu()
            yield logits, usable.labels[members]

    found = collect_predictions(answered())
    return found, np.array(read)


def _parts(chosen: NDArray[np.int64], size: int) -> Iterable[NDArray[np.int64]]:
    return (chosen[span] for span in _spans(len(chosen), size))


def _pictures(
    gathered: Gathered,
    usable: Usable,
    batches: Iterable[NDArray[np.int64]],
    network: Network,
    workers: int,
) -> Iterator[tuple[Tensor, list[int]]]:
    """The pictures `(n, 3, S, S)` of batches of places among the usable, and the places: a file that was
    changed or taken away since it was looked at is passed over."""
    asked: list[NDArray[np.int64]] = []

    def files() -> Iterator[list[Path]]:
        for batch in batches:
            asked.append(batch)
            yield [gathered.path(usable.rows[i]) for i in batch]

    device = network.get_buffer("mean").device
    for found in decoded(files(), network.input_spec, workers=workers):
        places = asked.pop(0).tolist()
        good = [
            (i, each)
            for i, each in zip(places, found, strict=True)
            if each.picture is not None and each.key == usable.keys[i].tobytes()
        ]
        images = stacked([each for _, each in good]) if good else torch.empty(0, 3, 1, 1)
        yield images.to(device, memory_format=torch.channels_last), [i for i, _ in good]


class Tuning:
    """Fine-tuning: the last blocks and the last layer learn on, from the pictures themselves.

    The layers before them stay as they are, and so do the means and deviations of the batch norms, which a
    few pictures would spoil. Each picture is seen a little cut each time. Every step draws its randomness
    from (seed, step) alone, so a run that is stopped and resumed ends where an unbroken one does.
    """

    def __init__(
        self,
        taught: Network,
        gathered: Gathered,
        usable: Usable,
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
        self._optimiser = uncompiled(torch.optim.AdamW)(
            list(self._tail.parameters()), settings.learning_rate, weight_decay=0.01, fused=True
        )

    def run(self, checkpoint: Path | None, *, resume: bool) -> Iterator[tuple[int, float]]:
        """Yield after each step its number and the loss; `network` learns meanwhile, and is at rest after."""
        marks = [torch.from_numpy(self._usable.keys[self._train]), self._class_weights]
        checkpointer = Checkpointer(checkpoint, self._settings, marks)
        step, loss = 0, 0.0
        if resume and checkpoint is not None:
            state = checkpointer.read({"step", "loss", "tail", "optimiser"})
            self._tail.load_state_dict(state["tail"])
            self._optimiser.load_state_dict(state["optimiser"])
            step, loss = state["step"], state["loss"]

        def state_now() -> dict[str, Any]:
            learned = {"tail": self._tail.state_dict(), "optimiser": self._optimiser.state_dict()}
            return {"step": step, "loss": loss, **learned}

        batches = (self._batch(number) for number in range(step, self.steps))
        try:
            for images, members in _pictures(
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
        """The places of the pictures of a step: each epoch sees all of them, in an order of its own."""
        epoch, number = divmod(step, self.steps_an_epoch)
        order = np.random.default_rng((self._settings.seed, epoch)).permutation(self._train)
        return order[number * BATCH : (number + 1) * BATCH]

    def _step(self, step: int, images: Tensor, labels: Tensor) -> float:
        for group in self._optimiser.param_groups:
            group["lr"] = self._settings.learning_rate * self._share(step)
        with torch.no_grad():
            x = self._trunk(_cut(images, np.random.default_rng((self._settings.seed, self.steps, step))))
        for layer in self._tail.values():
            x = layer(x)
        labels = labels.to(x.device)
        costs = F.cross_entropy(x, labels, reduction="none", label_smoothing=_SMOOTHING)
        weights = self._class_weights.to(x.device)[labels]
        loss = (costs * weights).mean()
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        self._optimiser.step()
        return loss.item()

    def _share(self, step: int) -> float:
        """The share of the learning rate at a step: up, then down to zero."""
        warm_up = max(1, round(_WARM_UP * self.steps))
        if step < warm_up:
            return (step + 1) / warm_up
        return 1 - (step - warm_up) / max(1, self.steps - warm_up)


def _cut(images: Tensor, randomness: np.random.Generator) -> Tensor:
    """A square of each picture, somewhere, enlarged to the whole again. `(N, 3, S, S)` in and out."""
    side = images.shape[-1]
    out = torch.empty_like(images)
    for number, image in enumerate(images):
        small = int(side * randomness.uniform(_SMALLEST_CROP, 1))
        top, left = randomness.integers(0, side - small + 1, 2)
        square = image[:, top : top + small, left : left + small]
        out[number] = F.interpolate(square[None], (side, side), mode="bilinear")[0]
    return out
