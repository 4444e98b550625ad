"""The command line on a ledger in PostgreSQL: the loop, its continuation, verification, and what it must not show."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from selfopt.ledger.postgres import open_postgres_ledger
from selfopt.ledger.postgres_schema import migrate
from selfopt.records import Cycle, Trial
from tests.cli.conftest import project
from tests.cli.world import Project

from .postgres_server import Server

__all__ = ["project"]
pytestmark = pytest.mark.services


def _use(project: Project, url: str) -> None:
    project.user_config.write_text(f'ledger = "{url}"\n', "utf-8")


@pytest.fixture(autouse=True)
def _own_settings(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    project.user_config.touch()


def test_a_cycle_is_measured_decided_and_verified_in_the_database(postgres: Server, project: Project) -> None:
    """The loop on the scripted endpoint keeps everything there and nothing in a file; another home of the same ledger reads it."""
    url = postgres.ledger()
    _use(project, url)
    done = project.run("loop", "--cycles", "1", "--baseline", "scripted/writer atomic native_api", "--json")
    assert done.code == 0, done.err
    assert not (project.home / "ledger.sqlite3").exists()
    ledger = open_postgres_ledger(url)
    assert [cycle.number for cycle in ledger.read(Cycle)] == [1]
    trials = len(ledger.ids(Trial))
    ledger.close()
    again = project.run("loop", "--cycles", "1", "--baseline", "scripted/writer atomic native_api", "--json")
    assert again.code == 0, again.err
    verified = project.run("audit", "verify", "--json")
    assert verified.code == 0, verified.err + verified.out
    assert verified.json()["ledger"]["records"] >= trials
    assert verified.json()["ledger"]["unsealed"] == 0
    shown = project.run("--home", str(project.root / "other"), "report", "--json")
    assert shown.code == 0, shown.err


def test_tables_are_exported_from_the_database(postgres: Server, project: Project) -> None:
    """With the same columns and figures as from a file, in every format that is there."""
    _use(project, postgres.ledger())
    project.ok("supervise", "good", "atomic", "--runs", "3")
    lines = [json.loads(line) for line in project.ok("export", "trials", "--format", "jsonl", "--content").out.splitlines()]
    assert [row["prompt_id"] for row in lines] == ["A1", "A2", "A3"] * 3
    assert {(row["model"], row["variant"], row["status"]) for row in lines} == {("scripted/good", "native_api", 200)}
    parquet = pytest.importorskip("pyarrow.parquet")
    for kind in ("trials", "verdicts", "evaluations"):
        lines = [json.loads(line) for line in project.ok("export", kind, "--format", "jsonl").out.splitlines()]
        project.ok("export", kind, "--out", str(project.root / f"{kind}.parquet"))
        rows = parquet.read_table(project.root / f"{kind}.parquet").to_pylist()
        times = {name for name, value in rows[0].items() if isinstance(value, datetime)} | {"recorded_at"}
        assert [{k: v for k, v in row.items() if k not in times} for row in rows] == [
            {k: v for k, v in line.items() if k not in times} for line in lines
        ]
        assert lines


def test_nothing_shows_a_password(postgres: Server, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One in the URL is refused without being repeated; one of the environment is in no output of doctor, config or an error."""
    monkeypatch.setenv("PGPASSWORD", "s3cret-word")
    for url in (
        "postgresql://me:s3cret-word@127.0.0.1/x",
        "postgresql://127.0.0.1/x?password=s3cret-word",
        "mysql://s3cret-word@x/y",
    ):
        _use(project, url)
        refused = project.run("config", "show")
        refused.assert_refused(2, "ledger")
        assert "s3cret-word" not in refused.err + refused.out
        refused = project.run("ledger", "migrate", url)
        assert "s3cret-word" not in refused.err + refused.out
    _use(project, postgres.ledger())
    for command in (("doctor",), ("config", "show", "--all"), ("report",)):
        done = project.run(*command)
        assert "s3cret-word" not in done.out + done.err


def test_every_command_goes_by_the_newest_rules(postgres: Server, project: Project) -> None:
    """A home that has never served takes them before it decides anything, and shows them."""
    _use(project, postgres.ledger())
    project.ok("routes", "set", "scripted/good", "atomic", "--deny")
    other = ("--home", str(project.root / "other"))
    refused = project.run(*other, "run", "good", "atomic", "--limit", "1")
    assert refused.code == 1
    assert "may not serve atomic" in refused.err
    project.ok("routes", "set", "scripted/writer", "atomic", "--deny")
    assert "scripted/writer" in project.ok(*other, "routes", "show").out


def test_the_user_of_a_gateway_sees_rules_and_is_told_that_it_reads_no_records(postgres: Server, project: Project) -> None:
    """`doctor` finds no fault in it, `routes` works, and what measures is refused in one line."""
    url = postgres.ledger()
    database = url.rpartition("/")[2]
    postgres.execute(database, "DROP ROLE IF EXISTS door", "CREATE ROLE door LOGIN")
    migrate(url, gateways=["door"])
    _use(project, postgres.url(database, "door"))
    project.ok("routes", "set", "scripted/good", "atomic", "--deny")
    assert "scripted/good" in project.ok("routes", "show").out
    assert "as a gateway does" in " ".join(project.ok("doctor").out.split())
    project.run("run", "scripted/writer", "atomic", "--limit", "1").assert_refused(1, "selfopt_writer")


def test_a_project_cannot_name_the_database(project: Project) -> None:
    """Trusted or not: prompts and replies go where the user's own settings say."""
    settings = (project.root / "selfopt.toml").read_text("utf-8")
    project.write("selfopt.toml", 'ledger = "postgresql://elsewhere/x"\n' + settings)
    project.run("report").assert_refused(2, "sets ledger, and a project's file may not")
    project.write("selfopt.toml", settings)
    project.write(".env", "SELFOPT_LEDGER=postgresql://elsewhere/x\n")
    project.run("report").assert_refused(2, "SELFOPT_LEDGER")


def test_migrate_makes_a_ledger_once(postgres: Server, project: Project) -> None:
    """It says the versions; a second call changes nothing; a user gets a role by name."""
    database = postgres.database()
    url = postgres.url(database)
    first = project.run("ledger", "migrate", url)
    assert (first.code, "schema version 2 (before: none)" in first.out) == (0, True), first.err
    again = project.run("ledger", "migrate", url, "--json")
    assert (again.json()["before"], again.json()["after"]) == (2, 2)
    project.run("ledger", "migrate", url, "--grant", "nobody-here").assert_refused(2, "has no user 'nobody-here'")
    project.run("ledger", "migrate").assert_refused(2, "no database is named")
    project.run("ledger", "migrate", "postgresql://127.0.0.1:1/x").assert_refused(1, "cannot be reached")


def test_a_database_that_cannot_be_used_ends_a_command_in_one_line(postgres: Server, project: Project) -> None:
    """Before anything is asked, and nothing falls back to a file."""
    _use(project, postgres.url(postgres.database()))
    project.run("run", "good", "atomic").assert_refused(1, "holds no ledger of selfopt", "selfopt ledger migrate")
    _use(project, "postgresql://127.0.0.1:1/x")
    project.run("run", "good", "atomic").assert_refused(1, "cannot be reached")
    assert not (project.home / "ledger.sqlite3").exists()
    doctor = project.run("doctor", "--json")
    assert "cannot be reached" in json.dumps(doctor.json())
