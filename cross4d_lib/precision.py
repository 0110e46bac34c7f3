"""In which precision networks compute: bfloat16 where the device multiplies it in hardware, float32 elsewhere.

bfloat16 has the range of float32 and 8 significant bits. Under autocast weights, optimiser and losses stay float32;
matrix products alone are rounded. Where it is not in hardware it is emulated, many times slower than float32.
"""

from __future__ import annotations

import torch

from .errors import ConfigError

PRECISIONS = ("float32", "bfloat16")
INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")  # as torch names them: x86 with AVX-512 or AMX, Arm


def has_bfloat16(device: torch.device | str) -> bool:
    """Does the device multiply bfloat16 matrices in hardware?

    CUDA: from compute capability 8.0 on. CPU: one of INSTRUCTIONS, and a torch with oneDNN, which is what uses them.
    """
    device = torch.device(device)
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    flags = torch.cpu.get_capabilities()
    return device.type == "cpu" and torch.backends.mkldnn.is_available() and any(map(flags.get, INSTRUCTIONS))


def precision_of(device: torch.device | str) -> str:
    """The precision networks compute in on a device: "bfloat16" or "float32"."""
    return "bfloat16" if has_bfloat16(device) else "float32"


def autocast(device: torch.device | str, precision: str | None = None) -> torch.autocast:
    """A context in which networks compute in ``precision``; None: ``precision_of(device)``.

    Raises ConfigError unless precision is None or one of PRECISIONS.
    """
    precision = precision_of(device) if precision is None else precision
    if precision not in PRECISIONS:
        raise ConfigError(f"precision {precision!r}", "autocast", f"one of {', '.join(PRECISIONS)}, or None")
    return torch.autocast(torch.device(device).type, torch.bfloat16, enabled=precision == "bfloat16")
