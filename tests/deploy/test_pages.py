"""The files that docs/CHECK.md and docs/CI.md show work together, with a scripted server in the place of vLLM."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from selfopt.scripted.script import load_script
from selfopt.suites import load_suite
from tests.cli.conftest import project
from tests.cli.servers import scripted_server
from tests.cli.world import Project

__all__ = ["project"]

ROOT = Path(__file__).resolve().parents[2]


def blocks_of(page: str) -> list[str]:
    """The YAML that a page shows."""
    return re.findall(r"```yaml\n(.*?)```", (ROOT / "docs" / page).read_text("utf-8"), re.DOTALL)


def shown(page: str, mark: str) -> str:
    """The one block that begins with, or holds, a mark."""
    (found,) = [block for block in blocks_of(page) if mark in block]
    return found


GITHUB: dict[str, Any] = yaml.safe_load(shown("CI.md", "on: pull_request"))
GITLAB: dict[str, Any] = yaml.safe_load(shown("CI.md", "CHECK_REQUIREMENT"))


@pytest.mark.parametrize("variables", [GITHUB["jobs"]["check"]["env"], GITLAB["variables"]], ids=["GitHub", "GitLab"])
def test_a_changed_prompt_is_checked_beside_the_one_in_use(
    variables: dict[str, str], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the pages say, with nothing but their files and their variables: a better prompt passes, a worse one does not."""
    project.write("selfopt.toml", "")
    (project.root / "suites").mkdir()
    project.ok("suites", "new", "kiosk", "--to", "suites/kiosk.yaml")
    check, variants = shown("CHECK.md", "# selfopt.check.yaml"), shown("CHECK.md", "# variants.yaml")
    project.write("selfopt.check.yaml", check)
    project.write("variants.yaml", variants)
    with scripted_server(load_script(script(project, variants))) as base_url:
        for name, value in variables.items():
            monkeypatch.setenv(name, "secret" if name == "VLLM_KEY" else value)
        monkeypatch.setenv("VLLM_KEY", "secret")
        monkeypatch.setenv("SELFOPT_ENDPOINTS__VLLM__BASE_URL", f"{base_url}/v1")
        monkeypatch.delenv("CHECK_REQUIREMENT", raising=False)
        assert "passes" in project.ok("check").out
        project.write("selfopt.check.yaml", check.replace("new", "mine").replace("old", "new").replace("mine", "old"))
        assert "fails" in project.said_no("check").out


def script(project: Project, variants: str) -> Path:
    """A model that is right about everything with the new prompt, and calls where nobody wants it with the old one."""
    suite = load_suite(project.root / "suites" / "kiosk.yaml")
    old = yaml.safe_load(variants)["variants"]["old"]["instructions"]
    replies: list[dict[str, Any]] = []
    for prompt in suite.prompts:
        said = prompt.messages[-1].content
        if prompt.needs_call:
            assert prompt.expected != "any"
            calls = [
                {"name": call.name, "arguments": {key: values[0] for key, values in call.arguments.items() if values[0] != ""}}
                for call in prompt.expected[0]
            ]
            replies.append({"match": {"contains": said, "system_contains": old}, "text": "I can't."})
            replies.append({"match": {"contains": said}, "tool_calls": calls})
    path = project.root / "vllm.yaml"
    path.write_text(json.dumps({"models": {"qwen3-8b": {"replies": replies, "default": {"text": "Hello."}}}}), "utf-8")
    return path


def test_the_example_of_github_names_inputs_that_the_action_has() -> None:
    """And its comment is the file that the action writes."""
    action = yaml.safe_load((ROOT / "deploy/github-action/action.yml").read_text("utf-8"))
    steps = GITHUB["jobs"]["check"]["steps"]
    (mine,) = [step for step in steps if "selfopt" in step.get("uses", "")]
    assert set(mine["with"]) <= set(action["inputs"])
    (comment,) = [step for step in steps if "gh pr comment" in step.get("run", "")]
    assert action["inputs"]["markdown"]["default"] in comment["run"]
    table = shown_inputs()
    assert table == set(action["inputs"])


def shown_inputs() -> set[str]:
    """The inputs in the table of docs/CI.md."""
    text = (ROOT / "docs/CI.md").read_text("utf-8")
    table = text[text.index("| input | meaning") : text.index("Its output is `exit-code`")]
    return {name for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for name in re.findall(r"`([a-z-]+)`", cell)}


@pytest.mark.parametrize("page", ["README.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))])
def test_no_page_installs_the_bare_name_from_an_index(page: str) -> None:
    """No index has selfopt, so whoever takes the name there would be installed."""
    text = (ROOT / page).read_text("utf-8")
    assert not re.search(r"pip install ['\"]?selfopt\b", text)
