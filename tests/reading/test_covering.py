"""Log probabilities count where they are those of what the reply says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.covering import covering
from selfopt.records import LogProbs, ReplyContent, ToolCall

TEXT = "The weather in Oslo is what it always is, and nobody complains of it."
CALL = ToolCall(name="get_weather", arguments={"city": "Oslo"})


def observed(*tokens: str, raw: dict[int, str] | None = None) -> LogProbs:
    """Tokens that the server was sure of."""
    n = len(tokens)
    return LogProbs(tokens=tokens, logprobs=(-0.1,) * n, top_tokens=((),) * n, top_logprobs=((),) * n, raw=raw or {})


@given(st.text(max_size=90), st.integers(1, 7), st.booleans())
def test_those_of_the_text_itself_count(text: str, size: int, trimmed: bool) -> None:
    """However it is cut into tokens, whole characters or bytes; servers trim it."""
    tokens = [text[at : at + size] for at in range(0, len(text), size)]
    content = ReplyContent(text=text.strip() if trimmed else text)
    assert covering(observed(*tokens), content) is not None
    data = text.encode()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert covering(observed(*("" for _ in pieces), raw=dict(enumerate(map(bytes.hex, pieces)))), content) is not None


@pytest.mark.parametrize(
    "written",
    [
        ("",),
        (TEXT[:-1],),
        (TEXT[::-1],),
        ("I would not know, as I have never been there at all, and it is far away.",),
    ],
)
def test_too_few_and_those_of_another_text_count_for_nothing(written: tuple[str, ...]) -> None:
    assert covering(observed(*written), ReplyContent(text=TEXT)) is None


@pytest.mark.parametrize(
    "written",
    [f"<|im_start|>{TEXT}<|im_end|>", f"<think>So.</think>\n\n{TEXT}", TEXT.replace("The", "\ufffd\ufffd\ufffd", 1)],
)
def test_marks_thinking_and_odd_characters_do_not_hide_the_text(written: str) -> None:
    assert covering(observed(written), ReplyContent(text=TEXT)) is not None


def test_a_call_needs_half_of_what_it_takes() -> None:
    """It may have been written under another name, in any format."""
    content = ReplyContent(tool_calls=(CALL,))
    assert covering(observed("get_w", '{"city": "Oslo'), content) is not None
    assert covering(observed("getWeather", "(city='Oslo')"), content) is not None
    assert covering(observed("get_weather"), content) is None
    assert covering(observed("play_song", '{"title": "Oslo"}'), content) is None
    other = ReplyContent(tool_calls=(CALL.model_copy(update={"name": "погода"}),))
    assert covering(observed("play_song", '{"title": "Oslo"}'), other) is not None
    assert covering(None, content) is None
