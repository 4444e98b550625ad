"""Prompt by prompt: what was asked, wanted and answered, before and after; bounded, and never active."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from selfopt.errors import CorruptError
from selfopt.ledger import MemoryLedger
from selfopt.records import (
    Attempt,
    Blob,
    Evaluation,
    Exchange,
    ExpectedCall,
    Ledger,
    Message,
    Prompt,
    Record,
    ReplyContent,
    Suite,
    ToolDefinition,
    Verdict,
)
from selfopt.report import gather, report_html
from selfopt.report.prompt_rows import MOST_PROMPTS, PromptList, prompt_lists
from selfopt.report.standings import standings
from tests.ledger.samples import put, trial, verdict
from tests.report import world
from tests.report.test_html_report import Reader

R = TypeVar("R", bound=Record)
EVIL = "</pre><script>alert(1)</script><img src=x onerror=alert(2)> {{ 7 * 7 }} \x1b[31m\u202e"


def asked(evaluation: Evaluation, said: str = "Let me see.", sent: str = "") -> list[Record]:
    """The trials of an evaluation with their replies and verdicts."""
    reply, request = Blob.of(ReplyContent(text=said).model_dump_json()), Blob.of(sent or '{"messages": []}')
    made: list[Record] = [reply, request]
    for row in evaluation.rows:
        for trial_id in row.trial_ids:
            attempt = Attempt(number=1, started_at=evaluation.at, request=request.blob_hash, status=200, latency_ms=1.0)
            exchange = Exchange(attempts=(attempt,), content=reply.blob_hash)
            run_id = evaluation.run_ids[0]
            made.append(trial(trial_id, run_id, row.prompt_id, exchanges=(exchange,)))
            judged = verdict(trial_id, run_id, {"city": said}, why=said).model_copy(update={"outcome": row.outcomes[0]})
            made.append(judged)
    return made


def suite(text: str = "Is it cold in Oslo?") -> Suite:
    """The suite of the world's evaluations."""
    prompt: dict[str, Any] = {
        "kind": "direct",
        "tool_set": "t",
        "messages": (Message(role="user", content=text),),
        "expected": ((ExpectedCall(name="get_weather", arguments={"city": ["Oslo"]}),),),
    }
    prompts = tuple(Prompt(id=f"P{n}", **prompt) for n in range(1, 9))
    return Suite(name="atomic", phase="atomic", tool_sets={"t": (ToolDefinition(name="get_weather"),)}, prompts=prompts)


def lists(ledger: Ledger, suites: Mapping[str, Suite] | None = None) -> tuple[PromptList, ...]:
    """Of all that a ledger holds, under the rules of the world."""
    return prompt_lists(ledger, standings(gather(ledger, world.CONFIG)), suites or {})


def told(*evaluations: Evaluation, said: str = "Let me see.", sent: str = "") -> MemoryLedger:
    """A ledger with a cycle and these evaluations, whose trials say this."""
    ledger = MemoryLedger()
    put(ledger, [world.CYCLE, *evaluations, *(record for e in evaluations for record in asked(e, said, sent))])
    return ledger


def test_each_prompt_stands_with_its_outcomes_before_and_after() -> None:
    """With what was asked, wanted, called and written on both sides."""
    (found,) = lists(told(world.BASE, world.BETTER), {"suite-atomic": suite()})
    assert [row.prompt_id for row in found.rows] == [f"P{n}" for n in range(1, 9)]
    first = found.rows[0]
    assert (first.asked, first.wanted) == ("Is it cold in Oslo?", ('get_weather(city="Oslo")',))
    assert first.before is not None
    assert (first.before.told, first.after.told) == ("unread format", "right")
    assert first.after.calls == ('get_weather(city="Let me see.")',)
    assert first.after.reply is not None
    assert first.after.reply.text == "Let me see."
    assert [row.prompt_id for row in found.rows if row.differs] == ["P1", "P2", "P3", "P7"]
    assert [row.prompt_id for row in found.rows if row.wrong] == ["P4", "P8"]


def test_without_the_suite_the_request_tells_what_was_asked() -> None:
    """As far as it is a request with messages."""
    sent = '{"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Snow?"}, 3]}'
    (found,) = lists(told(world.BETTER, sent=sent))
    assert {row.asked for row in found.rows} == {"Snow?"}
    for odd in ("[1]", "nothing", '{"messages": 4}', "[" * 5000):
        (found,) = lists(told(world.BETTER, sent=odd))
        assert {row.asked for row in found.rows} == {""}


def test_repeats_are_counted_and_the_one_that_went_wrong_is_shown() -> None:
    """Right in some runs is neither right nor wrong."""
    (found,) = lists(told(world.evaluation("often", ["PPMP", "MMMW", "PPPP"])))
    assert [row.after.told for row in found.rows] == ["right in 3 of 4 runs", "missed call", "right"]
    assert [row.after.tone for row in found.rows] == ["attention", "bad", "good"]
    assert found.rows[0].after.trial_id == "trial-often-1-2"


def test_of_many_prompts_those_are_kept_that_tell_most() -> None:
    """The page says how many are left out, and long texts are cut."""
    n = MOST_PROMPTS + 50
    letters = ["P"] * (n - 1) + ["M"]
    ledger = told(world.evaluation("many", letters), said="a" * 100_000)
    (found,) = lists(ledger)
    assert len(found.rows) == MOST_PROMPTS
    assert found.left_out == 50
    assert found.rows[-1].prompt_id == f"P{n}", "the wrong one is not left out"
    page = report_html(gather(ledger), (), lists(ledger))
    assert "50 more are not shown" in page
    assert "more characters)" in page
    assert len(page) < 600_000


class _Damaged:
    """A ledger whose texts or trials cannot be read."""

    def __init__(self, ledger: MemoryLedger, kind: type[Record]) -> None:
        self._ledger, self._kind = ledger, kind

    def read(self, record_type: type[R], where: Any = None, **how: Any) -> Iterator[R]:
        """All but one kind."""
        if record_type is self._kind:
            raise CorruptError("damaged")
        return self._ledger.read(record_type, where, **how)


def test_what_is_damaged_is_left_out() -> None:
    """The top of the report tells it; outcomes stand in the evaluation."""
    for kind in (Blob, Verdict):
        ledger: Any = _Damaged(told(world.BETTER), kind)
        (found,) = lists(ledger)
        assert len(found.rows) == 8
        assert (found.rows[0].after.reply is None) is (kind is Blob)
        assert (found.rows[0].after.calls == ()) is (kind is Verdict)


def test_whatever_prompts_and_replies_say_is_text() -> None:
    """In every place: prompt, reply, call, reason."""
    ledger = told(world.BASE, world.BETTER, said=EVIL)
    text = report_html(gather(ledger, world.CONFIG), (), lists(ledger, {"suite-atomic": suite(EVIL)}))
    tags = {tag for tag, _ in Reader(text).seen}
    assert not tags & {"script", "img"}
    assert "&lt;script&gt;" in text
    assert "{{ 7 * 7 }}" in text, "it is no template"
    assert "\x1b" not in text
    assert "\u202e" not in text


def test_the_filters_need_no_script() -> None:
    """Each list has its own, and a prompt says by its class what it is."""
    ledger = told(world.BASE, world.BETTER)
    seen = Reader(report_html(gather(ledger, world.CONFIG), (), lists(ledger))).seen
    picks = [attributes for tag, attributes in seen if tag == "input"]
    assert [pick["class"] for pick in picks] == ["pick-all", "pick-differs", "pick-wrong"]
    classes = [(attributes.get("class") or "").split() for tag, attributes in seen if tag == "details"]
    prompts = [names for names in classes if "prompt" in names]
    assert sum("differs" in names for names in prompts) == 4
    assert sum("wrong" in names for names in prompts) == 2
