"""Record what AutoAWQ's search finds for layers of the demo model: Tests/EndToEndTests/Fixtures/awq_search.safetensors.

The inputs of two groups of layers are those of one prompt with a picture, as transformers computes them in f32: queries, keys and values of a
layer, and another's way down. For each group the file holds
  NAME.inputs   f32 [rows, channels]
  NAME.errors   f32 [20]   mean square error of the outputs for alpha = 0, 0.05, ... 0.95
  NAME.alpha    f32 [1]    the first with the least error
  NAME.factors  f32 [channels]
by AutoAWQ's AwqQuantizer._compute_best_scale without duo scaling, and its pseudo_quantize_tensor with zero points, but that a group's range holds
0 and its step is the f16 number that is stored.

usage: make_awq_records.py
"""
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save_file
from transformers import AutoProcessor, Qwen2VLForConditionalGeneration

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "Artifacts/Demo/model"
SAMPLES = ROOT / "Artifacts/Demo/samples"
OUT = ROOT / "Tests/EndToEndTests/Fixtures/awq_search.safetensors"
STEPS, GROUP, LEVELS, ROWS = 20, 128, 15, 56


def rounded(weight: torch.Tensor) -> torch.Tensor:
    """The weight as int4 codes, steps and zeros of groups mean it."""
    groups = weight.reshape(-1, GROUP)
    high, low = groups.amax(1, keepdim=True).clamp(min=0), groups.amin(1, keepdim=True).clamp(max=0)
    steps = (high - low).clamp(min=1e-5) / LEVELS
    zeros = (-torch.round(low / steps)).clamp(0, LEVELS)
    steps = steps.half().float()
    codes = (torch.round(groups / steps) + zeros).clamp(0, LEVELS)
    return ((codes - zeros) * steps).reshape(weight.shape)


def search(inputs: torch.Tensor, weight: torch.Tensor):
    """Errors of all alphas, the best of them, and its factors."""
    means = inputs.abs().mean(0)
    outputs = inputs @ weight.T
    errors, best = [], None
    for step in range(STEPS):
        factors = means.pow(step / STEPS).clamp(min=1e-4)
        factors = factors / (factors.max() * factors.min()).sqrt()
        difference = inputs @ (rounded(weight * factors) / factors).T - outputs
        errors.append(difference.double().pow(2).mean().item())
        if best is None or errors[-1] < best[0]:
            best = (errors[-1], step / STEPS, factors)
    return errors, best[1], best[2]


def captured(model, inputs, modules):
    """The inputs of modules, by their names."""
    found, hooks = {}, []
    for name in modules:
        module = model.get_submodule(name)
        hooks.append(module.register_forward_pre_hook(lambda _, args, name=name: found.__setitem__(name, args[0][0].float())))
    with torch.no_grad():
        model(**inputs)
    for hook in hooks:
        hook.remove()
    return found


def main():
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = Qwen2VLForConditionalGeneration.from_pretrained(MODEL, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(MODEL)
    picture = Image.open(next(iter(sorted(SAMPLES.glob("*.png")))))
    messages = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Which bar is the tallest?"}]}]
    text = processor.apply_chat_template(messages, add_generation_prompt=True)
    inputs = processor(text=[text], images=[picture], return_tensors="pt")
    layers = "model.language_model.layers"
    groups = {
        "qkv": [f"{layers}.2.self_attn.{name}_proj" for name in "qkv"],
        "down": [f"{layers}.3.mlp.down_proj"],
    }
    found = captured(model, inputs, [names[0] for names in groups.values()])
    tensors = {}
    for name, modules in groups.items():
        rows = found[modules[0]]
        rows = rows[torch.arange(min(ROWS, len(rows))) * len(rows) // min(ROWS, len(rows))].contiguous()
        weight = torch.cat([model.get_submodule(module).weight.detach().float() for module in modules])
        errors, alpha, factors = search(rows, weight)
        tensors |= {f"{name}.inputs": rows, f"{name}.errors": torch.tensor(errors, dtype=torch.float32),
                    f"{name}.alpha": torch.tensor([alpha], dtype=torch.float32), f"{name}.factors": factors.contiguous()}
        print(name, tuple(rows.shape), "alpha", alpha, "errors", errors[0], min(errors))
    save_file(tensors, OUT)


if __name__ == "__main__":
    main()
