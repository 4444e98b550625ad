"""Whatever is done to the files of a home, rules that were not sealed do not count, and what is missing is named."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from selfopt.home.chain_line import sealed_body, written
from selfopt.home.head import Head
from selfopt.routing import rule_id_of
from selfopt.verbs.keys import list_keys
from selfopt.verbs.verifying import verify_home
from selfopt.wiring.app import App
from tests.home.old import without_head
from tests.tampering import LONG, campaign

from .world import Project

NO_PROCESS = 4_194_304 + 7


@pytest.fixture
def ruled(project: Project) -> Project:
    """Version 1 denies `mute`, version 2 denies `good` as well, version 3 lifts both."""
    project.ok("routes", "set", "mute", "extended", "--deny", "--fallback", "good")
    project.ok("routes", "set", "good", "extended", "--deny")
    project.ok("routes", "set", "mute", "extended", "--allow")
    return project


def version(project: Project, number: int) -> Path:
    return project.home / "routing_versions" / f"{number}.json"


def lifted(path: Path) -> str:
    """The text of a version with one denial turned around."""
    text = path.read_text("utf-8")
    changed = text.replace('"allow": false', '"allow": true', 1)
    assert changed != text
    return changed


def assert_unverified(project: Project, *words: str) -> None:
    """`audit verify` and `doctor` both say so, with exit code 100 and the same words."""
    for arguments in (("audit", "verify"), ("doctor",)):
        result = project.run(*arguments)
        assert result.code == 100, (arguments, result.out, result.err)
        for word in words:
            assert word in " ".join(result.out.split()), (arguments, word, result.out)
    assert project.run("audit", "verify", "--json").json()["ok"] is False


def test_a_changed_version_is_not_rolled_back_to(ruled: Project) -> None:
    """B2: deny turned to allow in a kept version: refused by name, nothing changes; the other versions go on working."""
    version(ruled, 2).write_text(lifted(version(ruled, 2)))
    before = ruled.files()
    ruled.run("routes", "rollback", "2").assert_refused(
        1, "routing_versions/2.json", "not what the audit trail sealed", "restore"
    )
    assert ruled.files() == before
    assert_unverified(ruled, "version 2 of the rules is not what it was")
    ruled.ok("routes", "rollback", "1")


def resealed(path: Path) -> str:
    """A change whose author made the audit hash up as well."""
    return json.dumps(json.loads(lifted(path)) | {"audit_hash": "a" * 64})


DAMAGE: dict[str, Callable[[Project], object]] = {
    "gone": lambda p: version(p, 2).unlink(),
    "cut": lambda p: version(p, 2).write_bytes(version(p, 2).read_bytes()[:100]),
    "empty": lambda p: version(p, 2).write_bytes(b""),
    "another version": lambda p: shutil.copy(version(p, 1), version(p, 2)),
    "resealed": lambda p: version(p, 2).write_text(resealed(version(p, 2))),
    "all gone": lambda p: shutil.rmtree(p.home / "routing_versions"),
    "in another's place": lambda p: version(p, 1).rename(version(p, 2)),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_version_that_is_not_what_was_sealed_is_named(ruled: Project, damage: str) -> None:
    """Missing, damaged, replaced: verify and doctor name it by number, and a rollback to it is refused."""
    DAMAGE[damage](ruled)
    ruled.run("routes", "rollback", "2").assert_refused(1, "version 2")
    assert_unverified(ruled, "version 2 of the rules")
    if damage == "gone":
        assert "routing_versions/2.json is missing" in ruled.run("audit", "verify").out.replace("\n    ", "")


@pytest.mark.parametrize("name", ["4.json", "7.json", "02.json", "note.json", "0.json"])
def test_what_the_trail_never_sealed_is_named(ruled: Project, name: str) -> None:
    """A version that nobody made, and what is no version at all."""
    shutil.copy(version(ruled, 1), version(ruled, 1).with_name(name))
    assert_unverified(ruled, name, "move it out of that folder")
    if name == "4.json":
        ruled.run("routes", "rollback", "4").assert_refused(1, "4.json")


def test_an_older_version_in_place_of_the_rules_is_not_in_force(ruled: Project) -> None:
    """B8: said, put right by the next command, and recorded."""
    newest = (ruled.home / "routing_config.json").read_bytes()
    shutil.copy(version(ruled, 2), ruled.home / "routing_config.json")
    assert_unverified(ruled, "holds version 2, which is older than version 3")
    shown = ruled.ok("routes", "show", "--json")
    assert shown.json()["version"] == 3
    assert "holds version 2, which is older than version 3; version 3 is in force" in shown.err
    assert (ruled.home / "routing_config.json").read_bytes() == newest
    assert "older than version 3" in ruled.ok("audit", "show").out.replace("\n    ", " ")
    ruled.ok("audit", "verify")


def test_an_older_version_is_not_in_force_without_the_newest_either(ruled: Project) -> None:
    """The newest version is removed and an older one put in its place: no command follows it; an earlier one can be rolled back to."""
    shutil.copy(version(ruled, 2), ruled.home / "routing_config.json")
    version(ruled, 3).unlink()
    for arguments in (("routes", "show"), ("run", "mute", "extended"), ("routes", "set", "mute", "atomic", "--deny")):
        ruled.run(*arguments).assert_refused(1, "version 3 of the rules was in force", "routes rollback")
    assert_unverified(ruled, "version 3 of the rules was in force")
    ruled.ok("routes", "rollback", "1")
    assert ruled.ok("routes", "show", "--json").json()["version"] == 4


def test_edited_rules_are_not_in_force(ruled: Project) -> None:
    """The sealed ones are, loudly; the edit becomes a version by an import."""
    path = ruled.home / "routing_config.json"
    path.write_text(lifted(path))
    shown = ruled.ok("routes", "show", "--json")
    assert [r["allow"] for r in shown.json()["rules"] if r["model"].endswith("good")] == [False]
    assert "not what the audit trail sealed" in shown.err
    assert_unverified(ruled, "edited by hand")
    ruled.ok("routes", "import", str(path))
    assert [r["allow"] for r in ruled.ok("routes", "show", "--json").json()["rules"]] == [True, True]
    ruled.ok("audit", "verify")


def trail(project: Project) -> Path:
    return project.home / "routing_decisions.jsonl"


def head(project: Project) -> Path:
    return project.home / "routing_decisions.head"


def remove(*paths: Path) -> None:
    for path in paths:
        path.unlink()


def keep_lines(project: Project, n: int, *, without_the_head: bool = False) -> None:
    trail(project).write_bytes(b"".join(trail(project).read_bytes().splitlines(keepends=True)[:n]))
    if without_the_head:
        head(project).unlink()


def rewrite(project: Project) -> None:
    """Every hash is right, and one record tells something else."""
    last, lines = "0" * 64, []
    for line in trail(project).read_bytes().splitlines():
        body = json.loads(line)
        del body["hash"]
        body = sealed_body(body | {"previous_hash": last, "reason": "forged"})
        last = body["hash"]
        lines.append(written(body))
    trail(project).write_bytes(b"".join(lines))


CUTS: dict[str, tuple[Callable[[Project], object], str]] = {
    "cut": (lambda p: keep_lines(p, 2), "it was cut: its head has 3 records, but 2 are there"),
    "emptied": (lambda p: keep_lines(p, 0), "it is missing or empty"),
    "gone": (lambda p: trail(p).unlink(), "it is missing or empty"),
    "gone with its head": (lambda p: remove(trail(p), head(p)), "not what the audit trail sealed"),
    "cut with its head gone": (lambda p: keep_lines(p, 2, without_the_head=True), "its head is missing"),
    "rewritten": (rewrite, "it was rewritten"),
    "head gone": (lambda p: head(p).unlink(), "its head is missing"),
}


@pytest.mark.parametrize("cut", CUTS)
def test_a_trail_that_is_not_what_was_written_is_named(ruled: Project, cut: str) -> None:
    """B4: cut after the newest change, removed, rewritten: exit 100, here and in doctor; no rule is changed until it is put right."""
    do, said = CUTS[cut]
    rules = (ruled.home / "routing_config.json").read_bytes()
    do(ruled)
    assert_unverified(ruled, said)
    ruled.run("routes", "set", "mute", "atomic", "--deny").assert_refused(1)
    assert (ruled.home / "routing_config.json").read_bytes() == rules
    if cut not in ("gone with its head",):
        assert ruled.run("audit", "anchor").code == 100


def test_a_trail_rewritten_with_its_head_is_told_by_the_rules_and_by_an_anchor(ruled: Project) -> None:
    """Right hashes and a right head: the versions name records that are not there, and whoever kept an anchor knows."""
    anchor = ruled.ok("audit", "anchor").out.strip()
    ruled.ok("audit", "verify", "--anchor", anchor)
    rewrite(ruled)
    head(ruled).unlink()
    with App.open().enforcer.trail._locked() as (descriptor, size):  # what a forger does who knows the format
        forged = App.open().enforcer.trail
        end, last = forged._end(descriptor, size)
        forged.head.create(Head(3, end, last, announced=True, number=3))
    assert_unverified(ruled, "version 3 of the rules")
    result = ruled.run("audit", "verify", "--anchor", anchor)
    assert result.code == 100
    assert "the anchor of 3 records does not fit" in result.out


def test_an_anchor_proves_the_past(ruled: Project) -> None:
    """It holds while the trail grows, several may be given, and it is short; another text is a usage error."""
    anchor = ruled.ok("audit", "anchor", "--json").json()
    assert anchor["anchor"] == f"selfopt-anchor-1:3:{anchor['head_hash']}"
    ruled.ok("routes", "set", "mute", "atomic", "--deny")
    later = ruled.ok("audit", "anchor").out.strip()
    assert "2 anchors met" in ruled.ok("audit", "verify", "--anchor", anchor["anchor"], "--anchor", later).out
    assert ruled.ok("audit", "verify", "--anchor", later, "--json").json()["ok"] is True
    forged = anchor["anchor"][:-1] + ("0" if anchor["anchor"][-1] != "0" else "1")
    ahead = f"selfopt-anchor-1:9:{anchor['head_hash']}"
    for wrong in (forged, ahead):
        assert ruled.run("audit", "verify", "--anchor", wrong).code == 100
    for none in ("x", "", anchor["head_hash"], "selfopt-anchor-2:1:" + "0" * 64, "selfopt-anchor-1:0:" + "0" * 64):
        ruled.run("audit", "verify", "--anchor", none).assert_refused(2, "audit anchor")
    ruled.run("audit", "verify", "--anchor", anchor["anchor"], "--anchor", forged).assert_refused(2, "two anchors")


def test_an_empty_trail_has_no_anchor(project: Project) -> None:
    """Nothing to prove yet."""
    project.run("audit", "anchor").assert_refused(2, "empty")
    project.ok("audit", "verify")


def test_a_home_of_an_older_selfopt_is_read_as_before(ruled: Project) -> None:
    """No head: its rules are in force, it verifies with a word, and the next change begins the head."""
    hashes = without_head(App.open().enforcer.trail)
    for path in (ruled.home / "routing_config.json", *(ruled.home / "routing_versions").iterdir()):
        body = json.loads(path.read_text())
        path.write_text(json.dumps(body | {"audit_hash": hashes[body["audit_hash"]]}))
    assert "it has no head yet" in ruled.ok("audit", "verify").out
    assert ruled.ok("routes", "show", "--json").json()["version"] == 3
    ruled.ok("doctor")
    shutil.copy(version(ruled, 1), ruled.home / "routing_config.json")
    assert ruled.ok("routes", "show", "--json").json()["version"] == 3
    ruled.ok("routes", "set", "mute", "atomic", "--deny")
    assert "no head" not in ruled.ok("audit", "verify").out


def test_rules_made_by_hand_in_a_fresh_home_are_served_and_told(project: Project) -> None:
    """As nothing was ever sealed there; verify says no, and the first change seals them."""
    project.home.mkdir()
    rule = {"model": "scripted/mute", "phase": "extended", "allow": False, "fallback": "scripted/good"}
    rule["rule_id"] = rule_id_of("scripted/mute", "extended")
    (project.home / "routing_config.json").write_text(json.dumps({"schema_version": 1, "version": 1, "rules": [rule]}))
    result = project.ok("run", "mute", "extended", "--limit", "1")
    assert "Routed from" in result.err
    assert "made by hand" in result.err
    assert_unverified(project, "made by hand")
    assert "made by hand" in project.ok("routes", "show").err
    project.ok("routes", "set", "good", "atomic", "--deny")
    project.ok("audit", "verify")
    assert len(project.ok("routes", "show", "--json").json()["rules"]) == 2


def test_doctor_clears_what_killed_writers_left(ruled: Project) -> None:
    """And says how many; a command that writes clears them too."""
    for folder in (ruled.home, ruled.home / "routing_versions"):
        (folder / f".x.json.{NO_PROCESS}-0123456789ab.tmp").write_text("half")
    assert "2 of killed writers removed" in ruled.ok("doctor").out
    left = ruled.home / f".x.json.{NO_PROCESS}-0123456789ab.tmp"
    left.write_text("half")
    ruled.ok("routes", "set", "mute", "atomic", "--deny")
    assert not left.exists()


@pytest.fixture
def traffic(ruled: Project) -> Project:
    """A gateway served, diverted and refused requests, and ended."""
    code = """
import asyncio
from selfopt.wiring.app import App
from selfopt.wiring.serving import build_gateway, gateway_options
import aiohttp
async def main():
    async with App.open() as app:
        gateway = build_gateway(app, gateway_options(app, None, 0))
        await gateway.start()
        async with aiohttp.ClientSession() as session:
            for model in ("scripted/mute", "scripted/good", "scripted/mute"):
                body = {"model": model, "messages": [{"role": "user", "content": "hi"}]}
                async with session.post(f"{gateway.base_url}/chat/completions", json=body) as response:
                    await response.read()
        await gateway.close()
asyncio.run(main())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert list((ruled.home / "requests").glob("*.jsonl"))
    return ruled


@pytest.mark.bytes
@pytest.mark.timeout(3600)
def test_no_single_change_goes_unnoticed(traffic: Project) -> None:
    """Every byte and every length of the trail, its head, the rules, their versions and the live requests (a sample, unless ATTACKS is
    long): either nothing that is read changes, or verify says no."""
    for name in ("mine", "yours"):
        traffic.ok("keys", "add", name)
    traffic.ok("keys", "revoke", "yours")
    app = App.open()

    def read() -> object:
        try:
            rules = app.enforcer.load(repair_pending=False)
            return rules, list_keys(app).keys, list(app.enforcer.trail.records()), app.enforcer.history()
        except Exception as error:
            return str(error)

    before = traffic.files()
    assert campaign(traffic.home, read, lambda: verify_home(App.open()).ok, sample=None if LONG else 25) == []
    assert traffic.files() == before


def assert_serve_is_refused(project: Project, *words: str, prefix: tuple[str, ...] = ()) -> None:
    """At the start: exit 1, one line."""
    command = [*prefix, sys.executable, "-m", "selfopt", "serve", "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    lines = [line for line in done.stderr.splitlines() if line.startswith("selfopt: ")]
    assert (done.returncode, len(lines)) == (1, 1), done.stderr + done.stdout
    assert "gateway at" not in done.stdout
    for word in words:
        assert word in lines[0], lines[0]


@pytest.mark.parametrize("what", ["home", "requests"])
def test_a_gateway_does_not_start_where_it_cannot_record(ruled: Project, what: str) -> None:
    """B15: a home, or a folder of requests alone, that cannot be written."""
    prefix: tuple[str, ...] = ()
    if os.geteuid() == 0:
        if shutil.which("setpriv") is None:
            pytest.skip("root may write anywhere, and setpriv is not here")
        prefix = ("setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner")
    folder = ruled.home if what == "home" else ruled.home / "requests"
    modes = {path: path.stat().st_mode for path in (folder, *folder.rglob("*"))}
    for path, mode in modes.items():
        path.chmod(mode & ~0o222)
    try:
        assert_serve_is_refused(ruled, str(folder), prefix=prefix)
    finally:
        for path, mode in modes.items():
            path.chmod(mode)


def test_a_gateway_does_not_start_on_a_trail_that_was_cut(ruled: Project) -> None:
    """Nothing could be diverted there."""
    keep_lines(ruled, 2)
    assert_serve_is_refused(ruled, "audit verify")


def test_a_gateway_does_not_start_on_a_full_disk(project: Project) -> None:
    """A real one."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    project.home.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", str(project.home)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("mounting is not permitted here")
    try:
        project.ok("routes", "set", "mute", "extended", "--deny")
        with contextlib.suppress(OSError), (project.home / "filler").open("wb", buffering=0) as filler:
            while filler.write(b"x" * 4096):
                pass
        assert_serve_is_refused(project, "space")
    finally:
        subprocess.run(["umount", "-l", str(project.home)], check=True)


def test_a_file_system_without_locks_is_named(ruled: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line that says what to do."""

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", none)
    ruled.run("routes", "set", "mute", "extended", "--deny").assert_refused(1, "no locks", "--home")
    ruled.run("audit", "verify").assert_refused(1, "no locks")
