"""A film of a network as it learns: small snapshots, many early and few late, from which pages are made.

The film only watches. Its snapshots are taken from the frames of `train`, draw no random numbers and leave
the network as it was, so a filmed training ends at the same weights, bit for bit, as one that is not.
"""

from __future__ import annotations

import math
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lanterna.images.digits import Digits
from lanterna.networks.digits import ACTIVATIONS, TEN
from lanterna.renamed import current_state
from lanterna.techniques.checkpoint import load_tensors, write_state
from lanterna.techniques.evaluation import confusion_matrix
from lanterna.techniques.train.algorithm import in_unit_range, logits_of, new_network, training_digits
from lanterna.techniques.train.results import unseen_digits

if TYPE_CHECKING:
    from pathlib import Path

    from lanterna.networks.network import Network
    from lanterna.techniques.train.algorithm import TrainFrame
    from lanterna.techniques.train.settings import Train

SNAPSHOTS = 60  # at most, besides the one before the first step
KERNELS, MAPS, UNITS = 24, 12, 128  # at most so many are kept of the first layer, of each layer
MEASURED, TRAINED_ON, MAPPED = 1000, 500, 1000  # digits that are counted, and that are on the map
SOFTNESS = 3.0
SECONDS_BETWEEN_SAVES = 10.0


@dataclass(frozen=True)
class Snapshot:
    """What is kept of a network at one step.

    Kernels `(K, h, w)` and each layer's maps (`(10, M, h, w)`, or `(10, units)` of a fully connected layer)
    are uint8, 128 for zero, and `kernel_scale` and `scales` say what 127 more is worth: see `packed`.
    `confusion` `(10, 10)` int32 counts the measured digits by what was written (rows) and read (columns).
    `places` `(1000, 2)` float32 is the map and `answers` `(1000,)` uint8 how its digits are read: see `dial`.
    """

    step: int
    kernels: Tensor
    kernel_scale: float
    maps: dict[str, Tensor]
    scales: dict[str, float]
    confusion: Tensor
    loss: float
    accuracy: float
    training_loss: float
    training_accuracy: float
    places: Tensor
    answers: Tensor


class Film:
    """The snapshots of one training, kept in `path` while it lasts; call `watch` with each of its frames.

    As a context manager it writes the file whichever way the training ends. After a loss of power the file
    can be up to ten seconds older than the checkpoint, and a resumed film then lacks those steps.

    `train` has to be asked for frames at `steps`. With `resume`, what `path` holds with the same settings is
    taken up; a file that is damaged or belongs to other settings is not, and the film starts anew.

    `measured` are 1,000 digits from all over the validation split, or test digits where the settings hold out
    too few; the ten `chosen` are the first of each class among them. `mapped` are the first 1,000 test
    digits. They are looked at and choose nothing. The training digits are measured as they are, before
    augmentation.
    """

    def __init__(self, settings: Train, path: Path, *, resume: bool = False) -> None:
        self.settings = settings
        self.path = path
        self.steps = film_steps(settings.steps)
        training, held_out = training_digits(settings)
        unseen = unseen_digits(settings)
        self.measured_on = "validation" if len(held_out.labels) >= MEASURED else "test"
        self.measured = spread(held_out if self.measured_on == "validation" else unseen, MEASURED)
        self.trained_on = spread(training, TRAINED_ON)
        self.mapped = Digits(unseen.images[:MAPPED], unseen.labels[:MAPPED])
        firsts = [int((self.measured.labels == digit).nonzero()[0]) for digit in range(TEN)]
        self.chosen = Digits(self.measured.images[firsts], self.measured.labels[firsts])
        self.snapshots: list[Snapshot] = self._read() if resume else []
        if not self.snapshots:
            self._take(0, new_network(settings))
        self._saved = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if len(self.snapshots) > 1:  # a training that never began leaves alone what another one left
            self.save()

    def watch(self, frame: TrainFrame) -> None:
        """Take a snapshot where one is due; write the file now and then."""
        if frame.step in self.steps:
            self._take(frame.step, frame.network)
            if time.perf_counter() - self._saved > SECONDS_BETWEEN_SAVES:
                self.save()

    def save(self) -> None:
        """Write the snapshots to `path`, whole or not at all: a few megabytes, whatever the network."""
        state = {
            "settings": self.settings.model_dump_json(),
            "snapshots": [asdict(snapshot) for snapshot in self.snapshots],
        }
        write_state(self.path, state)
        self._saved = time.perf_counter()

    def _read(self) -> list[Snapshot]:
        try:
            state = load_tensors(self.path)
            if current_state(state)["settings"] == self.settings.model_dump_json():
                return [Snapshot(**snapshot) for snapshot in state["snapshots"]]
        except Exception:  # whatever comes of a file that is none
            pass  # the film is a companion: without it the training goes on all the same
        return []

    @torch.inference_mode()
    def _take(self, step: int, network: Network) -> None:
        device = next(network.eval().parameters()).device
        chosen = in_unit_range(self.chosen.images.to(device))
        wanted = watched_layers(network)
        outputs = {name: output.float().cpu() for name, output in network.run(chosen) if name in wanted}
        kernels, kernel_scale = packed(first_weights(network))
        maps = {
            name: packed(output[:, : MAPS if output.ndim == 4 else UNITS]) for name, output in outputs.items()
        }
        logits = logits_of(network, self.measured.images).cpu()
        training = logits_of(network, self.trained_on.images).cpu()
        mapped = logits_of(network, self.mapped.images).cpu()
        answers = logits.argmax(1)
        snapshot = Snapshot(
            step=step,
            kernels=kernels,
            kernel_scale=kernel_scale,
            maps={name: levels for name, (levels, _) in maps.items()},
            scales={name: scale for name, (_, scale) in maps.items()},
            confusion=confusion_matrix(self.measured.labels, answers, TEN).int(),
            loss=F.cross_entropy(logits, self.measured.labels).item(),
            accuracy=(answers == self.measured.labels).float().mean().item(),
            training_loss=F.cross_entropy(training, self.trained_on.labels).item(),
            training_accuracy=(training.argmax(1) == self.trained_on.labels).float().mean().item(),
            places=dial(mapped),
            answers=mapped.argmax(1).to(torch.uint8),
        )
        # A resumed training makes again, the same, what was seen after its checkpoint.
        self.snapshots = [*(kept for kept in self.snapshots if kept.step < step), snapshot]


def film_steps(steps: int) -> frozenset[int]:
    """The steps that are filmed, at most `SNAPSHOTS` and the last among them: close at first, as i³ apart.

    Of 3,128 steps 1, 2, 4, 5, 8, 11, 15 and so on, half of all within the first eighth, at last one in 150.
    Logarithmic spacing would hardly show the last third of a training, where the learning rate falls.
    """
    return frozenset(math.ceil(steps * (i / SNAPSHOTS) ** 3) for i in range(1, SNAPSHOTS + 1))


def watched_layers(network: Network) -> list[str]:
    """The activations at the end of each group of layers (`relu1_2` of group 1), in order."""
    kinds = tuple(ACTIVATIONS.values())
    active = [name for name, layer in network.layers.items() if isinstance(layer, kinds)]
    return list({name.partition("_")[0]: name for name in active}.values())


def first_weights(network: Network) -> Tensor:
    """The first layer's weights as pictures: kernels `(K, 5, 5)`, or what each unit wants `(K, 28, 28)`."""
    layer = next(layer for layer in network.layers.values() if isinstance(layer, nn.Conv2d | nn.Linear))
    weight = layer.weight.detach()[:KERNELS].float().cpu()
    return (
        weight[:, 0]
        if weight.ndim == 4
        else weight.view(-1, network.input_spec.size, network.input_spec.size)
    )


def packed(values: Tensor) -> tuple[Tensor, float]:
    """Values as uint8 levels, and their scale: value = (level - 128) / 127 × scale, right to 1/254 of it."""
    scale = values.abs().max().item()
    return (values / (scale or 1.0) * 127 + 128).round().to(torch.uint8), scale


def unpacked(levels: Tensor, scale: float = 1.0) -> Tensor:
    """The values that `packed` was given, float32."""
    return (levels.float() - 128) / 127 * scale


def corners() -> Tensor:
    """Where the ten answers stand on the map, `(10, 2)`: around a circle like hours, 0 at the top."""
    angle = torch.arange(TEN) * (2 * math.pi / TEN)
    return torch.stack([angle.sin(), angle.cos()], 1)


def dial(logits: Tensor) -> Tensor:
    """A digit's place on the map, `(N, 2)` within the unit circle, from `(N, 10)` logits.

    The output layer weighs the last hidden layer's activations for each answer; each answer pulls the digit
    to its corner of a decagon by its softmax at temperature 3 (barycentric coordinates, as in RadViz, Hoffman
    et al. 1997, section 3). So an undecided digit is in the middle, one that is pulled to two answers between
    their corners. Nothing is fitted and no label is used, and the corners never move: where a point moves,
    the network has changed.

    Why not a projection of the activations themselves: measured on the `conv` network's 1,000 test digits,
    classes told apart by their nearest class mean on the map were 73 % with the first two principal
    components, 83 % with the first two discriminants (LDA), 98 % here, of 99 % that the network tells apart.
    Neighbour embeddings (t-SNE) turn and jump between steps, and their distances mean little.
    """
    return (logits.float() / SOFTNESS).softmax(1) @ corners()


def spread(digits: Digits, count: int) -> Digits:
    """`count` digits from all over, as MNIST's come in runs of easier and harder hands."""
    every = max(1, len(digits.labels) // count)
    return Digits(digits.images[::every][:count], digits.labels[::every][:count])
