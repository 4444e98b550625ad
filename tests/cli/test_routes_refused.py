"""Rules and settings of thresholds that are out of their range, or between which nothing decides, through the commands."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from .test_routes_when import ESCALATE, kept, set_
from .world import Project

Change = Callable[[dict[str, Any]], None]


def at(*path: str, value: Any) -> Change:
    """Put a value at a place of a rule's `serve_when`."""

    def change(rule: dict[str, Any]) -> None:
        inner = rule["serve_when"]
        for key in path[:-1]:
            inner = inner[key]
        inner[path[-1]] = value

    return change


def term(**fields: Any) -> Change:
    """One term of the confidence model."""
    whole = {"signal": "reply", "low": -9.0, "high": 0.0, "weight": 1.0, "unknown": 0.0, **fields}
    return at("model", "calls", "terms", value=[whole])


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (at("least", value=1.5), "least"),
        (at("least", value=-0.1), "least"),
        (at("least", value=float("nan")), ""),
        (at("least", value="high"), "least"),
        (at("bound", "max_bad_share", value=2), "max_bad_share"),
        (at("bound", "confidence", value=float("inf")), ""),
        (at("bound", "upper", value=-1), "upper"),
        (at("bound", "claim", value="all_tools"), "claim"),
        (at("model", "calls", "intercept", value=float("nan")), ""),
        (term(weight=-1.0), "weight"),
        (term(unknown=2.0), "unknown"),
        (term(signal="mood"), "signal"),
        (at("surely", value=True), "surely"),
    ],
)
def test_a_threshold_out_of_range_in_a_rule_file_is_refused_by_its_place(project: Project, change: Change, place: str) -> None:
    """In one line; the rules in force stay. What is no number at all is no JSON."""
    kept(project)
    before = project.ok(*ESCALATE, "--json").json()
    edited = copy.deepcopy(before)
    change(edited["rules"][0])
    file = project.write("edited.json", json.dumps(edited))
    project.run("routes", "import", str(file)).assert_refused(2, "edited.json", place or "is not JSON")
    after = project.ok("routes", "show", "--json").json()
    assert (after["version"], after["rules"]) == (before["version"], before["rules"])


def test_two_rules_between_which_nothing_decides_are_refused_by_their_ids(project: Project) -> None:
    """When the second is set, and in a file; what is in force stays."""
    (first,) = project.ok(*set_("--allow", "--tools", "calendar_*"), "--json").json()["rules"]
    project.run(*set_("--deny", "--fallback", "mute", "--tools", "*_calendar")).assert_refused(
        2, "two rules are as specific as each other", first["rule_id"], "narrow one of them"
    )
    whole = project.ok("routes", "show", "--json").json()
    whole["rules"].append({**first, "rule_id": "rule-2", "when": {"names": "*_calendar"}})
    file = project.write("edited.json", json.dumps(whole))
    project.run("routes", "import", str(file)).assert_refused(2, "two rules are as specific as each other", first["rule_id"])
    assert project.ok("routes", "show", "--json").json()["rules"] == [first]


@pytest.mark.parametrize(
    "rules",
    [
        [{"when": {"names": "calendar_*"}}, {"when": {"names": "*_calendar"}}],
        [{"fallback": "scripted/mute", "serve_when": {"least": 1.5}}],
    ],
)
def test_a_file_that_a_person_wrote_is_refused_when_it_is_served(project: Project, rules: list[dict[str, Any]]) -> None:
    """Where nothing was ever sealed, and so the file itself counts."""
    body = [
        {"rule_id": f"r{n}", "model": "scripted/good", "phase": "atomic", "allow": True, **one} for n, one in enumerate(rules)
    ]
    project.home.mkdir()
    (project.home / "routing_config.json").write_text(json.dumps({"schema_version": 3, "version": 1, "rules": body}), "utf-8")
    for command in (("serve", "--port", "0"), ("run", "good", "atomic")):
        refused = project.run(*command)
        assert refused.code in (1, 2)
        refused.assert_refused(refused.code, "specific" if len(rules) == 2 else "rules[0].serve_when")


@pytest.mark.parametrize("key", ["MAX_BAD_SHARE", "CONFIDENCE"])
@pytest.mark.parametrize("value", ["0", "1", "-0.1", "nan", "inf", "much"])
def test_a_bound_out_of_range_in_the_settings_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, key: str, value: str
) -> None:
    """By its name, before anything is served or looked at."""
    monkeypatch.setenv(f"SELFOPT_SERVE__{key}", value)
    for command in (("serve", "--port", "0"), ("escalation", "good", "atomic")):
        project.run(*command).assert_refused(2, f"serve.{key.lower()}")


@pytest.mark.parametrize(("price", "place"), [("input = -1\noutput = 1", "input"), ("per_hour = nan", "per_hour")])
def test_a_price_out_of_range_is_refused_by_its_model(
    project: Project, monkeypatch: pytest.MonkeyPatch, price: str, place: str
) -> None:
    """Before anything is served or looked at."""
    project.user_config.write_text(f'[prices."scripted/good"]\n{price}\n', "utf-8")
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    for command in (("serve", "--port", "0"), ("escalation", "good", "atomic")):
        project.run(*command).assert_refused(2, f"prices.scripted/good.{place}")


@pytest.mark.parametrize("option", ["--max-bad-share", "--confidence"])
@pytest.mark.parametrize("value", ["0", "1", "nan", "-1", "much"])
def test_a_bound_out_of_range_at_the_command_line_is_refused(project: Project, option: str, value: str) -> None:
    project.run("escalation", "good", "atomic", option, value).assert_refused(2, option)


@pytest.mark.parametrize("value", ["1e-300", "0.009", "1.0"])
def test_a_confidence_that_nothing_can_be_computed_with_is_refused(
    project: Project, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """1 less 1e-300 is 1, so the chance to err would be certain. In the settings and at the command line."""
    project.run("escalation", "good", "atomic", "--confidence", value).assert_refused(2, "--confidence", "0.01")
    project.user_config.write_text(f"[serve]\nconfidence = {value}\n", "utf-8")
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    project.run("escalation", "good", "atomic").assert_refused(2, "serve.confidence")
