"""How a directory's files are written."""
from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file


def lines(value, depth=0) -> str:
    """JSON with a line per entry of the outer objects and lists of objects; lists of numbers stand in one line."""
    if isinstance(value, dict) and value and depth < 4:
        pad = " " * (depth + 1)
        rows = [f"{pad}{json.dumps(k, ensure_ascii=False)}: {lines(v, depth + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(rows) + "\n" + " " * depth + "}"
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return "[\n" + ",\n".join(" " * (depth + 1) + json.dumps(row, ensure_ascii=False) for row in value) + "\n" + " " * depth + "]"
    return json.dumps(value, ensure_ascii=False)


def write_facts(path: Path, value: dict):
    path.write_text(lines(value) + "\n", encoding="utf-8")


def write_tensors(path: Path, tensors: dict[str, torch.Tensor]):
    save_file({k: tensors[k].detach().contiguous() for k in sorted(tensors)}, path, metadata={"format": "pt"})


def digest(tensor: torch.Tensor) -> str:
    """SHA-256 of the numbers as little-endian float32 or int64."""
    wide = tensor.float() if tensor.is_floating_point() else tensor.long()
    return hashlib.sha256(wide.contiguous().numpy().tobytes()).hexdigest()


def fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
