"""What a row says of the run that it belongs to, looked up a batch at a time and kept for a while."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TypeVar

import msgspec

from selfopt.errors import CorruptError
from selfopt.ledger import Bodies
from selfopt.records import Run, Spec

from .columns import Column, Repeated, Values

S = TypeVar("S", bound=msgspec.Struct)
_KEPT = 10_000


class RunFacts(msgspec.Struct, gc=False):
    """The fields of a run that its rows repeat; None where the ledger does not hold the run."""

    spec_id: str | None = None
    requested_model: str | None = None
    model: str | None = None
    phase: str | None = None
    suite: str | None = None
    split: str | None = None
    purpose: str | None = None
    group_id: str | None = None
    cycle_id: str | None = None
    forced: bool | None = None
    concurrency: int | None = None
    variant: str | None = None


class _Named(msgspec.Struct):
    name: str


class _SpecFacts(msgspec.Struct):
    variant: _Named


RUN_COLUMNS = (
    Column("model", "text", "the model that answered, as `provider/name`"),
    Column("requested_model", "text", "the model that was asked for; the rules may have chosen another"),
    Column("phase", "text", "`atomic` or `extended`"),
    Column("suite", "text", "the suite's name"),
    Column("split", "text", "the part of the suite: `all`, `search` or `heldout`"),
    Column("variant", "text", "the name of the variant"),
    Column("spec_id", "text", "hash of all chosen inputs"),
    Column("purpose", "text", "why it was asked: `measure`, `race`, `determinism` and others"),
    Column("forced", "flag", "whether the rules were passed over (`--force-model`)"),
    Column("concurrency", "integer", "how many requests were made at the same time at most"),
    Column("group_id", "text", "shared by the runs of one measurement"),
    Column("cycle_id", "text", "the cycle of the loop, where one measured"),
)

_NO_RUN = RunFacts()


class Runs:
    """The runs of the rows that are written now. It keeps a bounded number."""

    def __init__(self, bodies: Bodies) -> None:
        self._bodies = bodies
        self._runs: dict[str, RunFacts] = {}
        self._variants: dict[str, str] = {}

    def of(self, run_ids: Iterable[str]) -> dict[str, RunFacts]:
        """Returns what is known of these runs, and of others. Raises CorruptError for a damaged one."""
        wanted = set(run_ids)
        missing = wanted - self._runs.keys()
        if missing:
            if len(self._runs) > _KEPT:
                self._runs = {run_id: self._runs[run_id] for run_id in wanted & self._runs.keys()}
            found = {run_id: _decoded(RunFacts, body, run_id) for run_id, body in self._bodies.some(Run, missing).items()}
            self._name_variants({run.spec_id for run in found.values() if run.spec_id is not None})
            for run in found.values():
                run.variant = self._variants.get(run.spec_id or "")
            self._runs |= dict.fromkeys(missing, _NO_RUN) | found
        return self._runs

    def values(self, run_ids: Sequence[str]) -> Values:
        """Returns the columns of runs, and `run_id`, for rows of these runs, which mostly stand together."""
        stretches = [(run_id, len(list(rows))) for run_id, rows in groupby(run_ids)]
        ids, counts = [run_id for run_id, _ in stretches], [count for _, count in stretches]
        known = self.of(ids)
        runs = [known[run_id] for run_id in ids]
        values: Values = {c.name: Repeated([getattr(run, c.name) for run in runs], counts) for c in RUN_COLUMNS}
        return values | {"run_id": Repeated(ids, counts)}

    def _name_variants(self, spec_ids: set[str]) -> None:
        if len(self._variants) > _KEPT:
            self._variants.clear()
        missing = spec_ids - self._variants.keys()
        for spec_id, body in self._bodies.some(Spec, missing).items() if missing else ():
            self._variants[spec_id] = _decoded(_SpecFacts, body, spec_id).variant.name


def _decoded(sort: type[S], body: str, name: str) -> S:
    try:
        return msgspec.json.decode(body, type=sort)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise CorruptError(f"the ledger's {name} is damaged ({error}); see `selfopt audit verify`") from None
