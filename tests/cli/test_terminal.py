"""What a terminal gets: wrapped paragraphs, a live line that nothing runs into, tidy ends."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from selfopt.cli.common import LiveLine, block, console, emit, joined, say, short_id
from selfopt.cli.log_lines import LogLines
from selfopt.cli.main import run
from selfopt.measure.progress import Progress
from selfopt.records import Outcome

from .world import Project


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        """It is."""
        return True


def terminal(width: int = 40) -> tuple[Console, io.StringIO]:
    """A console of this width, without colours."""
    stream = io.StringIO()
    return Console(file=stream, width=width, force_terminal=True, color_system=None, highlight=False), stream


def test_a_paragraph_is_wrapped_between_words_with_a_hanging_indent() -> None:
    """Identifiers with dashes and long paths stay in one piece, so that they can be copied."""
    out, stream = terminal(40)
    say(out, "a rule of some length and rule-0123456789-abcdef at its end /a/very/long/path/" + "x" * 40, indent=2, hang=4)
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("  a rule")
    assert all(line.startswith("    ") for line in lines[1:])
    assert any("rule-0123456789-abcdef" in line for line in lines)
    assert any("/a/very/long/path/" + "x" * 40 in line for line in lines)


@pytest.mark.parametrize("width", [30, 50, 80])
def test_a_wide_hanging_indent_leaves_room_for_words_on_a_narrow_terminal(width: int) -> None:
    """A list in columns does not become a column of single words."""
    out, stream = terminal(width)
    say(out, "short  " + "words of a title " * 8, hang=52)
    lines = stream.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    assert all(len(line.split()) > 2 for line in lines[:-1])


def test_elsewhere_a_paragraph_stays_on_one_line() -> None:
    """What goes into a file or a pipe can be searched line by line."""
    stream = io.StringIO()
    say(Console(file=stream, width=40, highlight=False), "word " * 50)
    assert len(stream.getvalue().splitlines()) == 1


def test_markup_and_escapes_are_shown_and_do_nothing() -> None:
    """[bold] is text, an escape sequence is written out, in paragraphs and in blocks."""
    out, stream = terminal(100)
    say(out, "[bold]x[/bold] \x1b[2J")
    block(out, "a\x1b[31m\n[red]b[/red]\n\u202e")
    shown = stream.getvalue()
    assert "[bold]x[/bold] \\x1b[2J" in shown
    assert "[red]b[/red]" in shown
    assert "\\u202e" in shown
    assert "\x1b[2J" not in shown


def test_a_block_is_cut_and_says_so() -> None:
    """The rest is counted."""
    out, stream = terminal(100)
    block(out, "x" * 50, limit=10)
    assert "xxxxxxxxxx\n" in stream.getvalue()
    assert "40 more characters" in stream.getvalue()


def test_small_helpers() -> None:
    """Lists with a rest, the telling end of an id, sets in a fixed order."""
    assert joined(["a", "b", "c"], 2) == "a, b and 1 more"
    assert short_id("trial-01m84hagegm4rqbgz3jw") == "rqbgz3jw"


def test_emit_prints_dataclasses_records_paths_and_sets(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything that verbs return becomes JSON."""
    emit({"path": Path("/x"), "set": frozenset({"b", "a"}), "outcome": Outcome.PASS})
    assert '"path": "/x"' in capsys.readouterr().out


def test_the_console_has_80_columns_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also on standard error; COLUMNS says otherwise."""
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert console().width == 80
    assert console(stderr=True).width == 80
    monkeypatch.setenv("COLUMNS", "120")
    assert console().width == 120


EVENT = Progress("trial", "m \x1b atomic", 3, 12, 1.0, 4.2, 0, "P3", Outcome.PASS, "")


def test_the_live_line_rewrites_itself_and_is_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal: one line, clipped to the width, control characters replaced, removed before anything else is printed."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    live = LiveLine()
    live(EVENT)
    live.clear()
    text = stream.getvalue()
    assert text.startswith("\r  m ? atomic: 3/12 P3 pass, about 4 s left")
    assert text.endswith("\r")
    assert "\n" not in text
    live.clear()
    assert stream.getvalue() == text


def test_a_log_line_does_not_run_into_the_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The live line is removed first; the handler goes away with the command and never raises."""
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    handler = LogLines()
    handler.attach(logging.INFO)
    try:
        live = LiveLine()
        live.show("  working")
        logging.getLogger("selfopt.residency").info("Warm-up complete: %s", "m\x1b[2J")
    finally:
        handler.detach()
    assert stream.getvalue().endswith("\rWarm-up complete: m?[2J\n")
    assert handler not in logging.getLogger("selfopt").handlers
    stream.close()
    handler.emit(logging.LogRecord("selfopt", logging.INFO, "", 0, "after the end", None, None))


def elsewhere(monkeypatch: pytest.MonkeyPatch, events: list[Progress], *, plain: bool = False) -> list[str]:
    """The lines of a file, where an event comes every second."""
    stream, now = io.StringIO(), 100.0
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("time.monotonic", lambda: now)
    live = LiveLine(plain=plain)
    for event in events:
        live(event)
        now += 1.0
    return stream.getvalue().splitlines()


def test_elsewhere_a_step_begins_with_a_line_and_then_one_comes_every_ten_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a file: specs measured in turn begin once each, and a hundred trials are a dozen lines."""
    events = [replace(EVENT, label=f"spec {i % 2}", done=i) for i in range(100)]
    lines = elsewhere(monkeypatch, events)
    assert ["spec 0" in lines[0], "spec 1" in lines[1]] == [True, True]
    assert len(lines) <= 2 + 100 / 10


def test_elsewhere_what_is_worth_saying_comes_at_once_and_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same note twenty times is one note."""
    note = Progress("note", "m", 3, 12, 1.0, None, note="deterministic")
    lines = elsewhere(monkeypatch, [replace(EVENT, label="m"), *[note] * 9])
    assert sum("(deterministic)" in line for line in lines) == 1


def test_plain_progress_is_a_line_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """For whoever asks for it."""
    assert len(elsewhere(monkeypatch, [replace(EVENT, done=i) for i in range(50)], plain=True)) == 50


def test_plain_progress_rewrites_nothing_on_a_terminal(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """--progress plain, on the commands that measure."""
    stream = Terminal()
    with contextlib.redirect_stderr(stream), contextlib.redirect_stdout(io.StringIO()):
        assert run(["run", "scripted/good", "atomic", "--progress", "plain"]) == 0
    assert "\r" not in stream.getvalue()
    assert "0/3" in stream.getvalue()


def test_elsewhere_switched_off_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with --json."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    silent = LiveLine(enabled=False)
    silent(EVENT)
    silent.show("x")
    assert stream.getvalue() == ""


def test_elsewhere_a_trial_that_takes_long_does_not_fill_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same line says nothing new; it comes again after a minute, and what moves comes as ever."""
    assert len(elsewhere(monkeypatch, [EVENT] * 59)) == 1
    assert len(elsewhere(monkeypatch, [*[EVENT] * 59, replace(EVENT, done=4)])) == 2
    assert len(elsewhere(monkeypatch, [EVENT] * 61)) == 2


SLOW = "models: {slow: {latency_ms: 400, default: {text: x}}}"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_measurement_ends_tidily_and_is_continued(project: Project, number: int) -> None:
    """Ctrl-C and SIGTERM: exit 130, one line, and the same command takes over what is there."""
    project.write("script.yaml", SLOW)
    arguments = [sys.executable, "-m", "selfopt", "supervise", "scripted/slow", "atomic", "--runs", "3"]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=project.environ())
    assert child.stderr is not None
    for line in child.stderr:
        if any(f": {done}/9" in line for done in range(1, 9)):
            break
    child.send_signal(number)
    out, err = child.communicate(timeout=120)
    assert child.returncode == 130
    assert out == ""
    assert [x for x in err.splitlines() if x.startswith("selfopt: ")] == [
        "selfopt: interrupted; the same command continues where it stopped"
    ]
    project.write("script.yaml", "models: {slow: {latency_ms: 1, default: {text: x}}}")
    body = project.ok("supervise", "scripted/slow", "atomic", "--runs", "3", "--json").json()
    assert body["resumed"] >= 1
    assert body["resumed"] + body["trials"] == 9


def test_ctrl_c_is_how_a_scripted_server_is_ended(project: Project) -> None:
    """Exit 130 like every interrupted command, and not a word: nothing was cut short."""
    arguments = [sys.executable, "-m", "selfopt", "scripted", "script.yaml"]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=project.environ())
    assert child.stdout is not None
    assert "Ctrl-C ends it" in child.stdout.readline()
    child.send_signal(signal.SIGINT)
    _, err = child.communicate(timeout=120)
    assert (child.returncode, err) == (130, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_output_that_cannot_be_written_is_said(project: Project) -> None:
    """Standard output on a full disk: exit 1 and one line."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "selfopt", "suites", "list"],
            stdout=full, stderr=subprocess.PIPE, text=True, env=project.environ(), check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("selfopt: ")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("arguments", [("suites", "show", "extended-160"), ("suites", "show", "extended-160", "--json")])
def test_a_reader_that_goes_away_is_no_error(project: Project, arguments: tuple[str, ...]) -> None:
    """`selfopt ... | head -1`: exit 0 and no complaint."""
    with subprocess.Popen(
        [sys.executable, "-m", "selfopt", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=project.environ(),
    ) as running:  # fmt: skip
        assert running.stdout is not None
        assert running.stderr is not None
        assert running.stdout.readline()
        running.stdout.close()
        assert running.stderr.read() == ""
        assert running.wait(60) == 0


@pytest.mark.parametrize("pipe", ["| true", "--json | head -c 1", "2>&1 >/dev/null | true"])
def test_a_gate_says_no_whoever_reads_it(project: Project, pipe: str) -> None:
    """Its exit code tells, also when the page or the progress goes nowhere."""
    project.write("selfopt.check.yaml", "suite: atomic\nmodel: mute\nmin_accuracy: 0.9\n")
    command = f'set -o pipefail; "{sys.executable}" -m selfopt check {pipe}'
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, env=project.environ(), cwd=project.root, check=False
    )
    assert done.returncode == 100, done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", ">&- 2>&- <&-"])
def test_closed_streams_are_no_bug(project: Project, closed: str) -> None:
    """What would be written to them goes nowhere; exit codes stay."""
    for arguments, code in (("run good atomic --limit 1", 0), ("run nope atomic", 2)):
        command = f'"{sys.executable}" -m selfopt {arguments} {closed}'
        done = subprocess.run(
            ["sh", "-c", command], capture_output=True, text=True, env=project.environ(), cwd=project.root, check=False
        )
        assert done.returncode == code, done.stderr
        assert "bug" not in done.stderr


def test_what_an_encoding_cannot_write_is_no_bug(project: Project) -> None:
    """A terminal that knows nothing but ASCII."""
    environ = project.environ() | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "selfopt", "run", "good", "atomic", "--limit", "1"],
        capture_output=True, env=environ, cwd=project.root, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.isascii()


def test_a_working_folder_that_is_gone_is_said(project: Project) -> None:
    """Exit 2 with what to do."""
    folder = project.root / "gone"
    folder.mkdir()
    command = f'rmdir "{folder}"; exec "{sys.executable}" -m selfopt suites list'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=project.environ(), cwd=folder, check=False)
    assert (done.returncode, "does not exist any more" in done.stderr) == (2, True)


def test_an_unexpected_error_is_one_line_too(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug does not spill a traceback; SELFOPT_TRACEBACK shows it."""

    def broken(app: object) -> None:
        raise ZeroDivisionError("a bug\x1b[2J")

    monkeypatch.setattr("selfopt.verbs.suites.suite_summaries", broken)
    monkeypatch.delenv("SELFOPT_TRACEBACK")
    result = project.run("suites", "list")
    assert result.code == 1
    assert "unexpected ZeroDivisionError: a bug\\x1b[2J" in result.err
    assert "Traceback" not in result.err
    monkeypatch.setenv("SELFOPT_TRACEBACK", "1")
    assert "Traceback" in project.run("suites", "list").err


def test_standard_error_that_is_gone_changes_no_exit_code(project: Project) -> None:
    """Nobody reads the message: the code still tells."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "selfopt", "run", "nope", "atomic"], stderr=write, env=project.environ(), check=False
    )
    os.close(write)
    assert done.returncode == 2


def test_scripted_serves_until_it_is_ended(project: Project) -> None:
    """The address is printed at once; the server answers; SIGTERM ends it with 130."""
    import json
    import urllib.request

    arguments = [sys.executable, "-m", "selfopt", "scripted", "script.yaml", "--json"]
    child = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=project.environ())
    assert child.stdout is not None
    text, deadline = "", time.monotonic() + 120
    while "}" not in text and time.monotonic() < deadline:
        text += child.stdout.readline()
    url = json.loads(text)["base_url"]
    with urllib.request.urlopen(f"{url}/v1/models", timeout=120) as reply:
        assert "good" in reply.read().decode()
    child.terminate()
    child.communicate(timeout=120)
    assert child.returncode == 130
