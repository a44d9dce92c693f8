"""Directories in the shapes of published models, with random weights: what compiling and serving them takes.

    python real_sizes.py NAME OUT [LAYOUT]      NAME: one of MODELS, or "all" for a folder of each

LAYOUT is how quantized weights are stored, one of LAYOUTS; awq_gemm when it is not given.

Names of tensors, tokenizer, template and processor are those of a small record in Tests/Families/Fixtures; extents are those that the
published config.json has. Weights repeat a megabyte of random values, so that a directory of 5 GB is written in seconds; those of the
embeddings and the head do not, since outputs alike would be equally likely tokens. The answers mean nothing; sizes, times and memory do.
"""

import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np

FIXTURES = Path(__file__).resolve().parent.parent / "Families" / "Fixtures"

LLAMA_7B = dict(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32,
                head_dim=128, vocab_size=32064)
QWEN2_7B = dict(hidden_size=3584, intermediate_size=18944, num_hidden_layers=28, num_attention_heads=28, num_key_value_heads=4,
                vocab_size=151666, max_position_embeddings=32768, rope_theta=1000000.0)
CLIP_L_336 = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336, patch_size=14)

# Name: record, whether weights are quantized, text extents, vision extents, what else the configuration says, what the picture processor says.
MODELS = {
    "llava-1.5-7b-awq": ("llava15", True, LLAMA_7B, CLIP_L_336, dict(image_seq_length=576),
                         dict(crop_size=dict(height=336, width=336), size=dict(shortest_edge=336))),
    "qwen2-vl-2b-awq": (
        "qwen2_vl_q_base", True,
        dict(hidden_size=1536, intermediate_size=8960, num_hidden_layers=28, num_attention_heads=12, num_key_value_heads=2,
             vocab_size=151936, max_position_embeddings=32768,
             rope_parameters=dict(mrope_section=[16, 24, 24], rope_theta=1000000.0, rope_type="default"),
             layer_types=["full_attention"] * 28),
        dict(embed_dim=1280, hidden_size=1536, mlp_ratio=4, depth=32, num_heads=16), {},
        dict(size=dict(shortest_edge=3136, longest_edge=12845056))),
    "qwen2-vl-0.5b-awq": (
        "qwen2_vl_q_base", True,
        dict(hidden_size=896, intermediate_size=4864, num_hidden_layers=24, num_attention_heads=14, num_key_value_heads=2,
             vocab_size=151936, max_position_embeddings=32768,
             rope_parameters=dict(mrope_section=[8, 12, 12], rope_theta=1000000.0, rope_type="default"),
             layer_types=["full_attention"] * 24),
        dict(embed_dim=384, hidden_size=896, mlp_ratio=4, depth=12, num_heads=6), {},
        dict(size=dict(shortest_edge=3136, longest_edge=12845056))),
    "qwen2.5-vl-3b": (
        "qwen2_5_vl", False,
        dict(hidden_size=2048, intermediate_size=11008, num_hidden_layers=36, num_attention_heads=16, num_key_value_heads=2,
             vocab_size=151936, max_position_embeddings=128000,
             rope_parameters=dict(mrope_section=[16, 24, 24], rope_theta=1000000.0, rope_type="default"),
             layer_types=["full_attention"] * 36),
        dict(hidden_size=1280, intermediate_size=3420, depth=32, num_heads=16, out_hidden_size=2048, window_size=112,
             fullatt_block_indexes=[7, 15, 23, 31]), {},
        dict(size=dict(shortest_edge=3136, longest_edge=12845056))),
    "internvl2-2b": (
        "internvl_chat_internlm2", False,
        dict(hidden_size=2048, intermediate_size=8192, num_hidden_layers=24, num_attention_heads=16, num_key_value_heads=8,
             vocab_size=92553, max_position_embeddings=32768),
        dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=448, patch_size=14,
             norm_type="layer_norm", qk_normalization=False), dict(force_image_size=448, max_dynamic_patch=12), {}),
    "minicpm-v-2.6-awq": (
        "minicpmv_2_6", True, QWEN2_7B,
        dict(hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16, image_size=980, patch_size=14),
        dict(query_num=64, patch_size=14, slice_config=dict(max_slice_nums=9, patch_size=14, scale_resolution=448)),
        dict(max_slice_nums=9, scale_resolution=448, patch_size=14, image_feature_size=64)),
    "phi-3.5-vision-awq": (
        "phi3_v", True,
        dict(hidden_size=3072, intermediate_size=8192, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32,
             vocab_size=32064, max_position_embeddings=131072, original_max_position_embeddings=4096, sliding_window=262144,
             rope_scaling=dict(type="su", short_factor=[1.0 + i / 100 for i in range(48)],
                               long_factor=[1.0 + i for i in range(48)])),
        CLIP_L_336, {}, dict(num_crops=16)),
}

VISION = re.compile(r"^(vision_tower|visual|vision_model|vpm|.*vision_embed_tokens\.img_processor)\.")
LAYER = re.compile(r"\.(layers|blocks)\.(\d+)\.")
BYTES = {"F16": 2, "BF16": 2, "I32": 4, "U8": 1, "EXPONENTS": 1, "F8_E4M3": 1, "F8_WEIGHTS": 1}


def text_shape(name: str, t: dict) -> list[int]:
    head = t.get("head_dim") or t["hidden_size"] // t["num_attention_heads"]
    h, i, v = t["hidden_size"], t["intermediate_size"], t["vocab_size"]
    q, kv = head * t["num_attention_heads"], head * t["num_key_value_heads"]
    rules = {
        r"(qkv_proj|wqkv)\.weight": [q + 2 * kv, h], r"q_proj\.weight": [q, h], r"[kv]_proj\.weight": [kv, h], r"q_proj\.bias": [q], r"[kv]_proj\.bias": [kv],
        r"(o_proj|\.wo)\.weight": [h, q],
        r"(gate_proj|\.up_proj|w1|w3)\.weight": [i, h], r"gate_up_proj\.weight": [2 * i, h], r"(down_proj|w2)\.weight": [h, i],
        r"(embed_tokens|tok_embeddings|lm_head|output)\.weight": [v, h], r"norm\.weight": [h],
    }
    return next(shape for rule, shape in rules.items() if re.search(rule + "$", name))


def vision_shape(name: str, tiny: list[int], v: dict) -> list[int]:
    h, p = v.get("embed_dim", v["hidden_size"]), v.get("patch_size", 14)
    i, out = v.get("intermediate_size", h * v.get("mlp_ratio", 0)), v.get("out_hidden_size", v["hidden_size"])
    grid = (v.get("image_size", 0) // p) ** 2 + (1 if "vpm" not in name else 0)
    rules = {
        r"qkv\.weight": [3 * h, h], r"qkv\.bias": [3 * h], r"(proj|[qkv]_proj|out_proj)\.weight": None, r"position_embedding(\.weight)?": None,
        r"(fc1|gate_proj|up_proj)\.weight": [i, h], r"(fc1|gate_proj|up_proj)\.bias": [i], r"(fc2|down_proj)\.weight": [h, i],
        r"patch_embedding\.weight": [h, 3, p, p], r"merger\.mlp\.0\.weight": [4 * h, 4 * h], r"merger\.mlp\.0\.bias": [4 * h],
        r"merger\.mlp\.2\.weight": [out, 4 * h], r"merger\.mlp\.2\.bias": [out],
    }
    shape = next((shape for rule, shape in rules.items() if re.search(r"(^|\.)" + rule + "$", name)), [h])
    if shape is not None and shape != [h]:
        return shape
    if "position_embedding" in name:
        return tiny[:-2] + [grid, h]
    if name.endswith("patch_embed.proj.weight"):
        return [h] + tiny[1:]
    return tiny[:-1] + [h] if len(tiny) == 1 or tiny[0] == 1 else [h, h]


def projector_shape(name: str, tiny: list[int], t: dict, v: dict, more: dict) -> list[int]:
    big, h = t["hidden_size"], v["hidden_size"]
    rules = {
        r"linear_1\.weight": [big, h], r"(linear_2|out_proj|mlp1\.3|img_projection\.2)\.weight|resampler\.proj": [big, big],
        r"mlp1\.0\.(weight|bias)": [4 * h], r"(mlp1\.1|img_projection\.0)\.weight": [big, 4 * h], r"in_proj_weight": [3 * big, big],
        r"in_proj_bias": [3 * big], r"kv_proj\.weight": [big, h], r"query": [more.get("query_num", 0), big], r"_GN": tiny[:-1] + [4 * h],
    }
    return next((shape for rule, shape in rules.items() if re.search(f"({rule})$", name)), [big])


def awq_gemm(out: int, inputs: int):
    yield "qweight", "I32", [inputs, out // 8]
    yield "qzeros", "I32", [inputs // GROUP, out // 8]
    yield "scales", "F16", [inputs // GROUP, out]


def awq_gemv(out: int, inputs: int):
    groups = (inputs // GROUP + 7) // 8
    yield "qweight", "I32", [out, inputs // 8]
    yield "qzeros", "I32", [out, groups]
    yield "scales", "F16", [out, groups * 8]


def gptq(out: int, inputs: int):
    yield "qweight", "I32", [inputs // 8, out]
    yield "qzeros", "I32", [inputs // GROUP, out // 8]
    yield "scales", "F16", [inputs // GROUP, out]
    yield "g_idx", "GROUPS", [inputs]


def gptq_act(out: int, inputs: int):
    yield from list(gptq(out, inputs))[:3]
    yield "g_idx", "SHUFFLED", [inputs]


def ct_int4(out: int, inputs: int):
    yield "weight_packed", "I32", [out, inputs // 8]
    yield "weight_scale", "F16", [out, inputs // GROUP]
    yield "weight_shape", "SHAPE", [out, inputs]


def ct_int4_act(out: int, inputs: int):
    yield from ct_int4(out, inputs)
    yield "weight_g_idx", "SHUFFLED", [inputs]


def ct_int4_asym(out: int, inputs: int):
    yield from ct_int4(out, inputs)
    yield "weight_zero_point", "I32", [out // 8, inputs // GROUP]


def ct_mxfp4(out: int, inputs: int):
    yield "weight_packed", "U8", [out, inputs // 2]
    yield "weight_scale", "EXPONENTS", [out, inputs // 32]


def ct_nvfp4(out: int, inputs: int):
    yield "weight_packed", "U8", [out, inputs // 2]
    yield "weight_scale", "F8_E4M3", [out, inputs // 16]
    yield "weight_global_scale", "F32", [1]


def fp8_block(out: int, inputs: int):
    yield "weight", "F8_WEIGHTS", [out, inputs]
    yield "weight_scale_inv", "F8_SCALES", [(out + GROUP - 1) // GROUP, (inputs + GROUP - 1) // GROUP]


def ct_fp8(out: int, inputs: int):
    yield "weight", "F8_WEIGHTS", [out, inputs]
    yield "weight_scale", "F8_SCALES", [out, 1]


GROUP = 128
# Name: the tensors of a linear layer, and the record in Tests/Families/Fixtures whose configuration it has.
LAYOUTS = {
    "awq_gemm": (awq_gemm, "awq_gemm"), "awq_gemv": (awq_gemv, "awq_gemv"), "gptq": (gptq, "gptq_sym"),
    "gptq_act": (gptq_act, "gptq_asym_act"), "ct_int4": (ct_int4, "ct_w4a16"), "ct_int4_asym": (ct_int4_asym, "ct_w4a16_asym"),
    "ct_int4_act": (ct_int4_act, "ct_w4a16_act"), "ct_mxfp4": (ct_mxfp4, "ct_mxfp4"), "ct_nvfp4": (ct_nvfp4, "ct_nvfp4"),
    "fp8_block": (fp8_block, "fp8_block"), "ct_fp8": (ct_fp8, "ct_fp8"),
}


def quantization(layout: str) -> dict:
    """What config.json says of a layout."""
    record = FIXTURES / f"qwen2_vl_{LAYOUTS[layout][1]}" / "config.json"
    text = json.dumps(json.loads(record.read_text())["quantization_config"])
    if "fp4" not in layout:
        text = text.replace('"group_size": 32', f'"group_size": {GROUP}')
    value = json.loads(text)
    if "weight_block_size" in value:
        value["weight_block_size"] = [GROUP, GROUP]
    if "modules_to_not_convert" in value:
        value["modules_to_not_convert"] = ["vision_tower", "visual", "vpm", "resampler", "img_processor"]
    return value


def content(dtype: str, shape: list[int]) -> bytes:
    """The bytes of a tensor that is no plain repetition, or nothing."""
    if dtype in ("GROUPS", "SHUFFLED"):
        groups = np.arange(shape[0], dtype=np.int32) // GROUP
        return (groups if dtype == "GROUPS" else np.random.default_rng(3).permutation(groups)).tobytes()
    if dtype == "SHAPE":
        return np.array(shape, dtype=np.int64).tobytes()
    if dtype == "F8_SCALES":
        return np.random.default_rng(5).uniform(1e-4, 3e-4, shape).astype(np.float32).tobytes()
    return np.full(1, 64, np.float32).tobytes() if dtype == "F32" else b""


STORED = {"GROUPS": "I32", "SHUFFLED": "I32", "SHAPE": "I64", "EXPONENTS": "U8", "F8_WEIGHTS": "F8_E4M3", "F8_SCALES": "F32"}


def tensors(header: dict, layout: str | None, text: dict, vision: dict, more: dict):
    for name, fact in header.items():
        layer = LAYER.search(name)
        if name == "__metadata__" or layer and layer[2] != "0":
            continue
        is_vision, is_projector = VISION.match(name), re.search(r"projector|mlp1|resampler|img_projection|_GN", name)
        if is_vision:
            shape, count = vision_shape(name, fact["shape"], vision), vision.get("depth", vision.get("num_hidden_layers"))
        elif is_projector:
            shape, count = projector_shape(name, fact["shape"], text, vision, more), 1
        else:
            shape, count = text_shape(name, text), text["num_hidden_layers"]
        for index in range(count if layer else 1):
            full = LAYER.sub(lambda m: f".{m[1]}.{index}.", name)
            if "q_norm" in name or "k_norm" in name:
                continue
            if layout and layer and not is_vision and len(shape) == 2:
                for part, dtype, extents in LAYOUTS[layout][0](*shape):
                    yield full.removesuffix("weight") + part, dtype, extents
            else:
                yield full, fact["dtype"], shape
                if vision.get("norm_type") == "layer_norm" and re.search(r"norm[12]\.weight$", name) and is_vision:
                    yield full.removesuffix("weight") + "bias", fact["dtype"], shape


def merged(config: dict, text: dict, vision: dict, more: dict, layout: str | None) -> dict:
    config = {**config, **more}
    text_key = next((key for key in ("text_config", "llm_config") if key in config), None)
    config = {**config, **text} if text_key is None else {**config, text_key: {**config[text_key], **text}}
    if "vision_config" in config:
        config["vision_config"] = {**config["vision_config"], **vision}
    if "img_processor" in config:
        config["img_processor"] = {key: value for key, value in config["img_processor"].items() if key != "_tiny_override"}
        config["img_processor"]["image_dim_out"] = vision["hidden_size"]
    if layout:
        config["quantization_config"] = quantization(layout)
    return config


def fill_vocabulary(tokenizer: Path, size: int) -> None:
    """Gives every id of a head of `size` logits a text, so that what a model with random weights says is streamed."""
    if not tokenizer.exists():
        return
    value = json.loads(tokenizer.read_text())
    vocabulary = value["model"]["vocab"]
    if not isinstance(vocabulary, dict):
        return
    taken = set(vocabulary.values()) | {token["id"] for token in value["added_tokens"]}
    vocabulary.update((f"\u0120w{i}", i) for i in range(size) if i not in taken)
    tokenizer.write_text(json.dumps(value))


def make(name: str, out: Path, layout: str) -> None:
    record, quantized, text, vision, more, processor = MODELS[name]
    layout = layout if quantized else None
    out.mkdir(parents=True)
    for file in (FIXTURES / record).iterdir():
        if not file.name.startswith(("model", "expected", "cases")):
            shutil.copy(file, out)
    config = merged(json.loads((FIXTURES / record / "config.json").read_text()), text, vision, more, layout)
    (out / "config.json").write_text(json.dumps(config, indent=1))
    for file in out.glob("*processor_config.json"):
        value = json.loads(file.read_text())
        value.get("image_processor", value).update(processor)
        file.write_text(json.dumps(value, indent=1))
    fill_vocabulary(out / "tokenizer.json", text["vocab_size"])
    tiny = (FIXTURES / record / "model.safetensors").read_bytes()
    size = int.from_bytes(tiny[:8], "little")
    listed = list(tensors(json.loads(tiny[8:8 + size]), layout, text, vision, more))
    header, offset = {}, 0
    for full, dtype, shape in listed:
        count = len(content(dtype, shape)) or int(np.prod(shape)) * BYTES[dtype]
        extents = [2] if dtype == "SHAPE" else shape
        header[full] = dict(dtype=STORED.get(dtype, dtype), shape=extents, data_offsets=[offset, offset + count])
        offset += count
    rng = np.random.default_rng(7)

    def normal() -> np.ndarray:
        return rng.standard_normal(1 << 19, dtype=np.float32) * np.float32(0.02)

    def bf16(values: np.ndarray) -> bytes:
        return (values.view(np.uint32) >> 16).astype(np.uint16).tobytes()

    vocabulary = text["vocab_size"]
    pools = {
        "F16": normal().astype(np.float16).tobytes(), "I32": rng.bytes(1 << 20),
        "F8_WEIGHTS": (rng.integers(0, 127, 1 << 20, np.uint8) | rng.integers(0, 2, 1 << 20, np.uint8) << 7).tobytes(),
        "U8": rng.bytes(1 << 20), "EXPONENTS": bytes([118, 119, 120]) * (1 << 18), "F8_E4M3": bytes([0x30, 0x38, 0x34]) * (1 << 18),
        "BF16": bf16(normal()),
    }
    text_header = json.dumps(header).encode()
    with open(out / "model.safetensors", "wb") as file:
        file.write(len(text_header).to_bytes(8, "little") + text_header)
        for full, dtype, shape in listed:
            whole = content(dtype, shape)
            file.write(whole)
            pool, left = pools.get(dtype), 0 if whole else int(np.prod(shape)) * BYTES[dtype]
            while left > 0:
                if dtype == "BF16" and shape[0] == vocabulary:
                    pool = bf16(normal())
                file.write(pool[:left])
                left -= len(pool)
    print(f"{out}: {offset / 1e9:.2f} GB in {len(listed)} tensors")


if __name__ == "__main__":
    wanted, target = sys.argv[1], Path(sys.argv[2])
    kind = sys.argv[3] if len(sys.argv) > 3 else "awq_gemm"
    for model in MODELS if wanted == "all" else [wanted]:
        make(model, target / model if wanted == "all" else target, kind)
