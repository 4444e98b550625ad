"""Which tools a chat offers, as far as rules look at them, and what the rules make of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from selfopt.dialects.chat_body import BodyLimits, ChatBody, at_once, reading_body
from selfopt.errors import UsageError
from selfopt.gateway import RulesInForce
from selfopt.gateway.rules import MAX_NAMES_CHARS
from selfopt.gateway.tool_offer import MAX_TOOLS_BYTES, tools_offered
from selfopt.records import NO_TOOLS, RoutingConfig, ToolDefinition, ToolMatch, ToolOffer, offer_of
from tests.routing.make import config, options, rule, surely

PARAMETERS = {"type": "object", "properties": {"x": {"type": "string"}}}


def chat(tools: Any) -> ChatBody:
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": tools}).encode()
    return at_once(reading_body(body, BodyLimits()))


def function(name: str, **more: Any) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name, "parameters": PARAMETERS, **more}}


def test_a_client_offers_the_same_set_as_a_suite() -> None:
    """Whatever its order, its descriptions, and the form of its tools."""
    known = offer_of([ToolDefinition(name="a", parameters=PARAMETERS), ToolDefinition(name="b")])
    bare = {"type": "function", "function": {"name": "b"}}
    flat = {"type": "function", "name": "b", "parameters": None, "description": "B", "strict": True}
    for other in (bare, flat, function("b", parameters={"properties": {}, "type": "object"})):
        assert tools_offered(chat([function("a", description="A"), other])) == known
        assert tools_offered(chat([other, function("a")])).tool_set == known.tool_set


@pytest.mark.parametrize(
    "odd", [{"type": "custom"}, {"type": "function", "function": 1}, {"type": "function"}, function("b", parameters=[])]
)
def test_what_is_no_function_has_no_name(odd: dict[str, Any]) -> None:
    """Then the set has none either, and no pattern but a star matches."""
    found = tools_offered(chat([function("a"), odd]))
    assert found == ToolOffer(("a", ""))
    assert not ToolMatch(names="a").matches(found)
    assert ToolMatch(names="*", least=2).matches(found)


def test_a_chat_without_tools_offers_none() -> None:
    """None, an empty list, and more than is decoded here."""
    assert tools_offered(chat(None)) is tools_offered(chat([])) is NO_TOOLS
    assert tools_offered(chat([function("a", description="x" * MAX_TOOLS_BYTES)])) == ToolOffer(("",))


def rules_of(*rules: Any, **more: Any) -> RulesInForce:
    return RulesInForce(config(*rules), options(**more), {})


SQL = ToolMatch(names="sql_*")


def test_the_tools_of_a_request_decide_who_serves_it() -> None:
    """The most specific rule; who stands by goes by the same tools. Long names decide alike."""
    rules = rules_of(
        rule("a/1", fallback="a/3"), rule("a/1", when=SQL, allow=False, fallback="a/2"), rule("a/2", when=SQL, fallback="a/4")
    )
    assert rules.finer
    for name in ("sql_run", "sql_" + "x" * MAX_NAMES_CHARS):
        tools = ToolOffer((name,))
        decided = rules.decide("a/1", "extended", tools=tools)
        assert decided.model == "a/2"
        assert [d.model for d in rules.standbys(decided, tools=tools)] == ["a/4"]
        assert (rules.decide("a/1", "extended", tools=tools) is decided) == (name == "sql_run")
    plain = rules.decide("a/1", "extended", tools=ToolOffer(("mail",)))
    assert (plain.model, [d.model for d in rules.standbys(plain)]) == ("a/1", ["a/3"])


def test_rules_that_look_at_no_tools_decide_once_for_all_tools() -> None:
    """A plain request takes the decision that is kept."""
    rules = rules_of(rule("a/1"))
    assert not rules.finer
    assert rules.decide("a/1", "extended", tools=ToolOffer(("x",))) is rules.decide("a/1", "extended")


def test_rules_that_may_not_be_are_no_rules_in_force() -> None:
    """Ties, and a remote model without consent; where enforcement is off, nothing escalates."""
    tie = (rule("a/1", when=ToolMatch(names="a*")), rule("a/1", when=ToolMatch(names="*a")))
    with pytest.raises(UsageError, match="as specific as each other"):
        rules_of(*tie)
    remote = rule("a/1", fallback="cloud/1", serve_when=surely())
    with pytest.raises(UsageError, match="cloud/1 is remote"):
        rules_of(remote)
    assert rules_of(remote, allow_remote=True).config.rules == (remote,)
    assert rules_of(remote, enabled=False).config == RoutingConfig(version=1, rules=(remote,))
