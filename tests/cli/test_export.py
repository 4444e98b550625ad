"""`selfopt export`: tables of what was measured and served."""

from __future__ import annotations

import csv
import io
import json
from typing import Any

import pytest

import selfopt
from selfopt.errors import UsageError
from selfopt.export import LIVE, TABLES
from selfopt.gateway.ticket import FeedbackRecord
from tests.ui.journals import home_with, recently

from .world import Project

KINDS = [kind for kind in TABLES if kind not in LIVE]


def rows_of(text: str) -> list[dict[str, str]]:
    """A CSV text as rows."""
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def measured(project: Project) -> Project:
    """Two models were measured on small suites, and one of them was judged."""
    project.ok("supervise", "good", "atomic", "--runs", "3")
    project.ok("run", "mute", "extended")
    project.write("selfopt.check.yaml", "suite: atomic.yaml\nmodel: good\nmin_accuracy: 0.5\nbaseline: {model: mute}\n")
    project.ok("check")
    project.said_no("decide", "good", "atomic", "--candidate", "native_api", "--baseline", "native_api")
    return project


def test_every_table_has_the_documented_columns_and_all_rows(measured: Project) -> None:
    """In both formats of text, with the same values."""
    for kind in KINDS:
        found = rows_of(measured.ok("export", kind).out)
        lines = [json.loads(line) for line in measured.ok("export", kind, "--format", "jsonl").out.splitlines()]
        wanted = [column.name for column in TABLES[kind].columns if not column.content]
        assert found, kind
        assert list(found[0]) == wanted == list(lines[0])
        assert len(found) == len(lines)
        for name in wanted:
            assert [row[name] == "" for row in found] == [line[name] in (None, "") for line in lines], (kind, name)


def test_a_trial_says_what_was_asked_and_its_verdict_joins(measured: Project) -> None:
    """The figures are those of the evaluation."""
    trials = [
        json.loads(line) for line in measured.ok("export", "trials", "--format", "jsonl", "--model", "good").out.splitlines()
    ]
    assert {row["model"] for row in trials} == {"scripted/good"}
    assert {row["variant"] for row in trials} == {"native_api"}
    assert {row["status"] for row in trials} == {200}
    verdicts = {
        row["trial_id"]: row for row in map(json.loads, measured.ok("export", "verdicts", "--format", "jsonl").out.splitlines())
    }
    assert all(verdicts[row["trial_id"]]["passed"] for row in trials)
    assert json.loads(trials[0]["exchanges"])[0]["attempts"][0]["status"] == 200


def test_a_check_has_its_figures_and_its_trials_are_found(measured: Project) -> None:
    """`trial_ids` are those of the tables of trials and verdicts."""
    [check] = [json.loads(line) for line in measured.ok("export", "checks", "--format", "jsonl").out.splitlines()]
    assert (check["verdict"], check["passes"], check["model"], check["before_model"]) == (
        "pass",
        True,
        "scripted/good",
        "scripted/mute",
    )
    assert (check["accuracy"], check["asked_again"], check["method"]) == (1.0, True, "exact")
    assert check["change"] == pytest.approx(1.0 - check["before_accuracy"])
    verdicts = {
        row["trial_id"]: row for row in map(json.loads, measured.ok("export", "verdicts", "--format", "jsonl").out.splitlines())
    }
    assert {verdicts[trial]["model"] for trial in json.loads(check["trial_ids"])} == {"scripted/good"}
    assert {verdicts[trial]["model"] for trial in json.loads(check["before_trial_ids"])} == {"scripted/mute"}
    none = measured.ok("export", "checks", "--model", "mute")
    assert rows_of(none.out) == []
    assert "none is of mute" in none.err


def test_an_ending_that_is_no_format_is_refused(measured: Project) -> None:
    """A file called .xlsx that holds CSV opens nowhere; --format says what is meant."""
    measured.run("export", "trials", "--out", "t.xlsx").assert_refused(2, "t.xlsx", ".csv, .jsonl or .parquet", "--format")
    assert not (measured.root / "t.xlsx").exists()
    measured.ok("export", "trials", "--out", "t.xlsx", "--format", "csv")
    assert (measured.root / "t.xlsx").read_text("utf-8").startswith("trial_id,")


def test_a_table_that_is_none_is_one_line_and_a_table_says_what_to_do_with_it(measured: Project) -> None:
    """For programs, which name a table as a text."""
    name: Any = "cheks"
    with selfopt.open() as harness:
        with pytest.raises(UsageError, match=r"no table 'cheks'; there are trials, .*checks"):
            harness.export.table(name)
        assert len(repr(harness.export.table("trials"))) < 150
        assert "to_pandas" in repr(harness.export.table("trials"))
        assert [row["verdict"] for row in harness.export.table("checks")] == ["pass"]


def test_content_is_there_only_where_it_is_asked_for(measured: Project) -> None:
    """Prompts, replies and the arguments of calls."""
    for kind in KINDS:
        for form in ("csv", "jsonl"):
            assert "Oslo" not in measured.ok("export", kind, "--format", form).out
    trials = measured.ok("export", "trials", "--content").out
    assert "weather in Oslo?" in trials
    assert "I would rather not." in trials
    assert "Oslo" in measured.ok("export", "verdicts", "--content").out


def test_rows_are_chosen_by_time_and_model(measured: Project) -> None:
    """A day counts whole; what is before it or after it is left out."""
    first = json.loads(measured.ok("export", "trials", "--format", "jsonl").out.splitlines()[0])["started_at"]
    for kind in KINDS:
        whole = len(rows_of(measured.ok("export", kind).out))
        assert len(rows_of(measured.ok("export", kind, "--since", first[:10], "--until", "2999-01-01").out)) == whole
        assert rows_of(measured.ok("export", kind, "--until", "2001-01-01").out) == []
        assert rows_of(measured.ok("export", kind, "--since", "2999-01-01T00:00:00+02:00").out) == []
        assert rows_of(measured.ok("export", kind, "--model", "scripted/gone").out) == []


def test_live_requests_and_what_was_told_of_them_join_by_id(project: Project) -> None:
    """A client's own words are content."""
    project.home.mkdir()
    told = [
        FeedbackRecord("2026-01-31T10:00:00.000Z", "r1", True, 0.5, "the wrong \U0001f600 day", "key-1", "rule-1"),
        FeedbackRecord("2026-02-01T10:00:00.000Z", "r1", None, 0.0, "", None),
    ]
    home_with(project.home, [recently("r1"), *told])
    requests = [json.loads(line) for line in project.ok("export", "requests", "--format", "jsonl").out.splitlines()]
    lines = [json.loads(line) for line in project.ok("export", "feedback", "--format", "jsonl").out.splitlines()]
    assert [row["id"] for row in requests] == ["r1"]
    assert [(row["id"], row["success"], row["score"], row["key"], row["rule"]) for row in lines] == [
        ("r1", True, 0.5, "key-1", "rule-1"),
        ("r1", None, 0.0, None, None),
    ]
    assert "comment" not in lines[0]
    assert "wrong" not in project.ok("export", "feedback").out
    assert rows_of(project.ok("export", "feedback", "--content").out)[0]["comment"] == "the wrong \U0001f600 day"
    assert len(rows_of(project.ok("export", "feedback", "--until", "2026-01-31").out)) == 1


def test_a_file_is_written_whole_and_never_replaced_unasked(measured: Project) -> None:
    """Its format is that of its ending."""
    out = measured.root / "trials.jsonl"
    told = measured.ok("export", "trials", "--out", str(out), "--json").json()
    assert told == {"kind": "trials", "format": "jsonl", "rows": len(out.read_text().splitlines()), "out": str(out)}
    measured.run("export", "trials", "--out", str(out)).assert_refused(2, "exists", "--replace")
    measured.ok("export", "verdicts", "--out", str(out), "--replace")
    assert "verdict_id" in out.read_text()
    assert [path.name for path in measured.root.iterdir() if path.name.endswith(".tmp")] == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trials", "--since", "tomorrow"), "neither a day nor a moment"),
        (("trials", "--since", "2026-02-01", "--until", "2026-01-01"), "not before"),
        (("trials", "--format", "parquet"), "--out"),
        (("trials", "--out", "."), "a folder"),
        (("trials", "--out", "nowhere/x.csv"), "no folder"),
        (("trials", "--out", "/dev/null"), "regular file"),
        (("trials", "--model", "nope"), "nope"),
        (("requests", "--content"), "--content"),
        (("evaluations", "--content"), "--content"),
        (("feedback", "--model", "good"), "--model"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(project: Project, words: tuple[str, ...], said: str) -> None:
    """Nothing is written then."""
    project.run("export", *words).assert_refused(2, said)
    assert not project.home.exists()


def test_a_home_without_measurements_gives_empty_tables(project: Project) -> None:
    """With their columns; the home is not made for it."""
    for kind in TABLES:
        assert project.ok("export", kind).out.startswith(TABLES[kind].columns[0].name)
    assert not project.home.exists()


def test_parquet_without_its_package_names_the_extra(measured: Project) -> None:
    """In one line, and no file is left."""
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        measured.run("export", "trials", "--out", "t.parquet").assert_refused(2, "parquet", "pip install")
        assert not list(measured.root.glob("*.parquet*"))


def test_what_a_model_wrote_is_no_formula_and_no_escape_sequence(project: Project) -> None:
    """In CSV an apostrophe stands before it, and control characters are written out."""
    script = (project.root / "script.yaml").read_text("utf-8")
    project.write("script.yaml", script.replace('"I would rather not."', '\'=HYPERLINK("http://x","y")\'', 1))
    project.ok("run", "mute", "atomic", "--limit", "1")
    project.run("run", "scripted/evil", "atomic", "--limit", "1")
    found = rows_of(project.ok("export", "trials", "--content").out)
    assert '\'=HYPERLINK("http://x","y")' in {row["text"] for row in found}
    out = project.ok("export", "trials", "--content").out + project.ok("export", "trials", "--content", "--format", "jsonl").out
    assert "\x1b" not in out
    assert "\u202e" not in out
