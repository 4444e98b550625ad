"""Residency of models in OpenAI-compatible servers: llama.cpp, LM Studio, vLLM, scripted.

LM Studio reports the state of its models at /api/v0/models, and vLLM its version at /version.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

from selfopt.dialects.jsontext import as_dict, as_int, as_list, as_str
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.dialects.servers import thinks_by_name
from selfopt.errors import EndpointError
from selfopt.reading.families import family_of_template
from selfopt.reading.thinking_marks import thinks_by_template
from selfopt.records import (
    ChatRequest,
    EndpointConfig,
    Message,
    ModelStatus,
    Residency,
    Sampling,
    is_loopback,
    sha256_hex,
)

from .always_resident import AlwaysResident
from .endpoint import HttpEndpoint
from .http import PROBE_TIMEOUT_S, UNLOAD_TIMEOUT_S, HttpClient
from .http_stream import Call

POLL_S = 0.25
State = Literal["loaded", "loading", "unloaded", "sleeping", "unknown"]
_STATES: dict[str, State] = {
    "loaded": "loaded",
    "loading": "loading",
    "unloaded": "unloaded",
    "not-loaded": "unloaded",
    "sleeping": "sleeping",
}
_WITH_LOGPROBS = frozenset({"llamacpp", "vllm", "sglang"})
_ENGINES = {"organization_owner": "lm studio"}


class OpenAIResidency:
    """A `Residency` that uses /health, /v1/models and llama.cpp's /props.

    These neither load nor wake a model. It keeps no connection open.
    """

    def __init__(self, config: EndpointConfig) -> None:
        """Raises SettingsError without a usable base_url."""
        self._config = config
        self._dialect = OpenAIChat(config)
        self._api = self._dialect.root
        self._root = self._api.removesuffix("/v1")

    async def status(self, model: str) -> ModelStatus:
        """The model's status; "unknown" for what the server hides. Loads and raises nothing."""
        async with self._client() as client:
            try:
                await client.call(Call(f"{self._root}/health", timeout_s=PROBE_TIMEOUT_S))
            except EndpointError as error:
                if error.kind == "loading":
                    return ModelStatus(state="loading", answers=True)
                if error.kind in ("connect", "timeout"):
                    return ModelStatus(state="unknown", answers=False)
            entry = await self._entry(client, model)
            owner = entry.get("owned_by")
            props = await client.ask(f"{self._root}/props") if owner == "llamacpp" else {}
            told = await client.ask(f"{self._root}/version") if owner == "vllm" else {}
            if owner == "organization_owner":
                entry = {**entry, **await self._listed(client, f"{self._root}/api/v0/models", model)}
        meta, template = as_dict(entry.get("meta")), as_str(props.get("chat_template"))
        context = as_int(as_dict(props.get("default_generation_settings")).get("n_ctx")) or as_int(meta.get("n_ctx"))
        context = context or as_int(entry.get("loaded_context_length")) or as_int(entry.get("max_model_len"))
        return ModelStatus(
            state=_state_of(entry, props),
            digest=as_str(meta.get("digest")) or "unknown",
            quantization=as_str(meta.get("quantization"))
            or as_str(meta.get("ftype"))
            or as_str(entry.get("quantization"))
            or "unknown",
            template_hash=sha256_hex(template) if template else "unknown",
            family=family_of_template(template + as_str(props.get("chat_template_tool_use"))) or "unknown",
            engine=_ENGINES.get(as_str(owner), as_str(owner)) or "unknown",
            engine_build=as_str(props.get("build_info")) or as_str(told.get("version")) or "unknown",
            slots=as_int(props.get("total_slots")),
            context_size=context or None,
            answers=True,
            logprobs=True if owner in _WITH_LOGPROBS else None,
            thinking=thinks_by_template(template) if template else thinks_by_name(model),
        )

    async def load(self, model: str, timeout_s: float) -> float:
        """Load the model, without dropping the request that loads it.

        A server that lists the state of its models is asked to load this one; any other is asked
        for one token. If the model is still loading then, its state is polled.

        Returns:
            The milliseconds that it took.

        Raises:
            EndpointError: the time is up, or the server refuses.
        """
        started = time.monotonic()
        async with self._client() as client:
            listed = as_dict((await self._entry(client, model)).get("status"))
            if listed.get("value") == "loaded":
                return 0.0
            asked = bool(listed) and await self._ask_for_load(client, model, timeout_s)
        while True:
            left = timeout_s - (time.monotonic() - started)
            try:
                if not asked:
                    await self._one_token(model, max(left, 0.001))
                    asked = True
                if (await self.status(model)).state != "loading":
                    return (time.monotonic() - started) * 1000
            except EndpointError as error:
                if error.kind != "loading" or left <= POLL_S:
                    raise
            if left <= POLL_S:
                said = (
                    f"endpoint {self._config.name}: {model} is still being loaded after {timeout_s:g} s; raise the load timeout"
                )
                raise EndpointError(said, kind="timeout")
            await asyncio.sleep(POLL_S)

    async def unload(self, model: str) -> bool:
        """Unload the model, if the server lists the state of its models. Returns whether it did."""
        async with self._client() as client:
            if not as_dict((await self._entry(client, model)).get("status")):
                return False
            try:
                await client.call(Call(f"{self._root}/models/unload", {"model": model}, UNLOAD_TIMEOUT_S))
            except EndpointError:
                return False
        return True

    async def installed(self) -> list[str] | None:
        """See `ListsModels`."""
        async with self._client() as client:
            listed = (await client.ask(f"{self._api}/models")).get("data")
        return [name for entry in listed if (name := as_str(as_dict(entry).get("id")))] if isinstance(listed, list) else None

    async def _ask_for_load(self, client: HttpClient, model: str, timeout_s: float) -> bool:
        try:
            await client.call(Call(f"{self._root}/models/load", {"model": model}, timeout_s))
        except EndpointError as error:
            if error.kind == "timeout":
                raise
            return False
        return True

    async def _one_token(self, model: str, timeout_s: float) -> None:
        question = (Message(role="user", content="Hi"),)
        endpoint = HttpEndpoint(self._config, self._dialect)
        try:
            await endpoint.chat(ChatRequest(model=model, messages=question, sampling=Sampling(max_tokens=1), timeout_s=timeout_s))
        finally:
            await endpoint.close()

    def _client(self) -> HttpClient:
        return HttpClient(self._config, self._api, self._dialect.headers)

    async def _entry(self, client: HttpClient, model: str) -> dict[str, Any]:
        return await self._listed(client, f"{self._api}/models", model)

    async def _listed(self, client: HttpClient, url: str, model: str) -> dict[str, Any]:
        listed = map(as_dict, as_list((await client.ask(url)).get("data")))
        return next((entry for entry in listed if entry.get("id") == model), {})


def residency_of(config: EndpointConfig) -> Residency:
    """The residency for a server. A remote one is not asked: its models always count as loaded."""
    away = config.base_url and not (config.local or is_loopback(config.base_url))
    return AlwaysResident(thinks=thinks_by_name) if away else OpenAIResidency(config)


def _state_of(entry: dict[str, Any], props: dict[str, Any]) -> State:
    if props.get("is_sleeping") is True:
        return "sleeping"
    told = as_str(as_dict(entry.get("status")).get("value")) or as_str(entry.get("state"))
    if told:
        return _STATES.get(told, "unknown")
    return "loaded" if entry.get("owned_by") in ("llamacpp", "vllm") else "unknown"
