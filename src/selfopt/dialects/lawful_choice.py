"""The calls of one choice of a stream, each under an index of its own, with its name once and its arguments as text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from selfopt.records import ToolDefinition

from .call_pieces import CallPieces, GrowingCall
from .growing_json import completed
from .jsontext import as_str, parse_json
from .openai_edit import CallPiece, SaidPart, mended_calls
from .parts import call_of, index_of, listed_calls

MAX_CHARS = 1_048_576
"""So many characters of the text and the arguments of one choice are compared with what comes."""
_value = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_read_said = msgspec.json.Decoder(SaidPart).decode
_CALL_KEYS = frozenset({"index", "id", "type", "function", "name", "arguments", "parameters", "input"})


class _Told:
    """What the client has of a call.

    number: its index, None before it has any; begun: whether the client has its head; beside: keys that it does not have.
    """

    __slots__ = ("begun", "beside", "id", "name", "number", "size", "texts")

    def __init__(self) -> None:
        self.number: int | None = None
        self.begun = False
        self.id = self.name = ""
        self.beside: dict[str, Any] = {}
        self.texts: list[str] = []
        self.size = 0

    def add(self, arguments: str) -> None:
        self.texts.append(arguments)
        self.size += len(arguments)


class LawfulChoice:
    """One choice.

    Attributes:
        by_deltas: whether its text or calls come in deltas; called: whether calls do.
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
        self.by_deltas = self.called = False
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
        if not came or not are_understood(came):
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
            self._note_beside(piece, told)
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
        for piece, call in self._calls.repeat(message):
            told = self._told.setdefault(id(call), _Told()) if message.get("tool_calls") else _Told()
            if not told.begun:
                self._note_beside(piece, told)
        self.waiting = []
        if not message.get("tool_calls"):
            self.legacy = next((call for call in self._calls.calls if id(call) not in self._told), self.legacy)
        calls = [call for call in self._calls.calls if call is not self.legacy]
        return [one for call in calls for one in self._rest(call, self._told.setdefault(id(call), _Told()), {})]

    def _note_beside(self, piece: Mapping[str, Any], told: _Told) -> None:
        """Note the keys of a call that no reader knows. They go out with its next piece."""
        beside = {key: value for key, value in piece.items() if key not in _CALL_KEYS}
        if beside:
            self.left -= len(_encode(beside))
            told.beside |= beside

    def older(self, tools: Sequence[ToolDefinition], *, cut: bool) -> dict[str, Any]:
        """Return the call of the older field as one in a list, if it can be read; else as it came."""
        call, self.legacy = self.legacy, None
        if call is None:
            return {}
        # An object without a key has come whole, unlike no arguments.
        given = {"name": call.name, "arguments": call.arguments or ({} if call.begun else "")}
        number = self._free(None)
        said = _read_said(_encode({"function_call": given}))
        calls, mended = mended_calls(said, tools, self._ids, cut=cut)
        if not mended:
            return {"function_call": given}
        self._numbers.add(number)
        self.mended.add(number)
        return {"tool_calls": [{"index": number, **_value(calls[0]), "id": call.id or f"{self._ids}_{number}"}]}

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
        if not (head or arguments or name or told.beside):
            return []
        self._place(call, told, index_of(piece))
        assert told.number is not None
        told.begun = True
        told.name += name
        told.add(arguments)
        own, told.beside = told.beside, {}
        if head:
            told.id = call.id or f"{self._ids}_{told.number}"
            own = {"id": told.id, "type": "function", **own}
        self.mended.add(told.number)
        function = {**({"name": name} if name else {}), "arguments": arguments}
        return [{"index": told.number, **own, "function": function}]


def are_understood(calls: Sequence[Mapping[str, Any]]) -> bool:
    """Whether calls, or pieces of them, are calls of functions in a form that is known."""
    return all(map(_is_understood, calls))


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
