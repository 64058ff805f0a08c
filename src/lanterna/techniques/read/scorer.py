"""How far a reading can be believed: what the network answers, and whether it was asked about a digit at all.

A trained network's own probabilities are calibrated, but for digits: it has never seen anything else, and is
as sure about a letter. So a second judgement asks how far the network's last features are from those of the
training digits (Lee et al. 2018, "A simple unified framework for detecting out-of-distribution samples":
Mahalanobis distance to the nearest class).
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors.torch import save
from torch import Tensor

from lanterna.images.digits import mnist, random_handwriting

if TYPE_CHECKING:
    from lanterna.networks.network import Network

_BATCH = 250  # a larger batch goes beyond the processor's caches
_STATISTICS = 3_000  # training digits from which classes' features are known
_VALIDATION = 1_500  # validation digits that tell which distances are usual


class Judgement(NamedTuple):
    """Of N digit images: `probabilities` `(N, 10)`, if it is a digit; `likeness` `(N,)`, 0 to 1,
    how much each looks like a digit; `features` `(N, F)`, the network's last before its answer.
    """

    probabilities: Tensor
    likeness: Tensor
    features: Tensor


class Known(NamedTuple):
    """The features of known digits: their `means` by class `(10, F)`, the Cholesky `factor` `(F, F)` of how
    they vary about these, and the distances to the nearest mean that are `usual` and `unusual`.
    """

    means: Tensor
    factor: Tensor
    usual: float
    unusual: float


class Scorer:
    """A digit network together with what it makes of known digits, which `known` spares it to learn."""

    def __init__(self, network: Network, known: Known | None = None) -> None:
        self.network = network
        self.known = known or self._learn()

    def __call__(self, images: Tensor) -> Judgement:
        """Score `(N, 1, 28, 28)` in [0, 1]."""
        logits, features = self._run(images)
        if not len(images):
            return Judgement(logits, torch.zeros(0), features)
        spread = 0.12 * (self.known.unusual - self.known.usual)
        distance = _distance(features, self.known.means, self.known.factor)
        likeness = torch.sigmoid((self.known.unusual - distance) / spread)
        return Judgement(logits.softmax(1), likeness, features)

    def nearest(self, features: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The `count` training digits with the nearest features: indices and distances, `(N, count)`."""
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
            for batch in torch.split(images, _BATCH) if len(images) else (images,):
                before = now = batch
                for _, layer in self.network.run(batch.to(device)):
                    before, now = now, layer
                answers.append(now.float().cpu())
                lasts.append(before.flatten(1).float().cpu())
        return torch.cat(answers), torch.cat(lasts)

    def _learn(self) -> Known:
        training, validation = mnist("train"), mnist("validation")
        images = training.images[:_STATISTICS].float() / 255
        labels = training.labels[:_STATISTICS].repeat(2)
        drawn = random_handwriting(images, torch.Generator().manual_seed(0))
        _, features = self._run(torch.cat([images, drawn]))
        means = torch.stack([features[labels == digit].mean(0) for digit in range(10)])
        centred = features - means[labels]
        covariance = centred.T @ centred / len(centred)
        loading = (
            0.02 * covariance.diagonal().mean() + 1e-6
        )  # features that hardly vary are not trusted alone
        factor = torch.linalg.cholesky(covariance + loading * torch.eye(len(covariance)))

        known = validation.images[:_VALIDATION].float() / 255
        changed = random_handwriting(known, torch.Generator().manual_seed(1))
        _, features = self._run(torch.cat([known, changed]))
        distance = _distance(features, means, factor)
        return Known(means, factor, float(distance.quantile(0.5)), float(distance.quantile(0.99)))


def _distance(features: Tensor, means: Tensor, factor: Tensor) -> Tensor:
    """Mahalanobis distance to the nearest class, `(N,)`."""
    white = torch.linalg.solve_triangular(factor, features.T, upper=False).T
    middles = torch.linalg.solve_triangular(factor, means.T, upper=False).T
    return torch.cdist(white, middles).amin(1)


_MOST = 8  # networks whose known digits are kept in memory, 1.3 MB of each
_known: dict[str, Known] = {}


def scorer_of(network: Network) -> Scorer:
    """The judge of a network. What it makes of known digits takes most of a second, and is worked out once
    for the same layers with the same weights, however often these are opened.
    """
    state = network.state_dict()
    how = repr((network, {name: (value.device, value.stride()) for name, value in state.items()}))
    weights = save({name: value.contiguous().cpu() for name, value in state.items()})
    key = hashlib.sha256(how.encode() + weights).hexdigest()
    judge = Scorer(network, _known.get(key))
    _known[key] = judge.known
    if len(_known) > _MOST:
        _known.pop(next(iter(_known)), None)
    return judge
