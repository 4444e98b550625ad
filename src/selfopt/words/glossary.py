"""The terms of the reports, each explained in a sentence."""

from __future__ import annotations

from collections.abc import Mapping

TERMS: Mapping[str, str] = {
    "accuracy": "The share of all prompts that were answered right.",
    "call accuracy": "The share of right answers among the prompts that need a tool call.",
    "restraint": "The share of prompts without need of a tool in which the model called none.",
    "silent": "A model that never calls a tool. Its accuracy is the share of prompts that need none: nobody should be worse.",
    "always calling": "A model that calls the first tool each time, with no arguments.",
    "interval": "Where the true share lies with a probability of 95 %, if other prompts like these were asked.",
    "held-out prompts": "Prompts that nothing was tuned on, so that they tell how a model does on new ones.",
    "search prompts": "Prompts on which ways to ask were compared. Figures of the best are likely too good.",
    "synthetic prompts": "Prompts that a model or a template wrote.",
    "variant": "How a model is asked and its replies are read: instructions, examples, form of the tools, repairs.",
    "spec": "A model, a variant, a suite and all settings of a measurement.",
    "suite": "The prompts of one kind, each with the calls that are right.",
    "baseline": "What serves until something better is found.",
    "gain": "Right answers of a candidate minus those of the baseline, as a share of all prompts.",
    "candidate": "A variant that is tried against the baseline.",
    "gate": "A condition that a candidate has to fulfil before it replaces the baseline.",
    "evidence": "How much the answers say that a candidate is better (E) or not (F). A border of 40 is crossed by chance in at most 1 of 40 cases, however often one looks.",
    "chance of error": "How probable a false promotion is at most, over all looks at a suite.",
    "warm-up": "Loading a model and asking it something before the first request is served.",
    "first call": "How long the first request takes.",
    "p50": "How long a request takes in the middle: half of them are faster.",
    "fallback": "The model that answers when another may not.",
    "evaluation": "The outcomes of one spec over a suite.",
    "run": "One pass over a suite.",
    "ledger": "The store of all measurements. Nothing in it is ever changed, and a chain of hashes shows if something was.",
    "audit trail": "The record of every change of a rule and of every request that did not go where it was asked to.",
}
