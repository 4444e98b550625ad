"""Reads log probabilities in the form of OpenAI's replies, which other servers share."""

from __future__ import annotations

from typing import Any

import msgspec

from selfopt.records import IMPOSSIBLE, LogProbs

from .jsontext import as_dict, as_list

TOP = 5
"""So many of the likeliest tokens are asked for at each place. No known server refuses as many."""

LONGEST_ASKED = 4096
"""Tokens of a reply. One that may get longer is not asked for log probabilities."""

TOP_SUMMED = 1
"""So many are asked for where only the sum over the reply is read."""

LONGEST_SUMMED = 8192
"""The same as `LONGEST_ASKED` for `TOP_SUMMED`."""

_MAX_TOKENS = LONGEST_SUMMED  # read
_MAX_TOP = 20  # kept
_MAX_CHARS = 1000  # of one token
_ROUNDING_ERROR = 1e-3  # servers that compute with few bits give a little more than 0
_DECIMALS = 5

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_choices = msgspec.json.Decoder(list[dict[str, msgspec.Raw]]).decode
_NULL = msgspec.Raw(b"null")


def longest_asked(top: int, max_reply_bytes: int) -> int:
    """Tokens of a reply that may be asked for log probabilities with so many alternatives at each place.

    A token with 5 alternatives takes about 550 bytes with llama.cpp, and 170 with one.
    """
    return min(LONGEST_SUMMED if top <= TOP_SUMMED else LONGEST_ASKED, max_reply_bytes // (124 + 180 * top))


def read_logprobs(entries: list[Any]) -> LogProbs | None:
    """Read the entries of all tokens, in order.

    Returns:
        None when there are no entries, far more than were asked for, or one that cannot be read: the
        sum over the others would be another reply's. llama.cpp writes 0 without alternatives for a
        token that it took from a draft (speculative decoding), and beside others that have some this
        is no certainty either.
    """
    if not 0 < len(entries) <= _MAX_TOKENS:
        return None
    tokens: list[str] = []
    logprobs: list[float] = []
    top_tokens: list[tuple[str, ...]] = []
    top_logprobs: list[tuple[float, ...]] = []
    raw: dict[int, str] = {}
    for place, entry in enumerate(map(as_dict, entries)):
        text, data = _token(entry)
        logprob = _logprob(entry.get("logprob"))
        if text is None or logprob is None:
            return None
        if data is not None:
            raw[place] = data.hex()
        tokens.append(text)
        logprobs.append(logprob)
        known = [
            (other, value)
            for one in map(as_dict, as_list(entry.get("top_logprobs"))[:_MAX_TOP])
            if (other := _token(one)[0]) is not None and (value := _logprob(one.get("logprob"))) is not None
        ]
        top_tokens.append(tuple(other for other, _ in known))
        top_logprobs.append(tuple(value for _, value in known))
    if any(top_tokens) and any(not top and not logprob for top, logprob in zip(top_tokens, logprobs, strict=True)):
        return None
    return LogProbs(
        tokens=tuple(tokens),
        logprobs=tuple(logprobs),
        top_tokens=tuple(top_tokens),
        top_logprobs=tuple(top_logprobs),
        raw=raw,
    )


def written_logprobs(found: LogProbs, text: str) -> list[dict[str, Any]]:
    """The entries of an answer's tokens in the form of OpenAI's replies.

    text: the answer. The tokens before it, of what the model thought, are left out.
    """
    at = "".join(found.tokens).rfind(text.strip()) if text.strip() else 0
    entries: list[dict[str, Any]] = []
    for place, token in enumerate(found.tokens):
        at -= len(token)
        if at < 0 or not text.strip():
            top = zip(found.top_tokens[place], found.top_logprobs[place], strict=True)
            data = bytes.fromhex(found.raw[place]) if place in found.raw else token.encode("utf-8", "replace")
            entries.append(
                {
                    **_written(token, found.logprobs[place], data),
                    "top_logprobs": [_written(other, value, other.encode("utf-8", "replace")) for other, value in top],
                }
            )
    return entries


def _written(token: str, logprob: float, data: bytes) -> dict[str, Any]:
    return {"token": token, "logprob": logprob, "bytes": list(data)}


def _token(entry: dict[str, Any]) -> tuple[str | None, bytes | None]:
    """The text of a token, None where it has none; and its bytes where they are no text alone."""
    text, listed = entry.get("token"), entry.get("bytes")
    data: bytes | None = None
    if isinstance(listed, list) and len(listed) <= 4 * _MAX_CHARS:
        try:
            data = bytes(listed)
        except (TypeError, ValueError):
            data = None
    if data is not None:
        alone = data.decode("utf-8", "replace")
        if alone.encode("utf-8") == data:
            text, data = alone, None
        elif not isinstance(text, str):
            text = alone
    if not isinstance(text, str) or len(text) > _MAX_CHARS:
        return None, None
    return text, data


def _logprob(value: Any) -> float | None:
    """A log probability in nats; None for what is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value <= _ROUNDING_ERROR:  # also NaN
        return None
    return round(float(min(max(value, IMPOSSIBLE), 0.0)), _DECIMALS)


def without_logprobs(body: str) -> str:
    """The body of a whole reply with null in place of its log probabilities, and all else as it came.

    A body that is read only leniently is returned as it is.
    """
    try:
        fields = _fields(body)
        if "logprobs" in fields:
            fields["logprobs"] = _NULL
        if "choices" in fields:
            choices = _choices(fields["choices"])
            for choice in choices:
                if "logprobs" in choice:
                    choice["logprobs"] = _NULL
            fields["choices"] = msgspec.Raw(msgspec.json.encode(choices))
        return msgspec.json.encode(fields).decode("utf-8")
    except (msgspec.MsgspecError, UnicodeError):
        return body


def entries_of(choice: dict[str, Any]) -> list[Any]:
    """The entries of a choice of chat completions, or of a piece of one; empty where it has none."""
    return as_list(as_dict(choice.get("logprobs")).get("content"))


def add_entries(known: list[Any], entries: list[Any]) -> None:
    """Add the entries of a piece of a reply. What a server sends beyond any bound is left out."""
    if len(known) <= _MAX_TOKENS:
        known += entries[: _MAX_TOKENS + 1 - len(known)]
