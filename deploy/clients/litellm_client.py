"""LiteLLM as a client, of OpenAI's and Anthropic's APIs."""

from importlib.metadata import version

import litellm
from checks import DESCRIPTION, EMBEDDING, HELLO, KEY, MODEL, PARAMETERS, URL, WEATHER, Checks

litellm.suppress_debug_info = True
tools = [{"type": "function", "function": {"name": "get_weather", "description": DESCRIPTION, "parameters": PARAMETERS}}]
failed = False
for provider, base in (("openai", URL), ("anthropic", URL.removesuffix("/v1"))):
    checks = Checks(f"litellm {version('litellm')}, {provider}")

    def asked(text, **more):
        turns = [{"role": "user", "content": text}]
        return litellm.completion(f"{provider}/{MODEL}", turns, api_base=base, api_key=KEY, num_retries=0, **more)

    def streamed(text, **more):
        parts = list(asked(text, stream=True, **more))
        return said(litellm.stream_chunk_builder(parts))

    def said(answer):
        message = answer.choices[0].message
        return [call.function.arguments for call in message.tool_calls or ()] or message.content

    checks.check("chat", lambda: said(asked(HELLO)))
    checks.check("chat streamed", lambda: streamed(HELLO))
    checks.check("tool", lambda: said(asked(WEATHER, tools=tools)))
    checks.check("tool streamed", lambda: streamed(WEATHER, tools=tools))
    if EMBEDDING and provider == "openai":
        vectors = lambda: litellm.embedding(f"openai/{EMBEDDING}", [HELLO, WEATHER], api_base=URL, api_key=KEY)
        checks.check("embeddings", lambda: vectors().data[1]["embedding"][:2])
    failed = failed or checks.failed
raise SystemExit(failed)
