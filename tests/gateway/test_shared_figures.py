"""Whichever of several processes is asked, it shows what all of them count, in valid text."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from selfopt.gateway import LiveCounters, SharedFigures, shared_figures
from selfopt.gateway.shared_figures import PLACE, merged
from selfopt.gateway.ticket import Ticket


def figures(worker: str, requests: int) -> bytes:
    """The figures of a process that served so many requests."""
    counters = LiveCounters()
    for _ in range(requests):
        ticket = Ticket(0.0)
        counters.add(ticket.record("2026-01-02T03:04:05Z", 0.01, 200), ticket)
    return counters.text([], {"selfopt_connections": ("Open.", 1.0)}, worker)


@given(st.lists(st.integers(0, 3), max_size=4))
def test_together_they_are_one_valid_text(counts: Sequence[int]) -> None:
    """Each family once, with the series of all processes and no other."""
    texts = [figures(str(number), count) for number, count in enumerate(counts)]
    families = list(text_string_to_metric_families(merged([*texts, b""]).decode()))
    assert len({family.name for family in families}) == len(families)
    series = [(s.name, *sorted(s.labels.items()), s.value) for family in families for s in family.samples]
    apart = [
        (s.name, *sorted(s.labels.items()), s.value)
        for text in texts
        for family in text_string_to_metric_families(text.decode())
        for s in family.samples
    ]
    assert sorted(map(str, series)) == sorted(map(str, apart))


def test_what_a_process_writes_its_kin_read() -> None:
    """Also after it ended. What was never written is empty."""
    shared = SharedFigures(3)
    assert shared.others(0) == [b"", b""]
    child = os.fork()
    if not child:
        shared.write(1, b"one")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    shared.write(2, b"a longer text")
    shared.write(2, b"two")
    assert shared.others(0) == [b"one", b"two"]
    assert shared.others(1) == [b"", b"two"]


def test_what_is_being_written_or_is_too_large_is_not_shown() -> None:
    """A text comes whole or not at all."""
    shared = SharedFigures(2)
    shared.write(1, b"x" * (PLACE - 8))
    assert len(shared.read(1)) == PLACE - 8
    shared.write(1, b"x" * (PLACE - 7))
    assert len(shared.read(1)) == PLACE - 8
    assert shared.read(0) == b""
    shared._memory[shared_figures._BEGIN + PLACE + 100] = 0
    assert shared.read(1) == b""


def test_figures_are_wanted_while_somebody_reads_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """For some minutes after."""
    now = time.monotonic()
    shared = SharedFigures(1)
    monkeypatch.setattr(time, "monotonic", lambda: now + 1e6)
    wanted = [shared.wanted]
    shared.ask()
    wanted.append(shared.wanted)
    monkeypatch.setattr(time, "monotonic", lambda: now + 1e6 + 301)
    assert [*wanted, shared.wanted] == [False, True, False]
