"""Which pieces are digits: where the page alone cannot tell, the network's judgement decides."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from lanterna.images.normalise import normalise
from lanterna.images.segments import Segment, find_cuts, merge_segments

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.techniques.read.scorer import Scorer


def choose_pieces(segments: Sequence[Segment], judge: Scorer, least: float) -> list[Segment]:
    """Cut touching digits apart and join broken ones where the parts, or the whole, read better.

    What is less than `least` times as wide as it is high is one digit and not cut.
    """
    scores = _Scores(judge)
    return _join(_cut(list(segments), scores, least), scores)


class _Scores:
    """How well each segment reads as one digit, worked out once."""

    def __init__(self, judge: Scorer) -> None:
        self.judge = judge
        self.known: dict[int, tuple[float, Segment]] = {}  # a segment that is kept keeps its identity

    def __call__(self, segments: Sequence[Segment]) -> list[float]:
        fresh = [segment for segment in segments if id(segment) not in self.known]
        if fresh:
            judged = self.judge(normalise([torch.from_numpy(segment.ink) for segment in fresh]).images)
            values = (judged.probabilities.amax(1) * judged.likeness).tolist()
            self.known |= {id(each): (value, each) for each, value in zip(fresh, values, strict=True)}
        return [self.known[id(segment)][0] for segment in segments]


def _cut(segments: list[Segment], scores: _Scores, slim: float, depth: int = 0) -> list[Segment]:
    usual = float(np.median([segment.height for segment in segments])) if segments else 0.0
    shapes = [segment.width / max(segment.height, 0.85 * usual) for segment in segments]
    single = [s.width for s, shape in zip(segments, shapes, strict=True) if 0.4 < shape < 1.1]
    width = float(np.median(single)) if len(single) > 3 else 0.7 * usual
    wide = [segment for segment, shape in zip(segments, shapes, strict=True) if shape > slim]
    if not wide or depth > 3:
        return segments
    own = {id(segment): score for segment, score in zip(wide, scores(wide), strict=True)}
    needed = [
        _needed(own.get(id(segment), 1.0), shape, segment.width / width)
        for segment, shape in zip(segments, shapes, strict=True)
    ]
    # No two parts read better than 1, so that one that reads well itself need not be tried.
    ways = [
        [way for way in find_cuts(segment) if _are_two(way, segment)]
        if id(segment) in own and least < 1
        else []
        for segment, least in zip(segments, needed, strict=True)
    ]
    scored = iter(scores([part for options in ways for way in options for part in way]))
    result: list[Segment] = []
    for segment, least, options in zip(segments, needed, ways, strict=True):
        best, pair = 0.0, None
        for way in options:
            together = next(scored) * next(scored)
            if together > best:
                best, pair = together, way
        if pair and best > least:
            result += [replace(part, note="touching") for part in pair]
        else:
            result.append(segment)
    return _cut(result, scores, slim, depth + 1) if len(result) > len(segments) else result


def _are_two(way: tuple[Segment, Segment], whole: Segment) -> bool:
    """Whether both parts are as high as the whole, more or less, and neither is a sliver."""
    whole_parts = min(part.height for part in way) > 0.78 * whole.height
    return whole_parts and min(part.width for part in way) > 0.06 * whole.height


def _needed(own: float, shape: float, wide: float) -> float:
    """How well two parts must read for a segment to be cut, which reads as `own`, is `shape` times as wide as
    it is high and `wide` times as wide as digits are on this page. The wider, the less likely a single digit;
    three digits read badly in any one cut, yet must be cut.
    """
    if shape < 1.1:
        return own + 0.45
    if wide < 1.35:
        return own + 0.3
    if wide < 1.9:
        return 0.97 * own
    return 0.4 * own if wide < 2.2 else 0.02


def _join(segments: list[Segment], scores: _Scores) -> list[Segment]:
    """Neighbours that read better as one: an arc and its other half, a bar and its stem."""
    pairs = []
    for index, (one, other) in enumerate(pairwise(segments)):
        tall = max(one.height, other.height)
        gap = max(one.box[0], other.box[0]) - min(one.box[2], other.box[2])
        together = max(one.box[2], other.box[2]) - min(one.box[0], other.box[0])
        if (
            one.row == other.row
            and gap < 0.22 * tall
            and together < 0.95 * tall
            and one.note == other.note == ""
        ):
            pairs.append(index)
    apart = scores(segments) if pairs else []
    pairs = [index for index in pairs if min(apart[index], apart[index + 1]) < 0.6]
    whole = [merge_segments(segments[index], segments[index + 1]) for index in pairs]
    better = {
        index: segment
        for index, segment, score in zip(pairs, whole, scores(whole), strict=True)
        if score > apart[index] * apart[index + 1] + 0.3
    }
    result: list[Segment] = []
    skip = False
    for index, segment in enumerate(segments):
        if skip:
            skip = False
        elif index in better:
            result.append(better[index])
            skip = True
        else:
            result.append(segment)
    return result


def digit_page_odds(segments: Sequence[Segment], scores: Tensor) -> Tensor:
    """The chance, `(N,)`, that what stands in each segment's row are digits rather than letters or doodles.

    Among digits one in fifteen reads worse than 0.9; among other things every second does. Each reading is
    evidence for its own row, and weaker evidence for the rest of the page.
    """
    if not len(scores):
        return scores
    poor = (scores < 0.9).numpy()
    evidence = np.where(poor, np.log(0.07 / 0.5), np.log(0.93 / 0.5))
    rows = np.array([segment.row for segment in segments])
    page = float(np.sum(evidence))
    own = np.array([evidence[rows == row].sum() for row in rows])
    # Things on one page are not independent of each other: their evidence counts for less than its sum.
    log_odds = np.log(0.95 / 0.05) + 0.5 * own + 0.15 * (page - own)
    return torch.from_numpy(1 / (1 + np.exp(-np.clip(log_odds, -6, 12)))).float()
