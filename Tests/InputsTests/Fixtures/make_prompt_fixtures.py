"""Makes Fixtures/prompt/positions.json: what `transformers` says about the positions of prompts and patches.

    pip install transformers==5.23.0 torch
    python make_prompt_fixtures.py
"""

import json
from pathlib import Path

import torch
from transformers import Qwen2VLConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel
from transformers.vision_utils import get_vision_cu_seqlens, get_vision_position_ids

OUT = Path(__file__).parent / "prompt"
# A number is a stretch of text tokens, a pair the grid (rows, columns of patches) of a picture.
LAYOUTS = {
    "text only": [7],
    "one token": [1],
    "one square picture": [4, (4, 4), 5],
    "a wide picture": [3, (2, 58), 6],
    "a tall picture": [3, (58, 2), 6],
    "picture first": [(6, 10), 4],
    "picture last": [4, (6, 10)],
    "nothing but a picture": [(4, 6)],
    "the smallest picture": [2, (2, 2), 2],
    "two pictures": [5, (8, 6), 2, (4, 12), 9],
    "three pictures in turns": [15, (12, 10), 30, (2, 2), 1, (10, 12), 20],
    "the picture ends before its text": [3, (20, 2), 1],
}
BATCHES = [[(4, 4)], [(2, 6), (6, 2)], [(8, 10), (2, 2), (4, 12)]]


def model(merge):
    config = Qwen2VLConfig(
        text_config={"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
                     "num_key_value_heads": 1, "vocab_size": 16, "rope_parameters": {
                         "rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}},
        vision_config={"depth": 1, "embed_dim": 16, "hidden_size": 16, "num_heads": 2, "spatial_merge_size": merge})
    return Qwen2VLModel(config)


def layout(name, parts, owner, merge):
    types, grids = [], []
    for part in parts:
        if isinstance(part, int):
            types += [0] * part
        else:
            grids.append([1, *part])
            types += [1] * (part[0] * part[1] // merge**2)
    ids, delta = owner.get_rope_index(
        torch.zeros(1, len(types), dtype=torch.long), torch.tensor([types], dtype=torch.int),
        torch.tensor(grids) if grids else None)
    return {"name": name, "mergeSize": merge, "parts": [[p] if isinstance(p, int) else list(p) for p in parts],
            "ids": ids.flatten().tolist(), "delta": int(delta)}


def batch(grids, merge):
    thw = torch.tensor([[1, *g] for g in grids])
    positions = get_vision_position_ids(thw, merge)
    return {"mergeSize": merge, "grids": [list(g) for g in grids], "rows": positions[:, 0].tolist(),
            "columns": positions[:, 1].tolist(), "bounds": get_vision_cu_seqlens(thw).tolist()}


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    two, one = model(2), model(1)
    made = {
        "prompts": [layout(name, parts, two, 2) for name, parts in LAYOUTS.items()]
        + [layout("without merging", [2, (3, 5), 3], one, 1)],
        "batches": [batch(grids, 2) for grids in BATCHES] + [batch([(3, 5)], 1)],
    }
    (OUT / "positions.json").write_text(json.dumps(made) + "\n")
