"""Files of live requests are read line by line, each line once, whatever they hold."""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.dialects.refusal import Refusal
from selfopt.gateway import Allowances, KeyCounters, SpentElsewhere
from selfopt.gateway.request_lines import RequestLines
from selfopt.gateway.spent_elsewhere import day_of
from selfopt.home import MAX_LINE_BYTES, CheckedKeys, GatewayKey, KeyTerms

ONE, OTHER = "0123456789", "9876543210"
DAY_S = 86_400
NOW = 1_800_000_000.0  # 2027-01-15
MINUTE_OF_NOW = datetime.fromtimestamp(NOW, UTC).isoformat()[:17] + "00.000Z"


def put(folder: Path, data: bytes, writer: str = ONE, number: int = 1) -> Path:
    """Add to a file."""
    path = folder / f"{writer}-{number}.jsonl"
    with path.open("ab") as file:
        file.write(data)
    return path


def test_each_line_is_read_once_it_is_complete(tmp_path: Path) -> None:
    """And never again, in whichever pieces the files grow."""
    lines = RequestLines(tmp_path)
    assert list(lines.new()) == []
    put(tmp_path, b"a\nb\nhal")
    assert list(lines.new()) == [b"a\n", b"b\n"]
    assert list(lines.new()) == []
    put(tmp_path, b"f\n")
    put(tmp_path, b"c\n", number=2)
    assert list(lines.new()) == [b"half\n", b"c\n"]


def test_files_of_some_writers_and_older_ones_are_left_out(tmp_path: Path) -> None:
    """Those of a writer for good, from one of its files on: it counts these for itself."""
    lines = RequestLines(tmp_path)
    put(tmp_path, b"a\n")
    put(tmp_path, b"b\n", OTHER)
    put(tmp_path, b"c\n", OTHER, 2)
    os.utime(put(tmp_path, b"old\n", ONE, 2), (1000, 1000))
    assert list(lines.new(since=2000, but={OTHER: 2})) == [b"a\n", b"b\n"]
    put(tmp_path, b"d\n", OTHER, 2)
    assert list(lines.new()) == [b"old\n"]


def test_what_is_no_file_of_requests_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Other names, links, folders, lines without an end; the log names what can't be read, once."""
    put(tmp_path, b"a\n", "zz")
    (tmp_path / "notes.jsonl").write_bytes(b"b\n")
    (tmp_path / f"{ONE}-3.jsonl").symlink_to(tmp_path / "notes.jsonl")
    put(tmp_path, b"x" * (MAX_LINE_BYTES + 10), OTHER)
    lines = RequestLines(tmp_path)
    with caplog.at_level(logging.WARNING):
        assert list(lines.new()) == []
        assert list(lines.new()) == []
    assert len([record for record in caplog.records if f"{ONE}-3.jsonl is left out" in record.getMessage()]) == 1


@given(st.text(max_size=30))
def test_a_day_is_read_or_none(text: str) -> None:
    """Whatever stands where a time should."""
    found = day_of(text)
    assert found is None or isinstance(found, int)
    assert day_of("1970-01-02T00:00:00.000Z") == 1


def spent_in(folder: Path, *lines: str, now: float = NOW) -> tuple[float, float]:
    """What the lines of another gateway say that the key spent: today and this month."""
    put(folder, "".join(f"{line}\n" for line in lines).encode())
    for path in folder.glob("*.jsonl"):
        os.utime(path, (now, now))
    allowances = Allowances(counters=KeyCounters(), clock=lambda: now)
    entry = GatewayKey(id="key-00000000", name="k", sha256="0" * 64, created_at="")
    allowances.follow(CheckedKeys((entry,), required=True, numbers={entry.id: 0}))
    SpentElsewhere(folder, allowances, clock=lambda: now).look()
    today, month, held = allowances.spent(entry.id)
    assert held == 0
    return today, month


def line(at: str, amount: str = '"cost":1.5', key: str = "key-00000000") -> str:
    """A record with what it cost."""
    return f'{{"previous_hash":"","kind":"request","at":"{at}","key":"{key}",{amount},"hash":""}}'


def test_the_records_of_the_month_are_added_up(tmp_path: Path) -> None:
    """Today's and the month's apart; other keys, older records and what can't be read are left out."""
    found = spent_in(
        tmp_path,
        line("2027-01-15T00:00:00.000Z"),
        line("2027-01-15T07:59:59.999Z", '"cost":null,"charged":0.25'),
        line("2027-01-14T23:59:59.999Z"),
        line("2027-01-01T00:00:00.000Z"),
        line("2026-12-31T23:59:59.999Z"),
        line("2027-01-15T00:00:00.000Z", key="key-11111111"),
        line("no time at all"),
        '{"key":"key-00000000","cost":"much","at":"2027-01-15"}',
        '{"key":"\\udcff',
        "",
    )
    assert found == (1.75, 4.75)


def test_the_first_day_of_a_year_has_a_month_of_its_own(tmp_path: Path) -> None:
    """And the last of December another."""
    lines = (line("2026-12-31T23:59:59.999Z"), line("2027-01-01T00:00:00.000Z"))
    assert spent_in(tmp_path, *lines, now=1_798_761_600.0) == (1.5, 1.5)


def test_what_was_asked_in_this_minute_counts_against_a_rate(tmp_path: Path) -> None:
    """Before a restart, or by another gateway; what was asked in earlier minutes does not."""
    put(tmp_path, "".join(f"{line(at)}\n" for at in ("2027-01-15T07:59:59.999Z", MINUTE_OF_NOW, MINUTE_OF_NOW)).encode())
    for path in tmp_path.glob("*.jsonl"):
        os.utime(path, (NOW, NOW))
    allowances = Allowances(counters=KeyCounters(), clock=lambda: NOW)
    terms = KeyTerms(requests_per_minute=3)
    entry = GatewayKey(id="key-00000000", name="k", sha256="0" * 64, created_at="", terms=terms)
    allowances.follow(CheckedKeys((entry,), required=True, numbers={entry.id: 0}))
    SpentElsewhere(tmp_path, allowances, clock=lambda: NOW).look()
    allowances.enter(entry.id)
    with pytest.raises(Refusal, match="3 requests"):
        allowances.enter(entry.id)
