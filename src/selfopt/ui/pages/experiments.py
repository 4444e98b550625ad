"""Experiments: cycles and their races as they run, candidates, searches, cost, and replies beside each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from selfopt.errors import UsageError
from selfopt.ui.ages import age
from selfopt.ui.asked import Asked, Page, PageAnswer, PageError, Route

from .models import whole
from .past_checks import listed, show_past_check

if TYPE_CHECKING:
    from selfopt.report import Course
    from selfopt.verbs.experiments import OpenedSearch
    from selfopt.verbs.measured import MeasuredFacts
    from selfopt.verbs.opening import App

PER_PAGE = 10
MEASURED = 20
SHOWN_CHARS = 6_000


async def show(asked: Asked) -> PageAnswer:
    """Draw the list of cycles; htmx gets the part that changes."""
    told = await asked.site.in_thread(_experiments, asked.site.app, asked)
    if asked.fragment:
        return _part(asked, "parts/cycles.html", told)
    return asked.site.page(asked, "experiments.html", **told)


def _experiments(app: App, asked: Asked) -> dict[str, Any]:
    from selfopt.verbs.experiments import experiments
    from selfopt.verbs.measured import every_measured
    from selfopt.words.experiments import experiments_sentence

    page = whole(asked.query.one("page"), 1, 1)
    found = experiments(app, skip=(page - 1) * PER_PAGE, most=PER_PAGE)
    measured = tuple(reversed(every_measured(app)[-MEASURED:]))
    promoted = sum(one.state == "promoted" for cycle in found.cycles for work in cycle.targets for one in work.candidates)
    return {
        "title": "Experiments",
        "active": "experiments",
        "answer": experiments_sentence(found.total, promoted, found.running),
        "tone": "good" if promoted or found.running else "calm",
        "found": found,
        "state": _state(found),
        "measured": measured,
        "left": _other(measured),
        **listed(app),
        "page_number": page,
        "page_count": max(1, -(-found.total // PER_PAGE)),
        "age": age,
    }


def _other(measured: Sequence[MeasuredFacts]) -> str:
    """What the newest evaluation is first compared with: the newest of another spec on the same prompts, else itself."""
    if not measured:
        return ""
    newest = measured[0]
    same = (one for one in measured[1:] if (one.suite_hash, one.split) == (newest.suite_hash, newest.split))
    return next((one for one in same if one.spec_id != newest.spec_id), newest).evaluation_id


async def show_cycle(asked: Asked) -> PageAnswer:
    """Draw one cycle; htmx gets the part that changes."""
    told = await asked.site.in_thread(_cycle, asked.site.app, whole(asked.parts["number"]))
    if asked.fragment:
        return _part(asked, "parts/cycle.html", told)
    return asked.site.page(asked, "cycle.html", **told)


def _part(asked: Asked, template: str, told: dict[str, Any]) -> PageAnswer:
    """A part of a page, or nothing where it has not changed: what a reader points at stays where it is."""
    if asked.query.one("seen") == told["state"]:
        return PageAnswer(status=204)
    return asked.site.fragment(asked, template, **told)


def _state(*facts: object) -> str:
    """A short name of facts, which changes with them."""
    return sha256(repr(facts).encode("utf-8", "replace")).hexdigest()[:16]


def _cycle(app: App, number: int) -> dict[str, Any]:
    from selfopt.verbs.experiment_cost import cycle_cost
    from selfopt.verbs.experiments import one_experiment
    from selfopt.words.experiments import race_sentence, standing_sentence
    from selfopt.words.searches import ended_text, figures_text, objective_text, part_text, point_words, rating_text

    try:
        found = one_experiment(app, number)
    except UsageError as error:
        raise PageError(404, f"There is no cycle {number}", str(error)) from None
    cost = cycle_cost(app, found.experiment.cycle_id)
    return {
        "title": f"Cycle {number}",
        "active": "experiments",
        "found": found,
        "state": _state(found, cost),
        "cost": cost,
        "currency": app.settings.currency,
        "race_sentence": race_sentence,
        "standing_sentence": standing_sentence,
        "evidence_chart": evidence_chart,
        "search_chart": search_chart,
        "best_of": lambda one: (
            one.end.ranking[0] if one.end and one.end.ranking else one.batches[-1].best if one.batches else None
        ),
        "way_ended": ended_text,
        "figures_text": figures_text,
        "objective_text": objective_text,
        "part_text": part_text,
        "point_words": point_words,
        "rating_text": rating_text,
        "age": age,
    }


def evidence_chart(course: Course) -> dict[str, Any]:
    """The evidence on one candidate over the trials, with its borders, as powers of ten. Below 1/100 it runs along the edge."""
    points = course.points

    def line(label: str, tone: str, logs: Sequence[float | None], dash: bool = False) -> dict[str, Any]:
        powers = [None if log is None else round(max(log / log_of_ten, -2.0), 3) for log in logs]
        return {"label": label, "values": powers, "tone": tone, "dash": dash}

    log_of_ten = math.log(10)
    lines = [
        line("for it", "accent", [point.log_e for point in points]),
        line("enough for it", "good", [course.log_e_needed] * len(points), dash=True),
    ]
    if course.log_f_needed is not None:
        lines += [
            line("against it", "attention", [point.log_f for point in points]),
            line("enough against it", "bad", [course.log_f_needed] * len(points), dash=True),
        ]
    return {"numbers": course.unit, "powers": True, "x": [point.trials for point in points], "lines": lines}


def search_chart(search: OpenedSearch) -> dict[str, Any]:
    """What the best point so far is thought to be worth, over the trials of a search."""
    trials, done = [], 0
    for batch in search.batches:
        done += len(batch.trial_ids)
        trials.append(done)
    values = [round(batch.best.value, 4) for batch in search.batches]
    return {
        "numbers": "trials",
        "x": trials,
        "lines": [{"label": "best so far", "values": values, "tone": "accent"}],
        "range": [0, 1],
    }


async def show_decision(asked: Asked) -> PageAnswer:
    """Draw one decision: what is claimed, how sure that is, and what every gate saw."""
    return asked.site.page(asked, "decision.html", **await asked.site.in_thread(_decision, asked.site.app, asked.parts["id"]))


def _decision(app: App, decision_id: str) -> dict[str, Any]:
    from selfopt.verbs.deciding import explained_decision
    from selfopt.words.decisions import GATES, REASONS

    try:
        decision, account, _ = explained_decision(app, decision_id)
    except UsageError as error:
        raise PageError(404, "There is no such decision", str(error)) from None
    reasons = [REASONS.get(code, code) for code in decision.reason_codes]
    return {
        "title": decision.candidate_variant or decision.candidate_spec_id,
        "active": "experiments",
        "decision": decision,
        "account": account,
        "reasons": reasons,
        "gates": GATES,
        "pair": _pair_of(decision.evaluation_ids),
        "age": age,
    }


def _pair_of(evaluation_ids: Sequence[str]) -> tuple[str, str] | None:
    """The baseline's evaluation and the candidate's, which comes first in a decision."""
    return (evaluation_ids[1], evaluation_ids[0]) if len(evaluation_ids) == 2 else None


async def show_comparison(asked: Asked) -> PageAnswer:
    """Draw two evaluations prompt by prompt."""
    return asked.site.page(asked, "compare.html", **await asked.site.in_thread(_comparison, asked.site.app, asked))


def _comparison(app: App, asked: Asked) -> dict[str, Any]:
    from selfopt.verbs.prompt_pairs import PAIR_FILTERS, comparable_with, prompt_pairs
    from selfopt.words.calls import call_text, expected_text, reading_notes
    from selfopt.words.experiments import pairs_sentence

    left, right = asked.query.one("left"), asked.query.one("right")
    shown = next((name for name in PAIR_FILTERS if name == asked.query.one("show", "differs")), None)
    if shown is None:
        raise PageError(400, "There is no such filter", f"Show one of {', '.join(PAIR_FILTERS)}.")
    try:
        found = prompt_pairs(app, left, right, shown=shown, page=whole(asked.query.one("page"), 1, 1))
    except UsageError as error:
        raise PageError(404, "These can't be compared", str(error)) from None
    alone = found.left.evaluation_id == found.right.evaluation_id
    return {
        "title": "Prompt by prompt",
        "active": "experiments",
        "found": found,
        "alone": alone,
        "answer": pairs_sentence(found.better, found.worse, found.alike, found.one_sided),
        "filters": [name for name in PAIR_FILTERS if not alone or name != "differs"],
        "others": comparable_with(app, found.left),
        "call_text": call_text,
        "expected_text": expected_text,
        "reading_notes": reading_notes,
        "most_chars": SHOWN_CHARS,
        "age": age,
    }


async def show_trial(asked: Asked) -> PageAnswer:
    """Draw everything about one trial, as `selfopt show` does."""
    return asked.site.page(asked, "trial.html", **await asked.site.in_thread(_trial, asked.site.app, asked.parts["id"]))


def _trial(app: App, trial_id: str) -> dict[str, Any]:
    from selfopt.verbs.showing import shown_trial
    from selfopt.words.calls import call_text, expected_text, reading_notes, tool_text

    try:
        found = shown_trial(app, trial_id)
    except UsageError as error:
        raise PageError(404, "There is no such trial", str(error)) from None
    own = found.spec.variant.parser_hash
    verdicts = sorted(found.verdicts, key=lambda verdict: verdict.parser_hash != own)
    return {
        "title": f"Trial of {found.trial.prompt_id}",
        "active": "experiments",
        "found": found,
        "own": own,
        "verdict": verdicts[0] if verdicts else None,
        "call_text": call_text,
        "expected_text": expected_text,
        "reading_notes": reading_notes,
        "tool_text": tool_text,
        "most_chars": 4 * SHOWN_CHARS,
        "age": age,
    }


async def show_check(asked: Asked) -> PageAnswer:
    """Draw whether a trial is as it was committed, as a part of the page: a long ledger takes a while."""
    faults = await asked.site.in_thread(_check, asked.site.app, asked.parts["id"])
    return asked.site.fragment(asked, "parts/trial_check.html", faults=faults)


def _check(app: App, trial_id: str) -> list[str]:
    from selfopt.verbs.showing import shown_faults, shown_trial

    try:
        return [fault.sentence() for fault in shown_faults(app, shown_trial(app, trial_id))]
    except UsageError as error:
        raise PageError(404, "There is no such trial", str(error)) from None


PAGE = Page(
    "experiments",
    "Experiments",
    "/experiments",
    "e",
    (
        Route("/experiments", show),
        Route("/experiments/compare", show_comparison),
        Route("/experiments/cycle/{number}", show_cycle),
        Route("/experiments/decision/{id}", show_decision),
        Route("/experiments/check/{id}", show_past_check),
        Route("/experiments/trial/{id}", show_trial),
        Route("/experiments/trial/{id}/check", show_check),
    ),
)
