"""The table of checks. There are few of them, so they are read as records."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from selfopt.records import Check, CheckFigure, Ledger

from .columns import Column, DataTable, Selection, Values

PAGE = 16

CHECKS = DataTable(
    "checks",
    "One row for each check that is over. Shares are in [0, 1], and empty where the check file asks for no such figure. "
    "The trials behind it are in `trial_ids`.",
    (
        Column("check_id", "text", "the check, as `selfopt show` takes it"),
        Column("began_at", "time", "when it began"),
        Column("at", "time", "when it was over"),
        Column("verdict", "text", "`pass`, `fail` or `undecided`"),
        Column("passes", "flag", "whether the build passes: undecided counts as the check file says"),
        Column("file", "text", "the check file, as it was named"),
        Column("model", "text", "the model, as `provider/name`"),
        Column("phase", "text", "`atomic` or `extended`"),
        Column("variant", "text", "the name of the variant"),
        Column("spec_id", "text", "hash of all chosen inputs"),
        Column("rule_id", "text", "the rule that the variant is taken from, if any"),
        Column("environment_id", "text", "hash of all observed inputs"),
        Column("suite", "text", "the suite's name"),
        Column("suite_hash", "text", "hash of the suite's content"),
        Column("scorer_hash", "text", "hash of the judging"),
        Column("split", "text", "the part of the suite: `all`, `search`, `heldout` or `canary`"),
        Column("synthetic", "flag", "whether a model or a template wrote the prompts"),
        Column("before_model", "text", "the model that it was compared with; none where nothing was compared"),
        Column("before_variant", "text", "its variant"),
        Column("before_spec_id", "text", "hash of all chosen inputs of the earlier configuration"),
        Column("asked_again", "flag", "whether the earlier configuration was asked again; else its recorded runs stand for it"),
        Column("accuracy", "number", "accuracy now"),
        Column("call_accuracy", "number", "call accuracy now"),
        Column("restraint", "number", "restraint now"),
        Column("must_pass", "number", "share of the prompts that must pass which do"),
        Column("before_accuracy", "number", "accuracy of the earlier configuration"),
        Column("change", "number", "accuracy now less before, estimated from the differences, in [-1, 1]"),
        Column("change_low", "number", "lower end of its interval; none where it is exact"),
        Column("change_high", "number", "upper end of its interval"),
        Column("method", "text", "how the regression was decided: `exact`, `paired` or `recorded`"),
        Column("blocks", "integer", "blocks that were asked"),
        Column("trials", "integer", "answers that it took, of both sides"),
        Column("cost", "number", "what the call that ended it spent, by the prices of the settings"),
        Column("currency", "text", "of the cost"),
        Column("reasons", "json", "why it did not pass"),
        Column("figures", "json", "every figure with its threshold, interval and evidence"),
        Column("rows", "json", "the outcomes of each prompt, now and before"),
        Column("trial_ids", "json", "the trials of the present configuration, as in the tables of trials and verdicts"),
        Column("before_trial_ids", "json", "those of the earlier one"),
        Column("evaluation_ids", "json", "the evaluations that showed that repeats are copies"),
    ),
)


def check_rows(ledger: Ledger, selection: Selection) -> Iterator[Values]:
    """Yields the rows of checks in the order of appending. Raises CorruptError."""
    where = {"model": selection.model} if selection.model is not None else None
    found = (record for record in ledger.read(Check, where) if selection.has_time(record.at))
    while page := list(islice(found, PAGE)):
        rows = [_row(record) for record in page]
        yield {column.name: [row[column.name] for row in rows] for column in CHECKS.columns}


def _row(check: Check) -> dict[str, Any]:
    figures = {figure.criterion: figure for figure in check.figures}
    loss, other = figures.get("regression"), check.compared_with
    accuracy = figures.get("accuracy") or loss
    ids = {"trial_ids", "before_trial_ids"}
    return {
        **dict(check),
        "passes": check.passes,
        "before_model": other.model if other is not None else None,
        "before_variant": other.variant if other is not None else None,
        "before_spec_id": other.spec_id if other is not None else None,
        "asked_again": other.asked_again if other is not None else None,
        "accuracy": _value(accuracy),
        "call_accuracy": _value(figures.get("call_accuracy")),
        "restraint": _value(figures.get("restraint")),
        "must_pass": _value(figures.get("must_pass")),
        "before_accuracy": loss.before if loss is not None else None,
        "change": loss.change if loss is not None else None,
        "change_low": loss.low if loss is not None else None,
        "change_high": loss.high if loss is not None else None,
        "method": loss.method if loss is not None else None,
        "currency": check.currency or None,
        "reasons": _json([reason.model_dump(mode="json") for reason in check.reasons]),
        "figures": _json([figure.model_dump(mode="json") for figure in check.figures]),
        "rows": _json([row.model_dump(mode="json", exclude=ids) for row in check.rows]),
        "trial_ids": _json([trial for row in check.rows for trial in row.trial_ids]),
        "before_trial_ids": _json([trial for row in check.rows for trial in row.before_trial_ids]),
        "evaluation_ids": _json(check.evaluation_ids),
    }


def _value(figure: CheckFigure | None) -> float | None:
    return figure.value if figure is not None else None


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
