"""Makes resize.json and interpolate.json in Fixtures/image: what torchvision, Pillow and torch make of drawn pictures.

    pip install torch torchvision pillow
    python make_resize_fixtures.py
"""

import json
import random

import numpy as np
import torch
import torch.nn.functional as F
from make_image_fixtures import OUT, checksum, draw
from PIL import Image
from torchvision.transforms import InterpolationMode
from torchvision.transforms.v2 import functional as tv

TORCHVISION = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC, "lanczos": InterpolationMode.LANCZOS,
               "nearest": InterpolationMode.NEAREST, "nearestExact": InterpolationMode.NEAREST_EXACT}
PILLOW = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS, "nearest": Image.NEAREST}


def sizes():
    dice = random.Random(11)
    made = [(336, 448, 28, 28), (1000, 700, 333, 500), (640, 480, 1280, 97), (500, 30, 29, 500), (3, 400, 600, 2), (97, 61, 97, 13)]
    while len(made) < 40:
        made.append(tuple(dice.choice([dice.randint(1, 9), dice.randint(1, 90), dice.randint(1, 400)]) for _ in range(4)))
    return made


def resize_cases():
    cases = []
    for width, height, to_width, to_height in sizes():
        pixels = draw(width, height)
        sums = {}
        for name, mode in TORCHVISION.items():
            picture = torch.from_numpy(pixels).permute(2, 0, 1)
            out = tv.resize(picture, [to_height, to_width], interpolation=mode, antialias=True)
            sums[f"torchvision {name}"] = checksum(out.permute(1, 2, 0).numpy())
        for name, code in PILLOW.items():
            sums[f"pillow {name}"] = checksum(np.asarray(Image.fromarray(pixels).resize((to_width, to_height), code)))
        cases.append({"width": width, "height": height, "toWidth": to_width, "toHeight": to_height, "sums": sums})
    return cases


def interpolate_cases():
    cases = []
    for width, height, to_width, to_height in [(7, 5, 4, 9), (11, 13, 5, 3), (3, 2, 8, 7), (1, 4, 6, 1), (9, 9, 9, 9), (30, 20, 11, 13)]:
        values = torch.from_numpy(draw(width, height)).float() / 127.5 - 1
        for mode in ("bilinear", "bicubic"):
            out = F.interpolate(values.permute(2, 0, 1)[None], size=(to_height, to_width), mode=mode, align_corners=False)
            cases.append({"width": width, "height": height, "toWidth": to_width, "toHeight": to_height, "mode": mode,
                          "values": [round(float(v), 8) for v in out[0].permute(1, 2, 0).reshape(-1)]})
    return cases


if __name__ == "__main__":
    (OUT / "resize.json").write_text(json.dumps(resize_cases()) + "\n")
    (OUT / "interpolate.json").write_text(json.dumps(interpolate_cases()) + "\n")
