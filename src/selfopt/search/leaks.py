"""Finds material of given prompts in a text: runs of their words, and their distinctive values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from selfopt.records import Prompt, Suite

_RUN = 5
"""So many words in a row of a prompt are no chance. A shorter prompt is found as a whole."""
_SHORTEST = 3
_SHORTEST_VALUE = 2
"""An expected value of so many words is found as a whole."""
_CODE = 4
_NAME = 4
"""The fewest characters of a code or number, and of a name, that tell whose they are."""
_MOST_CHARS = 200_000
_TOKEN = re.compile(r"\w+(?:[-./:@+']\w+)*")
_WORD = re.compile(r"\w+")
_ENDS = re.compile(r"(?:\A|[.!?:;\"“(\n])\s*\Z")
_GAPS = re.compile(r"(?<=\d)[\s\-./,:_]+(?=\d)")
_DIGITS = re.compile(r"\d+")


class Material:
    """What prompts consist of, to find it elsewhere.

    Args:
        prompts: whose messages and expected arguments are looked for.
        suite: where their tools are.
        tools: whether the names of tools that no other prompt is offered are looked for too.

    A prompt is found by five of its words in a row, or by all of them where it has three or four; by
    an expected value of two words or more; by a number or code of four characters or more, also where
    it is written with other separators; and by a name of four letters or more, which is a capitalised
    word in the middle of a sentence or in an expected value; and by a tool's name that is no plain
    word. Paraphrases, translations and ciphers are not found.
    """

    def __init__(self, prompts: Iterable[Prompt], suite: Suite, *, tools: bool = True) -> None:
        self._runs: dict[tuple[str, ...], list[str]] = {}
        self._marks: dict[str, list[str]] = {}
        prompts = tuple(prompts)
        ids = {prompt.id for prompt in prompts}
        known = {tool.name for prompt in suite.prompts if prompt.id not in ids for tool in suite.tools_of(prompt)}
        for prompt in prompts:
            told = [message.content for message in prompt.messages]
            values = list(_values(prompt))
            runs = {run for text in told for run in _runs_of_prompt(_words(text))}
            runs |= {words for value in values if _SHORTEST_VALUE <= len(words := _words(value)) <= _RUN}
            runs |= {run for value in values for run in _runs_of_prompt(_words(value))}
            marks = {mark for text in told for mark in _marks(text, names_at_start=False)}
            marks |= {mark for value in values for mark in _marks(value, names_at_start=True)}
            named = {tool.name for tool in suite.tools_of(prompt)} if tools else set()
            marks |= {name.casefold() for name in named - known if not name.isalpha()}
            for run in runs:
                self._runs.setdefault(run, []).append(prompt.id)
            for mark in marks:
                self._marks.setdefault(mark, []).append(prompt.id)
        self._lengths = sorted({len(run) for run in self._runs})

    def found(self, text: str, known: str = "") -> tuple[str, ...]:
        """The ids of the prompts whose material a text holds, in the order of the suite.

        Args:
            text: what was written. What is longer than 200,000 characters is cut.
            known: what its writer was shown: what stands there too is no material of theirs.
        """
        if not self._runs and not self._marks:
            return ()
        hits = [one for run in self._in(text) - self._in(known) for one in self._runs[run]]
        tokens = _tokens(text) - _tokens(known)
        hits += [one for mark in tokens & self._marks.keys() for one in self._marks[mark]]
        digits, shown = "".join(_DIGITS.findall(_GAPS.sub("", _plain(text)))), _tokens(known)
        hits += [
            one
            for mark, ids in self._marks.items()
            if mark.isdecimal() and len(mark) > _CODE and mark in digits and mark not in shown
            for one in ids
        ]
        order = {one: None for ids in (*self._runs.values(), *self._marks.values()) for one in ids}
        wanted = set(hits)
        return tuple(one for one in order if one in wanted)

    def _in(self, text: str) -> set[tuple[str, ...]]:
        words = _words(text)
        return {run for n in self._lengths for run in _runs(words, n) if run in self._runs}


def _plain(text: str) -> str:
    """A text without invisible characters, in the form that compares."""
    normal = unicodedata.normalize("NFKC", text[:_MOST_CHARS])
    return "".join(char for char in normal if unicodedata.category(char) != "Cf")


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(_plain(text).casefold().replace("_", " ")))


def _runs(words: Sequence[str], n: int) -> Iterator[tuple[str, ...]]:
    return (tuple(words[at : at + n]) for at in range(len(words) - n + 1))


def _runs_of_prompt(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    if len(words) >= _SHORTEST:
        yield from _runs(words, min(_RUN, len(words)))


def _tokens(text: str) -> set[str]:
    """What marks are compared with: tokens, their words, and tokens without what separates them."""
    found: set[str] = set()
    for token in _TOKEN.findall(_plain(text)):
        low = token.casefold()
        found |= {low, _compact(low), *_WORD.findall(low)}
    return found


def _marks(text: str, *, names_at_start: bool) -> Iterator[str]:
    """The numbers, codes and names of a text that tell whose they are."""
    plain = _plain(text)
    for match in _TOKEN.finditer(plain):
        token = match.group()
        compact = _compact(token.casefold())
        if any(char.isdigit() for char in token):
            if len(compact) >= _CODE:
                yield compact
        elif (
            token[:1].isupper()
            and len(token) >= _NAME
            and (names_at_start or not _ENDS.search(plain, max(0, match.start() - 8), match.start()))
        ):
            yield token.casefold()


def _compact(token: str) -> str:
    return "".join(char for char in token if char.isalnum())


def _values(prompt: Prompt) -> Iterator[str]:
    """The expected arguments as texts."""
    if prompt.expected == "any":
        return
    for calls in prompt.expected:
        for call in calls:
            for accepted in call.arguments.values():
                yield from texts_in(accepted)


def texts_in(value: Any, *, keys: bool = False) -> Iterator[str]:
    """Every text and number within a JSON value, as a text; with the keys of objects or without."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        yield str(value)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            if keys:
                yield str(key)
            yield from texts_in(inner, keys=keys)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner, keys=keys)
