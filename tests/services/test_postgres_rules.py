"""Rules that a database hands out: to every gateway, with its own trail, whether the database stays there or not."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from selfopt.errors import AuditError, NewerSchemaError, StoreError
from selfopt.home import Home
from selfopt.ledger.postgres_rules import HandedRules, PostgresRules
from selfopt.ledger.postgres_schema import migrate
from selfopt.records import RoutingConfig
from selfopt.routing import Enforcer
from selfopt.wiring.handed_rules import EVENT, HandedOut

from .gateways import command, gateways
from .postgres_server import Server, make_server, select_nothing

pytestmark = pytest.mark.services

DENY = ("routes", "set", "scripted/one", "atomic", "--deny", "--fallback", "scripted/other")


@pytest.fixture
def mortal() -> Iterator[Server]:
    """A server of one test, which may kill it."""
    server = make_server()
    yield server
    server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short path."""
    import tempfile

    made = Path(tempfile.mkdtemp(prefix="selfopt-nodes-"))
    yield made
    shutil.rmtree(made, ignore_errors=True)


def _until(there: Callable[[], bool]) -> None:
    for _ in range(600):
        if there():
            return
        select_nothing()
    raise AssertionError("it did not happen within half a minute")


def _node(url: str, root: Path) -> tuple[Enforcer, HandedOut]:
    """What changes rules in a home, wired as a command does it."""
    home = Home(root)
    handed = HandedOut(url, home, Enforcer(home))
    return Enforcer(home, before_change=handed.begin_change, after_change=handed.add), handed


def _set(enforcer: Enforcer, model: str, *, allow: bool = False) -> RoutingConfig:
    return enforcer.set_rule(model, "atomic", allow=allow, fallback=None if allow else "m/other")


def test_gateways_follow_a_change_a_rollback_and_serve_on_without_the_database(mortal: Server, folder: Path) -> None:
    """One node's change serves everywhere and is in every trail; while the database is away nothing changes, and nothing fails."""
    url = mortal.ledger()
    with gateways(folder, url, 3) as nodes:
        assert all("One." in node.model_of("scripted/one") for node in nodes)
        done = command(nodes[0].folder, url, *DENY)
        assert done.returncode == 0, done.stderr
        _until(lambda: all("Other." in node.model_of("scripted/one") for node in nodes))
        done = command(nodes[1].folder, url, "routes", "rollback", "0")
        assert done.returncode == 0, done.stderr
        _until(lambda: all("One." in node.model_of("scripted/one") for node in nodes))
        mortal.kill()
        refused = command(nodes[2].folder, url, *DENY)
        assert refused.returncode == 1
        assert "cannot be reached" in refused.stderr.splitlines()[-1]
        assert "Traceback" not in refused.stderr
        assert all("One." in node.model_of("scripted/one") for node in nodes)
        _until(lambda: all("stay as they were verified last" in (node.folder / "log").read_text() for node in nodes))
        mortal.start()
        assert command(nodes[2].folder, url, *DENY).returncode == 0
        _until(lambda: all("Other." in node.model_of("scripted/one") for node in nodes))
        # A gateway that begins while the database is away serves by what its home verified last.
        mortal.kill()
        with gateways(folder / "late", url, 1) as [late]:
            assert "One." in late.model_of("scripted/one")
            mortal.start()
            _until(lambda: "Other." in late.model_of("scripted/one"))
    for node in nodes:
        verified = command(node.folder, url, "audit", "verify", "--json")
        assert verified.returncode == 0, verified.stdout
        told = (node.home / "routing_decisions.jsonl").read_text()
        assert json.loads((node.home / "rules_handed.json").read_text())["version"] == 3
        assert (f'"cause":"{EVENT}"' in told) or node is nodes[0]


def test_versions_have_one_order_whoever_makes_them(postgres: Server, tmp_path: Path) -> None:
    """Two homes change rules in turn: each takes over what the other made before it adds its own."""
    url = postgres.ledger()
    (one, handed_one), (other, handed_other) = _node(url, tmp_path / "one"), _node(url, tmp_path / "other")
    _set(one, "m/a")
    _set(other, "m/b")
    assert {rule.model for rule in other.load().rules} == {"m/a", "m/b"}
    assert handed_one.take()
    assert not handed_one.take()
    assert [rule.model for rule in one.load().rules] == ["m/a", "m/b"]
    assert one.verify().ok
    assert other.verify().ok
    handed_one.close()
    handed_other.close()


def test_changes_at_once_of_different_rules_are_all_there(postgres: Server, tmp_path: Path) -> None:
    """Four homes change rules at the same time, and none undoes another's: all are in force everywhere, in one chain."""
    url = postgres.ledger()
    nodes = [_node(url, tmp_path / f"n{number}") for number in range(4)]
    errors: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for n in range(4):
                _set(nodes[number][0], f"m/{number}-{n}")
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for enforcer, handed in nodes:
        handed.take()
        assert {rule.model for rule in enforcer.load().rules} == {f"m/{number}-{n}" for number in range(4) for n in range(4)}
        assert enforcer.verify().ok
        handed.close()
    assert errors == []


def test_a_change_of_a_rule_that_another_node_changed_is_refused_by_name(postgres: Server, tmp_path: Path) -> None:
    """The first counts everywhere, also where both are impossible together; what the second home changed besides stays."""
    url = postgres.ledger()
    (one, handed_one), (other, handed_other) = _node(url, tmp_path / "one"), _node(url, tmp_path / "other")
    _set(one, "m/a")
    handed_other.take()
    late = Enforcer(Home(tmp_path / "other"))  # between its look at the database and its own change
    one.set_rule("m/a", "atomic", allow=False, fallback="m/x")
    late.set_rule("m/a", "atomic", allow=False, fallback="m/y")
    late.set_rule("m/b", "atomic", allow=True)
    with pytest.raises(StoreError, match=r"another node changed the rule for m/a atomic in .* meanwhile; its version counts"):
        handed_other.add(late.load())
    assert {rule.model: rule.fallback for rule in other.load().rules} == {"m/a": "m/x", "m/b": None}
    handed_other.add(late.load())
    one.set_rule("m/c", "atomic", allow=False, fallback="m/d")
    late.set_rule("m/d", "atomic", allow=False, fallback="m/c")
    with pytest.raises(StoreError, match="changed the rule for m/d atomic"):
        handed_other.add(late.load())
    for enforcer, handed in ((one, handed_one), (other, handed_other)):
        handed.take()
        assert [rule.model for rule in enforcer.load().rules] == ["m/a", "m/b", "m/c"]
        assert enforcer.verify().ok
        handed.close()


def test_a_version_without_its_seal_is_passed_over(postgres: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """One that was put there by hand blocks nobody; one that was changed, or a chain that was cut, leaves what was verified last."""
    url = postgres.ledger()
    database = url.rpartition("/")[2]
    enforcer, handed = _node(url, tmp_path / "one")
    _set(enforcer, "m/a")
    insert = (
        "INSERT INTO selfopt.rule_versions SELECT version + 1, seal, repeat('0', 64), node, at, '{{}}' FROM selfopt.rule_versions"
    )
    postgres.execute(database, insert.format())
    assert not handed.take()
    assert not handed.take()
    told = [record.message for record in caplog.records if "does not have its seal" in record.message]
    assert len(told) == 1
    assert "version 2 of the rules" in told[0]
    _set(enforcer, "m/b")
    other, handed_other = _node(url, tmp_path / "other")
    assert handed_other.take()
    assert [rule.model for rule in other.load().rules] == ["m/a", "m/b"]
    off = "SET session_replication_role = replica"
    postgres.execute(database, off, "DELETE FROM selfopt.rule_versions")
    with pytest.raises(AuditError, match=r"does not hold version 3 of the rules as it handed it out"):
        handed.take()
    with pytest.raises(AuditError):
        _set(enforcer, "m/c")
    handed.refresh()
    assert [rule.model for rule in enforcer.load().rules] == ["m/a", "m/b"]
    assert enforcer.verify().ok
    handed.close()
    handed_other.close()


@pytest.mark.parametrize(
    "body", ["[" * 200_000, "{}", '{"schema_version": 1, "rules": 7}', '{"schema_version": "x", "rules": []}']
)
def test_a_version_that_is_no_set_of_rules_is_replaced_by_the_next_change(postgres: Server, tmp_path: Path, body: str) -> None:
    """It is sealed, as whoever may add versions can seal anything. A home that knows no rules does not replace it."""
    url = postgres.ledger()
    enforcer, handed = _node(url, tmp_path / "one")
    _set(enforcer, "m/a")
    source = PostgresRules(url)
    assert source.add(source.follow(HandedRules()), "odd", body) is not None
    source.close()
    assert not handed.take()
    fresh, handed_fresh = _node(url, tmp_path / "fresh")
    with pytest.raises(StoreError, match="is no set of rules"):
        _set(fresh, "m/x")
    assert fresh.load().version == 0
    _set(enforcer, "m/b")
    assert handed_fresh.take()
    assert [rule.model for rule in fresh.load().rules] == ["m/a", "m/b"]
    for one in (handed, handed_fresh):
        one.close()


def test_rules_of_a_newer_selfopt_are_left_alone(postgres: Server, tmp_path: Path) -> None:
    """They are sealed, but not understood here: one line, and the rules before stay. What only uses rules goes on."""
    url = postgres.ledger()
    source = PostgresRules(url)
    source.add(HandedRules(), "newer", '{"schema_version": 99, "rules": []}')
    source.close()
    enforcer, handed = _node(url, tmp_path / "one")
    with pytest.raises(NewerSchemaError, match=r"up to .* is read here; update selfopt"):
        handed.take()
    handed.refresh()
    assert enforcer.load().version == 0
    handed.close()


def test_what_could_not_be_handed_out_is_with_the_next_change(
    mortal: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database dies between the change and its handing out: the command says so, and the next change hands it out."""
    url = mortal.ledger()
    enforcer, handed = _node(url, tmp_path / "one")
    _set(enforcer, "m/a")
    add = PostgresRules.add

    def dies(*arguments: object) -> HandedRules | None:
        mortal.kill()
        return add(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(PostgresRules, "add", dies)
    with pytest.raises(StoreError, match=r"version 2 .* is in force in this home, but was not handed out"):
        _set(enforcer, "m/b")
    monkeypatch.undo()
    mortal.start()
    _set(enforcer, "m/c")
    other, handed_other = _node(url, tmp_path / "other")
    handed_other.take()
    assert [rule.model for rule in other.load().rules] == ["m/a", "m/b", "m/c"]
    handed.close()
    handed_other.close()


def test_a_gateway_may_hand_out_rules_and_read_no_replies(postgres: Server, tmp_path: Path) -> None:
    """The role of gateways: rules and the numbers of commits, neither records nor texts."""
    import psycopg

    url = postgres.ledger()
    database = url.rpartition("/")[2]
    postgres.execute(database, "DROP ROLE IF EXISTS door", "CREATE ROLE door LOGIN")
    migrate(url, gateways=["door"])
    enforcer, handed = _node(postgres.url(database, "door"), tmp_path / "one")
    _set(enforcer, "m/a")
    handed.close()
    for table in ("records", "blobs", "record_index", "record_keys"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            postgres.execute(database, f"SELECT * FROM selfopt.{table}", user="door")
