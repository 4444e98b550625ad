"""`loop`: runs whole cycles, and previews the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from selfopt.errors import UnknownModelError, UsageError
from selfopt.home import InputFileError, read_input
from selfopt.loop import (
    Listener,
    LoopContext,
    LoopEvent,
    Target,
    baselines,
    effective_baseline,
    plan_of,
    present_feedback,
    run_cycles,
    spec_by_id,
)
from selfopt.loop.begin import why_not_continued
from selfopt.loop.candidates import describe_change, load_candidates
from selfopt.loop.cycle import candidates_for
from selfopt.measure.progress import Progress, ignore_progress
from selfopt.policy import heldout_claim
from selfopt.records import Cycle, CycleStart, Finding, SearchEnd, SearchStart, Spec, content_hash, sha256_hex
from selfopt.routing import diff
from selfopt.wiring.advising import require_adviser
from selfopt.wiring.app import App
from selfopt.wiring.holding import measuring
from selfopt.words.evidence import on_prompts
from selfopt.words.searches import frontier_text

from .bound_need import BoundNeed, bound_need
from .diagnosing import UNHEARD, loop_context
from .foretelling import CycleForecast, RaceOdds, foretell
from .measuring import phase_of
from .routing import rules_from

__all__ = [
    "CyclePreview",
    "Listener",
    "LoopEvent",
    "default_targets",
    "parse_target",
    "preview",
    "run_loop",
    "what_searches_found",
]


def parse_target(app: App, text: str) -> Target:
    """Read `--baseline "MODEL PHASE VARIANT"` as typed. The variant defaults to native_api."""
    words = text.split(maxsplit=2)
    if len(words) < 2:
        raise UsageError(
            f'--baseline got {text!r}: write "MODEL PHASE VARIANT", for example "local/smollm2-135m atomic native_api"'
        )
    model, phase = app.resolve_model(words[0]), phase_of(words[1])
    return Target(model, phase, app.standing_spec(model, phase, *words[2:]))


def default_targets(app: App) -> list[Target]:
    """Return every model and phase with a baseline in the ledger, else the settings' default.

    Raises:
        UnknownModelError: the settings no longer have the endpoint of one of them.
    """
    known = baselines(app.ledger) if app.has_ledger else {}
    if not known:
        return [parse_target(app, app.settings.loop.baseline)]
    for model, phase in sorted(known):
        try:
            app.resolve_model(model)
        except UnknownModelError as error:
            raise UnknownModelError(
                f'the ledger has a baseline for {model} {phase}, but: {error}; name what to work on with --baseline "MODEL PHASE VARIANT"'
            ) from None
    return [Target(model, phase) for model, phase in sorted(known)]


def _chosen(app: App, targets: Sequence[Target | str]) -> list[Target]:
    """Read the targets that are text. Without targets, return the default ones."""
    chosen = [parse_target(app, target) if isinstance(target, str) else target for target in targets]
    double = next((t for i, t in enumerate(chosen) if t.key in [other.key for other in chosen[:i]]), None)
    if double is not None:
        raise UsageError(f"--baseline names {double.model} {double.phase} twice: one baseline for each model and phase")
    return chosen or default_targets(app)


async def run_loop(
    app: App,
    targets: Sequence[Target | str],
    cycles: int = 1,
    candidates: Path | None = None,
    listener: Listener = UNHEARD,
    progress: Callable[[Progress], None] = ignore_progress,
    max_candidates: int | None = None,
    *,
    key: str | None = None,
) -> list[Cycle]:
    """Run whole cycles. Each later cycle starts from the baselines that the one before promoted.

    After an interruption, the same call continues the loop and returns all of its cycles. That
    holds until the listener has been told of them.

    Args:
        candidates: a file of candidates to try instead of proposed ones.
        max_candidates: overrides the setting.
        key: a name for this loop. A finished loop of this name is returned and not run again.

    Raises:
        LockedError: another measurement works in this home.
        BudgetError: a cap ended the loop early.
    """
    if cycles < 1:
        raise UsageError(f"--cycles got {cycles}: at least 1")
    chosen = _chosen(app, targets)
    app.require_ready({t.model for t in chosen})
    require_adviser(app, {t.model for t in chosen})
    asked = [(t.model, t.phase, t.baseline.spec_id if t.baseline else None) for t in chosen]
    # What is asked and whether it is searched counts, too: a loop on other suites is no answer to this one.
    on = [app.settings.suites.model_dump(mode="json"), app.settings.loop.search]
    what = key or [asked, cycles, sha256_hex(_text(candidates)) if candidates else None, max_candidates, on]
    app.home.ensure()
    with measuring(app, "loop", [t.model for t in chosen]):
        context = loop_context(app, listener, progress, max_candidates)
        if candidates is not None:
            chosen = [_with_candidates(app, context, t, candidates) for t in chosen]
        return await run_cycles(context, chosen, cycles, content_hash("loop", what), once=key is not None)


def what_searches_found(app: App, cycles: Sequence[Cycle]) -> list[str]:
    """What nothing beats among the points that the searches of these cycles looked at, in a few lines."""
    lines: list[str] = []
    for cycle in cycles:
        for start in app.ledger.read(SearchStart, {"cycle_id": cycle.cycle_id}):
            for end in app.ledger.read(SearchEnd, {"id": start.search_id}):
                if end.frontier:
                    told = f"{start.model} {start.phase}: no point beats these on search prompts, as they are estimated"
                    lines.append(f"{on_prompts(told, synthetic=start.synthetic)}:")
                    lines += [f"  {line}" for line in frontier_text(end.frontier)]
    return lines


_MAX_CANDIDATES_BYTES = 1_000_000


def _text(path: Path) -> str:
    try:
        return read_input(path, _MAX_CANDIDATES_BYTES)
    except InputFileError as error:
        raise UsageError(f"--candidates {path}: {error}; it should be a short YAML or JSON list") from None


def _with_candidates(app: App, context: LoopContext, target: Target, path: Path) -> Target:
    """Give a target the candidates of a file, without those equal to the baseline.

    Reads the file now, so that its errors show before the baseline is measured.
    """

    _text(path)

    def chosen(baseline: Spec) -> Sequence[Spec]:
        named = load_candidates(path, baseline, app.variants_for(baseline.endpoint), pass_over=True)
        return [context.rendered(spec) for spec in named]

    chosen(effective_baseline(context, target))
    return replace(target, candidates=chosen)


@dataclass(frozen=True, slots=True)
class CyclePreview:
    """What the next cycle would do.

    Attributes:
        targets: each with its baseline and its candidates (spec, what it changes).
        trials_deterministic: how many trials it takes if replies repeat themselves.
        trials_stochastic: how many it takes at most otherwise; a decided race ends earlier.
        rule_changes: what the present evidence changes in the rules, one line each.
        continues: number of the interrupted cycle that would continue.
        abandons: number of the interrupted cycle that would be given up.
        forecasts: one for each target if odds were given; None where nothing races.
        serving: what serving when sure would take.
        search_trials: how many trials a search for each target's candidates may take, which are counted
            in. 0: the candidates are known.
        max_candidates: how many candidates of a target are tried at most.
    """

    targets: tuple[tuple[Target, Spec, tuple[tuple[Spec, str], ...]], ...]
    trials_deterministic: int
    trials_stochastic: int
    rule_changes: tuple[str, ...]
    continues: int | None = None
    abandons: int | None = None
    forecasts: tuple[CycleForecast | None, ...] = ()
    serving: BoundNeed | None = None
    search_trials: int = 0
    max_candidates: int = 0


def preview(
    app: App,
    targets: Sequence[Target | str],
    candidates: Path | None = None,
    max_candidates: int | None = None,
    odds: RaceOdds | None = None,
) -> CyclePreview:
    """Plan the next cycle from the present ledger. Writes nothing and counts the whole cycle."""
    context = loop_context(app, max_candidates=max_candidates, read_only=True)
    chosen = _chosen(app, targets)
    if candidates is not None:
        chosen = [_with_candidates(app, context, t, candidates) for t in chosen]
    unfinished = context.unfinished_cycles(chosen)
    continued = [one for one in unfinished if why_not_continued(context, one, chosen) is None]
    interrupted, fits = next(iter([*continued, *unfinished]), None), bool(continued)
    wanted = context.settings.loop
    known = interrupted is not None and fits and plan_of(context.ledger, interrupted) is not None
    searches = wanted.search and candidates is None and not known and wanted.max_candidates > 0
    planned, foretold = [], []
    low = high = 0
    for target in chosen:
        baseline, pairs = _planned(context, target, interrupted) if fits else _proposed(context, target)
        pairs = [] if searches else pairs
        planned.append((target, baseline, tuple(pairs)))
        others = len({spec.request_id for spec, _ in pairs} - {baseline.request_id})
        exact, most = _trials(app, context, baseline, wanted.max_candidates if searches else others, some=searches or bool(pairs))
        asked = wanted.search_trials if searches else 0
        low, high = low + exact + asked, high + most + asked
        if odds is not None:
            foretold.append(foretell(app, context, baseline, wanted.max_candidates if searches else len(pairs), odds))
    number = interrupted.number if interrupted is not None else None
    return CyclePreview(
        tuple(planned),
        low,
        high,
        _rule_changes(app, context) if app.has_ledger else (),
        continues=number if fits else None,
        abandons=None if fits else number,
        forecasts=tuple(foretold),
        serving=bound_need(app, [(target.phase, app.suite_for(baseline)) for target, baseline, _ in planned]),
        search_trials=wanted.search_trials if searches else 0,
        max_candidates=wanted.max_candidates,
    )


def _trials(app: App, context: LoopContext, baseline: Spec, others: int, *, some: bool) -> tuple[int, int]:
    """Count a cycle's trials if replies repeat themselves, and at most if they do not.

    Args:
        others: how many candidates have requests of their own.
        some: whether there are candidates at all.
    """
    suite, runs = app.suite_for(baseline), app.settings.loop.n_runs
    prompts, heldout = len(suite.select(baseline.split)), len(suite.select("heldout"))
    sample = app.settings.loop.sample_of(prompts)
    requests = 1 + others
    if not context.settings.policy.evidence:
        return requests * (prompts + sample), requests * prompts * runs
    looks = 1 if some and heldout_claim(suite.scope, heldout) == "prompts_like_these" else 0
    races = (1 + looks) * context.settings.policy.race_trials + prompts if some else 0
    return requests * (prompts + sample) + looks * 2 * heldout, prompts * runs + sample + races


def _rule_changes(app: App, context: LoopContext) -> tuple[str, ...]:
    current = app.enforcer.load(repair_pending=False)
    if not app.settings.enforcement.enabled:
        return ()
    return tuple(change.describe() for change in diff(current, rules_from(app, present_feedback(context), current)))


def _planned(context: LoopContext, target: Target, interrupted: CycleStart | None) -> tuple[Spec, list[tuple[Spec, str]]]:
    """Return the baseline and the candidates of the interrupted cycle."""
    plan = plan_of(context.ledger, interrupted) if interrupted is not None else None
    known = plan or interrupted
    mine = next((t for t in known.targets if (t.model, t.phase) == target.key), None) if known is not None else None
    if mine is None:
        return _proposed(context, target)
    baseline = spec_by_id(context.ledger, mine.baseline_spec_id)
    if plan is None:
        return _proposed(context, replace(target, baseline=baseline))
    specs = [spec_by_id(context.ledger, i) for i in mine.candidate_spec_ids]
    return baseline, [(s, describe_change(baseline, s)) for s in specs]


def _proposed(context: LoopContext, target: Target) -> tuple[Spec, list[tuple[Spec, str]]]:
    """Return the baseline and the candidates that the present findings suggest."""
    baseline = effective_baseline(context, target)
    findings = context.ledger.read(Finding, {"model": target.model, "phase": target.phase})
    return baseline, candidates_for(context, target, baseline, [f for f in findings if f.spec_id == baseline.spec_id])
