"""No test reads or writes the data, settings or cache folders of whoever runs it, or fails because the machine is busy."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from .memory import memory_for_tests

# A busy machine draws slowly, which says nothing of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


def pytest_configure() -> None:
    """Temporary files are in memory, where no test waits for a disk; TMPDIR and --basetemp choose another place."""
    folder = None if "TMPDIR" in os.environ else memory_for_tests()
    if folder is not None:
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """What is collected lives to the end: no collection of garbage looks through its hundreds of thousands of objects, now or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session", autouse=True)
def folders_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's folders are fresh ones, for this process and those that it starts."""
    folder = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"):
            patch.setenv(name, str(folder / name.lower()))
        yield folder
