"""The setting `blobs`: who may set it, what it takes, and that no message shows a key that stands in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.errors import SettingsError
from selfopt.settings import read_settings


def test_it_counts_from_the_users_own_file_and_from_the_environment(tmp_path: Path) -> None:
    """Without its last slash."""
    own = tmp_path / "user.toml"
    own.write_text('blobs = "s3://bucket/prefix/"\n', "utf-8")
    environ = {"SELFOPT_CONFIG": str(own)}
    assert read_settings(environ, tmp_path).settings.blobs == "s3://bucket/prefix"
    assert read_settings(environ | {"SELFOPT_BLOBS": "gs://other/x"}, tmp_path).settings.blobs == "gs://other/x"


@pytest.mark.parametrize("name", ["selfopt.toml", ".env"])
@pytest.mark.parametrize("as_trusted", [False, True])
def test_no_file_of_a_project_may_set_it(tmp_path: Path, name: str, as_trusted: bool) -> None:
    """Trusted or not."""
    (tmp_path / name).write_text(
        {"selfopt.toml": 'blobs = "s3://theirs/x"\n', ".env": "SELFOPT_BLOBS=s3://theirs/x\n"}[name], "utf-8"
    )
    with pytest.raises(SettingsError, match="sets blobs, and a project's file may not"):
        read_settings({}, tmp_path, as_trusted=as_trusted)


@pytest.mark.parametrize(
    "url", ["s3://key:hidden@bucket/x", "az://c/x?sig=hidden", "hidden", "http://hidden/x", "memory://hidden"]
)
def test_a_url_that_cannot_be_used_is_refused_and_not_repeated(tmp_path: Path, url: str) -> None:
    """One line that names the setting."""
    with pytest.raises(SettingsError, match="blobs: ") as caught:
        read_settings({"SELFOPT_BLOBS": url}, tmp_path)
    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)
