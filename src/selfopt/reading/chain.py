"""Reads a reply by the chain that a variant names: readers, then repairs of their calls.

A chain is named and versioned: `all@1` and `all@2` stand for all readers of that time. Variants and
evidence keep the version that they name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

from selfopt.errors import VariantError
from selfopt.records import Message, ParsedReply, ReplyContent, ToolDefinition

from .families import FAMILIES, Family
from .readers import READERS
from .readers.base import CALL_LIMIT, NO_CALL_WORDS, Found, GrowingReader, Offered, Reader, ReadsFamilies
from .readers.numbers import with_plain_texts
from .repairs import DROPPING, REPAIRS, Repair, is_repair
from .signs import sign_of_call
from .surety import Surety, surety_of
from .thinking import split_thinking

LONGEST_WORD = 24  # characters of the longest reply that is checked for a word that means "no call"
# A reply without any of these characters holds no call in any format of `all@1`.
_SIGN = re.compile(r"[{\[<(]")
EXCERPT = 160  # characters of an unread call that are kept
_BEFORE_CALL = 40

CHAINS: Mapping[str, tuple[str, ...]] = {
    "all@1": ("native", "xml", "json", "bracket", "python_call"),
    "all@2": ("native@2", "marked", "unmarked"),
}
"""The named chains. A name without a version means the first one."""
LATEST = "all@2"
NATIVE = "native@2"
# The newest reply and what was read in it. It is replaced whole, as replies are read in several threads.
_ASKED: list[tuple[ReplyContent, Sequence[ToolDefinition], Mapping[str, Reader], tuple[str, Found]]] = []
_NOTHING = ParsedReply()
_NOW = CHAINS[LATEST]
_BEFORE = CHAINS["all@1"]


@dataclass(frozen=True, slots=True)
class Chain:
    """How a reply is read.

    Attributes:
        readers: asked in this order until one finds calls. The keys are the names in the chain.
        others: readers outside the chain. They say whether a reply holds a call that the chain
            can't read.
        repairs: applied in this order to the calls that were read. A threshold drops them all, or
            none.
        splits: whether thinking is split from the text before it is read.
        drops: whether a repair may drop a call, so that only a whole reply tells its calls.
        growing: the first reader, if it can read a reply that is still being written. Only the
            first counts, since no other reader can overrule it.
    """

    readers: Mapping[str, Reader]
    others: Mapping[str, Reader]
    repairs: Mapping[str, Repair | Surety]
    splits: bool
    drops: bool
    growing: GrowingReader | None

    @property
    def needs_logprobs(self) -> bool:
        """Whether the chain reads the log probabilities of a reply. Without them it makes no call."""
        return any(isinstance(repair, Surety) for repair in self.repairs.values())


@lru_cache(maxsize=1024)
def chain_of(names: tuple[str, ...], family: str = "") -> Chain:
    """Build the chain of these names.

    Args:
        names: readers, families, chains and repairs.
        family: the family that the model's chat template shows; any other word if it is not
            known. Its marks are looked for first in a text, if the chain reads all families.

    Raises:
        VariantError: a name is unknown, or names another version; or nothing is there that reads.
    """
    spelled = [part for name in names for part in _spelled(name)]
    readers = {name: _reader(name) for name in spelled if not is_repair(name)}
    if LATEST in names and (row := FAMILIES.get(family) if family in FAMILIES.builtin else None) is not None:
        native = {name: reader for name, reader in readers.items() if name == NATIVE}
        readers = {**native, row.name: _reader_of(row), **readers}
    repairs = {name: surety_of(name) or REPAIRS[name] for name in spelled if is_repair(name)}
    if repairs and not readers:
        raise VariantError(f"{', '.join(map(repr, repairs))} repairs calls and reads none; write {LATEST} before it")
    splits = any(name in _NOW for name in readers)
    others = {} if splits else {name: _reader(name) for name in (*_BEFORE, *_NOW) if name not in readers}
    growing = next(iter(readers.values()), None)
    drops = any(name in DROPPING or isinstance(repair, Surety) for name, repair in repairs.items())
    return Chain(readers, others, repairs, splits, drops, growing if isinstance(growing, GrowingReader) else None)


def _spelled(name: str) -> tuple[str, ...]:
    plain, at, _ = name.partition("@")
    return CHAINS.get(name if at else f"{plain}@1", (name,))


def _reader(name: str) -> Reader:
    plain, _, version = name.partition("@")
    found = READERS.get(name) or READERS.get(plain) or FAMILIES.get(plain)
    if found is None or version not in ("", str(found.version)) or (not version and found.version != 1):
        raise VariantError(_unknown(name, plain, found))
    return _reader_of(found) if isinstance(found, Family) else found


def _unknown(name: str, plain: str, installed: Reader | Family | None) -> str:
    """What to say about a name, or a version, that nothing has. installed: what has the name."""
    import difflib  # only where something is wrong

    others = (*CHAINS, *READERS.names(), *REPAIRS)
    near = [one for one in others if one.partition("@")[0] == plain]
    if installed is not None and not near:
        near = [plain if installed.version == 1 else f"{plain}@{installed.version}"]
    near = near or difflib.get_close_matches(name, (*others, *FAMILIES.names()), n=3)
    hint = f"; did you mean {' or '.join(near)}" if near else ""
    return (
        f"unknown reader {name!r}{hint}; chains are {', '.join(CHAINS)}; "
        f"readers are {', '.join(READERS.names())}; repairs are {', '.join(REPAIRS)} and sure-N; docs/FORMATS.md lists the families"
    )


def _reader_of(family: Family) -> Reader:
    by = READERS.get(family.reader)
    if by is None:
        raise VariantError(
            f"family {family.name!r} names the reader {family.reader!r}, which is none of {', '.join(READERS.names())}"
        )
    return by.of(family) if isinstance(by, ReadsFamilies) else by


def ask(readers: Mapping[str, Reader], content: ReplyContent, tools: Sequence[ToolDefinition]) -> tuple[str, Found]:
    """Ask the readers in order until one finds calls.

    The newest answer is remembered: a variant that corrects a reply and keeps it asks twice.

    Returns:
        The name of that reader and what it found. If no reader finds calls: the name of the last
        reader that sees a call it can't read ("" for none), and what all readers say together.

    Raises:
        VariantError: a reader failed. No built-in reader does.
    """
    for of, offered, by, answer in _ASKED:
        if of is content and offered is tools and by == readers:
            return answer
    answer = _ask(readers, content, tools)
    _ASKED[:] = [(content, tools, readers, answer)]
    return answer


def _ask(readers: Mapping[str, Reader], content: ReplyContent, tools: Sequence[ToolDefinition]) -> tuple[str, Found]:
    none_said, by, unread = False, "", ""
    for name, reader in readers.items():
        try:
            found = reader.read(content, tools)
        except Exception as error:  # code of an installed package
            raise VariantError(
                f"reader {name!r} failed with {type(error).__name__}; update its package, or name another"
            ) from error
        if found.calls:
            return found.family or name, with_plain_texts(found, tools)
        none_said = none_said or found.says_none
        if found.unread:
            by, unread = found.family or name, found.unread
    return by, Found(says_none=none_said, unread=unread)


def read_calls(
    parsers: Sequence[str],
    content: ReplyContent,
    tools: Sequence[ToolDefinition],
    messages: Sequence[Message] = (),
    family: str = "",
) -> ParsedReply:
    """Read a reply by a chain.

    If no reader of the chain finds a call, `unread` names the family of the call that a reader
    outside the chain finds, or whose marks the text has. An explicit "none" means no call in every
    format. A call that the token limit cut off is not unread.

    Args:
        parsers: the names in the chain.
        content: the reply.
        tools: the tools that were offered.
        messages: the conversation, for repairs.
        family: see `chain_of`.

    Raises:
        VariantError: the chain is unknown, or a reader of an installed package failed.
    """
    chain = chain_of(tuple(parsers), family)
    content = _split(content) if chain.splits else content
    name, found = ask(chain.readers, content, tools)
    if found.supplied and content.finish_reason == "length":
        # The token limit cut the last call off, so that an argument may be missing.
        found = found.without_last()
    if found.calls:
        return _repaired(chain, name, found, content, (messages, tools))
    if found.unread and not (chain.splits and content.finish_reason == "length"):
        reads = LATEST if chain.others and ask(chain_of((LATEST,)).readers, content, tools)[1].calls else None
        return _unread_as(name, found.unread, _excerpt(content), reads)
    if found.says_none or says_none(content.text, tools):
        return _without_call("explicit none")
    return _unread(chain, content, tools) or _without_call("text" if content.text.strip() else "empty reply")


def _repaired(
    chain: Chain, name: str, found: Found, content: ReplyContent, asked: tuple[Sequence[Message], Sequence[ToolDefinition]]
) -> ParsedReply:
    read = tuple(found.calls[:CALL_LIMIT])
    calls, corrections = read, found.corrections

    def so_far() -> ParsedReply:
        words = _words(found) + (", fitted" if calls != read else "")
        if not calls:
            return ParsedReply(recognised=f"text, after {words}", corrections=corrections)
        # Its parts are sound already.
        return _NOTHING.model_copy(update={"tool_calls": calls, "parser": name, "recognised": words, "corrections": corrections})

    for repair in chain.repairs.values():
        if isinstance(repair, Surety):
            if repair.doubt(content) is not None:
                return doubted(so_far(), content, repair)
            continue
        repaired, more = repair(calls, *asked)
        calls, corrections = tuple(repaired), (*corrections, *(made for made in more if made not in found.corrections))
    return so_far()


def doubted(parsed: ParsedReply, content: ReplyContent, surety: Surety) -> ParsedReply:
    """What a chain reads in a reply that ends with this threshold, given what it reads without it."""
    made = surety.doubts(parsed.tool_calls, content)
    if not made:
        return parsed
    return ParsedReply(recognised=f"text, after {parsed.recognised}", corrections=(*parsed.corrections, *made))


def without_threshold(names: Sequence[str]) -> tuple[tuple[str, ...], Surety | None]:
    """The names of a chain without the threshold that ends it, and that threshold; None if none does."""
    surety = surety_of(names[-1]) if names else None
    return (tuple(names), None) if surety is None else (tuple(names[:-1]), surety)


def needs_logprobs(names: Sequence[str]) -> bool:
    """Whether a chain of these names makes no call without log probabilities. VariantError as `chain_of`."""
    return chain_of(tuple(names)).needs_logprobs


def _split(content: ReplyContent) -> ReplyContent:
    """The content without thinking in its text: stored replies may have marks that were not known."""
    text, thinking = split_thinking(content.text)
    if text == content.text:
        return content
    return content.model_copy(update={"text": text, "thinking": "\n".join(filter(None, (content.thinking, thinking)))})


def _unread(chain: Chain, content: ReplyContent, tools: Sequence[ToolDefinition]) -> ParsedReply | None:
    """What a reply seems to hold that the chain didn't read; None if it seems to hold no call."""
    if chain.others and (content.tool_calls or content.broken_tool_calls or _SIGN.search(content.text)):
        name, found = ask(chain.others, content, tools)
        if found.supplied and content.finish_reason == "length":
            found = found.without_last()
        if found.calls:
            at = found.spans[0][0] if found.spans else 0
            known, now = ask(chain_of((LATEST,)).readers, content, tools)
            reads = LATEST if name not in _BEFORE or now.calls else "all@1"
            name = known if now.calls and _has_marks(known) else name
            return _unread_as(name, f"unread: {_words(found)}", _excerpt(content, at), reads)
    seen = sign_of_call(content.text, tools)
    if seen and content.finish_reason != "length":
        return _unread_as(seen, f"unread: a call as {seen}", _excerpt(content))
    if content.thinking and _holds_call(content.thinking, tools):
        return ParsedReply(recognised="text" if content.text.strip() else "empty reply", call_in_thinking=True)
    return None


def _has_marks(name: str) -> bool:
    """Whether a family is known by its marks, so that its name says more than the name of a reader."""
    family = FAMILIES.get(name) if name in FAMILIES.builtin else None
    return family is not None and family.reader == "marked"


def _unread_as(name: str, recognised: str, excerpt: str, read_by: str | None = None) -> ParsedReply:
    return ParsedReply(recognised=recognised, unread=name.partition("@")[0], excerpt=excerpt, read_by=read_by)


def _excerpt(content: ReplyContent, at: int = 0) -> str:
    """The beginning of the call at this place, with the marks before it."""
    whole = content.text if content.text.strip() else "\n".join(content.broken_tool_calls)
    if not at:
        sign = _SIGN.search(whole)
        at = sign.start() if sign is not None else 0
    return whole[max(0, at - _BEFORE_CALL) :].strip()[:EXCERPT]


def _holds_call(text: str, tools: Sequence[ToolDefinition]) -> bool:
    answer, _ = split_thinking(text)
    content = ReplyContent.model_construct(text=answer, thinking="", tool_calls=(), broken_tool_calls=(), finish_reason="unknown")
    return bool(ask(chain_of((LATEST,)).readers, content, tools)[1].calls)


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
