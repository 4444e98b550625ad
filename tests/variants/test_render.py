"""From a variant and a conversation to requests."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.errors import VariantError
from selfopt.reading import read_calls
from selfopt.records import Message, ReplyContent, ToolCall, ToolDefinition, Variant
from selfopt.variants import RenderedStep, load_variants, render
from selfopt.variants.digest import state_digest
from tests.examples import some_of

LAMP = ToolDefinition(
    name="set_lamp",
    description="Set a lamp.",
    parameters={
        "type": "object",
        "properties": {"room": {"type": "string", "description": "Which room."}, "level": {"type": "integer"}},
        "required": ["room"],
    },
)
PING = ToolDefinition(name="ping")
TOOLS = (LAMP, PING)
ASK = (Message(role="user", content="Light in the hall, please."),)
TALK = (
    Message(role="system", content="You are at home."),
    Message(role="user", content="Never light the attic. Light the hall."),
    Message(role="assistant", tool_calls=(ToolCall(name="set_lamp", arguments={"room": "hall"}, id="c1"),)),
    Message(role="tool", content="error: bulb broken", tool_call_id="c1"),
    Message(role="assistant", content="The bulb is broken."),
    Message(role="user", content="Then the cellar."),
)
VARIANTS = load_variants()


def _ends(gen: Generator[RenderedStep, ReplyContent, ReplyContent], replies: list[str]) -> bool:
    try:
        for text in replies:
            gen.send(ReplyContent(text=text))
    except StopIteration:
        return True
    return False


def play(variant: Variant, messages: tuple[Message, ...], replies: list[str]) -> tuple[list[RenderedStep], ReplyContent]:
    steps, gen = [], render(variant, messages, TOOLS)
    step = next(gen)
    for text in replies:
        steps.append(step)
        try:
            step = gen.send(ReplyContent(text=text, finish_reason="stop"))
        except StopIteration as done:
            return steps, done.value
    raise AssertionError(f"{variant.name} asks for more than {len(replies)} replies")


def test_native_variants_send_tools_and_conversation_as_they_are() -> None:
    """native_api adds nothing."""
    steps, final = play(VARIANTS["native_api"], TALK, ["hello"])
    assert (steps[0].messages, steps[0].tools, steps[0].constraint) == (TALK, TOOLS, None)
    assert final.text == "hello"


def test_instructions_come_into_one_system_message_before_the_conversations_own() -> None:
    """Servers' templates take one system message."""
    steps, _ = play(VARIANTS["restrained"], TALK, ["hello"])
    systems = [m.content for m in steps[0].messages if m.role == "system"]
    assert len(systems) == 1
    assert systems[0].endswith("You are at home.")
    assert systems[0].startswith(VARIANTS["restrained"].instructions)


def test_tools_in_the_prompt_leave_nothing_native() -> None:
    """Calls and results of the history are told as text, since the server was given no tools."""
    steps, _ = play(VARIANTS["atomic"], TALK, ["hello"])
    sent = steps[0]
    assert sent.tools == ()
    assert all(not m.tool_calls and m.role != "tool" for m in sent.messages)
    assert "set_lamp(room: string (Which room.), level?: integer)" in sent.messages[0].content
    assert any(m.content == "Result of set_lamp: error: bulb broken" for m in sent.messages)


def test_a_rendered_history_is_one_message_with_transcript_and_latest_request() -> None:
    """The extended variant also digests state and standing instructions."""
    steps, _ = play(VARIANTS["extended"], TALK, ["hello"])
    system, user = steps[0].messages
    assert '- The user said: "Never light the attic."' in system.content
    assert "- Calls made so far: set_lamp 1x" in system.content
    assert "returned: error: bulb broken" in system.content
    assert user.content.endswith("Request: Then the cellar.")
    assert "Result of set_lamp: error: bulb broken" in user.content


def test_a_conversation_of_one_turn_has_no_digest() -> None:
    """There is nothing to keep in mind."""
    assert state_digest(ASK) == ""


def test_choose_then_fill_asks_which_and_then_the_arguments_of_each() -> None:
    """The final content holds the calls as the parsers read them."""
    variant = VARIANTS["few_shot_constrained"]
    steps, final = play(variant, ASK, ["set_lamp, ping", '{"room": "hall"}', "{}"])
    assert [step.step for step in steps] == ["choose", "fill 1", "fill 2"]
    assert all(step.constraint is not None and step.constraint.kind == "grammar" for step in steps)
    calls = read_calls(variant.parsers, final, TOOLS).tool_calls
    assert calls == (ToolCall(name="set_lamp", arguments={"room": "hall"}), ToolCall(name="ping"))


def test_choosing_none_ends_after_one_request() -> None:
    """And is read as an explicit none."""
    variant = VARIANTS["few_shot_constrained"]
    steps, final = play(variant, ASK, ["none"])
    assert len(steps) == 1
    assert read_calls(variant.parsers, final, TOOLS).status == "explicit_none"


CALL = '{"name": "set_lamp", "arguments": {"room": "hall"}}'


def test_choose_then_answer_asks_what_to_call_and_then_the_request_as_it_is() -> None:
    """The second request is that of native_parsed, whatever the first one held."""
    variant = VARIANTS["gated"]
    steps, final = play(variant, ASK, ["set_lamp", CALL])
    assert [step.step for step in steps] == ["choose", "answer"]
    assert steps[0].constraint is not None
    assert not steps[0].tools
    (alone,), _ = play(VARIANTS["native_parsed"], ASK, [CALL])
    assert steps[1] == alone
    assert read_calls(variant.parsers, final, TOOLS, ASK).tool_calls == (ToolCall(name="set_lamp", arguments={"room": "hall"}),)


def test_choosing_none_first_nothing_is_answered_with_tools() -> None:
    """One request, read as an explicit none."""
    steps, final = play(VARIANTS["gated"], ASK, ["none"])
    assert len(steps) == 1
    assert read_calls(VARIANTS["gated"].parsers, final, TOOLS, ASK).status == "explicit_none"


def test_a_call_of_a_tool_that_was_not_chosen_is_left_out_where_both_have_to_agree() -> None:
    """Of several the chosen ones stay; without the option all do."""
    _, final = play(VARIANTS["gated"], ASK, ["ping", CALL])
    assert read_calls(VARIANTS["gated"].parsers, final, TOOLS, ASK).tool_calls == ()
    _, final = play(VARIANTS["gated"], ASK, ["set_lamp", CALL + '\n{"name": "ping", "arguments": {}}'])
    assert [call.name for call in read_calls(VARIANTS["gated"].parsers, final, TOOLS, ASK).tool_calls] == ["set_lamp"]
    free = VARIANTS["gated"].model_copy(update={"options": {**VARIANTS["gated"].options, "agree": False}})
    _, final = play(free, ASK, ["ping", CALL])
    assert [call.name for call in read_calls(free.parsers, final, TOOLS, ASK).tool_calls] == ["set_lamp"]


def test_a_variant_that_writes_its_tools_into_the_prompt_writes_them_for_the_answer_too() -> None:
    """In its own style, and without the question and examples of the choice."""
    variant = VARIANTS["gated"].model_copy(
        update={"tools": "system_prompt", "options": {"tool_style": "signature", "layout": "turn", "choice": "named"}}
    )
    (_, answer), _ = play(variant, ASK, ["set_lamp", CALL])
    asked = "\n".join(message.content for message in answer.messages)
    assert "set_lamp(room" in asked
    assert not answer.tools
    assert variant.instructions not in asked
    assert len(answer.messages) < 3


def test_agreeing_is_for_variants_that_ask_twice() -> None:
    """Elsewhere the option would do nothing, so it is refused."""
    single = Variant(name="v", options={"agree": True})
    with pytest.raises(VariantError, match="choose_then_answer"):
        next(render(single, ASK, TOOLS))


def test_whoever_requires_a_call_is_not_asked_whether_to_make_one() -> None:
    """The server is told in the one request."""
    steps = render(VARIANTS["gated"], ASK, TOOLS, required=True)
    first = next(steps)
    assert (first.step, first.tool_choice) == ("answer", "required")
    with pytest.raises(StopIteration):
        steps.send(ReplyContent(text=CALL))


def test_a_server_that_ignores_constraints_has_its_reply_read_as_it_is() -> None:
    """No second question about nothing."""
    _, final = play(VARIANTS["few_shot_constrained"], ASK, ["I would light the hall."])
    assert final.text == "I would light the hall."


def test_lean_variants_hide_optional_arguments() -> None:
    """From the prompt and from the grammar."""
    steps, _ = play(VARIANTS["few_shot_constrained"], ASK, ["set_lamp", '{"room": "hall"}'])
    constraint = steps[1].constraint
    assert constraint is not None
    assert "level" not in (constraint.grammar or "")
    assert "level" not in steps[1].messages[-1].content


def test_the_same_call_twice_is_one_and_a_cut_reply_marks_the_whole() -> None:
    """A truncated step truncates the trial."""
    gen = render(VARIANTS["few_shot_constrained"], ASK, TOOLS)
    next(gen)
    gen.send(ReplyContent(text="set_lamp, set_lamp"))
    gen.send(ReplyContent(text='{"room": "hall"}', finish_reason="length"))
    with pytest.raises(StopIteration) as done:
        gen.send(ReplyContent(text='{"room": "hall"}', finish_reason="stop"))
    final = done.value.value
    assert final.finish_reason == "length"
    assert len(read_calls(("json",), final, TOOLS).tool_calls) == 1


def test_json_schema_constraints_take_the_place_of_grammars() -> None:
    """For servers without GBNF, in one step or two."""
    single = Variant(name="v", tools="system_prompt", constraint="json_schema", parsers=("json",))
    steps, _ = play(single, ASK, ['{"tool_calls": []}'])
    assert steps[0].constraint is not None
    assert steps[0].constraint.kind == "json_schema"
    double = single.model_copy(update={"steps": "choose_then_fill"})
    steps, final = play(double, ASK, ['["set_lamp"]', '{"room": "hall"}'])
    assert steps[1].constraint is not None
    assert steps[1].constraint.json_schema is not None
    assert read_calls(("json",), final, TOOLS).tool_calls == (ToolCall(name="set_lamp", arguments={"room": "hall"}),)
    _, final = play(double, ASK, ["[]"])
    assert read_calls(("json",), final, TOOLS).tool_calls == ()


@pytest.mark.parametrize("name", list(VARIANTS))
def test_a_replay_of_stored_replies_asks_the_same_and_ends_the_same(name: str) -> None:
    """render is pure."""
    replies = ["set_lamp, ping", '{"room": "hall"}', "{}"]
    assert play(VARIANTS[name], TALK, replies) == play(VARIANTS[name], TALK, replies)


NAMES = st.sampled_from(["", "none", "a, b", 'q"', "x\ny", "ключ"])
SCHEMAS: st.SearchStrategy[Any] = st.dictionaries(
    st.sampled_from(["type", "properties", "required", "items", "$ref", "additionalProperties"]),
    st.sampled_from(["object", 3, None, ["a"], {"a": {"type": "string"}}, {"a": 5}, True, [1, None]]),
    max_size=5,
)


@settings(max_examples=some_of(150), deadline=None)
@given(
    st.sampled_from(list(VARIANTS)), st.lists(st.tuples(NAMES, SCHEMAS), max_size=3), st.text(max_size=40), st.text(max_size=40)
)
def test_every_variant_takes_any_tools_and_any_reply(
    name: str, tools: list[tuple[str, dict[str, Any]]], said: str, replied: str
) -> None:
    """No schema, no name and no reply makes a variant raise, and it always ends."""
    offered = [ToolDefinition(name=tool, parameters=schema) for tool, schema in tools]
    clean = said.encode("utf-8", "replace").decode("utf-8")
    gen = render(VARIANTS[name], [Message(role="user", content=clean)], offered)
    next(gen)
    replies = [offered[0].name if offered else "none", replied.encode("utf-8", "replace").decode("utf-8"), "{}", "{}"]
    assert _ends(gen, replies)


@pytest.mark.parametrize("options", [{"speed": 9}, {"max_calls": 0}, {"layout": "side"}, {"choice": "named"}])
def test_impossible_options_are_refused_with_the_possible_ones(options: dict[str, Any]) -> None:
    """Before anything is sent."""
    with pytest.raises(VariantError, match="option"):
        next(render(Variant(name="v", options=options), ASK, TOOLS))
