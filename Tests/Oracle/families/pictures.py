"""Pictures that are made, not stored: smooth enough for a small PNG, busy enough that a wrong filter or crop shows."""
from __future__ import annotations

from pathlib import Path

from PIL import Image, ImageDraw

# Sizes of which every family's preprocessing is recorded: one pixel, lines, odd sides, the usual, very wide, very tall.
SIZES = [(1, 1), (1, 200), (200, 1), (3, 5), (28, 28), (37, 53), (57, 56), (201, 200), (333, 77), (77, 333), (320, 240), (640, 480),
         (900, 40), (40, 900)]
SECOND = (37, 53)  # the second picture of a conversation
FOLDER = "_images"


def picture(width: int, height: int, turn: int = 0) -> Image.Image:
    """Ramps in three directions, stripes that no side divides, a disc and a bar."""
    ramp = Image.linear_gradient("L")
    image = Image.merge("RGB", [ramp.rotate(90 * ((turn + band) % 4)).resize((width, height)) for band in range(3)])
    pen = ImageDraw.Draw(image)
    for line in range(3, width + height, 17):
        pen.line([(line, 0), (0, line)], fill=(line * 5 % 256, 255 - line % 256, line * 3 % 256))
    if width > 8 and height > 8:
        pen.ellipse([width // 8, height // 4, width // 2, height * 3 // 4], fill=(220, (40 + 90 * turn) % 256, 60))
        pen.rectangle([width * 5 // 8, height // 8, width * 3 // 4, height * 7 // 8], fill=(30, 60, 200))
    return image


def inverted(image: Image.Image) -> Image.Image:
    return image.point(lambda level: 255 - level)


def stored(out: Path, size: tuple[int, int]) -> Image.Image:
    """The picture of a size, from the folder that all families of `out` share; it is written there when it is missing."""
    file = out / FOLDER / f"{size[0]}x{size[1]}.png"
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        picture(*size, turn=(size[0] + size[1]) % 4).save(file, optimize=True)
    return Image.open(file).convert("RGB")
