"""Whatever a model or a suite says is shown as text and does nothing."""

from __future__ import annotations

import re
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from selfopt.report import safe_markdown, safe_terminal, safe_text, to_text
from selfopt.report.escape import code
from tests.report.world import HOSTILE

ANY = st.text(st.characters(exclude_categories=[])) | st.text(st.sampled_from("\x1b[31m\u202e<>&`*_|[]()!#\\@$:/w.1 \n\r\t-+=~"))


@given(ANY)
def test_nothing_reaches_the_terminal_that_it_could_obey(text: str) -> None:
    """No control, escape, bidirectional, zero-width or line-separating character, no lone surrogate."""
    shown = safe_terminal(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)
    shown.encode("utf-8")


@given(ANY)
def test_markdown_has_no_active_character_left(text: str) -> None:
    """No tag, entity of its own, code, emphasis, link, mention, table cell, heading or list."""
    shown = safe_markdown(text)
    bare = re.sub(r"&#\d+;", "", shown)
    assert not set(bare) & set("&<`*[]|~\\@$\n")
    assert "://" not in shown
    assert "www." not in shown.lower()
    assert not re.search(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", shown)
    assert not re.match(r"[-#>+=]|\d+[.)]", shown)


def test_names_stay_readable() -> None:
    """What is harmless is left as it is."""
    plain = "prompt P1: native_api got 7/12, needs >= 0.80 (restraint-check, first call 740 -> 74 ms)"
    assert safe_markdown(plain) == plain
    assert safe_terminal("Zürich 日本 🌧") == "Zürich 日本 🌧"


def test_the_hostile_example_is_neutralised() -> None:
    """Each of its parts."""
    assert safe_terminal(HOSTILE).startswith(r"\x1b[31mred\u202e <script>")
    shown = safe_markdown(HOSTILE)
    assert "<script" not in shown
    assert "](" not in shown
    assert "**" not in shown


def test_long_text_is_cut() -> None:
    """A reply of ten megabytes does not fill the screen."""
    assert len(safe_terminal("x" * 10_000_000)) < 2_010
    assert len(safe_markdown("x" * 10_000_000)) < 410
    assert safe_terminal("x" * 3_000, limit=None) == "x" * 3_000


def test_rich_markup_is_no_markup() -> None:
    """`[red]` in a name stands there as it is."""
    assert to_text(safe_text("[red]a[/red] [link=http://x]b[/link]")) == "[red]a[/red] [link=http://x]b[/link]\n"


def test_only_plain_names_become_code() -> None:
    """A backtick in a name could end the code."""
    assert code("ollama/lfm2.5-thinking:1.2b") == "`ollama/lfm2.5-thinking:1.2b`"
    assert code("a`b") == "a&#96;b"
    assert code("a b") == "a b"
