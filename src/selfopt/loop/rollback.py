"""Makes the loop follow a rollback of the rules.

Otherwise its next cycle would enforce again what was just taken back.
"""

from __future__ import annotations

from collections.abc import Callable

from selfopt.measure.lookup import find
from selfopt.records import Baseline, Ledger, Phase, Record, RoutingConfig, Rule, Spec

from .remedies import no_warm_up
from .store import baseline_id, baselines


async def note_rollback(
    ledger: Ledger,
    current: RoutingConfig,
    earlier: RoutingConfig,
    now: Callable[[], str],
    one_name: Callable[[str], str] = str,
) -> list[Record]:
    """Append the records that make the loop follow a rollback to earlier rules.

    The specs of the earlier rules become the baselines. A model and phase whose earlier rule names
    no spec goes back to the baseline before its promotions and adaptations. What is taken back is
    not proposed again (`withdrawn_specs`), and a warm-up that is removed is not recommended again
    (`withdrawn_remedies`).

    one_name: gives one name for all of a model.

    Returns:
        The records.
    """
    records = rollback_records(ledger, current, earlier, now(), one_name)
    await ledger.append(records)
    return records


def rollback_records(
    ledger: Ledger, current: RoutingConfig, earlier: RoutingConfig, at: str, one_name: Callable[[str], str] = str
) -> list[Record]:
    """What `note_rollback` would append: new baselines, and warm-ups that are not recommended again."""
    records: list[Record] = []
    for (model, phase), spec_id in baselines(ledger).items():
        wanted = _wanted(ledger, earlier.rule_for(model, phase, one_name), model, phase)
        if wanted is not None and wanted != spec_id:
            records.append(
                Baseline(
                    baseline_id=baseline_id(model, phase, wanted, f"rollback at {at}"),
                    model=model,
                    phase=phase,
                    spec_id=wanted,
                    previous_spec_id=spec_id,
                    source="rollback",
                    at=at,
                )
            )
    for rule in current.rules:
        before = earlier.rule_for(rule.model, rule.phase, one_name)
        if rule.when is None and rule.warm_up and not (before is not None and before.warm_up):
            reason = f"{rule.model} on {rule.phase}: the warm-up was rolled back by hand at {at}"
            records.append(no_warm_up(rule.model, rule.phase, reason))
    return records


def _wanted(ledger: Ledger, rule: Rule | None, model: str, phase: Phase) -> str | None:
    if rule is not None and rule.spec_id is not None:
        return rule.spec_id if find(ledger, Spec, rule.spec_id) else None
    before = None
    for record in ledger.read(Baseline, {"model": model, "phase": phase}, newest_first=True):
        if record.source not in ("promotion", "adapted"):
            break
        before = record.previous_spec_id
    return before
