"""One list of what is verified: the command, doctor and the API tell the same of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import selfopt
from selfopt.errors import GateFailed, UsageError
from selfopt.verbs import verifying
from selfopt.verbs.verifying import Part, verify_home
from selfopt.wiring.app import App
from tests.cli.conftest import project
from tests.cli.world import Project

__all__ = ["project"]


def test_every_part_is_told_by_the_command_by_doctor_and_by_the_api(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that is added: its problem is exit code 100 everywhere."""
    project.ok("routes", "set", "good", "atomic", "--deny")

    def another(app: App, anchors: object) -> Part:
        return Part("photographs", "3 of them", ("the third is missing",), (), app.enforcer.verify_rules())

    assert [part.name for part in verify_home(App.open()).parts] == [
        "audit trail",
        "rules",
        "live requests",
        "API keys",
        "ledger",
        "renderings",
    ]
    monkeypatch.setattr(verifying, "_PARTS", (*verifying._PARTS, another))
    for arguments in (("audit", "verify"), ("doctor",)):
        result = project.run(*arguments)
        assert result.code == 100
        assert "the third is missing" in result.out
    body = project.run("audit", "verify", "--json").json()
    assert (body["ok"], body["n"], body["rules"]["version"], "photographs" in body) == (False, 1, 1, True)
    with selfopt.open() as harness:
        report = harness.audit.verify_home()
        assert not report.ok
        assert report.part("photographs").problems == ("the third is missing",)
        assert report.part("rules").ok


def test_the_api_gives_and_checks_anchors(project: Project) -> None:
    """As the command does."""
    project.ok("routes", "set", "good", "atomic", "--deny")
    with selfopt.open() as harness:
        anchor = harness.audit.anchor()
        assert harness.audit.verify_home([anchor]).ok
        with pytest.raises(UsageError, match="no anchor"):
            harness.audit.verify_home(["x"])
        project.ok("routes", "set", "good", "atomic", "--allow")
        assert harness.audit.verify_home([anchor, harness.audit.anchor()]).ok
        (project.home / "routing_decisions.head").write_bytes(b"")
        with pytest.raises(GateFailed):
            harness.audit.anchor()


def test_doctor_fails_with_one_when_nothing_but_its_surroundings_is_broken(project: Project) -> None:
    """100 is for records alone."""
    project.ok("routes", "set", "good", "atomic", "--deny")
    (project.home / "harness_feedback.json").write_text("{")
    assert project.run("doctor").code == 1


def test_only_the_judge_reads_a_kept_version() -> None:
    """Whoever reads a version without the seals could be given a forged one."""
    source = Path(selfopt.__file__).parent
    users = {str(p.relative_to(source)) for p in source.rglob("*.py") if "read_kept" in p.read_text("utf-8")}
    assert users == {"routing/store.py", "routing/versions.py"}
    readers = {str(p.relative_to(source)) for p in source.rglob("*.py") if " read_config(" in p.read_text("utf-8")}
    assert readers == {"routing/store.py", "routing/in_force.py", "routing/enforcer.py"}


def test_a_key_that_was_written_into_the_file_is_named(project: Project) -> None:
    """By its id, everywhere; its hash is shown nowhere."""
    project.ok("keys", "add", "mine")
    file = project.home / "gateway_keys.json"
    body = json.loads(file.read_text())
    entry = body["keys"][0]
    body["keys"].append({**entry, "id": "key-00000000", "name": "smuggled"})
    file.write_text(json.dumps(body))
    for arguments in (("audit", "verify"), ("audit", "verify", "--json"), ("doctor",)):
        result = project.run(*arguments)
        assert result.code == 100
        assert "key-00000000 (smuggled)" in result.out
        assert entry["sha256"] not in result.out
    file.write_text("{")
    assert project.run("audit", "verify").code == 100
