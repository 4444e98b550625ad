"""`selfopt export` to the forms of other tools, as far as they need no package of others."""

from __future__ import annotations

import json

import pytest

from tests.suites import bfcl_kit

from .world import Project


def test_answers_to_the_leaderboard_have_its_form(project: Project) -> None:
    """Calls by name with their arguments as text, a text where there are none; the score's first line sums up."""
    folder = project.root / "data"
    for name, entries in bfcl_kit.FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")
    project.ok("suites", "import", "bfcl", "--from", str(folder), "--category", "irrelevance")
    script = (project.root / "script.yaml").read_text("utf-8")
    project.write(
        "script.yaml",
        script.replace("  mute:\n", "  waver:\n    default: {tool_calls: [{name: wave, arguments: {times: 3}}]}\n  mute:\n", 1),
    )
    for model in ("mute", "scripted/waver"):
        project.ok("run", model, "atomic", "--suite", "bfcl_irrelevance", "--split", "all")
    project.ok("export", "bfcl", "--out", "board")
    found = {}
    for model in ("mute", "waver"):
        for kind in ("result", "score"):
            path = project.root / "board" / kind / f"scripted_{model}" / "non_live" / f"BFCL_v4_irrelevance_{kind}.json"
            found[model, kind] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [row["id"] for row in found["mute", "result"]] == ["irrelevance_0", "irrelevance_1"]
    assert found["mute", "result"][0]["result"] == "I would rather not."
    assert found["waver", "result"][0]["result"] == [{"wave": '{"times": 3}'}]
    assert found["mute", "score"] == [{"accuracy": 1.0, "correct_count": 2, "total_count": 2}]
    assert found["waver", "score"][0]["correct_count"] < 2
    assert found["waver", "score"][1]["valid"] is False
    project.run("export", "bfcl", "--out", "board", "--as", "gpt-4o-2024-11-20-FC").assert_refused(2, "--model", "scripted/waver")
    for name in ("../up", "a/b/c", ""):
        project.run("export", "bfcl", "--model", "mute", "--out", "board", "--as", name).assert_refused(
            2, "name of the leaderboard"
        )
    project.ok("export", "bfcl", "--model", "mute", "--out", "board", "--as", "org/named-FC")
    assert (project.root / "board" / "result" / "org_named-FC" / "non_live" / "BFCL_v4_irrelevance_result.json").exists()


def test_names_have_the_leaderboards_underscores(project: Project) -> None:
    """Its checker expects them for dots, of models with function calling."""
    folder = project.root / "data"
    for name, entries in bfcl_kit.FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(entry) + "\n" for entry in entries), "utf-8")
    project.ok("suites", "import", "bfcl", "--from", str(folder), "--category", "simple_python")
    script = (project.root / "script.yaml").read_text("utf-8")
    ringer = "  ringer:\n    default: {tool_calls: [{name: tower_ring, arguments: {bell: large}}]}\n  mute:\n"
    project.write("script.yaml", script.replace("  mute:\n", ringer, 1))
    project.ok("run", "scripted/ringer", "atomic", "--suite", "bfcl_simple_python", "--split", "all")
    project.ok("export", "bfcl", "--out", "board")
    path = project.root / "board" / "result" / "scripted_ringer" / "non_live" / "BFCL_v4_simple_python_result.json"
    first = json.loads(path.read_text("utf-8").splitlines()[0])
    assert first["result"] == [{"tower_ring": '{"bell": "large"}'}]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("bfcl", "--out", "board"), "suites pull bfcl"),
        (("bfcl", "--out", "selfopt.toml"), "folder"),
        (("inspect", "--out", "selfopt.toml"), "folder"),
        (("inspect", "nope", "--out", "logs"), "nope"),
        (("mlflow", "--uri", "https://example.com/x"), "--allow-remote"),
        (("wandb", "--out", "selfopt.toml"), "folder"),
    ],
)
def test_what_can_not_be_is_refused_in_one_line(project: Project, words: tuple[str, ...], said: str) -> None:
    """After a measurement, so that there is something."""
    project.ok("run", "mute", "atomic", "--limit", "1")
    project.run("export", *words).assert_refused(2, said)


def test_without_measurements_there_is_nothing_to_export(project: Project) -> None:
    """In one line, and no folder is made."""
    for words in (("bfcl", "--out", "x"), ("inspect", "--out", "x")):
        result = project.run("export", *words)
        assert result.code in (1, 2)
        assert not (project.root / "x").exists()


def test_a_suite_is_written_and_read_again(project: Project) -> None:
    """As JSON lines; what is there is not replaced unasked."""
    project.ok("suites", "export", "atomic.yaml", "x.jsonl")
    project.run("suites", "export", "atomic.yaml", "x.jsonl").assert_refused(2, "exists")
    project.ok("suites", "import", "jsonl", "x.jsonl", "--name", "again")
    again, first = (project.ok("suites", "show", name, "--json").json() for name in ("again", "atomic.yaml"))
    assert again["prompts"] == first["prompts"]
    project.ok("suites", "export", "atomic.yaml", "set")
    project.run("suites", "export", "atomic.yaml", "set").assert_refused(2, "--replace")
