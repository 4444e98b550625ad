"""What every ledger keeps to: the Protocol in `selfopt.records.seams`, checked on the file and on the one in memory."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from selfopt.errors import CorruptError, StoreError, UsageError
from selfopt.ledger import MemoryLedger, SqliteLedger, open_ledger, resolve
from selfopt.ledger.codec import record_types
from selfopt.records import Baseline, Blob, Cycle, Ledger, Message, Record, Run, RunEnd, Spec, Trial, TrialStart, Verdict
from tests.ledger import samples

from .blob_ledgers import open_with_folder, open_with_memory

Opener = Callable[[Path], Ledger]
OPENERS: dict[str, Opener] = {
    "sqlite": lambda folder: open_ledger(folder / "ledger.sqlite3"),
    "sqlite, texts in a folder": open_with_folder,
    "sqlite, texts behind fsspec": open_with_memory,
    "memory": lambda _: MemoryLedger(),
}


@pytest.fixture(params=sorted(OPENERS))
def opener(request: pytest.FixtureRequest) -> Opener:
    """How to make one of each."""
    return OPENERS[request.param]


@pytest.fixture
def ledger(opener: Opener, tmp_path: Path) -> Iterator[Ledger]:
    """An empty ledger of each sort."""
    made = opener(tmp_path)
    yield made
    made.close()


def _count(ledger: Ledger, record_type: type[Record]) -> int:
    return sum(1 for _ in ledger.read(record_type))


def test_both_are_ledgers(ledger: Ledger) -> None:
    """The Protocol's methods are there."""
    assert isinstance(ledger, Ledger)


async def test_every_kind_comes_back_as_it_was(ledger: Ledger) -> None:
    """A record of each kind is read back equal, by kind and by id."""
    kept = samples.every_kind()
    assert {type(record) for record in kept} == set(record_types().values())
    await ledger.append(kept)
    for record in kept:
        assert list(ledger.read(type(record))) == [record]
        assert list(ledger.read(type(record), {"id": record.record_id})) == [record]
        assert list(ledger.read(type(record), {"id": "another"})) == []


async def test_every_index_field_finds_its_record(ledger: Ledger) -> None:
    """Reading by each index field that has a value finds the record, by another value it does not."""
    await ledger.append(samples.every_kind())
    for record in samples.every_kind():
        for name in record.index_fields:
            value = getattr(record, name)
            if value is not None:
                assert list(ledger.read(type(record), {name: value})) == [record]
            assert list(ledger.read(type(record), {name: "another"})) == []


async def test_records_come_in_the_order_of_appending(ledger: Ledger) -> None:
    """Not in the order of ids; newest_first turns it round; limit cuts; over more than one page of rows."""
    ids = [f"trial-{n * 7919 % 1000:03d}" for n in range(600)]
    await ledger.append([samples.trial(name, run_id=f"run-{n % 2}") for n, name in enumerate(ids)])
    assert [t.trial_id for t in ledger.read(Trial)] == ids
    assert [t.trial_id for t in ledger.read(Trial, newest_first=True)] == ids[::-1]
    assert [t.trial_id for t in ledger.read(Trial, {"run_id": "run-1"})] == ids[1::2]
    assert [t.trial_id for t in ledger.read(Trial, {"run_id": "run-1"}, newest_first=True, limit=3)] == ids[1::2][::-1][:3]
    assert [t.trial_id for t in ledger.read(Trial, limit=257)] == ids[:257]
    assert list(ledger.read(Trial, limit=0)) == []


async def test_conditions_are_all_met(ledger: Ledger) -> None:
    """Several fields, and the id with a field, are joined by "and"."""
    await ledger.append([samples.run(f"run-{g}{m}", group_id=f"group-{g}", model=f"m/{m}") for g in range(3) for m in range(3)])
    assert [r.run_id for r in ledger.read(Run, {"group_id": "group-1", "model": "m/2"})] == ["run-12"]
    assert [r.run_id for r in ledger.read(Run, {"model": "m/2", "id": "run-02"})] == ["run-02"]
    assert list(ledger.read(Run, {"model": "m/1", "id": "run-02"})) == []


async def test_numbers_are_found_as_numbers(ledger: Ledger) -> None:
    """An integer field is compared with integers, not with their text."""
    await ledger.append([samples.cycle(2), samples.cycle(11)])
    assert [c.number for c in ledger.read(Cycle, {"number": 11})] == [11]
    assert list(ledger.read(Cycle, {"number": "11"})) == []


async def test_what_is_there_already_is_passed_over(ledger: Ledger) -> None:
    """Appending the same again changes nothing, neither alone nor among new ones nor twice in one call."""
    await ledger.append([samples.BLOB, samples.trial()])
    await ledger.append([samples.BLOB, samples.trial(), samples.trial("trial-2"), samples.trial("trial-2")])
    assert [t.trial_id for t in ledger.read(Trial)] == ["trial-1", "trial-2"]
    assert _count(ledger, Blob) == 1


async def test_new_records_among_known_ones_are_found_by_their_own_fields(ledger: Ledger) -> None:
    """Also in one call that is longer than what is written in one go."""
    known = samples.trial("trial-5", run_id="run-5")
    await ledger.append([known])
    many = [samples.trial(f"trial-{n}", run_id=f"run-{n}") for n in range(40)]
    await ledger.append(many)
    for trial in many:
        assert list(ledger.read(Trial, {"run_id": trial.run_id})) == [trial]
    assert _count(ledger, Trial) == 40


async def test_the_order_of_keys_makes_no_difference(ledger: Ledger) -> None:
    """Equal content with keys in another order is the same record."""
    await ledger.append([samples.verdict(arguments={"a": 1, "b": {"x": [1.5], "y": None}})])
    await ledger.append([samples.verdict(arguments={"b": {"y": None, "x": [1.5]}, "a": 1})])
    assert _count(ledger, Verdict) == 1


async def test_another_content_under_a_known_id_is_refused(ledger: Ledger) -> None:
    """CorruptError, and nothing of that call is kept."""
    await ledger.append([samples.trial()])
    with pytest.raises(CorruptError, match="another trial trial-1"):
        await ledger.append([Blob.of("new"), samples.trial("trial-2"), samples.trial(latency_ms=99.0)])
    with pytest.raises(CorruptError, match="another trial trial-3"):
        await ledger.append([samples.trial("trial-3"), samples.trial("trial-3", latency_ms=99.0)])
    assert list(ledger.read(Trial)) == [samples.trial()]
    assert list(ledger.read(Blob)) == []


async def test_a_refused_blob_can_be_appended_later(ledger: Ledger) -> None:
    """What was rolled back is not taken for known."""
    await ledger.append([samples.trial()])
    with pytest.raises(CorruptError):
        await ledger.append([samples.BLOB, samples.trial(latency_ms=99.0)])
    await ledger.append([samples.BLOB])
    assert list(ledger.read(Blob)) == [samples.BLOB]


async def test_specs_that_differ_in_a_name_only_are_the_same_spec(ledger: Ledger) -> None:
    """The first one stays."""
    await ledger.append([samples.spec("one")])
    await ledger.append([samples.spec("two")])
    assert [s.variant.name for s in ledger.read(Spec)] == ["one"]
    await ledger.append([samples.spec("one", retries=1)])
    assert _count(ledger, Spec) == 2


async def test_a_blob_with_a_foreign_hash_is_refused(ledger: Ledger) -> None:
    """A blob is its hash; anything else would make later readings wrong."""
    with pytest.raises(CorruptError, match="does not have that hash"):
        await ledger.append([Blob(blob_hash="0" * 64, text="text")])
    assert list(ledger.read(Blob)) == []


async def test_types_and_fields_that_are_not_kept_are_refused(ledger: Ledger) -> None:
    """Misuse is told at once, not when the iterator starts."""
    with pytest.raises(TypeError, match="Message is not kept"):
        await ledger.append([Message(role="user")])
    with pytest.raises(TypeError, match="Message is not kept"):
        ledger.read(Message)
    with pytest.raises(ValueError, match="cannot be read by 'slot'; allowed: id, run_id"):
        ledger.read(Trial, {"slot": 1})


@pytest.mark.parametrize("text", ["", "x", "ab" * 5_000, "日本語🌧" * 50, "\x00\x1b\r\n", "a\ud800b", "q" * 300_000])
async def test_blobs_of_any_text_come_back(ledger: Ledger, text: str) -> None:
    """Empty, short, long, not ASCII, control characters, and lone surrogates (replaced when the blob was made)."""
    blob = Blob.of(text)
    await ledger.append([blob])
    assert list(ledger.read(Blob, {"id": blob.blob_hash})) == [blob]


async def test_a_call_with_lone_surrogates_is_kept_with_question_marks(ledger: Ledger) -> None:
    """A model can write them; the verdict must be stored all the same, and storing it again is no conflict."""
    broken = samples.verdict(arguments={"city": "O\ud800slo", "\udfff": 1})
    await ledger.append([broken])
    await ledger.append([broken])
    [kept] = ledger.read(Verdict)
    assert kept.parsed.tool_calls[0].arguments == {"city": "O?slo", "?": 1}


async def test_a_call_nested_deeply_comes_back(ledger: Ledger) -> None:
    """Deeper than the fast JSON reader allows, as deep as the writer does."""
    value: Any = "end"
    for _ in range(220):
        value = [value]
    await ledger.append([samples.verdict(arguments={"deep": value})])
    assert next(iter(ledger.read(Verdict))).parsed.tool_calls[0].arguments == {"deep": value}


async def test_what_cannot_be_json_is_refused_and_nothing_is_kept(ledger: Ledger) -> None:
    """Nesting beyond every limit is a StoreError that names the record."""
    value: Any = "end"
    for _ in range(20_000):
        value = [value]
    with pytest.raises(StoreError, match="Verdict verdict-"):
        await ledger.append([samples.start(), samples.verdict(arguments={"deep": value})])
    assert list(ledger.read(TrialStart)) == []


async def test_a_reader_goes_on_while_others_append(ledger: Ledger) -> None:
    """Appending in the middle of a reading disturbs neither."""
    await ledger.append([samples.start(f"trial-{n}") for n in range(700)])
    reader = ledger.read(TrialStart)
    first = [next(reader) for _ in range(300)]
    await ledger.append([samples.start("trial-late")])
    rest = [r.trial_id for r in reader]
    assert [r.trial_id for r in first] + [r for r in rest if r != "trial-late"] == [f"trial-{n}" for n in range(700)]


def test_threads_may_share_it(ledger: Ledger) -> None:
    """Eight threads append and read at once; all is there, once, each transaction whole."""
    errors: list[BaseException] = []

    async def appends(number: int) -> None:
        for n in range(20):
            name = f"trial-{number}-{n}"
            await ledger.append([Blob.of(f"{name} request"), samples.start(name), samples.trial(name), samples.verdict(name)])
            assert [t.trial_id for t in ledger.read(Trial, {"id": name})] == [name]

    def work(number: int) -> None:
        try:
            asyncio.run(appends(number))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [_count(ledger, t) for t in (Blob, TrialStart, Trial, Verdict)] == [160] * 4


async def test_a_closed_ledger_says_so(ledger: Ledger) -> None:
    """Closing twice is fine; using it afterwards is a StoreError."""
    await ledger.append([samples.start()])
    ledger.close()
    ledger.close()
    with pytest.raises(StoreError, match="closed"):
        await ledger.append([samples.start("trial-2")])
    with pytest.raises(StoreError, match="closed"):
        list(ledger.read(TrialStart))


async def test_an_empty_append_is_nothing(ledger: Ledger) -> None:
    """No records, no error."""
    await ledger.append([])
    assert list(ledger.read(Trial)) == []


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(batches=st.lists(st.lists(samples.RECORDS, max_size=6), max_size=6))
@pytest.mark.parametrize("name", sorted(OPENERS))
async def test_any_sequence_of_appends_is_kept_all_or_nothing(name: str, batches: Sequence[Sequence[Record]]) -> None:
    """Against a plain dict: the same records are there, in the same order, under the same fields; a call that collides
    with what is there leaves nothing."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = OPENERS[name](Path(folder))
        model: dict[tuple[str, str], Record] = {}
        for batch in batches:
            after = dict(model)
            clash = False
            for record in batch:
                clash |= after.setdefault((record.ledger_kind, record.record_id), record) != record
            try:
                await ledger.append(batch)
                assert not clash
                model = after
            except CorruptError:
                assert clash
        for kind, record_type in record_types().items():
            expected = [record for (k, _), record in model.items() if k == kind]
            assert list(ledger.read(record_type)) == expected
            for field in record_type.index_fields:
                for value in {getattr(record, field) for record in expected} - {None}:
                    assert list(ledger.read(record_type, {field: value})) == [r for r in expected if getattr(r, field) == value]
        ledger.close()


MARKED = st.lists(st.lists(st.lists(samples.RECORDS, max_size=4), min_size=1, max_size=4), min_size=2, max_size=6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(askers=MARKED, cancelled=st.sets(st.integers(0, 5)))
@pytest.mark.parametrize("name", sorted(OPENERS))
async def test_appends_that_are_asked_for_at_once_stand_or_fall_each_by_itself(
    name: str, askers: list[list[list[Record]]], cancelled: set[int]
) -> None:
    """Of many tasks' appends, some of which collide and some of whose askers are cancelled, each is there whole or not at all, as its
    asker was told, and those of one task in their order."""
    with tempfile.TemporaryDirectory() as folder:
        ledger = OPENERS[name](Path(folder))
        told: dict[tuple[int, int], str] = {}

        async def ask(number: int) -> None:
            for turn, batch in enumerate(askers[number]):
                # A record that only this append has says whether it is there.
                mark = samples.start(f"mark-{number}-{turn}")
                told[number, turn] = "cancelled"
                try:
                    await ledger.append([mark, *batch])
                    told[number, turn] = "stored"
                except CorruptError:
                    told[number, turn] = "refused"

        tasks = [asyncio.create_task(ask(number)) for number in range(len(askers))]
        await asyncio.sleep(0)
        for number in cancelled:
            if number < len(tasks):
                tasks[number].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        marks = [start.trial_id for start in ledger.read(TrialStart) if start.trial_id.startswith("mark-")]
        for (number, turn), said in told.items():
            there = f"mark-{number}-{turn}" in marks
            assert said == "cancelled" or there == (said == "stored")
            if there:
                for record in askers[number][turn]:
                    assert list(ledger.read(type(record), {"id": record.record_id})) == [record]
        stored = [record for number, turn in told if f"mark-{number}-{turn}" in marks for record in askers[number][turn]]
        kept = {(record.ledger_kind, record.record_id) for record in stored}
        assert sum(_count(ledger, t) for t in record_types().values()) == len(marks) + len(kept)
        for number in range(len(askers)):
            mine = [mark for mark in marks if mark.startswith(f"mark-{number}-")]
            assert mine == sorted(mine)
        ledger.close()


async def test_an_error_of_one_is_no_error_of_the_others(ledger: Ledger) -> None:
    """Askers whose appends share a transaction with one that is refused have theirs stored."""
    await ledger.append([samples.trial()])
    bad = [samples.BLOB, samples.trial("trial-bad"), samples.trial(latency_ms=99.0)]
    appends = [ledger.append([samples.trial(f"trial-{n}")] if n != 5 else bad) for n in range(2, 9)]
    told = await asyncio.gather(*appends, return_exceptions=True)
    assert [type(answer) for answer in told if answer is not None] == [CorruptError]
    assert [t.trial_id for t in ledger.read(Trial)] == ["trial-1", *(f"trial-{n}" for n in range(2, 9) if n != 5)]
    assert list(ledger.read(Blob)) == []


async def test_closing_waits_for_what_is_being_appended(opener: Opener, tmp_path: Path) -> None:
    """What was asked for before is stored or refused, never left without an answer."""
    ledger = opener(tmp_path)
    tasks = [asyncio.create_task(ledger.append([samples.trial(f"trial-{n}")])) for n in range(8)]
    await asyncio.sleep(0)
    ledger.close()
    told = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
    assert all(answer is None or isinstance(answer, StoreError) for answer in told)
    if isinstance(ledger, SqliteLedger):
        again = open_ledger(ledger.path)
        assert {t.trial_id for t in again.read(Trial)} == {f"trial-{n}" for n, answer in enumerate(told) if answer is None}
        again.close()


async def test_short_ids_resolve_like_gits(ledger: Ledger) -> None:
    """By the whole id, its start with or without the word before the dash, or its end."""
    await ledger.append([samples.trial(name) for name in ("trial-0abc1111", "trial-0abd2222", "trial-0abd3333")])
    for typed in ("trial-0abc1111", "TRIAL-0abc", "0abc", " 1111 ", "abc1111"):
        assert resolve(ledger, Trial, typed).trial_id == "trial-0abc1111"
    with pytest.raises(UsageError, match="'0abd' fits 2 trial ids: trial-0abd2222, trial-0abd3333; type more of it"):
        resolve(ledger, Trial, "0abd")
    with pytest.raises(UsageError, match="no trial has an id like 'zzz'; the newest is trial-0abd3333"):
        resolve(ledger, Trial, "zzz")
    with pytest.raises(UsageError, match="no trial id given"):
        resolve(ledger, Trial, " ")
    with pytest.raises(UsageError, match="no run end has an id like 'x'; there is none yet"):
        resolve(ledger, RunEnd, "x")


async def test_a_whole_id_wins_over_longer_ones(ledger: Ledger) -> None:
    """An id that is the start of another can still be named."""
    baselines = [
        Baseline(baseline_id=i, model="m", phase="atomic", spec_id="s", source="default", at=samples.AT) for i in ("b-1", "b-10")
    ]
    await ledger.append(baselines)
    assert resolve(ledger, Baseline, "b-1").baseline_id == "b-1"
    await ledger.append([Blob.of("text")])
    assert resolve(ledger, Blob, Blob.of("text").blob_hash[:8]).text == "text"


async def test_many_candidates_are_named_shortly(ledger: Ledger) -> None:
    """Five and a count."""
    await ledger.append([samples.start(f"trial-{n}") for n in range(9)])
    with pytest.raises(UsageError, match=r"fits 9 trial start ids: trial-0, .*trial-4 and 4 more"):
        resolve(ledger, TrialStart, "trial")
