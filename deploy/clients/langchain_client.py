"""LangChain's clients for OpenAI's and Anthropic's APIs."""

from importlib.metadata import version

from checks import CITY, EMBEDDING, HELLO, KEY, MODEL, URL, WEATHER, Checks
from langchain_anthropic import ChatAnthropic
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings


@tool
def get_weather(city: str) -> str:
    """Get the current weather in a city."""
    return "It is raining."


failed = False
for package, api, model in (
    ("langchain-openai", "chat", ChatOpenAI(model=MODEL, base_url=URL, api_key=KEY)),
    ("langchain-openai", "responses", ChatOpenAI(model=MODEL, base_url=URL, api_key=KEY, use_responses_api=True)),
    ("langchain-anthropic", "messages", ChatAnthropic(model=MODEL, base_url=URL.removesuffix("/v1"), api_key=KEY, max_tokens=200)),
):
    checks, with_tool = Checks(f"{package} {version(package)}, {api}"), model.bind_tools([get_weather])

    def streamed(chosen, text):
        whole = None
        for part in chosen.stream(text):
            whole = part if whole is None else whole + part
        return [call["args"] for call in whole.tool_calls] or whole.text

    checks.check("text", lambda: model.invoke(HELLO).text)
    checks.check("text streamed", lambda: streamed(model, HELLO))
    checks.check("tool", lambda: [call["args"] for call in with_tool.invoke(WEATHER).tool_calls])
    checks.check("tool streamed", lambda: streamed(with_tool, WEATHER))
    failed = failed or checks.failed
if EMBEDDING:
    # Without this option LangChain sends tokens of OpenAI's own models.
    vectors = OpenAIEmbeddings(model=EMBEDDING, base_url=URL, api_key=KEY, check_embedding_ctx_length=False)
    checks = Checks(f"langchain-openai {version('langchain-openai')}")
    checks.check("embeddings", lambda: vectors.embed_documents([HELLO, CITY])[1][:2])
    failed = failed or checks.failed
raise SystemExit(failed)
