"""Reading a reply through a chain."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from selfopt.errors import VariantError
from selfopt.reading import chain as chain_module
from selfopt.reading import chain_of, read_calls
from selfopt.reading.readers.base import Found
from selfopt.records import ParsedReply, ReplyContent, ToolCall, ToolDefinition

TOOLS = (ToolDefinition(name="set_lamp", parameters={"type": "object", "properties": {"room": {"type": "string"}}}),)
JSON = '```json\n{"name": "set_lamp", "arguments": {"room": "hall"}}\n```'


def test_the_first_parser_that_recognises_calls_wins() -> None:
    """The server's own calls come before what stands in the text."""
    content = ReplyContent(text=JSON, tool_calls=(ToolCall(name="set_lamp", arguments={"room": "attic"}),))
    report = read_calls(("native", "json"), content, TOOLS)
    assert (report.parser, report.tool_calls[0].arguments) == ("native", {"room": "attic"})


@pytest.mark.parametrize(
    ("text", "unread"),
    [
        (JSON, "json"),
        ('<tool_call>{"name": "set_lamp", "arguments": {}}</tool_call>', "hermes"),
        ('[TOOL_CALLS] [{"name": "set_lamp", "arguments": {}}]', "mistral"),
        ('<minimax:tool_call>\n<invoke name="set_lamp">\n</invoke>\n</minimax:tool_call>', "minimax_m2"),
        ('[set_lamp(room="hall")]', "bracket"),
        ('set_lamp(room="hall")', "python_call"),
    ],
)
def test_a_call_in_a_format_outside_the_chain_is_named_unread(text: str, unread: str) -> None:
    """The reply is not silence: the harness does not read it."""
    report = read_calls(("native",), ReplyContent(text=text), TOOLS)
    assert (report.tool_calls, report.parser, report.unread) == ((), None, unread)


def test_text_without_a_call_is_text_in_every_chain() -> None:
    """Nothing is unread where nothing is called."""
    report = read_calls(("native",), ReplyContent(text="I can switch lamps (if you ask)."), TOOLS)
    assert (report.recognised, report.unread) == ("text", None)


@pytest.mark.parametrize("text", ["none", " None. ", '"none"', "`none`"])
def test_the_word_none_is_an_explicit_none(text: str) -> None:
    """Constrained variants answer so when nothing is to be called."""
    assert read_calls(("json",), ReplyContent(text=text), TOOLS).status == "explicit_none"


@pytest.mark.parametrize("text", ["Use <tool_call>\nlike this.", "```tool_code\nx = 1\n```", "The mark <tool_call> opens one."])
def test_a_mark_with_something_behind_it_is_no_explicit_none(text: str) -> None:
    """Only marks with nothing between them say that no tool is called."""
    assert read_calls(("all@2",), ReplyContent(text=text), TOOLS).recognised == "text"
    assert read_calls(("all@2",), ReplyContent(text="<tool_call>\n</tool_call>"), TOOLS).recognised == "explicit none"


def test_an_empty_reply_is_said_to_be_empty() -> None:
    """Not the same as text."""
    assert read_calls(("native",), ReplyContent(), TOOLS).recognised == "empty reply"


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (ReplyContent(text=JSON), "calls"),
        (ReplyContent(text='[set_lamp(room="hall")]'), "unread"),
        (ReplyContent(broken_tool_calls=("{",)), "unread"),
        (ReplyContent(text="Which room?"), "text"),
        (ReplyContent(text=" "), "empty"),
        (ReplyContent(text="none"), "explicit_none"),
    ],
)
def test_the_status_says_what_sort_of_reply_it_was(content: ReplyContent, status: str) -> None:
    """Also of a record that was stored and read."""
    report = read_calls(("native", "json"), content, TOOLS)
    assert report.status == status
    assert ParsedReply.model_validate_json(report.model_dump_json()).status == status


def test_stored_replies_of_before_have_their_status() -> None:
    """The words of 0.1."""
    assert ParsedReply.model_validate({"recognised": "explicit none"}).status == "explicit_none"
    assert (
        ParsedReply.model_validate({"recognised": "nothing", "tool_calls": [], "parser": None, "unread": None}).status
        == "no_reply"
    )
    assert ParsedReply.model_validate({"recognised": "unread: 1 call as bare JSON", "unread": "json"}).status == "unread"


GLM = "<tool_call>set_lamp\n<arg_key>room</arg_key>\n<arg_value>hall</arg_value>\n</tool_call>"


def test_an_unread_call_names_its_family_and_the_chain_that_reads_it() -> None:
    """With the beginning of the call, at most 160 characters of it."""
    report = read_calls(("native",), ReplyContent(text="x" * 500 + "\n" + GLM + "y" * 500), TOOLS)
    assert (report.unread, report.read_by) == ("glm45", "all@2")
    assert GLM[:80] in report.excerpt
    assert len(report.excerpt) <= 160
    broken = read_calls(("native",), ReplyContent(broken_tool_calls=("{",)), TOOLS)
    assert (broken.unread, broken.excerpt, broken.read_by) == ("native", "{", None)
    mended = read_calls(
        ("native",), ReplyContent(broken_tool_calls=('{"name": "set_lamp", "arguments": "{\\"room\\": \\"hall\\",}"}',)), TOOLS
    )
    assert (mended.unread, mended.read_by) == ("native", "all@2")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("al@2", "did you mean all@2"),
        ("all@3", "did you mean all@1 or all@2;"),
        ("fit@9", "did you mean fit or fit@2;"),
        ("glm54", "glm45"),
        ("hermes", "did you mean hermes@2;"),
        ("native@7", "did you mean native or native@2;"),
        ("glm45@3", "did you mean glm45;"),
        ("fit@2", "'fit@2' repairs calls and reads none; write all@2 before it"),
    ],
)
def test_a_name_that_is_mistyped_is_answered_with_the_one_that_was_meant(name: str, said: str) -> None:
    """In one line that fits a terminal."""
    with pytest.raises(VariantError) as caught:
        chain_of((name,))
    assert said in str(caught.value)
    assert len(str(caught.value)) < 400


def test_nothing_is_stored_of_what_a_reply_does_not_have() -> None:
    """Verdicts stay as they were before there were excerpts and corrections."""
    stored = read_calls(("native", "json"), ReplyContent(text=JSON), TOOLS).model_dump()
    assert set(stored) == {"tool_calls", "parser", "recognised", "unread"}


def test_a_call_that_the_token_limit_cut_off_is_not_unread() -> None:
    """The chain would read it whole; the budget is to blame."""
    cut = GLM[:60]
    assert read_calls(("all@2",), ReplyContent(text=cut, finish_reason="stop"), TOOLS).unread is not None
    assert read_calls(("all@2",), ReplyContent(text=cut, finish_reason="length"), TOOLS).status == "text"


def test_a_call_in_the_thinking_is_none_and_is_said() -> None:
    """Only where the answer has none."""
    report = read_calls(("native",), ReplyContent(text="", thinking=f"I call it.\n{GLM}"), TOOLS)
    assert (report.tool_calls, report.call_in_thinking, report.unread) == ((), True, None)
    assert not read_calls(("all@2",), ReplyContent(text=GLM, thinking=GLM), TOOLS).call_in_thinking


def test_the_family_of_the_template_is_asked_after_the_server_and_before_the_others() -> None:
    """An unknown family, or a chain that names its readers, is not changed by it."""
    assert list(chain_of(("all@2",), "glm45").readers) == ["native@2", "glm45", "marked", "unmarked"]
    assert list(chain_of(("all@2",), "unknown").readers) == ["native@2", "marked", "unmarked"]
    assert list(chain_of(("native", "json"), "glm45").readers) == ["native", "json"]
    called = ReplyContent(text=GLM, tool_calls=(ToolCall(name="set_lamp", arguments={"room": "attic"}),))
    assert read_calls(("all@2",), called, TOOLS, (), "glm45").tool_calls[0].arguments == {"room": "attic"}
    assert read_calls(("all@2",), ReplyContent(text=GLM), TOOLS, (), "glm45").parser == "glm45"


class Counting:
    """A reader that counts how often it reads."""

    version = 1

    def __init__(self) -> None:
        self.reads = 0

    def read(self, content: ReplyContent, tools: Sequence[ToolDefinition]) -> Found:
        """Find nothing."""
        self.reads += 1
        return Found(form=f"{content.text} for {len(tools)} tools")


def test_the_same_reply_is_read_once_and_another_one_anew() -> None:
    """Whatever differs, the reply, the tools or the readers, is read again."""
    reader, other = Counting(), Counting()
    one, two = ReplyContent(text="one"), ReplyContent(text="two")
    for content, tools, by, reads in [
        (one, TOOLS, reader, 1),
        (one, TOOLS, reader, 1),
        (two, TOOLS, reader, 2),
        (one, TOOLS, reader, 3),
        (one, (), reader, 4),
        (one, (), other, 1),
    ]:
        chain_module.ask({"counting": by}, content, tools)
        assert by.reads == reads


def test_a_call_that_is_written_again_counts_once_and_is_reported() -> None:
    """Whatever the order of its arguments; a call that differs in one stays."""
    given: list[dict[str, object]] = [{"a": 1, "b": [2]}, {"a": 2, "b": [2]}, {"b": [2], "a": 1}, {"a": True, "b": [2]}]
    reply = ReplyContent(tool_calls=tuple(ToolCall(name="t", arguments=arguments) for arguments in given))
    parsed = read_calls(("all@2", "once"), reply, [ToolDefinition(name="t")])
    assert [call.arguments["a"] for call in parsed.tool_calls] == [1, 2, True]
    assert [(made.kind, made.tool) for made in parsed.corrections] == [("written_twice", "t")]


def test_calls_of_tools_that_are_not_offered_are_left_out_and_reported() -> None:
    tools = [ToolDefinition(name="city_weather", parameters={"properties": {"city": {"type": "string"}}})]
    content = ReplyContent(tool_calls=(ToolCall(name="city_weather", arguments={"city": "Graz"}), ToolCall(name="fly")))
    assert [call.name for call in read_calls(("all@2",), content, tools).tool_calls] == ["city_weather", "fly"]
    parsed = read_calls(("all@2", "offered"), content, tools)
    assert [call.name for call in parsed.tool_calls] == ["city_weather"]
    assert [(made.kind, made.tool) for made in parsed.corrections] == [("not_offered", "fly")]
    nothing = read_calls(("all@2", "offered"), content, [ToolDefinition(name="other")])
    assert (nothing.tool_calls, nothing.unread, nothing.dropped) == ((), None, True)
