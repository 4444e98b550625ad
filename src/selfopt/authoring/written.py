"""Reads what a writer answered. Its reply is hostile: bounded here, and believed in nothing."""

from __future__ import annotations

import re

from selfopt.records import DropReason, ToolDefinition

from .facts import fits

MAX_REPLY = 200_000
MAX_VALUES, MIN_VALUES = 24, 3
MAX_VALUE = 40
MAX_TEXT, MIN_TEXT = 600, 4
_READ = 4_000  # characters of a reply that are read
_MARKS = ("```", "<tool", "</", "<|", "[tool", "{", "function_call", "tool_call")
_LABEL = re.compile(r"(?:the )?(?:user|person|customer|message|request|text|answer|assistant|output|reply) ?: ?", re.IGNORECASE)
_OPENING = re.compile(
    r"(?:sure|certainly|of course|okay|here(?:'s| is| are))\b[^:\n]{0,80}\b(?:message|version|text|example|sentence|one|request)\b"
    r"[^:\n]{0,40}: ",
    re.IGNORECASE,
)
_CONSENT = re.compile(r"(?:sure|certainly|of course|okay)[,!.] ", re.IGNORECASE)
# What assistants say and users don't: a small writer forgets whose part it writes.
_SERVING = re.compile(
    r"\b(?:(?:i'd|i would|i'll|i) be (?:happy|glad) to|(?:how|what) (?:can|may) i (?:help|assist|do for you)|(?:can i|i can) help|try this|"
    r"are you looking for|would you like|do you want (?:me )?to|let me know if)\b",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "'": "'", "`": "`", "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb"}
_QUOTED = re.compile(r'"([^"\n]{1,80})"')
_BULLET = re.compile(r"(?:[-*\u2022]|\d{1,2}[.)])\s+")


def text_in(reply: str) -> tuple[str, DropReason | None]:
    """The message that a reply is, without what small models put around it, and why it is none."""
    lines = [line.strip() for line in reply[:_READ].strip().splitlines()]
    if len(lines) > 1 and lines[0].startswith("```") and lines[-1].startswith("```"):
        lines = lines[1:-1]
    while len(lines) > 1 and (not lines[0] or lines[0].endswith(":")):
        lines = lines[1:]
    ends = next((place for place, line in enumerate(lines) if not line), len(lines))
    text = " ".join(" ".join(lines[:ends]).split())
    for form in (_OPENING, _LABEL, _CONSENT):
        text = _unquoted(text)
        if (found := form.match(text)) and found.end() < len(text):
            text = text[found.end() :].strip()
            text = text[:1].upper() + text[1:]
    if (
        _SERVING.search(text)
        or not MIN_TEXT <= len(text) <= MAX_TEXT
        or not text.isprintable()
        or not any(map(str.isalpha, text))
    ):
        return text, "bad_text"
    return text, "markup" if any(mark in text.casefold() for mark in _MARKS) else None


def values_in(reply: str, tool: ToolDefinition, name: str) -> tuple[str, ...]:
    """The values of an argument that a reply lists, in JSON or line by line. None where too few can be used.

    A list that was cut off is read as far as it goes.
    """
    told = reply[:_READ]
    listed = _QUOTED.findall(told) or [_BULLET.sub("", line.strip()) for line in told.splitlines()]
    found: dict[str, str] = {}
    for one in listed:
        text = _unquoted(" ".join(one.split()))
        marked = any(mark in text.casefold() for mark in _MARKS) or text.endswith(":")
        if (
            len(text) <= MAX_VALUE
            and text.isprintable()
            and any(map(str.isalpha, text))
            and not marked
            and fits(tool, name, text)
        ):
            found.setdefault(text.casefold(), text)
    return tuple(found.values())[:MAX_VALUES] if len(found) >= MIN_VALUES else ()


def _unquoted(text: str) -> str:
    if text.startswith("**") and text.endswith("**"):
        text = text.strip("* ")
    for _ in range(2):
        if len(text) > 2 and text[-1] == _QUOTES.get(text[0]) and text[0] not in text[1:-1]:
            text = text[1:-1].strip()
    return text
