"""Settings in environment variables: their effects, and refused values."""

from __future__ import annotations

import pytest
import torch

from lanterna import devices, settings
from lanterna.errors import UsageError

CPU = torch.device("cpu")


AMD = {"avx512_bf16": True, "cpu_name": "AMD EPYC"}


@pytest.mark.parametrize("cpu", [AMD, {"amx_bf16": True}, {"bf16": True}])
def test_bfloat16_is_used_if_the_processor_has_it_and_can_be_disabled(cpu, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu)
    monkeypatch.delenv("LANTERNA_PRECISION", raising=False)
    assert devices.fast_dtype(CPU) == torch.bfloat16
    monkeypatch.setenv("LANTERNA_PRECISION", "float32")
    assert devices.fast_dtype(CPU) == torch.float32


@pytest.mark.parametrize("cpu", [{"avx2": True}, {"avx512_bf16": True, "cpu_name": "Intel Xeon"}])
def test_a_processor_without_fast_bfloat16_computes_in_float32(cpu, monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: cpu)
    monkeypatch.delenv("LANTERNA_PRECISION", raising=False)
    assert devices.fast_dtype(CPU) == torch.float32


def test_another_precision_is_refused(monkeypatch):
    monkeypatch.setenv("LANTERNA_PRECISION", "float16")
    with pytest.raises(UsageError, match="LANTERNA_PRECISION: expected auto or float32, got 'float16'"):
        settings.precision()
