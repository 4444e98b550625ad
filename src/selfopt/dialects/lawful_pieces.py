"""Writes the calls in a stream in the form that clients expect, where a server has a form of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from selfopt.records import ToolDefinition

from .finish import finish_of
from .lawful_choice import LawfulChoice, are_understood
from .openai_edit import MAX_CHOICES, Fields, SaidPart, call_pieces, only_delta, text_in
from .parts import MAX_CALLS, listed_calls

_MAX_COMPARED = 64  # messages beside deltas that are compared with what came
_fields = msgspec.json.Decoder(Fields).decode
_list = msgspec.json.Decoder(list[Fields]).decode
_value = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_read_said = msgspec.json.Decoder(SaidPart).decode
_SAID_KEYS = frozenset({"content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call"})


class LawfulPieces:
    """The calls of one stream: each under an index of its own, in deltas, with its name once and its arguments as text.

    What is written so, and what is not understood, stays as it came.
    """

    def __init__(self, tools: Sequence[ToolDefinition], ids: str) -> None:
        """ids: the beginning of the ids of calls that have none."""
        self._tools, self._ids = tools, ids
        self._choices: dict[int, LawfulChoice] = {}

    def is_mended(self, choice: int, number: int) -> bool:
        """Whether the form of a call was changed."""
        own = self._choices.get(choice)
        return own is not None and number in own.mended

    @property
    def mended(self) -> int:
        """How many calls got another form."""
        return sum(len(own.mended) for own in self._choices.values())

    def knows(self, choice: int) -> bool:
        """Whether a choice has calls so far, in whichever form."""
        own = self._choices.get(choice)
        return own is not None and bool(own.mended or own.waiting or own.legacy is not None)

    def said(self, choice: int, text: str, thinking: str, delta: SaidPart) -> None:
        """Note what a delta without calls says. text, thinking: those in it."""
        if (own := self._own(choice)) is not None:
            own.note(text, thinking, text_in(delta.refusal))

    def goes_on(self, choice: int, delta: SaidPart) -> bool:
        """Take a delta if it only adds to the arguments of a call, as clients expect. Returns whether it did."""
        own = self._choices.get(choice)
        pieces = call_pieces(delta) if own is not None else []
        return own is not None and len(pieces) == 1 and own.goes_on(pieces[0])

    def _own(self, index: int) -> LawfulChoice | None:
        """A choice; None if it is one too many."""
        own = self._choices.get(index)
        if own is None and len(self._choices) < MAX_CHOICES:
            own = self._choices[index] = LawfulChoice(self._ids if not index else f"{self._ids}_{index}")
        return own

    def take(self, body: bytes) -> list[bytes]:
        """Return the events to send in place of one; itself if it is as clients expect."""
        fields = _fields(body)
        first: list[Any] = []
        then: list[Any] = []
        changed = False
        for raw in _list(fields["choices"]):
            new = self._choice(raw, body)
            changed = changed or new is not None
            first.append(raw if new is None else new[0])
            then += new[1:] if new is not None else []
        left = self.end(given_up=True)
        if not changed:
            return [*left, body]
        if bytes(fields.get("object", b"")) == b'"chat.completion"':
            fields["object"] = msgspec.Raw(b'"chat.completion.chunk"')
        if not then:
            return [*left, _encode({**fields, "choices": first})]
        early = {key: value for key, value in fields.items() if key != "usage"}
        return [*left, _encode({**early, "choices": first}), _encode({**fields, "choices": then})]

    def end(self, *, given_up: bool = False) -> list[bytes]:
        """Return the events with what waits in a stream that has no other end.

        given_up: only that of choices whose form is not looked at any more.
        """
        found = []
        for index, own in self._choices.items():
            if given_up and own.left > 0:
                continue
            waits, older = own.flush(), own.older(self._tools, cut=True)
            if waits:
                found.append(only_delta(own.body, index, {"tool_calls": waits}))
            if older:
                found.append(only_delta(own.body, index, older))
        return found

    def _choice(self, given: Fields, body: bytes) -> list[dict[str, Any]] | None:
        """Return a choice of an event in the form that clients expect: one, or what it says and its end; None if it has it."""
        index = _value(given["index"]) if "index" in given else 0
        delta, message, finish = (_value(given.get(key, b"null")) for key in ("delta", "message", "finish_reason"))
        own = self._own(index or 0)
        if own is None or ("delta" not in given and "message" not in given and not finish):
            return None
        own.body = body
        if isinstance(delta, dict):
            said = _read_said(given["delta"])
            own.note(said.text, said.thinking, text_in(said.refusal))
        if own.left <= 0 or "text" in given or not isinstance(delta, dict | None) or not isinstance(message, dict | None):
            return None
        try:
            new, moved = self._said(own, delta or {}, message, finish)
        except ValueError:
            own.left = 0
            return None
        reason = "tool_calls" if finish and own.mended and finish_of(finish) != "length" else finish
        if new is None and delta is not None and reason == finish:
            return None
        more = {key: value for key, value in given.items() if not (key == "message" and moved)}
        new = delta or {} if new is None else new
        if not (moved and finish and new.keys() - {"role"}):
            return [{**more, "delta": new, "finish_reason": reason}]
        return [{**more, "delta": new, "finish_reason": None}, {"index": index, "delta": {}, "finish_reason": reason}]

    def _said(
        self, own: LawfulChoice, delta: dict[str, Any], message: dict[str, Any] | None, finish: Any
    ) -> tuple[dict[str, Any] | None, bool]:
        """Return what a choice says besides, None if it is as it should be; and whether that stood in its message."""
        pieces, new, moved = own.pieces(delta), dict(delta), message is not None and not own.by_deltas
        changed = pieces is not None
        own.called = own.called or bool(listed_calls(delta))
        own.by_deltas = own.by_deltas or own.called
        if changed:
            new = {key: value for key, value in new.items() if key not in ("tool_calls", "function_call")}
        calls = list(pieces or ())
        if message is not None:
            if len(listed_calls(message)) > MAX_CALLS:
                raise ValueError(f"more than {MAX_CALLS} tool calls")
            moved = moved and not own.by_deltas
            more = {key: value for key, value in message.items() if key not in _SAID_KEYS} if moved else {}
            whole = bool(finish) or own.by_deltas
            own.compared += own.by_deltas
            if own.compared > _MAX_COMPARED:
                raise ValueError("too many messages beside deltas")
            fresh = _fresh(own, message, whole=whole)
            told: list[Any] | None = None
            if are_understood(listed_calls(message)):
                told = own.repeat(message) if whole else own.pieces(message)
            if told is None and not own.called:
                more |= _calls_as_they_came(message)
            changed = changed or bool(moved or fresh or told)
            new, calls = {**new, **more, **fresh}, calls + (told or [])
        if finish and (own.waiting or own.legacy is not None):
            calls += own.flush()
            older = own.older(self._tools, cut=finish_of(finish) == "length")
            calls += older.pop("tool_calls", [])
            new, changed = {**new, **older}, True
        if calls:
            new["tool_calls"] = calls
        return (new if changed else None), moved


def _calls_as_they_came(message: Mapping[str, Any]) -> dict[str, Any]:
    """The calls of a message, in its own fields; in a stream each of a list has its index."""
    came = {key: message[key] for key in ("tool_calls", "function_call") if message.get(key)}
    listed = came.get("tool_calls")
    if isinstance(listed, list):
        came["tool_calls"] = [{"index": at, **call} if isinstance(call, dict) else call for at, call in enumerate(listed)]
    return came


def _fresh(own: LawfulChoice, message: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
    """What a message says that did not come. whole: whether it may say everything again."""
    said = _read_said(
        _encode({key: message[key] for key in ("content", "reasoning_content", "reasoning", "refusal") if key in message})
    )
    fresh: dict[str, Any] = {}
    for name, text, keys in (
        ("content", said.text, ("content",)),
        ("thinking", said.thinking, ("reasoning_content", "reasoning")),
        ("refusal", text_in(said.refusal), ("refusal",)),
    ):
        before = "".join(own.texts[name])
        known = 0
        if whole:
            again = text == before or (own.by_deltas and text.startswith(before))
            known = len(before) if again else len(text) if own.by_deltas else 0
        if not text[known:]:
            continue
        own.said(name, text[known:])
        key = next(key for key in keys if message.get(key))
        fresh[key] = text[known:] if known else message[key]
    return fresh
