"""A network is taught classes of one's own with real photographs and digits, and works wherever one does."""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

from lanterna import shelf
from lanterna.errors import LanternaError, UsageError
from lanterna.images import open_picture, save_picture
from lanterna.images.digits import mnist
from lanterna.images.drawing import table_of_answers
from lanterna.images.folders import gather
from lanterna.networks import class_index, open_network, to_input
from lanterna.networks.trained import is_trained, trained_folder
from lanterna.surfaces.cli import main
from lanterna.techniques.classify.algorithm import Classify, classify
from lanterna.techniques.teach import algorithm as teaching
from lanterna.techniques.teach import feature_cache as keeping
from lanterna.techniques.teach import linear_probe as heads
from lanterna.techniques.teach.algorithm import teach
from lanterna.techniques.teach.linear_probe import balanced_weights, choose_strength, fit
from lanterna.techniques.teach.prefetch import decode
from lanterna.techniques.teach.results import wilson_interval
from lanterna.techniques.teach.settings import Teach

TEXTURES = ("brick", "grass", "gravel")
ENOUGH = 20  # pictures of a class


def crops(folder, names=TEXTURES, count=ENOUGH, side=96):
    """A folder of classes, each of them windows on one of the shelf's photographs."""
    where = random.Random(0)
    for name in names:
        photograph = open_picture(shelf.need("photographs") / f"{name}.png")
        (folder / name).mkdir(parents=True)
        for number in range(count):
            top, left = (where.randrange(length - side) for length in photograph.shape[1:])
            window = photograph[:, top : top + side, left : left + side]
            save_picture(window, folder / name / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def textures(real_shelf, tmp_path_factory):
    assert real_shelf
    return crops(tmp_path_factory.mktemp("pictures") / "textures")


@pytest.fixture
def copy(textures, tmp_path):
    """The same pictures, to be changed."""
    return Path(shutil.copytree(textures, tmp_path / "copy"))


@pytest.fixture
def named(textures):
    """The network `textures`, taught once, as the command line teaches it."""
    if not is_trained("textures"):
        assert main(["teach", str(textures), "--quiet"]) == 0
    return "textures"


def last(frames):
    *_, frame = frames
    return frame


# What a person sees


@pytest.mark.slow
def test_textures_are_told_apart_by_pictures_it_has_not_seen(textures, capsys):
    assert main(["teach", str(textures), "-o", "walls", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["held_out"] == 12
    assert found["right"] == 12
    assert [each["name"] for each in found["classes"]] == list(TEXTURES)
    assert {each["learned_from"] for each in found["classes"]} == {16}
    assert found["guessing"] == pytest.approx(1 / 3)
    assert np.sum(found["confusion"]) == 12
    folder = Path(found["folder"])
    assert folder == trained_folder("walls")
    assert {file.name for file in folder.iterdir()} == {
        *("network.json", "weights.safetensors", "recipe.json", "results.json"),
        *("confusion.png", "mistakes.png"),
    }
    for name in ("confusion", "mistakes"):
        assert open_picture(folder / f"{name}.png").std() > 0.02
    assert main(["recipe", str(folder / "mistakes.png")]) == 0
    assert "lanterna teach FOLDER" in capsys.readouterr().out


@pytest.mark.slow
def test_shuffled_labels_are_no_better_than_guessing(copy, capsys):
    files = sorted(copy.glob("*/*.png"))
    data = [file.read_bytes() for file in files]
    random.Random(1).shuffle(data)
    for file, content in zip(files, data, strict=True):
        file.write_bytes(content)
    assert main(["teach", str(copy), "-o", "shuffled", "--hold-out", "0.4"]) == 0
    told = capsys.readouterr().err
    results = json.loads((trained_folder("shuffled") / "results.json").read_text())
    assert results["held_out"] == 24
    assert results["interval"][0] < 1 / 3 < results["interval"][1]
    assert "no better than always answering the largest class" in told
    assert len(results["most_mistaken"]) == min(24, 24)
    wrong = [each for each in results["most_mistaken"] if each["answer"] != each["class"]]
    assert len(wrong) == results["held_out"] - results["right"]
    likely = [each["likelihood"] for each in wrong]
    assert likely == sorted(likely)


@pytest.mark.slow
def test_the_taught_network_works_wherever_a_network_does(named, textures, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    photograph = str(shelf.need("photographs") / "gravel.png")
    assert main(["classify", photograph, "--network", named, "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["answers"][0]["class"] == "gravel"
    assert len(entry["answers"]) == 3
    assert main(["networks", "--json"]) == 0
    listed = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert "brick, grass, gravel" in listed[named]["what"]
    assert listed[named]["input"] == [3, 224, 224]
    grass = str(textures / "grass" / "00.png")
    assert main(["look", grass, "--network", named, "-o", "look.html", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["read_as"] == "grass"
    small = ["--size", "96", "--octaves", "1", "--steps", "4", "--quiet"]
    assert main(["dream", grass, "--network", named, "--class", "brick", "-o", "dream.png", *small]) == 0
    network = open_network(named)
    before, after = (
        float(network(to_input(open_picture(each), network.input_spec)[None])[0, 0])
        for each in (grass, "dream.png")
    )
    assert after > before
    assert main(["dream", grass, "--network", named, "--class", "brik", "-o", "no.png", *small]) == 2
    assert "did you mean brick" in capsys.readouterr().err
    assert main(["read", str(shelf.need("photographs") / "page.png"), "--network", named]) == 2
    assert "cannot read digits" in capsys.readouterr().err


def test_what_classify_says_is_what_was_tested(named, textures):
    """The network on disk gives each held-out picture the answer that the results are counted from."""
    results = json.loads((trained_folder(named) / "results.json").read_text())
    worst = results["most_mistaken"]
    found = classify([textures / each["file"] for each in worst], Classify(network=named))
    for each, answer in zip(worst, found, strict=True):
        assert answer.answers[0].name == each["answer"]
        assert answer.answers[0].probability == pytest.approx(each["confidence"], abs=2e-3)


@pytest.mark.slow
def test_digits_as_pictures_and_a_class_called_by_a_number(tmp_path):
    digits = mnist("test")
    for label in (0, 1, 7):
        (tmp_path / str(label)).mkdir()
        for index in (digits.labels == label).nonzero()[:12, 0].tolist():
            ink = digits.images[index].float().expand(3, -1, -1) / 255
            save_picture(1 - ink, tmp_path / str(label) / f"{index}.png")
    frame = last(teach(gather(tmp_path), Teach(hold_out=0.3)))
    assert frame.results.held_out == 12
    assert frame.results.correct >= 10
    assert class_index("7", frame.network) == 2


# What is kept


def counted(network):
    """How many pictures go through the network, however it is copied."""
    seen_by_it = []
    network.layers["stem"].register_forward_hook(lambda _, given, __: seen_by_it.append(len(given[0])))
    return seen_by_it


@pytest.mark.slow
def test_a_second_run_looks_at_what_is_new_only(copy):
    base = open_network("lite0")
    teach_again = lambda: last(teach(gather(copy), network=base))  # noqa: E731
    first = teach_again()
    passed = counted(base)
    second = teach_again()
    assert passed == []
    assert second.numbers["computed"] == 0
    assert second.results.confusion.equal(first.results.confusion)
    assert second.network.layers["output"].weight.equal(first.network.layers["output"].weight)
    changed = open_picture(copy / "brick" / "03.png").flip(2)
    save_picture(changed, copy / "brick" / "03.png", force=True)
    (copy / "grass" / "05.png").rename(copy / "grass" / "renamed.png")
    third = teach_again()
    assert passed == [1]
    assert third.numbers["computed"] == 1


def test_what_is_kept_is_what_the_network_puts_out(copy):
    base = open_network("lite0")
    last(teach(gather(copy), network=base))
    kept = keeping.FeatureCache(base)
    file = copy / "grass" / "07.png"
    key = np.frombuffer(bytes.fromhex(keeping_sha(file)), np.uint8)[None]
    (features,) = kept.rows(kept.keys.find(key))
    out = dict(base.run(to_input(open_picture(file), base.input_spec)[None]))["pool"][0]
    torch.testing.assert_close(features, out, atol=5e-3, rtol=2e-3)


def keeping_sha(file):
    return subprocess.run(["sha256sum", file], check=True, capture_output=True, text=True).stdout.split()[0]


SLOWLY = """
import sys
from pathlib import Path
from lanterna.images.folders import gather
from lanterna.techniques.teach import feature_cache
from lanterna.techniques.teach import algorithm as teaching
feature_cache.SHARD = 8
feature_cache.BATCH = 4
for frame in teaching.teach(gather(Path(sys.argv[1]))):
    print(frame.step, flush=True)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on(copy, private_home):
    for name in TEXTURES:
        for file in sorted((copy / name).iterdir())[8:]:
            file.unlink()
    work = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, str(copy)],
        stdout=subprocess.PIPE,
        env={**os.environ, "LANTERNA_HOME": str(private_home)},
        text=True,
    )
    while int(work.stdout.readline()) < 12:
        pass
    work.send_signal(signal.SIGKILL)
    work.wait()
    work.stdout.close()
    for shard in (private_home / "features").glob("*/*.safetensors"):
        assert len(load_file(shard)["sha256"]) == 8
    frame = last(teach(gather(copy)))
    assert 4 <= frame.numbers["computed"] <= 16
    assert frame.results.held_out == 6
    # One that is damaged, as by a disk, is computed anew.
    shard = next((private_home / "features").glob("*/*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:1000])
    assert last(teach(gather(copy))).numbers["computed"] >= 8


@pytest.mark.slow
def test_two_runs_at_once_do_not_harm_each_other(copy, private_home):
    for name in TEXTURES:
        for file in sorted((copy / name).iterdir())[4:]:
            file.unlink()
    base = open_network("lite0")
    ended = []
    runs = [
        threading.Thread(target=lambda: ended.append(last(teach(gather(copy), network=base))))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    first, second = ended
    assert first.results.confusion.equal(second.results.confusion)
    files = list((private_home / "features").glob("*/*"))
    assert files
    assert {file.suffix for file in files} == {".safetensors"}
    assert not any(file.name.startswith(".") for file in files)
    assert last(teach(gather(copy), network=base)).numbers["computed"] == 0


def test_what_was_looked_at_is_kept_when_somebody_stops(copy, private_home):
    frames = teach(gather(copy))
    done = next(frames).step
    frames.close()
    assert 0 < done < 60
    (kept,) = (private_home / "features").glob("*/*.safetensors")
    assert len(load_file(kept)["sha256"]) == done


@pytest.mark.slow
def test_processes_decode_as_this_one_does(copy):
    (copy / "brick" / "broken.png").write_bytes((copy / "brick" / "00.png").read_bytes()[:300])
    spec = open_network("lite0").input_spec
    batches = [[copy / "brick" / name for name in ("00.png", "broken.png")], [copy / "grass" / "00.png"]]
    here = list(decode(batches, spec))
    coming = decode([*batches, *[[copy / "gravel" / "00.png"] * 50] * 20], spec, workers=1)
    there = [next(coming), next(coming)]
    assert [len(batch) for batch in there] == [2, 1]
    for ours, theirs in zip(chain(*here), chain(*there), strict=True):
        assert ours.key == theirs.key
        assert ours.error == theirs.error
        assert (ours.picture is None) == (theirs.picture is None) == bool(ours.error)
        if ours.picture is not None:
            np.testing.assert_allclose(ours.picture, theirs.picture, atol=1e-6)
    assert str(copy / "brick" / "broken.png") in here[0][1].error
    (process,) = multiprocessing.active_children()
    process.kill()
    with pytest.raises(LanternaError, match="a process that decodes pictures died"):
        list(coming)


# The last layer


def blobs(classes=3, count=40, width=60, seed=0):
    """Overlapping clouds of points, with their classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centres = torch.randn(classes, width, generator=generator)
    return 0.4 * centres[labels] + torch.randn(count, width, generator=generator), labels


@pytest.mark.parametrize("width", [15, 60])  # fewer features than pictures, and more
def test_the_last_layer_is_where_the_cost_is_flat(width, monkeypatch):
    features, labels = blobs(width=width)
    features = features * torch.linspace(5, 20, width) + 3  # nothing is standardised beforehand
    weights = torch.linspace(0.2, 2, len(labels))
    parts = [(features[:25], labels[:25], weights[:25]), (features[25:], labels[25:], weights[25:])]
    (head,) = fit(lambda: parts, 3, [0.05])
    # The cost as the book has it, by autograd in float64.
    mean, std = features.double().mean(0), features.double().std(0, correction=0)
    weight = (head.weight.double() * std).requires_grad_()
    bias = (head.bias.double() + head.weight.double() @ mean).requires_grad_()
    logits = (features.double() - mean) / std @ weight.T + bias
    each = F.cross_entropy(logits, labels, reduction="none") * weights
    (each.sum() / weights.sum() + 0.025 * weight.square().sum()).backward()
    assert weight.grad.abs().max() < 2e-4
    assert bias.grad.abs().max() < 2e-4
    # More pictures than are held in memory are read a part at a time, and the answer is the same.
    monkeypatch.setattr(heads, "_MAX_IN_MEMORY", 0)
    (streamed,) = fit(lambda: parts, 3, [0.05])
    torch.testing.assert_close(streamed.weight, head.weight, atol=2e-3, rtol=1e-2)


def test_a_weight_is_as_good_as_a_copy():
    features, labels = blobs(count=30)
    rare = labels == 2
    copied = torch.cat([features, features[rare], features[rare]])
    (by_copies,) = fit(
        lambda: [(copied, torch.cat([labels, labels[rare], labels[rare]]), torch.ones(50))], 3, [0.1]
    )
    weights = torch.where(rare, 3.0, 1.0)
    standard = (features - copied.mean(0)) / copied.std(0, correction=0)
    # Standardised alike, they are the same; the mean and deviation go by pictures, not by their weights.
    (ours,) = fit(lambda: [(standard, labels, weights)], 3, [0.1])
    told = ours.logits(standard).argmax(1)
    assert (told == by_copies.logits(features).argmax(1)).float().mean() > 0.95
    assert balanced_weights([10, 30]).tolist() == pytest.approx([2.0, 2 / 3])


def test_the_strength_is_chosen_by_what_is_left_out():
    features, labels = blobs(count=60, width=200)
    ones = torch.ones(60)
    noise = labels[torch.randperm(60, generator=torch.Generator().manual_seed(3))]
    sensible = choose_strength(features, labels, ones, 3, seed=0)
    hopeless = choose_strength(features, noise, ones, 3, seed=0)
    assert hopeless == heads.STRENGTHS[0]
    assert sensible < hopeless
    assert choose_strength(features[:3], labels[:3], ones[:3], 3, seed=0) in heads.STRENGTHS


@pytest.mark.parametrize(("right", "count"), [(12, 12), (0, 5), (7, 9), (300, 400)])
def test_the_interval_is_wilsons(right, count):
    """Its ends are the shares that lie 1.96 of their own standard errors from what was seen."""
    low, high = wilson_interval(right, count)
    for end in (low, high):
        distance = abs(right / count - end)
        reach = 1.959964 * (end * (1 - end) / count) ** 0.5
        assert distance == pytest.approx(reach, abs=1e-6) or end in (0.0, 1.0)
    assert 0 <= low <= right / count <= high <= 1


# Fine-tuning


@pytest.mark.slow
def test_fine_tuning_that_was_stopped_ends_where_an_unbroken_one_does(copy, tmp_path, monkeypatch):
    monkeypatch.setattr(teaching, "BATCH", 8)
    shutil.rmtree(copy / "brick")
    for name in ("grass", "gravel"):
        for file in sorted((copy / name).iterdir())[8:]:
            file.unlink()
    settings, base = Teach(fine_tune=True, blocks=1, epochs=2, learning_rate=1e-3), open_network("lite0")
    before = base.layers["block16"].project.conv.weight.clone()
    whole = last(teach(gather(copy), settings, network=base))
    assert base.layers["block16"].project.conv.weight.equal(before)  # the network that was given stays
    assert not whole.network.layers["block16"].project.conv.weight.equal(before)
    assert whole.network.layers["block15"].project.conv.weight.equal(
        base.layers["block15"].project.conv.weight
    )
    assert whole.results.accuracy_before_tuning is not None
    place = tmp_path / "checkpoint.pt"
    frames = teach(gather(copy), settings, network=base, checkpoint=place)
    for frame in frames:
        if frame.phase == "fine-tuning" and frame.step == 16 + 2:
            break
    frames.close()
    assert place.exists()
    resumed = last(teach(gather(copy), settings, network=base, checkpoint=place, resume=True))
    for name, weights in resumed.network.state_dict().items():
        assert weights.equal(whole.network.state_dict()[name]), name
    with pytest.raises(UsageError, match="other settings"):
        last(
            teach(gather(copy), settings.changed({"epochs": 3}), network=base, checkpoint=place, resume=True)
        )


# What cannot be used


@pytest.mark.slow
def test_what_is_left_out_is_named_and_counted(copy, capsys):
    for name in ("cut", "empty"):
        (copy / "brick" / f"{name}.png").write_bytes(
            (copy / "brick" / "00.png").read_bytes()[:500] if name == "cut" else b""
        )
    shutil.copy(copy / "grass" / "00.png", copy / "gravel" / "liar.png")  # in two classes
    shutil.copy(copy / "grass" / "01.png", copy / "grass" / "twin.png")
    (copy / "grass" / "notes.txt").write_text("no picture, and not meant to be")
    (copy / "loose.png").write_bytes((copy / "grass" / "00.png").read_bytes())
    for number in range(4, ENOUGH):
        (copy / "gravel" / f"{number:02}.png").unlink()
    assert main(["teach", str(copy), "-o", "less"]) == 0
    told = capsys.readouterr().err
    for words in (
        str(copy / "brick" / "cut.png"),
        f"{copy / 'brick' / 'empty.png'} is empty",
        "2 files that are in two classes",
        str(Path("gravel") / "liar.png"),
        "1 duplicate within a class",
        "left out: 1 picture in",
        "times as many pictures as the smallest",
    ):
        assert words in told, words
    assert "notes.txt" not in told
    results = json.loads((trained_folder("less") / "results.json").read_text())
    assert len(results["left_out"]["unreadable"]) == 2
    counts = {each["name"]: each["learned_from"] + each["tested_with"] for each in results["classes"]}
    assert counts == {"brick": 20, "grass": 19, "gravel": 4}
    assert {each["file"] for each in results["most_mistaken"]}.isdisjoint(
        results["left_out"]["contradictory"]
    )


def folders(place, **counts):
    """A folder of classes with so many small pictures each, all different."""
    generator = torch.Generator().manual_seed(0)
    place.mkdir()
    for name, count in counts.items():
        (place / name).mkdir()
        for number in range(count):
            save_picture(torch.rand(3, 8, 8, generator=generator), place / name / f"{number}.png")
    return place


@pytest.mark.parametrize(
    ("classes", "arguments", "code", "words"),
    [
        ({}, [], 2, "has no subfolders"),
        ({"a": 2}, [], 2, "has one class, 'a'"),
        ({"a": 2, "b": 1}, [], 2, "'b' has one picture"),
        ({"a": 2, "b": 0}, [], 2, "'b' has no pictures"),
        ({"Moss": 2, "moss": 2}, [], 2, "would be one class"),
        ({"moss": 2, "a*2": 2}, [], 2, "cannot name a class"),
        ({"moss": 2, "a\nb": 2}, [], 2, "cannot name a class"),
        ({"moss": 2, "x" * 80: 2}, [], 2, "at most 60"),
        ({"a": 2, "b": 2}, ["--network", "vgg16"], 2, "network"),
        ({"a": 2, "b": 2}, ["-o", "conv"], 2, "Lanterna's own"),
        ({"a": 2, "b": 2}, ["-o", "textures"], 2, "--force"),
        ({"a": 2, "b": 2}, ["--hold-out", "1"], 2, "--hold-out"),
        ({"a": 2, "b": 2}, ["--workers", "-1"], 2, "--workers"),
        ({"a": 2, "b": 2}, ["--resume"], 3, "start without --resume"),
        ({"a": 2, "b": 2}, ["-o", "new", "--resume", "--fine-tune"], 3, "nothing to resume"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(classes, arguments, code, words, named, tmp_path, capsys):
    assert named
    capsys.readouterr()
    assert main(["teach", str(folders(tmp_path / "given", **classes)), *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert words in captured.err
    assert len(captured.err.splitlines()) == 1


def test_a_class_that_cannot_be_read_is_told(tmp_path, capsys):
    place = folders(tmp_path / "given", a=3, b=1)
    (place / "b" / "broken.png").write_bytes(b"no picture at all")
    assert main(["teach", str(place)]) == 2
    assert "'b' has one picture that can be used" in capsys.readouterr().err
    assert main(["teach", str(tmp_path / "nowhere")]) == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_taught_network_from_elsewhere_can_only_be_what_it_says(named, tmp_path):
    for change in (
        {"network": "os:system"},
        {"classes": ["one"]},
        {"classes": ["brick", "grass", "gravel", "more"]},
        {"code": "print()"},
    ):
        place = Path(shutil.copytree(trained_folder(named), tmp_path / "taken", dirs_exist_ok=True))
        plan = json.loads((place / "network.json").read_text())
        (place / "network.json").write_text(json.dumps({**plan, **change}))
        with pytest.raises(LanternaError, match="damaged"):
            open_network(str(place))


def test_names_that_are_wide_stand_upright_and_long_ones_are_cut():
    counts = torch.tensor([[3, 1], [0, 4]])
    short, wide = (
        table_of_answers(counts, names, "7 of 8", words=("is", "named"))
        for names in (("a", "b"), ("a name of many words " * 4, "moss"))
    )
    assert wide.shape[1] > short.shape[1]
    assert wide.shape[2] < 700


@pytest.mark.slow
def test_a_rare_class_counts_as_much_unless_told_otherwise(textures, tmp_path):
    for name, count in (("grass", 16), ("gravel", 3)):
        (tmp_path / name).mkdir()
        for file in sorted((textures / name).iterdir())[:count]:
            shutil.copy(file, tmp_path / name)
    for file in sorted((textures / "grass").iterdir())[16:]:  # so that the two cannot quite be told apart
        shutil.copy(file, tmp_path / "gravel")
    evenly, as_they_come = (
        last(teach(gather(tmp_path), Teach(balance=balance, hold_out=0.3))) for balance in (True, False)
    )
    photograph = to_input(open_picture(shelf.need("photographs") / "gravel.png"), evenly.network.input_spec)[
        None
    ]
    shares = [frame.network(photograph).softmax(1)[0, 1] for frame in (evenly, as_they_come)]
    assert shares[0] > shares[1]
    assert evenly.results.imbalance > 2
