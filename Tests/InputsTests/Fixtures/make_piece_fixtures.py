#!/usr/bin/env python3
"""Make the fixtures of Unigram models, of sentencepiece's files and of tiktoken's with the libraries that define them.

Every `tokenizer/NAME.cases.json` holds texts with their ids, and ids with their text. Two runs write the same bytes.
"""
import base64
import io
import json
import random
import re
import unicodedata

import sentencepiece
import tiktoken
from sentencepiece import sentencepiece_model_pb2
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from make_text_fixtures import HERE, NASTY, QWEN2, WORDS, random_text, write

OUT = HERE / "tokenizer"
RULES = [("41", "61"), ("FB01", "66 69"), ("65 301", "E9"), ("3000", "20"), ("200B", ""), ("2460", "31"), ("301", ""), ("1F1E9 1F1EA", "64 65")]


def corpus():
    r = random.Random(1)
    return [" ".join(r.choice(WORDS) for _ in range(12)) for _ in range(400)]


def train(**options):
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus()), model_writer=out, num_threads=1, minloglevel=2, character_coverage=0.98, **options)
    proto = sentencepiece_model_pb2.ModelProto.FromString(out.getvalue())
    proto.trainer_spec.ClearField("model_prefix")
    return proto


class Pieces:
    """Text between added tokens by sentencepiece, the added tokens as they are declared."""

    def __init__(self, proto, added):
        self.sp = sentencepiece.SentencePieceProcessor()
        self.sp.LoadFromSerializedProto(proto.SerializeToString())
        self.added = added
        self.pattern = re.compile("(" + "|".join(map(re.escape, added)) + ")")

    def encode(self, text):
        ids = []
        for part in self.pattern.split(text):
            ids += [self.added[part]] if part in self.added else self.sp.encode(part)
        return ids

    def decode(self, ids):
        return self.sp.decode([i for i in ids if i not in self.added.values()])


class Ranks:
    def __init__(self, ranks, specials):
        self.encoding = tiktoken.Encoding("ranks", pat_str=QWEN2, mergeable_ranks=ranks, special_tokens=specials)
        self.eod = len(ranks)

    def encode(self, text):
        return self.encoding.encode(unicodedata.normalize("NFC", text), allowed_special="all")

    def decode(self, ids):
        return self.encoding.decode([i for i in ids if i < self.eod])


class Fast:
    def __init__(self, tokenizer):
        self.tokenizer = tokenizer

    def encode(self, text):
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def decode(self, ids):
        return self.tokenizer.decode(ids, skip_special_tokens=True)


def cases(tokenizer, limit, seed):
    r = random.Random(seed)
    rows = []
    for text in NASTY + [random_text(r) for _ in range(80)]:
        # A mark that came after Unicode 9: Python's normalization knows it, that of HuggingFace's tokenizers does not.
        text = text.replace("\u07fd", "")
        ids = tokenizer.encode(text)
        rows.append({"text": text, "ids": ids, "plain": tokenizer.decode(ids)})
    for _ in range(40):
        ids = [r.randrange(3, limit) for _ in range(r.randrange(1, 10))]
        rows.append({"ids": ids, "plain": tokenizer.decode(ids)})
    return rows


def make():
    rules = OUT / "rules.tsv"
    rules.write_text("".join(f"{a}\t{b}\n" for a, b in RULES))
    bytes_ = train(
        model_type="bpe", vocab_size=600, byte_fallback=True, add_dummy_prefix=False, remove_extra_whitespaces=False,
        normalization_rule_name="identity", user_defined_symbols=["<sym>", "▁▁▁", "ab"], control_symbols=["<ctl>"])
    prefixed = train(model_type="bpe", vocab_size=400, byte_fallback=False, normalization_rule_name="identity")
    unigram = train(model_type="unigram", vocab_size=240, normalization_rule_tsv=str(rules), user_defined_symbols=["<sym>", "Day"])
    rules.unlink()
    for seed, (name, proto) in enumerate([("pieces", bytes_), ("prefixed", prefixed), ("scores", unigram)]):
        proto.normalizer_spec.ClearField("normalization_rule_tsv")
        (OUT / f"{name}.model").write_bytes(proto.SerializeToString())
        size = len(proto.pieces)
        added = {"<unk>": 0, "<s>": 1, "</s>": 2, "<|im_end|>": size, "<image>": size + 3}
        if name == "pieces":
            added["<ctl>"] = [p.piece for p in proto.pieces].index("<ctl>")
        write(OUT / f"{name}.cases.json", cases(Pieces(proto, added), size, seed))
    scores = [(p.piece, p.score) for p in unigram.pieces]
    steps = [
        ("unigram", [normalizers.Precompiled(unigram.normalizer_spec.precompiled_charsmap), normalizers.Replace(Regex(" {2,}"), " ")]),
        ("fallback", [normalizers.Nmt(), normalizers.BertNormalizer()]),
    ]
    for seed, (name, steps) in enumerate(steps):
        fallback = [(f"<0x{b:02X}>", -20.0) for b in range(256)] if name == "fallback" else []
        t = Tokenizer(models.Unigram(scores + fallback, unk_id=0, byte_fallback=bool(fallback)))
        t.normalizer = normalizers.Sequence(steps)
        t.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always")
        t.decoder = decoders.Metaspace("▁", prepend_scheme="always")
        if fallback:
            t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        (OUT / f"{name}.json").write_text(json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        write(OUT / f"{name}.cases.json", cases(Fast(t), t.get_vocab_size(), seed))
    ranks = {bytes([b]): b for b in range(256)}
    for word in WORDS + [" " + w for w in WORDS]:
        data = word.encode()
        for end in range(2, len(data) + 1):
            ranks.setdefault(data[:end], len(ranks))
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [f"<|extra_{i}|>" for i in range(205)] + [
        "<ref>", "</ref>", "<box>", "</box>", "<quad>", "</quad>", "<img>", "</img>", "<imgpad>"]
    (OUT / "ranks.tiktoken").write_text("".join(f"{base64.b64encode(b).decode()} {i}\n" for b, i in ranks.items()))
    write(OUT / "ranks.cases.json", cases(Ranks(ranks, {s: len(ranks) + i for i, s in enumerate(specials)}), len(ranks), 9))


if __name__ == "__main__":
    make()
