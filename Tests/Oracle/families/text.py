"""Decoders alone: directories without a vision half."""
from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
import transformers as hf

from .documents import CHATML, turns
from .extents import Extents
from .native import Native, compact, parts_as_text
from .tokenizer import GEMMA_HEAD, LLAMA3, QWEN2, byte_level, ids, pieces, vocabulary, wrapped


class TextOnly(Native):
    """Its processor is a tokenizer."""

    @property
    def placeholder(self) -> int:
        return -1

    def prompt(self, messages: list[dict]) -> str:
        return self.processor.apply_chat_template(parts_as_text(messages), tokenize=False, add_generation_prompt=True)

    def inputs(self, messages: list[dict]) -> dict[str, torch.Tensor]:
        row = self.processor(self.prompt(messages), add_special_tokens=False, return_tensors="pt")
        return {k: row[k] for k in ("input_ids", "attention_mask")}

    def encoded(self, text: str) -> list[int]:
        return self.processor(text)["input_ids"]

    def text(self, tokens: list[int], special=False) -> str:
        return self.processor.decode(tokens, skip_special_tokens=not special)

    @torch.no_grad()
    def states(self, inputs: dict) -> dict[str, torch.Tensor]:
        return {"prefill_logits": self.model(**{k: v.clone() for k, v in inputs.items()}).logits[0].float()}

    def save(self, folder: Path):
        self.model.to(self.dtype).save_pretrained(folder)
        self.processor.save_pretrained(folder)
        compact(folder / "tokenizer.json")

    def reopened(self, folder: Path) -> TextOnly:
        model = hf.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        return replace(self, model=model, processor=hf.AutoTokenizer.from_pretrained(folder))


def built(config, tok, stop: list[int], **more) -> TextOnly:
    return TextOnly(hf.AutoModelForCausalLM.from_config(config), tok, (0, 0), stop=stop, sees=False, **more)


def chatml_tokenizer():
    opening, close, ask = CHATML
    tok = wrapped(byte_level(QWEN2, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"], nfc=True), eos_token="<|im_end|>",
                  pad_token="<|endoftext|>", chat_template=turns("", opening, "", close, ask))
    return tok, ids(tok, "<|im_end|>", "<|endoftext|>")


def qwen2_text(e: Extents) -> TextOnly:
    tok, stop = chatml_tokenizer()
    config = hf.Qwen2Config(**e.text(vocabulary(tok)), tie_word_embeddings=True, eos_token_id=stop[0])
    return built(config, tok, stop, pad=stop[1], embed=0.35)


def qwen3_text(e: Extents) -> TextOnly:
    tok, stop = chatml_tokenizer()
    return built(hf.Qwen3Config(**e.text(vocabulary(tok), head_dim=16), eos_token_id=stop[0]), tok, stop, pad=stop[1])


def llama_text(e: Extents) -> TextOnly:
    opening = "{{ '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' }}"
    chat = turns("{{ bos_token }}", opening, "", "{{ '<|eot_id|>' }}", "<|start_header_id|>assistant<|end_header_id|>\\n\\n")
    marks = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    tok = wrapped(byte_level(LLAMA3, marks, bos="<|begin_of_text|>"), bos_token="<|begin_of_text|>", eos_token="<|eot_id|>",
                  pad_token="<|end_of_text|>", chat_template=chat)
    begin, *stop = ids(tok, "<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>")
    rope = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
            "original_max_position_embeddings": 32}
    config = hf.LlamaConfig(**e.text(vocabulary(tok), rms_norm_eps=1e-5), rope_parameters=rope, bos_token_id=begin, eos_token_id=stop)
    return built(config, tok, stop, pad=stop[0])


def mistral_text(e: Extents) -> TextOnly:
    chat = ("{{ bos_token }}{% for message in messages %}{% if message['role'] == 'user' %}"
            "{{ '[INST] ' + message['content'] + ' [/INST]' }}{% else %}{{ ' ' + message['content'] + eos_token }}{% endif %}{% endfor %}")
    tok = wrapped(pieces("legacy", []), bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="</s>", chat_template=chat)
    config = hf.MistralConfig(**e.text(vocabulary(tok), rms_norm_eps=1e-5), sliding_window=24, bos_token_id=1, eos_token_id=2)
    return built(config, tok, [2], pad=2, dtype=torch.float16)


def gemma3_text(e: Extents) -> TextOnly:
    opening = "{{ '<start_of_turn>' + ('model' if message['role'] == 'assistant' else message['role']) + '\\n' }}"
    chat = turns("{{ bos_token }}", opening, "", "{{ '<end_of_turn>\\n' }}", "<start_of_turn>model\\n")
    marks = ["<start_of_turn>", "<end_of_turn>", "\n\n", "\n\n\n"]
    tok = wrapped(pieces("gemma", marks, bos="<bos>", head=GEMMA_HEAD), bos_token="<bos>", eos_token="<eos>", unk_token="<unk>",
                  pad_token="<pad>", chat_template=chat)
    config = hf.Gemma3TextConfig(**e.text(vocabulary(tok), num_hidden_layers=3, head_dim=16, query_pre_attn_scalar=24, sliding_window=12),
                                 layer_types=["sliding_attention", "full_attention", "sliding_attention"])
    return built(config, tok, [1, *ids(tok, "<end_of_turn>")], embed=0.4 / e.hidden ** 0.5)


FAMILIES = {"qwen2_text": (qwen2_text, "lean"), "qwen3_text": (qwen3_text, "lean"), "llama_text": (llama_text, "lean"),
            "mistral_text": (mistral_text, "lean"), "gemma3_text": (gemma3_text, "lean")}
