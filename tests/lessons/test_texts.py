"""What a lesson says besides its finding: the lecture's own line, an explanation, what its figure shows."""

from __future__ import annotations

import re

import pytest

from lanterna.lessons import LESSONS
from lanterna.lessons.lecture import LECTURE
from lanterna.lessons.text import scientific
from lanterna.surfaces.cli import main
from lanterna.surfaces.web.lesson_page import LOOK_LESSONS, WIDGETS
from places import ROOT


def in_one_line(text: str) -> str:
    return " ".join(text.replace("\n> ", " ").split())


@pytest.mark.parametrize(
    ("value", "digits", "words"),
    [(1e-8, 1, "10⁻⁸"), (9.4e-9, 1, "9 × 10⁻⁹"), (0.00039, 2, "0.00039"), (2.44e-5, 2, "2.4 × 10⁻⁵"),
     (9.99e-5, 1, "0.0001"), (0.7111, 2, "0.71"), (0.0, 1, "0")],
)  # fmt: skip
def test_small_numbers_are_written_as_powers_of_ten(value: float, digits: int, words: str):
    assert scientific(value, digits) == words


@pytest.mark.parametrize("name", LESSONS)
def test_every_lesson_is_explained(name: str):
    lesson = LESSONS[name]
    assert 100 <= len(lesson.explanation.split()) <= 200
    assert 2 <= len(lesson.paragraphs) <= 4
    assert not any("\n" in paragraph or "  " in paragraph for paragraph in lesson.paragraphs)
    assert bool(lesson.seen) == (name in {*WIDGETS, *LOOK_LESSONS}), "only a figure shows something"


def test_the_lines_are_the_lecture_s():
    page = in_one_line((ROOT / "docs/lecture.md").read_text(encoding="utf-8"))
    authors = set()
    for lesson in LESSONS.values():
        assert lesson.quote is not None
        assert lesson.quote.url.startswith("https://")
        if lesson.quote.author.startswith("Mick Grierson"):
            assert f'"{lesson.quote.line}"' in page
        authors |= set(re.findall("Grierson|Broad|Mital", lesson.quote.author))
    assert authors == {"Grierson", "Broad", "Mital"}


def test_the_command_explains_before_it_finds(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "60")
    lesson = LESSONS["functions"]
    command = ["learn", "functions", "--set", "neurons=4", "--force"]
    assert main(command) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert lines[0] == lesson.question
    assert max(len(line) for line in lines[: lines.index(LECTURE)]) <= 60
    parts = [lesson.quote.line, lesson.quote.author, LECTURE, *lesson.paragraphs, lesson.claim, "error falls"]
    found = [in_one_line(printed).index(part) for part in parts]
    assert found == sorted(found)
    for option in "--quiet", "--json":
        assert main([*command, option]) == 0
        printed = capsys.readouterr().out
        assert lesson.paragraphs[0][:40] not in printed
        assert lesson.claim in printed or option == "--json"
