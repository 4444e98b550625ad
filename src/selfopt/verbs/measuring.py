"""`run` and `supervise`: measure the model that the rules in force let serve."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from selfopt.errors import RefusedError, UsageError
from selfopt.measure.context import Labels
from selfopt.measure.options import MeasureOptions
from selfopt.measure.progress import Progress, SearchNow, ignore_progress
from selfopt.measure.resume import deliver
from selfopt.measure.supervisor import SuperviseResult, supervise
from selfopt.records import (
    NO_TOOLS,
    Evaluation,
    Outcome,
    Phase,
    RouteDecision,
    Spec,
    Split,
    ToolOffer,
    Trial,
    Variant,
    Verdict,
    offer_of,
    utc_now,
)
from selfopt.routing import check_escalations, log_routing_decision, validate_model_phase_compatibility
from selfopt.wiring.app import App
from selfopt.wiring.holding import measuring
from selfopt.words.rules import mixed_text

__all__ = ["MeasureRequest", "Measured", "Progress", "SearchNow", "measure_model", "measure_request", "phase_of", "route"]


def phase_of(text: str) -> Phase:
    """Read a phase as typed. UsageError for other words."""
    if text == "atomic":
        return "atomic"
    if text == "extended":
        return "extended"
    raise UsageError(f"unknown phase {text!r}: write atomic (one user turn) or extended (several turns, tool results)")


@dataclass(frozen=True, slots=True)
class MeasureRequest:
    """What `run` and `supervise` are asked for. None takes the rule's value, else the settings'."""

    model: str
    phase: Phase
    variant: str | None = None
    suite: str | None = None
    split: Split | None = None
    warm_up: bool | None = None
    timeout_s: float | None = None
    retries: int | None = None
    isolate: bool | None = None
    limit: int | None = None
    force_model: bool = False
    n_runs: int = 1
    sampling: bool = False
    resume: bool = True

    def overrides(self) -> tuple[str, ...]:
        """Return the names of what the user set beyond model and phase, for the record."""
        names = ("variant", "suite", "split", "warm_up", "timeout_s", "retries", "isolate", "limit")
        return tuple(n for n in names if getattr(self, n) is not None) + (("force_model",) if self.force_model else ())


def measure_request(app: App, model: str, phase: str, variant: str | None = None, **options: Any) -> MeasureRequest:
    """Make a request from model and phase as typed. Raises UnknownModelError or UsageError."""
    return MeasureRequest(app.resolve_model(model), phase_of(phase), variant, **options)


@dataclass(frozen=True, slots=True)
class Measured:
    """A finished measurement: the route taken, the spec that served, the results.

    Attributes:
        faults: what went wrong at the server or in the network, in words, by trial id.
        audit_hash: hash of the audit record of the route; None when none was written.
    """

    route: RouteDecision
    spec: Spec
    result: SuperviseResult
    verdicts: tuple[Verdict, ...] = field(default_factory=tuple)
    faults: Mapping[str, str] = field(default_factory=dict)
    audit_hash: str | None = None

    @property
    def unanswered(self) -> str | None:
        """Why no trial got a reply.

        None when a trial got one, or when all failed because the model was being loaded.
        """
        outcomes = {verdict.outcome for verdict in self.verdicts}
        if not outcomes or not outcomes <= {Outcome.ERROR, Outcome.TIMEOUT, Outcome.LOADING} or outcomes == {Outcome.LOADING}:
            return None
        last = next((self.faults[v.trial_id] for v in reversed(self.verdicts) if v.trial_id in self.faults), "no reply")
        made = sum(verdict.trial_id in self.faults for verdict in self.verdicts)
        more = len(self.verdicts) - made
        left_out = f", so {more} more were not made" if made and more else ""
        return f"none of the {made or more} requests to {self.spec.model} got a reply{left_out}: {last}"

    @property
    def evaluation(self) -> Evaluation | None:
        """The evaluation of the spec that served; None without a whole pass."""
        return self.result.evaluation


def route(
    app: App, model: str, phase: Phase, *, force: bool, request: MeasureRequest | None = None
) -> tuple[RouteDecision, str | None]:
    """Apply the rules in force and return the route with the hash of its audit record.

    Diverted, refused and forced requests are audited; for others the hash is None.

    Args:
        request: the prompts that are to be measured, for rules that look at tools; None for none.

    Raises:
        RefusedError: the rules refuse the request.
        UsageError: the rules let different specs serve its prompts, or a rule in force may not be.
    """
    config, options = app.enforcer.load(), app.route_options(force=force)
    if options.enabled:
        check_escalations(config.rules, options)
    offers = _offers(app, request) if request is not None and config.finer else (NO_TOOLS,)
    decisions = [validate_model_phase_compatibility(config, model, phase, options=options, tools=tools) for tools in offers]
    decision = next((d for d in decisions if d.outcome == "forced"), decisions[0])
    other = next((d for d in decisions if _serving(d) != _serving(decision)), None)
    if other is not None and not force:
        raise UsageError(mixed_text(model, phase, decision, other))
    audit_hash = None
    if decision.outcome != "allow":
        app.home.ensure()
        record = log_routing_decision(app.enforcer.trail, decision)
        audit_hash = record.hash if record is not None else None
    if decision.outcome == "refuse":
        raise RefusedError(decision.reason)
    return decision, audit_hash


def _offers(app: App, request: MeasureRequest) -> tuple[ToolOffer, ...]:
    """What the prompts of a request offer, each set of tools once."""
    suite = app.suite(request.suite or app.settings.suite_of(request.phase))
    prompts = suite.select(request.split or ("all" if suite.scope == "whole" else "search"))[: request.limit]
    named = dict.fromkeys(prompt.tool_set for prompt in prompts)
    return tuple(dict.fromkeys(offer_of(suite.tool_sets[name]) for name in named)) or (NO_TOOLS,)


def _serving(decision: RouteDecision) -> tuple[object, ...]:
    """What decides which spec serves."""
    rule = decision.serving_rule
    served = None if rule is None else (rule.variant, rule.limits, rule.spec_id, rule.warm_up)
    return decision.outcome, decision.model, served


def served_spec(app: App, request: MeasureRequest, decision: RouteDecision) -> Spec:
    """Make the spec that serves: the rule's variant, limits and warm-up, or what the user typed."""
    serving = decision.model or request.model
    rule = decision.serving_rule if decision.outcome != "forced" else None
    variant: str | Variant | None = request.variant
    options: dict[str, Any] = {}
    if rule is not None and rule.model == serving:
        options = {name: getattr(rule.limits, name) for name in ("timeout_s", "retries", "isolate", "context_size")}
        options["warm_up"] = rule.warm_up
        variant = rule.variant if variant is None else variant
    typed = {name: getattr(request, name) for name in ("suite", "split", "warm_up", "timeout_s", "retries", "isolate")}
    options |= {name: value for name, value in typed.items() if value is not None}
    return app.spec(serving, request.phase, "native_api" if variant is None else variant, options)


async def measure_model(
    app: App,
    request: MeasureRequest,
    progress: Callable[[Progress], None] = ignore_progress,
    tell: Callable[[Measured], None] = lambda _: None,
) -> Measured:
    """Route the request, measure n runs of the spec that serves, and evaluate them.

    Args:
        tell: called with the result. If the process dies before, the same request returns the
            same result from what was measured, without asking the model again.

    Raises:
        RefusedError: the rules refuse the request.
        ConsentError: the rules name a remote model and the user did not allow that.
        UsageError: a value that was typed is wrong.
        EndpointError: the server cannot be reached or refuses the key.
        LockedError: another measurement works in this home.
        StoreError: the home cannot be written.
    """
    decision, audit_hash = route(app, request.model, request.phase, force=request.force_model, request=request)
    spec = served_spec(app, request, decision)
    app.require_ready([spec.model])
    app.sender.require(request.model, spec.model)
    options = MeasureOptions(
        n_runs=request.n_runs,
        sampling=request.sampling,
        sample_size=app.settings.loop.sample_of(len(app.suite_for(spec).select(spec.split)[: request.limit])),
        limit=request.limit,
        labels=Labels(
            requested_model=request.model,
            rule_id=decision.rule.rule_id if decision.rule else None,
            forced=decision.outcome == "forced",
            overrides=request.overrides(),
        ),
        resume=request.resume,
        await_delivery=True,
        carries_on=request.n_runs == 1,  # one pass tells what failed; there is nothing to go on with
        budget=app.budget,
    )
    app.home.ensure()
    with measuring(app, "supervise" if request.n_runs > 1 else "run", [spec.model]):
        result = await supervise(spec, context=app.measure_context(progress, request.model), options=options)
        verdicts = tuple(
            v
            for run_id in result.run_ids
            for v in app.ledger.read(Verdict, {"run_id": run_id})
            if v.parser_hash == spec.variant.parser_hash
        )
        measured = Measured(decision, spec, result, verdicts, _faults(app, result.run_ids), audit_hash)
        tell(measured)
        await deliver(app.ledger, result.group_id, utc_now())
    return measured


def _faults(app: App, run_ids: Sequence[str]) -> dict[str, str]:
    trials = [t for run_id in run_ids for t in app.ledger.read(Trial, {"run_id": run_id}) if t.fault is not None]
    found = {t.trial_id: [a.error for e in t.exchanges for a in e.attempts if a.error] for t in trials}
    return {trial_id: errors[-1] for trial_id, errors in found.items() if errors}
