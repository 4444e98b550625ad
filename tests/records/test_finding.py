"""Findings with figures of their kind, and recommendations that tell how sure they are."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from pydantic import ValidationError

from selfopt.records import Confirmation, Finding, FindingKind, FlakyFigures, OtherFigures, Recommendation, Remedy, content_hash
from tests.loop.proposers.kit import FIGURES, SLOW, finding


@pytest.mark.parametrize("kind", get_args(FindingKind))
def test_figures_are_stored_under_their_names_alone(kind: FindingKind) -> None:
    """What is not known is not stored, and what is read is what was written."""
    found = finding(kind)
    assert found.model_dump(mode="json")["figures"] == FIGURES[kind] | ({"case": "accuracy"} if kind == "cold_start" else {})
    assert Finding.model_validate_json(found.model_dump_json()) == found
    assert found.figures.kind == kind


def test_the_case_of_a_cold_start_tells_its_figures() -> None:
    """Failures or latency."""
    assert finding("cold_start", **SLOW).figures.model_dump() == SLOW


def test_figures_of_another_kind_are_refused() -> None:
    """The type of the figures is what callers match on."""
    with pytest.raises(ValidationError, match="another kind than drift"):
        Finding.model_validate(
            finding("drift").model_dump() | {"figures": FlakyFigures(prompts=1, of=2, variance=0.1, example="PF")}
        )


def test_figures_that_no_kind_has_are_kept_as_they_stand() -> None:
    """Ledgers of the first days hold such; nothing of them is lost or changed."""
    found = Finding.model_validate(finding("flaky").model_dump() | {"figures": {"n": 1, "share": 0.5, "example": "PF"}})
    assert found.figures == OtherFigures(values={"n": 1, "share": 0.5, "example": "PF"})
    assert found.model_dump(mode="json")["figures"] == {"n": 1, "share": 0.5, "example": "PF"}
    assert found.type == "flaky"


def advice(reason: str, **fields: Any) -> Recommendation:
    """A recommendation to warm up, as it is read from a file."""
    body = {"id": "rec-1", "type": "warm_up", "model": "m", "phase": "atomic", "action": "enable_warm_up", "reason": reason}
    return Recommendation.model_validate(body | {"evidence": ["finding-1", "eval-1"]} | fields)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("confirmed (Bayes factor 320, 1 prompt, 4 cold and 4 warm runs)", ("confirmed", "outcomes")),
        ("confirmed for latency (first call 900 -> 70 ms, 4 cold and 4 warm runs, p = 0.01)", ("confirmed", "latency")),
        ("not confirmed (Bayes factor 0.1, 1 prompt, first call 70 -> 70 ms, 4 cold and 4 warm runs)", ("not_confirmed", None)),
        ("not confirmed yet: run selfopt supervise m atomic --validate-warm-up --runs 4", ("not_confirmed_yet", None)),
    ],
)
def test_what_0_1_said_in_the_reason_alone_is_read_as_a_confirmation(told: str, expected: tuple[str, str | None]) -> None:
    """With the ids behind the recommendation, where there was anything to rest on; read again it is the same."""
    read = advice(f"m on atomic: slow; warm the model up before the first request; {told}")
    assert read.confirmation is not None
    assert (read.confirmation.status, read.confirmation.gain) == expected
    assert read.confirmation.told == told
    assert read.confirmation.evidence == (() if expected[0] == "not_confirmed_yet" else read.evidence)
    assert read.advice == "m on atomic: slow; warm the model up before the first request"
    assert Recommendation.model_validate_json(read.model_dump_json()) == read


@pytest.mark.parametrize("reason", ["", "m on atomic: slow", "confirmed", "m on atomic: x (confirmed); withdrawn, no warm-up"])
def test_a_reason_that_says_nothing_of_it_has_no_confirmation(reason: str) -> None:
    """And the stored form has no such field, so that hashes stay."""
    read = advice(reason)
    assert read.confirmation is None
    assert read.advice == reason
    assert "confirmation" not in read.model_dump()


def test_a_confirmation_that_is_stored_counts_and_not_the_words() -> None:
    """Words may change."""
    stored = Confirmation(status="not_confirmed", told="it did not help")
    read = advice("m on atomic: slow; confirmed (Bayes factor 9); it did not help", confirmation=stored.model_dump())
    assert read.confirmation == stored
    assert read.advice == "m on atomic: slow; confirmed (Bayes factor 9)"


def test_a_remedy_is_known_again_by_its_kind_and_subject() -> None:
    """Whatever its reason says."""
    assert advice("a").remedy == advice("b").remedy == Remedy("m", "atomic", "warm_up")
    assert Remedy("m", "atomic", "fallback", "big") != Remedy("m", "atomic", "fallback", "bigger")


def test_a_finding_has_the_id_that_0_1_gave_it() -> None:
    """The hash of its content, in which figures stand as before there were types for them."""
    found = finding("truncation").model_copy(update={"finding_id": ""})
    assert content_hash("finding", found) == "finding-4280fdb8711282e07db60d3c"
