"""Refine a page's segments: cut and join them if the networks then read them better."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lanterna.images.normalise import normalised_images
from lanterna.images.segments import Segment, find_cuts, merge_segments
from lanterna.techniques.read.symbols import read_symbols

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lanterna.images.segments import Array
    from lanterna.techniques.read.scorer import Scorer

_SAMPLE, _LEAST_SAMPLE, _DIFFERENT = 24, 4, 3  # digits from which a page's orientation is determined
UPRIGHT = 0.92  # the mean score above which they are; upside down, many digits look like others
_LEAST_PAIR = 0.03  # the score below which two parts are not two digits; that of the first of two cuts is low
_NEGLIGIBLE = 0.1  # odds of two digits, however well the parts are read, at which no cut is tried
_MAX_ASPECT = 0.9  # width divided by height: as wide as digits that the networks were trained on


def refine_segments(segments: Sequence[Segment], reader: SegmentReader, max_aspect: float) -> list[Segment]:
    """Cut touching digits apart and join broken ones, if the parts or the whole get better scores.

    Segments less than `max_aspect` times as wide as high are taken for one digit and not cut.
    """
    return _join(_cut(list(segments), reader, max_aspect), reader)


def upright_scores(segments: Sequence[Segment], scorer: Scorer) -> list[float]:
    """Return the mean score of a sample of segments, as they are and after one to three quarter turns left.

    All are 0 for a few segments, from which this cannot be said, and the turns are not tried if the segments
    score well as they are.
    """
    sample = list(segments[:: max(1, len(segments) // _SAMPLE)])
    if len(sample) < _LEAST_SAMPLE:
        return [0.0] * 4
    means = [0.0] * 4
    for turns in range(4):
        ink = [torch.from_numpy(np.ascontiguousarray(np.rot90(segment.ink, turns))) for segment in sample]
        images = normalised_images([_squeezed(each) for each in ink])
        scores = scorer(images)
        best = scores.probabilities.max(1)
        # A page of one shape, such as corners or ones, does not say which way is up.
        if turns == 0 or len(set(best.indices.tolist())) >= _DIFFERENT:
            means[turns] = float((best.values * scores.similarity * read_symbols(images).digit).mean())
        if means[0] > UPRIGHT:
            break
    return means


class ReadSegments(NamedTuple):
    """What the networks make of N segments; `images` `(N, 1, 28, 28)` is their input.

    The other fields are as in `Scores` and `Symbols`.
    """

    images: Tensor
    probabilities: Tensor
    similarity: Tensor
    features: Tensor
    digit: Tensor
    excluded: Tensor
    sign: Tensor
    names: tuple[str, ...]

    @property
    def trust(self) -> Tensor:
        """The probability `(N,)` that each is a digit and read correctly."""
        return self.probabilities.amax(1) * self.similarity * self.digit


class SegmentReader:
    """Read segments as single digits or as signs, the same ink only once."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer
        # By the ink's id and whether it is squeezed; storing the ink keeps its id from being reused.
        self._found: dict[tuple[int, bool], tuple[Array, tuple[Any, ...]]] = {}

    def __call__(self, segments: Sequence[Segment], *, squeeze: bool = True) -> ReadSegments:
        """Read segments, wide ones squeezed, as digits are; signs are not: an equals sign is wide."""
        keys = [(id(segment.ink), squeeze and _is_wide(segment.ink)) for segment in segments]
        new = {
            key: segment.ink for key, segment in zip(keys, segments, strict=True) if key not in self._found
        }
        patches = [torch.from_numpy(ink) for ink in new.values()]
        read = self._read([_squeezed(patch) for patch in patches] if squeeze else patches)
        for (key, ink), *row in zip(new.items(), *read, strict=True):
            self._found[key] = ink, tuple(row)
        if len(new) == len(segments):
            return read
        *tensors, names = zip(*(self._found[key][1] for key in keys), strict=True)
        return ReadSegments._make([*map(torch.stack, tensors), names])

    def _read(self, patches: Sequence[Tensor]) -> ReadSegments:
        images = normalised_images(patches)
        return ReadSegments._make([images, *self.scorer(images), *read_symbols(images)])


def squeezed_patches(segments: Sequence[Segment]) -> list[Tensor]:
    """Return the ink of each segment, squeezed if it is wider than the digits that networks learn."""
    return [_squeezed(torch.from_numpy(segment.ink)) for segment in segments]


def _is_wide(ink: Array | Tensor) -> bool:
    height, width = ink.shape
    # A flat one is a dash, which would turn into a blot.
    return _widest(height) < width <= 2.6 * height


def _widest(height: int) -> int:
    return max(1, round(_MAX_ASPECT * height))


def _squeezed(ink: Tensor) -> Tensor:
    if not _is_wide(ink):
        return ink
    size = len(ink), _widest(len(ink))
    return F.interpolate(ink[None, None], size, mode="bilinear", antialias=True)[0, 0]


Pairs = list[tuple[Segment, Segment]]


def _cut(segments: list[Segment], read: SegmentReader, max_aspect: float) -> list[Segment]:
    """Cut segments in two, and the parts again, up to four times."""
    pairs_of: dict[int, Pairs] = {}
    for _ in range(4):
        count = len(segments)
        segments = _cut_once(segments, read, max_aspect, pairs_of)
        if len(segments) == count:
            break
    return segments


def _cut_once(
    segments: list[Segment], read: SegmentReader, max_aspect: float, pairs_of: dict[int, Pairs]
) -> list[Segment]:
    """Cut each segment at most once; `pairs_of` are the possible cuts of a segment, by the id of its ink."""
    typical_height = float(np.median([segment.height for segment in segments])) if segments else 0.0
    aspects = [segment.width / max(segment.height, 0.85 * typical_height) for segment in segments]
    single = [s.width for s, aspect in zip(segments, aspects, strict=True) if 0.4 < aspect < 1.1]
    typical_width = float(np.median(single)) if len(single) > 3 else 0.7 * typical_height
    wide = [segment for segment, aspect in zip(segments, aspects, strict=True) if aspect > max_aspect]
    whole_of = dict(zip(map(id, wide), _trust_in_wholes(wide, read), strict=True))
    # Half of a digit often looks like another one, but two digits seldom look like a single one.
    weight_of = {id(s): (1 - whole_of[id(s)]) * _odds_of_two(s.width / typical_width) for s in wide}
    uncertain = [s for s in wide if weight_of[id(s)] > _NEGLIGIBLE * whole_of[id(s)]]
    for segment in uncertain:
        if id(segment.ink) not in pairs_of:
            pairs = find_cuts(segment)
            pairs_of[id(segment.ink)] = [pair for pair in pairs if _may_be_two_digits(pair, segment)]
    parts = [part for segment in uncertain for pair in pairs_of[id(segment.ink)] for part in pair]
    trust_of = dict(zip(map(id, parts), read(parts).trust.tolist(), strict=True))
    tried = set(map(id, uncertain))
    result: list[Segment] = []
    for segment in segments:
        best, best_pair = _LEAST_PAIR, None
        for left, right in pairs_of[id(segment.ink)] if id(segment) in tried else ():
            both = trust_of[id(left)] * trust_of[id(right)]
            if both > best:
                best, best_pair = both, (left, right)
        if best_pair is None:
            result.append(segment)
            continue
        best *= weight_of[id(segment)]
        share = best / (best + whole_of[id(segment)])
        if share > 0.5:
            result += [replace(part, note="touching", certainty=share) for part in best_pair]
        else:
            result.append(replace(segment, certainty=1 - share))
    return result


def _trust_in_wholes(segments: Sequence[Segment], read: SegmentReader) -> list[float]:
    """Return the probability that each segment is a digit that is read correctly, or else a sign."""
    signs = read(segments, squeeze=False)
    return torch.maximum(read(segments).trust, signs.sign.where(signs.digit <= 0.5, 0)).tolist()


def _odds_of_two(relative_width: float) -> float:
    """Return the odds that a segment is two digits, not one, given its width in typical digits of the page.

    They are even at 1.6 widths, and limited, so that a digit drawn very wide can still be read as one.
    """
    return math.exp(min(max(4 * (relative_width - 1.6), -3), 2))


def _may_be_two_digits(pair: tuple[Segment, Segment], segment: Segment) -> bool:
    """Return whether both parts are about as high as the segment, and neither is a sliver."""
    full_height = min(part.height for part in pair) > 0.78 * segment.height
    return full_height and min(part.width for part in pair) > 0.06 * segment.height


def _join(segments: list[Segment], read: SegmentReader) -> list[Segment]:
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
    if not pairs:
        return segments
    separate = _trust_in_wholes(segments, read)
    pairs = [index for index in pairs if min(separate[index], separate[index + 1]) < 0.6]
    merged = [merge_segments(segments[index], segments[index + 1]) for index in pairs]
    better = {
        index: segment
        for index, segment, score in zip(pairs, merged, read(merged).trust.tolist(), strict=True)
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


def digit_probability(groups: Sequence[int], scores: Tensor) -> Tensor:
    """Return the probability `(N,)` that each segment's word holds digits and not letters or doodles.

    `groups` are the numbers of the segments' words. Of digits, one in fifteen scores below 0.9; of other
    things, every second one does. Each score is evidence for its own word, and weaker evidence for the rest
    of the page.
    """
    if not len(scores):
        return scores
    is_poor = (scores < 0.9).numpy()
    evidence = np.where(is_poor, np.log(0.07 / 0.5), np.log(0.93 / 0.5))
    numbers = np.array(groups)
    of_page = float(np.sum(evidence))
    of_word = np.array([evidence[numbers == number].sum() for number in numbers])
    # Segments of a page are not independent, so their evidence counts for less than its sum.
    of_others = (0.15 * (of_page - of_word)).clip(-2.5, 2.5)  # a page may hold words and numbers
    log_odds = np.log(0.95 / 0.05) + 0.5 * of_word + of_others
    return torch.from_numpy(1 / (1 + np.exp(-np.clip(log_odds, -6, 12)))).float()
