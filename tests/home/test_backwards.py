"""Reading lines from the end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.home import files
from tests.examples import some_of


@settings(max_examples=some_of(300), deadline=None)
@given(
    data=st.lists(st.sampled_from([b"\n", b"a", b"bc", b"\r", b"0123456789"]), max_size=40).map(b"".join),
    block=st.integers(1, 9),
)
def test_backwards_is_forwards_reversed(tmp_path_factory: pytest.TempPathFactory, data: bytes, block: int) -> None:
    """Whatever the block size: the complete lines, reversed, each at its offset."""
    path = tmp_path_factory.mktemp("lines") / "file"
    path.write_bytes(data)
    expected, offset = [], 0
    for line in data.split(b"\n")[:-1]:
        expected.append((offset, line))
        offset += len(line) + 1
    descriptor = os.open(path, os.O_RDONLY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "_BLOCK_BYTES", block)
        found = list(files.lines_backwards(descriptor, len(data), 1000))
    os.close(descriptor)
    assert found == expected[::-1]


def test_a_line_without_end_is_cut(tmp_path: Path) -> None:
    """A line longer than the limit comes cut, and nothing is read before it."""
    path = tmp_path / "file"
    path.write_bytes(b"first\n" + b"x" * 500_000 + b"\n")
    descriptor = os.open(path, os.O_RDONLY)
    found = list(files.lines_backwards(descriptor, path.stat().st_size, 1000))
    os.close(descriptor)
    assert len(found) == 1
    assert 1000 < len(found[0][1]) < 200_000
