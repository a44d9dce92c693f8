"""Reads an AWQ GEMM directory back into plain float32 weights: the reference for int4 checkpoints, which transformers cannot open alone."""
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

COLUMN_AT_NIBBLE = [0, 2, 4, 6, 1, 3, 5, 7]


def unpacked(words: torch.Tensor) -> torch.Tensor:
    """int32 [rows, columns/8] → levels 0…15 [rows, columns]."""
    out = torch.empty(*words.shape, 8)
    for nibble, column in enumerate(COLUMN_AT_NIBBLE):
        out[..., column] = (words >> (4 * nibble)) & 15
    return out.flatten(-2)


def dequantized(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """`qweight`, `qzeros`, `scales` → `weight` [out, in] = (q - z) * s; every other tensor in float32."""
    plain = {}
    for name, tensor in tensors.items():
        base, _, kind = name.rpartition(".")
        if kind == "qweight":
            scales = tensors[base + ".scales"].float()
            group = tensor.shape[0] // scales.shape[0]
            zeros = unpacked(tensors[base + ".qzeros"]).repeat_interleave(group, 0)
            weight = (unpacked(tensor) - zeros) * scales.repeat_interleave(group, 0)
            plain[base + ".weight"] = weight.T.contiguous()
        elif kind not in ("qzeros", "scales"):
            plain[name] = tensor.float()
    return plain


def write_dequantized(folder: Path, out: Path):
    """The same directory without quantization, in float32."""
    out.mkdir(parents=True, exist_ok=True)
    tensors = {}
    for file in folder.iterdir():
        if file.suffix == ".safetensors" and not file.name.startswith("expected"):
            tensors.update(load_file(file))
        elif file.suffix in (".json", ".jinja", ".txt"):
            shutil.copyfile(file, out / file.name)
    config = json.loads((folder / "config.json").read_text())
    del config["quantization_config"]
    (out / "config.json").write_text(json.dumps({**config, "dtype": "float32"}))
    save_file(dequantized(tensors), out / "model.safetensors", metadata={"format": "pt"})
