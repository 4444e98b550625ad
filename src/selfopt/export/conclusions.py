"""The tables of evaluations and decisions. There are few of them, so they are read as records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from selfopt.records import Decision, Evaluation, Ledger, Record, TrivialPolicy

from .columns import Column, DataTable, Selection, Values

PAGE = 64

_POLICIES = (
    ("silent", "the policy that never calls"),
    ("always_calling", "the policy that always calls"),
)
EVALUATIONS = DataTable(
    "evaluations",
    "One row for each evaluation: a spec's trials of n runs, aggregated. Shares are in [0, 1], and empty where there is no such prompt.",
    (
        Column("evaluation_id", "text", "the evaluation"),
        Column("at", "time", "when it was made"),
        Column("model", "text", "the model, as `provider/name`"),
        Column("phase", "text", "`atomic` or `extended`"),
        Column("suite", "text", "the suite's name"),
        Column("suite_hash", "text", "hash of the suite's content"),
        Column("scope", "text", "`whole` or `sample`"),
        Column("split", "text", "the part of the suite: `all`, `search` or `heldout`"),
        Column("variant", "text", "the name of the variant"),
        Column("spec_id", "text", "hash of all chosen inputs"),
        Column("request_id", "text", "hash of the same without the parser"),
        Column("environment_id", "text", "hash of all observed inputs"),
        Column("parser_hash", "text", "hash of the chain of readers"),
        Column("scorer_hash", "text", "hash of the judging"),
        Column("n_runs", "integer", "passes over the suite"),
        Column("determinism", "text", "whether repeats are copies, and how that is known"),
        Column("warm_up", "flag", "whether the model was warmed up"),
        Column("synthetic", "flag", "whether a model or a template wrote the prompts"),
        Column("n", "integer", "trials"),
        Column("accuracy", "number", "pass / all"),
        Column("call_accuracy", "number", "pass / prompts that need a call"),
        Column("restraint", "number", "prompts that need no call and got none / prompts that need none"),
        Column("capability", "number", "pass / (pass + wrong + uncalled_for + missed)"),
        Column("variance", "number", "of the accuracies of the runs"),
        Column("p50_ms", "number", "median latency"),
        Column("p95_ms", "number", "95th percentile of the latency"),
        Column("first_call_ms", "number", "median latency of a run's first request"),
        Column("input_tokens", "integer", "tokens of all requests"),
        Column("output_tokens", "integer", "tokens of all replies"),
        *(
            Column(f"{policy}_{figure}", "number", f"{figure.replace('_', ' ')} of {about} on the same prompts")
            for policy, about in _POLICIES
            for figure in ("accuracy", "call_accuracy", "restraint")
        ),
        Column("cycle_id", "text", "the cycle of the loop, where one measured"),
        Column("race_id", "text", "the race whose answers these are, if any"),
        Column("counts", "json", "number of trials by outcome"),
        Column("run_accuracies", "json", "accuracy of each run"),
        Column("run_ids", "json", "the runs"),
        Column("rows", "json", "the outcomes of each prompt over the runs, without any text of a reply"),
    ),
)
DECISIONS = DataTable(
    "decisions",
    "One row for each decision about a candidate.",
    (
        Column("decision_id", "text", "the decision"),
        Column("at", "time", "when it was made"),
        Column("verdict", "text", "`promote`, `hold` or `reject`"),
        Column("model", "text", "the model, as `provider/name`"),
        Column("phase", "text", "`atomic` or `extended`"),
        Column("candidate_spec_id", "text", "the candidate"),
        Column("candidate_variant", "text", "the name of its variant"),
        Column("baseline_spec_id", "text", "the baseline"),
        Column("claim", "text", "what the decision claims"),
        Column("estimate", "number", "accuracy of the candidate less the baseline's, in [-1, 1]"),
        Column("interval_low", "number", "lower end of its interval"),
        Column("interval_high", "number", "upper end of its interval"),
        Column("synthetic", "flag", "whether it rests only on prompts that a model or a template wrote"),
        Column("cycle_id", "text", "the cycle of the loop, where one decided"),
        Column("reason_codes", "json", "why, as codes"),
        Column("gates", "json", "what each gate saw, with its threshold"),
        Column("evidence", "json", "what is known apart from the evaluations"),
        Column("evaluation_ids", "json", "the evaluations that it rests on"),
        Column("run_ids", "json", "the runs that it rests on"),
    ),
)


def evaluation_rows(ledger: Ledger, selection: Selection) -> Iterator[Values]:
    """Yields the rows of evaluations in the order of appending. Raises CorruptError."""
    yield from _rows(ledger, Evaluation, selection, EVALUATIONS)


def decision_rows(ledger: Ledger, selection: Selection) -> Iterator[Values]:
    """Yields the rows of decisions in the order of appending. Raises CorruptError."""
    yield from _rows(ledger, Decision, selection, DECISIONS)


def _rows(
    ledger: Ledger, record_type: type[Evaluation] | type[Decision], selection: Selection, table: DataTable
) -> Iterator[Values]:
    where = {"model": selection.model} if selection.model is not None else None
    found = (record for record in ledger.read(record_type, where) if selection.has_time(record.at))
    while page := list(islice(found, PAGE)):
        rows = [_evaluation(r) if isinstance(r, Evaluation) else _decision(r) for r in page]
        yield {column.name: [row[column.name] for row in rows] for column in table.columns}


def _evaluation(record: Evaluation) -> dict[str, Any]:
    metrics = record.metrics
    rows = [row.model_dump(mode="json", exclude={"excerpt", "said"}) for row in record.rows]
    return {
        **_fields(record),
        **_fields(metrics),
        **_policy("silent", metrics.silent),
        **_policy("always_calling", metrics.always_calling),
        "counts": _json({str(outcome.value): n for outcome, n in metrics.counts.items()}),
        "run_accuracies": _json(metrics.run_accuracies),
        "run_ids": _json(record.run_ids),
        "rows": _json(rows),
    }


def _decision(record: Decision) -> dict[str, Any]:
    low, high = record.interval or (None, None)
    return {
        **_fields(record),
        "interval_low": low,
        "interval_high": high,
        "reason_codes": _json(record.reason_codes),
        "gates": _json([gate.model_dump(mode="json") for gate in record.gates]),
        "evidence": _json(record.evidence.model_dump(mode="json")),
        "evaluation_ids": _json(record.evaluation_ids),
        "run_ids": _json(record.run_ids),
    }


def _policy(name: str, policy: TrivialPolicy) -> dict[str, Any]:
    return {f"{name}_{figure}": value for figure, value in _fields(policy).items()}


def _fields(record: Record) -> dict[str, Any]:
    return dict(record)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
