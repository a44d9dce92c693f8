"""Tiny Qwen2-VL directories with random weights, and what transformers computes with them: Tests/EndToEndTests/Fixtures/qwen2_vl*.

usage: make_fixtures.py [NAME …] [--out DIR] [--list]
Each variant differs in how a checkpoint is written down (names, config, dtype, shards, processor files, int4) and in its sizes.
Two runs give the same bytes.
"""
import argparse
import hashlib
import json
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer
from transformers import (AutoConfig, PreTrainedTokenizerFast, Qwen2VLForConditionalGeneration, Qwen2VLImageProcessor,
                          Qwen2VLProcessor, Qwen2VLVideoProcessor)

from awq import write_dequantized
from oracle import DEMO, ROOT, Oracle, user, write_json, write_reference

sys.path.insert(0, str(DEMO))
from quantize_awq import convert as write_awq

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
           "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]
QUESTION = "Which colours, 1 or 23?\nIt's a naïve café — look!"
STEPS = 16
CHATML = (DEMO / "model" / "chat_template.jinja").read_text()
SHORT_CHATML = (
    "{% for message in messages %}{% if loop.first and message['role'] != 'system' %}<|im_start|>system\nYou are a helpful assistant."
    "<|im_end|>\n{% endif %}<|im_start|>{{ message['role'] }}\n{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}{% for part in message['content'] %}{% if part['type'] == 'image' or 'image' in part or 'image_url' in part %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% elif 'text' in part %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}")


@dataclass(frozen=True)
class Variant:
    name: str
    dtype: torch.dtype
    style: str  # "5": as transformers 5 saves; "hub": as first published; "4.52": as transformers 4.52 saved
    tied: bool = False
    shards: int = 1
    awq_group: int = 0
    hidden: int = 64
    heads: int = 4
    kv: int = 2
    inter: int = 96
    layers: int = 2
    vision: tuple[int, int, int] = (32, 2, 2)  # width, heads, depth
    picture: tuple[int, int] = (97, 71)
    merges: int = 40
    cases: bool = False

    @property
    def head(self):
        return self.hidden // self.heads

    @property
    def sections(self):
        quarter = self.head // 8
        rest = self.head // 2 - quarter
        return [quarter, rest - rest // 2, rest // 2]


VARIANTS = [
    Variant("qwen2_vl", torch.float32, "5", cases=True),
    Variant("qwen2_vl_v452", torch.float16, "4.52", hidden=48, heads=3, kv=1, inter=80, layers=3, vision=(48, 3, 1), picture=(60, 150)),
    Variant("qwen2_vl_hubstyle", torch.bfloat16, "hub", tied=True, shards=3, hidden=96, heads=6, kv=3, inter=64, merges=53,
            vision=(48, 3, 2), picture=(230, 120)),
    Variant("qwen2_vl_wide_head", torch.bfloat16, "5", tied=True, hidden=64, heads=2, kv=2, vision=(64, 2, 1), picture=(28, 28), merges=0),
    Variant("qwen2_vl_awq", torch.float16, "hub", awq_group=32),
    Variant("qwen2_vl_awq64", torch.float16, "4.52", awq_group=64, tied=True, hidden=128, heads=4, kv=2, inter=192, layers=1, picture=(64, 48)),
]


def tokenizer(variant):
    """The demo's byte-level BPE cut to its first merges, with Qwen2-VL's special tokens."""
    base = json.loads((DEMO / "model" / "tokenizer.json").read_text())
    by_id = sorted(base["model"]["vocab"], key=base["model"]["vocab"].get)
    base["model"]["vocab"] = {t: i for i, t in enumerate(by_id[:256 + variant.merges])}
    base["model"]["merges"] = base["model"]["merges"][:variant.merges]
    base["added_tokens"] = []
    made = Tokenizer.from_str(json.dumps(base))
    made.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    return PreTrainedTokenizerFast(tokenizer_object=made, eos_token="<|im_end|>", pad_token="<|endoftext|>", clean_up_tokenization_spaces=False)


def flat_config(variant, tok):
    """config.json in the form in which Qwen2-VL was first published."""
    token = tok.convert_tokens_to_ids
    width, heads, depth = variant.vision
    return {
        "architectures": ["Qwen2VLForConditionalGeneration"], "model_type": "qwen2_vl", "attention_dropout": 0.0,
        "bos_token_id": token("<|endoftext|>"), "eos_token_id": token("<|im_end|>"),
        "vision_start_token_id": token("<|vision_start|>"), "vision_end_token_id": token("<|vision_end|>"),
        "vision_token_id": token("<|vision_pad|>"), "image_token_id": token("<|image_pad|>"), "video_token_id": token("<|video_pad|>"),
        "hidden_act": "silu", "hidden_size": variant.hidden, "intermediate_size": variant.inter, "num_hidden_layers": variant.layers,
        "num_attention_heads": variant.heads, "num_key_value_heads": variant.kv, "max_position_embeddings": 2048,
        "max_window_layers": variant.layers, "sliding_window": 2048, "use_sliding_window": False, "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0, "rope_scaling": {"type": "mrope", "mrope_section": variant.sections},
        "tie_word_embeddings": variant.tied, "torch_dtype": str(variant.dtype).removeprefix("torch."),
        "transformers_version": "4.41.2", "use_cache": True, "vocab_size": len(tok) + 2,
        "vision_config": {"depth": depth, "embed_dim": width, "mlp_ratio": 2, "num_heads": heads, "in_chans": 3,
                          "hidden_size": variant.hidden, "patch_size": 14, "spatial_merge_size": 2, "spatial_patch_size": 14,
                          "temporal_patch_size": 2},
    }


def randomize(model, seed, tied):
    """Weights that make sharp, varied choices: a wrong position, norm or mask shows in the logits."""
    dice = torch.Generator().manual_seed(seed)
    for name, weight in sorted(model.named_parameters()):
        noise = torch.randn(weight.shape, generator=dice)
        if weight.dim() == 1:
            value = noise * 0.2 + (name.endswith("weight"))
        elif "embed_tokens" in name:
            value = noise * (0.4 if tied else 1.0)
        else:
            gain = 2.0 if "q_proj" in name or "k_proj" in name else 1.5
            value = noise * gain / weight[0].numel() ** 0.5
        weight.data.copy_(value)


def file_name(name, style):
    if style == "4.52" or name.startswith("lm_head"):
        return name
    return name.removeprefix("model.") if name.startswith("model.visual") else name.replace("model.language_model.", "model.")


def write_weights(folder, model, variant):
    tensors = {file_name(k, variant.style): v.to(variant.dtype).contiguous() for k, v in sorted(model.named_parameters())}
    if variant.shards == 1:
        return save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    names, where = sorted(tensors), {}
    for shard in range(variant.shards):
        file, part = f"model-{shard + 1:05d}-of-{variant.shards:05d}.safetensors", names[shard::variant.shards]
        save_file({k: tensors[k] for k in part}, folder / file, metadata={"format": "pt"})
        where.update({k: file for k in part})
    total = sum(t.numel() * t.element_size() for t in tensors.values())
    write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))})


def write_processor(folder, tok, variant):
    pictures = dict(shortest_edge=56 * 56, longest_edge=28 * 28 * 14)
    if variant.style == "5":
        Qwen2VLProcessor(image_processor=Qwen2VLImageProcessor(size=pictures), tokenizer=tok, video_processor=Qwen2VLVideoProcessor(),
                         chat_template=CHATML).save_pretrained(folder)
        return
    tok.save_pretrained(folder)
    write_json(folder / "preprocessor_config.json", {
        "min_pixels": pictures["shortest_edge"], "max_pixels": pictures["longest_edge"], "patch_size": 14, "temporal_patch_size": 2,
        "merge_size": 2, "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
        "image_processor_type": "Qwen2VLImageProcessor", "processor_class": "Qwen2VLProcessor"})
    if variant.style == "hub":
        write_json(folder / "chat_template.json", {"chat_template": SHORT_CHATML})
    else:
        known = json.loads((folder / "tokenizer_config.json").read_text())
        write_json(folder / "tokenizer_config.json", {**known, "chat_template": SHORT_CHATML})


def write_plain(folder, variant, seed):
    folder.mkdir(parents=True)
    tok = tokenizer(variant)
    write_json(folder / "config.json", flat_config(variant, tok))
    config = AutoConfig.from_pretrained(folder)
    model = Qwen2VLForConditionalGeneration(config)
    randomize(model, seed, variant.tied)
    if variant.style != "hub":
        config.dtype = variant.dtype
        config.architectures = ["Qwen2VLForConditionalGeneration"]
        config.save_pretrained(folder)
    write_json(folder / "generation_config.json", {"bos_token_id": 256 + variant.merges, "pad_token_id": 256 + variant.merges,
                                                   "do_sample": False, "eos_token_id": [258 + variant.merges, 256 + variant.merges]})
    write_processor(folder, tok, variant)
    write_weights(folder, model, variant)


def write_directory(folder, variant, seed):
    shutil.rmtree(folder, ignore_errors=True)
    if not variant.awq_group:
        return write_plain(folder, variant, seed)
    with tempfile.TemporaryDirectory() as scratch:
        write_plain(Path(scratch) / "plain", variant, seed)
        write_awq(Path(scratch) / "plain", folder, variant.awq_group)


def opened(folder, variant):
    if not variant.awq_group:
        return Oracle(folder)
    with tempfile.TemporaryDirectory() as scratch:
        write_dequantized(folder, Path(scratch))
        return Oracle(scratch)


def picture(size, turn=0):
    """Ramps in three directions, a disc and a bar."""
    ramp = Image.linear_gradient("L")
    bands = [ramp.rotate(90 * ((turn + k) % 4)).resize(size) for k in range(3)]
    image = Image.merge("RGB", bands)
    pen, (w, h) = ImageDraw.Draw(image), size
    pen.ellipse([w // 8, h // 4, w // 2, h * 3 // 4], fill=(220, 40 + 90 * turn, 60))
    pen.rectangle([w * 5 // 8, h // 8, w * 3 // 4, h * 7 // 8], fill=(30, 60, 200))
    return image


def usable(answer):
    return len(answer.tokens) == STEPS and len(set(answer.tokens)) >= 6


def chosen_seed(folder, variant, image):
    """The seed whose greedy choices are clearest, so that float noise cannot turn one."""
    best = (0.0, None)
    for seed in range(1, 33):
        write_directory(folder, variant, seed)
        answer = opened(folder, variant).ask([image], QUESTION, STEPS)
        lead = answer.lead / float(answer.logits.std())
        if usable(answer) and lead > best[0]:
            best = (lead, seed)
        if best[0] > 0.06:
            break
    if best[1] is None:
        sys.exit(f"{variant.name}: no seed of 32 writes {STEPS} varied tokens")
    return best[1]


def digest(tensor):
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


def write_cases(folder, oracle, image):
    """Conversations other than one picture and a question: text only, two pictures, several turns."""
    second = picture((50, 123), turn=1)
    second.save(folder / "image2.png", optimize=True)
    turns = user("One?", 1) + [{"role": "assistant", "content": "A café, 7."}] + user("And now?")
    cases = {"text_only": (user("Hello, naïve world 42!"), []), "two_images": (user("Compare both.", 2), [image, second]),
             "multi_turn": (turns, [image])}
    facts, tensors = {}, {}
    for name, (messages, images) in cases.items():
        answer = oracle.converse(messages, images, STEPS)
        facts[name] = {"images": ["image.png", "image2.png"][:len(images)], "prompt": answer.prompt,
                       "input_ids": answer.inputs["input_ids"][0].tolist(), "new_tokens": answer.tokens, "margins": answer.margins,
                       "sha256": {k: digest(v) for k, v in answer.inputs.items() if k == "pixel_values"}}
        tensors[f"{name}.step_logits"] = answer.logits
        if images:
            tensors[f"{name}.inputs.image_grid_thw"] = answer.inputs["image_grid_thw"]
    save_file(tensors, folder / "cases.safetensors")
    write_json(folder / "cases.json", {"note": "sha256 over little-endian float32", "cases": facts})


def make(variant, out):
    folder, image = out / variant.name, picture(variant.picture)
    with tempfile.TemporaryDirectory() as scratch:
        seed = chosen_seed(Path(scratch) / variant.name, variant, image)
    write_directory(folder, variant, seed)
    image.save(folder / "image.png", optimize=True)
    oracle = opened(folder, variant)
    answer = oracle.ask([image], QUESTION, STEPS)
    write_reference(folder, oracle, answer, family=variant.name, seed=seed, question=QUESTION)
    if variant.cases:
        write_cases(folder, oracle, image)
    for file in folder.iterdir():
        file.chmod(0o644)
    size = sum(f.stat().st_size for f in folder.iterdir()) / 1e6
    print(f"{variant.name}: seed {seed}, {answer.inputs['input_ids'].shape[1]} tokens, least lead {answer.lead} "
          f"at a deviation of {float(answer.logits.std()):.2f}, {len(set(answer.tokens))} different tokens, {size:.2f} MB", flush=True)


def main():
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("names", nargs="*", choices=[[], *(v.name for v in VARIANTS)])
    args.add_argument("--out", type=Path, default=ROOT / "Tests" / "EndToEndTests" / "Fixtures")
    args.add_argument("--list", action="store_true")
    given = args.parse_args()
    for variant in VARIANTS:
        if given.list:
            print(variant.name)
        elif not given.names or variant.name in given.names:
            make(variant, given.out)


if __name__ == "__main__":
    main()
