"""Tells calls from those that the words beside them refuse, call an example, or keep in a file."""

from __future__ import annotations

import re
from collections.abc import Sequence

_BESIDE = 200  # characters that are looked at on either side of a call
# What may stand between the words and the call: a code fence, a number, a mark; bullets, quotes and bold type.
_BETWEEN = re.compile(r"(?:(?:```+|~~~+)[^\s`]{0,32}|(?:\A|\n)[ \t]*\d{1,3}[.)]|</?[\w:|｜]{1,48}>|\[/?[A-Z_]{2,20}\])\Z")
_BLANKS = ' \t\r\n`*_"“„«(-•'
# The words of a sentence, though a family has such a mark.
_CALL = re.compile(r"(?:function[ _])?call:(?:\s++|(?=[{\[<]))")
_BEHIND = re.compile(r"[\s}\])`~*_.\"”]*(?:</[\w:|｜]{1,48}>[\s`~]*)*")
_WORD = re.compile(r"\w")

_ACTION = r"(?:call|use|run|invoke|execute|send|make|issue|write|do|calling|using|running|invoking|executing|sending|making|issuing|writing)"
# Words after which the sentence still waits for the call itself.
_WAITS = (
    r"(?:[ \t]+`?(?:the|this|that|these|those|an?|any|it|its|following|above|such|tools?|functions?|api|calls?|requests?|commands?"
    r"|json|code|python|object|snippet|with|via|as|like|follows|by|\w{1,64}_\w{1,64})`?){0,8}"
)
_END = r"[\s:：,`]*\Z"
# Words about what others would do. By "I" a model announces its own call, and small ones also do so by "you can".
_OTHERS = r"(?:(?!\b(?:i|we|let|me|you can)\b)[^.!?\n]){0,120}?"
_STILL = (
    r"(?:[ \t]+(?:going|want|need|wish|have|be|to|able|actually|yet|now|ever|allowed|permitted|supposed|even|really|directly"
    r"|currently|possibly|here|ready|willing|meant)){0,6}"
)
_NOT = (
    r"(?:(?<!why )\b(?:not|never|cannot|[a-z]{2,7}n['’]t)\b|\b(?:refuse|decline|unable|no (?:need|reason|point)) to\b"
    r"|\b(?:instead of|rather than|against)\b)"
)
_REFUSED = re.compile(rf"{_NOT}{_STILL}[ \t]+{_ACTION}{_WAITS}{_END}|\bno (?:need|reason) for{_END}", re.I)

_FOREIGN = (
    "zum beispiel|z\\. ?b\\.|beispiel|par exemple|exemple|por ejemplo|ejemplo|por exemplo|exemplo|per esempio|ad esempio|esempio"
    "|bijvoorbeeld|voorbeeld|na przykład|przykład|например|пример|örneğin|misalnya|例如|比如|示例|例えば|例|예를 들어|예시"
)
_KINDS = r"(?:examples?|samples?|illustrations?|fixtures?)"
_EXAMPLE = re.compile(
    rf"\bfor (?:example|instance)\b{_OTHERS}{_END}|\be\.g\.?{_END}|\bsuch as{_END}|(?:{_FOREIGN}){_END}"
    rf"|(?:\A|[.!?][ \t]+)\W{{0,8}}(?:(?:here|this|that)(?:['’]s| is| are)[ \t]+)?(?:(?:an?|another|one|some)[ \t]+)?"
    rf"(?:\w{{1,20}}[ \t]+){{0,2}}{_KINDS}\b{_OTHERS}[:：]{_END}"
    rf"|\A#{{1,6}}[ \t]+(?:\w{{1,20}}[ \t]+){{0,2}}{_KINDS}\b[^.!?\n]{{0,60}}\Z",
    re.I,
)
_TAUGHT = re.compile(
    rf"(?:\A|[.!?,:][ \t]+)\W{{0,4}}(?:(?:here|this|that)(?:['’]s| is)[ \t]+)?how[ \t]+(?:to|you(?! can)|one|they|someone|users?|people)\b"
    rf"(?:[ \t]+\w{{1,12}}){{0,2}}?[ \t]+{_ACTION}s?{_WAITS}{_OTHERS}{_END}"
    rf"|\byou[ \t]+(?:would|could|might|may)(?:[ \t]+(?:also|then|now|just|simply|either|first|try|want|need|to)){{0,4}}"
    rf"[ \t]+{_ACTION}{_WAITS}{_END}"
    rf"|(?:\A|[.!?,:][ \t]+)(?:please[ \t]+)?try[ \t]+{_ACTION}{_WAITS}{_END}"
    rf"|\b(?:an?|any|every|each)[ \t]+(?:\w{{1,20}}[ \t]+){{0,2}}(?:call|request)[ \t]+(?:\w{{1,8}}[ \t]+)?looks?[ \t]+like{_WAITS}{_END}"
    rf"|\A\W{{0,8}}(?:usage|syntax){_END}"
    rf"|\bwould have[ \t]+(?:called|used|run|invoked|executed|sent|made|written){_WAITS}{_END}",
    re.I,
)

# What is done under a condition that is not met yet.
_THEN = re.compile(
    rf"(?:\b(?P<would>would|could|might)|\b(?:can|will)|['’](?:ll|d))(?:[ \t]+have)?[ \t]+{_ACTION}{_WAITS}{_END}", re.I
)
_IF = re.compile(r"\b(?:if|(?P<once>once|after|as soon as) you)\b", re.I)
_SENTENCE_END = re.compile(r"[.!?]")

_FILE = r"[`'\"]?((?:[\w.\-]{1,64}/){0,8}[\w\-]{1,64}\.(?:json[5cl]?|ndjson|ya?ml|py|js|ts|xml))\b"
_KEPT = (
    r"\W{0,4}(?:(?:then|now|please|next|finally|and|just|you can|you could|you may)[ ,]+){0,3}(?:save|store|put|paste|copy|write|add|place)"
    rf"[ \t]+(?:this|it|that|these|them|the (?:above|following|json|code|file|content|snippet))\b[^.!?\n]{{0,60}}?{_FILE}"
)
_KEPT_BEFORE = re.compile(
    rf"(?:\A|[.!?][ \t]+)(?:{_KEPT}|\W{{0,4}}(?:here(?:['’]s| is)[ \t]+)?(?:the |your )?(?:file )?{_FILE})[`*]{{0,4}}:\s*\Z", re.I
)
_KEPT_BEHIND = re.compile(
    rf"{_KEPT}"
    rf"|\W{{0,4}}(?:this|that|it|these|the above)[ \t]+(?:is|was|are)(?:[ \t]+(?:just|only|merely|simply))?(?:[ \t]+an?)?(?:[ \t]+\w{{1,12}})?[ \t]+{_KINDS}\b"
    r"|\W{0,4}(?:but )?I (?:will not|won['’]t|am not going to) (?:call|use|run|invoke|execute|send) (?:this|it|that)\b",
    re.I,
)


def rehearsed(text: str, spans: Sequence[tuple[int, int]], *, marked: bool = False) -> set[int]:
    """Which of these calls are not meant as calls, by the words directly before or behind them.

    A call without words between it and such a one is none, either. Words by which a model announces its own call
    count for nothing, and neither do those of a sentence that ends before the call.

    Args:
        text: the reply.
        spans: where the calls are, in order.
        marked: whether a family's marks stand around them. These are written for a program, so only a
            refusal, or the word example, says otherwise.
    """
    found: set[int] = set()
    since = 0
    for index, (start, end) in enumerate(spans):
        beside = index - 1 in found and not _WORD.search(text[since:start][:_BESIDE])
        if beside or is_rehearsed(text, start, end, since=since, marked=marked):
            found.add(index)
        since = end
    return found


def is_rehearsed(text: str, start: int, end: int, *, since: int = 0, marked: bool = False) -> bool:
    """Whether the words beside a part of a text refuse it, call it an example, or keep it in a file.

    Words before `since` are those of something else. See `rehearsed`.
    """
    worded = _CALL.match(text, start)
    start = start if worded is None else worded.end()
    before = _line_before(text[max(since, start - _BESIDE) : start])
    if _REFUSED.search(before) or _EXAMPLE.search(before):
        return True
    if marked and (worded is None or text.startswith("<", start)):
        return False
    if _TAUGHT.search(before) or _is_supposed(before):
        return True
    behind = text[end : end + _BESIDE]
    behind = behind[_BEHIND.match(behind).end() :]  # type: ignore[union-attr]  # it matches nothing, too
    kept = _KEPT_BEFORE.search(before) or _KEPT_BEHIND.match(behind.partition("\n")[0])
    # A tool may write the file that is named.
    return kept is not None and not any(file and file in text[start:end] for file in kept.groups())


def _line_before(text: str) -> str:
    """The line of words at the end of a text; "" if it ends with none."""
    text = text.rstrip(_BLANKS)
    for _ in range(2 if text else 0):  # a mark in a code fence
        text = _BETWEEN.sub("", text).rstrip(_BLANKS)
    return text.rpartition("\n")[2]


def _is_supposed(before: str) -> bool:
    """Whether a sentence says what would be called if something else were so, or once the user has said more."""
    then = _THEN.search(before)
    if then is None:
        return False
    condition = _IF.search(_SENTENCE_END.split(before[: then.start()])[-1])
    return condition is not None and bool(then["would"] or condition["once"])
