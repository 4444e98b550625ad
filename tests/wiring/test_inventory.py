"""What can be served now, and which model a name without its endpoint stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.errors import UnknownModelError
from selfopt.records import RoutingConfig, Rule
from selfopt.routing import rule_id_of
from selfopt.wiring.app import App
from selfopt.wiring.inventory import Inventory

SETTINGS = """
allow_remote = {remote}
[endpoints.oll]
kind = "ollama"
base_url = "http://127.0.0.1:9"
[endpoints.lab]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"
[endpoints.beside]
kind = "openai_compatible"
base_url = "http://127.0.0.1:9/v1"
[endpoints.cloud]
kind = "openai_compatible"
base_url = "https://models.example/v1"
[models.aliases]
small = "oll/qwen2.5:3b"
gone = "oll/gone"
any = "lab/any"
far = "cloud/big"
"""
LISTED: dict[str, list[str] | None] = {
    "oll": ["qwen2.5:3b", "both:latest", "Mixed:latest", "hf.co/User/Repo:Q4_K_M"],
    "lab": ["both", "twice", "big2"],
    "beside": ["twice", "three"],
    "cloud": ["never asked"],
}


class Servers:
    """Stands in for the servers of an app, and counts what they are asked."""

    def __init__(self, app: App, monkeypatch: pytest.MonkeyPatch) -> None:
        self.listed = dict(LISTED)
        self.asked: list[str] = []
        self.now = 0.0

        async def installed(place: str) -> list[str] | None:
            self.asked.append(place)
            return self.listed.get(place)

        monkeypatch.setattr(app.sender, "installed", installed)


@pytest.fixture
def app(tmp_path: Path) -> App:
    return _app(tmp_path)


def _app(folder: Path, remote: str = "false") -> App:
    (folder / "own.toml").write_text(SETTINGS.replace("{remote}", remote), "utf-8")
    environ = {"SELFOPT_CONFIG": str(folder / "own.toml"), "SELFOPT_HOME": str(folder / "home"), "SELFOPT_CACHE": str(folder)}
    return App.open(environ=environ, cwd=folder)


def _rules(*models: str) -> RoutingConfig:
    rules = [Rule(rule_id=rule_id_of(model, "atomic"), model=model, phase="atomic", allow=True) for model in models]
    return RoutingConfig(version=1, rules=tuple(rules))


async def test_what_is_listed_can_be_served_now(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of servers that answer, each once, and aliases of them; a server that takes any name has what is named."""
    servers = Servers(app, monkeypatch)
    inventory = Inventory(app, lambda: _rules("oll/mixed", "oll/not-there", "lab/ruled"), lambda: servers.now)
    names = await inventory.names()
    assert {"oll/qwen2.5:3b", "oll/Mixed:latest", "lab/both", "beside/three", "lab/ruled", "lab/any"} <= set(names)
    assert {"small", "any", "far"} <= set(names)
    assert not {"gone", "oll/gone", "oll/mixed", "oll/not-there"} & set(names)
    assert "cloud" not in servers.asked
    servers.listed["lab"] = None
    servers.now = 9.0
    assert await inventory.names() == names
    servers.now = 11.0
    assert not {"lab/both", "lab/ruled", "any"} & set(await inventory.names())
    assert servers.asked.count("lab") == 2


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("qwen2.5:3b", "oll/qwen2.5:3b"),
        ("QWEN2.5:3B", "oll/qwen2.5:3b"),
        ("mixed", "oll/Mixed:latest"),
        ("hf.co/User/Repo:Q4_K_M", "oll/hf.co/User/Repo:Q4_K_M"),
        ("three", "beside/three"),
        ("any", "lab/any"),
    ],
)
async def test_a_name_that_one_endpoint_has_is_found(app: App, monkeypatch: pytest.MonkeyPatch, name: str, model: str) -> None:
    """Under each of its names there."""
    Servers(app, monkeypatch)
    assert await Inventory(app, RoutingConfig).find(name) == model


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("twice", "lab/twice, beside/twice"),
        ("both", "oll/both:latest, lab/both"),
        ("nothing", "/v1/models"),
        ("qwen2.5", "/v1/models"),
        ("big", "cloud/big"),
        ("oll/", "/v1/models"),
        ("\x1b[2J", r"\\x1b"),
    ],
)
async def test_a_name_that_stands_for_none_or_several_is_not_guessed(
    app: App, monkeypatch: pytest.MonkeyPatch, name: str, told: str
) -> None:
    """The error lists the full names. A model elsewhere is not asked by half a name."""
    Servers(app, monkeypatch)
    with pytest.raises(UnknownModelError) as error:
        await Inventory(app, RoutingConfig).find(name)
    assert told.replace("\\\\", "\\") in str(error.value)


async def test_a_model_on_this_machine_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With consent, the name of a model elsewhere is found when nothing here has it."""
    app = _app(tmp_path, "true")
    servers = Servers(app, monkeypatch)
    inventory = Inventory(app, RoutingConfig, lambda: servers.now)
    assert await inventory.find("big") == "cloud/big"
    servers.listed["lab"] = ["big"]
    servers.now = 60.0
    assert await inventory.find("big") == "lab/big"


async def test_a_client_finds_only_what_it_may_ask_for(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that several endpoints have may stand for one of them, and others are not told."""
    Servers(app, monkeypatch)
    inventory = Inventory(app, RoutingConfig)
    assert await inventory.find("twice", lambda model: model == "lab/twice") == "lab/twice"
    with pytest.raises(UnknownModelError) as error:
        await inventory.find("three", lambda model: False)
    assert "beside" not in str(error.value)
