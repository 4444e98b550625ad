"""The leaderboard's data as suites. The cases are our own, in its form."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import SuiteError
from selfopt.records import ExpectedCall, Suite
from selfopt.suites import validate_suite
from selfopt.suites.importers.bfcl import _halves, import_bfcl
from selfopt.suites.importers.bfcl_files import BFCL_CATEGORIES
from tests.suites.bfcl_kit import BELL, FILES, VERSION, WAVE, answer, function, lines, question, texts, write_folder, write_wheel


def sample(folder: Path) -> Path:
    """A folder that can be imported."""
    return write_folder(folder, texts())


def refusal(source: Path, categories: Sequence[str] = ()) -> str:
    """The one line with which an import is refused."""
    with pytest.raises(SuiteError) as caught:
        import_bfcl(source, categories)
    text = str(caught.value)
    assert not re.search(r"[\x00-\x1f]", text)
    assert ";" in text or ":" in text
    return text


def one(tmp_path: Path, questions: Sequence[Any], answers: Sequence[Any] | None = None, category: str = "multiple") -> Suite:
    """The suite of one category."""
    files = {f"BFCL_v4_{category}.json": lines(questions)}
    if answers is not None:
        files[f"possible_answer/BFCL_v4_{category}.json"] = lines(answers)
    return import_bfcl(write_folder(tmp_path / "data", files))[0]


def test_every_category_that_is_there_becomes_a_suite(tmp_path: Path) -> None:
    """In the leaderboard's order, judged its way, usable, with where it is from."""
    suites = import_bfcl(write_wheel(tmp_path, texts()))
    assert [s.name for s in suites] == ["bfcl_simple_python", "bfcl_irrelevance", "bfcl_live_parallel", "bfcl_live_relevance"]
    for suite in suites:
        assert (suite.judging, suite.scope, suite.phase) == ("bfcl", "sample", "atomic")
        assert validate_suite(suite) == []
        assert re.fullmatch(rf"bfcl-eval {VERSION}, BFCL_v4_\w+\.json, sha256 [0-9a-f]{{12}}( \+ [0-9a-f]{{12}})?", suite.origin)
    assert [s.name for s in import_bfcl(write_wheel(tmp_path, texts()), ["live_parallel"])] == ["bfcl_live_parallel"]


def test_a_wheel_and_a_folder_say_the_same(tmp_path: Path) -> None:
    """Whether the folder is the data, the package or what it was installed into; only the version may be unknown."""
    wheel = import_bfcl(write_wheel(tmp_path, texts()))
    with zipfile.ZipFile(write_wheel(tmp_path, texts())) as archive:
        archive.extractall(tmp_path / "target")
    for source in (tmp_path / "target", tmp_path / "target/bfcl_eval", tmp_path / "target/bfcl_eval/data"):
        assert import_bfcl(source) == wheel
    alone = import_bfcl(write_folder(tmp_path / "alone", texts()))
    assert [s.content_id() for s in alone] == [s.content_id() for s in wheel]
    assert alone[0].origin.startswith("bfcl-eval unknown")


def test_expectations_are_the_answers_or_silence_or_any_call(tmp_path: Path) -> None:
    """Irrelevance has none, relevance takes any."""
    simple, irrelevance, parallel, relevance = import_bfcl(write_folder(tmp_path, texts()))
    ring = ExpectedCall(name="tower.ring", arguments={"bell": ["large"], "force": ["", 2.0], "at": ["", [1.0, 2.0]]})
    assert simple.prompts[0].expected == ((ring,),)
    assert [p.expected for p in irrelevance.prompts] == [((),), ((),)]
    assert [[c.arguments["times"] for c in calls] for calls in parallel.prompts[0].expected] == [[[1], [2]]]  # type: ignore[union-attr]
    assert relevance.prompts[0].expected == "any"
    assert irrelevance.tools_of(irrelevance.prompts[1]) == ()


def test_conversations_are_kept(tmp_path: Path) -> None:
    """System prompts and earlier turns."""
    asked = question("live_irrelevance_0-0-0", WAVE)
    asked["question"] = [
        [{"role": r, "content": c} for r, c in (("system", "s"), ("user", "u"), ("assistant", "a"), ("user", "v"))]
    ]
    suite = one(tmp_path, [asked], category="live_irrelevance")
    assert [(m.role, m.content) for m in suite.prompts[0].messages] == [
        ("system", "s"),
        ("user", "u"),
        ("assistant", "a"),
        ("user", "v"),
    ]


def test_types_become_json_schema_as_the_generator_writes_them(tmp_path: Path) -> None:
    """What the checker needs beyond that stands in `format`."""
    (tool,) = import_bfcl(write_folder(tmp_path, texts()))[0].tool_sets["simple_python_0"]
    assert tool.name == "tower.ring"
    assert tool.description == "Do tower.ring. Note that the provided function is in Python 3 syntax."
    assert tool.parameters["type"] == "object"
    assert tool.parameters["required"] == ["bell"]
    speed = {"type": "number", "format": "float", "description": "Speed. This is a float type value."}
    assert tool.parameters["properties"] == {
        "bell": {"type": "string", "description": "Which.", "enum": ["small", "large"]},
        "force": {"type": "number", "format": "float", "description": "How hard. This is a float type value.", "default": 1.0},
        "at": {"type": "array", "format": "tuple", "description": "Where.", "items": {"type": "number", "format": "float"}},
        "guests": {"type": "array", "description": "Who.", "items": {"type": "string"}},
        "how": {"type": "object", "description": "How.", "properties": {"speed": speed}},
        "note": {"type": "string", "description": "Anything."},
    }


def test_prompts_with_the_same_tools_share_a_tool_set(tmp_path: Path) -> None:
    """It is named after the first of them, and is what intervals are clustered by."""
    questions = [question("irrelevance_0", WAVE), question("irrelevance_1", BELL), question("irrelevance_2", WAVE)]
    suite = one(tmp_path, questions, category="irrelevance")
    assert [p.tool_set for p in suite.prompts] == ["irrelevance_0", "irrelevance_1", "irrelevance_0"]
    assert list(suite.tool_sets) == ["irrelevance_0", "irrelevance_1"]


def test_prompts_that_offer_nothing_stay_together(tmp_path: Path) -> None:
    """No tool set stands in both halves, not even the empty one."""
    questions = [*(question(f"irrelevance_{n}", said=f"Say {n}.") for n in range(4)), question("irrelevance_4", WAVE)]
    suite = one(tmp_path, questions, category="irrelevance")
    assert len({p.split for p in suite.prompts[:4]}) == 1
    assert suite.prompts[4].split != suite.prompts[0].split
    assert validate_suite(suite) == []


def test_prompts_that_ask_the_same_stay_together(tmp_path: Path) -> None:
    """Whatever they offer; case and spaces make no other request."""
    asked = [("a", "Ring  it."), ("b", "Wave."), ("c", "ring it."), ("d", "Bow.")]
    suite = one(tmp_path, [question(f"irrelevance_{n}", function(n), said=s) for n, s in asked], category="irrelevance")
    split = {p.id[-1]: p.split for p in suite.prompts}
    assert split["a"] == split["c"] != split["b"] == split["d"]


@given(
    st.dictionaries(
        st.integers(0, 60).map(lambda n: f"p{n}"), st.lists(st.sampled_from("abcdefghijklmnopqrst"), max_size=3), max_size=40
    ),
    st.randoms(),
)
def test_halves_share_no_function_and_are_as_even_as_that_allows(functions: dict[str, list[str]], random: Any) -> None:
    """Every prompt has a half, the same whatever the order of the prompts; no group is larger than the difference."""
    split = _halves(functions, "seed")
    assert set(split) == set(functions)
    names: dict[str, set[str]] = {"search": set(), "heldout": set()}
    for prompt_id, side in split.items():
        names[side] |= set(functions[prompt_id])
    assert not names["search"] & names["heldout"]
    shuffled = list(functions.items())
    random.shuffle(shuffled)
    assert _halves(dict(shuffled), "seed") == split
    apart = {prompt_id: [prompt_id] for prompt_id in functions}
    sides = list(_halves(apart, "seed").values())
    assert 0 <= sides.count("heldout") - sides.count("search") <= 1


def test_an_import_is_the_same_every_time(tmp_path: Path) -> None:
    """A golden id: measurements rest on it."""
    suites = import_bfcl(write_folder(tmp_path, texts()))
    assert [s.content_id() for s in suites] == [
        "suite-f75ed217a1f18ea461536beb",
        "suite-cf8d9e65b8130cb925135d81",
        "suite-dddb57928671d4d1513d4be7",
        "suite-6efe6a20b06dc23d7831c78b",
    ]


OTHER = function("other", {"when": {"type": "date", "description": "d"}})
NESTED = function(
    "other", {"who": {"type": "array", "description": "d", "items": {"type": "dict", "properties": {"n": {"type": "set"}}}}}
)


@pytest.mark.parametrize(
    ("questions", "answers", "words"),
    [
        (
            [question("multiple_0", OTHER)],
            [answer("multiple_0", {"other": {}})],
            ("line 1", "'other'", "when", "unknown type 'date'"),
        ),
        ([question("multiple_0", NESTED)], [answer("multiple_0", {"other": {}})], ("who[].n", "unknown type 'set'")),
        ([question("multiple_0", function("o", {"l": {"type": "array", "description": "d"}}))], [], ("without items",)),
        ([question("multiple_0", WAVE)], [], ("line 1", "has no call for 'multiple_0'")),
        ([question("multiple_0", WAVE), question("multiple_0", WAVE)], [answer("multiple_0", {"wave": {}})], ("line 2", "twice")),
        ([question("multiple_0", WAVE)], [answer("multiple_0", {"wave": {}, "ring": {}})], ("2 functions",)),
        ([question("multiple_0", WAVE)], [answer("multiple_0", {"wave": {"times": 3}})], ("times", "not an entry of BFCL v4")),
        ([{**question("multiple_0", WAVE), "question": [[], []]}], [], ("question", "not an entry")),
        ([{**question("multiple_0", WAVE), "initial_config": {}}], [], ("initial_config", "not an entry")),
        ([{**question("multiple_0", WAVE), "id": 7}], [], ("id", "not an entry")),
        ([[]], [], ("line 1", "not an entry")),
    ],
)
def test_what_is_not_as_version_4_has_it_is_named(
    tmp_path: Path, questions: Sequence[Any], answers: Sequence[Any], words: tuple[str, ...]
) -> None:
    """With file, line and what stands there."""
    files = {"BFCL_v4_multiple.json": lines(questions), "possible_answer/BFCL_v4_multiple.json": lines(answers)}
    text = refusal(write_folder(tmp_path, files))
    assert "BFCL_v4_multiple.json" in text
    for word in words:
        assert word in text, text


def test_other_versions_and_categories_that_are_not_there_are_named(tmp_path: Path) -> None:
    """And what would do."""
    old = write_folder(tmp_path / "old", {"BFCL_v3_multiple.json": "{}"})
    assert "BFCL v3, but only v4 can be judged" in refusal(old)
    assert "has no BFCL_v4_*.json" in refusal(write_folder(tmp_path / "none", {"x.json": "{}"}))
    here = write_folder(tmp_path / "here", texts())
    assert "has no BFCL_v4_multiple.json; there are simple_python, irrelevance" in refusal(here, ["multiple"])
    assert "unknown category 'multi_turn_base'" in refusal(here, ["multi_turn_base"])
    assert "neither a wheel nor a folder" in refusal(tmp_path / "nowhere.whl")
    assert "of BFCL v3, but only v4" in refusal(old / "BFCL_v3_multiple.json")
    assert "give its folder" in refusal(here / "BFCL_v4_irrelevance.json")
    half = write_folder(tmp_path / "half", {name: text for name, text in texts().items() if "possible" not in name})
    assert "but not possible_answer/BFCL_v4_simple_python.json" in refusal(half)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[" * 100_000, "nested deeper"),
        ('{"id": "a", "id": "b"}', "occurs twice"),
        ('{"id": NaN}', "NaN"),
        ("\x00\x1b[2J", "not valid JSON"),
        ('{"id": "\\ud800"}', "surrogate"),
        ("{}\n" * 3, "line 1"),
    ],
)
def test_a_hostile_line_is_refused(tmp_path: Path, text: str, words: str) -> None:
    """In one line, in bounded time."""
    assert words in refusal(write_folder(tmp_path, {"BFCL_v4_irrelevance.json": text}))


def test_a_hostile_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No archive, a cut one, a bomb: what it unpacks to is bounded, whatever its index says."""
    nothing = tmp_path / "nothing.whl"
    nothing.write_bytes(b"not a wheel")
    assert "cannot be read as a wheel" in refusal(nothing)
    whole = write_wheel(tmp_path, texts())
    data = whole.read_bytes()
    broken = tmp_path / "broken.whl"
    broken.write_bytes(data[:400] + b"\x00" * 200 + data[600:])
    assert "cannot be read as a wheel" in refusal(broken)
    monkeypatch.setattr("selfopt.suites.importers.bfcl_files._MAX_FILE_BYTES", 100_000)
    bomb = write_wheel(tmp_path, {"BFCL_v4_irrelevance.json": " " * 1_000_000}, "3")
    assert bomb.stat().st_size < 20_000
    assert "larger than 100000 bytes" in refusal(bomb)
    folder = write_folder(tmp_path / "large", {"BFCL_v4_irrelevance.json": " " * 1_000_000})
    assert "larger than 100000 bytes" in refusal(folder)
    monkeypatch.setattr("selfopt.suites.importers.bfcl_files._MAX_WHEEL_BYTES", 100)
    assert "larger than 100 bytes" in refusal(whole)


def test_too_many_entries_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of a million lines is not the leaderboard's."""
    monkeypatch.setattr("selfopt.suites.importers.bfcl._MAX_LINES", 3)
    questions = [question(f"irrelevance_{n}", WAVE) for n in range(4)]
    assert "line 4: more than 3 lines" in refusal(write_folder(tmp_path, {"BFCL_v4_irrelevance.json": lines(questions)}))


def test_the_categories_are_those_of_single_turns_in_python() -> None:
    """And our small data has each form of answer."""
    assert len(BFCL_CATEGORIES) == 11
    assert {json.dumps(BFCL_CATEGORIES[name.split("BFCL_v4_")[1][:-5]]) for name in FILES} == {"true", "false"}
