"""Which device computes, and in which precision."""

from __future__ import annotations

import ctypes
import inspect
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from lanterna import settings
from lanterna.errors import LanternaError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_log = logging.getLogger(__name__)


def choose_device(name: str = "auto") -> torch.device:
    """The device of that name, or the best one here for `auto`: CUDA, then Apple's MPS, then the CPU.

    Errors: `UsageError` where the name is unknown or this machine has no such device.
    """
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, available in here.items() if available))
    if name not in here:
        raise UsageError(f"no device is called {name!r}: choose auto, cpu, cuda or mps")
    if not here[name]:
        raise UsageError(f"this machine has no {name} device: use --device auto or --device cpu")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """A device in a few words, with the precision of quick work: cpu (2 threads, bfloat16)."""
    what = f"{torch.get_num_threads()} threads" if device.type == "cpu" else ""
    if device.type == "cuda":
        what = torch.cuda.get_device_name(device)
    parts = [what, str(fast_dtype(device)).removeprefix("torch.")]
    return f"{device.type} ({', '.join(filter(None, parts))})"


def free_memory(device: torch.device) -> int | None:
    """How many bytes are free for more work, or None where that cannot be asked."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device has no memory left. On the CPU and on MPS only its words say it."""
    words = ("DefaultCPUAllocator", "MPS backend out of memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and any(each in str(error) for each in words)
    )


def fit_tiles(work: Callable[[int], T], tile: int, longest: int, least: int = 256) -> tuple[T, int]:
    """What `work(tile)` gives, and the tile that it fitted into the memory with; a smaller one is told.

    `tile` is the side of the tiles, in pixels, in which work looks at a picture whose longer side is
    `longest`. Each time memory runs out it is halved, down to `least`, and the work is done again.
    Errors: `LanternaError` where the least tiles do not fit either.
    """
    while True:
        try:
            return work(tile), tile
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Here the error is gone, and with it what its traceback held.
        if tile <= least:
            raise LanternaError(
                f"there is not enough memory, even in tiles of {least} pixels: a smaller --size"
            )
        tile = max(least, min(tile, longest) // 2 // 32 * 32)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        _log.warning("not enough memory: from here on in tiles of %d pixels", tile)


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it natively, else float32.

    On a CPU without bfloat16 instructions the format is emulated and many times slower than float32, so
    the processor is asked for them by name. `LANTERNA_PRECISION=float32` switches it off.
    """
    if settings.precision() == "float32":
        return torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == "cpu":
        able = torch.cpu.get_capabilities()
        if able.get("avx512_bf16") or able.get("amx_bf16") or able.get("bf16"):
            return torch.bfloat16
    return torch.float32


def reuse_memory() -> None:
    """Keep what large tensors free for the next ones, on Linux; call it before long work on the CPU.

    glibc gives large blocks back to the system and takes them again at every step of a training, and the
    system clears each page anew: a quarter of the time of short steps, two fifths of a step over a million
    pixels. What it costs is a fifth more memory at the peak, kept until the process ends. Other C libraries
    have no such switch.
    """
    if sys.platform == "linux":
        trim_threshold, mmap_max = -1, -4  # mallopt's numbers of M_TRIM_THRESHOLD and M_MMAP_MAX
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(mmap_max, 0)  # no block has pages of its own, which are given back with it
            set_option(trim_threshold, 2**31 - 1)  # the most it takes


def without_dynamo(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """One of torch's optimisers with no word to torch's compiler, whose import takes most of a second.

    The methods are torch's own, but for what is wrapped around them in case they are to be compiled.
    """
    methods = {
        name: inspect.unwrap(getattr(kind, name))
        for name in ("step", "zero_grad", "add_param_group", "state_dict", "load_state_dict")
    }
    return type(kind.__name__, (kind,), {**methods, "step": torch.no_grad()(methods["step"])})
