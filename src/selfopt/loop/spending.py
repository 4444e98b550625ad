"""What looks cost: how much of the chance of error is left for a model on a suite, spent before each look."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from selfopt.measure.lookup import find
from selfopt.policy import AlphaShare, Spender, heldout_family, next_share, search_family, shared_heldout_family
from selfopt.records import AlphaSpent, Evaluation, LookCost, PromptTest, RaceEnd, RacePurpose, RaceStart, Spec

from .context import LoopContext
from .hand_looks import uncharged_looks


def families_of(context: LoopContext, spec: Spec, purpose: RacePurpose) -> tuple[str, ...]:
    """The family of looks that a look of a spec's model belongs to, and the other names that it has.

    These are the families under other names of the model. Earlier versions shared one family of
    held-out looks among all models; what it spent counts for each of them.
    """
    models = names_of(context, spec)
    if purpose == "search":
        return tuple(search_family(model, spec.phase, spec.suite_hash) for model in models)
    mine = tuple(heldout_family(model, spec.phase, spec.suite_hash) for model in models)
    return (*mine, shared_heldout_family(spec.suite_hash))


def names_of(context: LoopContext, spec: Spec) -> list[str]:
    """The name of a spec's model, and others that the ledger has for the same model."""
    others: set[str] = set()
    if not context.settings.has_one_spelling(spec.model):
        others = {known.model for known in context.ledger.read(Spec, {"model": spec.model})} - {spec.model}
    return [spec.model, *sorted(others)]


def share_of(context: LoopContext, spec: Spec, purpose: RacePurpose) -> AlphaShare:
    """The share of alpha that the next look of a spec's model may spend."""
    ledger, names = context.ledger, families_of(context, spec, purpose)
    spent = [one for name in names for one in ledger.read(AlphaSpent, {"family": name})]
    looks = {(one.family, one.number) for one in spent}
    spenders: list[Spender] = [*spent, *_without_record(context, names, looks)]
    if purpose == "heldout":
        spenders += _charged(context, spec, spenders)
    races_won = sum(end.winner_spec_id is not None for name in names for end in ledger.read(RaceEnd, {"family": name}))
    tests_won = sum(test.passed for name in names for test in ledger.read(PromptTest, {"family": name}))
    return next_share(context.alpha, names[0], spenders, races_won + tests_won, same=names)


def charged_by_hand(context: LoopContext, spec: Spec, purpose: RacePurpose) -> list[AlphaSpent]:
    """What looks by hand spend that were taken since the last look of this model, not appended. The
    caller appends them before what its own look spends.
    """
    if purpose == "search":
        return []
    names = families_of(context, spec, purpose)
    spent = [one for name in names for one in context.ledger.read(AlphaSpent, {"family": name})]
    return _charged(context, spec, [*spent, *_without_record(context, names, {(one.family, one.number) for one in spent})])


def _charged(context: LoopContext, spec: Spec, before: Sequence[Spender]) -> list[AlphaSpent]:
    names = families_of(context, spec, "heldout")
    found: list[AlphaSpent] = []
    for run in uncharged_looks(context, spec, names_of(context, spec)):
        share = next_share(context.alpha, names[0], [*before, *found], same=names)
        if share.used_up:
            break
        found.append(
            AlphaSpent(
                spending_id=AlphaSpent.make_id(run.group_id or run.run_id),
                family=share.family,
                model=spec.model,
                phase=spec.phase,
                suite_hash=spec.suite_hash,
                spec_ids=(run.spec_id,),
                purpose="heldout",
                number=share.number,
                total=context.alpha.alpha,
                spent_before=share.spent,
                alpha=share.alpha,
                by_hand=1,
                at=context.now(),
            )
        )
    return found


def _without_record(
    context: LoopContext, names: Sequence[str], looks: Collection[tuple[str, int]]
) -> list[RaceStart | PromptTest]:
    """The races and tests that spent alpha before such looks had a record of their own."""
    ledger = context.ledger
    old: list[RaceStart | PromptTest] = [one for name in names for one in ledger.read(RaceStart, {"family": name})]
    old += [one for name in names for one in ledger.read(PromptTest, {"family": name})]
    return [one for one in old if one.alpha > 0 and (one.family, one.number) not in looks]


def _verdicts(context: LoopContext, spec: Spec, names: Sequence[str]) -> tuple[int, int]:
    """How often a suite's held-out prompts were looked at, for any model, and how often that was passed."""
    ledger = context.ledger
    spent = [one for one in ledger.read(AlphaSpent, {"suite_hash": spec.suite_hash}) if one.purpose == "heldout"]
    looks = {(one.family, one.number) for one in spent}
    families = sorted({*names, *(one.family for one in spent)})
    passed = sum(end.winner_spec_id is not None for name in families for end in ledger.read(RaceEnd, {"family": name}))
    passed += sum(test.passed for name in families for test in ledger.read(PromptTest, {"family": name}))
    earlier = len(looks) + len(_without_record(context, names, looks)) + len(uncharged_looks(context, spec))
    return max(earlier, passed), passed  # a race that went on from an earlier one passes without a look of its own


def spending(
    context: LoopContext, spec: Spec, purpose: RacePurpose, look_id: str, cycle_id: str, spec_ids: Sequence[str], screened: int
) -> AlphaSpent | None:
    """What a look spends, not appended unless it was found in the ledger; None when alpha is used up.

    Args:
        spec: the baseline or a candidate: model, phase and suite are those of the look.
        look_id: of the race or test.
        spec_ids: the candidates that share the alpha.
        screened: how many were ranked to choose these; 0: none.
    """
    known = find(context.ledger, AlphaSpent, AlphaSpent.make_id(look_id))
    if known is not None:
        return known
    share = share_of(context, spec, purpose)
    if share.used_up:
        return None
    earlier, passed = _verdicts(context, spec, families_of(context, spec, purpose)) if purpose == "heldout" else (0, 0)
    return AlphaSpent(
        spending_id=AlphaSpent.make_id(look_id),
        cycle_id=cycle_id,
        family=share.family,
        model=spec.model,
        phase=spec.phase,
        suite_hash=spec.suite_hash,
        spec_ids=tuple(spec_ids),
        purpose=purpose,
        number=share.number,
        total=context.alpha.alpha,
        spent_before=share.spent,
        alpha=share.alpha,
        candidates=len(spec_ids),
        screened=screened,
        compared=max(screened, _compared(context, spec, spec_ids if purpose == "search" else ())),
        earlier_looks=earlier,
        earlier_passes=passed,
        by_hand=_taken_by_hand(context, spec) if purpose == "heldout" else 0,
        at=context.now(),
    )


def _taken_by_hand(context: LoopContext, spec: Spec) -> int:
    """How many looks of a model at held-out prompts were taken by hand."""
    known = (one for name in families_of(context, spec, "heldout") for one in context.ledger.read(AlphaSpent, {"family": name}))
    return sum(one.cycle_id is None and one.by_hand > 0 for one in known) + len(
        uncharged_looks(context, spec, names_of(context, spec))
    )


def _compared(context: LoopContext, spec: Spec, entering: Sequence[str]) -> int:
    """How many candidates were measured on the search prompts of a suite, or are about to be.

    Every baseline but the first was a candidate.
    """
    measured = context.ledger.read(Evaluation, {"model": spec.model, "phase": spec.phase})
    seen = {one.spec_id for one in measured if one.suite_hash == spec.suite_hash and one.split != "heldout"}
    return max(len(entering), len(seen | set(entering)) - 1, 0)


def share_spent(spent: AlphaSpent) -> AlphaShare:
    """The share that a look has spent."""
    return AlphaShare(
        family=spent.family,
        number=spent.number,
        alpha=spent.alpha,
        spent=spent.spent_before,
        used_up=False,
        detail="",
        history=spent.history,
    )


def costs_of(context: LoopContext, look_ids: Sequence[str]) -> tuple[LookCost, ...]:
    """What looks cost, by the ids of their races and tests. Those of earlier versions are left out."""
    found = (find(context.ledger, AlphaSpent, AlphaSpent.make_id(look_id)) for look_id in look_ids)
    return tuple(one.cost() for one in found if one is not None)
