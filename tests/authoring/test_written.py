"""A writer's reply is read without believing it."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.authoring.written import MAX_ITEMS, MAX_REPLY, MAX_TEXT, MIN_TEXT, pair_drafts, tool_drafts

WHOLE = {
    "requests": [{"arguments": {"city": "Oslo"}, "texts": ["Weather in Oslo?", "Is it warm in  Oslo?"]}],
    "near_misses": ["What is a cold front?"],
    "missing_detail": ["How warm is it there?"],
}


def test_a_reply_holds_requests_near_misses_and_what_lacks_a_detail() -> None:
    """Each text is a draft; spaces don't count."""
    drafts, dropped = tool_drafts(f"Here you are:\n```json\n{json.dumps(WHOLE)}\n```", "get_weather")
    assert [d.kind for d in drafts] == ["direct", "direct", "near miss", "needed detail missing"]
    assert drafts[0].calls == drafts[1].calls
    assert drafts[1].text == "Is it warm in Oslo?"
    assert not dropped


def test_a_pair_has_exactly_two_calls() -> None:
    """One call, three, or something else is none."""
    call = {"name": "get_weather", "arguments": {"city": "Oslo"}}
    body = {"pairs": [{"text": "Both, please.", "calls": [call] * n} for n in (1, 2, 3)] + [{"text": "x"}, 7]}
    drafts, dropped = pair_drafts(json.dumps(body))
    assert [len(d.calls) for d in drafts] == [2]
    assert dropped == {"unreadable": 4}


def test_texts_that_nobody_types_are_counted_and_dropped() -> None:
    """Code, marks of calls, control characters, nothing, and too much."""
    texts = [
        "```Oslo```",
        "<tool_call>x",
        '{"name": "x"}',
        "a\u0007b cd",
        "",
        "12345",
        "x" * (MAX_TEXT + 1),
        7,
        None,
        "Fine by me.",
    ]
    drafts, dropped = tool_drafts(json.dumps({"near_misses": texts}), "t")
    assert [d.text for d in drafts] == ["Fine by me."]
    assert dropped == {"markup": 3, "bad_text": 6}


def test_a_reply_that_is_too_large_or_too_long_a_list_is_bounded() -> None:
    """So that no writer takes more time than it is given."""
    assert tool_drafts(json.dumps({"near_misses": ["x" * MAX_REPLY]}), "t")[1] == {"unreadable": 1}
    drafts, _ = tool_drafts(json.dumps({"near_misses": [f"Remark number {n}" for n in range(500)]}), "t")
    assert len(drafts) == MAX_ITEMS


@settings(max_examples=100, deadline=None)
@given(
    st.text(max_size=200)
    | st.recursive(
        st.none() | st.text(max_size=9) | st.integers(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["requests", "texts", "arguments", "near_misses", "pairs", "calls", "name", "text"]), x
            )
        ),
        max_leaves=12,
    ).map(json.dumps)
)
def test_no_reply_raises_and_every_text_is_bounded(reply: str) -> None:
    """Whatever it is, it gives drafts or is counted."""
    for drafts, dropped in (tool_drafts(reply, "t"), pair_drafts(reply)):
        assert all(MIN_TEXT <= len(d.text) <= MAX_TEXT and d.text.isprintable() for d in drafts)
        assert all(count > 0 for count in dropped.values())
