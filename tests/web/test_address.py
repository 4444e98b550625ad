"""A server's address, which no error shows."""

from __future__ import annotations

import pytest

from selfopt.web.address import HttpAddress


@pytest.mark.parametrize(
    "text",
    [
        "POST http://us:pa55word@10.1.2.3:99/hidden/v1/chat/completions failed",
        r"POST http:\/\/us:pa55word@10.1.2.3:99\/hidden\/v1\/chat failed",
        "no route at 10.1.2.3:99/hidden/v1",
    ],
)
def test_an_error_tells_neither_userinfo_nor_the_path_of_the_api(text: str) -> None:
    """Both belong to the address, and both can be secret."""
    told = HttpAddress.of("up", "http://10.1.2.3:99/hidden/v1", "sk-0123456789").told(text.encode())
    assert b"[endpoint]" in told
    assert not any(part in told for part in (b"10.1.2.3", b"pa55word", b"hidden"))
