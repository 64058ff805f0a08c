"""Which pieces are digits: where the page alone cannot tell, the network's judgement decides."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from lanterna.images.normalise import normalise
from lanterna.images.segments import Segment, cut, cuts, united
from lanterna.recipes.judging import Judge


def choose_pieces(segments: Sequence[Segment], judge: Judge) -> list[Segment]:
    """Cut touching digits apart and join broken ones where the parts, or the whole, read better."""
    chosen = _cut(list(segments), judge)
    return _join(chosen, judge)


def _cut(segments: list[Segment], judge: Judge, depth: int = 0) -> list[Segment]:
    wide = [segment.width > 0.72 * segment.height and segment.width > 10 for segment in segments]
    options = [cuts(segment) if is_wide else [] for segment, is_wide in zip(segments, wide, strict=True)]
    if not any(options) or depth > 3:
        return segments
    whole = _scores(segments, judge)
    parts = [[cut(segment, column) for column in columns] for segment, columns in zip(segments, options, strict=True)]
    flat = [part for ways in parts for way in ways for part in way]
    scores = iter(_scores(flat, judge))
    result: list[Segment] = []
    again = False
    for segment, own, ways in zip(segments, whole, parts, strict=True):
        best, pair = 0.0, None
        for way in ways:
            left, right = next(scores), next(scores)
            too_thin = min(part.width for part in way) < 0.06 * segment.height
            too_short = min(part.height for part in way) < 0.7 * segment.height
            score = 0.0 if too_thin or too_short else left * right
            if score > best:
                best, pair = score, way
        shape = segment.width / segment.height
        # The wider, the less likely a single digit; three digits read badly in any one cut, yet must be cut.
        needed = own + 0.5 if shape < 1.15 else own + 0.1 if shape < 1.4 else 0.5 * own if shape < 1.8 else 0.02
        if pair is not None and best > needed:
            result += [replace(part, note="touching") for part in pair]
            again = True
        else:
            result.append(segment)
    return _cut(result, judge, depth + 1) if again else result


def _join(segments: list[Segment], judge: Judge) -> list[Segment]:
    """Neighbours that read better as one: an arc and its other half, a bar and its stem."""
    pairs = []
    for index, (one, other) in enumerate(pairwise(segments)):
        tall = max(one.height, other.height)
        gap = max(one.box[0], other.box[0]) - min(one.box[2], other.box[2])
        together = max(one.box[2], other.box[2]) - min(one.box[0], other.box[0])
        if one.row == other.row and gap < 0.22 * tall and together < 0.95 * tall and one.note == other.note == "":
            pairs.append(index)
    if not pairs:
        return segments
    apart = _scores(segments, judge)
    whole = [united(segments[index], segments[index + 1]) for index in pairs]
    better: dict[int, Segment] = {}
    for index, segment, score in zip(pairs, whole, _scores(whole, judge), strict=True):
        if score > apart[index] * apart[index + 1] + 0.3 and min(apart[index], apart[index + 1]) < 0.6:
            better[index] = segment
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


def _scores(segments: Sequence[Segment], judge: Judge) -> list[float]:
    if not segments:
        return []
    judged = judge(normalise([torch.from_numpy(segment.ink) for segment in segments]).images)
    scores: list[float] = (judged.probabilities.amax(1) * judged.likeness).tolist()
    return scores


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
    page = evidence.sum()
    own = np.array([evidence[rows == row].sum() for row in rows])
    # Things on one page are not independent of each other: their evidence counts for less than its sum.
    log_odds = np.log(0.95 / 0.05) + 0.5 * own + 0.15 * (page - own)
    return torch.from_numpy(1 / (1 + np.exp(-np.clip(log_odds, -6, 12)))).float()
