"""What suites are warned about, code by code."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.suites import CODES, find_warnings, load_suite, trivial_scores
from selfopt.suites.warn.duplicates import _clusters

from .kit import RING, a_prompt, a_suite, passes, warnings

RING_SMALL = [[{"name": "ring", "arguments": {"bell": ["small"]}}]]
TWO: dict[str, Any] = {"tower": [RING], "harbour": [{**RING, "name": "hoot"}]}


@pytest.mark.parametrize("name", ["atomic", "extended", "atomic-300", "atomic-150b", "extended-160"])
def test_the_built_in_suites_have_no_warning(name: str) -> None:
    """What is shipped is held to what others are told."""
    assert find_warnings(load_suite(name), passes) == []


def test_equal_prompts_are_duplicates() -> None:
    """Whatever the case and the punctuation; with another tool set they are near-duplicates."""
    prompts = [
        a_prompt("A1", "Ring the bell."),
        a_prompt("A2", "ring the BELL"),
        a_prompt("A3", "ring the bell", tool_set="harbour"),
    ]
    suite = a_suite(prompts, TWO)
    assert [w.prompts for w in warnings(suite, "duplicate")] == [("A1", "A2")]
    assert [w.prompts for w in warnings(suite, "near-duplicate")] == [("A1", "A3")]


def test_prompts_that_hardly_differ_are_near_duplicates() -> None:
    """One word of a long sentence; not a sentence of the same shape about something else."""
    text = "When the sun has set behind the harbour wall, please ring the large bell three times for the fishermen."
    near = [a_prompt("A1", text), a_prompt("A2", text.replace("large", "small")), a_prompt("A3", "Is the harbour wall high?")]
    assert [w.prompts for w in warnings(a_suite(near), "near-duplicate")] == [("A1", "A2")]
    assert "alike" in warnings(a_suite(near), "near-duplicate")[0].message


def test_a_shared_history_or_a_shared_last_turn_is_no_near_duplicate() -> None:
    """Both what is said in all and what is said last have to be alike."""
    history = [
        {"role": "user", "content": "I keep the bells of an old church on the coast and have a question about them."},
        {"role": "assistant", "content": "Ask."},
    ]
    one = [*history, {"role": "user", "content": "Which one is louder?"}]
    other = [*history, {"role": "user", "content": "Ring the small one."}]
    yes = [
        {"role": "user", "content": "The ferry leaves at nine."},
        history[1],
        {"role": "user", "content": "Which one is louder?"},
    ]
    prompts = [a_prompt(f"A{n}", "", messages=messages) for n, messages in enumerate((one, other, yes))]
    assert warnings(a_suite(prompts), "near-duplicate") == []


def test_prompts_made_from_a_template_are_one_line() -> None:
    """Not one for each of their pairs: one for each split, and one for what leaks between splits."""
    prompts = [a_prompt(f"A{n}", f"Please ring the large bell of the tower {n} times.") for n in range(1, 51)]
    other = [a_prompt(f"B{n}", f"Is the old wall of the harbour higher than {n} metres, or not?") for n in range(1, 4)]
    (bells, walls) = warnings(a_suite([*prompts, *other]), "near-duplicate")
    assert bells.prompts == tuple(f"A{n}" for n in range(1, 51))
    assert bells.message.startswith("50 prompts are ")
    assert "alike: A1, A2, A3, A4, A5, A6 and 44 more; reword them, or keep one" in bells.message
    assert walls.prompts == ("B1", "B2", "B3")
    held = [prompt | {"split": "heldout"} if n % 2 else prompt for n, prompt in enumerate(prompts)]
    assert [len(w.prompts) for w in warnings(a_suite(held), "near-duplicate")] == [25, 25]
    (leak,) = warnings(a_suite(held), "leak-prompt")
    assert len(leak.prompts) == 50
    assert "(search) and A2" in leak.message


@given(st.dictionaries(st.tuples(st.integers(0, 12), st.integers(0, 12)).filter(lambda p: p[0] < p[1]), st.floats(0.7, 1.0)))
def test_every_pair_is_in_exactly_one_cluster(pairs: dict[tuple[int, int], float]) -> None:
    """And no two clusters share a member."""
    found = list(_clusters(pairs))
    members = [n for cluster, _ in found for n in cluster]
    assert sorted(members) == sorted({n for pair in pairs for n in pair})
    assert all(sum({i, j} <= set(cluster) for cluster, _ in found) == 1 for i, j in pairs)
    assert sorted(share for _, shares in found for share in shares) == sorted(pairs.values())


def test_very_many_near_duplicates_are_not_all_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """A generated suite takes bounded time, and that something was left out is said."""
    monkeypatch.setattr(sys.modules["selfopt.suites.warn.duplicates"], "MAX_PAIRS", 10)
    prompts = [a_prompt(f"A{n}", f"Please ring the large bell of the tower {n} times.") for n in range(1, 60)]
    found = warnings(a_suite(prompts), "near-duplicate")
    assert len(found) <= 12
    assert "more than 10 pairs of prompts hardly differ; the rest is not looked at" in found[-1].message


def test_kinds_out_of_proportion_are_named() -> None:
    """Three times more or less than the median."""
    kinds = ["direct"] * 12 + ["chatter"] * 4 + ["lists"] * 4 + ["dates"]
    prompts = [a_prompt(f"A{n}", f"{n} {'xyz'[n % 3] * n}", kind=kind) for n, kind in enumerate(kinds)]
    (odd, *_) = warnings(a_suite(prompts), "unbalanced")
    assert "'dates' has 1" in odd.message or "'direct' has 12" in odd.message
    even = [a_prompt(f"A{n}", f"{n}", kind=f"k{n % 3}") for n in range(12)]
    assert not any("median" in w.message for w in warnings(a_suite(even), "unbalanced"))


def test_a_kind_in_one_split_only_is_named() -> None:
    """Nothing held out says whether a gain on it is real."""
    prompts = [a_prompt(f"A{n}", f"{n}" * n, kind="dates") for n in range(1, 5)]
    prompts += [a_prompt(f"H{n}", f"h{n}" * n, kind="lists", split="heldout") for n in range(1, 5)]
    found = " ".join(w.message for w in warnings(a_suite(prompts), "unbalanced"))
    assert "'dates' (4) in search but none in heldout" in found
    assert "'lists' (4) in heldout but none in search" in found


def test_a_suite_that_cannot_measure_one_of_the_two_is_named() -> None:
    """No prompt that needs a call, or none that needs none."""
    silent = [a_prompt(f"A{n}", f"{n}") for n in range(4)]
    calling = [a_prompt(f"A{n}", f"{n}", expected=RING_SMALL) for n in range(4)]
    assert "call accuracy" in warnings(a_suite(silent), "unbalanced")[0].message
    assert "restraint" in warnings(a_suite(calling), "unbalanced")[0].message
    assert warnings(a_suite([silent[0], *calling[1:]]), "unbalanced") == []


def test_prompts_that_wait_for_review_are_named() -> None:
    """Until the mark is taken away."""
    prompts = [a_prompt("A1", "a", reason="review: missed by x"), a_prompt("A2", "b", reason="Why.")]
    (found,) = warnings(a_suite(prompts), "to-review")
    assert found.prompts == ("A1",)


def test_an_accepted_set_that_is_there_twice_is_unreachable() -> None:
    """The order of its calls and of their arguments makes no difference."""
    prompt = a_prompt("A1", "Ring.", expected=[*RING_SMALL, *RING_SMALL])
    assert "expected[1] repeats expected[0]" in warnings(a_suite([prompt]), "unreachable")[0].message


def test_an_accepted_value_that_the_scorer_does_not_take_is_unreachable() -> None:
    """The scorer itself is asked, with every value as it stands."""
    prompt = a_prompt("A1", "Ring.", expected=[[{"name": "ring", "arguments": {"bell": ["small", "large"], "times": ["", 2]}}]])
    assert warnings(a_suite([prompt]), "unreachable") == []
    found = [w for w in find_warnings(a_suite([prompt]), lambda p, t, c: "large" not in str(c)) if w.code == "unreachable"]
    assert "bell: 'large' does not pass" in found[0].message
    found = [w for w in find_warnings(a_suite([prompt]), lambda p, t, c: False) if w.code == "unreachable"]
    assert "expected[0] does not pass" in found[0].message


def test_values_outside_the_schema_are_named() -> None:
    """In what is accepted and in the calls of the history."""
    history = [
        {"role": "user", "content": "Ring."},
        {"role": "assistant", "tool_calls": [{"id": "c1", "name": "ring", "arguments": {"bell": "small", "times": 13, "x": 1}}]},
        {"role": "tool", "tool_call_id": "c1", "content": "done"},
    ]
    prompts = [
        a_prompt("A1", "Ring.", expected=[[{"name": "ring", "arguments": {"bell": ["small"], "times": [0, 12, 13]}}]]),
        a_prompt("A2", "", messages=history),
    ]
    expected, called = warnings(a_suite(prompts), "outside-schema")
    assert "expected[0]: ring: 'times': 0 is below the minimum 1" in expected.message
    assert "13 is above the maximum 12" in expected.message
    assert "messages[1]: ring: 'times': 13 is above the maximum 12" in called.message


def split_suite(search: str, heldout: str, tools: dict[str, Any] | None = None, **changes: Any) -> Any:
    """One prompt in each split, with tool sets of their own."""
    prompts = [a_prompt("S1", search), a_prompt("H1", heldout, split="heldout", tool_set="harbour", **changes)]
    return a_suite(prompts, tools or TWO, scope="sample")


def test_splits_that_share_tools_leak() -> None:
    """The same tools under another name, and a tool's name in both; names of their own do not."""
    same = split_suite("Ring.", "Hoot.", {"tower": [RING], "harbour": [RING]})
    assert "'tower' (as 'harbour')" in warnings(same, "leak-tool-set")[0].message
    renamed = split_suite("Ring.", "Hoot.", {"tower": [RING], "harbour": [{**RING, "description": "Another bell."}]})
    assert warnings(renamed, "leak-tool-set") == []
    assert "tools called 'ring'" in warnings(renamed, "leak-tool-name")[0].message
    assert warnings(split_suite("Ring.", "Hoot."), "leak-tool-name") == []


def test_splits_that_share_a_prompt_leak() -> None:
    """Hardly different across splits is a leak, not a near-duplicate."""
    suite = split_suite("Ring the large bell at nine in the evening.", "Ring the large bell at ten in the evening.")
    assert [w.prompts for w in warnings(suite, "leak-prompt")] == [("S1", "H1")]
    assert warnings(suite, "near-duplicate") == []


@pytest.mark.parametrize(
    ("search", "heldout", "name"),
    [
        ("Ring for Nora Lindqvist.", "Has Nora Lindqvist come?", "nora lindqvist"),
        ('Say "the ferry is late".', 'Who wrote "The ferry is late"?', "the ferry is late"),
        ("Close ticket INV-2044 now.", "Where does INV-2044 stand?", "inv 2044"),
        ("Läute für „Nordlicht GmbH“.", "Was kostet „Nordlicht GmbH“ uns?", "nordlicht gmbh"),
    ],
)
def test_splits_that_share_a_distinctive_name_leak(search: str, heldout: str, name: str) -> None:
    """Names of people, quoted titles, codes."""
    (leak,) = warnings(split_suite(search, heldout), "leak-name")
    assert f"'{name}' (S1, H1)" in leak.message
    assert leak.prompts == ("S1", "H1")


@pytest.mark.parametrize(
    ("search", "heldout"),
    [
        ("Suppose I ring at nine.", "Suppose I hoot instead."),
        ("Ring on 12 March 2027.", "Hoot on 12 March 2027."),
        ("Ring at 14:30 on 2027-03-12.", "Hoot at 14:30 on 2027-03-12."),
        ("Monday Morning is fine.", "Is Monday Morning quiet?"),
    ],
)
def test_dates_times_and_sentence_openings_are_no_names(search: str, heldout: str) -> None:
    """They say nothing about where a prompt comes from."""
    assert warnings(split_suite(search, heldout), "leak-name") == []


def test_accepted_texts_are_names_but_choices_are_not() -> None:
    """A city in two answers is one; a value of the enum is not."""
    bell = {"type": "string", "enum": ["Emma"]}
    closed = {**RING, "parameters": {"type": "object", "properties": {"bell": bell}, "required": ["bell"]}}
    expected = [[{"name": "ring", "arguments": {"bell": ["Emma"]}}]]
    hoot = [[{"name": "hoot", "arguments": {"bell": ["Emma"]}}]]
    for tool, count in ((RING, 1), (closed, 0)):
        tools = {"tower": [tool], "harbour": [{**tool, "name": "hoot"}]}
        prompts = [
            a_prompt("S1", "x", expected=expected),
            a_prompt("H1", "y", split="heldout", tool_set="harbour", expected=hoot),
        ]
        assert len(warnings(a_suite(prompts, tools, scope="sample"), "leak-name")) == count


def test_what_stands_in_many_prompts_is_no_distinctive_name() -> None:
    """A name that the whole suite is about."""
    prompts = [a_prompt(f"S{n}", f"{'ab'[n % 2] * n} Saint Michael") for n in range(4)]
    prompts.append(a_prompt("H1", "Saint Michael rings", split="heldout", tool_set="harbour"))
    assert warnings(a_suite(prompts, TWO, scope="sample"), "leak-name") == []


def test_a_mute_model_that_does_well_is_warned_about() -> None:
    """Nine of ten prompts need no call."""
    prompts = [a_prompt(f"A{n}", f"{n}", expected=RING_SMALL if n == 0 else [[]]) for n in range(10)]
    assert "'silent' passes 9 of 10" in warnings(a_suite(prompts), "trivial-policy")[0].message


def test_a_keyword_match_that_does_well_is_warned_about() -> None:
    """The tool's words and the quoted argument stand in every prompt."""
    sing = {**RING, "name": "sing", "description": "Sing a song aloud."}
    words = ["small", "large", "old", "new", "cracked", "gilded"]
    prompts = [
        a_prompt(f"A{n}", f'{"x" * n} ring the bell "{w}"', expected=[[{"name": "ring", "arguments": {"bell": [w]}}]])
        for n, w in enumerate(words)
    ]
    suite = a_suite([*prompts, a_prompt("N1", "Hello.")], {"tower": [sing, RING]})
    (found,) = warnings(suite, "trivial-policy")
    assert "'keyword match' passes 6 of 6 prompts that need a call" in found.message
    scores = {score.policy: score for score in trivial_scores(suite, passes)}
    assert scores["keyword match"].right_tools == 6
    assert scores["first tool"].passes == 0
    assert scores["silent"].passes == 1


def test_the_first_tool_copies_numbers_lists_and_choices() -> None:
    """Required arguments come from numbers, quotes and the words of an enum, in their order."""
    properties = {
        "times": {"type": "integer"},
        "loud": {"type": "string", "enum": ["soft", "loud"]},
        "for": {"type": "array", "items": {"type": "string"}},
        "dry": {"type": "boolean"},
    }
    tool = {
        "name": "ring",
        "parameters": {"type": "object", "properties": properties, "required": ["times", "loud", "for", "dry"]},
    }
    accepted = {"times": [3], "loud": ["loud"], "for": [["Ann", "Bo"]], "dry": [True]}
    suite = a_suite(
        [a_prompt("A1", 'Ring 3 times, Loud, for "Ann" and "Bo".', expected=[[{"name": "ring", "arguments": accepted}]])],
        {"tower": [tool]},
    )
    seen: list[Any] = []

    def note(prompt: Any, tools: Any, calls: Any) -> bool:
        seen.append(calls)
        return False

    trivial_scores(suite, note)
    assert seen[1][0].arguments == {"times": 3, "loud": "loud", "for": ["Ann", "Bo"]}


def test_every_warning_has_a_documented_code_and_one_line() -> None:
    """Whatever the prompts hold, also characters that a terminal obeys."""
    evil = "\x1b[2J\u202e\n" * 20
    prompts = [a_prompt(f"A{n}", f"ring {evil}", kind=evil) for n in range(3)]
    prompts += [a_prompt("H1", f'"{"evil" * 4}\x1b[2J" {evil}', split="heldout"), a_prompt("S9", f'"{"evil" * 4}\x1b[2J"')]
    found = find_warnings(a_suite(prompts), passes)
    assert found
    for warning in found:
        assert warning.code in CODES
        assert warning.message.isprintable()


def test_a_thousand_prompts_are_looked_at_in_no_time() -> None:
    """Not every pair is compared: three times as many prompts take nowhere near nine times as long."""
    words = [f"w{n * 7919 % 1009}" for n in range(4000)]

    def cost_s(count: int) -> float:
        prompts = [a_prompt(f"A{n}", " ".join(words[n : n + 14])) for n in range(0, count * 3, 3)]
        suite = a_suite(prompts)
        start = time.process_time()
        find_warnings(suite, passes)
        return time.process_time() - start

    few = min(cost_s(300) for _ in range(3))
    assert min(cost_s(900) for _ in range(2)) < 7 * few + 0.2
