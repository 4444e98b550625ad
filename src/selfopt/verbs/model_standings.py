"""Where each model stands: its rules, the evidence behind them, and what is not tried again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

from selfopt.records import Ban, Baseline, Calibration, Decision, Ledger, Phase, RoutingConfig, Rule
from selfopt.wiring.app import App
from selfopt.wiring.evidence import ledger_or_none
from selfopt.words.models import RuleEffect, effect_of

from .costing import RulePays, rules_pay
from .kept_facts import KeptFacts
from .measured import MeasuredFacts, every_measured
from .routing import bans_in_force
from .set_names import set_names


@dataclass(frozen=True, slots=True)
class ModelStanding:
    """One model in one phase.

    Attributes:
        rules: those in force, the one that looks at no tools first.
        evaluations: how many there are. evidence: the one that it is judged by.
        trials: of all evaluations together.
        bans: what was taken back of it, and is not tried again.
    """

    model: str
    phase: Phase
    rules: tuple[Rule, ...]
    evaluations: int
    trials: int
    evidence: MeasuredFacts | None
    baseline: Baseline | None
    bans: tuple[Ban, ...]

    @property
    def effect(self) -> RuleEffect | None:
        """What becomes of its requests in general; None where no rule says."""
        return effect_of(self.rules[0]) if self.rules else None


@dataclass(frozen=True, slots=True)
class ModelStandings:
    """All models and phases that a rule or an evaluation is about, by name.

    Attributes:
        set_names: what the suites call the tool sets that rules are about, by content name.
    """

    config: RoutingConfig
    standings: tuple[ModelStanding, ...]
    set_names: Mapping[str, str]

    def of(self, model: str, phase: str | None = None) -> tuple[ModelStanding, ...]:
        """Those of one model, in one phase or in all."""
        return tuple(one for one in self.standings if one.model == model and phase in (None, one.phase))


_BASELINES: KeptFacts[Baseline, Baseline] = KeptFacts(Baseline, lambda record: record)


def model_standings(app: App) -> ModelStandings:
    """Where each model stands by the rules in force. Writes nothing.

    Raises:
        AuditError, StoreError: the rules cannot be read.
    """
    config = app.enforcer.load(repair_pending=False)
    rules: dict[tuple[str, Phase], list[Rule]] = {}
    for rule in config.rules:
        rules.setdefault((rule.model, rule.phase), []).append(rule)
    measured: dict[tuple[str, Phase], list[MeasuredFacts]] = {}
    for one in every_measured(app):
        measured.setdefault((one.model, one.phase), []).append(one)
    baselines = {(one.model, one.phase): one for one in _BASELINES.of(ledger_or_none(app)).values()} if app.has_ledger else {}
    bans: dict[tuple[str, Phase], list[Ban]] = {}
    for ban in bans_in_force(app):
        bans.setdefault((ban.model, ban.phase), []).append(ban)
    found = []
    for key in sorted(rules.keys() | measured.keys() | bans.keys()):
        mine, baseline = measured.get(key, []), baselines.get(key)
        found.append(
            ModelStanding(
                model=key[0],
                phase=key[1],
                rules=tuple(sorted(rules.get(key, ()), key=lambda rule: (rule.when is not None, rule.key))),
                evaluations=len(mine),
                trials=sum(one.metrics.n for one in mine),
                evidence=judged_by(mine, None if baseline is None else baseline.spec_id),
                baseline=baseline,
                bans=tuple(bans.get(key, ())),
            )
        )
    return ModelStandings(config, tuple(found), set_names(app, config.rules))


def judged_by(measured: Sequence[MeasuredFacts], spec_id: str | None) -> MeasuredFacts | None:
    """The newest evaluation of a spec, else the newest of all. One over a part of its suite counts only where none saw it whole."""
    largest: dict[tuple[str, str], int] = {}
    for one in measured:
        key = one.suite_hash, one.split
        largest[key] = max(largest.get(key, 0), one.prompts)
    whole = [one for one in measured if one.prompts >= largest[one.suite_hash, one.split]]
    mine = [one for one in whole if one.spec_id == spec_id]
    return max(mine or whole, key=lambda one: one.at, default=None)


def measured_of(app: App, model: str, phase: str, most: int = 20) -> tuple[MeasuredFacts, ...]:
    """The newest evaluations of a model in a phase, the newest first."""
    mine = [one for one in every_measured(app) if (one.model, one.phase) == (model, phase)]
    return tuple(reversed(mine[-most:]))


def decisions_about(app: App, model: str, phase: str, most: int = 10) -> tuple[Decision, ...]:
    """The newest decisions about candidates of a model in a phase, the newest first."""
    ledger = ledger_or_none(app)
    found = ledger.read(Decision, {"model": model, "phase": phase}, newest_first=True, limit=most)
    return tuple(found)


def newest_calibration(app: App, model: str, phase: Phase) -> Calibration | None:
    """The newest answer to whether a model may serve what it is sure of; None where nobody asked."""
    found = ledger_or_none(app).read(Calibration, {"model": model, "phase": phase}, newest_first=True, limit=1)
    return next(iter(found), None)


_PAYS: WeakKeyDictionary[Ledger, tuple[object, Mapping[str, RulePays]]] = WeakKeyDictionary()


def pays_of(app: App, rules: Sequence[Rule]) -> Mapping[str, RulePays]:
    """When each rule that serves when sure pays, by its id. It is worked out again only after another evaluation."""
    if not app.has_ledger or not any(rule.serve_when is not None for rule in rules):
        return {}
    measured = every_measured(app)
    state = measured[-1].evaluation_id if measured else "", tuple((r.rule_id, r.fallback, r.serve_when) for r in rules)
    kept = _PAYS.get(app.ledger)
    if kept is None or kept[0] != state:
        kept = _PAYS[app.ledger] = state, rules_pay(app, rules)
    return kept[1]


def thresholds_of(app: App, rules: Sequence[Rule]) -> Mapping[str, Calibration]:
    """The calibrations behind the thresholds of rules, by the id of the rule; those that the ledger holds."""
    ledger = ledger_or_none(app)
    return {
        rule.rule_id: found
        for rule in rules
        if rule.serve_when is not None
        for found in ledger.read(Calibration, {"id": rule.serve_when.calibration_id}, limit=1)
    }
