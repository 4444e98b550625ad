"""The rows of results as tables."""

from __future__ import annotations

import json

import pytest

from selfopt.errors import UsageError
from selfopt.export import record_rows
from selfopt.gateway.savings import Spending
from selfopt.records import ComparedRow, Figure, Outcome, OutcomeRow
from selfopt.verbs.usage import UsageRow

ROW = ComparedRow(
    model="local/a",
    variant="native_api",
    replies=10,
    faults=0,
    call_accuracy=Figure(value=0.5, low=0.25, high=0.75),
    restraint=None,
    accuracy=Figure(value=1.0),
    agent_score=None,
    argument_accuracy=None,
    foreign_share=0.0,
    p50_ms=None,
    input_tokens=1.5,
    output_tokens=2.0,
    run_ids=("run-1", "run-2"),
)


def test_figures_have_a_column_for_each_part_and_tuples_are_json() -> None:
    """What is not there is none in each of them."""
    table = record_rows([ROW, ROW.model_copy(update={"model": "local/b"})])
    first, second = table
    assert (first["model"], second["model"]) == ("local/a", "local/b")
    assert (first["call_accuracy_value"], first["call_accuracy_low"], first["restraint_low"]) == (0.5, 0.25, None)
    assert json.loads(first["run_ids"]) == ["run-1", "run-2"]
    sorts = {column.name: column.sort for column in table.columns}
    assert sorts["model"] == sorts["cause"] == "text"
    assert (sorts["replies"], sorts["p50_ms"], sorts["distinguishable"], sorts["run_ids"]) == (
        "integer",
        "number",
        "flag",
        "json",
    )
    assert list(first) == list(sorts)


def test_outcomes_and_what_keys_used_are_tables_too() -> None:
    """Enumerations are their values."""
    row = OutcomeRow(prompt_id="A1", prompt_kind="call", needs_call=True, outcomes=(Outcome.PASS,), trial_ids=("trial-1",))
    assert json.loads(next(iter(record_rows([row])))["outcomes"]) == ["pass"]
    assert next(iter(record_rows([UsageRow("me", Spending(cost=1.5), "key-1")])))["spending_cost"] == 1.5


def test_no_rows_are_a_table_without_columns() -> None:
    """And none of its rows."""
    assert list(record_rows([])) == []
    assert record_rows([]).columns == ()


@pytest.mark.parametrize("rows", [[1], [{"a": 1}], [ROW, Figure(value=1.0)], ["text", ROW]])
def test_what_is_no_row_of_records_is_refused(rows: list[object]) -> None:
    """In one line that says what it is."""
    with pytest.raises(UsageError, match="one class of records"):
        record_rows(rows)
