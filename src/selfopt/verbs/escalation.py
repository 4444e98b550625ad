"""`escalation`: may a model serve when it is sure? Fits and calibrates a threshold on stored answers, and asks no model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

from selfopt.errors import UsageError
from selfopt.home import atomic_write_text, escape_control
from selfopt.measure.lookup import find
from selfopt.policy import Calibrated, Judged, calibrated
from selfopt.records import (
    BoundClaim,
    Calibration,
    Environment,
    Escalation,
    Phase,
    Sample,
    SampleUsed,
    ServedFigures,
    Spec,
    Split,
    Variant,
    content_hash,
    utc_now,
)
from selfopt.records.confidence import SecondWay
from selfopt.report import escalation_html
from selfopt.wiring.app import App
from selfopt.wiring.evidence import only_reads
from selfopt.words.escalation import nothing_observed_text, nothing_stored_text

from .served_figures import served_figures
from .stored_answers import (
    Asker,
    StoredAnswer,
    StoredAnswers,
    SuitePart,
    answers_of,
    named,
    newest_environment,
    run_command,
    spec_for,
)

_USUAL: dict[Sample, Split] = {"fit": "search", "calibrate": "heldout", "verify": "all"}
_FITTED: tuple[Sample, Sample] = ("fit", "calibrate")


@dataclass(frozen=True, slots=True)
class EscalationRequest:
    """What is looked at.

    Attributes:
        fit, calibrate, verify: parts of suites, as `SUITE` or `SUITE:SPLIT`. None named: the search
            prompts of the phase's reference suite for the fit, its held-out ones for the
            calibration, and no verification.
        variant: a name or a point; None for that of the rule in force, else native_api.
        to: the stronger model; None for the fallback of the rule in force.
        to_variant: its variant; None as `variant`.
        second: a second way of asking the model, whose calls are compared; None for none.
        max_bad_share, confidence: None for the settings'.
    """

    model: str
    phase: Phase
    fit: tuple[str, ...] = ()
    calibrate: tuple[str, ...] = ()
    verify: tuple[str, ...] = ()
    variant: str | None = None
    to: str | None = None
    to_variant: str | None = None
    second: str | None = None
    max_bad_share: float | None = None
    confidence: float | None = None
    claim: BoundClaim = "these_tools"


class _Wanted(TypedDict):
    """The bound that is asked for."""

    claim: BoundClaim
    max_bad_share: float
    confidence: float


@dataclass(slots=True)
class _Samples:
    """The answers of each sample, and what became of each part."""

    answers: dict[Sample, list[StoredAnswer]] = field(default_factory=dict)
    used: list[SampleUsed] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    def take(self, sample: Sample, found: StoredAnswers) -> None:
        self.answers.setdefault(sample, []).extend(found.found)
        self.used.append(found.used)
        self.seen |= {one.words for one in found.found}


async def escalation_of(app: App, request: EscalationRequest) -> Escalation:
    """Fit a confidence, calibrate a threshold on other prompts, and tell what it would do. Keeps the calibration.

    Uses what the ledger holds, and asks no model. In a home that can't be written nothing is kept.

    Raises:
        UsageError: an option is wrong, or there are no stored answers with log probabilities; it
            says which command makes them.
    """
    asker = _asker(app, request.model, request.phase, request.variant)
    parts = {
        sample: [named(app, request.phase, text, f"--{sample}", _USUAL[sample]) for text in texts]
        for sample, texts in _named_parts(app, request).items()
    }
    specs = {sample: [spec_for(app, asker, part) for part in listed] for sample, listed in parts.items()}
    second = None if request.second is None else _second(app, request, parts["calibrate"][0], specs["calibrate"][0])
    if not app.has_ledger:
        ways = asker.variant.name, _unmeasured(asker, second, parts), None if second is None else second.variant.name
        raise UsageError(nothing_stored_text(asker.model, *ways))
    environment = newest_environment(app, [*specs["fit"], *specs["calibrate"]])
    samples = _Samples()
    for sample, listed in parts.items():
        for part in listed:
            samples.take(sample, answers_of(app, asker, sample, part, environment, samples.seen, second))
    _check(asker, samples, second)
    assert environment is not None
    found = calibrated(*(_judged(samples.answers[sample]) for sample in _FITTED), **_wanted(app, request))
    larger = _larger(app, request, asker)
    other = None if second is None else spec_for(app, second, parts["calibrate"][0])
    at = _Place(specs["calibrate"][0], environment, parts, request, other)
    kept = _calibration(app, at, samples, found, None if larger is None else larger.model)
    if not only_reads(app) and find(app.ledger, Calibration, kept.calibration_id) is None:
        named_in = [spec for spec in (at.spec, at.second) if spec is not None]
        unknown = [spec for spec in named_in if find(app.ledger, Spec, spec.spec_id) is None]
        await app.ledger.append([*unknown, kept])
    return Escalation(
        calibration=kept,
        variant=asker.variant.name,
        currency=app.settings.currency,
        fallback_variant=None if larger is None else larger.variant.name,
        samples=tuple(samples.used),
        figures=tuple(_figures(app, samples, parts, found, kept, larger)),
    )


def _wanted(app: App, request: EscalationRequest) -> _Wanted:
    settings = app.settings.serve
    return {
        "claim": request.claim,
        "max_bad_share": settings.max_bad_share if request.max_bad_share is None else request.max_bad_share,
        "confidence": settings.confidence if request.confidence is None else request.confidence,
    }


def _named_parts(app: App, request: EscalationRequest) -> dict[Sample, tuple[str, ...]]:
    reference = app.settings.suite_of(request.phase)
    return {"fit": request.fit or (reference,), "calibrate": request.calibrate or (reference,), "verify": request.verify}


def _asker(app: App, model: str, phase: Phase, variant: str | None) -> Asker:
    name = app.resolve_model(model)
    provider, _ = app.settings.endpoint_of(name)
    chosen: Variant
    if variant is not None:
        chosen = app.variant(variant)
    else:
        rule = app.enforcer.load(repair_pending=False).rule_for(name, phase, app.settings.one_name)
        chosen = rule.variant if rule is not None and rule.variant is not None else app.variant("native_api")
    return Asker(name, phase, app.fitting(chosen, provider))


def _larger(app: App, request: EscalationRequest, asker: Asker) -> Asker | None:
    to = request.to
    if to is None:
        name = app.resolve_model(request.model)
        rule = app.enforcer.load(repair_pending=False).rule_for(name, request.phase, app.settings.one_name)
        to = rule.fallback if rule is not None else None
    if to is None:
        return None
    larger = _asker(app, to, request.phase, request.to_variant)
    if app.settings.one_name(larger.model) == app.settings.one_name(asker.model) and larger.variant == asker.variant:
        raise UsageError(f"--to {escape_control(to, 200)} is the model itself, asked in the same way; name a stronger one")
    return larger


def _second(app: App, request: EscalationRequest, part: SuitePart, first: Spec) -> Asker:
    """The second way of asking. UsageError where it sends the same requests as the first."""
    second = _asker(app, request.model, request.phase, request.second)
    if spec_for(app, second, part).request_id == first.request_id:
        raise UsageError(
            f"--second {escape_control(second.variant.name, 200)} sends the same requests as {escape_control(first.variant.name, 200)}, "
            "so it is no second way of asking; name a variant or point that asks otherwise, such as tools=signatures"
        )
    return second


def _unmeasured(asker: Asker, second: Asker | None, parts: Mapping[Sample, Sequence[SuitePart]]) -> list[SampleUsed]:
    """What a home without any measurement lacks. Prompts that an earlier part has are to be measured once."""
    lacking: list[SampleUsed] = []
    seen: set[tuple[str, str]] = set()
    for sample, part in ((sample, part) for sample, listed in parts.items() if sample != "verify" for part in listed):
        prompts = {(part.suite.content_id(), prompt.id) for prompt in part.prompts}
        fresh = prompts - seen
        seen |= prompts
        lacking.append(
            SampleUsed(
                sample=sample,
                suite=part.suite.name,
                split=part.split,
                prompts=len(prompts),
                used=0,
                unmeasured=len(fresh),
                repeated=len(prompts) - len(fresh),
                command=run_command(asker, part),
                second_unmeasured=0 if second is None else len(fresh),
                second_command="" if second is None else run_command(second, part),
            )
        )
    return lacking


def _check(asker: Asker, samples: _Samples, second: Asker | None) -> None:
    """UsageError where there is nothing to fit or to calibrate on."""
    empty = [one for one in samples.used if one.sample in _FITTED and not samples.answers.get(one.sample)]
    if empty:
        raise UsageError(
            nothing_stored_text(asker.model, asker.variant.name, empty, None if second is None else second.variant.name)
        )
    told = [one for sample in _FITTED for one in samples.answers[sample]]
    if not any(one.observed for one in told):
        raise UsageError(nothing_observed_text(asker.model, [one for one in samples.used if one.sample in _FITTED]))


def _judged(answers: Sequence[StoredAnswer]) -> list[Judged]:
    return [Judged(one.prompt_id, one.trial.trial_id, one.tool_set, one.signals, one.right) for one in answers]


@dataclass(frozen=True, slots=True)
class _Place:
    """What was calibrated: a spec and what served it, on which parts."""

    spec: Spec
    environment: Environment
    parts: dict[Sample, list[SuitePart]]
    request: EscalationRequest
    second: Spec | None

    def label(self, sample: Sample) -> str:
        return ", ".join(part.label for part in self.parts[sample])


def _calibration(app: App, at: _Place, samples: _Samples, found: Calibrated, fallback: str | None) -> Calibration:
    second = None if at.second is None else SecondWay(variant=at.second.variant, spec_id=at.second.spec_id)
    answers = [*samples.answers["fit"], *samples.answers["calibrate"]]
    fitted_on, calibrated_on = at.label("fit"), at.label("calibrate")
    wanted = _wanted(app, at.request)
    ids = [tuple(one.trial.trial_id for one in samples.answers[sample]) for sample in _FITTED]
    second_trials = tuple(one.second.trial_id for one in answers if one.second is not None)
    # The same answers give the same calibration: what was voided on live traffic is not lifted by asking again.
    about = ["by hand", at.spec.spec_id, at.environment.environment_id, *ids, second_trials, wanted]
    calibration_id = content_hash("calibration", about)
    return Calibration(
        calibration_id=calibration_id,
        model=at.spec.model,
        phase=at.spec.phase,
        spec_id=at.spec.spec_id,
        environment_id=at.environment.environment_id,
        fallback=fallback,
        fitted_on=fitted_on,
        calibrated_on=calibrated_on,
        fit_trials=ids[0],
        calibration_trials=ids[1],
        **wanted,
        confidence_model=found.model,
        curve=found.curve,
        serve_when=found.serve_when(
            calibration_id,
            fitted_on=fitted_on,
            calibrated_on=calibrated_on,
            spec_id=at.spec.spec_id,
            environment=at.environment,
            second=second,
        ),
        least_feasible=found.least_feasible,
        prompts_needed=found.prompts_needed,
        shares=found.shares,
        set_names={one.tool_set: one.set_name for one in samples.answers["calibrate"]},
        created_at=utc_now(),
        second=second,
        second_trials=second_trials,
    )


def _figures(
    app: App, samples: _Samples, parts: dict[Sample, list[SuitePart]], found: Calibrated, kept: Calibration, larger: Asker | None
) -> Iterator[ServedFigures]:
    shown: tuple[Sample, ...] = ("calibrate", "verify")
    for sample in shown:
        mine = samples.answers.get(sample, [])
        if not mine:
            continue
        theirs: list[StoredAnswer] = []
        if larger is not None:
            specs = [spec_for(app, larger, part) for part in parts[sample]]
            environment = newest_environment(app, specs)
            theirs = [one for part in parts[sample] for one in answers_of(app, larger, sample, part, environment).found]
        yield served_figures(sample, mine, theirs, found, kept.confidence)


def write_escalation_page(path: Path, found: Escalation) -> None:
    """Write the page with figures, whole. Raises StoreError."""
    atomic_write_text(path, escalation_html(found))
