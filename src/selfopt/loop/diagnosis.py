"""Runs the feedback stage with reference suites, fallbacks and what the rules serve with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from selfopt.feedback import FeedbackOptions, ReferenceSuite, analyze
from selfopt.measure.lookup import find
from selfopt.records import Environment, Evaluation, Feedback, Phase, Remedy, Spec, WarmUpExperiment

from .context import Key, LoopContext, search_split
from .escalating import banned_calibrations, calibrations_in_use
from .remedies import withdrawn_remedies
from .store import baselines, evaluations

_PHASES: tuple[Phase, Phase] = ("atomic", "extended")


def present_feedback(context: LoopContext) -> Feedback:
    """Findings and recommendations from everything measured so far. Writes nothing."""
    ledger = context.ledger
    return diagnose(context, evaluations(ledger), baselines(ledger), withdrawn_remedies(ledger))


def diagnose(
    context: LoopContext,
    found: Sequence[Evaluation],
    known: Mapping[Key, str],
    withdrawn: frozenset[Remedy] = frozenset(),
) -> Feedback:
    """Findings and recommendations from evaluations.

    Args:
        known: the baselines, by model and phase.
        withdrawn: remedies that did not help, which are not recommended again.
    """
    settings = context.settings
    options = FeedbackOptions(
        now=context.now(),
        is_local=settings.is_local,
        references={phase: _reference(context, phase) for phase in _PHASES},
        thresholds=settings.policy,
        fallbacks={phase: _fallbacks(context, phase, known) for phase in _PHASES},
        baselines=known,
        served=_served(context, known),
        allow_remote=settings.allow_remote,
        withdrawn=withdrawn,
        environments={e.environment_id: e for e in context.ledger.read(Environment)},
        experiments=tuple(context.ledger.read(WarmUpExperiment)),
        one_name=settings.one_name,
        calibrations=calibrations_in_use(context),
        banned_calibrations=banned_calibrations(context),
    )
    return analyze(found, options)


def _reference(context: LoopContext, phase: Phase) -> ReferenceSuite:
    suite = context.reference(phase)
    return ReferenceSuite(suite.name, suite.content_id(), len(suite.select(search_split(suite))))


def _fallbacks(context: LoopContext, phase: Phase, known: Mapping[Key, str]) -> tuple[str, ...]:
    """The fallbacks that the settings name, in their order.

    When they name none: every measured model.
    """
    fallbacks = context.settings.fallbacks
    named = fallbacks.atomic if phase == "atomic" else fallbacks.extended
    if named:
        return tuple(context.stages.resolve(name) for name in named)
    return tuple(sorted({model for model, p in known if p == phase}))


def _served(context: LoopContext, known: Mapping[Key, str]) -> dict[Key, tuple[str, ...]]:
    """The ids of the specs that the rules serve with, where there is no baseline.

    Where a rule asks for warm-up, the spec with warm-up comes first.
    """
    found: dict[Key, tuple[str, ...]] = {}
    settings = context.settings
    rules = context.stages.enforcer.load(repair_pending=False).rules if settings.enforcement.enabled else ()
    for rule in rules:
        spec = find(context.ledger, Spec, rule.spec_id) if rule.spec_id is not None else None
        if rule.when is None and spec is not None and (rule.model, rule.phase) not in known:
            warm = spec.model_copy(update={"warm_up": settings.warm_up_policy(True)})
            found[rule.model, rule.phase] = (warm.spec_id, spec.spec_id) if rule.warm_up else (spec.spec_id,)
    return found
