"""The calls in a stream that is passed on: its pieces add up to what the whole reply would be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfopt.gateway.framing import MAX_EVENT_BYTES
from selfopt.gateway.offered import OfferedTools
from selfopt.gateway.watched_stream import CALL_S, DOUBT_S, MAX_WAITING_BYTES, READ_AT_ONCE, WatchedStream
from selfopt.gateway.whole_answer import with_calls
from tests.each import assert_each
from tests.reading.test_threads import CALL, TOOLS, cases

OFFERED = OfferedTools(TOOLS, "unknown", required=False, parallel=True)
DONE = b"data: [DONE]\n\n"
FILES = ("threads.json", "restraint.json", "thinking.json")
TEXTS: list[str] = [case["text"] for name in FILES for _, case in cases(name)]
# Some of these go out before they show that they are calls. They become calls all the same.
LEAKS = ("l it.assistantcommentary to=", "function\ncity_weather\n```json", '["{\\"name')


class Clock:
    """A time that only moves when it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def event(delta: dict[str, Any], finish: str | None = None, index: int = 0, **more: Any) -> bytes:
    """One event of a stream."""
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: %s\n\n" % json.dumps({"id": "c1", "created": 7, "choices": [choice], **more}).encode()


def events(pieces: Iterable[str], finish: str = "stop") -> list[bytes]:
    """A stream of text."""
    first = event({"role": "assistant", "content": ""})
    return [first, *(event({"content": piece}) for piece in pieces), event({}, finish), DONE]


def watched(came: Iterable[bytes], offered: OfferedTools = OFFERED) -> bytes:
    """What a client gets."""
    watch = WatchedStream(offered, "call_1", Clock())
    out = b"".join([watch.feed(data) for data in came])
    return out + asyncio.run(watch.end())


def added_up(data: bytes) -> list[dict[str, Any]]:
    """The choices that the pieces add up to, as clients do it."""
    found: dict[int, dict[str, Any]] = {}
    for line in data.decode().split("\n\n"):
        if not line.startswith("data: {"):
            continue
        for choice in json.loads(line[6:])["choices"]:
            own = found.setdefault(choice["index"], {"text": "", "calls": [], "finish": None})
            delta = choice["delta"]
            own["text"] += delta.get("content") or ""
            for call in delta.get("tool_calls") or ():
                assert call["index"] == len(own["calls"])
                own["calls"].append({key: value for key, value in call.items() if key != "index"})
            own["finish"] = choice["finish_reason"] or own["finish"]
    return [found[index] for index in sorted(found)]


def whole(text: str, finish: str = "stop", offered: OfferedTools = OFFERED) -> dict[str, Any]:
    """The reply in one piece, read."""
    body = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}]}).encode()
    answer = asyncio.run(with_calls(body, offered, "call_1"))
    assert answer is not None
    choice = json.loads(answer.body)["choices"][0]
    message = choice["message"]
    return {"text": message["content"] or "", "calls": message.get("tool_calls", []), "finish": choice["finish_reason"]}


def cut(text: str, places: list[int]) -> list[str]:
    """A text in pieces."""
    ends = sorted({place % (len(text) + 1) for place in places} | {0, len(text)})
    return [text[a:b] for a, b in pairwise(ends)]


def adds_up(case: dict[str, Any]) -> None:
    """The pieces of a text, character by character, are the whole reply."""
    text = case["text"]
    (got,) = added_up(watched(events(text)))
    expected = whole(text)
    if any(leak in text for leak in LEAKS):
        got["text"] = expected["text"]
    assert got == expected


@pytest.mark.parametrize("name", FILES)
def test_the_pieces_add_up_to_the_whole_reply(name: str) -> None:
    """Character by character, for whatever models write."""
    assert_each(cases(name), adds_up)


@settings(deadline=None)
@given(st.sampled_from(TEXTS), st.sampled_from(TEXTS), st.lists(st.integers(0, 5000), max_size=40), st.data())
def test_the_pieces_add_up_however_they_are_cut(one: str, other: str, places: list[int], data: st.DataObject) -> None:
    """Texts behind each other, in any pieces, in packets of any size; the calls are those of the whole reply."""
    text = one + data.draw(st.sampled_from(["", "\n", "\n\n", " "])) + other
    came = b"".join(events(cut(text, places)))
    ends = sorted(data.draw(st.lists(st.integers(0, len(came)), max_size=12)))
    packets = [came[a:b] for a, b in zip([0, *ends], [*ends, len(came)], strict=True)]
    (got,) = added_up(watched(packets))
    expected = whole(text)
    assert (got["calls"], got["finish"]) == (expected["calls"], expected["finish"])
    assert got["text"].startswith(expected["text"])


@settings(deadline=None)
@given(st.text(max_size=400), st.lists(st.integers(0, 400), max_size=20))
def test_a_stream_without_a_call_is_passed_on_byte_for_byte(text: str, places: list[int]) -> None:
    """In the end nothing is changed, added or left out."""
    came = events(cut(text, places))
    if not whole(text)["calls"]:
        assert watched(came) == b"".join(came)


def test_prose_flows_and_a_call_waits() -> None:
    """An event goes out at once unless a call may begin in it."""
    watch = WatchedStream(OFFERED, "call_1", Clock())
    for piece in ("I will", " look (just", " a moment: 1 < 2)", " at `it`.", " See [1](x)."):
        assert watch.feed(event({"content": piece})) == event({"content": piece})
    assert watch.feed(event({"content": " <"})) == b""
    assert watch.feed(event({"content": "b> it"})) == event({"content": " <"}) + event({"content": "b> it"})
    assert watch.feed(event({"content": "<tool_call>"})) == b""
    assert watch.feed(event({"content": CALL})) == b""
    out = watch.feed(event({}, "stop"))
    assert [line["choices"][0]["finish_reason"] for line in map(json.loads, out.decode().split("data: ")[1:])] == [
        None,
        "tool_calls",
    ]
    assert watch.read == 1


def test_other_fields_stay_as_they_came() -> None:
    """Ids, token counts, log probabilities and fields that nobody knows."""
    came = [
        event({"role": "assistant", "content": "So. <tool_call>", "x": 1}, y=2),
        event({"content": CALL}),
        event({}, "stop", usage={"completion_tokens": 3}, z=[1.50]),
        DONE,
    ]
    lines = [json.loads(line) for line in watched(came).decode().replace(DONE.decode(), "").split("data: ")[1:]]
    assert [line["id"] for line in lines] == ["c1"] * 3
    assert lines[0]["choices"][0]["delta"] == {"role": "assistant", "content": "So. ", "x": 1}
    assert lines[0]["y"] == 2
    assert [line.get("usage") for line in lines] == [None, None, {"completion_tokens": 3}]
    assert lines[2]["z"] == [1.5]


def test_a_reported_call_leaves_the_text_alone() -> None:
    """The server knows its own calls; the text that came before them goes out as it came."""
    call = {"index": 0, "id": "a", "function": {"name": "city_weather", "arguments": "{}"}}
    came = [event({"content": f"<tool_call>{CALL}"}), event({"tool_calls": [call]}), event({}, "tool_calls"), DONE]
    assert watched(came) == b"".join(came)


def test_choices_are_read_apart() -> None:
    """The events of several wait for each other, so that their order stays."""
    came = [
        event({"content": "<tool_call>"}),
        event({"content": "Hello."}, index=1),
        event({"content": CALL}),
        event({}, "stop", index=1),
        event({}, "stop"),
        DONE,
    ]
    first, second = added_up(watched(came))
    assert [call["function"]["name"] for call in first["calls"]] == ["city_weather"]
    assert (first["finish"], second) == ("tool_calls", {"text": "Hello.", "calls": [], "finish": "stop"})


def test_a_call_is_not_held_for_ever() -> None:
    """Neither in doubt nor once it has begun; a call that went out as text is told all the same."""
    clock = Clock()
    watch = WatchedStream(OFFERED, "call_1", clock)
    assert watch.feed(event({"content": "{"})) == b""
    assert watch.due == DOUBT_S
    assert watch.let_go() == event({"content": "{"})
    clock.now = 100.0
    piece = event({"content": '\n{"name": "city_weather", "arguments": {"city": "Graz and so on, further and further", '})
    assert watch.feed(piece) == b""
    assert watch.due == 100.0 + CALL_S
    assert watch.let_go() == piece
    assert watch.feed(event({"content": '"x": {'})) == event({"content": '"x": {'})


def test_a_stream_that_breaks_off_hands_over_what_waits() -> None:
    """As text: nobody knows what it would have become."""
    watch = WatchedStream(OFFERED, "call_1", Clock())
    came = event({"content": f"<tool_call>{CALL}"})
    assert watch.feed(came + came[:9]) == b""
    assert watch.broken_off() == came + came[:9]


@pytest.mark.parametrize("ending", [[DONE], []])
def test_a_stream_without_a_finish_reason_gets_one(ending: list[bytes]) -> None:
    """The client learns that calls came."""
    (got,) = added_up(watched([event({"content": CALL}), *ending]))
    assert (len(got["calls"]), got["finish"]) == (1, "tool_calls")


def test_an_event_without_an_end_is_not_kept() -> None:
    """Its bytes pass as they come, and the stream is read on behind it."""
    watch = WatchedStream(OFFERED, "call_1", Clock())
    pieces = [b"data: ", *[b"x" * 65_536] * 12]
    out = [watch.feed(piece) for piece in pieces]
    assert len(b"".join(pieces)) - len(b"".join(out)) <= MAX_EVENT_BYTES
    out += [watch.feed(data) for data in (b"\n\n", *events(list(CALL)))]
    (choice,) = added_up(b"".join([*out, asyncio.run(watch.end())]))
    assert b"".join(out).startswith(b"".join(pieces) + b"\n\n")
    assert (choice["text"], len(choice["calls"])) == ("", 1)


def test_what_follows_a_long_text_does_not_wait_without_bound() -> None:
    """The text that has ended passes unread then."""
    text = f"{CALL}{'x' * READ_AT_ONCE}"
    came = [event({"content": text}), event({}, "stop"), *[b": %s\n\n" % (b"x" * 65_536), event({"content": "y" * 65_536})] * 64]
    watch = WatchedStream(OFFERED, "call_1", Clock())
    waits = 0
    for data in came:
        waits += len(data) - len(watch.feed(data))
        assert waits <= MAX_WAITING_BYTES + MAX_EVENT_BYTES
    assert asyncio.run(watch.end()) == b""


def test_only_one_call_where_only_one_is_wanted() -> None:
    """As the client asked."""
    (got,) = added_up(watched(events([f"{CALL}\n{CALL}"]), OfferedTools(TOOLS, "unknown", required=False, parallel=False)))
    assert len(got["calls"]) == 1


def test_a_call_that_the_token_limit_cut_off_is_none() -> None:
    """An argument may be missing."""
    text = '<tool_call>{"name": "city_weather", "arguments": {"city": "Gr'
    assert added_up(watched(events([text], "length"))) == [{"text": text, "calls": [], "finish": "length"}]


def test_one_choice_that_repeats_itself_takes_nothing_from_another() -> None:
    """A server may send the choices one after the other."""
    again = [event({"content": "on and on, " * 10})] * 200
    came = [*again, event({}, "length"), event({"content": "Fine."}, index=1), event({}, "stop", index=1), DONE]
    two = OfferedTools(TOOLS, "unknown", required=False, parallel=True, choices=2)
    assert watched(came, two) == b"".join(came)
    assert len(watched(again)) < len(b"".join(again))


def test_comments_never_wait() -> None:
    """They keep the connection alive."""
    watch = WatchedStream(OFFERED, "call_1", Clock())
    assert watch.feed(event({"content": "<tool_call>"})) == b""
    assert watch.feed(b": still here\n\n") == b": still here\n\n"


@pytest.mark.parametrize(
    "junk", [b"data: [1]\n\n", b"data: {\n\n", b"event: x\ndata: {}\n\n", b'data: {"choices": 5}\n\n', b"\n\n"]
)
def test_what_is_not_understood_is_passed_on(junk: bytes) -> None:
    """In its place."""
    came = [event({"content": "a"}), junk, event({"content": "b"}), junk, event({}, "stop"), DONE, junk]
    assert watched(came) == b"".join(came)


def test_a_choice_may_end_without_a_delta() -> None:
    """The call in its text is told all the same."""
    end = {"id": "x", "choices": [{"index": 0, "delta": None, "message": 5, "finish_reason": "stop"}]}
    (got,) = added_up(watched([event({"content": CALL}), b"data: %s\n\n" % json.dumps(end).encode(), DONE]))
    assert (len(got["calls"]), got["finish"]) == (1, "tool_calls")


def test_a_piece_of_a_damaged_call_may_say_nothing() -> None:
    """Or has no function at all. The call is mended as it is without it."""
    first = {"index": 0, "id": "a", "function": {"name": "city_weather", "arguments": "{'city': 'Graz'}"}}
    others: list[dict[str, Any]] = [{}, {"function": None}, {"function": {}}]
    pieces = [event({"tool_calls": [first, {"index": 0, **more}]}) for more in others]
    for piece in pieces:
        (call,) = joined(watched([piece, event({}, "tool_calls"), DONE]))
        assert json.loads(call[1]) == {"city": "Graz"}


HALF = b"a\xe2\x82"  # the first bytes of a character
"""Some servers cut characters, others have an encoding of their own."""


@pytest.mark.parametrize(
    "choice",
    [
        b'{"index":0,"delta":{"content":"%s"}}',
        b'{"index":0,"delta":{"content":[{"type":"text","text":"%s"}]}}',
        b'{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"city_weather","arguments":"%s"}}]}}',
        b'{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"city_weather","arguments":{"city":"%s"}}}]}}',
        b'{"index":0,"message":{"content":"%s"}}',
        b'{"index":0,"delta":{},"finish_reason":"%s"}',
    ],
)
@pytest.mark.parametrize("frame", [b'data: {"choices":[%s]}\n\n', b'{"choices":[%s]}\n'])
def test_what_is_no_utf8_is_passed_on(frame: bytes, choice: bytes) -> None:
    """Byte for byte, as where no tools are offered."""
    assert frame % choice % HALF in watched([frame % choice % HALF])


def reported(arguments: str, places: list[int], name: str = "city_weather", index: int = 0) -> list[bytes]:
    """A call that a server reports in pieces."""
    head = event(
        {"tool_calls": [{"index": index, "id": f"a{index}", "type": "function", "function": {"name": name, "arguments": ""}}]}
    )
    pieces = [event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}) for piece in cut(arguments, places)]
    return [head, *pieces]


def joined(data: bytes) -> list[tuple[str, str]]:
    """Name and arguments of each reported call."""
    found: dict[int, list[str]] = {}
    for line in data.decode().split("\n\n"):
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                for call in choice["delta"].get("tool_calls") or ():
                    known = found.setdefault(call["index"], ["", ""])
                    known[0] += (call.get("function") or {}).get("name") or ""
                    known[1] += (call.get("function") or {}).get("arguments") or ""
    return [(name, arguments) for name, arguments in found.values()]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=4), st.lists(st.integers(0, 400), max_size=20), st.booleans())
def test_sound_reported_calls_pass_byte_for_byte(arguments: dict[str, Any], places: list[int], plain: bool) -> None:
    """However they are cut; nothing of them waits until their end."""
    text = json.dumps(arguments, ensure_ascii=plain)
    came = [*reported(text, places), *reported(text, places, index=1), event({}, "tool_calls"), DONE]
    assert watched(came) == b"".join(came)


DAMAGED = [
    '{"city": "Graz",}',
    "{'city': 'Graz'}",
    '{"city": "Graz"',
    '"{\\"city\\": \\"Graz\\"}"',
    '{city: "Graz"}',
    '{"city": "Graz", }',
    "{'city': 'Graz',}",
]


@settings(deadline=None)
@given(st.sampled_from(DAMAGED), st.sampled_from(DAMAGED), st.lists(st.integers(0, 400), max_size=20))
def test_damaged_reported_calls_are_mended(one: str, other: str, places: list[int]) -> None:
    """The pieces add up to sound arguments; the id, the name and the order stay."""
    watch = WatchedStream(OFFERED, "call_1", Clock())
    came = [*reported(one, places), *reported(other, places, index=1), event({}, "tool_calls"), DONE]
    out = b"".join(map(watch.feed, came)) + asyncio.run(watch.end())
    assert [(name, json.loads(arguments)) for name, arguments in joined(out)] == [("city_weather", {"city": "Graz"})] * 2
    assert watch.mended == 2
    assert out.endswith(event({}, "tool_calls") + DONE)


@settings(deadline=None)
@given(st.lists(st.sampled_from([*DAMAGED, '{"city": "Graz"}']), min_size=1, max_size=3), st.booleans(), st.booleans())
def test_damaged_calls_of_one_event_are_mended(calls: list[str], named_first: bool, ends: bool) -> None:
    """Also where the event ends the choice, and where it holds several of them."""
    pieces = [
        {"index": index, "id": f"c{index}", "type": "function", "function": {"name": "city_weather", "arguments": text}}
        for index, text in enumerate(calls)
    ]
    said = [event({"role": "assistant", "content": ""})] if named_first else []
    last = [event({"tool_calls": pieces}, "tool_calls")] if ends else [event({"tool_calls": pieces}), event({}, "tool_calls")]
    got = joined(watched([*said, *last, DONE]))
    assert [(name, json.loads(arguments)) for name, arguments in got] == [("city_weather", {"city": "Graz"})] * len(calls)


@pytest.mark.parametrize(
    ("name", "arguments", "finish", "mended"),
    [
        ("list_alarms", "", "tool_calls", "{}"),
        ("write_note", '{"text": "one\ntwo"}', "tool_calls", '{"text": "one\\ntwo"}'),
        (
            "book",
            '{"guest": {"name": "A", "tags": ["x",]}, "paid": True}',
            "tool_calls",
            '{"guest": {"name": "A", "tags": ["x"]}, "paid": true}',
        ),
        ("write_note", '{"text": NaN}', "tool_calls", '{"text": "NaN"}'),
        ("set_timer", '{"minutes": NaN}', "tool_calls", '{"minutes": NaN}'),
        ("set_timer", '{"minutes": 1e400}', "tool_calls", '{"minutes": 1e400}'),
        ("city_weather", "Graz please", "tool_calls", "Graz please"),
        ("city_weather", '{"city": "Gr', "length", '{"city": "Gr'),
        ("list_alarms", "", "length", ""),
        ("city_weather", '{"city": "Graz"}<|im_end|>', "tool_calls", '{"city": "Graz"}<|im_end|>'),
    ],
)
def test_a_reported_call_is_mended_or_passes_as_it_came(name: str, arguments: str, finish: str, mended: str) -> None:
    """Nothing is guessed where the token limit cut it off, or nothing can be read."""
    came = [*reported(arguments, list(range(40)), name), event({}, finish), DONE]
    assert joined(watched(came)) == [(name, mended)]


@pytest.mark.parametrize(
    "name", ["functions.city_weather", "city_weather<|channel|>commentary", "city_weather\n", "City_Weather"]
)
def test_a_reported_name_is_mended(name: str) -> None:
    """What models and servers leave around it; a call counts once."""
    watch = WatchedStream(OFFERED, "call_1", Clock())
    came = [*reported("{'city': 'Graz'}", [3, 7], name), event({}, "tool_calls"), DONE]
    out = b"".join(map(watch.feed, came)) + asyncio.run(watch.end())
    assert joined(out) == [("city_weather", '{"city": "Graz"}')]
    assert watch.mended == 1
    unknown = reported("{}", [], "something_else")
    assert watched(unknown) == b"".join(unknown)


@pytest.mark.parametrize(
    "piece", [{"type": "custom", "custom": {"name": "x", "input": "y"}}, {"function": 5}, 5, {}, {"function": {"arguments": [1]}}]
)
def test_pieces_that_are_not_understood_pass(piece: Any) -> None:
    """What clients make of them is theirs."""
    came = [event({"tool_calls": [piece]}), event({}, "tool_calls"), DONE]
    assert watched(came) == b"".join(came)


def test_pieces_of_several_calls_in_turns_pass_byte_for_byte() -> None:
    """No call is ended because another one begins beside it."""
    heads = [{"index": at, "id": f"a{at}", "function": {"name": "city_weather", "arguments": ""}} for at in (0, 1)]
    parts = [{"index": at, "function": {"arguments": part}} for part in ('{"city":', ' "Graz"}') for at in (0, 1)]
    came = [event({"tool_calls": heads}), *(event({"tool_calls": [one]}) for one in parts), event({}, "tool_calls"), DONE]
    assert watched(came) == b"".join(came)
