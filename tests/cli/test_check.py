"""`selfopt check`: the way from a file to an exit code, against a scripted endpoint."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from selfopt.home import Home
from selfopt.ledger import open_ledger
from selfopt.policy import CheckRace
from selfopt.records import Check, CheckBlock, Trial
from selfopt.routing import Enforcer
from selfopt.variants import get_variant
from tests.routing.make import rule

from .world import TOOLS, Project

N_CALLS, N_SILENT = 24, 4
FLAKY = dict.fromkeys(range(8), 0.5)


def suite_text(name: str = "big", city: str = "city") -> str:
    """Prompts that need a call, and a few that need none."""
    prompts = [
        f"  - {{id: P{i:02d}, kind: direct, tool_set: t, messages: [{{role: user, content: 'weather in {city}{i:02d}?'}}],\n"
        f"     expected: [[{{name: get_weather, arguments: {{city: [{city}{i:02d}]}}}}]]}}\n"
        for i in range(N_CALLS)
    ]
    prompts += [
        f"  - {{id: R{i}, kind: greeting, tool_set: t, messages: [{{role: user, content: 'hello {i}'}}], expected: [[]]}}\n"
        for i in range(N_SILENT)
    ]
    return f"name: {name}\nphase: atomic\nscope: whole\n{TOOLS}prompts:\n{''.join(prompts)}"


def model(broken: Iterable[int] = (), flaky: Mapping[int, float] | None = None) -> str:
    """A model that is right, but for prompts that it never, or only sometimes, passes."""
    lines = ["    replies:\n"]
    for i in sorted(set(range(N_CALLS)) - set(broken)):
        chance = f", chance: {flaky[i]}" if flaky and i in flaky else ""
        lines.append(f"      - match: {{contains: city{i:02d}{chance}}}\n")
        lines.append(f"        tool_calls: [{{name: get_weather, arguments: {{city: city{i:02d}}}}}]\n")
    return "".join(lines) + '    default: {text: "Hello."}\n'


@pytest.fixture
def build(project: Project) -> Project:
    """A project with exact and flaky models."""
    project.write("big.yaml", suite_text())
    models = {
        "good": model(),
        "lost": model(broken=[20]),
        "old": model(flaky=FLAKY),
        "same": model(flaky=FLAKY),
        "worse": model(broken=range(12, 20), flaky=FLAKY),
        "slow": '    default: {fault: {kind: status, status: 500, body: "no"}}\n',
    }
    project.write("script.yaml", "models:\n" + "".join(f"  {name}:\n{text}" for name, text in models.items()))
    return project


def ask(project: Project, text: str, name: str = "selfopt.check.yaml") -> None:
    """Write the check file."""
    project.write(name, f"suite: big.yaml\n{text}")


def test_exact_sides_take_one_pass_and_a_sample(build: Project) -> None:
    """An equal build passes; one lost prompt that must pass fails it, after it was asked again."""
    ask(build, "model: good\nbaseline: {model: scripted/good, variant: native_parsed}\nmin_restraint: 0.9\nmust_pass: true\n")
    check = build.ok("check", "--json").json()
    assert (check["verdict"], check["blocks"], check["reasons"]) == ("pass", 0, [])
    assert "in 0 blocks" not in build.ok("show", check["check_id"]).out
    assert {one["method"] for one in check["figures"]} == {"exact"}
    ask(build, "model: scripted/lost\nbaseline: {model: good}\nmust_pass: [P20, P21]\n")
    said = build.said_no("check").out
    assert "1 prompt that must pass" in said
    assert "-3.6 points" in said
    lost = build.said_no("check", "--json").json()
    assert lost["reasons"][0] == {**lost["reasons"][0], "criterion": "must_pass", "prompt_ids": ["P20"], "cause": None}
    assert [row["prompt_id"] for row in lost["rows"] if row["verdict"] == "fail"] == ["P20"]


def test_flaky_builds_are_asked_again_beside_the_earlier_one(build: Project) -> None:
    """The worse one fails; its page names the prompts, and its trials can be shown."""
    ask(build, "model: scripted/worse\nbaseline: {model: scripted/old}\nmax_regression: 0.15\n")
    check = build.said_no("check", "--json").json()
    [figure] = check["figures"]
    assert (figure["method"], figure["verdict"]) == ("paired", "fail")
    assert figure["high"] < 0 < figure["log_e_needed"] <= figure["log_e"]
    assert set(check["reasons"][0]["prompt_ids"][:8]) == {f"P{i}" for i in range(12, 20)}
    assert check["compared_with"]["asked_again"] is True
    row = check["rows"][12]
    assert len(row["now"]) == len(row["trial_ids"])
    assert len(row["before"]) == len(row["before_trial_ids"])
    assert "weather in city12" in build.ok("show", row["trial_ids"][0]).out
    shown = build.ok("show", check["check_id"]).out
    assert "scripted/worse native_api fails" in shown
    assert "asked again in the same blocks" in shown
    build.ok("audit", "verify")


def test_an_unchanged_flaky_build_passes(build: Project) -> None:
    """Against the earlier one that is asked again, with a prompt that is flaky among those that must pass at times."""
    ask(
        build,
        "model: scripted/same\nbaseline: {model: scripted/old}\nmax_regression: 0.25\nmin_accuracy: 0.5\nmust_pass: [P10]\n",
    )
    check = build.ok("check", "--json").json()
    assert check["verdict"] == "pass"
    assert {one["criterion"]: one["verdict"] for one in check["figures"]} == {
        "regression": "pass",
        "accuracy": "pass",
        "must_pass": "pass",
    }


def test_a_recorded_state_is_compared_with_and_asked_again_where_it_can_be(build: Project) -> None:
    """The same configuration: by its recorded runs. Another one: asked again, unless the file says no."""
    ask(build, "model: scripted/old\nmin_accuracy: 0\n")
    assert "36 runs" in build.ok("check", "--record", "state.json").out
    body = json.loads((build.root / "state.json").read_text("utf-8"))
    assert {len(row) for row in body["rows"].values()} == {36}
    assert list(body["rows"]) == sorted(body["rows"])
    ask(build, "model: scripted/old\nbaseline: state.json\nmax_regression: 0.25\n")
    again = build.ok("check", "--json").json()
    assert (again["figures"][0]["method"], again["compared_with"]["asked_again"]) == ("recorded", False)
    ask(build, "model: scripted/worse\nbaseline: state.json\nmax_regression: 0.15\n")
    beside = build.said_no("check", "--json").json()
    assert (beside["figures"][0]["method"], beside["compared_with"]["asked_again"]) == ("paired", True)
    assert beside["compared_with"]["recorded_accuracy"] is None
    script = (build.root / "script.yaml").read_text("utf-8")
    drifted = script.replace("  old:\n" + model(flaky=FLAKY), "  old:\n" + model(broken=range(12, 20), flaky=FLAKY))
    build.write("script.yaml", drifted)
    assert "passes less often now than when it was recorded" in " ".join(build.run("check", "--fresh").out.split())
    build.write("script.yaml", script)
    ask(build, "model: scripted/worse\nbaseline: {state: state.json, ask_again: false}\nmax_regression: 0.15\n")
    recorded = build.said_no("check", "--json").json()
    assert (recorded["figures"][0]["method"], recorded["compared_with"]["asked_again"]) == ("recorded", False)
    assert "two-sample test" in build.said_no("check").out


def test_an_exact_configuration_is_recorded_as_one_run(build: Project) -> None:
    """After it was repeated; an equal build then passes exactly, and one that changed since fails."""
    ask(build, "model: good\nmin_accuracy: 0\n")
    assert "28 prompts, exact" in build.ok("check", "--record", "state.json").out
    body = json.loads((build.root / "state.json").read_text("utf-8"))
    assert {len(row) for row in body["rows"].values()} == {1}
    ask(build, "model: good\nbaseline: state.json\n")
    check = build.ok("check", "--json").json()
    assert check["figures"][0] == {**check["figures"][0], "method": "exact", "change": 0.0}
    script = (build.root / "script.yaml").read_text("utf-8")
    build.write("script.yaml", script.replace(model(), model(broken=range(12, 20)), 1))
    lost = build.said_no("check", "--fresh", "--json").json()
    assert lost["figures"][0] == {**lost["figures"][0], "method": "exact", "verdict": "fail"}
    build.write("script.yaml", script.replace(model(), model(flaky=dict.fromkeys(range(20), 0.8)), 1))
    varies = build.said_no("check", "--fresh", "--json").json()
    assert (varies["verdict"], varies["reasons"][0]["cause"]) == ("undecided", "recorded_once")


def test_repeats_that_agree_by_luck_are_no_proof(project: Project) -> None:
    """A few prompts that fail at times are found out, on both sides, so that an equal build does not fail."""
    project.write("big.yaml", suite_text())
    rare = model(flaky=dict.fromkeys(range(3), 0.9))
    project.write("script.yaml", f"models:\n  one:\n{rare}  two:\n{rare}")
    ask(project, "model: scripted/one\nbaseline: {model: scripted/two}\n")
    check = project.ok("check", "--json").json()
    assert check["figures"][0]["method"] == "paired"
    assert len(check["rows"][0]["now"]) == len(check["rows"][0]["before"])
    [figure] = check["figures"]
    assert figure["value"] == pytest.approx(figure["before"] + figure["change"], abs=1e-9)


def test_a_cap_leaves_it_undecided_and_the_file_says_what_that_counts_as(build: Project) -> None:
    """100, or 0; the page names the cap, and never is more asked than it allows."""
    for counts, code in (("fail", 100), ("pass", 0)):
        ask(build, f"model: scripted/same\nbaseline: {{model: scripted/old}}\nmax_trials: 130\non_undecided: {counts}\n")
        done = build.run("check")
        assert done.code == code
        assert f"undecided, which counts as {counts}" in " ".join(done.out.split())
        assert "max_trials = 130" in done.out
    check = build.run("check", "--json").json()
    assert (check["verdict"], check["reasons"][0]["cause"]) == ("undecided", "cap")
    assert check["trials"] <= 130


def test_an_interrupted_check_goes_on_where_it_was(build: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after its first blocks, the same command asks only what is left, and ends as it would have."""
    ask(build, "model: scripted/same\nbaseline: {model: scripted/old}\nmax_regression: 0.1\n")
    absorb, calls = CheckRace.absorb, list[int]()

    def die(self: CheckRace, block: CheckBlock) -> None:
        calls.append(block.number)
        if block.number == 1:
            raise KeyboardInterrupt
        absorb(self, block)

    with monkeypatch.context() as patch:
        patch.setattr(CheckRace, "absorb", die)
        assert build.run("check").code == 130
    assert calls == [0, 1]
    first = build.run("check", "--json").json()
    assert first["blocks"] >= 2
    ledger = open_ledger(build.home / "ledger.sqlite3")
    assert [one.check_id for one in ledger.read(Check)] == [first["check_id"]]
    assert [block.number for block in ledger.read(CheckBlock)] == list(range(first["blocks"]))
    assert sum(1 for _ in ledger.read(Trial)) == first["trials"]  # nothing was asked twice
    ledger.close()
    assert build.run("check", "--json").json()["check_id"] != first["check_id"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: nope\nmin_accuracy: 0.5\n", ("selfopt.check.yaml: model:", "nope")),
        ("model: good\nvariant: nope\nmin_accuracy: 0.5\n", ("nope",)),
        ("model: good\nrule: true\nmin_accuracy: 0.5\n", ("rule: true", "routes show")),
        ("model: good\nmust_pass: [X9]\n", ("must_pass", "X9")),
        ("model: good\nbaseline: {model: good}\n", ("very configuration",)),
        ("model: good\nbaseline: missing.json\n", ("missing.json", "--record")),
        ("model: good\nsplit: canary\nmin_accuracy: 1\n", ("canary",)),
    ],
)
def test_what_a_file_names_has_to_be_there(build: Project, text: str, words: tuple[str, ...]) -> None:
    """One clear line, exit code 2, and nothing is asked."""
    ask(build, text)
    build.run("check").assert_refused(2, *words)
    assert not (build.home / "ledger.sqlite3").exists()


def test_states_of_something_else_are_refused(build: Project) -> None:
    """Another suite, other content, too few runs, other prompts."""
    ask(build, "model: good\nmin_accuracy: 0\n")
    build.ok("check", "--record", "state.json")
    body: dict[str, Any] = json.loads((build.root / "state.json").read_text("utf-8"))
    ask(build, "model: good\nbaseline: state.json\n")
    changes: list[tuple[dict[str, Any], str]] = [
        ({"suite": "other"}, "another suite"),
        ({"suite_hash": "suite-0"}, "content of the suite"),
        ({"scorer_hash": "scorer-0"}, "scorer"),
        ({"split": "heldout"}, "split"),
        ({"exact": False}, "1 run of"),
        ({"rows": {"P00": "P"}}, "not those of the suite"),
        ({"schema_version": 9}, "schema version 9"),
    ]
    for change, words in changes:
        (build.root / "state.json").write_text(json.dumps({**body, **change}), "utf-8")
        build.run("check").assert_refused(2, "state.json", words)


def test_how_often_a_state_is_recorded_can_be_said(build: Project) -> None:
    """For --record alone, and no less often than a check needs."""
    ask(build, "model: scripted/old\nmin_accuracy: 0\n")
    assert "7 runs" in build.ok("check", "--record", "state.json", "--runs", "7").out
    build.run("check", "--runs", "7").assert_refused(2, "--record")
    build.run("check", "--record", "state.json", "--runs", "6").assert_refused(2, "7")


def test_recording_refuses_what_says_nothing(build: Project) -> None:
    """A server that fails, a cap before all runs, a folder: nothing is written."""
    ask(build, "model: scripted/slow\nmin_accuracy: 0\n")
    assert build.run("check", "--record", "state.json").code == 1
    ask(build, "model: scripted/old\nmin_accuracy: 0\nmax_trials: 60\n")
    build.run("check", "--record", "state.json").assert_refused(1, "of 5 are complete", "max_trials")
    build.run("check", "--record", ".").assert_refused(2, "a folder")
    build.run("check", "--record", "no/where.json").assert_refused(2, "folder does not exist")
    assert not (build.root / "state.json").exists()


def test_a_server_that_only_fails_ends_the_command(build: Project) -> None:
    """Exit code 1 and one line: that is no verdict about the build."""
    ask(build, "model: scripted/slow\nmin_accuracy: 0.5\n")
    build.run("check").assert_refused(1)


def test_a_rule_in_force_is_checked_with_its_variant(build: Project) -> None:
    """`rule: true` takes the variant that the rule promotes."""
    made = rule("scripted/good", phase="atomic", variant=get_variant("few_shot"))
    Enforcer(Home(build.home).ensure()).apply([made], event="loop")
    ask(build, "model: good\nrule: true\nmin_accuracy: 0\n")
    check = build.ok("check", "--json").json()
    assert check["variant"] == "few_shot"
    assert check["rule_id"] == made.rule_id


def test_paths_are_relative_to_the_file(build: Project, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """So a pipeline may start anywhere."""
    (build.root / "ci").mkdir()
    (build.root / "ci" / "big.yaml").write_text(suite_text(), "utf-8")
    (build.root / "ci" / "c.yaml").write_text("suite: ./big.yaml\nmodel: good\nmin_accuracy: 0.9\n", "utf-8")
    build.trust()
    build.ok("check", "ci/c.yaml")
