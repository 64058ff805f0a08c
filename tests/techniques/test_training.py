"""Training learns, resumes where it stopped, and reports what is so."""

from __future__ import annotations

import functools
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.numpy import load_file
from torch import nn

from lanterna.images.digits import Digits, by_another_hand, mnist, scattered, shifted
from lanterna.networks.digits import build
from lanterna.networks.trained import open_trained
from lanterna.surfaces.cli import main
from lanterna.techniques.train import algorithm as training
from lanterna.techniques.train.algorithm import accuracy, logits_of, new_network, train, training_digits
from lanterna.techniques.train.results import calibrate, expected_calibration_error, unseen_digits
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {"fraction": 0.04, "epochs": 2, "batch_size": 100}
QUICK = Train.checked({**Train.presets["fast-dense"], **SMALL, "epochs": 3})
# Everything that draws random numbers or keeps state of its own.
BUSY = Train.checked({"channels": (4, 8), "dropout": 0.2, "average": 0.9, "augmentation": "hand", **SMALL})


def last(frames):
    return deque(frames, maxlen=1)[0]


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# A training that waits to be stopped after its first checkpoint, so that it is in the midst of it.
WAITING = """
import signal, sys, time
from lanterna.techniques import checkpoint
from lanterna.surfaces.cli import main
checkpoint.Checkpointer.every = 0
save = checkpoint.TrainingState.save
def save_and_wait(learning, path, recipe):
    checkpoint.TrainingState.save = save
    stop, stopped = signal.getsignal(signal.SIGINT), []
    signal.signal(signal.SIGINT, lambda *given: (stopped.append(given), stop(*given)))
    save(learning, path, recipe)
    while not stopped:
        time.sleep(0.01)
checkpoint.TrainingState.save = save_and_wait
sys.exit(main(sys.argv[1:]))
"""
# Nothing held out, so that no temperature is searched.
OPTIONS = ["conv", "--channels", "4", "8", "--fraction", "0.03", "--epochs", "2", "--batch-size", "20"]
OPTIONS += ["--hold-out", "0", "-q"]


@functools.cache
def unbroken() -> dict[str, torch.Tensor]:
    """The weights of a training that nobody stops."""
    assert main(["train", *OPTIONS, "-o", "unbroken"]) == 0
    return weights(open_trained("unbroken"))


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 300
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert path.exists(), f"no {path.name} came"


def test_the_quickstart_is_what_tensorflows_page_says():
    settings = Train.checked(Train.presets["quickstart"])
    network = build(settings)
    assert sum(parameter.numel() for parameter in network.parameters()) == 101_770
    assert [type(layer) for layer in network.layers.values()] == [
        nn.Flatten,
        nn.Linear,
        nn.ReLU,
        nn.Dropout,
        nn.Linear,
    ]
    assert (settings.batch_size, settings.epochs, settings.digits, settings.steps) == (32, 5, 60_000, 9375)


@pytest.mark.parametrize("optimiser", ["sgd", "adam", "adamw"])
def test_steps_are_those_of_a_plain_torch_loop(optimiser: str):
    settings = Train.checked(
        {
            **Train.presets["quickstart"],
            "dropout": 0.0,
            "optimiser": optimiser,
            "fraction": 0.01,
            "epochs": 1,
            "precision": "float32",
        }
    )
    plain = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    start = weights(new_network(settings)).values()
    plain.load_state_dict(dict(zip(plain.state_dict(), start, strict=True)))
    digits, _ = training_digits(settings)
    order = training._order(settings, 0)
    steps = {
        "sgd": lambda p: torch.optim.SGD(p, 1e-3, momentum=0.9, nesterov=True),
        "adam": lambda p: torch.optim.Adam(p, 1e-3, eps=1e-7),
        "adamw": lambda p: torch.optim.AdamW(p, 1e-3, eps=1e-7, weight_decay=0.0),
    }[optimiser](plain.parameters())
    for chosen in order.split(32):
        loss = F.cross_entropy(plain(digits.images[chosen].float() / 255), digits.labels[chosen])
        steps.zero_grad()
        loss.backward()
        steps.step()
    learned = weights(last(train(settings, device="cpu")).network)
    for ours, theirs in zip(learned.values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_network_learns_and_its_folder_says_the_truth(home: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["train", "dense", "--hidden", "48", "--epochs", "3", "--json", "-o", "truth"]) == 0
    said = json.loads(capsys.readouterr().out)
    kept = load_file(home / "networks/truth/weights.safetensors")
    pixels = mnist("test").images.flatten(1).numpy() / np.float32(255)
    hidden = np.maximum(pixels @ kept["layers.hidden1.weight"].T + kept["layers.hidden1.bias"], 0)
    logits = hidden @ kept["layers.output.weight"].T + kept["layers.output.bias"]
    written = mnist("test").labels.numpy()
    read = logits.argmax(1)
    assert said["test_accuracy"] == pytest.approx((read == written).mean(), abs=2e-4)
    assert said["test_accuracy"] > 0.95
    assert np.sum(said["confusion"]) == 10_000
    assert np.trace(said["confusion"]) == round(said["test_accuracy"] * 10_000)
    assert [epoch["epoch"] for epoch in said["history"]] == [1, 2, 3]
    assert said["history"][-1]["loss"] < said["history"][0]["loss"]
    surest = said["mistakes"][0]
    assert written[surest["index"]] == surest["written"] != surest["read"]
    folder = home / "networks/truth"
    assert {path.name for path in folder.iterdir()} == {
        "network.json",
        "weights.safetensors",
        "recipe.json",
        "results.json",
        "mistakes.png",
        "confusion.png",
    }
    assert Train.model_validate_json((folder / "recipe.json").read_bytes()).hidden == (48,)


@pytest.mark.slow
def test_a_convolutional_network_learns():
    settings = Train.checked({"channels": (8, 16), "fraction": 0.1, "epochs": 2, "batch_size": 50})
    frame = last(train(settings))
    assert accuracy(frame.network, mnist("test")) > 0.95
    assert frame.numbers["validation_accuracy"] > 0.95


@pytest.mark.slow
def test_resumed_equals_unbroken_bit_for_bit(tmp_path: Path):
    unbroken = last(train(BUSY, device="cpu"))
    checkpoint = tmp_path / "checkpoint.pt"
    for pieces in itertools.count():
        every = range(BUSY.steps)  # however quick this machine is
        frames = train(BUSY, device="cpu", checkpoint=checkpoint, resume=pieces > 0, extra_steps=every)
        for frame in frames:
            if frame.step > 7 * (pieces + 1):
                break
        frames.close()
        if frame.step == frame.steps:
            break
    assert pieces >= 2
    (again,) = train(BUSY, device="cpu", checkpoint=checkpoint, resume=True)  # killed before it was kept
    assert same(weights(again.network), weights(unbroken.network))
    assert same(weights(frame.network), weights(unbroken.network))
    assert [e["loss"] for e in frame.history][-1] > 0
    assert len(frame.history) == len(unbroken.history) == BUSY.epochs
    for ours, theirs in zip(frame.history, unbroken.history, strict=True):
        assert ours["training_accuracy"] == theirs["training_accuracy"]
        assert ours["validation_accuracy"] == theirs["validation_accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_stopped_from_outside_it_goes_on_to_the_same_result(home: Path, stop: signal.Signals):
    name = f"stopped-{stop.name.lower()}"
    folder = home / "networks" / name
    words = [sys.executable, "-c", WAITING, "train", *OPTIONS, "-o", name]
    with subprocess.Popen(words, env=os.environ, text=True) as process:
        wait_for(folder / "checkpoint.pt", process)
        process.send_signal(stop)
        code = process.wait()
    assert code == (130 if stop == signal.SIGINT else -signal.SIGKILL)
    assert (folder / "weights.safetensors").exists() == (stop == signal.SIGINT)
    assert main(["train", *OPTIONS, "-o", name]) == 2, "an unfinished training is not thrown away unasked"
    assert main(["train", *OPTIONS, "-o", name, "--resume"]) == 0
    assert same(weights(open_trained(name)), unbroken())
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_checkpoint_of_other_settings_or_of_nothing_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    folder = tmp_path / "network"
    options = ["train", "dense", "--fraction", "0.02", "--epochs", "1", "-o", str(folder)]
    assert main([*options, "--resume"]) == 3
    next(frames := train(QUICK, checkpoint=folder / "checkpoint.pt"))
    frames.close()
    assert main([*options, "--resume"]) == 2
    assert "other settings" in capsys.readouterr().err
    (folder / "checkpoint.pt").write_bytes(b"PK\x03\x04 not a checkpoint")
    assert main([*options, "--resume"]) == 1
    assert "damaged" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
def test_nothing_is_replaced_unasked(home: Path):
    options = ["train", "dense", "--fraction", "0.02", "--epochs", "1", "-q", "-o", "mine"]
    assert main(options) == 0
    kept = (home / "networks/mine/weights.safetensors").read_bytes()
    assert main([*options, "--seed", "1"]) == 2
    assert (home / "networks/mine/weights.safetensors").read_bytes() == kept
    assert main([*options, "--seed", "1", "--force"]) == 0
    assert (home / "networks/mine/weights.safetensors").read_bytes() != kept


def test_a_damaged_network_is_one_line(home: Path):
    small = {"fraction": 0.02, "epochs": 1}
    assert main(["train", "dense", "--fraction", "0.02", "--epochs", "1", "-q", "-o", "hurt"]) == 0
    settings = Train.model_validate_json((home / "networks/hurt/recipe.json").read_bytes())
    assert settings == Train.checked({**Train.presets["fast-dense"], **small})
    whole = (home / "networks/hurt/weights.safetensors").read_bytes()
    for hurt in (whole[:1000], b"", whole[:-400]):
        (home / "networks/hurt/weights.safetensors").write_bytes(hurt)
        with pytest.raises(Exception, match=r"damaged: train it again") as caught:
            open_trained("hurt")
        assert "\n" not in str(caught.value)
    (home / "networks/hurt/network.json").write_text('{"network": "dense", "hidden": [99999999]}')
    with pytest.raises(Exception, match="damaged"):
        open_trained("hurt")
    (home / "networks/hurt/network.json").unlink()
    os.mkfifo(home / "networks/hurt/network.json")  # nobody writes into it
    with pytest.raises(Exception, match="damaged"):
        open_trained("hurt")


def test_training_never_sees_a_test_digit(monkeypatch: pytest.MonkeyPatch):
    def guarded(split):
        assert split != "test"
        return mnist(split)

    monkeypatch.setattr(training, "mnist", guarded)
    last(train(QUICK))


def test_held_out_digits_are_not_trained_on():
    digits, held_out = training_digits(Train(hold_out=10_000))
    assert (len(digits.labels), len(held_out.labels)) == (50_000, 10_000)
    assert torch.equal(held_out.images, mnist("validation").images)
    half, _ = training_digits(Train(hold_out=10_000, fraction=0.5))
    assert len(half.labels) == 25_000


@pytest.mark.parametrize("network", ["dense", "conv"])
def test_without_bias_black_is_answered_with_nothing(network: str):
    settings = Train.checked({"network": network, "hidden": (16,), "channels": (4, 8), "bias": False})
    built = new_network(settings)
    assert not any("bias" in name for name, _ in built.named_parameters())
    built.train()
    assert torch.equal(built(torch.zeros(2, 1, 28, 28)), torch.zeros(2, 10))


def test_every_bias_starts_where_it_is_told():
    network = new_network(Train.checked({"hidden": (16,), "bias_start": -0.5}))
    biases = [value for name, value in network.named_parameters() if name.endswith("bias")]
    assert len(biases) == 5
    assert all((bias == -0.5).all() for bias in biases)


@pytest.mark.parametrize(
    ("how", "std"), [("kaiming", (2 / 784) ** 0.5), ("xavier", (2 / 884) ** 0.5), ("normal", 0.05)]
)
def test_weights_start_with_the_deviation_of_their_paper(how: str, std: float):
    network = new_network(Train.checked({"network": "dense", "hidden": (100,), "weight_start": how}))
    weight = network.get_parameter("layers.hidden1.weight")
    assert weight.std().item() == pytest.approx(std, rel=0.02)


def test_from_zero_all_units_stay_the_same():
    settings = QUICK.changed({"weight_start": "zero", "activation": "sigmoid"})
    hidden = last(train(settings)).network.get_parameter("layers.hidden1.weight")
    assert hidden.abs().max() > 0
    torch.testing.assert_close(hidden, hidden[:1].expand_as(hidden))


@pytest.mark.slow
def test_digits_off_their_place_are_harder():
    def learned(normalised):
        settings = QUICK.changed({"fraction": 0.2, "normalised": normalised})
        return accuracy(last(train(settings)).network, unseen_digits(settings))

    assert learned(normalised=True) - learned(normalised=False) > 0.1


def test_changed_digits_are_still_digits():
    digits = mnist("train").images[:512]
    floats = digits.float() / 255
    for change in (by_another_hand, scattered):
        changed = change(floats, torch.Generator().manual_seed(1))
        assert changed.shape == floats.shape
        assert 0 <= changed.min() <= changed.max() <= 1
        assert not torch.equal(changed, floats)
        assert torch.equal(changed, change(floats, torch.Generator().manual_seed(1)))
    moved = shifted(digits, torch.Generator().manual_seed(1))
    corner = F.pad(digits, (2, 2, 2, 2))
    for before, after in zip(corner[:20, 0], moved[:20, 0], strict=True):
        windows = before.unfold(0, 28, 1).unfold(1, 28, 1)
        assert (windows == after).flatten(2).all(2).any(), "a shifted digit is the same digit elsewhere"


@pytest.mark.slow
def test_calibration_makes_it_as_sure_as_it_is_right():
    network = last(train(QUICK.changed({"fraction": 0.2}))).network
    test = mnist("test")
    before = logits_of(network, test.images)
    with torch.no_grad():
        network.get_parameter("layers.output.weight").mul_(5)
        network.get_parameter("layers.output.bias").mul_(5)

    def error():
        confidence, read = logits_of(network, test.images).softmax(1).max(1)
        return expected_calibration_error(confidence, read == test.labels)

    too_sure = error()
    calibrate(network, mnist("validation"))
    assert error() < 0.015 < too_sure
    assert torch.equal(logits_of(network, test.images).argmax(1), before.argmax(1))


def test_calibration_error_is_the_papers():
    confidence = torch.tensor([0.95, 0.95, 0.55, 0.55])
    right = torch.tensor([True, False, True, True])
    assert expected_calibration_error(confidence, right) == pytest.approx(0.45, abs=1e-6)
    assert expected_calibration_error(torch.ones(3), torch.ones(3, dtype=torch.bool)) == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--epochs", "0"], "epochs"),
        (["--learning-rate", "fast"], "learning-rate"),
        (["--preset", "quickest"], "quickest"),
        (["conv", "--preset", "quickstart"], "quickstart"),
        (["--fraction", "0.0001"], "batch_size"),
        (["lstm"], "dense"),
        (["dense", "--preset", "best"], "'best' is made for conv, not for 'dense'"),
        (["--hidden", "10", "0"], "hidden"),
        (["--device", "abacus"], "device"),
    ],
)
def test_wrong_settings_are_one_line(arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]):
    assert main(["train", *arguments, "-o", "never"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said


@pytest.mark.parametrize("name", ["vgg16", "os:system", "a\nb"])
def test_a_network_gets_no_name_by_which_another_is_opened(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["train", "dense", "--fraction", "0.02", "--epochs", "1", "-q", "-o", name]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (home / "networks" / name).exists()


def test_digits_are_mnist():
    test = mnist("test")
    assert isinstance(test, Digits)
    assert test.images.shape == (10_000, 1, 28, 28)
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert torch.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
