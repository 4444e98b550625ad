"""Tables as parquet and data frames, read by the packages that people use."""

from __future__ import annotations

import json
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import selfopt
from selfopt.export import TABLES, TableKind
from selfopt.export.columns import Column, Repeated, Sort
from tests.cli.conftest import project
from tests.cli.world import Project

__all__ = ["project"]

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.services


@pytest.fixture
def measured(project: Project) -> Project:
    """Two models were measured, one of them hostile."""
    project.ok("supervise", "good", "atomic", "--runs", "3")
    project.run("run", "scripted/evil_tool", "atomic")
    project.said_no("decide", "good", "atomic", "--candidate", "native_api", "--baseline", "native_api")
    return project


def test_the_joins_that_the_page_shows_work(measured: Project, capsys: pytest.CaptureFixture[str]) -> None:
    """The program of docs/DATA.md as it stands there: shares by model, and the trials of a check."""
    pytest.importorskip("pandas")
    measured.write("selfopt.check.yaml", "suite: atomic.yaml\nmodel: good\nmin_accuracy: 0.5\n")
    measured.ok("check")
    program = re.search(r"```python\n(.*?)```", (ROOT / "docs/DATA.md").read_text("utf-8"), re.DOTALL)
    assert program is not None
    exec(compile(program[1], "DATA.md", "exec"), {})
    shown = capsys.readouterr().out
    assert re.search(r"scripted/good\s+native_api\s+1\.0", shown)
    assert "check-" in shown


def test_the_share_of_time_in_which_slots_were_in_use_can_be_computed(
    measured: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    """The program of docs/SCALE.md as it stands there: a line for each run."""
    pytest.importorskip("pandas")
    program = re.search(r"```python\n(.*?)```", (ROOT / "docs/SCALE.md").read_text("utf-8"), re.DOTALL)
    assert program is not None
    exec(compile(program[1], "SCALE.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) >= 4
    assert all(float(line.split()[1]) >= 0 for line in lines)


def test_parquet_holds_the_same_rows_as_json_lines(measured: Project) -> None:
    """Every table, with content where there is any; times are moments."""
    parquet = pytest.importorskip("pyarrow.parquet")
    for kind, table in TABLES.items():
        content = ["--content"] if any(column.content for column in table.columns) else []
        out = measured.root / f"{kind}.parquet"
        measured.ok("export", kind, "--out", str(out), *content)
        lines = [json.loads(line) for line in measured.ok("export", kind, "--format", "jsonl", *content).out.splitlines()]
        read = parquet.read_table(out)
        assert read.column_names == [column.name for column in table.columns]
        assert read.num_rows == len(lines)
        times = {column.name for column in table.columns if column.sort == "time"}
        for row, line in zip(read.to_pylist(), lines, strict=True):
            assert {name: value for name, value in row.items() if name not in times} == {
                name: value for name, value in line.items() if name not in times
            }
            for name in times:
                assert row[name] == datetime.fromisoformat(line[name]).astimezone(UTC)


_CELLS: dict[Sort, st.SearchStrategy[object]] = {
    "text": st.none() | st.sampled_from(["", "stop", "é", "x" * 100]) | st.text(),
    "integer": st.none() | st.sampled_from([0, 1, 200]) | st.integers(-(2**63), 2**63 - 1),
    "number": st.none() | st.sampled_from([0.0, -0.0, 1.0]) | st.floats(allow_nan=False),
    "flag": st.none() | st.booleans(),
}


@given(st.data(), st.sampled_from(sorted(_CELLS)))
def test_cells_that_repeat_are_those_that_pyarrow_makes_of_each(data: st.DataObject, sort: Sort) -> None:
    """Whatever stands together, in whatever batches; also the sign of a zero."""
    arrow = pytest.importorskip("pyarrow")
    from selfopt.export.arrow import ArrowRows

    stretches = data.draw(st.lists(st.lists(st.tuples(_CELLS[sort], st.sampled_from([1, 2, 40, 3000])), min_size=1, max_size=4)))
    rows = ArrowRows((Column("a", sort, "plain"), Column("b", sort, "repeated")))
    plain = list[object]()
    for batch in stretches:
        cells = Repeated([value for value, _ in batch], [count for _, count in batch])
        rows.add({"a": list(cells), "b": cells})
        plain += cells
    table = rows.table()
    whole = arrow.array(plain, table.schema.field("a").type)
    for name in ("a", "b"):
        assert table[name].combine_chunks().equals(whole)
        assert list(map(repr, table[name].to_pylist())) == list(map(repr, whole.to_pylist()))
    assert rows.table().num_rows == 0


def test_data_frames_have_every_row_and_exact_figures(measured: Project) -> None:
    """Integers stay integers where some are missing."""
    with selfopt.open() as harness:
        rows = harness.export.table("trials", model="good")
        pandas, polars = rows.to_pandas(), rows.to_polars()
        kind: TableKind = "evaluations"
        assert harness.export.table(kind).to_polars()["accuracy"].to_list()[0] == 1.0
    assert len(pandas) == len(polars) == len(list(rows)) == 9
    assert pandas["status"].sum() == polars["status"].sum() == 9 * 200
    assert str(pandas["input_tokens"].dtype).startswith("int64")
    assert pandas["started_at"].dt.year.min() >= 2024
    assert set(polars["prompt_id"]) == {"A1", "A2", "A3"}


def test_the_rows_of_a_result_are_data_frames(measured: Project) -> None:
    """Of a comparison and of an evaluation; without rows they are empty."""
    with selfopt.open() as harness:
        compared = harness.compare("good", "mute", suites=["atomic"])
        pandas = harness.export.rows(compared.rows).to_pandas()
        evaluation = harness.supervise("good", "atomic", runs=3).evaluation
        assert evaluation is not None
        polars = harness.export.rows(evaluation.rows).to_polars()
        assert harness.export.rows(()).to_arrow().num_rows == 0
    assert list(pandas["model"]) == [row.model for row in compared.rows]
    assert list(pandas["accuracy_value"]) == [row.accuracy.value for row in compared.rows]
    assert polars["prompt_id"].to_list() == [row.prompt_id for row in evaluation.rows]


def test_a_torn_parquet_is_never_left(measured: Project) -> None:
    """What fails on the way leaves nothing behind."""
    ledger = measured.home / "ledger.sqlite3"
    connection = sqlite3.connect(ledger)
    connection.execute(
        "UPDATE records SET body = '{' WHERE kind = 'trial' AND seq = (SELECT max(seq) FROM records WHERE kind = 'trial')"
    )
    connection.commit()
    connection.close()
    measured.run("export", "trials", "--out", "t.parquet").assert_refused(1, "damaged", "audit verify")
    assert not [path for path in measured.root.iterdir() if "parquet" in path.name]


def test_what_an_export_costs_is_measured_beside_pyarrow(tmp_path: Path) -> None:
    """On a small ledger; the script says the figures of both, and the memory of each export."""
    script = Path(__file__).resolve().parents[2] / "perf" / "export.py"
    words = [sys.executable, str(script), "--trials", "900", "--small", "300", "--rounds", "1", "--json"]
    done = subprocess.run([*words, "--keep", str(tmp_path)], capture_output=True, text=True, check=True)
    figures = json.loads(done.stdout)
    assert [row["trials"] for row in figures.values()] == [300, 900]
    assert all(row["peak_mb"] > 0 and row["times_wall"] > 0 and row["times_cpu"] > 0 for row in figures.values())
