"""Makes Fixtures/prompt: what `transformers` says about the positions of prompts and patches, and about whole conversations
with the demo model's processor and sample pictures (as PIL pictures; only checksums of pixel values are kept).

    pip install transformers==5.23.0 torch torchvision pillow
    python make_prompt_fixtures.py
"""

import json
from pathlib import Path

import torch
from PIL import Image, ImageOps
from transformers import AutoConfig, AutoProcessor, Qwen2VLConfig
from transformers.models.qwen2_vl.modeling_qwen2_vl import Qwen2VLModel
from transformers.vision_utils import get_vision_cu_seqlens, get_vision_position_ids

from make_image_fixtures import checksum

OUT = Path(__file__).parent / "prompt"
DEMO = Path(__file__).parents[3] / "Artifacts" / "Demo"
CHATS = {
    "text only": ["What is a shape?"],
    "one PNG": [["shapes-count.png", "How many shapes are there?"]],
    "one JPEG after its question": [["What color is the background?", "shapes-color.jpg"]],
    "two pictures": [["pair-compared-1.jpg", "pair-compared-2.jpg", "Which has more shapes?"]],
    "several turns": [["chart-tallest.png", "Which bar is the tallest?"], "red", ["and here?", "shapes-count.png"]],
    "beyond ASCII": [["chart-tallest.png", "Größe? 图 🙂 <b>e\u0301</b>"]],
}
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


def chat(name, turns, processor, owner):
    messages, pictures, files = [], [], []
    for index, turn in enumerate(turns):
        parts = []
        for part in [turn] if isinstance(turn, str) else turn:
            if part.endswith((".png", ".jpg")):
                parts.append({"type": "image"})
                files.append(part)
                pictures.append(ImageOps.exif_transpose(Image.open(DEMO / "samples" / part)))
            else:
                parts.append({"type": "text", "text": part})
        messages.append({"role": ["user", "assistant"][index % 2], "content": parts})
    rendered = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    made = processor(text=[rendered], images=pictures or None, return_tensors="pt")
    ids, grid = made["input_ids"], made.get("image_grid_thw")
    positions, delta = owner.get_rope_index(ids, made["mm_token_type_ids"], grid)
    return {"name": name, "messages": messages, "rendered": rendered, "files": files, "inputIDs": ids[0].tolist(),
            "grids": [] if grid is None else grid.tolist(), "positions": positions.flatten().tolist(), "delta": int(delta),
            "pixelValues": checksum(made["pixel_values"].numpy()) if pictures else "0"}


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    two, one = model(2), model(1)
    made = {
        "prompts": [layout(name, parts, two, 2) for name, parts in LAYOUTS.items()]
        + [layout("without merging", [2, (3, 5), 3], one, 1)],
        "batches": [batch(grids, 2) for grids in BATCHES] + [batch([(3, 5)], 1)],
    }
    (OUT / "positions.json").write_text(json.dumps(made) + "\n")
    processor = AutoProcessor.from_pretrained(DEMO / "model")
    owner = Qwen2VLModel(AutoConfig.from_pretrained(DEMO / "model"))
    chats = [chat(name, turns, processor, owner) for name, turns in CHATS.items()]
    (OUT / "chats.json").write_text(json.dumps(chats) + "\n")
