"""Reads a reply by the chain that a variant names: readers, then repairs of their calls."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from selfopt.errors import VariantError
from selfopt.records import Message, ParsedReply, ReplyContent, ToolDefinition

from .families import FAMILIES, Family
from .fit import fit_calls
from .readers import READERS
from .readers.base import CALL_LIMIT, NO_CALL_WORDS, Found, GrowingReader, Offered, Reader, ReadsFamilies

LONGEST_WORD = 24  # characters of the longest reply that is checked for a word that means "no call"
# A reply without any of these characters holds no call in any format.
_SIGN = re.compile(r"[{\[<(]")
REPAIRS = ("fit",)


@dataclass(frozen=True, slots=True)
class Chain:
    """How a reply is read.

    Attributes:
        readers: asked in this order until one finds calls. The keys are the names in the chain.
        others: the built-in readers that the chain leaves out. They say whether a reply holds a
            call that the chain can't read.
        fits: whether the calls are fitted to their tools.
        growing: the first reader, if it can read a reply that is still being written. Only the
            first counts, since no other reader can overrule it.
    """

    readers: Mapping[str, Reader]
    others: Mapping[str, Reader]
    fits: bool
    growing: GrowingReader | None


@lru_cache(maxsize=1024)
def chain_of(names: tuple[str, ...]) -> Chain:
    """Build the chain of these names.

    Raises VariantError for an unknown name or another version.
    """
    readers = {name: _reader(name) for name in names if name not in REPAIRS}
    others = {name: _reader(name) for name in READERS.builtin if name not in readers}
    first = next(iter(readers.values()), None)
    return Chain(readers, others, "fit" in names, first if isinstance(first, GrowingReader) else None)


def _reader(name: str) -> Reader:
    plain, _, version = name.partition("@")
    found = READERS.get(plain) or FAMILIES.get(plain)
    if found is None:
        known = ", ".join((*READERS.names(), *FAMILIES.names(), *REPAIRS))
        raise VariantError(f"unknown reader {name!r}; readers, families and repairs are {known}")
    if version not in ("", str(found.version)) or (not version and found.version != 1):
        raise VariantError(f"{name!r} names version {version or 1} of a reader; installed is {plain}@{found.version}")
    if isinstance(found, Family):
        by = READERS.get(found.reader)
        if by is None:
            raise VariantError(
                f"family {name!r} names the reader {found.reader!r}, which is none of {', '.join(READERS.names())}"
            )
        return by.of(found) if isinstance(by, ReadsFamilies) else by
    return found


def ask(readers: Mapping[str, Reader], content: ReplyContent, tools: Sequence[ToolDefinition]) -> tuple[str, Found]:
    """Ask the readers in order until one finds calls.

    Returns:
        The name of that reader and what it found. If no reader finds calls: the name of the last
        reader that sees a call it can't read ("" for none), and what all readers say together.

    Raises:
        VariantError: a reader failed. No built-in reader does.
    """
    none_said, by, unread = False, "", ""
    for name, reader in readers.items():
        try:
            found = reader.read(content, tools)
        except Exception as error:  # code of an installed package
            raise VariantError(
                f"reader {name!r} failed with {type(error).__name__}; update its package, or name another"
            ) from error
        if found.calls:
            return name, found
        none_said = none_said or found.says_none
        if found.unread:
            by, unread = name, found.unread
    return by, Found(says_none=none_said, unread=unread)


def read_calls(
    parsers: Sequence[str], content: ReplyContent, tools: Sequence[ToolDefinition], messages: Sequence[Message] = ()
) -> ParsedReply:
    """Read a reply by a chain.

    If no reader of the chain finds a call, the built-in readers outside the chain are asked, and
    `unread` names the one that sees a call. An explicit "none" means no call in every format.

    Args:
        parsers: the names in the chain. `fit` fits the calls to the tools and the messages.
        content: the reply.
        tools: the tools that were offered.
        messages: the conversation, for `fit`.

    Raises:
        VariantError: the chain is unknown, or a reader of an installed package failed.
    """
    chain = chain_of(tuple(parsers))
    name, found = ask(chain.readers, content, tools)
    if found.calls:
        calls = tuple(found.calls[:CALL_LIMIT])
        fitted = tuple(fit_calls(calls, messages, tools)) if chain.fits else calls
        return ParsedReply(tool_calls=fitted, parser=name, recognised=_words(found) + (", fitted" if fitted != calls else ""))
    if found.unread:
        return ParsedReply(recognised=found.unread, unread=name)
    if found.says_none or says_none(content.text, tools):
        return _without_call("explicit none")
    if content.tool_calls or _SIGN.search(content.text):
        name, found = ask(chain.others, content, tools)
        if found.calls:
            return ParsedReply(recognised=f"unread: {_words(found)}", unread=name)
    return _without_call("text" if content.text.strip() else "empty reply")


def _words(found: Found) -> str:
    count = min(len(found.calls), CALL_LIMIT)
    of = f" (of {len(found.calls)})" if len(found.calls) > count else ""
    return f"{count} call{'' if count == 1 else 's'}{of} as {found.form}"


@cache
def _without_call(recognised: str) -> ParsedReply:
    """The same object for every reply without a call: most of them need no more."""
    return ParsedReply(recognised=recognised)


def says_none(reply: str, tools: Sequence[ToolDefinition]) -> bool:
    """Whether the whole reply is a word that means "no call"."""
    text = reply.strip() if len(reply) <= 4 * LONGEST_WORD else ""
    word = text.strip("`\"'.[]() \n")
    return len(text) <= LONGEST_WORD and word.lower() in NO_CALL_WORDS and Offered.of(tools).is_no_call(word)
