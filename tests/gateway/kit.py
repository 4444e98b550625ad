"""A gateway and a scripted upstream on loopback, in the loop of the test."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from selfopt.gateway import Gateway, GatewayOptions
from selfopt.gateway.ticket import JournalRecord, RequestRecord
from selfopt.records import AuditRecord
from selfopt.routing import Enforcer
from selfopt.scripted.script import Script
from selfopt.scripted.server import ScriptedServer, serve_scripted
from selfopt.wiring.app import App
from selfopt.wiring.serving import build_gateway, gateway_options
from tests.looptime import pass_time

__all__ = ["Answer", "MemoryJournal", "World", "chat", "gateway_world", "tool_chat", "until"]

# The time of some tests moves by minutes at once.
NEVER = aiohttp.ClientTimeout(total=None)
USER = [{"role": "user", "content": "hi"}]


@dataclass(slots=True)
class MemoryJournal:
    """A `RequestJournal` that keeps records in memory."""

    records: list[JournalRecord] = field(default_factory=list)

    def add(self, record: JournalRecord) -> None:
        """Keep a record."""
        self.records.append(record)

    def check(self) -> None:
        """Never fails."""

    async def close(self) -> None:
        """Does nothing."""

    @property
    def lag_s(self) -> float:
        """Always 0."""
        return 0.0


def chat(model: str = "up/good", **fields: Any) -> dict[str, Any]:
    """Return the body of a chat."""
    return {"model": model, "messages": USER, **fields}


def tool_chat(model: str = "up/good", **fields: Any) -> dict[str, Any]:
    """Return the body of a chat that offers a tool, which rules are about."""
    return chat(model, **{"tools": [{"type": "function", "function": {"name": "play"}}], **fields})


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def body(self) -> Any:
        """The body as JSON."""
        return json.loads(self.text)

    @property
    def error(self) -> dict[str, Any]:
        """The error object."""
        found: dict[str, Any] = self.body["error"]
        assert set(found) == {"message", "type", "param", "code"}
        assert isinstance(found["message"], str)
        return found


class World:
    """A running gateway with its upstream and its home."""

    def __init__(self, app: App, gateway: Gateway, upstream: ScriptedServer, session: aiohttp.ClientSession) -> None:
        self.app = app
        self.gateway = gateway
        self.upstream = upstream
        self.session = session

    @property
    def url(self) -> str:
        """The base URL for clients."""
        return self.gateway.base_url

    @property
    def port(self) -> int:
        """The gateway's port."""
        assert self.gateway.server is not None
        return self.gateway.server.port

    @property
    def enforcer(self) -> Enforcer:
        """Writes the rules of this home."""
        return self.app.enforcer

    @property
    def records(self) -> list[RequestRecord]:
        """The records of requests."""
        journal = self.gateway.parts.chat.journal
        assert isinstance(journal, MemoryJournal)
        return [record for record in journal.records if isinstance(record, RequestRecord)]

    @property
    def trail(self) -> list[AuditRecord]:
        """The audit trail."""
        return list(self.app.enforcer.trail.records())

    async def reload(self) -> None:
        """Read the rules now."""
        await self.gateway.parts.chat.rules.reload()

    async def post(self, body: Any, headers: dict[str, str] | None = None, path: str = "/v1/chat/completions") -> Answer:
        """Send a POST with this JSON, or these bytes."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        own = {"Content-Type": "application/json", **(headers or {})}
        async with self.session.post(f"http://127.0.0.1:{self.port}{path}", data=data, headers=own) as response:
            return Answer(
                response.status, {name.lower(): value for name, value in response.headers.items()}, await response.text()
            )

    async def post_past(self, body: Any, *waits_s: float) -> Answer:
        """Send a POST that hangs upstream. Each time that the upstream was asked, so many seconds pass."""
        asked = asyncio.ensure_future(self.post(body))
        for seconds in waits_s:
            known = len(self.upstream.journal)
            await until(lambda known=known: len(self.upstream.journal) > known)  # type: ignore[misc]
            pass_time(seconds)
        return await asked

    async def get(self, path: str, headers: dict[str, str] | None = None) -> Answer:
        """Send a GET."""
        async with self.session.get(f"http://127.0.0.1:{self.port}{path}", headers=headers) as response:
            return Answer(
                response.status, {name.lower(): value for name, value in response.headers.items()}, await response.text()
            )

    async def raw(self, data: bytes, *, eof: bool = False) -> bytes:
        """Send bytes; return everything that comes back until the gateway closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            if eof:
                writer.write_eof()
            return await asyncio.wait_for(reader.read(), 120)
        finally:
            writer.close()
            await writer.wait_closed()


async def until(holds: Callable[[], bool]) -> None:
    """Let the loop run until it holds. Fails after two minutes."""
    async with asyncio.timeout(120):
        while not holds():  # noqa: ASYNC110  what is waited for is not ours to signal
            await asyncio.sleep(0)


SCRIPT: dict[str, Any] = {
    "api_key": "sk-upstream-0123456789",
    "models": {
        "good": {"default": {"text": "Hello."}},
        "other": {"default": {"text": "I am the other."}},
    },
}


def options_with(options: GatewayOptions, **changes: Any) -> GatewayOptions:
    """Return the options with some values changed, in whichever part they are."""
    for part in ("own", "limits"):
        table = getattr(options, part)
        here = {key: changes.pop(key) for key in list(changes) if key in type(table).model_fields}
        options = replace(options, **{part: table.model_copy(update=here)})
    return replace(options, **changes)


@asynccontextmanager
async def gateway_world(
    tmp_path: Path,
    models: dict[str, Any] | None = None,
    *,
    settings: str = "",
    options: dict[str, Any] | None = None,
    environ: dict[str, str] | None = None,
    on_disk: bool = False,
    log: Callable[[str], None] | None = None,
) -> AsyncIterator[World]:
    """Run a gateway in front of a scripted upstream.

    The upstream is `up`, `beside`, and `away`, which counts as remote. on_disk: records go to files
    instead of memory; settings: `{upstream}` in them is its address; log: gets the lines of the access log.
    """
    script = Script.model_validate({**SCRIPT, "models": {**SCRIPT["models"], **(models or {})}})
    upstream = await serve_scripted(script)
    try:
        config = tmp_path / "own.toml"
        entries = "".join(
            f'[endpoints.{name}]\nkind = "openai_compatible"\nbase_url = "{upstream.base_url}"\napi_key = "{script.api_key}"\n'
            f"local = {local}\n"
            for name, local in (("up", "true"), ("beside", "true"), ("away", "false"))
        )
        config.write_text(f"{settings.replace('{upstream}', upstream.base_url)}\n{entries}", "utf-8")
        variables = {"SELFOPT_CONFIG": str(config), "SELFOPT_HOME": str(tmp_path / "home"), **(environ or {})}
        async with App.open(environ=variables, cwd=tmp_path) as app, aiohttp.ClientSession(timeout=NEVER) as session:
            chosen = options_with(gateway_options(app, None, 0), **(options or {}))
            gateway = build_gateway(app, chosen, None if on_disk else MemoryJournal(), log)
            await gateway.start()
            try:
                yield World(app, gateway, upstream, session)
            finally:
                await gateway.close()
    finally:  # also when the gateway is refused: a loop that is left a listening server never closes
        await upstream.close()
