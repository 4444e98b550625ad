"""`rescore`: judges stored replies again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from selfopt.errors import UsageError
from selfopt.ledger import resolve
from selfopt.measure.evaluate import EvaluationRequest, evaluate
from selfopt.measure.lookup import unknown_specs
from selfopt.measure.rescore import Rescored, rescore
from selfopt.reading import chain_of
from selfopt.records import (
    ChainName,
    Evaluation,
    Run,
    Spec,
)
from selfopt.wiring.app import App
from selfopt.wiring.evidence import require_ledger


@dataclass(frozen=True, slots=True)
class Rescoring:
    """The result of judging stored replies again.

    Attributes:
        evaluation: None when the replies were not those of a whole run.
        parsers: the chain that read the replies.
    """

    rescored: Rescored
    evaluation: Evaluation | None
    parsers: tuple[ChainName, ...]


async def rescore_runs(
    app: App, run_prefixes: Sequence[str], variant: str | None = None, parsers: Sequence[str] = (), suite: str | None = None
) -> Rescoring:
    """Judge the replies of stored runs with another parser chain and the present scorer.

    Sends no request.

    Args:
        run_prefixes: beginnings of run ids.
        variant: whose parsers to use; None for those of the runs.
        parsers: the chain to use; takes precedence over `variant`.
        suite: the runs' suite, if the settings do not name its file.

    Raises:
        UsageError: the runs asked different requests.
    """
    require_ledger(app)
    runs = [resolve(app.ledger, Run, prefix) for prefix in run_prefixes]
    if len({run.request_id for run in runs}) > 1:
        raise UsageError("the runs asked different requests; rescore those of one request_id at a time")
    spec = next(app.ledger.read(Spec, {"id": runs[0].spec_id}, limit=1))
    chain = tuple(parsers) or (app.variant(variant).parsers if variant else spec.variant.parsers)
    chain_of(chain)
    same = chain == spec.variant.parsers
    read = spec.variant if same else spec.variant.read_by(chain, app.variants.values())
    other = spec.model_copy(update={"variant": read})
    judged = app.suite(suite) if suite is not None else app.suite_for(spec)
    result = await rescore(app.ledger, [run.run_id for run in runs], judged, chain)
    measured = tuple(run.run_id for run in runs if run.purpose == "measure")
    if not measured:
        return Rescoring(result, None, chain)
    evaluation = await evaluate(app.ledger, EvaluationRequest(other, judged, measured))
    if evaluation is not None:
        await app.ledger.append([*unknown_specs(app.ledger, [other]), evaluation])
    return Rescoring(result, evaluation, chain)
