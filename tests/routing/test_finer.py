"""Rules that look at tools and at how sure an answer is, as a set."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.errors import UsageError
from selfopt.home import Home
from selfopt.records import ROUTING_SCHEMA_VERSION, Recommendation, RoutingConfig, Rule, ToolMatch, ToolOffer
from selfopt.routing import (
    Enforcer,
    HandRule,
    check_escalations,
    check_rules,
    generate_routing_rules,
    standby_decisions,
    validate_model_phase_compatibility,
)
from selfopt.routing.finer import MAX_FINER
from selfopt.routing.store import config_text

from .make import advice, config, options, rule, spec, surely

CALENDAR, SQL = ToolMatch(names="calendar_*"), ToolMatch(names="sql_*")
SET = ToolMatch(tool_set="tools-" + "0" * 24)
TIES: list[tuple[ToolMatch, ToolMatch]] = [
    (ToolMatch(names="cal_*"), ToolMatch(names="*_add")),
    (ToolMatch(names="a*"), ToolMatch(names="*a")),
    (ToolMatch(least=1), ToolMatch(most=4)),
    (ToolMatch(least=2, most=3), ToolMatch(least=3)),
    (ToolMatch(names="*", most=2), ToolMatch(names="**", least=2)),
]
NO_TIES: list[tuple[ToolMatch, ToolMatch]] = [
    (CALENDAR, SQL),
    (ToolMatch(names="cal_*"), ToolMatch(names="cal_a*")),
    (ToolMatch(least=1, most=2), ToolMatch(least=3)),
    (ToolMatch(names="ab*", most=2), ToolMatch(names="*ab", least=3)),
    (SET, ToolMatch(tool_set="tools-" + "1" * 24)),
    (SET, ToolMatch(names="*")),
    (ToolMatch(names="*"), ToolMatch(least=1)),
]


@pytest.mark.parametrize(("one", "other"), TIES)
def test_two_rules_between_which_nothing_decides_are_refused(one: ToolMatch, other: ToolMatch) -> None:
    """The line names both, whichever comes first; of two models or phases they may stay."""
    for first, second in ((one, other), (other, one)):
        made = [rule("a/1", when=first), rule("a/1", when=second)]
        with pytest.raises(UsageError, match="as specific as each other") as refused:
            check_rules(made)
        assert all(r.rule_id in str(refused.value) for r in made)
        assert "\n" not in str(refused.value)
    check_rules([rule("a/1", when=one), rule("a/2", when=other)])
    check_rules([rule("a/1", when=one), rule("a/1", phase="atomic", when=other)])


@pytest.mark.parametrize(("one", "other"), NO_TIES)
def test_rules_that_never_meet_or_differ_in_rank_are_allowed(one: ToolMatch, other: ToolMatch) -> None:
    """With a rule for the rest beside them."""
    made = [rule("a/1"), rule("a/1", when=one), rule("a/1", when=other)]
    check_rules(made)
    assert len({r.rule_id for r in made}) == len(made)


def test_the_same_requests_have_one_rule() -> None:
    """Two of the same tools are refused by name; too many of one model too."""
    with pytest.raises(UsageError, match=r"two rules for a/1 extended, calendar_\* tools; keep one"):
        check_rules([rule("a/1", when=CALENDAR), rule("a/1", when=CALENDAR, allow=False)])
    many = [rule("a/1", when=ToolMatch(tool_set=f"tools-{number:024x}")) for number in range(MAX_FINER + 1)]
    check_rules(many[1:])
    with pytest.raises(UsageError, match=f"{MAX_FINER + 1} rules of a/1 extended look at tools, at most {MAX_FINER} may"):
        check_rules(many)


def tie_file(home: Home) -> None:
    """A configuration that a person made, with a tie."""
    rules = (rule("a/1", when=TIES[0][0]), rule("a/1", when=TIES[0][1]))
    home.ensure()
    home.routing_config.write_text(config_text(RoutingConfig(schema_version=3, version=1, rules=rules)))


def test_ties_are_refused_wherever_rules_come_from(enforcer: Enforcer, home: Home, tmp_path: Any) -> None:
    """By hand, by import, by recommendation and at load; what is in force stays."""
    one, other = TIES[0]
    enforcer.set_by_hand("a/1", "extended", HandRule(True, when=one))
    before = enforcer.load()
    with pytest.raises(UsageError, match="as specific as each other"):
        enforcer.set_by_hand("a/1", "extended", HandRule(True, when=other))
    short = tmp_path / "short.json"
    short.write_text(json.dumps({"rules": [{"model": "a/1", "phase": "extended", "allow": True, "when": {"names": "*_add"}}]}))
    with pytest.raises(UsageError, match="as specific as each other"):
        enforcer.import_file(short)
    with pytest.raises(UsageError, match="as specific as each other"):
        enforcer.apply((*before.rules, rule("a/1", when=other)))
    assert enforcer.load() == before
    elsewhere = Enforcer(Home(tmp_path / "elsewhere"))
    tie_file(elsewhere.home)
    with pytest.raises(UsageError, match="as specific as each other"):
        elsewhere.load()


ESCALATIONS: list[tuple[dict[str, Any], str]] = [
    ({"allow": False, "fallback": "a/2"}, "denies the model and serves it when sure"),
    ({}, "has no fallback for the rest"),
    ({"fallback": "a/1"}, "its fallback is the model itself"),
]


@pytest.mark.parametrize(("fields", "told"), ESCALATIONS)
def test_what_is_not_sure_has_somewhere_to_go(fields: dict[str, Any], told: str) -> None:
    """A rule that serves when sure allows its model and names another one."""
    with pytest.raises(UsageError, match=told):
        check_rules([rule("a/1", serve_when=surely(), **fields)])
    check_rules([rule("a/1", serve_when=surely(), fallback="a/2")])


@pytest.mark.parametrize(
    ("fallback", "fields", "told"),
    [
        ("cloud/1", {}, "cloud/1 is remote, while allow_remote is off"),
        ("a/1:latest", {"one_name": lambda name: name.removesuffix(":latest")}, "a/1:latest is the model itself"),
        ("gone/1", {"exists": lambda name: not name.startswith("gone")}, "gone/1 is no model of an endpoint"),
    ],
)
def test_a_stronger_model_needs_consent_and_has_to_be_there(fallback: str, fields: dict[str, Any], told: str) -> None:
    """The line names the rule and the model. Without a threshold, the same fallback is only skipped."""
    escalating = rule("a/1", serve_when=surely(), fallback=fallback, when=SQL)
    with pytest.raises(UsageError, match=told) as refused:
        check_escalations([escalating], options(**fields))
    assert "a/1 extended, sql_* tools" in str(refused.value)
    check_escalations([escalating.model_copy(update={"serve_when": None})], options(**fields))
    check_escalations([rule("a/1", serve_when=surely(), fallback="cloud/1")], options(allow_remote=True))
    check_escalations([rule("cloud/2", serve_when=surely(), fallback="cloud/1")], options())


def test_a_circle_counts_only_if_a_request_can_go_round_in_it() -> None:
    """Each model may hand the other what that is good at."""
    check_rules([rule("a/1", fallback="a/2", serve_when=surely()), rule("a/1", when=SQL), rule("a/2", when=SQL, fallback="a/1")])
    check_rules([rule("a/1", when=CALENDAR, fallback="a/2"), rule("a/2", when=SQL, fallback="a/1")])
    for made in (
        [rule("a/1", when=CALENDAR, fallback="a/2"), rule("a/2", fallback="a/1")],
        [rule("a/1", fallback="a/2"), rule("a/2", when=SQL, fallback="a/1")],
        [rule("a/1", when=SQL, fallback="a/2"), rule("a/2", when=ToolMatch(names="sql_r*"), fallback="a/1")],
        [rule("a/1", fallback="a/2"), rule("a/2", when=SQL, fallback="a/3"), rule("a/3", fallback="a/1")],
    ):
        with pytest.raises(UsageError, match="go in a circle"):
            check_rules(made)


models = st.sampled_from(["a/1", "a/2", "a/3"])
whens = st.sampled_from([None, CALENDAR, SQL, SET, ToolMatch(least=3)])


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(models, whens, st.booleans(), st.none() | models), max_size=8, unique_by=lambda r: (r[0], str(r[1]))))
def test_no_request_goes_in_a_circle_under_rules_that_pass(made: list[tuple[str, ToolMatch | None, bool, str | None]]) -> None:
    """Whatever the tools: no chain of fallbacks comes by a model twice."""
    rules = [rule(model, when=when, allow=allow, fallback=fallback) for model, when, allow, fallback in made]
    try:
        check_rules(rules)
    except UsageError:
        return
    for tools in (("calendar_add",), ("sql_run",), ("a", "b", "c"), ("sql_run",) * 3, ()):
        for name in ("a/1", "a/2", "a/3"):
            found = validate_model_phase_compatibility(
                config(*rules), name, "extended", options=options(), tools=ToolOffer(tools)
            )
            assert not any("already tried" in entry for entry in found.skipped)


def test_tools_decide_who_serves_and_who_stands_by() -> None:
    """Each model's rule is the one for these tools, along the whole chain."""
    rules = config(
        rule("a/1", fallback="a/3"),
        rule("a/1", when=SQL, allow=False, fallback="a/2"),
        rule("a/2", when=SQL, fallback="a/3"),
        rule("a/2", allow=False),
        rule("a/3"),
    )
    decided = validate_model_phase_compatibility(rules, "a/1", "extended", options=options(), tools=ToolOffer(("sql_run",)))
    assert (decided.outcome, decided.model, decided.serving_rule) == ("fallback", "a/2", rules.rules[2])
    behind = standby_decisions(rules, decided, options=options(), tools=ToolOffer(("sql_run",)))
    assert [d.model for d in behind] == ["a/3"]
    plain = validate_model_phase_compatibility(rules, "a/1", "extended", options=options())
    assert (plain.outcome, plain.rule) == ("allow", rules.rules[0])
    assert [d.model for d in standby_decisions(rules, plain, options=options(), candidates=("a/2",))] == ["a/3"]


def test_rules_of_before_are_written_as_they_were(enforcer: Enforcer, home: Home) -> None:
    """The form is named as newer only where a rule uses it, and goes back with it."""
    plain = enforcer.set_rule("a/1", "extended", allow=True)
    assert plain.schema_version == 2
    assert not {"when", "serve_when", "voided"} & json.loads(home.routing_config.read_text())["rules"][0].keys()
    finer = enforcer.set_by_hand("a/1", "extended", HandRule(False, "a/2", when=SQL))
    assert finer.schema_version == ROUTING_SCHEMA_VERSION == 3
    assert enforcer.load() == finer
    assert enforcer.rollback(plain.version).schema_version == 2


def recommended(*advised: Recommendation, current: RoutingConfig, **fields: Any) -> dict[tuple[str, ...], Rule]:
    return {r.key: r for r in generate_routing_rules(advised, current, **fields)}


def test_recommendations_leave_finer_rules_and_thresholds_alone() -> None:
    """A promotion changes what follows the rule of its model, and nothing that a threshold rests on."""
    old, new = spec("a/1", variant="old"), spec("a/1", variant="new")
    served: dict[str, Any] = {"variant": old.variant, "spec_id": old.spec_id}
    sure = rule("a/1", when=CALENDAR, fallback="a/2", serve_when=surely(spec_id=old.spec_id), **served)
    current = config(rule("a/1", **served), sure, rule("a/1", when=SQL, allow=False, fallback="a/2", **served))
    found = recommended(current=current, promoted={("a/1", "extended"): new})
    assert found["a/1", "extended", ""].spec_id == new.spec_id
    assert found[sure.key] == sure
    assert found["a/1", "extended", SQL.key].spec_id == new.spec_id
    assert not found["a/1", "extended", SQL.key].allow
    denied = recommended(advice(1, "a/1", allow=False, fallback="a/3"), current=current)
    assert not denied["a/1", "extended", ""].allow
    assert denied[sure.key] == sure
    check_rules([*denied.values()])


def test_a_recommendation_keeps_or_ends_a_threshold_whole() -> None:
    """To allow keeps those that a person brought. To disable takes the threshold back with the permission."""
    allow = advice(1, "a/1", action="allow", allow=True)
    current = config(rule("a/1", fallback="a/2", serve_when=surely(), source="import"))
    kept = recommended(allow, current=current)["a/1", "extended", ""]
    assert (kept.fallback, kept.serve_when) == ("a/2", surely())
    current = config(rule("a/1", fallback="a/2", serve_when=surely()))
    whole = recommended(allow, current=current)["a/1", "extended", ""]
    assert (whole.fallback, whole.serve_when) == (None, None)
    denied = recommended(advice(2, "a/1", allow=False, fallback="a/3"), current=current)["a/1", "extended", ""]
    assert (denied.allow, denied.fallback, denied.serve_when) == (False, "a/3", None)
