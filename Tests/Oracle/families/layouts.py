"""The same families as other versions of transformers wrote them down: names of tensors, configuration, processor files, shards."""
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Callable

import torch
import transformers as hf
from safetensors.torch import load_file, save_file

from oracle import Answer

from . import google, idefics, internvl, llava, mistral, qwen
from .extents import Extents
from .files import write_facts
from .native import Native, copied


def read(file: Path) -> dict:
    return json.loads(file.read_text(encoding="utf-8"))


def renamed(rename: Callable[[str], str]) -> Callable[[Path], None]:
    def rewrite(folder: Path):
        file = folder / "model.safetensors"
        tensors = {rename(k): v for k, v in load_file(file).items()}
        save_file({k: tensors[k] for k in sorted(tensors)}, file, metadata={"format": "pt"})
    return rewrite


def clip_inside(name: str) -> str:
    """As published: the towers kept `vision_model.`."""
    return name.replace("vision_tower.", "vision_tower.vision_model.", 1) if name.startswith("vision_tower.") else name


def llava_452(name: str) -> str:
    """As 4.52 to 4.57 wrote it: everything but the head under `model.`."""
    if name == "language_model.lm_head.weight":
        return "lm_head.weight"
    return "model." + clip_inside(name).replace("language_model.model.", "language_model.")


def plain_452(name: str) -> str:
    """The same for towers that have no `vision_model.`."""
    return llava_452(name).replace(".vision_tower.vision_model.", ".vision_tower.")


def qwen_452(name: str) -> str:
    if name.startswith("visual."):
        return "model." + name
    return name.replace("model.", "model.language_model.", 1) if name.startswith("model.") else name


def sharded(folder: Path, count=3):
    """Tensors dealt to files in turn, so that a module's lie apart."""
    tensors, where = load_file(folder / "model.safetensors"), {}
    for shard in range(count):
        file = f"model-{shard + 1:05d}-of-{count:05d}.safetensors"
        part = sorted(tensors)[shard::count]
        save_file({k: tensors[k] for k in part}, folder / file, metadata={"format": "pt"})
        where |= {k: file for k in part}
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    write_facts(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": where})
    (folder / "model.safetensors").unlink()


def old_processor(folder: Path):
    """`preprocessor_config.json` and `chat_template.json` in place of one `processor_config.json` and a Jinja file."""
    whole = read(folder / "processor_config.json")
    pictures = whole.pop("image_processor")
    whole.pop("video_processor", None)
    if pictures["image_processor_type"].startswith("Qwen2VL"):
        size = pictures.pop("size")
        pictures |= {"min_pixels": size["shortest_edge"], "max_pixels": size["longest_edge"]}
    write_facts(folder / "preprocessor_config.json", {**pictures, "processor_class": whole["processor_class"]})
    if len(whole) > 1:
        write_facts(folder / "processor_config.json", whole)
    else:
        (folder / "processor_config.json").unlink()
    template = folder / "chat_template.jinja"
    write_facts(folder / "chat_template.json", {"chat_template": template.read_text(encoding="utf-8")})
    template.unlink()


def old_bare_processor(folder: Path):
    """The same without a template."""
    (folder / "chat_template.jinja").write_text("", encoding="utf-8")
    old_processor(folder)
    (folder / "chat_template.json").unlink()


def panning(folder: Path):
    """Gemma 3 with squares of a picture's pieces asked for in the file, which its processor overrules."""
    known = read(folder / "processor_config.json")
    asked = {"do_pan_and_scan": True, "pan_and_scan_min_crop_size": 24, "pan_and_scan_max_num_crops": 3,
             "pan_and_scan_min_ratio_to_activate": 1.2}
    write_facts(folder / "processor_config.json", {**known, "image_processor": {**known["image_processor"], **asked}})


def template_in_tokenizer(folder: Path):
    """The template in `tokenizer_config.json`."""
    template = folder / "chat_template.jinja"
    known = read(folder / "tokenizer_config.json")
    write_facts(folder / "tokenizer_config.json", {**known, "chat_template": template.read_text(encoding="utf-8")})
    template.unlink()


def declared_elsewhere(folder: Path):
    """The tokens that LLaVA added to Llama's: only in `tokenizer_config.json` and `added_tokens.json`, not in `tokenizer.json`."""
    known, config = read(folder / "tokenizer.json"), read(folder / "tokenizer_config.json")
    moved = [token for token in known["added_tokens"] if token["content"] in ("<pad>", "<image>")]
    known["added_tokens"] = [token for token in known["added_tokens"] if token not in moved]
    (folder / "tokenizer.json").write_text(json.dumps(known, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")
    declared = {str(t["id"]): {k: v for k, v in t.items() if k != "id"} for t in [*known["added_tokens"], *moved]}
    write_facts(folder / "tokenizer_config.json", {**config, "added_tokens_decoder": declared})
    write_facts(folder / "added_tokens.json", {t["content"]: t["id"] for t in moved})


def flat_qwen(folder: Path):
    """The configuration of Qwen2-VL and Qwen2.5-VL as published: the text's fields at the top, `rope_scaling` of type mrope."""
    config = read(folder / "config.json")
    text, vision = config.pop("text_config"), config["vision_config"]
    rope = text.pop("rope_parameters")
    kind = {"torch_dtype": config.pop("dtype"), "sliding_window": 32768, "use_sliding_window": False, "rope_theta": rope["rope_theta"],
            "rope_scaling": {"type": "mrope", "mrope_section": rope["mrope_section"]}}
    text = {k: v for k, v in text.items() if k not in ("layer_types", "model_type", "pad_token_id", "dtype")}
    vision = {k: v for k, v in vision.items() if k not in ("rope_parameters", "initializer_range", "dtype", "model_type")}
    vision |= {"in_chans": vision.pop("in_channels"), "spatial_patch_size": vision["patch_size"]}
    if "window_size" not in vision:
        vision["model_type"] = "qwen2_vl"
    write_facts(folder / "config.json", {**config, **text, **kind, "vision_config": vision})


def sparse(folder: Path):
    """A configuration without the fields that equal their class's defaults, and with the older names of some."""
    config = read(folder / "config.json")
    for part in ("text_config", "vision_config"):
        given = config[part]
        rope = given.pop("rope_parameters", None)
        default = hf.CONFIG_MAPPING[given["model_type"]]().to_dict()
        kept = {k: v for k, v in given.items() if k == "model_type" or k not in default or v != default[k]}
        if rope and rope["rope_theta"] != 10000.0:
            kept["rope_theta"] = rope["rope_theta"]
        config[part] = {k: v for k, v in kept.items() if k != "dtype"} | {"torch_dtype": config["dtype"]}
    config["torch_dtype"] = config.pop("dtype")
    write_facts(folder / "config.json", config)


def laid(build: Callable[[Extents], Native], *rewrites: Callable[[Path], None], **more) -> Callable[[Extents], Native]:
    return lambda e: replace(build(e), rewrites=rewrites, **more)


class Penalized(Native):
    """With a repetition penalty in `generation_config.json`, which greedy decoding obeys: it is of every id of prompt and answer."""
    PENALTY = 1.5

    def __post_init__(self):
        super().__post_init__()
        self.model.generation_config.repetition_penalty = self.PENALTY

    @torch.no_grad()
    def asked(self, inputs: dict, steps: int):
        return self.model.generate(**copied(inputs), max_new_tokens=steps, do_sample=False, return_dict_in_generate=True,
                                   output_logits=True, output_scores=True)

    def generate(self, inputs: dict, steps: int):
        out = self.asked(inputs, steps)
        return out.sequences[0, inputs["input_ids"].shape[1]:].tolist(), torch.stack([row[0] for row in out.scores]).float()

    def steps(self, answer: Answer) -> dict[str, torch.Tensor]:
        out = self.asked(answer.inputs, len(answer.tokens))
        return {"step_logits": torch.stack([row[0] for row in out.logits]).float(), "step_scores": answer.logits}

    def facts(self) -> dict:
        return {"note": f"step_scores, of which margins are, are step_logits after a repetition penalty of {self.PENALTY}"}


def sampling(folder: Path):
    """The other numbers that stand beside a published penalty, none of which matters to greedy decoding."""
    known = read(folder / "generation_config.json")
    write_facts(folder / "generation_config.json", {**known, "do_sample": True, "temperature": 1e-6, "repetition_penalty": Penalized.PENALTY,
                                              "top_k": 1, "top_p": 0.001})


def penalized(e: Extents) -> Penalized:
    plain = qwen.qwen2_5_vl(e)
    fields = {name: getattr(plain, name) for name in ("model", "processor", "image", "stop", "pad", "dtype")}
    return Penalized(**fields, rewrites=(sampling,), has_cases=False)


FAMILIES = {
    "qwen2_vl_hubstyle": (laid(qwen.qwen2_vl_of_few, flat_qwen, old_processor), "thin"),
    "qwen2_vl_v452": (laid(qwen.qwen2_vl_of_few, renamed(qwen_452), template_in_tokenizer, has_cases=False, dtype=torch.float16), "thin"),
    "qwen2_vl_bf16_sharded": (laid(qwen.qwen2_vl_of_few, sharded, has_cases=False), "thin"),
    "qwen2_5_vl_hubstyle": (laid(qwen.qwen2_5_vl, flat_qwen, old_processor), "thin"),
    "qwen2_5_vl_reppen": (penalized, "thin"),
    "llava15_hubstyle": (laid(llava.llava15, renamed(clip_inside), sparse, old_processor), "thin"),
    "llava15_v452": (laid(llava.llava15, renamed(llava_452), declared_elsewhere, has_cases=False), "thin"),
    "llava_next_hubstyle": (laid(llava.llava_next_mistral, renamed(clip_inside), sparse, old_processor), "thin"),
    "llava_onevision_v452": (laid(llava.llava_onevision, renamed(llava_452), has_cases=False), "thin"),
}
# The same generations of other families.
OTHERS = {
    "gemma3_v452": (laid(google.gemma3, renamed(llava_452), has_cases=False), "thin"),
    "gemma3_hubstyle": (laid(google.gemma3, renamed(clip_inside), old_processor, has_cases=False), "thin"),
    "gemma3_pan": (laid(google.gemma3, panning, has_cases=False), "thin"),
    "paligemma_hubstyle": (laid(google.paligemma, renamed(clip_inside), old_bare_processor, has_cases=False), "thin"),
    "internvl_v452": (laid(internvl.internvl, renamed(plain_452), template_in_tokenizer, has_cases=False), "thin"),
    "pixtral_v452": (laid(mistral.pixtral, renamed(plain_452), template_in_tokenizer, has_cases=False), "thin"),
    "mistral3_v452": (laid(mistral.mistral3, renamed(plain_452), sharded, has_cases=False), "thin"),
    "smolvlm_hubstyle": (laid(idefics.smolvlm, old_processor, has_cases=False), "thin"),
}
