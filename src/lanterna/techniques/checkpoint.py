"""Long work that can be stopped and taken up again: its state in one file, written whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import time
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import torch

from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.files import open_regular, replacing
from lanterna.renamed import current_settings, current_state, current_weights
from lanterna.techniques.train.parallel import ALONE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from lanterna.networks.network import Network
    from lanterna.techniques.technique import Settings
    from lanterna.techniques.train.parallel import Team


Of = TypeVar("Of")
Sent = TypeVar("Sent")

_SHARE = 20  # writing a large state must not become the work: it takes at most one second in so many


@dataclass
class TrainingState:
    """All that changes while a network learns: what a checkpoint keeps.

    `averaged` is the running average of `network`, or `network` itself where none is kept. `right` counts the
    digits read right in this epoch so far; `numbers` are those of the last frame, `history` has the numbers
    of each finished epoch. `rate` is the learning rate as it was last asked for.
    """

    network: Network
    averaged: Network
    optimiser: torch.optim.Optimizer
    step: int
    right: torch.Tensor
    rate: float
    numbers: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)

    def save(self, path: Path, settings: Settings) -> None:
        """Write everything to `path`, atomically."""
        state = {
            "settings": settings.model_dump_json(),
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not self.network else None,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "right": self.right.item(),
            "rate": self.rate,
            "numbers": self.numbers,
            "history": self.history,
        }
        write_state(path, state)

    def load(self, path: Path, settings: Settings, team: Team = ALONE) -> None:
        """Take up what `save` wrote, in place. A team needs the file where its first process is.

        Errors: `MissingError` where there is no checkpoint, `UsageError` where it belongs to other settings,
        `LanternaError` where the file is damaged. A checkpoint from elsewhere can run no code: only tensors
        and plain values are read.
        """
        wanted = {"network", "averaged", "optimiser", "step", "right", "rate", "numbers", "history"}
        state = team.once(lambda: read_state(path, settings, wanted))
        with restoring(path):
            self.network.load_state_dict(current_weights(state["network"]))
            if self.averaged is not self.network:
                self.averaged.load_state_dict(current_weights(state["averaged"]))
            load_optimiser(self.optimiser, state["optimiser"])
            self.step, self.rate, self.numbers = int(state["step"]), float(state["rate"]), state["numbers"]
            self.right.fill_(state["right"] if team.first else 0)  # each has its own part
            self.history[:] = state["history"]


def write_state(path: Path, state: Mapping[str, object]) -> None:
    """Write tensors and plain values by name, and the `settings` as JSON, atomically.

    Errors: `LanternaError`, as for a full disk.
    """
    with replacing(path) as temporary:
        try:
            torch.save(dict(state), temporary)
        except RuntimeError as error:  # torch's writer does not say why: "unexpected pos 576 vs 534"
            raise OSError("is the disk full?") from error


def read_state(path: Path, settings: Settings, names: set[str]) -> dict[str, Any]:
    """What `write_state` wrote: the values of `names`, and the settings.

    Errors: `MissingError` where there is no checkpoint, `UsageError` where it belongs to other settings,
    `LanternaError` where the file is damaged or of other work. It can run no code.
    """
    if not path.is_file():
        raise MissingError(f"nothing to resume at {path}: start without --resume")
    try:
        state = load_tensors(path)
    except Exception as error:  # whatever comes of bytes that are none
        raise LanternaError(f"{path} is damaged or no checkpoint: start anew with --force") from error
    if not isinstance(state, dict) or set(state := current_state(state)) != {"settings", *names}:
        raise LanternaError(f"{path} is no checkpoint of this work: start anew with --force")
    then = current_settings(settings.verb, json.loads(state["settings"]))
    if then != settings.model_dump(mode="json"):
        raise UsageError(
            f"{path} was begun with other settings: resume with those, or start anew with --force"
        )
    return state


def load_tensors(path: Path) -> Any:
    """What `torch.save` wrote, of no more bytes than the file has. It can run no code.

    Errors: `ValueError` for a file that would become larger in memory, and whatever torch raises.
    """
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            sizes = {each.filename: each.file_size for each in archive.infolist()}
            if sum(sizes.values()) > size:  # torch packs nothing
                raise ValueError("a file that is packed")
            plans = [archive.read(name) for name in sizes if name.endswith("data.pkl")]
        if any(b"bytearray" in plan for plan in plans):  # torch allows it, of any length, and writes none
            raise ValueError("a file that torch does not write")
        file.seek(0)
        return torch.load(file, map_location="cpu", weights_only=True)


@contextlib.contextmanager
def restoring(path: Path | None) -> Iterator[None]:
    """Restore a state within the block. Errors: `LanternaError` for whatever is wrong with the state."""
    try:
        yield
    except (LanternaError, MemoryError):
        raise
    except Exception as error:
        raise LanternaError(f"{path} does not fit its own settings: start anew with --force") from error


def load_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the state of an optimiser: its rate, and its moments of each parameter.

    The settings say which optimiser it is, not the checkpoint. Errors: `ValueError` where a moment is shaped
    unlike its parameter: torch does not check, and its fused steps would write anywhere.
    """
    before = [dict(group) for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, own in zip(optimiser.param_groups, before, strict=True):
        group.update({**own, "params": group["params"], "lr": float(group["lr"])})
    for parameter, kept in optimiser.state.items():
        tensors = [each for each in kept.values() if isinstance(each, torch.Tensor)]
        if any(each.ndim and each.shape != parameter.shape for each in tensors):
            raise ValueError("an optimiser's state of another shape")


def resumed(frames: Generator[Of, Sent, None], path: Path | None) -> Generator[Of, Sent | None, None]:
    """Yield the frames of work that was resumed from a checkpoint.

    A checkpoint from elsewhere may hold anything in the right places. That shows in the first step at the
    latest, so whatever goes wrong until then is raised as `restoring` does.
    """
    sent: Sent | None = None
    with contextlib.closing(frames):
        for number in itertools.count():
            with restoring(path) if number < 2 else contextlib.nullcontext():
                try:
                    frame = frames.send(sent)  # type: ignore[arg-type]
                except StopIteration:
                    return
            sent = yield frame


class Checkpointer:
    """Save the state of work on pictures to `path`, or nowhere if it is None.

    Work is only resumed with the same pictures, `begun_with`. `every` is the time between two checkpoints in
    seconds: shorter where a person may want to go back.
    """

    every: ClassVar[float] = 10.0

    def __init__(
        self,
        path: Path | None,
        settings: Settings,
        begun_with: Sequence[torch.Tensor | None],
        every: float | None = None,
    ) -> None:
        self.path = path
        self.seconds = self.every if every is None else every
        self._settings = settings
        self._mark = _mark(begun_with) if path else ""
        self._next = time.monotonic() + self.seconds

    def write(self, state: Mapping[str, object]) -> None:
        """Write the state, by name, now."""
        if self.path:
            begun = time.monotonic()
            write_state(
                self.path, {"settings": self._settings.model_dump_json(), "begun_with": self._mark, **state}
            )
            now = time.monotonic()
            self._next = now + max(self.seconds, _SHARE * (now - begun))

    def maybe_save(self, state: Mapping[str, object]) -> None:
        """Write the state if it is time."""
        if time.monotonic() > self._next:
            self.write(state)

    def read(self, names: set[str]) -> dict[str, Any]:
        """The state that was written.

        Errors: as `read_state`; `UsageError` where other pictures were begun with.
        """
        assert self.path is not None
        state = read_state(self.path, self._settings, {"begun_with", *names})
        if state["begun_with"] != self._mark:
            raise UsageError(
                f"{self.path} was begun with another picture: resume with that, or start anew with --force"
            )
        return {name: state[name] for name in names}


def _mark(pictures: Sequence[torch.Tensor | None]) -> str:
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(f"{None if picture is None else tuple(picture.shape)}\n".encode())
        if picture is not None:
            digest.update(picture.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
