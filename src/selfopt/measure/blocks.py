"""Measures several specs interleaved, block by block, so that a drift hits all of them alike."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from selfopt.records import Environment, Evaluation, Run, Spec, new_id
from selfopt.scoring import scorer_of

from .arms import observed
from .budget import BudgetMeter
from .context import Desk, MeasureContext
from .evaluate import EvaluationRequest, evaluate
from .lookup import find, unknown_specs
from .options import MeasureOptions, Reuse
from .unit import Unit, prompts_of


async def measure_specs(
    specs: Sequence[Spec], *, context: MeasureContext, options: MeasureOptions | None = None
) -> dict[str, Evaluation]:
    """Measure specs in blocks. A block is one pass for each spec that still wants one.

    Specs with equal request_id share their trials: no request is made twice for another parser.
    When the call is cancelled, the same call with the same group_id or cycle_id continues it.

    Returns:
        The evaluations by spec_id. When a cap ends the measurement, specs are evaluated on the
        passes they have, and a spec without a whole pass is missing. The meter's stop_reason names
        the cap.

    Raises:
        Whatever `supervise` raises.
    """
    options = options or MeasureOptions(sampling=True)
    meter = options.meter or BudgetMeter(options.budget, context.clock)
    desk = Desk.of(context, meter)
    group = options.labels.group_id or options.labels.cycle_id or new_id("group")
    found: dict[str, Evaluation] = {}
    async with desk.board.alive():
        fresh: dict[str, list[Spec]] = {}
        for spec in {spec.spec_id: spec for spec in specs}.values():
            known = await _reusable(spec, desk, options) if options.reuse.enabled else None
            if known is not None:
                found[spec.spec_id] = known
            else:
                fresh.setdefault(spec.request_id, []).append(spec)
        units = [await Unit.open(desk, members, f"{group}/{request_id}", options) for request_id, members in fresh.items()]
        await _blocks(units, f"{group}", shuffle=options.shuffle_specs)
        for unit in units:
            found.update(await unit.conclude())
    return {spec.spec_id: found[spec.spec_id] for spec in specs if spec.spec_id in found}


async def _blocks(units: Sequence[Unit], seed: str, *, shuffle: bool) -> None:
    """Measure blocks until no unit wants a pass.

    A unit that was resumed does not wait for the others: it has fewer blocks to go.
    """
    block = 0
    wanting = list(units)
    while wanting:
        if shuffle:
            random.Random(f"block {seed} {block}").shuffle(wanting)
        again = [unit for unit in wanting if await unit.advance()]
        wanting = [unit for unit in units if unit in again]
        block += 1


async def _reusable(spec: Spec, desk: Desk, options: MeasureOptions) -> Evaluation | None:
    """The newest evaluation that can stand for measuring a spec again; None when there is none.

    When it was made with another parser chain or scorer, its trials are judged again, and the new
    evaluation is appended.
    """
    context = desk.context
    present = await observed(desk, spec)
    suite = context.suite_for(spec)
    scorer_hash = scorer_of(suite.judging).scorer_hash
    wanted = {prompt.id for prompt in prompts_of(spec, suite, options.limit)}
    candidates = [
        e
        for e in context.ledger.read(Evaluation, {"model": spec.model, "phase": spec.phase}, newest_first=True)
        if e.request_id == spec.request_id and {row.prompt_id for row in e.rows} == wanted
    ]
    candidates.sort(key=lambda e: e.spec_id != spec.spec_id)
    for known in candidates:
        if not _says_enough(known, options) or not _stands(known, present, context, options.reuse):
            continue
        if known.spec_id == spec.spec_id and known.scorer_hash == scorer_hash:
            return known
        request = EvaluationRequest(spec, suite, known.run_ids, known.determinism_run_ids, options.labels.cycle_id)
        judged = await evaluate(context.ledger, request, now=context.now)
        if judged is not None and _says_enough(judged, options):
            await context.ledger.append([*unknown_specs(context.ledger, [spec]), judged])
            return judged
    return None


def _says_enough(evaluation: Evaluation, options: MeasureOptions) -> bool:
    return evaluation.determinism in ("sampled", "complete") or evaluation.n_runs >= options.n_runs


def _stands(known: Evaluation, present: Environment, context: MeasureContext, reuse: Reuse) -> bool:
    """Whether an evaluation can stand for measuring again.

    Its runs are ordinary ones (those of a warm-up validation began unloaded on purpose) and not
    excluded, and the environment can be the same. Where nobody can tell, the evidence has to be
    young enough.
    """
    run, then = find(context.ledger, Run, known.run_ids[0]), find(context.ledger, Environment, known.environment_id)
    if not reuse.exclude_run_ids.isdisjoint((*known.run_ids, *known.determinism_run_ids)):
        return False
    if run is None or run.purpose != "measure" or then is None or not then.compatible_with(present):
        return False
    age = datetime.fromisoformat(context.now()) - datetime.fromisoformat(known.at)
    return "unknown" not in (then.digest, present.digest) or age <= timedelta(seconds=reuse.unknown_max_age_s)
