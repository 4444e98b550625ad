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


def test_a_post_to_any_path_has_the_key_and_the_given_lines() -> None:
    """In the header that the server reads it in; what a client's request adds is not kept."""
    address = HttpAddress.of("up", "http://10.1.2.3:99/v1/", "sk-0123456789", key_header="x-api-key:")
    head = address.posting(b"/messages", b"anthropic-beta: a\r\n")
    assert head.startswith(b"POST /v1/messages HTTP/1.1\r\nHost: 10.1.2.3:99\r\n")
    assert b"\r\nx-api-key: sk-0123456789\r\n" in head
    assert head.endswith(b"\r\nContent-Type: application/json\r\nanthropic-beta: a\r\nContent-Length: ")
    assert b"anthropic-beta" not in address.posting(b"/messages")
    assert "sk-0123456789" not in repr(address)
