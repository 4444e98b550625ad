"""Text of unknown origin (model output, suite text, names, error bodies) made harmless where people read it."""

from __future__ import annotations

import re

from rich.text import Text

from selfopt.home import escape_control

_TERMINAL_MAX = 2_000
_MARKDOWN_MAX = 400
_CODE = re.compile(r"[A-Za-z0-9_./:+@-]{1,200}")

# Entities instead of backslashes: they hold in Markdown, in HTML, and in HTML within Markdown. Only what can act is
# replaced, so that the source stays readable too.
_ACTIVE = re.compile(r"[&<`*\[\]|~\\@$]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|://|www\.|^(?:[-#>+=:!]|\d+(?=[.)]))", re.IGNORECASE)


def safe_terminal(text: str, *, limit: int | None = _TERMINAL_MAX) -> str:
    r"""One line; control, escape, bidirectional and zero-width characters are written as `\x1b` or `\u202e`. At most
    `limit` characters of the text. Not to be printed through rich's markup: use `safe_text` there."""
    return escape_control(text, limit)


def safe_text(text: str, style: str = "", *, limit: int | None = _TERMINAL_MAX) -> Text:
    """`safe_terminal` as a rich Text, in which `[bold]` is no markup."""
    return Text(safe_terminal(text, limit=limit), style=style)


def safe_markdown(text: str, *, limit: int | None = _MARKDOWN_MAX) -> str:
    """One line that Markdown and HTML show as it is: no markup, no tags, no links, no mentions, no table cells."""
    return _ACTIVE.sub(_as_entities, safe_terminal(text, limit=limit).strip())


def _as_entities(hit: re.Match[str]) -> str:
    found = hit.group()
    return "".join(c if c.isalpha() else f"&#{ord(c)};" for c in found)


def code(text: str) -> str:
    """A name or an id as inline code in Markdown; whatever is no plain name is escaped instead."""
    return f"`{text}`" if _CODE.fullmatch(text) else safe_markdown(text)
