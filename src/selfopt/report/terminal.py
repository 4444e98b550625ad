"""Tables and panels for the command line, made with rich.

Letters and words carry the meaning, and colour only repeats it: blue and orange, which colour-blind
readers can tell apart. Everything reads the same without colour.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from io import StringIO

from rich import box
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from selfopt.records import Decision, Evaluation, Finding, GateResult, Outcome, OutcomeRow
from selfopt.words.evidence import CLAIMS, SYNTHETIC, on_prompts
from selfopt.words.kinds import OUTCOMES, plain

from .escape import safe_terminal, safe_text
from .figures import NOT_MEASURED, milliseconds, runs, share, signed

PASS_STYLE = "bold blue"
FAIL_STYLE = "bold dark_orange"
FAULT_STYLE = "bold reverse dark_orange"
_WIDE = 68  # columns that all figures of an evaluation take beside each other
_DECISION_WIDE = 76  # columns that a table of gates with its words takes
_VERDICT_STYLE = {"promote": PASS_STYLE, "hold": "bold", "reject": FAIL_STYLE}
_VERDICT_WORDS = {
    "promote": "replaces the baseline",
    "hold": "the baseline stays; there is no sufficient reason to change it",
    "reject": "the baseline stays; a gate says no",
}
_IN_SUMMARY = {"example", "title", "server_parser"}  # figures that a finding's sentence or the advice shows whole


def outcome_letters(row: OutcomeRow) -> Text:
    """A row such as `FFPPPPP`. Failures of the model are orange; other faults are also reversed."""
    text = Text()
    for outcome in row.outcomes:
        model = outcome.says_something_about_the_model
        text.append(outcome.letter, PASS_STYLE if outcome is Outcome.PASS else FAIL_STYLE if model else FAULT_STYLE)
    return text


def outcome_table(evaluations: Sequence[Evaluation], *, width: int = _WIDE) -> Table:
    """One line per prompt: its outcomes in each evaluation, and in words what went wrong.

    width: of the terminal. On a narrow one the words stand beside the outcomes, without a column.
    """
    single = len(evaluations) == 1
    beside = single and width >= _WIDE
    table = Table(
        box=box.SIMPLE_HEAD, pad_edge=False, title="Outcomes (P pass, F fail, runs left to right)", title_justify="left"
    )
    table.add_column("prompt", overflow="fold", min_width=4)
    table.add_column("kind", overflow="fold", min_width=10)
    table.add_column("wants", no_wrap=True)
    for evaluation in evaluations:
        head = Text("outcomes") if single else safe_text(evaluation.variant, limit=40)
        if not single and len({e.model for e in evaluations}) > 1:
            head = Text.assemble(safe_text(evaluation.model, limit=60), "\n", head)
        table.add_column(head, overflow="fold", min_width=7)
    if beside:
        table.add_column("what went wrong", overflow="fold")
    for first, rows in _rows(evaluations):
        cells: list[RenderableType] = [_cell(row, words=not beside) for row in rows]
        wrong = [_wrong(rows[0])] if beside else []
        wants = "call" if first.needs_call else "no call"
        table.add_row(safe_text(first.prompt_id, limit=40), safe_text(first.prompt_kind, limit=60), wants, *cells, *wrong)
    return table


def _rows(evaluations: Sequence[Evaluation]) -> list[tuple[OutcomeRow, list[OutcomeRow | None]]]:
    """Every prompt, in the order of first appearance, with its row in each evaluation."""
    maps = [{row.prompt_id: row for row in e.rows} for e in evaluations]
    firsts = {prompt_id: row for rows in reversed(maps) for prompt_id, row in rows.items()}
    order = dict.fromkeys(prompt_id for rows in maps for prompt_id in rows)
    return [(firsts[prompt_id], [rows.get(prompt_id) for rows in maps]) for prompt_id in order]


def _cell(row: OutcomeRow | None, *, words: bool) -> Text:
    if row is None:
        return Text("-")
    wrong = _wrong(row) if words else ""
    return Text.assemble(outcome_letters(row), " ", (wrong, "dim")) if wrong else outcome_letters(row)


def _wrong(row: OutcomeRow | None) -> str:
    """The failures in words, the most frequent first."""
    outcomes = row.outcomes if row else ()
    counts = Counter(o for o in outcomes if o is not Outcome.PASS)
    ordered = sorted(counts, key=lambda o: (-counts[o], o.value))
    return ", ".join(OUTCOMES[o] + (f" x{counts[o]}" if len(outcomes) > 1 else "") for o in ordered)


def evaluation_table(evaluations: Sequence[Evaluation], *, width: int = _WIDE) -> Table:
    """Two lines per evaluation: shares beside those of the two trivial policies, latencies, runs.

    width: of the terminal. On a narrow one the last two columns are words below the model's name.
    """
    wide = width >= _WIDE
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, leading=1)
    table.add_column("model and phase\nvariant, measured", overflow="fold", min_width=16)
    heads = ("accuracy\nvariance", "call acc.\nrestraint", "silent\nalways", "p50\nfirst call")
    for head in heads if wide else heads[:2]:
        table.add_column(head, justify="right", no_wrap=True)
    for e in evaluations:
        m = e.metrics
        beats = m.accuracy > max(m.silent.accuracy, m.always_calling.accuracy)
        name = safe_terminal(f"{e.model} {e.phase}", limit=100)
        how = (
            safe_terminal(e.variant, limit=60)
            + ", "
            + runs(e)
            + (", warm-up" if e.warm_up else "")
            + (f", {SYNTHETIC}" if e.synthetic else "")
        )
        silent, always = share(m.silent.accuracy), share(m.always_calling.accuracy)
        p50, first = _short(milliseconds(m.p50_ms)), _short(milliseconds(m.first_call_ms))
        below = "" if wide else f"\nsilent {silent}, always {always}\np50 {p50}, first call {first}"
        table.add_row(
            Text.assemble((name, "bold"), "\n", how, below),
            Text.assemble((share(m.accuracy), PASS_STYLE if beats else FAIL_STYLE), "\n", f"{m.variance:.4f}"),
            f"{_short(share(m.call_accuracy))}\n{_short(share(m.restraint))}",
            *((f"{silent}\n{always}", f"{p50}\n{first}") if wide else ()),
        )
    return table


def _short(text: str) -> str:
    return "-" if text == NOT_MEASURED else text


def decision_panel(decision: Decision, *, width: int = _DECISION_WIDE) -> Panel:
    """The verdict in plain words, and every gate with what it saw and what it needs.

    width: of the terminal. On a narrow one each gate is a paragraph.
    """
    head = Text.assemble(
        (decision.verdict.upper(), _VERDICT_STYLE[decision.verdict]),
        " ",
        safe_text(decision.candidate_variant or decision.candidate_spec_id, "bold", limit=60),
        f": {_VERDICT_WORDS[decision.verdict]}.",
    )
    gates = _gate_table(decision.gates) if width >= _DECISION_WIDE else _gate_lines(decision.gates)
    title = safe_terminal(f"{decision.model} {decision.phase}", limit=100)
    return Panel(
        Group(head, Text(_why(decision)), gates),
        title=Text(title),
        title_align="left",
        subtitle=Text(on_prompts(f"claim: {CLAIMS[decision.claim]}", synthetic=decision.synthetic)),
        subtitle_align="left",
    )


def _gate_table(results: Sequence[GateResult]) -> Table:
    gates = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    gates.add_column("gate", overflow="fold", min_width=10)
    gates.add_column("saw", justify="right", overflow="fold", min_width=5)
    gates.add_column("needs", justify="right", overflow="fold", min_width=5)
    gates.add_column("", no_wrap=True)
    gates.add_column("in words", overflow="fold", ratio=1)
    for gate in results:
        gates.add_row(safe_text(gate.name, limit=60), _value(gate.observed), _value(gate.threshold), _passed(gate), _words(gate))
    return gates


def _gate_lines(results: Sequence[GateResult]) -> Group:
    lines: list[RenderableType] = [Text("")]
    for gate in results:
        name, saw, needs = safe_text(gate.name, limit=60), _value(gate.observed), _value(gate.threshold)
        said = Text.assemble(_passed(gate), " ", name, ": saw ", saw, ", needs ", needs, "; ", _words(gate))
        lines.append(Padding(said, (0, 0, 0, 2)))
    return Group(*lines)


def _words(gate: GateResult) -> Text:
    return safe_text(gate.detail or gate.reason_code, limit=300)


def _why(decision: Decision) -> str:
    names = ", ".join(safe_terminal(g.name, limit=60) for g in decision.gates if g.binding and g.passed is not True)
    gain = (
        f"Accuracy against the baseline: {signed(decision.estimate)}. "
        if decision.estimate is not None
        else _uncompared(decision)
    )
    return gain + (f"Not passed: {names}." if names else "Every binding gate passed.")


def _uncompared(decision: Decision) -> str:
    """Why there is no figure for the gain; a gate may still show one, which nothing rests on."""
    apart = any(gate.name == "comparable" and gate.passed is not True for gate in decision.gates)
    return "Not compared with the baseline, which was measured in another way. " if apart else "Not compared with a baseline. "


def _value(value: float | str | None) -> Text:
    if value is None:
        return Text("no data")
    return safe_text(value, limit=60) if isinstance(value, str) else Text(f"{value:.4g}")


def _passed(gate: GateResult) -> Text:
    word, style = {True: ("passed", PASS_STYLE), False: ("FAILED", FAIL_STYLE), None: ("no data", "bold")}[gate.passed]
    return Text(word if gate.binding else f"({word}, advice)", style if gate.binding else "dim")


def findings_list(findings: Sequence[Finding]) -> Group:
    """Every finding with the figures behind it, or a sentence that there are none."""
    if not findings:
        return Group(Text("No findings."))
    lines: list[RenderableType] = []
    for finding in findings:
        sure = "confirmed" if finding.confirmed else f"confidence {finding.confidence}"
        where = safe_terminal(f"{finding.model} {finding.phase}", limit=100)
        lines.append(Text.assemble(("* ", "bold"), (plain(finding.type), FAIL_STYLE), f", {where} ({sure})"))
        lines.append(Text.assemble("  ", safe_text(finding.summary, limit=400)))
        figures = sorted(finding.figures.model_dump(exclude=_IN_SUMMARY).items())
        lines.append(Text("  " + ", ".join(_named(*figure) for figure in figures), "dim"))
    return Group(*lines)


def _named(name: str, value: float | int | str) -> str:
    shown = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{safe_terminal(name, limit=60)} {safe_terminal(shown, limit=60)}"


def to_text(renderable: RenderableType, *, width: int = 80, colour: bool = False) -> str:
    """The renderable as text of a given width, with or without colour codes."""
    console = Console(
        file=StringIO(),
        width=width,
        force_terminal=colour,
        color_system="truecolor" if colour else None,
        highlight=False,
        legacy_windows=False,
    )
    with console.capture() as capture:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n"
