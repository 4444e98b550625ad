"""Writes the calls in a stream in the form that clients expect, where a server has a form of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from selfopt.records import ToolDefinition

from .call_pieces import CallPieces, GrowingCall
from .finish import finish_of
from .growing_json import completed
from .jsontext import as_str, parse_json
from .openai_edit import MAX_CHOICES, CallPiece, Fields, SaidPart, call_pieces, mended_calls, only_delta, text_in
from .parts import call_of, index_of, listed_calls

MAX_CHARS = 1_048_576
"""So many characters of the text and the arguments of one choice are compared with what comes."""
_MAX_COMPARED = 64  # messages beside deltas that are compared with what came
_fields = msgspec.json.Decoder(Fields).decode
_list = msgspec.json.Decoder(list[Fields]).decode
_value = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_read_said = msgspec.json.Decoder(SaidPart).decode
_CALL_KEYS = frozenset({"index", "id", "type", "function", "name", "arguments", "parameters", "input"})
_SAID_KEYS = frozenset({"content", "reasoning_content", "reasoning", "refusal", "tool_calls", "function_call"})


class _Told:
    """What the client has of a call. number: its index, None before it has any; begun: whether the client has its head."""

    __slots__ = ("begun", "id", "name", "number", "size", "texts")

    def __init__(self) -> None:
        self.number: int | None = None
        self.begun = False
        self.id = self.name = ""
        self.texts: list[str] = []
        self.size = 0

    def add(self, arguments: str) -> None:
        self.texts.append(arguments)
        self.size += len(arguments)


class _Choice:
    """One choice.

    Attributes:
        by_deltas: whether its text or calls come in deltas.
        mended: the numbers of the calls whose form was changed.
        waiting: calls whose end has to be known first.
        left: how many more characters are compared; compared: how many messages were.
        body: an event of it.
    """

    def __init__(self, ids: str) -> None:
        self._ids = ids
        self._calls = CallPieces()
        self._told: dict[int, _Told] = {}
        self._numbers: set[int] = set()
        self._flowing: dict[int, _Told] = {}  # by the index that the server gives as well
        self.texts: dict[str, list[str]] = {"content": [], "thinking": [], "refusal": []}
        self.by_deltas = False
        self.mended: set[int] = set()
        self.waiting: list[GrowingCall] = []
        self.legacy: GrowingCall | None = None
        self.left, self.compared = MAX_CHARS, 0
        self.body = b""

    def note(self, text: str, thinking: str, refusal: str) -> None:
        """Note the texts of a delta."""
        self.by_deltas = self.by_deltas or bool(text or thinking)
        for name, said in (("content", text), ("thinking", thinking), ("refusal", refusal)):
            if said:
                self.said(name, said)

    def goes_on(self, piece: CallPiece) -> bool:
        """Take a piece if it only adds to the arguments of a call, as clients expect: most do. Returns whether it did."""
        function, told = piece.function, self._flowing.get(piece.index)
        arguments = function.arguments if function is not None else None
        if told is None or not arguments or piece.id or function is None or function.name or self.waiting or self.left <= 0:
            return False
        call = self._calls.at(piece.index)
        if call is None or self._told.get(id(call)) is not told or call.size != told.size or call.size in (2, len(arguments)):
            return False  # what may be said again is compared
        call.add(arguments)
        told.add(arguments)
        self.left -= len(arguments)
        return True

    def said(self, name: str, text: str) -> None:
        """Note a piece of text."""
        self.left -= len(text)
        if self.left > 0:
            self.texts[name].append(text)

    def pieces(self, said: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """Take the pieces of calls in a delta, and return them as they should be; None if they are.

        Raises ValueError for too many calls.
        """
        came = listed_calls(said)
        if not came or not all(map(_is_understood, came)):
            return None
        legacy = not said.get("tool_calls")
        new: list[dict[str, Any]] = []
        odd = legacy or not isinstance(said.get("tool_calls"), list)
        touched = []
        for position, piece in enumerate(came):
            call = self._calls.put(piece, None if len(came) == 1 else position)
            touched.append(call)
            told = self._told.setdefault(id(call), _Told())
            arguments = call_of(piece)[1]
            self.left -= len(arguments) if isinstance(arguments, str) else 0
            if self._is_lawful(piece, call, told) and not legacy and call not in self.waiting:
                self._pass(piece, told)
                new.append(piece)
                continue
            odd = True
            if legacy:
                self.legacy = call
                continue
            self._place(call, told, index_of(piece))
            if isinstance(arguments, dict) or (call.again and not call.begun):
                self.waiting += [call] if call not in self.waiting else []
            elif call not in self.waiting:
                new += self._rest(call, told, piece)
        before = self.flush(touched)
        return [*before, *new] if odd or before else None

    def flush(self, but: Sequence[GrowingCall] = ()) -> list[dict[str, Any]]:
        """Return what waits, except these calls."""
        ready = [call for call in self.waiting if call not in but]
        self.waiting = [call for call in self.waiting if call in but]
        return [one for call in ready for one in self._rest(call, self._told[id(call)], {})]

    def repeat(self, message: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return the calls of a message that says everything again, as far as they did not come.

        Raises ValueError for too many calls.
        """
        self._calls.repeat(message)
        self.waiting = []
        calls = [call for call in self._calls.calls if call is not self.legacy]
        return [one for call in calls for one in self._rest(call, self._told.setdefault(id(call), _Told()), {})]

    def older(self, tools: Sequence[ToolDefinition], *, cut: bool) -> dict[str, Any]:
        """Return the call of the older field as one in a list, if it can be read; else as it came."""
        call, self.legacy = self.legacy, None
        if call is None:
            return {}
        given = {"name": call.name, "arguments": call.arguments}
        number = self._free(None)
        said = _read_said(_encode({"function_call": given}))
        calls, mended = mended_calls(said, tools, f"{self._ids}_{number}", cut=cut)
        if not mended:
            return {"function_call": given}
        self._numbers.add(number)
        self.mended.add(number)
        return {"tool_calls": [{"index": number, **_value(calls[0])}]}

    def _is_lawful(self, piece: Mapping[str, Any], call: GrowingCall, told: _Told) -> bool:
        """Whether clients make of a piece what it stands for."""
        index, function = piece.get("index"), piece.get("function")
        if type(index) is not int or index < 0 or not isinstance(function, dict | None):
            return False
        name, arguments, call_id = call_of(dict(piece))
        if not isinstance(arguments, str | None) or (function is not None and not {"parameters", "input"}.isdisjoint(function)):
            return False
        if call.size != told.size + len(arguments or "") or (call.again and not call.begun):
            return False
        if told.begun:
            return index == told.number and not (name or call_id)
        return told.number is None and index not in self._numbers

    def _pass(self, piece: Mapping[str, Any], told: _Told) -> None:
        name, arguments, call_id = call_of(dict(piece))
        self._place(None, told, piece["index"])
        told.begun = True
        self._flowing[piece["index"]] = told
        told.name, told.id = told.name + as_str(name), told.id or as_str(call_id)
        told.add(arguments or "")

    def _place(self, call: GrowingCall | None, told: _Told, wanted: int | None) -> None:
        """Give a call its number: the order is that in which they begin."""
        if told.number is None and not (call is not None and call.again and not call.begun):
            told.number = self._free(wanted)
            self._numbers.add(told.number)

    def _free(self, wanted: int | None) -> int:
        if wanted is not None and wanted >= 0 and wanted not in self._numbers:
            return wanted
        return max(self._numbers, default=-1) + 1

    def _rest(self, call: GrowingCall, told: _Told, piece: dict[str, Any]) -> list[dict[str, Any]]:
        """Return what the client does not have of a call, as one piece or none."""
        if call.again and not call.begun:
            return []
        head = not told.begun
        arguments, name = _missing(call, told, call_of(piece)[1]), call.name.removeprefix(told.name)
        if not (head or arguments or name):
            return []
        self._place(call, told, index_of(piece))
        assert told.number is not None
        told.begun = True
        told.name += name
        told.add(arguments)
        own = {key: value for key, value in piece.items() if key not in _CALL_KEYS}
        if head:
            told.id = call.id or f"{self._ids}_{told.number}"
            own = {"id": told.id, "type": "function", **own}
        self.mended.add(told.number)
        function = {**({"name": name} if name else {}), "arguments": arguments}
        return [{"index": told.number, **own, "function": function}]


def _is_understood(piece: Mapping[str, Any]) -> bool:
    name, arguments, call_id = call_of(dict(piece))
    return (
        bool(piece)
        and piece.get("type", "function") in ("function", "", None)
        and isinstance(piece.get("function"), dict | str | None)
        and isinstance(name, str | None)
        and isinstance(arguments, str | dict | None)
        and isinstance(call_id, str | None)
    )


def _missing(call: GrowingCall, told: _Told, piece: Any) -> str:
    """The arguments that the client does not have."""
    if isinstance(piece, str) and call.size == told.size + len(piece):
        return piece
    value = call.arguments
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = text or ("{}" if call.begun else "")
    sent = "".join(told.texts)
    if text.startswith(sent):
        return text[len(sent) :]
    try:
        whole = value if isinstance(value, dict) else parse_json(text)
    except ValueError:
        return ""
    return (completed(sent, whole) or "") if isinstance(whole, dict) else ""


class LawfulPieces:
    """The calls of one stream: each under an index of its own, in deltas, with its name once and its arguments as text.

    What is written so, and what is not understood, stays as it came.
    """

    def __init__(self, tools: Sequence[ToolDefinition], ids: str) -> None:
        """ids: the beginning of the ids of calls that have none."""
        self._tools, self._ids = tools, ids
        self._choices: dict[int, _Choice] = {}

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

    def _own(self, index: int) -> _Choice | None:
        """A choice; None if it is one too many."""
        own = self._choices.get(index)
        if own is None and len(self._choices) < MAX_CHOICES:
            own = self._choices[index] = _Choice(self._ids if not index else f"{self._ids}_{index}")
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
        if not changed:
            return [body]
        if bytes(fields.get("object", b"")) == b'"chat.completion"':
            fields["object"] = msgspec.Raw(b'"chat.completion.chunk"')
        if not then:
            return [_encode({**fields, "choices": first})]
        early = {key: value for key, value in fields.items() if key != "usage"}
        return [_encode({**early, "choices": first}), _encode({**fields, "choices": then})]

    def end(self) -> list[bytes]:
        """Return the events with what waits in a stream that has no other end."""
        found = []
        for index, own in self._choices.items():
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
        self, own: _Choice, delta: dict[str, Any], message: dict[str, Any] | None, finish: Any
    ) -> tuple[dict[str, Any] | None, bool]:
        """Return what a choice says besides, None if it is as it should be; and whether that stood in its message."""
        pieces, new, moved = own.pieces(delta), dict(delta), message is not None and not own.by_deltas
        changed = pieces is not None
        own.by_deltas = own.by_deltas or bool(listed_calls(delta))
        if changed:
            new = {key: value for key, value in new.items() if key not in ("tool_calls", "function_call")}
        calls = list(pieces or ())
        if message is not None:
            moved = moved and not own.by_deltas
            more = {key: value for key, value in message.items() if key not in _SAID_KEYS} if moved else {}
            whole = bool(finish) or own.by_deltas
            own.compared += own.by_deltas
            if own.compared > _MAX_COMPARED:
                raise ValueError("too many messages beside deltas")
            fresh = _fresh(own, message, whole=whole)
            told = own.repeat(message) if whole else _or_as_they_came(own.pieces(message), message)
            changed = changed or bool(moved or fresh or told)
            new, calls = {**new, **more, **fresh}, calls + told
        if finish and (own.waiting or own.legacy is not None):
            calls += own.flush()
            older = own.older(self._tools, cut=finish_of(finish) == "length")
            calls += older.pop("tool_calls", [])
            new, changed = {**new, **older}, True
        if calls:
            new["tool_calls"] = calls
        return (new if changed else None), moved


def _or_as_they_came(pieces: list[dict[str, Any]] | None, said: Mapping[str, Any]) -> list[Any]:
    came = said.get("tool_calls")
    return pieces if pieces is not None else came if isinstance(came, list) else []


def _fresh(own: _Choice, message: Mapping[str, Any], *, whole: bool) -> dict[str, Any]:
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
