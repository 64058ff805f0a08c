"""Training in several processes at once, with the result of one: each process takes its part of every batch.

All processes begin with the same weights, draw the same random numbers for the whole batch, and keep the part
that is theirs. Gradients are averaged over all of them before each step (torch's DistributedDataParallel; Li
et al. 2020, "PyTorch Distributed"), so that the weights stay the same everywhere. What else depends on the
whole batch is made to see the whole batch: the statistics of batch normalisation, and the units that dropout
leaves out. The first process alone shows progress and writes files.

torchrun starts the processes and tells each who it is by RANK, WORLD_SIZE and the like: `join` reads them.
"""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import torch
import torch.distributed as dist
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from lanterna.errors import LanternaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from lanterna.networks.network import Network

T = TypeVar("T")

STEPS_BETWEEN_FRAMES = 10
RESTARTS = 3  # how often processes are started anew when one is lost
_ERRORS = {kind.__name__: kind for kind in LanternaError.__subclasses__()}


class Processes(BaseModel):
    """How many processes are to train together, and where they meet."""

    model_config = ConfigDict(frozen=True)

    devices: int = Field(default=1, ge=1, description="Train on so many devices (or CPU processes) at once.")
    nodes: int = Field(default=1, ge=1, description="And on so many machines: give the command on each.")
    node_rank: int = Field(
        default=0, ge=0, description="Which machine this is; 0 is the first, which keeps all."
    )
    address: str | None = Field(default=None, description="Where the machines meet: HOST:PORT of the first.")


@dataclass
class Team:
    """The processes that train together; the usual one is a team of one, for which all of this is nothing.

    `rank` counts them from 0, and `restarts` how often torchrun had to start them anew.
    """

    rank: int = 0
    size: int = 1
    restarts: int = 0
    place: torch.device = field(default_factory=lambda: torch.device("cpu"))
    batch: int = 0  # examples in the whole batch of this step

    @property
    def is_first(self) -> bool:
        """Whether this is the process that shows progress and writes files."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """Which of the `count` examples of a batch are this process's: none, where there are too few."""
        if self.size > 1:
            self.batch = count
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def distribute(self, network: Network) -> nn.Module:
        """The network as it is called while it learns: its gradients are then averaged over all processes."""
        if self.size == 1:
            return network
        for name, layer in network.layers.items():
            if isinstance(layer, nn.BatchNorm2d):
                layer.__class__ = WholeBatchNorm2d  # its weights and statistics stay its own
            elif isinstance(layer, nn.Dropout):
                network.layers[name] = WholeDropout(layer.p, self)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the option's next name came after torch 2.9
            # Its buffers need no broadcast: every process works out the same statistics of the whole batch.
            return nn.parallel.DistributedDataParallel(network, broadcast_buffers=False)

    def frame_is_due(self, step: int, seconds: float, every: float) -> bool:
        """Whether to show how far it has come, `seconds` after the last frame: every process says the same.

        One process goes by the clock. Several clocks differ, so that several processes go by their steps.
        """
        return seconds > every if self.size == 1 else step % STEPS_BETWEEN_FRAMES == 0

    def reduce_to_first(self, *sums: Tensor) -> None:
        """Bring sums that each process made of its own part together in the first; the others begin anew."""
        if self.size > 1:
            for each in sums:
                dist.all_reduce(each)
                if not self.is_first:
                    each.zero_()

    def run_on_first(self, work: Callable[[], T]) -> T:
        """What the first process alone does or is asked; all get what it gives, or its error.

        That has to be made of tensors and plain values: what arrives can run no code.
        """
        if self.size == 1:
            return work()
        box: dict[str, Any] = {}
        if self.is_first:
            try:
                box = {"value": work()}
            except LanternaError as error:
                box = {"kind": type(error).__name__, "words": str(error)}
        box = self._told(box)
        if "kind" in box:
            raise _ERRORS.get(box["kind"], LanternaError)(box["words"])
        value: T = box["value"]
        return value

    def _told(self, box: dict[str, Any]) -> dict[str, Any]:
        file = io.BytesIO()
        torch.save(box, file)
        content = torch.frombuffer(file.getbuffer(), dtype=torch.uint8).to(self.place)
        length = torch.tensor(len(content), device=self.place)
        dist.broadcast(length, 0)
        if not self.is_first:
            content = torch.empty(int(length), dtype=torch.uint8, device=self.place)
        dist.broadcast(content, 0)
        file = io.BytesIO(content.cpu().numpy().tobytes())
        told: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return told


SINGLE_PROCESS = Team()


def launched_by_torchrun() -> bool:
    """Whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def join(device: torch.device) -> Team:
    """Meet the processes that torchrun started beside this one, to train on `device`: gloo, or NCCL on CUDA.

    Errors: `UsageError` on a device that cannot take part.
    """
    rank, size, restarts, here = (
        int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT", "LOCAL_RANK")
    )
    if device.type not in ("cpu", "cuda"):
        raise UsageError(f"several processes can train on cpu or cuda, not on {device.type}: --device cpu")
    if device.type == "cuda":
        torch.cuda.set_device(here)
        device = torch.device("cuda", here)
    # The store at torchrun's end outlives a restart: what the processes before told each other is stale.
    met = dist.TCPStore(  # type: ignore[attr-defined]
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and rank == 0,
        multi_tenant=True,
    )
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=dist.PrefixStore(f"lanterna/{restarts}", met),  # type: ignore[attr-defined]
        rank=rank,
        world_size=size,
        device_id=device if device.type == "cuda" else None,
    )
    return Team(rank, size, restarts, device)


def leave() -> None:
    """Part from the others, at the end."""
    if dist.is_initialized():
        dist.destroy_process_group()


class WholeBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation whose statistics are those of the whole batch, not of this process's part of it.

    torch's own SyncBatchNorm is for graphics cards alone. This one is plain: the sums that mean and variance
    are made of are added up over all processes, and so are their gradients on the way back. At rest it is as
    any other.
    """

    def forward(self, x: Tensor) -> Tensor:
        """`(N, C, H, W)` in and out, N the examples of this process, which may be none."""
        if not self.training:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        count = wide.new_tensor([x.numel() / x.shape[1]])
        sums = torch.cat([wide.sum((0, 2, 3)), wide.square().sum((0, 2, 3)), count])
        added: Tensor = _AddedUp.apply(sums)  # type: ignore[no-untyped-call]
        total, squares, count = added.tensor_split([x.shape[1], 2 * x.shape[1]])
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        with torch.no_grad():  # the running statistics move as torch moves them
            self.get_buffer("running_mean").lerp_(mean, self.momentum or 0.0)
            self.get_buffer("running_var").lerp_(variance * (count / (count - 1)), self.momentum or 0.0)
            self.get_buffer("num_batches_tracked").add_(1)
        scale = (variance + self.eps).rsqrt() * self.weight
        offset = self.bias - mean * scale
        return (wide * scale.view(1, -1, 1, 1) + offset.view(1, -1, 1, 1)).to(x.dtype)


class _AddedUp(torch.autograd.Function):
    """Numbers added up over all processes. Each sum is of use to all, so their gradients are added up too."""

    @staticmethod
    def forward(_: Any, numbers: Tensor) -> Tensor:
        added = numbers.clone()
        dist.all_reduce(added)
        return added

    @staticmethod
    def backward(_: Any, slope: Tensor) -> Tensor:
        return _AddedUp.forward(_, slope)


class WholeDropout(nn.Dropout):
    """Dropout that draws for the whole batch, as one process would, and keeps what is this process's."""

    def __init__(self, p: float, team: Team) -> None:
        super().__init__(p)
        self._team = team

    def forward(self, x: Tensor) -> Tensor:
        """`(N, …)` in and out."""
        if not self.training:
            return x
        kept = x.new_empty(self._team.batch, *x.shape[1:]).bernoulli_(1 - self.p)
        return x * kept[self._team.shard(len(kept))] / (1 - self.p)
