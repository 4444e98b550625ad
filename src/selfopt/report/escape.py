"""Makes text of unknown origin harmless for readers: model output, suite text, names, errors."""

from __future__ import annotations

import re

from rich.text import Text

from selfopt.home import escape_control

_TERMINAL_MAX = 2_000
_MARKDOWN_MAX = 400
_CODE = re.compile(r"[A-Za-z0-9_./:+@-]{1,200}")

# Entities instead of backslashes, because they work in Markdown, in HTML, and in HTML within Markdown.
# Only active characters are replaced, so that the source stays readable.
_ACTIVE = re.compile(r"[&<`*\[\]|~\\@$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|://|www\.|^(?:[-#>+=:!]|\d+(?=[.)]))", re.IGNORECASE)


def safe_terminal(text: str, *, limit: int | None = _TERMINAL_MAX) -> str:
    r"""The text as one line of at most `limit` characters, for a terminal.

    Control, escape, bidirectional and zero-width characters become `\x1b` or `\u202e`. Do not print
    it as rich markup: use `safe_text` for that.
    """
    return escape_control(text, limit)


def safe_text(text: str, style: str = "", *, limit: int | None = _TERMINAL_MAX) -> Text:
    """Like `safe_terminal`, as a rich Text in which `[bold]` is not markup."""
    return Text(safe_terminal(text, limit=limit), style=style)


def safe_markdown(text: str, *, limit: int | None = _MARKDOWN_MAX) -> str:
    """The text as one line that Markdown and HTML show literally, without any markup or links."""
    return _ACTIVE.sub(_as_entities, safe_terminal(text, limit=limit).strip())


def _as_entities(hit: re.Match[str]) -> str:
    found = hit.group()
    return "".join(c if c.isalpha() else f"&#{ord(c)};" for c in found)


def code(text: str) -> str:
    """A name or id as inline code in Markdown. Anything but a plain name is escaped instead."""
    return f"`{text}`" if _CODE.fullmatch(text) else safe_markdown(text)
