"""Thousands of broken pictures, recipes, settings and arguments, thrown at the commands in this process.

FUZZ_TIMES in the environment says how many thousands; two if it does not.

None may end in a traceback, with an unknown exit code, with a file left behind or with one overwritten. To
have a new verb fuzzed, add it to the lists below.
"""

import contextlib
import functools
import io
import json
import os
import random
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from declared import clear_registry
from hostile import CHANGES, chunk, hostile_contents, make_hostile_files, photograph, png, real_files
from lanterna.errors import UsageError
from lanterna.images import decoding, make_recipe, open_picture, save_picture
from lanterna.images.recipe import to_json
from lanterna.networks import cache_networks
from lanterna.surfaces.cli import VERBS, main
from lanterna.techniques import registry
from lanterna.techniques.technique import Frame, Technique
from lanterna.techniques.train.settings import Train
from lanterna.techniques.train.technique import open_or_train

pytestmark = pytest.mark.slow

READS_PICTURES = ["recipe", "rerun", "read", "classify", "dream", "style"]
"""Verbs that are given a picture, with everything that they need on the shelf and a trained network."""

TAKES_ARGUMENTS = sorted(VERBS.keys() - {"studio", "class"})
"""Verbs that are given arguments of all kinds, with nothing on the shelf, so that no work begins; not the
studio, which does not end by itself."""

_WORDS = """
    --set --json --quiet -q --output -o --force --trust --help --version --preset fast best --epochs --hidden
    --no-bias --learning-rate --network conv dense lite0 os:abort --top --steps --why --device cuda cpu --seed
    --resume fetch import verify clear mnist vgg16 --all picture.png plain.jpg folder missing.png out.png
    out.xyz folder/out.png missing/out.png plain.jpg/out.png seed=1 seed=-1 a=b =b input=x 0 -1 1e400 NaN
    --layer --mask --guide --mask-layer --checkpoint layers presets
    --style --instant --built-in --weights --content-mask --start-from --print 8in 1mm@1dpi --strength --brush
    --class goldfish --channel --sheet --direction --kernels --diversity block9 relu1 output
    99999999999999999999 0x10 1_000 true [] {} [[ - -- --- * $HOME ~ .. . /dev/zero /dev/null /
"""
WORDS = [*_WORDS.split(), "", "\0", "two words", "long" * 100, "\udcff.png", "\x1b[2J"]


TIMES = int(os.environ.get("FUZZ_TIMES", "2"))


def fuzz(examples):
    """The same examples in every run, and no clock: this machine may be slow."""
    return settings(
        max_examples=examples * TIMES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


class Room:
    """A folder with things in it that must still be there, just so, after every command."""

    def __init__(self, folder):
        self.folder = folder
        self.calls = 0
        for name, data in real_files().items():
            (folder / name).write_bytes(data)
        (folder / "folder").mkdir()
        (folder / "folder" / "precious.txt").write_text("precious")
        recipe = make_recipe("train", "mistakes", Train(epochs=3), inputs=["plain.jpg"])
        for name in CARRIERS:
            save_picture(torch.rand(3, 8, 8, generator=torch.Generator().manual_seed(0)), name, recipe=recipe)
        self.things = self.seen()

    def seen(self):
        """Every file below the folder: its size and when it was written."""
        found = {}
        for parent, _, names in os.walk(self.folder):
            for name in names:
                status = (Path(parent) / name).lstat()
                found[f"{parent}/{name}"] = (status.st_size, status.st_mtime_ns, status.st_ino)
        return found

    def run(self, *argv, stdin=b""):
        """Run one command and hold it to what every command must keep to. Gives its exit code."""
        self.calls += 1
        before = self.seen()
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            code = main([str(word) for word in argv])
        output_text = err.getvalue()
        assert code in (0, 1, 2, 3), (argv, code, output_text)
        assert "Traceback" not in output_text, (argv, output_text)
        assert "bug in Lanterna" not in output_text, (argv, output_text)
        after = self.seen()
        assert {path: after.get(path) for path in before} == before, (
            argv,
            "something was overwritten or lost",
        )
        if code:
            last = output_text.splitlines()[-1]
            assert last.startswith("lanterna: "), (argv, output_text)
            assert len(last) > len("lanterna: ") + 10, (argv, output_text)
            assert after == before, (argv, "something was left behind")
        for path in after.keys() - before.keys():  # a result that was asked for
            Path(path).unlink()
        return code


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """Thousands of tiny sums are not made quicker by threads that wait for each other."""
    default = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(default)


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    folder = tmp_path_factory.mktemp("room")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield Room(folder)


@pytest.fixture(autouse=True)
def small_and_quick(room, monkeypatch):
    """Work in the room; a pixel limit that hostile sizes meet soon; no training; short dreams."""
    monkeypatch.chdir(room.folder)
    monkeypatch.setenv("HOME", str(room.folder))
    monkeypatch.setattr(decoding, "PIXEL_LIMIT", 500_000)
    for setting in ("size=64", "octaves=1", "steps=1"):
        name, value = setting.split("=")
        monkeypatch.setenv(f"LANTERNA_DREAM_{name.upper()}", value)
    for setting in ("size=64", "steps=1", "style=plain.jpg", "style_layers=relu1_1", "content_layer=relu2_1"):
        name, value = setting.split("=")
        monkeypatch.setenv(f"LANTERNA_STYLE_{name.upper()}", value)
    monkeypatch.setitem(registry.BUILT_IN, "train", f"{__name__}:QUICK")
    clear_registry()
    yield
    clear_registry()


QUICK = Technique(
    name="train", title="Train", help="No training.", settings=Train, outputs=("mistakes", "confusion"),
    run=lambda _: (each for each in [Frame(1, 1, picture=torch.zeros(3, 8, 8))]), networks=lambda _: (),
)  # fmt: skip


@pytest.fixture(scope="module")
def all_is_here(real_shelf, tmp_path_factory):
    """A home with the real shelf and a network trained for a moment, which is opened only once."""
    home = tmp_path_factory.mktemp("trained-home")
    (home / "shelf").symlink_to(real_shelf, target_is_directory=True)
    quick = ["--fraction", "0.02", "--epochs", "1", "--hold-out", "1000", "--channels", "4", "8", "--quiet"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANTERNA_HOME", str(home))
        patch.setattr("lanterna.techniques.train.technique.open_or_train", functools.cache(open_or_train))
        assert main(["train", "conv", *quick]) == 0
        yield home


@pytest.fixture
def all_open(all_is_here):
    """The same, with networks that stay open from one command to the next."""
    with cache_networks():
        yield all_is_here


@pytest.fixture
def offline(empty_home, monkeypatch):
    """Nothing on the shelf and no network to get it from: whatever would work says what is missing."""
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    return empty_home


class Mutation(NamedTuple):
    """A file and what is done to it, told in so few words that a failing example can be read."""

    file: str
    changes: list[str]
    seed: int

    def data(self):
        """The bytes of the file with its changes: where, and how much, is drawn from the seed."""
        data = bytearray(Path(self.file).read_bytes())
        chance = random.Random(self.seed)
        for change in self.changes:
            if len(data) < 8:
                break
            # Headers are where it hurts: half of all changes are made in the first 300 bytes.
            place = chance.randrange(min(len(data), 300) if chance.random() < 0.5 else len(data))
            CHANGES[change](data, place, chance)
        return bytes(data)


CARRIERS = ["picture.png", "picture.jpg", "picture.webp", "picture.avif", "picture.tiff"]
mutations = st.builds(
    Mutation,
    st.sampled_from([*real_files(), *CARRIERS]),
    st.lists(st.sampled_from(sorted(CHANGES)), min_size=1, max_size=4),
    st.integers(0, 2**32),
)


@fuzz(450)
@given(mutation=mutations)
def test_mutated_pictures_open_or_are_refused(room, mutation):
    room.calls += 1
    try:
        picture = open_picture(mutation.data(), longest=64)
    except UsageError as refused:
        message = str(refused)
    else:
        message = "opened as a picture"
        assert picture.shape[0] == 3
        assert picture.dtype == torch.float32
        assert 0 <= picture.min() <= picture.max() <= 1
    assert 10 < len(message) < 300
    assert "\n" not in message


@fuzz(130)
@given(mutation=mutations, verb=st.sampled_from(["recipe", "rerun"]), dash=st.booleans())
def test_mutated_pictures_carry_recipes_or_not(room, mutation, verb, dash):
    data = mutation.data()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mutated.png"
        path.write_bytes(data)
        if dash:
            room.run(verb, "-", *(["-o", "out.png"] if verb == "rerun" else []), stdin=data)
        else:
            code = room.run(verb, path)
            made = 1 if verb == "rerun" and code == 0 else 0
            assert len(list(Path(folder).iterdir())) == 1 + made


@fuzz(14)
@given(mutation=mutations, verb=st.sampled_from(READS_PICTURES[2:]))
def test_mutated_pictures_are_looked_at(room, all_open, mutation, verb):
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("LANTERNA_HOME", str(all_open))
        path = Path(folder) / "mutated.png"
        path.write_bytes(mutation.data())
        room.run(verb, path)


@pytest.mark.parametrize("verb", READS_PICTURES)
def test_the_hostile_folder(room, all_open, tmp_path, monkeypatch, verb):
    monkeypatch.setenv("LANTERNA_HOME", str(all_open))
    for path in make_hostile_files(tmp_path):
        assert room.run(verb, path) == 2
    for data in list(hostile_contents().values())[::8]:
        assert room.run(verb, "-", *(["-o", "out.png"] if verb == "rerun" else []), stdin=data) == 2


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@st.composite
def recipes(draw):
    """The text of a recipe with some of its parts replaced, dropped, invented or damaged."""
    recipe = json.loads(to_json(make_recipe("train", "mistakes", Train(epochs=3), inputs=["plain.jpg"])))
    for _ in range(draw(st.integers(1, 3))):
        part = draw(
            st.sampled_from(
                [recipe, recipe["settings"] if isinstance(recipe.get("settings"), dict) else recipe]
            )
        )
        key = draw(st.sampled_from([*part, "network", "invented"]))
        if draw(st.booleans()):
            part[key] = draw(json_values)
        else:
            part.pop(key, None)
    text = json.dumps(recipe)
    if draw(st.integers(0, 3)) == 0:
        place = draw(st.integers(0, len(text)))
        text = text[:place] + draw(st.text(max_size=5)) + text[place + draw(st.integers(0, 5)) :]
    return text


@fuzz(85)
@given(
    text=recipes(), verb=st.sampled_from([["recipe"], ["recipe", "--json"], ["rerun"]]), packet=st.booleans()
)
def test_mutated_recipes(room, text, verb, packet):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.png"
        if packet:
            wrapped = f"<x><lanterna:record>{text}</lanterna:record></x>".encode("utf-8", "replace")
            photograph(8, 8).save(path, "JPEG", xmp=wrapped)
        else:
            content = b"lanterna\0\0\0\0\0" + text.encode("utf-8", "replace")
            path.write_bytes(png(1, 1, 8, 0, b"\0\0", chunk(b"iTXt", content)))
        room.run(*verb, path)


setting_names = st.sampled_from([*Train.model_fields, "device", "network", "input", "inputs", "other", ""])
texts = st.text(max_size=20) | st.sampled_from(WORDS) | st.integers().map(str) | st.floats().map(str)


@fuzz(85)
@given(
    changes=st.lists(st.tuples(setting_names, texts).map("=".join) | texts, min_size=1, max_size=3),
    verb=st.sampled_from(["recipe", "rerun"]),
)
def test_set_takes_anything(room, changes, verb):
    room.run(verb, "picture.png", *(word for change in changes for word in ("--set", change)))


@fuzz(170)
@given(
    verb=st.sampled_from(TAKES_ARGUMENTS) | texts,
    words=st.lists(st.sampled_from(WORDS) | texts, max_size=6),
)
def test_arguments_of_all_kinds(room, offline, verb, words):
    words = [word for word in words if "completion" not in word]
    room.run(verb, *words)
    assert not [path for path in offline.rglob("*") if path.is_file()]


toml_values = st.sampled_from(
    ["1", "-1", "1e400", "nan", '"text"', "true", "[]", "[1, 2]", "{}", "{a = 1}", "1979-05-27"]
)
toml_lines = st.tuples(
    st.sampled_from(["epochs", "hidden", "preset", "json", "force", "nonsense"]), toml_values
)


@fuzz(50)
@given(
    section=st.sampled_from(
        ["[train]", "[read]", "[feature]", "[dream]", "[style]", "[recipe]", "[nonsense]", "train = 3", ""]
    ),
    lines=st.lists(toml_lines.map(" = ".join) | st.text(max_size=12), max_size=4),
    argv=st.sampled_from(
        [
            ["train"],
            ["train", "dense"],
            ["read", "plain.jpg"],
            ["recipe", "picture.png"],
            ["shelf"],
            ["feature", "block9", "31"],
            ["dream", "plain.jpg"],
            ["style", "plain.jpg"],
        ]
    ),
)
def test_settings_files(room, offline, section, lines, argv):
    path = room.folder / "lanterna.toml"
    path.write_bytes("\n".join([section, *lines]).encode("utf-8", "replace"))
    try:
        room.run(*argv)
    finally:
        path.unlink()
    assert not [path for path in offline.rglob("*") if path.is_file()]


def test_it_was_a_thousand_and_all_is_as_it_was(room):
    """To be run after all the others of this file."""
    assert room.calls > 1000 * TIMES
    assert room.seen() == room.things
