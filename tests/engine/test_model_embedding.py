"""Embeddings of the embedded engine with a real model (`pytest -m model`)."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from selfopt.engine.catalogue import load_catalogue
from selfopt.engine.embedded import EmbeddedEngine, EngineOptions
from selfopt.engine.store import ModelStore
from selfopt.errors import EndpointError
from selfopt.records import ChatReply, ChatRequest, EndpointConfig, Message
from selfopt.wiring.embedded import EmbeddedEmbedding, EmbeddedResidency

pytestmark = pytest.mark.model

SMALL = "local/smollm2-135m"


async def test_a_chat_model_embeds_texts_and_bears_what_clients_send(tmp_path: Path) -> None:
    """The same text is as similar as can be; odd texts are embedded or refused, and the child lives on."""
    store, catalogue = ModelStore.default(), load_catalogue()
    store.pull(catalogue[SMALL], lambda _: None)
    async with EmbeddedEngine(store, catalogue, EngineOptions(log_dir=tmp_path / "logs")) as engine:
        embedding = EmbeddedEmbedding(engine, EndpointConfig(name="local", kind="embedded", local=True))

        async def ask(*texts: str) -> ChatReply:
            messages = tuple(Message(role="user", content=text) for text in texts)
            return await embedding.chat(ChatRequest(model=SMALL, messages=messages, timeout_s=300))

        same, other = json.loads((await ask("a song", "a song", "parcel status")).content.text)
        assert same == pytest.approx(1, abs=1e-4)
        assert other < same
        pid = engine.pids()[f"{SMALL} (embedding)"]
        for odd in ("!" * 1_000, "\x00" * 300, "\u6771" * 300, " "):
            with contextlib.suppress(EndpointError):
                (near,) = json.loads((await ask(odd, "a song")).content.text)
                assert -1.001 <= near <= 1.001
        assert engine.pids() == {f"{SMALL} (embedding)": pid}
        status = await EmbeddedResidency(engine, embedding=True).status(SMALL)
        assert (status.state, status.digest) == ("loaded", catalogue[SMALL].sha256)
        await embedding.close()
