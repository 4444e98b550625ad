"""Progress on standard error: one line that rewrites itself on a terminal, few lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from selfopt.verbs.measuring import Progress, SearchNow

F = TypeVar("F", bound=Callable[..., Any])

_PLAIN_S = 0.9
_SELDOM_S = 10.0
_STILL_S = 60.0
_KEY = "progress"
_ANY = 10_000
_LEAST_NAME = 12


def progress_option(function: F) -> F:
    """Adds --progress, which the command's `LiveLine` heeds."""

    def keep(ctx: click.Context, _: click.Parameter, value: str) -> None:
        root = ctx.find_root()
        root.obj = {**(root.obj or {}), _KEY: value}

    return click.option(
        "--progress",
        type=click.Choice(["auto", "plain"]),
        default="auto",
        show_default=True,
        expose_value=False,
        callback=keep,
        help="Progress on standard error. auto: one live line on a terminal, elsewhere a line every 10 s. plain: a line a second.",
    )(function)


def printable(text: str) -> str:
    """Replaces control characters by question marks."""
    return "".join(c if c.isprintable() else "?" for c in text)


class LiveLine:
    """Shows progress on standard error.

    On a terminal, one line rewrites itself. Elsewhere each step begins with a line, and others come
    at most every ten seconds, more seldom while nothing moves. --progress plain writes a line every
    second, and so does `plain`.
    """

    current: LiveLine | None = None

    def __init__(self, enabled: bool = True, *, plain: bool | None = None) -> None:
        ctx = click.get_current_context(silent=True)
        asked = (ctx.find_root().obj or {}).get(_KEY) if ctx is not None else None
        self._plain = asked == "plain" if plain is None else plain
        self._tty = sys.stderr.isatty() and not self._plain
        self._enabled = enabled
        self._every_s = _PLAIN_S if self._plain else _SELDOM_S
        self._last: float | None = None
        self._width = 0
        self._at: tuple[str, int, str | None] | None = None
        self._said: set[tuple[str, str]] = set()  # what begins a step, and what is worth saying once
        LiveLine.current = self

    def __call__(self, event: Progress) -> None:
        """Shows how far a measurement is."""
        if not self._enabled:
            return
        at = (event.label, event.done, event.prompt_id)
        # Specs that are measured in turn change the label with each trial, so each label begins once.
        new = [key for key in ((event.label, ""), (event.label, event.note)) if key not in self._said]
        self._said.update(new)
        due = self._is_due(max(self._every_s, _STILL_S) if at == self._at else self._every_s)
        if self._tty or new or due:
            self._at = at
            self._put(_line(event, self._columns()))

    def _columns(self) -> int:
        """How long a line may be. Elsewhere than on a terminal: as long as it likes."""
        return shutil.get_terminal_size().columns - 1 if self._tty else _ANY

    def _is_due(self, quiet_s: float) -> bool:
        return self._last is None or time.monotonic() - self._last >= quiet_s

    def __enter__(self) -> LiveLine:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def show(self, text: str) -> None:
        """Puts a text on the line; elsewhere at most as often as a trial."""
        if self._enabled and (self._tty or self._is_due(self._every_s)):
            self._put(text)

    def _put(self, text: str) -> None:
        self._last = time.monotonic()
        if self._tty:
            clipped = text[: self._columns()]
            print("\r" + clipped.ljust(self._width), end="", file=sys.stderr, flush=True)
            self._width = len(clipped)
        else:
            print(text, file=sys.stderr, flush=True)

    def clear(self) -> None:
        """Removes the line, before something else is printed."""
        if self._tty and self._width:
            print("\r" + " " * self._width + "\r", end="", file=sys.stderr, flush=True)
            self._width = 0


def _line(event: Progress, columns: int) -> str:
    if event.search is not None:
        return search_line(event.search, columns)
    eta = f", about {event.eta_s:.0f} s left" if event.eta_s is not None and event.kind != "run_ended" else ""
    at = f" {event.prompt_id}" if event.prompt_id else ""
    outcome = f" {event.outcome.value}" if event.outcome is not None else ""
    note = f" ({event.note})" if event.note else ""
    done = f": {event.done}/{event.total}" if event.total else ""  # a question is no trial of anything
    return printable(f"  {event.label}{done}{at}{outcome}{eta}{note}")


def search_line(now: SearchNow, columns: int) -> str:
    """What a search is doing, in one line of so many columns: the best so far, what it has spent, when
    it ends, and what it tries. The longer the line, the more words.
    """
    from selfopt.home import counted
    from selfopt.words.evidence import on_prompts
    from selfopt.words.searches import figures_text, point_words, time_text

    best, spent = now.best, f"{now.asked}/{now.most}"
    left = f", {time_text(now.ends_s)} left" if now.ends_s is not None else ""
    reused = f" +{now.reused} reused" if now.reused else ""
    figures = f"; best {figures_text(best)}" if best is not None else ""
    accuracy = on_prompts(figures.partition(" (")[0], synthetic=now.synthetic and best is not None)
    figures = on_prompts(figures, synthetic=now.synthetic and best is not None)
    name = f": {point_words(best.point)}" if best is not None else ""
    forms = [
        f"  search {now.asked}/{counted(now.most, 'trial')}{reused}{left}{figures}{name}; trying on {now.prompts} ({now.by}): ",
        f"  search {spent}{reused}{left}{figures}; {now.by}: ",
        f"  search {spent}{reused}{left}{accuracy}; {now.by}: ",
        f"  {spent}{left}{accuracy}; ",
        f"  {spent}; ",
    ]
    least = (len(now.trying), *[min(len(now.trying), _LEAST_NAME)] * len(forms[1:]))
    fitting = (form for form, wanted in zip(forms, least, strict=True) if len(form) + wanted <= columns)
    form = next(fitting, forms[-1])
    return printable(form + _shortened(now.trying, columns - len(form)))


def _shortened(text: str, columns: int) -> str:
    return text if len(text) <= columns else text[: max(0, columns - 3)] + "..."
