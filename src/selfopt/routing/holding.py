"""Whether the threshold of a rule holds for what serves now."""

from __future__ import annotations

import logging
from collections.abc import Callable

from selfopt.home import AuditEvent
from selfopt.records import Environment, Rule, Voided, evidence_key
from selfopt.records.confidence import HELD_FACTS
from selfopt.records.spec import UNKNOWN
from selfopt.words.thresholds import differs_text, voided_text

logger = logging.getLogger("selfopt.routing")
THRESHOLD_VOID = "threshold_void"
"""The audit event of a threshold that does not hold for what serves now."""


def voided_by(rule: Rule, now: Environment | None, *, at: str = "") -> Voided | None:
    """Why the threshold of a rule does not hold; None if it does, or if there is none.

    Where it does not, the answers of the rule's model escalate, however sure they are.

    Args:
        now: what serves the rule's model; None before its server was asked. What a server does not
            tell speaks against nothing, because it knows less about a model that is not loaded.
    """
    surely = rule.serve_when
    if surely is None or rule.voided is not None:
        return rule.voided
    then = surely.environment
    if then is None:
        if now is None or evidence_key(rule.spec_id or "", now, surely.second) == surely.evidence_key:
            return None
        differs: tuple[str, ...] = ("evidence_key",)
    else:
        served = evidence_key(rule.spec_id or "", then, surely.second) == surely.evidence_key
        differs = (() if served else ("spec",)) + (() if now is None else _differences(then, now))
    if not differs:
        return None
    why = differs_text(differs)
    return Voided(kind="environment", calibration_id=surely.calibration_id, why=why, differs=differs, at=at)


def _differences(then: Environment, now: Environment) -> tuple[str, ...]:
    others = frozenset(Environment.model_fields)
    return tuple(n for n in HELD_FACTS if not then.compatible_with(now, ignoring=others - {n}))


class ThresholdsHeld:
    """Knows which thresholds hold now, and tells of each that does not, once.

    Args:
        tell: called once for each rule and reason, after it is logged, for metrics and the audit
            trail (`void_event`).
        one_name: gives one name for all of a model.
    """

    def __init__(
        self, tell: Callable[[Rule, Voided], None] = lambda rule, voided: None, *, one_name: Callable[[str], str] = str
    ) -> None:
        self._tell = tell
        self._one_name = one_name
        self._seen: dict[str, Environment] = {}
        self._judged: dict[tuple[str, str], tuple[Rule, Voided | None]] = {}
        self._told: dict[str, Voided | None] = {}
        self._drifted: dict[tuple[str, str], Voided] = {}

    def observed(self, model: str, environment: Environment) -> None:
        """Take note of what serves a model now.

        What its server does not tell now stays as it was told last: a server that falls silent takes
        nothing back.
        """
        name = self._one_name(model)
        before = self._seen.get(name)
        if before is not None:
            untold = {fact: getattr(before, fact) for fact in HELD_FACTS if getattr(environment, fact) in (None, UNKNOWN)}
            environment = environment.model_copy(update=untold)
        if before != environment:
            self._seen[name] = environment
            self._judged.clear()

    def drifted(self, rule: Rule, voided: Voided) -> None:
        """Take note that live traffic voids the threshold of a rule, and tell of it. That stays so for this calibration."""
        self._drifted[rule.rule_id, voided.calibration_id] = voided
        self._judged.clear()
        self.voided(rule)

    def voided(self, rule: Rule) -> Voided | None:
        """Why the threshold of a rule does not hold now; None if it does, or if there is none.

        Cheap: what was judged is kept until the rule or what serves it changes.
        """
        surely = rule.serve_when
        if surely is None:
            return None
        known = self._judged.get((rule.rule_id, surely.calibration_id))
        if known is not None and known[0] is rule:
            return known[1]
        found = self.standing(rule)
        self._judged[rule.rule_id, surely.calibration_id] = rule, found
        if found is not None and not _says_the_same(self._told.get(rule.rule_id), found):
            logger.error("%s", voided_text(rule, found))
            self._tell(rule, found)
        self._told[rule.rule_id] = found
        return found

    def standing(self, rule: Rule) -> Voided | None:
        """As `voided`, for who only looks: nothing is told, and nothing kept."""
        if rule.serve_when is None:
            return None
        drifted = self._drifted.get((rule.rule_id, rule.serve_when.calibration_id))
        return rule.voided or drifted or voided_by(rule, self._seen.get(self._one_name(rule.model)))


def _says_the_same(one: Voided | None, other: Voided) -> bool:
    """Whether both say that a threshold is void for the same reason, whenever that was noticed."""
    return one is not None and one.model_copy(update={"at": other.at}) == other


def void_event(rule: Rule, voided: Voided, version: int) -> AuditEvent:
    """The audit event of a threshold that does not hold for what serves now. version: of the rules in force."""
    surely = rule.serve_when
    return AuditEvent(
        THRESHOLD_VOID,
        {
            "original_model": rule.model,
            "fallback": rule.fallback,
            "phase": rule.phase,
            "reason": voided.why,
            "rule_id": rule.rule_id,
            "config_version": version,
            "evidence": (voided.calibration_id,),
            "details": {
                "voided": voided.model_dump(mode="json"),
                "least": None if surely is None else surely.least,
                "bound": None if surely is None else surely.bound.model_dump(mode="json"),
            },
        },
    )
