"""What the reports tell of serving when sure: the newest calibration of each model, as text and as a figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from selfopt.home import counted
from selfopt.records import Calibration, Escalation, Ledger
from selfopt.words.escalation import SAMPLE_NAMES, answer_text, asked_text, cost_head, escalation_text, gaps_text, way_cost
from selfopt.words.thresholds import least_text, share_text

from . import svg
from .escalation import calibrated_prompts, chosen_point, shown_points, shown_sets, shown_ways
from .escape import code, safe_markdown
from .markdown import bullets, table
from .svg import LEFT, RIGHT, WIDTH, text

_TOP, _BOTTOM, _HEIGHT = 24.0, 172.0, 204


def newest_calibrations(ledger: Ledger) -> tuple[Calibration, ...]:
    """The newest calibration of each model and phase, in the order of their names."""
    newest = {(one.model, one.phase): one for one in ledger.read(Calibration)}
    return tuple(newest[key] for key in sorted(newest))


def calibrations_text(calibrations: Sequence[Calibration], pays: Callable[[Calibration], str | None]) -> list[str]:
    """The lines of the section on serving when sure. pays: when a calibrated model pays, where that is known."""
    lines: list[str] = []
    for one in calibrations:
        lines += [f"### {safe_markdown(one.model)} {one.phase}", ""]
        lines += [safe_markdown(f"{sentence}.", limit=1000) for sentence in (*answer_text(one), pays(one)) if sentence]
        lines += ["", *table(["confidence from", "served", "wrong", "wrong at most"], _rows(one)), ""]
        lines += [f"Fitted on {code(one.fitted_on)}, calibrated on {code(one.calibrated_on)}; {code(one.calibration_id)}.", ""]
    return lines[:-1] if lines else []


def _rows(one: Calibration) -> list[list[str]]:
    n, chosen = calibrated_prompts(one), chosen_point(one)
    return [
        [
            least_text(point.least) + (" (serves)" if point is chosen else ""),
            f"{share_text(point.served / n)} ({point.served})" if n else "-",
            f"{share_text(point.bad / point.served)} ({point.bad})" if point.served else "-",
            share_text(point.upper),
        ]
        for point in shown_points(one)
    ]


def calibration_figures(calibrations: Sequence[Calibration]) -> list[str]:
    """The risk-coverage curves, as HTML."""
    made = [
        f"<figure><figcaption>{text(one.model)} {text(one.phase)}: {text(asked_text(one))}</figcaption>{curve_svg(one)}</figure>"
        for one in calibrations
        if any(point.served for point in one.curve)
    ]
    if not made:
        return []
    reading = (
        "The line is the share of wrong answers among the served, the band its upper limit, the dotted line the share that may be wrong; "
        "a dot marks the threshold that serves. To the right more is served."
    )
    return [f"<p>{reading}</p>", f'<div class="figures">{"".join(made)}</div>']


def curve_svg(one: Calibration) -> str:
    """The share of wrong answers among the served, over the share that is served."""
    n = calibrated_prompts(one)
    points = [point for point in one.curve if point.served]
    most = min(1.0, max([one.max_bad_share, *(point.bad / point.served for point in points)]) * 1.5 + 0.05)
    x, y = svg.scale(0.0, 1.0, LEFT + 6, RIGHT - 6), svg.scale(0.0, most, _BOTTOM, _TOP + 8)
    line = [(x(point.served / n), y(point.bad / point.served)) for point in points]
    upper = [(x(point.served / n), y(min(most, point.upper))) for point in points]
    parts = [
        svg.path([*upper, *reversed(line)], "band", closed=True),
        svg.path(line, "for"),
        svg.line(x(0.0), y(one.max_bad_share), x(1.0), y(one.max_bad_share), "border"),
    ]
    chosen = chosen_point(one)
    if chosen is not None and chosen.served:
        parts.append(svg.dot(x(chosen.served / n), y(chosen.bad / chosen.served), "dot"))
    frame = [
        svg.label(LEFT, 12, f"wrong among the served; {share_text(one.max_bad_share)} may be wrong (dotted)", kind="head"),
        svg.line(LEFT, _TOP, LEFT, _BOTTOM, "axis"),
        svg.line(LEFT, _BOTTOM, RIGHT, _BOTTOM, "axis"),
        svg.label(LEFT - 4, y(most) + 4, f"{100 * most:.0f} %", anchor="end", kind="small"),
        svg.label(LEFT - 4, y(0.0) + 4, "0", anchor="end", kind="small"),
        svg.label(x(0.0), _BOTTOM + 14, "0", anchor="middle", kind="small"),
        svg.label(x(1.0), _BOTTOM + 14, "100 %", anchor="end", kind="small"),
        svg.label((LEFT + RIGHT) / 2, _BOTTOM + 28, "share of prompts that is served", anchor="middle", kind="small"),
    ]
    title = f"{text(one.model)}: wrong answers over served ones"
    head = f'<svg viewBox="0 0 {WIDTH:.0f} {_HEIGHT}" role="img" aria-label="{title}">'
    return "\n".join([head, f"<title>{title}</title>", *frame, *parts, "</svg>"])


def escalation_markdown(found: Escalation) -> tuple[list[str], list[str]]:
    """What is known of one calibration as lines of Markdown: the answer, and what a picture may come before."""
    told = escalation_text(found)
    missing = [safe_markdown(line, limit=1000) for one in found.samples for line in gaps_text(one)]
    answer = [safe_markdown(f"{told[0]}.", limit=1000), ""]
    answer += bullets([safe_markdown(f"{line}.", limit=1000) for line in told[1:]], "")
    rest = [
        "## What each threshold serves",
        "",
        *table(["confidence from", "served", "wrong", "wrong at most"], _rows(found.calibration)),
    ]
    for figures in found.figures:
        shown, more = shown_sets(figures)
        rows = [
            [safe_markdown(one.name), str(one.prompts), str(one.served), str(one.bad), safe_markdown(", ".join(one.tools))]
            for one in shown
        ]
        rest += [
            "",
            f"## Per tool set: {SAMPLE_NAMES[figures.sample]}",
            "",
            *table(["tool set", "prompts", "served", "wrong", "tools"], rows),
        ]
        rest += ["", f"And {counted(more, 'more tool set')}."] if more else []
    return answer, [*_beside(found), *rest, *(["", "## What is missing", "", *bullets(missing, "")] if missing else []), ""]


def _beside(found: Escalation) -> list[str]:
    """Each model alone, and both in turn."""
    lines: list[str] = []
    for figures in found.figures:
        rows = [
            [safe_markdown(name), safe_markdown(told), share_text(way.accuracy), f"{way.latency_s:.2f}", way_cost(way)]
            for name, told, way in shown_ways(figures, found.calibration)
        ]
        if rows:
            title = f"## Each alone and both in turn: {SAMPLE_NAMES[figures.sample]}"
            said = f"{counted(figures.paired, 'prompt')} that both answered."
            lines += [title, "", said, "", *table(["", "", "right", "seconds", safe_markdown(cost_head(found))], rows), ""]
    return lines
