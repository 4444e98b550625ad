"""What may serve: the sentences on top of a report, their figures, and what they are taken from."""

from __future__ import annotations

import re
from typing import Any

import pytest

from selfopt.ledger import MemoryLedger
from selfopt.records import Phase, RoutingConfig, Rule, ToolMatch
from selfopt.report import ReportData, gather, report_html
from selfopt.report.picture import picture_rows
from selfopt.report.standings import ServingStanding, headline, interval_of, standings
from selfopt.report.summary import report_text
from tests.ledger.samples import put
from tests.report import world


def rule(model: str, phase: Phase = "atomic", **changes: Any) -> Rule:
    """A rule that allows, unless it is changed."""
    return Rule.model_validate({"rule_id": f"rule-{model}-{phase}", "model": model, "phase": phase, "allow": True} | changes)


def data(*rules: Rule) -> ReportData:
    """The world of the reports with these rules in force."""
    return gather(world.full_ledger(), RoutingConfig(version=1, rules=rules))


def standing(found: ReportData, model: str, phase: Phase = "atomic") -> ServingStanding:
    """Of one model and phase."""
    return next(one for one in standings(found) if (one.model, one.phase) == (model, phase))


def test_who_may_serve_is_told_with_figures_before_and_after() -> None:
    """The first baseline on the same prompts, and what a model reaches that never calls."""
    one = standing(data(rule(world.SMALL, spec_id=world.BETTER.spec_id)), world.SMALL)
    assert one.sentence == "local/qwen2.5-coder-0.5b may serve single requests with tools"
    told = " ".join(one.details)
    assert "right on 75 % of 8 prompts (exact for this suite) and never called a tool uninvited." in told
    assert "Before, with native_api, it was right on 25 %." in told
    assert "never calls a tool would be right on 25 %." in told


@pytest.mark.parametrize(
    ("changes", "state", "said"),
    [
        ({}, "serves", "may serve single requests"),
        ({"allow": False, "fallback": world.SMALL}, "replaced", "answers in its place"),
        ({"allow": False}, "refused", "no other model may"),
    ],
)
def test_the_rule_decides_what_is_said(changes: dict[str, Any], state: str, said: str) -> None:
    """Who answers in its place is named."""
    one = standing(data(rule(world.TINY, **changes)), world.TINY)
    assert one.state == state
    assert said in one.sentence


def test_without_a_rule_nothing_is_said_to_serve() -> None:
    """It says what to do."""
    one = standing(data(), world.TINY)
    assert (one.state, one.sentence) == (
        "undecided",
        "Whether local/smollm2-135m may serve single requests with tools is not known yet",
    )
    assert "selfopt enforce" in " ".join(one.details)


def test_a_rule_about_what_was_never_measured_says_so() -> None:
    """With the command that measures it."""
    one = standing(data(rule("local/other")), "local/other")
    assert one.after is None
    assert "run selfopt supervise local/other atomic" in " ".join(one.details)
    assert picture_rows([one]) == []


def test_rules_about_some_requests_stand_beside() -> None:
    """They are not the answer for all requests."""
    some = rule(world.SMALL, rule_id="rule-some", allow=False, when=ToolMatch(names="calendar_*"))
    found = data(rule(world.SMALL), some)
    assert standing(found, world.SMALL).state == "serves"
    assert "calendar_* tools" in report_html(found)


def test_one_model_is_the_headline_and_many_are_a_list() -> None:
    """Who may not serve comes after who may."""
    only = gather(MemoryLedger(), RoutingConfig(version=1, rules=(rule(world.SMALL),)))
    assert headline(standings(only)) == "local/qwen2.5-coder-0.5b may serve single requests with tools."
    rules = (rule("local/a", allow=False), rule("local/b"), rule("local/c"))
    many = gather(MemoryLedger(), RoutingConfig(version=1, rules=rules))
    assert (
        headline(standings(many)) == "b and c may serve single requests with tools; a may not serve single requests with tools."
    )
    assert headline(()) == "Nothing is measured yet."
    assert headline(standings(data())).startswith(
        "It is not known yet whether qwen2.5-coder-0.5b and smollm2-135m may serve single"
    )
    full = gather(world.full_ledger(), world.CONFIG)
    assert headline(standings(full)) == "Of 4 models and kinds of request, 1 may serve, 1 may not and 2 are not known yet."


def test_repeats_do_not_narrow_the_interval() -> None:
    """Its unit is the prompt; a share of known copies over the whole work is exact."""
    once = world.evaluation("once", ["P", "P", "M", "M"]).model_copy(update={"scope": "sample"})
    often = world.evaluation("often", ["PPPP", "PPPP", "MMMM", "MMMM"]).model_copy(update={"scope": "sample"})
    assert interval_of(once) == interval_of(often)
    assert interval_of(once.model_copy(update={"scope": "whole"})) is None


def test_held_out_prompts_are_told_first() -> None:
    """Nothing was tuned on them; the sentence names them."""
    ledger = MemoryLedger()
    held = world.BETTER.model_copy(
        update={"evaluation_id": "eval-held", "split": "heldout", "suite_hash": "suite-h", "at": "2026-01-01T00:00:00.000Z"}
    )
    put(ledger, [world.BETTER, held])
    one = standing(
        gather(ledger, RoutingConfig(version=1, rules=(rule(world.SMALL, spec_id=world.BETTER.spec_id),))), world.SMALL
    )
    assert one.after is not None
    assert one.after.evaluation_id == "eval-held"
    assert "8 held-out prompts" in " ".join(one.details)


def test_figures_of_synthetic_prompts_say_so() -> None:
    """As everywhere."""
    ledger = MemoryLedger()
    put(ledger, [world.BETTER.model_copy(update={"synthetic": True})])
    assert "on synthetic prompts" in " ".join(standing(gather(ledger), world.SMALL).details)


def test_the_picture_draws_both_intervals_and_the_silent_model_once() -> None:
    """A row for each model and phase, not for each cycle."""
    found = data(rule(world.SMALL, spec_id=world.BETTER.spec_id))
    rows = picture_rows(standings(found))
    assert len(rows) == len({row.name for row in rows}) == 4
    drawn = next(row for row in rows if row.name == f"{world.SMALL}, single requests")
    assert drawn.told == "25 % -> 75 %"
    assert drawn.strip.count("<circle") == 2
    assert drawn.strip.count('class="silent"') == 1
    assert report_html(found).count('class="strip"') == 4


def test_what_serves_without_being_better_than_silence_wants_attention() -> None:
    """Whoever allowed it."""
    page = report_html(data(rule(world.TINY, spec_id=world.TINY_BASE.spec_id), rule(world.SMALL, spec_id=world.BETTER.spec_id)))
    tones = re.findall(r'<li class="verdict (\w+)">\s*<p><b>(\S+) may serve', page)
    assert tones == [("good", world.SMALL), ("attention", world.TINY)]


def test_both_reports_begin_with_the_same_sentences() -> None:
    """A reader of the text misses nothing."""
    found = data(rule(world.SMALL))
    for one in standings(found):
        assert f"{one.sentence}." in report_text(found)
        assert f"{one.sentence}." in report_html(found)
