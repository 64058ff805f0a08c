"""Training learns, resumes where it stopped, and reports correct results."""

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

from lanterna.images.digits import Digits, mnist, random_handwriting, random_scatter, random_shift
from lanterna.networks.digits import build
from lanterna.networks.trained import open_trained
from lanterna.surfaces.cli import main
from lanterna.techniques.train import algorithm as training
from lanterna.techniques.train.algorithm import accuracy, logits_of, new_network, train, training_digits
from lanterna.techniques.train.estimate import estimate_training
from lanterna.techniques.train.results import calibrate, expected_calibration_error, load_test_digits
from lanterna.techniques.train.settings import Train

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {"fraction": 0.04, "epochs": 2, "batch_size": 100}
QUICK = Train.checked({**Train.presets["fast-dense"], **SMALL, "epochs": 3})
# Everything that draws random numbers or has state.
BUSY = Train.checked({"channels": (4, 8), "dropout": 0.2, "average": 0.9, "augmentation": "hand", **SMALL})


def last(frames):
    return deque(frames, maxlen=1)[0]


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def equal(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


# Training that waits after its first checkpoint until it is stopped, so that it is interrupted midway.
STOPPABLE = """
import signal, sys, time
from lanterna.techniques import checkpoint
from lanterna.surfaces.cli import main
checkpoint.Checkpointer.every = 0
save = checkpoint.TrainingState.save
def save_and_wait(learning, path, settings):
    checkpoint.TrainingState.save = save
    stop, stopped = signal.getsignal(signal.SIGINT), []
    signal.signal(signal.SIGINT, lambda *args: (stopped.append(args), stop(*args)))
    save(learning, path, settings)
    while not stopped:
        time.sleep(0.01)
checkpoint.TrainingState.save = save_and_wait
sys.exit(main(sys.argv[1:]))
"""
# Without a validation set, so that no time is spent on calibration.
OPTIONS = ["conv", "--channels", "4", "8", "--fraction", "0.03", "--epochs", "2", "--batch-size", "20"]
OPTIONS += ["--hold-out", "0", "-q"]


@functools.cache
def uninterrupted() -> dict[str, torch.Tensor]:
    """Train without interruption and return the weights."""
    assert main(["train", *OPTIONS, "-o", "uninterrupted"]) == 0
    return weights(open_trained("uninterrupted"))


def wait_for_file(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 300
    while not path.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.05)
    assert path.exists(), f"no {path.name} was written"


def test_the_quickstart_matches_tensorflows():
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
def test_steps_equal_those_of_a_plain_torch_loop(optimiser: str):
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
    order = training._epoch_order(settings, 0)
    torch_optimiser = {
        "sgd": lambda p: torch.optim.SGD(p, 1e-3, momentum=0.9, nesterov=True),
        "adam": lambda p: torch.optim.Adam(p, 1e-3, eps=1e-7),
        "adamw": lambda p: torch.optim.AdamW(p, 1e-3, eps=1e-7, weight_decay=0.0),
    }[optimiser](plain.parameters())
    for chosen in order.split(32):
        loss = F.cross_entropy(plain(digits.images[chosen].float() / 255), digits.labels[chosen])
        torch_optimiser.zero_grad()
        loss.backward()
        torch_optimiser.step()
    learned = weights(last(train(settings, device="cpu")).network)
    for actual, expected in zip(learned.values(), plain.state_dict().values(), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_a_network_learns_and_its_folder_has_correct_results(home: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["train", "dense", "--hidden", "48", "--epochs", "3", "--json", "-o", "truth"]) == 0
    summary = json.loads(capsys.readouterr().out)
    saved = load_file(home / "networks/truth/weights.safetensors")
    pixels = mnist("test").images.flatten(1).numpy() / np.float32(255)
    hidden = np.maximum(pixels @ saved["layers.hidden1.weight"].T + saved["layers.hidden1.bias"], 0)
    logits = hidden @ saved["layers.output.weight"].T + saved["layers.output.bias"]
    written = mnist("test").labels.numpy()
    read = logits.argmax(1)
    assert summary["test_accuracy"] == pytest.approx((read == written).mean(), abs=2e-4)
    assert summary["test_accuracy"] > 0.95
    assert np.sum(summary["confusion"]) == 10_000
    assert np.trace(summary["confusion"]) == round(summary["test_accuracy"] * 10_000)
    assert [epoch["epoch"] for epoch in summary["history"]] == [1, 2, 3]
    assert summary["history"][-1]["loss"] < summary["history"][0]["loss"]
    worst = summary["mistakes"][0]
    assert written[worst["index"]] == worst["written"] != worst["read"]
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
def test_resumed_training_equals_uninterrupted_bit_for_bit(tmp_path: Path):
    uninterrupted = last(train(BUSY, device="cpu"))
    checkpoint = tmp_path / "checkpoint.pt"
    begun, earlier = time.perf_counter(), [0.0]
    for run in itertools.count():
        every = range(BUSY.steps)  # a frame at every step, however fast this machine is
        frames = train(BUSY, device="cpu", checkpoint=checkpoint, resume=run > 0, extra_steps=every)
        for frame in frames:
            if frame.step > 7 * (run + 1):
                break
        frames.close()
        earlier.append(frame.earlier)
        if frame.step == frame.steps:
            break
    assert run >= 2
    assert earlier[1] == 0 < earlier[2] < earlier[3]  # seconds of the runs before
    assert earlier[-1] < time.perf_counter() - begun
    (again,) = train(BUSY, device="cpu", checkpoint=checkpoint, resume=True)  # as if killed before saving
    assert equal(weights(again.network), weights(uninterrupted.network))
    assert equal(weights(frame.network), weights(uninterrupted.network))
    assert [e["loss"] for e in frame.history][-1] > 0
    assert len(frame.history) == len(uninterrupted.history) == BUSY.epochs
    for actual, expected in zip(frame.history, uninterrupted.history, strict=True):
        assert actual["training_accuracy"] == expected["training_accuracy"]
        assert actual["validation_accuracy"] == expected["validation_accuracy"]


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_training_stopped_by_a_signal_resumes_to_the_same_result(home: Path, stop: signal.Signals):
    name = f"stopped-{stop.name.lower()}"
    folder = home / "networks" / name
    command = [sys.executable, "-c", STOPPABLE, "train", *OPTIONS, "-o", name]
    with subprocess.Popen(command, env=os.environ, text=True) as process:
        wait_for_file(folder / "checkpoint.pt", process)
        process.send_signal(stop)
        code = process.wait()
    assert code == (130 if stop == signal.SIGINT else -signal.SIGKILL)
    assert (folder / "weights.safetensors").exists() == (stop == signal.SIGINT)
    assert main(["train", *OPTIONS, "-o", name]) == 2, (
        "unfinished training is not overwritten without --force"
    )
    assert main(["train", *OPTIONS, "-o", name, "--resume"]) == 0
    assert equal(weights(open_trained(name)), uninterrupted())
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_missing_damaged_or_mismatched_checkpoint_is_refused(
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
def test_nothing_is_replaced_without_force(home: Path):
    options = ["train", "dense", "--fraction", "0.02", "--epochs", "1", "-q", "-o", "mine"]
    assert main(options) == 0
    saved = (home / "networks/mine/weights.safetensors").read_bytes()
    assert main([*options, "--seed", "1"]) == 2
    assert (home / "networks/mine/weights.safetensors").read_bytes() == saved
    assert main([*options, "--seed", "1", "--force"]) == 0
    assert (home / "networks/mine/weights.safetensors").read_bytes() != saved


def test_a_damaged_network_is_reported_in_one_line(home: Path):
    small = {"fraction": 0.02, "epochs": 1}
    assert main(["train", "dense", "--fraction", "0.02", "--epochs", "1", "-q", "-o", "broken"]) == 0
    settings = Train.model_validate_json((home / "networks/broken/recipe.json").read_bytes())
    assert settings == Train.checked({**Train.presets["fast-dense"], **small})
    intact = (home / "networks/broken/weights.safetensors").read_bytes()
    for damaged in (intact[:1000], b"", intact[:-400]):
        (home / "networks/broken/weights.safetensors").write_bytes(damaged)
        with pytest.raises(Exception, match=r"damaged: train it again") as caught:
            open_trained("broken")
        assert "\n" not in str(caught.value)
    (home / "networks/broken/network.json").write_text('{"network": "dense", "hidden": [99999999]}')
    with pytest.raises(Exception, match="damaged"):
        open_trained("broken")
    (home / "networks/broken/network.json").unlink()
    os.mkfifo(home / "networks/broken/network.json")  # with no writer, so that opening it would block
    with pytest.raises(Exception, match="damaged"):
        open_trained("broken")


def test_training_never_uses_a_test_digit(monkeypatch: pytest.MonkeyPatch):
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
def test_without_bias_a_black_image_has_zero_logits(network: str):
    settings = Train.checked({"network": network, "hidden": (16,), "channels": (4, 8), "bias": False})
    built = new_network(settings)
    assert not any("bias" in name for name, _ in built.named_parameters())
    built.train()
    assert torch.equal(built(torch.zeros(2, 1, 28, 28)), torch.zeros(2, 10))


def test_every_bias_starts_at_bias_start():
    network = new_network(Train.checked({"hidden": (16,), "bias_start": -0.5}))
    biases = [value for name, value in network.named_parameters() if name.endswith("bias")]
    assert len(biases) == 5
    assert all((bias == -0.5).all() for bias in biases)


@pytest.mark.parametrize(
    ("initialisation", "std"), [("kaiming", (2 / 784) ** 0.5), ("xavier", (2 / 884) ** 0.5), ("normal", 0.05)]
)
def test_initial_weights_have_their_papers_standard_deviation(initialisation: str, std: float):
    network = new_network(
        Train.checked({"network": "dense", "hidden": (100,), "weight_start": initialisation})
    )
    weight = network.get_parameter("layers.hidden1.weight")
    assert weight.std().item() == pytest.approx(std, rel=0.02)


def test_initialised_to_zero_all_units_stay_the_same():
    settings = QUICK.changed({"weight_start": "zero", "activation": "sigmoid"})
    hidden = last(train(settings)).network.get_parameter("layers.hidden1.weight")
    assert hidden.abs().max() > 0
    torch.testing.assert_close(hidden, hidden[:1].expand_as(hidden))


@pytest.mark.slow
def test_scattered_digits_are_harder():
    def learned(normalised):
        settings = QUICK.changed({"fraction": 0.2, "normalised": normalised})
        return accuracy(last(train(settings)).network, load_test_digits(settings))

    assert learned(normalised=True) - learned(normalised=False) > 0.1


def test_augmented_digits_are_still_digits():
    digits = mnist("train").images[:512]
    floats = digits.float() / 255
    for change in (random_handwriting, random_scatter):
        changed = change(floats, torch.Generator().manual_seed(1))
        assert changed.shape == floats.shape
        assert 0 <= changed.min() <= changed.max() <= 1
        assert not torch.equal(changed, floats)
        assert torch.equal(changed, change(floats, torch.Generator().manual_seed(1)))
    moved = random_shift(digits, torch.Generator().manual_seed(1))
    corner = F.pad(digits, (2, 2, 2, 2))
    for before, after in zip(corner[:20, 0], moved[:20, 0], strict=True):
        crops = before.unfold(0, 28, 1).unfold(1, 28, 1)
        assert (crops == after).flatten(2).all(2).any(), "a shifted digit is the same digit in another place"


@pytest.mark.slow
def test_calibration_makes_confidence_match_accuracy():
    network = last(train(QUICK.changed({"fraction": 0.2}))).network
    test = mnist("test")
    before = logits_of(network, test.images)
    with torch.no_grad():
        network.get_parameter("layers.output.weight").mul_(5)
        network.get_parameter("layers.output.bias").mul_(5)

    def error():
        confidence, read = logits_of(network, test.images).softmax(1).max(1)
        return expected_calibration_error(confidence, read == test.labels)

    overconfident = error()
    calibrate(network, mnist("validation"))
    assert error() < 0.015 < overconfident
    assert torch.equal(logits_of(network, test.images).argmax(1), before.argmax(1))


def test_calibration_error_is_that_of_the_paper():
    confidence = torch.tensor([0.95, 0.95, 0.55, 0.55])
    correct = torch.tensor([True, False, True, True])
    assert expected_calibration_error(confidence, correct) == pytest.approx(0.45, abs=1e-6)
    assert expected_calibration_error(torch.ones(3), torch.ones(3, dtype=torch.bool)) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
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
def test_wrong_settings_are_reported_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["train", *arguments, "-o", "never"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


@pytest.mark.parametrize("name", ["vgg16", "os:system", "a\nb"])
def test_a_network_cannot_take_a_name_that_opens_another(
    name: str, home: Path, capsys: pytest.CaptureFixture[str]
):
    assert main(["train", "dense", "--fraction", "0.02", "--epochs", "1", "-q", "-o", name]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (home / "networks" / name).exists()


def test_settings_that_do_nothing_are_named():
    assert not Train().unused
    assert not Train(channels=(4,), optimiser="sgd", momentum=0.5).unused
    assert list(Train(network="dense", channels=(4,), momentum=0.5).unused) == ["channels", "momentum"]


def test_digits_are_mnist():
    test = mnist("test")
    assert isinstance(test, Digits)
    assert test.images.shape == (10_000, 1, 28, 28)
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert torch.bincount(test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@pytest.mark.usefixtures("real_shelf")
def test_the_time_of_a_training_is_estimated_from_its_first_steps():
    short, long = (estimate_training(QUICK.changed({"fraction": 1, "epochs": epochs})) for epochs in (2, 20))
    assert 2 < short.seconds < long.seconds
    assert estimate_training(Train(hidden=(4096, 4096))) is None  # it would take too long to measure
