"""Whether only variants that write the tools into the prompt can work for a model."""

from __future__ import annotations

from datetime import datetime, timedelta
from itertools import islice

from selfopt.measure.lookup import find
from selfopt.records import Environment, Evaluation, Spec

from .context import LoopContext

_LOOKED_AT = 50  # evaluations, the newest first
_HIDDEN_HOLDS = timedelta(days=1)


async def needs_text(context: LoopContext, baseline: Spec, measured: Evaluation) -> bool:
    """Whether the model has no tools: the server says so, or refused native requests for it before.

    Neither is believed where a baseline that passes tools on got replies.
    """
    if _passes_tools_on(baseline) and measured.refused < measured.metrics.n:
        return False
    return _refused_before(context, measured) or await context.measure.has_tools(baseline) is False


def _passes_tools_on(spec: Spec) -> bool:
    return spec.variant.tools == "native"


def _refused_before(context: LoopContext, measured: Evaluation) -> bool:
    """Whether the newest native spec of this model got no reply because the model has no tools.

    Where the endpoint hides what it serves, that holds for a day.
    """
    ledger = context.ledger
    now = find(ledger, Environment, measured.environment_id)
    for known in islice(ledger.read(Evaluation, {"model": measured.model}, newest_first=True), _LOOKED_AT):
        spec, then = find(ledger, Spec, known.spec_id), find(ledger, Environment, known.environment_id)
        if spec is None or then is None or now is None or not _passes_tools_on(spec):
            continue
        hidden = "unknown" in (then.digest, now.digest)
        old = datetime.fromisoformat(measured.at) - datetime.fromisoformat(known.at) > _HIDDEN_HOLDS
        refused = known.determinism == "refused" and any("no_tools" in row.causes for row in known.rows)
        return refused and then.compatible_with(now) and not (hidden and old)
    return False
