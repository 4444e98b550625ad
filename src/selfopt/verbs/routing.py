"""`enforce`, `routes` and `audit`: rules in force, their history, and the evidence behind them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from selfopt.errors import AuditError, StoreError, UsageError
from selfopt.records import (
    AuditRecord,
    Ban,
    Calibration,
    Decision,
    Evaluation,
    Feedback,
    Finding,
    LedgerFault,
    Recommendation,
    Record,
    RoutingConfig,
    Rule,
    Run,
    ServeWhen,
    Spec,
    Trial,
    Verdict,
    utc_now,
)
from selfopt.routing import RuleChange, RuleOptions, VersionEntry, diff, generate_routing_rules
from selfopt.wiring.app import App
from selfopt.wiring.evidence import check_evidence, check_recommendations, faults_of, ids_of, ledger_or_none, readable
from selfopt.words.rules import rule_text


@dataclass(frozen=True, slots=True)
class Enforced:
    """The rules before and after, and the changes between them.

    Attributes:
        kept: recommendations that were not followed, because the rule was set by hand.
    """

    before: RoutingConfig
    after: RoutingConfig
    changes: tuple[RuleChange, ...]
    dry_run: bool
    kept: tuple[Recommendation, ...] = ()


def enforce_file(app: App, path: Path | None = None, *, dry_run: bool = False, override_manual: bool = False) -> Enforced:
    """Turn the recommendations of a feedback file into rules in force.

    Args:
        path: a file that is trusted as it is, which the audit trail notes. None for the home's
            harness_feedback.json, whose recommendations have to be in the ledger.
        override_manual: replace rules that were set by hand, too.

    Raises:
        UsageError: enforcement is switched off, or there is no file.
        StoreError: a recommendation of harness_feedback.json is not the ledger's.
        CorruptError: the evidence in the ledger is not as it was committed.
    """
    if not app.settings.enforcement.enabled and not dry_run:
        raise UsageError("enforcement is switched off; set enforcement.enabled = true or use --dry-run")
    from selfopt.loop import served_specs, synthetic_specs  # the loop takes long to import, and to show rules takes none of it

    feedback = _feedback(path, app.home.feedback)
    options = RuleOptions(
        override_manual=override_manual,
        warm_up=app.settings.warm_up.enabled,
        one_name=app.settings.one_name,
        synthetic=synthetic_specs(ledger_or_none(app)),
        serve_when=_thresholds(app),
    )
    before = app.enforcer.load(repair_pending=not dry_run)
    if path is None:
        check_recommendations(app, feedback.recommendations)
    check_evidence(app, (), [name for r in feedback.recommendations for name in (r.id, *r.evidence)])
    if dry_run:
        after = before.model_copy(update={"rules": rules_from(app, feedback, before, options)})
    else:
        app.home.ensure()
        reason = "harness_feedback.json" if path is None else f"{path.name}, a file that was named"
        promoted = served_specs(ledger_or_none(app), feedback.recommendations, before, app.settings.one_name)
        after = app.enforcer.enforce(feedback.recommendations, promoted=promoted, options=options, reason=reason)
    by_hand = {
        (r.model, r.phase): r.allow for r in before.rules if r.source == "manual" and r.when is None and not override_manual
    }
    wanted = (r for r in feedback.recommendations if r.allow is not None)
    kept = tuple(r for r in wanted if by_hand.get((r.model, r.phase), r.allow) != r.allow)
    return Enforced(before, after, diff(before, after), dry_run, kept)


def _thresholds(app: App) -> dict[str, ServeWhen]:
    """From which confidence on answers are served, by the id of the calibration."""
    found = ((one.calibration_id, one.serve_when) for one in ledger_or_none(app).read(Calibration))
    return {name: when for name, when in found if when is not None}


def rules_from(app: App, feedback: Feedback, current: RoutingConfig, options: RuleOptions | None = None) -> tuple[Rule, ...]:
    """Merge the rules that recommendations and baselines ask for into the given ones."""
    from selfopt.loop import served_specs, synthetic_specs

    ledger = ledger_or_none(app)
    plain = RuleOptions(
        warm_up=app.settings.warm_up.enabled,
        one_name=app.settings.one_name,
        synthetic=synthetic_specs(ledger),
        serve_when=_thresholds(app),
    )
    return generate_routing_rules(
        feedback.recommendations,
        current,
        promoted=served_specs(ledger, feedback.recommendations, current, app.settings.one_name),
        options=options or plain,
    )


def _feedback(path: Path | None, default: Path) -> Feedback:
    try:
        from selfopt.feedback import load_feedback

        return load_feedback(path or default)
    except FileNotFoundError:
        how = "name a feedback file" if path is not None else "write it with: selfopt feedback"
        raise UsageError(f"no file {path or default}; {how}") from None


async def roll_back(app: App, version: int, expected_version: int | None = None) -> RoutingConfig:
    """Restore the rules of an earlier version. The next cycle starts from what they serve.

    Args:
        version: 0 restores the state without rules.
        expected_version: the version in force that the caller has seen.

    Raises:
        UsageError: the version is not kept.
        StoreError: another version than the expected one is in force, or a file cannot be written.
        CorruptError: the version is not what was sealed. Otherwise raises as `Enforcer.rollback`.
    """
    app.home.ensure()
    earlier = app.enforcer.version(version)
    try:
        current = app.enforcer.load()
    except AuditError:  # the rules are lost, and a rollback restores them
        current = RoutingConfig()
    if expected_version is not None and current.version != expected_version:
        raise StoreError(
            f"the rules were changed meanwhile (version {current.version}, not {expected_version}); look at what would change now"
        )
    # Baselines first: after a kill in between, the next cycle still starts where the user wanted.
    if app.has_ledger:
        from selfopt.loop import note_rollback

        await note_rollback(app.ledger, current, earlier, utc_now, app.settings.one_name)
    return app.enforcer.rollback(version)


def bans_in_force(app: App) -> list[Ban]:
    """List what was taken back and is not tried again, each thing once."""
    if not app.has_ledger:
        return []
    from selfopt.loop import bans

    return list({(ban.model, ban.phase, ban.kind, ban.what): ban for ban in bans(ledger_or_none(app))}.values())


async def lift_bans(app: App, model: str, phase: str | None = None) -> list[Ban]:
    """Let what was taken back of a model be tried again. Returns what that is, each thing once.

    Raises:
        UsageError: nothing of it is banned, or there is no such phase.
    """
    from selfopt.loop import bans
    from selfopt.loop import lift_bans as lift

    from .measuring import phase_of

    name, only = app.known_model(model) or model, phase_of(phase) if phase is not None else None
    found = bans(app.ledger, name, only) if app.has_ledger else []
    if not found:
        raise UsageError(f"nothing of {name}{f' {phase}' if phase else ''} was taken back; `selfopt routes show` lists what was")
    lifted = await lift(app.ledger, found, utc_now())
    return list({(ban.model, ban.phase, ban.kind, ban.what): ban for ban in lifted}.values())


def rules_in_force(app: App) -> RoutingConfig:
    """Return the rules in force."""
    return app.enforcer.load()


def rules_of_version(app: App, version: int) -> tuple[Rule, ...]:
    """Return the exact rules of a version. Raises as `Enforcer.version`."""
    return app.enforcer.version(version).rules


def rule_history(app: App) -> tuple[VersionEntry, ...]:
    """Return every version of the rules."""
    return app.enforcer.history()


def import_routes(app: App, path: Path) -> RoutingConfig:
    """Import rules from a file in our schema or in the specification's short form.

    Raises:
        UsageError: an entry is wrong, or a threshold is not the one that its calibration chose.
            Otherwise raises as `Enforcer.import_file`.
    """
    app.home.ensure()
    return app.enforcer.import_file(path, resolve=app.resolve_model, check=partial(_checked, app))


_BY_HAND = {"retry", "sticky", "parallel", "environment"}  # of a threshold; nothing that was promised rests on these


def _checked(app: App, rules: Sequence[Rule]) -> Sequence[Rule]:
    """The rules. UsageError where one promises what its calibration does not. One that the ledger lacks says nothing."""
    surely = [(rule, rule.serve_when) for rule in rules if rule.serve_when is not None]
    known = _thresholds(app) if surely else {}
    for rule, when in surely:
        if when.calibration_id not in known:
            continue
        told, found = (one.model_dump(mode="json", exclude=_BY_HAND) for one in (when, known[when.calibration_id]))
        if edited := [name for name in found | told if told.get(name) != found.get(name)]:
            raise UsageError(
                f"{', '.join(f'serve_when.{name}' for name in edited)} of the rule of {rule_text(rule)} "
                f"{'is' if len(edited) == 1 else 'are'} not what {when.calibration_id} found, so nothing would be promised; leave "
                f"serve_when as it is but for retry, sticky and parallel, or choose another threshold with selfopt escalation"
            )
    return rules


def audit_records(app: App, last: int | None = None, *, seals: bool = True) -> list[AuditRecord]:
    """Return the records of the audit trail, oldest first.

    Args:
        last: return only the last so many; None for all.
        seals: include the records that only seal the ledger.
    """
    records: Iterator[AuditRecord] = app.enforcer.trail.records() if app.home.audit_trail.exists() else iter(())
    from selfopt.ledger import LEDGER_SEALED_EVENT

    found = [record for record in records if seals or record.event != LEDGER_SEALED_EVENT]
    return found[-last:] if last else found


@dataclass(frozen=True, slots=True)
class Traced:
    """A rule and everything it rests on, down to the replies.

    Attributes:
        changes: the audit records of the rule.
        missing: ids that are named as evidence but not in the ledger.
        faults: records, down to the texts of the replies, that are not as committed and sealed.
    """

    rule_id: str
    rule: Any
    changes: tuple[AuditRecord, ...]
    recommendations: tuple[Recommendation, ...]
    findings: tuple[Finding, ...]
    decisions: tuple[Decision, ...]
    evaluations: tuple[Evaluation, ...]
    specs: tuple[Spec, ...]
    runs: tuple[Run, ...]
    calibrations: tuple[Calibration, ...]
    trials: tuple[tuple[Trial, tuple[Verdict, ...]], ...]
    missing: tuple[str, ...]
    faults: tuple[LedgerFault, ...] = ()


def trace_rule(app: App, rule_id: str) -> Traced:
    """Trace a rule (an id, or `MODEL PHASE`) to everything it rests on."""
    trace = app.enforcer.trace(_rule_id(app, rule_id))
    recommendations = _by_id(app, Recommendation, trace.recommendation_ids)
    named = list(dict.fromkeys([*trace.evidence, *(e for r in recommendations for e in r.evidence)]))
    findings = _by_id(app, Finding, named)
    specs = _by_id(app, Spec, named)
    decisions = _by_id(app, Decision, named)
    calibrations = _by_id(app, Calibration, named)
    for spec in specs:
        decisions += [
            d
            for d in readable(app.ledger.read(Decision, {"candidate_spec_id": spec.spec_id}))
            if d.verdict == "promote" and d not in decisions
        ]
    wanted = [*named, *(i for f in findings for i in f.evaluation_ids), *(i for d in decisions for i in d.evaluation_ids)]
    evaluations = _by_id(app, Evaluation, wanted)
    run_ids = [*named, *(i for e in evaluations for i in e.run_ids), *(i for f in findings for i in f.run_ids)]
    runs = _by_id(app, Run, run_ids)
    trials = [pair for run in runs for pair in _trials_of(app, run)]
    records: list[Record] = [*recommendations, *findings, *specs, *decisions, *evaluations, *runs, *calibrations]
    held = {r.record_id for r in records} | {t.trial_id for t, _ in trials}
    only = {pair for r in (*records, *(one for t, vs in trials for one in (t, *vs))) for pair in ids_of(r)}
    return Traced(
        rule_id=trace.rule_id,
        rule=trace.rule,
        changes=trace.changes,
        recommendations=tuple(recommendations),
        findings=tuple(findings),
        decisions=tuple(decisions),
        evaluations=tuple(evaluations),
        specs=tuple(specs),
        runs=tuple(runs),
        calibrations=tuple(calibrations),
        trials=tuple(trials),
        missing=tuple(i for i in (*trace.recommendation_ids, *named) if i not in held),
        faults=faults_of(app, only, (*trace.recommendation_ids, *named)) if named or only else (),
    )


def _trials_of(app: App, run: Run) -> list[tuple[Trial, tuple[Verdict, ...]]]:
    verdicts: dict[str, list[Verdict]] = {}
    for verdict in readable(app.ledger.read(Verdict, {"run_id": run.run_id})):
        verdicts.setdefault(verdict.trial_id, []).append(verdict)
    trials = readable(app.ledger.read(Trial, {"run_id": run.run_id}))
    return [(trial, tuple(verdicts.get(trial.trial_id, ()))) for trial in trials]


def _rule_id(app: App, text: str) -> str:
    words = text.split()
    if len(words) != 2:
        return text
    from .measuring import phase_of

    # The settings may have lost the endpoint of a model whose rule can still be traced.
    model, phase = app.known_model(words[0]) or words[0], phase_of(words[1])
    rule = app.enforcer.load().rule_for(model, phase, app.settings.one_name)
    if rule is None:
        raise UsageError(f"no rule for {text!r}; see 'selfopt routes show'")
    return rule.rule_id


def _by_id(app: App, record_type: type[Any], ids: Any) -> list[Any]:
    ledger = ledger_or_none(app)
    return [record for item in dict.fromkeys(ids) for record in readable(ledger.read(record_type, {"id": item}, limit=1))]
