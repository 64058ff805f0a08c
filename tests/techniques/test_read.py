"""Handwriting on simulated pages is found and read, in every condition, by a network that never saw it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

import pages
from lanterna.images import read_recipe
from lanterna.images.digits import mnist
from lanterna.networks.trained import open_trained
from lanterna.surfaces.cli import main
from lanterna.techniques.read.algorithm import Read, read
from lanterna.techniques.read.scorer import scorer_of
from lanterna.techniques.train.results import expected_calibration_error
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from pathlib import Path

SEED = 20_261  # never used while the reader was made
PAGES_OF_EACH = 2
LARGE = "12,000 px wide"  # one page of it: it takes as long as ten others


@pytest.fixture(scope="module")
def network(trained: Path):
    """The fast network, trained as `lanterna read` trains it where there is none."""
    return open_trained(trained / "networks" / "conv")


def digits_to_write():
    test = mnist("test")
    return test.images[:, 0].numpy(), test.labels.numpy()


def overlap(one, other):
    """The share that two boxes have in common (intersection over union)."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    area = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (one, other))
    return wide * high / (area - wide * high)


def matched(written, readings):
    """Which reading, if any, is of each digit: pairs that overlap by half or more, the best first."""
    pairs = [(overlap(w.box, r.box), i, j) for i, w in enumerate(written) for j, r in enumerate(readings)]
    found: dict[int, int] = {}
    for share, i, j in sorted(pairs, reverse=True):
        if share >= 0.5 and i not in found and j not in found.values():
            found[i] = j
    return found


def test_drawings_of_a_pad(network):
    """Light ink on black at the size that a pad sends: one digit, where it is, and which."""
    images, labels = digits_to_write()
    right = 0
    for image, label in zip(images[:80], labels[:80], strict=True):
        pad = np.zeros((120, 160), np.uint8)
        pad[20:76, 70:126] = np.asarray(Image.fromarray(image).resize((56, 56), Image.Resampling.BICUBIC))
        drawing = torch.from_numpy(pad).float().div(255).expand(3, -1, -1)
        found = read(drawing, Read(surface="pad"), network=network)
        ys, xs = np.nonzero(pad > 128)
        box = (xs.min(), ys.min(), xs.max() + 1, ys.max() + 1)
        right += len(found) == 1 and found[0].digit == label and overlap(found[0].box, box) > 0.8
    assert right >= 76
    two = torch.from_numpy(np.concatenate([images[0], images[1]], 1)).float().div(255).expand(3, -1, -1)
    assert read(two, Read(surface="pad"), network=network).text == f"{labels[0]}{labels[1]}"
    touching = two.clone()
    touching[:, 14, 16:40] = 1  # a line from one to the other
    assert len(read(touching, Read(surface="pad"), network=network)) > 1
    assert len(read(touching, Read(surface="pad", cut=False), network=network)) == 1
    assert not read(torch.zeros(3, 80, 80), Read(surface="pad"), network=network)


def test_pages_of_every_condition(network):
    """A digit counts as right if it was found and read right; a reading of no digit counts as wrong."""
    images, labels = digits_to_write()
    shares, right_of_all, all_of_all = {}, 0, 0
    confidence, right = [], []
    for number, name in enumerate(pages.CONDITIONS):
        hits = total = 0
        for page in range(1 if name == LARGE else PAGES_OF_EACH):
            data, written = pages.page_of(name, images, labels, SEED + 100 * page + number)
            readings = read(data, network=network)
            found = matched(written, readings)
            good = {j for i, j in found.items() if readings[j].digit == written[i].digit}
            hits += len(good)
            total += len(written) + len(readings) - len(found)
            confidence += [reading.confidence for reading in readings]
            right += [j in good for j in range(len(readings))]
            order = [found[i] for i in range(len(written)) if i in found]
            assert order == sorted(order), f"{name}: not in reading order"
        shares[name] = hits / total
        right_of_all, all_of_all = right_of_all + hits, all_of_all + total
    report = "\n".join(f"{name:22} {share:.1%}" for name, share in shares.items())
    error = expected_calibration_error(torch.tensor(confidence), torch.tensor(right))
    print(f"{report}\nall {right_of_all} of {all_of_all}, calibration error {error:.3f}")
    # Reached with these seeds: 97.2 % over all, 90.9 % in the hardest condition (lined paper). The floors
    # leave room for what another machine's rounding makes of the training: about two digits of 46.
    assert right_of_all / all_of_all > 0.96, report
    assert min(shares.values()) > 0.86, report
    assert error < 0.05


def test_an_empty_page_has_no_digits(network, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rng = np.random.default_rng(5)
    paper = 225 + rng.normal(0, 3, (450, 350, 1)) + np.linspace(-40, 20, 350)[None, :, None]
    Image.fromarray(paper.clip(0, 255).astype(np.uint8).repeat(3, 2)).save(tmp_path / "empty.jpg")
    assert len(read(tmp_path / "empty.jpg", network=network)) == 0
    assert main(["read", str(tmp_path / "empty.jpg"), "--network", "dense", "--json"]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["digits"] == []
    assert said["notes"]


def test_a_page_of_text_is_not_claimed_to_be_digits(network, real_shelf: Path):
    reading = read(real_shelf / "photographs/page.png", network=network)
    assert np.mean([one.confidence for one in reading]) < 0.3
    assert any("not" in note for note in reading.notes)


@pytest.mark.usefixtures("network")
def test_the_command_says_draws_and_explains(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    images, labels = digits_to_write()
    data, written = pages.simulate(pages.PLAIN, images, labels, SEED - 1)
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(data)
    out, steps = tmp_path / "out.png", tmp_path / "steps.png"
    how = ["--network", "dense"]  # which goes through all training digits sooner, to find the nearest
    assert main(["read", str(photo), *how, "--json", "--why", "-o", str(out), "--steps", str(steps)]) == 0
    (said,) = json.loads(capsys.readouterr().out)
    digits = said["digits"]
    right = sum(one["digit"] == w.digit for one, w in zip(digits, written, strict=True))
    assert right >= len(written) - 1
    for one in digits:
        assert int(np.argmax(one["probabilities"])) == one["digit"] != one["runner_up"]
        assert sum(one["probabilities"]) == pytest.approx(1, abs=1e-3)
        x0, y0, x1, y1 = one["box"]
        assert 0 <= x0 < x1 <= said["width"]
        assert 0 <= y0 < y1 <= said["height"]
    agreeing = [np.mean([n["label"] == one["digit"] for n in one["nearest"]]) for one in digits]
    assert np.mean(agreeing) > 0.8
    assert main(["read", str(photo), *how, "-o", str(out)]) == 2
    assert main(["rerun", str(out), "-o", str(tmp_path / "again.png")]) == 0
    with Image.open(out) as first, Image.open(tmp_path / "again.png") as again:
        assert first.tobytes() == again.tobytes()


@pytest.mark.usefixtures("network")
def test_several_pages_are_read_and_drawn_into_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    """One that cannot be read is named, and the others are read."""
    monkeypatch.chdir(tmp_path)
    for number, name in enumerate(("one.jpg", "two.jpg")):
        data, _ = pages.simulate(pages.PLAIN, *digits_to_write(), SEED - 3 - number)
        (tmp_path / name).write_bytes(data)
    (tmp_path / "bad.png").write_bytes(b"no picture")
    assert main(["read", "one.jpg", "--network", "dense"]) == 0
    alone = capsys.readouterr().out
    assert main(["read", "one.jpg", "bad.png", "two.jpg", "--network", "dense", "-o", "out"]) == 1
    said = capsys.readouterr()
    assert said.out.startswith(f"one.jpg:\n{alone}two.jpg:\n")
    assert "lanterna: bad.png is not a picture" in said.err
    assert said.err.splitlines()[-1] == "lanterna: 1 of 3 pictures could not be read"
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == ["one.png", "two.png"]
    (note,) = read_recipe("out/two.png").inputs
    assert note.path == "two.jpg"
    assert main(["read", "one.jpg", "two.jpg", "-o", "out.png"]) == 2
    assert "expected a folder to write several pictures into" in capsys.readouterr().err
    assert main(["read", "bad.png", "--network", "dense"]) == 2


def test_the_command_trains_a_network_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], private_home: Path
):
    """With a row for each epoch, and once."""
    assert private_home
    quick = Train(network="dense", epochs=2, fraction=0.02, hold_out=1000, hidden=(16,))
    monkeypatch.setattr(Train, "presets", {"fast-dense": quick.model_dump()})
    (tmp_path / "page.jpg").write_bytes(pages.simulate(pages.PLAIN, *digits_to_write(), SEED - 5)[0])
    words = ["read", str(tmp_path / "page.jpg"), "--network", "dense"]
    assert main(words) == 0
    said = capsys.readouterr().err.splitlines()
    assert said[0] == "no network has been trained yet: training dense first, once"
    assert said[1].split() == ["epoch", "loss", "training", "validation", "digits", "a", "second"]
    assert [line.split()[0] for line in said[2:4]] == ["1", "2"]
    assert main(words) == 0
    assert "trained" not in capsys.readouterr().err


def test_a_network_is_judged_by_the_weights_it_has(network, trained: Path):
    """However often they are opened; and where they were changed, by the changed ones."""
    again = open_trained(trained / "networks" / "conv")
    first, second = (scorer_of(one).known for one in (network, again))
    assert second.unusual == first.unusual
    assert torch.equal(second.factor, first.factor)
    with torch.no_grad():
        again.get_parameter("layers.norm3.weight").mul_(2)
    assert scorer_of(again).known.means.max() > 1.5 * first.means.max()
    assert torch.equal(scorer_of(network).known.means, first.means)


def test_without_a_network_it_trains_one_first(network, monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(
        "lanterna.techniques.read.algorithm.open_or_train", lambda name, **_: asked.append(name) or network
    )
    data, _ = pages.simulate(pages.PLAIN, *digits_to_write(), SEED - 2)
    assert len(read(data, Read())) > 5
    assert asked == ["conv"]
