"""Log probabilities of a reply: columns of one length, finite and at most 0, the same after storage."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from selfopt.records import IMPOSSIBLE, Blob, ChatReply, ChatRequest, Exchange, LogProbs, Message, ReplyContent

NATS = st.floats(min_value=IMPOSSIBLE, max_value=0.0)
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8)
GOOD: dict[str, Any] = {"tokens": ("a",), "logprobs": (-1.0,), "top_tokens": (("a",),), "top_logprobs": ((-1.0,),)}


@st.composite
def replies(draw: st.DrawFn) -> tuple[bytes, LogProbs]:
    """What a model wrote, cut into tokens anywhere, also within a character."""
    written = draw(TEXTS).encode()
    cuts = sorted(draw(st.sets(st.integers(1, max(1, len(written) - 1)), max_size=6))) if len(written) > 1 else []
    pieces = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    texts = [piece.decode("utf-8", "replace") for piece in pieces]
    raw = {place: piece.hex() for place, (piece, text) in enumerate(zip(pieces, texts, strict=True)) if text.encode() != piece}
    top = [draw(st.lists(st.tuples(TEXTS, NATS), max_size=3)) for _ in pieces]
    made = LogProbs(
        tokens=tuple(texts),
        logprobs=tuple(draw(NATS) for _ in pieces),
        top_tokens=tuple(tuple(text for text, _ in one) for one in top),
        top_logprobs=tuple(tuple(value for _, value in one) for one in top),
        raw=raw,
    )
    return written, made


@given(replies())
def test_tokens_put_together_are_what_the_model_wrote(made: tuple[bytes, LogProbs]) -> None:
    """Byte by byte, also where a character is split over tokens."""
    written, logprobs = made
    assert b"".join(token.data for token in logprobs.listed) == written
    assert logprobs.text == written.decode()
    assert len(logprobs) == len(logprobs.listed)


@given(replies())
def test_the_sum_is_that_of_the_list_and_never_above_zero(made: tuple[bytes, LogProbs]) -> None:
    """In nats."""
    logprobs = made[1]
    assert logprobs.total == math.fsum(token.logprob for token in logprobs.listed if token.data)
    assert IMPOSSIBLE * len(logprobs) <= logprobs.total <= 0.0


@given(replies())
def test_storage_changes_nothing(made: tuple[bytes, LogProbs]) -> None:
    """Through the text of a blob and back."""
    logprobs = made[1]
    assert LogProbs.model_validate_json(Blob.of(logprobs.model_dump_json()).text) == logprobs


@pytest.mark.parametrize(
    "change",
    [
        {"tokens": ("a", "b")},
        {"logprobs": ()},
        {"logprobs": (0.1,)},
        {"logprobs": (float("nan"),)},
        {"logprobs": (float("-inf"),)},
        {"top_tokens": ()},
        {"top_tokens": ((),)},
        {"top_logprobs": ((-1.0, -2.0),)},
        {"raw": {0: "zz"}},
    ],
)
def test_columns_that_do_not_fit_are_refused(change: dict[str, Any]) -> None:
    """A sum over them would be another reply's."""
    assert LogProbs(**GOOD).total == -1.0
    with pytest.raises(ValidationError):
        LogProbs(**{**GOOD, **change})


def test_records_without_log_probabilities_are_written_as_before_there_were_any() -> None:
    """Requests, replies and exchanges: their hashes and what old homes hold stay valid."""
    request = ChatRequest(model="m", messages=(Message(role="user", content="x"),))
    for record in (request, ChatReply(content=ReplyContent()), Exchange(attempts=())):
        assert "logprobs" not in record.model_dump()
        assert type(record).model_validate_json(record.model_dump_json()) == record
