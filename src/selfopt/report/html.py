"""SELF_OPTIMIZING_REPORT.html: what may serve, a picture, prompt by prompt, and the evidence behind it.

The page has no scripts and loads nothing. Its evidence says what the Markdown report says, with figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from selfopt.home import counted
from selfopt.records import Decision, Escalation
from selfopt.words.decisions import REASONS
from selfopt.words.evidence import CLAIMS, on_prompts
from selfopt.words.kinds import VERDICTS, plain
from selfopt.words.rules import when_text
from selfopt.words.serving import ServingState
from selfopt.words.thresholds import verdict_text

from .blocks import blocks, inline
from .calibrations import calibration_figures, escalation_markdown
from .gather import ReportData
from .pages import render
from .picture import LEGEND, picture_rows
from .prompt_rows import PromptList
from .race_figures import Course, GainBar, course_svg, gains_svg
from .search_figures import search_figures
from .standings import ServingStanding, headline, standings
from .summary import as_of, damage, sections
from .svg import text

_TONES: dict[ServingState, str] = {
    "serves": "good",
    "when_sure": "attention",
    "replaced": "bad",
    "refused": "bad",
    "undecided": "calm",
}
_DECISIONS = 30
_VERDICT_TONES = {"promote": "good", "hold": "attention", "reject": "bad"}
_PASSED = {True: "passed", False: "not passed", None: "no data"}
_STEPS, _LISTED = "Next steps", "Evidence"


@dataclass(frozen=True, slots=True)
class _Told:
    """A standing as it is shown."""

    sentence: str
    details: Sequence[str]
    tone: str
    finer: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Gate:
    name: str
    saw: str
    needs: str
    passed: str
    words: str


@dataclass(frozen=True, slots=True)
class _Decided:
    """A decision as it is shown."""

    decision_id: str
    name: str
    about: str
    verdict: str
    tone: str
    whys: Sequence[str]
    gates: Sequence[_Gate]
    at: str


def report_html(data: ReportData, courses: Sequence[Course] = (), prompts: Sequence[PromptList] = ()) -> str:
    """The page. Equal inputs give equal text, and nothing in it is active, whatever models wrote.

    Args:
        courses: the candidates of the newest races.
        prompts: of each model and phase.
    """
    found = standings(data)
    parts = dict(sections(data))
    steps, listed = parts.pop(_STEPS), parts.pop(_LISTED, [])
    figures = {
        "Improvements made": lambda: _figures(data, courses),
        "Searches": lambda: search_figures(data.searches),
        "Serving when sure": lambda: calibration_figures(data.calibrations),
    }
    evidence = [
        (title, _html([blocks(body, level_by=1), *(figures[title]() if title in figures else [])]))
        for title, body in parts.items()
    ]
    rows = picture_rows(found)
    decided = [_decided(one) for one in list(data.decisions.values())[: -_DECISIONS - 1 : -1]]
    places = [("serving", "What may serve"), *([("picture", "Picture")] if rows else []), ("steps", "What to do next")]
    places += [*([("prompts", "Prompt by prompt")] if prompts else []), ("evidence", "Evidence")]
    return render(
        "report.html",
        title=f"Self-optimizing report: {headline(found)}",
        headline=headline(found),
        as_of=_html([inline(as_of(data))]),
        places=[*places, ("auditors", "For auditors"), ("terms", "Terms")],
        damage=_html([blocks(damage(data))]) if data.faults else "",
        standings=[_told(data, one) for one in found],
        nothing=_html([inline(as_of(data))]),
        bars=[(row.name, row.told, _html([row.strip])) for row in rows],
        legend=[(_html([sign]), words) for sign, words in LEGEND[0 if any(one.before for one in found) else 1 :]],
        steps=_html([blocks(steps)]),
        prompts=prompts,
        evidence=evidence,
        decided=decided,
        audited=[("Evaluations", _html([blocks(listed)]))] if listed else [],
    )


def escalation_html(found: Escalation) -> str:
    """The page of `selfopt escalation --html`. Nothing in it is active."""
    answer, rest = escalation_markdown(found)
    return render(
        "escalation.html",
        title=f"{found.calibration.model} {found.calibration.phase}",
        tone="good" if found.calibration.serve_when is not None else "attention",
        answer=_html([blocks(answer)]),
        figures=_html(calibration_figures([found.calibration])),
        rest=_html([blocks(rest)]),
    )


def _html(parts: Sequence[str]) -> Any:
    """Parts that this room has made and escaped."""
    from markupsafe import Markup

    return Markup("\n".join(parts))


def _told(data: ReportData, one: ServingStanding) -> _Told:
    finer = [f"{when_text(rule.when, data.set_names)}: {verdict_text(rule)}" for rule in one.finer if rule.when is not None]
    known = one.after.metrics if one.after is not None else None
    weak = one.state == "serves" and (known is None or known.accuracy <= known.silent.accuracy)
    return _Told(one.sentence, one.details, "attention" if weak else _TONES[one.state], finer)


def _decided(one: Decision) -> _Decided:
    gain = [] if one.estimate is None else [f"the gain is {one.estimate * 100:+.1f} points"]
    gates = [
        _Gate(
            plain(gate.name),
            _value(gate.observed),
            _value(gate.threshold),
            _PASSED[gate.passed] + ("" if gate.binding else " (advice)"),
            gate.detail or REASONS.get(gate.reason_code, plain(gate.reason_code)),
        )
        for gate in one.gates
    ]
    claim = f"it claims: {on_prompts(CLAIMS[one.claim], synthetic=one.synthetic)}"
    whys = [*(REASONS.get(code, plain(code)) for code in one.reason_codes), *gain, claim]
    name = one.candidate_variant or one.candidate_spec_id
    about = f"{one.model} {one.phase}, {counted(len(one.gates), 'gate')}"
    return _Decided(one.decision_id, name, about, VERDICTS[one.verdict], _VERDICT_TONES[one.verdict], whys, gates, one.at)


def _value(value: float | str | None) -> str:
    return "no data" if value is None else value if isinstance(value, str) else f"{value:.4g}"


def _figures(data: ReportData, courses: Sequence[Course]) -> list[str]:
    """What each candidate gained, once, and how the newest races went."""
    made = []
    for (model, phase), bars in _bars(data).items():
        made.append(
            f"<figure><figcaption>{text(model)} {text(phase)}: gain over the baseline</figcaption>{gains_svg(bars)}</figure>"
        )
    for course in courses:
        where = f"cycle {course.cycle}, " if course.cycle is not None else ""
        kind = on_prompts("held-out prompts" if course.purpose == "heldout" else "search prompts", synthetic=course.synthetic)
        caption = f"{where}{text(course.model)} {text(course.phase)}, {kind}: <b>{text(course.name)}</b>, {text(course.ended)}"
        made.append(f"<figure><figcaption>{caption}</figcaption>{course_svg(course)}</figure>")
    if not made:
        return []
    reading = "A dot is the gain over the baseline, a line where the true gain lies; without a line the figure is exact for these prompts."
    if courses:
        reading += (
            " Over trials and held-out prompts, E grows while a candidate does better than the baseline, F while it does not; the first to "
            "reach its border decides, and neither is fooled by looking often. The band is where the true gain lies."
        )
    return ["<h4>Evidence over trials</h4>", f"<p>{reading}</p>", f'<div class="figures">{"".join(made)}</div>']


def _bars(data: ReportData) -> dict[tuple[str, str], list[GainBar]]:
    """The newest decision about each candidate of a model and phase."""
    found: dict[tuple[str, str], dict[str, GainBar]] = {}
    for target in (target for cycle in data.cycles for target in cycle.targets):
        for candidate in target.candidates:
            decision = data.decisions.get(candidate.decision_id)
            if decision is not None and decision.estimate is not None:
                note = on_prompts(f"{VERDICTS[decision.verdict]}, {CLAIMS[decision.claim]}", synthetic=decision.synthetic)
                bar = GainBar(candidate.changed or candidate.variant, decision.estimate, decision.interval, note)
                found.setdefault((target.model, target.phase), {})[candidate.spec_id] = bar
    return {key: list(bars.values()) for key, bars in found.items()}
