"""Which device computes, and in which precision."""

from __future__ import annotations

import torch

from lanterna.errors import UsageError


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
