"""Film a network as it learns: small snapshots, dense early and sparse late, that web pages are made from.

Filming has no effect on training. Snapshots are taken from the frames of `train`, draw no random numbers and
do not change the network, so training ends at the same weights, bit for bit, with and without a film.
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
from lanterna.networks.digits import ACTIVATIONS, CLASSES
from lanterna.renamed import current_state
from lanterna.techniques.checkpoint import load_tensors, write_state
from lanterna.techniques.evaluation import confusion_matrix
from lanterna.techniques.train.algorithm import in_unit_range, logits_of, new_network, training_digits
from lanterna.techniques.train.results import load_test_digits

if TYPE_CHECKING:
    from pathlib import Path

    from lanterna.networks.network import Network
    from lanterna.techniques.train.algorithm import TrainFrame
    from lanterna.techniques.train.settings import Train

SNAPSHOTS = 60  # maximum, not counting the one before the first step
KERNELS = 24  # maximum stored from the first layer
MAPS, UNITS = 12, 128  # maximum stored from each layer
EVALUATED, TRAINING_EVALUATED, MAPPED = 1000, 500, 1000  # how many digits
TEMPERATURE = 3.0  # of the softmax in `map_positions`
SECONDS_BETWEEN_SAVES = 10.0


@dataclass(frozen=True)
class Snapshot:
    """The state of a network at one step, reduced to what the pages show.

    Kernels `(K, h, w)` and each layer's maps (`(10, M, h, w)`, or `(10, units)` for a fully connected layer)
    are quantised to uint8 with the scales `kernel_scale` and `scales`: see `quantise`. `confusion` `(10, 10)`
    int32 is the confusion matrix of the evaluated digits: true digits in rows, predicted ones in columns.
    `places` `(1000, 2)` float32 are positions on the map (see `map_positions`), and `answers` `(1000,)` uint8
    the predictions for the same digits.
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


class TrainingFilm:
    """The snapshots of one training run, saved in `path` until it ends; call `record` with each frame.

    Used as a context manager, it saves the file however training ends. After a power failure the file can be
    up to ten seconds older than the checkpoint, and the resumed film then lacks those steps.

    `train` has to yield frames at `steps`. With `resume`, the film continues from `path` if that was written
    with the same settings; if the file is damaged or belongs to other settings, the film starts again.

    `evaluated` are 1,000 digits spread evenly over the validation set, or test digits if the validation set
    is too small; the ten `examples` are the first of each class among them. `mapped` are the first 1,000 test
    digits. All of them are for display only: no decision depends on them. Training digits are evaluated
    without augmentation.
    """

    def __init__(self, settings: Train, path: Path, *, resume: bool = False) -> None:
        self.settings = settings
        self.path = path
        self.steps = film_steps(settings.steps)
        training, held_out = training_digits(settings)
        test = load_test_digits(settings)
        self.evaluated_on = "validation" if len(held_out.labels) >= EVALUATED else "test"
        self.evaluated = evenly_spaced(held_out if self.evaluated_on == "validation" else test, EVALUATED)
        self.trained_on = evenly_spaced(training, TRAINING_EVALUATED)
        self.mapped = Digits(test.images[:MAPPED], test.labels[:MAPPED])
        firsts = [int((self.evaluated.labels == digit).nonzero()[0]) for digit in range(CLASSES)]
        self.examples = Digits(self.evaluated.images[firsts], self.evaluated.labels[firsts])
        self.snapshots: list[Snapshot] = self._read() if resume else []
        if not self.snapshots:
            self._take_snapshot(0, new_network(settings))
        self._saved = time.perf_counter()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if len(self.snapshots) > 1:  # otherwise training never began: do not overwrite an older film
            self.save()

    def record(self, frame: TrainFrame) -> None:
        """Take a snapshot if one is due; save the file now and then."""
        if frame.step in self.steps:
            self._take_snapshot(frame.step, frame.network)
            if time.perf_counter() - self._saved > SECONDS_BETWEEN_SAVES:
                self.save()

    def save(self) -> None:
        """Save the snapshots to `path` atomically: a few megabytes, whatever the network."""
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
        except Exception:  # anything, if the file is not a film
            pass  # training must not fail because of its film
        return []

    @torch.inference_mode()
    def _take_snapshot(self, step: int, network: Network) -> None:
        device = next(network.eval().parameters()).device
        examples = in_unit_range(self.examples.images.to(device))
        names = filmed_layers(network)
        outputs = {name: output.float().cpu() for name, output in network.run(examples) if name in names}
        kernels, kernel_scale = quantise(first_weights(network))
        maps = {
            name: quantise(output[:, : MAPS if output.ndim == 4 else UNITS])
            for name, output in outputs.items()
        }
        logits = logits_of(network, self.evaluated.images).cpu()
        training = logits_of(network, self.trained_on.images).cpu()
        mapped = logits_of(network, self.mapped.images).cpu()
        answers = logits.argmax(1)
        snapshot = Snapshot(
            step=step,
            kernels=kernels,
            kernel_scale=kernel_scale,
            maps={name: levels for name, (levels, _) in maps.items()},
            scales={name: scale for name, (_, scale) in maps.items()},
            confusion=confusion_matrix(self.evaluated.labels, answers, CLASSES).int(),
            loss=F.cross_entropy(logits, self.evaluated.labels).item(),
            accuracy=(answers == self.evaluated.labels).float().mean().item(),
            training_loss=F.cross_entropy(training, self.trained_on.labels).item(),
            training_accuracy=(training.argmax(1) == self.trained_on.labels).float().mean().item(),
            places=map_positions(mapped),
            answers=mapped.argmax(1).to(torch.uint8),
        )
        # Training that resumes from a checkpoint repeats the steps after it: replace their snapshots.
        self.snapshots = [*(earlier for earlier in self.snapshots if earlier.step < step), snapshot]


def film_steps(steps: int) -> frozenset[int]:
    """Return the steps to film: at most `SNAPSHOTS`, spaced as i³, always including the last one.

    For 3,128 steps these are 1, 2, 4, 5, 8, 11, 15 and so on: half of them in the first eighth of training,
    one in 150 at the end. Logarithmic spacing would hardly show the last third, where the learning rate
    falls.
    """
    return frozenset(math.ceil(steps * (i / SNAPSHOTS) ** 3) for i in range(1, SNAPSHOTS + 1))


def filmed_layers(network: Network) -> list[str]:
    """Return the last activation layer of each group (`relu1_2` of group 1), in order."""
    kinds = tuple(ACTIVATIONS.values())
    active = [name for name, layer in network.layers.items() if isinstance(layer, kinds)]
    return list({name.partition("_")[0]: name for name in active}.values())


def first_weights(network: Network) -> Tensor:
    """Return the first layer's weights as pictures: kernels `(K, 5, 5)`, or units' weights `(K, 28, 28)`."""
    layer = next(layer for layer in network.layers.values() if isinstance(layer, nn.Conv2d | nn.Linear))
    weight = layer.weight.detach()[:KERNELS].float().cpu()
    return (
        weight[:, 0]
        if weight.ndim == 4
        else weight.view(-1, network.input_spec.size, network.input_spec.size)
    )


def quantise(values: Tensor) -> tuple[Tensor, float]:
    """Quantise to uint8 and return the scale: value = (level - 128) / 127 × scale, exact to scale / 254."""
    scale = values.abs().max().item()
    return (values / (scale or 1.0) * 127 + 128).round().to(torch.uint8), scale


def dequantise(levels: Tensor, scale: float = 1.0) -> Tensor:
    """Undo `quantise`, to float32."""
    return (levels.float() - 128) / 127 * scale


def class_corners() -> Tensor:
    """Return the corner of each class on the map, `(10, 2)`: clockwise around a circle, 0 at the top."""
    angle = torch.arange(CLASSES) * (2 * math.pi / CLASSES)
    return torch.stack([angle.sin(), angle.cos()], 1)


def map_positions(logits: Tensor) -> Tensor:
    """Place digits on a 2-D map by their logits: `(N, 10)` to `(N, 2)` inside the unit circle.

    Each class has a corner of a decagon, and a digit lies at the mean of the corners, weighted by its softmax
    at temperature 3 (barycentric coordinates, as in RadViz, Hoffman et al. 1997, section 3). So an undecided
    digit is in the middle, and one between two classes is between their corners. Nothing is fitted, no label
    is used, and the corners never move: if a point moves, the network has changed.

    Why not project the activations? For the `conv` network and 1,000 test digits, classifying points of the
    map by the nearest class mean is right for 73 % with the first two principal components, 83 % with the
    first two linear discriminants (LDA) and 98 % with this map; the network itself reaches 99 %. Neighbour
    embeddings (t-SNE) turn and jump between steps, and their distances mean little.
    """
    return (logits.float() / TEMPERATURE).softmax(1) @ class_corners()


def evenly_spaced(digits: Digits, count: int) -> Digits:
    """Take `count` digits at even intervals: MNIST has runs of easier and of harder handwriting."""
    every = max(1, len(digits.labels) // count)
    return Digits(digits.images[::every][:count], digits.labels[::every][:count])
