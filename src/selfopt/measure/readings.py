"""Judges the same replies by many chains, for nothing, and keeps no verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from selfopt.records import ChainName, Ledger, Run, Spec, Suite, Trial, Verdict, content_hash
from selfopt.scoring import scorer_of

from .lookup import find
from .rescore import replay, replied
from .trial import Judge


def read_by_each(
    ledger: Ledger, spec: Spec, suite: Suite, trials: Iterable[Trial], chains: Mapping[str, Sequence[ChainName]]
) -> dict[str, list[Verdict]]:
    """Judge stored trials as each of several chains reads them.

    Verdicts that only rank candidates are not worth a place in the ledger: they can be made again
    from the trials at any time.

    Args:
        ledger: where the replies are.
        spec: the trials are its own.
        suite: the suite of the trials.
        trials: what is judged.
        chains: the chains, by any key.

    Returns:
        The verdicts by the key of their chain, in the order of the trials.
    """
    prompts = {prompt.id: prompt for prompt in suite.prompts}
    scorer = scorer_of(suite.judging)
    hashes = {key: content_hash("parser", list(chain)) for key, chain in chains.items()}
    found: dict[str, list[Verdict]] = {key: [] for key in chains}
    families: dict[str, str] = {}
    for trial in trials:
        prompt = prompts[trial.prompt_id]
        tools, final = suite.tools_of(prompt), None
        if trial.fault in (None, "truncated"):
            final = replay(spec, prompt, tools, replied(ledger, spec, trial))
        if trial.run_id not in families:
            run = find(ledger, Run, trial.run_id)
            families[trial.run_id] = run.family if run is not None else "unknown"
        for key, chain in chains.items():
            judge = Judge(scorer, chain, hashes[key], families[trial.run_id])
            found[key].append(judge.judged(trial, prompt, tools, final).verdict)
    return found
