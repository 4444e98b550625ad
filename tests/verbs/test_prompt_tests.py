"""The prompts of a suite as tests, asked one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from selfopt.errors import EndpointError, UsageError
from selfopt.measure.budget import Budget
from selfopt.records import Run, Trial
from selfopt.verbs.prompt_tests import NotAskedError, PromptTestRequest, PromptTests
from selfopt.verbs.shared_caps import SharedCaps
from selfopt.wiring.app import App
from tests.cli.conftest import project
from tests.cli.servers import free_port
from tests.cli.world import Project

__all__ = ["project"]


@pytest.fixture
def app(project: Project) -> Iterator[App]:
    """An app in the project, which has a server of the user's own that nobody has started."""
    folder = project.root / "xdg" / "selfopt"
    folder.mkdir(parents=True, exist_ok=True)
    url = f"http://127.0.0.1:{free_port()}"
    (folder / "selfopt.toml").write_text(
        f'[endpoints.away]\nkind = "openai_compatible"\nbase_url = "{url}"\nlocal = true\n', "utf-8"
    )
    opened = App.open()
    yield opened
    opened.release()


def unbounded(folder: Path) -> SharedCaps:
    """No caps."""
    (folder / "spent.json").touch()
    return SharedCaps(folder / "spent.json", Budget(), 0.0)


async def test_a_prompt_is_asked_once_and_its_trial_is_kept(app: App, tmp_path: Path) -> None:
    """The result is that of the trial, whose run has ended and belongs to the group."""
    tests = PromptTests(app, PromptTestRequest(model="mute", suite="atomic.yaml"), "pytest-1")
    assert [prompt.id for prompt in tests.prompts] == ["A1", "A2", "A3"]
    found = [await tests.ask(name, unbounded(tmp_path)) for name in ("A1", "A3")]
    assert [one.passed for one in found] == [False, True]
    assert found[0].prompt.expected == ('get_weather(city="Oslo" or "Oslo, Norway")',)
    assert found[0].answer.replies == ("I would rather not.",)
    assert [trial.trial_id for trial in app.ledger.read(Trial)] == [one.answer.trial_id for one in found]
    assert {run.group_id for run in app.ledger.read(Run)} == {"pytest-1"}
    await app.close()


async def test_a_server_that_is_not_there_is_asked_once(app: App, tmp_path: Path) -> None:
    """The first prompt says what is wrong, and the others that they were not asked."""
    tests = PromptTests(app, PromptTestRequest(model="away/x", suite="atomic.yaml"), "pytest-1")
    with pytest.raises(EndpointError):
        await tests.ask("A1", unbounded(tmp_path))
    trials = len(list(app.ledger.read(Trial)))
    with pytest.raises(NotAskedError, match="not asked: "):
        await tests.ask("A2", unbounded(tmp_path))
    assert len(list(app.ledger.read(Trial))) == trials
    await app.close()


def test_the_rules_variant_is_the_default(app: App, project: Project) -> None:
    """Of the rule in force, else native_api; one that is named wins, and a name that is nobody's is refused."""
    assert PromptTests(app, PromptTestRequest(model="good", suite="atomic.yaml"), "g").label.endswith("native_api")
    project.ok("loop", "--baseline", "scripted/writer atomic native_api")
    ruled = PromptTests(app, PromptTestRequest(model="scripted/writer", suite="atomic.yaml"), "g")
    assert not ruled.label.endswith("native_api")
    named = PromptTests(app, PromptTestRequest(model="scripted/writer", suite="atomic.yaml", variant="native_api"), "g")
    assert named.label.endswith("native_api")
    with pytest.raises(UsageError):
        PromptTests(app, PromptTestRequest(model="good", suite="atomic.yaml", split="heldout"), "g")
