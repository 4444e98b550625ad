"""How text is put on the terminal: wrapped between words with a hanging indent; whole where nobody looks at it."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType


NO_TERMINAL_COLUMNS = 80
BODY_LIMIT = 20_000
_TEXT_LIMIT = 4_000
_PRETTY_LIMIT = 500_000


def console(*, stderr: bool = False) -> Console:
    """A console as wide as the terminal; 80 columns where there is none (COLUMNS says otherwise)."""
    from rich.console import Console

    class QuietConsole(Console):
        """Rich ends the program with exit code 1 when its reader has gone; here that is no error (`selfopt ... | head`)."""

        def on_broken_pipe(self) -> None:
            """Hand it on to the outermost edge."""
            raise BrokenPipeError

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else NO_TERMINAL_COLUMNS
    return QuietConsole(stderr=stderr, highlight=False, width=width)


def say(out: Console, text: str, *, indent: int = 0, hang: int | None = None, style: str = "") -> None:
    """One paragraph, control characters escaped. indent: of the first line, hang: of the others (default: indent + 2).

    On a terminal it is wrapped between words; elsewhere it stays on one line, so that it can be searched.
    """
    from selfopt.report import safe_terminal

    safe = safe_terminal(text, limit=_TEXT_LIMIT)
    first, rest = " " * indent, " " * (indent + 2 if hang is None else hang)
    lines = [first + safe]
    if out.is_terminal:
        lines = textwrap.wrap(
            safe,
            width=max(20, out.width),
            initial_indent=first,
            subsequent_indent=rest,
            break_long_words=False,
            break_on_hyphens=False,
        )
    for line in lines:
        out.print(line, style=style, markup=False, soft_wrap=True)


def say_some(out: Console, lines: Sequence[str], *, indent: int = 2, hang: int = 4, limit: int = 10) -> None:
    """The first of a list of problems, a paragraph each, and how many more there are: a hostile or broken file has thousands."""
    for line in lines[:limit]:
        say(out, line, indent=indent, hang=hang)
    if len(lines) > limit:
        say(out, f"and {len(lines) - limit:,} more; --json prints all", indent=indent, hang=hang)


def draw(out: Console, renderable: RenderableType) -> None:
    """A table or panel; without the blanks at the ends of lines where nobody looks at it."""
    from selfopt.report import to_text

    if out.is_terminal:
        out.print(renderable)
    else:
        out.file.write(to_text(renderable, width=out.width))


def block(out: Console, text: str, *, indent: int = 0, limit: int | None = BODY_LIMIT, style: str = "") -> None:
    """A text of several lines as it is, control characters escaped line by line; at most `limit` characters of it."""
    from selfopt.report import safe_terminal

    cut = limit is not None and len(text) > limit
    shown = text[:limit] if cut else text
    for line in shown.split("\n"):
        out.print(" " * indent + safe_terminal(line, limit=None), style=style, markup=False, soft_wrap=True)
    if cut:
        out.print(f"{' ' * indent}... {len(text) - (limit or 0):,} more characters; --json prints all", style="dim", markup=False)


def pretty(text: str) -> str:
    """JSON spread over lines; anything else, and what is too large or too deep for it, as it is."""
    if len(text) > _PRETTY_LIMIT:
        return text
    try:
        value = json.loads(text)
        return json.dumps(value, indent=2, ensure_ascii=False) if isinstance(value, dict | list) else text
    except (ValueError, RecursionError):
        return text


def short_id(record_id: str) -> str:
    """The end of an id, which tells it apart from the others and is accepted wherever an id is typed."""
    return record_id[-8:]


def emit(value: Any) -> None:
    """Print one JSON document. Records are dumped without their private fields."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=True, allow_nan=False))


def _plain(value: Any) -> Any:
    from dataclasses import fields, is_dataclass
    from pathlib import Path

    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    if isinstance(value, set | frozenset):
        return sorted(_plain(v) for v in value)
    return str(value) if isinstance(value, Path) else value


def counted(n: int, thing: str) -> str:
    """`1 record`, `2 records`."""
    from selfopt.home import counted as words

    return words(n, thing)


def joined(parts: Iterable[str], limit: int = 8) -> str:
    """A list in one line, the rest counted."""
    items = list(parts)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more
