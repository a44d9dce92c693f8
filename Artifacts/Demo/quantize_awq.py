"""Rewrite a Qwen2-VL HuggingFace directory as an AutoAWQ GEMM checkpoint: int4 in groups, zero points, round to nearest.

usage: quantize_awq.py MODEL_DIR OUT_DIR [--group 128|64|32]

Per linear layer of the decoder, W[out, in] becomes
  qweight int32 [in, out/8], qzeros int32 [in/group, out/8], scales float16 [in/group, out]
with W[o, i] = (q[i, o] - z[i/group, o]) * s[i/group, o]; nibble k of a word holds column 8 * c + ORDER[k].
The vision tower, the embedding, the norms, the biases and lm_head stay, as float16. One tensor is in memory at a time.
"""
import argparse
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import safe_open

ORDER = (0, 2, 4, 6, 1, 3, 5, 7)
SKIPPED = "visual"
LEVELS = 15
SMALLEST_RANGE = 1e-5


class Refused(Exception):
    """The directory cannot be written as AWQ; the message says which tensor and why."""


@dataclass(frozen=True)
class Source:
    """Where one tensor of the checkpoint lies."""
    file: Path
    name: str
    shape: tuple[int, ...]

    def read(self) -> torch.Tensor:
        with safe_open(self.file, "pt") as f:
            return f.get_tensor(self.name)


def weight_files(folder: Path) -> list[Path]:
    """The shards that the index names, or the one file of a small checkpoint."""
    index, single = folder / "model.safetensors.index.json", folder / "model.safetensors"
    if index.exists():
        return [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    if not single.exists():
        raise Refused(f"{folder}: neither model.safetensors nor its index")
    return [single]


def sources(folder: Path) -> list[Source]:
    found = []
    for file in weight_files(folder):
        with safe_open(file, "pt") as f:
            found += [Source(file, name, tuple(f.get_slice(name).get_shape())) for name in f.keys()]
    return sorted(found, key=lambda s: s.name)


def is_quantized(source: Source) -> bool:
    """A linear layer of the decoder: a matrix `….layers.N.….weight` outside the vision tower."""
    parts = source.name.split(".")
    return len(source.shape) == 2 and parts[-1] == "weight" and "layers" in parts and SKIPPED not in parts


def check(source: Source, group: int):
    out, inner = source.shape
    if inner % group:
        raise Refused(f"{source.name}: its {inner} inputs do not divide into groups of {group}; try a smaller --group")
    if out % 8:
        raise Refused(f"{source.name}: its {out} outputs do not fill words of eight nibbles")


def quantize(weight: torch.Tensor, group: int):
    """Levels [out, in], zero points [out, in/group] and float16 scales [out, in/group] of a float matrix."""
    out, inner = weight.shape
    grouped = weight.float().reshape(out, inner // group, group)
    high, low = grouped.amax(-1).clamp(min=0), grouped.amin(-1).clamp(max=0)
    scales = ((high - low).clamp(min=SMALLEST_RANGE) / LEVELS).half()
    steps = scales.float()
    zeros = (-low / steps).round().clamp(0, LEVELS)
    levels = ((grouped / steps[..., None]).round() + zeros[..., None]).clamp(0, LEVELS)
    return levels.reshape(out, inner).to(torch.int32), zeros.to(torch.int32), scales


def packed(levels: torch.Tensor) -> torch.Tensor:
    """[rows, columns] of 0…15 → int32 [rows, columns/8], eight columns to a word in ORDER."""
    eights = levels.reshape(levels.shape[0], -1, 8)
    words = torch.zeros(eights.shape[:2], dtype=torch.int32)
    for nibble, column in enumerate(ORDER):
        words |= eights[..., column] << (4 * nibble)
    return words


def targets(source: Source, group: int):
    """Names, safetensors types and shapes that a source tensor becomes."""
    if not is_quantized(source):
        return [(source.name, "F16", source.shape)]
    base, (out, inner) = source.name.removesuffix("weight"), source.shape
    return [(base + "qweight", "I32", (inner, out // 8)), (base + "qzeros", "I32", (inner // group, out // 8)),
            (base + "scales", "F16", (inner // group, out))]


def converted(source: Source, group: int) -> list[torch.Tensor]:
    tensor = source.read()
    if not tensor.isfinite().all():
        raise Refused(f"{source.name}: holds values that are not finite")
    if is_quantized(source):
        levels, zeros, scales = quantize(tensor, group)
        result = [packed(levels.T.contiguous()), packed(zeros.T.contiguous()), scales.T.contiguous()]
    else:
        result = [tensor.half().contiguous()]
    if not result[-1].isfinite().all():
        raise Refused(f"{source.name}: does not fit into float16")
    return result


def write_weights(path: Path, found: list[Source], group: int):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for source in found:
        for name, kind, shape in targets(source, group):
            size = torch.Size(shape).numel() * (4 if kind == "I32" else 2)
            header[name] = {"dtype": kind, "shape": list(shape), "data_offsets": [offset, offset + size]}
            offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as out:
        out.write(len(text).to_bytes(8, "little") + text)
        for source in found:
            for tensor in converted(source, group):
                out.write(tensor.numpy().tobytes())


def awq_config(source: Path, group: int) -> dict:
    """The source's config.json with the layout of the int4 weights."""
    if not (source / "config.json").exists():
        raise Refused(f"{source}: no config.json; give a HuggingFace model directory")
    config = json.loads((source / "config.json").read_text())
    if config.get("model_type") != "qwen2_vl":
        raise Refused(f"{source}: model_type is {config.get('model_type')!r}, not qwen2_vl")
    if "quantization_config" in config:
        raise Refused(f"{source}: is quantized already")
    config["torch_dtype" if "torch_dtype" in config else "dtype"] = "float16"
    config["quantization_config"] = {"quant_method": "awq", "bits": 4, "group_size": group, "zero_point": True,
                                     "version": "gemm", "modules_to_not_convert": [SKIPPED]}
    return config


def convert(source: Path, out: Path, group: int):
    config, found = awq_config(source, group), sources(source)
    for one in filter(is_quantized, found):
        check(one, group)
    if not any(map(is_quantized, found)):
        raise Refused(f"{source}: no linear layer of a decoder found")
    out.mkdir(parents=True, exist_ok=True)
    (out / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    for file in source.iterdir():
        if file.is_file() and file.name != "config.json" and ".safetensors" not in file.name:
            shutil.copyfile(file, out / file.name)
    write_weights(out / "model.safetensors", found, group)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("model", type=Path)
    args.add_argument("out", type=Path)
    args.add_argument("--group", type=int, choices=(128, 64, 32), default=128)
    given = args.parse_args()
    torch.set_num_threads(1)
    try:
        convert(given.model, given.out, given.group)
    except Refused as refused:
        sys.exit(f"quantize_awq: {refused}")


if __name__ == "__main__":
    main()
