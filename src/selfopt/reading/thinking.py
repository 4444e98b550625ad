"""Splits thinking from the answer, in a whole reply or piece by piece."""

from __future__ import annotations

import re
from collections import Counter

from .quoting import Quoting
from .thinking_marks import (
    HARMONY_LEAD,
    LEADS,
    LONGEST_MARK,
    TOKEN,
    Kind,
    growing_from,
    kind_of,
    kind_of_closing,
    kind_of_word,
    next_token,
)

_SPACE = re.compile(r"\s*+")
_LEADS = tuple(LEADS)
MARK_LIMIT = 8192  # marks that are looked at in one text
_MUCH_SPACE = 256  # characters of white space that wait for what comes
_AHEAD = 2  # characters after a mark that tell whether it is one
_QUOTES = "`\"'"
_SENTENCE_ENDS = (".", "!", "?", ":", ";", "…", ">", "]", "}", ")", "*")
_GOES_ON = re.compile(r" [a-z]")
_WORD_AFTER = re.compile(r"[ .,;:!?)\"'`]|</")
_THINKING_CHANNELS = ("analysis", "thought", "thinking", "reasoning")
_ADDRESSED = re.compile(r"\bto=\S+\s*\Z")


def split_thinking(raw: str, *, opened: bool = False) -> tuple[str, str]:
    """Split a whole reply into answer and thinking.

    A mark opens thinking at the beginning of the text, of a line, or behind other thinking; within
    a line, if it is closed later and does not stand in a sentence as a word. Thinking that is never
    closed takes the rest. A closing mark without an opening one means that the chat template opened
    the thinking: everything before is thinking. In code, in a text in quotes and in an argument of
    a call, marks are text.

    Args:
        raw: the text as the model wrote it.
        opened: whether the chat template is known to have opened a block.

    Returns:
        (answer, thinking).
    """
    if not opened and next_token(raw, 0) is None and not raw.lstrip().startswith(_LEADS):
        return raw, ""
    splitter = ThinkingSplitter(opened=opened)
    answer, thinking = splitter.end(raw)
    if splitter.unopened:
        answer, thinking = answer[splitter.unopened :].lstrip(), answer[: splitter.unopened] + thinking
    return answer, thinking.strip()


class ThinkingSplitter:
    """Splits text that arrives in pieces, as `split_thinking` does the whole.

    Holds back the end of a piece that may turn out to be a mark. Holds back more only where the
    meaning of a mark depends on what comes: a mark within a line or in an open quotation waits for
    what closes it.

    One thing cannot be known in time: that the template opened the thinking. The text before a
    closing mark without an opening one is given out as answer, and `unopened` says how much of the
    answer that was. Apart from this, the pieces add up to what `split_thinking` returns, but for
    white space around the thinking.

    Attributes:
        unopened: how many characters of the answer were thinking, as a closing mark showed later.
    """

    def __init__(self, *, opened: bool = False) -> None:
        self.unopened = 0
        self._pending = ""
        self._left = MARK_LIMIT
        self._more: list[str] = []  # pieces that came while `_awaited` was not found
        self._awaited: re.Pattern[str] | None = None
        self._tail = ""
        self._opened = opened
        self._answer, self._thinking = _Side(), _Side()
        self._kind: Kind | None = None
        self._depth = 0
        self._fresh = True  # only white space since the beginning, or since thinking ended
        self._space = ""  # that white space, where it is kept unless thinking follows
        self._seen = False  # whether thinking ended before
        self._message = False  # in a harmony message to the user
        self._called = False  # a harmony message to a tool came before
        self._mentioned: Counter[str] = Counter()
        self._absent: set[str] = set()
        self._grows: dict[Kind | None, int] = {}  # where the end of this text may grow into a mark
        self._quoting = Quoting()
        self._unread: list[str] = []  # answer that `_quoting` has not read

    def feed(self, text: str) -> tuple[str, str]:
        """Add a piece. Returns the further (answer, thinking) that is certain now."""
        if self._awaited is not None:
            self._more.append(text)
            self._tail += text
            if self._awaited.search(self._tail) is None:
                self._tail = self._tail[-LONGEST_MARK:]
                return "", ""
            text = ""
        return self._run(text, final=False)

    def end(self, text: str = "") -> tuple[str, str]:
        """End the text, with a last piece. Returns the (answer, thinking) that was held back."""
        return self._run(text, final=True)

    def _run(self, text: str, *, final: bool) -> tuple[str, str]:
        text, at = f"{self._pending}{''.join(self._more)}{text}", 0
        self._more, self._awaited = [], None
        self._grows.clear()
        while at < len(text):
            kind = self._kind
            end = self._speak(text, at, final=final) if kind is None else self._think(kind, text, at, final=final)
            if end == at and kind is self._kind:
                break
            at = end
        self._pending = text[at:]
        self._tail = self._pending[-LONGEST_MARK:]
        return self._answer.take(), self._thinking.take()

    def _speak(self, text: str, at: int, *, final: bool) -> int:
        """Go on within the answer. Returns how far the text is understood."""
        start = at
        if self._fresh:
            start = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
            if self._trims and start > at:
                return start
            if start - at > _MUCH_SPACE:
                self._say(text[at : at + _MUCH_SPACE])
                return at + _MUCH_SPACE
            self._space = text[at:start] or self._space
            if not final and (start == len(text) or self._growing(text, start, None) == start):
                return at
            if not self._seen and not self._answer.size:
                led = self._begin(text, start, final=final)
                if led is not None:
                    return at if led < 0 else led
        token = next_token(text, start) if self._left else None
        end = len(text) if final else self._growing(text, start, None)
        if token is None or token.start() >= end:
            self._say(text[start:end])
            return end
        if token.start() > start:
            self._say(text[start : token.start()])
            start = at = token.start()
        taken = None if not final and token.end() + _AHEAD > len(text) else self._take(token, text, final=final)
        self._left -= taken is not None
        return at if taken is None else taken

    def _growing(self, text: str, at: int, kind: Kind | None) -> int:
        end = self._grows.get(kind, -1)
        if end < at:
            end = self._grows[kind] = growing_from(text, at, kind)
        return end

    @property
    def _trims(self) -> bool:
        """Whether white space is dropped here: behind thinking, unless it parts two words."""
        return self._seen and (not self._answer.size or self._answer.last.isspace())

    def _say(self, text: str, *, read: bool = True) -> None:
        if self._fresh:
            text, self._space = self._space + text, ""
        self._fresh = self._fresh and not text
        self._answer.add(text)
        if read:
            self._unread.append(text)

    def _begin(self, text: str, at: int, *, final: bool) -> int | None:
        """Look for what may open a reply. Returns its end; -1 to wait; None if there is nothing."""
        if self._opened:
            token, self._opened = TOKEN.match(text, at), False
            if token is None or not _opening(token):
                return self._enter(kind_of("opened"), at)
        for lead, name in LEADS.items():
            end = at + len(lead)
            if text.startswith(lead, at) and (final or len(text) > end):
                if (lead == HARMONY_LEAD and text[end : end + 1].isupper()) or self._closed(
                    kind_of(name), text, end, final=final
                ):
                    return self._enter(kind_of(name), end)
                return None if self._awaited is None else -1
            if not final and lead.startswith(text[at:]):
                return -1
        return None

    def _closed(self, kind: Kind, text: str, at: int, *, final: bool) -> bool:
        """Whether thinking of this kind is closed later. If that is not known, waits for it."""
        if kind.name in self._absent:
            return False
        found = kind.closes.search(text, at)
        if found is not None and (final or found.end() < len(text)):
            return True
        if final:
            self._absent.add(kind.name)
        else:
            self._awaited = kind.closes
        return False

    def _take(self, token: re.Match[str], text: str, *, final: bool) -> int | None:
        """Decide what a mark means within the answer. Returns how far; None to wait."""
        self._quoting.read("".join(self._unread))
        self._unread = []
        quoted = self._quoting.end_of(text, token.start(), final=final)
        if quoted is None:
            self._awaited = self._quoting.awaited
            return None
        if quoted >= 0:
            self._say(text[token.start() : quoted], read=False)
            return quoted
        kind = _opening(token)
        if kind is not None and not self._addressed(token):
            return self._open(kind, token, text, final=final)
        self._called = self._called or self._addressed(token)
        # Behind a call, the model's next turn does not close thinking.
        closing = None if self._called and token.lastgroup == "turn" else _closing(token)
        if self._vanishes(token):
            self._message = token.lastgroup not in ("end", "turn")
            if self._message and self._answer.size and not self._answer.last.isspace():
                self._space, self._fresh = "\n", True  # it parts two messages
        elif closing is not None and not self._mentioned[closing.name] and not self._seen:
            self.unopened = self._answer.size
            self._leave()
        else:
            self._mentioned[closing.name if closing is not None else ""] -= closing is not None
            self._say(token.group())
        return token.end()

    def _addressed(self, token: re.Match[str]) -> bool:
        """Whether a harmony header is that of a call."""
        if token.lastgroup not in ("header", "bare"):
            return False
        return "to=" in token.group() or (token.lastgroup == "bare" and _ADDRESSED.search(self._quoting.line) is not None)

    def _vanishes(self, token: re.Match[str]) -> bool:
        if token.lastgroup in ("header", "bare"):
            return not self._addressed(token)
        return token.lastgroup == "wrapper" or (token.lastgroup in ("end", "turn") and self._message)

    def _open(self, kind: Kind, token: re.Match[str], text: str, *, final: bool) -> int | None:
        line, goes_on = self._quoting.line.strip(), _GOES_ON.match(text, token.end()) is not None
        at_once = self._fresh or token.lastgroup == "header" or (not line and not (kind.word and goes_on))
        mention = (
            kind.word and bool(line) and not line.endswith(_SENTENCE_ENDS) and _WORD_AFTER.match(text, token.end()) is not None
        )
        if at_once or (not mention and self._closed(kind, text, token.end(), final=final)):
            return self._enter(kind, token.end())
        if self._awaited is not None:
            return None
        self._mentioned[kind.name] += 1
        self._say(token.group())
        return token.end()

    def _enter(self, kind: Kind, at: int) -> int:
        self._kind, self._depth, self._space = kind, 1, ""
        if self._thinking.size and not self._thinking.last.isspace():
            self._thinking.add("\n")
        self._thinking.begin()
        return at

    def _leave(self) -> None:
        self._kind, self._fresh, self._seen, self._space = None, True, True, ""

    def _think(self, kind: Kind, text: str, at: int, *, final: bool) -> int:
        """Go on within thinking. Returns how far the text is understood."""
        end = len(text) if final else self._growing(text, at, kind)
        mark = kind.marks.search(text, at) if self._left else None
        if mark is None or mark.start() >= end:
            self._thinking.add(text[at:end])
            return end
        self._thinking.add(text[at : mark.start()])
        if not final and mark.end() + _AHEAD > len(text):
            return mark.start()
        before, after = self._thinking.last, text[mark.end() : mark.end() + 1]
        if before and before == after and before in _QUOTES:
            self._thinking.add(mark.group())
        elif mark.lastgroup == "open":
            nested = not self._thinking.blank and (before == "\n" or not _WORD_AFTER.match(text, mark.end()))
            self._depth += nested
            self._thinking.add(mark.group())
        elif self._depth > 1 and self._closed(kind, text, mark.end(), final=final):
            self._depth -= 1
            self._thinking.add(mark.group())
        elif self._awaited is not None:
            return mark.start()
        else:
            self._leave()
        self._left -= 1
        return mark.end()


class _Side:
    """The answer or the thinking so far.

    Attributes:
        size: how many characters it has.
        last: the last of them since `begin`; "" if there is none.
        blank: whether all of them since `begin` are white space.
    """

    __slots__ = ("_pieces", "blank", "last", "size")

    def __init__(self) -> None:
        self._pieces: list[str] = []
        self.size = 0
        self.begin()

    def begin(self) -> None:
        self.last, self.blank = "", True

    def add(self, text: str) -> None:
        if text:
            self._pieces.append(text)
            self.size += len(text)
            self.last, self.blank = text[-1], self.blank and text.isspace()

    def take(self) -> str:
        """What was added since this was called last."""
        pieces, self._pieces = self._pieces, []
        return "".join(pieces)


def _opening(token: re.Match[str]) -> Kind | None:
    """The kind of thinking that a mark opens, if it opens any."""
    match token.lastgroup:
        case "tag" if not token["slash"]:
            return kind_of_word(token["word"])
        case "labelled":
            return kind_of(token["opening"].lower())
        case "open":
            return kind_of(token["open"].lower().removeprefix("<|message_model|>"))
        case "header" | "bare":
            channel = token["named"] if token.lastgroup == "header" else token["channel"]
            return kind_of("analysis") if (channel or "").strip().lower().startswith(_THINKING_CHANNELS) else None
        case _:
            return None


def _closing(token: re.Match[str]) -> Kind | None:
    """The kind of thinking that a mark closes, if it closes any."""
    match token.lastgroup:
        case "tag" if token["slash"]:
            return kind_of_word(token["word"])
        case "close":
            return kind_of_closing(token["close"].lower())
        case "turn":
            return kind_of("analysis")
        case _:
            return None
