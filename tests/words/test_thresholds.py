"""Why a threshold is void, in words."""

from __future__ import annotations

from typing import get_args

import pytest

from selfopt.records import Rule, Voided, VoidedBy
from selfopt.records.rule import ShareRise
from selfopt.words.thresholds import VOIDED_BY, rise_text, verdict_text
from selfopt.words.unsure import not_served_text
from tests.routing.make import surely


def test_every_reason_has_words_of_its_own() -> None:
    assert set(VOIDED_BY) == set(get_args(VoidedBy))
    assert len(set(VOIDED_BY.values())) == len(VOIDED_BY)


@pytest.mark.parametrize("kind", get_args(VoidedBy))
def test_a_rule_and_a_request_say_why_a_threshold_is_void(kind: VoidedBy) -> None:
    """What a file says is escaped."""
    voided = Voided(kind=kind, calibration_id="calibration-1", why="so\x1b[31m")
    rule = Rule(rule_id="r", model="a/1", phase="atomic", allow=True, fallback="a/2", serve_when=surely(), voided=voided)
    assert verdict_text(rule) == (f"escalate everything to a/2, because the threshold is void ({VOIDED_BY[kind]}: so\\x1b[31m)")
    assert not_served_text("a/1", "voided", 0.9, 0.8, kind) == (
        f"a/1 has a threshold that does not hold any more ({VOIDED_BY[kind]})"
    )


def test_what_live_traffic_showed_is_told_with_its_figures() -> None:
    assert rise_text("escalations", ShareRise(usual=0.4128, of=240, risen=150, seen=9000)) == (
        "of the last 240 requests, 62.5 % were not sure enough, and at most 41.3 % were expected"
    )
    assert rise_text("outcomes", ShareRise(usual=0.1, of=40, risen=9, seen=50)) == (
        "of the last 40 served answers whose outcome was told, 22.5 % were wrong, and at most 10 % are allowed"
    )
    assert rise_text("outcomes", ShareRise(usual=0.1, of=0, risen=0, seen=50)) == "50 in all"
