"""When it pays to ask a small model first, in words."""

from __future__ import annotations

import pytest

from selfopt.words.money import pays_text


@pytest.mark.parametrize(
    ("cost", "time", "escalated", "said"),
    [
        (0.75, None, None, "cost less while fewer than 75 % are escalated"),
        (
            0.75,
            0.4,
            0.25,
            "cost less while fewer than 75 % are escalated, and take less time while fewer than 40 % are; here 25 % are escalated",
        ),
        (1.0, 0.0, None, "cost less whenever any answer is served, and never take less time"),
        (0.0, 0.5, None, "never cost less, and take less time while fewer than 50 % are escalated"),
        (None, 0.5, 0.0, "take less time while fewer than 50 % are escalated; here 0 % are escalated"),
    ],
)
def test_a_share_of_each_is_told_where_it_is_known(
    cost: float | None, time: float | None, escalated: float | None, said: str
) -> None:
    """In one sentence, with what is escalated."""
    assert pays_text("local/large", cost, time, escalated) == f"Beside local/large alone, both in turn {said}"


def test_where_neither_is_known_nothing_is_said() -> None:
    """And what a model is called can't move a terminal's cursor."""
    assert pays_text("local/large", None, None, 0.5) is None
    assert "\x1b" not in (pays_text("a\x1b[31m", 0.5, 0.5) or "")
