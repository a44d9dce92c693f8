#!/usr/bin/env python3
"""Make the fixtures of the tokenizer and chat template tests with HuggingFace's tokenizers and transformers.

    make_text_fixtures.py --demo tokenizer.json --qwen2 tokenizer.json

`--demo` is the tokenizer of the demo model, `--qwen2` one with Qwen2's published vocabulary. Its merges are kept as
`qwen2.merges` (two 24-bit little-endian ids each); the ids of merged tokens follow the 256 bytes in order of rank, so that
nothing else is needed. All other tokenizers are trained here on the words below. Two runs write the same bytes.
"""
import argparse
import copy
import datetime
import json
import pathlib
import random
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers
from tokenizers import pre_tokenizers, processors, trainers
from transformers.utils import chat_template_utils

HERE = pathlib.Path(__file__).parent
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
LLAMA3 = QWEN2.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)
QWEN35 = QWEN2.replace(r"\p{L}+", r"[\p{L}\p{M}]+").replace(r"[^\s\p{L}\p{N}]", r"[^\s\p{L}\p{M}\p{N}]")
TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*"
    r"|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
WORDS = (
    "the of and to a in that is was he for it with as his on be at by I this had not are but from or have an they which one you "
    "were all her she there would their we him been has when who will no more if out so said what up its about than into them "
    "can only other time new some could these two may first then do any like my now over such our man me even most made after "
    "also did many off before must well back through years much where your way down should because long each just state those "
    "people too how little good world very still see picture red blue green square circle left right above below large small "
    "don't we've it's I'LL you're naïve Straße café 日本語 東京タワー 你好 世界 图片 한국어 안녕하세요 Привет мир مرحبا שלום नमस्ते สวัสดี 👍🏽 "
    "function return self import class print 1234 3.14 2026 http://example.org/x?y=1 foo_bar CamelCase if(x){y=z;} /**/ "
).split()
NASTY = [
    "", " ", "  ", "\n", "\r\n", "\t", " \n ", "   a", "a   ", "a\u00a0b", "\u3000x\u3000", "e\u0301", "A\u030a", "\u1100\u1161\u11a8", "\uac00\u11a8",
    "\u212b", "\u2126", "ﬁ", "½²①ⅷ", "👩‍👩‍👧‍👦", "🇩🇪", "\u0000", "\u007f", "\ufffd", "\ue000", "\U0010ffff", "\U0001e4d0", "\U00016d68x", "\U00011380\U00011382",
    "\u0897", "\u1c89", "ǅ", "ʕ", "\u180e", "\u200b\u200d\ufeff", "\u0085\u2028\u2029", "'ſ", "'S'Ll", "can't'd", "<|im_start|>", "<|im_start|", "x<|im_end|>\n",
    "<|im_end|><|im_end|>", "<s>", "</s>  x", "  </s>", "<unk>", "<image>", "<|assistant|>\n", "xDay", " Day ", "solo", "solos", "a solo b", "<0x41>", "▁", "▁▁x",
    "ĠĊ", "ÄĢ", "a" * 400, " " * 300, "ab" * 200, "1" * 100, "\n" * 50 + "x", "é" * 100, "字" * 200, "x\u0301\u0327\u0323", "\u0323\u0307", "ᾳͅ", "각각힣",
    "\U000e01a0\u0323", "\U00020041\u0301", "\u0345\u0f73\u0334", "a\u0301\u0f81", "a\u07fd\u0334", "\u0d3b\u0323", "x" + "\u0345\u0334" * 200,
]
CHARS = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cs",)]
MARKS = [c for c in CHARS if unicodedata.category(chr(c))[0] == "M"]
KNOWN = [c for c in CHARS if unicodedata.category(chr(c)) not in ("Cn", "Co")]
SPACES = [0x9, 0xA, 0xB, 0xC, 0xD, 0x20, 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000, 0x200B]


def random_text(r):
    def character():
        p = r.random()
        if p < 0.3: return chr(r.randrange(32, 127))
        if p < 0.42: return chr(r.choice(SPACES))
        if p < 0.52: return chr(r.choice(MARKS))
        if p < 0.6: return chr(r.randrange(0xAC00, 0xD7A4))
        if p < 0.65: return chr(r.randrange(0x1100, 0x1200))
        if p < 0.7: return chr(r.randrange(0x4E00, 0x9FFF))
        if p < 0.75: return chr(r.randrange(0x1F300, 0x1FB00))
        if p < 0.95: return chr(r.choice(KNOWN))
        return chr(r.choice(CHARS))
    size = r.choice([1, 2, 3, 5, 8, 13])
    if r.random() < 0.4: return "".join(character() for _ in range(size))
    pieces = WORDS + [x for x in NASTY if len(x) < 20]
    return "".join(r.choice([r.choice(pieces), character()]) + r.choice(["", " ", " ", "  ", "\n"]) for _ in range(size))


def train(tokenizer, size, specials=(), alphabet=()):
    r = random.Random(1)
    text = [" ".join(r.choice(WORDS) for _ in range(12)) for _ in range(400)]
    trainer = trainers.BpeTrainer(
        vocab_size=size, special_tokens=list(specials), initial_alphabet=list(alphabet), show_progress=False)
    tokenizer.train_from_iterator(text, trainer)
    return tokenizer


def byte_level(name, pre, nfc=False, bos=False, ignore=False):
    t = Tokenizer(models.BPE(ignore_merges=ignore))
    if nfc: t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre
    t.decoder = decoders.ByteLevel()
    train(t, 600, alphabet=pre_tokenizers.ByteLevel.alphabet())
    t.add_special_tokens(["<|im_start|>", "<|im_end|>", "<s>"])
    t.add_tokens([AddedToken("solo", single_word=True), AddedToken("Day", lstrip=True, rstrip=True)])
    if bos:
        start = ("<s>", t.token_to_id("<s>"))
        t.post_processor = processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[start])])
    return name, t


def split(pattern):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def sentence_piece(name, style):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=style != "no_fallback"))
    t.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="always", split=True)
    spellings = [f"<0x{b:02X}>" for b in range(256)] if style != "no_fallback" else []
    train(t, 900, ["<unk>", "<s>", "</s>"] + spellings)
    model = json.loads(t.to_str())
    model["added_tokens"] = []
    t = Tokenizer.from_str(json.dumps(model))
    spaces = decoders.Replace("▁", " ")
    strip = [decoders.Strip(" ", 1, 0)]
    if style == "legacy":
        t.pre_tokenizer = None
        t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    elif style == "gemma":
        t.normalizer = normalizers.Replace(" ", "▁")
        t.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
        strip = []
    else:
        t.pre_tokenizer = pre_tokenizers.Metaspace("▁", prepend_scheme="first" if style == "first" else "always", split=style != "first")
    t.decoder = decoders.Sequence([spaces, decoders.ByteFallback(), decoders.Fuse()] + strip)
    if style == "no_fallback": t.decoder = decoders.Metaspace("▁", prepend_scheme="always")
    t.add_special_tokens([AddedToken("<unk>", normalized=False), AddedToken("<s>", normalized=False), AddedToken("</s>", normalized=style == "legacy", rstrip=True)])
    t.add_tokens([AddedToken("<|assistant|>", rstrip=True, normalized=False), AddedToken("Day", normalized=True, lstrip=True), AddedToken("<image>", normalized=False, special=True)])
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", t.token_to_id("<s>"))])
    return name, t


def cases(tokenizer, count, seed):
    r = random.Random(seed)
    rows = []
    for index, text in enumerate(NASTY + [random_text(r) for _ in range(count)]):
        special = index % 2 == 1
        ids = tokenizer.encode(text, add_special_tokens=special).ids
        row = {"text": text, "ids": ids}
        if special: row["special"] = True
        for key, skip in [("plain", True), ("full", False)]:
            decoded = tokenizer.decode(ids, skip_special_tokens=skip)
            if decoded != text: row[key] = decoded
        rows.append(row)
    limit = tokenizer.get_vocab_size()
    for _ in range(count // 4):
        ids = [r.randrange(limit) if r.random() < 0.5 else r.randrange(min(limit, 400)) for _ in range(r.randrange(1, 12))]
        rows.append({"ids": ids, "full": tokenizer.decode(ids, skip_special_tokens=False)})
    return rows


def write(path, value):
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":")).replace('},{"', '},\n{"')
    path.write_text(text + "\n", encoding="utf-8")


def make_tokenizers(demo, qwen2):
    out = HERE / "tokenizer"
    out.mkdir(exist_ok=True)
    kinds = [
        ("demo", Tokenizer.from_file(str(demo))),
        byte_level("llama3", split(LLAMA3), bos=True, ignore=True),
        byte_level("tekken", split(TEKKEN), bos=True),
        byte_level("qwen35", split(QWEN35), nfc=True),
        byte_level("smollm", pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])),
        byte_level("words", pre_tokenizers.Sequence([
            pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.Split(Regex(r"\w+|[一-龥]"), "merged_with_next", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)])),
        sentence_piece("legacy", "legacy"), sentence_piece("first", "first"), sentence_piece("always", "no_fallback"), sentence_piece("gemma", "gemma"),
    ]
    for seed, (name, tokenizer) in enumerate(kinds):
        text = pathlib.Path(demo).read_text() if name == "demo" else tokenizer.to_str()
        (out / f"{name}.json").write_text(json.dumps(json.loads(text), ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        write(out / f"{name}.cases.json", cases(tokenizer, 2000 if name == "demo" else 250, seed))
    source = json.loads(pathlib.Path(qwen2).read_text(encoding="utf-8"))
    vocabulary, merges = source["model"]["vocab"], source["model"]["merges"]
    packed = bytearray()
    for rank, pair in enumerate(merges):
        left, right = pair if isinstance(pair, list) else pair.split(" ")
        assert vocabulary[left + right] == 256 + rank, rank
        packed += vocabulary[left].to_bytes(3, "little") + vocabulary[right].to_bytes(3, "little")
    (out / "qwen2.merges").write_bytes(packed)
    write(out / "qwen2.cases.json", cases(Tokenizer.from_file(str(qwen2)), 2000, 99))


NOW = 1_760_011_200
USER = {"role": "user", "content": "Hello, *world*!\n  What is 2+2? 日本"}
SYSTEM = {"role": "system", "content": " You are kind. "}
ASSISTANT = {"role": "assistant", "content": "<think>\nhm\n</think>\n\nFour. "}
PICTURE = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": "x"}}]}
VIDEO = {"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "And this?"}]}
TOOLS = [{"type": "function", "function": {
    "name": "weather", "description": "Tells the \"weather\" — now\nor later", "parameters": {
        "type": "object", "properties": {"city": {"type": "string", "description": "Città <b>"}, "days": {"type": "array", "items": {"type": "integer"}}}, "required": ["city"]}}}]
CALL = {"role": "assistant", "content": "", "tool_calls": [{"id": "call_0001", "type": "function", "function": {
    "name": "weather", "arguments": {"city": "Zürich", "f": 1.5, "ok": True, "none": None, "l": [1, "a"], "d": {"x": 1e-7}}}}]}
RESULT = {"role": "tool", "tool_call_id": "call_0001", "name": "weather", "content": "{\"t\": 20}"}
CONVERSATIONS = {
    "one": [USER], "system": [SYSTEM, USER], "turns": [USER, ASSISTANT, USER], "picture": [PICTURE], "pictures": [SYSTEM, PICTURE, ASSISTANT, VIDEO], "parts": [{"role": "user", "content": [{"type": "text", "text": "Only"}]}],
    "call": [USER, CALL, RESULT], "calls": [SYSTEM, USER, CALL, RESULT, RESULT, ASSISTANT, USER], "none": [], "role": [{"role": "alien", "content": "x"}], "users": [USER, USER],
    "thought": [USER, {"role": "assistant", "content": "Four", "reasoning_content": "two and two\n"}, USER],
}
VARIANTS = [{}, {"tools": TOOLS}, {"add_generation_prompt": False}, {"add_vision_id": True, "enable_thinking": False}]


def make_templates():
    class Clock(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime.datetime.fromtimestamp(NOW)

    chat_template_utils.datetime = Clock
    out = HERE.parent.parent / "ChatTemplatesTests/Fixtures"
    rows = []

    def render(template, context):
        try:
            return {"text": chat_template_utils._cached_compile_jinja_template(template).render(**copy.deepcopy(context))}
        except Exception as error:
            return {"error": type(error).__name__}

    contexts = {}
    for name, messages in CONVERSATIONS.items():
        for index, variant in enumerate(VARIANTS):
            contexts[f"{name}-{index}"] = dict(
                {"messages": messages, "tools": None, "documents": None, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>", "cls_token": "<cls>"}, **variant)
    write(out / "contexts.json", contexts)
    for path in sorted((out / "templates").glob("*.jinja")):
        for name, context in contexts.items():
            rows.append(dict(template=path.name, context=name, **render(path.read_bytes().decode(), context)))
    write(out / "renderings.json", rows)
    values = json.loads((out / "values.json").read_text(encoding="utf-8"))
    lines = (out / "snippets.txt").read_text(encoding="utf-8").split("\n---\n")
    write(out / "snippets.json", [dict(template=line, **render(line, values)) for line in lines])
    r = random.Random(5)
    write(out / "whitespace.json", [dict(template=t, **render(t, {"i": 7, "t": True})) for t in (random_layout(r) for _ in range(600))])


def random_layout(r):
    pieces = [
        "\n", "  ", "\t", "a", "b\n", "{{ i }}", "{{- i }}", "{{ i -}}", "{% if t %}", "{% endif %}", "{%- if t %}", "{%- endif %}", "{% if t -%}", "{% endif -%}", "{%+ if t %}", "{% endif +%}",
        "{# c #}", "{#- c #}", "{# c -#}", "{%- set x=1 -%}", "{% set x=1 %}", "{% raw %} {{ {% endraw %}", "{%- raw %} r {%- endraw %}", "\r\n", "\u00a0", "{{ '}}' }}", "{{ {'a':{'b':1}} }}", "\n\n",
    ]
    text, open_ifs = "", 0
    for _ in range(r.randrange(1, 14)):
        piece = r.choice(pieces)
        if "endif" in piece:
            if not open_ifs: continue
            open_ifs -= 1
        elif "if t" in piece:
            open_ifs += 1
        text += piece
    return text + "{% endif %}" * open_ifs


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--demo", required=True)
    parser.add_argument("--qwen2", required=True)
    arguments = parser.parse_args()
    make_tokenizers(arguments.demo, arguments.qwen2)
    make_templates()
