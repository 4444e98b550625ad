"""Rules about some requests, and rules that serve when sure, at the command line."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from selfopt.cli import routes
from selfopt.records import Calibration, CurvePoint, Spec, evidence_key, tool_set_name
from selfopt.wiring.app import App
from tests.routing.make import environment, surely

from .test_switches import REMOTE
from .test_terminal import terminal
from .world import Project

SURE = "calibration-0001"


def kept(project: Project, calibration_id: str = SURE, **fields: Any) -> Spec:
    """Puts a calibration of the model `good` into the ledger, and returns its spec."""

    async def append() -> Spec:
        async with App.open() as app:
            app.home.ensure()
            spec, seen = app.spec("scripted/good", "atomic", "native_api"), environment(model="scripted/good")
            when = surely(calibration_id, evidence_key=evidence_key(spec.spec_id, seen), environment=None)
            body: dict[str, Any] = {
                "calibration_id": calibration_id,
                "model": "scripted/good",
                "phase": "atomic",
                "spec_id": spec.spec_id,
                "environment_id": seen.environment_id,
                "fallback": "scripted/mute",
                "fitted_on": "small (suite-1)",
                "calibrated_on": "own (suite-2)",
                "fit_trials": ("trial-1", "trial-2"),
                "calibration_trials": tuple(f"trial-{n}" for n in range(3, 203)),
                "claim": "these_tools",
                "max_bad_share": 0.1,
                "confidence": 0.95,
                "confidence_model": when.model,
                "curve": (CurvePoint(least=0.83, served=120, bad=5, upper=0.0857),),
                "serve_when": when,
                "least_feasible": 0.06,
                "prompts_needed": None,
                "shares": {"tools-" + "a" * 24: (70, 3)},
                "created_at": "2026-01-01T00:00:00.000Z",
            }
            await app.ledger.append([spec, seen, Calibration(**{**body, **fields})])
            return spec

    return asyncio.run(append())


def set_(*more: str) -> tuple[str, ...]:
    return ("routes", "set", "good", "atomic", *more)


ESCALATE = set_("--allow", "--fallback", "mute", "--serve-when", SURE)


def told(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("width", [50, 80])
def test_rules_are_shown_as_a_person_would_say_them(project: Project, monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    """Whom a rule is about, when it serves and what that promises, within the width of the terminal."""
    kept(project)
    project.ok(*ESCALATE, "--tools", "calendar_*")
    project.ok(*set_("--deny", "--fallback", "mute", "--tools", "sql_*", "--max-tools", "3"))
    out, stream = terminal(width)
    monkeypatch.setattr(routes, "console", lambda: out)
    project.ok("routes", "show")
    shown = stream.getvalue()
    assert max(map(len, shown.splitlines())) <= width
    assert (
        "scripted/good atomic, calendar_* tools: serve when sure (confidence >= .83: on these tools at most 10 % of what is "
        "served is wrong, 95 %), else scripted/mute"
    ) in told(shown)
    assert "scripted/good atomic, sql_* tools, at most 3: escalate to scripted/mute" in told(shown)
    assert f"threshold by {SURE}" in told(shown)


def test_a_threshold_comes_whole_from_its_calibration(project: Project) -> None:
    """With spec, variant and environment; as JSON everything is there, and a copy of it imports as it was."""
    spec = kept(project)
    made = project.ok(*ESCALATE, "--json").json()
    (rule,) = made["rules"]
    assert made["schema_version"] == 3
    assert (rule["spec_id"], rule["variant"]["name"]) == (spec.spec_id, "native_api")
    assert (rule["serve_when"]["least"], rule["serve_when"]["environment"]["digest"]) == (0.83, "sha256:1")
    copy = project.write("copy.json", project.ok("routes", "show", "--json").out)
    project.ok("routes", "rollback", "0")
    project.ok("routes", "import", str(copy))
    again = project.ok("routes", "show", "--json").json()["rules"][0]
    assert {**again, "source": "", "since_version": 0} == {**rule, "source": "", "since_version": 0}
    assert SURE in project.ok("audit", "trace", rule["rule_id"], "--json").out


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("least",), 0.1),
        (("bound", "max_bad_share"), 0.001),
        (("bound", "claim"), "unseen_tools"),
        (("tool_sets",), ["tools-" + "b" * 24]),
        (("evidence_key",), "served-other"),
    ],
)
def test_an_edited_threshold_is_not_imported(project: Project, path: tuple[str, ...], value: Any) -> None:
    """It would be shown with a promise that nothing stands behind. How it is served may be edited."""
    kept(project)
    whole = project.ok(*ESCALATE, "--json").json()
    when = whole["rules"][0]["serve_when"]
    inner = when if len(path) == 1 else when[path[0]]
    before = dict(inner)
    inner[path[-1]] = value
    project.run("routes", "import", str(project.write("copy.json", json.dumps(whole)))).assert_refused(
        2, f"serve_when.{path[0]} of the rule of scripted/good atomic", SURE, "retry, sticky and parallel"
    )
    inner.clear()
    inner |= before
    when |= {"retry": True, "sticky": False, "parallel": True}
    project.ok("routes", "import", str(project.write("copy.json", json.dumps(whole))))
    assert project.ok("routes", "show", "--json").json()["rules"][0]["serve_when"]["parallel"] is True


def test_a_threshold_of_another_ledger_is_imported_as_it_is(project: Project) -> None:
    """Where rules are only served, nothing was calibrated."""
    kept(project)
    text = project.ok(*ESCALATE, "--json").out.replace(SURE, "calibration-elsewhere")
    project.ok("routes", "import", str(project.write("copy.json", text)))


def test_one_finer_rule_is_removed_and_rolled_back(project: Project) -> None:
    """The others stay."""
    kept(project)
    project.ok(*set_("--allow"))
    project.ok(*ESCALATE, "--tools", "calendar_*")
    project.ok("routes", "remove", "good", "atomic", "--tools", "calendar_*")
    assert [rule.get("when") for rule in project.ok("routes", "show", "--json").json()["rules"]] == [None]
    project.ok("routes", "rollback", "2")
    assert [rule["when"]["names"] for rule in project.ok("routes", "show", "--json").json()["rules"] if "when" in rule] == [
        "calendar_*"
    ]
    assert "rule added scripted/good atomic, calendar_* tools" in told(project.ok("routes", "history").out)
    project.run("routes", "remove", "good", "atomic", "--tools", "x").assert_refused(
        2, "no rule of scripted/good atomic, x tools"
    )


BAD: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
    (("--allow", "--fallback", "mute", "--serve-when", "calibration-9"), ("calibration-9",)),
    (("--allow", "--serve-when", SURE), ("--serve-when needs a model", "--fallback MODEL")),
    (("--deny", "--fallback", "mute", "--serve-when", SURE), ("--serve-when serves what is sure", "--allow")),
    (("--allow", "--fallback", "good", "--serve-when", SURE), ("is the model itself",)),
    (("--allow", "--fallback", "nowhere/x", "--serve-when", SURE), ("nowhere",)),
    (("--allow", "--tools", ""), ("it names no tools",)),
    (("--allow", "--tools", "x" * 201), ("--tools is wrong", "200 characters")),
    (("--allow", "--tool-set", "calendar"), ("--tool-set is wrong: got 'calendar'", "SUITE:SET", "tools-")),
    (("--allow", "--tool-set", "atomic.yaml:calendar"), ("atomic.yaml has no tool set calendar", "it has t")),
    (("--allow", "--tool-set", "nowhere.yaml:calendar"), ("nowhere.yaml",)),
    (("--allow", "--min-tools", "3", "--max-tools", "2"), ("at least 3 and at most 2",)),
    (("--allow", "--min-tools", "0"), ("--min-tools",)),
    (("--allow", "--max-tools", "many"), ("--max-tools",)),
    (("--fallback", "mute", "--serve-when", SURE), ("say --allow or --deny",)),
]


@pytest.mark.parametrize(("more", "words"), BAD)
def test_a_rule_that_is_no_rule_is_refused_in_one_line(project: Project, more: tuple[str, ...], words: tuple[str, ...]) -> None:
    """Nothing is in force then."""
    kept(project)
    project.run(*set_(*more)).assert_refused(2, *words)
    assert project.ok("routes", "show", "--json").json()["rules"] == []


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"serve_when": None, "prompts_needed": 40}, ("has no threshold", "6 %", "about 40 more prompts")),
        ({"serve_when": None, "least_feasible": None}, ("has no threshold", "none keeps the bad share at 10 %")),
        ({"phase": "extended"}, ("is of scripted/good extended, not of scripted/good atomic",)),
        ({"model": "scripted/cold"}, ("is of scripted/cold atomic, not of scripted/good atomic",)),
        ({"spec_id": "spec-gone"}, ("spec-gone, which is not in the ledger",)),
    ],
)
def test_a_calibration_of_something_else_is_refused(project: Project, fields: dict[str, Any], words: tuple[str, ...]) -> None:
    """One without a threshold, of another model or phase, or of a spec that nobody knows."""
    kept(project, **fields)
    project.run(*ESCALATE).assert_refused(2, *words)


def test_a_remote_model_needs_consent_when_the_rule_is_made_and_when_it_is_used(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names it. With consent it is set; without it later on, nothing is measured or served under the rules."""
    kept(project)
    project.user_config.write_text(REMOTE.format(url="http://127.0.0.1:9"), "utf-8")
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    remote = set_("--allow", "--fallback", "far/m", "--serve-when", SURE)
    project.run(*remote).assert_refused(2, "its fallback far/m is remote", "allow_remote")
    monkeypatch.setenv("SELFOPT_ALLOW_REMOTE", "true")
    project.ok(*remote)
    monkeypatch.setenv("SELFOPT_ALLOW_REMOTE", "false")
    for command in (("run", "good", "atomic"), ("serve", "--port", "0")):
        project.run(*command).assert_refused(2, "scripted/good atomic", "its fallback far/m is remote", "allow_remote")
    assert "else far/m" in project.ok("routes", "show").out
    project.ok(*set_("--allow", "--fallback", "mute", "--serve-when", SURE))


def test_a_measurement_has_one_spec(project: Project) -> None:
    """Prompts with tools go by the rules about these. Where rules differ, it says so, and --force-model measures."""
    name = tool_set_name(asyncio.run(_tools()))
    project.ok(*set_("--allow"))
    project.ok(*set_("--deny", "--fallback", "mute", "--tool-set", name))
    assert project.ok("run", "good", "atomic", "--json").json()["route"]["model"] == "scripted/mute"
    other = "tool_sets:\n  u:\n    - {name: other, parameters: {type: object, properties: {}}}\n"
    more = '  - {id: A9, kind: direct, tool_set: u, messages: [{role: user, content: "hi"}], expected: [[]]}\n'
    text = (project.root / "atomic.yaml").read_text()
    project.write("atomic.yaml", text.replace("tool_sets:\n", other) + more)
    project.run("run", "good", "atomic").assert_refused(2, "the rules of scripted/good atomic differ", name, "--force-model")
    assert project.ok("run", "good", "atomic", "--force-model", "--json").json()["route"]["model"] == "scripted/good"


def test_a_tool_set_is_set_and_shown_by_what_its_suite_calls_it(project: Project) -> None:
    """The rule itself knows the tools by their content."""
    name = tool_set_name(asyncio.run(_tools()))
    set_to = ("--fallback", "mute", "--tool-set", "atomic.yaml:t")
    shown = told(project.ok(*set_("--deny", *set_to)).out)
    assert f"tool set t of small ({name}): escalate to scripted/mute" in shown
    assert shown == told(project.ok("routes", "show").out)
    [rule] = project.ok("routes", "show", "--json").json()["rules"]
    assert rule["when"]["tool_set"] == name
    assert "0 rules" in project.ok("routes", "remove", "good", "atomic", *set_to[2:]).out


def test_a_threshold_names_the_tools_that_it_was_calibrated_on(project: Project) -> None:
    """As the suite of the calibration calls them, also where the suite is gone. What has no name is counted."""
    sets = [f"tools-{digit * 24}" for digit in "abc"]
    when = surely(SURE).model_copy(update={"tool_sets": tuple(sets)})
    shares = dict.fromkeys(sets, (70, 3))
    kept(project, serve_when=when, shares=shares, set_names={sets[0]: "calendar", sets[1]: "mail\x1b[31m"})
    shown = told(project.ok(*ESCALATE).out)
    assert "it was calibrated on the tools of calendar, mail\\x1b[31m, 1 more; requests with others escalate" in shown
    assert "calendar: 70 served, 3 of these wrong" in told(project.ok("decide", "--explain", SURE).out)


async def _tools() -> Any:
    async with App.open() as app:
        return app.suite("atomic.yaml").tool_sets["t"]


@pytest.mark.parametrize("by", ["rule", "calibration"])
def test_a_threshold_is_accounted_for(project: Project, by: str) -> None:
    """Claim, bound, counts of trials, what rests on it and what would change it, in words and as JSON."""
    kept(project)
    (rule,) = project.ok(*ESCALATE, "--json").json()["rules"]
    named = rule["rule_id"] if by == "rule" else SURE
    shown = told(project.ok("decide", "--explain", named).out)
    for words in (
        SURE,
        "answers with a confidence of .83 or more are served: on these tools at most 10 % of what is served is wrong, 95 %",
        "of 200 prompts in 3 tool sets, 120 were served and 5 of these were wrong",
        "small (suite-1): 2 trials",
        "own (suite-2): 200 trials, none of which took part in the fit",
        f"scripted/good atomic ({rule['rule_id']}): serve when sure",
        "tools-aaaaaaaaaaaaaaaaaaaaaaaa: 70 served, 3 of these wrong",
        "everything escalates",
    ):
        assert words in shown, words
    found = project.ok("decide", "--explain", named, "--json").json()
    assert len(found["calibration"]["calibration_trials"]) == 200
    assert [one["rule_id"] for one in found["rules"]] == [rule["rule_id"]]


def test_what_has_no_threshold_is_told_so(project: Project) -> None:
    """A rule without one, a calibration that found none, and ids of nothing."""
    kept(project, serve_when=None, prompts_needed=40)
    (rule,) = project.ok(*set_("--allow"), "--json").json()["rules"]
    project.run("decide", "--explain", rule["rule_id"]).assert_refused(2, "has no threshold", "audit trace")
    shown = told(project.ok("decide", "--explain", SURE).out)
    for words in ("not at this bound", "feasible on these prompts: 6 %", "about 40 more prompts", "none in force"):
        assert words in shown, words
    project.run("decide", "--explain", "calibration-9").assert_refused(2, "calibration-9")
    project.run("decide", "--explain", "rule-9").assert_refused(2, "no rule in force has the id rule-9", "routes show")
