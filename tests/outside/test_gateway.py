"""A promoted variant makes no request worse: no call is lost, no request refused, no field dropped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import rules_file, selfopt, serving, settle
from .kit import DATA, Answer, marked, post
from .odd_server import OddServer

PARAMETERS: dict[str, dict[str, Any]] = {
    "city_weather": {"properties": {"city": {"type": "string"}}, "required": ["city"]},
    "list_alarms": {"properties": {}},
    "set_timer": {"properties": {"minutes": {"type": "number"}}},
    "write_note": {"properties": {"text": {"type": "string"}}},
}
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", **parameters}}}
    for name, parameters in PARAMETERS.items()
]
GRAZ = ("city_weather", {"city": "Graz"})
BERN = ("city_weather", {"city": "Bern"})
WHOLE = {
    "args_trailcomma": [GRAZ],
    "args_single": [GRAZ],
    "args_double": [GRAZ],
    "args_rawnl": [("write_note", {"text": "one\ntwo"})],
    "args_broken": [GRAZ],
    "name_prefixed": [GRAZ],
    "name_kimi": [GRAZ],
    "name_newline": [GRAZ],
    "name_harmony": [GRAZ],
    "name_argtag": [("list_alarms", {})],
    "legacy_function_call": [GRAZ],
    "tool_calls_object": [GRAZ],
    "no_index_two": [GRAZ, BERN],
    "same_index_two": [GRAZ, BERN],
    "name_repeated": [GRAZ],
    "args_object": [GRAZ],
    "gzip": [GRAZ],
    "ok": [GRAZ],
    "reasoning_only": [],  # rehearsed in thinking: no call
}
STREAMED: dict[str, tuple[str, list[tuple[str, Any]]]] = {
    "ok": ("", [GRAZ]),
    "no_index_two": ("", [GRAZ, BERN]),
    "same_index_two": ("", [GRAZ, BERN]),
    "name_repeated": ("", [GRAZ]),
    "args_object": ("", [GRAZ]),
    "sse_message_not_delta": ("hi", []),
    "sse_bom": ("hi", []),
    "sse_multidata": ("hi", []),
    "sse_cr": ("hi", []),
    "sse_whole_json": ("hi", []),
}
REQUESTS: dict[str, dict[str, Any]] = json.loads((DATA / "requests.json").read_text("utf-8"))
FIELDS: dict[str, Any] = {
    "stop": ["END"],
    "n": 2,
    "logprobs": True,
    "top_logprobs": 2,
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "repeat_penalty": 1.1,
    "top_k": 40,
    "min_p": 0.1,
    "logit_bias": {"5": -100},
    "user": "ann",
    "metadata": {"a": "b"},
    "store": True,
    "reasoning_effort": "high",
    "response_format": {"type": "json_object"},
    "chat_template_kwargs": {"enable_thinking": True},
    "parallel_tool_calls": False,
    "tool_choice": "auto",
    "temperature": 0.3,
    "top_p": 0.9,
    "seed": 7,
    "max_tokens": 50,
    "service_tier": "auto",
    "keep_alive": "10m",
    "options": {"num_ctx": 8192},
}


def chat(model: str, **more: Any) -> dict[str, Any]:
    """A question with four tools."""
    return {"model": model, "messages": [{"role": "user", "content": "weather in Graz?"}], "tools": TOOLS, **more}


def ask(port: int, name: str, **headers: str) -> Answer:
    """One of the odd requests; the server answers it with text."""
    body = {key: value for key, value in REQUESTS[name].items() if key != "tools" or value is not None or name == "tools_null"}
    if REQUESTS[name].get("tools", TOOLS) is None and name != "tools_null":
        return post(port, {k: v for k, v in chat("lab/finish_null", **body).items() if k != "tools"}, **headers)
    return post(port, chat("lab/finish_null", **body), **headers)


@pytest.mark.parametrize(("model", "calls"), [marked("whole", name, name, calls) for name, calls in WHOLE.items()])
def test_a_call_that_the_server_reported_is_not_lost(gateway: int, model: str, calls: list[tuple[str, Any]]) -> None:
    """However damaged: it is repaired. What is only rehearsed in thinking is none."""
    answer = post(gateway, chat(f"lab/{model}"))
    assert (answer.status, answer.read_calls) == (200, calls)


@pytest.mark.parametrize(("model", "said"), [marked("streamed", name, name, said) for name, said in STREAMED.items()])
def test_a_stream_adds_up_to_the_answer(gateway: int, model: str, said: tuple[str, list[tuple[str, Any]]]) -> None:
    """Put together as servers send it in the wild; every form of server-sent events that is lawful is read."""
    answer = post(gateway, chat(f"lab/{model}", stream=True))
    assert (answer.status, answer.error) == (200, "")
    assert (answer.text, answer.read_calls, answer.done) == (*said, True)


@pytest.mark.parametrize("model", ["args_trailcomma", "name_kimi", "args_double"])
def test_with_the_variant_off_a_call_passes(gateway: int, model: str) -> None:
    """One call, for the client to read."""
    answer = post(gateway, chat(f"lab/{model}"), x_selfopt_variant="off")
    assert (answer.status, len(answer.calls), answer.finish) == (200, 1, "tool_calls")


@pytest.mark.parametrize("name", [marked("refused", name, name) for name in REQUESTS])
def test_a_variant_refuses_nothing_that_works_without_it(gateway: int, name: str) -> None:
    """Histories, tools and choices in every form that clients send."""
    assert ask(gateway, name).status == ask(gateway, name, x_selfopt_variant="off").status


@pytest.mark.parametrize(
    ("endpoint", "field"), [marked("fields", f"{where} {field}", where, field) for where in ("lab", "held") for field in FIELDS]
)
def test_a_variant_drops_and_changes_no_field(gateway: int, odd_server: OddServer, endpoint: str, field: str) -> None:
    """What the server is asked holds it as the client sent it."""
    before = len(odd_server.asked)
    assert post(gateway, chat(f"{endpoint}/finish_null", **{field: FIELDS[field]})).status == 200
    asked = [body for path, body in odd_server.asked[before:] if path.endswith("/chat/completions")]
    assert asked[-1].get(field) == FIELDS[field]


def test_with_the_variant_off_every_field_passes(gateway: int, odd_server: OddServer) -> None:
    """All at once."""
    assert post(gateway, chat("lab/finish_null", **FIELDS), x_selfopt_variant="off").status == 200
    path, asked = odd_server.asked[-1]
    assert path == "/v1/chat/completions"
    assert {field: asked.get(field) for field in FIELDS} == FIELDS


@pytest.fixture(scope="module")
def plain_gateway(tmp_path_factory: pytest.TempPathFactory, odd_server: OddServer) -> Any:
    """A gateway as it comes: it leaves an endpoint alone after five faults in a row, and denies one model by hand."""
    folder = settle(tmp_path_factory.mktemp("plain"), odd_server)
    assert selfopt(folder, "routes", "import", str(rules_file(folder, {"lab": "native_api"}))).returncode == 0
    assert selfopt(folder, "routes", "set", "oll/fn_index", "atomic", "--deny").returncode == 0
    with serving(folder) as port:
        yield port


@pytest.mark.parametrize("name", [marked("one model", name, name) for name in ("oll/fn_index", "oll/fn_index:latest")])
def test_two_names_of_one_model_are_one_model_for_the_rules(plain_gateway: int, name: str) -> None:
    """A server treats NAME and NAME:latest alike, and so does a rule."""
    assert post(plain_gateway, chat(name)).status == 403


@pytest.mark.parametrize(
    "name", ["oll/FN_Index", "oll/library/fn_index", "oll/registry.ollama.ai/library/fn_index:latest", "fn_index"]
)
def test_every_name_of_a_model_is_that_model_for_the_rules(plain_gateway: int, name: str) -> None:
    """Case, the registry's name, and the name alone where one endpoint has it."""
    assert post(plain_gateway, chat(name)).status == 403


def test_a_chat_without_tools_is_held_by_no_rule_about_them(plain_gateway: int) -> None:
    """And a client that is refused gets no operator's advice."""
    plain = {key: value for key, value in chat("oll/fn_index").items() if key != "tools"}
    assert post(plain_gateway, plain).status == 200
    refused = post(plain_gateway, chat("oll/fn_index"))
    assert refused.status == 403
    assert "--force-model" not in refused.error


def test_a_name_alone_is_found_or_told_in_full(plain_gateway: int) -> None:
    """Where one endpoint has it, and where several have it."""
    assert post(plain_gateway, chat("args_string")).read_calls == [GRAZ]
    several = post(plain_gateway, chat("ok"))
    assert several.status == 404
    assert all(name in several.error for name in ("lab/ok", "held/ok", "oll/ok"))


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "city_weather"}}])
def test_a_required_call_that_is_not_made_is_no_error(gateway: int, choice: Any) -> None:
    """An SDK would retry one. The text comes, with a header that says so."""
    answer = post(gateway, chat("lab/finish_null", tool_choice=choice))
    assert (answer.status, answer.headers["x-selfopt-unmet"], answer.text != "") == (200, "tool_choice", True)


@pytest.mark.parametrize("fault", [marked("breaker", name, name) for name in ("content", "one model")])
def test_only_a_fault_of_the_server_closes_an_endpoint(plain_gateway: int, fault: str) -> None:
    """Five replies without the required call, or five failures of one model, close nothing for others."""
    bad, good = {
        "content": (chat("lab/finish_null", tool_choice="required"), "lab/ok"),
        "one model": (chat("oll/parse"), "oll/ok"),
    }[fault]
    for _ in range(5):
        post(plain_gateway, bad)
    answer = post(plain_gateway, chat(good))
    assert (answer.status, answer.read_calls) == (200, [GRAZ])


def test_a_gateway_on_a_home_that_cannot_be_written_does_not_start(tmp_path: Path, odd_server: OddServer) -> None:
    """It says why, in one line; no request is served without a record."""
    folder = settle(tmp_path / "project", odd_server)
    (folder / "home").write_text("no folder")
    done = selfopt(folder, "serve", "--port", "0")
    assert done.returncode in (1, 2)
    assert done.stderr.count("selfopt: ") == 1
    assert "Traceback" not in done.stderr
