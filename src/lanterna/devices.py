"""Which device computes, and in which precision."""

from __future__ import annotations

import ctypes
import inspect
import sys
from typing import TYPE_CHECKING

import torch

from lanterna.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable


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


def fast_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the hardware multiplies it natively, else float32.

    On a CPU without bfloat16 instructions the format is emulated and many times slower than float32, so
    the processor is asked for them by name.
    """
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


def uncompiled(kind: type[torch.optim.Optimizer]) -> Callable[..., torch.optim.Optimizer]:
    """One of torch's optimisers with no word to torch's compiler, whose import takes most of a second.

    The methods are torch's own, but for what is wrapped around them in case they are to be compiled.
    """
    methods = {
        name: inspect.unwrap(getattr(kind, name))
        for name in ("step", "zero_grad", "add_param_group", "state_dict", "load_state_dict")
    }
    return type(kind.__name__, (kind,), {**methods, "step": torch.no_grad()(methods["step"])})
