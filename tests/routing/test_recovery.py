"""A writer killed between any two steps: the rules are old or new, and the trail says which."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from selfopt.errors import StoreError
from selfopt.home import GENESIS_HASH, Home
from selfopt.home.head import Head
from selfopt.records import RoutingConfig
from selfopt.routing import STEPS, Enforcer, read_config
from selfopt.routing import enforcer as enforcer_module
from tests.home.killing import killed

KILLED_AT = """
import os, signal, sys
from pathlib import Path
from selfopt.home import Home
from selfopt.routing import Enforcer

def die(step):
    if step == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)

Enforcer(Home(Path(sys.argv[1])), on_step=die).set_rule("a/1", "atomic", allow=False, fallback="a/2")
"""

ENDLESS = """
import sys
from pathlib import Path
from selfopt.home import Home
from selfopt.routing import Enforcer
enforcer = Enforcer(Home(Path(sys.argv[1])))
while True:
    version = enforcer.set_rule("a/1", "atomic", allow=enforcer.load().version % 2 == 0).version
    print(version, flush=True)
"""


def kill_at(home: Home, step: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED_AT, str(home.root), step], capture_output=True, check=False, timeout=300)
    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_a_step_the_rules_are_old_or_new(home: Home, step: str, fresh: bool) -> None:
    """kill -9 at each step: old without a kept version, new with it; the chain verifies; the next change goes through."""
    enforcer = Enforcer(home)
    if not fresh:
        enforcer.set_rule("a/1", "atomic", allow=True)
    old = enforcer.load()
    kill_at(home, step)
    in_force = read_config(home.routing_config)
    assert (in_force.version if in_force else 0) in (old.version, old.version + 1)
    loaded = enforcer.load()
    assert enforcer.verify().ok
    rule = loaded.rule_for("a/1", "atomic")
    if step in ("locked", "audit_written"):
        assert loaded == old
    else:
        assert loaded.version == old.version + 1
        assert rule is not None
        assert (rule.allow, rule.fallback) == (False, "a/2")
    newest = next(enforcer.trail.newest_first(), None)
    expected = {"audit_written": "version_aborted", "version_written": "version_completed"}.get(step)
    if expected:
        assert newest is not None
        assert newest.event == expected
    before = home.audit_trail.read_bytes() if home.audit_trail.exists() else b""
    assert enforcer.load() == loaded
    assert (home.audit_trail.read_bytes() if home.audit_trail.exists() else b"") == before
    after = enforcer.set_rule("a/9", "atomic", allow=False)
    assert after.version == (old.version + 1 if step == "locked" else old.version + 2)
    assert enforcer.verify().ok
    assert not [name for name in os.listdir(home.root) if name.endswith(".tmp")]


@pytest.mark.parametrize("before", ["nothing", "a version", "an edited file"])
def test_killed_between_any_two_steps_that_change_a_file(tmp_path: Path, before: str) -> None:
    """Not only between those that have a name: the rules are old or new, nothing half-written stays, and the home verifies when the
    next command has looked at it."""
    step, done = 0, False
    while not done:
        step += 1
        home = Home(tmp_path / str(step))
        enforcer = Enforcer(home)
        old = RoutingConfig() if before == "nothing" else enforcer.set_rule("a/1", "atomic", allow=True)
        if before == "an edited file":
            home.routing_config.write_text(home.routing_config.read_text().replace('"allow": true', '"allow": false'))
        done = not killed(lambda home=home: Enforcer(home).set_rule("a/1", "atomic", allow=False, fallback="a/2"), step)  # type: ignore[misc]
        loaded = Enforcer(home).load()
        rule = loaded.rule_for("a/1", "atomic")
        assert loaded == old or (rule is not None and rule.fallback == "a/2"), step
        assert not done or loaded != old
        after = Enforcer(home).set_rule("a/9", "atomic", allow=False)
        assert Enforcer(home).load() == after
        report = Enforcer(home).verify()
        assert report.ok, (step, report.problems)
        assert not list(home.root.rglob("*.tmp"))
    assert step > 20


def test_the_next_change_repairs_without_a_load_before(home: Home) -> None:
    """A writer that never calls `load` completes the dead one's version first, then makes its own."""
    kill_at(home, "version_written")
    enforcer = Enforcer(home)
    config = enforcer.set_rule("a/9", "atomic", allow=False)
    assert config.version == 2
    assert {r.model for r in config.rules} == {"a/1", "a/9"}


def test_killed_while_completing_it_is_completed_once(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """`version_completed` is written, the rename is not: the next load renames and says it only once."""
    kill_at(home, "version_written")
    enforcer = Enforcer(home)

    def full(*_: object) -> None:
        raise StoreError("full")

    with monkeypatch.context() as patch:
        patch.setattr("selfopt.routing.in_force.write_config", full)
        with pytest.raises(StoreError):
            enforcer.load()
    assert enforcer.load().version == 1
    assert [r.event for r in enforcer.trail.records()] == ["rule_added", "version_completed"]


@pytest.mark.parametrize("damage", ["altered", "garbage", "other_number"])
def test_a_kept_version_that_is_not_what_was_sealed_is_not_completed(home: Home, damage: str) -> None:
    """A version file that was changed after the audit is aborted, not put in force."""
    kill_at(home, "version_written")
    path = home.routing_versions / "1.json"
    text = path.read_text()
    changed = {
        "altered": text.replace('"allow": false', '"allow": true'),
        "garbage": "{",
        "other_number": text.replace('"version": 1', '"version": 5'),
    }[damage]
    assert changed != text
    path.write_text(changed)
    enforcer = Enforcer(home)
    assert enforcer.load().version == 0
    assert next(enforcer.trail.newest_first()).event == "version_aborted"
    assert enforcer.set_rule("a/9", "atomic", allow=False).version == 2


def test_requests_logged_after_the_crash_do_not_hide_it(home: Home) -> None:
    """Diverted requests come after the dead writer's records: the repair still finds them."""
    kill_at(home, "audit_written")
    enforcer = Enforcer(home)
    for _ in range(50):
        enforcer.trail.append("diverted", details={"event": "rule_added"}, config_version=9)
    assert enforcer.load().version == 0
    assert next(enforcer.trail.newest_first()).event == "version_aborted"


def test_a_batch_torn_in_its_middle_is_aborted(home: Home) -> None:
    """Only some of a change's records reached the disk: given up, the chain goes on."""
    enforcer = Enforcer(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(enforcer_module, "write_version", lambda *_: sys.exit())
        with pytest.raises(SystemExit):
            enforcer.import_file(_two_rules(home.root.parent))
    lines = home.audit_trail.read_bytes().splitlines(keepends=True)
    home.audit_trail.write_bytes(lines[0] + lines[1][:50])
    enforcer = Enforcer(home)
    enforcer.trail.head.create(Head(0, 0, GENESIS_HASH))  # the power failed before the batch was acknowledged
    assert enforcer.load().version == 0
    assert enforcer.verify().ok
    record = next(enforcer.trail.newest_first())
    assert record.event == "version_aborted"
    assert "torn_tail" in record.details


def _two_rules(folder: Path) -> Path:
    path = folder / "rules.json"
    path.write_text(
        '{"rules": [{"model": "a/1", "phase": "atomic", "allow": true}, {"model": "a/2", "phase": "atomic", "allow": true}]}'
    )
    return path


def test_a_home_that_cannot_be_written_is_still_read(
    home: Home, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A pending change that cannot be repaired now: the old rules, and a warning."""
    enforcer = Enforcer(home)
    old = enforcer.set_rule("a/1", "atomic", allow=True)
    kill_at(home, "version_written")

    def full(*_: object) -> None:
        raise StoreError("full")

    monkeypatch.setattr("selfopt.routing.in_force.write_config", full)
    assert enforcer.load() == old
    assert "full" in caplog.text


@pytest.mark.slow
def test_killed_at_random_nothing_acknowledged_is_lost(home: Home) -> None:
    """Ten writers in a row, each killed at a random moment: every acknowledged version is kept, the chain verifies."""
    chance = random.Random(7)
    for _ in range(10):
        worker = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(ENDLESS), str(home.root)], stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        acknowledged = int(worker.stdout.readline())
        until = time.monotonic() + chance.random() * 0.1
        while time.monotonic() < until:
            acknowledged = int(worker.stdout.readline())
        worker.kill()
        rest = worker.stdout.read().split("\n")[:-1]
        worker.stdout.close()
        worker.wait()
        acknowledged = int(rest[-1]) if rest else acknowledged
        enforcer = Enforcer(home)
        loaded = enforcer.load()
        assert loaded.version >= acknowledged
        assert enforcer.verify().ok
        kept = (home.routing_versions / f"{loaded.version}.json").read_text()
        assert kept == home.routing_config.read_text()
