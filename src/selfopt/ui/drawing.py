"""Templates: every value that they show is escaped, and an unknown name is an error."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from selfopt.words.terms import TERMS

from .asked import Page

FOLDER = Path(__file__).parent / "templates"
NONE = "–"


def url(path: str, *parts: object, **query: object) -> str:
    """Return an address below `/ui`. parts: appended, each escaped; empty query values are left out."""
    told = {name.rstrip("_"): str(value) for name, value in query.items() if value not in (None, "")}
    whole = "/ui" + path + "".join("/" + quote(str(part), safe="", errors="replace") for part in parts)
    return whole + ("?" + urlencode(told, errors="replace") if told else "")


def number(value: float | None, digits: int = 0) -> str:
    """Return a number with separators; a dash for None."""
    return NONE if value is None else f"{value:,.{digits}f}".replace(",", " ")


def share(value: float | None) -> str:
    """Return a share of 1 in percent, without rounding something to nothing or to all."""
    if value is None:
        return NONE
    percent = 100 * value
    if 0 < percent < 0.1:
        return "<0.1 %"
    if 99.9 < percent < 100:
        return ">99.9 %"
    return f"{percent:.0f} %" if percent in (0, 100) or percent >= 10 else f"{percent:.1f} %"


def duration(ms: float | None) -> str:
    """Return milliseconds in the unit that reads best."""
    if ms is None:
        return NONE
    if ms < 1:
        return f"{ms:.2f} ms"
    if ms < 1000:
        return f"{ms:.0f} ms"
    seconds = ms / 1000
    return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def money(value: float | None, currency: str = "USD") -> str:
    """Return an amount with as many digits as it takes to tell it from nothing."""
    if value is None:
        return NONE
    digits = 2 if value == 0 or abs(value) >= 1 else 4 if abs(value) >= 0.001 else 6
    return f"{value:,.{digits}f} {currency}"


def when(at: str | float | None) -> str:
    """Return a time as `2026-11-30 19:48:07` in UTC."""
    if at is None:
        return NONE
    if isinstance(at, int | float):
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return at[:19].replace("T", " ")


def short(at: float) -> str:
    """Return a time as `Nov 30 19:48:07` in UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%b %d %H:%M:%S")


def clock(at: float) -> str:
    """Return the time of day, UTC."""
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def ago(seconds: float | None) -> str:
    """Return how long ago something was."""
    if seconds is None:
        return NONE
    for size, name in ((86_400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            n = int(seconds // size)
            return f"{n} {name}{'s' if n != 1 else ''} ago"
    return "just now" if seconds < 5 else f"{int(seconds)} seconds ago"


def sentence(text: str) -> str:
    """Return a clause as a sentence: with a capital letter, unless it begins with a name, and a full stop."""
    first = text.partition(" ")[0]
    told = text if any(mark in first for mark in "/_@=`") else text[:1].upper() + text[1:]
    return told if not told or told[-1] in ".!?:" else told + "."


class Drawing:
    """Draws templates. currency: of the prices in the settings."""

    def __init__(self, pages: tuple[Page, ...], assets: Mapping[str, Any]) -> None:
        self._jinja = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._jinja.filters |= {
            "number": number, "share": share, "duration": duration, "money": money, "when": when, "clock": clock, "short": short, "ago": ago, "sentence": sentence,
            "shell": shlex.quote, "compact_json": lambda value: json.dumps(value, separators=(",", ":")),
        }  # fmt: skip
        self._jinja.globals |= {"url": url, "TERMS": TERMS, "pages": pages, **assets}

    def draw(self, template: str, context: Mapping[str, Any]) -> bytes:
        """Return a template's HTML."""
        return self._jinja.get_template(template).render(context).encode("utf-8", "replace")
