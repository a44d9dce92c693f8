"""How levels of quantized weights are written down, layout by layout, and what `config.json` says of it."""
from __future__ import annotations

from dataclasses import dataclass

import torch

IN_ORDER, AWQ_ORDER = range(8), (0, 2, 4, 6, 1, 3, 5, 7)


@dataclass(frozen=True)
class Levels:
    """A weight [out, in] as (q - zero) · scale, with one zero and scale per row and group of columns."""
    q: torch.Tensor
    zero: torch.Tensor
    scale: torch.Tensor
    group_of: torch.Tensor  # of each column
    bits: int = 4

    @property
    def weight(self) -> torch.Tensor:
        return (self.q - self.zero[:, self.group_of]).float() * self.scale.float()[:, self.group_of]


def rounded(weight: torch.Tensor, bits: int, group: int, symmetric: bool, order: torch.Tensor | None = None) -> Levels:
    """The nearest levels; `order` deals columns to groups (the first `group` of it are group 0)."""
    out, columns = weight.shape
    group_of = torch.arange(columns) // group
    if order is not None:
        group_of = group_of[torch.argsort(order)]
    place = torch.argsort(group_of, stable=True)
    parts, top = weight[:, place].reshape(out, -1, group), 2 ** bits - 1
    if symmetric:
        scale = parts.abs().amax(-1) / (2 ** (bits - 1) - 1)
    else:
        low, high = parts.amin(-1).clamp_max(0), parts.amax(-1).clamp_min(0)
        scale = (high - low) / top
    scale = scale.half().float().clamp_min(1e-6)
    zero = torch.full_like(scale, 2 ** (bits - 1)) if symmetric else (-low / scale).round().clamp(1, top)
    levels = (parts / scale[..., None] + zero[..., None]).round().clamp(0, top).reshape(out, columns)
    q = torch.empty_like(levels)
    q[:, place] = levels
    return Levels(q.int(), zero.int(), scale.half(), group_of, bits)


def words(levels: torch.Tensor, along: int, order=IN_ORDER, bits=4) -> torch.Tensor:
    """int32 words of 32 / bits levels that follow each other along an axis; level k of a word is element order[k]."""
    rows = (levels.T if along == 0 else levels).long()
    per = 32 // bits
    packed = sum((rows[:, order[k]::per] & (2 ** bits - 1)) << (bits * k) for k in range(per))
    packed = torch.where(packed >= 2 ** 31, packed - 2 ** 32, packed).int()
    return (packed.T if along == 0 else packed).contiguous()


def awq_gemm(w: Levels) -> dict[str, torch.Tensor]:
    return {"qweight": words(w.q.T, 1, AWQ_ORDER), "qzeros": words(w.zero.T, 1, AWQ_ORDER), "scales": w.scale.T}


def awq_gemv(w: Levels) -> dict[str, torch.Tensor]:
    """Rows stay rows; zeros and scales are filled up to whole words, and those to a multiple that the group decides."""
    groups = w.zero.shape[1]
    multiple = {128: 1, 64: 2, 32: 4}[w.q.shape[1] // groups]
    columns = -(-(-(-groups // 8)) // multiple) * multiple * 8
    zero, scale = torch.zeros(len(w.q), columns, dtype=torch.int32), torch.zeros(len(w.q), columns, dtype=torch.float16)
    zero[:, :groups], scale[:, :groups] = w.zero, w.scale
    return {"qweight": words(w.q, 1), "qzeros": words(zero, 1), "scales": scale}


def gptq(w: Levels, zero_less: int = 1) -> dict[str, torch.Tensor]:
    """The first version stores zeros less one."""
    return {"qweight": words(w.q.T, 0, range(32 // w.bits), w.bits), "scales": w.scale.T, "g_idx": w.group_of.int(),
            "qzeros": words((w.zero - zero_less).T, 1, range(32 // w.bits), w.bits)}


def gptq_v2(w: Levels) -> dict[str, torch.Tensor]:
    return gptq(w, zero_less=0)


def compressed(w: Levels, zeros=False, order=False) -> dict[str, torch.Tensor]:
    """compressed-tensors' pack-quantized; zeros are packed along the rows."""
    made = {"weight_packed": words(w.q, 1), "weight_scale": w.scale, "weight_shape": torch.tensor(w.q.shape)}
    return {**made, **({"weight_zero_point": words(w.zero, 0)} if zeros else {}), **({"weight_g_idx": w.group_of.int()} if order else {})}


E2M1 = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])


def four_bit_floats(values: torch.Tensor) -> torch.Tensor:
    """Codes of E2M1: the nearest magnitude, on a tie the one of even code, and the sign in bit 3."""
    distance = (values.abs()[..., None] - E2M1).abs()
    nearest = distance.amin(-1, keepdim=True) == distance
    even = torch.arange(8) % 2 == 0
    code = torch.where((nearest & even).any(-1), (nearest & even).float().argmax(-1), nearest.float().argmax(-1))
    return torch.where((values < 0) & (code > 0), code + 8, code)


def floats_of(codes: torch.Tensor) -> torch.Tensor:
    return torch.where(codes >= 8, -1.0, 1.0) * E2M1[codes % 8]


def pairs(codes: torch.Tensor) -> torch.Tensor:
    """uint8 of two codes, the first in the low half."""
    return (codes[:, ::2] | codes[:, 1::2] << 4).to(torch.uint8)


def awq_config(version: str, group: int) -> dict:
    return {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True, "version": version,
            "modules_to_not_convert": ["visual"]}


def gptq_config(group: int, bits=4, order=False, symmetric=False, form="gptq") -> dict:
    return {"quant_method": "gptq", "bits": bits, "group_size": group, "damp_percent": 0.01, "desc_act": order, "sym": symmetric,
            "static_groups": False, "true_sequential": True, "checkpoint_format": form}


def compressed_config(form: str, weights: dict, activations: dict | None = None) -> dict:
    group = {"targets": ["Linear"], "weights": weights, "input_activations": activations, "output_activations": None}
    return {"quant_method": "compressed-tensors", "format": form, "quantization_status": "compressed", "kv_cache_scheme": None,
            "ignore": ["lm_head", "re:visual.*"], "config_groups": {"group_0": group}}


def scheme(bits: int, kind: str, strategy: str, symmetric=True, dynamic=False, **more) -> dict:
    return {"num_bits": bits, "type": kind, "symmetric": symmetric, "strategy": strategy, "dynamic": dynamic, **more}
