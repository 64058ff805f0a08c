"""Progress reports from inside an experiment.

An experiment that takes a while iterates with `track`; a surface that shows the progress calls `report_to`.
"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    Report = Callable[[str, int, int], None]

T = TypeVar("T")


@dataclass
class _Reporter:
    report: Report
    busy: bool = False  # while a loop is tracked, the loops inside it report nothing


_reporter: ContextVar[_Reporter | None] = ContextVar("reporter", default=None)


@contextmanager
def report_to(report: Report) -> Iterator[None]:
    """Call `report` with the activity, the steps done and their total while an experiment runs.

    An exception that `report` raises ends the experiment.
    """
    token = _reporter.set(_Reporter(report))
    try:
        yield
    finally:
        _reporter.reset(token)


def track(items: Sequence[T], activity: str) -> Iterator[T]:
    """Iterate over the items and report the progress, if somebody wants to know it."""
    reporter = _reporter.get()
    if reporter is None or reporter.busy:
        yield from items
        return
    reporter.busy = True
    try:
        for done, item in enumerate(items):
            reporter.report(activity, done, len(items))
            yield item
    finally:
        reporter.busy = False
