"""The sentences about why a server refuses a request, and what helps."""

from __future__ import annotations

from collections.abc import Mapping

from selfopt.errors import Cause

TITLES: Mapping[Cause, str] = {
    "no_tools": "the model has no tools there",
    "tools_off": "the server was started without tool calling",
    "not_parsed": "the server could not read the call that the model wrote",
    "roles": "the model's chat template refuses these roles",
    "context": "the request is longer than the context",
    "memory": "the model does not fit into memory",
    "payment": "the account has no credit",
    "rate": "too many requests",
    "unknown_model": "the server does not know the model",
    "not_loaded": "the model is not loaded yet, or could not be",
}
"""Each cause in a few words."""

REMEDIES: Mapping[Cause, str] = {
    "no_tools": "use a variant that writes the tools into the prompt (`atomic@2`, `extended@2`), or a model that has tools",
    "tools_off": "start the server with --jinja (llama.cpp), or with --enable-auto-tool-choice and --tool-call-parser (vLLM), "
    "or use a variant that writes the tools into the prompt (`atomic@2`, `extended@2`)",
    "not_parsed": "use a variant whose calls are read here (`atomic@2`, `extended@2`), or update the server",
    "roles": "use a variant that writes the conversation as text (`extended@2`), or give the model another chat template",
    "context": "raise the context size of the server (num_ctx in Ollama, -c in llama.cpp, --max-model-len in vLLM), or send less",
    "memory": "use a smaller model or quantisation, lower the context size, or free memory",
    "payment": "add credit to the account",
    "rate": "wait, or lower the number of requests under way",
    "unknown_model": "check the model's name, and that it is pulled or served there",
    "not_loaded": "wait until it is loaded, load it on the server, or warm it up first",
}
"""What a user can do about each cause."""


def cause_text(cause: Cause) -> str:
    """A cause and what helps, in one line."""
    return f"{TITLES[cause]}: {REMEDIES[cause]}"
