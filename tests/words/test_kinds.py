"""Every kind that records know has a name for people."""

from __future__ import annotations

from typing import get_args

from selfopt.records import Action, Baseline, FindingKind, Outcome, VerdictName
from selfopt.words.kinds import ACTIONS, BASELINE_SOURCES, EVENTS, FINDINGS, OUTCOMES, VERDICTS, plain


def test_no_kind_is_without_words() -> None:
    """None has those of code."""
    assert set(ACTIONS) == set(get_args(Action))
    assert set(FINDINGS) == set(get_args(FindingKind))
    assert set(OUTCOMES) == set(Outcome)
    assert set(VERDICTS) == set(get_args(VerdictName))
    assert set(BASELINE_SOURCES) == set(get_args(Baseline.model_fields["source"].annotation))
    for words in (ACTIONS, FINDINGS, OUTCOMES, VERDICTS, BASELINE_SOURCES, EVENTS):
        assert not [told for told in words.values() if "_" in told]


def test_a_name_without_words_of_its_own_is_read_as_words() -> None:
    """As of an installed package's gate."""
    assert plain("my_own_gate") == "my own gate"
