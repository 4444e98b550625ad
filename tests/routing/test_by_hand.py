"""Rules that a person sets or removes, and thresholds that are voided."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from selfopt.errors import UsageError
from selfopt.home import Home
from selfopt.records import Rule, ToolMatch
from selfopt.routing import Enforcer, HandRule

from .make import spec, surely

SQL = ToolMatch(names="sql_*")


def sure(calibration_id: str = "calibration-1", when: ToolMatch | None = None) -> HandRule:
    made = spec("a/1")
    return HandRule(True, "a/2", when=when, serve_when=surely(calibration_id, spec_id=made.spec_id), spec=made)


def only(enforcer: Enforcer) -> Rule:
    (found,) = enforcer.load().rules
    return found


def test_a_threshold_brings_the_spec_that_it_is_about(enforcer: Enforcer) -> None:
    """With its variant, its limits and its evidence; the trail holds threshold and bound."""
    enforcer.set_by_hand("a/1", "extended", sure())
    found, made = only(enforcer), spec("a/1")
    assert (found.spec_id, found.variant, found.limits.timeout_s) == (made.spec_id, made.variant, made.timeout_s)
    assert found.evidence == ("calibration-1", made.spec_id)
    after = list(enforcer.trail.records())[-1].details["after"]["serve_when"]
    assert (after["least"], after["bound"]["max_bad_share"], after["bound"]["served"]) == (0.83, 0.1, 120)


def test_a_rule_without_a_threshold_serves_everything(enforcer: Enforcer) -> None:
    """Setting it anew says what it does, and keeps what serves."""
    enforcer.set_by_hand("a/1", "extended", sure())
    enforcer.set_rule("a/1", "extended", allow=True)
    assert (only(enforcer).serve_when, only(enforcer).fallback, only(enforcer).spec_id) == (None, None, spec("a/1").spec_id)


def test_a_finer_rule_is_set_and_removed_alone(enforcer: Enforcer) -> None:
    """The rule beside it stays as it is, to the last byte; its own id is another one."""
    enforcer.set_by_hand("a/1", "extended", sure())
    beside = only(enforcer)
    enforcer.set_by_hand("a/1", "extended", HandRule(False, "a/2", when=SQL))
    general, finer = enforcer.load().rules
    assert (general, finer.variant) == (beside, beside.variant)
    assert finer.rule_id != general.rule_id
    assert any("sql_* tools" in change for change in enforcer.history()[-1].changes)
    enforcer.remove("a/1", "extended", SQL)
    assert only(enforcer) == beside
    enforcer.remove("a/1", "extended")
    assert enforcer.load().rules == ()


def test_what_is_not_there_is_not_removed(enforcer: Enforcer) -> None:
    """The line names the rules that are."""
    enforcer.set_by_hand("a/1", "extended", HandRule(True, when=SQL))
    for when in (None, ToolMatch(names="sql*")):
        with pytest.raises(UsageError, match=r"no rule of a/1 extended.*a/1 extended, sql_\* tools \(rule-"):
            enforcer.remove("a/1", "extended", when)
    with pytest.raises(UsageError, match="the rules of this model and phase: none"):
        enforcer.remove("a/1", "atomic", SQL)


def test_a_change_is_checked_before_anything_is_written(home: Home) -> None:
    """The rules that it adds or changes, and no others."""
    asked: list[list[str]] = []
    refused = ["a/3"]

    def check(rules: object) -> None:
        asked.append([rule.model for rule in rules])  # type: ignore[attr-defined]
        if set(refused) & set(asked[-1]):
            raise UsageError("no")

    enforcer = Enforcer(home, check=check)
    enforcer.set_rule("a/1", "extended", allow=True)
    enforcer.set_rule("a/2", "extended", allow=True)
    with pytest.raises(UsageError, match="no"):
        enforcer.set_rule("a/3", "extended", allow=True)
    assert asked == [["a/1"], ["a/2"], ["a/3"]]
    assert [rule.model for rule in enforcer.load().rules] == ["a/1", "a/2"]


def test_a_void_threshold_is_kept_and_told_once(enforcer: Enforcer, home: Home) -> None:
    """It survives a restart; to void it again writes nothing; the trail and the history say why."""
    enforcer.set_by_hand("a/1", "extended", sure())
    rule_id = only(enforcer).rule_id
    voided = enforcer.void(rule_id, "confidence fell\x1b[31m", calibration_id="calibration-1")
    assert enforcer.void(rule_id, "again", calibration_id="calibration-1") == voided
    found = only(Enforcer(home)).voided
    assert found is not None
    assert (found.kind, found.calibration_id, found.why) == ("drift", "calibration-1", "confidence fell\\x1b[31m")
    assert [entry.cause for entry in enforcer.history()] == ["set", "void"]


def test_only_a_new_calibration_lifts_it(enforcer: Enforcer, tmp_path: Path) -> None:
    """Neither an earlier version, nor the rule set anew or under other tools, nor an edited copy."""
    before = enforcer.set_by_hand("a/1", "extended", sure())
    copy = tmp_path / "copy.json"
    copy.write_text(json.dumps(before.model_dump(mode="json")))
    enforcer.void(only(enforcer).rule_id, "drift", calibration_id="calibration-1")
    enforcer.rollback(0)
    lifts: tuple[Callable[[], object], ...] = (
        lambda: enforcer.rollback(before.version),
        lambda: enforcer.set_by_hand("a/1", "extended", sure()),
        lambda: enforcer.set_by_hand("a/1", "extended", sure(when=SQL)),
        lambda: enforcer.import_file(copy),
    )
    for lift in lifts:
        lift()
        assert all(rule.voided is not None for rule in enforcer.load().rules)
    enforcer.set_by_hand("a/1", "extended", sure("calibration-2"))
    assert only(enforcer).voided is None


def test_a_threshold_that_changed_meanwhile_is_not_voided(enforcer: Enforcer) -> None:
    """What was seen was about another calibration, another rule, or none."""
    enforcer.set_by_hand("a/1", "extended", sure("calibration-2"))
    rule_id = only(enforcer).rule_id
    with pytest.raises(UsageError, match="calibrated anew meanwhile"):
        enforcer.void(rule_id, "late", calibration_id="calibration-1")
    with pytest.raises(UsageError, match="no rule rule-x"):
        enforcer.void("rule-x", "late", calibration_id="calibration-1")
    enforcer.set_rule("a/1", "extended", allow=True)
    with pytest.raises(UsageError, match="no threshold in the rule"):
        enforcer.void(rule_id, "late", calibration_id="calibration-2")
    assert only(enforcer).voided is None
