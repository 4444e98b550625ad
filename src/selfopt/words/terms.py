"""The words that a reader of the page meets, each in a sentence or two."""

from __future__ import annotations

from collections.abc import Mapping

TERMS: Mapping[str, str] = {
    "model": "A language model, written provider/name. The provider is an endpoint of your settings.",
    "phase": "The kind of work: atomic is one user turn, extended is several turns with state and tool results.",
    "suite": "A set of prompts of one phase, with tools and the calls that are expected.",
    "variant": "A way to ask a model: how tools are presented, how output is constrained, and how the reply is read.",
    "spec": "All that was chosen for a measurement: model, phase, suite, variant, limits.",
    "trial": "One prompt, asked once, with the exact request and the raw reply.",
    "outcome of a request": "Served, diverted to another model, refused by the rules, rejected because the request is at fault, failed, or cancelled by the client.",
    "evaluation": "The trials of several runs, added up: accuracy, call accuracy, restraint, variance.",
    "accuracy": "The share of all prompts that passed.",
    "call accuracy": "The share that passed among the prompts that need a call.",
    "restraint": "Of the prompts that need no call, the share that got none.",
    "capability": "The share that passed among the replies that the model itself answers for.",
    "decision": "Promote, hold or reject a candidate, with every value that was looked at.",
    "baseline": "The promoted spec of a model and phase. Candidates are compared with it.",
    "rule": "What is in force for one model and phase: allowed or not, which variant, which fallback.",
    "race": "Candidates against a shared baseline, block by block, until one is promoted or all are dropped.",
    "evidence": "What the bets of a race gathered for “better than the baseline”. It holds however often one looks.",
    "gate": "One condition of a decision. Each shows what it saw and what it asks for.",
    "cycle": "One turn of the loop: measure, diagnose, recommend, decide, enforce, measure again.",
    "escalated": "The answer of the smaller model was not sure enough, so a stronger model answered.",
    "confidence": "How likely an answer is right, estimated from the model's own probabilities.",
    "threshold": "The confidence from which on a rule serves an answer. Below it, a stronger model answers.",
    "fallback": "The model that answers where the rules do not let the model that was asked for.",
    "attempt": "One try at one model. A request may need several.",
    "first byte": "The time until the client got the beginning of the answer.",
    "local": "Answered by a model on this machine, without a remote endpoint.",
    "saved": "What the same requests would have cost on the model that answers without a smaller one, less what they cost. An estimate.",
    "breaker": "After several faults in a row, a model or endpoint is left alone for some seconds.",
    "version": "The number of the rules. Each change makes a new one, and earlier ones can be brought back.",
    "key": "The API key with which a client asked. Only its id is kept.",
    "finding": "A cause that was diagnosed from the trials, with its figures.",
    "split": "A fixed part of a suite's prompts. What is tuned on one part is judged on another.",
    "ablation": "What is left of an improvement when one of its parts is taken away.",
    "synthetic": "Of prompts that a model or a template wrote. Every figure that rests on them says so.",
}
