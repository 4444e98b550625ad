"""Reads facts about a model from the header of its GGUF file, without loading the model.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md (versions 2 and 3).
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from selfopt.errors import ModelStoreError
from selfopt.reading.families import family_of_template
from selfopt.reading.thinking_marks import thinks_by_template
from selfopt.records import sha256_hex

_FIXED = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_STRING, _ARRAY, _UINT32 = 8, 9, 4
_MAX_ENTRIES = 10_000
_MAX_ITEMS = 10_000_000
_MAX_DEPTH = 4
# Further templates are `tokenizer.chat_template.NAME`; the one for tools is `tool_use`.
_TEMPLATE = "tokenizer.chat_template"

# llama.h, enum llama_ftype
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S", 12: "Q3_K_M",
    13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K", 19: "IQ2_XXS", 20: "IQ2_XS",
    21: "Q2_K_S", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S", 27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M",
    30: "IQ4_XS", 31: "IQ1_M", 32: "BF16", 36: "TQ1_0", 37: "TQ2_0", 38: "MXFP4",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """The facts in a header; "unknown" for those that it lacks.

    Attributes:
        quantization: the name of the file type, such as Q4_K_M.
        template_hash: the SHA-256 of the chat template.
        family: how the model writes calls, as its chat templates show.
        thinking: whether the model can think, as they show; None without any.
        pools: whether it says how the vectors of a text's tokens become one, as embedding models do.
    """

    quantization: str = "unknown"
    template_hash: str = "unknown"
    family: str = "unknown"
    thinking: bool | None = None
    pools: bool = False


class _Reader:
    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        self.skip(size)
        return self._data[self._at - size : self._at]

    def skip(self, size: int) -> None:
        if size > len(self._data) - self._at:
            raise ValueError("it ends in the middle of its header")
        self._at += size

    def u32(self) -> int:
        return int(struct.unpack("<I", self.take(4))[0])

    def u64(self) -> int:
        return int(struct.unpack("<Q", self.take(8))[0])

    def text(self) -> str:
        return self.take(self.u64()).decode("utf-8", "replace")

    def skip_value(self, kind: int, depth: int = 0) -> None:
        if kind in _FIXED:
            self.skip(_FIXED[kind])
        elif kind == _STRING:
            self.skip(self.u64())
        elif kind == _ARRAY and depth < _MAX_DEPTH:
            item, count = self.u32(), self.u64()
            if item in _FIXED:
                self.skip(_FIXED[item] * count)
            elif count > _MAX_ITEMS:
                raise ValueError(f"an array has {count} items")
            else:
                for _ in range(count):
                    self.skip_value(item, depth + 1)
        else:
            raise ValueError(f"it has a value of the unknown type {kind}")


def read_gguf(path: Path) -> GgufFacts:
    """Read the header. Raises ModelStoreError for an incomplete file, or one that is not GGUF."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _read(_Reader(data))
    except (OSError, ValueError) as error:
        raise ModelStoreError(
            f"{path}: not a readable GGUF model file: {error}; allowed are GGUF files of version 2 or 3"
        ) from error


def _read(reader: _Reader) -> GgufFacts:
    if reader.take(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version = reader.u32()
    if version not in (2, 3):
        raise ValueError(f"its version is {version}")
    reader.skip(8)
    entries = reader.u64()
    if entries > _MAX_ENTRIES:
        raise ValueError(f"its header has {entries} entries")
    quantization = template_hash = "unknown"
    templates, pools = "", False
    for _ in range(entries):
        key, kind = reader.text(), reader.u32()
        if key == "general.file_type" and kind == _UINT32:
            number = reader.u32()
            quantization = _FILE_TYPES.get(number, f"file type {number}")
        elif key.startswith(_TEMPLATE) and kind == _STRING:
            text = reader.text()
            templates += text
            template_hash = sha256_hex(text) if key == _TEMPLATE else template_hash
        else:
            pools = pools or key.endswith(".pooling_type")
            reader.skip_value(kind)
    family, thinks = family_of_template(templates) or "unknown", thinks_by_template(templates)
    return GgufFacts(quantization, template_hash, family, thinks, pools)
