"""How far an experiment has come, for whoever wants to know.

An experiment that takes a while goes over its parts with `told`; a surface listens with `listening`.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Tell = Callable[[str, int, int], None]

T = TypeVar("T")


@dataclass
class _Listener:
    tell: Tell
    busy: bool = False  # with a loop that is told already: of loops inside it nothing is told


_listener: ContextVar[_Listener | None] = ContextVar("listener", default=None)


@contextmanager
def listening(tell: Tell) -> Iterator[None]:
    """Within this, `tell` is called with what is done, how much of it is, and of how much.

    What it raises ends the experiment.
    """
    token = _listener.set(_Listener(tell))
    try:
        yield
    finally:
        _listener.reset(token)


def told(items: Sequence[T], doing: str) -> Iterator[T]:
    """The items, one after another; who listens is told of each."""
    listener = _listener.get()
    if listener is None or listener.busy:
        yield from items
        return
    listener.busy = True
    try:
        for done, item in enumerate(items):
            listener.tell(doing, done, len(items))
            yield item
    finally:
        listener.busy = False
