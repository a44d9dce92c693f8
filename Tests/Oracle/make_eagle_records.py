"""EAGLE heads, and what torch computes with them: Tests/EndToEndTests/Fixtures/eagle.

usage: make_eagle_records.py [--out DIR]
`first` and `third` are tiny heads of `qwen2_vl` with random weights, one of each kind, in float32. Of both is recorded what the head makes of the model's
hidden states of a text on three axes of positions, and the five tokens that it guesses behind it. `chain` is a Llama that mostly goes on by one table from
token to token, and `chain_first` and `chain_third` are heads that know the table: most of what they guess comes true. Two runs give the same bytes.
"""
import argparse
import math
import shutil
from pathlib import Path

import torch
from safetensors.torch import save_file

from oracle import ROOT, Oracle, write_json

GUESSES = 5


class Head(torch.nn.Module):
    """One layer of a Llama over hidden states of another model: EAGLE (`EagleLlamaForCausalLM` of vLLM) or EAGLE-3 (`Eagle3LlamaForCausalLM`)."""

    def __init__(self, config, tensors):
        super().__init__()
        self.config, self.third = config, "midlayer.hidden_norm.weight" in tensors
        self.layer = "midlayer." if self.third else "layers.0."
        for name, value in tensors.items():
            if name not in ("d2t", "t2d"):
                self.register_parameter(name.replace(".", "/"), torch.nn.Parameter(value.float(), requires_grad=False))

    def __getitem__(self, name):
        return getattr(self, name.replace(".", "/"))

    def linear(self, name, x):
        bias = getattr(self, f"{name}.bias".replace(".", "/"), None)
        return torch.nn.functional.linear(x, self[f"{name}.weight"], bias)

    def norm(self, name, x):
        return self[f"{name}.weight"] * x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.config["rms_norm_eps"])

    def rotate(self, x, positions):
        """x [T, H, D] by positions [3, T]; `mrope_section` says how many frequencies each axis turns, without it all are the first one's."""
        half = x.shape[-1] // 2
        inverse = self.config["rope_theta"] ** (-torch.arange(half).float() / half)
        sections = (self.config.get("rope_scaling") or {}).get("mrope_section") or [half]
        axes = torch.tensor([axis for axis, count in enumerate(sections) for _ in range(count)])
        angles = positions[axes].T.float() * inverse
        cos, sin = angles.cos()[:, None], angles.sin()[:, None]
        left, right = x[..., :half], x[..., half:]
        return torch.cat((left * cos - right * sin, right * cos + left * sin), -1)

    def attention(self, x, positions, cache):
        heads, groups = self.config["num_attention_heads"], self.config["num_key_value_heads"]
        size = self.config.get("head_dim") or self.config["hidden_size"] // heads
        q, k, v = (self.linear(f"{self.layer}self_attn.{name}_proj", x).view(len(x), -1, size) for name in "qkv")
        q, k = self.rotate(q, positions), self.rotate(k, positions)
        past = cache[0].shape[0] if cache else 0
        if cache:
            k, v = torch.cat((cache[0], k)), torch.cat((cache[1], v))
        cache[:] = [k, v]
        k, v = (t.repeat_interleave(heads // groups, 1) for t in (k, v))
        scores = torch.einsum("qhd,khd->hqk", q, k) / math.sqrt(size)
        hidden = torch.arange(len(k))[None] > torch.arange(len(x))[:, None] + past
        mixed = torch.einsum("hqk,khd->qhd", scores.masked_fill(hidden, -math.inf).softmax(-1), v)
        return self.linear(f"{self.layer}self_attn.o_proj", mixed.reshape(len(x), -1))

    def forward(self, embedded, states, positions, cache, own=False):
        """Rows of hidden states; `own` says that `states` are the head's, not the model's."""
        if self.third:
            x = states if own else self.linear("fc", states)
            attended = torch.cat((self.norm(f"{self.layer}input_layernorm", embedded), self.norm(f"{self.layer}hidden_norm", x)), -1)
        else:
            x = attended = self.linear("fc", torch.cat((embedded, states), -1))
        x = x + self.attention(attended, positions, cache)
        y = self.norm(f"{self.layer}post_attention_layernorm", x)
        gate, up = (self.linear(f"{self.layer}mlp.{name}_proj", y) for name in ("gate", "up"))
        return x + self.linear(f"{self.layer}mlp.down_proj", torch.nn.functional.silu(gate) * up)

    def logits(self, hidden, table):
        return torch.nn.functional.linear(self.norm("norm", hidden), self["lm_head.weight"]) if self.third else hidden @ table.T


def shown(model, ids, positions, layers):
    """What is before each of the layers, one beside the other, what is behind the last norm, and the logits."""
    decoder, seen = model.model.language_model, []
    hooks = [layer.register_forward_pre_hook(lambda _, args: seen.append(args[0][0])) for layer in decoder.layers]
    hooks.append(decoder.norm.register_forward_pre_hook(lambda _, args: seen.append(args[0][0])))
    hidden = decoder(input_ids=ids[None], position_ids=positions[:, None], use_cache=False).last_hidden_state[0]
    for hook in hooks:
        hook.remove()
    return torch.cat([seen[layer] for layer in layers], -1), hidden, model.lm_head(hidden)


@torch.no_grad()
def record(name, head, model, layers, table, out):
    """States of every row, and the guesses behind the text and the token that the model itself puts there."""
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(0, 290, (24,), generator=generator)
    steps = torch.arange(24)
    positions = torch.stack((steps, steps // 2 + 3, steps // 3 + 1))
    inner, normed, logits = shown(model, ids, positions, layers)
    embed, lm_head = model.model.language_model.embed_tokens, model.lm_head.weight
    tokens = torch.cat((ids[1:], logits[-1].argmax()[None]))
    cache = []
    states = head(embed(tokens), inner if head.third else normed, positions, cache)
    out[f"{name}.ids"], out[f"{name}.positions"], out[f"{name}.states"] = ids.int(), positions.int(), states
    out[f"{name}.tokens"] = tokens.int()
    guesses, margins, chain, last = [], [], [], states[-1:]
    for step in range(GUESSES):
        row = head.logits(last, lm_head)[0]
        best = row.topk(2).values
        margins.append(float(best[0] - best[1]))
        guesses.append(int(table[row.argmax()]))
        if step < GUESSES - 1:
            last = head(embed(torch.tensor(guesses[-1:])), last, positions[:, -1:] + step + 1, cache, own=True)
            chain.append(last[0])
    out[f"{name}.guesses"], out[f"{name}.chain"] = torch.tensor(guesses).int(), torch.stack(chain)
    return min(margins)


def tiny(third, seed):
    generator = torch.Generator().manual_seed(seed)
    width, inner, vocabulary = 64, 96, 312
    draft = torch.randperm(vocabulary, generator=generator)[:200].sort().values if third else torch.arange(vocabulary)
    config = {
        "architectures": ["LlamaForCausalLMEagle3" if third else "EagleLlamaForCausalLM"], "model_type": "llama", "hidden_size": width,
        "intermediate_size": inner, "num_attention_heads": 4, "num_key_value_heads": 2, "num_hidden_layers": 1, "hidden_act": "silu",
        "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "vocab_size": vocabulary, "tie_word_embeddings": False,
    }
    if third:
        config |= {"draft_vocab_size": len(draft), "target_hidden_size": width, "rope_scaling": {"type": "mrope", "mrope_section": [2, 3, 3]},
                   "eagle_config": {"use_aux_hidden_state": True, "eagle_aux_hidden_state_layer_ids": [0, 1, 2]}}

    def weight(*shape):
        return torch.randn(shape, generator=generator) / math.sqrt(shape[-1])

    layer, attended = ("midlayer.", 2 * width) if third else ("layers.0.", width)
    tensors = {"fc.weight": weight(width, (3 if third else 2) * width)}
    for name, rows in (("q", 64), ("k", 32), ("v", 32)):
        tensors[f"{layer}self_attn.{name}_proj.weight"] = weight(rows, attended)
    tensors |= {f"{layer}self_attn.o_proj.weight": weight(width, 64), f"{layer}mlp.gate_proj.weight": weight(inner, width),
                f"{layer}mlp.up_proj.weight": weight(inner, width), f"{layer}mlp.down_proj.weight": weight(width, inner)}
    for name in ("hidden_norm", "input_layernorm", "post_attention_layernorm") if third else ("post_attention_layernorm",):
        tensors[f"{layer}{name}.weight"] = 1 + 0.2 * torch.randn(width, generator=generator)
    if third:
        taken = torch.zeros(vocabulary, dtype=torch.bool)
        taken[draft] = True
        tensors |= {"norm.weight": 1 + 0.2 * torch.randn(width, generator=generator), "lm_head.weight": 3 * weight(len(draft), width),
                    "d2t": draft - torch.arange(len(draft)), "t2d": taken}
    else:
        tensors["fc.bias"] = 0.1 * torch.randn(width, generator=generator)
    return config, tensors, draft


def write(folder, config, tensors):
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)
    save_file({name: value.contiguous() for name, value in tensors.items()}, folder / "model.safetensors")


def chain(folder):
    """A model whose token t is followed by table[t] but where five weak layers say otherwise, and heads that put table[t] behind t."""
    generator = torch.Generator().manual_seed(1)
    width, inner, vocabulary, words, layers = 64, 16, 312, 296, 5
    embedding = torch.randn(vocabulary, width, generator=generator)
    order = torch.randperm(words, generator=generator)
    scores = torch.zeros(vocabulary, width)
    scores[order.roll(-1)] = embedding[order]
    common = {
        "model_type": "llama", "hidden_size": width, "num_attention_heads": 4, "hidden_act": "silu", "max_position_embeddings": 2048, "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0, "vocab_size": vocabulary, "tie_word_embeddings": False,
    }

    def weight(*shape):
        return 0.4 * torch.randn(shape, generator=generator) / math.sqrt(shape[-1])

    tensors = {"model.embed_tokens.weight": embedding, "lm_head.weight": scores, "model.norm.weight": torch.ones(width)}
    for layer in (f"model.layers.{index}." for index in range(layers)):
        for name, rows, columns in (("self_attn.q", width, width), ("self_attn.k", 32, width), ("self_attn.v", 32, width), ("self_attn.o", width, width),
                                    ("mlp.gate", inner, width), ("mlp.up", inner, width), ("mlp.down", width, inner)):
            tensors[f"{layer}{name}_proj.weight"] = weight(rows, columns)
        tensors |= {f"{layer}{name}_layernorm.weight": torch.ones(width) for name in ("input", "post_attention")}
    model = folder / "chain"
    write(model, common | {"architectures": ["LlamaForCausalLM"], "intermediate_size": inner, "num_key_value_heads": 2, "num_hidden_layers": layers,
                           "bos_token_id": 296, "eos_token_id": 298, "dtype": "bfloat16"}, {name: value.bfloat16() for name, value in tensors.items()})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(ROOT / "Tests/EndToEndTests/Fixtures/qwen2_vl" / name, model / name)
    own, nothing = torch.eye(width), torch.zeros(width, width)
    mlp = {"gate": torch.zeros(inner, width), "up": torch.zeros(inner, width), "down": torch.zeros(width, inner)}

    def head(name, architecture, layer, tensors, **more):
        tensors |= {f"{layer}mlp.{part}_proj.weight": value for part, value in mlp.items()} | {f"{layer}post_attention_layernorm.weight": torch.ones(width)}
        write(folder / name, common | {"architectures": [architecture], "intermediate_size": inner, "num_key_value_heads": 4, "num_hidden_layers": 1} | more,
              {name: value.bfloat16() if value.is_floating_point() else value for name, value in tensors.items()})

    # Embeddings alone, past the attention.
    first = {"fc.weight": torch.cat((own, nothing), 1)} | {f"layers.0.self_attn.{part}_proj.weight": nothing for part in "qkvo"}
    head("chain_first", "EagleLlamaForCausalLM", "layers.0.", first)
    # A token sees itself more than all others, and its embedding goes through the values.
    third = {"fc.weight": torch.zeros(width, 3 * width), "norm.weight": torch.ones(width), "lm_head.weight": scores[:words],
             "d2t": torch.zeros(words, dtype=torch.int64), "midlayer.self_attn.o_proj.weight": own}
    for part, factor in (("q", 2), ("k", 2), ("v", 1)):
        third[f"midlayer.self_attn.{part}_proj.weight"] = torch.cat((factor * own, nothing), 1)
    third |= {f"midlayer.{name}.weight": torch.ones(width) for name in ("hidden_norm", "input_layernorm")}
    head("chain_third", "LlamaForCausalLMEagle3", "midlayer.", third, draft_vocab_size=words)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=ROOT / "Tests/EndToEndTests/Fixtures/eagle")
    folder = parser.parse_args().out
    model = Oracle(ROOT / "Tests/EndToEndTests/Fixtures/qwen2_vl").model
    out = {}
    for name, third in (("first", False), ("third", True)):
        for seed in range(100):
            config, tensors, draft = tiny(third, seed)
            margin = record(name, Head(config, tensors), model, [0, 1, 2], draft, out)
            if margin > 0.05:
                break
        write(folder / name, config, tensors)
        print(name, "seed", seed, "margin", round(margin, 3), "guesses", out[f"{name}.guesses"].tolist())
    save_file({name: value.contiguous() for name, value in out.items()}, folder / "expected.safetensors")
    chain(folder)


if __name__ == "__main__":
    main()
