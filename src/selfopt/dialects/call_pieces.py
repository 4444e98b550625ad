"""Puts tool calls together from the pieces of a stream, as servers send them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

from .jsontext import as_str
from .parts import MAX_CALLS, call_of, index_of, listed_calls

_MARK = re.compile(r'\\.?|["{}\[\]]', re.DOTALL)
MAX_REPEATS = 64
Call = tuple[str, Any, str]


class GrowingCall:
    """One call, as far as it has come.

    Attributes:
        place: the index that its pieces name, or else their place in their list.
        again: whether it only repeats the name of the call before it, so far.
        begun: whether there are arguments.
        handed: whether it was handed over.
    """

    __slots__ = (
        "_depth",
        "_escaped",
        "_looked",
        "_object",
        "_quoted",
        "_seen",
        "_texts",
        "again",
        "begun",
        "handed",
        "id",
        "name",
        "place",
        "size",
    )

    def __init__(self, place: int) -> None:
        self.place, self.again, self.handed = place, False, False
        self.id = self.name = ""
        self._object: dict[str, Any] = {}
        self._texts: list[str] = []
        self.size = self._looked = self._depth = 0
        self.begun = self._escaped = self._quoted = self._seen = False

    @property
    def complete(self) -> bool:
        """Whether all brackets and quotation marks of the arguments are closed. Looks at each piece once."""
        for text in self._texts[self._looked :]:
            marks = _MARK.findall(text[1:] if self._escaped else text)
            self._escaped = bool(marks) and marks[-1] == "\\"
            for mark in marks:
                if mark == '"':
                    self._quoted = not self._quoted
                elif mark[0] != "\\" and not self._quoted:
                    self._depth += 1 if mark in "{[" else -1
                self._seen = True
        self._looked = len(self._texts)
        return (self.begun and not self._texts) or (self._seen and self._depth <= 0 and not self._quoted)

    @property
    def arguments(self) -> Any:
        """What came of the arguments: an object, or text."""
        return self._object if self._object and not self._texts else "".join(self._texts)

    def named(self, name: str) -> None:
        """Add a name. A piece may hold the whole name again, or a part of it."""
        if name and name != self.name:
            self.name = name if name.startswith(self.name) else self.name + name

    def add(self, arguments: Any) -> None:
        """Add arguments. What says the same again adds nothing."""
        if isinstance(arguments, dict) and not self._texts:
            self.begun = True
            self._object = {**self._object, **arguments}
            return
        text = arguments if isinstance(arguments, str) else json.dumps(arguments) if arguments else ""
        if not text:
            return
        if self._object:
            self._texts, self._object = [json.dumps(self._object)], {}
            self.size = len(self._texts[0])
        if self.size == len(text) and self.complete and self.arguments == text:
            return
        if self.size == 2 and text[0] == "{" and self.arguments == "{}":  # which stood for none yet
            self.replace(None)
        self._texts.append(text)
        self.begun = True
        self.size += len(text)

    def replace(self, arguments: Any) -> None:
        """Forget what came of the arguments for these."""
        self._texts, self._object = [], {}
        self.size = self._looked = self._depth = 0
        self.begun = self._escaped = self._quoted = self._seen = False
        self.add(arguments)

    def says(self, arguments: Any) -> bool:
        """Whether its arguments are these."""
        return _said(self.arguments) == _said(arguments)


def _said(arguments: Any) -> str:
    """Arguments in one form, however they are written."""
    value = arguments
    if isinstance(arguments, str):
        try:
            value = json.loads(arguments) if arguments.strip() else {}
        except (ValueError, RecursionError):
            return arguments
    return json.dumps(value or {}, sort_keys=True)


class CallPieces:
    """The calls of one stream.

    A piece belongs to the call with its index or id. Some servers give neither, or the same to all
    calls, or a new id to every piece. Then a call begins with a new name, or with a name after
    complete arguments.
    """

    def __init__(self) -> None:
        self._calls: list[GrowingCall] = []
        self._at: dict[int, GrowingCall] = {}
        self._by_id: dict[tuple[int | None, str], GrowingCall] = {}
        self._handed: list[GrowingCall] = []
        self._repeats = 0
        self._waits = False

    def add(self, delta: Mapping[str, Any]) -> None:
        """Add the pieces in a delta. Raises ValueError for more than MAX_CALLS calls."""
        pieces = listed_calls(delta)
        for position, piece in enumerate(pieces):
            if piece:
                self.put(piece, None if len(pieces) == 1 else position)

    def repeat(self, message: Mapping[str, Any]) -> list[tuple[dict[str, Any], GrowingCall]]:
        """Add those calls of a whole message that its pieces did not hold, or not to their end. Returns each with its call.

        Raises ValueError for more than MAX_CALLS calls, or if this happens too often.
        """
        pieces = [(piece, *call_of(piece)) for piece in listed_calls(message)]
        if not pieces:
            return []
        self._repeats += 1
        if self._repeats > MAX_REPEATS:
            raise ValueError(f"more than {MAX_REPEATS} messages that repeat calls")
        # The calls that came, by what tells one from another; the surest first.
        known: dict[tuple[str, str, str], list[GrowingCall]] = {}
        for one in self._calls:
            for key in (
                ("id", one.name, one.id),
                ("said", one.name, _said(one.arguments)),
                ("open", one.name, str(one.complete)),
            ):
                known.setdefault(key, []).append(one)
        taken: set[int] = set()
        every: list[tuple[dict[str, Any], GrowingCall]] = []
        for piece, name, arguments, call_id in pieces:
            if not name:
                every.append((piece, self.put(piece, None)))
                continue
            keys = (("id", name, call_id or "-"), ("said", name, _said(arguments)), ("open", name, str(False)))
            found = (one for key in keys for one in known.get(key, ()) if id(one) not in taken)
            same = next(found, None)
            if same is None:
                every.append((piece, self._begin(len(self._calls))))
                self._extend(every[-1][1], piece)
                continue
            every.append((piece, same))
            taken.add(id(same))
            if not same.complete:
                same.replace(arguments)
        return every

    def put(self, piece: dict[str, Any], position: int | None) -> GrowingCall:
        """Add a piece, and return its call. position: its place among several pieces of one event.

        Raises ValueError for more than MAX_CALLS calls.
        """
        index, call_id, name = index_of(piece), as_str(piece.get("id")), as_str(call_of(piece)[0])
        place = index if index is not None else position
        known = self._by_id.get((index, call_id)) if call_id else None
        if known is None:
            known = self._at.get(place) if place is not None else self._calls[-1] if self._calls else None
        if known is None or _begins(known, piece, call_id, name):
            again = known is not None and known.name == name
            known = self._begin(place if place is not None else known.place if known else 0)
            known.again = again and not call_id
        if call_id:
            self._by_id.setdefault((index, call_id), known)
        self._extend(known, piece)
        return known

    def _begin(self, place: int) -> GrowingCall:
        call = self._at[place] = GrowingCall(place)
        self._calls.append(call)
        if len(self._calls) > MAX_CALLS:
            raise ValueError(f"more than {MAX_CALLS} tool calls")
        return call

    @staticmethod
    def _extend(call: GrowingCall, piece: dict[str, Any]) -> None:
        name, arguments, call_id = call_of(piece)
        call.id = call.id or as_str(call_id)
        call.named(as_str(name))
        call.add(arguments)

    def at(self, index: int) -> GrowingCall | None:
        """The call that pieces with this index belong to."""
        return self._at.get(index)

    @property
    def calls(self) -> tuple[GrowingCall, ...]:
        """All calls, as far as they have come, in the order in which they began."""
        return tuple(self._calls)

    @property
    def goes_on(self) -> bool:
        """Whether `ended` may have any."""
        return not self._waits and len(self._calls) > len(self._handed) + 1

    def ended(self) -> Iterator[Call]:
        """The calls that ended since this was asked last: those before the newest one.

        A call without arguments waits for the end, since they may still come; so does everything
        behind it.
        """
        if not self.goes_on:
            return
        for call in self._order()[len(self._handed) : -1]:
            if not call.complete:
                self._waits = True
                return
            self._handed.append(call)
            call.handed = True
            yield call.name, call.arguments, call.id

    def wait(self) -> None:
        """Hand over no more before the end."""
        self._waits = True

    def all(self) -> Iterator[Call]:
        """All calls."""
        for call in self._order():
            if not (call.again and not call.begun):
                yield call.name, call.arguments, call.id

    def _order(self) -> list[GrowingCall]:
        """By place; but what was handed over stays first."""
        if all(a.place <= b.place for a, b in pairwise(self._calls)):
            return self._calls
        return [*self._handed, *sorted((one for one in self._calls if not one.handed), key=lambda one: one.place)]


def _begins(known: GrowingCall, piece: dict[str, Any], call_id: str, name: str) -> bool:
    """Whether a piece that seems to belong to a call begins another one."""
    other_id = bool(call_id and known.id and call_id != known.id)
    arguments = call_of(piece)[1]
    if not name:  # some servers give every piece an id of its own
        return other_id and _opens(arguments) and known.complete
    if not known.name:
        return other_id
    if other_id:
        return True
    if name != known.name:
        # A name may come in pieces, as long as there are no arguments.
        return known.begun or (not call_id and "type" in piece)
    if not known.complete or (not known.id and not arguments):
        return known.complete
    return not known.id or (_opens(arguments) and not known.says(arguments))


def _opens(arguments: Any) -> bool:
    return bool(arguments) and not (isinstance(arguments, str) and arguments.lstrip()[:1] in ("", "}", "]"))
