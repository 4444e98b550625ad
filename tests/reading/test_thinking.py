"""Thinking kept apart from the answer."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.reading.thinking import ThinkingSplitter, split_thinking
from selfopt.reading.thinking_marks import LABELLED, PAIRS, TOKEN, WORDS, WRAPPERS, next_token, thinks_by_template

CALL = '{"name": "city_weather", "arguments": {"city": "Graz"}}'
HARMONY = [
    "<|start|>assistant",
    "<|channel|>",
    "analysis",
    "final",
    "commentary",
    " to=functions.x",
    "<|message|>",
    "<|end|>",
    "<|call|>",
]
TAGS = ["<think>", "</think>", "<think>", "</think>", "<reasoning>", "</reasoning>", "<think a=1>", "<seed:think>", "</THINK>"]
QUOTES = [
    '{"a": "',
    '"}',
    '"',
    "'",
    "`",
    "```\n",
    "\n```",
    "<parameter=x>",
    "</parameter>",
    "<tool_call>",
    "</tool_call>",
    "\n<tool>\n",
]
LEADS = ["analysisThe", "assistantfinal", "Here is my thought process:", "Here is my response:"]
PLAIN = ["<thi", "nk>", "a", " ", "\n", "<", "</", "[", "◁", ". ", "Use ", " and", "thought\n", "answer", *LEADS]
MARKS = st.sampled_from([*(mark for row in PAIRS for mark in row), *WRAPPERS, *HARMONY])
TEXTS = st.lists(st.sampled_from([*TAGS, *QUOTES, *PLAIN]) | MARKS, max_size=12).map("".join)


def in_pieces(raw: str, cuts: list[int]) -> tuple[str, str, int]:
    """What the splitter gives out in all, and how much of the answer was thinking."""
    splitter = ThinkingSplitter()
    places = sorted({min(cut, len(raw)) for cut in cuts} | {0, len(raw)})
    got = [splitter.feed(raw[a:b]) for a, b in pairwise(places)] + [splitter.end()]
    return "".join(piece[0] for piece in got), "".join(piece[1] for piece in got), splitter.unopened


@pytest.mark.parametrize(
    ("raw", "answer", "thinking"),
    [
        ("plain", "plain", ""),
        ("", "", ""),
        ("<think>why</think>\n\nbecause", "because", "why"),
        ("  <think> a </think> <think>b</think> c", "c", "a b"),
        ("<think>never closed", "", "never closed"),
        ("<think></think>x", "x", ""),
        ("opened by the template</think>\nx", "x", "opened by the template"),
        ("</mm:think>x", "x", ""),
        ("Write <think> in XML", "Write <think> in XML", ""),
        ("<thinking is hard", "<thinking is hard", ""),
        ("<thi", "<thi", ""),
        ("a <think/> b", "a <think/> b", ""),
        ("<think>a</think", "", "a</think"),
        ("<think>a</thinking>x", "x", "a"),
        ("<think>a<think>b</think>c</think>x", "x", "a<think>b</think>c"),
        ("<think>about <think> tags</think>x", "x", "about <think> tags"),
        ("<think>\n<think>\na</think>\nx", "x", "<think>\na"),
        ("<think>it ends with `</think>` here</think>x", "x", "it ends with `</think>` here"),
        ("Sure. <think>a</think> So be it.", "Sure. So be it.", "a"),
        ("Sure.<think>a</think> So be it.", "Sure. So be it.", "a"),
    ],
)
def test_thinking_is_split_from_the_answer(raw: str, answer: str, thinking: str) -> None:
    """Closed, unclosed, several, nested, opened by the template; a mark that is only mentioned is text."""
    assert split_thinking(raw) == (answer, thinking)


@pytest.mark.parametrize("row", PAIRS)
def test_every_pair_of_tokens_is_known(row: tuple[str, ...]) -> None:
    """At the beginning, after text, and opened by the template."""
    label = "thought\n" if row[0] in LABELLED else ""
    assert split_thinking(f"{row[0]}{label}{CALL}{row[1]}x") == ("x", CALL)
    assert split_thinking(f"Sure.\n{row[0]}{label}{CALL}{row[1]}x") == ("Sure.\nx", CALL)
    if row[1] != "<|end_message|>":  # it ends every message
        assert split_thinking(f"{CALL}{row[1]}x") == ("x", CALL)
    assert split_thinking(f"{CALL}{row[1]}x", opened=True) == ("x", CALL)


@pytest.mark.parametrize("word", [word for words in WORDS.values() for word in words])
def test_every_tag_is_known(word: str) -> None:
    """In any case, with attributes and with a prefix of its family."""
    for opening in (f"<{word}>", f"<{word.upper()}>", f"<{word} time=3>", f"<{word}:opensource>", f"<seed:{word}>"):
        assert split_thinking(f"{opening}{CALL}</{word}>x") == ("x", CALL)


@pytest.mark.parametrize(
    ("raw", "answer", "thinking"),
    [
        ("<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>x<|return|>", "x", "a"),
        ("a<|end|><|start|>assistant<|channel|>final<|message|>x", "x", "a"),
        ("<|channel|>analysis<|message|>never closed", "", "never closed"),
        ("<|channel|>commentary<|message|>x<|end|><|start|>assistant<|channel|>final<|message|>y", "x\ny", ""),
        ("analysisWe say x.assistantfinalx", "x", "We say x."),
        ("analysisA call.assistantcommentary to=f json{}", "assistantcommentary to=f json{}", "A call."),
        ("analysis of the data", "analysis of the data", ""),
        ("Here is my thought process: a\nHere is my response: x", "x", "a"),
        (f"Here is my thought process: {CALL}", f"Here is my thought process: {CALL}", ""),
        ("<|START_THINKING|>a<|END_THINKING|><|START_TEXT|>x<|END_TEXT|>", "x", "a"),
        ("<|message_model|><|content_thinking|>a<|end_message|><|message_model|><|content_text|>x<|end_message|>", "x", "a"),
    ],
)
def test_messages_and_phrases_are_known(raw: str, answer: str, thinking: str) -> None:
    """Harmony whole, opened by the template and stripped of its tokens; wrappers of the answer vanish."""
    assert split_thinking(raw) == (answer, thinking)


@pytest.mark.parametrize(
    "raw",
    [
        '<|start|>assistant<|channel|>commentary to=functions.x <|constrain|>json<|message|>{"a": 1}<|call|>',
        '<|channel|>analysis to=functions.x code<|message|>{"a": 1}<|call|>',
        ' to=functions.x<|channel|>commentary json<|message|>{"a": 1}<|call|>',
    ],
)
def test_a_call_in_a_channel_is_answer(raw: str) -> None:
    """It keeps its marks, for the readers."""
    assert split_thinking(raw) == (raw, "")
    assert split_thinking(f"<|channel|>analysis<|message|>a<|end|>{raw}") == (raw.lstrip(), "a")


@pytest.mark.parametrize(
    "mark", ["<think>", "</think>", "<think>a</think>", "<THINK>", "[THINK]", "[/THINK]", "<|END_THINKING|>"]
)
@pytest.mark.parametrize(
    "call",
    [
        '{{"name": "f", "arguments": {{"text": "about {} marks"}}}}',
        '{{"name": "f", "arguments": "{{\\"text\\": \\"about {} marks\\"}}"}}',
        '{{"text": "say \\"hi\\",\n{}"}}',
        "<tool_call>\n<function=f>\n<parameter=text>\n{}\n</parameter>\n</function>\n</tool_call>",
        "<function=f>\n<parameter=text>\nabout\n{} marks\n</parameter>\n</function>",
        "<tool_call>f\n<arg_key>text</arg_key>\n<arg_value>{}</arg_value>\n</tool_call>",
        '<｜DSML｜parameter name="text" string="true">{}</｜DSML｜parameter>',
        "<write_note>\n<text>{}</text>\n</write_note>",
        'f(text="about {} marks")',
        "f(text='about {} marks')",
        '<|tool_call>call:f{{text:<|"|>about {} marks<|"|>}}<tool_call|>',
        "It is `{}` in code.",
        "```xml\n{}\n```\n",
    ],
)
def test_a_mark_in_an_argument_or_in_code_is_text(call: str, mark: str) -> None:
    """Whole and in pieces."""
    raw = call.format(mark)
    assert split_thinking(raw) == (raw, "")
    assert in_pieces(raw, list(range(len(raw)))) == (raw, "", 0)
    assert split_thinking(f"<think>a</think>{raw}") == (raw, "a")


@pytest.mark.parametrize(
    "raw", [f"The tag {mark} opens thinking. {CALL}" for mark in ("<think>", "[THINK]", "<|START_THINKING|>")]
)
def test_a_mention_hides_no_call(raw: str) -> None:
    """A sentence about a mark is answer."""
    assert split_thinking(raw) == (raw, "")
    assert split_thinking(f"{CALL} Use <think> and </think>.") == (f"{CALL} Use <think> and </think>.", "")


@pytest.mark.parametrize(
    "raw", [f"Maybe <tool_call>{CALL}</tool_call>?", f"Maybe <tool_call>{CALL}", f'Maybe "{CALL}', '{"a": "b']
)
def test_what_is_rehearsed_before_a_closing_mark_is_thinking(raw: str) -> None:
    """Also if it was not ended."""
    answer = f"<tool_call>{CALL}</tool_call>"
    assert split_thinking(f"{raw} No.</think>{answer}") == (answer, f"{raw} No.")


SOME_HEADS = [mark.swapcase() for row in (*PAIRS, WRAPPERS) for mark in row] + [
    f"<{slash}{prefix}{word}>" for slash in ("", "/") for prefix in ("", "Seed:", "mm:", "ant", "longcat_") for word in WORDS
]


@given(TEXTS, st.lists(st.integers(0, 120), max_size=8))
def test_cutting_into_pieces_changes_nothing(raw: str, cuts: list[int]) -> None:
    """However the text arrives, the same is answer and the same is thinking; the whole says so, too."""
    answer, thinking, unopened = in_pieces(raw, cuts)
    assert (answer, thinking, unopened) == in_pieces(raw, [])
    assert (answer, thinking, unopened) == in_pieces(raw, list(range(len(raw))))
    if unopened:
        answer, thinking = answer[unopened:].lstrip(), answer[:unopened] + thinking
    assert split_thinking(raw) == (answer, thinking.strip())


@given(TEXTS)
def test_what_the_template_opened_is_thinking(raw: str) -> None:
    """Nothing is raised, and nothing that is said comes twice."""
    answer, thinking = split_thinking(raw, opened=True)
    assert len(answer) + len(thinking) <= len(raw) + raw.count("<|")


@given(st.text())
def test_text_without_marks_is_the_answer(raw: str) -> None:
    """Untouched, and given out at once but for white space at its beginning and what may grow into a mark."""
    if not set("<[◁") & set(raw):
        assert split_thinking(raw) == (raw, "")
        assert ThinkingSplitter().feed(f"x{raw}") == (f"x{raw}", "")


@pytest.mark.parametrize(
    "piece", ["<think>", "a <think> b ", '"a": "<think>', "<parameter=x><think>", "`</think>` ", "<", "<|channel|>"]
)
def test_long_texts_end_soon(piece: str) -> None:
    """Whatever is repeated, in pieces of a few characters."""
    raw = piece * 20_000
    splitter = ThinkingSplitter()
    got = [splitter.feed(raw[at : at + 7]) for at in range(0, len(raw), 7)] + [splitter.end()]
    assert sum(len(answer) + len(thinking) for answer, thinking in got) <= len(raw)


@given(TEXTS | st.lists(st.sampled_from(["<", "</", "[", "◁", "|", *SOME_HEADS]), max_size=8).map("".join), st.integers(0, 6))
def test_no_mark_is_passed_over(raw: str, at: int) -> None:
    """Few brackets are looked at closely, and every mark begins with one of these."""
    every = (TOKEN.match(raw, place) for place in range(at, len(raw)))
    first = next((found for found in every if found is not None), None)
    found = next_token(raw, at)
    assert (found and found.span()) == (first and first.span())


@pytest.mark.parametrize(
    ("template", "thinks"),
    [
        ("", None),
        ("{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>{% endfor %}", False),
        ("{{ '<tool_call>' }}{{ think_about_it }}", False),
        ("<|start|>assistant<|channel|>final<|message|>{{ m.content }}<|end|>", False),
        ("{% set content = m.content.split('</think>')[-1] %}", True),
        ("{{ '<|im_start|>assistant\n<think>\n' }}", True),
        ("{% if enable_thinking is defined and not enable_thinking %}", True),
        ("<|start|>assistant<|channel|>analysis<|message|>{{ m.thinking }}<|end|>", True),
        ("{{ '[THINK]' + m.thinking + '[/THINK]' }}", True),
        ("<|START_THINKING|>{{ m.plan }}<|END_THINKING|>", True),
    ],
)
def test_a_template_shows_whether_its_model_thinks(template: str, thinks: bool | None) -> None:
    """By the marks of thinking that it writes or cuts off, or by a switch. Without one nobody knows."""
    assert thinks_by_template(template) is thinks


@given(st.text(alphabet="<think>|/[]{}% \nsal", max_size=400))
def test_any_template_is_looked_through(template: str) -> None:
    """Whatever it holds."""
    assert thinks_by_template(template) in (True, False, None)
