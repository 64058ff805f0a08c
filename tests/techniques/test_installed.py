"""Broken packages are reported in one line when their technique is used, and do no harm to others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from declared import clear_registry
from hostile import photograph
from lanterna import notebook
from lanterna.errors import LanternaError
from lanterna.surfaces.cli import main
from lanterna.surfaces.studio import techniques as rooms
from lanterna.techniques import registry
from lanterna.techniques.technique import Technique

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

DECLARED = """
from lanterna.techniques.technique import *
from lanterna.techniques.technique import Input
from pydantic import Field
import torch

class Odd(Settings):
    '''Do something odd.'''
    amount: int = Field(default=1, ge=0, le=9, description="How much.")

def fine(job):
    yield Frame(1, 1, picture=torch.zeros(3, 8, 8))

def odd(run=fine, *, settings=Odd, inputs=(Input("picture", "a picture", required=True),), **more):
    more = {"name": "odd", "title": "Odd", "help": "Something odd.", **more}
    return Technique(settings=settings, run=run, inputs=inputs, **more)

def after(*frames):
    def run(job):
        yield from frames
    return run

def broken(*_):
    raise ValueError("oh dear")

class WithoutDefault(Settings):
    must: int = Field(description="Without a default.")

class NamedForce(Settings):
    force: int = Field(default=1, description="Named like an option.")

P = torch.zeros(3, 8, 8)
"""

UNUSABLE = {
    "raise SystemExit(3)": "cannot be imported: SystemExit: 3",
    "import not_there_at_all": "cannot be imported: ModuleNotFoundError",
    "ODD = 'a text'": "expected a Technique at broken_package:ODD, got str",
    "ODD = ()": "expected a Technique at broken_package:ODD, got tuple",
    "ODD = odd(name='other')": "verb: expected 'odd', the name of its entry point, got 'other'",
    "ODD = odd(outputs=('My picture',))": "outputs: expected small letters, digits and -, got 'My picture'",
    "ODD = odd(file='../outside')": "file: expected a plain name, got '../outside'",
    "ODD = odd(settings=WithoutDefault)": "settings: must needs a default",
    "ODD = odd(settings=NamedForce)": "settings: no setting can be called 'force'",
    "ODD = odd(inputs=(Input('amount', 'a picture', required=True),))": "no input can be called 'amount'",
    "ODD = odd(inputs=('picture',))": "inputs: expected an Input, got str",
    "ODD = odd(presets={'a': {'colour': 1}})": "has no setting 'colour'",
    "ODD = odd(live=('colour',))": "live: there is no setting 'colour'",
    "ODD = (odd(), odd())": "there are two techniques 'odd'",
}
FAILING = {
    "ODD = odd(broken)": "has failed: ValueError: oh dear",
    "ODD = odd(after())": "it yielded no frame",
    "ODD = odd(lambda job: [1])": "expected a generator of frames, got list",
    "ODD = odd(after(P))": "expected a Frame, got Tensor",
    "ODD = odd(after(Frame(1, 1)))": "expected one picture, got none",
    "ODD = odd(after(Frame(1, 5, picture=P)))": "it ended at step 1 of 5",
    "ODD = odd(after(Frame(1, 1, picture=P[None])))": "expected a picture (3, H, W), got (1, 3, 8, 8)",
    "ODD = odd(after(Frame(1, 1, picture=P + 300)))": "values from 0 to 1, got 300 to 300",
    "ODD = odd(after(Frame(1, 1, picture=P / 0)))": "values from 0 to 1, got nan to nan",
    "ODD = odd(after(Frame(1, 1, {'loss': float('nan')}, P)))": "expected finite numbers by name",
    "ODD = odd(estimate=broken)": "ValueError: oh dear",
    "ODD = odd(describe=lambda frame: None)": "returned None",
    "ODD = odd(lambda job: Work(fine(job), report=broken))": "ValueError: oh dear",
    "ODD = odd(lambda job: Work(fine(job), broken))": "ValueError: oh dear",
}


@pytest.fixture
def package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Path]:
    """A folder with a picture and an installed package, whose declaration is the parameter."""
    metadata = tmp_path / "broken_package-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Name: broken-package\nVersion: 1.0\nSummary: \x1b[2JWords.\n")
    (metadata / "entry_points.txt").write_text(f"[{registry.GROUP}]\nodd = broken_package:ODD\n")
    (tmp_path / "broken_package.py").write_text(DECLARED + request.param)
    photograph(16, 8).save(tmp_path / "picture.png")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(__import__("sys").modules, "broken_package", raising=False)
    clear_registry()
    rooms.techniques.cache_clear()
    yield tmp_path
    clear_registry()
    rooms.techniques.cache_clear()


@pytest.mark.parametrize(("package", "words"), UNUSABLE.items(), indirect=["package"])
def test_an_invalid_declaration_is_reported_and_left_out(package, words, capsys):
    assert main(["odd", "picture.png"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lanterna: the technique odd of the package broken-package ")
    assert words in line
    assert main(["--help"]) == 0
    assert "\x1b" not in capsys.readouterr().out
    assert main(["doctor", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["techniques"] == {"odd": "cannot be used"}
    assert any(words in line for line in found["advice"])
    assert "odd" not in rooms.techniques()
    assert "dream" in rooms.techniques()
    with pytest.raises(LanternaError, match="of the package broken-package"):
        notebook.make("odd", "picture.png")
    assert [path.name for path in package.glob("*.png")] == ["picture.png"]


@pytest.mark.parametrize("package", ["ODD = 3"], indirect=True)
def test_other_techniques_still_work(package, capsys):
    del package
    assert main(["render", "random", "--width", "16", "--height", "16", "-o", "made", "--quiet"]) == 0
    assert main(["render", "picture.png", "odd", "-o", "other"]) == 1
    assert "expected a Technique at broken_package:ODD, got int" in capsys.readouterr().err


@pytest.mark.parametrize(("package", "words"), FAILING.items(), indirect=["package"])
def test_a_failure_names_the_technique_and_its_package(package, words, capsys):
    assert main(["odd", "picture.png", "--quiet"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("lanterna: the technique odd of the package broken-package has failed: ")
    assert words in line
    assert [path.name for path in package.glob("*.png")] == ["picture.png"]


@pytest.mark.parametrize("package", ["ODD = odd()"], indirect=True)
def test_the_recipe_of_a_removed_technique_can_still_be_read(package, capsys):
    assert main(["odd", "picture.png", "--quiet", "--amount", "3"]) == 0
    (package / "broken_package.py").write_text("raise ValueError('later')")
    __import__("sys").modules.pop("broken_package")
    clear_registry()
    assert main(["recipe", "odd.png"]) == 0
    assert "amount" in capsys.readouterr().out
    assert main(["rerun", "odd.png"]) == 1
    assert "cannot be imported: ValueError: later" in capsys.readouterr().err
    (package / "broken_package-1.0.dist-info" / "entry_points.txt").unlink()
    clear_registry()
    assert main(["rerun", "odd.png"]) == 2
    assert "the technique 'odd' is not installed here" in capsys.readouterr().err


def test_built_in_techniques_can_be_loaded():
    for verb in registry.BUILT_IN:
        assert all(isinstance(each, Technique) for each in registry.techniques_for(verb))
    assert not registry.load_errors()


def test_a_recipe_names_one_technique():
    for each in registry.all_techniques().values():
        if each.outputs:  # the last is its own: a film's command also saves the picture
            assert registry.find_technique(each.verb, each.outputs[-1]) is each
