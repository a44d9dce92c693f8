"""Every directory that can be made."""
from __future__ import annotations

import shutil

from . import (documents, google, idefics, internvl, internvl_remote, layouts, llava, minicpm, minicpm_remote, mistral, phi3v, quantized,
               qwen, qwen_v1, text)
from .extents import ALL
from .record import Settings, make

# Group by group, in the order of the project's table of models.
NAMED_BY_GUIDES = llava.FAMILIES | internvl_remote.FAMILIES | minicpm_remote.FAMILIES | qwen_v1.FAMILIES | phi3v.FAMILIES
SUCCESSORS = (qwen.FAMILIES | internvl.FAMILIES | idefics.FAMILIES | google.FAMILIES | mistral.FAMILIES | documents.FAMILIES
              | minicpm.FAMILIES)
DOCUMENTS = documents.DOCUMENTS | idefics.DOCUMENTS
FAMILIES = NAMED_BY_GUIDES | SUCCESSORS | text.FAMILIES | DOCUMENTS | layouts.FAMILIES | quantized.FAMILIES
GENERATED = layouts.OTHERS | quantized.OTHERS  # never committed
FAMILIES |= GENERATED
LARGEST_COMMITTED = 1_500_000


def write(name: str, settings: Settings, extents: str | None):
    """Makes one directory; `extents` replaces the family's own."""
    build, usual = FAMILIES[name]
    chosen = ALL[extents or usual]
    make(name, build(chosen), chosen, settings)


def drop_large(name: str, settings: Settings):
    """Removes a directory that is too large to be committed; the generator makes it where it is wanted."""
    folder = settings.out / name
    if sum(file.stat().st_size for file in folder.iterdir()) > LARGEST_COMMITTED:
        shutil.rmtree(folder)
        print(f"{name}: larger than {LARGEST_COMMITTED} bytes, not committed", flush=True)
