"""Which requests a rule is about, by the tools that they offer."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as given_any
from hypothesis import strategies as st
from pydantic import ValidationError

from selfopt.records import (
    NO_TOOLS,
    RoutingConfig,
    Rule,
    ToolDefinition,
    ToolMatch,
    ToolOffer,
    matches_pattern,
    offer_of,
    tool_set_name,
)
from selfopt.records.tool_match import MAX_PATTERN, patterns_meet


def given(*strategies: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Any values, however slowly a busy machine draws them."""
    return lambda test: settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])(given_any(*strategies)(test))


NAMES = ["cal_add", "cal_del", "sql", "sql_run", "a", "ab", "b"]
SETS = [f"tools-{digit * 24}" for digit in "01"]
names = st.sampled_from(NAMES)
offers = st.builds(ToolOffer, st.lists(names, max_size=4).map(tuple), st.sampled_from(["", *SETS]))
patterns = st.sampled_from(["cal_*", "*_add", "sql*", "*", "sql", "a*b", "*a*", "c*l_*d", "cal_add"])
counts = st.none() | st.integers(1, 4)


@st.composite
def matches(draw: st.DrawFn) -> ToolMatch:
    low, high = sorted([draw(st.integers(1, 4)), draw(st.integers(1, 4))])
    body = {
        "tool_set": draw(st.none() | st.sampled_from(SETS)),
        "names": draw(st.just("") | patterns),
        "least": draw(st.none() | st.just(low)),
        "most": draw(st.none() | st.just(high)),
    }
    return ToolMatch(**(body if any(body.values()) else {"names": "*"}))


texts = st.text("ab*", max_size=6)


@given(texts, st.text("ab*", max_size=8))
def test_a_star_stands_for_any_text_and_nothing_else_does(pattern: str, name: str) -> None:
    """A pattern matches what the same regular expression matches."""
    expression = ".*".join(map(re.escape, pattern.split("*")))
    assert matches_pattern(pattern, name) == (re.fullmatch(expression, name, re.DOTALL) is not None)


@pytest.mark.parametrize("pattern", ["[a-z]*", "a?c", "(a+)+$", "^a", "{a,b}", "a.c", "\\*"])
def test_everything_but_a_star_stands_for_itself(pattern: str) -> None:
    """No bracket, question mark or expression means anything."""
    assert not any(matches_pattern(pattern, name) for name in ("abc", "a", "aaa", "b", "axc"))
    assert matches_pattern(pattern, pattern)


def test_hostile_patterns_and_names_take_no_long_time() -> None:
    """What blows a backtracking matcher up is answered from a number of searches that grows with the pattern."""
    hostile = "*a" * (MAX_PATTERN // 2)
    assert not matches_pattern(hostile, "a" * 99 + "b" * 100_000)
    assert matches_pattern(hostile, "ba" * 100_000)
    assert patterns_meet(hostile, "*b" * (MAX_PATTERN // 2)) is False
    assert patterns_meet(hostile, "*b*" * (MAX_PATTERN // 3)) is True


@given(texts, texts)
def test_patterns_meet_where_some_name_fits_both(one: str, other: str) -> None:
    """Never denied where there is such a name, and where it is said, there is one."""
    found = patterns_meet(one, other)
    assert found == patterns_meet(other, one)
    short = ("".join(letters) for n in range(6) for letters in itertools.product("ab", repeat=n))
    if any(matches_pattern(one, name) and matches_pattern(other, name) for name in short):
        assert found
    if found and "*" in one and "*" in other:
        # Both heads, all that stands between, and both tails, as far as they are not the same text.
        heads, tails = (
            sorted([one.split("*", maxsplit=1)[0], other.split("*", maxsplit=1)[0]], key=len),
            sorted([one.rsplit("*", maxsplit=1)[-1], other.rsplit("*", maxsplit=1)[-1]], key=len),
        )
        name = heads[1] + "".join(one.split("*")[1:-1] + other.split("*")[1:-1]) + tails[1]
        assert matches_pattern(one, name)
        assert matches_pattern(other, name)


@given(matches(), matches(), offers)
def test_what_two_match_they_meet_in(one: ToolMatch, other: ToolMatch, offer: ToolOffer) -> None:
    """`meets` is never False where a request matches both."""
    if one.matches(offer) and other.matches(offer):
        assert one.meets(other)
        assert other.meets(one)


@given(matches(), matches(), offers)
def test_what_is_covered_is_matched(one: ToolMatch, other: ToolMatch, offer: ToolOffer) -> None:
    """`covers` is never True where a request matches the covered one alone."""
    assert one.covers(one)
    if one.covers(other) and other.matches(offer):
        assert one.matches(offer)


@given(matches())
def test_a_request_without_tools_matches_nothing(when: ToolMatch) -> None:
    """Not even a star."""
    assert not when.matches(NO_TOOLS)


def test_every_name_has_to_fit() -> None:
    """One tool of another sort is enough not to match; a tool without a name fits a star alone."""
    calendar = ToolMatch(names="calendar_*")
    assert calendar.matches(ToolOffer(("calendar_add", "calendar_list")))
    assert not calendar.matches(ToolOffer(("calendar_add", "mail_send")))
    assert not calendar.matches(ToolOffer(("calendar_add", "")))
    assert ToolMatch(names="*").matches(ToolOffer(("", "x")))
    assert ToolMatch(least=2, most=3).matches(ToolOffer(("a", "b", "c")))
    assert not ToolMatch(least=2, most=3).matches(ToolOffer(("a",)))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, "it names no tools"),
        ({"names": ""}, "it names no tools"),
        ({"least": 3, "most": 2}, "at least 3 and at most 2"),
        ({"least": 0}, "greater than or equal to 1"),
        ({"most": -1}, "greater than or equal to 1"),
        ({"tool_set": "calendar"}, "should match pattern"),
        ({"tool_set": "tools-" + "0" * 24 + "\n"}, "should match pattern"),
        ({"names": "a" * (MAX_PATTERN + 1)}, "at most 200 characters"),
        ({"names": "a\x1b[31m*"}, "printable characters"),
        ({"glob": "a*"}, "Extra inputs are not permitted"),
    ],
)
def test_what_names_no_requests_is_refused(fields: dict[str, object], told: str) -> None:
    """With what is wrong."""
    with pytest.raises(ValidationError, match=told):
        ToolMatch.model_validate(fields)


def tool(name: str, description: str = "", **parameters: object) -> ToolDefinition:
    return ToolDefinition(name=name, description=description, parameters=parameters)


def test_a_set_of_tools_is_named_by_its_content() -> None:
    """The order of tools and keys, descriptions of tools and what stands beside change nothing; names and parameters do."""
    one, other = tool("a", type="object", properties={"x": {"type": "string"}}), tool("b", type="object", properties={})
    name = tool_set_name([one, other])
    turned = tool("a", "says more", properties={"x": {"type": "string"}}, type="object")
    bare = ToolDefinition(name="b", beside={"function": {"strict": True}})
    assert tool_set_name([tool("b"), turned]) == tool_set_name([bare, one]) == name
    assert ToolMatch(tool_set=name).matches(offer_of([other, one]))
    for changed in ([one], [one, other, other], [one, tool("c")], [tool("a", type="object"), other]):
        assert tool_set_name(changed) != name
    assert offer_of([]) == NO_TOOLS


def test_the_name_of_a_tool_set_never_changes() -> None:
    """Rules name tool sets, so a set keeps its name from version to version."""
    assert tool_set_name([tool("f", type="object", properties={})]) == GOLDEN


GOLDEN = "tools-a34dd997b47b753c3ebee3c2"


def config(*rules: Rule) -> RoutingConfig:
    return RoutingConfig(rules=rules)


def rule(number: int, when: ToolMatch | None, *, model: str = "a/m", allow: bool = True) -> Rule:
    return Rule(rule_id=f"rule-{number}", model=model, phase="atomic", allow=allow, when=when)


def without_ties(whens: list[ToolMatch]) -> list[ToolMatch]:
    kept: list[ToolMatch] = []
    for when in whens:
        if not any(when.precedence == other.precedence and when.meets(other) for other in kept):
            kept.append(when)
    return kept


rule_sets = st.lists(matches(), max_size=6).map(without_ties)


@given(rule_sets, offers, st.randoms(use_true_random=False))
def test_exactly_one_rule_decides_whatever_their_order(whens: list[ToolMatch], offer: ToolOffer, random: object) -> None:
    """Without ties, the rule that decides is the only most specific one that matches."""
    rules = [rule(number, when) for number, when in enumerate([None, *whens])]
    found = config(*rules).rule_for("a/m", "atomic", str, offer)
    random.shuffle(rules)  # type: ignore[attr-defined]
    assert config(*rules).rule_for("a/m", "atomic", str, offer) == found
    matching = [r for r in rules if r.when is not None and r.when.matches(offer)]
    best = max((r.when.precedence for r in matching if r.when), default=None)
    winners = [r for r in matching if r.when and r.when.precedence == best] or [r for r in rules if r.when is None]
    assert winners == [found]


@given(rule_sets, offers, matches(), st.sampled_from(["other model", "other phase", "does not match"]))
def test_a_rule_that_is_not_about_a_request_changes_nothing(
    whens: list[ToolMatch], offer: ToolOffer, more: ToolMatch, why: str
) -> None:
    """One of another model or phase, or of other tools."""
    rules = [rule(number, when) for number, when in enumerate([None, *whens])]
    before = config(*rules).rule_for("a/m", "atomic", str, offer)
    added = rule(99, more, model="b/m" if why == "other model" else "a/m")
    if why == "other phase":
        added = added.model_copy(update={"phase": "extended"})
    elif why == "does not match" and more.matches(offer):
        return
    assert config(added, *rules).rule_for("a/m", "atomic", str, offer) == before


@given(st.lists(st.tuples(st.sampled_from(["a/m", "a/M", "b/m"]), st.booleans()), max_size=4, unique_by=lambda r: r[0]), offers)
def test_rules_of_before_decide_as_before(made: list[tuple[str, bool]], offer: ToolOffer) -> None:
    """With rules that look at no tools, tools change nothing, and a rule about other requests neither."""
    rules = [rule(number, None, model=model, allow=allow) for number, (model, allow) in enumerate(sorted(made))]
    aside = rule(99, ToolMatch(names="nothing-is-called-so"))
    for one_name in (str, str.lower):
        plain = config(*rules).rule_for("a/m", "atomic", one_name)
        assert config(*rules).rule_for("a/m", "atomic", one_name, offer) == plain
        assert config(aside, *rules).rule_for("a/m", "atomic", one_name, offer) == plain


def test_the_order_of_the_specific() -> None:
    """Tool set, longer pattern, shorter pattern, number of tools, none."""
    offer = offer_of([tool("calendar_add")])
    ordered = [
        ToolMatch(tool_set=offer.tool_set, names="*"),
        ToolMatch(tool_set=offer.tool_set),
        ToolMatch(names="calendar_*", most=1),
        ToolMatch(names="calendar_*"),
        ToolMatch(names="***cal*"),
        ToolMatch(least=1),
        None,
    ]
    rules = [rule(number, when) for number, when in enumerate(ordered)]
    for number in range(len(rules)):
        assert config(*reversed(rules[number:])).rule_for("a/m", "atomic", str, offer) == rules[number]
    assert config(*rules).rule_for("a/m", "atomic") == rules[-1]
    assert config(*rules[:-1]).rule_for("a/m", "atomic") is None


def test_a_finer_rule_holds_for_every_name_of_its_model() -> None:
    """It comes before a general rule of exactly the name that was asked for."""
    finer, general = rule(1, ToolMatch(names="sql*"), model="a/M", allow=False), rule(2, None)
    rules = config(general, finer)
    assert rules.rule_for("a/m", "atomic", str.lower, ToolOffer(("sql_run",))) == finer
    assert rules.rule_for("a/m", "atomic", str.lower, ToolOffer(("mail",))) == general
    assert rules.rule_for("a/m", "atomic", str, ToolOffer(("sql_run",))) == general
