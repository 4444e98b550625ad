"""What a command writes: paragraphs, tables and JSON on standard output; progress and log on
standard error.

On a terminal, paragraphs are wrapped between words. Elsewhere each stays on one line.
"""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .live import LiveLine

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from selfopt.verbs.looping import LoopEvent


NO_TERMINAL_COLUMNS = 80
BODY_LIMIT = 20_000
HEADING = "bold blue"
_NARROW = 25  # columns that a wrapped line has at least
_TEXT_LIMIT = 4_000


def console(*, stderr: bool = False) -> Console:
    """Returns a console as wide as the terminal.

    Without a terminal it has COLUMNS columns, or 80.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or os.environ.get("COLUMNS") else NO_TERMINAL_COLUMNS
    return Console(stderr=stderr, highlight=False, width=width)


def say(out: Console, text: str, *, indent: int = 0, hang: int | None = None, style: str = "") -> None:
    """Prints one paragraph, with control characters escaped.

    Args:
        indent: Blanks before the first line.
        hang: Blanks before the other lines. Default: indent + 2. Fewer where a terminal is so narrow
            that little would fit beside them.
    """
    from selfopt.report import safe_terminal

    safe = safe_terminal(text, limit=_TEXT_LIMIT)
    hang = indent + 2 if hang is None else hang
    if out.is_terminal:
        hang = min(hang, max(indent + 2, out.width - _NARROW))
    first, rest = " " * indent, " " * hang
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


def say_each(out: Console, lines: Iterable[str], *, indent: int = 0, hang: int | None = None, style: str = "") -> None:
    """Prints a paragraph for each line. The arguments are those of `say`."""
    for line in lines:
        say(out, line, indent=indent, hang=hang, style=style)


def say_some(out: Console, lines: Sequence[str], *, indent: int = 2, hang: int = 4, limit: int = 10) -> None:
    """Prints the first problems of a list, and how many more there are.

    A broken file can have thousands.
    """
    more = [f"and {len(lines) - limit:,} more; --json prints all"] if len(lines) > limit else []
    say_each(out, [*lines[:limit], *more], indent=indent, hang=hang)


def answer(document: Any, lines: Iterable[str], *, as_json: bool, hang: int | None = None, empty: str = "") -> None:
    """Prints what a command found: a JSON document, or a paragraph for each line.

    Args:
        hang: Blanks before the wrapped lines of a paragraph. Default: 2.
        empty: What to print where there are no lines.
    """
    if as_json:
        emit(document)
    else:
        say_each(console(), list(lines) or filter(None, [empty]), hang=hang)


def draw(out: Console, renderable: RenderableType) -> None:
    """Prints a table or panel. Without a terminal, no line ends in blanks."""
    from selfopt.report import to_text

    if out.is_terminal:
        out.print(renderable)
    else:
        out.file.write(to_text(renderable, width=out.width))


@contextmanager
def no_commands() -> Iterator[None]:
    """Lets a workflow of GitHub read no line of the block as a command: it shows what others wrote."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        yield
        return
    import secrets

    token = f"selfopt-{secrets.token_hex(16)}"
    print(f"::stop-commands::{token}")
    try:
        yield
    finally:
        print(f"::{token}::")


def block(out: Console, text: str, *, title: str = "", limit: int = BODY_LIMIT) -> None:
    """Prints a text line by line as it is, with control characters escaped.

    Args:
        title: A heading to print first.
        limit: How many characters to print.
    """
    from selfopt.report import safe_terminal

    if title:
        say(out, f"-- {title}", style=HEADING)
    for line in text[:limit].split("\n"):
        out.print(safe_terminal(line, limit=None), markup=False, soft_wrap=True)
    if len(text) > limit:
        out.print(f"... {len(text) - limit:,} more characters; --json prints all", style="dim", markup=False)


def short_id(record_id: str) -> str:
    """Returns the end of an id, which is unique enough to be accepted wherever an id is typed."""
    return record_id[-8:]


def emit(value: Any) -> None:
    """Prints one JSON document. Records are dumped without their private fields."""
    print(json.dumps(_plain(value), indent=2, ensure_ascii=True, allow_nan=False), flush=True)


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
    """Returns `1 record` or `2 records`."""
    from selfopt.home import counted as words

    return words(n, thing)


def joined(parts: Iterable[str], limit: int = 8) -> str:
    """Lists the first parts on one line and counts the others."""
    items = list(parts)
    more = f" and {len(items) - limit} more" if len(items) > limit else ""
    return ", ".join(items[:limit]) + more


# Kind of event -> (what stands before its text, how it is printed).
_MARKS = {
    "cycle": ("==", "bold"),
    "plan": ("try", ""),
    "finding": ("found", "dark_orange"),
    "decision": ("gate", ""),
    "promoted": ("PROMOTED", HEADING),
    "recommendation": ("advice", ""),
    "remedy": ("check", "blue"),
    "enforcement": ("rules", "bold"),
    "finished": ("==", "bold"),
    "note": ("--", ""),
}
_EVENT_INDENT = 11


class EventPrinter:
    """Prints a paragraph for each event of the loop, and below a decision the gates that decided
    it. A search has one for each new best; the live line tells of the rest.

    every_gate: print all gates of a decision.
    """

    def __init__(self, live: LiveLine, enabled: bool = True, every_gate: bool = False) -> None:
        self._live = live
        self._enabled = enabled
        self._every_gate = every_gate
        self._console = console()
        self._best: object = None

    def __call__(self, event: LoopEvent) -> None:
        """Prints one event."""
        if not self._enabled:
            return
        from selfopt.records import Decision, SearchBatch
        from selfopt.words.decisions import decision_lines

        if isinstance(event.record, SearchBatch):
            if event.record.best.point == self._best:
                return
            self._best = event.record.best.point
        self._live.clear()
        mark, style = _MARKS.get(event.kind, (event.kind, ""))
        say(self._console, f"{mark:>9}  {event.text}", hang=_EVENT_INDENT, style=style)
        if isinstance(event.record, Decision):
            gates = (line.strip() for line in decision_lines(event.record, every_gate=self._every_gate))
            say_each(self._console, gates, indent=_EVENT_INDENT, hang=_EVENT_INDENT + 2, style="dim")
