"""The URLs of places for texts: what is one, and what is refused without repeating it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.home.places import check_place


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/a/prefix/", "s3://bucket/a/prefix"),
        ("gs://bucket/x", "gs://bucket/x"),
        ("az://container/x", "az://container/x"),
        ("abfs://container@account.dfs.core.windows.net/x", "abfs://container@account.dfs.core.windows.net/x"),
        ("sftp://me@host:22/srv/texts", "sftp://me@host:22/srv/texts"),
        ("file:///srv/texts/", "file:///srv/texts"),
    ],
)
def test_a_place_is_kept_without_a_last_slash(written: str, meant: str) -> None:
    """Each kind."""
    assert check_place(written) == meant


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "write a URL such as"),
        ("bucket/x", "write a URL such as"),
        ("http://host/x", "its kind is one of file, s3"),
        ("simplecache::s3://bucket/x", "write a URL such as"),
        ("s3://bucket/a b", "write a URL such as"),
        ("s3://bucket/\x1b[31m", "write a URL such as"),
        ("s3://" + "x" * 600, "write a URL such as"),
        ("s3://AKIAEXAMPLE:secret@bucket/x", "put keys where its own tools look for them"),
        ("s3://AKIAEXAMPLE@bucket/x", "put keys where its own tools look for them"),
        ("abfs://c:secret@account/x", "put keys where its own tools look for them"),
        ("az://container/x?sig=secret", "put keys where its own tools look for them"),
        ("s3://bucket/x#secret", "put keys where its own tools look for them"),
        ("s3://bucket/../other", "empty, . or .."),
        ("s3://bucket//x", "empty, . or .."),
        ("s3://bucket/x::zip://y", "wraps another one"),
        ("s3:///x", "names no bucket"),
        ("file://relative/x", "with its whole path"),
        ("sftp://host:port/x", "cannot be read"),
    ],
)
def test_what_is_no_place_is_refused_without_repeating_it(url: str, said: str) -> None:
    """One line that shows no secret."""
    with pytest.raises(ValueError, match=said) as caught:
        check_place(url)
    assert "secret" not in str(caught.value)
    assert "AKIA" not in str(caught.value)
    assert "\n" not in str(caught.value)


@given(st.text() | st.from_regex(r"(s3|file|az|abfs)://[a-z@:/?#.\[\]]{0,20}", fullmatch=True))
def test_any_text_is_a_place_or_a_value_error(text: str) -> None:
    """And what is taken is taken again as it is."""
    try:
        found = check_place(text)
    except ValueError:
        return
    assert check_place(found) == found
