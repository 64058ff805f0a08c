"""Several processes train together with the result of one, and recover together when one of them dies."""

from __future__ import annotations

import functools
import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from typing import TYPE_CHECKING

import pytest
import torch

from lanterna.errors import MissingError
from lanterna.networks.trained import open_trained
from lanterna.surfaces.cli import main
from lanterna.surfaces.cli.distributed import _member
from lanterna.techniques.train import algorithm as training
from lanterna.techniques.train.settings import Train
from served import started_by
from strangers import is_loopback, listening_sockets

if TYPE_CHECKING:
    from pathlib import Path

# Everything that depends on the full batch: normalisation, dropout and augmentation (as by another hand, then
# shifts); also averaged weights, weight decay for some parameters, and a last batch of one digit for both.
BUSY = Train.checked(
    {"channels": (4, 8), "hidden": (16,), "dropout": 0.2, "average": 0.9, "augmentation": "hand"}
    | {"epochs": 2, "batch_size": 48, "fraction": 0.00323, "hold_out": 200, "precision": "float32"}
    | {"label_smoothing": 0.1}
)
MEMBER = """
import sys, torch
from lanterna.errors import UsageError
from lanterna.techniques.train import algorithm as training
from lanterna.techniques.train.parallel import join, leave
from lanterna.techniques.train.settings import Train
new_network = training.new_network
training.new_network = lambda settings: new_network(settings).double()
settings = Train.model_validate_json(sys.argv[1])
team = join(torch.device("cpu"))
try:
    team.run_on_first(lambda: Train.checked({"epochs": 0}))
    sys.exit("the first process's error was not raised in the others")
except UsageError:
    pass
for frame in training.train(settings, device="cpu", team=team):
    pass
if team.is_first:
    torch.save((frame.network.state_dict(), frame.history), sys.argv[2])
leave()
"""

# A script, so that the processes it starts import it and are patched too. After the first checkpoint they
# wait until they may proceed or are stopped, so that the test interferes in the middle of training.
EVERY_FRAME = """
import signal, sys, time
from pathlib import Path
from lanterna.techniques import checkpoint
from lanterna.techniques.train import algorithm as training
from lanterna.surfaces.cli import main
checkpoint.Checkpointer.every = 0
new_network = training.new_network
training.new_network = lambda settings: new_network(settings).double()
save, proceed = checkpoint.TrainingState.save, Path(__file__).with_name("proceed")
def save_and_wait(learning, path, settings):
    save(learning, path, settings)
    stop = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, lambda *args: (proceed.touch(), stop(*args)))
    while not proceed.exists():
        time.sleep(0.01)
    signal.signal(signal.SIGINT, stop)
checkpoint.TrainingState.save = save_and_wait
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""
# Without a validation set, so that no time is spent on calibration.
OPTIONS = ["--fraction", "0.02", "--epochs", "3", "--precision", "float32", "--hold-out", "0"]
COMMAND = ["train", "dense", *OPTIONS, "-o", "net"]
TIMEOUT = 300.0  # seconds


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use double precision, so that differences come from mistakes and not from rounding."""
    new_network = training.new_network
    monkeypatch.setattr(training, "new_network", lambda settings: new_network(settings).double())


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_two_processes_reach_the_result_of_one(tmp_path: Path):
    assert BUSY.digits % BUSY.batch_size == 1
    (tmp_path / "member.py").write_text(MEMBER)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    torchrun += ["--log-dir", str(tmp_path / "logs")]  # torchrun does not remove its logs
    command = [str(tmp_path / "member.py"), BUSY.model_dump_json(), str(tmp_path / "two.pt")]
    with subprocess.Popen([*torchrun, *command]) as process:
        single = deque(training.train(BUSY, device="cpu"), maxlen=1)[0]
    assert process.returncode == 0
    pair, history = torch.load(tmp_path / "two.pt", weights_only=True)
    assert pair.keys() == single.network.state_dict().keys()
    for name, value in single.network.state_dict().items():
        torch.testing.assert_close(pair[name], value, rtol=0, atol=1e-9, msg=name)
    assert len(history) == len(single.history) == 2
    for actual, expected in zip(history, single.history, strict=True):
        for name in ("training_accuracy", "validation_accuracy"):
            assert actual[name] == expected[name]


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_two_machines_recover_when_a_process_is_killed(real_shelf: Path, tmp_path: Path):
    """Two home folders stand for two machines, which share no files."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    homes = [tmp_path / "first", tmp_path / "second"]
    machines = []
    for rank, home in enumerate(homes):
        home.mkdir()
        (home / "shelf").symlink_to(real_shelf, target_is_directory=True)
        machines.append(start(tmp_path, home, "--nodes", "2", "--node-rank", str(rank), "--address", address))
    folder = homes[0] / "networks/net"
    wait_for_file(folder / "checkpoint.pt", machines[0])
    os.kill(started_by(machines[1].pid)[0], signal.SIGKILL)
    (tmp_path / "proceed").touch()
    output = [machine.communicate(timeout=TIMEOUT)[1] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], output
    assert "a process was lost: restarting all from the checkpoint (1 of 3)" in output[0]
    assert output[0].count("test digits read correctly") == 1
    assert output[1] == "", "only the first process shows progress"
    assert not (homes[1] / "networks").exists(), "only the first process writes files"
    assert not list(folder.glob("checkpoint*"))
    assert_same_as_one_process(folder)


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_training_stopped_in_two_processes_resumes_in_one(home: Path, tmp_path: Path):
    process = start(tmp_path, home, "--devices", "2")
    wait_for_file(home / "networks/net/checkpoint.pt", process)
    addresses = listening_sockets(process.pid)
    assert len(addresses) > 2, "the rendezvous, and one for each process"
    assert all(map(is_loopback, addresses)), "they cannot be reached from the network"
    process.send_signal(signal.SIGINT)
    _, output = process.communicate(timeout=TIMEOUT)
    assert process.returncode == 130
    assert output.splitlines()[-1] == "stopped early: add --resume to the same command to continue"
    assert main([*COMMAND, "--resume", "--quiet"]) == 0
    assert_same_as_one_process(home / "networks/net")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--devices", "10000"], "cores of this machine"),
        (["--devices", "0"], "devices"),
        (["--nodes", "2"], "--address HOST:PORT"),
        (["--nodes", "2", "--address", "here"], "got here"),
        (
            ["--nodes", "2", "--address", "here:29500", "--node-rank", "2"],
            "expected 0 to 1 with --nodes 2, got 2",
        ),
        (["--address", "here:29500"], "give --nodes too"),
    ],
)
def test_wrong_options_are_reported_in_one_line(
    options: list[str], message: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["train", "dense", *options, "-o", "never"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert message in error


def test_a_user_error_is_an_outcome_and_not_retried():
    outcome = _member(functools.partial(open_trained, "nothing-of-this-name"))
    assert isinstance(outcome, MissingError)


def test_a_stopped_process_does_not_wait_for_its_result_to_be_read():
    """The agent, which stopped it, reads none; it would kill the process after half a minute."""
    with pytest.raises(KeyboardInterrupt):
        _member(lambda: 130)
    assert _member(lambda: 0) == 0


def start(tmp_path: Path, home: Path, *options: str) -> subprocess.Popen[str]:
    """Start training with `COMMAND` in double precision, saving a checkpoint after every frame."""
    script = tmp_path / "every_frame.py"
    script.write_text(EVERY_FRAME)
    environment = {**os.environ, "LANTERNA_HOME": str(home)}
    command = [sys.executable, str(script), *COMMAND, *options]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)


def wait_for_file(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + TIMEOUT
    while not path.exists():
        assert process.poll() is None, f"no {path.name} was written"
        assert time.monotonic() < end, f"no {path.name} was written"
        time.sleep(0.05)


@functools.cache
def train_in_one_process(settings: str) -> dict[str, torch.Tensor]:
    """Train in one process without interruption and return the weights."""
    train_settings = Train.model_validate_json(settings)
    return deque(training.train(train_settings, device="cpu"), maxlen=1)[0].network.state_dict()


def assert_same_as_one_process(folder: Path) -> None:
    weights = open_trained(folder).state_dict()
    for name, value in train_in_one_process((folder / "recipe.json").read_text()).items():
        torch.testing.assert_close(weights[name], value.float(), rtol=0, atol=1e-6, msg=name)
