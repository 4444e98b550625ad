"""Keeping `<think>` text apart from the answer, whole or as it arrives."""

from __future__ import annotations

__all__ = ["ThinkingSplitter", "split_thinking"]

OPEN, CLOSE = "<think>", "</think>"


def split_thinking(raw: str) -> tuple[str, str]:
    """(answer, thinking). A block counts where it opens the text or follows another block; one that is never closed takes
    the rest; a closing tag without an opening one means that the template had opened it already."""
    if CLOSE not in raw and OPEN not in raw:
        return raw, ""
    splitter = ThinkingSplitter()
    pieces = [splitter.feed(raw), splitter.end()]
    answer = "".join(piece[0] for piece in pieces)
    thinking = "".join(piece[1] for piece in pieces)
    if not thinking and not raw.lstrip().startswith(OPEN) and CLOSE in answer:
        thinking, _, answer = answer.partition(CLOSE)
        answer = answer.lstrip()
    return answer, thinking.strip()


class ThinkingSplitter:
    """Splits text that arrives in pieces. A piece that may still turn out to be a tag is held back."""

    def __init__(self) -> None:
        self._buffer = ""
        self._inside = False
        self._may_open = True
        self._trim = False

    def feed(self, text: str) -> tuple[str, str]:
        """(answer, thinking) that is certain after this piece."""
        self._buffer += text
        answer: list[str] = []
        thinking: list[str] = []
        while self._buffer:
            if self._inside:
                if not self._take_thinking(thinking):
                    break
            elif not self._may_open:
                answer.append(self._take_all())
            elif not self._decide(answer):
                break
        return "".join(answer), "".join(thinking)

    def end(self) -> tuple[str, str]:
        """(answer, thinking) of what was held back, now that nothing follows."""
        rest = self._take_all()
        if self._inside:
            return "", rest
        return (rest.lstrip() if self._trim else rest), ""

    def _take_all(self) -> str:
        rest, self._buffer = self._buffer, ""
        return rest

    def _take_thinking(self, thinking: list[str]) -> bool:
        """Move thinking text out of the buffer; False when more is needed."""
        at = self._buffer.find(CLOSE)
        if at >= 0:
            thinking.append(self._buffer[:at])
            self._buffer = self._buffer[at + len(CLOSE) :]
            self._inside, self._trim = False, True
            return True
        keep = next((n for n in range(min(len(CLOSE) - 1, len(self._buffer)), 0, -1) if CLOSE.startswith(self._buffer[-n:])), 0)
        thinking.append(self._buffer[: len(self._buffer) - keep])
        self._buffer = self._buffer[len(self._buffer) - keep :]
        return False

    def _decide(self, answer: list[str]) -> bool:
        """At a place where a block may open: does one? False when more is needed to tell."""
        start = self._buffer.lstrip()
        if start.startswith(OPEN):
            self._buffer, self._inside = start[len(OPEN) :], True
            return True
        if OPEN.startswith(start):
            return False
        self._may_open = False
        if self._trim:
            self._buffer = start
        answer.append(self._take_all())
        return True
