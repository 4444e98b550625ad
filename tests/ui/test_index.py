"""The newest requests in memory: their order, their pages, their filters and their counts."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.ui import index as under_test
from selfopt.ui.index import BUCKET_S, Filter, RequestIndex
from selfopt.verbs.requests import FeedbackRecord, LiveAttempt, RecordPlace, RequestRecord
from tests.gateway.test_recorded import request

BEGIN = datetime(2026, 1, 2, 3, 4, 0, tzinfo=UTC).timestamp()
PLACE = RecordPlace("0123456789-1.jsonl", 0, 1)


def at(seconds: float) -> str:
    """A time as gateways write it."""
    return datetime.fromtimestamp(BEGIN + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:23] + "Z"


def made(name: str, seconds: float = 0.0, **fields: object) -> tuple[RecordPlace, RequestRecord]:
    """A record with its place."""
    return PLACE, msgspec.structs.replace(
        request(name), **{"at": at(seconds), "outcome": "served", "model": "up/a", "served": "up/a", **fields}
    )


def shown(index: RequestIndex, **asked: str) -> list[str]:
    """The ids of the first page."""
    return [row.id for row in index.page(Filter(asked))[0]]


@given(times=st.lists(st.integers(0, 9), max_size=30), size=st.integers(1, 7), late=st.integers(0, 5))
def test_pages_show_each_request_once_the_newest_first(times: list[int], size: int, late: int) -> None:
    """Also while new ones come in between two pages."""
    index = RequestIndex()
    index.add(made(str(n), seconds) for n, seconds in enumerate(times))
    found, before = list[str](), None
    while True:
        rows, more = index.page(Filter({}), before, size)
        found += [row.id for row in rows]
        index.add(made(f"late {len(found)} {n}", 200.0) for n in range(late))
        if not more:
            break
        before = rows[-1].number
    assert [times[int(name)] for name in found] == sorted(times, reverse=True)
    assert len(set(found)) == len(times)


def test_the_oldest_go_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages go on below what is left, and the counts keep what went."""
    monkeypatch.setattr(under_test, "SPARE", 5)
    index = RequestIndex(most=10)
    for n in range(100):
        index.add([made(str(n), n)])
    assert len(index) <= 15
    assert index.dropped == 100 - len(index)
    assert shown(index)[0] == "99"
    assert index.page(Filter({}), 50, 10) == ([], False)
    assert index.total(BEGIN, BEGIN + 200).n == 100


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"model": "up/b"}, ["b"]),
        ({"served": "up/a"}, ["c", "a"]),
        ({"outcome": "failed"}, ["d"]),
        ({"phase": "extended"}, ["c"]),
        ({"rule": "rule-1"}, ["c"]),
        ({"variant": "tags"}, ["c"]),
        ({"key": "key-1"}, ["b"]),
        ({"version": "7"}, ["c"]),
        ({"version": "07x"}, ["d", "c", "b", "a"]),
        ({"escalated": "unsure"}, ["b"]),
        ({"escalated": "any"}, ["b"]),
        ({"errors": "1"}, ["d"]),
        ({"since": str(BEGIN + 10), "until": str(BEGIN + 30)}, ["c", "b"]),
        ({"since": "nan"}, ["d", "c", "b", "a"]),
        ({"since": "2026-01-02T03:04:20", "until": "2026-01-02T03:04:30"}, ["c"]),
        ({"since": "1e999", "until": "x"}, ["d", "c", "b", "a"]),
        ({"q": "RULE"}, ["c"]),
        ({"q": "up/b", "errors": "1"}, []),
        ({"model": ""}, ["d", "c", "b", "a"]),
        ({"nothing": "of the sort"}, ["d", "c", "b", "a"]),
    ],
)
def test_a_filter_leaves_what_fits(asked: dict[str, str], expected: list[str]) -> None:
    """One field or several; what is no value of a field asks for nothing."""
    index = RequestIndex()
    index.add(
        [
            made("a", 0),
            made("b", 10, model="up/b", served="up/c", outcome="diverted", key="key-1", escalated=("unsure",)),
            made("c", 20, phase="extended", rule="rule-1", version=7, variant="tags"),
            made("d", 30, outcome="failed", served=None),
        ]
    )
    assert shown(index, **asked) == expected


def test_counts_tell_who_answered_and_what_it_cost() -> None:
    """By ten seconds; what is not known counts nowhere."""
    index = RequestIndex(is_local=lambda model: model.startswith("up/"))
    index.add(
        [
            made("a", 1, cost=0.0, cost_alone=2.0),
            made("b", 2, served="away/x", outcome="diverted", escalated=("unsure",), cost=2.0, cost_alone=2.0),
            made("c", 3, outcome="refused", served=None),
            made("d", 4, outcome="failed", served=None, attempts=(LiveAttempt("up/a", 5.0, "timeout"),)),
            made("e", 14, cost=1.0),
        ]
    )
    first = index.buckets(BEGIN, BEGIN + BUCKET_S)[0][1]
    assert (first.n, first.local, first.escalated, first.refused, first.failed) == (4, 1, 1, 1, 1)
    whole = index.total(BEGIN, BEGIN + 20)
    assert (whole.priced, whole.cost, whole.compared, whole.alone) == (3, 3.0, 2.0, 4.0)
    assert index.faults(BEGIN) == {("up/a", "timeout"): 1}
    assert index.names["outcome"] == {"served": 2, "diverted": 1, "refused": 1, "failed": 1}


def test_times_are_of_those_that_were_answered() -> None:
    """The middle one, and the slowest."""
    index = RequestIndex()
    index.add(made(str(ms), 1, latency_ms=float(ms)) for ms in (30, 10, 20))
    index.add([made("x", 1, latency_ms=9999.0, outcome="failed")])
    assert index.quantile(BEGIN, 0.5) == 20.0
    assert index.quantile(BEGIN, 0.95) == 30.0
    assert index.quantile(BEGIN + 100, 0.5) is None


def test_feedback_is_kept_with_its_request_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty of a request, and of so many requests."""
    monkeypatch.setattr(under_test, "MOST_FEEDBACK", 3)
    index = RequestIndex()
    index.add((PLACE, FeedbackRecord(at(0), "a", True, None, str(n), None)) for n in range(50))
    assert [heard.comment for heard in index.feedback("a")] == [str(n) for n in range(30, 50)]
    index.add((PLACE, FeedbackRecord(at(0), name, True, None, "", None)) for name in "bcd")
    assert index.feedback("a") == ()
    assert len(index) == 0


def test_names_that_clients_make_up_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A million models fill no memory with choices."""
    monkeypatch.setattr(under_test, "MOST_NAMES", 10)
    index = RequestIndex()
    index.add(made(str(n), 1, model=f"up/{n}") for n in range(50))
    assert len(index.names["model"]) == 10


@pytest.mark.parametrize("wrong", ["", "yesterday", "2026-13-45T99:99:99.000Z", "2026-01-02"])
def test_a_time_that_is_none_hides_no_request(wrong: str) -> None:
    """It is shown, at the beginning of time."""
    index = RequestIndex()
    index.add([(PLACE, msgspec.structs.replace(request("a"), at=wrong))])
    assert shown(index) == ["a"]
