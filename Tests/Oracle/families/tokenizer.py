"""Tokenizers of every kind that the families use, cut from the demo model's merges: small, and the same on every run."""
from __future__ import annotations

import json
import struct

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from oracle import DEMO, ROOT

CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
TAIL = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*" + TAIL
QWEN35 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*" + TAIL
LLAMA3 = QWEN2.replace(r"|\p{N}|", r"|\p{N}{1,3}|")
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
TEKKEN = (rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*" + TAIL)
SPACE = "▁"
LETTERS = SPACE + "".join(map(chr, range(33, 127))) + "éï"  # what is a piece of its own; everything else falls back to bytes
LLAMA_HEAD = ("<unk>", "<s>", "</s>")
GEMMA_HEAD = ("<pad>", "<eos>", "<bos>", "<unk>")


def demo_merges() -> list[tuple[str, str]]:
    known = json.loads((DEMO / "model" / "tokenizer.json").read_text(encoding="utf-8"))
    return [tuple(pair) for pair in known["model"]["merges"]]


def special(content: str, rstrip=False) -> AddedToken:
    return AddedToken(content, special=True, normalized=False, rstrip=rstrip)


def starts_with(tokenizer: Tokenizer, bos: str):
    known = [(bos, tokenizer.token_to_id(bos))]
    return processors.TemplateProcessing(single=f"{bos} $A", pair=f"{bos} $A {bos}:1 $B:1", special_tokens=known)


def byte_level(pattern: str | None, specials: list[str], nfc=False, bos: str | None = None, digits=False, merges=24) -> Tokenizer:
    """Byte-level BPE: split by `pattern` (GPT-2's own without one), `digits` one by one before that."""
    alphabet, kept = sorted(pre_tokenizers.ByteLevel.alphabet()), demo_merges()[:merges]
    made = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(alphabet + [a + b for a, b in kept])}, merges=kept))
    if nfc:
        made.normalizer = normalizers.NFC()
    steps = [pre_tokenizers.Digits(individual_digits=True)] if digits else []
    if pattern:
        steps.append(pre_tokenizers.Split(Regex(pattern), behavior="isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=pattern is None))
    made.pre_tokenizer = pre_tokenizers.Sequence(steps)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([special(s) for s in specials])
    bytes_only = processors.ByteLevel(trim_offsets=False)
    made.post_processor = processors.Sequence([bytes_only, starts_with(made, bos)]) if bos else bytes_only
    return made


def piece_merges(count: int) -> list[tuple[str, str]]:
    """The demo's merges with sentencepiece's mark for a space, each piece once."""
    kept, seen = [], set(LETTERS)
    for pair in demo_merges():
        a, b = (part.replace("Ġ", SPACE) for part in pair)
        if a in seen and b in seen and a + b not in seen:
            seen.add(a + b)
            kept.append((a, b))
    return kept[:count]


def pieces(style: str, specials: list[str], bos: str | None = "<s>", head=LLAMA_HEAD, rstrip=(), merges=32) -> Tokenizer:
    """BPE over sentencepiece's pieces with byte fallback.

    style: `legacy` puts a mark before every segment by its normalizer; `first` (Metaspace) only before the text; `never` puts none;
    `gemma` splits at spaces and puts none.
    """
    kept = piece_merges(merges)
    names = [*head, *(f"<0x{byte:02X}>" for byte in range(256)), *(a + b for a, b in kept), *LETTERS]
    ranked = {t: i for i, t in enumerate(names)}
    made = Tokenizer(models.BPE(vocab=ranked, merges=kept, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    strip = [decoders.Strip(" ", 1, 0)] if style in ("legacy", "first") else []
    made.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    if style == "legacy":
        made.normalizer = normalizers.Sequence([normalizers.Prepend(SPACE), normalizers.Replace(" ", SPACE)])
    elif style == "gemma":
        made.normalizer = normalizers.Replace(" ", SPACE)
        made.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    else:
        made.pre_tokenizer = pre_tokenizers.Metaspace(replacement=SPACE, prepend_scheme=style, split=False)
    made.add_special_tokens([special(s, rstrip=s in rstrip) for s in [*head, *specials]])
    if bos:
        made.post_processor = starts_with(made, bos)
    return made


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | float | bytes) -> bytes:
    """One field of a protobuf message."""
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def sentencepiece_model(merges=32) -> bytes:
    """A `tokenizer.model` file: BPE by score, byte fallback, no mark before the text, nothing normalized."""
    kinds = {"normal": 1, "unknown": 2, "control": 3, "byte": 6}
    rows = [("<unk>", 0.0, "unknown"), ("<s>", 0.0, "control"), ("</s>", 0.0, "control")]
    rows += [(f"<0x{byte:02X}>", 0.0, "byte") for byte in range(256)]
    rows += [(a + b, -float(rank), "normal") for rank, (a, b) in enumerate(piece_merges(merges))]
    rows += [(letter, -float(merges + rank), "normal") for rank, letter in enumerate(LETTERS)]
    proto = b"".join(field(1, field(1, t.encode()) + field(2, score) + field(3, kinds[kind])) for t, score, kind in rows)
    trainer = field(3, 2) + field(4, len(rows)) + field(35, 1) + field(40, 0) + field(41, 1) + field(42, 2)
    normalizer = field(1, b"identity") + field(3, 0) + field(4, 0) + field(5, 1)
    return proto + field(2, trainer) + field(3, normalizer)


def wrapped(tokenizer: Tokenizer, **fields) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **fields)


def ids(tokenizer: PreTrainedTokenizerFast, *names: str) -> list[int]:
    return [tokenizer.convert_tokens_to_ids(name) for name in names]


def vocabulary(tokenizer, multiple=8) -> int:
    """The embedding's rows: the tokens and some that no token has."""
    return -(-len(tokenizer) // multiple) * multiple


def template(name: str) -> str:
    """The chat template of a published checkpoint, from the template tests' fixtures."""
    return (ROOT / "Tests" / "ChatTemplatesTests" / "Fixtures" / "templates" / f"{name}.jinja").read_text(encoding="utf-8")
