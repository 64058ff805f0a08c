"""Detect whether a network's weights are random: initialised, but neither loaded nor trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import nn

_RANDOM = ("normal", "uniform", "rand", "bernoulli", "exponential", "cauchy", "geometric")
_OVERWRITING = ("copy_", "fill_", "zero_")
_OPTIMISING = ("add_", "addcdiv_", "_foreach_add_", "_foreach_addcdiv_")  # of tensors, as optimisers do


class RandomWeights(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """A context that notes which tensors are computed from random numbers.

    Weights that are loaded replace random ones; a step of an optimiser means that they are trained.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._trained = False
        self._random: dict[int, StorageWeakRef] = {}  # a weak reference prevents reuse of its address

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # or torch's compiler is imported, which takes a second

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401  (torch has no public type for it)
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Run one operation of torch's, and note whether its result is random."""
        name = func.overloadpacket.__name__
        used = args[1:] if name in _OVERWRITING else args
        random = any(word in name for word in _RANDOM) or any(map(self._is_random, _tensors(used)))
        result = func(*args, **(kwargs or {}))
        self._trained |= name in _OPTIMISING and any(True for _ in _tensors(args[1:2]))
        for tensor in _tensors(result if isinstance(result, tuple) else (result,)):
            storage = tensor.untyped_storage()
            if random:
                self._random[storage._cdata] = StorageWeakRef(storage)  # type: ignore[no-untyped-call]
            else:
                self._random.pop(storage._cdata, None)
        return result

    def are_most_of(self, network: nn.Module) -> bool:
        """Return whether more than half of a network's weights are random."""
        weights = list(network.parameters())
        if any(map(is_lazy, weights)):
            return True  # initialised by the first picture
        random = sum(weight.numel() for weight in weights if self._is_random(weight))
        return not self._trained and 2 * random > sum(weight.numel() for weight in weights)

    def _is_random(self, tensor: Tensor) -> bool:
        return tensor.untyped_storage()._cdata in self._random


def _tensors(values: Sequence[object]) -> Iterable[Tensor]:
    """Yield the strided tensors among an operation's arguments or results."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _tensors(value)
        elif isinstance(value, Tensor) and not value.is_sparse:
            yield value
