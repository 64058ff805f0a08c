"""Launch distributed training with torchrun's agent, which restarts all processes if one is lost.

`techniques/train/parallel.py` is what each process runs.
"""

from __future__ import annotations

import contextlib
import logging
import multiprocessing
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import torch

from lanterna.errors import LanternaError, UsageError
from lanterna.files import working_folder
from lanterna.techniques.train.parallel import RESTARTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lanterna.techniques.train.parallel import Processes

_STOPPED = 130  # the exit code after Ctrl-C
_TIMEOUT = 300  # seconds that machines wait for one another


def launch(
    work: Callable[[], int],
    device: torch.device,
    processes: Processes,
) -> int:
    """Run `work()` in all processes, and return its exit code.

    `work` must be picklable. If a process is lost, all are restarted, up to three times.

    Errors: `UsageError` if there are fewer devices, or the machines' options are wrong; what `work` raises in
    the first process; `LanternaError` if processes are lost too often, or machines cannot connect.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    _check(device, processes)
    try:
        with (
            _environment(processes.devices, alone=processes.nodes == 1),
            working_folder("lanterna-logs-") as logs,
            _rendezvous(processes.address) as endpoint,
        ):
            config = LaunchConfig(
                min_nodes=processes.nodes,
                max_nodes=processes.nodes,
                nproc_per_node=processes.devices,
                run_id="lanterna",
                rdzv_backend="static",
                rdzv_endpoint=endpoint,
                rdzv_configs={"rank": processes.node_rank, "timeout": _TIMEOUT},
                start_method=_start_method(),
                max_restarts=RESTARTS,
                logs_specs=DefaultLogsSpecs(log_dir=str(logs)),
            )
            results: dict[int, int | LanternaError] = elastic_launch(config, _member)(work)
    except SignalException as stopped:
        return 128 + stopped.sigval
    except ChildFailedError as error:
        _, failure = error.get_first_failure()
        raise LanternaError(
            f"a process was lost ({_describe_exit(failure.exitcode)}), and {RESTARTS} restarts did not help: "
            "--resume continues from the checkpoint (LANTERNA_DEBUG=1 shows more)"
        ) from error
    except (torch.distributed.DistError, TimeoutError) as error:
        raise LanternaError(
            f"the machines could not connect at {processes.address}: "
            "is the first one running, and can the others reach its port?"
        ) from error
    result = results[min(results)]
    if isinstance(result, LanternaError):
        raise result
    return result


def _start_method() -> str:
    """Return how processes start: on Linux forked from a server that has imported torch for all of them."""
    if sys.platform != "linux":
        return "spawn"
    multiprocessing.set_forkserver_preload([__name__, "torch._dynamo"])  # DistributedDataParallel imports it
    return "forkserver"


def cores() -> int:
    """Return the number of processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _check(device: torch.device, processes: Processes) -> None:
    devices, nodes = processes.devices, processes.nodes
    node_rank, address = processes.node_rank, processes.address
    available = {"cpu": cores(), "cuda": torch.cuda.device_count()}.get(device.type, 1)
    if devices > available:
        kind = "cores" if device.type == "cpu" else f"{device.type} devices"
        raise UsageError(f"--devices {devices} is more than the {available} {kind} of this machine")
    if nodes == 1:
        if address or node_rank:
            raise UsageError("--address and --node-rank are for several machines: give --nodes too")
        return
    host, _, port = (address or "").rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise UsageError(
            f"--nodes {nodes} needs --address HOST:PORT of the first machine, got {address or 'none'}"
        )
    if node_rank >= nodes:
        raise UsageError(f"--node-rank: expected 0 to {nodes - 1} with --nodes {nodes}, got {node_rank}")


def _member(work: Callable[[], int]) -> int | LanternaError:
    """Run the work in one process. A LanternaError is returned: a restart would not help."""
    if hasattr(os, "setpgid"):
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)  # Ctrl-C comes only from the agent, not from the terminal too
    try:
        code = work()
    except LanternaError as error:
        return error
    if code == _STOPPED:
        raise KeyboardInterrupt  # a process that returns waits until the agent has read its result
    return code


@contextlib.contextmanager
def _environment(devices: int, *, alone: bool) -> Iterator[None]:
    """Set the processes' environment: shares of the cores; on a single machine only the loopback network."""
    variables = {"OMP_NUM_THREADS": str(max(1, cores() // devices))}
    loopback = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    if alone and loopback:
        variables |= {"GLOO_SOCKET_IFNAME": loopback[0], "NCCL_SOCKET_IFNAME": loopback[0]}
    added = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(added)
    if not os.environ.get("LANTERNA_DEBUG"):
        logging.disable(logging.CRITICAL)  # the agent's log; the first process reports what happens
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
        for name in added:
            del os.environ[name]


@contextlib.contextmanager
def _rendezvous(address: str | None) -> Iterator[str]:
    """Yield the endpoint where processes find each other: `address`, or one on this machine only.

    torchrun's agent would listen on all of the machine's networks. It reuses a store that already listens on
    the same port, so this starts one that is bound to the loopback address.
    """
    if address:
        yield address
        return
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    store = torch.distributed.TCPStore(  # type: ignore[attr-defined]
        "127.0.0.1", port, is_master=True, wait_for_workers=False, multi_tenant=True,
        master_listen_fd=listener.detach(),
    )  # fmt: skip
    yield f"127.0.0.1:{port}"
    del store


def _describe_exit(code: Any) -> str:  # noqa: ANN401
    return f"signal {-code}" if isinstance(code, int) and code < 0 else f"exit code {code}"
