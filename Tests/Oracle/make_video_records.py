"""What `transformers` says about videos: `Tests/Families/Videos`, over the tiny directories of `Tests/Families/Fixtures`.

`_media` holds the frames of one scene as PNG files and, coded by ffmpeg, as `clip.mp4`. `NAME.SOURCE` holds a processor for small
videos, which takes the place of the directory's own, `expected.json` and `expected.safetensors`: of a list of frames (`frames`), of the
file's sampled frames (`clip`), of both and an image (`mixed`). `Tests/InputsTests/Fixtures/video.json` holds which frames are chosen and
what sizes they get, for many videos.
"""
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from oracle import ROOT, Answer
import torch
import transformers
from PIL import Image, ImageDraw

from families.files import digest, fresh, write_facts, write_tensors

FIXTURES, OUT = ROOT / "Tests" / "Families" / "Fixtures", ROOT / "Tests" / "Families" / "Videos"
WIDTH, HEIGHT, FRAMES, RATE = 96, 64, 23, "12500/1001"
STEPS = 8
QUESTION = "12 naïve cafés —\nor 5?"
HALF = dict(image_mean=[0.5] * 3, image_std=[0.5] * 3)
# What a processor of the tiny directory says of videos, over the class's own defaults.
VIDEOS = {
    "qwen2_vl": dict(size={"shortest_edge": 28 * 28 * 4, "longest_edge": 28 * 28 * 6}),
    "qwen2_5_vl": dict(size={"shortest_edge": 28 * 28 * 4, "longest_edge": 28 * 28 * 24}),
    "qwen3_vl": dict(size={"shortest_edge": 24 * 24 * 8, "longest_edge": 24 * 24 * 28}, patch_size=12, **HALF),
    "qwen3_5": dict(size={"shortest_edge": 16 * 16 * 8, "longest_edge": 16 * 16 * 40}, patch_size=8, **HALF),
    "llava_onevision": HALF,
}


def scene(index: int) -> Image.Image:
    """A square that walks over a sky that darkens."""
    top = np.linspace(240 - 7 * index, 90, HEIGHT)[:, None]
    side = np.linspace(0, 60, WIDTH)[None, :]
    pixels = np.stack([top - side, top / 2 + side, 40 + 3 * index + 0 * top + side], -1)
    image = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    draw = ImageDraw.Draw(image)
    x, y = 4 + 3 * index, 40 - index
    draw.rectangle([x, y, x + 15, y + 15], fill=(250, 30 + 9 * index, 60))
    return image


def media():
    folder = fresh(OUT / "_media")
    for index in range(5):
        scene(4 * index).save(folder / f"frame{index}.png", optimize=True)
    raw = b"".join(scene(i).tobytes() for i in range(FRAMES))
    subprocess.run(["ffmpeg", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{WIDTH}x{HEIGHT}", "-r", RATE, "-i", "-",
                    "-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "28", "-bf", "2", "-g", "12", "-threads", "1", "-fflags", "+bitexact",
                    "-flags:v", "+bitexact", "-map_metadata", "-1", "-y", folder / "clip.mp4"], input=raw, check=True)


def clip() -> np.ndarray:
    """All frames of the file, as the library's own converter makes them RGB."""
    out = subprocess.run(["ffmpeg", "-loglevel", "error", "-i", OUT / "_media" / "clip.mp4", "-vf", "scale=flags=bilinear,format=rgb24",
                          "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
    return np.frombuffer(out, np.uint8).reshape(FRAMES, HEIGHT, WIDTH, 3)


def frames() -> np.ndarray:
    return np.stack([np.array(Image.open(OUT / "_media" / f"frame{i}.png").convert("RGB")) for i in range(5)])


def facts_of_clip() -> dict:
    over, under = (int(x) for x in RATE.split("/"))
    return {"total_num_frames": FRAMES, "fps": over / under, "duration": FRAMES * under / over, "width": WIDTH, "height": HEIGHT}


def processor(name: str, folder: Path):
    file = json.loads((FIXTURES / name / "processor_config.json").read_text())
    file["video_processor"] |= dict(VIDEOS[name], do_sample_frames=False)
    (folder / "processor_config.json").write_text(json.dumps(file, indent=2) + "\n")
    copy = fresh(Path("/tmp") / "video-record")
    for part in (FIXTURES / name).iterdir():
        shutil.copy(part, copy)
    shutil.copy(folder / "processor_config.json", copy)
    return transformers.AutoProcessor.from_pretrained(copy)


def asked(source: str, proc, image: Image.Image):
    """The template's text, and what the processor makes of it and the videos."""
    video, text = {"type": "video"}, {"type": "text", "text": QUESTION}
    content = {"frames": [video, text], "clip": [video, text], "mixed": [video, {"type": "image"}, video, text]}[source]
    prompt = proc.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False)
    sampling = {"do_sample_frames": True, **({"num_frames": 5} if "Onevision" in type(proc).__name__ else {"fps": 2})}
    seen = proc.video_processor(clip(), video_metadata=[facts_of_clip()], return_metadata=True, **sampling)
    picked = seen["video_metadata"][0]
    given = [frames()], [None]
    of_clip = [clip()[picked.frames_indices]], [picked]
    videos, metadata = {"frames": given, "clip": of_clip, "mixed": (given[0] + of_clip[0], given[1] + of_clip[1])}[source]
    metadata = [dict(m, frames_indices=[int(i) for i in m.frames_indices]) if m else
                {"total_num_frames": len(v), "fps": None, "duration": None, "frames_indices": list(range(len(v)))} for v, m in zip(videos, metadata)]
    made = proc(text=[prompt], images=[image] if source == "mixed" else None, videos=videos, video_metadata=metadata,
                do_sample_frames=False, return_tensors="pt")
    return prompt, dict(made), metadata


def media_of(name: str, source: str) -> list[dict]:
    """What the prompt's placeholders stand for, by paths from the record."""
    listed = {"frames": [f"../_media/frame{i}.png" for i in range(5)]}
    file = {"video": "../_media/clip.mp4", **({"num_frames": 5} if name == "llava_onevision" else {"fps": 2})}
    return {"frames": [listed], "clip": [file], "mixed": [listed, {"image": f"../../Fixtures/{name}/image.png"}, file]}[source]


def features(core, inputs: dict) -> dict[str, torch.Tensor]:
    out = {}
    grid = [inputs["video_grid_thw"]] if "video_grid_thw" in inputs else []
    made = core.get_video_features(inputs["pixel_values_videos"], *grid)
    rows = made.pooler_output
    out["video_features"] = torch.cat([x.reshape(-1, x.shape[-1]) for x in (rows if isinstance(rows, (list, tuple)) else [rows])])
    for index, rows in enumerate(getattr(made, "deepstack_features", None) or []):
        out[f"video_deepstack_{index}"] = torch.cat(list(rows)) if isinstance(rows, (list, tuple)) else rows
    return out


@torch.no_grad()
def record(name: str, source: str, folder: Path):
    proc = processor(name, folder)
    model = transformers.AutoModelForImageTextToText.from_pretrained(FIXTURES / name, dtype=torch.float32).eval()
    image = Image.open(FIXTURES / name / "image.png").convert("RGB")
    prompt, made, metadata = asked(source, proc, image)
    inputs = {k: v for k, v in made.items() if isinstance(v, torch.Tensor)}
    given = {k: v.clone() for k, v in inputs.items()}
    out = model.generate(**given, max_new_tokens=STEPS, do_sample=False, return_dict_in_generate=True, output_logits=True)
    tokens = out.sequences[0, inputs["input_ids"].shape[1]:].tolist()
    answer = Answer(prompt, inputs, tokens, torch.stack([row[0] for row in out.logits]).float())
    prefill = model(**{k: v.clone() for k, v in inputs.items()}).logits[0].float()
    states = {"prefill_logits_last64": prefill[-8:], "step_logits": answer.logits, "new_tokens": torch.tensor(tokens)}
    states |= features(model.model, inputs)
    if hasattr(model.model, "get_rope_index"):
        places = {k: inputs[k] for k in ("input_ids", "image_grid_thw", "video_grid_thw", "second_per_grid_ts", "attention_mask",
                                         "mm_token_type_ids") if k in inputs}
        states["position_ids"], states["rope_deltas"] = model.model.get_rope_index(**places)
    write_tensors(folder / "expected.safetensors", states)
    spread = float(answer.logits.std())
    write_facts(folder / "expected.json", {
        "model": name, "media": media_of(name, source),
        "transformers": transformers.__version__, "prompt": prompt, "input_ids": inputs["input_ids"][0].tolist(), "new_tokens": tokens,
        "margins": answer.margins, "min_margin_over_std": round(answer.lead / spread, 4),
        "video_metadata": [{k: m.get(k) for k in ("total_num_frames", "fps", "frames_indices")} for m in metadata],
        "second_per_grid_ts": [float(x) for x in made.get("second_per_grid_ts", [])],
        "sha256": {k: digest(v) for k, v in inputs.items() if k.startswith("pixel_values")},
        "input_shapes": {k: list(v.shape) for k, v in inputs.items()}})
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder.name}: {inputs['input_ids'].shape[1]} tokens, least lead {answer.lead / spread:.4f}, {size / 1e3:.0f} KB")


def chosen(kind, total: int, rate: float, **how) -> list[int] | None:
    facts = transformers.video_utils.VideoMetadata(total_num_frames=total, fps=rate)
    try:
        return [int(i) for i in kind.sample_frames(facts, **how)]
    except (ValueError, ZeroDivisionError):
        return None


def rules():
    kinds = {"steps": transformers.Qwen2VLVideoProcessor(), "ends": transformers.Qwen3VLVideoProcessor(),
             "shares": transformers.LlavaOnevisionVideoProcessor()}
    clips = [(1, 25.0), (2, 10.0), (3, 30.0), (7, 29.97), (23, 12500 / 1001), (48, 24.0), (250, 25.0), (299, 23.976), (1801, 59.94), (4096, 30.0)]
    samples = []
    for rule, kind in kinds.items():
        for total, rate in clips:
            for how in ({"fps": 2}, {"fps": 0.5}, {"fps": 7.3}, {"num_frames": 6}, {"num_frames": 9}):
                samples.append({"rule": rule, "total": total, "rate": rate, **how, "indices": chosen(kind, total, rate, **how)})
    sizes = []
    for name, cap in (("qwen2", None), ("qwen2", 4000), ("qwen3", None), ("qwen3", 64)):
        kind = kinds["steps" if name == "qwen2" else "ends"]
        kind.max_video_tokens = cap or kind.max_video_tokens
        for count in (2, 3, 8):
            for width, height in ((96, 64), (20, 30), (640, 360), (1920, 1080), (17, 900), (28, 28), (333, 334)):
                video = torch.zeros((1, count, 3, height, width), dtype=torch.uint8)
                made = kind.resize(video, kind.size, kind.resample, factor=kind.patch_size * 2,
                                   temporal_factor=2, cap_pixels_per_frame=cap is not None)
                sizes.append({"kind": name, "cap": cap, "frames": count, "from": [width, height], "to": [made.shape[-1], made.shape[-2]]})
    path = ROOT / "Tests" / "InputsTests" / "Fixtures" / "video.json"
    path.write_text(json.dumps({"samples": samples, "sizes": sizes}, separators=(",", ":")).replace('{"rule"', '\n{"rule"').replace('{"kind"', '\n{"kind"') + "\n")


def main(names):
    if not names:
        media()
        rules()
    for name in names or VIDEOS:
        for source in ("frames", "clip", "mixed"):
            record(name, source, fresh(OUT / f"{name}.{source}"))


main(sys.argv[1:])
