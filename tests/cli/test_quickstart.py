"""`quickstart` on the command line, with scripted models in the place of the two that are pulled."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from selfopt.wiring.app import App

from .world import Project

# The package has a function of the same name, which hides the module.
module = importlib.import_module("selfopt.verbs.quickstart")


@pytest.fixture
def quick(project: Project, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Project]:
    """The project, with the two named models in the place of those that are pulled, the second as the fallback."""

    async def nothing_to_fetch(app: App, name: str, show: Callable[[str], None]) -> None:
        """They are here."""

    def with_models(*models: str) -> Project:
        monkeypatch.setattr(module, "MODELS", models)
        monkeypatch.setattr(module, "fetch_model", nothing_to_fetch)
        monkeypatch.setattr(App, "catalogue", {model: SimpleNamespace(size_bytes=7_000_000) for model in models})
        monkeypatch.setenv("SELFOPT_FALLBACKS__EXTENDED", json.dumps(models[-1:]))
        return project

    return with_models


def test_it_tells_the_plan_the_reasons_and_before_and_after(quick: Callable[..., Project]) -> None:
    """In this order, with exit code 0: a model whose calls are not read at first is given a variant that reads them."""
    out = quick("scripted/writer", "scripted/good").ok("quickstart").out
    order = ["14 MB to download", "gate", "PROMOTED", "The rules at work", "Before -> after", "written: ", "trials in"]
    places = [out.index(words) for words in order]
    assert places == sorted(places)
    assert "selfopt audit trace MODEL PHASE" in out


def test_a_model_too_weak_for_conversations_is_shown_served_by_the_other(quick: Callable[..., Project]) -> None:
    """With the reason and the audit line of the request that was just made."""
    out = quick("scripted/mute", "scripted/writer").ok("quickstart").out
    shown = out[out.index("The rules at work") :]
    assert "fallback: served by scripted/writer" in shown
    assert "diverted, rule-" in shown
    assert "because scripted/mute may not serve extended" in shown


@pytest.mark.parametrize("arguments", [("quickstart",), ("quickstart", "--json")])
def test_without_the_engine_it_says_so_before_anything_begins(
    quick: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    """One line with the fix, exit code 2, and nothing is left behind."""
    project = quick("scripted/mute", "scripted/writer")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    result = project.run(*arguments)
    assert result.code == 2
    assert "-m pip install xllamacpp==" in result.err
    assert result.out == ""
    assert not project.home.exists()


def test_with_json_it_is_one_document(quick: Callable[..., Project]) -> None:
    """Before and after of each model, what served, and the reports."""
    body = quick("scripted/mute", "scripted/writer").ok("quickstart", "--json").json()
    assert {row["model"] for row in body["rows"]} == {"scripted/mute", "scripted/writer"}
    assert any(served["audit"]["event"] == "diverted" for served in body["served"] if served["audit"])
    assert body["reports"]


def test_without_a_named_home_it_works_in_the_folder_where_it_is_called(
    quick: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    """./.selfopt, so that the commands that it names afterwards find it."""
    monkeypatch.delenv("SELFOPT_HOME")
    project = quick("scripted/writer", "scripted/good")
    project.ok("quickstart", "--json")
    assert (project.root / ".selfopt" / "ledger.sqlite3").is_file()
