"""What was taken back and is not tried again, until somebody lifts it or what serves has changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from selfopt.measure.lookup import find
from selfopt.records import (
    Ban,
    BanCause,
    BanLifted,
    Baseline,
    Cycle,
    CyclePlan,
    Environment,
    Evaluation,
    Ledger,
    Phase,
    Recommendation,
    RemedyCheck,
    Spec,
    content_hash,
)


def bans(ledger: Ledger, model: str | None = None, phase: Phase | None = None) -> list[Ban]:
    """What is not tried again now, oldest first.

    A ban ends when it is lifted. That of a variant also ends when another model file serves than
    the one that was measured, because then the evidence is new.
    """
    lifted = {ban_id for record in ledger.read(BanLifted) for ban_id in record.ban_ids}
    found = [ban for ban in (*_variants(ledger, model, phase), *_remedies(ledger)) if ban.ban_id not in lifted]
    return [ban for ban in found if model in (None, ban.model) and phase in (None, ban.phase) and not _outdated(ledger, ban)]


async def lift_bans(ledger: Ledger, found: Iterable[Ban], at: str) -> list[Ban]:
    """Let these be tried again. Returns them."""
    lifted = list(found)
    for key in dict.fromkeys((ban.model, ban.phase) for ban in lifted):
        ids = tuple(ban.ban_id for ban in lifted if (ban.model, ban.phase) == key)
        await ledger.append(
            [BanLifted(lifting_id=content_hash("lift", [*ids, at]), model=key[0], phase=key[1], ban_ids=ids, at=at)]
        )
    return lifted


def withdrawn_specs(ledger: Ledger, model: str, phase: Phase) -> frozenset[str]:
    """The ids of specs that were promoted (and perhaps adapted), taken back, and are not tried again."""
    return frozenset(ban.spec_id for ban in bans(ledger, model, phase) if ban.spec_id is not None)


def _variants(ledger: Ledger, model: str | None, phase: Phase | None) -> Iterator[Ban]:
    where = {name: value for name, value in (("model", model), ("phase", phase)) if value is not None}
    records: dict[tuple[str, Phase], list[Baseline]] = {}
    for record in ledger.read(Baseline, where):
        records.setdefault((record.model, record.phase), []).append(record)
    for found in records.values():
        yield from _of_one(ledger, found)


def _of_one(ledger: Ledger, records: Iterable[Baseline]) -> Iterator[Ban]:
    """Bans of the variants of one model and phase, from its baselines, oldest first."""
    found: dict[str, Baseline] = {}
    lineage: list[str] = []
    for record in records:
        if record.source in ("withdrawn", "rollback"):
            found.update(dict.fromkeys(lineage, record))
            lineage = [record.spec_id] if record.source == "rollback" else []
        elif record.source == "adapted":
            lineage.append(record.spec_id)
        else:
            lineage = [record.spec_id] if record.source == "promotion" else []
    for spec_id, record in found.items():
        spec = find(ledger, Spec, spec_id)
        if spec_id not in lineage:
            yield Ban(
                content_hash("ban", [record.baseline_id, spec_id]),
                record.model,
                record.phase,
                "variant",
                spec.variant.name if spec is not None else spec_id,
                "rollback" if record.source == "rollback" else "did_not_help",
                spec_id,
                record.at,
            )


def _remedies(ledger: Ledger) -> Iterator[Ban]:
    """Warm-ups and fallbacks that were withdrawn, and warm-ups that were rolled back, each once."""
    seen: set[str] = set()
    told = [(plan.cycle_id, plan.at, plan.remedies) for plan in ledger.read(CyclePlan)]
    told += [(cycle.cycle_id, cycle.ended_at, cycle.remedies) for cycle in ledger.read(Cycle)]
    for cycle_id, at, remedies in told:
        for check in remedies:
            ban = _of_check(ledger, cycle_id, check, at)
            if ban is not None and ban.ban_id not in seen:
                seen.add(ban.ban_id)
                yield ban
    for advice in ledger.read(Recommendation):
        if advice.action == "withdraw" and advice.type == "warm_up":
            because: BanCause = "rollback" if advice.cycle_id is None else "did_not_help"
            yield Ban(content_hash("ban", [advice.id]), advice.model, advice.phase, "warm_up", "", because)


def _of_check(ledger: Ledger, cycle_id: str, check: RemedyCheck, at: str) -> Ban | None:
    if not check.withdrawn or check.claim == "variant":
        return None
    what = ""
    if check.claim == "fallback":
        served = find(ledger, Evaluation, check.evidence[-1]) if check.evidence else None
        if served is None:
            return None
        what = served.model
    if check.claim == "escalation":
        what = check.recommendation_id
    key = [cycle_id, check.model, check.phase, check.claim, what]
    return Ban(content_hash("ban", key), check.model, check.phase, check.claim, what, "did_not_help", at=at)


def _outdated(ledger: Ledger, ban: Ban) -> bool:
    """Whether another model file serves now than the one that the banned variant was measured on."""
    if ban.spec_id is None:
        return False
    measured = _digest(ledger, next(ledger.read(Evaluation, {"spec_id": ban.spec_id}, newest_first=True, limit=1), None))
    newest = next(ledger.read(Evaluation, {"model": ban.model, "phase": ban.phase}, newest_first=True, limit=1), None)
    now = _digest(ledger, newest)
    return measured is not None and now is not None and measured != now


def _digest(ledger: Ledger, evaluation: Evaluation | None) -> str | None:
    """The model file behind an evaluation; None where the server hides it."""
    environment = find(ledger, Environment, evaluation.environment_id) if evaluation is not None else None
    return environment.digest if environment is not None and environment.digest != "unknown" else None
