"""The table of verdicts: the judgment of trials, a row for each."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from selfopt.ledger import Bodies, BodyPage
from selfopt.records import Verdict

from .columns import Column, DataTable, Selection, Values, decode_all, fields_of, uncollected
from .runs import RUN_COLUMNS, Runs

PAGE = 512
_EMPTY = msgspec.Raw(b"[]")


class _Parsed(msgspec.Struct, gc=False):
    tool_calls: msgspec.Raw = _EMPTY
    parser: str | None = None
    unread: str | None = None
    excerpt: str = ""
    read_by: str | None = None
    call_in_thinking: bool = False
    corrections: msgspec.Raw = _EMPTY


class _Verdict(msgspec.Struct, gc=False):
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
    for page in bodies.pages(Verdict, PAGE, timed=True):
        with uncollected():
            values = _chosen(page, runs, selection)
        if values is not None:
            yield values


def _chosen(page: BodyPage, runs: Runs, selection: Selection) -> Values | None:
    """The rows of a page that are wanted; None where there are none."""
    pairs = list(zip(decode_all(_many, _one, page), page.times, strict=True))
    if selection.since or selection.until:
        pairs = [(row, at) for row, at in pairs if selection.has_time(at)]
    if selection.model is not None:
        known = runs.of({row.run_id for row, _ in pairs})
        pairs = [(row, at) for row, at in pairs if selection.has_model(known[row.run_id].model)]
    if not pairs:
        return None
    values = _values([row for row, _ in pairs])
    return values | runs.values(values["run_id"]) | {"recorded_at": [at or None for _, at in pairs]}


def _values(rows: list[_Verdict]) -> Values:
    values = fields_of(_Verdict, rows)
    parsed = fields_of(_Parsed, values.pop("parsed"))
    return {
        **values,
        **parsed,
        "passed": [outcome == "pass" for outcome in values["outcome"]],
        "corrections": [str(made, "utf-8") for made in parsed["corrections"]],
        "tool_calls": [str(made, "utf-8") for made in parsed["tool_calls"]],
        "excerpt": [text or None for text in parsed["excerpt"]],
        "why": [text or None for text in values["why"]],
    }
