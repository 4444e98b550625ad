"""Anthropic's client for Python."""

import anthropic
from checks import DESCRIPTION, HELLO, KEY, MODEL, PARAMETERS, URL, WEATHER, Checks

client = anthropic.Anthropic(base_url=URL.removesuffix("/v1"), api_key=KEY)
checks = Checks(f"anthropic {anthropic.__version__} (Python)")
hello, weather = ([{"role": "user", "content": text}] for text in (HELLO, WEATHER))
tools = [{"name": "get_weather", "description": DESCRIPTION, "input_schema": PARAMETERS}]
asked = {"model": MODEL, "max_tokens": 200}


def said(answer):
    return [block.input for block in answer.content if block.type == "tool_use"] or "".join(
        block.text for block in answer.content if block.type == "text"
    )


def streamed(**more):
    with client.messages.stream(**asked, **more) as stream:
        return said(stream.get_final_message())


def counted():
    try:
        return client.messages.count_tokens(model=MODEL, messages=hello).input_tokens
    except anthropic.NotFoundError as missing:  # only servers that speak Anthropic's API count
        return missing.body["error"]["message"]


def answered():
    first = client.messages.create(**asked, messages=weather, tools=tools)
    call = next(block for block in first.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "It is raining."}
    turns = [*weather, {"role": "assistant", "content": first.content}, {"role": "user", "content": [result]}]
    return said(client.messages.create(**asked, messages=turns, tools=tools))


checks.check("message", lambda: said(client.messages.create(**asked, messages=hello)))
checks.check("message streamed", lambda: streamed(messages=hello))
checks.check("message tool", lambda: said(client.messages.create(**asked, messages=weather, tools=tools)))
checks.check("message tool streamed", lambda: streamed(messages=weather, tools=tools))
checks.check("answer after a result", answered)
checks.check("count of tokens", counted)
checks.done()
