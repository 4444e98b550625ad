"""OpenAI's client for Python: chats, responses and embeddings."""

import openai
from checks import DESCRIPTION, EMBEDDING, HELLO, KEY, MODEL, PARAMETERS, URL, WEATHER, Checks

client, checks = openai.OpenAI(base_url=URL, api_key=KEY), Checks(f"openai {openai.__version__} (Python)")
hello, weather = ([{"role": "user", "content": text}] for text in (HELLO, WEATHER))
function = {"name": "get_weather", "description": DESCRIPTION, "parameters": PARAMETERS}
tools, flat = [{"type": "function", "function": function}], [{"type": "function", **function}]


def streamed(**more):
    text, calls = "", {}
    for part in client.chat.completions.create(model=MODEL, stream=True, **more):
        delta = part.choices[0].delta if part.choices else None
        text += (delta and delta.content) or ""
        for call in (delta and delta.tool_calls) or ():
            calls[call.index] = calls.get(call.index, "") + (call.function.arguments or "")
    return list(calls.values()) or text


def responses(**more):
    text, calls = "", []
    for event in client.responses.create(model=MODEL, stream=True, **more):
        text += event.delta if event.type == "response.output_text.delta" else ""
        calls += [event.arguments] if event.type == "response.function_call_arguments.done" else []
    return calls or text


def call_of(answer):
    return [call.function.arguments for call in answer.choices[0].message.tool_calls or ()]


checks.check("chat", lambda: client.chat.completions.create(model=MODEL, messages=hello).choices[0].message.content)
checks.check("chat streamed", lambda: streamed(messages=hello))
checks.check("chat tool", lambda: call_of(client.chat.completions.create(model=MODEL, messages=weather, tools=tools)))
checks.check("chat tool streamed", lambda: streamed(messages=weather, tools=tools))
checks.check("response", lambda: client.responses.create(model=MODEL, input=HELLO).output_text)
checks.check("response streamed", lambda: responses(input=HELLO))
checks.check(
    "response tool",
    lambda: [item.arguments for item in client.responses.create(model=MODEL, input=WEATHER, tools=flat).output if item.type == "function_call"],
)
checks.check("response tool streamed", lambda: responses(input=WEATHER, tools=flat))
checks.check("models", lambda: (client.models.list().object, [model.id for model in client.models.list()]))
if EMBEDDING:
    checks.check("embeddings", lambda: client.embeddings.create(model=EMBEDDING, input=[HELLO, WEATHER]).data[1].embedding[:2])
checks.done()
