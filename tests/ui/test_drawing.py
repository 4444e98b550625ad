"""What templates are given to write."""

from __future__ import annotations

import pytest

from selfopt.ui.drawing import sentence


@pytest.mark.parametrize(
    ("clause", "said"),
    [
        ("allowed by hand", "Allowed by hand."),
        ("It was so.", "It was so."),
        ("local/small is weak", "local/small is weak."),
        ("get_time as accepted", "get_time as accepted."),
        ("", ""),
    ],
)
def test_a_clause_becomes_a_sentence(clause: str, said: str) -> None:
    """With a capital letter and a full stop; a name keeps its spelling."""
    assert sentence(clause) == said
