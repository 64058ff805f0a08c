"""Data-parallel training: several processes share each batch and reach the same result as one process.

All processes start with the same weights, draw the same random numbers for the full batch and use their shard
of it. Gradients are averaged over all processes before each step (torch's DistributedDataParallel; Li et al.
2020, "PyTorch Distributed"), so that the weights stay identical. Everything else that depends on the batch is
computed for the full batch: the statistics of batch normalisation and the masks of dropout. Only the first
process shows progress and writes files.

torchrun starts the processes and sets RANK, WORLD_SIZE and other variables, which `join` reads.
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
RESTARTS = 3  # how often all processes are restarted after one of them died
_ERRORS = {kind.__name__: kind for kind in LanternaError.__subclasses__()}


class Processes(BaseModel):
    """Options for training in several processes."""

    model_config = ConfigDict(frozen=True)

    devices: int = Field(default=1, ge=1, description="How many devices (or CPU processes) to train on.")
    nodes: int = Field(default=1, ge=1, description="How many machines to train on; run the command on each.")
    node_rank: int = Field(
        default=0, ge=0, description="This machine's number; 0 is the first, which saves the result."
    )
    address: str | None = Field(default=None, description="The first machine's address, as HOST:PORT.")


@dataclass
class Team:
    """This process's place among those that train together. By default it is alone, and the methods
    change nothing.

    `rank` is this process's number, from 0, and `restarts` how often torchrun has restarted the processes.
    """

    rank: int = 0
    size: int = 1
    restarts: int = 0
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    batch: int = 0  # size of this step's full batch

    @property
    def is_first(self) -> bool:
        """Whether this is the process that shows progress and writes files."""
        return self.rank == 0

    def shard(self, count: int) -> slice:
        """Return this process's slice of a batch of `count` examples; it is empty if there are too few."""
        if self.size > 1:
            self.batch = count
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def distribute(self, network: Network) -> nn.Module:
        """Wrap the network for training, so that its gradients are averaged over all processes."""
        if self.size == 1:
            return network
        for name, layer in network.layers.items():
            if isinstance(layer, nn.BatchNorm2d):
                layer.__class__ = GlobalBatchNorm2d  # keeps its weights and statistics
            elif isinstance(layer, nn.Dropout):
                network.layers[name] = GlobalDropout(layer.p, self)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch renamed the option after 2.9
            # Buffers need no broadcast: every process computes the same statistics, over the full batch.
            return nn.parallel.DistributedDataParallel(network, broadcast_buffers=False)

    def frame_is_due(self, step: int, seconds: float, every: float) -> bool:
        """Return whether to yield a frame, `seconds` after the last one. All processes agree on the answer.

        A single process goes by the clock. The clocks of several processes differ, so these count steps.
        """
        return seconds > every if self.size == 1 else step % STEPS_BETWEEN_FRAMES == 0

    def reduce_to_first(self, *sums: Tensor) -> None:
        """Add up all processes' sums in the first one, in place, and reset the others to zero."""
        if self.size > 1:
            for total in sums:
                dist.all_reduce(total)
                if not self.is_first:
                    total.zero_()

    def run_on_first(self, work: Callable[[], T]) -> T:
        """Call `work` in the first process only, and return its result, or raise its error, in all of them.

        The result must consist of tensors and plain values, because received data must not run code.
        """
        if self.size == 1:
            return work()
        outcome: dict[str, Any] = {}
        if self.is_first:
            try:
                outcome = {"value": work()}
            except LanternaError as error:
                outcome = {"error": type(error).__name__, "message": str(error)}
        outcome = self._broadcast(outcome)
        if "error" in outcome:
            raise _ERRORS.get(outcome["error"], LanternaError)(outcome["message"])
        value: T = outcome["value"]
        return value

    def _broadcast(self, outcome: dict[str, Any]) -> dict[str, Any]:
        file = io.BytesIO()
        torch.save(outcome, file)
        content = torch.frombuffer(file.getbuffer(), dtype=torch.uint8).to(self.device)
        length = torch.tensor(len(content), device=self.device)
        dist.broadcast(length, 0)
        if not self.is_first:
            content = torch.empty(int(length), dtype=torch.uint8, device=self.device)
        dist.broadcast(content, 0)
        file = io.BytesIO(content.cpu().numpy().tobytes())
        received: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        return received


SINGLE_PROCESS = Team()


def launched_by_torchrun() -> bool:
    """Return whether torchrun started this process."""
    return "TORCHELASTIC_RUN_ID" in os.environ


def join(device: torch.device) -> Team:
    """Join the process group that torchrun started, to train on `device`: with gloo, or NCCL on CUDA.

    Errors: `UsageError` if the device supports no process groups.
    """
    rank, size, restarts, local_rank = (
        int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "TORCHELASTIC_RESTART_COUNT", "LOCAL_RANK")
    )
    if device.type not in ("cpu", "cuda"):
        raise UsageError(
            f"several processes can train on cpu or cuda, not on {device.type}: use --device cpu"
        )
    if device.type == "cuda":
        torch.cuda.set_device(local_rank)
        device = torch.device("cuda", local_rank)
    # torchrun's store survives a restart, so the prefix keeps stale entries of earlier processes apart.
    tcp_store = dist.TCPStore(  # type: ignore[attr-defined]
        os.environ["MASTER_ADDR"],
        int(os.environ["MASTER_PORT"]),
        is_master=os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True" and rank == 0,
        multi_tenant=True,
    )
    dist.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        store=dist.PrefixStore(f"lanterna/{restarts}", tcp_store),  # type: ignore[attr-defined]
        rank=rank,
        world_size=size,
        device_id=device if device.type == "cuda" else None,
    )
    return Team(rank, size, restarts, device)


def leave() -> None:
    """Leave the process group, after training."""
    if dist.is_initialized():
        dist.destroy_process_group()


class GlobalBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the statistics of the full batch instead of this process's shard.

    torch's SyncBatchNorm supports GPUs only. This one all-reduces the sums behind mean and variance in the
    forward pass, and their gradients in the backward pass. In evaluation mode it is an ordinary BatchNorm2d.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `(N, C, H, W)`; N is the size of this process's shard and may be 0."""
        if not self.training:
            return super().forward(x)
        wide = x.to(torch.promote_types(x.dtype, torch.float32))
        count = wide.new_tensor([x.numel() / x.shape[1]])
        sums = torch.cat([wide.sum((0, 2, 3)), wide.square().sum((0, 2, 3)), count])
        reduced: Tensor = _AllReduceSum.apply(sums)  # type: ignore[no-untyped-call]
        total, squares, count = reduced.tensor_split([x.shape[1], 2 * x.shape[1]])
        mean = total / count
        variance = (squares / count - mean.square()).clamp_min(0)
        with torch.no_grad():  # update the running statistics as torch does
            self.get_buffer("running_mean").lerp_(mean, self.momentum or 0.0)
            self.get_buffer("running_var").lerp_(variance * (count / (count - 1)), self.momentum or 0.0)
            self.get_buffer("num_batches_tracked").add_(1)
        scale = (variance + self.eps).rsqrt() * self.weight
        offset = self.bias - mean * scale
        return (wide * scale.view(1, -1, 1, 1) + offset.view(1, -1, 1, 1)).to(x.dtype)


class _AllReduceSum(torch.autograd.Function):
    """Sum over all processes. Every process uses the sums, so the backward pass sums the gradients too."""

    @staticmethod
    def forward(_: Any, numbers: Tensor) -> Tensor:
        total = numbers.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return _AllReduceSum.forward(_, gradient)


class GlobalDropout(nn.Dropout):
    """Dropout that draws the mask for the full batch, as one process would, and uses this process's shard."""

    def __init__(self, p: float, team: Team) -> None:
        super().__init__(p)
        self._team = team

    def forward(self, x: Tensor) -> Tensor:
        """Apply dropout to `(N, …)`."""
        if not self.training:
            return x
        mask = x.new_empty(self._team.batch, *x.shape[1:]).bernoulli_(1 - self.p)
        return x * mask[self._team.shard(len(mask))] / (1 - self.p)
