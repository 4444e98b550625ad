"""Residency of models in Ollama."""

from __future__ import annotations

import re
from typing import Any

from selfopt.dialects.jsontext import as_dict, as_int, as_list, as_str
from selfopt.dialects.ollama import Ollama, one_name
from selfopt.errors import EndpointError
from selfopt.reading.families import family_of_template
from selfopt.records import EndpointConfig, ModelStatus, sha256_hex

from .http import UNLOAD_TIMEOUT_S, HttpClient
from .http_stream import Call

FIRST_WITH_LOGPROBS = (0, 12, 11)


class OllamaResidency:
    """A `Residency` that uses /api/ps, /api/tags, /api/show and /api/generate without a prompt.

    It keeps no connection open.
    """

    def __init__(self, config: EndpointConfig) -> None:
        """Raises SettingsError without a usable base_url."""
        self._config = config
        self._dialect = Ollama(config)
        self._root = self._dialect.root

    async def status(self, model: str) -> ModelStatus:
        """The model's state; "unknown" if the server does not answer. Loads and raises nothing."""
        async with self._client() as client:
            loaded = await self._entries(client, "/api/ps")
            if loaded is None:
                return ModelStatus(state="unknown", engine="ollama", answers=False)
            running = _entry_of(loaded, model)
            entry = running or _entry_of(await self._entries(client, "/api/tags") or [], model)
            shown = await client.ask(f"{self._root}/api/show", {"model": model}) if entry else {}
            version = await client.ask(f"{self._root}/api/version")
        template, capabilities = as_str(shown.get("template")), as_list(shown.get("capabilities"))
        quantization = as_str(as_dict(entry.get("details")).get("quantization_level"))
        return ModelStatus(
            state="loaded" if running else "unloaded",
            digest=as_str(entry.get("digest")) or "unknown",
            quantization=quantization or "unknown",
            template_hash=sha256_hex(template) if template else "unknown",
            family=family_of_template(template) or "unknown",
            engine="ollama",
            engine_build=as_str(version.get("version")) or "unknown",
            context_size=as_int(running.get("context_length")) or None,
            expires_at=as_str(running.get("expires_at")) or None,
            answers=True,
            tools="tools" in capabilities if capabilities else None,
            thinking="thinking" in capabilities if capabilities else None,
            logprobs=_gives_logprobs(as_str(version.get("version"))),
        )

    async def load(self, model: str, timeout_s: float) -> float:
        """Load the model by a request without a prompt.

        Returns:
            The milliseconds that it took.

        Raises:
            EndpointError: the model could not be loaded.
        """
        async with self._client() as client:
            return (await client.call(Call(f"{self._root}/api/generate", {"model": model, "stream": False}, timeout_s)))[1]

    async def unload(self, model: str) -> bool:
        """Unload the model and check that it is unloaded. Returns False if it is not."""
        body = {"model": model, "keep_alive": 0, "stream": False}
        async with self._client() as client:
            try:
                await client.call(Call(f"{self._root}/api/generate", body, UNLOAD_TIMEOUT_S))
            except EndpointError:
                return False
            loaded = await self._entries(client, "/api/ps")
        return loaded is not None and not _entry_of(loaded, model)

    async def installed(self) -> list[str] | None:
        """See `ListsModels`."""
        async with self._client() as client:
            entries = await self._entries(client, "/api/tags")
        return None if entries is None else sorted({name for entry in entries if (name := as_str(entry.get("name")))})

    def _client(self) -> HttpClient:
        return HttpClient(self._config, self._root, self._dialect.headers)

    async def _entries(self, client: HttpClient, path: str) -> list[dict[str, Any]] | None:
        told = await client.ask(f"{self._root}{path}")
        models = told.get("models", told)
        if models is None:  # an empty list, as some versions write it
            return []
        return [as_dict(entry) for entry in models] if isinstance(models, list) else None


def _gives_logprobs(version: str) -> bool | None:
    """Whether a version of Ollama has log probabilities; None for one that is no release."""
    numbers = re.fullmatch(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:-rc\d{1,6})?", version)
    return tuple(map(int, numbers.groups())) >= FIRST_WITH_LOGPROBS if numbers else None


def _entry_of(entries: list[dict[str, Any]], model: str) -> dict[str, Any]:
    """The entry of a model, under whichever of its names; empty if there is none."""
    wanted = one_name(model)
    return next((e for e in entries if wanted in (one_name(as_str(e.get("name"))), one_name(as_str(e.get("model"))))), {})
