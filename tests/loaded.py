"""What a measurement and a loop import on their way: who forks children that measure imports it once for all of them."""

from __future__ import annotations

import importlib

from selfopt.feedback.detectors import DETECTORS
from selfopt.loop.proposers import PROPOSERS
from selfopt.policy.gates import GATES
from selfopt.reading.readers import READERS

for module in (
    "jinja2",
    "selfopt.dialects.anthropic",
    "selfopt.dialects.ollama",
    "selfopt.endpoints.factory",
    "selfopt.engine.embedded",
    "selfopt.reading.amounts",
    "selfopt.reading.earlier.bracket",
    "selfopt.reading.earlier.python_call",
    "selfopt.reading.earlier.shapes",
    "selfopt.reading.earlier.tagged",
    "selfopt.reading.ground",
    "selfopt.reading.moments",
    "selfopt.residency.warm_up",
    "selfopt.scripted.endpoint",
    "selfopt.scripted.kind",
    "selfopt.verbs.failing",
    "selfopt.verbs.measuring",
    "selfopt.wiring.embedded",
    "selfopt.wiring.separate",
):
    importlib.import_module(module)
for registry in (DETECTORS, GATES, PROPOSERS, READERS):
    registry.all()
