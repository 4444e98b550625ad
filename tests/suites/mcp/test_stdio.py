"""Servers that are started as a command."""

from __future__ import annotations

import os
import re
import shlex
import sys
import time
from pathlib import Path

import psutil
import pytest

from selfopt.errors import SuiteError
from selfopt.home.extras import install_command
from selfopt.suites.mcp import parse_source, read_mcp_tools

SERVER = Path(__file__).with_name("server.py")


def command(how: str = "") -> str:
    """The command line of a server that behaves so."""
    return shlex.join([sys.executable, str(SERVER), how])


async def refusal(text: str, timeout_s: float = 20.0) -> str:
    """The one line with which a server is refused."""
    with pytest.raises(SuiteError) as caught:
        await read_mcp_tools(parse_source(text), timeout_s)
    assert str(caught.value).isprintable()
    return str(caught.value)


@pytest.mark.parametrize("how", ["", "asks", "stateless", "prints", "bom", "logs json"])
async def test_the_tools_of_all_pages_are_read(how: str) -> None:
    """With what a server asks meanwhile answered, from servers that know no handshake any more, and between lines of logs."""
    tools = await read_mcp_tools(parse_source(command(how)), 20.0)
    assert [tool.name for tool in tools] == ["tool_0", "tool_1", "tool_2"]
    assert tools[0].description == "Does tool_0."
    assert tools[0].parameters["required"] == ["q"]


async def test_a_tool_without_a_schema_has_no_arguments() -> None:
    """Many servers leave it out for such a tool; the others of the list are read as they are."""
    tools = await read_mcp_tools(parse_source(command("bare")), 20.0)
    assert [tool.name for tool in tools] == ["a", "b", "c"]
    assert [tool.parameters.get("properties") for tool in tools[:2]] == [{}, {}]
    assert tools[2].parameters["required"] == ["q"]


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("flood", "sent more than 4000000 bytes"),
        ("lines", "sent more than 4000000 bytes"),
        ("chatter", "sent more than 4000000 bytes"),
        ("dies", "ended with exit code 3 before it listed its tools (I need a \\x1b[31mkey)"),
        ("refuses", "refuses initialize: not\\x1b today"),
        ("no list", "its answer to tools/list breaks the protocol: "),
        ("nested", "has not listed its tools within"),
        ("bad tool", "its answer to tools/list breaks the protocol: tools.1.name: "),
        ("endless", "has more than 100 pages"),
        ("circle", "has no end (the page '1' comes again)"),
    ],
)
async def test_a_server_that_misbehaves_is_named_with_what_it_did(how: str, said: str) -> None:
    """In one line that a terminal can show."""
    text = await refusal(command(how), 3.0 if how == "nested" else 20.0)
    assert said in text
    assert "MCP server '" in text


def runs(pid: int) -> bool:
    """Whether a process runs (what nobody has asked about yet does not)."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_server_that_hangs_is_ended_with_all_that_it_started() -> None:
    """After the time that was given; its last words are told, the process and its child are gone."""
    text = await refusal(command("orphan"), 3.0)
    assert "has not listed its tools within 3 s and was ended (child " in text
    pids = [int(pid) for pid in re.findall(r"(?:server|child) (\d+)", text)]
    assert len(pids) == 2
    until = time.monotonic() + 120  # a signal is sent, and then delivered
    while any(map(runs, pids)) and time.monotonic() < until:
        os.sched_yield()
    assert not [pid for pid in pids if runs(pid)]


async def test_no_shell_sees_the_command(tmp_path: Path) -> None:
    """What a shell would do is a word like any other."""
    marker = tmp_path / "marker"
    text = await refusal(f"{shlex.quote(sys.executable)} -c 'import sys; sys.exit(4)' ; touch {shlex.quote(str(marker))}")
    assert "exit code 4" in text
    assert not marker.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("/nowhere/server --key secret", "MCP server '/nowhere/server': cannot be started (No such file or directory)"),
        ("/", "cannot be started (Permission denied)"),
    ],
)
async def test_a_command_that_cannot_be_started_is_named_without_its_arguments(text: str, said: str) -> None:
    """They may hold a key."""
    got = await refusal(text)
    assert said in got
    assert "secret" not in got


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "names no server"),
        ("   ", "names no server"),
        ("'half", "cannot be split into words"),
        ("a\x00b", "names no server"),
        ("http://", "is no URL"),
        ("http://a b/", "is no URL"),
    ],
)
def test_what_names_no_server_is_refused(text: str, said: str) -> None:
    """Before anything is started."""
    with pytest.raises(SuiteError, match=re.escape(said)):
        parse_source(text)


def test_a_url_is_shown_without_its_key() -> None:
    """Neither user nor query are for messages."""
    who = parse_source("https://user:secret@host.example/mcp?key=secret").who
    assert who == "MCP server https://host.example/mcp"


@pytest.mark.parametrize("text", ["some-server", "http://127.0.0.1:1/mcp"])
async def test_without_the_sdk_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """By the interpreter that runs, in a version that is known to work, as the extra of the package names it."""
    monkeypatch.setitem(sys.modules, "mcp", None)
    said = await refusal(text)
    assert f"run: {install_command('mcp')}" in said
    assert sys.executable in said
    assert '"mcp>=2.3,<3"' in (SERVER.parents[3] / "pyproject.toml").read_text("utf-8")
