"""The bounded log."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from selfopt.engine.logfile import BoundedLog, printable


def test_the_log_never_holds_more_than_two_files_of_its_limit(tmp_path: Path) -> None:
    """However much is written."""
    path = tmp_path / "logs" / "engine.log"
    with BoundedLog(path, max_bytes=1000) as log:
        for number in range(1000):
            log.write_line(f"line {number}")
    files = sorted(path.parent.iterdir())
    assert [f.name for f in files] == ["engine.log", "engine.log.1"]
    assert all(f.stat().st_size <= 1100 for f in files)
    assert path.read_text().splitlines()[-1] == "line 999"


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """The engine matters more."""
    (tmp_path / "file").write_text("")
    with BoundedLog(tmp_path / "file" / "engine.log") as log:
        log.write_line("lost")
    assert (tmp_path / "file").read_text() == ""


@given(st.text())
def test_printable_text_can_do_nothing_to_a_terminal(value: str) -> None:
    """No control characters, one line, bounded."""
    shown = printable(value, 50)
    assert len(shown) <= 50
    assert shown.isprintable() or shown == ""
