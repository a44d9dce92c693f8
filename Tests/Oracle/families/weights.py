"""Random weights that make sharp, varied choices: a wrong position, norm, mask or order shows in the logits."""
from __future__ import annotations

import torch

# Norms whose weight is added to one.
ZERO_CENTRED = ("Gemma3RMSNorm", "Gemma2RMSNorm", "GemmaRMSNorm", "Qwen3_5RMSNorm")
NORMS = ("ln_q", "ln_kv", "ln_post", "ln_pre", "ln_1", "ln_2", "ln_f", "pre_layrnorm")
TABLES = ("position_embedding", "positional_embedding", "pos_embed", "embeddings.class_embedding", "cls_token")
OUTPUTS = ("o_proj", "down_proj", "out_proj", "fc2", "linear_2", "linear_fc2", "attn.proj", "mlp.2", "projection_layer", ".w2.")

# Mean and deviation of what is kept as buffers: scales, and bounds that some numbers pass.
BUFFERS = {"layer_scalar": (0.7, 0.1), "std_bias": (0.0, 0.5), "std_scale": (1.0, 0.2), "input_min": (-1.5, 0.1), "input_max": (1.5, 0.1),
           "output_min": (-1.2, 0.1), "output_max": (1.2, 0.1)}


def is_norm(module: str) -> bool:
    last = module.rsplit(".", 1)[-1].lower()
    return "norm" in last or last in NORMS


def spread(name: str, shape: torch.Size, centred: bool, embed: float, head: float) -> tuple[float, float]:
    """Mean and deviation of a weight's numbers.

    Products keep the deviation of what they are given (1 / sqrt of the inputs), those that end a block have more of it, queries and keys
    too, so that attention is peaked; a tied embedding has little, or every token repeats itself.
    """
    module, _, leaf = name.rpartition(".")
    if "lambda_" in leaf or leaf in ("ls1", "ls2"):
        return 0.7, 0.1
    if is_norm(module):
        return (0.0, 0.1) if leaf == "bias" else (0.0 if centred else 1.0, 0.15)
    if leaf == "dt_bias":
        return 0.0, 0.5
    if len(shape) == 1 and "class_embedding" not in name:
        return 0.0, 0.15
    if any(part in name for part in TABLES):
        return 0.0, 0.5
    if "embed_tokens" in name or name.endswith("wte.weight"):
        return 0.0, embed
    if "lm_head" in name:
        return 0.0, head
    from_rows = leaf == "mm_input_projection_weight" or leaf == "proj" and len(shape) == 2
    inputs = shape[0] if from_rows else shape[1:].numel()
    gain = 1.7 if any(part in name for part in OUTPUTS) else 1.25
    if "q_proj.weight" in name or "k_proj.weight" in name:
        gain *= 1.5
    return 0.0, gain / inputs ** 0.5


@torch.no_grad()
def randomize(model, seed: int, dtype=torch.float32, embed=1.0, head=0.6):
    """New weights for every parameter, and the scales that are kept as buffers.

    Each is a number that `dtype` holds, so that a directory of it is exact.
    """
    dice = torch.Generator().manual_seed(seed)
    centred = {name for name, module in model.named_modules() if type(module).__name__ in ZERO_CENTRED}
    for name, weight in model.named_parameters():
        if name.endswith("A_log"):
            value = torch.log(torch.rand(weight.shape, generator=dice) * 8 + 0.5)
        else:
            mean, deviation = spread(name, weight.shape, name.rpartition(".")[0] in centred, embed, head)
            value = mean + deviation * torch.randn(weight.shape, generator=dice)
        weight.copy_(value.to(dtype))
    for name, buffer in model.named_buffers():
        leaf = name.rpartition(".")[2]
        if leaf in BUFFERS:
            mean, deviation = BUFFERS[leaf]
            buffer.copy_((mean + deviation * torch.randn(buffer.shape, generator=dice)).to(dtype))
