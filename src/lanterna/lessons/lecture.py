"""Lines of the lecture that the lessons quote, exactly as they stand there, with the author and the link.

Mick Grierson's lecture is week 7 of "Coding 2: Advanced Frameworks" at the UAL Creative Computing Institute.
It shows Terence Broad's visualisation of a network, and its homework is session 2 of Parag Mital's "Creative
Applications of Deep Learning with TensorFlow".
"""

from __future__ import annotations

from dataclasses import dataclass

LECTURE = "https://github.com/ual-cci/MSc-Coding-2/blob/master/Week-7.md"
DEMO = "https://blog.terencebroad.com/archive/convnetvis/vis.html"
HOMEWORK = "https://github.com/ual-cci/MSc-Coding-2/blob/master/Week-7-notebooks/Week-7-CADL-Lecture2.ipynb"


@dataclass(frozen=True)
class Quote:
    """One line of the lecture, its author, and the page on which it stands."""

    line: str
    author: str
    url: str


def grierson(line: str) -> Quote:
    """Quote the lecture."""
    return Quote(line, "Mick Grierson", LECTURE)


def grierson_on_broad(line: str) -> Quote:
    """Quote what the lecture says about Terence Broad's visualisation, and link to that."""
    return Quote(line, "Mick Grierson, on Terence Broad's visualisation of a network", DEMO)


def mital(line: str) -> Quote:
    """Quote the lecture's homework."""
    return Quote(line, "Parag Mital, in the lecture's homework", HOMEWORK)
