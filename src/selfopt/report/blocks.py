"""Turns the Markdown subset of our reports into HTML. Anything else is shown literally."""

from __future__ import annotations

import re
from collections.abc import Sequence

from selfopt.words.terms import TERMS

from .pages import SHOWN_TERMS, short_id, slug

_ENTITY = re.compile(r"&(?!#\d+;)")
_COLUMNS = 4  # that a phone has room for; the rows of a wider table are cards there
_SHARE = re.compile(r"[\d.]{1,9} %(?: \(\d{1,9}\))?")
_CODE = re.compile(r"`([^`]*)`")
_EVALUATION = re.compile(r"E\d{1,4}")
_REFERENCES = re.compile(r"(?<![\w/.=-])E\d{1,4}(?![\w/.=-])")


def blocks(lines: Sequence[str], *, level_by: int = 0) -> str:
    """The HTML of lines of Markdown. level_by: how much deeper its headings are here."""
    made: list[str] = []
    kind, held = "", list[str]()

    def close() -> None:
        if kind == "list":
            made.append(f"<ul>{''.join(f'<li>{inline(line[2:])}</li>' for line in held)}</ul>")
        elif kind == "table":
            made.append(_table(held))
        elif kind == "text":
            made.append(f"<p>{inline(' '.join(held))}</p>")
        held.clear()

    for line in [*lines, ""]:
        level = len(line) - len(line.lstrip("#"))
        now = "list" if line.startswith("- ") else "table" if line.startswith("|") else "text" if line.strip() else ""
        if now != kind or level:
            close()
            kind = now
        if 0 < level <= 3 and line[level : level + 1] == " ":
            made.append(f"<h{level + level_by}>{inline(line[level + 1 :])}</h{level + level_by}>")
            kind = ""
        elif now:
            held.append(line)
    return "\n".join(made)


def _table(lines: Sequence[str]) -> str:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    head = "".join(f"<th>{_head(cell)}</th>" if cell else "<td></td>" for cell in rows[0])
    labels = [f' data-label="{_safe(cell)}"' if cell and len(rows[0]) > _COLUMNS else "" for cell in rows[0]]
    body = "".join(f"<tr{_place(row[0])}>{''.join(map(_cell, row, labels))}</tr>" for row in rows[2:])
    kind = "table cards" if len(rows[0]) > _COLUMNS else "table"
    # Who has no mouse can scroll what has the focus.
    return f'<div class="table-wrap" tabindex="0"><table class="{kind}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _place(first: str) -> str:
    return f' id="{first}"' if _EVALUATION.fullmatch(first) else ""


def _head(cell: str) -> str:
    """A heading that is a term leads to what it means."""
    if cell in SHOWN_TERMS:
        return f'<a class="term" href="#term-{slug(cell)}" title="{_safe(TERMS[cell])}">{inline(cell)}</a>'
    return inline(cell)


def _cell(markdown: str, label: str) -> str:
    return f"<td{label}{' class=nowrap' if _SHARE.fullmatch(markdown) else ''}>{inline(markdown)}</td>"


def _safe(markdown: str) -> str:
    """Escapes a text, except for entities that were escaped before."""
    safe = _ENTITY.sub("&amp;", markdown).replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return safe.replace("-&gt;", "&rarr;")


def inline(markdown: str) -> str:
    """The HTML of a line: code in backticks, with ids by their ends, and numbers of evaluations as links to their rows."""
    parts = _CODE.split(_safe(markdown))
    return "".join(_code(part) if n % 2 else _REFERENCES.sub(r'<a href="#\g<0>">\g<0></a>', part) for n, part in enumerate(parts))


def _code(name: str) -> str:
    shown = short_id(name)
    return f"<code>{name}</code>" if shown == name else f'<code title="{name}">{shown}</code>'
