"""Looks at held-out prompts that somebody took by hand, such as with `selfopt run --split heldout`.

Who sees such results may choose by them what is tried next, so they cost what other looks cost. They
are charged when the next look of the loop is taken: nothing that was decided before changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from selfopt.measure.lookup import find
from selfopt.records import AlphaSpent, Purpose, Run, Spec, Trial

from .context import LoopContext

# What these are asked for shows no figures of held-out prompts, or is no measurement.
_SHOWS_NOTHING: frozenset[Purpose] = frozenset({"determinism", "try", "search"})


def uncharged_looks(context: LoopContext, spec: Spec, models: Sequence[str] | None = None) -> list[Run]:
    """The first run of each look by hand at the held-out prompts of a spec's suite that has not spent
    anything yet, in order. The passes of one command are one look.

    Args:
        spec: its suite and phase are those of the look.
        models: only looks at these. None: at any model.
    """
    ledger = context.ledger
    suite = context.suite_for(spec)
    if suite.content_id() != spec.suite_hash:
        return []
    heldout = {prompt.id for prompt in suite.select("heldout")}
    found: dict[str, Run] = {}
    for run in _by_hand(context, spec, models):
        look = run.group_id or run.run_id
        if look in found or heldout.isdisjoint(run.prompt_ids) or find(ledger, AlphaSpent, AlphaSpent.make_id(look)):
            continue
        of = find(ledger, Spec, run.spec_id)
        same = of is not None and of.suite_hash == spec.suite_hash
        if same and any(trial.prompt_id in heldout for trial in ledger.read(Trial, {"run_id": run.run_id})):
            found[look] = run
    return list(found.values())


def _by_hand(context: LoopContext, spec: Spec, models: Sequence[str] | None) -> Iterator[Run]:
    """The runs that no cycle made, and whose figures are shown."""
    for run in context.ledger.read(Run, {"phase": spec.phase}):
        by_hand = run.cycle_id is None and run.split != "search" and run.purpose not in _SHOWS_NOTHING
        if by_hand and (models is None or run.model in models):
            yield run
