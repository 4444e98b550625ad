"""The endpoint kind `scripted`."""

from __future__ import annotations

from selfopt.dialects.kinds import EndpointKind
from selfopt.dialects.openai_chat import OpenAIChat
from selfopt.records import Endpoint, EndpointConfig, Residency


def _in_process(config: EndpointConfig) -> tuple[Endpoint, Residency] | None:
    if config.base_url is not None:
        return None
    from .endpoint import ScriptedEndpoint, ScriptedResidency

    return ScriptedEndpoint(config), ScriptedResidency(config)


KIND = EndpointKind(
    dialect=OpenAIChat,
    speaks=OpenAIChat.name,
    in_process=_in_process,
    serverless=True,
    grammars=True,
    any_schema=True,
    logprobs=False,
    takes_temperature=lambda _model: False,  # a script says what it says
)
