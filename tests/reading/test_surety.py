"""A threshold withholds the calls of a reply that its model was not sure of, and says so."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import VariantError
from selfopt.reading import chain_of, read_calls
from selfopt.reading.chain import doubted, needs_logprobs, without_threshold
from selfopt.reading.growing import certain_calls
from selfopt.reading.surety import surety_of
from selfopt.records import LogProbs, Message, ReplyContent, ToolCall, ToolDefinition, Variant

TOOLS = (ToolDefinition(name="go", parameters={"type": "object", "properties": {"to": {"type": "string"}}, "required": ["to"]}),)
SAID = (Message(role="user", content="Go to Graz."),)


def observed(*values: float) -> LogProbs:
    """Log probabilities of so many tokens."""
    none: Any = tuple(() for _ in values)
    return LogProbs(tokens=("x",) * len(values), logprobs=values, top_tokens=none, top_logprobs=none)


def reply(*values: float, to: str = "Graz", text: str = "") -> ReplyContent:
    """A call with these log probabilities; without any if there are none."""
    call = ToolCall(name="go", arguments={"to": to})
    return ReplyContent(text=text, tool_calls=(call,), logprobs=observed(*values) if values else None)


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        (reply(-0.5, -1.0), []),
        (reply(-0.5, -1.01), ["unsure"]),
        (reply(-0.5, -0.5, text="I go."), []),
        (reply(), ["unsure_unknown"]),
        (ReplyContent(text="No.", logprobs=observed(-9.0)), []),
        (ReplyContent(text="No."), []),
    ],
)
def test_a_call_counts_if_the_sum_over_its_whole_reply_reaches_the_threshold(content: ReplyContent, kinds: list[str]) -> None:
    """A reply without log probabilities is not sure. One without a call has nothing to withhold."""
    parsed = read_calls(("all@2", "sure-1.5"), content, TOOLS, SAID)
    assert [made.kind for made in parsed.corrections] == kinds
    assert parsed.tool_calls == (() if kinds else content.tool_calls)
    assert parsed.dropped == bool(kinds)
    assert parsed.unobserved == (kinds == ["unsure_unknown"])
    assert parsed.status == ("calls" if content.tool_calls and not kinds else "text")


def test_it_stands_where_it_is_written() -> None:
    """What was repaired before it is told, and what comes after it has nothing left to repair."""
    wrong = reply(-3.0, to="Wien")
    assert [made.kind for made in read_calls(("all@2", "ground@2", "sure-1"), wrong, TOOLS, SAID).corrections] == [
        "call_not_backed"
    ]
    assert [made.kind for made in read_calls(("all@2", "sure-1", "ground@2"), wrong, TOOLS, SAID).corrections] == ["unsure"]
    twice = read_calls(("all@2", "sure-1", "sure-5"), reply(-3.0), TOOLS, SAID)
    assert [made.kind for made in twice.corrections] == ["unsure"]


@given(st.integers(1, 99_999))
def test_each_value_has_one_spelling(hundredths: int) -> None:
    """From 0.01 to 999.99 nats, in steps of a hundredth; a variant takes the name."""
    text = f"{hundredths / 100:.2f}".rstrip("0").rstrip(".")
    surety = surety_of(f"sure-{text}")
    assert surety is not None
    assert math.isclose(surety.least, -hundredths / 100)
    assert Variant(name="x", parsers=("all@2", f"sure-{text}")).parsers[1] == f"sure-{text}"
    for other in (f"sure-0{text}", f"sure-{text}0" if "." in text else f"sure-{text}.0", f"sure--{text}", f"sure-{text}@2"):
        with pytest.raises(VariantError, match="is no threshold: write sure-N"):
            chain_of(("all@2", other))


@pytest.mark.parametrize(
    "name", ["sure", "sure-", "sure-0", "sure-0.00", "sure-1000", "sure-1.234", "sure-1e3", "sure-nan", "sure@2", "sure-1."]
)
def test_what_is_no_threshold_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(VariantError) as caught:
        chain_of(("all@2", name))
    assert repr(name) in str(caught.value)
    assert "from 0.01 to 999.99 nats" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_chain_of_thresholds_alone_reads_nothing_and_is_refused() -> None:
    with pytest.raises(VariantError, match="repairs calls and reads none"):
        chain_of(("sure-1",))


def test_a_chain_says_whether_it_needs_log_probabilities() -> None:
    assert needs_logprobs(("all@2", "fit@2", "sure-2"))
    assert not needs_logprobs(("all@2", "fit@2", "strict"))
    assert chain_of(("all@2", "sure-2")).drops


def test_nothing_is_certain_before_a_reply_ends_under_a_threshold() -> None:
    """Its end may make the whole reply unsure."""
    growing = ReplyContent(tool_calls=(ToolCall(name="go", arguments={"to": "Graz"}), ToolCall(name="go")))
    assert certain_calls(("native",), growing, TOOLS, SAID)
    assert certain_calls(("native", "sure-99"), growing, TOOLS, SAID) == ()


_VALUES = st.lists(st.floats(-3, 0), min_size=1, max_size=3)
_TEXTS = st.sampled_from(
    [
        "",
        "I go.",
        '{"name": "go", "arguments": {"to": "Graz"}}',
        '<tool_call>{"name": "fly", "arguments": {}}</tool_call>',
        "none",
    ]
)
_CALLS = st.lists(
    st.sampled_from(
        [
            ToolCall(name="go", arguments={"to": "Graz"}),
            ToolCall(name="fly"),
            ToolCall(name="Go", arguments={"to": "Wien", "x": 1}),
        ]
    ),
    max_size=2,
)
_REPAIRS = st.sampled_from([(), ("fit@2",), ("fit@2", "offered"), ("as_said", "ground@2", "strict"), ("sure-0.5", "fit@2")])


@given(_TEXTS, _CALLS, st.none() | _VALUES, _REPAIRS, st.sampled_from(["sure-0.2", "sure-1", "sure-4"]))
def test_what_a_threshold_leaves_follows_from_what_the_chain_reads_without_it(
    text: str, calls: list[ToolCall], values: list[float] | None, repairs: tuple[str, ...], last: str
) -> None:
    """Exactly, words and corrections included, so that many thresholds take one reading."""
    content = ReplyContent(text=text, tool_calls=tuple(calls), logprobs=observed(*values) if values else None)
    chain = ("all@2", *repairs, last)
    plain, surety = without_threshold(chain)
    assert surety == surety_of(last)
    assert plain == chain[:-1]
    assert surety is not None
    whole = read_calls(chain, content, TOOLS, SAID)
    assert doubted(read_calls(plain, content, TOOLS, SAID), content, surety) == whole
