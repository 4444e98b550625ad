"""What differs between two sets of rules."""

from __future__ import annotations

import pytest

from selfopt.errors import UsageError
from selfopt.records import RoutingConfig
from selfopt.routing import RuleChange, check_rules, diff, rule_id_of

from .make import config, rule, spec


def test_a_diff_names_added_changed_and_removed_rules() -> None:
    """By model and phase; the version since which a rule stands is no difference."""
    old = config(rule("a/1"), rule("a/2", since_version=1), rule("a/3", allow=False, fallback="a/1"))
    new = config(rule("a/2", since_version=9), rule("a/3", allow=True), rule("a/4", warm_up=True, variant=spec("a").variant))
    changes = diff(old, new)
    assert [(c.event, c.rule.model) for c in changes] == [
        ("rule_removed", "a/1"), ("rule_changed", "a/3"), ("rule_added", "a/4"),
    ]  # fmt: skip
    assert [c.describe() for c in changes] == [
        "- a/1 extended: allow",
        "~ a/3 extended: deny, fallback a/1 => allow",
        "+ a/4 extended: allow, warm-up, variant few_shot",
    ]
    assert diff(RoutingConfig(), ()) == ()


def test_a_rule_made_manual_is_a_change_and_is_shown() -> None:
    """Pinning the same verdict by hand counts."""
    (change,) = diff([rule("a/\x1b")], [rule("a/\x1b", source="manual")])
    assert change.describe() == "~ a/\\x1b extended: allow => allow, manual"


def test_a_change_that_the_effect_does_not_show_is_named() -> None:
    """Another spec of the same variant's name, another reason: not `allow => allow`."""
    (change,) = diff([rule("a/1", spec_id="spec-a")], [rule("a/1", spec_id="spec-b", reason="better")])
    assert change.describe() == "~ a/1 extended: allow (spec id, reason changed)"


def test_an_empty_change_is_a_mistake() -> None:
    """Neither before nor after: ValueError."""
    with pytest.raises(ValueError, match="without a rule"):
        _ = RuleChange(None, None).rule


def test_rule_ids_are_stable_and_distinct() -> None:
    """The same for a model and phase for ever; joined names do not collide."""
    assert rule_id_of("local/smollm2-135m", "extended") == rule_id_of("local/smollm2-135m", "extended")
    assert len({rule_id_of("a", "b"), rule_id_of("ab", ""), rule_id_of("b", "a")}) == 3
    assert rule_id_of("a/1", "atomic") == "rule-471e683c0abf8a93238cae42"


def test_chains_that_meet_are_no_circle() -> None:
    """Two models with the same fallback are fine, and phases are apart."""
    rules = [rule("a/1", fallback="a/3"), rule("a/2", fallback="a/3"), rule("a/3", phase="atomic", fallback="a/1")]
    check_rules(rules)
    with pytest.raises(UsageError):
        check_rules([*rules, rule("a/3", fallback="a/1")])
