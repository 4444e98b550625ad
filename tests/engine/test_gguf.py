"""The header of a GGUF file."""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.engine.gguf import GgufFacts, read_gguf
from selfopt.errors import ModelStoreError
from selfopt.records import sha256_hex


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def header(*entries: bytes, version: int = 3, count: int | None = None) -> bytes:
    return b"GGUF" + struct.pack("<IQQ", version, 0, len(entries) if count is None else count) + b"".join(entries)


def string_entry(key: str, value: str) -> bytes:
    return text(key) + struct.pack("<I", 8) + text(value)


def u32_entry(key: str, value: int) -> bytes:
    return text(key) + struct.pack("<II", 4, value)


def strings_entry(key: str, *values: str) -> bytes:
    return text(key) + struct.pack("<IIQ", 9, 8, len(values)) + b"".join(text(v) for v in values)


def floats_entry(key: str, count: int) -> bytes:
    return text(key) + struct.pack("<IIQ", 9, 6, count) + bytes(4 * count)


def write(tmp_path: Path, data: bytes) -> Path:
    path = tmp_path / "model.gguf"
    path.write_bytes(data)
    return path


def test_quantisation_and_template_are_found_between_other_entries(tmp_path: Path) -> None:
    """Entries of any type are skipped."""
    data = header(
        string_entry("general.name", "tiny"),
        strings_entry("tokenizer.ggml.tokens", "a", "b", ""),
        floats_entry("tokenizer.ggml.scores", 3),
        u32_entry("general.file_type", 15),
        string_entry("tokenizer.chat_template", "{{ messages }}"),
    )
    assert read_gguf(write(tmp_path, data)) == GgufFacts("Q4_K_M", sha256_hex("{{ messages }}"), thinking=False)


def test_what_the_file_does_not_tell_is_unknown(tmp_path: Path) -> None:
    """Unknown is a value."""
    assert read_gguf(write(tmp_path, header(version=2))) == GgufFacts("unknown", "unknown")


def test_a_model_that_pools_its_vectors_says_so(tmp_path: Path) -> None:
    """As embedding models do."""
    assert read_gguf(write(tmp_path, header(u32_entry("bert.pooling_type", 1)))).pools
    assert not read_gguf(write(tmp_path, header(u32_entry("llama.context_length", 1)))).pools


def test_a_file_type_without_a_name_keeps_its_number(tmp_path: Path) -> None:
    """Two unknown types stay two."""
    assert read_gguf(write(tmp_path, header(u32_entry("general.file_type", 999)))).quantization == "file type 999"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"GGUF",
        b"PK\x03\x04" + bytes(40),
        header(version=1),
        header(count=10_001),
        header(count=1),
        header(text("k") + struct.pack("<I", 99)),
        header(text("k") + struct.pack("<IIQ", 9, 8, 2**40)),
        header(text("k") + struct.pack("<IIQ", 9, 6, 2**61)),
        header(struct.pack("<Q", 2**63)),
        header(text("k") + struct.pack("<IIQ", 9, 9, 1) * 9),
    ],
)
def test_a_damaged_header_is_refused(tmp_path: Path, data: bytes) -> None:
    """Bounded, with one clear line."""
    with pytest.raises(ModelStoreError, match="not a readable GGUF"):
        read_gguf(write(tmp_path, data))


@given(st.binary(max_size=200), st.booleans())
def test_any_bytes_give_facts_or_a_store_error(tmp_path_factory: pytest.TempPathFactory, data: bytes, magic: bool) -> None:
    """Nothing else is raised whatever the file holds."""
    path = tmp_path_factory.mktemp("any") / "x.gguf"
    path.write_bytes(b"GGUF\x03\0\0\0" + bytes(8) + data if magic else data)
    with contextlib.suppress(ModelStoreError):
        assert isinstance(read_gguf(path), GgufFacts)


def test_the_family_is_recognised_from_any_of_the_templates(tmp_path: Path) -> None:
    """The one for tools has a name of its own; the hash is that of the first one, as it was."""
    data = header(
        string_entry("tokenizer.chat_template", "{{ messages }}"),
        string_entry("tokenizer.chat_template.tool_use", "<tool_call>{{ name }}<arg_key>{{ key }}</arg_key>"),
    )
    facts = read_gguf(write(tmp_path, data))
    assert (facts.template_hash, facts.family) == (sha256_hex("{{ messages }}"), "glm47")
