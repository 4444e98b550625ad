"""The difference between two rules, in words."""

from __future__ import annotations

from typing import Any

import pytest

from selfopt.records import RuleLimits, Variant
from selfopt.words.rule_changes import rollback_sentence, told_change
from tests.routing.make import rule, surely

ONE = Variant(name="one")


@pytest.mark.parametrize(
    ("before", "after", "more"),
    [
        ({"variant": ONE}, {"variant": Variant(name="two")}, "variant one becomes two"),
        ({"variant": ONE, "spec_id": "a"}, {"variant": ONE, "spec_id": "b"}, "variant one is served with other settings"),
        ({}, {"warm_up": True}, "the model is warmed up"),
        ({"warm_up": True}, {}, "the model is not warmed up any more"),
        ({"fallback": "a/x"}, {}, "the fallback a/x becomes none"),
        ({"limits": RuleLimits(timeout_s=5)}, {}, "timeout s 5.0 becomes none"),
        ({}, {"fallback": "a/x", "fallback_on_unparsed": True}, "replies that nothing reads now go to the fallback"),
        ({}, {"source": "manual"}, "it came from a recommendation of the loop, and now comes from a person"),
        ({"serve_when": surely(), "fallback": "a/x"}, {"fallback": "a/x"}, "there is no threshold any more"),
        (
            {"serve_when": surely(), "fallback": "a/x"},
            {"serve_when": surely("calibration-2"), "fallback": "a/x"},
            "a new threshold: answers are served from a confidence of .83 on",
        ),
        (
            {"serve_when": surely(), "fallback": "a/x"},
            {"serve_when": surely(sticky=False), "fallback": "a/x"},
            "how the threshold is used changed",
        ),
    ],
)
def test_whatever_differs_is_told(before: dict[str, Any], after: dict[str, Any], more: str) -> None:
    """Beside what the rule does."""
    told = told_change(rule("m", **before), rule("m", **after))
    assert told.kind == "changed"
    assert any(line.startswith(more) for line in told.more), told.more


def test_an_added_and_a_removed_rule_tell_what_they_do() -> None:
    """And what they have."""
    added, removed = told_change(None, rule("m", warm_up=True)), told_change(rule("m", variant=ONE), None)
    assert (added.kind, added.before, added.after, added.more) == (
        "added", "", "may serve every request", ("the model is warmed up",),
    )  # fmt: skip
    assert (removed.kind, removed.after, removed.more) == ("removed", "", ("variant one",))
    with pytest.raises(ValueError, match="without a rule"):
        told_change(None, None)


def test_a_rollback_is_said_before_it_is_done() -> None:
    """To no rules, to a version, and to the same rules."""
    assert rollback_sentence(0, 3) == "This takes all rules away, and changes 3 rules"
    assert rollback_sentence(2, 1) == "This puts the rules of version 2 in force again, as a new version, and changes 1 rule"
    assert "nothing would change" in rollback_sentence(2, 0)
