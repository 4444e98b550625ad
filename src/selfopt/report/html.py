"""SELF_OPTIMIZING_REPORT.html: the Markdown report as one page, with figures of the evidence.

The page has no scripts and loads nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from selfopt.records import CycleTargetResult, Escalation
from selfopt.words.evidence import CLAIMS, on_prompts

from .calibrations import calibration_figures, escalation_markdown
from .gather import ReportData
from .race_figures import Course, GainBar, course_svg, gains_svg
from .search_figures import search_figures
from .summary import report_text
from .svg import text

_FIGURES_AFTER = "## Warm-up impact"
_CYCLES = 3
_ENTITY = re.compile(r"&(?!#\d+;)")
_SHARE = re.compile(r"[\d.]{1,9} %(?: \(\d{1,9}\))?")
_CODE = re.compile(r"`([^`]*)`")

_STYLE = """
:root { --ink: #1b1b1b; --faint: #6b6b6b; --paper: #fff; --for: #1558b0; --against: #b85a00; --band: #cfe0f5; --rule: #d5d5d5; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #e8e8e8; --faint: #a5a5a5; --paper: #16181b; --for: #7fb2ff; --against: #ffae5e; --band: #24384f; --rule: #3a3d42; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 60rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; } h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; }
code { font: .9em ui-monospace, monospace; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; overflow-wrap: normal; }
th, td { text-align: left; vertical-align: top; padding: .25rem .6rem .25rem 0; border-bottom: 1px solid var(--rule); min-width: 3.5rem; }
.n { white-space: nowrap; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(20rem, 100%), 1fr)); gap: 1rem 2rem; }
figure { margin: 0; break-inside: avoid; } figcaption { font-size: .9rem; margin-bottom: .3rem; }
svg { width: 100%; max-width: 32rem; height: auto; display: block; font-size: 11px; }
svg text { fill: var(--ink); } svg .small { fill: var(--faint); font-size: 10px; }
svg path, svg line { fill: none; stroke: var(--ink); stroke-width: 1; }
svg .axis { stroke: var(--faint); } svg .border { stroke: var(--ink); stroke-dasharray: 1 3; }
svg .for { stroke: var(--for); stroke-width: 2; } svg .against { stroke: var(--against); stroke-width: 2; stroke-dasharray: 5 3; }
svg .band { fill: var(--band); stroke: none; } svg .interval { stroke: var(--for); stroke-width: 3; } svg .dot { fill: var(--for); } svg .against-dot { fill: var(--against); } svg .other { fill: var(--faint); opacity: .6; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; } .wide { overflow: visible; } table { font-size: 7.5pt; }
  th, td { min-width: 0; } td code { overflow-wrap: anywhere; } tr { break-inside: avoid; } h2, h3 { break-after: avoid; }
  svg { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""


def report_html(data: ReportData, courses: Sequence[Course] = ()) -> str:
    """The page. Equal inputs give equal text, and nothing in it is active, whatever models wrote.

    Args:
        courses: the candidates of the newest races.
    """
    body: list[str] = []
    for title, lines in _sections(report_text(data)):
        if title == _FIGURES_AFTER:
            body += _figures(data, courses)
        body += _blocks(lines)
        if title == "## Searches":
            body += search_figures(data.searches)
        if title == "## Serving when sure":
            body += calibration_figures(data.calibrations)
    return page("Self-Optimizing Report", body)


def escalation_html(found: Escalation) -> str:
    """The page of `selfopt escalation --html`. Nothing in it is active."""
    title = f"{found.calibration.model} {found.calibration.phase}: serving when sure"
    answer, rest = escalation_markdown(found)
    body = [f"<h1>{text(title)}</h1>", *_blocks(answer), *calibration_figures([found.calibration]), *_blocks(rest)]
    return page(title, body)


def page(title: str, body: Sequence[str]) -> str:
    """A page without scripts that loads nothing. The caller escapes the body."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title>",
            f"<style>{_STYLE}</style>",
            "</head>",
            "<body>",
            *body,
            "</body>",
            "</html>",
            "",
        ]
    )


def _sections(markdown: str) -> Iterable[tuple[str, list[str]]]:
    """The heading and the lines of each section. The lines include the heading."""
    found: list[tuple[str, list[str]]] = []
    for line in markdown.splitlines():
        if not found or line.startswith("## "):
            found.append((line, []))
        found[-1][1].append(line)
    return found


def _blocks(lines: Sequence[str]) -> list[str]:
    """Turns the Markdown subset of our reports into HTML. Anything else is shown literally."""
    made: list[str] = []
    kind, held = "", list[str]()

    def close() -> None:
        if kind == "list":
            made.append(f"<ul>{''.join(f'<li>{_inline(line[2:])}</li>' for line in held)}</ul>")
        elif kind == "table":
            made.append(_table(held))
        elif kind == "text":
            made.append(f"<p>{_inline(' '.join(held))}</p>")
        held.clear()

    for line in [*lines, ""]:
        level = len(line) - len(line.lstrip("#"))
        now = "list" if line.startswith("- ") else "table" if line.startswith("|") else "text" if line.strip() else ""
        if now != kind or level:
            close()
            kind = now
        if 0 < level <= 3 and line[level : level + 1] == " ":
            made.append(f"<h{level}>{_inline(line[level + 1 :])}</h{level}>")
            kind = ""
        elif now:
            held.append(line)
    return made


def _table(lines: Sequence[str]) -> str:
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    head = "".join(f"<th>{_inline(cell)}</th>" for cell in rows[0])
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows[2:])
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(markdown: str) -> str:
    return f"<td{' class=n' if _SHARE.fullmatch(markdown) else ''}>{_inline(markdown)}</td>"


def _inline(markdown: str) -> str:
    """Escapes a line, except for entities that were escaped before, and marks up code in backticks."""
    safe = _ENTITY.sub("&amp;", markdown).replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")
    return _CODE.sub(r"<code>\1</code>", safe.replace("-&gt;", "&rarr;"))


def _figures(data: ReportData, courses: Sequence[Course]) -> list[str]:
    """The figures: what each candidate of the newest cycles gained, and how the newest races went."""
    made = []
    for cycle in list(reversed(data.cycles))[:_CYCLES]:
        for target in cycle.targets:
            if bars := _bars(data, target):
                caption = f"cycle {cycle.number}, {text(target.model)} {target.phase}: gain over {text(target.baseline_variant)}"
                made.append(f"<figure><figcaption>{caption}</figcaption>{gains_svg(bars)}</figure>")
    for course in courses:
        where = f"cycle {course.cycle}, " if course.cycle is not None else ""
        prompts = on_prompts("held-out prompts" if course.purpose == "heldout" else "search prompts", synthetic=course.synthetic)
        caption = f"{where}{text(course.model)} {text(course.phase)}, {prompts}: <b>{text(course.name)}</b>, {text(course.ended)}"
        made.append(f"<figure><figcaption>{caption}</figcaption>{course_svg(course)}</figure>")
    if not made:
        return []
    reading = "A dot is the gain over the baseline, a line where the true gain lies; without a line the figure is exact for these prompts."
    if courses:
        reading += (
            " Over trials and held-out prompts, E grows while a candidate does better than the baseline, F while it does not; the first to "
            "reach its border decides, and neither is fooled by looking often. The band is where the true gain lies."
        )
    return ["<h2>Evidence over trials</h2>", f"<p>{reading}</p>", f'<div class="figures">{"".join(made)}</div>']


def _bars(data: ReportData, target: CycleTargetResult) -> list[GainBar]:
    found = []
    for candidate in target.candidates:
        decision = data.decisions.get(candidate.decision_id)
        if decision is not None and decision.estimate is not None:
            note = on_prompts(f"{decision.verdict}, {CLAIMS[decision.claim]}", synthetic=decision.synthetic)
            found.append(GainBar(candidate.changed or candidate.variant, decision.estimate, decision.interval, note))
    return found
