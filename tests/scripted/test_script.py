"""Reading scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.errors import SettingsError
from selfopt.scripted.script import load_script

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "SCRIPTED.md"


def test_the_documented_examples_load(tmp_path: Path) -> None:
    """What docs/SCRIPTED.md shows is accepted."""
    blocks = DOCUMENTATION.read_text("utf-8").split("```yaml\n")[1:]
    assert len(blocks) == 2
    for block in blocks:
        file = tmp_path / "script.yaml"
        file.write_text(block.partition("```")[0], "utf-8")
        assert load_script(file).models


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {}", "models"),
        ("models: {m: {}}\nsurprise: 1", "surprise"),
        ("models: {m: {load_ms: -1}}", "load_ms"),
        ("models: {m: {replies: [{match: {regex: '('}}]}}", "regular expression"),
        ("models: {m: {cold_affects: ['(']}}", "regular expression"),
        ("kinds: {a: ['(']}\nmodels: {m: {}}", "regular expression"),
        ("models: {m: {replies: [{match: {kind: nope}}]}}", "nope"),
        ("models: {m: {default: {fault: {kind: explode}}}}", "fault"),
        ("models: [", "not valid YAML"),
        ("a: &a [1]\nb: *a", "anchor"),
        ("[" * 5000, "nested deeper than 40"),
        ("just text", "is not a mapping"),
        ("", "is not a mapping"),
        ("a: \x00", "not valid YAML"),
        ("models: {m: {}}\nmodels: {n: {}}", "occurs twice"),
        ("models: {m: 3}", "models.m: must be a mapping"),
        ("models: {m: {text: x}}", "models.m.text: unknown key"),
    ],
)
def test_a_wrong_script_is_one_clear_line(tmp_path: Path, text: str, said: str) -> None:
    """The file is named, and what is wrong with it."""
    file = tmp_path / "script.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(SettingsError) as caught:
        load_script(file)
    assert said in str(caught.value)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_or_oversized_script_is_refused(tmp_path: Path) -> None:
    """Before it is parsed."""
    with pytest.raises(SettingsError, match="no such file"):
        load_script(tmp_path / "none.yaml")
    with pytest.raises(SettingsError, match="a folder"):
        load_script(tmp_path)
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * 2_000_001)
    with pytest.raises(SettingsError, match="larger"):
        load_script(big)
