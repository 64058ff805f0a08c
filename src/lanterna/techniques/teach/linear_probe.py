"""A last layer learned on fixed features: multinomial logistic regression, pulled towards zero.

What is minimised is the mean cross-entropy, each picture with its weight, plus strength / 2 times the sum of
squared weights (Bishop 2006, "Pattern Recognition and Machine Learning", section 4.3.4). It is convex, so
there is one answer, and L-BFGS (Nocedal 1980) finds it in seconds. Features are standardised first, so that
the pull is the same for all; the layer that comes out takes them as they are.
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

    # Features (n, D), labels (n,) int64 and weights (n,), a chunk at a time, as often as it is asked.
    Chunks = Callable[[], Iterable[tuple[Tensor, Tensor, Tensor]]]

STRENGTHS = (10.0, 3.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""How strongly weights are pulled to zero, those that are tried, the strongest first."""

_FOLDS, _FOLDS_OF_MANY, _MANY = 5, 2, 1_000  # so many pictures tell as much in two folds, and sooner
_IN_MEMORY = 40_000  # pictures, 200 MB of features; those of more are read again at each step
CHUNK = 4_096  # pictures that are computed with at once
_FEW = 5_000_000  # products in a step that one thread does as soon as two
_STEPS = 100  # of L-BFGS, at most; it ends where nothing is to be gained any more


@dataclass(frozen=True)
class Head:
    """A linear layer on features: `weight` (C, D) and `bias` (C,)."""

    weight: Tensor
    bias: Tensor

    def logits(self, features: Tensor) -> Tensor:
        """`(N, D)` to `(N, C)`."""
        return features @ self.weight.T + self.bias


def fit(chunks: Chunks, classes: int, strengths: Sequence[float]) -> list[Head]:
    """The heads that minimise the cost over all chunks, one for each strength, each begun from the last.

    Up to 40,000 pictures are held in memory; of more, one chunk at a time. Where there are fewer pictures
    than features, the weights lie in the span of the pictures (Kimeldorf and Wahba 1971), so as many numbers
    as there are pictures are enough to look for them, and the answer is the same.
    """
    moments = _moments(chunks)
    basis = None
    if moments.count <= _IN_MEMORY:
        parts = [torch.cat(part) for part in zip(*_standard(chunks, moments), strict=True)]
        if moments.count < parts[0].shape[1]:
            basis = torch.linalg.qr(parts[0].T).Q  # (D, N)
            parts[0] = parts[0] @ basis
        held = [(parts[0], parts[1], parts[2])]
        width = parts[0].shape[1]
    else:
        held, width = [], len(moments.mean)
    theta = torch.zeros(classes, width + 1)
    heads = []
    for strength in strengths:
        _descend(theta, strength, lambda: held or _standard(chunks, moments))
        weight = theta[:, :-1] if basis is None else theta[:, :-1] @ basis.T
        weight = weight / moments.std
        heads.append(Head(weight, theta[:, -1] - weight @ moments.mean))
    return heads


@contextlib.contextmanager
def threads_for(products: int) -> Iterator[None]:
    """One of torch's threads for work whose steps have so few products that waiting for another takes longer.

    Measured beside other busy programs, with 48 pictures on two threads: 40 ms a step, and 0.3 ms on one.
    """
    usual = torch.get_num_threads()
    torch.set_num_threads(1 if products < _FEW else usual)
    try:
        yield
    finally:
        torch.set_num_threads(usual)


def _descend(theta: Tensor, strength: float, chunks: Chunks) -> None:
    """Move `theta`, weights and biases `(C, D + 1)`, to the least cost; the pictures' shares add up to 1."""

    def cost() -> float:
        """The cost, with its gradient in `theta.grad`."""
        weight, bias = theta[:, :-1], theta[:, -1]
        loss, slope = torch.zeros(()), torch.zeros_like(theta)
        for standard, labels, shares in chunks():
            logs = (standard @ weight.T + bias).log_softmax(1)
            loss -= logs.gather(1, labels[:, None])[:, 0] @ shares
            pull = logs.exp()
            pull[torch.arange(len(labels)), labels] -= 1
            pull *= shares[:, None]
            slope[:, :-1] += pull.T @ standard
            slope[:, -1] += pull.sum(0)
        slope[:, :-1] += strength * weight
        theta.grad = slope
        return float(loss + strength / 2 * weight.square().sum())

    optimiser = without_dynamo(torch.optim.LBFGS)(
        [theta], max_iter=_STEPS, tolerance_grad=1e-6, tolerance_change=1e-8, line_search_fn="strong_wolfe"
    )
    optimiser.step(cost)


@dataclass(frozen=True)
class _Moments:
    """Of features: their mean and deviation `(D,)`, how many pictures there are, and the sum of weights."""

    mean: Tensor
    std: Tensor
    count: int
    total: float


def _standard(chunks: Chunks, moments: _Moments) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """The chunks with features standardised, and weights that add up to 1 over all of them."""
    for features, labels, weights in chunks():
        yield (features - moments.mean) / moments.std, labels, weights / moments.total


def _moments(chunks: Chunks) -> _Moments:
    """What standardising needs to know.

    What hardly varies is not made as loud as the rest: a tenth of the median deviation is the least.
    """
    count, total = 0, 0.0
    first = second = torch.zeros((), dtype=torch.float64)
    for features, _, weights in chunks():
        exact = features.double()
        first, second = first + exact.sum(0), second + exact.square().sum(0)
        count, total = count + len(features), total + float(weights.sum())
    mean = first / count
    std = (second / count - mean.square()).clamp(min=0).sqrt()
    least = 0.1 * float(std.median()) or 1.0
    return _Moments(mean.float(), std.clamp(min=least).float(), count, total)


def choose_strength(features: Tensor, labels: Tensor, weights: Tensor, classes: int, seed: int) -> float:
    """The strength whose heads are best on pictures they did not learn from, by cross-validation.

    The pictures `(N, D)` fall into five folds, two of a thousand pictures or more, and never more than the
    smallest class has pictures. Each fold is judged by a head that learned from the others, by its
    cross-entropy, which tells apart what accuracy cannot where pictures are few. Taken is the strongest that
    is within one standard error of the best (Breiman et al. 1984), so that a few easy pictures make no
    network that is surer than they can make it. With a class of one picture nothing can be held out, and the
    middle strength is taken.
    """
    folds = _FOLDS if len(labels) < _MANY else _FOLDS_OF_MANY
    folds = min(folds, int(torch.bincount(labels, minlength=classes).min()))
    if folds < 2:
        return STRENGTHS[len(STRENGTHS) // 2]
    fold = _folds(labels, folds, seed)
    costs = torch.empty(len(STRENGTHS), len(labels))
    for number in range(folds):
        inside, outside = fold != number, fold == number
        part = (features[inside], labels[inside], weights[inside])
        for place, head in enumerate(fit(lambda: [part], classes, STRENGTHS)):  # noqa: B023
            logs = head.logits(features[outside]).log_softmax(1)
            costs[place, outside] = -logs.gather(1, labels[outside, None])[:, 0] * weights[outside]
    mean = costs.mean(1)
    error = costs[mean.argmin()].std() / len(labels) ** 0.5
    return STRENGTHS[int((mean <= mean.min() + error).nonzero()[0])]


def _folds(labels: Tensor, folds: int, seed: int) -> Tensor:
    """Which fold each picture is in, `(N,)`: each class is dealt out evenly, shuffled by `seed`."""
    generator = torch.Generator().manual_seed(seed)
    fold = torch.empty(len(labels), dtype=torch.int64)
    for label in range(int(labels.max()) + 1):
        members = (labels == label).nonzero()[:, 0]
        dealt = torch.arange(len(members)) % folds
        fold[members] = dealt[torch.randperm(len(members), generator=generator)]
    return fold


def even_weights(counts: Sequence[int]) -> Tensor:
    """A weight for the pictures of each class, `(C,)`, so that all classes count the same; on average 1."""
    each = torch.tensor(counts, dtype=torch.float32)
    return each.sum() / (len(each) * each)
