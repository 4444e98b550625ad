"""Warns of what splits share: an optimiser that saw the search split would meet it again."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Any

from selfopt.records import Prompt, Suite, ToolDefinition, canonical_json

from .base import SPLITS, SuiteWarning, accepted_sets, listed, quoted
from .similar import normalised

# A name in more prompts than this number, or than this share of all, is not distinctive.
MAX_PROMPTS = 4
MAX_SHARE = 0.02
MIN_LENGTH = 4

_QUOTED = re.compile(r'"([^"\n]{4,80})"|“([^”\n]{4,80})”|„([^“”\n]{4,80})[“”]|«([^»\n]{4,80})»')
_TITLED = re.compile(r"[^\W\d_a-z]\w+(?:[ \-][^\W\d_a-z]\w+)+")
_CODE = re.compile(r"(?<![\w.@/-])(?=[\w./@-]*\d)(?=[\w./@-]*[^\W\d_])[\w./@-]{5,}")
_DATE_OR_TIME = re.compile(r"[\d :./T-]+(?:am|pm|st|nd|rd|th)?")


def leaks(suite: Suite) -> Iterator[SuiteWarning]:
    """Warns of tool sets, names of tools and distinctive names that are in two splits."""
    sets: defaultdict[str, set[str]] = defaultdict(set)
    for prompt in suite.prompts:
        sets[prompt.split].add(prompt.tool_set)
    names = _distinctive(suite)
    for i, one in enumerate(SPLITS):
        for other in SPLITS[i + 1 :]:
            if sets[one] and sets[other]:
                yield from _shared_tools(suite, one, other, sets[one], sets[other])
                if one == "search":
                    yield from _shared_names(names, one, other)


def _content(tools: tuple[ToolDefinition, ...]) -> str:
    return canonical_json(sorted(canonical_json(tool.model_dump(mode="json")) for tool in tools))


def _shared_tools(suite: Suite, one: str, other: str, mine: set[str], theirs: set[str]) -> Iterator[SuiteWarning]:
    contents = {name: _content(suite.tool_sets[name]) for name in sorted(mine | theirs)}
    pairs = [(a, b) for a in sorted(mine) for b in sorted(theirs) if contents[a] == contents[b]]
    if pairs:
        shown = listed(quoted(a) if a == b else f"{quoted(a)} (as {quoted(b)})" for a, b in pairs)
        text = f"{one} and {other} offer the same tools: {shown}; give each split tool sets of its own"
        yield SuiteWarning("leak-tool-set", (), text)
    same = {a for a, _ in pairs} | {b for _, b in pairs}
    tools = {t.name for name in mine - same for t in suite.tool_sets[name]}
    again = {t.name for name in theirs - same for t in suite.tool_sets[name]}
    if tools & again:
        shown = listed(quoted(name) for name in sorted(tools & again))
        yield SuiteWarning("leak-tool-name", (), f"{one} and {other} both have tools called {shown}; rename them in one")


def _shared_names(names: dict[str, list[Prompt]], one: str, other: str) -> Iterator[SuiteWarning]:
    first = {name: {p.split: p.id for p in reversed(prompts)} for name, prompts in names.items()}
    both = {name: (ids[one], ids[other]) for name, ids in first.items() if one in ids and other in ids}
    if both:
        shown = listed(f"{quoted(name)} ({here}, {there})" for name, (here, there) in both.items())
        text = f"{one} and {other} share distinctive names: {shown}; use others in one"
        yield SuiteWarning("leak-name", tuple(dict.fromkeys(chain.from_iterable(both.values()))), text)


def _distinctive(suite: Suite) -> dict[str, list[Prompt]]:
    """The distinctive names, which only few prompts have, with these prompts.

    Names are quotes, titles (two capitalised words or more) and codes in user messages, and
    accepted texts that are no choice of the schema.
    """
    found: defaultdict[str, dict[str, Prompt]] = defaultdict(dict)
    for prompt in suite.prompts:
        for name in {*_named_by_user(prompt), *_named_in_answer(suite, prompt)}:
            found[name][prompt.id] = prompt
    most = max(MAX_PROMPTS, MAX_SHARE * len(suite.prompts))
    return {name: list(prompts.values()) for name, prompts in sorted(found.items()) if 1 < len(prompts) <= most}


def _named_by_user(prompt: Prompt) -> Iterator[str]:
    for message in prompt.messages:
        if message.role != "user":
            continue
        text = message.content
        quotes = [next(part for part in found if part) for found in _QUOTED.findall(text)]
        yield from (normalised(name) for name in quotes if " " in name.strip() or _telling(name))
        yield from (normalised(name) for name in (*_titled(text), *_CODE.findall(text)) if _telling(name))


def _titled(text: str) -> Iterator[str]:
    """Find two capitalised words or more.

    Yields them also without the first, which may open a sentence ("Has Nora Lindqvist ...").
    """
    for name in _TITLED.findall(text):
        yield name
        rest = name.partition(" ")[2]
        if " " in rest:
            yield rest


def _named_in_answer(suite: Suite, prompt: Prompt) -> Iterator[str]:
    tools = {tool.name: tool for tool in suite.tools_of(prompt)}
    for calls in accepted_sets(prompt):
        for call in calls:
            properties = tools[call.name].parameters.get("properties")
            for name, accepted in call.arguments.items():
                schema = properties.get(name) if isinstance(properties, dict) else None
                for text in _texts(accepted) if not _is_choice(schema) else ():
                    if _telling(text):
                        yield normalised(text)


def _is_choice(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return False
    items = schema.get("items")
    return "enum" in schema or schema.get("type") == "boolean" or (isinstance(items, dict) and "enum" in items)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item)


def _telling(name: str) -> bool:
    """Whether a name tells something.

    It is long enough, has a capital letter or digits among letters, and is no date or time.
    """
    plain = name.strip()
    if len(plain) < MIN_LENGTH or _DATE_OR_TIME.fullmatch(plain.casefold()) or _MONTH.search(plain.casefold()):
        return False
    return any(c.isupper() for c in plain) or (any(c.isdigit() for c in plain) and any(c.isalpha() for c in plain))


_MONTH = re.compile(
    r"\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day\b|\b(?:am|pm|utc)\b"
)
