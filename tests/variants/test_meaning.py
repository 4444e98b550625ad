"""Tools are chosen by what an embedding model says, within bounds, and by words where it says nothing."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import VariantError
from selfopt.records import Message, ReplyContent, ToolDefinition, Variant
from selfopt.records.trial import EMBED_STEP
from selfopt.variants import options_of, render
from selfopt.variants.meaning import request_text, similarities_in, tool_text
from selfopt.variants.options import embedded_by, require_embedding
from selfopt.variants.relevance import shown_tools
from selfopt.variants.space import composed, point_from, possible, some_ways

NAMES = ("weather", "music", "parcel", "invoice", "lamp", "alarm")
TOOLS = tuple(ToolDefinition(name=name, description=f"About a {name}.") for name in NAMES)
ASKED = (Message(role="user", content="track my parcel"),)


def variant(by: str = "meaning", keep: str = "three", **options: object) -> Variant:
    """A variant that asks the embedding model `e/m`."""
    made = embedded_by(composed(point_from(f"keep_tools={keep} tools_by={by}")), "e/m")
    return made.model_copy(update={"options": {**made.options, **options}})


def shown(answer: str, by: str = "meaning", keep: str = "three", tools: Sequence[ToolDefinition] = TOOLS) -> list[str]:
    """The names of the tools that are shown after this reply of the embedding model."""
    steps = render(variant(by, keep), ASKED, tools, embeds=True)
    assert next(steps).step == EMBED_STEP
    return [tool.name for tool in steps.send(ReplyContent(text=answer)).tools]


def test_the_most_similar_tools_are_shown_in_their_order() -> None:
    """Whatever their words."""
    assert shown("[0.1,0.9,0.2,0.8,0.7,0.0]") == ["music", "invoice", "lamp"]
    assert shown("[-0.9,-0.5,-0.6,-0.7,-0.8,-0.4]", keep="one") == ["alarm"]


def test_both_adds_shares_of_the_best_of_each() -> None:
    """What words find stays where the embedding model doubts little, and goes where it doubts much."""
    assert shown("[0.1,0.9,0.2,0.8,0.7,0.0]", "both", "one") == ["parcel"]
    assert shown("[0.1,0.9,-0.2,0.8,0.7,0.0]", "both", "one") == ["music"]
    assert set(shown("[-0.1,-0.2,-0.3,-0.1,-0.1,-0.1]", "both", "one")) == {"parcel"}


@pytest.mark.parametrize(
    "answer",
    ["", "none", "[]", "[1,2]", "{}", "null", "[NaN,0,0,0,0,0]", "[Infinity,0,0,0,0,0]", "[1e99,0,0,0,0,0]", '["a",0,0,0,0,0]',
     "[true,0,0,0,0,0]", "[[0],0,0,0,0,0]", "[0,0,0,0,0,0,0]", "[" * 100_000, "[0" + ",0" * 100_000 + "]", "[1e400,0,0,0,0,0]"],
)  # fmt: skip
@pytest.mark.parametrize("by", ["meaning", "both"])
def test_a_reply_that_tells_nothing_leaves_the_choice_to_words(answer: str, by: str) -> None:
    """As many tools are shown as by words."""
    assert shown(answer, by, "one") == ["parcel"] == [tool.name for tool in shown_tools(TOOLS, ASKED, 1)]


def test_a_caller_that_asks_no_embedding_model_gets_the_choice_of_words() -> None:
    """Such as a warm-up."""
    assert [tool.name for tool in next(render(variant(keep="one"), ASKED, TOOLS)).tools] == ["parcel"]


def test_no_embedding_is_asked_for_where_it_decides_nothing() -> None:
    """Few tools, nothing said, or more tools than are ever embedded."""
    many = tuple(ToolDefinition(name=f"t{i}") for i in range(600))
    for messages, tools in ((ASKED, TOOLS[:3]), ((), TOOLS), ((Message(role="user", content=" \n"),), TOOLS), (ASKED, many)):
        assert next(render(variant(), messages, tools, embeds=True)).embedding == ""


def test_the_step_names_its_model_and_holds_the_request_first() -> None:
    """One text for each tool follows, in order."""
    step = next(render(variant(), ASKED, TOOLS, embeds=True))
    assert (step.embedding, step.tools) == ("e/m", ())
    assert [message.content for message in step.messages] == ["track my parcel", *map(tool_text, TOOLS)]


def test_tools_that_were_called_stay() -> None:
    """As with words."""
    talk = (*ASKED, Message.model_validate({"role": "assistant", "tool_calls": [{"name": "lamp"}]}), *ASKED)
    steps = render(variant(keep="one"), talk, TOOLS, embeds=True)
    next(steps)
    assert [tool.name for tool in steps.send(ReplyContent(text="[0,1,0,0,0,0]")).tools] == ["music", "lamp"]


@settings(deadline=None)
@given(st.text(max_size=3_000), st.text(max_size=60), st.text(max_size=3_000))
def test_texts_are_short_and_never_empty(said: str, name: str, told: str) -> None:
    """A client writes them. What was said last is kept."""
    text = tool_text(ToolDefinition(name=name or "t", description=told))
    assert 0 < len(text) <= 1_000
    assert 3 * sum(not char.isascii() for char in text) <= 1_000
    asked = request_text((Message(role="user", content=said),))
    assert len(asked) <= 1_000
    assert said.strip().endswith(asked)


def test_what_the_user_said_before_is_told_as_well() -> None:
    """The last three times, as far as there is room."""
    talk = [Message(role="user", content=text) for text in ("one", "two", "three", "and there?")]
    assert request_text(talk) == "two\nthree\nand there?"
    assert request_text([Message(role="user", content="x" * 5_000), *talk[-1:]]).endswith("x\nand there?")


@given(st.lists(st.floats(-1, 1), max_size=30))
def test_similarities_are_read_as_they_were_written(numbers: list[float]) -> None:
    """For the number of tools that were asked about, and no other."""
    text = json.dumps(numbers)
    assert similarities_in(text, len(numbers)) == numbers
    assert similarities_in(text, len(numbers) + 1) is None


def test_the_embedding_model_is_a_part_of_what_identifies_a_variant() -> None:
    """What one chose is no evidence of another."""
    plain = composed(point_from("keep_tools=three tools_by=meaning"))
    one, other = embedded_by(plain, "e/m"), embedded_by(plain, "e/n")
    assert len({plain.render_hash, one.render_hash, other.render_hash}) == 3
    assert embedded_by(one, "e/n") is one
    words = composed(point_from("keep_tools=three"))
    assert embedded_by(words, "e/m") is words
    assert "tools_by" not in words.options


def test_an_embedding_model_that_is_not_that_of_the_settings_is_refused() -> None:
    """And a variant that needs one, where the settings have none. One line says what to do."""
    require_embedding(variant(), "e/m")
    require_embedding(composed(point_from("keep_tools=three")), None)
    for chosen, named, said in (
        (variant(), "e/n", "names the embedding model 'e/m'"),
        (variant(), None, "name no embedding model"),
    ):
        with pytest.raises(VariantError, match=said) as refused:
            require_embedding(chosen, named)
        assert 'embedding = "provider/name" in [models]' in str(refused.value)


def test_meaning_needs_a_number_of_tools() -> None:
    """In a point and in a variant."""
    with pytest.raises(VariantError, match="tools_by=both needs keep_tools to be"):
        composed(point_from("tools_by=both"))
    with pytest.raises(VariantError, match="needs 'keep_tools'"):
        options_of(Variant(name="x", options={"tools_by": "meaning"}))


def test_a_search_takes_it_where_the_settings_name_an_embedding_model() -> None:
    """And draws the same ways as before where they name none."""
    point = point_from("keep_tools=three tools_by=both")
    assert not possible(point, frozenset({"tools", "logprobs"}))
    assert possible(point, frozenset({"tools", "embeddings"}))
    assert not any("tools_by" in way for way in some_ways(("tools", "grammar", "json_schema", "logprobs"), 500))
    assert any("tools_by" in way for way in some_ways(("tools", "embeddings"), 500))
