"""A linear probe: multinomial logistic regression on fixed features, with an L2 penalty.

It minimises the weighted mean of the cross-entropy plus strength / 2 times the sum of squared weights (Bishop
2006, "Pattern Recognition and Machine Learning", section 4.3.4). The problem is convex, so there is one
solution, and L-BFGS (Nocedal 1980) finds it in seconds. Features are standardised first, so that the penalty
is the same for all; the resulting layer is converted back and takes raw features.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from lanterna.devices import without_dynamo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    # Called as often as needed. Yields chunks of features (n, D), labels (n,) int64 and weights (n,).
    Chunks = Callable[[], Iterable[tuple[Tensor, Tensor, Tensor]]]

STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Strengths of the L2 penalty to try, in descending order."""

_FOLDS = 5
_MANY, _FOLDS_IF_MANY = 1_000, 2  # for this many pictures, two folds are as reliable and faster
_MAX_IN_MEMORY = 40_000  # pictures, 200 MB of features; if there are more, each step reads them again
CHUNK = 4_096  # pictures in a chunk
_FEW = 5_000_000  # multiplications in a step up to which one thread is as fast as two
_MAX_STEPS = 100  # of L-BFGS, which stops earlier once it has converged


@dataclass(frozen=True)
class Head:
    """A linear layer on features: `weight` (C, D) and `bias` (C,)."""

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits `(N, C)` of features `(N, D)`."""
        return features @ self.weight.T + self.bias


def fit(chunks: Chunks, classes: int, strengths: Sequence[float]) -> list[Head]:
    """Fit a head for each strength, starting from the solution for the previous one.

    Up to 40,000 pictures are held in memory; if there are more, one chunk at a time is. If there are fewer
    pictures than features, the optimal weights lie in the span of the pictures (Kimeldorf and Wahba 1971), so
    the search is restricted to that subspace, which does not change the solution.
    """
    moments = _moments(chunks)
    basis = None
    if moments.count <= _MAX_IN_MEMORY:
        parts = [torch.cat(part) for part in zip(*_standardise(chunks, moments), strict=True)]
        if moments.count < parts[0].shape[1]:
            basis = torch.linalg.qr(parts[0].T).Q  # (D, N)
            parts[0] = parts[0] @ basis
        in_memory = [(parts[0], parts[1], parts[2])]
        width = parts[0].shape[1]
    else:
        in_memory, width = [], len(moments.mean)
    theta = torch.zeros(classes, width + 1)
    heads = []
    for strength in strengths:
        _minimise(theta, strength, lambda: in_memory or _standardise(chunks, moments))
        weight = theta[:, :-1] if basis is None else theta[:, :-1] @ basis.T
        weight = weight / moments.std
        heads.append(Head(weight, theta[:, -1] - weight @ moments.mean))
    return heads


@contextlib.contextmanager
def limit_threads(multiplications: int) -> Iterator[None]:
    """Use a single torch thread if each step has too few multiplications to be worth synchronising threads.

    Measured while other programs were busy, with 48 pictures: 40 ms per step on two threads, 0.3 ms on one.
    """
    default_threads = torch.get_num_threads()
    torch.set_num_threads(1 if multiplications < _FEW else default_threads)
    try:
        yield
    finally:
        torch.set_num_threads(default_threads)


def _minimise(theta: Tensor, strength: float, chunks: Chunks) -> None:
    """Minimise the loss over `theta`, weights and biases `(C, D + 1)`, in place. Weights must sum to 1."""

    def loss_and_gradient() -> float:
        """Return the loss, and store its gradient in `theta.grad`."""
        weight, bias = theta[:, :-1], theta[:, -1]
        loss, gradient = torch.zeros(()), torch.zeros_like(theta)
        for features, labels, weights in chunks():
            log_probabilities = (features @ weight.T + bias).log_softmax(1)
            loss -= log_probabilities.gather(1, labels[:, None])[:, 0] @ weights
            residual = log_probabilities.exp()
            residual[torch.arange(len(labels)), labels] -= 1
            residual *= weights[:, None]
            gradient[:, :-1] += residual.T @ features
            gradient[:, -1] += residual.sum(0)
        gradient[:, :-1] += strength * weight
        theta.grad = gradient
        return float(loss + strength / 2 * weight.square().sum())

    optimiser = without_dynamo(torch.optim.LBFGS)(
        [theta],
        max_iter=_MAX_STEPS,
        tolerance_grad=1e-6,
        tolerance_change=1e-8,
        line_search_fn="strong_wolfe",
    )
    optimiser.step(loss_and_gradient)


@dataclass(frozen=True)
class _Moments:
    """Mean and standard deviation `(D,)` of the features, the number of pictures and the sum of weights."""

    mean: Tensor
    std: Tensor
    count: int
    total: float


def _standardise(chunks: Chunks, moments: _Moments) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield the chunks with standardised features, and with weights that sum to 1 over all chunks."""
    for features, labels, weights in chunks():
        yield (features - moments.mean) / moments.std, labels, weights / moments.total


def _moments(chunks: Chunks) -> _Moments:
    """Compute the moments of the features.

    The standard deviation is at least a tenth of its median, so that nearly constant features do not become
    as large as the others.
    """
    count, total = 0, 0.0
    first = second = torch.zeros((), dtype=torch.float64)
    for features, _, weights in chunks():
        doubled = features.double()
        first, second = first + doubled.sum(0), second + doubled.square().sum(0)
        count, total = count + len(features), total + float(weights.sum())
    mean = first / count
    std = (second / count - mean.square()).clamp(min=0).sqrt()
    min_std = 0.1 * float(std.median()) or 1.0
    return _Moments(mean.float(), std.clamp(min=min_std).float(), count, total)


def choose_strength(features: Tensor, labels: Tensor, weights: Tensor, classes: int, seed: int) -> float:
    """Choose the strength of the L2 penalty by cross-validation on features `(N, D)`.

    There are five folds, or two for a thousand pictures or more, but never more folds than the smallest class
    has pictures. Each fold is scored by the cross-entropy of a head fitted to the others; with few pictures,
    accuracy would be too coarse. The strongest penalty within one standard error of the best one is chosen
    (Breiman et al. 1984), so that a few easy pictures do not produce an overconfident network. If a class has
    only one picture, nothing can be held out, and the middle strength is used.
    """
    folds = _FOLDS if len(labels) < _MANY else _FOLDS_IF_MANY
    folds = min(folds, int(torch.bincount(labels, minlength=classes).min()))
    if folds < 2:
        return STRENGTHS[len(STRENGTHS) // 2]
    fold = _folds(labels, folds, seed)
    losses = torch.empty(len(STRENGTHS), len(labels))
    for number in range(folds):
        training, validation = fold != number, fold == number
        part = (features[training], labels[training], weights[training])
        for row, head in enumerate(fit(lambda: [part], classes, STRENGTHS)):  # noqa: B023
            log_probabilities = head.logits(features[validation]).log_softmax(1)
            losses[row, validation] = (
                -log_probabilities.gather(1, labels[validation, None])[:, 0] * weights[validation]
            )
    mean = losses.mean(1)
    error = losses[mean.argmin()].std() / len(labels) ** 0.5
    return STRENGTHS[int((mean <= mean.min() + error).nonzero()[0])]


def _folds(labels: Tensor, folds: int, seed: int) -> Tensor:
    """Assign each picture to a fold, `(N,)`: stratified by class and shuffled by `seed`."""
    generator = torch.Generator().manual_seed(seed)
    fold = torch.empty(len(labels), dtype=torch.int64)
    for label in range(int(labels.max()) + 1):
        members = (labels == label).nonzero()[:, 0]
        assigned = torch.arange(len(members)) % folds
        fold[members] = assigned[torch.randperm(len(members), generator=generator)]
    return fold


def balanced_weights(counts: Sequence[int]) -> Tensor:
    """Return each class's weight `(C,)` so that all classes count the same; pictures average to 1."""
    sizes = torch.tensor(counts, dtype=torch.float32)
    return sizes.sum() / (len(sizes) * sizes)
