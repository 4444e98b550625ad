"""Web pages and apps that the settings name may ask, with a key; a browser hears that they may."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import SettingsError
from selfopt.gateway.origins import Origins
from selfopt.home import ChainedFile, KeyFile
from selfopt.settings.serve import GatewaySettings
from selfopt.wiring.app import App

from .kit import chat, gateway_world

NAMED = ["app://obsidian.md", "vscode-webview://*", "tauri://localhost", "http://localhost:*", "https://ui.example:8443"]
SETTINGS = f"[gateway]\nallowed_origins = {NAMED}\n"
ALLOWED = [
    "app://obsidian.md",
    "APP://Obsidian.md",
    "vscode-webview://0u9ab3c",
    "tauri://localhost",
    "http://localhost",
    "http://localhost:5173",
    "https://ui.example:8443",
]
REFUSED = [
    "null",
    "*",
    "",
    "http://localhost.evil.example",
    "http://localhost:5173.evil.example",
    "http://localhost:",
    "https://localhost:5173",
    "https://ui.example",
    "https://ui.example:84430",
    "app://obsidian.md.evil",
    "xapp://obsidian.md",
    "app://obsidianxmd",
    "vscode-webview://a/b",
    "vscode-webview://",
]


def made_key(folder: Path) -> dict[str, str]:
    """Make the home's first key; return its header."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    key, _ = KeyFile(home / "gateway_keys.json", ChainedFile(home / "routing_decisions.jsonl")).add("page")
    return {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("origin", ALLOWED)
async def test_an_origin_that_is_named_is_answered_with_a_key(tmp_path: Path, origin: str, stream: bool) -> None:
    """Errors can be read by the page, too, and every answer differs by origin."""
    key = made_key(tmp_path)
    async with gateway_world(tmp_path, settings=SETTINGS) as world:
        for answer, status in (
            (await world.post(chat(stream=stream), {**key, "Origin": origin, "Sec-Fetch-Site": "cross-site"}), 200),
            (await world.post(chat("up/nothing"), {**key, "Origin": origin}), 404),
            (await world.post(chat(), {"Origin": origin}), 401),
            (await world.get("/v1/models", {**key, "Origin": origin}), 200),
            (await world.get("/nowhere", {**key, "Origin": origin}), 404),
        ):
            assert (answer.status, answer.headers["access-control-allow-origin"]) == (status, origin)
            assert answer.headers["access-control-expose-headers"] == "*"
            assert answer.headers["vary"] == "Origin"
            assert "access-control-allow-credentials" not in answer.headers
        plain = await world.get("/v1/models", key)
        assert (plain.headers["vary"], "access-control-allow-origin" in plain.headers) == ("Origin", False)


@pytest.mark.parametrize("origin", REFUSED)
async def test_any_other_origin_is_refused_with_or_without_a_key(tmp_path: Path, origin: str) -> None:
    """As all are by default."""
    key = made_key(tmp_path)
    async with gateway_world(tmp_path, settings=SETTINGS) as world:
        answer = await world.post(chat(), {**key, "Origin": origin})
        assert (answer.status, answer.error["code"]) == (403, "origin_refused")
        assert "access-control-allow-origin" not in answer.headers
        assert (await world.post(chat(), {**key, "Sec-Fetch-Site": "cross-site"})).status == 403


async def test_an_origin_needs_a_key_where_nobody_else_does(tmp_path: Path) -> None:
    """A gateway without keys serves programs of this machine, and no page."""
    async with gateway_world(tmp_path, settings=SETTINGS) as world:
        assert (await world.post(chat())).status == 200
        assert (await world.post(chat(), {"Origin": NAMED[0]})).status == 401


async def test_a_browser_may_ask_before_it_sends(tmp_path: Path) -> None:
    """Without a key, which it does not send then; another origin hears nothing, and OPTIONS alone is no question."""
    made_key(tmp_path)
    wanted = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, content-type, x-stainless-os",
        "Access-Control-Request-Private-Network": "true",
    }
    async with gateway_world(tmp_path, settings=SETTINGS) as world:

        async def options(headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
            url = f"http://127.0.0.1:{world.port}/v1/chat/completions"
            async with world.session.options(url, headers=headers) as response:
                return response.status, {k.lower(): v for k, v in response.headers.items()}, await response.text()

        status, headers, body = await options({**wanted, "Origin": NAMED[0]})
        assert (status, body, headers["access-control-allow-origin"]) == (204, "", NAMED[0])
        assert headers["access-control-allow-headers"] == wanted["Access-Control-Request-Headers"]
        assert "POST" in headers["access-control-allow-methods"]
        assert headers["access-control-allow-private-network"] == "true"
        assert headers["vary"].startswith("Origin")
        odd, headers, _ = await options({**wanted, "Origin": NAMED[0], "Access-Control-Request-Headers": "a: b"})
        assert (odd, "access-control-allow-headers" in headers) == (204, False)
        assert (await options({**wanted, "Origin": "https://evil.example"}))[0] == 403
        assert (await options({"Origin": NAMED[0]}))[0] == 401
        assert world.records == []


async def test_by_default_nothing_about_origins_is_said(tmp_path: Path) -> None:
    """Pages are refused, and no header is added."""
    async with gateway_world(tmp_path) as world:
        assert (await world.post(chat(), {"Origin": NAMED[0]})).status == 403
        assert "vary" not in (await world.post(chat())).headers


@pytest.mark.parametrize(
    "name",
    [
        "*",
        "null",
        "",
        "localhost",
        "http://*",
        "https://*:443",
        "http://a/",
        "http://a/b",
        "http://a b",
        "app://",
        "//a",
        "http://a:99:1",
        "http://a\n",
    ],
)
def test_what_is_no_origin_is_refused_in_the_settings(tmp_path: Path, name: str) -> None:
    """With the forms that are."""
    flags: dict[str, Any] = {"gateway": {"allowed_origins": [name]}}
    with pytest.raises(SettingsError, match="is not an origin: write scheme://host"):
        App.open(environ={"SELFOPT_HOME": str(tmp_path)}, cwd=tmp_path, flags=flags)


@given(st.sampled_from(ALLOWED), st.text(min_size=1, max_size=5), st.booleans())
def test_nothing_added_to_an_origin_is_allowed(origin: str, more: str, before: bool) -> None:
    """Neither before nor after it; only ports and hosts where a star stands."""
    origins = Origins(GatewaySettings(allowed_origins=tuple(NAMED[:1] + NAMED[2:3] + NAMED[4:])).allowed_origins)
    assert not origins.allow((more + origin if before else origin + more).encode())
