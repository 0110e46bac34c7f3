"""bfloat16 is chosen where hardware multiplies it, by one rule.

Claims proved:
1. x86 with AVX512-BF16 or AMX, Arm with BF16 and CUDA with native bfloat16 have it; other CPUs, a torch without oneDNN,
   CUDA devices that emulate it and other devices have not.
2. autocast computes products in the precision asked for, by default in that of the device, leaves an enclosing bfloat16
   region when float32 is asked for, and refuses other names.
3. Attention is fused, but for bfloat16 on a CPU, and is softmax(q k^T / sqrt(d)) v either way.
"""

import pytest
import torch

from cross4d_lib.encoders.layers import attend
from cross4d_lib.errors import ConfigError
from cross4d_lib.precision import autocast, has_bfloat16, precision_of


def cpu_with(monkeypatch, *flags, onednn=True):
    absent = dict.fromkeys(("avx2", "avx512_f", "avx512_bf16", "amx_bf16", "bf16"), False)
    monkeypatch.setattr(
        torch.cpu, "get_capabilities", lambda: {"architecture": "any"} | absent | dict.fromkeys(flags, 1)
    )
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: onednn)


@pytest.mark.parametrize(
    "flags, onednn, expected",
    [
        (["avx2", "avx512_f", "avx512_bf16"], True, "bfloat16"),
        (["avx2", "amx_bf16"], True, "bfloat16"),
        (["bf16"], True, "bfloat16"),
        (["avx2", "avx512_f"], True, "float32"),
        ([], True, "float32"),
        (["bf16"], False, "float32"),
    ],
)
def test_cpus_by_their_instructions(monkeypatch, flags, onednn, expected):
    cpu_with(monkeypatch, *flags, onednn=onednn)
    assert precision_of("cpu") == precision_of(torch.device("cpu")) == expected
    assert has_bfloat16("cpu") is (expected == "bfloat16")
    with autocast("cpu"):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == getattr(torch, expected)


def test_a_cpu_without_the_names_has_none(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "other"})
    assert precision_of("cpu") == "float32"


@pytest.mark.parametrize("capability, expected", [(7, "float32"), (8, "bfloat16"), (9, "bfloat16")])
def test_cuda_devices_that_only_emulate_it_have_none(monkeypatch, capability, expected):
    cpu_with(monkeypatch, "avx512_bf16")
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "_check_bf16_tensor_supported", lambda device: True)
    properties = type("Properties", (), {"major": capability})
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: properties)
    assert torch.cuda.is_bf16_supported() and precision_of("cuda") == precision_of("cuda:1") == expected


def test_other_devices_compute_in_float32(monkeypatch):
    cpu_with(monkeypatch, "avx512_bf16")
    assert precision_of("mps") == precision_of("meta") == "float32"


def test_autocast_obeys(monkeypatch):
    cpu_with(monkeypatch)
    ones = torch.ones(2, 2)
    with autocast("cpu", "bfloat16"):
        assert (ones @ ones).dtype == torch.bfloat16
        with autocast("cpu", "float32"):
            assert (ones @ ones).dtype == torch.float32
    with pytest.raises(ConfigError, match="half"):
        autocast("cpu", "half")


@pytest.mark.parametrize("precision, fused", [(torch.float32, 1), (torch.bfloat16, 0)])
def test_attention(monkeypatch, precision, fused):
    q, k, v = torch.randn(3, 2, 2, 10, 8, dtype=torch.float64)
    expected = torch.softmax(q @ k.transpose(-2, -1) / 8**0.5, -1) @ v
    calls, original = [], torch.nn.functional.scaled_dot_product_attention
    recorded = lambda *tensors: calls.append(1) or original(*tensors)
    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", recorded)
    found = attend(*(tensor.to(precision) for tensor in (q, k, v)))
    assert found.dtype == precision and len(calls) == fused
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=5e-2 if precision == torch.bfloat16 else 1e-5)
