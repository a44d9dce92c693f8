"""Makes Fixtures/image: small picture files of every kind, and what `transformers` makes of them and of drawn pictures.

    pip install transformers==5.23.0 torch torchvision pillow
    python make_image_fixtures.py

Drawn pictures come from an integer formula that the tests repeat, so that only checksums and a few rows are stored.
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from transformers.image_transforms import convert_to_rgb
from transformers.models.qwen2_vl.image_processing_qwen2_vl import Qwen2VLImageProcessor

torch.set_num_threads(1)
OUT = Path(__file__).parent / "image"
CLIP_MEAN = [0.48145466, 0.4578275, 0.40821073]
CLIP_STD = [0.26862954, 0.26130258, 0.27577711]


def draw(width, height, channels=3):
    x = np.arange(width, dtype=np.int64)[None, :, None]
    y = np.arange(height, dtype=np.int64)[:, None, None]
    c = np.arange(channels, dtype=np.int64)[None, None, :]
    return (((x * 7 + y * 13 + c * 29) ^ (x * y >> 3) ^ ((x * x + y * 3 * c) >> 5)) & 255).astype(np.uint8)


def checksum(array):
    """Sum of (i + 1) * value[i] modulo 2^64, over the bits of float32 or over bytes."""
    flat = np.ascontiguousarray(array).reshape(-1)
    flat = flat.view(np.uint32) if flat.dtype == np.float32 else flat
    total = 0
    for start in range(0, flat.size, 1 << 22):
        part = flat[start : start + (1 << 22)].astype(np.uint64)
        weights = np.arange(start + 1, start + 1 + part.size, dtype=np.uint64)
        total = (total + int((part * weights).sum(dtype=np.uint64))) % 2**64
    return str(total)


def processor(minimum, maximum, mean=CLIP_MEAN, std=CLIP_STD, **more):
    return Qwen2VLImageProcessor(size={"shortest_edge": minimum, "longest_edge": maximum}, image_mean=mean, image_std=std, **more)


CLASS = (3136, 1003520)
HUB = (3136, 12845056)
DEMO = (12544, 28224)
SIZES = [
    *[(w, h, *CLASS) for w, h in [
        (1, 1), (1, 2), (2, 1), (1, 200), (200, 1), (3, 7), (7, 3), (13, 14), (14, 13), (14, 14), (27, 28), (28, 28),
        (29, 28), (42, 42), (43, 41), (56, 56), (57, 55), (70, 98), (99, 71), (100, 1000), (1000, 100), (101, 103),
        (224, 224), (225, 223), (333, 777), (640, 480), (1000, 1000), (1001, 1003), (1024, 768), (1280, 720),
        (1999, 10), (10, 1999), (1920, 1080), (2, 399), (400, 2), (3000, 20), (4001, 31)]],
    *[(w, h, *DEMO) for w, h in [(1, 1), (128, 128), (168, 168), (169, 167), (640, 480), (17, 1500), (1024, 1024), (3000, 20)]],
    *[(w, h, *HUB) for w, h in [(5000, 3000), (3584, 3584), (2500, 3333)]],
]
REFUSED = [(1, 201, *CLASS), (400, 1, *CLASS), (1, 400, *CLASS), (3001, 15, *CLASS)]


def size_cases():
    cases = []
    for width, height, minimum, maximum in SIZES:
        picture = Image.fromarray(draw(width, height))
        out = processor(minimum, maximum)(picture, return_tensors="np")
        values, grid = out["pixel_values"], out["image_grid_thw"][0].tolist()
        raw = processor(minimum, maximum, do_rescale=False, do_normalize=False)(picture, return_tensors="np")["pixel_values"]
        raw = raw.reshape(-1, 3, 2, 196)[:, :, 0].round().astype(np.uint8)
        row = values.shape[0] // 2
        cases.append({
            "width": width, "height": height, "minPixels": minimum, "maxPixels": maximum, "grid": grid,
            "bytes": checksum(raw), "values": checksum(values) if values.size < 10**7 else None,
            "row": row, "rowStart": [float(v) for v in values[row, :12]],
        })
        print(width, height, grid)
    for width, height, minimum, maximum in REFUSED:
        try:
            processor(minimum, maximum)(Image.fromarray(draw(width, height)))
            raise SystemExit(f"{width}x{height} was not refused")
        except ValueError:
            cases.append({"width": width, "height": height, "minPixels": minimum, "maxPixels": maximum, "grid": None})
    return cases


def value_cases():
    picture = Image.fromarray(draw(56, 84))
    half = [0.5, 0.5, 0.5]
    kinds = {
        "clip": {},
        "half": {"image_mean": half, "image_std": half},
        "saved": {"image_mean": [0.48145467042922974, 0.45782750844955444, 0.40821072459220886],
                  "image_std": [0.2686295509338379, 0.2613025903701782, 0.27577710151672363]},
        "rescaleOnly": {"do_normalize": False},
        "normalizeOnly": {"do_rescale": False},
        "neither": {"do_normalize": False, "do_rescale": False},
        "keep": {"do_resize": False},
        "otherFactor": {"rescale_factor": 0.0078125},
        "bilinear": {"resample": 2, "size": {"shortest_edge": 12544, "longest_edge": 28224}},
        "lanczos": {"resample": 1, "size": {"shortest_edge": 12544, "longest_edge": 28224}},
        "lanczosDown": {"resample": 1, "size": {"shortest_edge": 784, "longest_edge": 1568}},
        "bilinearDown": {"resample": 2, "size": {"shortest_edge": 784, "longest_edge": 1568}},
        "nearestExact": {"resample": 0, "size": {"shortest_edge": 12544, "longest_edge": 28224}},
        "nearestExactDown": {"resample": 0, "size": {"shortest_edge": 784, "longest_edge": 1568}},
        "nearestByName": {"resample": "nearest", "size": {"shortest_edge": 12544, "longest_edge": 28224}},
        "nearestByNameDown": {"resample": "nearest", "size": {"shortest_edge": 784, "longest_edge": 1568}},
        "bilinearByName": {"resample": "bilinear", "size": {"shortest_edge": 784, "longest_edge": 1568}},
        "lanczosByName": {"resample": "lanczos", "size": {"shortest_edge": 784, "longest_edge": 1568}},
        "bicubicByName": {"resample": "bicubic", "size": {"shortest_edge": 784, "longest_edge": 1568}},
        "nullFlags": {"do_resize": None, "do_rescale": None, "do_normalize": None, "do_convert_rgb": None},
        "nullNormalization": {"do_normalize": None, "image_mean": None, "image_std": None},
        "nullFactor": {"do_rescale": None, "rescale_factor": None},
        "nullResample": {"do_resize": False, "resample": None},
        "oneMean": {"image_mean": [0.5], "image_std": [0.25]},
        "wideBounds": {"size": {"shortest_edge": 3136, "longest_edge": 10**20}},
        "otherGeometry": {"patch_size": 7, "merge_size": 4, "temporal_patch_size": 1},
    }
    cases = []
    for name, keys in kinds.items():
        made = Qwen2VLImageProcessor(**keys)
        config = {k: v for k, v in json.loads(made.to_json_string()).items() if v is not None or k in keys} | keys
        values = made(picture, return_tensors="np")["pixel_values"].astype(np.float32)
        cases.append({"name": name, "config": config, "shape": list(values.shape), "values": checksum(values)})
    return cases


def pillow_cases():
    filters = {"bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
    cases = []
    for width, height, to_width, to_height in [(97, 61, 31, 44), (40, 30, 160, 99), (200, 7, 50, 7), (9, 333, 9, 50), (5, 5, 640, 1)]:
        for name, code in filters.items():
            out = np.asarray(Image.fromarray(draw(width, height)).resize((to_width, to_height), code))
            cases.append({"width": width, "height": height, "toWidth": to_width, "toHeight": to_height,
                          "filter": name, "bytes": checksum(out)})
    return cases


def png(width, height, depth, kind, rows, *, interlace=False, chunks=()):
    """A PNG file from packed rows, for what Pillow cannot write."""
    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    data = b"".join(b"\0" + row for row in rows)
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, int(interlace))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + b"".join(chunk(n, b) for n, b in chunks)
            + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def packed(samples, depth):
    """Rows of samples [h, n] as PNG packs them."""
    if depth == 16:
        return [row.astype(">u2").tobytes() for row in samples]
    if depth == 8:
        return [row.astype(np.uint8).tobytes() for row in samples]
    bits = ((samples[..., None] >> np.arange(depth - 1, -1, -1)) & 1).reshape(samples.shape[0], -1)
    return [np.packbits(row.astype(np.uint8)).tobytes() for row in bits]


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def interlaced(samples, channels, depth):
    rows = []
    cells = samples.reshape(samples.shape[0], -1, channels)
    for x, y, dx, dy in ADAM7:
        part = cells[y::dy, x::dx]
        if part.size:
            rows += packed(part.reshape(part.shape[0], -1), depth)
    return rows


def saved(picture, kind, **keys):
    buffer = io.BytesIO()
    picture.save(buffer, kind, **keys)
    return buffer.getvalue()


W, H = 37, 29


def png_files():
    base = draw(W, H, 4).astype(np.int64)
    names = {0: ("gray", 1), 2: ("rgb", 3), 3: ("palette", 1), 4: ("grayalpha", 2), 6: ("rgba", 4)}
    depths = {0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16]}
    files = {}
    for kind, (name, channels) in names.items():
        for depth in depths[kind]:
            samples = base[..., :channels] * 257 + 5 if depth == 16 else base[..., :channels] >> (8 - depth)
            samples = (samples & ((1 << depth) - 1)).reshape(H, -1)
            chunks = [(b"PLTE", draw(1 << depth, 1).tobytes())] if kind == 3 else []
            variants = {"": chunks}
            if kind == 3:
                variants["-trns"] = [*chunks, (b"tRNS", bytes((40 * i) & 255 for i in range(min(1 << depth, 100))))]
            if kind in (0, 2):
                key = samples.reshape(H, W, channels)[7, 9]
                variants["-trns"] = [*chunks, (b"tRNS", b"".join(struct.pack(">H", int(k)) for k in key))]
            for suffix, extra in variants.items():
                files[f"{name}{depth}{suffix}.png"] = png(W, H, depth, kind, packed(samples, depth), chunks=extra)
                files[f"{name}{depth}{suffix}-interlaced.png"] = png(
                    W, H, depth, kind, interlaced(samples, channels, depth), interlace=True, chunks=extra)
    dark = base[..., :1].reshape(H, -1) * 2
    files["gray16-dark.png"] = png(W, H, 16, 0, packed(dark, 16))
    files["gray16-dark-interlaced.png"] = png(W, H, 16, 0, interlaced(dark, 1, 16), interlace=True)
    files["gamma.png"] = png(W, H, 8, 2, packed(base[..., :3].reshape(H, -1), 8), chunks=[(b"gAMA", struct.pack(">I", 100000))])
    oriented = Image.fromarray(draw(W, H))
    exif = Image.Exif()
    exif[0x0112] = 6
    files["exif6.png"] = saved(oriented, "PNG", exif=exif)
    files["one-pixel.png"] = saved(Image.fromarray(draw(1, 1)), "PNG")
    return files


def jpeg_files():
    # Smooth, so that files stay small and chroma matters.
    y, x = np.mgrid[0:H, 0:W]
    colour = np.stack([x * 6, y * 8, 255 - x * 3 - y * 4], -1).clip(0, 255).astype(np.uint8)
    colour[8:16, 10:20] = [250, 30, 20]
    picture = Image.fromarray(colour)
    files = {}
    for name, code in [("444", 0), ("422", 1), ("420", 2)]:
        files[f"rgb-{name}.jpg"] = saved(picture, "JPEG", quality=85, subsampling=code)
        files[f"rgb-{name}-progressive.jpg"] = saved(picture, "JPEG", quality=60, subsampling=code, progressive=True)
    # 4:4:0 has as many blocks per unit as 4:2:2, so on a square the frame header alone makes the difference.
    square = saved(picture.resize((32, 32)), "JPEG", quality=85, subsampling=1)
    frame = square.index(b"\xff\xc0") + 11
    files["rgb-440.jpg"] = square[:frame] + b"\x12" + square[frame + 1 :]
    files["rgb-restart.jpg"] = saved(picture, "JPEG", quality=75, restart_marker_blocks=2)
    files["rgb-keep.jpg"] = saved(picture, "JPEG", quality=90, keep_rgb=True)
    files["gray.jpg"] = saved(picture.convert("L"), "JPEG", quality=80)
    files["gray-progressive.jpg"] = saved(picture.convert("L"), "JPEG", quality=80, progressive=True)
    cmyk = picture.convert("CMYK")
    inks = np.asarray(cmyk).copy()
    inks[..., 3] = (np.mgrid[0:H, 0:W][1] * 5).clip(0, 255)
    cmyk = Image.fromarray(inks, "CMYK")
    files["cmyk.jpg"] = saved(cmyk, "JPEG", quality=85)
    files["cmyk-progressive.jpg"] = saved(cmyk, "JPEG", quality=85, progressive=True)
    plain = files["cmyk.jpg"]
    at = plain.index(b"Adobe\0") - 4
    files["ycck.jpg"] = plain[: at + 15] + b"\x02" + plain[at + 16 :]
    files["cmyk-without-adobe.jpg"] = plain[:at] + plain[at + 16 :]
    for code in range(1, 10):
        exif = Image.Exif()
        exif[0x0112] = code
        files[f"exif{code}.jpg"] = saved(picture, "JPEG", quality=85, exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 8
    little = saved(picture, "JPEG", quality=85, exif=exif)
    files["exif8-with-others.jpg"] = little
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="3"/></x:xmpmeta>'
    files["xmp3.jpg"] = saved(picture, "JPEG", quality=85, xmp=xmp)
    files["one-pixel.jpg"] = saved(picture.crop((0, 0, 1, 1)), "JPEG")
    files["comment.jpg"] = saved(picture, "JPEG", quality=85, comment=b"\xff\xd8\xff\xc0 not a frame")
    return files


def by_the_book(name):
    """Where Pillow strays from the PNG standard: it compares tRNS keys with rescaled samples."""
    kind, depth = ("rgb", 16) if name.startswith("rgb16") else ("gray", int(name[4:].split("-")[0].split(".")[0]))
    channels = 3 if kind == "rgb" else 1
    base = draw(W, H, 4)[..., :channels].astype(np.int64)
    samples = base * 257 + 5 & 65535 if depth == 16 else base >> (8 - depth)
    pixels = samples >> 8 if depth == 16 else samples * 255 // ((1 << depth) - 1)
    if "trns" in name:
        pixels[(samples == samples[7, 9]).all(-1)] = 255
    return np.broadcast_to(pixels, (H, W, 3)).astype(np.uint8)


def expected(name, data):
    if name.startswith(("gray2-trns", "gray4-trns", "rgb16-trns")):
        return by_the_book(name.removesuffix(".png"))
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return np.asarray(convert_to_rgb(picture, return_numpy=True))


def file_cases():
    cases = []
    (OUT / "files").mkdir(parents=True, exist_ok=True)
    for name, data in {**png_files(), **jpeg_files()}.items():
        (OUT / "files" / name).write_bytes(data)
        pixels = expected(name, data)
        cases.append({"name": name, "width": pixels.shape[1], "height": pixels.shape[0], "bytes": checksum(pixels)})
    return cases


def directory(entries, endian, *, mark=None, start=8, tail=b"\0\0\0\0"):
    """A TIFF structure of one directory; entries are (tag, type, count, four bytes or more)."""
    order = "<" if endian == "II" else ">"
    rows, rest = [], b""
    place = start + 2 + 12 * len(entries) + len(tail)
    for tag, kind, count, data in entries:
        if len(data) > 4:
            value, rest = struct.pack(order + "L", place + len(rest)), rest + data
        else:
            value = data.ljust(4, b"\0")
        rows.append(struct.pack(order + "HHL", tag, kind, count) + value)
    mark = mark or (b"II*\0" if endian == "II" else b"MM\0*")
    head = mark + struct.pack(order + "L", start) + b"\0" * (start - 8)
    return head + struct.pack(order + "H", len(entries)) + b"".join(rows) + tail + rest


def directories():
    formats = {1: "B", 2: "B", 3: "H", 4: "L", 6: "b", 7: "B", 8: "h", 9: "l", 11: "f", 12: "d", 13: "L", 16: "Q"}
    made = {}
    for endian, order in (("II", "<"), ("MM", ">")):
        def data(kind, *values, order=order):
            if kind in (5, 10):
                return b"".join(struct.pack(order + ("2L" if kind == 5 else "2l"), v * 2, 2) for v in values)
            return b"".join(struct.pack(order + formats[kind], v) for v in values)
        for kind in [*formats, 5, 10]:
            for value in (6, 3, 0, 9):
                made[f"{endian} type {kind} value {value}"] = directory([(274, kind, 1, data(kind, value))], endian)
            made[f"{endian} type {kind} twice"] = directory([(274, kind, 2, data(kind, 6, 8))], endian)
            made[f"{endian} type {kind} four times"] = directory([(274, kind, 4, data(kind, 6, 8, 3, 1))], endian)
            made[f"{endian} type {kind} none"] = directory([(274, kind, 0, data(kind, 6))], endian)
        six = (274, 3, 1, data(3, 6))
        made |= {
            f"{endian} text": directory([(274, 2, 2, b"6\0")], endian),
            f"{endian} unknown type": directory([(274, 14, 1, data(3, 6))], endian),
            f"{endian} unknown type first": directory([(274, 99, 1, data(3, 8)), six], endian),
            f"{endian} empty first": directory([(274, 3, 0, data(3, 8)), six], endian),
            f"{endian} two": directory([(274, 3, 1, data(3, 8)), six], endian),
            f"{endian} fraction": directory([(274, 5, 1, struct.pack(order + "2L", 13, 2))], endian),
            f"{endian} no denominator": directory([(274, 5, 1, struct.pack(order + "2L", 6, 0))], endian),
            f"{endian} half float": directory([(274, 11, 1, struct.pack(order + "f", 6.5))], endian),
            f"{endian} other mark": directory([six], endian, mark=b"II\0*" if endian == "II" else b"MM*\0"),
            f"{endian} later directory": directory([six], endian, start=20),
            f"{endian} without next": directory([six], endian, tail=b""),
            f"{endian} cut entry": directory([six], endian, tail=b"")[:-1],
            f"{endian} cut behind": directory([six, (305, 2, 4, b"abc\0")], endian, tail=b"")[:-5],
            f"{endian} cut before": directory([(271, 2, 9, b"12345678\0"), six], endian)[:-1],
            f"{endian} too long before": directory([(271, 2, 90000, struct.pack(order + "L", 8)), six], endian),
            f"{endian} long in sum": directory([(270, 2, 30, struct.pack(order + "L", 8)), (271, 2, 30, struct.pack(order + "L", 8)), six], endian),
            f"{endian} outside before": directory([(271, 2, 9, struct.pack(order + "L", 500)), six], endian),
            f"{endian} no directory": b"II*\0" + struct.pack("<L", 8),
            f"{endian} one byte long": directory([(274, 1, 1, b"\x06")], endian),
        }
    return made


def orientation(data):
    """What `exif_transpose` goes by; nothing where Pillow fails."""
    try:
        picture = Image.open(io.BytesIO(data))
        picture.load()
        found = picture.getexif().get(0x0112, 1)
    except Exception:
        return None
    return next((code for code in range(2, 9) if found == code), 1)


def exif_cases():
    import warnings
    warnings.simplefilter("ignore")
    head = b"Exif\0\0"
    six, eight = directory([(274, 3, 1, b"\0\6")], "MM"), directory([(274, 3, 1, b"\x08\0")], "II")
    bare, empty = directory([(305, 2, 2, b"a\0")], "II"), directory([], "II")
    profile = lambda tiff: f"\nexif\n{len(tiff):8}\n{tiff.hex()}\n".encode()
    name, xmp = b"Raw profile type exif\0", b'<a tiff:Orientation="3"/>'
    pngs = {f"directory {key}": [("eXIf", tiff)] for key, tiff in directories().items()} | {
        "head inside": [("eXIf", head + six)], "two heads inside": [("eXIf", head + head + six)],
        "two chunks": [("eXIf", six), ("eXIf", eight)], "second chunk bare": [("eXIf", six), ("eXIf", bare)],
        "empty chunk": [("eXIf", b"")], "exif as text": [("tEXt", b"exif\0" + six)],
        "profile": [("tEXt", name + profile(head + six))], "profile without head": [("tEXt", name + profile(six))],
        "profile in lines": [("tEXt", name + b"\nexif\n 10\n" + six.hex("\n", 8).upper().encode() + b"\n")],
        "profile without heading": [("tEXt", name + six.hex().encode())],
        "two profiles": [("tEXt", name + profile(six)), ("zTXt", name + b"\0" + zlib.compress(profile(eight)))],
        "packed profile": [("zTXt", name + b"\0" + zlib.compress(profile(six)))],
        "damaged profile": [("zTXt", name + b"\0" + zlib.compress(profile(six))[:20])],
        "profile of another kind": [("tEXt", b"Raw profile type xmp\0" + profile(six))],
        "international profile": [("iTXt", name + b"\0\0\0\0" + profile(six))],
        "packed international profile": [("iTXt", name + b"\1\0\0\0" + zlib.compress(profile(six)))],
        "chunk and profile": [("tEXt", name + profile(six)), ("eXIf", eight)],
        "bare chunk and profile": [("tEXt", name + profile(six)), ("eXIf", bare)],
        "empty directory": [("eXIf", empty)], "bare chunk and xmp": [("eXIf", bare), ("iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)],
        "unusable chunk and xmp": [("eXIf", directory([(274, 2, 2, b"6\0")], "II")), ("iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp)],
        "packed xmp": [("iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp))],
        "xmp as text": [("tEXt", b"XML:com.adobe.xmp\0" + xmp)], "xmp as packed text": [("zTXt", b"XML:com.adobe.xmp\0\0" + zlib.compress(xmp))],
    }
    jpegs = {
        "one head": [head + six], "two heads": [head + head + six], "two segments": [head + six[:12], head + six[12:]],
        "second segment": [head + bare, head + six], "cut": [head + six[:-6]], "head alone": [head],
    }
    plain = saved(Image.new("RGB", (2, 1)), "JPEG")
    cases = []
    for name, chunks in pngs.items():
        code = orientation(png(2, 1, 8, 2, [b"\0" * 6], chunks=[(n.encode(), b) for n, b in chunks]))
        cases.append({"name": name, "format": "png", "parts": [[n, b.hex()] for n, b in chunks], "orientation": code})
    for name, segments in jpegs.items():
        parts = b"".join(b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments)
        code = orientation(plain[:2] + parts + plain[2:])
        cases.append({"name": name, "format": "jpeg", "parts": [["", s.hex()] for s in segments], "orientation": code})
    return [case for case in cases if case["orientation"]]


if __name__ == "__main__":
    OUT.mkdir(exist_ok=True)
    for name, make in {"exif": exif_cases, "files": file_cases, "values": value_cases, "pillow": pillow_cases, "sizes": size_cases}.items():
        (OUT / f"{name}.json").write_text(json.dumps(make(), indent=1) + "\n")
