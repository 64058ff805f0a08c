"""A network is taught new classes with real photographs and digits, and can be used like any other."""

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
from lanterna.images.drawing import draw_confusion_matrix
from lanterna.images.folders import gather
from lanterna.networks import class_index, open_network, to_input
from lanterna.networks.trained import is_trained, trained_folder
from lanterna.surfaces.cli import main
from lanterna.techniques.classify.algorithm import Classify, classify
from lanterna.techniques.teach import algorithm as teaching
from lanterna.techniques.teach import feature_cache, linear_probe
from lanterna.techniques.teach.algorithm import teach
from lanterna.techniques.teach.linear_probe import balanced_weights, choose_strength, fit
from lanterna.techniques.teach.prefetch import decode
from lanterna.techniques.teach.results import wilson_interval
from lanterna.techniques.teach.settings import Teach

TEXTURES = ("brick", "grass", "gravel")
PICTURES_PER_CLASS = 20


def write_crops(folder, names=TEXTURES, count=PICTURES_PER_CLASS, side=96):
    """Write a folder of classes, each with random crops of one of the shelf's photographs."""
    rng = random.Random(0)
    for name in names:
        photograph = open_picture(shelf.need("photographs") / f"{name}.png")
        (folder / name).mkdir(parents=True)
        for number in range(count):
            top, left = (rng.randrange(length - side) for length in photograph.shape[1:])
            crop = photograph[:, top : top + side, left : left + side]
            save_picture(crop, folder / name / f"{number:02}.png")
    return folder


@pytest.fixture(scope="module")
def textures(real_shelf, tmp_path_factory):
    assert real_shelf
    return write_crops(tmp_path_factory.mktemp("pictures") / "textures")


@pytest.fixture
def copy(textures, tmp_path):
    """A copy of the pictures that the test may change."""
    return Path(shutil.copytree(textures, tmp_path / "copy"))


@pytest.fixture
def taught_network(textures):
    """The name of the network `textures`, taught once by the command line."""
    if not is_trained("textures"):
        assert main(["teach", str(textures), "--quiet"]) == 0
    return "textures"


def last(frames):
    *_, frame = frames
    return frame


# Results


@pytest.mark.slow
def test_held_out_textures_are_classified_correctly(textures, capsys):
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
    output = capsys.readouterr().err
    results = json.loads((trained_folder("shuffled") / "results.json").read_text())
    assert results["held_out"] == 24
    assert results["interval"][0] < 1 / 3 < results["interval"][1]
    assert "no better than always answering the largest class" in output
    assert len(results["most_mistaken"]) == 24
    wrong = [each for each in results["most_mistaken"] if each["answer"] != each["class"]]
    assert len(wrong) == results["held_out"] - results["right"]
    likely = [each["likelihood"] for each in wrong]
    assert likely == sorted(likely)


@pytest.mark.slow
def test_a_taught_network_can_be_used_like_any_other(taught_network, textures, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    photograph = str(shelf.need("photographs") / "gravel.png")
    assert main(["classify", photograph, "--network", taught_network, "--json"]) == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert entry["answers"][0]["class"] == "gravel"
    assert len(entry["answers"]) == 3
    assert main(["networks", "--json"]) == 0
    listed = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert "brick, grass, gravel" in listed[taught_network]["what"]
    assert listed[taught_network]["input"] == [3, 224, 224]
    grass = str(textures / "grass" / "00.png")
    assert main(["look", grass, "--network", taught_network, "-o", "look.html", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["read_as"] == "grass"
    small = ["--size", "96", "--octaves", "1", "--steps", "4", "--quiet"]
    assert (
        main(["dream", grass, "--network", taught_network, "--class", "brick", "-o", "dream.png", *small])
        == 0
    )
    network = open_network(taught_network)
    before, after = (
        float(network(to_input(open_picture(each), network.input_spec)[None])[0, 0])
        for each in (grass, "dream.png")
    )
    assert after > before
    assert main(["dream", grass, "--network", taught_network, "--class", "brik", "-o", "no.png", *small]) == 2
    assert "did you mean brick" in capsys.readouterr().err
    assert main(["read", str(shelf.need("photographs") / "page.png"), "--network", taught_network]) == 2
    assert "cannot read digits" in capsys.readouterr().err


@pytest.mark.slow
def test_classify_agrees_with_the_test_results(taught_network, textures):
    """The saved network gives each held-out picture the answer that is in the results."""
    results = json.loads((trained_folder(taught_network) / "results.json").read_text())
    worst = results["most_mistaken"]
    found = classify([textures / each["file"] for each in worst], Classify(network=taught_network))
    for each, answer in zip(worst, found, strict=True):
        assert answer.answers[0].name == each["answer"]
        assert answer.answers[0].probability == pytest.approx(each["confidence"], abs=2e-3)


@pytest.mark.slow
def test_digits_as_pictures_and_classes_named_by_numbers(tmp_path):
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


# The cache


def count_pictures(network):
    """Count the pictures in each batch that passes through the network or its copies."""
    batch_sizes = []
    network.layers["stem"].register_forward_hook(lambda _, inputs, __: batch_sizes.append(len(inputs[0])))
    return batch_sizes


@pytest.mark.slow
def test_a_second_run_processes_only_new_pictures(copy):
    base = open_network("lite0")
    teach_again = lambda: last(teach(gather(copy), network=base))  # noqa: E731
    first = teach_again()
    batch_sizes = count_pictures(base)
    second = teach_again()
    assert batch_sizes == []
    assert second.numbers["computed"] == 0
    assert second.results.confusion.equal(first.results.confusion)
    assert second.network.layers["output"].weight.equal(first.network.layers["output"].weight)
    changed = open_picture(copy / "brick" / "03.png").flip(2)
    save_picture(changed, copy / "brick" / "03.png", force=True)
    (copy / "grass" / "05.png").rename(copy / "grass" / "renamed.png")
    third = teach_again()
    assert batch_sizes == [1]
    assert third.numbers["computed"] == 1


def test_cached_features_are_the_networks_output(copy):
    base = open_network("lite0")
    last(teach(gather(copy), network=base))
    cache = feature_cache.FeatureCache(base)
    file = copy / "grass" / "07.png"
    key = np.frombuffer(bytes.fromhex(sha256_of(file)), np.uint8)[None]
    (features,) = cache.rows(cache.keys.find(key))
    out = dict(base.run(to_input(open_picture(file), base.input_spec)[None]))["pool"][0]
    torch.testing.assert_close(features, out, atol=5e-3, rtol=2e-3)


def sha256_of(file):
    return subprocess.run(["sha256sum", file], check=True, capture_output=True, text=True).stdout.split()[0]


SLOW_TEACHING = """
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
def test_a_killed_run_continues(copy, private_home):
    for name in TEXTURES:
        for file in sorted((copy / name).iterdir())[8:]:
            file.unlink()
    work = subprocess.Popen(
        [sys.executable, "-c", SLOW_TEACHING, str(copy)],
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
    # A damaged shard is computed again.
    shard = next((private_home / "features").glob("*/*.safetensors"))
    shard.write_bytes(shard.read_bytes()[:1000])
    assert last(teach(gather(copy))).numbers["computed"] >= 8


@pytest.mark.slow
def test_two_simultaneous_runs_do_not_interfere(copy, private_home):
    for name in TEXTURES:
        for file in sorted((copy / name).iterdir())[4:]:
            file.unlink()
    base = open_network("lite0")
    last_frames = []
    runs = [
        threading.Thread(target=lambda: last_frames.append(last(teach(gather(copy), network=base))))
        for _ in range(2)
    ]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    first, second = last_frames
    assert first.results.confusion.equal(second.results.confusion)
    files = list((private_home / "features").glob("*/*"))
    assert files
    assert {file.suffix for file in files} == {".safetensors"}
    assert not any(file.name.startswith(".") for file in files)
    assert last(teach(gather(copy), network=base)).numbers["computed"] == 0


def test_features_are_saved_when_a_run_is_stopped(copy, private_home):
    frames = teach(gather(copy))
    done = next(frames).step
    frames.close()
    assert 0 < done < 60
    (shard,) = (private_home / "features").glob("*/*.safetensors")
    assert len(load_file(shard)["sha256"]) == done


@pytest.mark.slow
def test_worker_processes_decode_like_a_thread(copy):
    (copy / "brick" / "broken.png").write_bytes((copy / "brick" / "00.png").read_bytes()[:300])
    spec = open_network("lite0").input_spec
    batches = [[copy / "brick" / name for name in ("00.png", "broken.png")], [copy / "grass" / "00.png"]]
    in_thread = list(decode(batches, spec))
    batches_of_process = decode([*batches, *[[copy / "gravel" / "00.png"] * 50] * 20], spec, workers=1)
    in_process = [next(batches_of_process), next(batches_of_process)]
    assert [len(batch) for batch in in_process] == [2, 1]
    for actual, expected in zip(chain(*in_thread), chain(*in_process), strict=True):
        assert actual.key == expected.key
        assert actual.error == expected.error
        assert (actual.picture is None) == (expected.picture is None) == bool(actual.error)
        if actual.picture is not None:
            np.testing.assert_allclose(actual.picture, expected.picture, atol=1e-6)
    assert str(copy / "brick" / "broken.png") in in_thread[0][1].error
    (process,) = multiprocessing.active_children()
    process.kill()
    with pytest.raises(LanternaError, match="a process that decodes pictures died"):
        list(batches_of_process)


# The last layer


def blobs(classes=3, count=40, width=60, seed=0):
    """Return overlapping clouds of points, with their classes."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % classes
    centres = torch.randn(classes, width, generator=generator)
    return 0.4 * centres[labels] + torch.randn(count, width, generator=generator), labels


@pytest.mark.parametrize("width", [15, 60])  # fewer features than pictures, and more
def test_the_last_layer_minimises_the_loss(width, monkeypatch):
    features, labels = blobs(width=width)
    features = features * torch.linspace(5, 20, width) + 3  # so that standardisation matters
    weights = torch.linspace(0.2, 2, len(labels))
    parts = [(features[:25], labels[:25], weights[:25]), (features[25:], labels[25:], weights[25:])]
    (head,) = fit(lambda: parts, 3, [0.05])
    # The loss as in the book, with its gradient by autograd in float64.
    mean, std = features.double().mean(0), features.double().std(0, correction=0)
    weight = (head.weight.double() * std).requires_grad_()
    bias = (head.bias.double() + head.weight.double() @ mean).requires_grad_()
    logits = (features.double() - mean) / std @ weight.T + bias
    losses = F.cross_entropy(logits, labels, reduction="none") * weights
    (losses.sum() / weights.sum() + 0.025 * weight.square().sum()).backward()
    assert weight.grad.abs().max() < 2e-4
    assert bias.grad.abs().max() < 2e-4
    # With more pictures than fit in memory, chunks are read at each step, with the same result.
    monkeypatch.setattr(linear_probe, "_MAX_IN_MEMORY", 0)
    (streamed,) = fit(lambda: parts, 3, [0.05])
    torch.testing.assert_close(streamed.weight, head.weight, atol=2e-3, rtol=1e-2)


def test_weighting_a_picture_equals_copying_it():
    features, labels = blobs(count=30)
    rare = labels == 2
    with_copies = torch.cat([features, features[rare], features[rare]])
    (by_copies,) = fit(
        lambda: [(with_copies, torch.cat([labels, labels[rare], labels[rare]]), torch.ones(50))], 3, [0.1]
    )
    weights = torch.where(rare, 3.0, 1.0)
    standard = (features - with_copies.mean(0)) / with_copies.std(0, correction=0)
    # Standardised by hand, because the mean and standard deviation ignore the weights.
    (weighted,) = fit(lambda: [(standard, labels, weights)], 3, [0.1])
    predicted = weighted.logits(standard).argmax(1)
    assert (predicted == by_copies.logits(features).argmax(1)).float().mean() > 0.95
    assert balanced_weights([10, 30]).tolist() == pytest.approx([2.0, 2 / 3])


def test_the_strength_is_chosen_by_cross_validation():
    features, labels = blobs(count=60, width=200)
    ones = torch.ones(60)
    noise = labels[torch.randperm(60, generator=torch.Generator().manual_seed(3))]
    for_labels = choose_strength(features, labels, ones, 3, seed=0)
    for_noise = choose_strength(features, noise, ones, 3, seed=0)
    assert for_noise == linear_probe.STRENGTHS[0]
    assert for_labels < for_noise
    assert choose_strength(features[:3], labels[:3], ones[:3], 3, seed=0) in linear_probe.STRENGTHS


@pytest.mark.parametrize(("correct", "count"), [(12, 12), (0, 5), (7, 9), (300, 400)])
def test_the_interval_is_wilsons(correct, count):
    """Its ends are the proportions from which the observed one is 1.96 of their standard errors away."""
    low, high = wilson_interval(correct, count)
    for end in (low, high):
        distance = abs(correct / count - end)
        half_width = 1.959964 * (end * (1 - end) / count) ** 0.5
        assert distance == pytest.approx(half_width, abs=1e-6) or end in (0.0, 1.0)
    assert 0 <= low <= correct / count <= high <= 1


# Fine-tuning


@pytest.mark.slow
def test_resumed_fine_tuning_equals_uninterrupted(copy, tmp_path, monkeypatch):
    monkeypatch.setattr(teaching, "BATCH", 8)
    shutil.rmtree(copy / "brick")
    for name in ("grass", "gravel"):
        for file in sorted((copy / name).iterdir())[8:]:
            file.unlink()
    settings, base = Teach(fine_tune=True, blocks=1, epochs=2, learning_rate=1e-3), open_network("lite0")
    before = base.layers["block16"].project.conv.weight.clone()
    uninterrupted = last(teach(gather(copy), settings, network=base))
    assert base.layers["block16"].project.conv.weight.equal(before)  # the base network is not changed
    assert not uninterrupted.network.layers["block16"].project.conv.weight.equal(before)
    assert uninterrupted.network.layers["block15"].project.conv.weight.equal(
        base.layers["block15"].project.conv.weight
    )
    assert uninterrupted.results.accuracy_before_tuning is not None
    path = tmp_path / "checkpoint.pt"
    frames = teach(gather(copy), settings, network=base, checkpoint=path)
    for frame in frames:
        if frame.phase == "fine-tuning" and frame.step == 16 + 2:
            break
    frames.close()
    assert path.exists()
    resumed = last(teach(gather(copy), settings, network=base, checkpoint=path, resume=True))
    for name, weights in resumed.network.state_dict().items():
        assert weights.equal(uninterrupted.network.state_dict()[name]), name
    with pytest.raises(UsageError, match="other settings"):
        last(teach(gather(copy), settings.changed({"epochs": 3}), network=base, checkpoint=path, resume=True))


# Bad input


@pytest.mark.slow
def test_left_out_pictures_are_reported(copy, capsys):
    for name in ("cut", "empty"):
        (copy / "brick" / f"{name}.png").write_bytes(
            (copy / "brick" / "00.png").read_bytes()[:500] if name == "cut" else b""
        )
    shutil.copy(copy / "grass" / "00.png", copy / "gravel" / "mislabelled.png")  # in two classes
    shutil.copy(copy / "grass" / "01.png", copy / "grass" / "twin.png")
    (copy / "grass" / "notes.txt").write_text("not a picture")
    (copy / "loose.png").write_bytes((copy / "grass" / "00.png").read_bytes())
    for number in range(4, PICTURES_PER_CLASS):
        (copy / "gravel" / f"{number:02}.png").unlink()
    assert main(["teach", str(copy), "-o", "less"]) == 0
    output = capsys.readouterr().err
    for message in (
        str(copy / "brick" / "cut.png"),
        f"{copy / 'brick' / 'empty.png'} is empty",
        "2 files that are in two classes",
        str(Path("gravel") / "mislabelled.png"),
        "1 duplicate within a class",
        "left out: 1 picture in",
        "times as many pictures as the smallest",
    ):
        assert message in output, message
    assert "notes.txt" not in output
    results = json.loads((trained_folder("less") / "results.json").read_text())
    assert len(results["left_out"]["unreadable"]) == 2
    counts = {each["name"]: each["learned_from"] + each["tested_with"] for each in results["classes"]}
    assert counts == {"brick": 20, "grass": 19, "gravel": 4}
    assert {each["file"] for each in results["most_mistaken"]}.isdisjoint(
        results["left_out"]["contradictory"]
    )


def write_folders(path, **counts):
    """Write a folder of classes, each with `counts[name]` small, different pictures."""
    generator = torch.Generator().manual_seed(0)
    path.mkdir()
    for name, count in counts.items():
        (path / name).mkdir()
        for number in range(count):
            save_picture(torch.rand(3, 8, 8, generator=generator), path / name / f"{number}.png")
    return path


@pytest.mark.parametrize(
    ("classes", "arguments", "code", "message"),
    [
        ({}, [], 2, "has no subfolders"),
        ({"a": 2}, [], 2, "has one class, 'a'"),
        ({"a": 2, "b": 1}, [], 2, "'b' has one usable picture"),
        ({"a": 2, "b": 0}, [], 2, "'b' has no usable pictures"),
        ({"a": 2, "b": 1, "c": 0}, [], 2, "'b' has one usable picture"),
        ({"Moss": 2, "moss": 2}, [], 2, "would be one class"),
        ({"moss": 2, "a*2": 2}, [], 2, "cannot name a class"),
        ({"moss": 2, "a\nb": 2}, [], 2, "cannot name a class"),
        ({"moss": 2, "x" * 80: 2}, [], 2, "at most 60"),
        ({"a": 2, "b": 2}, ["--network", "vgg16"], 2, "network"),
        ({"a": 2, "b": 2}, ["-o", "conv"], 2, "a built-in network"),
        ({"a": 2, "b": 2}, ["-o", "textures"], 2, "--force"),
        ({"a": 2, "b": 2}, ["--hold-out", "1"], 2, "--hold-out"),
        ({"a": 2, "b": 2}, ["--workers", "-1"], 2, "--workers"),
        ({"a": 2, "b": 2}, ["--resume"], 3, "start without --resume"),
        ({"a": 2, "b": 2}, ["-o", "new", "--resume", "--fine-tune"], 3, "nothing to resume"),
    ],
)
def test_bad_input_is_reported_in_one_line(
    classes, arguments, code, message, taught_network, tmp_path, capsys
):
    assert taught_network
    capsys.readouterr()
    assert main(["teach", str(write_folders(tmp_path / "given", **classes)), *arguments]) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1


def test_what_systems_add_is_passed_over_and_what_is_left_out_is_named(tmp_path):
    path = write_folders(tmp_path / "given", a=2, b=2, empty=0)
    for name in (
        "__MACOSX/a/0.png",
        "a/__MACOSX/0.png",
        "a/._0.png",
        "a/.DS_Store",
        "a/Thumbs.db",
        "b/IMG.DNG",
    ):
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(b"no picture")
    for name in ("a/x.jfif", "a/x.BMP", "b/x.heic"):
        (path / name).touch()
    found = gather(path)
    assert found.classes == ("a", "b")
    assert [*found.files] == [
        str(Path(name))
        for name in ("a/0.png", "a/1.png", "a/x.BMP", "a/x.jfif", "b/0.png", "b/1.png", "b/x.heic")
    ]
    assert found.empty == ("empty",)
    assert found.unread == "left out: IMG.DNG: save as PNG or JPEG first"


def test_unreadable_classes_and_folders_are_reported(tmp_path, capsys):
    path = write_folders(tmp_path / "given", a=3, b=1)
    (path / "b" / "broken.png").write_bytes(b"no picture at all")
    assert main(["teach", str(path)]) == 2
    assert "'b' has one usable picture" in capsys.readouterr().err
    assert main(["teach", str(tmp_path / "nowhere")]) == 2
    assert "is not a folder" in capsys.readouterr().err


def test_a_manipulated_network_is_refused(taught_network, tmp_path):
    for change in (
        {"network": "os:system"},
        {"classes": ["one"]},
        {"classes": ["brick", "grass", "gravel", "more"]},
        {"code": "print()"},
    ):
        path = Path(shutil.copytree(trained_folder(taught_network), tmp_path / "taken", dirs_exist_ok=True))
        plan = json.loads((path / "network.json").read_text())
        (path / "network.json").write_text(json.dumps({**plan, **change}))
        with pytest.raises(LanternaError, match="damaged"):
            open_network(str(path))


def test_wide_names_are_rotated_and_long_ones_are_shortened():
    counts = torch.tensor([[3, 1], [0, 4]])
    short, wide = (
        draw_confusion_matrix(counts, names, "7 of 8", words=("is", "named"))
        for names in (("a", "b"), ("a name of many words " * 4, "moss"))
    )
    assert wide.shape[1] > short.shape[1]
    assert wide.shape[2] < 700


@pytest.mark.slow
def test_a_rare_class_counts_as_much_unless_balance_is_off(textures, tmp_path):
    for name, count in (("grass", 16), ("gravel", 3)):
        (tmp_path / name).mkdir()
        for file in sorted((textures / name).iterdir())[:count]:
            shutil.copy(file, tmp_path / name)
    for file in sorted((textures / "grass").iterdir())[16:]:  # so that the two classes overlap
        shutil.copy(file, tmp_path / "gravel")
    balanced, unbalanced = (
        last(teach(gather(tmp_path), Teach(balance=balance, hold_out=0.3))) for balance in (True, False)
    )
    photograph = to_input(
        open_picture(shelf.need("photographs") / "gravel.png"), balanced.network.input_spec
    )[None]
    probabilities = [frame.network(photograph).softmax(1)[0, 1] for frame in (balanced, unbalanced)]
    assert probabilities[0] > probabilities[1]
    assert balanced.results.imbalance > 2
