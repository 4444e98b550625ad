"""Holds back the text of a reply only while it can still become a call."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from selfopt.records import ReplyContent, ToolDefinition

from .chain import LATEST, ask, chain_of
from .readers.marked import READER
from .readers.marks import Mark
from .readers.names import Names
from .readers.programs import TARGET
from .readers.unmarked import MAY_CALL
from .signs import sign_of_call
from .thinking_marks import TOKEN, growing_from
from .within import NO_CALLS, CallsWithin, calls_within, may_hold_calls

DOUBT_CHARS = 256
"""So many characters are held where something may begin a call and no tool is named yet."""
CALL_CHARS = 65_536
"""So many characters are held once what was written is the beginning of a call."""
TEXT_CHARS = 262_144
"""Calls are looked for in so many characters of a reply."""

_CONTEXT = 512  # characters before the held text that say how its beginning is to be understood
_CHECKED = 4096  # the longest held text that is read before the reply ends
_LOOKS = 32  # places of one piece that are looked at
_LONG_PIECE = 1024
_FIRST_CHECK = 48  # characters behind the name of a tool until the text is read for the first time
_NEXT_CHECK = 48
_LAST = 64  # characters at the end of a text without a call in which another may begin
_SIGN = re.compile(r"[<>{\[\]&✿`~\n\r]")
_OPENER = re.compile(
    r"[<{\[✿]|&(?=(?:l(?:t;?)?)?\Z|lt;)|\](?=<|\Z)|```|~~~|`{1,2}\Z|~{1,2}\Z|>>>|>{1,2}\Z"
    r"|^(?P<decor>[ \t]{0,16}(?:[-*•][ \t]{1,4}|\d{1,3}[.)][ \t]{1,4})?\|?[ \t]{0,4}(?:(?!```)[*#_`\"'(]){0,6}[ \t]{0,4})(?P<word>/?[^\W\d][\w.\-/:]*|/|\Z|(?:[-*•]|\d{1,3}[.)]?)\Z)",
    re.M,
)
_BRACE = re.compile(r"\{\s{0,64}+(?:[\"'“‘「`{\\\w/#$]|\Z)")
_BRACKET = re.compile(r"\[\s{0,64}+(?:[{\[\"']|\Z|(?P<word>/?[^\W\d][\w.\-/:]*+)(?P<after>.?))", re.S)
_CLOSED = re.compile(r"\{[^{}\[\]\"']{0,256}\}|\[[^\[\]{}\"']{0,256}\]")
_TAG = re.compile(r"</?[\w:.\-|｜]*+(?P<rest>[^<>]{0,256}+)(?P<end>[<>]?)")
_TAG_OF_CALL = re.compile(
    r"call|tool|func|invoke|action|plugin|code|param|mcp|arg|name|recipient|channel|message|think|reason|start", re.I
)
_FENCE = re.compile(r"(?:```+|~~~+)[ \t]*+([^\s`]{0,32}+)")
_AFTER_NAME = re.compile(r"[`\"'*_)]{0,4}[ \t]{0,4}(?:\Z|[({:\[<=|;#\"'：]|\r?\n[ \t]*(?:\Z|[`{<\[]|A\w*|B\w*))")
_CALLED = re.compile(r"(?P<name>[^\W\d][\w.\-/]*+)[ \t]{0,4}")
_USES, _USED = ("use", "using", "calling"), ("tool", "function", "api")
_LABELS = ("action", "tool", "function", "api", "call", "commentary", "assistantcommentary", "functools")
_LABEL_CHARS = 32
_CLOSING = re.compile(r"[<\[◁]")
_HEADS = ("bare", "channel", "header", "named", "role")
_THINKING = re.compile(r"analysis|thought|thinking|reasoning")


class HeldText:
    """The text of one reply as it comes.

    What can't become a call any more may be passed on. A text beyond the limits may, too, and is
    still read when the reply ends.

    Attributes:
        passed: how many characters may be passed on.
        calling: whether what is held is the beginning of a call, as far as can be told.
    """

    def __init__(self, tools: Sequence[ToolDefinition], family: str = "") -> None:
        self._tools, self._family = tools, family
        self._names = Names.of(tools)
        self._parts: list[str] = []
        self._size = 0
        self._window, self._begin = "", 0  # the end of the text, and where it begins
        self._more: list[str] = []  # what came behind it
        self._quiet = 0  # the size from which it is worth looking again
        self._fresh = True  # whether a line, or nothing but the beginning of a line, comes next
        self._check = 0  # the size at which the held text is read
        self._denied = 0  # nothing before this place begins a call
        self._thinking = self._fenced = self._over = False
        self.passed = 0
        self.calling = False

    @property
    def held(self) -> int:
        """How many characters are held."""
        return self._size - self.passed

    def feed(self, piece: str) -> None:
        """Take the next piece of the text."""
        flows = self.passed == self._size
        if self._size <= TEXT_CHARS:
            self._parts.append(piece)
        self._size += len(piece)
        if self._over or (flows and not self._fresh and not self._thinking and not _SIGN.search(piece)):
            self.passed = self._size
            self._window = "" if self._over else (self._window + piece)[-_CONTEXT:]
            self._begin = self._size - len(self._window)
            return
        self._more.append(piece)
        if len(piece) > _LONG_PIECE:
            self._take_whole()
        elif flows or self._size >= self._quiet:
            self._settle()
        if self._size - self.passed > CALL_CHARS or self._size > TEXT_CHARS:
            self.let_go()
            self._over = True

    def let_go(self) -> None:
        """Pass on what is held: it took too long. The rest of a call that has begun is not held, either."""
        self._over = self._over or self.calling
        self._fold()
        self._pass(len(self._window))

    def read(self, *, cut: bool = False) -> CallsWithin:
        """The calls in the whole text. cut: whether the token limit cut it off."""
        text = "".join(self._parts)
        return calls_within(text, self._tools, self._family, cut=cut) if text else NO_CALLS

    @property
    def size(self) -> int:
        """How many characters have come."""
        return self._size

    def _take_whole(self) -> None:
        """Look no further at what is held: it stays so if it may hold a call at all."""
        self._fold()
        self.calling = may_hold_calls(self._window[self.passed - self._begin :], self._tools)
        if self.calling:
            self._quiet = TEXT_CHARS + 1
        else:
            self._pass(len(self._window))

    def _fold(self) -> None:
        self._window += "".join(self._more)
        self._more, self._quiet = [], 0

    def _pass(self, at: int) -> None:
        """Pass on the text up to a place of the window."""
        self.passed = self._begin + at
        if at == len(self._window):
            self.calling, self._check = False, 0
            self._fresh = self._window.rstrip(" \t")[-1:] in ("", "\n", "\r")
        keep = max(0, at - _CONTEXT)
        self._window, self._begin = self._window[keep:], self._begin + keep

    def _settle(self) -> None:
        """Find what can't be a call from where the held text begins."""
        self._fold()
        text, at = self._window, self.passed - self._begin
        blank = not self.passed and len(text) <= DOUBT_CHARS
        looks = 0
        while at < len(text):
            looks += 1
            if looks > _LOOKS:
                self._pass(at)
                self._take_whole()
                return
            if self._thinking:
                past = self._past_thinking(text, at)
            else:
                found = _OPENER.search(text, at)
                at = len(text) if found is None else found.start()
                past = -1 if found is None else self._past(text, found)
            if past <= at:
                break
            at = past
        # Blanks before a call are no answer.
        self._pass(0 if blank and not text[:at].strip() else at)

    def _past(self, text: str, found: re.Match[str]) -> int:
        """Where to go on behind what can't begin a call; -1 if it may."""
        at = found.start()
        token = TOKEN.match(text, at) if text.startswith(("<", "[", "◁"), at) else None
        if token is not None:
            self._thinking = _opens(token) and not text[:at].rpartition("\n")[2].strip()
            addressed = token.lastgroup in _HEADS and not self._thinking
            return -1 if addressed and self._may_call(text, at, special=True) else token.end()
        mark = READER.marks.opening.match(text, at)
        special = mark is not None and _is_special(READER.marks.mark(mark))
        if (special or self._may_begin(text, found)) and self._may_call(text, at, special=special):
            return -1
        if text.startswith(("```", "~~~"), at):
            self._fenced = not self._fenced
        return max(found.end(), at + 1)

    def _may_begin(self, text: str, found: re.Match[str]) -> bool:
        """Whether what stands here has the form of something that begins a call, whole or cut off."""
        at, sign = found.start(), text[found.start() : found.start() + 1]
        if found.group("word") is not None:
            return self._line_may_begin(text, found)
        if sign == "{":
            return _BRACE.match(text, at) is not None and not self._is_closed(text, at)
        if sign == "[":
            inner = _BRACKET.match(text, at)
            if inner is None or self._is_closed(text, at):
                return False
            word = inner.group("word")
            return word is None or not inner.group("after") or word.isupper() or "unused" in word or self._is_named(word)
        if sign == "<":
            tag = _TAG.match(text, at)
            if tag is None or text[at + 1 : at + 2] in (" ", "=", "\n") or text[at + 1 : at + 2].isdigit():
                return False
            end = tag.group("end")
            return not end or _TAG_OF_CALL.search(tag.group()) is not None or self._names.may_stand_in(tag.group())
        if sign in ("`", "~"):
            fence = _FENCE.match(text, at)
            return not self._fenced and (fence is None or fence.end() == len(text) or fence.group(1).lower() in MAY_CALL)
        return True

    def _is_closed(self, text: str, at: int) -> bool:
        """Whether brackets are closed around something that is no call, such as the text of a link."""
        closed = _CLOSED.match(text, at)
        if closed is not None and text.startswith("](", closed.end() - 1):
            return True
        return closed is not None and not closed.group()[1:-1].strip().isupper() and not self._names.may_stand_in(closed.group())

    def _is_named(self, word: str) -> bool:
        return self._names.match(word.rstrip(":")) is not None

    def _line_may_begin(self, text: str, found: re.Match[str]) -> bool:
        """Whether a line may begin with a call: with a name, a label, or an assignment."""
        word, end = found.group("word"), found.end()
        if end == len(text):
            return True
        after = text[end:]
        if text.startswith("to=", found.start("word")):
            return True
        if self._is_named(word.lstrip("/")):
            return word.startswith("/") or _AFTER_NAME.match(text, end) is not None or text[end - 1] == ":"
        if word.lower() in _USES:
            used = after[:_LABEL_CHARS].strip(" \t").lower()
            return any(one.startswith(used) or used.startswith(one) for one in _USED)
        label = f"{word}{after[:_LABEL_CHARS]}".lower()
        if label.startswith(_LABELS):
            line, _, rest = label.partition("\n")
            sign = re.search(r"[:：\[{(<]|to=", line)
            return sign is not None or ((not rest or line.strip() == "function") and len(after) <= _LABEL_CHARS)
        target = TARGET.match(text, found.start("word"))
        begin = found.start("word") if target is None else target.end()
        called = _CALLED.match(text, begin)
        if called is None or called.end() == len(text):
            return begin == len(text) or called is not None
        return begin > found.start("word") and self._is_named(called.group("name")) and text[called.end()] == "("

    def _may_call(self, text: str, at: int, *, special: bool) -> bool:
        """Whether the text from here on is in doubt, or begins a call. special: it is a mark that no other text holds."""
        rest = text[at:]
        if not special and not self._names.may_stand_in(rest):
            return len(rest) <= DOUBT_CHARS
        size = self._begin + len(text)
        if not self._check:
            self._check = size + _FIRST_CHECK
        elif size >= self._check:
            self._check = size + max(_NEXT_CHECK, len(rest) // 2) if len(rest) <= _CHECKED else TEXT_CHARS
            if len(rest) <= _CHECKED and not self._is_begun(text) and not (special and len(rest) <= DOUBT_CHARS):
                self._denied = size - _LAST
        self.calling = self._begin + at >= self._denied
        self._quiet = self._check if self.calling else 0
        return self.calling

    def _is_begun(self, text: str) -> bool:
        """Whether a text holds a call, or the beginning of one."""
        content = ReplyContent.model_construct(
            text=text, thinking="", tool_calls=(), broken_tool_calls=(), finish_reason="unknown"
        )
        _, read = ask(chain_of((LATEST,), self._family).readers, content, self._tools)
        return bool(read.calls or read.unread or sign_of_call(text, self._tools))

    def _past_thinking(self, text: str, at: int) -> int:
        """Where to go on in thinking: behind what closes it; else at what may be the beginning of that, or at the end."""
        for sign in _CLOSING.finditer(text, at):
            token = TOKEN.match(text, sign.start())
            if token is not None and not _opens(token):
                self._thinking = False
                return token.end() if token.lastgroup not in _HEADS else token.start()
        return growing_from(text, at, None)


@lru_cache(maxsize=256)
def _names_thinking(channel: str) -> bool:
    return _THINKING.search(channel) is not None and "to=" not in channel


def _is_special(mark: Mark) -> bool:
    """Whether no other text than a call holds a mark."""
    return mark.special or (not mark.word and ("tool_call" in mark.piece or "function_call" in mark.piece))


def _opens(token: re.Match[str]) -> bool:
    """Whether a mark opens thinking."""
    match token.lastgroup:
        case "tag" | "word" | "slash":
            return not token.group("slash")
        case "labelled" | "opening" | "open":
            return True
        case group if group in _HEADS:
            return _names_thinking(token.group("channel") or token.group("named") or "")
        case _:
            return False
