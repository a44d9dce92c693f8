"""The shapes of a Qwen2-VL as llama.cpp reads them, with random weights: a decoder in Q4_0 and its image encoder in bf16.

    python make_gguf.py LLAMA_CPP OUT MODEL     LLAMA_CPP: a source tree of llama.cpp; writes OUT/text.gguf and OUT/vision.gguf

MODEL is one of those of Tests/Oracle/real_sizes.py: qwen2-vl-2b-awq or qwen2-vl-0.5b-awq, the 2B's decoder or Qwen2-0.5B's with a small encoder.

The answers mean nothing; sizes, times and memory do. The head, which is tied to the embeddings, is in Q6_K, as llama-quantize makes it, or where
rows are not whole blocks of 256 in Q8_0.
"""

import sys
from pathlib import Path

import numpy as np

LLAMA_CPP, OUT = Path(sys.argv[1]), Path(sys.argv[2])
sys.path.insert(0, str(LLAMA_CPP / "gguf-py"))
import gguf  # noqa: E402

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "Oracle"))
from real_sizes import MODELS  # noqa: E402

_, _, TEXT, VISION, _, _ = MODELS[sys.argv[3]]
LAYERS, HIDDEN, FEED_FORWARD = TEXT["num_hidden_layers"], TEXT["hidden_size"], TEXT["intermediate_size"]
HEADS, KV_HEADS, VOCABULARY = TEXT["num_attention_heads"], TEXT["num_key_value_heads"], TEXT["vocab_size"]
VISION_LAYERS, VISION_HIDDEN, VISION_HEADS = VISION["depth"], VISION["embed_dim"], VISION["num_heads"]
VISION_FEED_FORWARD = VISION["mlp_ratio"] * VISION_HIDDEN

random = np.random.default_rng(1)


def f32(*shape: int, scale: float = 0.02) -> np.ndarray:
    return (random.standard_normal(shape, dtype=np.float32) * scale).astype(np.float32)


def blocks(kind: gguf.GGMLQuantizationType, outputs: int, inputs: int) -> np.ndarray:
    """Random weights in the blocks of a quantized type, whose scales are small positive f16."""
    size, length = gguf.GGML_QUANT_SIZES[kind]
    data = random.integers(0, 256, (outputs, inputs // size, length), dtype=np.uint8)
    scale = np.full((outputs, inputs // size, 1), 0.002, dtype=np.float16).view(np.uint8)
    at = length - 2 if kind == gguf.GGMLQuantizationType.Q6_K else 0
    data[:, :, at:at + 2] = scale
    return data.reshape(outputs, -1)


def text() -> None:
    writer = gguf.GGUFWriter(OUT / "text.gguf", "qwen2vl")
    writer.add_block_count(LAYERS)
    writer.add_context_length(32768)
    writer.add_embedding_length(HIDDEN)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_rope_freq_base(1e6)
    writer.add_rope_dimension_sections([*TEXT["rope_parameters"]["mrope_section"], 0])
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    vocabulary = gguf.GGUFReader(LLAMA_CPP / "models" / "ggml-vocab-qwen2.gguf").fields
    tokens = vocabulary["tokenizer.ggml.tokens"].contents()
    kinds = list(vocabulary["tokenizer.ggml.token_type"].contents())
    more = VOCABULARY - len(tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens + [f"<|unused_{i}|>" for i in range(more)])
    writer.add_token_types(kinds + [gguf.TokenType.UNUSED] * more)
    writer.add_token_merges(vocabulary["tokenizer.ggml.merges"].contents())
    writer.add_eos_token_id(151643)
    writer.add_bos_token_id(151643)
    writer.add_pad_token_id(151643)
    writer.add_chat_template("{% for m in messages %}{{ m['role'] + '\\n' + m['content'] + '\\n' }}{% endfor %}")
    q4 = gguf.GGMLQuantizationType.Q4_0
    head = gguf.GGMLQuantizationType.Q8_0 if HIDDEN % 256 else gguf.GGMLQuantizationType.Q6_K

    def add(name: str, kind: gguf.GGMLQuantizationType, outputs: int, inputs: int) -> None:
        writer.add_tensor(name, blocks(kind, outputs, inputs), raw_dtype=kind)

    add("token_embd.weight", head, VOCABULARY, HIDDEN)
    writer.add_tensor("output_norm.weight", np.ones(HIDDEN, dtype=np.float32))
    kv = HIDDEN // HEADS * KV_HEADS
    for i in range(LAYERS):
        layer = f"blk.{i}."
        for name, outputs in (("q", HIDDEN), ("k", kv), ("v", kv)):
            add(f"{layer}attn_{name}.weight", q4, outputs, HIDDEN)
            writer.add_tensor(f"{layer}attn_{name}.bias", f32(outputs))
        add(layer + "attn_output.weight", q4, HIDDEN, HIDDEN)
        add(layer + "ffn_gate.weight", q4, FEED_FORWARD, HIDDEN)
        add(layer + "ffn_up.weight", q4, FEED_FORWARD, HIDDEN)
        add(layer + "ffn_down.weight", q4, HIDDEN, FEED_FORWARD)
        for name in ("attn_norm", "ffn_norm"):
            writer.add_tensor(f"{layer}{name}.weight", np.ones(HIDDEN, dtype=np.float32))
    finish(writer)


def vision() -> None:
    writer = gguf.GGUFWriter(OUT / "vision.gguf", "clip")
    writer.add_type("mmproj")
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(gguf.VisionProjectorType.QWEN2VL)
    writer.add_vision_image_size(560)
    writer.add_vision_patch_size(14)
    writer.add_vision_embedding_length(VISION_HIDDEN)
    writer.add_vision_feed_forward_length(VISION_FEED_FORWARD)
    writer.add_vision_projection_dim(HIDDEN)
    writer.add_vision_block_count(VISION_LAYERS)
    writer.add_vision_head_count(VISION_HEADS)
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_image_mean([0.48145466, 0.4578275, 0.40821073])
    writer.add_vision_image_std([0.26862954, 0.26130258, 0.27577711])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    bf16 = gguf.GGMLQuantizationType.BF16

    def linear(name: str, outputs: int, inputs: int) -> None:
        writer.add_tensor(name + ".weight", gguf.quants.quantize(f32(outputs, inputs), bf16), raw_dtype=bf16)
        writer.add_tensor(name + ".bias", f32(outputs))

    def norm(name: str) -> None:
        writer.add_tensor(name + ".weight", np.ones(VISION_HIDDEN, dtype=np.float32))
        writer.add_tensor(name + ".bias", np.zeros(VISION_HIDDEN, dtype=np.float32))

    for name in ("v.patch_embd.weight", "v.patch_embd.weight.1"):
        writer.add_tensor(name, f32(VISION_HIDDEN, 3, 14, 14))
    for i in range(VISION_LAYERS):
        block = f"v.blk.{i}."
        norm(block + "ln1")
        norm(block + "ln2")
        for name in ("q", "k", "v", "out"):
            linear(f"{block}attn_{name}", VISION_HIDDEN, VISION_HIDDEN)
        linear(block + "ffn_up", VISION_FEED_FORWARD, VISION_HIDDEN)
        linear(block + "ffn_down", VISION_HIDDEN, VISION_FEED_FORWARD)
    norm("v.post_ln")
    linear("mm.0", 4 * VISION_HIDDEN, 4 * VISION_HIDDEN)
    linear("mm.2", HIDDEN, 4 * VISION_HIDDEN)
    finish(writer)


def finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


OUT.mkdir(parents=True, exist_ok=True)
text()
vision()
