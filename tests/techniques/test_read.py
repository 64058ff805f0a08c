"""Handwriting on simulated pages is found and read under all conditions, with digits not trained on."""

from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import pages
from lanterna.images import read_recipe
from lanterna.images.digits import mnist
from lanterna.networks.trained import open_trained
from lanterna.surfaces.cli import main
from lanterna.techniques.read import scorer
from lanterna.techniques.read.algorithm import Read, read
from lanterna.techniques.read.scorer import scorer_for
from lanterna.techniques.train.results import expected_calibration_error
from lanterna.techniques.train.settings import Train
from lanterna.techniques.train.technique import open_or_train

SEED = 20_261  # not used during development
PAGES_PER_CONDITION = 2
LARGEST_PAGE = "12,000 px wide"  # only one page, because it takes as long as ten others


@pytest.fixture(scope="module")
def network(trained: Path):
    """The network that `lanterna read` trains if there is none."""
    return open_trained(trained / "networks" / "conv")


def digits_to_write():
    test = mnist("test")
    return test.images[:, 0].numpy(), test.labels.numpy()


def intersection_over_union(first, second):
    """Return the intersection over union of two boxes."""
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    if width <= 0 or height <= 0:
        return 0.0
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return width * height / (area - width * height)


def match_readings(written, readings):
    """Match readings to written digits: pairs that overlap by at least half, the best first."""
    pairs = [
        (intersection_over_union(w.box, r.box), i, j)
        for i, w in enumerate(written)
        for j, r in enumerate(readings)
    ]
    found: dict[int, int] = {}
    for overlap, i, j in sorted(pairs, reverse=True):
        if overlap >= 0.5 and i not in found and j not in found.values():
            found[i] = j
    return found


def test_drawings_of_a_pad(network):
    """A digit in light ink on black, at the size of a pad, is found in its place and read."""
    images, labels = digits_to_write()
    correct = 0
    for image, label in zip(images[:80], labels[:80], strict=True):
        pad = np.zeros((120, 160), np.uint8)
        pad[20:76, 70:126] = np.asarray(Image.fromarray(image).resize((56, 56), Image.Resampling.BICUBIC))
        drawing = torch.from_numpy(pad).float().div(255).expand(3, -1, -1)
        found = read(drawing, Read(surface="pad"), network=network)
        ys, xs = np.nonzero(pad > 128)
        box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        correct += (
            len(found) == 1 and found[0].digit == label and intersection_over_union(found[0].box, box) > 0.8
        )
    assert correct >= 76
    two = torch.from_numpy(np.concatenate([images[0], images[1]], 1)).float().div(255).expand(3, -1, -1)
    assert read(two, Read(surface="pad"), network=network).text == f"{labels[0]}{labels[1]}"
    touching = two.clone()
    touching[:, 14, 16:40] = 1  # a line from one to the other
    assert len(read(touching, Read(surface="pad"), network=network)) > 1
    assert len(read(touching, Read(surface="pad", cut=False), network=network)) == 1
    assert not read(torch.zeros(3, 80, 80), Read(surface="pad"), network=network)


def test_pages_of_every_condition(network):
    """A digit counts as correct if it is found and read correctly; a false detection counts as wrong."""
    images, labels = digits_to_write()
    accuracies, total_hits, total_count = {}, 0, 0
    confidence, correct = [], []
    for number, name in enumerate(pages.CONDITIONS):
        hits = count = 0
        for page in range(1 if name == LARGEST_PAGE else PAGES_PER_CONDITION):
            data, written = pages.page_of(name, images, labels, SEED + 100 * page + number)
            readings = read(data, network=network)
            found = match_readings(written, readings)
            read_correctly = {j for i, j in found.items() if readings[j].digit == written[i].digit}
            hits += len(read_correctly)
            count += len(written) + len(readings) - len(found)
            confidence += [reading.confidence for reading in readings]
            correct += [j in read_correctly for j in range(len(readings))]
            order = [found[i] for i in range(len(written)) if i in found]
            assert order == sorted(order), f"{name}: not in reading order"
        accuracies[name] = hits / count
        total_hits, total_count = total_hits + hits, total_count + count
    report = "\n".join(f"{name:22} {accuracy:.1%}" for name, accuracy in accuracies.items())
    error = expected_calibration_error(torch.tensor(confidence), torch.tensor(correct))
    print(f"{report}\nall {total_hits} of {total_count}, calibration error {error:.3f}")
    # Measured with these seeds: 97.1 % overall, 90.5 % in the hardest condition (touching digits). The
    # thresholds allow for different rounding on other machines during training: about two digits of 42.
    assert total_hits / total_count > 0.96, report
    assert min(accuracies.values()) > 0.86, report
    assert error < 0.05


def test_an_empty_page_has_no_digits(network, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rng = np.random.default_rng(5)
    paper = 225 + rng.normal(0, 3, (450, 350, 1)) + np.linspace(-40, 20, 350)[None, :, None]
    Image.fromarray(paper.clip(0, 255).astype(np.uint8).repeat(3, 2)).save(tmp_path / "empty.jpg")
    assert len(read(tmp_path / "empty.jpg", network=network)) == 0
    assert main(["read", str(tmp_path / "empty.jpg"), "--network", "dense", "--json"]) == 0
    (output,) = json.loads(capsys.readouterr().out)
    assert output["digits"] == []
    assert output["notes"]


def test_a_page_of_text_gets_low_confidence_and_a_note(network, real_shelf: Path):
    reading = read(real_shelf / "photographs/page.png", network=network)
    assert np.mean([digit.confidence for digit in reading]) < 0.3
    assert any("not" in note for note in reading.notes)


@pytest.mark.usefixtures("network")
def test_the_command_reads_draws_and_explains(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    images, labels = digits_to_write()
    data, written = pages.simulate(pages.PLAIN, images, labels, SEED - 1)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(data)
    out, steps = tmp_path / "out.png", tmp_path / "steps.png"
    options = ["--network", "dense"]  # faster at finding the nearest of all training digits
    assert main(["read", str(photo), *options, "--json", "--why", "-o", str(out), "--steps", str(steps)]) == 0
    (output,) = json.loads(capsys.readouterr().out)
    digits = output["digits"]
    correct = sum(digit["digit"] == w.digit for digit, w in zip(digits, written, strict=True))
    assert correct >= len(written) - 1
    for digit in digits:
        assert int(np.argmax(digit["probabilities"])) == digit["digit"] != digit["runner_up"]
        assert sum(digit["probabilities"]) == pytest.approx(1, abs=1e-3)
        x0, y0, x1, y1 = digit["box"]
        assert 0 <= x0 < x1 <= output["width"]
        assert 0 <= y0 < y1 <= output["height"]
    agreement = [np.mean([n["label"] == digit["digit"] for n in digit["nearest"]]) for digit in digits]
    assert np.mean(agreement) > 0.8
    assert main(["read", str(photo), *options, "-o", str(out)]) == 2
    assert main(["rerun", str(out), "-o", str(tmp_path / "again.png")]) == 0
    with Image.open(out) as first, Image.open(tmp_path / "again.png") as again:
        assert first.tobytes() == again.tobytes()


@pytest.mark.usefixtures("network")
def test_several_pages_are_read_and_drawn_into_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """Unreadable pictures are reported, and the others are read."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("one.jpg", "two.jpg")):
        data, _ = pages.simulate(pages.PLAIN, *digits_to_write(), SEED - 3 - number)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert main(["read", "one.jpg", "--network", "dense"]) == 0
    alone = capsys.readouterr().out
    assert main(["read", "one.jpg", "bad.png", "two.jpg", "--network", "dense", "-o", "out"]) == 1
    output = capsys.readouterr()
    assert output.out.startswith(f"one.jpg:\n{alone}two.jpg:\n")
    assert "lanterna: bad.png is not a picture" in output.err
    assert output.err.splitlines()[-1] == "lanterna: 1 of 3 pictures could not be read"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one.png", "two.png"]
    (note,) = read_recipe("out/two.png").inputs
    assert note.path == "two.jpg"
    assert main(["read", "one.jpg", "two.jpg", "-o", "out.png"]) == 2
    assert "expected a folder to write several pictures into" in capsys.readouterr().err
    assert main(["read", "bad.png", "--network", "dense"]) == 2


@pytest.mark.slow
def test_the_command_trains_a_network_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], private_home: Path
):
    """It prints a row for each epoch, and trains only once."""
    assert private_home
    quick = Train(network="dense", epochs=2, fraction=0.02, hold_out=1000, hidden=(16,))
    monkeypatch.setattr(Train, "presets", {"fast-dense": quick.model_dump()})
    (tmp_path / "page.jpg").write_bytes(pages.simulate(pages.PLAIN, *digits_to_write(), SEED - 5)[0])
    command = ["read", str(tmp_path / "page.jpg"), "--network", "dense"]
    assert main(command) == 0
    output = capsys.readouterr().err.splitlines()
    assert output[0] == "there is no network dense yet: training it first, once"
    assert output[1].split() == ["epoch", "loss", "training", "validation", "digits", "a", "second"]
    assert [line.split()[0] for line in output[2:4]] == ["1", "2"]
    assert main(command) == 0
    assert "trained" not in capsys.readouterr().err
    monkeypatch.setattr(Train, "presets", {"fast": quick.changed({"network": "conv"}).model_dump()})
    assert main(command[:-2]) == 0
    assert "training it first, once; --network dense uses the one that is there" in capsys.readouterr().err


@pytest.mark.slow
def test_training_first_continues_where_it_was_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], private_home: Path
):
    quick = Train(network="dense", epochs=4, fraction=0.02, hold_out=1000, hidden=(16,))
    monkeypatch.setattr(Train, "presets", {"fast-dense": quick.model_dump()})
    (tmp_path / "page.jpg").write_bytes(pages.simulate(pages.PLAIN, *digits_to_write(), SEED - 5)[0])
    command = ["read", str(tmp_path / "page.jpg"), "--network", "dense"]

    def stop(frame):
        if frame.epoch_ended and len(frame.history) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        open_or_train("dense", watch=stop)
    assert main(command) == 0
    output = capsys.readouterr().err.splitlines()
    assert output[0] == "there is no network dense yet: its training, which was stopped, continues"
    assert "3" in [line.split()[0] for line in output[1:]]
    assert "1" not in [line.split()[0] for line in output[1:]]
    assert not list((private_home / "networks").glob("*.unfinished"))


@pytest.mark.usefixtures("empty_home")
@pytest.mark.parametrize("verb", ["read", "classify", "look"])
def test_pictures_are_checked_before_anything_is_fetched_or_trained(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("LANTERNA_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    Path("scan.pdf").write_bytes(b"%PDF-1.7 ...")
    page = io.BytesIO()
    Image.new("RGB", (600, 400), "white").save(page, "TIFF")
    Path("half.tif").write_bytes(page.getvalue()[:300_000])
    for name, message in (
        ("missing.png", "missing.png does not exist"),
        ("half.tif", "half.tif is broken or truncated"),
        ("scan.pdf", "scan.pdf is a PDF: save its pages as PNG or TIFF first"),
    ):
        assert main([verb, name]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert len(error.splitlines()) == 1
    if verb != "look":
        assert main([verb, "missing.png", "half.tif"]) == 1
        assert capsys.readouterr().err.splitlines()[-1] == "lanterna: 2 of 2 pictures could not be read"


def test_scorers_are_cached_by_weights(network, trained: Path):
    """The same weights share statistics; changed weights get their own."""
    again = open_trained(trained / "networks" / "conv")
    first, second = (scorer_for(opened).statistics for opened in (network, again))
    assert second.outlier_distance == first.outlier_distance
    assert torch.equal(second.factor, first.factor)
    with torch.no_grad():
        again.get_parameter("layers.norm3.weight").mul_(2)
    assert scorer_for(again).statistics.means.max() > 1.5 * first.means.max()
    assert torch.equal(scorer_for(network).statistics.means, first.means)


def test_scorers_are_cached_on_disk(network, private_home: Path, monkeypatch: pytest.MonkeyPatch):
    """The next command computes no statistics; a damaged or missing file costs only time."""
    monkeypatch.setattr(scorer, "_cache", {})
    first = scorer_for(network).statistics
    (file,) = (private_home / "features" / "digits").glob("*.safetensors")
    monkeypatch.setattr(scorer, "_cache", {})
    with monkeypatch.context() as patch:
        patch.delattr(scorer.Scorer, "_compute_statistics")
        again = scorer_for(network).statistics
    assert again[2:] == first[2:]
    assert torch.equal(again.means, first.means)
    assert torch.equal(again.factor, first.factor)
    good = load_file(file)
    computed = []
    monkeypatch.setattr(scorer.Scorer, "_compute_statistics", lambda _: computed.append(1) or first)
    for damaged in (
        {},
        {"means": good["means"][:5]},
        {"means": good["means"].half()},
        {"factor": good["factor"] * torch.nan},
        {"factor": 0 * good["factor"]},
        {"distances": 0 * good["distances"]},
        {"distances": good["distances"][0]},
    ):
        file.unlink()
        if damaged:
            save_file(good | damaged, file)
        else:
            os.mkfifo(file)
        monkeypatch.setattr(scorer, "_cache", {})
        assert torch.equal(scorer_for(network).statistics.factor, first.factor)
        assert torch.equal(load_file(file)["factor"], first.factor)
    shutil.rmtree(private_home / "features")
    (private_home / "features").write_text("not a folder")
    monkeypatch.setattr(scorer, "_cache", {})
    assert torch.equal(scorer_for(network).statistics.factor, first.factor)
    assert len(computed) == 8  # each time


def test_without_a_network_it_trains_one_first(network, monkeypatch: pytest.MonkeyPatch):
    opened = []
    monkeypatch.setattr(
        "lanterna.techniques.read.algorithm.open_or_train", lambda name, **_: opened.append(name) or network
    )
    data, _ = pages.simulate(pages.PLAIN, *digits_to_write(), SEED - 2)
    assert len(read(data, Read())) > 5
    assert opened == ["conv"]


@pytest.mark.usefixtures("network")
def test_a_network_of_ones_own_reads_like_any_other(tmp_path, monkeypatch, capsys):
    (tmp_path / "mynet.py").write_text(
        "import lanterna\nfrom torch import nn\n"
        "class Scaled(nn.Module):\n"
        "    input_spec = lanterna.InputSpec(1, 28, (0.5,), (2.0,))\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = lanterna.open_network('conv')\n"
        "    def forward(self, x):\n"
        "        return self.conv(2 * x + 0.5)\n"
        "def photographs():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 224 * 224, 7))\n"
    )
    monkeypatch.chdir(tmp_path)
    data, _ = pages.simulate(pages.PLAIN, *digits_to_write(), SEED)
    (tmp_path / "page.png").write_bytes(data)
    answers = []
    for name in ("conv", "mynet.py:Scaled"):
        assert main(["read", "page.png", "--network", name, "-q"]) == 0
        answers.append(capsys.readouterr().out)
    assert answers[0] == answers[1] != ""
    assert main(["read", "page.png", "--network", "mynet.py:photographs"]) == 2
    assert "1 × 28 × 28 pixels and 10 classes, this one has" in capsys.readouterr().err
