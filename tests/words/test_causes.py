"""The causes in words, and the page that lists them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

from selfopt.errors import LASTING, Cause
from selfopt.measure.refusals import NEEDED
from selfopt.variants import load_variants
from selfopt.words.causes import REMEDIES, TITLES, cause_text

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "TROUBLESHOOTING.md").read_text("utf-8")


def test_the_page_lists_every_cause_with_its_remedy() -> None:
    """In the order of the code, in its words."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \| ([^|]+) \| [^|]+ \|$", PAGE, re.MULTILINE)
    assert set(rows) == {(cause, TITLES[cause], REMEDIES[cause]) for cause in get_args(Cause)}
    assert len(rows) == len(get_args(Cause))


def test_the_page_says_which_causes_last() -> None:
    """As the code has it."""
    said = re.search(r"The causes (.+?) last:", PAGE, re.DOTALL)
    assert said is not None
    assert set(re.findall(r"`(\w+)`", said[1])) == LASTING
    assert {3: "first three requests"}[NEEDED] in PAGE


def test_a_cause_and_its_remedy_are_one_line() -> None:
    """Without an end that a longer sentence would have to take off."""
    for cause in get_args(Cause):
        line = cause_text(cause)
        assert "\n" not in line
        assert not line.endswith((".", ";"))


def test_the_variants_that_a_remedy_names_are_there_and_help() -> None:
    """They offer no native tools, so a server has none to refuse and none to parse."""
    catalogue = load_variants()
    named = {name for text in REMEDIES.values() for name in re.findall(r"`(\w+@\d+)`", text)}
    assert named
    assert {catalogue[name].tools for name in named} == {"system_prompt"}
    assert catalogue["extended@2"].history == "rendered"
