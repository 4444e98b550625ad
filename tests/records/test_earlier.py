"""Records in the forms of earlier versions mean today what they meant then."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from selfopt.records import Decision, PromptEvidence, RaceEnd, RaceEvidence, RoutingConfig
from selfopt.records.earlier import decision, race_end, race_standing, routing_config
from tests.golden.forms import as_0_1
from tests.ledger.race_samples import race_records
from tests.ledger.race_samples import race_standing as standing_of_today

DECISION: dict[str, Any] = {
    "decision_id": "decision-1", "verdict": "hold", "model": "a/1", "phase": "atomic", "candidate_spec_id": "spec-2",
    "baseline_spec_id": "spec-1", "claim": "this suite only", "estimate": 0.1, "gates": [], "reason_codes": ["no_data"],
    "evaluation_ids": [], "run_ids": [], "at": "2026-01-01T00:00:00.000Z",
}  # fmt: skip
RACE = {
    "state": "held", "why": "max_trials = 9 reached", "log_e": 1.5, "log_e_needed": 3.0, "log_f": -0.5, "log_f_needed": 2.3,
    "null_mean": 0.0, "n_pairs": 4, "trials": 8, "candidates": 2, "alpha": 0.05, "level": 0.025, "confidence": 0.9, "key": "evidence-1",
}  # fmt: skip
TEST = {
    "state": "promoted", "why": "decided", "log_e": 4.1, "log_e_needed": 3.69, "null_mean": 0.0, "n_pairs": 120, "wins": 20, "losses": 4,
    "p_mcnemar": 0.0008, "alpha": 0.025, "level": 0.025, "estimate": 0.13, "interval_low": 0.01, "interval_high": 0.3,
    "confidence": 0.95, "key": "evidence-2",
}  # fmt: skip
RESTRAINT = {"log_e": 0.1, "log_worse": -0.1, "log_e_needed": 3.0, "margin": 0.03, "n_pairs": 6}


def prefixed(prefix: str, figures: dict[str, Any]) -> dict[str, Any]:
    return {prefix + name: value for name, value in figures.items()}


@pytest.mark.parametrize(
    ("then", "kind", "detail"),
    [
        ("promoted", "promoted", ""),
        ("all dropped", "all_dropped", ""),
        ("ceiling", "ceiling", ""),
        ("what serves has changed", "server_changed", ""),
        ("its cycle was given up", "given_up", ""),
        ("faults of the server: it was restarted", "server_faults", "it was restarted"),
        ("race_trials = 10000 reached", "cap", "race_trials = 10000 reached"),
        ("max_minutes = 5 reached after 9 trials; raise max_minutes to go on", "cap", "max_minutes = 5 reached after 9 trials; raise max_minutes to go on"),
        ("the moon was full", "other", "the moon was full"),
    ],
)  # fmt: skip
def test_the_sentence_a_race_ended_with_is_a_kind_and_a_detail(then: str, kind: str, detail: str) -> None:
    """And the same sentence again for people."""
    body = race_end({"race_id": "race-1", "reason": then})
    assert body == {"race_id": "race-1", "ended_by": kind, "detail": detail}
    assert as_0_1(body)["reason"] == then


def test_why_a_candidate_stands_is_told_apart_likewise() -> None:
    """Words of one of the two forms alone are unchanged."""
    for why in ("", "decided", "futile", "behind", "ceiling"):
        assert race_standing({"why": why}) == {"why": why}
    assert race_standing({"why": "another was promoted"}) == {"why": "another_promoted", "detail": ""}
    assert race_standing({"why": "max_tokens = 2"}) == {"why": "cap", "detail": "max_tokens = 2"}


def test_today_s_forms_are_left_alone() -> None:
    """Also through the records themselves."""
    (end,) = [record for record in race_records() if isinstance(record, RaceEnd)]
    body = end.model_dump(mode="json")
    assert race_end(body) is body
    assert RaceEnd.model_validate(body) == end
    today = standing_of_today().model_dump(mode="json")
    assert race_standing(today) is today
    others: tuple[object, ...] = (None, 3, [], "text")
    for other in others:
        assert race_end(other) is decision(other) is race_standing(other) is other


def test_figures_by_name_are_parts() -> None:
    """Race, held-out race or test, restraint: each with all its figures, and back again."""
    heldout = prefixed("heldout_", TEST)
    figures = {**RACE, "claim": "prompts like these", **heldout, **prefixed("restraint_", RESTRAINT)}
    read = Decision.model_validate({**DECISION, "claim": "prompts like these", "evidence": {"figures": figures}})
    known = read.evidence
    assert (read.claim, known.claim) == ("prompts_like_these", "prompts_like_these")
    assert known.race is not None
    assert (known.race.why, known.race.detail, known.race.entered_with) == ("cap", "max_trials = 9 reached", 2)
    assert isinstance(known.heldout, PromptEvidence)
    assert (known.heldout.passed, known.heldout.n, known.heldout.interval) == (True, 120, (0.01, 0.3))
    assert known.restraint is not None
    assert as_0_1(read.model_dump(mode="json"))["evidence"] == {"figures": figures}
    raced = {"figures": {**RACE, **prefixed("heldout_", RACE | {"state": "dropped", "why": "futile", "estimate": -0.1})}}
    read = Decision.model_validate({**DECISION, "evidence": raced})
    assert isinstance(read.evidence.heldout, RaceEvidence)
    assert as_0_1(read.model_dump(mode="json"))["evidence"] == raced


def test_what_there_was_no_evidence_for_says_why() -> None:
    """No race, no held-out test, or nothing but a difference that is known."""
    missing = {"claim": "this suite only", "reason": "no_alpha_left", "why": "alpha is used up"}
    read = Decision.model_validate({**DECISION, "evidence": {"figures": missing}})
    assert read.evidence.not_raced is not None
    assert (read.evidence.not_raced.code, read.evidence.not_raced.detail) == ("no_alpha_left", "alpha is used up")
    untried = {**RACE, "heldout_state": "not tried", "heldout_why": "another did better"}
    assert Decision.model_validate({**DECISION, "evidence": {"figures": untried}}).evidence.not_tried == "another did better"
    exact = Decision.model_validate({**DECISION, "claim": "this suite only, exact", "evidence": {"figures": {}}})
    assert exact.evidence.exact is not None
    assert exact.evidence.exact.gain == 0.1
    assert Decision.model_validate(DECISION).evidence.race is None


@pytest.mark.parametrize(
    "figures", [{"log_e": 1.0}, {"restraint_log_e": 1.0}, {"heldout_wins": 3}, [], {"heldout_state": "not tried"}]
)
def test_figures_that_are_not_whole_are_refused(figures: Any) -> None:
    """With an error that a damaged ledger is told by."""
    with pytest.raises(ValidationError):
        Decision.model_validate({**DECISION, "evidence": {"figures": figures}})


def rule_of(reason: str, **fields: Any) -> dict[str, Any]:
    """The upgraded rule of a configuration of schema 1."""
    rule = {"rule_id": "rule-1", "model": "a/1", "phase": "extended", "allow": True, "source": "recommendation", "reason": reason}
    found: dict[str, Any] = routing_config({"schema_version": 1, "rules": [rule | fields]})["rules"][0]
    return found


@pytest.mark.parametrize(
    ("reason", "source", "kinds"),
    [
        ("a/1 on extended: too weak; fallback: a/2 is better", "recommendation", ["gate"]),
        (
            "a/1 on extended: too weak; its fallback a/2 would lead back here, so there is none",
            "recommendation",
            ["gate", "circle"],
        ),
        ("a/1 on extended: fine; served with few_shot (spec-1)", "recommendation", ["gate", "promotion"]),
        ("a/1 on extended: 3 fail; warm the model up before the first request", "recommendation", ["warm_up"]),
        ("a/1 on extended: the warm-up was rolled back by hand at noon", "recommendation", ["warm_up"]),
        ("I know; better", "manual", ["manual"]),
        ("I know better; served with few_shot (spec-1)", "manual", ["manual", "promotion"]),
        ("imported", "import", ["import"]),
        ("because; of the moon", "recommendation", ["other"]),
        ("", "manual", []),
        ("; ", "recommendation", ["other"]),
    ],
)
def test_the_sentence_of_a_rule_is_its_reasons(reason: str, source: str, kinds: list[str]) -> None:
    """Nothing of it is lost, and the sentence itself stays."""
    rule = rule_of(reason, source=source)
    assert [r["kind"] for r in rule.get("reasons", [])] == kinds
    assert "; ".join(r["text"] for r in rule.get("reasons", [])) == rule["reason"] == reason


@pytest.mark.parametrize(
    ("told", "status", "gain"),
    [
        ("confirmed (Bayes factor 12, 1 prompt, 4 cold and 4 warm runs)", "confirmed", "outcomes"),
        ("confirmed for latency (first call 740 -> 74 ms)", "confirmed", "latency"),
        ("not confirmed (outcomes are worse when warm)", "not_confirmed", None),
        ("not confirmed yet: run selfopt supervise", "not_confirmed_yet", None),
    ],
)
def test_how_sure_a_warm_up_is_has_a_field(told: str, status: str, gain: str | None) -> None:
    """Wherever it stood in the sentence; a person's own words are no confirmation."""
    warm = "a/1 on extended: 3 fail; warm the model up before the first request"
    rule = rule_of(f"{warm}; {told}; served with few_shot (spec-1)")
    assert [r["kind"] for r in rule["reasons"]] == ["warm_up", "promotion"]
    assert (rule["confirmation"]["status"], rule["confirmation"].get("gain"), rule["confirmation"]["told"]) == (
        status,
        gain,
        told,
    )
    assert rule_of(f"mine; {told}", source="manual").get("confirmation") is None


def test_a_configuration_of_schema_1_is_written_as_it_was_read() -> None:
    """Its seal covers what was written; one of schema 2 has its reasons."""
    body = RoutingConfig(schema_version=1, version=3).model_dump(mode="json") | {
        "rules": [RoutingConfig.model_validate({"rules": [rule_of("why")]}).rules[0].model_dump(mode="json", exclude={"reasons"})]
    }
    read = RoutingConfig.model_validate(routing_config(body))
    assert read.model_dump(mode="json") == body
    assert read.rules[0].reasons
    assert "reasons" in read.model_copy(update={"schema_version": 2}).model_dump(mode="json")["rules"][0]
