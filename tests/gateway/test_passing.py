"""What a server says where a chat is passed on to it. `test_first_day.py` has the answers."""

from __future__ import annotations

import pytest

from selfopt.dialects.openai_client import OPENAI_CLIENT
from selfopt.gateway.passing import fault_in
from selfopt.web import HttpAddress, UpstreamReply


@pytest.mark.parametrize("said", ['{"error": {"message": "缺少 model"}}', '{"error": "缺少 model"}', "缺少 model"])
@pytest.mark.parametrize("status", [400, 500])
def test_an_error_in_another_encoding_is_told(said: str, status: int) -> None:
    """As far as it can be read."""
    body = said.encode("gbk")
    fault = fault_in(UpstreamReply(status, {}, body), "x", HttpAddress.of("x", "http://h/v1", None))
    assert (fault.status, "model" in str(fault)) == (status, True)
    told = OPENAI_CLIENT.passed.error(body)
    assert (told is not None) == ('"message"' in said)
    assert told is None or b" model" in told
