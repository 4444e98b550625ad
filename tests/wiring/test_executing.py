"""Who may make trials elsewhere, and which worker makes which."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from selfopt.errors import ConsentError, EndpointError, SettingsError
from selfopt.measure.executor import AsyncExecutor
from selfopt.records import Ledger
from selfopt.settings import Settings
from selfopt.wiring import ray_cluster
from selfopt.wiring.app import App
from selfopt.wiring.executing import RayExecutor
from selfopt.wiring.ray_pool import _Seat, choose
from selfopt.wiring.ray_worker import Hello, secrets_of, with_secrets

FAR = "ray://ray-head:10001"
SERVED = {"kind": "openai_compatible", "base_url": "http://models.example:8000/v1"}


def opened(tmp_path: Path, executor: str, **endpoint: Any) -> App:
    """An app with one endpoint."""
    return App.open(
        tmp_path / "home", {"executor": executor, "endpoints": {"s": {**SERVED, **endpoint}}}, {"HOME": str(tmp_path)}, tmp_path
    )


@pytest.mark.parametrize(
    "value", ["", "RAY", "ray://", "ray://host:", "ray://host:0", "ray://host:99999", "ray://h:1/x", "http://h:1", "dask"]
)
def test_an_executor_that_is_none_is_refused(value: str) -> None:
    """The message lists what may be written."""
    with pytest.raises(ValueError, match="local"):
        Settings(executor=value)


@pytest.mark.parametrize("value", ["local", "ray", "ray://host:10001", "ray://10.0.0.1:1", "ray://[::1]:65535"])
def test_an_executor_that_is_one_is_taken(value: str) -> None:
    """Names and addresses."""
    assert Settings(executor=value).executor == value


@pytest.mark.parametrize("host", ["head", "10.0.0.1", "[::1]"])
def test_an_address_without_a_port_has_that_of_the_ray_client(host: str) -> None:
    """10001, as Ray's own commands take it."""
    assert Settings(executor=f"ray://{host}").executor == f"ray://{host}:10001"


@pytest.mark.parametrize(
    ("endpoint", "error", "said"),
    [
        ({"kind": "embedded", "base_url": None}, SettingsError, "embedded engine of this process"),
        ({"kind": "scripted", "base_url": None, "script": "x.yaml"}, SettingsError, "plays its replies in this process"),
        ({"base_url": "http://127.0.0.1:8000/v1"}, SettingsError, "ray_resources"),
        ({"api_key": "sk-private"}, ConsentError, "ray.send_keys"),
    ],
)
def test_what_workers_cannot_ask_is_said_before_anything_is_asked(
    tmp_path: Path, endpoint: dict[str, Any], error: type[Exception], said: str
) -> None:
    """One line, which holds no key."""
    app = opened(tmp_path, FAR, **endpoint)
    with pytest.raises(error, match=said) as refused:
        app.executors.require(["s/m"])
    assert "\n" not in str(refused.value)
    assert "sk-private" not in str(refused.value)


def test_without_the_extra_a_line_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first trial."""
    monkeypatch.setattr(ray_cluster, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"pip install '\.\[ray\]'"):
        opened(tmp_path, "ray").executors.require(["s/m"])


async def test_the_executor_is_the_one_of_the_settings(tmp_path: Path) -> None:
    """Nothing is started before the first trial, and closing what was never started does nothing."""
    from selfopt.ledger import MemoryLedger

    ledger: Ledger = MemoryLedger()
    async with opened(tmp_path, "local") as here, opened(tmp_path, "ray") as far:
        assert isinstance(here.executors.of(ledger, 2), AsyncExecutor)
        assert isinstance(far.executors.of(ledger, 2), RayExecutor)
        assert far.executors.worker_pids == []


def seats(count: int) -> dict[int, _Seat]:
    """Workers without anything to do."""
    return {place: _Seat(place, None, Hello(place, "")) for place in range(count)}


def test_a_prefix_stays_with_its_worker_and_moves_only_when_that_is_gone() -> None:
    """Nothing else moves."""
    crew = seats(5)
    before = {str(n): choose(crew, str(n), 20).place for n in range(500)}
    assert all(60 < count < 140 for count in Counter(before.values()).values())
    del crew[2]
    after = {prefix: choose(crew, prefix, 20).place for prefix in before}
    assert {prefix for prefix in before if before[prefix] != after[prefix]} == {p for p, place in before.items() if place == 2}


def test_one_prefix_alone_uses_all_workers_evenly() -> None:
    """Whoever has its share of the slots passes the next one on."""
    crew = seats(3)
    for _ in range(8):
        choose(crew, "the same", 8).load += 1
    assert sorted(seat.load for seat in crew.values()) == [2, 3, 3]


def test_secrets_are_sent_beside_the_settings_and_never_in_them() -> None:
    """A worker gets the key back; the settings as text don't hold it."""
    own = Settings.model_validate(
        {"endpoints": {"s": {**SERVED, "api_key": "sk-private"}, "t": {**SERVED, "api_key_env": "KEY"}}}
    )
    text = own.model_dump_json()
    assert "sk-private" not in text
    sent = secrets_of(own, {"KEY": "sk-of-the-environment"})
    far = with_secrets(Settings.model_validate_json(text), sent)
    assert [far.endpoints[name].api_key.get_secret_value() for name in ("s", "t") if far.endpoints[name].api_key] == [  # type: ignore[union-attr]
        "sk-private",
        "sk-of-the-environment",
    ]


def test_an_error_of_an_endpoint_survives_the_way_from_another_process() -> None:
    """All that is known of it, too."""
    import pickle

    error = EndpointError("no", kind="server", status=503, retry_after_s=2, bodies=("a", "b")).because("memory", "no room")
    came = pickle.loads(pickle.dumps(error))
    assert (str(came), vars(came)) == (str(error), vars(error))
