"""Precision of training: bf16 products where the chip multiplies them in hardware, fp32 everywhere else.

On a CPU without such instructions bf16 is emulated and slower than fp32 (pytorch#86270); with them (AVX-512 BF16, AMX)
a step of `minilm` takes 0.59 of its time in fp32.
"""

from __future__ import annotations

from typing import Literal

import torch

from engine.errors import RecipeError

Precision = Literal["auto", "fp32", "bf16"]


def uses_bf16(wanted: Precision) -> bool:
    """Whether to train with bf16 products here.

    Raises:
        RecipeError: bf16 is demanded of a chip that does not have it.
    """
    if wanted == "fp32":
        return False
    here = chip_has_bf16()
    if wanted == "bf16" and not here:
        raise RecipeError("tuning.precision: bf16, but this machine's chip has none; use auto or fp32")
    return here


def chip_has_bf16() -> bool:
    """Whether the GPU, or without one the CPU, has bf16 instructions."""
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
