"""The one writer of routing rules: audit first, then the version, then the configuration, then read back."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from selfopt.errors import AuditError, StoreError, UsageError
from selfopt.home import AuditEvent, AuditFields, ChainedFile, ChainReport, Home, escape_control, guarded
from selfopt.records import AuditRecord, Phase, Recommendation, RouteDecision, RoutingConfig, Rule, Spec, utc_now

from .changes import RuleChange, check_rules, diff, rule_id_of
from .imports import imported_rules
from .recovery import CHANGE_EVENTS, abort, is_edited, is_pending, last_change, repair
from .rules import RuleOptions, generate_routing_rules
from .store import clear_temporaries, read_config, read_version, rules_hash, version_numbers, write_config, write_version
from .trail import log_routing_decision, render_log

__all__ = ["STEPS", "Enforcer", "RuleTrace", "VersionEntry"]

logger = logging.getLogger("selfopt.routing")

STEPS = ("locked", "audit_written", "version_written", "config_renamed", "read_back")
"""The steps of a change, in order; each is reported to `on_step` when it is done."""


@dataclass(frozen=True, slots=True)
class VersionEntry:
    """One version of the rules. cause: which command made it; in_force: whether it is the present one; aborted: begun, never
    in force."""

    version: int
    at: str
    cause: str
    reason: str
    changes: tuple[str, ...]
    in_force: bool
    aborted: bool


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """Where a rule comes from. rule: the one in force, or None when it was removed; changes: its audit records, oldest
    first; recommendation_ids and evidence: of the rule and of every change of it, to be looked up in the ledger."""

    rule_id: str
    rule: Rule | None
    changes: tuple[AuditRecord, ...]
    recommendation_ids: tuple[str, ...]
    evidence: tuple[str, ...]


def _no_step(_: str) -> None:
    """The default `on_step`: nobody watches."""


def _nothing() -> None:
    """The default `before_change`."""


class Enforcer:
    """Reads and changes the rules of one home. Any number of processes may do so at the same time.

    on_step is called with each name of STEPS when that step of a change is done; before_change before each change begins, and
    what it raises is raised instead of changing anything.
    """

    def __init__(
        self,
        home: Home,
        *,
        clock: Callable[[], str] = utc_now,
        on_step: Callable[[str], None] = _no_step,
        before_change: Callable[[], None] = _nothing,
    ) -> None:
        self.home = home
        self.trail = ChainedFile(home.audit_trail, clock=clock)
        self._clock = clock
        self._on_step = on_step
        self._before_change = before_change

    # -- reading

    def load(self, *, repair_pending: bool = True) -> RoutingConfig:
        """The rules in force; version 0 without rules in a fresh home.

        Finishes or aborts what a killed writer left, and restores a configuration file that is missing (see `recovery`);
        when that is not possible now, warns and returns what is in force. repair_pending=False writes nothing. Raises
        CorruptError, NewerSchemaError or StoreError for a configuration that cannot be read or restored.
        """
        config = read_config(self.home.routing_config)
        if repair_pending:
            try:
                config = self._repaired(config)
            except StoreError as error:
                if config is None:
                    raise  # rules were in force once: serving without them is not an answer
                logger.warning("the rules could not be checked against the trail: %s", escape_control(str(error), 500))
            if config is None:
                self._check_that_nothing_was_lost()
        return config if config is not None else RoutingConfig()

    def _check_that_nothing_was_lost(self) -> None:
        """Without a configuration: AuditError when rules were in force once, as the trail or kept versions show."""
        report = self.verify()
        if not report.ok:
            raise AuditError(
                f"{self.home.root} has no routing configuration, and its audit trail does not verify ({report.reason}): restore "
                "both from a copy, or move routing_versions and the trail aside to start without rules"
            )

    def _repaired(self, config: RoutingConfig | None) -> RoutingConfig | None:
        change = last_change(self.trail)
        if config is not None and is_edited(change, config):
            logger.warning(
                "the rules in force were edited by hand: %s is not what the audit trail sealed as version %d; make them a version of "
                "their own with `selfopt routes import`, or take them back with `selfopt routes rollback`",
                self.home.routing_config,
                config.version,
            )
        if change is None or (config is not None and not is_pending(change, config)):
            return config
        with self._writing():
            config = repair(self.home, self.trail)
        render_log(self.trail)
        return config

    def is_sealed(self, config: RoutingConfig) -> bool:
        """Whether the configuration is what the trail sealed under its version. AuditError for a damaged trail."""
        return not is_edited(last_change(self.trail), config)

    def history(self) -> tuple[VersionEntry, ...]:
        """Every version that the trail knows, oldest first. Raises AuditError for a damaged trail."""
        in_force = self.load().version
        found: dict[int, dict[str, Any]] = {}
        for record in self.trail.records():
            version = record.config_version
            if version is None:
                continue
            if record.event in CHANGE_EVENTS:
                entry = found.setdefault(version, {"at": record.timestamp, "changes": [], "aborted": False})
                entry["cause"] = str(record.details.get("cause", ""))
                entry["reason"] = str(record.details.get("cause_reason", ""))
                entry["changes"].append(f"{record.event} {record.original_model} {record.phase}")
            elif record.event == "version_aborted" and version in found:
                found[version]["aborted"] = True
        return tuple(
            VersionEntry(
                version=version,
                at=entry["at"],
                cause=entry["cause"],
                reason=entry["reason"],
                changes=tuple(entry["changes"]),
                in_force=version == in_force,
                aborted=entry["aborted"],
            )
            for version, entry in sorted(found.items())
        )

    def trace(self, rule_id: str) -> RuleTrace:
        """A rule with every change of it and the ids of the recommendations and the evidence behind them.

        UsageError when neither the rules in force nor the trail know it; AuditError for a damaged trail.
        """
        rules = self.load().rules
        rule = next((r for r in rules if r.rule_id == rule_id), None)
        changes = tuple(r for r in self.trail.records() if r.rule_id == rule_id and r.event in CHANGE_EVENTS)
        if rule is None and not changes:
            raise UsageError(f"no rule {escape_control(rule_id, 80)}; `selfopt routes show` lists the rules with their ids")
        ids = list(rule.recommendation_ids) if rule else []
        evidence = list(rule.evidence) if rule else []
        for change in reversed(changes):
            for side in ("after", "before"):
                body = change.details.get(side) or {}
                ids += body.get("recommendation_ids", ())
                evidence += body.get("evidence", ())
        return RuleTrace(rule_id, rule, changes, tuple(dict.fromkeys(ids)), tuple(dict.fromkeys(evidence)))

    def verify(self) -> ChainReport:
        """Verify the trail's chain, that it holds the records that the configuration and every kept version name, and that
        the configuration in force is what the trail sealed (and was not edited by hand).

        A damaged version file is not the trail's fault and is passed over here; a configuration that cannot be read raises.
        """
        sealed = {config.audit_hash for config in self._kept_versions() if config.audit_hash}
        config = read_config(self.home.routing_config)
        if config is not None and config.audit_hash:
            sealed.add(config.audit_hash)
        report = self.trail.verify(sealed)
        if report.ok and config is not None and not self._is_sealed(config):
            said = f"{self.home.routing_config} is not what the trail sealed: it was edited by hand; use `selfopt routes import`"
            return replace(report, ok=False, reason=said)
        return report

    def _is_sealed(self, config: RoutingConfig) -> bool:
        record = next((r for r in self.trail.newest_first(config.audit_hash.encode()) if r.hash == config.audit_hash), None)
        return record is not None and record.details.get("config_hash") == rules_hash(config)

    def _kept_versions(self) -> Iterator[RoutingConfig]:
        for number in version_numbers(self.home):
            with contextlib.suppress(StoreError):
                version = read_version(self.home, number)
                if version is not None:
                    yield version

    # -- changing

    def apply(
        self, rules: Sequence[Rule], *, event: str = "apply", reason: str = "", expected_version: int | None = None
    ) -> RoutingConfig:
        """Put this whole set of rules in force as a new version; the present one when nothing differs.

        event: which command does it; expected_version: refuse (StoreError) when another writer came first. Raises UsageError
        for impossible rules, AuditError when the change cannot be audited (nothing is changed then), StoreError.
        """

        def replaced(current: RoutingConfig) -> Sequence[Rule]:
            if expected_version is not None and current.version != expected_version:
                raise StoreError(
                    f"the rules were changed meanwhile (version {current.version}, not {expected_version}); repeat the command"
                )
            return rules

        return self.update(replaced, event=event, reason=reason)

    def update(self, change: Callable[[RoutingConfig], Sequence[Rule]], *, event: str, reason: str = "") -> RoutingConfig:
        """Change the rules by a function of the present ones; no other writer comes in between. Raises as `apply`."""
        self.home.ensure()
        self._before_change()
        with self._writing():
            self._on_step("locked")
            current = repair(self.home, self.trail) or RoutingConfig()
            rules = tuple(sorted(change(current), key=lambda rule: (rule.model, rule.phase)))
            check_rules(rules)
            changes = diff(current, rules)
            if not changes:
                return current
            config = self._put_in_force(current, rules, changes, {"cause": event, "cause_reason": reason})
        render_log(self.trail)
        return config

    def enforce(
        self,
        recommendations: Sequence[Recommendation],
        *,
        promoted: Mapping[tuple[str, Phase], Spec] | None = None,
        options: RuleOptions | None = None,
        event: str = "enforce",
        reason: str = "",
    ) -> RoutingConfig:
        """Merge recommendations and promoted specs into the rules (see `generate_routing_rules`). Raises as `apply`."""
        return self.update(
            lambda current: generate_routing_rules(recommendations, current, promoted=promoted, options=options),
            event=event,
            reason=reason,
        )

    def set_rule(
        self, model: str, phase: Phase, *, allow: bool, fallback: str | None = None, reason: str = "", warm_up: bool | None = None
    ) -> RoutingConfig:
        """Set a rule by hand; it becomes `manual`, so recommendations leave `allow` and `fallback` alone. warm_up None: as it
        was. Variant and limits stay. Raises as `apply`."""

        def changed(current: RoutingConfig) -> Sequence[Rule]:
            old = current.rule_for(model, phase) or Rule(rule_id=rule_id_of(model, phase), model=model, phase=phase, allow=allow)
            update: dict[str, Any] = {
                "allow": allow,
                "fallback": fallback,
                "source": "manual",
                "reason": reason or ("allowed by hand" if allow else "denied by hand"),
                "recommendation_ids": (),
                "evidence": (),
            }
            if warm_up is not None:
                update["warm_up"] = warm_up
            others = [rule for rule in current.rules if (rule.model, rule.phase) != (model, phase)]
            return [*others, old.model_copy(update=update)]

        return self.update(changed, event="set", reason=reason)

    def import_file(self, path: Path, *, resolve: Callable[[str], str] = str) -> RoutingConfig:
        """Import rules from a file (see `imported_rules`). resolve: alias -> `provider/name`. Raises as `apply`, and
        CorruptError or NewerSchemaError for the file."""
        return self.update(lambda current: imported_rules(path, current.rules, resolve), event="import", reason=path.name)

    def rollback(self, version: int) -> RoutingConfig:
        """Put the exact rules of an earlier version in force again, as a new version. 0: no rules.

        UsageError when that version is not kept; raises as `apply` otherwise.
        """

        def earlier(_: RoutingConfig) -> Sequence[Rule]:
            if version == 0:
                return ()
            kept = read_version(self.home, version)
            if kept is None:
                known = ", ".join(map(str, version_numbers(self.home)[-20:])) or "none"
                raise UsageError(f"version {version} is not kept; kept are: {known} (0 means no rules)")
            return kept.rules

        return self.update(earlier, event="rollback", reason=f"to version {version}")

    def log_decision(self, decision: RouteDecision) -> AuditRecord | None:
        """`log_routing_decision` on this home's trail."""
        self.home.ensure()
        return log_routing_decision(self.trail, decision)

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        return guarded(self.home.routing_lock, what="the routing rules")

    def _next_version(self, current: RoutingConfig) -> int:
        change = last_change(self.trail)
        begun = change.config_version if change is not None and change.config_version is not None else 0
        return max(current.version, begun, *version_numbers(self.home), 0) + 1

    def _put_in_force(
        self, current: RoutingConfig, rules: Sequence[Rule], changes: Sequence[RuleChange], cause: dict[str, str]
    ) -> RoutingConfig:
        clear_temporaries(self.home)
        version = self._next_version(current)
        changed = {change.rule.rule_id for change in changes}
        stamped = tuple(r.model_copy(update={"since_version": version}) if r.rule_id in changed else r for r in rules)
        config = RoutingConfig(version=version, generated_at=self._clock(), rules=stamped)
        by_id = {rule.rule_id: rule for rule in stamped}
        events = []
        for number, change in enumerate(changes, 1):
            after = by_id.get(change.rule.rule_id)
            events.append(_audit_event(RuleChange(change.before, after), version, {**cause, "change": [number, len(changes)]}))
        events[-1].fields["details"]["config_hash"] = rules_hash(config)
        config = config.model_copy(update={"audit_hash": self.trail.append_all(events)[-1].hash})
        self._on_step("audit_written")
        try:
            write_version(self.home, config)
            self._on_step("version_written")
            write_config(self.home, config)
        except StoreError:
            abort(self.home, self.trail, config)
            raise
        self._on_step("config_renamed")
        if read_config(self.home.routing_config) != config:
            raise StoreError(f"{self.home.routing_config} does not read back as written; check the disk, then repeat the command")
        self._on_step("read_back")
        return config


def _audit_event(change: RuleChange, version: int, details: dict[str, Any]) -> AuditEvent:
    rule = change.rule
    fields: AuditFields = {
        "original_model": rule.model,
        "fallback": rule.fallback,
        "phase": rule.phase,
        "reason": rule.reason,
        "rule_id": rule.rule_id,
        "config_version": version,
        "evidence": tuple(dict.fromkeys((*rule.recommendation_ids, *rule.evidence))),
        "details": {
            **details,
            "before": change.before.model_dump(mode="json") if change.before else None,
            "after": change.after.model_dump(mode="json") if change.after else None,
        },
    }
    return AuditEvent(change.event, fields)
