"""The off-switches by name, what happens to unmeasured models, and the way to remote ones."""

from __future__ import annotations

import pytest

from selfopt.scripted.script import Script

from .servers import scripted_server
from .world import Project

COLD = ("scripted/cold", "atomic", "--timeout", "0.1")


def test_warm_up_enabled_false_means_none_whatever_flags_and_rules_say(project: Project) -> None:
    """Neither a flag, nor a rule, nor a promoted baseline, nor a candidate warms anything up; validation is refused."""
    project.ok("supervise", *COLD, "--enable-warmup", "--runs", "3")
    project.ok("feedback")
    project.ok("enforce")
    assert any(r["warm_up"] for r in project.ok("routes", "show", "--json").json()["rules"])
    project.settings("[warm_up]\nenabled = false\n")
    for arguments in (("run", *COLD, "--enable-warmup"), ("run", *COLD)):
        result = project.run(*arguments, "--json")
        assert result.json()["warm_up"]["status"] == "off"
        assert "Warm-up complete" not in result.err
    project.run("supervise", *COLD, "--validate-warm-up").assert_refused(2, "warm_up.enabled = false")
    result = project.run("loop", "--baseline", "scripted/cold atomic native_api")
    assert "Warm-up complete" not in result.err
    assert "warm-up off -> on" not in result.out


def test_a_promoted_warm_up_does_not_outlive_the_switch(project: Project) -> None:
    """The ledger's baseline has warm-up; switched off, the next cycle measures it without."""
    project.write("warm.yaml", "- warm_up: true\n")
    first = project.ok("loop", "--baseline", "scripted/cold atomic native_api", "--candidates", "warm.yaml")
    assert "Warm-up complete" in first.err
    project.settings("[warm_up]\nenabled = false\n")
    later = project.run("loop", "--cycles", "1", "--max-candidates", "0")
    assert "Warm-up complete" not in later.err
    assert "Traceback" not in later.err


def test_enforcement_enabled_false_means_no_rule_is_written_or_applied(project: Project) -> None:
    """`enforce` refuses, `run` passes the rules over, the loop writes none; --dry-run still shows what would change."""
    for arguments in (("mute", "extended"), ("good", "extended")):
        project.ok("supervise", *arguments, "--runs", "3")
    project.ok("feedback")
    project.ok("routes", "set", "mute", "extended", "--deny", "--fallback", "good")
    before = (project.home / "routing_config.json").read_bytes()
    project.settings("[enforcement]\nenabled = false\n")
    project.run("enforce").assert_refused(2, "enforcement.enabled = true")
    assert "dry run" in project.ok("enforce", "--dry-run").out
    body = project.ok("run", "mute", "extended", "--json").json()
    assert body["served_by"] == "scripted/mute"
    assert body["route"]["reason"] == "enforcement is switched off"
    result = project.ok("loop", "--baseline", "mute extended native_api", "--max-candidates", "0")
    assert "enforcement is switched off" in result.out
    assert (project.home / "routing_config.json").read_bytes() == before


def test_policy_extended_gate_enabled_false_lets_a_weak_model_stay(project: Project) -> None:
    """With the gate, a mute model is disallowed on extended; without it, it is not, and no extended minimum is checked."""
    for arguments in (("mute", "extended"), ("good", "extended")):
        project.ok("supervise", *arguments, "--runs", "3")

    def actions() -> set[str]:
        items = project.ok("feedback", "--dry-run", "--json").json()["recommendations"]
        return {r["action"] for r in items if r["model"] == "scripted/mute"}

    def gates() -> dict[str, bool]:
        body = project.said_no(
            "decide", "mute", "extended", "--candidate", "native_api", "--baseline", "native_api", "--json"
        ).json()
        return {g["name"]: g["binding"] for g in body["decisions"][0]["gates"]}

    assert "disable" in actions()
    assert gates()["extended_minimum"] is True
    project.settings("[policy]\nextended_gate_enabled = false\n")
    assert "disable" not in actions()
    assert not gates().get("extended_minimum", False)


def test_an_off_switch_is_also_a_variable(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """SELFOPT_ENFORCEMENT__ENABLED=false."""
    project.ok("routes", "set", "mute", "extended", "--deny")
    monkeypatch.setenv("SELFOPT_ENFORCEMENT__ENABLED", "false")
    project.ok("run", "mute", "extended", "--limit", "1")


def test_unmeasured_refuse(project: Project) -> None:
    """A model without a rule is refused and audited, --force-model overrides; the default is to allow."""
    project.ok("run", "good", "atomic", "--limit", "1")
    project.settings('[policy]\nunmeasured = "refuse"\n')
    project.run("run", "good", "atomic", "--limit", "1").assert_refused(1, "unmeasured models are refused", "--force-model")
    assert project.ok("audit", "show", "--json").json()[-1]["event"] == "refused"
    assert "forced" in project.ok("run", "good", "atomic", "--limit", "1", "--force-model").out
    assert project.ok("audit", "show", "--json").json()[-1]["event"] == "forced"
    project.ok("routes", "set", "good", "atomic", "--allow")
    project.ok("run", "good", "atomic", "--limit", "1")


REMOTE = """
[models.aliases]
far = "far/m"
[endpoints.far]
kind = "openai_compatible"
base_url = "{url}/v1"
local = false
"""


def test_local_prompts_leave_this_machine_only_with_allow_remote(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A remote fallback of a local model is passed over; with the user's consent it serves, and the crossing is audited."""
    script = Script.model_validate({"models": {"m": {"default": {"text": "Hello."}}}})
    with scripted_server(script) as url:
        project.user_config.write_text(REMOTE.format(url=url), "utf-8")
        monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
        project.ok("routes", "set", "mute", "atomic", "--deny", "--fallback", "far")
        refused = project.run("run", "mute", "atomic")
        refused.assert_refused(1, "allow_remote is off")
        assert project.ok("audit", "show", "--json").json()[-1]["event"] == "refused"
        monkeypatch.setenv("SELFOPT_ALLOW_REMOTE", "true")
        body = project.ok("run", "mute", "atomic", "--json").json()
        assert body["served_by"] == "far/m"
        assert body["route"]["crosses_to_remote"] is True
        record = project.ok("audit", "show", "--json").json()[-1]
        assert record["event"] == "diverted"
        assert record["details"]["crosses_to_remote"] is True
        assert "leaves this machine" in record["reason"]


def test_recommendations_name_no_remote_fallback_without_consent(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A measured remote model is no fallback for a local one unless allow_remote says so."""
    replies = [
        {"match": {"contains": city}, "tool_calls": [{"name": "get_weather", "arguments": {"city": city}}]}
        for city in ("Oslo", "Rome")
    ]
    script = Script.model_validate({"models": {"m": {"replies": replies, "default": {"text": "Hello."}}}})
    with scripted_server(script) as url:
        project.user_config.write_text(REMOTE.format(url=url), "utf-8")
        monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
        text = (project.root / "selfopt.toml").read_text("utf-8").replace('extended = ["good"]', 'extended = ["far"]')
        project.write("selfopt.toml", text)
        project.ok("supervise", "far", "extended", "--runs", "3")
        project.ok("supervise", "mute", "extended", "--runs", "3")

        def fallback() -> str | None:
            items = project.ok("feedback", "--dry-run", "--json").json()["recommendations"]
            found: list[str | None] = [r["fallback"] for r in items if (r["model"], r["action"]) == ("scripted/mute", "disable")]
            return found[0]

        assert fallback() is None
        monkeypatch.setenv("SELFOPT_ALLOW_REMOTE", "true")
        assert fallback() == "far/m"


@pytest.mark.parametrize("command", [("compare", "good"), ("check",), ("tune", "good", "--tools", "tools.json")])
def test_each_command_that_measures_says_who_makes_the_trials(project: Project, command: tuple[str, ...]) -> None:
    """The option counts as the setting does: this process's own endpoints can't be asked by others, and a name that is none is refused."""
    project.write("selfopt.check.yaml", "suite: atomic.yaml\nmodel: good\nmin_accuracy: 0.1\n")
    project.run(*command, "--executor", "dask").assert_refused(2, "executor", "local")
    if command[0] != "tune":
        refused = project.run(*command, "--executor", "ray")
        refused.assert_refused(2, "plays its replies in this process")
        assert project.run(*command, "--executor", "local").code == 0
