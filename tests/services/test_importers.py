"""The contract of importers for those that need a package which `make test` does not install."""

from __future__ import annotations

from pathlib import Path

import pytest

from selfopt.suites import IMPORTERS
from tests.contracts.test_importer_contract import (
    Case,
    test_a_name_cannot_write_on_the_terminal,
    test_it_says_what_it_is,
    test_what_is_no_file_is_refused_without_waiting,
    test_what_is_not_its_form_is_refused_in_one_line,
    test_what_is_stored_is_found_by_name,
    test_what_is_too_large_is_refused_before_it_is_read,
    test_what_it_makes_is_usable_and_always_the_same,
)
from tests.suites.importers import test_inspect as samples
from tests.suites.importers.test_inspect import test_samples_that_were_right_expect_their_calls

__all__ = [
    "test_a_name_cannot_write_on_the_terminal",
    "test_it_says_what_it_is",
    "test_samples_that_were_right_expect_their_calls",
    "test_what_is_no_file_is_refused_without_waiting",
    "test_what_is_not_its_form_is_refused_in_one_line",
    "test_what_is_stored_is_found_by_name",
    "test_what_is_too_large_is_refused_before_it_is_read",
    "test_what_it_makes_is_usable_and_always_the_same",
]
pytestmark = [pytest.mark.services, pytest.mark.filterwarnings("ignore")]


@pytest.fixture
def case(tmp_path: Path) -> Case:
    """Logs of Inspect."""
    importer = IMPORTERS.get("inspect")
    assert importer is not None
    return Case("inspect", importer, samples.sample, tmp_path)
