"""The command line's frame: quick, one line for every error, settings from four places in their order."""

import json
import os
import re
import resource
import shlex
import subprocess
import sys
import types
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import pytest
from cyclopts import Parameter
from pydantic import Field

from hostile import encoded, photograph
from lanterna import __version__, open_picture, shelf
from lanterna.errors import LanternaError, MissingError, UsageError, one_line
from lanterna.surfaces import cli
from lanterna.surfaces.cli import dispatch, main
from lanterna.surfaces.cli.common import (
    Changes,
    Json,
    Output,
    Quiet,
    Settings,
    emit_json,
    format_size,
    given_settings,
    parse_assignments,
    progress,
    say,
)
from lanterna.techniques import technique

HEAVY = {"torch", "numpy", "PIL", "pydantic", "rich", "safetensors", "pyfive"}


class Bake(technique.Settings):
    """A small recipe, made for these tests."""

    verb: ClassVar[str] = "bake"
    presets: ClassVar[dict[str, dict[str, object]]] = {"fast": {"minutes": 5, "hot": False}}

    minutes: int = Field(default=30, ge=1, le=100, description="How long it bakes, in minutes.")
    sugar: float = Field(default=0.1, gt=0, description="Share of sugar.")
    layers: tuple[int, ...] = Field(default=(8,), description="Sizes of the layers.")
    hot: bool = Field(default=True, description="Whether the oven is hot before.")
    shape: Literal["round", "square"] = Field(default="round", description="The tin.")


def bake(
    picture: Path | None = None,
    /,
    *,
    preset: Annotated[str, Parameter(help="Settings that go well together.")] = "",
    settings: Annotated[Bake | None, Settings] = None,
    output: Output = None,
    changes: Changes = None,
    json: Json = False,
    quiet: Quiet = False,
    fail: str = "",
) -> int | None:
    """Bake a cake.

    It takes a while.
    """
    failures = {
        "usage": UsageError("no such flour: use rye"),
        "missing": MissingError("no flour here: run `lanterna shelf fetch flour`"),
        "failed": LanternaError("it is burnt"),
        "interrupt": KeyboardInterrupt(),
        "pipe": BrokenPipeError(),
        "file": FileNotFoundError(2, "No such file or directory", "oven\nof brick"),
        "bug": ZeroDivisionError("division by zero"),
        "memory": MemoryError(),
        "exit": SystemExit(3),
    }
    if fail:
        raise failures[fail]
    wanted = Bake.checked({**Bake.presets.get(preset, {}), **given_settings(settings)})
    changed = parse_assignments(changes)
    say("baking", quiet=quiet)
    with progress("baking", quiet=quiet) as update:
        update(1, 2, "half")
    facts = wanted.model_dump() | {
        "given": sorted(given_settings(settings)),
        "picture": str(picture),
        "output": str(output),
        "changes": changed,
    }
    if json:
        emit_json(facts)
    return None


@pytest.fixture(autouse=True)
def kitchen(monkeypatch, tmp_path):
    """The verb `bake`, and an empty folder to be in."""
    module = types.ModuleType("lanterna.surfaces.cli.bake")
    module.bake = bake
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cli.VERBS, "bake", "Bake a cake.")
    folder = tmp_path / "kitchen" / "table"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def baked(capsys):
    """Bake with these arguments and give what came of it."""

    def run(*arguments):
        assert main(["bake", *arguments, "--json", "--quiet"]) == 0
        out, err = capsys.readouterr()
        assert err == ""
        return json.loads(out)

    return run


@pytest.fixture
def refused(capsys):
    """Run something that is wrong; give the one line that says so."""

    def run(*arguments, code=2):
        assert main(arguments) == code
        out, err = capsys.readouterr()
        assert out == ""
        assert re.fullmatch(r"lanterna: [^\n]+\n", err), err
        assert err.isprintable() or err[:-1].isprintable()
        return err

    return run


# Quick


def test_help_is_quick_and_loads_nothing_heavy():
    times = []
    for _ in range(2):
        begun = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
        done = subprocess.run(
            [sys.executable, "-m", "lanterna", "--help"], capture_output=True, text=True, check=True
        )
        times.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - begun)
    assert min(times) < 0.4  # of the processor, whoever else is at work
    for verb in ("train", "read", "classify", "shelf", "doctor", "rerun"):
        assert f"  {verb} " in done.stdout
    program = "import sys; from lanterna.surfaces.cli import main; main(['--help']); print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert not HEAVY & set(loaded.split())


def test_a_wrong_verb_loads_nothing_heavy():
    program = "import sys; from lanterna.surfaces.cli import main; main(['trian']); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "did you mean train?" in done.stderr
    assert not (HEAVY - {"rich"}) & set(done.stdout.split())


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"], ["help"]])
def test_the_front_page_names_every_verb(arguments, capsys):
    assert main(arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for verb, what in cli.verbs().items():
        assert re.search(rf"^  {verb} +{re.escape(what)}$", out, re.MULTILINE)


@pytest.mark.parametrize("verb", cli.verbs())
def test_every_verb_has_its_help(verb, capsys):
    assert main([verb, "--help"]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(f"Usage: lanterna {verb}")
    assert err == ""


def test_version(capsys):
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"lanterna {__version__}\n"


def test_a_verbs_help_comes_from_its_settings(capsys):
    assert main(["bake", "--help"]) == 0
    out = capsys.readouterr().out
    for words in (
        "Bake a cake.",
        "--minutes",
        "How long it bakes",
        "--no-hot",
        "--layers",
        "Settings that go well",
    ):
        assert words in out
    assert "--no-json" not in out
    assert "--empty" not in out


# Settings


def test_only_what_was_given_counts_as_set(baked):
    assert baked()["given"] == []
    cake = baked("--preset", "fast", "--minutes", "7")
    assert cake["given"] == ["minutes"]
    assert (cake["minutes"], cake["hot"], cake["sugar"]) == (7, False, 0.1)
    assert baked("--preset", "fast", "--hot")["hot"] is True  # given, though it is the default


def test_values_of_every_kind(baked):
    cake = baked(
        "tin.png", "--layers", "3", "4", "--no-hot", "--shape", "square", "--sugar", "1e-3", "-o", "out.png"
    )
    assert cake["layers"] == [3, 4]
    assert (cake["hot"], cake["shape"], cake["sugar"]) == (False, "square", 0.001)
    assert (cake["picture"], cake["output"]) == ("tin.png", "out.png")
    assert baked("--layers")["layers"] == []
    assert baked("--set", "a=1", "b-c=x=y")["changes"] == {"a": "1", "b_c": "x=y"}


def test_a_dash_is_standard_input_or_output(baked):
    cake = baked("-", "-o", "-")
    assert (cake["picture"], cake["output"]) == ("-", "-")


def test_settings_come_from_flag_then_environment_then_file_then_default(baked, kitchen, monkeypatch):
    assert baked()["minutes"] == 30
    (kitchen.parent / "pyproject.toml").touch()
    (kitchen.parent / "lanterna.toml").write_text(
        "[bake]\nminutes = 40\nhot = false\nlayers = [1, 2]\n[train]\n"
    )
    cake = baked()  # from a folder above
    assert (cake["minutes"], cake["hot"], cake["layers"]) == (40, False, [1, 2])
    assert cake["given"] == ["hot", "layers", "minutes"]
    monkeypatch.setenv("LANTERNA_BAKE_MINUTES", "50")
    assert (baked()["minutes"], baked()["hot"]) == (50, False)
    assert baked("--minutes", "60", "--hot")["minutes"] == 60
    assert baked("--hot")["hot"] is True
    (kitchen / "lanterna.toml").write_text("[bake]\nsugar = 0.7\n")  # the nearest file counts
    assert (baked()["sugar"], baked()["hot"]) == (0.7, True)


# Errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["backe"], "did you mean bake?"),
        (["zzz"], "the verbs are tour, examples, train"),
        ([""], "unknown verb ''"),
        (["--minutes", "3"], "expected a verb first"),
        (["bake", "--minuets", "3"], "did you mean --minutes?"),
        (["bake", "--minutes", "1000"], "--minutes: expected at most 100, got '1000'"),
        (["bake", "--minutes", "soon"], "--minutes: expected a whole number, got 'soon'"),
        (["bake", "--minutes"], "--minutes"),
        (["bake", "--layers", "1", "x"], "--layers: expected a whole number, got 'x'"),
        (["bake", "--shape", "star"], "--shape: expected 'round' or 'square', got 'star'"),
        (["bake", "--json=perhaps"], "--json"),
        (["bake", "a.png", "b.png"], "b.png"),
        (["bake", "--set", "minutes"], "--set: expected KEY=VALUE, got 'minutes'"),
        (
            ["bake", "--set", "minutes=1", "--set", "minutes=2"],
            "--set: minutes is given twice, as '1' and '2'",
        ),
        (["bake", "--\x1b[31m\n\udcff"], r"\x1b[31m"),
        (["bake", "--fail", "usage"], "no such flour: use rye"),
        (["shelf", "fetsch"], "fetsch"),
        (["shelf", "--all"], "--all"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, words, refused):
    assert words in refused(*arguments)


@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [
        ("missing", 3, "lanterna shelf fetch flour"),
        ("failed", 1, "it is burnt"),
        ("file", 1, "oven of brick: No such file or directory"),
        ("memory", 1, "not enough memory"),
        ("bug", 1, "ZeroDivisionError: division by zero (this is a bug in Lanterna"),
        ("interrupt", 130, "stopped"),
    ],
)
def test_failures_are_one_line_with_their_exit_code(failure, code, words, refused):
    assert words in refused("bake", "--fail", failure, code=code)


def test_a_closed_pipe_and_an_early_exit_are_quiet(capsys):
    assert main(["bake", "--fail", "pipe"]) == 1
    assert main(["bake", "--fail", "exit"]) == 3
    assert capsys.readouterr() == ("", "")


def test_a_bug_can_be_traced(monkeypatch, capsys):
    monkeypatch.setenv("LANTERNA_DEBUG", "1")
    assert main(["bake", "--fail", "bug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[bake\nminutes=3", "is not a settings file in TOML"),
        (b"[bake]\nminutes = \xff", "is not a settings file in TOML"),
        (b"[bake]\nminuets = 3", "did you mean --minutes?"),
        (b"[bake]\nminutes = 1000", "minutes in "),
        (b"[bake]\nminutes = [1]", "minutes"),
        (b"[baek]\nminutes = 3", "expected sections named after verbs, such as [train], got 'baek'"),
        (b"bake = 3", "expected sections named after verbs"),
    ],
)
def test_a_broken_settings_file_is_one_line(content, words, kitchen, refused):
    (kitchen / "lanterna.toml").write_bytes(content)
    line = refused("bake")
    assert words in line
    assert "lanterna.toml" in line


def test_a_folder_for_a_settings_file_is_one_line(kitchen, refused):
    (kitchen / "lanterna.toml").mkdir()
    assert "cannot read" in refused("bake")


def test_a_wrong_environment_is_named(refused, monkeypatch):
    monkeypatch.setenv("LANTERNA_BAKE_MINUTES", "0")
    assert "LANTERNA_BAKE_MINUTES: expected at least 1, got '0'" in refused("bake")


def test_a_removed_folder_is_no_reason_to_fail(kitchen, capsys):
    kitchen.rmdir()
    assert main(["bake", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["minutes"] == 30


# Streams


def test_json_is_alone_on_standard_output_and_talk_on_the_other(capsys):
    assert main(["bake", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["minutes"] == 30
    assert err == "baking\n"  # and no bar, because this is no terminal


def test_a_reader_that_leaves_early_sees_no_complaint():
    command = [sys.executable, "-m", "lanterna", "shelf", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("shelf --json >&-", 0, ""),
        ("--help >&- <&-", 0, ""),
        ("recipe - <&-", 2, "lanterna: the picture is empty: give a picture file\n"),
        ("shelf fetch gone 2>&-", 2, ""),
        ("shelf fetch gone >&- <&-", 2, "lanterna: unknown item 'gone': the shelf has mnist"),
    ],
)
def test_closed_streams_are_handled(words, code, message, tmp_path):
    command = f"{shlex.quote(sys.executable)} -m lanterna {words}"
    done = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True, cwd=tmp_path, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == bool(message)


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["0", "1", "2", "x"])
def test_help_ends_however_narrow_the_terminal_is(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # which is set for the processes of a command
    monkeypatch.setattr("sys.argv", ["lanterna", "dream", "--help"])
    with pytest.raises(SystemExit, match="0"):
        cli.run()
    assert "--layer" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["networks"], ["shelf"], ["doctor"], ["read", "a.png"]])
def test_a_home_of_nobody_is_one_line(words, monkeypatch, capsys):
    monkeypatch.setenv("LANTERNA_HOME", "~nobody-of-this-name")
    assert main(words) == 2
    message = capsys.readouterr().err
    assert message.startswith("lanterna: ")
    assert message.count("\n") == 1


def test_names_that_a_terminal_cannot_show_do_not_break_it():
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "lanterna", "shelf"], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr


@pytest.mark.slow
def test_no_color_disables_colours():
    environment = os.environ | {"NO_COLOR": "1", "FORCE_COLOR": ""}
    for arguments in (["shelf"], ["shelf", "--help"], ["--help"]):
        command = [sys.executable, "-m", "lanterna", *arguments]
        assert (
            b"\x1b[" not in subprocess.run(command, env=environment, capture_output=True, check=True).stdout
        )


def test_words():
    assert [format_size(size) for size in (0, 999, 54_752_911, 2e9)] == [
        "0 bytes",
        "999 bytes",
        "54.8 MB",
        "2.0 GB",
    ]
    assert one_line("a\n b\x07\udcff é 数") == r"a b\x07\udcff é 数"


# Completion and the doctor


@pytest.mark.slow
def test_completion_is_installed_for_the_shell(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", "/bin/bash")
    assert main(["--install-completion", "--shell", "bash"]) == 0, capsys.readouterr().err
    script = tmp_path / ".local/share/bash-completion/completions/lanterna"
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    for word in ("train", "classify", "shelf"):
        assert word in script.read_text()


def test_doctor_lists_what_is_installed(capsys):
    assert main(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["lanterna"]["version"] == __version__
    assert facts["shelf"] == dict.fromkeys(shelf.ITEMS, True)
    assert facts["torch"]["threads"] >= 1
    assert facts["torch"]["precision"] in ("float32", "bfloat16")
    assert "cpu" in facts["torch"]["devices"]
    assert main(["doctor"]) == 0
    assert __version__ in capsys.readouterr().out


def test_doctor_gives_advice(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("LANTERNA_HOME", str(tmp_path / "file" / "home"))
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    assert main(["doctor", "--json"]) == 0
    advice = " ".join(json.loads(capsys.readouterr().out)["advice"])
    assert "lanterna shelf fetch mnist" in advice
    assert "LANTERNA_OFFLINE" in advice
    assert "cannot be written: set LANTERNA_HOME" in advice


@pytest.mark.usefixtures("real_shelf")
def test_examples_are_pictures_that_replace_nothing(kitchen, refused, capsys):
    assert main(["examples", "new", "--json", "--quiet"]) == 0
    saved = json.loads(capsys.readouterr().out)
    assert {each["file"] for each in saved} == {str(place) for place in Path("new").iterdir()}
    assert all(open_picture(each["file"]).shape[0] == 3 and each["licence"] for each in saved)
    (kitchen / "cat.jpg").write_text("mine")
    assert "cat.jpg already exists" in refused("examples")
    assert [place.name for place in kitchen.iterdir() if place.is_file()] == ["cat.jpg"]
    assert (kitchen / "cat.jpg").read_text() == "mine"


def test_the_app_lists_every_verb():
    app = dispatch.make_app()
    assert set(cli.verbs()) <= set(app)


@pytest.mark.parametrize("columns", [80, 140])
def test_networks_fit_the_terminal(columns, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["networks"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= columns for line in lines)
    assert len(lines) < 24
    assert sum("features of photographs for style and dreams; no classes" in line for line in lines) == 1


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("read cat.png --page 2", "--page: this picture has no others, got 2"),
        ("style cat.png --style cat.png --print tiny", "--print: expected a longer side such as"),
        (
            "style cat.png --style cat.png --weights 0",
            "--weights: expected numbers of 0 or more, not all 0, got 0",
        ),
        (
            "dream cat.png --mask-layer block2",
            "--mask-layer: expected at most one for each mask, got 1 for 0",
        ),
        ("paint cat.png --race --steps 2 --seconds 1", "--steps and --seconds exclude each other"),
        ("learn parts --set class=12", "class: expected at most 9, got 12"),
        ("learn curve --set", "--set: expected a value after it"),
    ],
)
@pytest.mark.usefixtures("cached_networks", "trained")
def test_errors_name_the_option(words, error, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cat.png").write_bytes(encoded(photograph(), "PNG"))
    assert main(words.split()) == 2
    assert capsys.readouterr().err.startswith(f"lanterna: {error}")
