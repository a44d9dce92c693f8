"""Adapters of the tiny model `qwen2_vl` as PEFT saves them, and what PEFT computes with them: Tests/EndToEndTests/Fixtures/adapters.

usage: make_adapter_records.py [--out DIR]
`plain`: rank 8 on all seven layers; `patterns`: rank 16 with rsLoRA, other ranks and scales of some layers, bf16. `expected.safetensors` has the
ids of a text and the logits of all its tokens, of the model alone (`base`) and with each adapter. Two runs give the same bytes.
"""
import argparse
import json
import shutil
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import Qwen2VLForConditionalGeneration

from oracle import ROOT

MODEL = ROOT / "Tests/EndToEndTests/Fixtures/qwen2_vl"
ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "plain": (LoraConfig(r=8, lora_alpha=24, target_modules=ALL), torch.float32),
    "patterns": (
        LoraConfig(
            r=16, lora_alpha=8, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj"],
            rank_pattern={"layers.0.self_attn.v_proj": 32, "down_proj": 8}, alpha_pattern={"^model.language_model.layers.1.mlp.down_proj": 20}),
        torch.bfloat16),
}


@torch.no_grad()
def randomize(model, seed):
    generator = torch.Generator().manual_seed(seed)
    for name, parameter in sorted(model.named_parameters()):
        if ".lora_" in name:
            parameter.copy_((torch.randn(parameter.shape, generator=generator) * 0.15).bfloat16().float())


def save(model, element, folder):
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    weights = {name: tensor.to(element) for name, tensor in load_file(folder / "adapter_model.safetensors").items()}
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = "qwen2_vl"
    config["target_modules"] = sorted(config["target_modules"])
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def main():
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "Tests/EndToEndTests/Fixtures/adapters")
    folder = parser.parse_args().out
    shutil.rmtree(folder, ignore_errors=True)
    ids = torch.tensor([[(index * 37 + 11) % 290 for index in range(24)]])
    expected = {"ids": ids[0].to(torch.int32)}

    def logits(model):
        with torch.no_grad():
            return model(input_ids=ids).logits[0].float().contiguous()

    def load():
        return Qwen2VLForConditionalGeneration.from_pretrained(MODEL, dtype=torch.float32).eval()

    expected["base"] = logits(load())
    for seed, (name, (config, element)) in enumerate(ADAPTERS.items()):
        model = get_peft_model(load(), config).eval()
        randomize(model, seed)
        expected[name] = logits(model)
        save(model, element, folder / name)
        merged = logits(model.merge_and_unload())
        print(name, "from base", float((expected[name] - expected["base"]).abs().max()), "from merged", float((expected[name] - merged).abs().max()))
    save_file(expected, folder / "expected.safetensors")


if __name__ == "__main__":
    main()
