"""`compare`: one table for several models and variants."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.errors import UsageError
from selfopt.records import Run
from selfopt.scripted.script import Script
from selfopt.scripted.server import serve_scripted
from selfopt.verbs.comparing import installed_ollama_models
from selfopt.wiring.app import App

from .world import ATOMIC, Project


def test_the_best_comes_first_with_intervals_and_the_policies_that_look_at_nothing(project: Project) -> None:
    """Three models on three prompts: too few to tell them apart, and the table says so."""
    result = project.ok("compare", "mute", "good", "scripted/writer")
    lines = result.out.splitlines()
    assert max(map(len, lines)) <= 80
    order = [next(i for i, line in enumerate(lines) if f"scripted/{name}" in line) for name in ("good", "mute", "writer")]
    assert order == sorted(order)
    for words in ("the best", "not told", "never calls", "always calls the", "95 %", "3 prompts of small (all)"):
        assert words in result.out


@pytest.mark.parametrize("columns", [40, 50, 60, 75, 80])
def test_a_narrow_terminal_keeps_the_models_and_their_score(
    project: Project, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    """Fewer figures, never fewer columns of the model; what is left out is said."""
    monkeypatch.setenv("COLUMNS", str(columns))
    out = project.ok("compare", "mute", "good").out
    table = out.partition("prompts of")[0].splitlines()
    assert max(map(len, table)) <= columns
    assert "scripted/good" in out
    assert "scripted/mute" in out
    assert "0.60" in out
    assert "…" not in out
    assert ("--markdown" in out) == (columns < 76)


def test_json_has_every_figure_and_its_runs(project: Project) -> None:
    """Figures with intervals, differences with adjusted p-values, run ids to trace them by."""
    body = project.ok("compare", "good", "mute", "--json").json()
    good, mute = body["rows"]
    assert (good["model"], good["agent_score"]["value"], good["argument_accuracy"]["value"]) == ("scripted/good", 1.0, 1.0)
    assert (mute["call_accuracy"]["value"], mute["restraint"]["value"]) == (0.0, 1.0)
    assert mute["agent_score"]["value"] == pytest.approx(0.6)
    assert mute["behind"]["value"] == pytest.approx(-0.4)
    assert not mute["distinguishable"]
    assert good["run_ids"]
    assert body["unit"] == "prompt"
    assert [p["name"] for p in body["policies"]] == ["never calls", "always calls the first tool"]


def test_variants_that_differ_in_the_parser_share_their_replies(project: Project) -> None:
    """The model writes JSON that native_api does not read; reading it with more parsers asks nothing again."""
    body = project.ok("compare", "scripted/writer", "--variant", "native_api", "--variant", "native_parsed", "--json").json()
    scores = {row["variant"]: row["call_accuracy"]["value"] for row in body["rows"]}
    assert scores == {"native_parsed": 1.0, "native_api": 0.0}
    unread = {row["variant"]: row["unread"] for row in body["rows"]}
    assert unread == {"native_parsed": 0, "native_api": 2}
    app = App.open()
    assert len({run.run_id for run in app.ledger.read(Run)}) == 1
    app.release()
    shown = project.ok("compare", "scripted/writer", "--variant", "native_api", "--markdown").out
    assert "2 of 3 unread" in shown


def test_the_same_comparison_goes_on_after_a_cap_and_is_not_repeated(project: Project) -> None:
    """Stopped by a cap: exit 1, the rest named; the same command finishes it, and asks nothing the third time."""
    stopped = project.run("compare", "good", "mute", "--max-trials", "2")
    assert stopped.code == 1
    assert "not measured yet: scripted/good native_api, scripted/mute native_api" in " ".join(stopped.out.split())
    first = project.ok("compare", "good", "mute", "--json").json()
    again = project.ok("compare", "good", "mute", "--json").json()
    assert [r["run_ids"] for r in first["rows"]] == [r["run_ids"] for r in again["rows"]]
    fresh = project.ok("compare", "good", "mute", "--fresh", "--json").json()
    assert {i for r in fresh["rows"] for i in r["run_ids"]}.isdisjoint(i for r in first["rows"] for i in r["run_ids"])


def test_suites_of_one_phase_are_read_together_clustered_by_their_tool_sets(project: Project) -> None:
    """Calls from one suite, restraint from another; suites of two phases are refused."""
    Path("more.yaml").write_text(ATOMIC.replace("name: small", "name: more"), "utf-8")
    body = project.ok("compare", "good", "mute", "--suite", "atomic.yaml", "--suite", "more.yaml", "--json").json()
    assert (body["suites"], body["prompts"], body["tool_sets"], body["unit"]) == (["small", "more"], 6, 2, "tool set")
    refused = project.run("compare", "good", "--suite", "atomic.yaml", "--suite", "extended.yaml")
    assert refused.code == 2
    assert "suites of two phases: small (atomic), small_extended (extended)" in refused.err


def test_a_model_without_a_named_variant_is_asked_as_its_rule_serves_it(project: Project) -> None:
    """The promoted variant of the rule in force; without a rule native_api."""
    project.ok("loop", "--baseline", "scripted/writer atomic native_api")
    body = project.ok("compare", "scripted/writer", "good", "--json").json()
    assert {row["model"]: row["variant"] for row in body["rows"]}["scripted/good"] == "native_api"
    assert {row["model"]: row["variant"] for row in body["rows"]}["scripted/writer"] != "native_api"


def test_markdown_escapes_what_models_are_called_and_fits_a_report(project: Project) -> None:
    """A table and its notes."""
    text = project.ok("compare", "good", "mute", "--markdown").out
    assert text.startswith("| model | variant | agent score |")
    assert "| `scripted/good` | `native_api` | 1.00" in text


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "name at least one MODEL, or --ollama"),
        (["good", "--markdown", "--json"], "choose one"),
        (["nobody/x"], "unknown"),
        (["good", "--variant", "native_apy"], "unknown variant 'native_apy'; did you mean native_api"),
        (["good", "--suite", "nothing"], "unknown suite 'nothing'"),
    ],
)
def test_bad_input_is_one_line_and_measures_nothing(project: Project, arguments: list[str], says: str) -> None:
    """Exit code 2, nothing in the home."""
    project.run("compare", *arguments).assert_refused(2, says)
    assert project.files() == {}


async def test_installed_ollama_models_are_found_and_their_absence_is_named(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By /api/tags of every Ollama endpoint of the settings."""
    server = await serve_scripted(Script.model_validate({"models": {"tiny": {"default": {"text": "4"}}}}))
    monkeypatch.setenv("OLLAMA_HOST", server.base_url)
    async with App.open() as app:
        assert await installed_ollama_models(app) == ("ollama/tiny:latest",)
    await server.close()
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    async with App.open() as app:
        with pytest.raises(UsageError, match="found no installed model"):
            await installed_ollama_models(app)


def test_diff_shows_the_prompts_in_which_the_rows_differ_with_both_replies(project: Project) -> None:
    """What was asked and wanted, what each replied, and what was read in it; prompts that both pass are left out."""
    out = project.ok("compare", "good", "mute", "--diff").out
    told = out.partition("The rows differ in 2 of 3 prompts.")[2]
    assert max(map(len, told.splitlines())) <= 80
    for words in (
        "A1 (small, direct)",
        "user: weather in Oslo?",
        'expected: get_weather(city="Oslo" or "Oslo, Norway")',
        "scripted/good native_api: right",
        'read: get_weather(city="Oslo")',
        "scripted/mute native_api: missed call",
        "replied: I would rather not.",
        "read: no call",
    ):
        assert words in told
    assert "A3" not in told
    assert "The rows differ" not in project.ok("compare", "good", "mute").out


def test_diff_fits_fifty_columns(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is cut off, and no line is longer."""
    monkeypatch.setenv("COLUMNS", "50")
    out = project.ok("compare", "good", "mute", "--diff").out
    assert max(map(len, out.splitlines())) <= 50
    assert "…" not in out
    assert "I would rather not." in " ".join(out.split())


def test_diff_as_json_has_replies_reading_and_trials(project: Project) -> None:
    """The trial ids lead to `show`, and the rows come in the order of the table."""
    body = project.ok("compare", "mute", "good", "--diff", "--json").json()
    assert [row["model"] for row in body["rows"]] == ["scripted/good", "scripted/mute"]
    found = body["differences"]
    assert (found["compared"], found["differing"]) == (3, 2)
    first = found["prompts"][0]
    assert first["prompt"]["prompt_id"] == "A1"
    good, mute = first["answers"]
    assert (good["outcome"], good["calls"]) == ("pass", ['get_weather(city="Oslo")'])
    assert (mute["outcome"], mute["replies"], mute["calls"]) == ("missed", ["I would rather not."], [])
    assert project.ok("show", mute["trial_id"], "--json").json()["trial"]["prompt_id"] == "A1"


@pytest.mark.parametrize("flags", [(), ("--markdown",)])
def test_what_a_hostile_model_wrote_stays_text_in_a_diff(project: Project, flags: tuple[str, ...]) -> None:
    """No escape code reaches a terminal, and no markup a page."""
    out = project.ok("compare", "good", "scripted/evil", "scripted/evil_tool", "--diff", *flags).out
    told = out.partition("The rows differ")[2]
    assert not {"\x1b", "\x07", "\u202e"} & set(told)
    assert "owned" in told
    if flags:
        assert "<script>" not in told
        assert "](" not in told


def test_rows_that_agree_and_a_single_row_have_no_difference(project: Project) -> None:
    """Both are said in a sentence."""
    assert "There are no two rows to compare" in project.ok("compare", "good", "--diff").out
    same = project.ok("compare", "good", "--variant", "native_api", "--variant", "native_parsed", "--diff").out
    assert "The rows pass the same of all 3 prompts." in same


def test_diff_reads_several_suites(project: Project) -> None:
    """Each prompt names its suite."""
    Path("more.yaml").write_text(ATOMIC.replace("name: small", "name: more"), "utf-8")
    found = project.ok("compare", "good", "mute", "--suite", "atomic.yaml", "--suite", "more.yaml", "--diff", "--json").json()
    assert [p["prompt"]["suite"] for p in found["differences"]["prompts"]] == ["small", "small", "more", "more"]


def test_github_reads_no_line_of_a_diff_as_a_command(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """What models wrote stands between two lines that only this run knows."""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    first, *middle, last = project.ok("compare", "good", "mute", "--diff").out.partition("::stop-commands::")[2].splitlines()
    assert last == f"::{first}::"
    assert any("I would rather not." in line for line in middle)
    assert "::" not in project.ok("compare", "good", "mute").out
