"""`lanterna.toml`: whose it may be, where it may lie, and what it can never give."""

import json
import os
import subprocess
import sys

import pytest

from lanterna.surfaces.cli import main, settings_file


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with a folder inside, in which we are."""
    (tmp_path / "project" / "inside").mkdir(parents=True)
    (tmp_path / "project" / ".git").mkdir()
    monkeypatch.chdir(tmp_path / "project" / "inside")
    return tmp_path / "project"


def refused(capsys, *words):
    assert main(list(words)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("content", "words", "message"),
    [
        ('[classify]\nnetwork = "evil.py:go"', ["classify", "x.png"], "a network that runs code"),
        ("[render]\nsweep = ['network=\"evil:go\"']", ["render", "x"], "cannot set sweep"),
        ('[render]\nsweep = ["network=x,evil:go,y"]', ["render", "x"], "cannot set sweep"),
        ('[learn]\nset = ["network=evil:go"]', ["learn"], "cannot set set"),
        ('[render]\nengine = "dask"', ["render", "x"], "cannot set engine"),
        ('[render]\naddress = "tcp://127.0.0.1:7786"', ["render", "x"], "cannot set address"),
        ("[train]\nnode-rank = 1", ["train"], "cannot set node-rank"),
        ('[train]\nx = {y = ["os:system"]}', ["train"], "a network that runs code"),
        ("[rerun]\ntrust = true", ["rerun", "x.png"], "cannot set trust"),
        ("[rerun]\nTRUST = true", ["recipe", "x.png"], "cannot set TRUST"),
        ("[dream]\nforce = true", ["dream", "x.png"], "cannot set force"),
        ('[studio]\nhost = "0.0.0.0"', ["studio"], "cannot set host"),
        ('[studio]\nallow = ["evil.example"]', ["studio"], "cannot set allow"),
        ('[studio]\ntoken = "known"', ["studio"], "cannot set token"),
        ("[class]\nforget = true", ["class"], "cannot set forget"),
        ('[dream]\noutput = "../.bashrc"', ["dream", "x.png"], "cannot set output"),
        ('[dream]\ncheckpoint = "../.bashrc"', ["dream", "x.png"], "cannot set a path"),
        ('[style]\nstart-from = "/dev/zero"', ["style", "x.png"], "cannot set a path"),
        ("#" * 70_000, ["networks", "x"], "too large for a settings file"),
        ("a = " + "[" * 5000 + "]" * 5000, ["recipe", "x.png"], "not a settings file in TOML"),
    ],
)
def test_a_settings_file_cannot_give_access(content, words, message, project, capsys):
    (project / "inside" / "evil.py").write_text("raise SystemExit('it ran')")
    (project / "lanterna.toml").write_text(content)
    line = refused(capsys, *words)
    assert message in line
    assert "lanterna.toml" in line


def test_a_pipe_of_that_name_holds_nothing_up(project):
    os.mkfifo(project / "lanterna.toml")
    command = [sys.executable, "-m", "lanterna", "shelf"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (found.returncode, found.stderr.count("\n")) == (2, 1)
    assert "it is not a file" in found.stderr


@pytest.mark.parametrize("mode", [0o666, 0o602])
def test_a_file_that_others_can_write_to_is_ignored(mode, project, capsys):
    path = project / "lanterna.toml"
    path.write_text("[recipe]\njson = true\n")
    path.chmod(mode)
    assert main(["doctor"]) == 0
    printed_text = capsys.readouterr()
    assert "is ignored: other users can write to it" in " ".join(printed_text.out.split())
    assert main(["recipe", "missing.png"]) == 2
    assert "is ignored: other users can write to it" in capsys.readouterr().err
    assert "recipe.json" not in printed_text.out


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_ignored(project, capsys):
    path = project / "lanterna.toml"
    path.write_text("[rerun]\ntrust = true\n")
    os.chown(path, 65_534, 65_534)
    assert main(["doctor"]) == 0
    assert "is ignored: it belongs to another user" in " ".join(capsys.readouterr().out.split())


def test_the_search_ends_at_the_project_or_in_the_current_folder(project, monkeypatch):
    (project.parent / "lanterna.toml").write_text("[train]\nepochs = 2\n")
    assert settings_file.find_settings() is None
    (project / "lanterna.toml").write_text("[train]\nepochs = 3\n")
    assert settings_file.find_settings() == project / "lanterna.toml"
    (project / ".git").rmdir()
    assert settings_file.find_settings() is None
    monkeypatch.setenv("HOME", str(project))
    assert settings_file.find_settings() == project / "lanterna.toml"


@pytest.mark.parametrize(
    "text", ["[dream]\nforce = true\n", "[studio]\nhost = '0.0.0.0'\n", "[", "[nonsense]\n"]
)
def test_a_file_that_stops_other_verbs_is_explained_by_doctor(text, project, capsys):
    (project / "lanterna.toml").write_text(text)
    assert main(["networks"]) == 2
    why = capsys.readouterr().err.removeprefix("lanterna: ").strip()
    assert main(["doctor"]) == 0
    assert why in " ".join(capsys.readouterr().out.split())


def test_doctor_shows_the_file_and_its_settings(project, capsys):
    (project / "lanterna.toml").write_text("[dream]\nsteps = 3\n")
    assert main(["doctor", "--json"]) == 0
    printed_text = json.loads(capsys.readouterr().out)["settings file"]
    assert printed_text == {"file": str(project / "lanterna.toml"), "dream.steps": 3}
