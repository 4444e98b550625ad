"""Keeps how far the detectors of live traffic have come, so that a restart does not blind them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field

from selfopt.errors import StoreError
from selfopt.home import atomic_write_text, escape_control, read_model
from selfopt.records import Record

log = logging.getLogger("selfopt.gateway")
_WHAT = "the state of the drift detectors"
Watched = Literal["escalations", "outcomes"]
DetectorStates = Mapping[Watched, tuple[float, ...]]
"""The state of each detector of one rule, by what it looks at."""


class KeptStates(Record):
    """What the file holds: of each threshold, by its mark, the states of its detectors."""

    schema_version: Literal[1] = 1
    thresholds: Mapping[str, DetectorStates] = Field(default_factory=dict)


class DriftFile:
    """A file of one process. One that is missing or damaged counts as empty."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Mapping[str, DetectorStates]:
        """Return the states by the mark of their threshold. Never raises: they can be gathered anew."""
        try:
            return read_model(self._path, what=_WHAT, model=KeptStates).thresholds
        except FileNotFoundError:
            return {}
        except StoreError as error:
            log.warning("the drift detectors begin anew: %s", escape_control(str(error), 500))
            return {}

    def write(self, thresholds: Mapping[str, DetectorStates]) -> None:
        """Write the states. Raises StoreError."""
        atomic_write_text(self._path, KeptStates(thresholds=thresholds).model_dump_json(), within=self._path.parent)
