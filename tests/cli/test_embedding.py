"""Tools chosen by an embedding model, from the command line: named in the user's own settings alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from selfopt.errors import BudgetError
from selfopt.ledger import open_ledger
from selfopt.loop import searching
from selfopt.loop.search_begin import begun
from selfopt.measure.lookup import held
from selfopt.records import Run, SearchBatch, SearchStart, Spec, Trial
from selfopt.scripted.script import Script

from .servers import scripted_server
from .world import SCRIPT, Project

SEARCHES = ("loop", "--search", "--baseline", "up/writer atomic native_api", "--max-trials")
BY_BOTH = "keep_tools=one tools_by=both"
MODELS = Script.model_validate({"models": {**yaml.safe_load(SCRIPT)["models"], "embedder": {"digest": "embedder-1"}}})


async def stopped(*_: Any) -> None:
    """A cap ends the search before its first batch."""
    raise BudgetError("the search stopped")


@pytest.fixture
def world(project: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """A server that chats and embeds, and the user's settings that name it."""
    with scripted_server(MODELS) as base:
        project.user_config.write_text(
            f'[models]\nembedding = "vectors"\n[models.aliases]\nvectors = "up/embedder"\n'
            f'[endpoints.up]\nkind = "openai_compatible"\nbase_url = "{base}"\nlocal = true\n',
            "utf-8",
        )
        monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
        yield project


def test_a_point_is_measured_with_the_embedding_model_of_the_settings(world: Project) -> None:
    """Which it names in full, so that the spec is another one with another model."""
    world.ok("run", "up/good", "atomic", BY_BOTH)
    ledger = open_ledger(world.home / "ledger.sqlite3")
    (spec,) = ledger.read(Spec)
    assert spec.variant.options == {"keep_tools": 1, "tools_by": "both", "embedding": "up/embedder"}
    trials = list(ledger.read(Trial))
    ledger.close()
    assert [[exchange.step for exchange in trial.exchanges] for trial in trials] == [["embed", "answer"]] * 3


def test_what_would_be_sent_is_shown(world: Project) -> None:
    """The texts that are embedded, and then the request as words would choose."""
    asked = ("variants", "render", BY_BOTH, "weather in Oslo?", "--tools", "tools2.json", "--json")
    world.write("tools2.json", '[{"name": "play"}, {"name": "get_weather", "description": "The weather of a city"}]')
    embed, answer = world.ok(*asked).json()
    assert [message["content"] for message in embed["messages"]] == [
        "weather in Oslo?",
        "play",
        "get weather. The weather of a city",
    ]
    assert [tool["name"] for tool in answer["tools"]] == ["get_weather"]
    tried = world.ok("try", "up/good", "weather in Oslo?", "--variant", BY_BOTH, "--tools", "tools2.json")
    assert "request (embed)" in tried.out
    assert "Oslo" in tried.out


def test_a_search_looks_at_it(world: Project) -> None:
    """Where the settings name an embedding model."""
    world.ok("loop", "--search", "--max-trials", "30", "--baseline", "up/writer atomic native_api")
    ledger = open_ledger(world.home / "ledger.sqlite3")
    (start,) = ledger.read(SearchStart)
    ledger.close()
    assert "embeddings" in start.capabilities


@pytest.mark.parametrize(
    ("name", "why"),
    [("openai/text-embedding-3-small", "allow_remote is off"), ("up/nobody", "404"), ("nobody", "unknown model")],
)
def test_a_search_leaves_out_an_embedding_model_that_can_not_be_used(world: Project, name: str, why: str) -> None:
    """It says why in one line, and asks everything else."""
    world.user_config.write_text(world.user_config.read_text("utf-8").replace('"vectors"', f'"{name}"', 1), "utf-8")
    said = " ".join(world.ok(*SEARCHES, "30").out.split())
    assert "the search leaves out tools_by=meaning and both, as the embedding model can't be used: " in said
    assert why in said
    assert "name one that can as embedding in [models] of your own settings, or none" in said
    ledger = open_ledger(world.home / "ledger.sqlite3")
    (start,) = ledger.read(SearchStart)
    ledger.close()
    assert "embeddings" not in start.capabilities


@pytest.mark.parametrize("setting", ["openai/text-embedding-3-small", "up/nobody", None])
def test_a_search_goes_on_without_an_embedding_model_that_can_not_be_used_any_more(
    world: Project, monkeypatch: pytest.MonkeyPatch, setting: str | None
) -> None:
    """It is the same search, of the same cycle, and looks at none of these choices."""
    with monkeypatch.context() as patch:
        patch.setattr(searching._Searching, "run", stopped)
        world.run(*SEARCHES, "30").assert_refused(1, "the search stopped")
    line = f'embedding = "{setting}"' if setting else ""
    world.user_config.write_text(world.user_config.read_text("utf-8").replace('embedding = "vectors"', line, 1), "utf-8")
    world.ok(*SEARCHES, "30")
    ledger = open_ledger(world.home / "ledger.sqlite3")
    ((start,), batches) = ledger.read(SearchStart), list(ledger.read(SearchBatch))
    ledger.close()
    assert "embeddings" in start.capabilities
    assert batches
    assert not any("tools_by" in batch.asking for batch in batches)


def test_what_another_embedding_model_chose_ranks_nothing(world: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search that goes on under another one changes course, and asks anew."""
    batched = searching._Searching._next

    async def once(self: Any, batch: Any) -> str | None:
        if self._batches:
            raise BudgetError("the search stopped")
        return await batched(self, batch)

    def by_meaning(*arguments: Any) -> SearchStart:
        return begun(*arguments).model_copy(update={"start": ({"keep_tools": "one", "tools_by": "meaning"},)})

    with monkeypatch.context() as patch:
        patch.setattr(searching, "begun", by_meaning)
        patch.setattr(searching._Searching, "_next", once)
        world.run(*SEARCHES, "30").assert_refused(1, "the search stopped")
    world.user_config.write_text(world.user_config.read_text("utf-8").replace('"vectors"', '"up/good"', 1), "utf-8")
    assert "or the embedding model have changed since this search began" in " ".join(world.ok(*SEARCHES, "30").out.split())
    ledger = open_ledger(world.home / "ledger.sqlite3")
    runs = {run.run_id: held(ledger, Spec, run.spec_id) for run in ledger.read(Run)}
    batches = list(ledger.read(SearchBatch))
    chose = [{runs[held(ledger, Trial, one).run_id].variant.options["embedding"] for one in b.trial_ids} for b in batches[:2]]
    ledger.close()
    assert chose == [{"up/embedder"}, {"up/good"}]


def test_without_an_embedding_model_the_point_is_refused(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line that says what to set; also where the model is not known, has no embeddings, or is elsewhere."""
    project.run("run", "good", "atomic", BY_BOTH).assert_refused(2, "name no embedding model", "[models]")
    monkeypatch.setenv("SELFOPT_CONFIG", str(project.user_config))
    for code, name, said in (
        (2, "nobody", "unknown model"),
        (2, "scripted/good", "has no embeddings"),
        (1, "anthropic/claude", "not sent"),
    ):
        project.user_config.write_text(f'[models]\nembedding = "{name}"\n', "utf-8")
        project.run("run", "good", "atomic", BY_BOTH).assert_refused(code, said)


def test_a_project_cannot_name_an_embedding_model(project: Project) -> None:
    """Requests would go there."""
    text = (project.root / "selfopt.toml").read_text("utf-8")
    project.write("selfopt.toml", f'[models]\nembedding = "good"\n{text}')
    project.run("models", "list").assert_refused(2, "models.embedding", "a project's file may not")
