"""How large a tiny model is; every family is built at any of these extents, so that none of its numbers is special."""
from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Extents:
    """Sizes of a decoder (`hidden` … `layers`) and of a vision tower (`width` … `depth`), and how pictures differ from the family's own."""
    name: str
    hidden: int
    heads: int
    kv: int
    inter: int
    layers: int
    width: int
    vision_heads: int
    vision_inter: int
    depth: int
    wide: int = 128  # of families whose resampler wants a multiple of 128
    turned: bool = False
    stretch: int = 0

    @property
    def head(self) -> int:
        return self.hidden // self.heads

    def picture(self, width: int, height: int) -> tuple[int, int]:
        """The size of the family's picture at these extents."""
        width, height = width + self.stretch, height + 2 * self.stretch
        return (height, width) if self.turned else (width, height)

    def text(self, vocabulary: int, **more) -> dict:
        """The fields that all decoders of the Llama line share."""
        return {"vocab_size": vocabulary, "hidden_size": self.hidden, "intermediate_size": self.inter, "num_hidden_layers": self.layers,
                "num_attention_heads": self.heads, "num_key_value_heads": self.kv, "max_position_embeddings": 4096, "rms_norm_eps": 1e-6,
                **more}

    def vision(self, **more) -> dict:
        """The fields that CLIP, SigLIP and their like share."""
        return {"hidden_size": self.width, "intermediate_size": self.vision_inter, "num_hidden_layers": self.depth,
                "num_attention_heads": self.vision_heads, **more}

    def sections(self, head: int | None = None) -> list[int]:
        """A head's frequencies dealt to time, row and column."""
        half = (head or self.head) // 2
        time = max(half // 4, 1)
        return [time, (half - time + 1) // 2, (half - time) // 2]

    def interleaved_sections(self, frequencies: int) -> list[int]:
        """The same for interleaved frequencies, where time has the most."""
        side = frequencies // 4
        return [frequencies - 2 * side, side, side]


ALL = {e.name: e for e in [
    Extents("small", hidden=64, heads=4, kv=2, inter=80, layers=2, width=32, vision_heads=2, vision_inter=48, depth=2),
    Extents("lean", hidden=32, heads=2, kv=1, inter=48, layers=2, width=32, vision_heads=2, vision_inter=48, depth=2),
    Extents("odd", hidden=96, heads=6, kv=3, inter=160, layers=3, width=48, vision_heads=3, vision_inter=80, depth=3, wide=256,
            turned=True, stretch=11),
    Extents("thin", hidden=32, heads=2, kv=1, inter=48, layers=2, width=16, vision_heads=1, vision_inter=32, depth=2),
    Extents("packed", hidden=64, heads=4, kv=2, inter=96, layers=2, width=16, vision_heads=1, vision_inter=32, depth=1),
    Extents("single", hidden=48, heads=3, kv=1, inter=64, layers=1, width=16, vision_heads=1, vision_inter=32, depth=2),
    Extents("flat", hidden=64, heads=2, kv=2, inter=160, layers=1, width=64, vision_heads=2, vision_inter=32, depth=2, stretch=45),
]}
