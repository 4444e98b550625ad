"""A reply through the chain that a variant names: readers, then what mends the calls that they found."""

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

LONGEST_WORD = 24  # no word that says "no call" is longer
# Every format in which a call can be written in text needs one of these.
_SIGN = re.compile(r"[{\[<(]")
REPAIRS = ("fit",)


@dataclass(frozen=True, slots=True)
class Chain:
    """How a reply is read.

    readers: asked in order; the first that finds calls wins. Each under the name that the chain gives it.
    others: ours that the chain does not have, which are asked whether a reply is unread.
    fits: whether the calls are then fitted to their tools.
    growing: the reader of whose calls some are certain before a reply ends: the first, since no other can overrule it, where it
        reads calls one by one. None where that is another kind of reader.
    """

    readers: Mapping[str, Reader]
    others: Mapping[str, Reader]
    fits: bool
    growing: GrowingReader | None


@lru_cache(maxsize=1024)
def chain_of(names: tuple[str, ...]) -> Chain:
    """The chain of these names. VariantError for one that nobody here reads by, or not in this version."""
    readers = {name: _reader(name) for name in names if name not in REPAIRS}
    others = {name: _reader(name) for name in READERS.builtin if name not in readers}
    first = next(iter(readers.values()), None)
    return Chain(readers, others, "fit" in names, first if isinstance(first, GrowingReader) else None)


def _reader(name: str) -> Reader:
    plain, _, version = name.partition("@")
    found = READERS.get(plain) or FAMILIES.get(plain)
    if found is None:
        known = ", ".join((*READERS.names(), *FAMILIES.names(), *REPAIRS))
        raise VariantError(f"nothing reads by the name {name!r}; readers, families and repairs are {known}")
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
    """The first reader that finds calls, with what it found. Where none does: what they say together, and who sees a call that it
    cannot read. VariantError when a reader fails, which none of ours does."""
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
    """What a chain makes of a reply. With `fit` in the chain the calls are fitted to the tools and to what the messages ask for.

    Where no reader finds a call, ours that are outside the chain are asked, and `unread` names the one that sees a
    call. An explicit "none" is no call in every format. VariantError for an unknown chain, or when an installed reader fails.
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
    """Most replies that hold no call get one of these."""
    return ParsedReply(recognised=recognised)


def says_none(reply: str, tools: Sequence[ToolDefinition]) -> bool:
    """Whether a reply is nothing but a word for "no call"."""
    text = reply.strip() if len(reply) <= 4 * LONGEST_WORD else ""
    word = text.strip("`\"'.[]() \n")
    return len(text) <= LONGEST_WORD and word.lower() in NO_CALL_WORDS and Offered.of(tools).is_no_call(word)
