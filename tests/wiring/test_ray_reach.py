"""What is wrong with the address of a Ray cluster, as far as it shows without Ray. The rest is in tests/services."""

from __future__ import annotations

import platform
from pathlib import Path
from types import SimpleNamespace

import pytest

from selfopt.errors import ClusterError
from selfopt.wiring.ray_cluster import _refusal
from selfopt.wiring.ray_reach import require_reachable, token_of
from tests.cli.servers import free_port


async def test_a_closed_port_is_named_with_the_command_that_opens_it() -> None:
    """At once, and in one line."""
    port = free_port()
    with pytest.raises(ClusterError, match=f"--ray-client-server-port={port}") as refused:
        await require_reachable(f"ray://127.0.0.1:{port}")
    assert "Connection refused" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_token_is_found_where_ray_finds_it(tmp_path: Path) -> None:
    """The variable, the file that a variable names, the file of this user; empty is none."""
    (tmp_path / ".ray").mkdir()
    (tmp_path / "other").write_text("of the file\n", "utf-8")
    assert token_of({}, tmp_path)[0] is None
    (tmp_path / ".ray" / "auth_token").write_text("of the user\n", "utf-8")
    assert token_of({}, tmp_path) == ("of the user", str(tmp_path / ".ray" / "auth_token"))
    assert token_of({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "other")}, tmp_path)[0] == "of the file"
    assert token_of({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none")}, tmp_path)[0] is None
    assert token_of({"RAY_AUTH_TOKEN": "of the variable"}, tmp_path) == ("of the variable", "RAY_AUTH_TOKEN")


@pytest.mark.parametrize(
    ("error", "said", "unsaid"),
    [
        ("Traceback (most recent call last):\n  File x\nRuntimeError: Starting Ray client server failed. See x.err", "GRPC_ENABLE_FORK_SUPPORT=0", "Traceback"),
        ("Traceback (most recent call last):\n  File x\nValueError: no room", "ValueError: no room", "File x"),
        ("Version mismatch: the cluster has Ray 2.9", platform.python_version(), "Traceback"),
        ("ray client connection timeout", "timeout", platform.python_version()),
    ],
)  # fmt: skip
def test_why_a_cluster_cannot_be_used_is_one_line_with_versions_only_where_they_matter(
    error: str, said: str, unsaid: str
) -> None:
    """No traceback of the other side, and no wrong lead."""
    text = _refusal(SimpleNamespace(__version__="2.60.0"), "ray://h:1", RuntimeError(error))
    assert said in text
    assert unsaid not in text
    assert "\n" not in text
