"""The confidence of an answer, and rules that serve when sure: what is written, read and hashed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from selfopt.records import Calibration, ConfidenceTerms, Rule, ServeWhen, Signals, SignalTerm, ToolMatch
from tests.ledger.calibration_samples import MODEL, calibration_record, serve_when


@settings(deadline=None)
@given(st.floats(), st.floats(-5, 5), st.floats(-5, 5), st.floats(0, 9), st.floats(0, 1))
def test_a_term_adds_from_nothing_to_its_weight(value: float, low: float, high: float, weight: float, unknown: float) -> None:
    """Whatever a server sends."""
    term = SignalTerm(signal="reply", low=low, high=high, weight=weight, unknown=unknown)
    assert 0 <= term.adds(value) <= weight
    if math.isnan(value):
        assert term.adds(value) == term.adds(None) == weight * unknown


def test_a_confidence_is_the_logistic_of_its_terms() -> None:
    """Worked by hand: -2 + 2.5 + 1 for a sure and backed call; text has its own intercept."""
    assert MODEL.confidence(Signals(calls=True, choice=0.0, backed=1.0)) == pytest.approx(1 / (1 + math.exp(-1.5)))
    assert MODEL.confidence(Signals(calls=True)) == pytest.approx(1 / (1 + math.exp(1.375)))
    assert MODEL.confidence(Signals(calls=False, choice=-99.0)) == pytest.approx(1 / (1 + math.exp(-0.5)))
    assert MODEL.needs_logprobs


@pytest.mark.parametrize("least", [0.0, 0.5, 1.0])
def test_what_nothing_tells_is_never_served(least: float) -> None:
    """A call that nothing reads, and an answer without the log probabilities that a term reads, whatever the threshold."""
    sure = Signals(calls=True, reply=-0.1, choice=0.0, backed=1.0)
    assert MODEL.serves(sure, least) == (MODEL.confidence(sure) >= least)
    for signals in (Signals(calls=False, reply=-0.1, choice=0.0, unread=True), Signals(calls=True, backed=1.0)):
        assert not MODEL.tells(signals)
        assert not MODEL.serves(signals, least)
    blind = MODEL.model_copy(
        update={"calls": MODEL.text.model_copy(update={"terms": ()}), "text": ConfidenceTerms(intercept=9.0)}
    )
    assert not blind.needs_logprobs
    assert blind.serves(Signals(calls=False), 0.9)


def test_a_negative_weight_is_refused() -> None:
    """A higher signal never makes an answer less sure."""
    with pytest.raises(ValidationError):
        SignalTerm(signal="reply", low=0, high=1, weight=-0.1, unknown=0)


def test_what_compares_no_calls_is_written_as_before_that_could_be_done() -> None:
    """So that no hash and no audit record of before changes."""
    assert "second" not in serve_when().model_dump(mode="json")
    assert not {"second", "second_trials"} & calibration_record().model_dump(mode="json").keys()
    assert not serve_when().compares


def test_a_calibration_is_read_as_it_was_written() -> None:
    """All of it, through JSON."""
    record = calibration_record()
    assert Calibration.model_validate_json(record.model_dump_json()) == record


def test_a_rule_without_the_newer_fields_is_written_as_before() -> None:
    """So its hash is the same; with them, it is read back whole."""
    plain = Rule(rule_id="r", model="local/m", phase="atomic", allow=True)
    assert not {"when", "serve_when"} & set(plain.model_dump())
    finer = plain.model_copy(update={"when": ToolMatch(names="calendar_*"), "serve_when": serve_when()})
    assert {"when", "serve_when"} <= set(finer.model_dump())
    assert Rule.model_validate_json(finer.model_dump_json()) == finer


def test_tool_sets_are_only_written_where_they_are_known() -> None:
    """So a rule of before has its hash."""
    plain = serve_when()
    assert "tool_sets" not in plain.model_dump()
    known = plain.model_copy(update={"tool_sets": ("tools-1",)})
    assert ServeWhen.model_validate_json(known.model_dump_json()) == known
    assert (plain.only_sets, known.only_sets) == ((), ("tools-1",))
