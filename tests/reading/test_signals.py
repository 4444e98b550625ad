"""What a reply shows of whether it is right, in whichever format the model wrote its calls."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.reading import read_calls
from selfopt.reading.aligned import Tokens, aligned
from selfopt.reading.families import ROWS, write_calls
from selfopt.reading.signals import signals_of
from selfopt.records import (
    ConfidenceModel,
    ConfidenceTerms,
    Correction,
    LogProbs,
    Message,
    ParsedReply,
    ReplyContent,
    ToolCall,
    ToolDefinition,
)

TOOLS = (
    ToolDefinition(
        name="book_table",
        parameters={
            "type": "object",
            "properties": {
                "place": {"type": "string"},
                "people": {"type": "integer"},
                "outside": {"type": "boolean"},
                "dishes": {"type": "array", "items": {"type": "string"}},
            },
            "required": ["place", "people"],
        },
    ),
    ToolDefinition(name="math.gcd", parameters={"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}),
)
SAID = (Message(role="user", content="Book a table at Zum Löwen for 4, outside, soup and cake."),)
CALL = ToolCall(name="book_table", arguments={"place": "Zum Löwen", "people": 4, "outside": True, "dishes": ["soup", "cake"]})


def cut(text: str, size: int = 3) -> tuple[str, ...]:
    """A text in tokens of so many characters."""
    return tuple(text[at : at + size] for at in range(0, len(text), size))


def observed(tokens: tuple[str, ...], sure: float = -0.01, **unsure: float) -> LogProbs:
    """Log probabilities of tokens: those over a text that `unsure` names have its value."""
    data, values = "".join(tokens), [sure] * len(tokens)
    for words, value in unsure.items():
        at = data.find(words.replace("__", " "))
        place = 0
        for index, token in enumerate(tokens):
            if place < at + len(words) and place + len(token) > at:
                values[index] = value
            place += len(token)
    none: Any = tuple(() for _ in tokens)
    return LogProbs(tokens=tokens, logprobs=tuple(values), top_tokens=none, top_logprobs=none)


def topped(*tops: dict[str, float]) -> LogProbs:
    """Tokens that are the likeliest at their places."""
    return LogProbs(
        tokens=tuple(next(iter(top)) for top in tops),
        logprobs=tuple(math.log(next(iter(top.values()))) for top in tops),
        top_tokens=tuple(tuple(top) for top in tops),
        top_logprobs=tuple(tuple(math.log(chance) for chance in top.values()) for top in tops),
    )


def parsed(*calls: ToolCall, **more: Any) -> ParsedReply:
    """What a chain read."""
    return ParsedReply(tool_calls=calls, parser="all@2" if calls else None, **more)


FORMATS = {
    **{form: write_calls([CALL], form) for form in ("json", "xml", "bracket", "python_call")},
    **{row.name: row.write([CALL]) for row in ROWS},
    "indented": json.dumps({"name": CALL.name, "arguments": CALL.arguments}, indent=2),
    "escaped": json.dumps({"name": CALL.name, "arguments": CALL.arguments}, ensure_ascii=True),
}


@pytest.mark.parametrize("size", [1, 3, 7])
@pytest.mark.parametrize("form", FORMATS)
def test_the_name_and_each_value_are_found_in_every_format(form: str, size: int) -> None:
    """However tokens are cut."""
    found = aligned(Tokens(observed(cut(FORMATS[form], size))), [CALL], {})
    assert found.choice is not None
    assert found.unknown == 0
    assert len(found.values) >= 5


@pytest.mark.parametrize("form", FORMATS)
def test_the_least_sure_value_is_told(form: str) -> None:
    """The token of the number of people, and no other, is a guess."""
    text = FORMATS[form]
    at = text.index("4", text.index("people"))
    tokens = (*cut(text[:at]), "4", *cut(text[at + 1 :]))
    place = len(cut(text[:at]))
    values = tuple(-2.0 if index == place else -0.01 for index in range(len(tokens)))
    none: Any = tuple(() for _ in tokens)
    content = ReplyContent(text=text, logprobs=LogProbs(tokens=tokens, logprobs=values, top_tokens=none, top_logprobs=none))
    signals = signals_of(content, parsed(CALL), TOOLS, SAID)
    assert signals.least_value == -2.0
    assert signals.mean_value is not None
    assert -2.0 < signals.mean_value < -0.01


def test_the_choice_is_that_of_the_tool_among_all_and_none() -> None:
    """How likely a call begins, and how likely its name is."""
    content = ReplyContent(
        logprobs=topped({'{"name": "': 0.5, "To": 0.3, "```json": 0.2}, {"book_": 0.5, "math": 0.4}, {"table": 1.0}, {'"}': 1.0})
    )
    choice = signals_of(content, parsed(ToolCall(name="book_table")), TOOLS, SAID).choice
    assert choice == pytest.approx(math.log(0.7) + math.log(0.5))


def test_that_a_name_ends_is_a_part_of_the_choice() -> None:
    """`search` and `search_all` begin alike; what may follow a name and means the same counts together."""
    tools = tuple(ToolDefinition(name=name) for name in ("search", "search_all"))
    content = ReplyContent(logprobs=topped({'{"name": "': 1.0}, {"search": 1.0}, {'"}': 0.2, '", "': 0.1, "_all": 0.7}))
    choice = signals_of(content, parsed(ToolCall(name="search")), tools, SAID).choice
    assert choice == pytest.approx(math.log(0.3), abs=1e-4)


@pytest.mark.parametrize(
    ("top", "chance"),
    [
        ({"I": 0.6, "{": 0.3, "<tool_call>": 0.1}, 0.6),
        ({"I": 0.6, "book": 0.4}, 0.6),
        ({"I": 1.0}, 1.0),
        ({"{": 0.99, "I": 0.01}, 0.01),
    ],
)
def test_no_call_is_as_likely_as_no_call_is_begun(top: dict[str, float], chance: float) -> None:
    """Also where the reply began one that was dropped: then it is unlikely."""
    signals = signals_of(ReplyContent(text="I can't.", logprobs=topped(top)), parsed(), TOOLS, SAID)
    assert signals.choice == pytest.approx(math.log(chance), abs=1e-4)
    assert (signals.least_value, signals.backed, signals.fits) == (None, None, None)


def test_the_answer_begins_behind_the_thinking() -> None:
    """Names of tools in the thinking are no choice, and neither is its first token."""
    written = ("<think>", "I might use book_table(", "place)", ".", "</think>\n", '{"name": "', "book_table", '"}')
    logprobs = observed(written).model_copy(update={"logprobs": (-5.0, -4.0, -3.0, -3.0, -3.0, -0.2, -0.1, -0.3)})
    content = ReplyContent(thinking="I might use book_table(place).", logprobs=logprobs)
    choice = signals_of(content, parsed(ToolCall(name="book_table")), TOOLS, SAID).choice
    assert choice == pytest.approx(-0.2 - 0.1 - 0.3)


def test_a_name_in_a_sentence_is_not_the_call() -> None:
    """The first place that begins a call counts."""
    written = ("I use ", "book_table", " now: ", '{"name": "', "book_table", '"', "}")
    logprobs = observed(written).model_copy(update={"logprobs": (-0.1, -9.0, -0.1, -0.1, -0.5, -0.1, -0.1)})
    found = aligned(Tokens(logprobs), [ToolCall(name="book_table")], {})
    assert found.choice == pytest.approx(-0.6)


def test_a_tool_is_known_by_the_name_that_the_model_was_shown() -> None:
    """Servers refuse dots, so that the model writes another name."""
    content = ReplyContent(text="math_gcd(a=4)", logprobs=observed(("math", "_gcd", "(", "a=", "4", ")")))
    signals = signals_of(content, parsed(ToolCall(name="math.gcd", arguments={"a": 4})), TOOLS, SAID)
    assert signals.choice is not None
    assert signals.least_value == -0.01


def test_of_several_calls_the_least_sure_choice_counts() -> None:
    """And each call has its own values."""
    calls = [ToolCall(name="math.gcd", arguments={"a": 4}), ToolCall(name="book_table", arguments={"place": "4"})]
    written = ("math_gcd", "(a=", "4", ")\n", "book_table", "(place='", "4", "')")
    logprobs = observed(written).model_copy(update={"logprobs": (-0.1, 0.0, -1.0, 0.0, -0.7, 0.0, -3.0, 0.0)})
    found = aligned(Tokens(logprobs), calls, {"math.gcd": "math_gcd"})
    assert found.choice == pytest.approx(-0.7)
    assert sorted(value for value in found.values if value) == [-3.0, -1.0]


@pytest.mark.parametrize(
    ("written", "value", "found"),
    [
        ("15", 5, False),
        ("5.5", 5, False),
        ("-5", 5, False),
        ("5.0", 5, True),
        ("5", 5.0, True),
        ("05", 5, False),
        ("5}", 5, True),
    ],
)
def test_a_part_of_a_longer_number_is_not_the_number(written: str, value: float, found: bool) -> None:
    """A value that was changed after it was read is counted as unknown."""
    call = ToolCall(name="book_table", arguments={"people": value})
    made = aligned(Tokens(observed(cut(f'book_table({{"people": {written}}})'))), [call], {})
    assert made.unknown == (0 if found else 1)


def test_values_that_were_changed_are_unknown_and_counted() -> None:
    """The others are told."""
    text = write_calls([CALL], "json")
    changed = ToolCall(name=CALL.name, arguments={**CALL.arguments, "place": "Wien", "people": 7})
    found = aligned(Tokens(observed(cut(text))), [changed], {})
    assert found.unknown == 2
    assert found.values


def test_a_character_that_is_split_over_tokens_is_found() -> None:
    """Half a character has no text, and its bytes count."""
    call = ToolCall(name="book_table", arguments={"place": "Löwen"})
    tokens = ('book_table({"place": "', "L", "\ufffd", "\ufffd", "wen", '"})')
    logprobs = observed(tokens).model_copy(update={"logprobs": (0.0, -0.1, -0.2, -0.9, -0.3, 0.0), "raw": {2: "c3", 3: "b6"}})
    found = aligned(Tokens(logprobs), [call], {})
    assert (found.unknown, min(found.values)) == (0, -0.9)


def test_what_the_conversation_backs_is_a_share() -> None:
    """Of the required arguments of all calls."""
    half = ToolCall(name="book_table", arguments={"place": "Zum Löwen", "people": 9})
    assert signals_of(ReplyContent(), parsed(CALL), TOOLS, SAID).backed == 1.0
    assert signals_of(ReplyContent(), parsed(half), TOOLS, SAID).backed == 0.5
    assert signals_of(ReplyContent(), parsed(ToolCall(name="unknown")), TOOLS, SAID).backed is None


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [({"place": "a", "people": 4}, 1.0), ({"place": "a", "people": "4"}, 0.0), ({"place": "a"}, 0.0)],
)
def test_calls_fit_as_they_came(arguments: dict[str, Any], fits: float) -> None:
    """Also where a repair made them fit."""
    text = json.dumps({"name": "book_table", "arguments": arguments})
    for chain in (("all@2",), ("all@2", "fit@2")):
        read = read_calls(chain, ReplyContent(text=text), TOOLS, SAID)
        assert signals_of(ReplyContent(text=text), read, TOOLS, SAID).fits == fits


def test_a_correction_is_a_repair() -> None:
    """Whatever it corrected."""
    corrected = parsed(CALL, corrections=(Correction(kind="not_asked_for", tool="book_table", argument="outside"),))
    assert signals_of(ReplyContent(), corrected, TOOLS, SAID).unrepaired == 0.0
    assert signals_of(ReplyContent(), parsed(CALL), TOOLS, SAID).unrepaired == 1.0


def test_the_token_that_ends_a_reply_changes_nothing() -> None:
    """A server may list it where it does not stream, and leave it out where it does."""
    tokens = cut(write_calls([CALL], "json"))
    plain = observed(tokens)
    columns = {"top_tokens": ((),) * (len(tokens) + 1), "top_logprobs": ((),) * (len(tokens) + 1)}
    ended = LogProbs(tokens=(*tokens, ""), logprobs=(*plain.logprobs, -2.5), **columns)
    one, other = (signals_of(ReplyContent(logprobs=each), parsed(CALL), TOOLS, SAID) for each in (plain, ended))
    assert one == other
    only = LogProbs(tokens=("",), logprobs=(-2.5,), top_tokens=((),), top_logprobs=((),))
    assert signals_of(ReplyContent(logprobs=only), parsed(), TOOLS, SAID).reply is None


def test_a_reply_that_is_cut_before_any_call_is_never_served() -> None:
    """However sure it looks; a call that was whole before the end of the reply counts."""
    model = ConfidenceModel(calls=ConfidenceTerms(intercept=9), text=ConfidenceTerms(intercept=9))
    for calls, reason, served in (((), "length", False), ((), "stop", True), ((CALL,), "length", True)):
        signals = signals_of(ReplyContent(finish_reason=reason), parsed(*calls), TOOLS, SAID)
        assert signals.cut == (not served)
        assert model.serves(signals, 0.0) == served


def test_without_log_probabilities_the_rest_is_told() -> None:
    """None stands for what the server does not give."""
    for content in (ReplyContent(), ReplyContent(logprobs=observed(()))):
        signals = signals_of(content, parsed(CALL), TOOLS, SAID, agrees=False)
        assert (signals.reply, signals.choice, signals.least_value, signals.mean_value) == (None,) * 4
        assert (signals.backed, signals.fits, signals.agrees) == (1.0, 1.0, 0.0)


def test_a_tool_that_the_request_is_not_about_is_covered_less() -> None:
    """The least of all calls counts, and a tool that is not offered covers nothing."""
    other = ToolCall(name="math.gcd", arguments={"a": 4})
    table, both, unknown = (
        signals_of(ReplyContent(), parsed(*calls), TOOLS, SAID).covered
        for calls in ((CALL,), (CALL, other), (CALL, ToolCall(name="no_such_tool")))
    )
    assert table is not None
    assert both is not None
    assert table > both >= 0 == unknown
    assert signals_of(ReplyContent(), parsed(), TOOLS, SAID).covered is None


def test_only_what_is_wanted_is_worked_out() -> None:
    """The wanted ones are the same as among all."""
    content = ReplyContent(logprobs=observed(cut(write_calls([CALL], "json"))))
    every = signals_of(content, parsed(CALL), TOOLS, SAID)
    some = signals_of(content, parsed(CALL), TOOLS, SAID, wanted=frozenset({"backed"}))
    assert (some.backed, some.choice, some.fits) == (every.backed, None, None)
    assert signals_of(content, parsed(CALL), TOOLS, SAID, wanted=frozenset({"choice"})).choice == every.choice


TEXTS = st.text(max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=4,
)
CALLS = st.lists(
    st.builds(
        ToolCall, name=TEXTS | st.sampled_from(["book_table", "math.gcd"]), arguments=st.dictionaries(TEXTS, VALUES, max_size=2)
    ),
    max_size=2,
)
LOGPROBS = st.lists(
    st.tuples(TEXTS | st.sampled_from(["book_table", "{", '"', "", "\ufffd"]), st.floats(min_value=-9999, max_value=0)),
    max_size=12,
).map(
    lambda pairs: LogProbs(
        tokens=tuple(text for text, _ in pairs),
        logprobs=tuple(value for _, value in pairs),
        top_tokens=tuple((text, "{") for text, _ in pairs),
        top_logprobs=tuple((value, 0.0) for _, value in pairs),
        raw={0: "c3", 99: "b6"} if pairs else {},
    )
)


@settings(max_examples=60, deadline=None)
@given(calls=CALLS, logprobs=LOGPROBS, thinking=TEXTS)
def test_whatever_was_written_the_signals_are_in_range(calls: list[ToolCall], logprobs: LogProbs, thinking: str) -> None:
    """Never raises, and says the same twice."""
    content = ReplyContent(thinking=thinking, logprobs=logprobs)
    signals = signals_of(content, parsed(*calls), TOOLS, SAID)
    assert signals == signals_of(content, parsed(*calls), TOOLS, SAID)
    for value in (signals.reply, signals.choice, signals.least_value, signals.mean_value):
        assert value is None or (math.isfinite(value) and value <= 0)
    for value in (signals.backed, signals.fits, signals.agrees, signals.unrepaired):
        assert value is None or 0 <= value <= 1


@settings(max_examples=40, deadline=None)
@given(more=st.lists(st.text(min_size=1, max_size=8), max_size=10), form=st.sampled_from(sorted(FORMATS)))
def test_what_follows_the_call_changes_no_choice_and_no_value(more: list[str], form: str) -> None:
    """Only the sum over the reply changes."""
    tokens = cut(f"{FORMATS[form]}\n")
    alone = signals_of(ReplyContent(logprobs=observed(tokens)), parsed(CALL), TOOLS, SAID)
    longer = signals_of(ReplyContent(logprobs=observed((*tokens, *more))), parsed(CALL), TOOLS, SAID)
    assert (alone.choice, alone.least_value, alone.mean_value) == (longer.choice, longer.least_value, longer.mean_value)


@pytest.mark.parametrize(
    "call",
    [
        ToolCall(name="book_table", arguments={str(number): number for number in range(20_000)}),
        ToolCall(name="book_table", arguments={"place": ["x" * 50] * 2_000}),
        ToolCall(name="book_table", arguments={"place": "book_table(" * 9_000}),
        ToolCall(name="book_table", arguments={"people": 10**5000}),
    ],
)
def test_a_huge_reply_is_looked_at_in_bounds(call: ToolCall) -> None:
    """A part of it is unknown."""
    text = "book_table(" * 9_000
    found = aligned(Tokens(observed(cut(text, 50))), [call] * 64, {})
    assert found.unknown > 0
    assert len(found.values) <= 64 * 64 * 50


@settings(max_examples=60, deadline=None)
@given(calls=CALLS, logprobs=LOGPROBS, thinking=TEXTS)
def test_bytes_of_tokens_that_are_text_alone_change_nothing(calls: list[ToolCall], logprobs: LogProbs, thinking: str) -> None:
    """Plain text is not looked at byte by byte, and says the same."""
    plain = logprobs.model_copy(update={"raw": {}})
    spelled = plain.model_copy(update={"raw": {at: text.encode().hex() for at, text in enumerate(plain.tokens) if text}})
    one, other = (
        signals_of(ReplyContent(thinking=thinking, logprobs=each), parsed(*calls), TOOLS, SAID) for each in (plain, spelled)
    )
    assert one == other
