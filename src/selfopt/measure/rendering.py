"""Keeps requests apart that this program writes in another way than an earlier one did."""

from __future__ import annotations

from selfopt.errors import EvidenceError
from selfopt.records import Spec, Suite
from selfopt.variants.rendering import rendering_of


def as_rendered(spec: Spec, suite: Suite) -> Spec:
    """The spec with the version of the requests that its variant makes of this suite now."""
    version = rendering_of(spec.variant, suite)
    return spec if spec.rendering == version else spec.model_copy(update={"rendering": version})


def check_rendering(spec: Spec, suite: Suite) -> None:
    """EvidenceError when a spec's requests are not written any more as they were when it was made."""
    version = rendering_of(spec.variant, suite)
    if spec.rendering != version:
        raise EvidenceError(
            f"{spec.label} was measured with requests of version {spec.rendering}, and this program writes version {version}; "
            "measure it anew, since the two can't be counted together"
        )
