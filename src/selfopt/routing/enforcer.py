"""The only writer of routing rules.

A change first writes the audit records, then the version, then the configuration. Then it reads the
configuration back.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from selfopt.errors import AuditError, CorruptError, StoreError, UsageError
from selfopt.home import ChainedFile, ChainReport, Home, escape_control, guarded
from selfopt.records import (
    AuditRecord,
    Phase,
    Recommendation,
    RoutingConfig,
    Rule,
    Spec,
    ToolMatch,
    Voided,
    VoidedBy,
    schema_of,
    utc_now,
)
from selfopt.records.rule import ShareRise

from .by_hand import VOID, HandRule, set_by_hand, still_voided, with_voided, without
from .changes import RuleChange, check_rules, diff
from .finer import check_finer
from .imports import imported_rules
from .in_force import InForce, abort, look, repair
from .rules import RuleOptions, generate_routing_rules
from .store import read_config, rules_hash, set_aside, version_numbers, write_config, write_version
from .trail import change_event, render_log
from .verifying import RulesReport, verify_rules
from .versions import CHANGE_EVENTS, VersionEntry, VersionSeals, history_of

logger = logging.getLogger("selfopt.routing")

STEPS = ("locked", "audit_written", "version_written", "config_renamed", "read_back")
"""The steps of a change, in order. Each is reported to `on_step` when it is done."""


@dataclass(frozen=True, slots=True)
class RuleTrace:
    """Where a rule comes from.

    Attributes:
        rule: the rule in force; None if it was removed.
        changes: its audit records, oldest first.
        recommendation_ids, evidence: ids in the ledger, of the rule and of all its changes.
    """

    rule_id: str
    rule: Rule | None
    changes: tuple[AuditRecord, ...]
    recommendation_ids: tuple[str, ...]
    evidence: tuple[str, ...]


class Enforcer:
    """Reads and changes the rules of one home. Any number of processes may do so at once.

    Args:
        on_step: called with each of STEPS when it is done.
        before_change: called before each change. If it raises, nothing is changed.
        after_change: called with each new version. It is in force even if this raises.
        one_name: gives one name for all of a model. A rule keeps the name that it has.
        check: called with the rules that a change adds or changes. If it raises, nothing is changed.
    """

    def __init__(
        self,
        home: Home,
        *,
        clock: Callable[[], str] = utc_now,
        on_step: Callable[[str], None] = lambda _: None,
        before_change: Callable[[], None] = lambda: None,
        after_change: Callable[[RoutingConfig], None] = lambda _: None,
        one_name: Callable[[str], str] = str,
        check: Callable[[Sequence[Rule]], None] = lambda _: None,
    ) -> None:
        self.home = home
        self.trail = ChainedFile(home.audit_trail, clock=clock)
        self._clock = clock
        self._on_step = on_step
        self._before_change = before_change
        self._after_change = after_change
        self._one_name = one_name
        self._check = check

    # -- reading

    def load(self, *, repair_pending: bool = True) -> RoutingConfig:
        """The rules in force (see `in_force`). A fresh home has version 0 without rules.

        Completes or gives up what a killed writer left, and restores a configuration file that is
        missing or older. If that is not possible now, warns and returns what is in force. Also
        warns if anything is wrong with routing_config.json.

        Args:
            repair_pending: False writes nothing.

        Raises:
            CorruptError, NewerSchemaError, StoreError: the rules cannot be read or restored.
            AuditError: no file holds what the audit trail sealed.
            UsageError: a file that was made by hand has two rules between which nothing decides, or
                one that serves when sure and names no stronger model.
        """
        config = self._found(repair_pending=repair_pending).config
        check_finer(config.rules)
        return config

    def _found(self, *, repair_pending: bool) -> InForce:
        found: InForce | None = None
        try:
            found = look(self.home, self.trail)
        except AuditError:
            if not repair_pending:
                raise
        if repair_pending and (found is None or found.pending or found.put_back):
            try:
                found = self._repaired()
            except StoreError as error:
                if found is None or found.config.version == 0:
                    raise  # rules may have been in force, so serving without them is no option
                logger.warning("what a killed writer left stays as it is: %s", escape_control(str(error), 500))
        assert found is not None
        if fault := self.trail.fault():
            logger.warning("the rules could not be checked against the trail: %s", escape_control(fault, 500))
        if found.said:
            logger.warning("%s", escape_control(found.said, 1000))
        return found

    def _repaired(self) -> InForce:
        with self._writing():
            found = repair(self.home, self.trail)
        render_log(self.trail)
        return found

    def look(self, at_least: int = 0) -> InForce:
        """The rules in force, as the files are now. Writes and logs nothing; raises as `load`.

        Args:
            at_least: a version that is known to have been in force.
        """
        return look(self.home, self.trail, at_least=at_least)

    def version(self, number: int) -> RoutingConfig:
        """The exact rules of an earlier version. Version 0 has no rules.

        Raises:
            UsageError: no version of that number is kept.
            CorruptError: the version is not what the audit trail sealed.
        """
        if number == 0:
            return RoutingConfig()
        seals = VersionSeals(self.home, self.trail)
        kept = seals.read(number)
        if kept.config is not None:
            return kept.config
        if kept.state == "aborted":
            raise UsageError(f"{kept.why}; `selfopt routes history` lists the versions that were")
        if kept.state == "missing" and seals.of(number) is None:
            known = ", ".join(map(str, version_numbers(self.home)[-20:])) or "none"
            raise UsageError(f"version {number} is not kept; kept are: {known} (0 means no rules)")
        raise CorruptError(
            f"version {number} of the rules is not used: {kept.why}; restore the file from a copy, or name another version"
        )

    def history(self) -> tuple[VersionEntry, ...]:
        """Every version in the audit trail, oldest first. AuditError if the trail is damaged."""
        return history_of(self.trail.records(), self.load().version)

    def trace(self, rule_id: str) -> RuleTrace:
        """A rule, all its changes, and the ids behind them.

        Raises:
            UsageError: neither the rules in force nor the audit trail know the rule.
            AuditError: the trail is damaged.
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

    def verify(self, anchors: Mapping[int, str] | None = None) -> ChainReport:
        """Verifies the chain and the head of the audit trail, and the rules.

        Args:
            anchors: hashes that were noted elsewhere, by the number of their record.
        """
        report, rules = self.trail.verify(anchors=anchors), self.verify_rules()
        problems = (*report.problems, *rules.problems)
        return replace(report, ok=not problems, reason=(problems or ("",))[0], problems=problems)

    def verify_rules(self) -> RulesReport:
        """Verifies the rules in force and every version of them."""
        return verify_rules(self.home, self.trail)

    # -- changing

    def apply(
        self, rules: Sequence[Rule], *, event: str = "apply", reason: str = "", expected_version: int | None = None
    ) -> RoutingConfig:
        """Puts a whole set of rules in force as a new version.

        Args:
            event: the command that makes the change.
            expected_version: the version that the caller has read.

        Returns:
            The new configuration, or the present one if nothing differs.

        Raises:
            UsageError: the rules are impossible.
            AuditError: the change cannot be audited. Nothing is changed.
            StoreError: another writer came first, or a file cannot be written.
        """

        def replaced(current: RoutingConfig) -> Sequence[Rule]:
            if expected_version is not None and current.version != expected_version:
                raise StoreError(
                    f"the rules were changed meanwhile (version {current.version}, not {expected_version}); repeat the command"
                )
            return rules

        return self.update(replaced, event=event, reason=reason)

    def update(self, change: Callable[[RoutingConfig], Sequence[Rule]], *, event: str, reason: str = "") -> RoutingConfig:
        """Changes the rules by a function of the present ones, under the writers' lock.

        Raises as `apply`.
        """
        return self._update(change, {"cause": event, "cause_reason": reason})

    def _update(
        self, change: Callable[[RoutingConfig], Sequence[Rule]], cause: dict[str, str], *, whole: bool = False
    ) -> RoutingConfig:
        """whole: the change ignores the present rules, so it may also replace rules that are lost."""
        self.home.ensure()
        self._before_change()
        with self._writing():
            self._on_step("locked")
            try:
                found = repair(self.home, self.trail)
            except AuditError:
                if not whole:
                    raise
                found = InForce(RoutingConfig(), refused=self.home.routing_config.exists())
            rules = tuple(still_voided(sorted(change(found.config), key=lambda rule: rule.key), self.trail))
            check_rules(rules)
            changes = diff(found.config, rules)
            self._check([change.after for change in changes if change.after is not None])
            config = found.config
            if changes:
                config = self._put_in_force(found, rules, changes, cause)
            elif found.refused and not found.put_back:
                self._set_aside()
                write_config(self.home, config)
        render_log(self.trail)
        if changes:
            self._after_change(config)
        return config

    def _set_aside(self) -> None:
        """Keeps a copy of a file that is not in force, since somebody may have worked on it."""
        name = set_aside(self.home)
        logger.warning("%s was not in force; it is kept as %s", self.home.routing_config, name)

    def enforce(
        self,
        recommendations: Sequence[Recommendation],
        *,
        promoted: Mapping[tuple[str, Phase], Spec] | None = None,
        options: RuleOptions | None = None,
        event: str = "enforce",
        reason: str = "",
    ) -> RoutingConfig:
        """Merges recommendations and promoted specs into the rules. Raises as `apply`."""
        return self.update(
            lambda current: generate_routing_rules(
                recommendations, current, promoted=promoted, options=replace(options or RuleOptions(), one_name=self._one_name)
            ),
            event=event,
            reason=reason,
        )

    def set_rule(
        self, model: str, phase: Phase, *, allow: bool, fallback: str | None = None, reason: str = "", warm_up: bool | None = None
    ) -> RoutingConfig:
        """Sets the rule of a model and phase by hand. Raises as `set_by_hand`."""
        return self.set_by_hand(model, phase, HandRule(allow, fallback, reason, warm_up))

    def set_by_hand(self, model: str, phase: Phase, hand: HandRule) -> RoutingConfig:
        """Sets a rule by hand. Its variant and limits stay, unless `hand` has a spec.

        The rule becomes `manual`: recommendations no longer change its `allow` and `fallback`.
        Raises as `apply`.
        """
        return self.update(lambda now: set_by_hand(now, model, phase, hand, self._one_name), event="set", reason=hand.reason)

    def remove(self, model: str, phase: Phase, when: ToolMatch | None = None) -> RoutingConfig:
        """Removes the rule of exactly this model, phase and tools. UsageError if there is none; else raises as `apply`."""
        return self.update(lambda now: without(now, model, phase, when, self._one_name), event="remove")

    def void(
        self, rule_id: str, why: str, *, calibration_id: str, kind: VoidedBy = "drift", rise: ShareRise | None = None
    ) -> RoutingConfig:
        """Voids the threshold of a rule: from now on everything it would serve goes to its fallback.

        That lasts until the rule gets a threshold of another calibration. Voiding it again changes
        nothing. Raises as `with_voided` and `apply`.

        Args:
            why: for people.
            calibration_id: the calibration that does not hold any more.
            rise: what live traffic showed.
        """
        told = Voided(kind=kind, calibration_id=calibration_id, why=escape_control(why, 500), at=self._clock(), rise=rise)
        return self.update(lambda now: with_voided(now, rule_id, told), event=VOID, reason=told.why)

    def import_file(
        self, path: Path, *, resolve: Callable[[str], str] = str, check: Callable[[Sequence[Rule]], Sequence[Rule]] = tuple
    ) -> RoutingConfig:
        """Imports rules from a file (see `imported_rules`). Raises as that, as `check` and as `apply`.

        Args:
            resolve: turns an alias into `provider/name`.
            check: gives the rules back, or refuses them.
        """
        read = partial(imported_rules, path, resolve=resolve, one_name=self._one_name)
        return self.update(lambda current: check(read(current.rules)), event="import", reason=path.name)

    def rollback(self, version: int) -> RoutingConfig:
        """Puts the exact rules of an earlier version in force again, as a new version.

        Raises as `version` and `apply`.

        Args:
            version: 0 for no rules.
        """
        earlier = self.version(version).rules
        cause = {"cause": "rollback", "cause_reason": f"to version {version}"}
        return self._update(lambda _: earlier, cause, whole=True)

    def _writing(self) -> contextlib.AbstractContextManager[None]:
        return guarded(self.home.routing_lock, what="the routing rules")

    def _next_version(self, current: RoutingConfig) -> int:
        begun = next((seal.version for seal in VersionSeals(self.home, self.trail).newest_first()), 0)
        return max(current.version, begun, self.trail.noted(), *version_numbers(self.home), 0) + 1

    def _put_in_force(
        self, found: InForce, rules: Sequence[Rule], changes: Sequence[RuleChange], cause: dict[str, str]
    ) -> RoutingConfig:
        version = self._next_version(found.config)
        changed = {change.rule.rule_id for change in changes}
        stamped = tuple(r.model_copy(update={"since_version": version}) if r.rule_id in changed else r for r in rules)
        form = schema_of(stamped)
        config = RoutingConfig(schema_version=form, version=version, generated_at=self._clock(), rules=stamped)
        by_id = {rule.rule_id: rule for rule in stamped}
        events = []
        for number, change in enumerate(changes, 1):
            after = by_id.get(change.rule.rule_id)
            events.append(change_event(RuleChange(change.before, after), version, {**cause, "change": [number, len(changes)]}))
        events[-1].fields["details"]["config_hash"] = rules_hash(config)
        config = config.model_copy(update={"audit_hash": self.trail.append_all(events)[-1].hash})
        self._on_step("audit_written")
        try:
            write_version(self.home, config)
            self._on_step("version_written")
            if found.refused and not found.put_back:
                self._set_aside()
            write_config(self.home, config)
        except StoreError:
            abort(self.home, self.trail, config)
            raise
        self._on_step("config_renamed")
        if read_config(self.home.routing_config) != config:
            raise StoreError(f"{self.home.routing_config} does not read back as written; check the disk, then repeat the command")
        self._on_step("read_back")
        with contextlib.suppress(StoreError):  # the version is in force, and the next change notes it
            self.trail.note(version)
        return config
