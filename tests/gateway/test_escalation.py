"""Under a rule that serves when sure, a client gets a sure answer or the stronger model's, and nothing in between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import openai
import pytest

from selfopt.dialects.logprobs import TOP
from selfopt.errors import UsageError
from selfopt.gateway.ticket import LiveAttempt, RequestRecord
from selfopt.reading import read_calls
from selfopt.reading.signals import signals_of
from selfopt.records import (
    ConfidenceModel,
    ConfidenceTerms,
    Environment,
    LogProbs,
    Message,
    ReplyContent,
    Rule,
    ServedBound,
    ServeWhen,
    SignalName,
    SignalTerm,
    ToolCall,
    ToolDefinition,
    Variant,
    evidence_key,
    tool_set_name,
)
from selfopt.variants import get_variant

from .kit import SCRIPT, World, chat, gateway_world, until
from .servers import Said, raw_upstream
from .test_consent import careless  # noqa: F401  a fixture
from .test_harness import PLAY, WEATHER, promote
from .test_observing import SURE, TEXT, promote_other, told
from .test_streaming import entry

CALIBRATED = Environment(endpoint="up", model="up/m")  # of whose server nothing else is known
READS = Variant(name="reads", parsers=("all@2", "fit@2"))
WEATHER_TOOL, PLAY_TOOL = (ToolDefinition.model_validate(tool["function"]) for tool in (WEATHER, PLAY))
MODEL = ConfidenceModel(
    calls=ConfidenceTerms(intercept=-2.0, terms=(SignalTerm(signal="reply", low=-10.0, high=0.0, weight=5.0, unknown=0.0),)),
    text=ConfidenceTerms(intercept=-2.0, terms=(SignalTerm(signal="reply", low=-20.0, high=0.0, weight=5.0, unknown=0.0),)),
)
BLIND_MODEL = ConfidenceModel(
    calls=ConfidenceTerms(intercept=-3.0, terms=(SignalTerm(signal="unrepaired", low=0.0, high=1.0, weight=6.0, unknown=0.0),)),
    text=ConfidenceTerms(intercept=-3.0),
)
CALL = {"tool_calls": [{"name": "get_weather", "arguments": {"city": "Oslo"}}]}
MODELS: dict[str, Any] = {
    "m": {
        "replies": [
            {"match": {"tools": False}, "text": "A plain answer."},
            {"match": {"contains": "weather, surely"}, "logprob": -0.1, **CALL},
            {"match": {"contains": "weather, maybe"}, "logprob": -4.0, **CALL},
            {"match": {"contains": "in text, surely"}, "logprob": -0.1, "text": TEXT},
            {"match": {"contains": "in text, maybe"}, "logprob": -4.0, "text": TEXT},
            {"match": {"contains": "talk, surely"}, "logprob": -0.01, "text": "It is sunny in Oslo, as far as I know."},
            {"match": {"contains": "talk, maybe"}, "logprob": -5.0, "text": "It is sunny in Oslo, as far as I know."},
            {"match": {"contains": "cut"}, "logprob": -0.01, "text": "It is", "finish_reason": "length"},
            {"match": {"contains": "blind"}, "logprob": None, **CALL},
            {"match": {"contains": "unread"}, "logprob": -0.01, "tool_calls": [{"name": "get_weather", "arguments": "Oslo?"}]},
            {"match": {"contains": "You replied"}, "logprob": -0.1, **CALL},
            {"match": {"contains": "misfit"}, "logprob": -4.0, "tool_calls": [{"name": "get_weather", "arguments": {}}]},
        ],
        "default": {"text": "Just text.", "logprob": -3.0},
    },
    "mute": {"default": {"fault": {"kind": "status", "status": 500}}},
}


def serve_when(model: ConfidenceModel = MODEL, least: float = 0.8, **fields: Any) -> ServeWhen:
    bound = ServedBound(
        claim="these_tools", max_bad_share=0.1, confidence=0.95, n=300, tool_sets=2, served=200, bad=8, upper=0.07
    )
    return ServeWhen(
        calibration_id="cal-1",
        model=model,
        least=least,
        fitted_on="a",
        calibrated_on="b",
        **{"bound": bound, "evidence_key": evidence_key("", CALIBRATED), "environment": CALIBRATED, **fields},
    )


def asking(text: str, model: str = "up/m", **fields: Any) -> dict[str, Any]:
    return chat(model, messages=[{"role": "user", "content": text}], **{"tools": [WEATHER, PLAY], **fields})


async def sure_rule(world: World, fallback: str = "up/other", variant: Variant | None = READS, **fields: Any) -> None:
    """Make a rule that serves when sure, beside one that allows the stronger model."""
    model = fields.pop("of", "up/m")
    await promote(world, variant, model, fallback=fallback, serve_when=serve_when(**fields))
    if fallback == "up/other":
        await promote_other(world)


async def deny_other(world: World) -> None:
    """Nobody may serve in the smaller model's place."""
    for phase in ("atomic", "extended"):
        world.enforcer.set_rule("up/other", phase, allow=False)
    await world.reload()


def asked_models(world: World) -> list[str]:
    return [str((turn.body or {}).get("model")) for turn in world.upstream.journal]


async def metric(world: World, name: str) -> float:
    """The value of one figure; 0 where it is not listed."""
    for line in (await world.get("/metrics")).text.splitlines():
        if line.rpartition(" ")[0] == name:
            return float(line.rpartition(" ")[2])
    return 0.0


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("how", ["weather", "in text"])
async def test_a_sure_call_is_served_and_an_unsure_one_escalates(tmp_path: Path, how: str, stream: bool) -> None:
    """Streamed or not, reported by the server or written as text."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        sure = await world.post(asking(f"{how}, surely", stream=stream))
        assert told(sure, stream=stream)[0] == ["get_weather"]
        assert sure.headers["x-selfopt-model"] == "up/m"
        assert float(sure.headers["x-selfopt-confidence"]) >= 0.8
        assert "x-selfopt-escalated" not in sure.headers
        assert '"top_logprobs"' not in sure.text
        unsure = await world.post(asking(f"{how}, maybe", stream=stream))
        assert told(unsure, stream=stream) == ([], "I am the other.")
        assert unsure.headers["x-selfopt-model"] == "up/other"
        assert unsure.headers["x-selfopt-escalated"] == unsure.headers["x-selfopt-fallback"] == "unsure"
        assert float(unsure.headers["x-selfopt-confidence"]) < 0.8
        assert asked_models(world) == ["m", "m", "other"]


@pytest.mark.parametrize("stream", [False, True])
async def test_text_is_held_until_it_is_sure_and_then_is_the_same_text(tmp_path: Path, stream: bool) -> None:
    """Nothing of an answer that is not sure reaches the client."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        sure = await world.post(asking("talk, surely", stream=stream))
        assert told(sure, stream=stream) == ([], "It is sunny in Oslo, as far as I know.")
        assert sure.headers["x-selfopt-model"] == "up/m"
        unsure = await world.post(asking("talk, maybe", stream=stream))
        assert told(unsure, stream=stream) == ([], "I am the other.")
        assert "sunny" not in unsure.text


@pytest.mark.parametrize("stream", [False, True])
async def test_records_audit_and_metrics_hold_both_attempts(tmp_path: Path, stream: bool) -> None:
    """With their times, the confidence and the threshold; a request that was served is no diversion."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        await world.post(asking("weather, surely", stream=stream))
        await world.post(asking("weather, maybe", stream=stream))
        served, escalated = world.records
        assert (served.outcome, served.escalated) == ("served", ())
        assert served.attempts[0].confidence is not None
        assert served.attempts[0].least == 0.8
        assert served.attempts[0].confidence >= 0.8
        first, second = escalated.attempts
        assert (escalated.outcome, escalated.escalated, escalated.served) == ("diverted", ("unsure",), "up/other")
        assert (first.model, first.escalated, first.fault, first.least) == ("up/m", "unsure", "", 0.8)
        assert first.confidence is not None
        assert first.confidence < 0.8
        assert first.output_tokens
        assert (second.model, second.confidence, second.fault) == ("up/other", None, "")
        assert first.ms > 0 < second.ms
        entry_ = next(record for record in world.trail if record.event == "diverted")
        assert entry_.details["attempts"][0]["confidence"] == first.confidence
        assert entry_.details["attempts"][0]["escalated"] == "unsure"
        assert "0.800 is asked for" in entry_.reason
        assert await metric(world, 'selfopt_sure_answers_total{outcome="served"}') == 1
        assert await metric(world, 'selfopt_sure_answers_total{outcome="escalated"}') == 1
        assert await metric(world, 'selfopt_escalations_total{reason="unsure"}') == 1
        assert await metric(world, "selfopt_served_share") == 0.5
        assert await metric(world, "selfopt_confidence_count") == 2
        assert await metric(world, 'selfopt_confidence_bucket{le="0.8"}') == 1
        assert not await metric(world, 'selfopt_attempt_faults_total{fault="unsure"}')


def test_a_record_without_escalation_is_written_as_before() -> None:
    """So that readers of before go on."""
    from selfopt.gateway.journal import encode_record

    attempt = LiveAttempt("up/m", 1.0)
    record = RequestRecord(
        "now", "req", "served", 200, "up/m", "up/m", "atomic", None, 1, None, None, False, (attempt,), 1.0, None, None, None, ""
    )
    body = json.loads(encode_record(record))
    assert set(body["attempts"][0]) == {"model", "ms"}
    assert set(body) == {
        "kind",
        "at",
        "id",
        "outcome",
        "status",
        "model",
        "served",
        "phase",
        "rule",
        "version",
        "variant",
        "key",
        "stream",
        "attempts",
        "latency_ms",
        "first_byte_ms",
        "input_tokens",
        "output_tokens",
        "reason",
    }


async def test_only_a_model_of_confidence_that_reads_them_asks_for_log_probabilities(tmp_path: Path) -> None:
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world, model=BLIND_MODEL)
        answer = await world.post(asking("blind"))
        assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-confidence"]) == ("up/m", "0.9525")
        assert (world.upstream.journal[-1].body or {}).get("logprobs") is None
        await sure_rule(world)
        await world.post(asking("weather, surely"))
        assert (world.upstream.journal[-1].body or {})["logprobs"] is True


@pytest.mark.parametrize("stream", [False, True])
async def test_without_log_probabilities_the_stronger_model_answers_and_the_smaller_is_not_asked_in_vain(
    tmp_path: Path, stream: bool
) -> None:
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        for _ in range(2):
            answer = await world.post(asking("blind", stream=stream))
            assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-escalated"]) == ("up/other", "no_logprobs")
            assert "x-selfopt-confidence" not in answer.headers
        assert asked_models(world) == ["m", "other", "other"]
        assert await metric(world, 'selfopt_escalations_total{reason="no_logprobs"}') == 2
        assert await metric(world, "selfopt_unobserved_replies_total") == 2


class Odd:
    """A server whose log probabilities are no numbers, or too few."""

    def __init__(self, entries: list[dict[str, Any]], text: str = "The weather in Oslo is what it always is.") -> None:
        self.entries = entries
        self.text = text
        self.asked = 0

    def answer(self, asked: dict[str, Any]) -> bytes:
        """Return the answer to a request with this body."""
        self.asked += 1
        said = Said(self.text).answer({**asked, "stream": False})
        head, _, body = said.partition(b"\r\n\r\n")
        whole = json.loads(body)
        whole["choices"][0]["logprobs"] = {"content": self.entries}
        data = json.dumps(whole).encode()
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
        return b"\r\n".join([*lines, b"Content-Length: %d" % len(data), b"", data])


@pytest.mark.parametrize(
    "entries",
    [
        [],
        [{"token": "The", "logprob": -0.1, "top_logprobs": []}],
        [{"token": "The weather in Oslo is what it always is.", "logprob": float("nan"), "top_logprobs": []}],
        [{"token": "The weather in Oslo is what it always is.", "logprob": "sure", "top_logprobs": []}],
    ],
)
async def test_too_few_log_probabilities_and_what_is_no_number_escalate(tmp_path: Path, entries: list[dict[str, Any]]) -> None:
    async with raw_upstream(Odd(entries)) as url, gateway_world(tmp_path, MODELS, settings=entry("raw", url)) as world:
        await promote(world, READS, "raw/m", fallback="up/other", serve_when=serve_when(least=0.0))
        await promote_other(world)
        answer = await world.post(asking("weather", "raw/m"))
        assert (answer.status, answer.headers["x-selfopt-escalated"]) == (200, "no_logprobs")


@pytest.mark.parametrize(("entries", "asked"), [([], 1), ([{"token": "The", "logprob": -0.1, "top_logprobs": []}], 2)])
async def test_a_model_that_gave_too_few_is_asked_again_and_one_that_gave_none_is_not(
    tmp_path: Path, entries: list[dict[str, Any]], asked: int
) -> None:
    """It may give enough the next time."""
    server = Odd(entries)
    async with raw_upstream(server) as url, gateway_world(tmp_path, MODELS, settings=entry("raw", url)) as world:
        await promote(world, READS, "raw/m", fallback="up/other", serve_when=serve_when(least=0.0))
        await promote_other(world)
        for _ in range(2):
            assert (await world.post(asking("weather", "raw/m"))).headers["x-selfopt-escalated"] == "no_logprobs"
    assert server.asked == asked


async def test_characters_that_are_split_over_tokens_count_by_their_bytes(tmp_path: Path) -> None:
    """Servers name such tokens by empty texts."""
    text = "\u4f60\u597d\U0001f324"
    entries = [{"token": "", "logprob": -0.1, "bytes": [byte], "top_logprobs": []} for byte in text.encode()]
    async with raw_upstream(Odd(entries, text)) as url, gateway_world(tmp_path, MODELS, settings=entry("raw", url)) as world:
        await promote(world, READS, "raw/m", fallback="up/other", serve_when=serve_when())
        answer = await world.post(asking("weather", "raw/m"))
        assert answer.headers["x-selfopt-model"] == "raw/m"


@pytest.mark.parametrize(
    ("signal", "top"), [("reply", 1), ("choice", TOP), ("least_value", TOP), ("mean_value", TOP), ("backed", None)]
)
async def test_as_many_alternatives_are_asked_for_as_the_signals_are_measured_with(
    tmp_path: Path, signal: SignalName, top: int | None
) -> None:
    terms = ConfidenceTerms(intercept=9.0, terms=(SignalTerm(signal=signal, low=-9.0, high=0.0, weight=1.0, unknown=0.0),))
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world, model=ConfidenceModel(calls=terms, text=terms))
        assert (await world.post(asking("weather, surely"))).headers["x-selfopt-model"] == "up/m"
        assert (world.upstream.journal[-1].body or {}).get("top_logprobs") == top


async def test_log_probabilities_that_cover_the_reply_are_taken_as_they_are(tmp_path: Path) -> None:
    """The check above refuses nothing else."""
    entries = [{"token": "The weather in Oslo is what it always is.", "logprob": -0.1, "top_logprobs": []}]
    async with raw_upstream(Odd(entries)) as url, gateway_world(tmp_path, MODELS, settings=entry("raw", url)) as world:
        await promote(world, READS, "raw/m", fallback="up/other", serve_when=serve_when())
        answer = await world.post(asking("weather", "raw/m"))
        assert (answer.status, answer.headers["x-selfopt-model"]) == (200, "raw/m")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"tool_choice": "required"}, "unmeasured"),
        ({"n": 2}, "unmeasured"),
        ({"temperature": -1}, "unmeasured"),
        ({"response_format": {"type": "json_object"}}, "unmeasured"),
        ({"logit_bias": {"7": -100}}, "unmeasured"),
        ({"presence_penalty": 0.5}, "unmeasured"),
        ({"frequency_penalty": -0.5}, "unmeasured"),
        ({"top_k": 1}, "unmeasured"),
        ({"min_p": 0.1}, "unmeasured"),
        ({"stop": ["Oslo"]}, "unmeasured"),
        ({"reasoning_effort": "none"}, "unmeasured"),
        ({"think": False}, "unmeasured"),
        ({"chat_template_kwargs": {"enable_thinking": False}}, "unmeasured"),
    ],
)
async def test_what_nothing_was_measured_on_escalates_unasked(
    tmp_path: Path, fields: dict[str, Any], reason: str, stream: bool
) -> None:
    async with gateway_world(tmp_path, MODELS, options={"retries": 0}) as world:
        await sure_rule(world)
        answer = await world.post(asking("weather, surely", stream=stream, **fields))
        assert answer.headers["x-selfopt-escalated"] == reason
        assert asked_models(world)[0] == "other"


@pytest.mark.parametrize("stream", [False, True])
async def test_tools_that_the_bound_is_not_about_escalate_unasked(tmp_path: Path, stream: bool) -> None:
    """Whatever their order and descriptions. Where the choice leaves tools out, what is left counts."""
    both = tool_set_name([WEATHER_TOOL, PLAY_TOOL])
    allowed = {"mode": "auto", "tools": [{"type": "function", "function": {"name": "get_weather"}}]}
    other = {**PLAY, "function": {**PLAY["function"], "name": "stop"}}
    described = {**PLAY, "function": {**PLAY["function"], "description": "Plays a song."}}
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world, tool_sets=(both,))
        for fields, covered in (
            ({}, True),
            ({"tools": [described, WEATHER]}, True),
            ({"tools": [WEATHER]}, False),
            ({"tools": [WEATHER, other]}, False),
            ({"tool_choice": {"type": "allowed_tools", "allowed_tools": allowed}}, False),
        ):
            answer = await world.post(asking("weather, surely", stream=stream, **fields))
            assert answer.headers["x-selfopt-model"] == ("up/m" if covered else "up/other")
            assert answer.headers.get("x-selfopt-escalated") == (None if covered else "unmeasured")
        assert asked_models(world) == ["m", "m", "other", "other", "other"]


async def test_a_bound_on_unseen_tools_and_one_of_unknown_sets_are_about_other_tools_too(tmp_path: Path) -> None:
    """The first by what it claims. The second is of before the sets were kept."""
    unseen = serve_when().bound.model_copy(update={"claim": "unseen_tools"})
    async with gateway_world(tmp_path, MODELS) as world:
        for when in (serve_when(bound=unseen, tool_sets=("tools-1",)), serve_when()):
            await promote(world, READS, "up/m", fallback="up/other", serve_when=when)
            await promote_other(world)
            assert (await world.post(asking("weather, surely", tools=[WEATHER]))).headers["x-selfopt-model"] == "up/m"


@pytest.mark.parametrize("stream", [False, True])
async def test_a_reply_that_is_cut_escalates(tmp_path: Path, stream: bool) -> None:
    """Fewer tokens look surer. One that ends where the measured ones did was never right, however sure it looks."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        for limit, reason in ((2, "unmeasured"), (READS.sampling.max_tokens, "cut"), (None, "cut")):
            more: dict[str, Any] = {} if limit is None else {"max_tokens": limit}
            answer = await world.post(asking("cut", stream=stream, **more))
            assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-escalated"]) == ("up/other", reason)
        whole = await world.post(asking("talk, surely", stream=stream, max_tokens=2))
        assert whole.headers["x-selfopt-model"] == "up/m"


async def test_a_rule_without_a_variant_escalates_everything(tmp_path: Path) -> None:
    """Nothing says how its evidence was asked for."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world, variant=None)
        assert (await world.post(asking("weather, surely"))).headers["x-selfopt-escalated"] == "unmeasured"


async def test_chats_that_are_not_about_calls_and_those_past_the_variant_go_as_addressed(tmp_path: Path) -> None:
    """No tools, no choice, and the client's own switch: nothing is held and nothing is asked for."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        for body, headers in (
            (asking("talk, maybe", tools=[]), {}),
            (asking("talk, maybe", tool_choice="none"), {}),
            (asking("talk, maybe"), {"x-selfopt-variant": "off"}),
        ):
            answer = await world.post(body, headers)
            assert answer.headers["x-selfopt-model"] == "up/m"
            assert "x-selfopt-escalated" not in answer.headers
            assert (world.upstream.journal[-1].body or {}).get("logprobs") is None


async def test_a_call_that_nobody_can_read_escalates(tmp_path: Path) -> None:
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        answer = await world.post(asking("unread"))
        assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-escalated"]) == ("up/other", "unread")


@pytest.mark.parametrize("retry", [False, True])
async def test_a_call_that_does_not_fit_is_asked_for_once_more_where_the_rule_says_so(tmp_path: Path, retry: bool) -> None:
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world, retry=retry)
        answer = await world.post(asking("misfit in Oslo"))
        if retry:
            assert told(answer, stream=False)[0] == ["get_weather"]
            assert asked_models(world) == ["m", "m"]
            assert "lacks the required city" in json.dumps(world.upstream.journal[-1].body)
            return
        assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-escalated"]) == ("up/other", "invalid")
        assert asked_models(world) == ["m", "other"]


@pytest.mark.parametrize("stream", [False, True])
async def test_with_nobody_stronger_the_request_is_refused_for_good(tmp_path: Path, stream: bool) -> None:
    """In the client's dialect, in the trail, and so that no SDK sends it again."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        await deny_other(world)
        answer = await world.post(asking("weather, maybe", stream=stream))
        assert (answer.status, answer.error["code"]) == (422, "not_sure_enough")
        assert answer.headers["x-should-retry"] == "false"
        assert "confidence 0." in answer.error["message"]
        assert (world.records[-1].outcome, world.records[-1].served) == ("refused", None)
        assert world.trail[-1].event == "refused"
        assert await metric(world, 'selfopt_sure_answers_total{outcome="refused"}') == 1
        async with openai.AsyncOpenAI(base_url=world.url, api_key="unused") as client:
            with pytest.raises(openai.UnprocessableEntityError):
                await client.chat.completions.create(**asking("weather, maybe"))
        assert len(world.upstream.journal) == 2


@pytest.mark.parametrize("stream", [False, True])
async def test_if_the_stronger_model_fails_nothing_unsure_is_served(tmp_path: Path, stream: bool) -> None:
    """Its error is told, once."""
    async with gateway_world(tmp_path, MODELS, options={"retries": 0}) as world:
        await sure_rule(world, fallback="up/mute")
        answer = await world.post(asking("weather, maybe", stream=stream))
        assert answer.status == 502
        assert answer.headers["x-should-retry"] == "false"
        assert "get_weather" not in answer.text
        assert answer.headers["x-selfopt-escalated"] == "unsure"
        assert [attempt.model for attempt in world.records[-1].attempts] == ["up/m", "up/mute"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("fallback", ["up/mute", "up/other"])
async def test_the_settings_may_serve_what_was_held_without_asking_again(tmp_path: Path, stream: bool, fallback: str) -> None:
    settings = '[serve]\nwhen_fallback_fails = "serve"'
    async with gateway_world(tmp_path, MODELS, settings=settings, options={"retries": 0}) as world:
        await sure_rule(world, fallback=fallback)
        await deny_other(world)
        answer = await world.post(asking("weather, maybe", stream=stream))
        assert told(answer, stream=stream)[0] == ["get_weather"]
        assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-escalated"]) == ("up/m", "unsure")
        assert asked_models(world).count("m") == 1
        assert world.records[-1].outcome == "served"
        assert await metric(world, 'selfopt_sure_answers_total{outcome="below"}') == 1


@pytest.mark.parametrize("stream", [False, True])
async def test_what_one_model_held_is_never_served_as_another_ones(tmp_path: Path, stream: bool) -> None:
    """It is to be served, but what it says needs a plain answer of its model, which fails. Another one answers itself."""
    dropped = {"tool_calls": [{"name": "play", "arguments": {}}], "logprob": -9.0}
    failing = {"match": {"tools": False}, "fault": {"kind": "status", "status": 500}}
    models = {
        "m": {"replies": [failing], "default": dropped},
        "mid": {"default": {"fault": {"kind": "status", "status": 401}}},
        "other": {"replies": [failing], "default": CALL},
    }
    settings = '[serve]\nwhen_fallback_fails = "serve"'
    async with gateway_world(tmp_path, models, settings=settings, options={"retries": 0}) as world:
        rules: list[Rule] = []
        for model, fallback, when in (("m", "up/mid", serve_when()), ("mid", "up/other", None), ("other", None, None)):
            await promote(world, SURE if model == "m" else READS, f"up/{model}", fallback=fallback, serve_when=when)
            rules += world.enforcer.load().rules
        world.enforcer.apply(rules, event="test", reason="")
        await world.reload()
        answer = await world.post(asking("music", stream=stream))
        assert answer.status == 200, answer.text
        assert told(answer, stream=stream)[0] == ["get_weather"]
        assert answer.headers["x-selfopt-model"] == "up/other"
        assert asked_models(world) == ["m", "mid", "m", "other"]
        assert not await metric(world, 'selfopt_sure_answers_total{outcome="below"}')


async def test_an_open_breaker_of_the_stronger_model_refuses_at_once(tmp_path: Path) -> None:
    """With 503, and the smaller model's answer stays held."""
    async with gateway_world(tmp_path, MODELS, options={"retries": 0, "breaker_faults": 1}) as world:
        await sure_rule(world, fallback="up/mute")
        await world.post(asking("weather, maybe"))
        answer = await world.post(asking("weather, maybe"))
        assert answer.status == 503
        assert asked_models(world) == ["m", "mute", "m"]


async def test_a_smaller_model_that_fails_escalates(tmp_path: Path) -> None:
    async with gateway_world(tmp_path, MODELS, options={"retries": 0}) as world:
        await promote(world, READS, "up/mute", fallback="up/other", serve_when=serve_when())
        await promote_other(world)
        answer = await world.post(asking("hello", "up/mute"))
        assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-escalated"]) == ("up/other", "failed")


@pytest.mark.parametrize("fields", [{"tools": []}, {"tool_choice": "none"}])
async def test_a_smaller_model_that_fails_where_nothing_has_to_be_sure_is_no_escalation(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    """The fallback answers as without a threshold, and the conversation does not stay there for it."""
    async with gateway_world(tmp_path, MODELS, options={"retries": 0}) as world:
        await promote(world, READS, "up/mute", fallback="up/other", serve_when=serve_when())
        await promote_other(world)
        answer = await world.post(asking("hello", "up/mute", **fields))
        assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-fallback"]) == ("up/other", "server")
        assert "x-selfopt-escalated" not in answer.headers
        assert not await metric(world, 'selfopt_escalations_total{reason="failed"}')
        assert not await metric(world, 'selfopt_sure_answers_total{outcome="escalated"}')


async def test_the_stronger_model_has_to_be_sure_under_its_own_rule(tmp_path: Path) -> None:
    """And what neither is sure of goes on along the chain."""
    models = {**MODELS, "mid": {"default": {"text": "Perhaps.", "logprob": -9.0}}}
    async with gateway_world(tmp_path, models) as world:
        await promote(world, READS, "up/mid", fallback="up/other", serve_when=serve_when())
        config = world.enforcer.load().rules
        await promote(world, READS, "up/m", fallback="up/mid", serve_when=serve_when())
        world.enforcer.apply([*config, *world.enforcer.load().rules], event="test", reason="")
        await promote_other(world)
        answer = await world.post(asking("weather, maybe"))
        assert answer.headers["x-selfopt-model"] == "up/other"
        assert asked_models(world) == ["m", "mid", "other"]
        assert world.records[-1].escalated == ("unsure", "unsure")


async def test_a_rule_whose_stronger_model_is_remote_is_refused_by_name_without_consent(tmp_path: Path) -> None:
    """When it is made, and when it is loaded."""
    with pytest.raises(UsageError, match="away/other is remote, while allow_remote is off"):
        async with gateway_world(tmp_path, MODELS) as world:
            await sure_rule(world, fallback="away/other")
    async with gateway_world(tmp_path, MODELS, settings="allow_remote = true") as world:
        await sure_rule(world, fallback="away/other")
    with pytest.raises(UsageError, match="away/other is remote, while allow_remote is off"):
        async with gateway_world(tmp_path, MODELS):
            pass


@pytest.mark.usefixtures("careless")
@pytest.mark.parametrize("parallel", [False, True])
@pytest.mark.parametrize("stream", [False, True])
async def test_what_routing_lets_through_is_checked_before_anything_is_sent(tmp_path: Path, parallel: bool, stream: bool) -> None:
    """A sure answer is served all the same, and nothing reached the remote model."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world, fallback="away/other", parallel=parallel)
        refused = await world.post(asking("weather, maybe", stream=stream))
        assert (refused.status, refused.error["code"]) == (403, "no_consent")
        sure = await world.post(asking("weather, surely", stream=stream))
        assert sure.headers["x-selfopt-model"] == "up/m"
        assert asked_models(world) == ["m", "m"]


async def test_with_consent_a_remote_model_answers(tmp_path: Path) -> None:
    async with gateway_world(tmp_path, MODELS, settings="allow_remote = true") as world:
        await sure_rule(world, fallback="away/other")
        answer = await world.post(asking("weather, maybe"))
        assert answer.headers["x-selfopt-model"] == "away/other"
        assert world.trail[-1].details["crosses_to_remote"] is True


async def test_what_the_client_samples_with_gives_way_to_what_was_measured(tmp_path: Path) -> None:
    """And the answer says so; without a threshold it is as asked."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        answer = await world.post(asking("weather, surely", temperature=1.5, top_p=0.5, seed=3))
        assert answer.headers["x-selfopt-kept"] == "temperature, top_p"
        sent = world.upstream.journal[-1].body or {}
        assert (sent["temperature"], sent.get("top_p"), sent["seed"]) == (0.0, None, 3)
        await promote(world, READS, "up/m")
        await world.post(asking("weather, surely", temperature=1.5))
        assert (world.upstream.journal[-1].body or {})["temperature"] == 1.5


async def test_fields_that_change_nothing_and_those_that_a_limiting_variant_keeps_escalate_nothing(tmp_path: Path) -> None:
    """SDKs send the first by themselves. What is kept never reaches the model, whichever step asks."""
    nothing: dict[str, Any] = {
        "presence_penalty": 0,
        "logit_bias": {},
        "stop": None,
        "seed": 7,
        "chat_template_kwargs": {},
        "user": "u",
    }
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        assert (await world.post(asking("weather, surely", **nothing))).headers["x-selfopt-model"] == "up/m"
        await sure_rule(world, variant=get_variant("gated"), model=BLIND_MODEL, least=0.0)
        answer = await world.post(asking("weather, surely", stop=["Oslo"], reasoning_effort="low", temperature=1.5))
        assert "x-selfopt-escalated" not in answer.headers
        assert answer.headers["x-selfopt-kept"] == "temperature, stop, reasoning_effort"
        for turn in list(world.upstream.journal)[1:3]:  # then the client is answered without tools, as it asks
            body = turn.body or {}
            assert (body["temperature"], body.get("stop"), body.get("reasoning_effort")) == (0.0, None, None)
        await sure_rule(world, variant=get_variant("gated"), model=BLIND_MODEL, least=0.0)
        assert (await world.post(asking("weather, surely", top_k=1))).headers["x-selfopt-escalated"] == "unmeasured"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kind", ["ollama", "anthropic"])
async def test_a_server_of_another_dialect_may_be_sure_by_what_it_says(tmp_path: Path, kind: str, stream: bool) -> None:
    """Where no log probabilities are needed, as with a call that was not repaired."""
    async with gateway_world(tmp_path, MODELS) as first:
        url, key = first.upstream.base_url, SCRIPT["api_key"]
        settings = f'[endpoints.there]\nkind = "{kind}"\nbase_url = "{url}"\napi_key = "{key}"\nlocal = true'
        (tmp_path / "second").mkdir()
        async with gateway_world(tmp_path / "second", MODELS, settings=settings) as world:
            await promote(world, READS, "there/m", fallback="up/other", serve_when=serve_when(BLIND_MODEL))
            await promote_other(world)
            sure = await world.post(asking("weather, surely", "there/m", stream=stream))
            assert (told(sure, stream=stream)[0], sure.headers["x-selfopt-model"]) == (["get_weather"], "there/m")
            unsure = await world.post(asking("talk, surely", "there/m", stream=stream))
            assert told(unsure, stream=stream) == ([], "I am the other.")


async def test_an_upstream_of_another_dialect_escalates_where_it_gives_no_log_probabilities(tmp_path: Path) -> None:
    """Without being asked."""
    settings = (
        '[endpoints.claude]\nkind = "anthropic"\nbase_url = "http://127.0.0.1:9/v1"\nlocal = true\napi_key = "sk-ant-0123456789"'
    )
    async with gateway_world(tmp_path, MODELS, settings=settings) as world:
        await promote(world, READS, "claude/haiku", fallback="up/other", serve_when=serve_when())
        await promote_other(world)
        answer = await world.post(asking("weather, surely", "claude/haiku"))
        assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-escalated"]) == ("up/other", "no_logprobs")


def going_on(first: str, *, stream: bool = False, **fields: Any) -> dict[str, Any]:
    """A tool loop after its first call."""
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}
    messages = [
        {"role": "user", "content": first},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "weather, surely: sunny"},
    ]
    return chat("up/m", messages=messages, tools=[WEATHER, PLAY], stream=stream, **fields)


@pytest.mark.parametrize("sticky", [True, False])
async def test_a_tool_loop_stays_with_the_stronger_model_unless_the_rule_says_otherwise(tmp_path: Path, sticky: bool) -> None:
    """A conversation that the smaller model was sure of stays with that."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world, sticky=sticky)
        await world.post(asking("weather, maybe"))
        await world.post(asking("weather, surely"))
        escalated = await world.post(going_on("weather, maybe"))
        assert escalated.headers.get("x-selfopt-escalated") == ("sticky" if sticky else "unsure")
        assert len(world.records[-1].attempts) == (1 if sticky else 2)
        other = await world.post(going_on("weather, surely"))
        assert other.headers.get("x-selfopt-escalated") != "sticky"


async def test_a_tool_loop_stays_though_only_its_first_request_had_a_rule(tmp_path: Path) -> None:
    """It is of the other phase, which nothing was measured on. What the smaller model began, it goes on with."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        world.enforcer.apply([rule for rule in world.enforcer.load().rules if rule.phase == "atomic"], event="test", reason="")
        await world.reload()
        await world.post(asking("weather, maybe"))
        await world.post(asking("weather, surely"))
        answer = await world.post(going_on("weather, maybe"))
        assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-escalated"]) == ("up/other", "sticky")
        assert (await world.post(going_on("weather, surely"))).headers["x-selfopt-model"] == "up/m"


async def test_a_conversation_that_begins_with_the_same_words_is_asked_anew(tmp_path: Path) -> None:
    """What sticks is a conversation that goes on, and not its first words."""
    async with gateway_world(tmp_path, MODELS) as world:
        await sure_rule(world)
        for _ in range(2):
            assert (await world.post(asking("weather, maybe"))).headers["x-selfopt-escalated"] == "unsure"


async def test_another_model_behind_the_name_voids_the_threshold_loudly(tmp_path: Path) -> None:
    """Everything escalates unasked, and log, trail and metrics say so."""
    async with gateway_world(tmp_path, MODELS) as world:
        calibrated = Environment(endpoint="up", model="up/m", digest="sha256:old")
        key = evidence_key("", calibrated)
        await promote(
            world, READS, fallback="up/other", model="up/m", serve_when=serve_when(environment=calibrated, evidence_key=key)
        )
        await promote_other(world)
        assert (await world.post(asking("weather, surely"))).headers["x-selfopt-model"] == "up/m"
        assert world.gateway.parts.thresholds is not None
        await world.gateway.parts.thresholds.close()
        thresholds = world.gateway.parts.chat.attempts._voided.__self__  # type: ignore[attr-defined]
        thresholds.observed("up/m", calibrated.model_copy(update={"digest": "sha256:new"}))
        for _ in range(2):
            answer = await world.post(asking("weather, surely"))
            assert (answer.headers["x-selfopt-model"], answer.headers["x-selfopt-escalated"]) == ("up/other", "voided")
        assert asked_models(world) == ["m", "other", "other"]
        assert await metric(world, 'selfopt_escalations_total{reason="voided"}') == 2
        await metric(world, "selfopt_requests_total")  # a look at the figures tells nothing of rules that no request reached
        (told_once,) = [record for record in world.trail if record.event == "threshold_void"]
        assert told_once.details["voided"]["differs"] == ["digest"]


@pytest.mark.parametrize("stream", [False, True])
async def test_in_parallel_both_are_asked_at_once_and_the_loser_is_broken_off(tmp_path: Path, stream: bool) -> None:
    """What is unsure costs no second wait, what is sure is served, and both are counted."""
    models = {**MODELS, "slow": {"default": {"fault": {"kind": "hang"}}}}
    async with gateway_world(tmp_path, models) as world:
        await sure_rule(world, parallel=True)
        unsure = await world.post(asking("weather, maybe", stream=stream))
        assert told(unsure, stream=stream) == ([], "I am the other.")
        assert unsure.headers["x-selfopt-model"] == "up/other"
        assert unsure.headers["x-selfopt-escalated"] == "unsure"
        assert [attempt.model for attempt in world.records[-1].attempts] == ["up/m", "up/other"]
        assert await metric(world, 'selfopt_raced_answers_total{outcome="used"}') == 1
        await sure_rule(world, fallback="up/slow", parallel=True)
        sure = await world.post(asking("weather, surely", stream=stream))
        assert told(sure, stream=stream)[0] == ["get_weather"]
        assert "x-selfopt-escalated" not in sure.headers
        await until(lambda: len(world.records) == 2)
        assert await metric(world, 'selfopt_raced_answers_total{outcome="cancelled"}') == 1
        assert {attempt.fault for attempt in world.records[-1].attempts if attempt.model == "up/slow"} <= {"outrun"}
        gate = next(iter(world.gateway.parts.chat.attempts.gates.values()))
        assert gate.active == 0


@pytest.mark.parametrize("stream", [False, True])
async def test_an_official_client_gets_prompt_by_prompt_what_the_confidence_says(tmp_path: Path, stream: bool) -> None:
    """As `signals_of` and the model of confidence say it of the stored reply, without a gateway."""
    levels = [round(-0.05 * 2**step, 3) for step in range(9)]
    replies = [{"match": {"contains": f"prompt {number}!"}, "logprob": level, **CALL} for number, level in enumerate(levels)]
    async with gateway_world(tmp_path, {"m": {"replies": replies, "default": CALL}, "other": {"default": CALL}}) as world:
        when = serve_when()
        await sure_rule(world)
        served = []
        async with openai.AsyncOpenAI(base_url=world.url, api_key="unused") as client:
            for number in range(len(levels)):
                body = asking(f"prompt {number}! Weather in Oslo?", stream=stream)
                raw = await client.chat.completions.with_raw_response.create(**body)
                served.append(raw.headers["x-selfopt-model"] == "up/m")
                answer = raw.parse()
                pieces = [piece async for piece in answer] if stream else [answer]
                assert "get_weather" in "".join(piece.model_dump_json() for piece in pieces)
        expected = [_measured(level, when) >= when.least for level in levels]
        assert served == expected
        assert {True, False} == set(served)


def _measured(level: float, when: ServeWhen) -> float:
    """The confidence that a measurement of the same reply gives."""
    call = ToolCall(name="get_weather", arguments={"city": "Oslo"})
    said = f"{call.name} {json.dumps(call.arguments)}"
    tokens = (*(said[at : at + 4] for at in range(0, len(said), 4)), "")  # as the scripted server has them
    n = len(tokens)
    observed = LogProbs(tokens=tokens, logprobs=(level,) * n, top_tokens=((),) * n, top_logprobs=((),) * n)
    content = ReplyContent(tool_calls=(call,), logprobs=observed, finish_reason="tool_calls")
    tools = (WEATHER_TOOL, PLAY_TOOL)
    messages = (Message(role="user", content="Weather in Oslo?"),)
    return when.model.confidence(signals_of(content, read_calls(READS.parsers, content, tools, messages), tools, messages))
