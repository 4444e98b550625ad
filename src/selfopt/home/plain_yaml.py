"""Reads YAML as plain data: bounded, without aliases, tags or repeated keys.

It builds the data from PyYAML's parser events, with a stack of its own. PyYAML's composer recurses,
so that a deep file overflows it; it also expands aliases and keeps the last of two equal keys.
Plain scalars follow the core schema of YAML 1.2: `2027-03-12`, `14:00`, `on` and `no` are text.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

MAX_DEPTH = 40
MAX_NODES = 1_000_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_MAX_NUMBER_LENGTH = 300


class PlainYamlError(ValueError):
    """The text is not plain YAML. The message names the line, what is wrong and how to fix it."""


@dataclass(slots=True)
class _Open:
    """A mapping or list that is not closed yet."""

    value: dict[str, Any] | list[Any]
    key: str | None = None  # waits for its value
    keys: set[str] = field(default_factory=set)


def read_plain_yaml(text: str, *, aliases: bool = False) -> Any:
    """Returns the data of one YAML document; None when it is empty.

    Args:
        aliases: allow anchors, aliases and `<<` (merge), which files of other programs use. An
            alias counts, in values and depth, as much as what it stands for.

    Raises PlainYamlError for text that is not YAML, a second document, aliases, anchors, tags, a
    repeated or non-scalar key, nesting deeper than MAX_DEPTH, or more than MAX_NODES values.
    """
    try:
        return (_SharingBuilder() if aliases else _Builder()).build(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        what = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
        raise PlainYamlError(f"{where}not valid YAML: {what}; correct the line, or quote its text") from error


class _Builder:
    """Turns the events of one document into data."""

    def __init__(self) -> None:
        self._stack: list[_Open] = []
        self._root: Any = None
        self._documents = 0
        self._nodes = 0

    def build(self, text: str) -> Any:
        """Consume all events."""
        for event in yaml.parse(text, Loader=_LOADER):
            self._take(event)
        return self._root

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_marks(event)
            top = self._stack[-1] if self._stack else None
            if top is not None and isinstance(top.value, dict) and top.key is None:
                if event.value in top.keys:
                    raise _problem(event, f"the key {event.value[:60]!r} occurs twice in one mapping", "keep one of the two")
                top.keys.add(event.value)
                top.key = event.value
            else:
                self._add(_scalar(event), event)
        elif isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._refuse_marks(event)
            value: dict[str, Any] | list[Any] = {} if isinstance(event, yaml.MappingStartEvent) else []
            self._add(value, event)
            self._stack.append(_Open(value))
            if len(self._stack) > MAX_DEPTH:
                raise _problem(event, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            self._stack.pop()
        elif isinstance(event, yaml.AliasEvent):
            raise _problem(event, "an alias (*name) is not allowed", "write the value out")
        elif isinstance(event, yaml.DocumentStartEvent):
            self._documents += 1
            if self._documents > 1:
                raise _problem(event, "a second document starts; only one is allowed", "put it into a file of its own")

    def _refuse_marks(self, event: Any) -> None:
        if event.anchor is not None:
            raise _problem(event, "an anchor (&name) is not allowed", "remove it")
        if event.tag not in (None, "!"):
            raise _problem(event, "a tag (!name) is not allowed", "remove it")

    def _add(self, value: Any, event: Any) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise _problem(event, f"more than {MAX_NODES} values", "split the file")
        if not self._stack:
            self._root = value
            return
        top = self._stack[-1]
        if isinstance(top.value, list):
            top.value.append(value)
        elif top.key is None:
            raise _problem(event, "a mapping or a list is used as a key", "use plain text as a key")
        else:
            top.value[top.key] = value
            top.key = None


@dataclass(slots=True)
class _Frame:
    """What an alias needs to know of a mapping or list that is still open."""

    anchor: str | None
    nodes_before: int  # values in the document before this one
    height: int = 0  # levels below this one


@dataclass(frozen=True, slots=True)
class _Shared:
    """A value with an anchor."""

    value: Any
    nodes: int  # how many values it counts as when written out
    height: int  # levels of nesting


class _SharingBuilder(_Builder):
    """Also reads anchors and aliases.

    A value may then occur in several places, so nobody may change the data.
    """

    def __init__(self) -> None:
        super().__init__()
        self._anchors: dict[str, _Shared] = {}
        self._frames: list[_Frame] = []

    def _refuse_marks(self, event: Any) -> None:
        if event.tag not in (None, "!"):
            raise _problem(event, "a tag (!name) is not allowed", "remove it")
        if event.anchor is not None and isinstance(event, yaml.ScalarEvent):
            self._anchors[event.anchor] = _Shared(_scalar(event), 1, 0)

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._take_alias(event)
            return
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._frames.append(_Frame(event.anchor, self._nodes))
        closing = self._stack[-1].value if isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)) else None
        super()._take(event)
        if closing is not None:
            frame = self._frames.pop()
            if isinstance(closing, dict) and "<<" in closing:
                _merge(closing, event)
            height = frame.height + 1
            if frame.anchor is not None:
                self._anchors[frame.anchor] = _Shared(closing, self._nodes - frame.nodes_before, height)
            self._raise_to(height)

    def _take_alias(self, event: Any) -> None:
        shared = self._anchors.get(event.anchor)
        if shared is None:
            raise _problem(event, f"the alias *{event.anchor[:60]} has no complete anchor before it", "write the value out")
        if len(self._stack) + shared.height > MAX_DEPTH:
            raise _problem(
                event, f"nested deeper than {MAX_DEPTH} levels with what *{event.anchor[:60]} stands for", "flatten it"
            )
        self._nodes += shared.nodes - 1
        self._add(shared.value, event)
        self._raise_to(shared.height)

    def _raise_to(self, height: int) -> None:
        if self._frames:
            self._frames[-1].height = max(self._frames[-1].height, height)


def _merge(mapping: dict[str, Any], event: Any) -> None:
    """Merge what `<<` names into a mapping.

    The mapping's own keys win, then those of the first source.
    """
    named = mapping.pop("<<")
    for source in named if isinstance(named, list) else [named]:
        if not isinstance(source, dict):
            raise _problem(event, "<< names something that is not a mapping", "name a mapping")
        for key, value in source.items():
            mapping.setdefault(key, value)


def _scalar(event: Any) -> Any:
    text: str = event.value
    if not event.implicit[0] or (event.style is not None and event.style != ""):
        return text
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first not in "+-.0123456789":
        return text
    is_int = _INT.fullmatch(text) is not None
    if not is_int and _FLOAT.fullmatch(text) is None:
        return text
    if len(text) > _MAX_NUMBER_LENGTH:
        raise _problem(event, f"a number of {len(text)} characters", "quote it if it is meant as text")
    if is_int:
        return int(text)
    number = float(text)
    if math.isinf(number):
        raise _problem(event, "a number that is too large", "quote it if it is meant as text")
    return number


def _problem(event: Any, what: str, fix: str) -> PlainYamlError:
    return PlainYamlError(f"line {event.start_mark.line + 1}: {what}; {fix}")
