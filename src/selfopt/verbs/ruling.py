"""`routes set`, `routes remove`, and the account of a threshold: what a person says about a rule."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError

from selfopt.errors import UsageError
from selfopt.home import escape_control
from selfopt.ledger import resolve
from selfopt.records import Calibration, Environment, Phase, RoutingConfig, Rule, ServeWhen, Spec, ToolMatch, evidence_key
from selfopt.routing import HandRule
from selfopt.wiring.app import App
from selfopt.wiring.evidence import check_evidence, require_ledger
from selfopt.words.thresholds import share_text, threshold_account

from .measuring import phase_of
from .set_names import tool_set_called


def requests_named(
    app: App, names: str | None = None, tool_set: str | None = None, least: int | None = None, most: int | None = None
) -> ToolMatch | None:
    """Which requests a rule is about, as typed; None for all of its model and phase.

    Args:
        names: a pattern of tool names.
        tool_set: a set of tools, by its content name or as SUITE:SET.
        least, most: how many tools may be offered.

    Raises:
        SuiteError: the suite cannot be used.
        UsageError: a value is out of range, or the suite has no such set.
    """
    tool_set = None if tool_set is None else tool_set_called(app, tool_set)
    given = {"names": names, "tool_set": tool_set, "least": least, "most": most}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return None
    try:
        return ToolMatch.model_validate(given)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False)[0]
        option = {"names": "--tools", "tool_set": "--tool-set", "least": "--min-tools", "most": "--max-tools"}
        place = option.get(str(problem["loc"][0]), "") if problem["loc"] else ""
        told = problem["msg"].removeprefix("Value error, ")
        if place == "--tool-set":
            told = f"got {given['tool_set']!r}; write SUITE:SET, or the name that `selfopt routes show` gives it: tools- and 24 digits"
        raise UsageError(escape_control(f"{place} is wrong: {told}" if place else told, 300)) from None


@dataclass(frozen=True, slots=True)
class RouteChoice:
    """What a person sets.

    Attributes:
        when: the requests that it is about; None for all of the model and phase.
        serve_when: the id of a calibration; its first or last characters suffice.
    """

    allow: bool
    fallback: str | None = None
    reason: str = ""
    when: ToolMatch | None = None
    serve_when: str | None = None


def set_route(app: App, model: str, phase: str, choice: RouteChoice) -> RoutingConfig:
    """Set one rule by hand.

    Raises:
        UsageError: the calibration has no threshold, or is of another model, phase or spec; or the
            rule is impossible.
        CorruptError: the calibration is not as it was committed.
    """
    name, served = app.resolve_model(model), app.resolve_model(choice.fallback) if choice.fallback else None
    if served == name:
        raise UsageError(f"--fallback {choice.fallback} is the model itself; name another one")
    known_phase = phase_of(phase)
    surely, spec = _calibrated(app, name, known_phase, choice) if choice.serve_when is not None else (None, None)
    app.home.ensure()
    hand = HandRule(choice.allow, served, choice.reason, when=choice.when, serve_when=surely, spec=spec)
    return app.enforcer.set_by_hand(name, known_phase, hand)


def _calibrated(app: App, model: str, phase: Phase, choice: RouteChoice) -> tuple[ServeWhen, Spec]:
    """The threshold that was calibrated for this model and phase, and the spec that it is about."""
    if not choice.allow:
        raise UsageError("--serve-when serves what is sure; write --allow")
    if choice.fallback is None:
        raise UsageError("--serve-when needs a model for what is not sure; name it with --fallback MODEL")
    require_ledger(app)
    found = resolve(app.ledger, Calibration, choice.serve_when or "")
    told = f"the calibration {found.calibration_id}"
    if (app.settings.one_name(found.model), found.phase) != (app.settings.one_name(model), phase):
        raise UsageError(f"{told} is of {found.model} {found.phase}, not of {model} {phase}; name one of these")
    if found.serve_when is None:
        feasible = "" if found.least_feasible is None else f" (feasible: {share_text(found.least_feasible)})"
        more = "" if found.prompts_needed is None else f"; about {found.prompts_needed} more prompts may do"
        raise UsageError(
            f"{told} has no threshold: none keeps the bad share at {share_text(found.max_bad_share)}{feasible}{more}; "
            "allow a larger share (serve.max_bad_share), or calibrate on more prompts"
        )
    spec = next(app.ledger.read(Spec, {"id": found.spec_id}, limit=1), None)
    if spec is None or app.settings.one_name(spec.model) != app.settings.one_name(model):
        raise UsageError(
            f"{told} is about the spec {found.spec_id}, which {'is not in the ledger' if spec is None else 'is of another model'}"
        )
    surely = found.serve_when
    second = () if surely.second is None else (surely.second.spec_id,)
    check_evidence(app, (), (found.calibration_id, found.spec_id, found.environment_id, *second))
    environment = next(app.ledger.read(Environment, {"id": found.environment_id}, limit=1), None)
    key = None if environment is None else evidence_key(spec.spec_id, environment, surely.second)
    if surely.environment is None and key == surely.evidence_key:
        surely = surely.model_copy(update={"environment": environment})
    return surely, spec


def remove_route(app: App, model: str, phase: str, when: ToolMatch | None = None) -> RoutingConfig:
    """Remove the rule of exactly this model, phase and tools. UsageError if there is none."""
    name = app.known_model(model) or model  # the settings may have lost its endpoint
    return app.enforcer.remove(name, phase_of(phase), when)


@dataclass(frozen=True, slots=True)
class ThresholdAccount:
    """A threshold accounted for, in sentences.

    Attributes:
        rules: the rules in force that serve by it.
        sections: a title and its lines.
    """

    calibration: Calibration
    rules: tuple[Rule, ...]
    sections: tuple[tuple[str, tuple[str, ...]], ...]


def explained_threshold(app: App, named: str) -> ThresholdAccount | None:
    """Account for a threshold, from its record; None if the name is of no rule or calibration.

    Args:
        named: the id of a rule in force, or of a calibration: its first or last characters suffice.

    Raises:
        UsageError: the rule serves everything, or several calibrations have such an id.
    """
    rules = app.enforcer.load(repair_pending=False).rules
    rule = next((r for r in rules if r.rule_id == named.strip().lower()), None)
    if rule is None and named.strip().lower().startswith("rule-"):
        raise UsageError(
            f"no rule in force has the id {escape_control(named, 80)}; `selfopt routes show` lists the rules with their ids"
        )
    if rule is not None and rule.serve_when is None:
        raise UsageError(f"the rule {rule.rule_id} has no threshold; `selfopt audit trace {rule.rule_id}` shows what it rests on")
    require_ledger(app)
    wanted = named if rule is None or rule.serve_when is None else rule.serve_when.calibration_id
    if rule is None and not wanted.strip().lower().startswith(f"{Calibration.ledger_kind}-"):
        return None
    found = resolve(app.ledger, Calibration, wanted)
    using = tuple(r for r in rules if r.serve_when is not None and r.serve_when.calibration_id == found.calibration_id)
    return ThresholdAccount(found, using, threshold_account(found, using))
