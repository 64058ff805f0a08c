"""Confidence in a reading: the network's probabilities, and whether the picture is a digit at all.

A trained network's probabilities are calibrated, but only for digits: it was trained on nothing else, and is
just as confident about a letter. So a second score measures how far the network's last features are from
those of the training digits (Lee et al. 2018, "A simple unified framework for detecting out-of-distribution
samples": Mahalanobis distance to the nearest class).
"""

from __future__ import annotations

import contextlib
import hashlib
from typing import TYPE_CHECKING, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from lanterna.errors import LanternaError
from lanterna.files import atomic_write, read_regular
from lanterna.images.digits import mnist, random_handwriting
from lanterna.images.recipe import weights_sha256
from lanterna.settings import features_folder

if TYPE_CHECKING:
    from pathlib import Path

    from lanterna.networks.network import Network

_BATCH = 250  # a larger batch exceeds the CPU's caches
_STATISTICS = 3_000  # training digits used for the mean and covariance of the features
_VALIDATION = 1_500  # validation digits used for the distribution of distances
_MAX_BYTES = 64 * 2**20  # of a file of statistics; 4,000 features
_VERSION = 1  # of the statistics; raise it if they are computed differently


class Scores(NamedTuple):
    """Scores of N images.

    `probabilities` `(N, 10)` assume that the image is a digit, `similarity` `(N,)`, 0 to 1, says how similar
    it is to one, and `features` `(N, F)` are the input of the network's output layer.
    """

    probabilities: Tensor
    similarity: Tensor
    features: Tensor


class FeatureStatistics(NamedTuple):
    """The distribution of the features of MNIST's digits.

    `means` `(10, F)` are the classes' means, `factor` `(F, F)` is the Cholesky factor of the covariance about
    them. `typical_distance` and `outlier_distance` are the median and the 99th percentile of the distance to
    the nearest mean.
    """

    means: Tensor
    factor: Tensor
    typical_distance: float
    outlier_distance: float


class Scorer:
    """Score images with a digit network; pass `statistics` if they have been computed already."""

    def __init__(self, network: Network, statistics: FeatureStatistics | None = None) -> None:
        self.network = network
        self.statistics = statistics or self._compute_statistics()

    def __call__(self, images: Tensor) -> Scores:
        """Score `(N, 1, 28, 28)` in [0, 1]."""
        if not len(images):
            return Scores(torch.zeros(0, 10), torch.zeros(0), self.statistics.means[:0])
        logits, features = self._run(images)
        spread = 0.12 * (self.statistics.outlier_distance - self.statistics.typical_distance)
        distance = _distance(features, self.statistics.means, self.statistics.factor)
        similarity = torch.sigmoid((self.statistics.outlier_distance - distance) / spread)
        return Scores(logits.softmax(1), similarity, features)

    def nearest(self, features: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Find the `count` training digits with the nearest features: indices and distances `(N, count)`."""
        best_distance = torch.full((len(features), 0), 0.0)
        best_index = torch.zeros(len(features), 0, dtype=torch.long)
        images = mnist("train").images
        for start in range(0, len(images), 10_000):
            _, training = self._run(images[start : start + 10_000].float() / 255)
            distance = torch.cdist(features, training)
            index = torch.arange(start, start + len(training)).expand(len(features), -1)
            distance, index = torch.cat([best_distance, distance], 1), torch.cat([best_index, index], 1)
            best_distance, chosen = distance.topk(min(count, distance.shape[1]), largest=False)
            best_index = index.gather(1, chosen)
        return best_index, best_distance

    def _run(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits `(N, 10)` and the output layer's input `(N, F)`, on the CPU."""
        device = next(self.network.parameters()).device
        logits, features = [], []
        with torch.inference_mode():
            for batch in torch.split(images, _BATCH):
                previous = current = batch
                for _, output in self.network.run(batch.to(device)):
                    previous, current = current, output
                logits.append(current.float().cpu())
                features.append(previous.flatten(1).float().cpu())
        return torch.cat(logits), torch.cat(features)

    def _compute_statistics(self) -> FeatureStatistics:
        training, validation = mnist("train"), mnist("validation")
        images = training.images[:_STATISTICS].float() / 255
        labels = training.labels[:_STATISTICS].repeat(2)
        augmented = random_handwriting(images, torch.Generator().manual_seed(0))
        _, features = self._run(torch.cat([images, augmented]))
        means = torch.stack([features[labels == digit].mean(0) for digit in range(10)])
        centred = features - means[labels]
        covariance = centred.T @ centred / len(centred)
        # Shrinkage, so that nearly constant features do not dominate the distance.
        loading = 0.02 * covariance.diagonal().mean() + 1e-6
        factor = torch.linalg.cholesky(covariance + loading * torch.eye(len(covariance))).contiguous()

        images = validation.images[:_VALIDATION].float() / 255
        augmented = random_handwriting(images, torch.Generator().manual_seed(1))
        _, features = self._run(torch.cat([images, augmented]))
        distance = _distance(features, means, factor)
        return FeatureStatistics(means, factor, float(distance.quantile(0.5)), float(distance.quantile(0.99)))


def _distance(features: Tensor, means: Tensor, factor: Tensor) -> Tensor:
    """Return the Mahalanobis distance to the nearest class mean, `(N,)`."""
    whitened = torch.linalg.solve_triangular(factor, features.T, upper=False).T
    whitened_means = torch.linalg.solve_triangular(factor, means.T, upper=False).T
    return torch.cdist(whitened, whitened_means).amin(1)


_MAX_CACHED = 8  # networks whose statistics are held in memory, 1.3 MB each
_cache: dict[str, FeatureStatistics] = {}


def scorer_for(network: Network) -> Scorer:
    """Return the scorer of a network.

    Computing the statistics takes more than a second. They are cached in memory and on disk, by the network's
    layers and weights, so that the next page or the next command reuses them.
    """
    state = network.state_dict()
    layers = repr((network, {name: (value.device, value.stride()) for name, value in state.items()}))
    key = hashlib.sha256(f"{_VERSION} {layers} {weights_sha256(network)}".encode()).hexdigest()[:32]
    if key not in _cache:
        file = features_folder() / "digits" / f"{key}.safetensors"
        statistics = _load_statistics(file)
        if statistics is None:
            statistics = Scorer(network).statistics
            with contextlib.suppress(LanternaError):  # a disk that is full or read-only: compute them again
                _save_statistics(statistics, file)
        _cache[key] = statistics
        if len(_cache) > _MAX_CACHED:
            _cache.pop(next(iter(_cache)), None)
    return Scorer(network, _cache[key])


def _save_statistics(statistics: FeatureStatistics, file: Path) -> None:
    means, factor, *distances = statistics
    tensors = {"means": means, "factor": factor, "distances": torch.tensor(distances, dtype=torch.float64)}
    with atomic_write(file) as temporary:
        temporary.write_bytes(save(tensors))


def _load_statistics(file: Path) -> FeatureStatistics | None:
    """Load statistics; return None if there are none, or if they are damaged."""
    try:
        tensors = load(read_regular(file, _MAX_BYTES))
        means, factor, distances = (tensors[name] for name in ("means", "factor", "distances"))
    except (OSError, SafetensorError, KeyError):
        return None
    width = len(factor) if factor.ndim else 0
    if (means.shape, factor.shape, distances.shape) != ((10, width), (width, width), (2,)):
        return None
    typical, outlier = distances.tolist()
    kinds = (means.dtype, factor.dtype, distances.dtype)
    finite = all(bool(each.isfinite().all()) for each in tensors.values())
    if kinds != (torch.float32, torch.float32, torch.float64) or not finite:
        return None
    if not (0 < typical < outlier and (factor.diagonal() > 0).all()):
        return None
    return FeatureStatistics(means, factor, typical, outlier)
