"""`pytest --selfopt-suite FILE`: each prompt is a test of pytest."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from selfopt.home import ProcessLock
from selfopt.ledger import open_ledger
from selfopt.records import Run, Trial
from selfopt.scripted.script import Script
from tests.cli.conftest import project
from tests.cli.servers import scripted_server
from tests.cli.world import ATOMIC, Project

from .kit import run_pytest

__all__ = ["project"]

SUITE = ("--selfopt-suite", "atomic.yaml")


def trials_of(project: Project) -> list[Trial]:
    """Every trial in the home."""
    ledger = open_ledger(project.home / "ledger.sqlite3")
    found = list(ledger.read(Trial))
    ledger.close()
    return found


def own_endpoint(project: Project, base_url: str) -> None:
    """Name a server `lab` in the user's own settings."""
    folder = project.root / "xdg" / "selfopt"
    folder.mkdir(parents=True, exist_ok=True)
    text = f'[endpoints.lab]\nkind = "openai_compatible"\nbase_url = "{base_url}"\nlocal = true\n'
    (folder / "selfopt.toml").write_text(text, "utf-8")


def test_each_prompt_is_a_test(project: Project) -> None:
    """A model that is always right: three tests, three trials in the ledger, exit code 0."""
    said = run_pytest(project, *SUITE, "--selfopt-model", "good", "-v", "-W", "error")
    assert said.code == 0, said.out + said.err
    assert "3 passed" in said.summary
    for name in ("A1", "A2", "A3"):
        assert f"atomic.yaml::{name} PASSED" in said.out
    assert sorted(t.prompt_id for t in trials_of(project)) == ["A1", "A2", "A3"]
    assert "small, prompts: 3, scripted/good atomic native_api" in said.out


def test_a_failure_shows_what_was_wanted_replied_and_read(project: Project) -> None:
    """Escaped: what a hostile model wrote moves no cursor and breaks no report. The JUnit file names trials."""
    said = run_pytest(project, *SUITE, "--selfopt-model", "scripted/evil", "--junitxml", "junit.xml", "-k", "A1 or A3")
    assert said.code == 1
    assert "1 failed, 1 passed, 1 deselected" in said.summary
    for words in (
        "scripted/evil native_api: missed call",
        "user: weather in Oslo?",
        'expected: get_weather(city="Oslo" or "Oslo, Norway")',
        r"replied: \x1b[2J\x1b]0;owned\x07<script>alert(1)</script>\u202e[bold]x[/bold] | cell",
        "read: no call",
    ):
        assert words in said.out
    assert "\x1b" not in said.out
    assert "Traceback" not in said.out
    cases = ET.parse(project.root / "junit.xml").getroot().findall(".//testcase")
    assert [case.get("name") for case in cases] == ["A1", "A3"]
    told = {p.get("name"): p.get("value") for p in cases[0].findall("properties/property")}
    assert told["selfopt_outcome"] == "missed"
    assert told["selfopt_trial"] in {t.trial_id for t in trials_of(project)}


def test_workers_of_xdist_ask_each_prompt_once_in_one_home(project: Project) -> None:
    """Two processes, a server on loopback, one ledger that holds together, and a lock that is free afterwards."""
    prompts = "".join(
        f"  - {{id: P{n}, kind: direct, tool_set: t, messages: [{{role: user, content: 'weather in Oslo, {n}?'}}],\n"
        "     expected: [[{name: get_weather, arguments: {city: [Oslo]}}]]}\n"
        for n in range(30)
    )
    project.write("many.yaml", ATOMIC.partition("  - {id: A1")[0] + prompts)
    script = Script.model_validate(
        {
            "models": {
                "lab": {
                    "replies": [
                        {"match": {"contains": ", 7?"}, "text": "No."},
                        {"match": {"contains": "oslo"}, "tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]},
                    ]
                }
            }
        }
    )
    with scripted_server(script) as base_url:
        own_endpoint(project, base_url)
        asked = ("--selfopt-suite", "many.yaml", "--selfopt-model", "lab/lab", "-n", "2", "-v")
        said = run_pytest(project, *asked)
        assert said.code == 1, said.out + said.err
        assert "1 failed, 29 passed" in said.summary
        assert {"[gw0]", "[gw1]"} <= set(said.out.split())
        trials = trials_of(project)
        assert sorted(t.prompt_id for t in trials) == sorted(f"P{n}" for n in range(30))
        runs = {t.run_id for t in trials}
        ledger = open_ledger(project.home / "ledger.sqlite3")
        assert ledger.check() == []
        assert len({run.group_id for run in ledger.read(Run) if run.run_id in runs}) == 1
        ledger.close()
        project.ok("audit", "verify")
        with ProcessLock(project.home / "lock")("a test"):
            locked = run_pytest(project, *asked)
        assert locked.code == 1
        assert "is held by process" in locked.err
        capped = run_pytest(project, *asked, "--selfopt-max-trials", "10")
        assert capped.code == 1
        assert "max_trials = 10 is reached" in capped.out
        assert len(trials_of(project)) == 40


def test_prompts_are_chosen_by_node_id_marker_and_word(project: Project) -> None:
    """`FILE::PROMPT`, `-m selfopt(...)` and `-k`; other tests of the project run beside."""
    (project.root / "test_mine.py").write_text("def test_mine():\n    assert True\n", "utf-8")
    (project.root / "pyproject.toml").write_text('[tool.pytest.ini_options]\naddopts = "--strict-markers"\n', "utf-8")
    suites = (*SUITE, "--selfopt-suite", "extended.yaml", "--selfopt-model", "good", "--collect-only", "-q")

    def chosen(*arguments: str) -> list[str]:
        return [line for line in run_pytest(project, *suites, *arguments).out.splitlines() if "::" in line]

    whole = chosen()
    assert sorted(whole) == sorted(
        ["test_mine.py::test_mine", *(f"{p}.yaml::{q}{n}" for p, q in (("atomic", "A"), ("extended", "E")) for n in (1, 2, 3))]
    )
    assert chosen("-m", "selfopt(phase='extended')", "-k", "context") == ["extended.yaml::E3"]
    assert chosen("--selfopt-suite", "./atomic.yaml") == whole
    assert chosen("--selfopt-suite", "atomic", "-k", "atomic and not small")[-1].startswith("selfopt:atomic::")
    assert chosen("atomic.yaml::A2", "extended.yaml::E1") == ["atomic.yaml::A2", "extended.yaml::E1"]
    assert not project.home.exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (SUITE, 4, "add --selfopt-model ENDPOINT/NAME"),
        (("--selfopt-suite", "nothing", "--selfopt-model", "good"), 4, "unknown suite 'nothing'"),
        ((*SUITE, "--selfopt-model", "nobody/x"), 4, "nobody"),
        ((*SUITE, "--selfopt-model", "good", "--selfopt-split", "half"), 4, "write search, heldout, canary, all"),
        ((*SUITE, "--selfopt-model", "good", "--selfopt-max-trials", "0"), 4, "write a number above 0"),
    ],
)
def test_bad_input_is_one_line(project: Project, arguments: tuple[str, ...], code: int, says: str) -> None:
    """A usage error of pytest, without a traceback; nothing is asked."""
    said = run_pytest(project, *arguments)
    assert said.code == code, said.out + said.err
    assert says in said.err
    assert "Traceback" not in said.out + said.err
    assert project.files() == {}


def test_a_server_that_is_away_fails_every_prompt_and_is_asked_once(project: Project) -> None:
    """One line each; the first says what is wrong."""
    own_endpoint(project, "http://127.0.0.1:9")
    said = run_pytest(project, *SUITE, "--selfopt-model", "lab/lab")
    assert said.code == 1
    assert "3 failed" in said.summary
    assert said.out.count("not asked: ") >= 2
    assert "Traceback" not in said.out


def test_without_the_option_nothing_is_loaded(project: Project) -> None:
    """pytest of people who don't use it imports the plug-in's one file."""
    text = "import sys\n\ndef test_light():\n    assert 'selfopt.pytest_plugin' in sys.modules\n"
    text += "    assert not {'pydantic', 'aiohttp', 'selfopt.verbs', 'selfopt.records'} & set(sys.modules)\n"
    (project.root / "test_light.py").write_text(text, "utf-8")
    said = run_pytest(project, "test_light.py")
    assert said.code == 0, said.out
