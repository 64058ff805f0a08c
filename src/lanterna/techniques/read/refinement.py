"""Refine a page's segments: cut and join them if the network then reads them better."""

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


def refine_segments(segments: Sequence[Segment], scorer: Scorer, max_aspect: float) -> list[Segment]:
    """Cut touching digits apart and join broken ones, if the parts or the whole get better scores.

    Segments less than `max_aspect` times as wide as high are taken for one digit and not cut.
    """
    scores = _SegmentScores(scorer)
    return _join(_cut(list(segments), scores, max_aspect), scores)


class _SegmentScores:
    """Segments' scores as single digits, each computed once."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        # By id; storing the segment keeps its id from being reused.
        self.cache: dict[int, tuple[float, Segment]] = {}

    def __call__(self, segments: Sequence[Segment]) -> list[float]:
        unscored = [segment for segment in segments if id(segment) not in self.cache]
        if unscored:
            scores = self.scorer(normalise([torch.from_numpy(segment.ink) for segment in unscored]).images)
            values = (scores.probabilities.amax(1) * scores.similarity).tolist()
            self.cache |= {
                id(segment): (value, segment) for segment, value in zip(unscored, values, strict=True)
            }
        return [self.cache[id(segment)][0] for segment in segments]


def _cut(segments: list[Segment], scores: _SegmentScores, max_aspect: float, depth: int = 0) -> list[Segment]:
    typical_height = float(np.median([segment.height for segment in segments])) if segments else 0.0
    aspects = [segment.width / max(segment.height, 0.85 * typical_height) for segment in segments]
    single = [s.width for s, aspect in zip(segments, aspects, strict=True) if 0.4 < aspect < 1.1]
    typical_width = float(np.median(single)) if len(single) > 3 else 0.7 * typical_height
    wide = [segment for segment, aspect in zip(segments, aspects, strict=True) if aspect > max_aspect]
    if not wide or depth > 3:
        return segments
    score_of_wide = {id(segment): score for segment, score in zip(wide, scores(wide), strict=True)}
    thresholds = [
        _threshold(score_of_wide.get(id(segment), 1.0), aspect, segment.width / typical_width)
        for segment, aspect in zip(segments, aspects, strict=True)
    ]
    # The product of two scores is at most 1, so segments with a higher threshold need not be tried.
    candidates = [
        [pair for pair in find_cuts(segment) if _may_be_two_digits(pair, segment)]
        if id(segment) in score_of_wide and threshold < 1
        else []
        for segment, threshold in zip(segments, thresholds, strict=True)
    ]
    part_scores = iter(scores([part for pairs in candidates for pair in pairs for part in pair]))
    result: list[Segment] = []
    for segment, threshold, pairs in zip(segments, thresholds, candidates, strict=True):
        best_score, best_pair = 0.0, None
        for pair in pairs:
            score = next(part_scores) * next(part_scores)
            if score > best_score:
                best_score, best_pair = score, pair
        if best_pair and best_score > threshold:
            result += [replace(part, note="touching") for part in best_pair]
        else:
            result.append(segment)
    return _cut(result, scores, max_aspect, depth + 1) if len(result) > len(segments) else result


def _may_be_two_digits(pair: tuple[Segment, Segment], segment: Segment) -> bool:
    """Return whether both parts are about as high as the segment, and neither is a sliver."""
    full_height = min(part.height for part in pair) > 0.78 * segment.height
    return full_height and min(part.width for part in pair) > 0.06 * segment.height


def _threshold(score: float, aspect: float, relative_width: float) -> float:
    """Return the score that two parts must exceed for a segment to be cut.

    `score` is that of the whole segment, `aspect` its width divided by its height, `relative_width` its width
    in typical digits of this page. The wider a segment, the less likely it is a single digit; for three
    touching digits every first cut scores badly, so the threshold is very low.
    """
    if aspect < 1.1:
        return score + 0.45
    if relative_width < 1.35:
        return score + 0.3
    if relative_width < 1.9:
        return 0.97 * score
    return 0.4 * score if relative_width < 2.2 else 0.02


def _join(segments: list[Segment], scores: _SegmentScores) -> list[Segment]:
    """Join neighbours that score better as one digit, such as two halves of a loop, or a stem and its bar."""
    pairs = []
    for index, (left, right) in enumerate(pairwise(segments)):
        height = max(left.height, right.height)
        gap = max(left.box[0], right.box[0]) - min(left.box[2], right.box[2])
        width = max(left.box[2], right.box[2]) - min(left.box[0], right.box[0])
        if (
            left.row == right.row
            and gap < 0.22 * height
            and width < 0.95 * height
            and left.note == right.note == ""
        ):
            pairs.append(index)
    separate = scores(segments) if pairs else []
    pairs = [index for index in pairs if min(separate[index], separate[index + 1]) < 0.6]
    merged = [merge_segments(segments[index], segments[index + 1]) for index in pairs]
    better = {
        index: segment
        for index, segment, score in zip(pairs, merged, scores(merged), strict=True)
        if score > separate[index] * separate[index + 1] + 0.3
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


def digit_probability(segments: Sequence[Segment], scores: Tensor) -> Tensor:
    """Return the probability `(N,)` that each segment's row holds digits and not letters or doodles.

    Of digits, one in fifteen scores below 0.9; of other things, every second one does. Each score is evidence
    for its own row, and weaker evidence for the rest of the page.
    """
    if not len(scores):
        return scores
    is_poor = (scores < 0.9).numpy()
    evidence = np.where(is_poor, np.log(0.07 / 0.5), np.log(0.93 / 0.5))
    rows = np.array([segment.row for segment in segments])
    of_page = float(np.sum(evidence))
    of_row = np.array([evidence[rows == row].sum() for row in rows])
    # Segments of a page are not independent, so their evidence counts for less than its sum.
    log_odds = np.log(0.95 / 0.05) + 0.5 * of_row + 0.15 * (of_page - of_row)
    return torch.from_numpy(1 / (1 + np.exp(-np.clip(log_odds, -6, 12)))).float()
