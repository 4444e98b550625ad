"""Temperature and the allowance to think: what they set, what they exclude, and where they are tried."""

from __future__ import annotations

import pytest

from selfopt.records import Capability, LogProbs, Message, ReplyContent, Sampling
from selfopt.variants import render
from selfopt.variants.sampling_parts import SAMPLING_PARTS
from selfopt.variants.space import Point, composed, contradiction, point_from, point_text, possible, some_ways

ALL: frozenset[Capability] = frozenset({"tools", "grammar", "json_schema", "logprobs", "temperature", "thinking"})
SAMPLED = [choice.name for choice in SAMPLING_PARTS[0].choices[1:]]


@pytest.mark.parametrize("choice", SAMPLED)
def test_a_sampled_way_draws_every_reply_anew(choice: str) -> None:
    """It has no seed, so repeats are no copies; nothing else changes."""
    variant = composed({"temperature": choice}, max_tokens=90)
    assert variant.sampling == Sampling(temperature=float(choice), seed=None, max_tokens=90)
    assert variant.sampling.draws_anew
    plain = composed({}, max_tokens=90)
    assert not plain.sampling.draws_anew
    assert variant.model_copy(update={"sampling": plain.sampling, "name": plain.name}) == plain


@pytest.mark.parametrize(("choice", "tokens"), [("short", 256), ("long", 1024)])
def test_what_may_be_thought_takes_nothing_from_the_answer(choice: str, tokens: int) -> None:
    """The limit of the answer stays what it was."""
    assert composed({"thinking": choice}, max_tokens=90).sampling == Sampling(thinking_tokens=tokens, max_tokens=90)


def test_both_go_together() -> None:
    """Each sets fields of its own."""
    both = composed({"temperature": "0.7", "thinking": "short"}).sampling
    assert (both.temperature, both.seed, both.thinking_tokens, both.max_tokens) == (0.7, None, 256, 160)


def test_points_name_them_between_requests_and_readings() -> None:
    """So texts of before keep their form."""
    text = "tools=signatures more=ask temperature=0.3 thinking=long fit=yes"
    assert point_text(point_from(" ".join(reversed(text.split())))) == text
    assert point_text({"temperature": "0", "thinking": "none", "fit": "yes"}) == "fit=yes"


@pytest.mark.parametrize(
    "way",
    [{"tools": "signatures", "form": "grammar"}, {"tools": "signatures", "form": "schema"}, {"steps": "choose_then_answer"}],
)
def test_a_limited_reply_has_no_place_for_thoughts(way: Point) -> None:
    """Temperature goes with it all the same."""
    assert contradiction({**way, "thinking": "short"}) is not None
    assert contradiction({**way, "temperature": "1"}) is None


def test_they_are_tried_where_they_have_an_effect() -> None:
    """A model that takes no temperature is asked at none, and one that is not known to think is given no time to."""
    for point, needed in (({"temperature": "0.3"}, "temperature"), ({"thinking": "long"}, "thinking")):
        assert possible(point, ALL)
        assert possible(point, ALL, "extended")
        assert not possible(point, ALL - {needed})
    assert not any({"temperature", "thinking"} & set(way) for way in some_ways(ALL - {"temperature", "thinking"}, 200))


def test_few_of_the_ways_that_are_drawn_are_sampled() -> None:
    """A sampled one costs repeats, and one that thinks its tokens."""
    drawn = some_ways(ALL, 600)
    for part in ("temperature", "thinking"):
        assert 0.05 < sum(part in way for way in drawn) / len(drawn) < 0.35


def test_a_first_question_is_neither_drawn_nor_thought_about() -> None:
    """Its probabilities are read, and nothing else. What follows is asked as the point says."""
    steps = render(
        composed({"decide": "even", "temperature": "1", "thinking": "short"}),
        (Message(role="user", content="Rain in Oslo?"),),
        (),
    )
    first = next(steps)
    assert (first.sampling.temperature, first.sampling.thinking_tokens, first.sampling.max_tokens) == (0.0, 0, 1)
    yes = LogProbs(tokens=("yes",), logprobs=(-0.1,), top_tokens=((),), top_logprobs=((),))
    steps.send(ReplyContent(text="yes", logprobs=yes))
    asked = steps.send(ReplyContent(text="yes", logprobs=yes))
    assert (asked.sampling.temperature, asked.sampling.thinking_tokens) == (1.0, 256)
