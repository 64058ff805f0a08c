"""What was measured in advance belongs to the lesson as it is now, and is small; the script renews it."""

from __future__ import annotations

import json
import math
import runpy
from dataclasses import asdict, replace

import pytest
import torch

from lanterna.lessons import LESSONS, Chart, Finding, Line, Outcome, Picture, Surface, measured
from lanterna.lessons.documents import outcome_as_json, outcome_from_json
from lanterna.lessons.drawing import draw
from lanterna.lessons.paths import FollowPaths
from lanterna.surfaces import notebook
from places import ROOT

SLOW = [name for name, lesson in LESSONS.items() if not lesson.quick]


@pytest.mark.parametrize("name", SLOW)
def test_what_was_measured_belongs_to_its_lesson(name: str):
    found = measured.measured(LESSONS[name])
    again = f"run: nice -n 15 .venv/bin/python scripts/findings.py --only {name}"
    assert found is not None, again
    assert found.fingerprint == measured.fingerprint(LESSONS[name]), f"the experiment has changed; {again}"
    outcome = found.outcome
    assert outcome.finding.words
    assert outcome.charts
    assert asdict(outcome.finding) == found.document["finding"]
    assert [chart.title for chart in outcome.charts] == [each["title"] for each in found.document["charts"]]
    assert min(draw(LESSONS[name], outcome).shape[1:]) > 300
    assert found.took.startswith("about ")


def test_quick_lessons_are_not_measured_in_advance_and_the_files_are_small():
    assert {path.stem for path in measured.FOLDER.glob("*")} == set(SLOW)
    assert sum(path.stat().st_size for path in measured.FOLDER.glob("*")) < 1_000_000


def test_an_outcome_survives_json():
    picture = torch.rand(3, 4, 5).mul(255).round().div(255)
    outcome = Outcome(
        Finding("holds only when", "So it is.", {"share": 0.5}, [0, 1]),
        [
            Chart("One", "x", "y", [Line("a", [0, 1], [2, 3], "dashed")], log_up=True, arrows=[(0, 1, 2, 3)]),
            Chart("Two", "x", "y", [], surface=Surface([[0, 1], [2, 3]], -1, 1, -2, 2)),
            Picture("Three", picture, "noise"),
        ],
        [["head"], ["cell"]],
    )
    found = outcome_from_json(json.loads(json.dumps(outcome_as_json(outcome))))
    assert torch.equal(found.charts[2].picture, picture)
    assert outcome_as_json(found) == outcome_as_json(outcome)
    gap = replace(outcome, charts=[Chart("Gap", "x", "y", [Line("", [0, 1], [1, math.inf])])])
    (chart,) = outcome_from_json(outcome_as_json(gap)).charts
    assert chart.lines[0].ys[0] == 1
    assert math.isnan(chart.lines[0].ys[1])


def fingerprint_with(monkeypatch: pytest.MonkeyPatch, module: str, before: str, after: str) -> str:
    """The fingerprint of `paths` if a module that it uses said `after` instead of `before`."""
    source = measured._source
    assert before in source(f"lanterna.lessons.{module}")
    with monkeypatch.context() as patched:
        patched.setattr(measured, "_source", lambda module: source(module).replace(before, after))
        return measured.fingerprint(LESSONS["paths"])


def test_the_experiment_has_a_fingerprint_and_the_texts_have_none(monkeypatch):
    now = measured.fingerprint(LESSONS["paths"])
    for before, after in (
        ("Ten friends", "Nine friends"),
        ('"""Open the network.', '"""Return the network.'),
        ("class FollowPaths", "# A comment.\n\nclass FollowPaths"),
    ):
        assert fingerprint_with(monkeypatch, "paths", before, after) == now
    assert fingerprint_with(monkeypatch, "paths", "_MARGIN = 0.2", "_MARGIN = 0.3") != now
    assert fingerprint_with(monkeypatch, "text", "100 * share", "99 * share") != now

    class Other(FollowPaths):
        digit: int = 3

    Other.__module__ = FollowPaths.__module__
    assert measured.fingerprint(replace(LESSONS["paths"], settings=Other)) != now


def test_the_script_measures_what_has_changed(monkeypatch, tmp_path, capsys):
    script = runpy.run_path(str(ROOT / "scripts/findings.py"))
    main, known = script["main"], script["main"].__globals__
    seen = []
    known["use_own_home"] = lambda: None
    known["measure"] = lambda lesson: seen.append(lesson.name)
    monkeypatch.setattr("sys.argv", ["findings.py", "--only", "paths", "parts"])
    assert (main(), seen) == (0, [])
    known["fingerprint"] = lambda lesson: "new" if lesson.name == "parts" else measured.fingerprint(lesson)
    assert (main(), seen) == (0, ["parts"])
    monkeypatch.setattr("sys.argv", ["findings.py", "--only", "paths", "--again"])
    assert (main(), seen) == (0, ["parts", "paths"])
    known["measure"] = lambda _: 1 / 0
    assert main() == 1
    assert "paths: failed" in capsys.readouterr().out
    finding = Finding("holds", "It is so.", {"share": 1 / 3}, (0,))
    fake = replace(
        LESSONS["paths"],
        experiment=lambda _: Outcome(finding, [Picture("Noise", torch.rand(3, 600, 300), "noise")]),
    )
    known["FOLDER"] = tmp_path
    script["measure"](fake)
    written = json.loads((tmp_path / "paths.json").read_text(encoding="utf-8"))
    assert written["fingerprint"] == measured.fingerprint(fake)
    assert written["finding"]["numbers"] == {"share": 0.33333}
    (picture,) = outcome_from_json(written).charts
    assert picture.picture.shape == (3, 512, 256)


def test_a_notebook_shows_it_at_once(monkeypatch):
    def never(_: object) -> None:
        raise AssertionError("nothing is run")

    lesson = LESSONS["squash"]
    monkeypatch.setitem(LESSONS, "squash", replace(lesson, experiment=never))
    found = notebook.measured("squash")
    assert found.finding == measured.measured(lesson).outcome.finding
    data, _ = found._repr_mimebundle_()
    for text in (lesson.quote.line, lesson.paragraphs[0], lesson.claim, found.finding.words, found.took):
        assert text.replace("'", "&#x27;") in data["text/html"], text
    assert "<details open" in data["text/html"]
    program = notebook.measured("quickstart")._repr_mimebundle_()[0]["text/html"]
    assert "<code>hidden = nn.Linear(784, settings.units)</code></pre>" in program
    assert "\nfor _ in range(epochs):\n" in program
    changed = replace(found, settings=lesson.settings.checked({"runs": 1}))
    assert "<details open" not in changed._repr_mimebundle_()[0]["text/html"]
    assert notebook.measured("functions").finding.verdict == "holds"  # a quick one is run


def test_the_documentation_states_what_the_lessons_measured():
    page = " ".join((ROOT / "docs/inside.md").read_text().split())
    cut = measured.measured(LESSONS["paths"]).outcome.finding.numbers
    kernels = measured.measured(LESSONS["edges"]).outcome.finding.numbers
    for words in (
        f"from 100 % to −{-100 * cut['remaining, by contribution']:.0f} %",
        f"and {100 * cut['remaining, by weight']:.0f} % of it remains",
        f"at random, {100 * cut['remaining, at random']:.0f} %",
        *(f"{kernels[f'{name}, found']:.0f} of {kernels[f'{name}, of']:.0f}"
          for name in ("vgg16", "efficientnet-lite0", "conv")),
    ):  # fmt: skip
        assert words in page
