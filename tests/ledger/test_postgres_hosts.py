"""A connection is encrypted unless it cannot leave this machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.ledger.postgres_hosts import stays_here


@pytest.mark.parametrize(
    ("url", "environ"),
    [
        ("postgresql:///db", {}),
        ("postgresql://u@localhost/db", {}),
        ("postgresql://u@127.0.0.1:5433/db", {}),
        ("postgresql://u@[::1]:5432/db", {}),
        ("postgresql://u@%2Fvar%2Frun/db", {}),
        ("postgresql:///db?host=/tmp", {}),
        ("postgresql:///db", {"PGHOST": "/run/postgresql"}),
        ("postgresql://u@localhost/db", {"PGHOST": "db.example"}),
    ],
)
def test_what_stays_here_needs_no_encryption(url: str, environ: dict[str, str]) -> None:
    """A socket, or loopback."""
    assert stays_here(url, environ)


@pytest.mark.parametrize(
    ("url", "environ"),
    [
        ("postgresql://u@db.example/db", {}),
        ("postgresql://u@localhost/db?hostaddr=203.0.113.5", {}),
        ("postgresql://u@/db?host=localhost&host=db.example", {}),
        ("postgresql:///db?host=/tmp,db.example", {}),
        ("postgresql://u@localhost,db.example/db", {}),
        ("postgresql://u@localhost/db?host=db.example", {}),
        ("postgresql:///db?service=prod", {}),
        ("postgresql:///db", {"PGSERVICE": "prod"}),
        ("postgresql:///db", {"PGHOST": "db.example"}),
        ("postgresql://u@localhost/db", {"PGHOSTADDR": "203.0.113.5"}),
        ("postgresql://u@[2001:db8::1]/db", {}),
    ],
)
def test_whatever_may_lead_elsewhere_does(url: str, environ: dict[str, str]) -> None:
    """Also where only one of several hosts does, or another place names it."""
    assert not stays_here(url, environ)


@given(st.lists(st.sampled_from(["localhost", "/tmp", "127.0.0.1", "db.example", "10.0.0.1"]), min_size=1, max_size=4))
def test_one_host_elsewhere_is_enough(hosts: list[str]) -> None:
    """Whatever its place in the list."""
    assert stays_here(f"postgresql:///db?host={','.join(hosts)}", {}) == ({*hosts} <= {"localhost", "/tmp", "127.0.0.1"})
