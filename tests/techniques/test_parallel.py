"""Several processes train together as one would, and go on together when one of them is lost."""

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
from strangers import is_loopback, listening

if TYPE_CHECKING:
    from pathlib import Path

# Everything that depends on the whole batch: normalisation, dropout, augmentation (as another hand, then
# shifts), an average of the weights, two rates of decay; and a last batch of one digit, for two processes.
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
training.new_network = lambda recipe: new_network(recipe).double()
recipe = Train.model_validate_json(sys.argv[1])
team = join(torch.device("cpu"))
try:
    team.once(lambda: Train.checked({"epochs": 0}))
    sys.exit("the first process's error came to no other")
except UsageError:
    pass
for frame in training.train(recipe, device="cpu", team=team):
    pass
if team.first:
    torch.save((frame.network.state_dict(), frame.history), sys.argv[2])
leave()
"""

# A script: the processes that it starts import it, and so do all of this too. After the first checkpoint
# they wait until they are told to go on, or to stop: what is done to them is done in mid-training.
EVERY_FRAME = """
import signal, sys, time
from pathlib import Path
from lanterna.techniques import checkpoint
from lanterna.techniques.train import algorithm as training
from lanterna.surfaces.cli import main
checkpoint.Checkpointer.every = 0
new_network = training.new_network
training.new_network = lambda recipe: new_network(recipe).double()
save, go_on = checkpoint.Learning.save, Path(__file__).with_name("go-on")
def save_and_wait(learning, path, recipe):
    save(learning, path, recipe)
    stop = signal.getsignal(signal.SIGINT)
    signal.signal(signal.SIGINT, lambda *given: (go_on.touch(), stop(*given)))
    while not go_on.exists():
        time.sleep(0.01)
    signal.signal(signal.SIGINT, stop)
checkpoint.Learning.save = save_and_wait
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""
# Nothing held out, so that no temperature is searched.
SIZE = ["--fraction", "0.02", "--epochs", "3", "--precision", "float32", "--hold-out", "0"]
WORDS = ["train", "dense", *SIZE, "-o", "net"]
PATIENCE = 300.0  # seconds, so that a test that hangs ends


@pytest.fixture
def double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks in double precision, so that nothing but a mistake makes a difference."""
    new_network = training.new_network
    monkeypatch.setattr(training, "new_network", lambda settings: new_network(settings).double())


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_two_processes_reach_what_one_does(tmp_path: Path):
    assert BUSY.digits % BUSY.batch_size == 1
    (tmp_path / "member.py").write_text(MEMBER)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    torchrun += ["--log-dir", str(tmp_path / "logs")]  # which it does not remove
    words = [str(tmp_path / "member.py"), BUSY.model_dump_json(), str(tmp_path / "two.pt")]
    with subprocess.Popen([*torchrun, *words]) as process:
        one = deque(training.train(BUSY, device="cpu"), maxlen=1)[0]
    assert process.returncode == 0
    two, history = torch.load(tmp_path / "two.pt", weights_only=True)
    assert two.keys() == one.network.state_dict().keys()
    for name, value in one.network.state_dict().items():
        torch.testing.assert_close(two[name], value, rtol=0, atol=1e-9, msg=name)
    assert len(history) == len(one.history) == 2
    for ours, theirs in zip(history, one.history, strict=True):
        for name in ("training_accuracy", "validation_accuracy"):
            assert ours[name] == theirs[name]


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_two_machines_go_on_when_a_process_is_killed(real_shelf: Path, tmp_path: Path):
    """Two homes stand for two machines, which share no files."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    homes = [tmp_path / "first", tmp_path / "second"]
    machines = []
    for rank, home in enumerate(homes):
        home.mkdir()
        (home / "shelf").symlink_to(real_shelf, target_is_directory=True)
        machines.append(
            started(tmp_path, home, "--nodes", "2", "--node-rank", str(rank), "--address", address)
        )
    kept = homes[0] / "networks/net"
    wait_for(kept / "checkpoint.pt", machines[0])
    os.kill(members(machines[1])[0], signal.SIGKILL)
    (tmp_path / "go-on").touch()
    said = [machine.communicate(timeout=PATIENCE)[1] for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    assert "a process was lost: restarting all from the checkpoint (1 of 3)" in said[0]
    assert said[0].count("test digits read right") == 1
    assert said[1] == "", "the first alone tells how it goes"
    assert not (homes[1] / "networks").exists(), "and the first alone writes"
    assert not list(kept.glob("checkpoint*"))
    assert_as_by_one(kept)


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_stopped_together_it_goes_on_alone(home: Path, tmp_path: Path):
    process = started(tmp_path, home, "--devices", "2")
    wait_for(home / "networks/net/checkpoint.pt", process)
    places = listening(process.pid)
    assert len(places) > 2, "where they meet, and each of both"
    assert all(map(is_loopback, places)), "nobody on the network reaches them"
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert said.splitlines()[-1] == "stopped early: add --resume to the same command to continue"
    assert main([*WORDS, "--resume", "--quiet"]) == 0
    assert_as_by_one(home / "networks/net")


@pytest.mark.parametrize(
    ("options", "words"),
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
def test_what_cannot_be_shared_is_one_line(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
):
    assert main(["train", "dense", *options, "-o", "never"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert words in said


def test_an_error_of_the_persons_is_an_outcome_that_is_not_tried_again():
    outcome = _member(functools.partial(open_trained, "nothing-of-this-name"))
    assert isinstance(outcome, MissingError)


def started(tmp_path: Path, home: Path, *options: str) -> subprocess.Popen[str]:
    """A training of `WORDS` in double precision, whose processes keep their state after every frame."""
    script = tmp_path / "every_frame.py"
    script.write_text(EVERY_FRAME)
    environment = {**os.environ, "LANTERNA_HOME": str(home)}
    words = [sys.executable, str(script), *WORDS, *options]
    return subprocess.Popen(words, env=environment, stderr=subprocess.PIPE, text=True)


def members(agent: subprocess.Popen[str]) -> list[int]:
    """The processes that an agent started to train."""
    words = ["pgrep", "-P", str(agent.pid), "-f", "spawn_main"]
    found = subprocess.run(words, capture_output=True, text=True)
    return [int(line) for line in found.stdout.split()]


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + PATIENCE
    while not path.exists():
        assert process.poll() is None, f"no {path.name} came"
        assert time.monotonic() < end, f"no {path.name} came"
        time.sleep(0.05)


@functools.cache
def by_one(settings: str) -> dict[str, torch.Tensor]:
    """The weights that one process, never stopped, comes to."""
    read = Train.model_validate_json(settings)
    return deque(training.train(read, device="cpu"), maxlen=1)[0].network.state_dict()


def assert_as_by_one(folder: Path) -> None:
    made = open_trained(folder).state_dict()
    for name, value in by_one((folder / "recipe.json").read_text()).items():
        torch.testing.assert_close(made[name], value.float(), rtol=0, atol=1e-6, msg=name)
