"""Splits `<think>` text from the answer, in a whole reply or piece by piece."""

from __future__ import annotations

import re

OPEN, CLOSE = "<think>", "</think>"
_SPACE = re.compile(r"\s*+")


def split_thinking(raw: str, *, opened: bool = False) -> tuple[str, str]:
    """Split a whole reply into answer and thinking.

    A block counts if it opens the text or follows another block. A block that is never closed takes
    the rest. A closing tag without an opening tag means that the chat template opened the block.

    Args:
        raw: the text as the model wrote it.
        opened: whether the chat template is known to have opened a block.

    Returns:
        (answer, thinking).
    """
    if opened and not raw.lstrip().startswith(OPEN):
        raw = OPEN + raw
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
    """Splits text that arrives in pieces.

    Holds back the end of a piece that may turn out to be a tag.
    """

    def __init__(self) -> None:
        self._held = ""
        self._inside = False
        self._may_open = True
        self._trim = False

    def feed(self, text: str) -> tuple[str, str]:
        """Add a piece. Returns the further (answer, thinking) that is certain now."""
        text, at = self._held + text, 0
        answer, thinking = "", []
        while at < len(text):
            if self._inside:
                closing = text.find(CLOSE, at)
                end = closing if closing >= 0 else len(text) - _begun(text[max(at, len(text) - len(CLOSE)) :])
                thinking.append(text[at:end])
                at = end
                if closing < 0:
                    break
                at += len(CLOSE)
                self._inside, self._trim = False, True
            elif not self._may_open:
                answer, at = text[at:], len(text)
            else:
                start = _SPACE.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing, too
                if text.startswith(OPEN, start):
                    at, self._inside = start + len(OPEN), True
                elif OPEN.startswith(text[start : start + len(OPEN)]):
                    break
                else:
                    self._may_open = False
                    at = start if self._trim else at
        self._held = text[at:]
        return answer, "".join(thinking)

    def end(self) -> tuple[str, str]:
        """End the text. Returns the (answer, thinking) that was held back."""
        rest, self._held = self._held, ""
        if self._inside:
            return "", rest
        return (rest.lstrip() if self._trim else rest), ""


def _begun(text: str) -> int:
    """How many of the last characters may begin a closing tag."""
    return next((n for n in range(min(len(CLOSE) - 1, len(text)), 0, -1) if CLOSE.startswith(text[-n:])), 0)
