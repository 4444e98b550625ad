"""Which proxy an endpoint's requests go through."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfopt.errors import SettingsError
from selfopt.settings import Settings, load_settings
from selfopt.settings.proxies import proxy_of_environment, proxy_url

P, Q, R = "http://p:1", "http://q:2", "http://r:3"


@pytest.mark.parametrize(
    ("url", "environ", "found"),
    [
        ("http://a.test/v1", {"http_proxy": P, "https_proxy": Q}, P),
        ("https://a.test/v1", {"http_proxy": P, "https_proxy": Q}, Q),
        ("https://a.test/v1", {"HTTPS_PROXY": Q}, Q),
        ("https://a.test/v1", {"https_proxy": P, "HTTPS_PROXY": Q}, P),
        ("https://a.test/v1", {"https_proxy": "", "HTTPS_PROXY": Q}, Q),
        ("https://a.test/v1", {"http_proxy": P}, None),
        ("https://a.test/v1", {"all_proxy": R, "http_proxy": P}, R),
        ("http://a.test/v1", {"ALL_PROXY": R, "HTTP_PROXY": P}, P),
        ("http://a.test/v1", {"HTTP_PROXY": P, "REQUEST_METHOD": "GET"}, None),
        ("http://a.test/v1", {"http_proxy": P, "REQUEST_METHOD": "GET"}, P),
        ("https://a.test/v1", {}, None),
        ("https://a.test:99999/v1", {"https_proxy": P}, None),
        ("https://[a.test/v1", {"https_proxy": P}, None),
    ],
)
def test_variables_are_read_as_curl_reads_them(url: str, environ: dict[str, str], found: str | None) -> None:
    """Lower case first, ALL_PROXY last; HTTP_PROXY of a CGI script is the client's word."""
    named = proxy_of_environment(url, environ)
    assert (named[1] if named is not None else None) == found


@pytest.mark.parametrize(
    ("listed", "exempt"),
    [
        ("*", True),
        ("a.test", True),
        (".a.test", True),
        ("x.a.test", False),
        ("test", True),
        ("b.test, a.test", True),
        ("b.test a.test", True),
        ("A.TEST.", True),
        ("aa.test", False),
        ("a.test:443", True),
        ("a.test:8080", False),
        ("", False),
        (",,", False),
        ("10.0.0.0/8", False),
        (".", False),
    ],
)
def test_no_proxy_lists_hosts_and_domains(listed: str, exempt: bool) -> None:
    """Whole labels, in any case."""
    for name in ("no_proxy", "NO_PROXY"):
        assert (proxy_of_environment("https://a.test/v1", {"https_proxy": P, name: listed}) is None) is exempt


@pytest.mark.parametrize(
    ("host", "listed", "exempt"),
    [
        ("10.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", True),
        ("10.1.2.3", "10.1.2.30", False),
        ("11.1.2.3", "10.0.0.0/8", False),
        ("[fd00::1]", "fd00::/8", True),
        ("[fd00::1]", "fd00::1", True),
        ("[fd00::1]", "[fd00::1]", True),
    ],
)
def test_no_proxy_lists_addresses_and_networks(host: str, listed: str, exempt: bool) -> None:
    """As curl does since 7.86."""
    assert (proxy_of_environment(f"http://{host}:8000/v1", {"http_proxy": P, "no_proxy": listed}) is None) is exempt


@given(listed=st.text(max_size=40), host=st.from_regex(r"[a-z0-9.\-]{1,20}", fullmatch=True))
def test_any_list_is_read(listed: str, host: str) -> None:
    """It never raises."""
    proxy_of_environment(f"http://{host}", {"http_proxy": P, "no_proxy": listed})


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ("proxy:3128", "http://proxy:3128"),
        ("http://proxy", "http://proxy:1080"),
        ("HTTP://us:pa%40ss@proxy:8/x", "http://us:pa%40ss@proxy:8"),
        ("http://[fd00::1]:8", "http://[fd00::1]:8"),
    ],
)
def test_the_url_of_a_proxy_may_lack_parts(text: str, whole: str) -> None:
    """As the field writes them."""
    assert proxy_url(text, "x") == whole


@pytest.mark.parametrize(
    "text", ["socks5://u:s3cret-pw@p:1", "https://u:s3cret-pw@p:1", "http://u:s3cret-pw@", "http://u:s3cret-pw@p:x"]
)
def test_what_cannot_be_used_is_refused_without_its_password(text: str) -> None:
    """With the setting to change."""
    with pytest.raises(SettingsError) as caught:
        proxy_url(text, "endpoint up: ALL_PROXY")
    assert "endpoint up: ALL_PROXY" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def chosen(entry: dict[str, object], environ: dict[str, str]) -> str | None:
    """The proxy of an endpoint with these settings."""
    settings = Settings.model_validate({"endpoints": {"up": {"kind": "openai_compatible", **entry}}})
    proxy = settings.endpoint_config("up", environ).proxy
    return proxy.get_secret_value() if proxy is not None else None


def test_a_setting_comes_before_the_environment() -> None:
    """And `none` switches proxies off."""
    far, environ = "https://far.test/v1", {"https_proxy": P}
    assert chosen({"base_url": far}, environ) == P
    assert chosen({"base_url": far, "proxy": "q:2"}, environ) == Q
    assert chosen({"base_url": far, "proxy": "None"}, environ) is None
    assert chosen({"base_url": far, "local": True}, environ) is None, "your own network"
    assert chosen({"base_url": far, "local": True, "proxy": Q}, environ) == Q


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:1", "0.0.0.0:1"])
def test_this_machine_is_never_asked_through_a_proxy(host: str) -> None:
    """Whatever names one."""
    assert chosen({"base_url": f"http://{host}/v1", "proxy": Q}, {"http_proxy": P, "all_proxy": P}) is None


def test_an_endpoint_at_its_makers_own_address_has_one_too() -> None:
    """Though no base URL is set."""
    settings = Settings.model_validate({"endpoints": {"up": {"kind": "anthropic"}}})
    proxy = settings.endpoint_config("up", {"https_proxy": P}).proxy
    assert proxy is not None
    assert Settings().endpoint_config("local", {"https_proxy": P, "all_proxy": "socks5://x"}).proxy is None


def test_no_file_of_a_project_sets_one(tmp_path: Path) -> None:
    """It would see every prompt."""
    (tmp_path / "selfopt.toml").write_text(
        '[endpoints.x]\nkind = "scripted"\nscript = "s.yaml"\nproxy = "http://evil:1"\n', "utf-8"
    )
    with pytest.raises(SettingsError, match="proxies are never read"):
        load_settings({"SELFOPT_CONFIG": ""}, tmp_path)
    (tmp_path / "selfopt.toml").unlink()
    (tmp_path / ".env").write_text("HTTPS_PROXY=http://evil:1\n", "utf-8")
    environ = {"HOME": str(tmp_path)}
    assert load_settings(environ, tmp_path).endpoint_config("openai", environ).proxy is None
    (tmp_path / ".env").write_text("SELFOPT_ENDPOINTS__OPENAI__PROXY=http://evil:1\n", "utf-8")
    with pytest.raises(SettingsError):
        load_settings(environ, tmp_path)


def test_the_settings_do_not_show_it() -> None:
    """It may hold a password."""
    entry = {"kind": "openai_compatible", "base_url": "https://far.test/v1", "proxy": "http://u:s3cret-pw@p:1"}
    settings = Settings.model_validate({"endpoints": {"up": entry}})
    assert "s3cret" not in repr(settings) + settings.model_dump_json()
    assert "s3cret" not in repr(settings.endpoint_config("up", {}))
