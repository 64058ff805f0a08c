"""Save the state of long work to a checkpoint file, atomically, and resume from it."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import time
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar

import torch

from lanterna.devices import reuse_memory
from lanterna.errors import LanternaError, MissingError, UsageError
from lanterna.files import atomic_write, open_regular
from lanterna.renamed import current_settings, current_state, current_weights
from lanterna.techniques.train.parallel import SINGLE_PROCESS

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping, Sequence
    from pathlib import Path

    from lanterna.networks.network import Network
    from lanterna.techniques.technique import Settings
    from lanterna.techniques.train.parallel import Team


Yielded = TypeVar("Yielded")
Shown = TypeVar("Shown", covariant=True)
Sent = TypeVar("Sent")

_SECONDS = "seconds"  # that a run has taken, among its numbers
_INTERVAL = 20  # the time between checkpoints, in units of the time that writing one takes
_FRAME_SECONDS, _FRAME_SHARE = 1.0, 12  # the time between frames: at least so many seconds, and times its own


@dataclass
class TrainingState:
    """The state of a training run: everything that a checkpoint stores.

    `averaged` is the running average of `network`, or `network` itself if there is no averaging. `right`
    counts the digits classified correctly in this epoch so far; `numbers` are those of the last frame,
    `history` has the numbers of each finished epoch. `rate` is the learning rate that was last set, `earlier`
    the seconds that this run had taken when it was resumed.
    """

    network: Network
    averaged: Network
    optimiser: torch.optim.Optimizer
    step: int
    right: torch.Tensor
    rate: float
    numbers: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)
    earlier: float = 0.0
    begun: float = field(default_factory=time.perf_counter)

    def save(self, path: Path, settings: Settings) -> None:
        """Write the state to `path`, atomically."""
        state = {
            "settings": settings.model_dump_json(),
            "network": self.network.state_dict(),
            "averaged": self.averaged.state_dict() if self.averaged is not self.network else None,
            "optimiser": self.optimiser.state_dict(),
            "step": self.step,
            "right": self.right.item(),
            "rate": self.rate,
            "numbers": {**self.numbers, _SECONDS: self.earlier + time.perf_counter() - self.begun},
            "history": self.history,
        }
        write_state(path, state)

    def load(self, path: Path, settings: Settings, team: Team = SINGLE_PROCESS) -> None:
        """Load what `save` wrote, in place. Only the first process of a team needs the file.

        A checkpoint from elsewhere can run no code: only tensors and plain values are read. Errors:
        `MissingError` if there is no checkpoint, `UsageError` if it belongs to other settings,
        `LanternaError` if the file is damaged.
        """
        names = {"network", "averaged", "optimiser", "step", "right", "rate", "numbers", "history"}
        state = team.run_on_first(lambda: read_state(path, settings, names))
        with restoring(path):
            self.network.load_state_dict(current_weights(state["network"]))
            if self.averaged is not self.network:
                self.averaged.load_state_dict(current_weights(state["averaged"]))
            load_optimiser(self.optimiser, state["optimiser"])
            self.step, self.rate, self.numbers = int(state["step"]), float(state["rate"]), state["numbers"]
            self.right.fill_(state["right"] if team.is_first else 0)  # a team adds up its counts
            self.history[:] = state["history"]
            self.earlier = float(self.numbers.pop(_SECONDS, 0.0))


def check_replaceable(path: Path) -> None:
    """Raise `UsageError` if there is something at `path` that is no checkpoint, which would be lost."""
    if path.is_file():
        with path.open("rb") as file:
            if file.read(4) == b"PK\3\4":  # a zip archive, as torch writes them
                return
    if path.exists():
        raise UsageError(f"{path} is not a checkpoint: choose another name for --checkpoint")


def write_state(path: Path, state: Mapping[str, object]) -> None:
    """Write tensors and plain values by name, atomically; `settings` are text in JSON.

    Errors: `LanternaError`, for example if the disk is full.
    """
    with atomic_write(path) as temporary:
        try:
            torch.save(dict(state), temporary)
        except RuntimeError as error:  # torch's writer does not say why: "unexpected pos 576 vs 534"
            raise OSError("is the disk full?") from error


def read_state(path: Path, settings: Settings, names: set[str]) -> dict[str, Any]:
    """Read what `write_state` wrote: the values of `names`, and the settings. It can run no code.

    Errors: `MissingError` if there is no checkpoint, `UsageError` if it belongs to other settings,
    `LanternaError` if the file is damaged or belongs to other work.
    """
    if not path.is_file():
        raise MissingError(f"nothing to resume at {path}: start without --resume")
    try:
        state = load_tensors(path)
    except Exception as error:  # torch raises anything for a file that is not its own
        raise LanternaError(f"{path} is damaged or no checkpoint: start again with --force") from error
    if not isinstance(state, dict) or set(state := current_state(state)) != {"settings", *names}:
        raise LanternaError(f"{path} is no checkpoint of this work: start again with --force")
    if _current(settings, state["settings"]) != settings.model_dump(mode="json"):
        raise UsageError(
            f"{path} was started with other settings: resume with those, or start again with --force"
        )
    return state


def _current(settings: Settings, saved: object) -> object:
    """Return saved settings by their current names, or None if they are none."""
    with contextlib.suppress(TypeError, ValueError, RecursionError):
        match json.loads(saved):  # type: ignore[arg-type]
            case dict(values):
                return current_settings(settings.verb, values)
    return None


def load_tensors(path: Path) -> Any:
    """Load what `torch.save` wrote. It can run no code, and fills no more memory than the file is long.

    Errors: `ValueError` for a file that would become larger in memory, and whatever torch raises.
    """
    with open_regular(path) as file:
        size = file.seek(0, os.SEEK_END)
        with zipfile.ZipFile(file) as archive:
            sizes = {each.filename: each.file_size for each in archive.infolist()}
            if sum(sizes.values()) > size:  # torch compresses nothing
                raise ValueError("a file that is compressed")
            pickles = [archive.read(name) for name in sizes if name.endswith("data.pkl")]
        if any(b"bytearray" in each for each in pickles):  # torch reads one of any length, but writes none
            raise ValueError("a file that torch does not write")
        file.seek(0)
        return torch.load(file, map_location="cpu", weights_only=True)


@contextlib.contextmanager
def restoring(path: Path | None) -> Iterator[None]:
    """Turn errors in the block, which restores a state from `path`, into a `LanternaError`."""
    try:
        yield
    except (LanternaError, MemoryError):
        raise
    except Exception as error:
        raise LanternaError(f"{path} does not fit its own settings: start again with --force") from error


def load_optimiser(optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """Load the state of an optimiser: its learning rate, and its moments of each parameter.

    Other hyperparameters stay those of the settings. Errors: `ValueError` if the shape of a moment differs
    from that of its parameter: torch does not check this, and its fused steps would write out of bounds.
    """
    before = [dict(group) for group in optimiser.param_groups]
    optimiser.load_state_dict(state)
    for group, own in zip(optimiser.param_groups, before, strict=True):
        group.update({**own, "params": group["params"], "lr": float(group["lr"])})
    for parameter, moments in optimiser.state.items():
        tensors = [each for each in moments.values() if isinstance(each, torch.Tensor)]
        if any(each.ndim and each.shape != parameter.shape for each in tensors):
            raise ValueError("an optimiser's state of another shape")


def step_generator(seed: int, step: int) -> torch.Generator:
    """Return the random numbers of one step, so that a resumed run draws those of an uninterrupted one."""
    return torch.Generator().manual_seed((seed * 1_000_003 + step) % 2**63)


class Resumable(Protocol):
    """Work whose whole state can be saved and restored."""

    def state(self) -> dict[str, object]:
        """Return everything that a checkpoint stores, by name."""

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from what `state` returned."""


class Trainable(Resumable, Protocol[Shown]):
    """Training in `steps`, of which `step` are done."""

    step: int
    steps: int

    def advance(self) -> None:
        """Train for one step."""

    def frame(self, steps_a_second: float) -> Shown:
        """Return the state to show; `steps_a_second` is 0 if no step has been taken yet."""


def resumed(
    frames: Generator[Yielded, Sent, None], path: Path | None
) -> Generator[Yielded, Sent | None, None]:
    """Yield the frames of work that was resumed from a checkpoint.

    A checkpoint from elsewhere may have the right names but invalid values. They show in the first step at
    the latest, so errors until then are converted as in `restoring`.
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
    """Saves the state of work on pictures to `path`, or nowhere if it is None.

    Work is only resumed with the same `pictures`. `every` is the time between two checkpoints in seconds,
    `Checkpointer.every` if None; the studio sets less, so that a person can go back in small steps.

    Errors: those of `check_replaceable`.
    """

    every: ClassVar[float] = 10.0

    def __init__(
        self,
        path: Path | None,
        settings: Settings,
        pictures: Sequence[torch.Tensor | None],
        every: float | None = None,
    ) -> None:
        if path:
            check_replaceable(path)
        self.path = path
        self.seconds = self.every if every is None else every
        self._settings = settings
        self._digest = _digest(pictures) if path else ""
        self._next = time.monotonic() + self.seconds

    def frames_of(
        self, work: Resumable, frames: Generator[Yielded, Any, None], *, resume: bool
    ) -> Generator[Yielded, Any, None]:
        """Return the frames of work, which is first restored from the checkpoint if it is to `resume`.

        Errors: as `read`; `LanternaError` if the state does not fit the work.
        """
        if not (self.path and resume):
            return frames
        state = self.read(set(work.state()))
        with restoring(self.path):
            work.restore(state)
        return resumed(frames, self.path)

    def train(self, training: Trainable[Yielded], *, resume: bool) -> Generator[Yielded, Any, None]:
        """Train, yielding a frame every second or two and after the last step.

        The state is saved now and then, and when the generator is closed early; `resume` continues from it,
        with a first frame at the step it had reached. Errors: as `frames_of`.
        """
        return self.frames_of(training, self._train(training), resume=resume)

    def _train(self, training: Trainable[Yielded]) -> Generator[Yielded, Any, None]:
        reuse_memory()  # each step allocates and frees the same large blocks
        begun, first, due = time.perf_counter(), training.step, 0.0
        try:
            if training.step:
                yield training.frame(0.0)
            while training.step < training.steps:
                training.advance()
                now = time.perf_counter()
                if now < due and training.step < training.steps:
                    continue
                frame = training.frame((training.step - first) / (now - begun))
                pause = max(_FRAME_SECONDS, _FRAME_SHARE * (time.perf_counter() - now))
                yield frame
                due = time.perf_counter() + pause
                self.maybe_save(training.state())
        finally:
            self.write(training.state())

    def write(self, state: Mapping[str, object]) -> None:
        """Write the state, by name."""
        if self.path:
            start = time.monotonic()
            settings = self._settings.model_dump_json()
            write_state(self.path, {"settings": settings, "begun_with": self._digest, **state})
            end = time.monotonic()
            self._next = end + max(self.seconds, _INTERVAL * (end - start))

    def maybe_save(self, state: Mapping[str, object]) -> None:
        """Write the state if the time for the next checkpoint has come."""
        if time.monotonic() > self._next:
            self.write(state)

    def read(self, names: set[str]) -> dict[str, Any]:
        """Read the state that was written.

        Errors: as `read_state`; `UsageError` if it was started with other pictures.
        """
        assert self.path is not None
        state = read_state(self.path, self._settings, {"begun_with", *names})
        if state["begun_with"] != self._digest:
            raise UsageError(
                f"{self.path} was started with another picture: resume with that, or start again with --force"
            )
        return {name: state[name] for name in names}


def _digest(pictures: Sequence[torch.Tensor | None]) -> str:
    digest = hashlib.sha256()
    for picture in pictures:
        digest.update(f"{None if picture is None else tuple(picture.shape)}\n".encode())
        if picture is not None:
            digest.update(picture.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
