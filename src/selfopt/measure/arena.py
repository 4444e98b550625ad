"""Measures the races of one command, and remembers which specs this process has made ready."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from selfopt.errors import EvidenceError
from selfopt.home import counted
from selfopt.records import Blob, Environment, Spec, Suite, Trial, WarmUpResult
from selfopt.scoring import scorer_of
from selfopt.variants import render
from selfopt.variants.rendering import as_rendered

from .arms import model_status, observe, ready
from .context import Desk
from .earlier import earlier_trials
from .race_block import BlockOrder, BlockResult, block_state, measure_block
from .rescore import ensure_verdicts
from .trial import JudgedTrial, make_request

_RENDERED = 20
_WAITS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)


class Arena:
    """Measures the blocks of races at one desk."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._ready: set[str] = set()
        self._warmed: dict[str, tuple[WarmUpResult, Sequence[Blob]]] = {}

    async def prepare(self, specs: Sequence[Spec], suite: Suite) -> dict[str, Environment]:
        """Warm up every spec, unscored.

        Returns:
            What serves each spec, by spec_id. A server tells the most about a model that is loaded.
        """
        desk = self.desk
        one_each = {spec.request_id: spec for spec in specs}
        fresh = not self._ready.issuperset(one_each)
        async with desk.board.alive():
            found = await ready(desk, list(one_each.values()), suite, always=fresh)
        self._warmed |= {i: (one.warm_up, one.blobs) for i, one in found.items() if one.warm_up.status != "skipped"}
        self._ready.update(one_each)
        return {spec.spec_id: observe(spec, found[spec.request_id].status, desk.context.hardware) for spec in specs}

    async def block(self, order: BlockOrder) -> BlockResult:
        """Measure a block, or what is left of it; see `measure_block`."""
        # A search compares rankings only, so it does not warm up for every way to ask.
        cold = order.purpose != "search" and not self._ready.issuperset(order.specs)
        async with self.desk.board.alive():
            result = await measure_block(self.desk, order, warm_up=cold, warmed=self._warmed)
        self._warmed = {}
        if order.purpose != "search":
            self._ready.update(order.specs)
        if result.fault is not None:
            self._ready.clear()  # after a fault, every spec is warmed up again
        return result

    async def judged(self, result: BlockResult, spec: Spec, suite: Suite) -> tuple[JudgedTrial, ...]:
        """The trials of a block, judged with a spec's own parsers.

        EvidenceError when one of them cannot be.
        """
        mine = result.trials[spec.request_id]
        if all(item.verdict.parser_hash == spec.variant.parser_hash for item in mine):
            return mine
        found = await ensure_verdicts(self.desk.context.ledger, spec, suite, [item.trial for item in mine])
        if found.skipped:
            raise EvidenceError(
                f"{counted(len(found.skipped), 'reply')} cannot be judged as {spec.label} would (such as trial {found.skipped[0]}): "
                "it asks for requests that were never made; race it without the spec that it shares replies with"
            )
        return found.trials

    async def earlier(self, spec: Spec, prompt_ids: Collection[str], *, before: str) -> dict[str, Trial]:
        """The stored trials that answer what a spec would ask now; see `earlier_trials`."""
        return await earlier_trials(self.desk, spec, prompt_ids, before=before)

    async def begun(self, order: BlockOrder) -> int:
        """How many trials of a block the ledger has already."""
        return len((await block_state(self.desk, order.group_id))[0])

    async def recover(self, spec: Spec) -> bool:
        """Wait for up to a minute until the server of a spec answers.

        Returns False when it does not.
        """
        context = self.desk.context
        for wait_s in (0.0, *_WAITS_S):
            await context.sleep(wait_s)
            if (await model_status(self.desk, spec)).answers is not False:
                return True
        return False


def judged_by(suite: Suite) -> str:
    """The hash of the present scorer of a suite."""
    return scorer_of(suite.judging).scorer_hash


def as_measured(spec: Spec, suite: Suite) -> Spec:
    """The spec as it would be measured now: requests that are written anew are others."""
    return as_rendered(spec, suite)


def rendered(spec: Spec, suite: Suite) -> list[str]:
    """The first request for some of the spec's prompts, as text.

    It shows how this program renders the spec now.
    """
    found = []
    for prompt in suite.select(spec.split)[:_RENDERED]:
        steps = render(spec.variant, prompt.messages, suite.tools_of(prompt))
        request = make_request(spec, spec.model, next(steps), isolate=spec.isolate)
        # Fields that are never measured are left out, because evidence hangs on the hash of this text.
        found.append(request.model_dump_json(exclude={"beside"}))
        steps.close()
    return found
