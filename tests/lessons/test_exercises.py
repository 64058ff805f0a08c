"""Right answers are accepted, wrong ones are not, and no reply gives the answer away."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import torch

import lanterna
from lanterna import UsageError, check
from lanterna.images.digits import mnist
from lanterna.lessons import LESSONS, descent
from lanterna.lessons.briefs import BRIEFS
from lanterna.lessons.exercises import EXERCISES, sheet
from lanterna.surfaces.cli import main
from places import ROOT


def shifted_pixels() -> float:
    """Compute the share with numpy, on digits that the check does not use."""
    images = mnist("test").images[2000:3000, 0].numpy() / 255
    aside = np.zeros_like(images)
    aside[:, :, 1:] = images[:, :, :-1]
    return 100 * float((np.abs(images - aside) > 0.1).mean())


def resting_place() -> float:
    """Find the minimum of the cost below 6 with Newton's method."""
    x = 4.8
    for _ in range(20):
        x -= (x / 5 + 2.2 * np.cos(2.2 * x)) / (0.2 - 2.2**2 * np.sin(2.2 * x))
    return x


RIGHT = {
    "gates": (-2 * 0.01, 2 * 64 + 1, "half"),
    "derivative": (3 * 2**2 + 3 * 2 * 0.1 + 0.1**2, 10**2, "1e-8"),
    "circuits": (-3, 0, 2 * 3 + 2),
    "neuron": (2 - 1.5 + 1 - 4, 3 / 2, 4 / 4),
    "layers": (2 * 16 + 16 + 16 + 1, "two heaps"),
    "descent": (resting_place, 2 / (1 / 5), 1 / (1 - 0.9)),
    "curve": (12 - 1, "better"),
    "squash": (1 / 4, 4.0**-5, 0),
    "digit": (784 * 64 + 64 + 64 * 10 + 10, 196 * 64 + 64 + 64 * 10 + 10),
    "normalised": (shifted_pixels, 20),
    "edges": (0, 3 * (0.8 - 0.2)),
    "paths": (0, 3 * -1),
    "functions": (5 + 1, 2**2),
    "quickstart": (60_000 / 32, 784 * 128 + 128 + 128 * 10 + 10, np.log(10)),
    "painting": (20, 2 * 64 + 64 + 5 * (64 * 64 + 64) + 64 * 3 + 3),
    "parts": (64 * 65 / 2, "stays"),
    "dream": (0.012, 256 / 1.5**3, "fine"),
    "style": ((3 + 2) / 4, "not the same"),
    "noise": (0.75 * 2 - 0.25, 0, "less"),
    "cells": (2, 40, "fills"),
}
ALL = [(name, number) for name, answers in RIGHT.items() for number in range(1, len(answers) + 1)]


@pytest.fixture(scope="module", autouse=True)
def _shelved(real_shelf):
    """The digits that some answers are computed from."""


def right_answer(name, number):
    found = RIGHT[name][number - 1]
    return found() if callable(found) else found


def test_every_lesson_has_two_or_three():
    assert set(LESSONS) == set(EXERCISES)
    assert {name: len(each) for name, each in EXERCISES.items()} == {
        name: len(each) for name, each in RIGHT.items()
    }
    assert {len(each) for each in EXERCISES.values()} == {2, 3}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), ALL)
def test_right_answers_are_accepted_and_wrong_ones_are_not(name, number):
    right = right_answer(name, number)
    exercise = EXERCISES[name][number - 1]
    reply = check(name, number, right)
    assert reply
    assert reply.words.startswith("Right. ")
    if isinstance(right, str):
        wrong = [choice for choice in exercise.choices if choice != right]
        assert wrong
    else:
        off = 3 * exercise.within or 0.1
        wrong = [right + off * (abs(right) or 1), right - off * (abs(right) or 1), -right or 1, 123.456]
    replies = [check(name, number, each) for each in wrong]
    assert not any(replies)
    assert {each.words for each in replies} == {f"Not yet. {exercise.hint}"}  # no higher and no lower


@pytest.mark.slow
@pytest.mark.parametrize(("name", "number"), ALL)
def test_no_reply_gives_the_answer_away(name, number):
    right = right_answer(name, number)
    replies = [
        check(name, number, right).words,
        check(
            name, number, EXERCISES[name][number - 1].choices[0] if isinstance(right, str) else 987.0
        ).words,
        check(name, number, ...).words.partition("(within")[0],
    ]
    for words in replies:
        if isinstance(right, str):
            assert words.startswith("No answer yet") or repr(right) not in words
            continue
        mentioned = [
            float(each) for each in re.findall(r"(?<![\w.^])-?\d+(?:\.\d+)?", words.replace(",", ""))
        ]
        assert not any(each == pytest.approx(right, rel=0.01, abs=1e-9) for each in mentioned)


def test_answers_are_computed(monkeypatch):
    """If the lesson's cost changes, so does the right answer."""
    assert check("descent", 1, resting_place())
    monkeypatch.setattr(descent, "derivative", lambda x: 2 * (x - 1.0))
    assert not check("descent", 1, resting_place())
    assert check("descent", 1, 1.0)


@pytest.mark.parametrize(
    ("name", "number", "answer", "message"),
    [
        ("nonsense", 1, 2, "there are no exercises for 'nonsense'"),
        ("curve", 3, 2, "curve has exercises 1 to 2, got 3"),
        ("curve", True, 2, "exercises 1 to 2"),
        ("curve", 1, "eleven", "curve, exercise 1: expected an exact number, got 'eleven'"),
        ("curve", 1, None, "expected an exact number, got 'None'"),
        ("curve", 1, float("nan"), "expected an exact number, got 'nan'"),
        ("curve", 1, torch.zeros(3), "expected an exact number"),
        ("curve", 2, 4, "expected 'better' or 'worse', got '4'"),
        ("neuron", 2, True, "expected a number (within 1 %), got 'True'"),
    ],
)
def test_invalid_answers_get_a_one_line_error(name, number, answer, message):
    with pytest.raises(UsageError) as caught:
        check(name, number, answer)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_numbers_of_every_kind_are_answers():
    for answer in (11, 11.0, np.int64(11), np.float32(11), torch.tensor(11), torch.tensor([11.0])):
        assert check("curve", 1, answer)
    assert check("curve", 2, " Better ")


def test_the_sheet_is_printed(capsys):
    assert main(["learn", "curve", "--exercises"]) == 0
    printed = capsys.readouterr().out
    assert printed.strip() == sheet("curve") == repr(lanterna.exercises("curve"))
    for exercise in EXERCISES["curve"]:
        assert all(part in printed for part in (exercise.try_, exercise.predict, exercise.explain))
        assert exercise.hint not in printed
    assert main(["learn", "curve", "--exercises", "--json"]) == 0
    (first, _) = json.loads(capsys.readouterr().out)
    assert set(first) == {"try", "predict", "explain", "answer", "choices"}
    assert main(["learn", "--json"]) == 0
    listed = {each["name"]: each["exercises"] for each in json.loads(capsys.readouterr().out)}
    assert listed["curve"][0] == first
    assert main(["learn", "--exercises"]) == 2
    assert "expected a lesson" in capsys.readouterr().err


def test_a_brief_is_printed_with_the_exercises(capsys):
    assert main(["learn", "functions", "--exercises"]) == 0
    printed = capsys.readouterr().out
    assert f"To make: {BRIEFS['functions'].make}" in printed
    assert f"Look for: {BRIEFS['functions'].look_for}" in printed


def test_the_teachers_page_answers_every_exercise():
    text = (ROOT / "docs/answers.md").read_text(encoding="utf-8")
    for lesson, exercises in EXERCISES.items():
        _, _, section = text.partition(f"\n## {lesson}\n")
        answers = dict(re.findall(r"^(\d+)\. \*\*(.+?)\*\*", section.partition("\n## ")[0], re.MULTILINE))
        assert list(answers) == [str(number) for number in range(1, len(exercises) + 1)], lesson
        for exercise, (number, answer) in zip(exercises, answers.items(), strict=True):
            assert check(lesson, int(number), answer if exercise.choices else float(answer)), (lesson, number)
