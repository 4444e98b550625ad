"""A variant that reads log probabilities at the command line: tried, measured, and refused where none can come."""

from __future__ import annotations

import pytest

from selfopt.scripted.script import Script

from .servers import scripted_server
from .test_logprobs import lab, own_endpoint, sums
from .world import Project

CALL = {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]}
MODELS = Script.model_validate(
    {
        "models": {
            "sure": {"default": {**CALL, "logprob": -0.01}},
            "unsure": {"default": {**CALL, "logprob": -1.0}},
            "blind": {"default": CALL},
        }
    }
)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("sure", 'get_weather(city="Oslo")'),
        ("unsure", "the model was not as sure of its reply as the variant asks"),
        ("blind", "the variant asks how sure the model was and the reply has no log probabilities"),
    ],
)
def test_try_says_why_a_call_was_withheld(project: Project, monkeypatch: pytest.MonkeyPatch, model: str, said: str) -> None:
    """It asks for them though nothing is measured."""
    with scripted_server(MODELS) as url:
        own_endpoint(project, monkeypatch, lab(url))
        tried = project.ok("try", f"lab/{model}", "Weather in Oslo?", "--tools", "tools.json", "--variant", "surety=1").out
    assert said in " ".join(tried.split())


@pytest.mark.parametrize(
    ("kind", "more", "why"),
    [
        ("openai_compatible", 'omit = ["logprobs"]\n', "omit names them in its settings"),
        ("anthropic", "", "its kind, anthropic, has none"),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("run", "lab/sure", "atomic", "surety=1"),
        ("try", "lab/sure", "Hi", "--tools", "tools.json", "--variant", "surety=1"),
        ("run", "lab/sure", "atomic", "decide=even"),
    ],
)
def test_where_none_can_come_the_command_ends_before_the_first_request(
    project: Project, monkeypatch: pytest.MonkeyPatch, kind: str, more: str, why: str, command: tuple[str, ...]
) -> None:
    """In one line that says what to do. No server is there to be asked."""
    own_endpoint(project, monkeypatch, lab("http://127.0.0.1:9", kind, more))
    refused = project.run(*command)
    assert refused.code == 2
    assert why in refused.err
    assert (
        f"take a variant without {'sure-N in its parsers' if 'surety=1' in command else 'decide or pick among its options'}"
        in refused.err
    )


def test_a_variant_that_reads_them_is_measured_with_them_whatever_the_settings_say(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`logprobs = false` is about what nobody reads."""
    with scripted_server(MODELS) as url:
        own_endpoint(project, monkeypatch, lab(url, more="logprobs = false\n"))
        project.ok("run", "lab/sure", "atomic", "native_api", "--json")
        assert sums(project) == []
        verdicts = project.ok("run", "lab/sure", "atomic", "surety=1", "--json").json()["verdicts"]
    assert len(sums(project)) == len(verdicts)
