"""A reply is asked about once more where that may help, and nothing is lost by it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.errors import VariantError
from selfopt.reading import read_calls
from selfopt.records import Capability, LogProbs, Message, ReplyContent, ToolCall, ToolDefinition, Variant
from selfopt.variants import RenderedStep, options_of, render
from selfopt.variants.again import may_ask_for_more
from selfopt.variants.complaints import ComplaintKind, complaint_about, is_misfit
from selfopt.variants.decide import yes_odds
from selfopt.variants.space import composed, most_requests, some_ways
from selfopt.variants.votes import orders_of
from tests.examples import some_of

from .test_relevance import tool, user

LAMP = ToolDefinition(
    name="set_lamp",
    parameters={
        "type": "object",
        "properties": {"room": {"type": "string"}, "level": {"type": "integer"}},
        "required": ["room"],
    },
)
PLAY = tool("play", song={"type": "string"})
PING = ToolDefinition(name="ping")
TOOLS = (LAMP, PLAY, PING)
HALL = ToolCall(name="set_lamp", arguments={"room": "hall"})
CELLAR = ToolCall(name="set_lamp", arguments={"room": "cellar"})
BOTH = user("Light the hall and the cellar.")
ALL: frozenset[Capability] = frozenset({"tools", "grammar", "json_schema", "logprobs"})


def said(*calls: ToolCall, text: str = "") -> ReplyContent:
    return ReplyContent(text=text, tool_calls=calls, finish_reason="stop")


def observed(reply: ReplyContent, total: float) -> ReplyContent:
    """The reply with log probabilities that sum to this."""
    logprobs = LogProbs(tokens=("x",), logprobs=(total,), top_tokens=((),), top_logprobs=((),))
    return reply.model_copy(update={"logprobs": logprobs})


def test_calls_of_two_replies_are_as_sure_as_both() -> None:
    """A threshold looks at all that they were made from; at the first alone where the second adds nothing."""
    _, calls, final = played({"more": "ask"}, [observed(said(HALL), -0.5), observed(said(CELLAR), -2.0)])
    assert (len(calls), final.logprobs and final.logprobs.total) == (2, -2.5)
    _, calls, final = played({"more": "ask"}, [observed(said(HALL), -0.5), observed(said(text="none"), -2.0)])
    assert (len(calls), final.logprobs and final.logprobs.total) == (1, -0.5)
    _, _, final = played({"more": "ask"}, [observed(said(HALL), -0.5), said(CELLAR)])
    assert final.logprobs is None


def first_token(**chances: float) -> ReplyContent:
    """A reply of one token with these log probabilities of the likeliest ones."""
    top = tuple(chances)
    best = max(chances.values())
    logprobs = LogProbs(tokens=(top[0],), logprobs=(best,), top_tokens=(top,), top_logprobs=(tuple(chances.values()),))
    return ReplyContent(text=top[0], finish_reason="length", logprobs=logprobs)


def played(
    point: dict[str, str], replies: list[ReplyContent], messages: tuple[Message, ...] = BOTH, **flags: bool
) -> tuple[list[RenderedStep], tuple[ToolCall, ...], ReplyContent]:
    """The steps that are asked, the calls in the end, and what they are read from."""
    variant, steps = composed(point), []
    asking = render(variant, messages, TOOLS, **flags)
    try:
        step = next(asking)
        for reply in replies:
            steps.append(step)
            step = asking.send(reply)
    except StopIteration as end:
        assert len(steps) == len(replies), "not all replies were asked for"
        return steps, read_calls(variant.parsers, end.value, TOOLS, messages).tool_calls, end.value
    raise AssertionError(f"asks for more: {step.step}")


@pytest.mark.parametrize("tools", ["native", "signatures"])
def test_missing_calls_are_asked_for_and_joined(tools: str) -> None:
    """The second request is the first with more at its end; what was called already comes once."""
    replies = [said(HALL), said(HALL, CELLAR, ToolCall(name="set_lamp", arguments={"room": "hall", "level": 3}))]
    (first, more), calls, _ = played({"tools": tools, "more": "ask"}, replies)
    assert calls == (HALL, CELLAR)
    assert (first.step, more.step, more.tools) == ("answer", "more", first.tools)
    assert more.messages[:-1] == first.messages[:-1]
    assert more.messages[-1].content.startswith(first.messages[-1].content)
    assert '"hall"' in more.messages[-1].content


@pytest.mark.parametrize(
    ("replies", "asked"),
    [
        ([said(text="Which room?")], BOTH),
        ([said(HALL, CELLAR)], BOTH),
        ([said(HALL)], user("Light the hall.")),
        ([ReplyContent(tool_calls=(HALL,), finish_reason="length")], BOTH),
        ([said(HALL), said(text="none")], BOTH),
        ([said(HALL), said()], BOTH),
    ],
)
def test_a_reply_to_which_nothing_is_added_stays_as_it_is(replies: list[ReplyContent], asked: tuple[Message, ...]) -> None:
    """Most prompts take one request: those with another number of calls, or that ask for one thing."""
    _, _, final = played({"more": "ask"}, replies, asked)
    assert final is replies[0]


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("Light the hall", False),
        ("Wake me at 7:30", False),
        ("Send 10,5 euros to Sandy", False),
        ("Light the hall and ring Kim", True),
        ("Licht im Flur und im Keller", True),
        ("Light the hall; ring Kim", True),
        ("I am cold. Light the fire", True),
        ("Double 4, double 7", True),
        ("", False),
    ],
)
def test_signs_of_several_things(text: str, more: bool) -> None:
    """Joining words, sentences, and numbers."""
    assert may_ask_for_more(user(text)) is more


@pytest.mark.parametrize(
    ("call", "kind", "named"),
    [
        (ToolCall(name="set_lamp"), "missing", "room"),
        (ToolCall(name="set_lamp", arguments={"room": "attic"}), "unsaid", "room"),
        (ToolCall(name="set_lamp", arguments={"room": "hall", "level": [1]}), "unfit", "level"),
        (ToolCall(name="close_door"), "unknown_tool", "close_door"),
    ],
)
def test_a_call_that_cannot_be_right_is_shown_with_what_is_wrong(call: ToolCall, kind: ComplaintKind, named: str) -> None:
    """In one sentence; the second reply counts, whatever it is."""
    complaint = complaint_about((call,), BOTH, TOOLS)
    assert complaint is not None
    assert complaint.kind == kind
    for second, calls in ((said(HALL), (HALL,)), (said(text="none"), ()), (said(call), (call,))):
        (_, retry), found, _ = played({"retry": "once"}, [said(call), second])
        assert retry.step == "retry"
        assert complaint.text() in retry.messages[-1].content
        assert named in complaint.text()
        assert found == calls


@pytest.mark.parametrize("reply", [said(HALL), said(text="Which room?"), said(text="none"), ReplyContent(finish_reason="length")])
def test_what_can_be_right_is_not_asked_again(reply: ReplyContent) -> None:
    """One request."""
    assert played({"retry": "once"}, [reply])[2] is reply


def test_a_complaint_is_bounded_and_of_one_line() -> None:
    """Whatever a model calls."""
    for call in (ToolCall(name="x\n" * 10_000), ToolCall(name="set_lamp", arguments={"room": ["9" * 10_000, "8"]})):
        complaint = complaint_about((call,), BOTH, TOOLS)
        assert complaint is not None
        assert "\n" not in complaint.text()
        (_, retry), *_ = played({"retry": "once"}, [said(call), said(HALL)])
        assert len(retry.messages[-1].content) < 3_000


def test_a_corrected_reply_is_completed() -> None:
    """Both steps, one after the other."""
    steps, calls, _ = played({"retry": "once", "more": "ask"}, [said(ToolCall(name="set_lamp")), said(HALL), said(CELLAR)])
    assert [step.step for step in steps] == ["answer", "retry", "more"]
    assert calls == (HALL, CELLAR)


def test_nothing_is_forced_the_second_time() -> None:
    """A caller that demands a call gets one, and none is made up for it."""
    steps, *_ = played({"more": "ask"}, [said(HALL), said(text="none")], required=True)
    assert [step.tool_choice for step in steps] == ["required", "auto"]
    point = {"tools": "signatures", "form": "grammar", "more": "ask"}
    steps, *_ = played(point, [said(HALL), said(text="none")], required=True)
    assert [(step.constraint.grammar or "").count('"none"') for step in steps if step.constraint] == [0, 1]


def test_a_demanded_call_is_not_taken_back() -> None:
    """The second reply counts if it calls something; one that calls nothing is no answer to the caller."""
    first = said(ToolCall(name="set_lamp"))
    for second, calls in ((said(HALL), (HALL,)), (said(text="none"), first.tool_calls), (said(text="Which?"), first.tool_calls)):
        assert played({"retry": "once"}, [first, second], required=True)[1] == calls


def test_most_orders_decide_and_the_first_one_where_all_differ() -> None:
    """A sure majority is asked no further; the order of arguments makes no difference."""
    steps, calls, _ = played({"votes": "three"}, [said(HALL), said(CELLAR), said(CELLAR)])
    assert [step.step for step in steps] == ["answer", "vote 2", "vote 3"]
    assert {tuple(tool.name for tool in step.tools) for step in steps} == {
        ("set_lamp", "play", "ping"),
        ("ping", "play", "set_lamp"),
        ("play", "ping", "set_lamp"),
    }
    assert calls == (CELLAR,)
    assert played({"votes": "three"}, [said(HALL), said(CELLAR), said(text="hi")])[1] == (HALL,)
    assert len(played({"votes": "three"}, [said(HALL, CELLAR), said(CELLAR, HALL)])[0]) == 2
    assert played({"votes": "three"}, [said(HALL), said(text="one"), said(text="other")])[1] == ()


@pytest.mark.parametrize(("count", "orders"), [(0, 1), (1, 1), (2, 2), (3, 3), (5, 3)])
def test_orders_are_asked_once_each(count: int, orders: int) -> None:
    """Fewer tools have fewer orders."""
    assert len(orders_of(tuple(tool(f"t{i}") for i in range(count)))) == orders


@pytest.mark.parametrize(
    ("asked", "blank", "needed"),
    [
        ({"yes": -0.1, "no": -2.5}, {"yes": -0.1, "no": -2.5}, True),
        ({" No": -0.1, "Yes": -2.5}, {"no": -0.01, "yes": -6.0}, True),
        ({"yes": -0.1, "no": -2.5}, {"yes": -0.01, "no": -6.0}, False),
        ({"yes": -0.2}, {"The": -0.2}, True),
    ],
)
def test_whether_a_call_is_needed_is_calibrated_by_a_request_without_content(
    asked: dict[str, float], blank: dict[str, float], needed: bool
) -> None:
    """What counts is how much more the model says yes than it does to nothing."""
    replies = [first_token(**asked), first_token(**blank), *([said(HALL)] if needed else [])]
    steps, calls, final = played({"decide": "even"}, replies)
    assert [step.step for step in steps][:2] == ["decide", "decide N/A"]
    assert [(step.sampling.max_tokens, step.logprobs, step.constraint) for step in steps[:2]] == [(1, 10, None)] * 2
    assert "cellar" in steps[0].messages[-1].content
    assert "cellar" not in str(steps[1].messages)
    assert calls == ((HALL,) if needed else ())
    assert (read_calls(("all@2",), final, TOOLS).status == "explicit_none") is not needed


@pytest.mark.parametrize("reply", [said(text="yes"), first_token(call=-0.1, tool=-2.0)])
def test_without_probabilities_of_yes_and_no_nothing_is_decided(reply: ReplyContent) -> None:
    """The request follows as it is, after one question."""
    steps, calls, _ = played({"decide": "firm"}, [reply, said(HALL)])
    assert (len(steps), calls) == (2, (HALL,))


def test_a_demanded_call_is_not_decided_about() -> None:
    """The caller has decided."""
    assert len(played({"decide": "firm"}, [said(HALL)], required=True)[0]) == 1


CHANCES = st.dictionaries(st.sampled_from(["yes", " Yes", "NO", "no", "x", ""]), st.floats(-30, 0), min_size=1, max_size=6)


@settings(deadline=None)
@given(CHANCES)
def test_odds_are_finite_and_turn_with_the_words(chances: dict[str, float]) -> None:
    """With yes for no and no for yes they are the opposite; without either there are none."""
    turned = {"yes": "no", "no": "yes", " Yes": "NO", "NO": " Yes"}
    odds = yes_odds(first_token(**chances).logprobs)
    opposite = yes_odds(first_token(**{turned.get(word, word): value for word, value in chances.items()}).logprobs)
    assert (odds is None) == (not turned.keys() & chances.keys())
    assert odds is None or (-100 < odds < 100 and opposite == pytest.approx(-odds))


@settings(max_examples=some_of(80), deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_no_way_takes_more_requests_than_it_says(data: st.DataObject) -> None:
    """Whatever comes: right calls, wrong ones, none, several, or nonsense."""
    way = data.draw(st.sampled_from(some_ways(ALL, 300)))
    replies = st.sampled_from(
        [
            said(HALL),
            said(HALL, CELLAR),
            said(ToolCall(name="set_lamp")),
            said(text="none"),
            said(text="set_lamp, ping"),
            said(text='{"name": "set_lamp", "arguments": {"room": "hall"}}'),
            said(text="<tool_call>{"),
            first_token(yes=-0.1, no=-3.0),
            first_token(no=-0.1, yes=-3.0),
        ]
    )
    asking, count = render(composed(way), BOTH, TOOLS), 0
    step, final = next(asking), None
    while final is None:
        count += 1
        assert step.messages
        try:
            step = asking.send(data.draw(replies))
        except StopIteration as end:
            final = end.value
    assert isinstance(final, ReplyContent)
    assert 1 <= count <= most_requests(way)


@pytest.mark.parametrize(
    ("fields", "said_of"),
    [
        ({"options": {"votes": 3, "more": True}}, "votes"),
        ({"options": {"votes": 2}}, "votes"),
        ({"options": {"decide": float("nan")}}, "decide"),
        ({"options": {"retry": True}, "steps": "choose_then_answer"}, "retry"),
    ],
)
def test_options_that_exclude_each_other_are_refused_in_one_line(fields: dict[str, Any], said_of: str) -> None:
    """With their names."""
    with pytest.raises(VariantError, match=said_of) as refused:
        options_of(Variant(name="v", **fields))
    assert "\n" not in str(refused.value)


VALUES = st.sampled_from(["hall", "3", 3, 3.5, None, True, ["hall"], ["hall", 3], {"a": 1}])
CALLS = st.lists(
    st.builds(
        ToolCall,
        name=st.sampled_from(["set_lamp", "play", "ping", "unknown"]),
        arguments=st.dictionaries(st.sampled_from(["room", "level", "Room", "song", "more"]), VALUES, max_size=3),
    ),
    max_size=3,
)


@settings(deadline=None)
@given(CALLS)
def test_a_misfit_is_what_the_first_complaint_is_about(calls: list[ToolCall]) -> None:
    """Unless it is that nobody said it, which says nothing against a call."""
    wrong = complaint_about(calls, BOTH, TOOLS)
    assert is_misfit(calls, BOTH, TOOLS) == (wrong is not None and wrong.kind != "unsaid")
