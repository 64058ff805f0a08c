"""How far a reading can be believed: calibrated probabilities, and whether a thing looks like a digit at all.

Probabilities are softened by one temperature, chosen on validation digits (Guo et al. 2017, "On calibration
of modern neural networks"). A network that has only ever seen digits is as sure about a letter, so a second
judgement asks how far the network's last features are from those of the training digits (Lee et al. 2018,
"A simple unified framework for detecting out-of-distribution samples": Mahalanobis distance to the nearest
class).
"""

from __future__ import annotations

import weakref
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.images.digits import by_another_hand, mnist
from lanterna.networks.stages import Network

_BATCH = 500
_STATISTICS = 10_000  # training digits from which classes' features are known
_VALIDATION = 4_000  # validation digits on which temperature and distances are chosen


class Judgement(NamedTuple):
    """Of N digit images: `probabilities` `(N, 10)`, calibrated, for what is a digit; `likeness` `(N,)`, 0 to 1,
    how much each looks like a digit; `features` `(N, F)`, the network's last before its answer.
    """

    probabilities: Tensor
    likeness: Tensor
    features: Tensor


class Judge:
    """A digit network together with what it makes of known digits."""

    def __init__(self, network: Network) -> None:
        self.network = network
        training, validation = mnist("train"), mnist("validation")
        images = training.images[:_STATISTICS].float() / 255
        labels = training.labels[:_STATISTICS]
        drawn = by_another_hand(images, torch.Generator().manual_seed(0))
        logits, features = self._run(torch.cat([images, drawn]))
        self._learn_classes(features, labels.repeat(2))
        known = validation.images[:_VALIDATION].float() / 255
        changed = by_another_hand(known, torch.Generator().manual_seed(1))
        logits, features = self._run(torch.cat([known, changed]))
        answers = validation.labels[:_VALIDATION].repeat(2)
        self.temperature = best_temperature(logits, answers)
        distance = self._distance(features)
        self.usual = float(distance.quantile(0.5))
        self.unusual = float(distance.quantile(0.99))

    def __call__(self, images: Tensor) -> Judgement:
        """Judge `(N, 1, 28, 28)` in [0, 1]."""
        logits, features = self._run(images)
        if not len(images):
            return Judgement(logits, torch.zeros(0), features)
        spread = 0.12 * (self.unusual - self.usual)
        likeness = torch.sigmoid((self.unusual - self._distance(features)) / spread)
        return Judgement((logits / self.temperature).softmax(1), likeness, features)

    def nearest(self, features: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The `count` training digits with the nearest features: their indices and distances, `(N, count)`."""
        best_distance = torch.full((len(features), 0), 0.0)
        best_index = torch.zeros(len(features), 0, dtype=torch.long)
        images = mnist("train").images
        for start in range(0, len(images), 10_000):
            _, known = self._run(images[start : start + 10_000].float() / 255)
            distance = torch.cdist(features, known)
            index = torch.arange(start, start + len(known)).expand(len(features), -1)
            distance, index = torch.cat([best_distance, distance], 1), torch.cat([best_index, index], 1)
            best_distance, chosen = distance.topk(min(count, distance.shape[1]), largest=False)
            best_index = index.gather(1, chosen)
        return best_index, best_distance

    def _run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Logits `(N, 10)` and the features before them `(N, F)`, on the CPU."""
        device = next(self.network.parameters()).device
        answers, lasts = [], []
        with torch.inference_mode():
            for batch in images.split(_BATCH) if len(images) else (images,):
                before = now = batch
                for _, stage in self.network.run(batch.to(device)):
                    before, now = now, stage
                answers.append(now.float().cpu())
                lasts.append(before.flatten(1).float().cpu())
        return torch.cat(answers), torch.cat(lasts)

    def _learn_classes(self, features: Tensor, labels: Tensor) -> None:
        self.means = torch.stack([features[labels == digit].mean(0) for digit in range(10)])
        centred = features - self.means[labels]
        covariance = centred.T @ centred / len(centred)
        loading = 0.02 * covariance.diagonal().mean() + 1e-6  # features that hardly vary are not trusted alone
        self.factor = torch.linalg.cholesky(covariance + loading * torch.eye(len(covariance)))

    def _distance(self, features: Tensor) -> Tensor:
        """Mahalanobis distance to the nearest class, `(N,)`."""
        white = torch.linalg.solve_triangular(self.factor, features.T, upper=False).T
        means = torch.linalg.solve_triangular(self.factor, self.means.T, upper=False).T
        return torch.cdist(white, means).amin(1)


_judges: weakref.WeakKeyDictionary[Network, Judge] = weakref.WeakKeyDictionary()


def judge_of(network: Network) -> Judge:
    """The judge of a network, made once for each: it takes about a second."""
    if network not in _judges:
        _judges[network] = Judge(network)
    return _judges[network]


def best_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature at which the true answers are likeliest, by golden-section search over its logarithm."""
    low, high = -1.5, 2.0
    golden = (5**0.5 - 1) / 2

    def loss(exponent: float) -> float:
        return float(F.cross_entropy(logits / 2.718281828459045**exponent, labels))

    for _ in range(30):
        a, b = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, b) if loss(a) < loss(b) else (a, high)
    return float(2.718281828459045 ** ((low + high) / 2))


def expected_calibration_error(confidence: Tensor, right: Tensor, bins: int = 15) -> float:
    """How far confidence is from the share that is right, in the mean over bins of equal width, weighted by
    how many fall into each (Naeini, Cooper, Hauskrecht 2015). `confidence` and `right` are `(N,)`.
    """
    place = (confidence * bins).long().clamp(0, bins - 1)
    error = 0.0
    for number in range(bins):
        inside = place == number
        if inside.any():
            gap = confidence[inside].mean() - right[inside].float().mean()
            error += float(gap.abs()) * float(inside.float().mean())
    return error
