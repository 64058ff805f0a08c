"""What a student hands in has all that was saved, and nothing that runs."""

from __future__ import annotations

import base64
import fcntl
import json
import re
import subprocess
import sys
import threading
from html import unescape

import pytest
import torch

from lanterna import Dream, LanternaError, UsageError, check, read_recipe, save_picture
from lanterna.images.recipe import make_recipe
from lanterna.lessons.answers import save_answer, saved_answers
from lanterna.lessons.exercises import EXERCISES
from lanterna.lessons.hand_in import hand_in
from lanterna.surfaces.cli import main

pytestmark = pytest.mark.usefixtures("private_home")


def test_answers_and_explanations_are_kept_beside_each_other():
    check("gates", 1, 5)
    save_answer("gates", 1, explanation=" It is y that decides. ")
    check("gates", 1, -0.02)
    check("gates", 1, -0.03)  # the first right answer stays
    check("gates", 2, 7)
    check("gates", 2, 8)  # of wrong ones, the last
    check("gates", 3, "half", "Twice the step.")
    check("gates", 2, ...)
    assert saved_answers() == {
        "gates": {
            "1": {"answer": -0.02, "right": True, "tries": 2, "explanation": "It is y that decides."},
            "2": {"answer": 8, "right": False, "tries": 2},
            "3": {"answer": "half", "right": True, "tries": 1, "explanation": "Twice the step."},
        }
    }
    with pytest.raises(UsageError, match="has exercises 1 to 3"):
        save_answer("gates", 9, explanation="?")
    with pytest.raises(UsageError, match="at most 5,000"):
        save_answer("gates", 1, explanation="x" * 5001)


def test_the_page_has_answers_pictures_and_recipes(tmp_path):
    check("gates", 1, -0.02, "<script>alert(1)</script>")
    check("gates", 2, 7)
    check("gates", 2, 8)
    recipe = make_recipe("dream", "dream", Dream(steps=3))
    save_picture(torch.rand(3, 8, 9), tmp_path / "dream.png", recipe=recipe)
    save_picture(torch.rand(3, 8, 9), tmp_path / "plain.jpg")
    pictures = [(name, tmp_path / name) for name in ("dream.png", "plain.jpg")]
    made = hand_in("Ada & co", pictures=pictures)
    assert made.summary == "2 answers (1 right), 1 explanation, 2 pictures (1 with a recipe)"
    assert "<script>" not in made.page
    assert "&lt;script&gt;alert(1)" in made.page
    assert "Ada &amp; co" in made.page
    right, wrong = made.page.split("<h3>")[1:]
    assert "✓ right</b></dd>" in right
    assert EXERCISES["gates"][0].explain in unescape(right)
    assert '8, <b class="wrong">✗ not yet right</b>, after 2 tries' in wrong
    assert EXERCISES["gates"][1].explain not in unescape(wrong)  # as in the studio, only after a right answer
    assert "lanterna dream --steps=3" in made.page
    assert "http" not in re.sub(r"http-equiv|\S*w3\.org\S*", "", made.page)  # nothing from elsewhere
    (saved,) = re.findall(r"data:image/png;base64,([\w+/=]+)", made.page)
    (tmp_path / "saved.png").write_bytes(base64.b64decode(saved))
    assert read_recipe(tmp_path / "saved.png") == read_recipe(tmp_path / "dream.png")


def test_the_command_answers_explains_and_hands_in(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["learn", "--hand-in", "mine.html"]) == 2
    assert "nothing to hand in yet" in capsys.readouterr().err
    assert main(["learn", "gates", "--answer", "1=-0.02", "3=half", "--explain", "1=y = -2"]) == 0
    assert capsys.readouterr().out.startswith("1. Right.")
    assert main(["learn", "gates", "--answer", "2=129", "9=1"]) == 2
    assert "2" not in saved_answers()["gates"]  # all or nothing
    assert main(["learn", "--hand-in", "mine.html", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["summary"] == "2 answers (2 right), 1 explanation"
    assert "y = -2" in (tmp_path / "mine.html").read_text(encoding="utf-8")
    assert main(["learn", "--hand-in", "mine.html"]) == 2
    assert main(["learn", "--hand-in", "mine.html", "--force", "--quiet"]) == 0
    for words in (["--student", "Ada"], ["gates", "--answer", "one"], ["--explain", "1=x"]):
        assert main(["learn", *words]) == 2


def test_the_command_saves_before_it_hands_in_and_ignores_nothing(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    given = ["--answer", "1=-0.02", "--explain", "1=It is y."]
    assert main(["learn", "gates", *given, "--hand-in", "mine.html", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert made["summary"] == "1 answer (1 right), 1 explanation"
    assert made["answers"]["1"]["right"] is True
    for options, words in (
        (["--answer", "1=4", "1=5"], "1 is given twice, as '4' and '5'"),
        (["--answer", "1=-0.02", "--set", "step=1"], "--set changes the experiment, which --answer"),
        (["--exercises", "--set", "step=1"], "--set changes the experiment, which --exercises"),
        (["--answer", f"1={'1' * 4000}"], "expected a number (within 1 %), got '111"),
        (["--answer", f"1={'1' * 5000}"], "expected a number (within 1 %), got '111"),
        (["--answer", f"{'1' * 5000}=1"], "expected the exercise's number"),
        (["--answer", "2=1", "--explain", "1=h\udcf6her"], "expected an explanation in UTF-8"),
        (["--answer", "2=1", "3=\udcf6"], "expected "),
        (["--student", "\udcff", "--hand-in", "new.html"], "the student's name in UTF-8"),
    ):
        assert main(["learn", "gates", *options]) == 2, options
        line = capsys.readouterr().err
        assert (words in line, line.count("\n")) == (True, 1), line
    assert list(saved_answers()["gates"]) == ["1"]


@pytest.mark.parametrize(
    "text",
    [
        "[", "[" * 200_000, "[]", '{"gates": {"1": {"answer": 1e999}}}', '{"gates": {"1": {"tries": "x"}}}',
        '{"gates": {"1": {"answer": %s}}}' % ("1" * 400), '{"gates": {"1": {"answer": %s}}}' % ("1" * 5000),
    ],
    ids=range(7),
)  # fmt: skip
def test_a_damaged_file_of_answers_is_named_and_stays(private_home, text, capsys):
    check("gates", 1, 1)
    place = private_home / "answers/answers.json"
    place.write_text(text)
    with pytest.raises(LanternaError, match=rf"{place}, your answers to exercises, is damaged: move it away"):
        hand_in("Ada")
    assert main(["learn", "gates", "--answer", "1=1"]) == 1
    assert "is damaged" in capsys.readouterr().err
    assert place.read_text() == text


def test_text_that_is_no_unicode_in_an_old_file_is_replaced(private_home):
    check("gates", 1, 1, "h")
    place = private_home / "answers/answers.json"
    place.write_bytes(place.read_bytes().replace(b'"h"', b'"h\\udcf6her \xff"'))
    assert "h?her \ufffd" in hand_in("Ada").page


def test_an_answer_waits_for_another_process_that_is_saving(private_home, monkeypatch):
    place, waiting, flock = private_home / "answers/answers.json", threading.Event(), fcntl.flock
    script = (
        "import sys; from pathlib import Path; from lanterna.files import exclusive\n"
        "place = Path(sys.argv[1])\n"
        "with exclusive(place): print(flush=True), sys.stdin.read(1), place.write_text(sys.argv[2])"
    )
    other = json.dumps({"gates": {"2": {"explanation": "from another process"}}})
    with subprocess.Popen([sys.executable, "-c", script, place, other], stdin=-1, stdout=-1) as process:
        assert process.stdout
        assert process.stdout.readline()
        monkeypatch.setattr(fcntl, "flock", lambda *given: (waiting.set(), flock(*given)))
        saving = threading.Thread(target=save_answer, args=("gates", 1), kwargs={"explanation": "from here"})
        saving.start()
        assert waiting.wait(60)
        process.communicate(b"x")
        saving.join()
    assert sorted(saved_answers()["gates"]) == ["1", "2"]
