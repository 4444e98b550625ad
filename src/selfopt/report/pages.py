"""Makes pages from templates: one file each, which loads nothing and runs nothing.

Whatever is put into a template is escaped, unless this room has made it as HTML.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING

from selfopt.words.terms import TERMS

from .escape import safe_terminal

if TYPE_CHECKING:
    from jinja2 import Environment

SHOWN_TERMS = (
    "accuracy", "call accuracy", "restraint", "silent", "always calling", "interval", "p50", "first call", "phase", "suite",
    "held-out prompts", "search prompts", "synthetic", "variant", "spec", "baseline", "candidate", "gain", "race", "evidence",
    "chance of error", "gate", "decision", "cycle", "rule", "fallback", "warm-up", "confidence", "threshold", "trial", "run",
    "evaluation", "finding", "ledger", "audit trail",
)  # fmt: skip
"""The words that a report explains."""
_LINE_MAX = 400
_SHORT = 8  # characters at the end of an id by which commands find it
_ID = re.compile(r"[a-z]+-[0-9a-z]{16,64}|[0-9a-f]{32,64}")


def look_css() -> str:
    """The look that the reports share with the pages of `selfopt ui`."""
    return _static("look.css")


def render(template: str, **values: object) -> str:
    """The page of a template. Equal values give equal text."""
    from markupsafe import Markup

    css = "".join(files(__package__).joinpath("static", name).read_text("utf-8") for name in ("look.css", "report.css"))
    return _environment().get_template(template).render(css=Markup(css), **values) + "\n"


def _static(name: str) -> str:
    return files(__package__).joinpath("static", name).read_text("utf-8")


@cache
def _environment() -> Environment:
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    def load(name: str) -> str:
        return files(__package__).joinpath("templates", name).read_text("utf-8")

    made = Environment(
        loader=FunctionLoader(load),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.filters.update(line=line, lines=lines, slug=slug, short=short_id)
    made.globals["terms"] = {word: TERMS[word] for word in SHOWN_TERMS}
    return made


def line(text: str, limit: int = _LINE_MAX) -> str:
    """A text of unknown origin as one line, without control characters, and `->` as an arrow. It is not HTML yet.

    No line breaks before a percent sign.
    """
    return safe_terminal(text, limit=limit).replace("->", "\u2192").replace(" %", "\u00a0%")


def lines(text: str) -> str:
    """A text of unknown origin with its lines. It is not HTML yet."""
    return "\n".join(safe_terminal(part, limit=None) for part in text.split("\n"))


def slug(words: str) -> str:
    """A term as the name of a place in a page."""
    return re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")


def short_id(name: str) -> str:
    """An id or hash by its kind and its end, by which commands find it; other names as they are."""
    if not _ID.fullmatch(name):
        return name
    kind, dash, rest = name.rpartition("-")
    return f"{kind}{dash}\u2026{rest[-_SHORT:]}"
