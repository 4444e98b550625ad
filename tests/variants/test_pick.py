"""Which tool is needed is read off the beginning of a call, against a request without content."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import VariantError
from selfopt.reading import read_calls
from selfopt.reading.signals import signals_of
from selfopt.records import LogProbs, ReplyContent, ToolCall, ToolDefinition, Variant
from selfopt.variants import options_of, render
from selfopt.variants.chances import Chances, call_chances
from selfopt.variants.pick import calibrated
from selfopt.variants.space import composed

from .test_again import BOTH, HALL, PLAY, TOOLS, played, said

Token = tuple[str, dict[str, float]]
"""What was written, and the probabilities of it and of others."""


def tokens(*places: Token) -> LogProbs:
    return LogProbs(
        tokens=tuple(text for text, _ in places),
        logprobs=tuple(math.log(top[text]) for text, top in places),
        top_tokens=tuple(tuple(top) for _, top in places),
        top_logprobs=tuple(tuple(map(math.log, top.values())) for _, top in places),
    )


def begun(call: float, **names: float) -> ReplyContent:
    """A reply that begins a call with a probability, whose name is one of these, the likeliest first."""
    best = max(names, key=lambda name: names[name])
    logprobs = tokens(('{"', {'{"': call, "I": 1 - call}), ('name": "', {'name": "': 1.0}), (best, names), ('"', {'"': 1.0}))
    return ReplyContent(text="".join(logprobs.tokens), finish_reason="length", logprobs=logprobs)


LEANS = begun(0.6, set_lamp=0.9, play=0.05, ping=0.05)


def test_what_the_model_leans_to_anyway_is_set_off() -> None:
    """The likelier tool is the one that the request makes likelier, and the answer is asked with it alone."""
    (pick, blank, answer), calls, final = played({"pick": "even"}, [begun(0.9, set_lamp=0.6, play=0.4), LEANS, said(HALL)])
    assert [pick.step, blank.step, answer.step] == ["pick", "pick N/A", "answer"]
    assert [pick.blank, blank.blank] == [False, True]
    assert (pick.sampling.max_tokens, pick.logprobs, pick.tools) == (32, 20, TOOLS)
    assert "cellar" not in str(blank.messages)
    assert (answer.tools, answer.tool_choice, answer.logprobs) == ((PLAY,), "required", None)
    assert calls == (HALL,), "what the client offers counts, also where it was not shown"
    assert final.picked is not None
    assert max(final.picked, key=lambda name: (final.picked or {})[name]) == "play"


def test_what_is_asked_in_text_is_limited_to_what_is_shown() -> None:
    """By the same limit as without the question, of which none is no part."""
    point = {"tools": "signatures", "form": "grammar", "pick": "even", "examples": "own_tools"}
    (pick, _, answer), *_ = played(point, [begun(0.9, set_lamp=0.6, play=0.4), LEANS, said()])
    assert pick.constraint is not None
    assert answer.constraint is not None
    assert "set_lamp" in str(pick.messages) + str(pick.constraint.grammar)
    assert "set_lamp" not in str(answer.messages) + str(answer.constraint.grammar)
    assert '"none"' not in str(answer.constraint.grammar)


@pytest.mark.parametrize(("choice", "asked"), [("firm", 2), ("even", 2), ("loose", 3)])
def test_none_is_picked_by_its_odds(choice: str, asked: int) -> None:
    """Nothing is called, and the reply says how likely that was."""
    replies = [begun(0.3, set_lamp=0.9, play=0.05, ping=0.05), LEANS, said(HALL)][:asked]
    steps, calls, final = played({"pick": choice}, replies)
    assert (len(steps), calls) == (asked, (HALL,) if asked == 3 else ())
    if asked == 2:
        assert read_calls(("all@2",), final, TOOLS).status == "explicit_none"
        assert final.logprobs == replies[0].logprobs


def test_an_unsure_pick_shows_several_tools() -> None:
    """As many as have nine tenths of the probability, in their order."""
    evenly = begun(0.6, set_lamp=0.5, play=0.25, ping=0.25)
    steps, *_ = played({"pick": "even"}, [begun(0.9, set_lamp=0.5, play=0.25, ping=0.25), evenly, said(HALL)])
    assert steps[-1].tools == TOOLS
    steps, *_ = played({"pick": "even"}, [begun(0.9, ping=0.7, set_lamp=0.25, play=0.05), evenly, said(HALL)])
    assert steps[-1].tools == (TOOLS[0], TOOLS[2])


@pytest.mark.parametrize(
    "replies", [[said(text="set_lamp")], [begun(0.9, other=0.9)], [LEANS, said(text="ping")], [LEANS, begun(0.9, other=0.9)]]
)
def test_without_probabilities_of_names_nothing_is_picked(replies: list[ReplyContent]) -> None:
    """The request follows as it is without the part."""
    steps, _, final = played({"pick": "firm"}, [*replies, said(HALL)])
    assert (steps[-1].step, steps[-1].tools, steps[-1].tool_choice, final.picked) == ("answer", TOOLS, "auto", None)


def test_a_demanded_call_is_not_picked() -> None:
    """That was not measured. Nor is anything picked where no tools are offered."""
    assert len(played({"pick": "firm"}, [said(HALL)], required=True)[0]) == 1
    assert next(render(composed({"pick": "firm"}), BOTH, ())).step == "answer"


def test_tools_whose_names_servers_refuse_are_picked_by_the_names_that_are_sent() -> None:
    """The model knows `math.gcd` as `math_gcd`."""
    tools = (ToolDefinition(name="math.gcd"), PLAY)
    asking = render(composed({"pick": "even"}), BOTH, tools)
    next(asking)
    asking.send(begun(0.9, math_gcd=0.9, play=0.1))
    answer = asking.send(begun(0.6, math_gcd=0.1, play=0.9))
    assert [tool.name for tool in answer.tools] == ["math_gcd"]
    with pytest.raises(StopIteration) as end:
        asking.send(said(ToolCall(name="math_gcd")))
    assert set(end.value.value.picked) == {"math.gcd", "play", ""}


def test_how_sure_a_choice_was_is_the_calibrated_log_probability_of_what_was_called() -> None:
    """Of several calls the least; of none that of none; unknown for what could not be picked."""
    picked = {"set_lamp": -0.1, "play": -3.0, "": -4.0}
    for calls, choice in (((HALL,), -0.1), ((HALL, ToolCall(name="play")), -3.0), ((), -4.0), ((ToolCall(name="x"),), None)):
        reply = said(*calls).model_copy(update={"picked": picked})
        assert signals_of(reply, read_calls(("all@2",), reply, TOOLS), TOOLS, BOTH).choice == choice


def test_names_that_begin_alike_are_told_apart_where_they_part() -> None:
    """Of what is only known to lead to several, each has a share."""
    tools = tuple(ToolDefinition(name=name) for name in ("get_all", "get_one", "go"))
    found = call_chances(
        tokens(
            ('{"', {'{"': 0.8, "no": 0.2}),
            ("get", {"get": 0.5, "g": 0.3, "go": 0.2}),
            ("_one", {"_one": 0.6, "_": 0.4}),
            ('",', {'",': 1.0}),
        ),
        tools,
    )
    assert found is not None
    assert found.listed == pytest.approx({"get_all": 0.8 * 0.2, "get_one": 0.8 * 0.5, "go": 0.8 * 0.3, "": 0.2}, abs=1e-6)


def test_a_name_that_the_model_invents_leaves_those_beside_it() -> None:
    """`lock_door` is no tool; what else could stand there is."""
    invented = tokens(
        ('{"', {'{"': 1.0}), ('name": "', {'name": "': 1.0}), ("lock", {"lock": 0.7, "set": 0.2}), ("_door", {"_door": 1.0})
    )
    found = call_chances(invented, TOOLS)
    assert found is not None
    assert found.listed == pytest.approx({"set_lamp": 0.2, "": 0.0}, abs=1e-6)


SHARES = st.dictionaries(st.sampled_from("abcde"), st.floats(1e-9, 1), min_size=1)


@settings(deadline=None)
@given(SHARES, SHARES, st.floats(0, 0.1), st.floats(0, 0.1))
def test_calibrated_probabilities_sum_to_one(
    asked: dict[str, float], leaning: dict[str, float], less: float, other: float
) -> None:
    """What is not listed never gains on what is listed and became likelier."""
    found = calibrated(Chances(asked, less), Chances(leaning, other), "abcde")
    assert math.fsum(found.values()) == pytest.approx(1)
    assert all(0 < chance <= 1 for chance in found.values())
    rose = [one for one in asked if asked[one] >= Chances(leaning, other).of(one)]
    assert all(found[one] >= found[left] * (1 - 1e-9) for one in rose for left in set("abcde") - asked.keys())


TEXTS = st.text(alphabet='{"n[get_allon ,:.go}', max_size=6)
PLACES = st.lists(st.tuples(TEXTS, st.floats(-30, 0), st.dictionaries(TEXTS, st.floats(-30, 0), max_size=4)), max_size=12)


@settings(deadline=None)
@given(PLACES)
def test_whatever_comes_is_read_as_probabilities(places: list[tuple[str, float, dict[str, float]]]) -> None:
    """Nothing raises, and no name is surer than the beginning of a call allows by much."""
    logprobs = LogProbs(
        tokens=tuple(text for text, *_ in places),
        logprobs=tuple(value for _, value, _ in places),
        top_tokens=tuple(tuple(top) for *_, top in places),
        top_logprobs=tuple(tuple(top.values()) for *_, top in places),
    )
    found = call_chances(logprobs, tuple(ToolDefinition(name=name) for name in ("get_all", "get_one", "get", "go")))
    assert found is None or all(math.isfinite(chance) and chance >= 0 for chance in found.listed.values())
    assert found is None or math.isfinite(math.fsum(map(math.log, calibrated(found, found, ["get_all", "go", ""]).values())))


def test_it_excludes_the_question_whether_a_call_is_needed() -> None:
    """It asks that, too."""
    with pytest.raises(VariantError, match="pick"):
        options_of(Variant(name="v", options={"pick": 0.0, "decide": 0.0}))
    with pytest.raises(VariantError, match="pick"):
        options_of(Variant(name="v", options={"pick": 0.0}, steps="choose_then_fill"))
