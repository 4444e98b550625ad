"""A key in the pieces of a stream is removed, and everything else is passed on unchanged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.gateway.deltas import MAX_TEXTS, DeltaRedactor, DeltaRedactors

KEY = "sk-secret-0123456789"


def event(delta: dict[str, Any], index: int = 0, ending: str = "\n\n") -> bytes:
    """Return an event of a chat stream."""
    return f"data: {json.dumps({'id': 'x', 'choices': [{'index': index, 'delta': delta}]})}{ending}".encode()


def texts(data: bytes, name: str = "content", index: int = 0) -> str:
    """Return the text that the events add up to."""
    said = ""
    for line in data.decode().replace("\r\n", "\n").split("\n\n"):
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                if choice["index"] == index:
                    delta = choice["delta"]
                    said += delta.get(name) or "".join(c["function"].get(name) or "" for c in delta.get("tool_calls") or [])
    return said


def through(pieces: list[bytes], key: str | None = KEY) -> bytes:
    """Return all that comes out."""
    redactor = DeltaRedactor(key)
    return b"".join([*(redactor.feed(piece) for piece in pieces), redactor.end()])


@pytest.mark.parametrize("name", ["content", "reasoning_content", "reasoning", "refusal"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 19])
def test_a_key_in_pieces_of_any_size_is_taken_out(name: str, size: int) -> None:
    """The text before and after it stays."""
    said = f"the key is {KEY}, keep it"
    got = through([event({name: said[at : at + size]}) for at in range(0, len(said), size)])
    assert texts(got, name) in {f"the key is {beginning}[key], keep it" for beginning in ("", KEY[:1], KEY[:2])}
    assert KEY[3:] not in texts(got, name)


def test_a_key_in_the_arguments_of_a_call_is_taken_out() -> None:
    """The arguments are a text of their own."""
    said = json.dumps({"key": KEY, "city": "Oslo"})
    pieces = []
    for at in range(0, len(said), 4):
        call = {"index": 0, "function": {"arguments": said[at : at + 4]}}
        pieces += [event({"tool_calls": [call]}), event({"content": "a"})]
    got = through(pieces)
    assert KEY[3:] not in texts(got, "arguments")
    assert json.loads(texts(got, "arguments"))["city"] == "Oslo"
    assert texts(got) == "a" * (len(pieces) // 2)


def test_choices_are_texts_of_their_own() -> None:
    """Two halves of a key in two choices are no key."""
    pieces = [event({"content": KEY[:10]}, 0), event({"content": KEY[10:]}, 1)]
    assert through(pieces) == b"".join(pieces)


def test_of_any_number_of_texts_each_is_looked_at() -> None:
    """A key that has begun in a thousand texts is taken out of all."""
    numbers = range(4 * MAX_TEXTS)
    got = through([event({"content": part}, number) for part in (KEY[:9], "", KEY[9:]) for number in numbers])
    assert KEY[3:] not in got.decode()
    assert all(texts(got, index=number) == "[key]" for number in (numbers[0], numbers[-1]))


def test_keys_in_one_piece_and_over_its_edges_are_taken_out() -> None:
    """Each leaves a mark."""
    whole = KEY * 5
    got = through([event({"content": piece}) for piece in (whole[:5], "", whole[5:90], whole[90:])])
    assert texts(got) == "[key]" * 5


@pytest.mark.parametrize("ending", ["\n\n", "\r\n\r\n", "\r\r"])
def test_what_holds_no_key_goes_on_byte_by_byte(ending: str) -> None:
    """Beginnings of a key, comments, other events and invalid JSON too."""
    pieces = [
        event({"role": "assistant", "content": ""}, ending=ending),
        f": ping{ending}".encode(),
        event({"content": "sk-secret"}, ending=ending),
        event({"content": "-or-not"}, ending=ending),
        f"event: x{ending.rstrip()}".encode(),
        f"data: {{{ending}".encode(),
        f"data: [DONE]{ending}".encode(),
    ]
    assert through(pieces) == b"".join(pieces)
    redactor = DeltaRedactor(KEY)
    assert redactor.feed(pieces[0]) == pieces[0]
    assert redactor.feed(pieces[1]) == pieces[1]
    assert redactor.feed(pieces[2]) == b""
    assert redactor.feed(pieces[3]) == pieces[2] + pieces[3]


@given(
    st.lists(st.sampled_from([KEY, KEY[:9], KEY[9:], "sk-", "word ", "ü", '"', "\n", ""]), max_size=8),
    st.lists(st.integers(1, 9) | st.integers(20, 90), min_size=1, max_size=6),
    st.integers(1, 40),
)
def test_any_text_in_any_pieces_comes_out_without_the_key(words: list[str], sizes: list[int], cut: int) -> None:
    """However it is cut, at most two characters of the key come out."""
    said, at, pieces = "".join(words), 0, list[bytes]()
    while at < len(said):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(event({"content": said[at : at + size]}))
        at += size
    whole = b"".join(pieces)
    got = texts(through([whole[place : place + cut] for place in range(0, len(whole), cut)]))
    assert KEY not in got
    assert KEY[3:] not in got
    left = got
    for beginning in (KEY[:2], KEY[:1], ""):
        left = left.replace(f"{beginning}[key]", "[key]")
    assert left == said.replace(KEY, "[key]")


def test_without_a_key_nothing_is_looked_at() -> None:
    """A key that is short enough to be a word is ignored as well."""
    for key in (None, "", "short"):
        assert DeltaRedactor(key).feed(b"data: {") == b"data: {"


@pytest.mark.parametrize("size", [1, 3, 7])
def test_several_secrets_are_taken_out_at_once(size: int) -> None:
    """The key, a proxy's password, a secret of the endpoint's own fields: also one beside another."""
    other = "pass-9876543210"
    said = f"a {KEY}{other} b {other} c"
    redactor = DeltaRedactors((KEY, other, "word"))
    pieces = [event({"content": said[at : at + size]}) for at in range(0, len(said), size)]
    got = texts(b"".join([*(redactor.feed(piece) for piece in pieces), redactor.end()]))
    assert KEY[3:] not in got
    assert other[3:] not in got
    assert got.startswith("a ")
    assert got.endswith(" c")


@pytest.mark.parametrize("head", ["event: message\nid: 1\n", ": still here\n", "\ufeff"])
def test_a_key_in_events_with_other_lines_is_taken_out(head: str) -> None:
    """These stay, and so do events that end in any way."""
    events = [head.encode() + event({"content": KEY[at : at + 3]}, ending="\n\r\n") for at in range(0, len(KEY), 3)]
    got = through(events)
    said = "".join(
        json.loads(line[6:])["choices"][0]["delta"]["content"] for line in got.decode().splitlines() if "data: {" in line[:7]
    )
    assert KEY[3:] not in said
    assert got.count(b"event: message") == (len(events) if head.startswith("event") else 0)
