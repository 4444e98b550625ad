"""A secret leaves text in every spelling, whole or in pieces, and nothing else does."""

from __future__ import annotations

import base64
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.home import Redactor, is_secret_name, secret_texts

KEY = 'sk-live/"0123456789-abcdef'
SPELLINGS: list[Callable[[str], str]] = [
    lambda c: c,
    lambda c: f"\\u{ord(c):04x}",
    lambda c: f"\\u{ord(c):04X}",
    lambda c: f"\\\\u{ord(c):04x}",
    lambda c: f"\\\\\\\\u{ord(c):04x}",
    lambda c: f"%{ord(c):02X}",
    lambda c: f"%{ord(c):02x}",
    lambda c: f"\\{c}" if c in '"/\\' else c,
]
AROUND = st.text(alphabet='s k\n-{}":,é', max_size=12)
spelled = st.lists(st.sampled_from(SPELLINGS), min_size=len(KEY), max_size=len(KEY)).map(
    lambda ways: "".join(way(c) for way, c in zip(ways, KEY, strict=True))
)


@given(AROUND, spelled, AROUND)
def test_a_key_is_found_however_it_is_spelled(before: str, key: str, after: str) -> None:
    """Every character in a spelling of its own; what stands around stays."""
    assert Redactor([KEY]).text(before + key + after) == f"{before}[key]{after}"


@given(AROUND, spelled, AROUND, st.lists(st.integers(0, 400), max_size=6))
def test_pieces_hide_what_the_whole_hides(before: str, key: str, after: str, cuts: list[int]) -> None:
    """Wherever a stream is cut, the same bytes come out; at the end nothing is missing."""
    data = (before + key + after).encode()
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    redactor = Redactor([KEY])
    stream = redactor.stream()
    out = b"".join(stream.feed(data[a:b]) for a, b in pairwise(places)) + stream.end()
    assert out == redactor.data(data)
    assert b"[key]" in out


@given(st.binary(max_size=200), st.integers(0, 200))
def test_what_holds_no_key_passes_untouched(data: bytes, cut: int) -> None:
    """Byte for byte, whole and in pieces."""
    redactor = Redactor([KEY])
    stream = redactor.stream()
    assert redactor.data(data) == data
    assert stream.feed(data[:cut]) + stream.feed(data[cut:]) + stream.end() == data


@pytest.mark.parametrize("before", ["", "a", "ab", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_a_key_in_base64_is_hidden(before: str, encode: Callable[[bytes], bytes]) -> None:
    """At every alignment, as in a header of Basic authentication."""
    coded = encode(f"{before}{KEY}:x".encode())
    assert b"[key]" in Redactor([KEY]).data(coded)


def test_only_what_may_be_a_beginning_is_held_back() -> None:
    """An event that ends with its blank line goes out at once; half a key waits."""
    stream = Redactor([KEY]).stream()
    event = b'data: {"choices":[{"delta":{"content":"sk-liv"}}]}\n\n'
    assert stream.feed(event) == event
    assert stream.feed(b"the key is sk-live") == b"the key is "
    assert stream.feed(b"ly thing") == b"sk-lively thing"


def test_short_keys_are_ordinary_words() -> None:
    """Below eight characters nothing is taken out of answers; errors may ask for more."""
    assert Redactor(["none"]).text("none of them") == "none of them"
    assert not Redactor(["none"]).active
    assert Redactor(["none"], shortest=4).text("none of them") == "[key] of them"


def test_a_large_body_is_cleaned_in_pieces() -> None:
    """A key across the end of a piece is found as well."""
    redactor = Redactor([KEY])
    data = b"x" * 262_140 + KEY.encode() + b"y" * 600_000
    pieces = list(redactor.slices(data))
    assert max(map(len, pieces)) < 300_000
    assert b"".join(pieces) == b"x" * 262_140 + b"[key]" + b"y" * 600_000


def test_a_redactor_shows_no_key() -> None:
    """Not even where somebody prints it."""
    assert "sk-live" not in repr(Redactor([KEY]))


JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "token", "apiKey", "max_tokens", "keyed"]), inner)
    ),
    max_leaves=12,
)


@given(tree=JSON)
def test_texts_below_the_name_of_a_secret_are_found(tree: object) -> None:
    """All that stand there, whatever is around them, and no others."""

    def walk(value: object, hidden: bool) -> list[str]:
        if isinstance(value, str):
            return [value] if hidden and len(value) >= 8 else []
        if isinstance(value, list):
            return [text for one in value for text in walk(one, hidden)]
        if isinstance(value, dict):
            secret = ("token", "apiKey", "max_tokens")
            return [text for name, one in value.items() for text in walk(one, hidden or name in secret)]
        return []

    assert list(secret_texts(tree)) == walk(tree, hidden=False)


@pytest.mark.parametrize(
    "name", ["api_key", "apiKey", "x-api-key", "key", "Authorization", "client_secret", "tokens", "proxyPassword"]
)
def test_the_last_word_of_a_name_tells_a_secret(name: str) -> None:
    """However names are written."""
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["monkey", "keyed", "token_limit", "author", "secretary", ""])
def test_other_names_tell_none(name: str) -> None:
    """A word that only holds such a word is another word."""
    assert not is_secret_name(name)
