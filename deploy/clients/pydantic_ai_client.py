"""pydantic-ai: an agent that calls a tool and answers with its result."""

import asyncio
from importlib.metadata import version

from checks import HELLO, KEY, MODEL, URL, WEATHER, Checks
from pydantic_ai import Agent
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

openai = OpenAIProvider(base_url=URL, api_key=KEY)
anthropic = AnthropicProvider(base_url=URL.removesuffix("/v1"), api_key=KEY)
failed = False
for kind, model in (
    ("chat", OpenAIChatModel(MODEL, provider=openai)),
    ("responses", OpenAIResponsesModel(MODEL, provider=openai)),
    ("messages", AnthropicModel(MODEL, provider=anthropic)),
):
    checks, asked = Checks(f"pydantic-ai {version('pydantic-ai-slim')}, {kind}"), []
    agent, with_tool = Agent(model), Agent(model)

    @with_tool.tool_plain
    def get_weather(city: str) -> str:
        """Get the current weather in a city."""
        asked.append(city)
        return "It is raining."

    async def ran(chosen, text):
        return (await chosen.run(text)).output

    async def streamed(chosen, text):
        async with chosen.run_stream(text) as result:
            return await result.get_output()

    def called(run):
        asked.clear()
        return (asyncio.get_event_loop().run_until_complete(run(with_tool, WEATHER)), *asked)

    asyncio.set_event_loop(asyncio.new_event_loop())
    checks.check("run", lambda: asyncio.get_event_loop().run_until_complete(ran(agent, HELLO)))
    checks.check("run streamed", lambda: asyncio.get_event_loop().run_until_complete(streamed(agent, HELLO)))
    checks.check("tool and answer", lambda: called(ran))
    checks.check("tool and answer streamed", lambda: called(streamed))
    failed = failed or checks.failed
raise SystemExit(failed)
