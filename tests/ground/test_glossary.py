"""Every term of the field is defined once, and printed by `lanterna learn --words`."""

from __future__ import annotations

import json
import re

import pytest

from lanterna.glossary import ALSO, GLOSSARY, ORDINARY, look_up
from lanterna.surfaces.cli import main
from lanterna.techniques.registry import all_techniques

# Jargon that stands in labels and help, and that no course assumes.
JARGON = re.compile(
    r"\b(octaves?|energy|logits?|epochs?|psnr|seeds?|gram matri\w+|jitter|siren|relu|adamw?|dropout|cppn)\b"
)


def test_the_terms_stand_in_alphabetical_order_and_fit_a_tooltip():
    assert list(GLOSSARY) == sorted(GLOSSARY, key=str.casefold)
    assert {*ALSO.values(), *ORDINARY} <= GLOSSARY.keys()
    for term, meaning in GLOSSARY.items():
        assert 20 < len(meaning) < 240, term
        assert meaning.endswith("."), term


def test_the_jargon_of_every_setting_is_in_the_glossary():
    fields = [
        f"{name.replace('_', ' ')} {field.description}".lower()
        for technique in all_techniques().values()
        for name, field in technique.settings.model_fields.items()
    ]
    found = {word for text in fields for word in JARGON.findall(text)}
    assert len(found) > 5
    for word in found:
        look_up(word)


@pytest.mark.parametrize(
    ("word", "term"),
    [("Octaves", "octave"), ("neurons", "unit"), ("biases", "bias"), ("gram matrices", "Gram matrix")],
)
def test_a_word_is_explained_in_any_form(word, term, capsys):
    assert main(["learn", word, "--words", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {term: GLOSSARY[term]}


def test_all_terms_are_printed_or_the_error_lists_them(capsys):
    assert main(["learn", "--words"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if not line.startswith(" ")] == list(GLOSSARY)
    assert max(map(len, lines)) <= 100
    assert main(["learn", "nonsense", "--words"]) == 2
    assert "octave" in capsys.readouterr().err
