"""Starting the processes that train together, with torchrun's agent, which starts them anew when one is lost.

What each of them does then is `techniques/train/parallel.py`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from typing import TYPE_CHECKING, Any

import torch

from lanterna.errors import LanternaError, UsageError
from lanterna.files import working_folder
from lanterna.techniques.train.parallel import RESTARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lanterna.techniques.train.parallel import Processes

_PATIENCE = 300  # seconds that machines wait for one another


def launch(
    work: Callable[[], int],
    device: torch.device,
    wanted: Processes,
) -> int:
    """Let so many processes on each of so many machines do `work()`; give the exit code, which it returns.

    Work can be pickled. When a process is lost all are started anew, up to three times.

    Errors: `UsageError` where there are fewer devices, or the machines are told wrongly; what `work` raises
    in the first process; `LanternaError` where processes are lost again and again, or machines do not meet.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    _check(device, wanted)
    try:
        with (
            _surroundings(wanted.devices, alone=wanted.nodes == 1),
            working_folder("lanterna-logs-") as logs,
            _meeting_place(wanted.address) as place,
        ):
            config = LaunchConfig(
                min_nodes=wanted.nodes,
                max_nodes=wanted.nodes,
                nproc_per_node=wanted.devices,
                run_id="lanterna",
                rdzv_backend="static",
                rdzv_endpoint=place,
                rdzv_configs={"rank": wanted.node_rank, "timeout": _PATIENCE},
                max_restarts=RESTARTS,
                logs_specs=DefaultLogsSpecs(log_dir=str(logs)),
            )
            outcomes: dict[int, int | LanternaError] = elastic_launch(config, _member)(work)
    except SignalException as stopped:
        return 128 + stopped.sigval
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        raise LanternaError(
            f"a process was lost ({_how(failure.exitcode)}), and {RESTARTS} restarts did not help: what was "
            "learned is kept, --resume goes on (LANTERNA_DEBUG=1 shows more)"
        ) from error
    except (torch.distributed.DistError, TimeoutError) as error:
        raise LanternaError(
            f"the machines did not meet at {wanted.address}: "
            "is the first running, and may others reach its port?"
        ) from error
    outcome = outcomes[min(outcomes)]
    if isinstance(outcome, LanternaError):
        raise outcome
    return outcome


def cores() -> int:
    """How many processor cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _check(device: torch.device, wanted: Processes) -> None:
    devices, nodes, node_rank, address = wanted.devices, wanted.nodes, wanted.node_rank, wanted.address
    here = {"cpu": cores(), "cuda": torch.cuda.device_count()}.get(device.type, 1)
    if devices > here:
        what = "cores" if device.type == "cpu" else f"{device.type} devices"
        raise UsageError(f"--devices {devices} is more than the {here} {what} of this machine")
    if nodes == 1:
        if address or node_rank:
            raise UsageError("--address and --node-rank are for several machines: give --nodes too")
        return
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(
            f"--nodes {nodes} wants --address HOST:PORT, where the first machine is, got {address or 'none'}"
        )
    if node_rank >= nodes:
        raise UsageError(f"--node-rank counts the {nodes} machines from 0 to {nodes - 1}, got {node_rank}")


def _member(work: Callable[[], int]) -> int | LanternaError:
    """What each process does. An error of the person's is an outcome: to start anew would not help."""
    if hasattr(os, "setpgid"):
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)  # Ctrl-C comes from the agent alone, not from the terminal as well
    try:
        return work()
    except LanternaError as error:
        return error


@contextlib.contextmanager
def _surroundings(devices: int, *, alone: bool) -> Iterator[None]:
    """What the processes find: cores shared out, and on a single machine no way out to the network."""
    found = {"OMP_NUM_THREADS": str(max(1, cores() // devices))}
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if alone and loopback:
        found |= {"GLOO_SOCKET_IFNAME": loopback[0], "NCCL_SOCKET_IFNAME": loopback[0]}
    added = {name: value for name, value in found.items() if name not in os.environ}
    os.environ.update(added)
    if not os.environ.get("LANTERNA_DEBUG"):
        logging.disable(logging.CRITICAL)  # the agent's log; what happens is told by the first process
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        for name in added:
            del os.environ[name]


@contextlib.contextmanager
def _meeting_place(address: str | None) -> Iterator[str]:
    """Where processes tell each other where they are: `address`, or a place on this machine alone.

    torchrun's agent would listen on every network that the machine is on. It takes up a store that listens at
    the same port already, so that one bound to the machine itself is begun here.
    """
    if address:
        yield address
        return
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    store = torch.distributed.TCPStore(  # type: ignore[attr-defined]
        "127.0.0.1", port, is_master=True, wait_for_workers=False, multi_tenant=True,
        master_listen_fd=listening.detach(),
    )  # fmt: skip
    yield f"127.0.0.1:{port}"
    del store


def _how(code: Any) -> str:  # noqa: ANN401
    return f"signal {-code}" if isinstance(code, int) and code < 0 else f"exit code {code}"
