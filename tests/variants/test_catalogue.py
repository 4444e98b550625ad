"""The catalogue, users' own variants, and what examples may not share with the suites."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from selfopt.errors import VariantError
from selfopt.records import Message
from selfopt.suites import list_suites, load_suite
from selfopt.variants import get_variant, load_variants

NAMES = [
    "native_api",
    "native_parsed",
    "restrained",
    "fitted",
    "gated",
    "atomic",
    "extended",
    "few_shot",
    "constrained",
    "few_shot_constrained",
]
NAMES += [f"{name}@2" for name in NAMES]
WORD = re.compile(r"[^\W_]+")
# Words that start a sentence or name a month; every other capitalised word is taken for a name.
ORDINARY = {
    "I",
    "A",
    "An",
    "And",
    "Are",
    "At",
    "Book",
    "But",
    "By",
    "Call",
    "Can",
    "Could",
    "Day",
    "Did",
    "Do",
    "Does",
    "Don",
    "Find",
    "For",
    "From",
    "Get",
    "Give",
    "Go",
    "Have",
    "Hello",
    "Hi",
    "How",
    "If",
    "In",
    "Is",
    "It",
    "Just",
    "Keep",
    "Let",
    "Look",
    "Make",
    "May",
    "My",
    "Name",
    "No",
    "Not",
    "Now",
    "Of",
    "Ok",
    "Okay",
    "On",
    "One",
    "Only",
    "Or",
    "Play",
    "Please",
    "Put",
    "Reserve",
    "Say",
    "Search",
    "See",
    "Send",
    "Set",
    "Should",
    "So",
    "Text",
    "Thanks",
    "Thank",
    "That",
    "The",
    "Then",
    "There",
    "They",
    "This",
    "Time",
    "To",
    "Today",
    "Use",
    "Wake",
    "We",
    "What",
    "When",
    "Where",
    "Which",
    "Who",
    "Why",
    "Will",
    "With",
    "Write",
    "Yes",
    "You",
    "Your",
    "January",
    "February",
    "March",
    "April",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
    "Sunday",
    "YYYY",
    "MM",
    "DD",
    "HH",
    "Number",
    "Title",
    "Words",
    "Start",
    "Length",
    "Unit",
    "Sundays",
}


def texts(messages: tuple[Message, ...]) -> str:
    calls = [str(value) for m in messages for call in m.tool_calls for value in call.arguments.values()]
    return " ".join([*(m.content for m in messages), *calls])


def test_the_catalogue_has_the_variants_that_the_documentation_names() -> None:
    """In its order; their content is distinct."""
    variants = load_variants()
    assert list(variants) == NAMES
    assert len({v.variant_hash for v in variants.values()}) == len(NAMES)
    assert variants["native_api"].render_hash == variants["native_parsed"].render_hash


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    """The one that was meant comes first."""
    with pytest.raises(
        VariantError, match=r"'restrain'; did you mean restrained or restrained@2; known: native_api, native_parsed"
    ):
        get_variant("restrain")


def test_examples_share_no_tool_name_city_file_or_prompt_with_any_suite() -> None:
    """A model must not be shown what it is then asked."""
    examples = [example for variant in load_variants().values() for example in variant.examples]
    shown_tools = {tool.name for example in examples for tool in example.tools}
    shown_text = " ".join(
        [texts(example.messages) for example in examples]
        + [str(v) for example in examples for call in example.tool_calls for v in call.arguments.values()]
        + [str(tool.parameters) + tool.description for example in examples for tool in example.tools]
    )
    shown_names = {word for word in WORD.findall(shown_text) if word[0].isupper()} - ORDINARY
    shown_requests = [set(WORD.findall(texts(example.messages).lower())) for example in examples]
    for name in list_suites():
        suite = load_suite(name)
        tools = {tool.name for tools in suite.tool_sets.values() for tool in tools}
        assert not shown_tools & tools
        for prompt in suite.prompts:
            said = texts(prompt.messages)
            assert not shown_names & set(WORD.findall(said)), (suite.name, prompt.id)
            assert not set(re.findall(r"[\w-]+\.[a-z]{2,4}\b", said)) & set(re.findall(r"[\w-]+\.[a-z]{2,4}\b", shown_text))
            last = set(WORD.findall(prompt.messages[-1].content.lower()))
            for request in shown_requests:
                assert len(last & request) / len(last | request) < 0.5, (suite.name, prompt.id)


def test_a_users_file_adds_variants_and_may_use_the_catalogues_examples(tmp_path: Path) -> None:
    """Of the same form as the catalogue."""
    path = tmp_path / "mine.yaml"
    path.write_text("variants:\n  mine: {tools: system_prompt, examples: everyday, parsers: [json]}\n", "utf-8")
    variants = load_variants(path)
    assert list(variants) == [*NAMES, "mine"]
    assert get_variant("mine", path).examples == variants["few_shot"].examples


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("variants: {native_api: {parsers: [json]}}", "catalogue has variants of this name"),
        ("variants: {x: {parser: [json]}}", "fields are"),
        ("variants: {x: {parsers: [yaml]}}", "unknown reader 'yaml'"),
        ("variants: {x: {options: {speed: 1}}}", "options are"),
        ("variants: {x: {examples: nothing}}", "known: everyday, one_tool"),
        ("variants: {x: 3}", "mapping of fields"),
        ("other: 1", "needs a mapping"),
        ("variants: [", "not valid YAML"),
        ("{a: " * 5000, "nested deeper than 40"),
        ("variants: {x: {description: 2024-99-99, parsers: [3]}}", "Input should be"),
        ("variants: {x: &x {parsers: [json]}, y: *x}", "an anchor (&name) is not allowed"),
        ("variants: {x: {}, x: {}}", "occurs twice"),
        ("examples: 3\nvariants: {}", "mapping from a set's name"),
        ("variants: {x: {like: y}}", "like: no variant 'y'; known: native_api"),
        ("variants: {x: {like: [y]}}", "like: no variant ['y']"),
        ("variants: {x: {like: y}, y: {like: x}}", "x -> y -> x goes round in a circle"),
        ("version: 3\nvariants: {}", "has to be 1 or 2, got 3"),
        ("version: true\nvariants: {}", "has to be 1 or 2, got True"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    """One line, with the file's name."""
    path = tmp_path / "bad.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(VariantError, match=re.escape(says)) as caught:
        load_variants(path)
    assert "bad.yaml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_or_oversized_file_is_refused(tmp_path: Path) -> None:
    """Without reading all of it."""
    with pytest.raises(VariantError, match="no such file"):
        load_variants(tmp_path / "none.yaml")
    big = tmp_path / "big.yaml"
    big.write_bytes(b"#" * 1_000_001)
    with pytest.raises(VariantError, match="larger than"):
        load_variants(big)


def test_a_later_version_stands_beside_the_earlier_one() -> None:
    """It reads by all@2 and checks arguments there, so variants that differ in reading alone ask the same."""
    variants = load_variants()
    asked_alike = ("native_api", "native_parsed", "fitted")
    assert len({variants[name].render_hash for name in (*asked_alike, *(f"{name}@2" for name in asked_alike))}) == 1
    for name in NAMES[: len(NAMES) // 2]:
        later = variants[f"{name}@2"]
        assert "ground" not in later.options
        assert later.parsers[0] == ("native@2" if name == "native_api" else "all@2")
        assert ("ground@2" in later.parsers) == bool(variants[name].options.get("ground"))
        assert (later.instructions, later.examples, later.steps) == (
            variants[name].instructions,
            variants[name].examples,
            variants[name].steps,
        )


def test_a_variant_may_be_like_another_one(tmp_path: Path) -> None:
    """Of the catalogue or of the file, wherever it stands; what is given replaces what is taken over."""
    path = tmp_path / "mine.yaml"
    path.write_text(
        "variants:\n  mine: {like: base, title: Mine}\n  base: {like: restrained@2, options: {lean: true}}\n", "utf-8"
    )
    variants = load_variants(path)
    assert (variants["mine"].title, variants["mine"].options) == ("Mine", {"lean": True})
    assert variants["mine"].instructions == variants["restrained"].instructions
    assert variants["mine"].variant_hash == variants["base"].variant_hash


@pytest.mark.parametrize(
    ("head", "fields", "parsers"),
    [
        ("", "{}", ("native",)),
        ("version: 1\n", "{}", ("native",)),
        ("version: 2\n", "{}", ("all@2",)),
        ("version: 2\n", "{parsers: [json]}", ("json",)),
        ("version: 2\n", "{like: native_api}", ("native",)),
    ],
)
def test_a_file_of_version_2_reads_by_all_of_today(tmp_path: Path, head: str, fields: str, parsers: tuple[str, ...]) -> None:
    """Where a variant names no chain. Files without a version keep the ids of their variants."""
    path = tmp_path / "mine.yaml"
    path.write_text(f"{head}variants: {{mine: {fields}}}\n", "utf-8")
    assert load_variants(path)["mine"].parsers == parsers
