"""What a process has to itself while it measures: models by their records, servers by their address."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from selfopt.errors import LockedError
from selfopt.wiring.app import App
from selfopt.wiring.holding import held_names, holders, in_turn, measuring

HERE = socket.gethostname()


def opened(tmp_path: Path, endpoint: dict[str, Any], executor: str = "local") -> App:
    """An app with one endpoint."""
    return App.open(tmp_path / "home", {"executor": executor, "endpoints": {"s": endpoint}}, {"HOME": str(tmp_path)}, tmp_path)


def served(url: str, **more: Any) -> dict[str, Any]:
    """An endpoint with a server."""
    return {"kind": "openai_compatible", "base_url": url, **more}


@pytest.mark.parametrize(
    ("endpoint", "executor", "server"),
    [
        (served("http://GPU-1.example:8000/v1"), "local", ["server gpu-1.example:8000"]),
        (served("https://gpu-1.example/v1"), "local", ["server gpu-1.example:443"]),
        (served("http://gpu-1.example"), "local", ["server gpu-1.example:80"]),
        (served("http://127.0.0.1:8000/v1"), "local", [f"server 8000 on {HERE}"]),
        (served("http://localhost:8000"), "local", [f"server 8000 on {HERE}"]),
        (served("http://[::1]:8000/other"), "local", [f"server 8000 on {HERE}"]),
        (served("http://127.0.0.1:8000/v1", ray_resources={"gpu": 0.1}), "ray://head:10001", ["server 8000 on ray://head:10001"]),
        (served("http://127.0.0.1:8000/v1", ray_resources={"gpu": 0.1}), "ray", [f"server 8000 on {HERE}"]),
        ({"kind": "scripted", "script": "x.yaml"}, "local", []),
        ({"kind": "embedded"}, "local", [f"engine on {HERE}"]),
    ],
)
def test_a_server_is_held_by_where_it_is(tmp_path: Path, endpoint: dict[str, Any], executor: str, server: list[str]) -> None:
    """Whatever an endpoint is called; one of loopback is another one on each machine, and what plays here is nobody's."""
    assert held_names(opened(tmp_path, endpoint, executor), ["s/m", "s/m"]) == ["model s/m", *server]


def test_names_that_are_one_model_are_held_as_one(tmp_path: Path) -> None:
    """A tag that the server adds by itself makes no other model; two models of one server hold it once."""
    app = opened(tmp_path, {"kind": "ollama", "base_url": "http://box:11434"})
    assert held_names(app, ["s/m:latest"]) == held_names(app, ["s/m"])
    assert held_names(app, ["s/m", "s/n"])[1:] == ["server box:11434", *held_names(app, ["s/n"])[:1]]


async def test_without_a_database_the_home_is_held(tmp_path: Path) -> None:
    """By one process, whatever it measures; turns and holders are of a database."""
    app = opened(tmp_path, served("http://gpu-1.example:8000/v1"))
    app.home.ensure()
    with measuring(app, "loop", ["s/m"]), pytest.raises(LockedError), measuring(app, "run", ["s/n"]):
        pass
    async with in_turn(app):
        assert holders(app) == ()
    assert not app.home.ledger.exists()
