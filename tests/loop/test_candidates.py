"""What may be tried: how two specs differ, and candidates from a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from selfopt.errors import UsageError, VariantError
from selfopt.loop.candidates import changes, describe_change, load_candidates
from selfopt.records import WarmUp
from selfopt.variants import load_variants
from tests.loop.proposers.kit import BASE, VARIANTS


def to(name: str, base: str = "native_api") -> str:
    return f"variant {base} -> {name}"


def test_specs_that_measure_the_same_have_no_change() -> None:
    """The name of a variant is no change; warm-up limits are one."""
    renamed = BASE.model_copy(update={"variant": VARIANTS["native_api"].model_copy(update={"name": "other"})})
    assert changes(BASE, renamed) == ()
    assert describe_change(BASE, renamed) == "nothing"
    limits = BASE.model_copy(update={"warm_up": WarmUp(load_timeout_s=5)})
    assert describe_change(BASE, limits) == "warm-up limits"
    sized = BASE.model_copy(update={"context_size": 4096})
    assert describe_change(BASE, sized) == "context_size default -> 4096"


def write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_a_file_of_candidates_is_read_from_yaml_and_json(tmp_path: Path) -> None:
    """Every key, in the file's order."""
    entries: list[dict[str, Any]] = [
        {"variant": "restrained"},
        {"timeout_s": 90},
        {"connect_timeout_s": 2.5},
        {"retries": 3},
        {"context_size": 2048},
        {"isolate": True},
        {"warm_up": True},
        {"max_tokens": 512},
        {"thinking_tokens": 1024},
        {"temperature": 0.4},
    ]
    yaml_text = "\n".join(f"- {key}: {json.dumps(value)}" for entry in entries for key, value in entry.items())
    from_yaml = load_candidates(write(tmp_path / "c.yaml", yaml_text), BASE, VARIANTS)
    from_json = load_candidates(write(tmp_path / "c.json", json.dumps(entries)), BASE, VARIANTS)
    assert [s.spec_id for s in from_yaml] == [s.spec_id for s in from_json]
    assert [describe_change(BASE, s) for s in from_yaml] == [
        to("restrained"),
        "timeout_s 60 -> 90",
        "connect_timeout_s 5 -> 2.5",
        "retries 0 -> 3",
        "context_size default -> 2048",
        "isolate off -> on",
        "warm-up off -> on",
        to("native_api+max_tokens=512"),
        to("native_api+thinking_tokens=1024"),
        to("native_api+temperature=0.4"),
    ]


BOMB = "- &a [x, x, x, x, x, x, x, x]\n" + "".join(
    f"- &{chr(98 + i)} [" + ", ".join([f"*{chr(97 + i)}"] * 8) + "]\n" for i in range(12)
)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a list"),
        ("{}", "must be a list"),
        ("[]", "must be a list"),
        ("- variant: [", "not valid YAML"),
        ("- {variant: restrained, retries: 2}", "exactly one thing, got 'variant', 'retries'"),
        ("- {}", "exactly one thing, got nothing"),
        ("- restrained", "exactly one thing, got str"),
        ("- shell: rm", "unknown key 'shell'; allowed: variant, timeout_s"),
        ("- 1: 2", "unknown key '1'"),
        ("- variant: nope", "unknown variant 'nope'; known: native_api"),
        ('- variant: "\\e[31m"', r"unknown variant '\\x1b\[31m'"),
        ("- variant: 3", "unknown variant"),
        ("- retries: two", "retries must be a whole number, got 'two'"),
        ("- retries: true", "must be a whole number, got True"),
        ("- retries: 99", "retries 99 is not possible"),
        ("- timeout_s: 0", "timeout_s 0 is not possible"),
        ("- timeout_s: .inf", "must be seconds"),
        ("- timeout_s: .nan", "must be seconds"),
        ("- retries: 1" + "0" * 200, "got a very large number"),
        ("- isolate: 1", "must be true or false"),
        ("- max_tokens: 0", "max_tokens 0 is not possible"),
        ("- retries: 0", "changes nothing"),
        ("- variant: native_api", "candidate 1 changes nothing"),
        ("- retries: 2\n- retries: 2", "candidate 2 repeats an earlier candidate"),
        ("- retries: 2\n" * 201, "list of 1 to 200"),
        ("[" * 5000, "nested deeper than 40 levels"),
        (BOMB, "line 1: an anchor"),
        ("- retries: &a [*a]", "line 1: an anchor"),
        ("- retries: *a", "line 1: an alias"),
        ("- !!python/name:os.system {}", "line 1: a tag"),
        ("- {retries: 2, retries: 3}", "line 1: the key 'retries' occurs twice"),
        ("- retries: [2]", "must be a whole number, got a list"),
    ],
)
def test_a_bad_file_is_refused_in_one_line_that_says_what_is_allowed(tmp_path: Path, text: str, message: str) -> None:
    """UsageError: the user's file, exit code 2."""
    with pytest.raises(UsageError, match=message) as caught:
        load_candidates(write(tmp_path / "c.yaml", text), BASE, VARIANTS)
    assert "c.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 800


def test_every_key_of_a_file_of_candidates_is_documented(tmp_path: Path) -> None:
    """docs/EXECUTE_LOCALLY.md has an example that loads, and names every key that is allowed."""
    text = (Path(__file__).parents[2] / "docs" / "EXECUTE_LOCALLY.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "candidates.yaml"
    path.write_text(example, "utf-8")
    assert len(load_candidates(path, BASE, load_variants())) == 2
    path.write_text("- nope: 1\n", "utf-8")
    with pytest.raises(UsageError) as refused:
        load_candidates(path, BASE, VARIANTS)
    allowed = str(refused.value).partition("allowed: ")[2].split(", ")
    assert allowed
    assert [key for key in allowed if key not in example] == []


def test_missing_oversized_and_binary_files_are_refused(tmp_path: Path) -> None:
    """Bounded before it is parsed."""
    with pytest.raises(UsageError, match="cannot be read"):
        load_candidates(tmp_path / "none.yaml", BASE, VARIANTS)
    with pytest.raises(UsageError, match="larger than"):
        load_candidates(write(tmp_path / "big.yaml", "#" * 1_000_001), BASE, VARIANTS)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_candidates(binary, BASE, VARIANTS)
    with pytest.raises(UsageError, match="nested deeper"):
        load_candidates(write(tmp_path / "deep.json", "[" * 100_000), BASE, VARIANTS)


def test_an_unknown_variant_is_a_variant_error(tmp_path: Path) -> None:
    """The same sort of error as on the command line."""
    with pytest.raises(VariantError):
        load_candidates(write(tmp_path / "c.yaml", "- variant: nope"), BASE, VARIANTS)
