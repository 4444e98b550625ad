"""What a limit leaves free, in words."""

from __future__ import annotations

from typing import get_args

from selfopt.records import FreeReason, LeftFree
from selfopt.words.limits import left_free_lines


def test_each_part_is_named_with_its_reason() -> None:
    """The tool, the place in its arguments, and why."""
    parts = [
        LeftFree(tool="search", where="filters[].day", why="keyword", keyword="pattern"),
        LeftFree(tool="search", where="", why="size", keyword="enum"),
        LeftFree(tool="search", where="x", why="type"),
    ]
    assert left_free_lines(parts) == [
        "search: filters[].day: no limit can say `pattern`",
        "search: all arguments: the schema is too large (`enum`)",
        "search: x: no JSON type is named",
    ]


def test_every_reason_has_words() -> None:
    """With and without a keyword."""
    for why in get_args(FreeReason):
        for keyword in ("", "x"):
            (line,) = left_free_lines([LeftFree(tool="t", where="a", why=why, keyword=keyword)])
            assert line.startswith("t: a: ")
