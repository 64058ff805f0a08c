"""Words that were replaced by the field's do not return: in code, docstrings, messages and pages."""

from __future__ import annotations

import re

import pytest

from places import ROOT

# Pattern: replacement.
RETIRED = {
    r"\bDIGIT_EYE\b|\.eye\b(?!\()": "InputSpec, input_spec",
    r"quicken": "optimize_for_inference",
    r"keeping_networks": "cache_networks",
    r"as_seen": "preprocess, to_input, match_channels",
    r"\bKeeping\b|taken_up\b|taking_up\b": "Checkpointer, resumed, restoring",
    r"\b[Ww]ish(es|ed)?\b": "target, objective",
    r"[Ff]oresee": "estimate",
    r"\bcalmed\b": "decorrelate",
    r"learned by heart|[Tt]ake away|[Rr]ub out|[Hh]old still|Forget\b": "built-in, Remove, Erase, Pause",
    r"Whose eyes|Who dreams|How to go down": "Which network to use, Optimiser",
    r"\b[Ss]tages?\b|_stages?\b|\bstage_": "layer",
    r"\b_?[Tt]old\b|(?<!\.)\b[Tt]ells?\b": "say, report, describe, distinguish",
    r"\b_?[Kk]ept\b": "saved, stored, cached",
    r"[Ss]teer(ed|s)": "live settings, changes",
    r"\b[Mm]akings?\b|\bof_makings\b|made_by\b": "technique, output, create",
    r"\b[Jj]udged?\b|[Ll]ikeness": "score, similarity",
    r"\busual_|\b_usual\b|\bas usual\b(?!\. Its)": "default",
    r"read_record|make_record|\bRecord\(|record_of": "recipe",
    r"\b[Aa]new\b|\b[Gg]oes on\b|\bbeneath\b": "again, continues, below",
    r"\bputs? out\b|\bgives? back\b": "output, return",
    r"\bCppn\b|\bDoing\b|\bTile\b": "RandomPicture, Run, SheetCell",
    r"class Windows": "tiles",
}
QUOTED = re.compile("making an output value get higher|just tell you")  # by the lecture
PLACES = ("src/lanterna/**/*.py", "src/lanterna/**/*.js", "src/lanterna/**/*.html", "docs/*.md", "README.md")


@pytest.mark.parametrize(("retired", "now"), RETIRED.items())
def test_a_retired_word_does_not_come_back(retired, now):
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for place in PLACES
        for file in ROOT.glob(place)
        if "vendor" not in file.parts and file.name != "renamed.py"
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(retired, QUOTED.sub("", line)) and not re.search(r"\b(np|torch)\.eye\(", line)
    ]
    assert not found, f"say {now}: {found}"
