"""Makes the WebP, GIF, BMP and TIFF files of Fixtures/image/files, and kinds.json: what `transformers` makes of them.

    pip install transformers==5.23.0 torch torchvision pillow
    python make_file_kinds.py

Every row has two checksums: `bytes` with alpha composited on white, and `dropped` of Pillow's `convert("RGB")`.
"""

import io
import json
import struct
import zlib

import numpy as np
from make_image_fixtures import OUT, H, W, checksum, draw, saved
from PIL import Image, ImageOps
from transformers.image_transforms import convert_to_rgb


def smooth(channels=3):
    """Few colours next to each other, so that files stay small."""
    y, x = np.mgrid[0:H, 0:W]
    planes = [x * 6, y * 8, 255 - x * 3 - y * 4, (x * 11 + y * 3) % 256]
    pixels = np.stack(planes, -1).clip(0, 255).astype(np.uint8)
    pixels[8:16, 10:20] = [250, 30, 20, 255]
    pixels[18:24, 3:9, 3] = 0
    return Image.fromarray(pixels[..., :channels])


def exif(code):
    made = Image.Exif()
    made[0x0112] = code
    return made


def riff(*chunks):
    body = b"WEBP" + b"".join(n + struct.pack("<I", len(b)) + b + b"\0" * (len(b) % 2) for n, b in chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def little24(value):
    return struct.pack("<I", value)[:3]


def animation(still, x, y, flags):
    """A film of one frame, smaller than its canvas."""
    width, height = Image.open(io.BytesIO(still)).size
    chunks = still[12:]
    if chunks[:4] == b"VP8X":
        chunks = chunks[18:]
    place = little24(x // 2) + little24(y // 2) + little24(width - 1) + little24(height - 1) + little24(100) + b"\0"
    head = bytes([flags, 0, 0, 0]) + little24(width + x + 2) + little24(height + y + 4)
    return riff((b"VP8X", head), (b"ANIM", b"\x10\x20\x30\xff\0\0"), (b"ANMF", place + chunks))


def webp_files():
    rgb, rgba = smooth(), smooth(4)
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="8"/></x:xmpmeta>'
    kinds = {
        "lossy": saved(rgb, "WEBP", quality=70), "lossless": saved(rgb, "WEBP", lossless=True),
        "noise": saved(Image.fromarray(draw(W, H)), "WEBP", quality=95),
        "lossy-alpha": saved(rgba, "WEBP", quality=70), "lossless-alpha": saved(rgba, "WEBP", lossless=True),
        "alpha-reduced": saved(rgba, "WEBP", quality=60, alpha_quality=40),
        "palette": saved(rgb.quantize(7).convert("RGB"), "WEBP", lossless=True),
        "exif6": saved(rgb, "WEBP", quality=50, exif=exif(6)), "xmp8": saved(rgb, "WEBP", quality=50, xmp=xmp),
        "one-pixel": saved(rgb.crop((0, 0, 1, 1)), "WEBP"),
        "film": saved(rgba, "WEBP", save_all=True, append_images=[rgba.rotate(90)], duration=100),
    }
    kinds["offset"] = animation(kinds["lossy"], 6, 2, 0x02)
    kinds["offset-alpha"] = animation(kinds["lossless-alpha"], 2, 10, 0x12)
    kinds["offset-lossy-alpha"] = animation(kinds["lossy-alpha"], 0, 4, 0x12)
    return {f"{name}.webp": data for name, data in kinds.items()}


def gif_files():
    rgb = smooth()
    palette, few = rgb.quantize(64), rgb.quantize(5)
    kinds = {
        "palette64": saved(palette, "GIF", interlace=0), "palette5": saved(few, "GIF", interlace=0),
        "interlaced": saved(palette, "GIF", interlace=1), "gray": saved(rgb.convert("L"), "GIF"),
        "transparent": saved(few, "GIF", transparency=2), "one-pixel": saved(rgb.crop((0, 0, 1, 1)), "GIF"),
        "gray-transparent": saved(rgb.convert("L"), "GIF", transparency=250), "two": saved(rgb.convert("1"), "GIF"),
        "film": saved(palette, "GIF", save_all=True, append_images=[palette.rotate(90)], loop=0, comment=b"a comment"),
    }
    for name, source in {"offset": kinds["palette5"], "offset-transparent": kinds["transparent"], "offset-gray": kinds["gray"]}.items():
        at = source.rindex(b"," + struct.pack("<HHHH", 0, 0, W, H))
        moved = bytearray(source)
        moved[at + 1 : at + 5] = struct.pack("<HH", 3, 5)
        moved[6:10] = struct.pack("<HH", W + 9, H + 6)
        kinds[name] = bytes(moved)
        moved[6:10] = struct.pack("<HH", 4, 100)
        kinds[f"{name}-larger"] = bytes(moved)
    # A local palette: the global one becomes it.
    source = kinds["palette5"]
    at = source.rindex(b"," + struct.pack("<HHHH", 0, 0, W, H))
    bits = source[10] & 7
    table = 3 << (bits + 1)
    kinds["local"] = (source[:10] + bytes([source[10] & 0x70]) + source[11:13] + source[13 + table : at + 9]
                      + bytes([0x80 | bits]) + source[13 : 13 + table] + source[at + 10 :])
    return {f"{name}.gif": data for name, data in kinds.items()}


def bmp(width, height, bits, rows, *, coding=0, masks=b"", palette=b"", colours=0, length=40, top_down=False, body=None):
    if body is None:
        rows = rows if top_down else rows[::-1]
        body = b"".join(row + b"\0" * (-len(row) % 4) for row in rows)
    if length == 12:
        head = struct.pack("<IHHHH", 12, width, height, 1, bits)
    else:
        head = struct.pack("<IiiHHIIiiII", length, width, -height if top_down else height, 1, bits, coding, len(body), 0, 0, colours, 0)
        head += masks.ljust(length - 40, b"\0") if length > 40 else masks
    offset = 14 + len(head) + len(palette)
    return b"BM" + struct.pack("<IHHI", offset + len(body), 0, 0, offset) + head + palette + body


def packed(samples, bits):
    """Rows of numbers, the first in the highest bits."""
    cells = ((samples[..., None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(samples.shape[0], -1)
    return [np.packbits(row.astype(np.uint8)).tobytes() for row in cells]


def runs(samples, is_four):
    """Run-length code with runs, plain stretches, skips and ends of rows."""
    out = b""
    for number, row in enumerate(samples[::-1]):
        row, at = row.tolist(), 0
        if number == 3:
            out += b"\0\2" + bytes([5, 0])
            at = 5
        while at < len(row):
            length = 1
            while at + length < len(row) and row[at + length] == row[at] and length < 200:
                length += 1
            if length > 2 or len(row) - at < 4:
                out += bytes([length, row[at] * 17 if is_four else row[at]])
            else:
                length = min(len(row) - at, 7)
                part = row[at : at + length]
                if is_four:
                    data = bytes(a << 4 | b for a, b in zip(part[::2], [*part[1::2], 0]))
                else:
                    data = bytes(part)
                out += bytes([0, length]) + data + b"\0" * (len(data) % 2)
            at += length
        out += b"\0\0"
    return out + b"\0\1"


def bmp_files():
    base = draw(W, H, 4).astype(np.int64)
    colours = np.concatenate([draw(256, 1)[0, :, ::-1], np.zeros((256, 1), np.uint8)], -1)
    table = lambda count: colours[:count].tobytes()
    gray = b"".join(bytes([i, i, i, 0]) for i in range(256))
    blocks = np.asarray(smooth().quantize(16)).astype(np.int64)
    words = [row.astype("<u2").tobytes() for row in (base[..., 0] * 257 + base[..., 1] * 31) & 65535]
    wide = [row.tobytes() for row in base.astype(np.uint8).reshape(H, -1)]
    masks = lambda *values: struct.pack(f"<{len(values)}I", *values)
    kinds = {
        "palette1": bmp(W, H, 1, packed(base[..., 0] >> 7, 1), palette=table(2)),
        "black-white": bmp(W, H, 1, packed(base[..., 0] >> 7, 1), palette=b"\0\0\0\0\xff\xff\xff\0"),
        "palette4": bmp(W, H, 4, packed(base[..., 0] >> 4, 4), palette=table(16)),
        "palette8": bmp(W, H, 8, packed(base[..., 0], 8), palette=table(256)),
        "palette8-short": bmp(W, H, 8, packed(base[..., 0], 8), palette=table(100), colours=100),
        "gray8": bmp(W, H, 8, packed(base[..., 0], 8), palette=gray),
        "rgb15": bmp(W, H, 16, words), "rgb15-masks": bmp(W, H, 16, words, coding=3, masks=masks(0x7C00, 0x3E0, 0x1F)),
        "rgb16": bmp(W, H, 16, words, coding=3, masks=masks(0xF800, 0x7E0, 0x1F)),
        "rgb24": bmp(W, H, 24, [r.tobytes() for r in base[..., :3].astype(np.uint8).reshape(H, -1)]),
        "rgb24-top-down": bmp(W, H, 24, [r.tobytes() for r in base[..., :3].astype(np.uint8).reshape(H, -1)], top_down=True),
        "rgb24-v5": bmp(W, H, 24, [r.tobytes() for r in base[..., :3].astype(np.uint8).reshape(H, -1)], length=124),
        "rgb32": bmp(W, H, 32, wide), "rgb32-masks": bmp(W, H, 32, wide, coding=3, masks=masks(0xFF000000, 0xFF0000, 0xFF00)),
        "rgba32-v3": bmp(W, H, 32, wide, coding=3, masks=masks(0xFF0000, 0xFF00, 0xFF, 0xFF000000), length=56),
        "rgba32-v4": bmp(W, H, 32, wide, coding=3, masks=masks(0xFF000000, 0xFF0000, 0xFF00, 0xFF), length=108),
        "rgba32-zeros": bmp(W, H, 32, wide, coding=3, masks=masks(0, 0, 0, 0), length=56),
        "os2": bmp(W, H, 8, packed(base[..., 0], 8), palette=colours[:, :3].tobytes(), length=12),
        "runs8": bmp(W, H, 8, None, coding=1, palette=table(256), body=runs(blocks * 9, False)),
        "runs4": bmp(W, H, 4, None, coding=2, palette=table(16), body=runs(blocks, True)),
        "one-pixel": bmp(1, 1, 24, [b"\1\2\3"]),
    }
    return {f"{name}.bmp": data for name, data in kinds.items()}


def tiff(entries, parts, *, order="<", tiles=False, big=False):
    """A TIFF file: the directory behind the data; an entry is a tag, a type and its values."""
    kinds = {1: "B", 3: "H", 4: "I", 16: "Q"}
    out = bytearray((b"II" if order == "<" else b"MM") + struct.pack(order + ("HHHQ" if big else "HI"), *([43, 8, 0, 0] if big else [42, 0])))
    places = []
    for part in parts:
        places.append(len(out))
        out += part + b"\0" * (len(part) % 2)
    entries = [*entries, (324 if tiles else 273, 4, places), (325 if tiles else 279, 4, [len(p) for p in parts])]
    rows, room = [], 8 if big else 4
    for tag, kind, values in sorted(entries):
        data = struct.pack(f"{order}{len(values)}{kinds[kind]}", *values)
        if len(data) > room:
            data, out = struct.pack(order + ("Q" if big else "I"), len(out)), out + data + b"\0" * (len(data) % 2)
        rows.append(struct.pack(order + ("HHQ" if big else "HHI"), tag, kind, len(values)) + data.ljust(room, b"\0"))
    at = len(out)
    out += struct.pack(order + ("Q" if big else "H"), len(rows)) + b"".join(rows) + b"\0" * room
    out[8 if big else 4 : 16 if big else 8] = struct.pack(order + ("Q" if big else "I"), at)
    return bytes(out)


def tags(width, height, bits, samples, photometric, *, coding=1, rows=None, extras=None, planes=1, more=()):
    made = [(256, 4, [width]), (257, 4, [height]), (258, 3, [bits] * samples), (259, 3, [coding]), (262, 3, [photometric]),
            (277, 3, [samples]), (284, 3, [planes]), *more]
    if rows:
        made.append((278, 4, [rows]))
    if extras is not None:
        made.append((338, 3, extras))
    return made


def cut(pixels, width, height):
    """Tiles in raster order, the last ones filled up with zeros."""
    full = np.zeros((-(-pixels.shape[0] // height) * height, -(-pixels.shape[1] // width) * width, pixels.shape[2]), pixels.dtype)
    full[: pixels.shape[0], : pixels.shape[1]] = pixels
    return [full[y : y + height, x : x + width] for y in range(0, full.shape[0], height) for x in range(0, full.shape[1], width)]


def written_tiffs():
    """Those that Pillow writes."""
    rgb, rgba = smooth(), smooth(4)
    pictures = {"two": rgb.convert("1"), "gray": rgb.convert("L"), "gray-alpha": rgba.convert("LA"), "palette": rgb.quantize(50),
                "rgb": rgb, "rgba": rgba, "cmyk": rgb.convert("CMYK")}
    kinds = {}
    for name, picture in pictures.items():
        codings = ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"] if name in ("two", "gray", "rgb") else ["raw", "tiff_deflate"]
        codings += ["jpeg"] if name in ("gray", "rgb", "cmyk") else []
        codings += ["tiff_ccitt", "group3", "group4"] if name == "two" else []
        for coding in codings:
            kinds[f"{name}-{coding.removeprefix('tiff_').removeprefix('adobe_')}"] = saved(picture, "TIFF", compression=coding)
    kinds["predictor"] = saved(rgb, "TIFF", compression="tiff_lzw", tiffinfo={317: 2})
    kinds["strips"] = saved(rgb, "TIFF", compression="tiff_lzw", strip_size=400)
    kinds["big"] = saved(rgb, "TIFF", big_tiff=True)
    kinds["two-pages"] = saved(rgb, "TIFF", save_all=True, append_images=[rgba], compression="tiff_adobe_deflate")
    kinds["two-inverted"] = saved(rgb.convert("1"), "TIFF", tiffinfo={262: 0}, compression="group4")
    for code in (3, 6, 7):
        kinds[f"orientation{code}"] = saved(rgb, "TIFF", tiffinfo={274: code}, compression="tiff_lzw")
    return kinds


def tiff_files():
    base = draw(W, H, 6)
    deep = base.astype(np.uint16) * 257 + 5
    plain = lambda pixels, order="<": [pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()]
    bits = lambda count: [b"".join(packed(base[..., 0].astype(np.int64) >> (8 - count), count))]
    apart = lambda pixels: [np.ascontiguousarray(pixels[..., i]).tobytes() for i in range(pixels.shape[-1])]
    maps = lambda count: (320, 3, [int(v) * 257 for v in draw(count, 1)[0].T.reshape(-1)])
    premultiplied = base[..., :4].copy()
    premultiplied[..., :3] = premultiplied[..., :3].astype(int) * premultiplied[..., 3:] // 255
    squeezed = [zlib.compress(t.tobytes(), 9) for t in cut(base[..., :3], 16, 16)]
    kinds = written_tiffs() | {
        **{f"gray{n}": tiff(tags(W, H, n, 1, 1), bits(n)) for n in (2, 4)},
        **{f"gray{n}-inverted": tiff(tags(W, H, n, 1, 0), bits(n)) for n in (1, 4, 8)},
        **{f"palette{n}": tiff(tags(W, H, n, 1, 3, more=[maps(1 << n)]), bits(n)) for n in (1, 2, 4)},
        "gray16": tiff(tags(W, H, 16, 1, 1), plain(deep[..., :1])),
        "gray16-dark": tiff(tags(W, H, 16, 1, 1), plain(base[..., :1].astype(np.uint16) * 2, ">"), order=">"),
        "gray16-inverted": tiff(tags(W, H, 16, 1, 0), plain(base[..., :1].astype(np.uint16) * 2)),
        "fill-order": tiff(tags(W, H, 4, 1, 1, more=[(266, 3, [2])]), [bytes(int(f"{b:08b}"[::-1], 2) for b in bits(4)[0])]),
        "rgb16": tiff(tags(W, H, 16, 3, 2), plain(deep[..., :3])),
        "rgb16-big-endian": tiff(tags(W, H, 16, 3, 2), plain(deep[..., :3], ">"), order=">"),
        "rgba16": tiff(tags(W, H, 16, 4, 2, extras=[2]), plain(deep[..., :4])),
        "cmyk16": tiff(tags(W, H, 16, 4, 5), plain(deep[..., :4])),
        "rgb-big-endian": tiff(tags(W, H, 8, 3, 2), plain(base[..., :3]), order=">"),
        "rgbx": tiff(tags(W, H, 8, 4, 2, extras=[0]), plain(base[..., :4])),
        "rgba-undeclared": tiff(tags(W, H, 8, 4, 2), plain(base[..., :4])),
        "rgba-undeclared-big": tiff(tags(W, H, 8, 4, 2), plain(base[..., :4]), big=True),
        "rgba-premultiplied": tiff(tags(W, H, 8, 4, 2, extras=[1]), plain(premultiplied)),
        "rgbaxx": tiff(tags(W, H, 8, 6, 2, extras=[2, 0, 0]), plain(base)),
        "cmykx": tiff(tags(W, H, 8, 5, 5, extras=[0]), plain(base[..., :5])),
        "palette-alpha": tiff(tags(W, H, 8, 2, 3, extras=[2], more=[maps(256)]), plain(base[..., :2])),
        "rgb-apart": tiff(tags(W, H, 8, 3, 2, planes=2), apart(base[..., :3])),
        "rgba-apart": tiff(tags(W, H, 8, 4, 2, planes=2, extras=[2]), apart(base[..., :4])),
        "cmyk-apart": tiff(tags(W, H, 8, 4, 5, planes=2), apart(base[..., :4])),
        "tiles": tiff(tags(W, H, 8, 3, 2, coding=8, more=[(322, 4, [16]), (323, 4, [16])]), squeezed, tiles=True),
        "tiles-apart": tiff(tags(W, H, 8, 3, 2, planes=2, coding=8, more=[(322, 4, [32]), (323, 4, [16])]),
                            [zlib.compress(t.tobytes(), 9) for i in range(3) for t in cut(base[..., i : i + 1], 32, 16)], tiles=True),
        "tile-larger": tiff(tags(W, H, 8, 1, 1, coding=8, more=[(322, 4, [64]), (323, 4, [64])]),
                            [zlib.compress(t.tobytes(), 9) for t in cut(base[..., :1], 64, 64)], tiles=True),
    }
    xmp = b'<a tiff:Orientation="3"/>'
    kinds["xmp3"] = tiff(tags(W, H, 8, 3, 2, more=[(700, 1, list(xmp))]), plain(base[..., :3]))
    return {f"{name}.tif": data for name, data in kinds.items()}


def all_alphas():
    """Every value with every alpha, as a PNG file."""
    y, x = np.mgrid[0:256, 0:256].astype(np.uint8)
    return {"every-alpha.png": saved(Image.fromarray(np.stack([x, y], -1), "LA"), "PNG", optimize=True)}


def expected(name, data):
    """Both pictures."""
    picture = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return np.asarray(convert_to_rgb(picture, return_numpy=True)), np.asarray(picture.convert("RGB"))


def main():
    cases = []
    for name, data in {**webp_files(), **gif_files(), **bmp_files(), **tiff_files(), **all_alphas()}.items():
        (OUT / "files" / name).write_bytes(data)
        pixels, dropped = expected(name, data)
        cases.append({"name": name, "width": pixels.shape[1], "height": pixels.shape[0],
                      "bytes": checksum(pixels), "dropped": checksum(dropped)})
    (OUT / "kinds.json").write_text(json.dumps(cases, indent=1) + "\n")


if __name__ == "__main__":
    main()
