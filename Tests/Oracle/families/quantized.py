"""Families with their decoders quantized: recorded with exactly the numbers that the layout stands for, in float32."""
from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Callable

import torch
from safetensors.torch import load_file, save_file

from oracle import Answer

from . import internvl_remote, llava, minicpm_remote, packing, phi3v, qwen
from .documents import CHATML, turns
from .extents import Extents
from .files import write_facts
from .native import Native
from .packing import Levels, compressed_config, gptq_config, rounded, scheme

GROUP, BLOCK = 32, 32
Packed = tuple[dict[str, torch.Tensor], torch.Tensor]  # tensors by the end of their names, and the weight they stand for


def integers(pack: Callable[[Levels], dict], bits=4, group=GROUP, symmetric=False, ordered=False) -> Callable[[torch.Tensor, int], Packed]:
    def quantize(weight: torch.Tensor, seed: int) -> Packed:
        order = torch.randperm(weight.shape[1], generator=torch.Generator().manual_seed(seed)) if ordered else None
        levels = rounded(weight, bits, group if group > 0 else weight.shape[1], symmetric, order)
        return pack(levels), levels.weight
    return quantize


def int8_rows(weight: torch.Tensor, seed: int) -> Packed:
    scale = weight.abs().amax(1, keepdim=True) / 127.5
    q = (weight / scale).round().clamp(-128, 127)
    return {"weight": q.to(torch.int8), "weight_scale": scale}, q * scale


def fp8_rows(weight: torch.Tensor, seed: int) -> Packed:
    scale = weight.abs().amax(1, keepdim=True) / 448.0
    q = (weight / scale).to(torch.float8_e4m3fn)
    return {"weight": q, "weight_scale": scale}, q.float() * scale


def fp8_blocks(weight: torch.Tensor, seed: int) -> Packed:
    """A scale for every square of BLOCK; the last of a row or column may be cut."""
    rows, columns = weight.shape
    whole = torch.nn.functional.pad(weight, (0, -columns % BLOCK, 0, -rows % BLOCK))
    scale = whole.unflatten(1, (-1, BLOCK)).unflatten(0, (-1, BLOCK)).abs().amax((1, 3)) / 448.0
    step = scale[torch.arange(rows) // BLOCK][:, torch.arange(columns) // BLOCK]
    q = (weight / step).to(torch.float8_e4m3fn)
    return {"weight": q, "weight_scale_inv": scale}, q.float() * step


def compressed_fp8_blocks(weight: torch.Tensor, seed: int) -> Packed:
    tensors, values = fp8_blocks(weight, seed)
    return {"weight": tensors["weight"], "weight_scale": tensors["weight_scale_inv"]}, values


def mxfp4(weight: torch.Tensor, seed: int) -> Packed:
    """Groups of 32 with a power of two each, stored as its exponent plus 127."""
    groups = weight.reshape(len(weight), -1, 32)
    exponent = torch.floor(torch.log2(groups.abs().amax(-1))) - 2
    codes = packing.four_bit_floats(groups / torch.exp2(exponent)[..., None])
    plain = (packing.floats_of(codes) * torch.exp2(exponent)[..., None]).reshape(weight.shape)
    return {"weight_packed": packing.pairs(codes.reshape(weight.shape)), "weight_scale": (exponent + 127).to(torch.uint8)}, plain


def nvfp4(weight: torch.Tensor, seed: int) -> Packed:
    """Groups of 16 with an FP8 scale each, over one float32 divisor of the whole weight."""
    groups = weight.reshape(len(weight), -1, 16)
    whole = 448.0 * 6.0 / weight.abs().max()
    scale = (groups.abs().amax(-1) / 6.0 * whole).to(torch.float8_e4m3fn)
    step = scale.float() / whole
    codes = packing.four_bit_floats(groups / step[..., None])
    plain = (packing.floats_of(codes) * step[..., None]).reshape(weight.shape)
    return {"weight_packed": packing.pairs(codes.reshape(weight.shape)), "weight_scale": scale,
            "weight_global_scale": whole.reshape(1)}, plain


@dataclass(frozen=True)
class Layout:
    quantize: Callable[[torch.Tensor, int], Packed]
    config: dict
    dtype: torch.dtype = torch.float16
    rounding: Callable | None = None  # of what the products are given, where the layout rounds it too


def packed_config(symmetric: bool, group=GROUP, order: str | None = None) -> dict:
    more = {"group_size": group} if group > 0 else {"group_size": None}
    return compressed_config("pack-quantized", scheme(4, "int", "group" if group > 0 else "channel", symmetric, **more, actorder=order))


def int8_per_token(module, given):
    """Dynamic int8 activations: the scale is the largest over 127.5, rounded half to even."""
    scale = (given[0].abs().amax(-1, keepdim=True) / 127.5).clamp_min(torch.finfo(torch.float32).eps)
    return ((given[0] / scale).round().clamp(-128, 127) * scale,)


EIGHT, TOKEN = scheme(8, "int", "channel"), scheme(8, "int", "token", dynamic=True)
FLOAT, FLOAT_TOKEN = scheme(8, "float", "channel"), scheme(8, "float", "token", dynamic=True)
LAYOUTS = {
    "awq_gemm": Layout(integers(packing.awq_gemm), packing.awq_config("gemm", GROUP)),
    "awq_gemv": Layout(integers(packing.awq_gemv), packing.awq_config("gemv", GROUP)),
    "gptq_sym": Layout(integers(packing.gptq, symmetric=True), gptq_config(GROUP, symmetric=True)),
    "gptq_asym_act": Layout(integers(packing.gptq, ordered=True), gptq_config(GROUP, order=True)),
    "gptq_v2": Layout(integers(packing.gptq_v2), gptq_config(GROUP, form="gptq_v2")),
    "gptq_8bit": Layout(integers(packing.gptq, bits=8), gptq_config(GROUP, bits=8)),
    "gptq_channel": Layout(integers(packing.gptq, group=-1, symmetric=True), gptq_config(-1, symmetric=True)),
    "ct_w4a16": Layout(integers(packing.compressed, symmetric=True), packed_config(True)),
    "ct_w4a16_asym": Layout(integers(lambda w: packing.compressed(w, zeros=True)), packed_config(False)),
    "ct_w4a16_act": Layout(integers(lambda w: packing.compressed(w, order=True), symmetric=True, ordered=True),
                           packed_config(True, order="group")),
    "ct_w4a16_channel": Layout(integers(packing.compressed, group=-1, symmetric=True), packed_config(True, group=-1)),
    "ct_w8a8": Layout(int8_rows, compressed_config("int-quantized", EIGHT, TOKEN), rounding=int8_per_token),
    "ct_fp8": Layout(fp8_rows, compressed_config("float-quantized", FLOAT)),
    "ct_fp8_dynamic": Layout(fp8_rows, compressed_config("float-quantized", FLOAT, FLOAT_TOKEN)),
    "ct_fp8_block": Layout(compressed_fp8_blocks, compressed_config("float-quantized", scheme(
        8, "float", "block", block_structure=[BLOCK, BLOCK]), scheme(8, "float", "group", dynamic=True, group_size=BLOCK))),
    "ct_mxfp4": Layout(mxfp4, compressed_config("mxfp4-pack-quantized", scheme(4, "float", "group", group_size=32,
                                                                               scale_dtype="torch.uint8"))),
    "ct_nvfp4": Layout(nvfp4, compressed_config("nvfp4-pack-quantized", scheme(4, "float", "tensor_group", group_size=16,
                                                                               scale_dtype="torch.float8_e4m3fn"))),
    "fp8_block": Layout(fp8_blocks, {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                                     "weight_block_size": [BLOCK, BLOCK], "modules_to_not_convert": ["visual", "lm_head"]},
                        dtype=torch.bfloat16),
}


def place(name: str) -> str | None:
    """Where in the decoder a product is: its name after the layers' list; nothing for other modules and tensors."""
    found = re.search(r"(?:^|\.)layers\.(\d+\..*)$", name.removesuffix(".weight"))
    return found[1] if found and not re.search(r"vis|vpm|clip|norm|rotary", name) else None


class Quantized:
    """A family whose decoder's products hold what the quantized tensors stand for; everything else is the family's."""

    def __init__(self, subject: Any, layout: Layout, kept: list[str]):
        subject.dtype, subject.has_cases = layout.dtype, False
        self.subject, self.layout, self.kept, self.seed, self.hooks = subject, layout, kept, 0, []
        self.round_activations(True)

    def __getattr__(self, name: str):
        return getattr(self.subject, name)

    def linears(self) -> dict[str, torch.nn.Linear]:
        modules = (getattr(self.subject, "parts", None) or self.subject.model).named_modules()
        return {name: module for name, module in modules if place(name) and isinstance(module, torch.nn.Linear)}

    def packed(self, name: str, weight: torch.Tensor) -> Packed:
        return self.layout.quantize(weight.float(), sum(map(ord, place(name))))

    @torch.no_grad()
    def randomize(self, seed: int):
        self.seed = seed
        self.subject.randomize(seed)
        for name, module in self.linears().items():
            module.weight.copy_(self.packed(name, module.weight.detach().clone())[1])

    def round_activations(self, on: bool):
        for hook in self.hooks:
            hook.remove()
        rounded = self.linears().values() if on and self.layout.rounding else ()
        self.hooks = [module.register_forward_pre_hook(self.layout.rounding) for module in rounded]

    def save(self, folder: Path):
        """Saves the weights as they were before, in float32, and packs them in the file; the model stays as it is asked."""
        self.subject.randomize(self.seed)
        self.subject.dtype = torch.float32
        self.subject.save(folder)
        self.subject.dtype = self.layout.dtype
        self.randomize(self.seed)
        file, made, count = folder / "model.safetensors", {}, 0
        for name, tensor in load_file(file).items():
            if tensor.dim() == 2 and place(name):
                ends, plain = self.packed(name, tensor)
                made |= {f"{name.removesuffix('.weight')}.{end}": value for end, value in ends.items()}
                count += plain.numel()
            else:
                made[name] = tensor.to(self.layout.dtype)
        if count != sum(module.weight.numel() for module in self.linears().values()):
            raise ValueError(f"{folder.name}: the file's quantized products are not the model's")
        save_file({k: made[k].contiguous() for k in sorted(made)}, file, metadata={"format": "pt"})
        config = typed(json.loads((folder / "config.json").read_text(encoding="utf-8")), str(self.layout.dtype).removeprefix("torch."))
        write_facts(folder / "config.json", {**config, "quantization_config": self.declared()})

    def declared(self) -> dict:
        """The layout's configuration with the modules that are not quantized."""
        known = dict(self.layout.config)
        if "modules_to_not_convert" in known:
            known["modules_to_not_convert"] = self.kept + (["lm_head"] if known["quant_method"] == "fp8" else [])
        if "ignore" in known:
            known["ignore"] = ["lm_head", *(f"re:.*{name}.*" for name in self.kept)]
        return known

    def reopened(self, folder: Path) -> Quantized:
        return self

    def facts(self) -> dict:
        more = "; activations rounded per token" if self.layout.rounding else ""
        return {"oracle": "float32 with the weights that the layout stands for" + more}

    def steps(self, answer: Answer) -> dict[str, torch.Tensor]:
        if not self.layout.rounding:
            return self.subject.steps(answer)
        self.round_activations(False)
        plain = self.subject.generate(answer.inputs, len(answer.tokens))[1]
        self.round_activations(True)
        return {**self.subject.steps(answer), "weight_only_step_logits": plain}


def typed(value, dtype: str):
    """The configuration with another type of numbers, wherever one is named."""
    if not isinstance(value, dict):
        return value
    return {k: dtype if k in ("dtype", "torch_dtype") else typed(v, dtype) for k, v in value.items()}


def small_qwen2_vl(e: Extents) -> Native:
    """A tied head, a picture of eight patches and a short prompt keep it small."""
    made = replace(qwen.qwen2_vl(e, tied=True, fewest=2), image=(57, 30), question="5 é?", has_cases=False)
    opening, close, ask = CHATML
    made.processor.chat_template = turns("", opening, "<|vision_start|><|image_pad|><|vision_end|>", close, ask)
    return made


def built(build: Callable[[Extents], Any], layout: str, *kept: str) -> Callable[[Extents], Quantized]:
    return lambda e: Quantized(build(e), LAYOUTS[layout], list(kept))


FAMILIES = {"qwen2_vl_q_base": (small_qwen2_vl, "packed"),
            **{f"qwen2_vl_{name}": (built(small_qwen2_vl, name, "visual"), "packed") for name in LAYOUTS if name != "ct_fp8_dynamic"}}
# Layouts over other decoders and names.
OTHERS = {
    "qwen2_vl_ct_fp8_dynamic": (built(small_qwen2_vl, "ct_fp8_dynamic", "visual"), "packed"),
    "llava15_awq": (built(llava.llava15, "awq_gemm", "vision_tower", "multi_modal_projector"), "packed"),
    "llava_next_mistral_gptq": (built(llava.llava_next_mistral, "gptq_asym_act", "vision_tower"), "packed"),
    "qwen2_5_vl_awq": (built(qwen.qwen2_5_vl, "awq_gemm", "visual"), "packed"),
    "qwen3_vl_fp8": (built(qwen.qwen3_vl, "fp8_block", "model.visual"), "packed"),
    "internvl_chat_internlm2_awq": (built(internvl_remote.internvl_chat_internlm2, "awq_gemm", "vision_model", "mlp1"), "packed"),
    "minicpmv_2_6_awq": (built(minicpm_remote.minicpmv_2_6, "awq_gemm", "vpm", "resampler"), "packed"),
    "phi3_v_awq": (built(phi3v.phi3_v, "awq_gemm", "vision_embed_tokens"), "packed"),
}
