"""Creative exercises beside the numeric ones: a picture to make, and what to look for in it.

No check can grade them. Show them to somebody who does not know the brief.
"""

from __future__ import annotations

from typing import NamedTuple


class Brief(NamedTuple):
    """A picture to make, and what to look for in it."""

    make: str
    look_for: str


BRIEFS: dict[str, Brief] = {
    "neuron": Brief(
        "Make a poster of a decision you took today as one neuron: each reason an input, each line as "
        "thick as its weight, amber for and blue against, your mood as the bias.",
        "Can somebody else work out the sum from the poster alone, and say which reason would have had "
        "to change for you to decide otherwise?",
    ),
    "layers": Brief(
        "Place points of two colours in the figure so that the border that two layers draw is a "
        "picture: a heart, a letter, a profile. Take a screenshot.",
        "How few hidden units are enough for others to recognise it? Where is the border round although "
        "your points make a corner?",
    ),
    "functions": Brief(
        "Draw a skyline you know as your own curve. Then lower the number of neurons, and stop just "
        "before nobody would recognise the place. Make a print of both.",
        "Which corners are the last to go? Compare them with the lines that you drew first.",
    ),
    "digit": Brief(
        "Write a digit that people read as one number and the network as another. Photograph it and run "
        "`lanterna read page.jpg -o read.png`.",
        "Which stroke made the difference? It need not be the one that you would point at.",
    ),
    "normalised": Brief(
        "Fill a page with digits that differ in size, place and slant as much as you can, as a drawing "
        "that you would hang on a wall. Run `lanterna read page.jpg --steps steps`.",
        "Which digits are lost, and at which step? Is the last page that is still read completely also "
        "the liveliest?",
    ),
    "edges": Brief(
        "Draw two pictures in one on the paper of the figure: one appears with the kernel for upright "
        "edges, the other with the kernel for level ones.",
        "What do both kernels find? Slanted lines and dots give you away.",
    ),
    "paths": Brief(
        "Make a portrait of your handwriting: the same digit ten times, `lanterna look` for each, and "
        "the pictures of its paths in a grid.",
        "Which paths are always there, and which are yours alone? Would you recognise a friend's?",
    ),
    "quickstart": Brief(
        "Film a network that learns: `lanterna train dense --film`. Choose three moments of the film "
        "and make a triptych of them.",
        "When does noise become a stencil? Does the picture still change once the accuracy does not?",
    ),
    "painting": Brief(
        "Paint a portrait with too small a network: `lanterna paint me.jpg --network relu --neurons "
        "16`. Find the number of neurons at which it is somebody, but not yet you.",
        "What makes it you in the end: an outline, a colour, or a detail? What does the network leave "
        "out that a painter would not?",
    ),
    "parts": Brief(
        "Make three pictures of one photograph of yours that can hang side by side: as it is, dreamed, "
        "and in the style of something you drew yourself.",
        "What do all three share? Cover the one in the middle: do the other two still belong together?",
    ),
    "dream": Brief(
        "Make a picture in which a viewer sees at first only your photograph, and the dream only at the "
        "second look: a dull surface, a gentle layer, `--mask` for where to dream.",
        "How long does somebody take to find it? What gives it away: the scale, the colours, or too "
        "many repetitions?",
    ),
    "style": Brief(
        "Paint or cut a texture by hand, photograph it, and give its style to a photograph of the place "
        "where you made it.",
        "Which of your marks survive, and at which `--brush`? Does the picture say more about the place "
        "or about your hand?",
    ),
    "noise": Brief(
        "Write one digit with a thick pen, photograph it, and draw the other nine in its manner: "
        "`lanterna imagine --like mine.png`. Print them beside nine that you wrote yourself.",
        "Which would your friends take for yours? What gives the others away: the slant, the width of the "
        "line, or how a curve ends?",
    ),
    "cells": Brief(
        "Photograph a surface that you pass every day, and let it grow: `lanterna grow surface.jpg`. Save a "
        "page in which it lives, `lanterna grow page grow.safetensors`, and hang a tablet with it beside the "
        "surface.",
        "What do people do with it first? What of the surface has the rule missed: its largest forms, its "
        "colours, or its light?",
    ),
}  # fmt: skip
"""The brief of each lesson that has one, by name."""
