"""The table of verdicts: the judgment of trials, a row for each."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from selfopt.ledger import Bodies
from selfopt.records import Verdict

from .columns import Column, DataTable, Selection, Values, decode_all
from .runs import NO_RUN, RUN_COLUMNS, Runs

PAGE = 4096
_EMPTY = msgspec.Raw(b"[]")


class _Parsed(msgspec.Struct):
    tool_calls: msgspec.Raw = _EMPTY
    parser: str | None = None
    unread: str | None = None
    excerpt: str = ""
    read_by: str | None = None
    call_in_thinking: bool = False
    corrections: msgspec.Raw = _EMPTY


class _Verdict(msgspec.Struct):
    verdict_id: str
    trial_id: str
    run_id: str
    prompt_id: str
    parser_hash: str
    scorer_hash: str
    outcome: str
    needs_call: bool
    parsed: _Parsed = msgspec.field(default_factory=_Parsed)
    why: str = ""


VERDICTS = DataTable(
    "verdicts",
    "One row for each verdict: a trial's outcome for one parser and one scorer. `trial_id` joins it to the trials.",
    (
        Column("verdict_id", "text", "the verdict"),
        Column("trial_id", "text", "the trial that is judged"),
        Column("run_id", "text", "the run that the trial belongs to"),
        Column("prompt_id", "text", "the prompt in its suite"),
        Column("recorded_at", "time", "when the verdict was stored"),
        *RUN_COLUMNS,
        Column("parser_hash", "text", "hash of the chain of readers"),
        Column("scorer_hash", "text", "hash of the judging"),
        Column("outcome", "text", "`pass`, `wrong`, `uncalled_for`, `missed`, or a fault"),
        Column("passed", "flag", "whether the outcome is `pass`"),
        Column("needs_call", "flag", "whether the prompt needs a call"),
        Column("parser", "text", "the reader that found the calls; none without calls"),
        Column("unread", "text", "the family or reader of a call that the chain does not read"),
        Column("read_by", "text", "a chain that reads it"),
        Column("call_in_thinking", "flag", "whether a call stands in the thinking and none in the answer"),
        Column("corrections", "json", "what was mended in the calls, or why calls were dropped"),
        Column("tool_calls", "json", "the calls that were judged, with their arguments", content=True),
        Column("excerpt", "text", "the beginning of a call that was not read", content=True),
        Column("why", "text", "the reason of the outcome, in words", content=True),
    ),
)

_many = msgspec.json.Decoder(list[_Verdict])
_one = msgspec.json.Decoder(_Verdict)


def verdict_rows(bodies: Bodies, selection: Selection) -> Iterator[Values]:
    """Yields the rows of verdicts in the order of appending, a bounded number at a time. Raises CorruptError."""
    runs = Runs(bodies)
    for page in bodies.pages(Verdict, PAGE):
        chosen = [body for body in page if selection.has_time(body.at)] if selection.since or selection.until else page
        rows = decode_all(_many, _one, [(body.id, body.text) for body in chosen])
        known = runs.of([row.run_id for row in rows])
        pairs = [
            (row, body.at or None)
            for row, body in zip(rows, chosen, strict=True)
            if selection.model is None or selection.has_model(known[row.run_id].model)
        ]
        if pairs:
            rows = [row for row, _ in pairs]
            of_rows = [known.get(row.run_id, NO_RUN) for row in rows]
            values = _values(rows) | {"recorded_at": [at for _, at in pairs]}
            for column in RUN_COLUMNS:
                values[column.name] = [getattr(run, column.name) for run in of_rows]
            yield values


def _values(rows: list[_Verdict]) -> Values:
    parsed = [row.parsed for row in rows]
    return {
        "verdict_id": [row.verdict_id for row in rows],
        "trial_id": [row.trial_id for row in rows],
        "run_id": [row.run_id for row in rows],
        "prompt_id": [row.prompt_id for row in rows],
        "parser_hash": [row.parser_hash for row in rows],
        "scorer_hash": [row.scorer_hash for row in rows],
        "outcome": [row.outcome for row in rows],
        "passed": [row.outcome == "pass" for row in rows],
        "needs_call": [row.needs_call for row in rows],
        "parser": [each.parser for each in parsed],
        "unread": [each.unread for each in parsed],
        "read_by": [each.read_by for each in parsed],
        "call_in_thinking": [each.call_in_thinking for each in parsed],
        "corrections": [str(each.corrections, "utf-8") for each in parsed],
        "tool_calls": [str(each.tool_calls, "utf-8") for each in parsed],
        "excerpt": [each.excerpt or None for each in parsed],
        "why": [row.why or None for row in rows],
    }
