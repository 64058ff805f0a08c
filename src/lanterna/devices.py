"""The device that computes, its precision and its memory."""

from __future__ import annotations

import ctypes
import inspect
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import torch

from lanterna import settings
from lanterna.errors import LanternaError, UsageError, is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
_log = logging.getLogger(__name__)


def choose_device(name: str = "auto") -> torch.device:
    """Return the named device, or for `auto` the best available: CUDA, then Apple's MPS, then the CPU.

    Errors: `UsageError` if the name is unknown or this machine has no such device.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, present in available.items() if present))
    if name not in available:
        raise UsageError(f"no device is called {name!r}: choose auto, cpu, cuda or mps")
    if not available[name]:
        raise UsageError(f"this machine has no {name} device: use --device auto or --device cpu")
    return torch.device(name)


def describe_device(device: torch.device) -> str:
    """Describe a device, for example `cpu (2 threads)`."""
    threads = torch.get_num_threads()
    hardware = f"{threads} thread{'s' * (threads > 1)}" if device.type == "cpu" else ""
    if device.type == "cuda":
        hardware = torch.cuda.get_device_name(device)
    return f"{device.type} ({hardware})" if hardware else device.type


def free_memory(device: torch.device) -> int | None:
    """Return the bytes of free memory, or None if the system does not report it."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), None)


def fit_tiles(work: Callable[[int], T], tile: int, longest: int, min_tile: int = 256) -> tuple[T, int]:
    """Run `work(tile)` with the largest tiles that fit into memory; return its result and the tile.

    `tile` is the side, in pixels, of the tiles into which `work` divides a picture whose longer side is
    `longest`. Each time memory runs out it is halved, down to `min_tile`, with a warning, and `work` runs
    again. Errors: `LanternaError` if the smallest tiles do not fit either.
    """
    while True:
        try:
            return work(tile), tile
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        # Outside the except block the error is gone, and with it the tensors that its traceback referenced.
        if tile <= min_tile:
            raise LanternaError(
                f"there is not enough memory, even for tiles of {min_tile} pixels: use a smaller --size"
            )
        tile = max(min_tile, min(tile, longest) // 2 // 32 * 32)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        _log.warning("not enough memory: continuing in tiles of %d pixels", tile)


def fast_dtype(device: torch.device) -> torch.dtype:
    """Return bfloat16 if the hardware multiplies it faster than float32, else float32.

    On a CPU without bfloat16 instructions the format is emulated and many times slower than float32, so
    the CPU's capabilities are checked. Intel's AVX-512 alone is not enough: it multiplies pairs at half the
    rate, and a convolution takes 1.7 times as long as in float32 (Xeon of 2023 with AMX switched off).
    `LANTERNA_PRECISION=float32` disables bfloat16.
    """
    if settings.precision() == "float32":
        return torch.float32
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == "cpu":
        supported = torch.cpu.get_capabilities()
        intel = str(supported.get("cpu_name", "")).startswith("Intel")
        avx = supported.get("avx512_bf16") and not intel
        if avx or supported.get("amx_bf16") or supported.get("bf16"):
            return torch.bfloat16
    return torch.float32


def reuse_memory() -> None:
    """Let the allocator reuse the memory of freed tensors, on Linux; call it before long work on the CPU.

    By default glibc returns large blocks to the system and requests them again at every training step, and
    the system clears each page again: a quarter of the time of short steps, two fifths of a step over a
    million pixels. The cost is a fifth more peak memory, held until the process ends. Other C libraries have
    no such option.
    """
    if sys.platform == "linux":
        trim_threshold, mmap_max = -1, -4  # M_TRIM_THRESHOLD and M_MMAP_MAX in malloc.h
        set_option = getattr(ctypes.CDLL(None), "mallopt", None)
        if set_option is not None:
            set_option(mmap_max, 0)  # no block is mapped separately, to be unmapped when it is freed
            set_option(trim_threshold, 2**31 - 1)  # the maximum


def without_dynamo(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """Return one of torch's optimisers without its wrappers for torch's compiler.

    The wrappers import torch._dynamo, which takes most of a second. The methods are otherwise torch's own.
    """
    methods = {
        name: inspect.unwrap(getattr(kind, name))
        for name in ("step", "zero_grad", "add_param_group", "state_dict", "load_state_dict")
    }
    return type(kind.__name__, (kind,), {**methods, "step": torch.no_grad()(methods["step"])})
