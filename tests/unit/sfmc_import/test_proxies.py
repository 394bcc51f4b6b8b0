"""Which proxy leads to an address."""

import pytest

from sfmc_import.proxies import Proxy, is_excepted, parse_proxy, read_proxies

OURS = Proxy("proxy.example", 3128)


@pytest.mark.parametrize("given", ["http://proxy.example:3128", "proxy.example:3128", " http://proxy.example:3128/ "])
def test_the_address_of_a_proxy_is_read(given):
    assert parse_proxy(given) == OURS


def test_a_login_is_read_with_its_percent_signs():
    found = parse_proxy("http://a%20user:p%40ss@[::1]")

    assert (found.host, found.port, found.user, found.password) == ("::1", 80, "a user", "p@ss")
    assert found.authorization == "Basic YSB1c2VyOnBAc3M="


@pytest.mark.parametrize(
    "given", ["https://u:s3cret@p:1", "socks5://u:s3cret@p", "http://u:s3cret@p:99999", "http://", "http://p/s3cret"]
)
def test_what_is_no_usable_proxy_is_refused_without_its_login(given):
    with pytest.raises(ValueError, match=r"proxy|port") as refusal:
        read_proxies(given, {})

    assert "s3cret" not in str(refusal.value)
    assert str(refusal.value).startswith("SFMC_PROXY: ")


def test_the_setting_wins_and_is_for_every_address():
    found = read_proxies("proxy.example:3128", {"HTTPS_PROXY": "other:1", "NO_PROXY": "*"})

    assert found.to("https", "t.example", 443) == found.to("http", "t.example", 80) == OURS


@pytest.mark.parametrize("word", ["none", "OFF", "direct"])
def test_the_setting_can_say_that_there_is_none(word):
    assert read_proxies(word, {"HTTPS_PROXY": "other:1"}).to("https", "t.example", 443) is None


@pytest.mark.parametrize(
    ("environ", "https", "http"),
    [
        ({}, None, None),
        ({"HTTPS_PROXY": "proxy.example:3128"}, OURS, None),
        ({"http_proxy": "proxy.example:3128"}, None, OURS),
        ({"ALL_PROXY": "proxy.example:3128"}, OURS, OURS),
        ({"https_proxy": "proxy.example:3128", "HTTPS_PROXY": "other:1"}, OURS, None),
        ({"HTTPS_PROXY": "proxy.example:3128", "NO_PROXY": "example"}, None, None),
    ],
)
def test_the_environment_is_read_as_usual_programs_do(environ, https, http):
    found = read_proxies("", environ)

    assert (found.to("https", "t.example", 443), found.to("http", "t.example", 80)) == (https, http)


@pytest.mark.parametrize(
    ("entry", "host", "expected"),
    [
        ("*", "anything", True),
        ("t.example", "T.Example", True),
        ("example", "t.example", True),
        (".example", "t.example", True),
        ("*.example", "t.example", True),
        ("ample", "t.example", False),
        ("t.example:443", "t.example", True),
        ("t.example:8443", "t.example", False),
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "11.1.2.3", False),
        ("10.0.0.0/8", "t.example", False),
        ("nonsense/x", "10.1.2.3", False),
        ("::1", "::1", True),
        ("[::1]", "::1", True),
    ],
)
def test_an_entry_of_no_proxy_names_hosts(entry, host, expected):
    assert is_excepted(host, 443, (entry.lower(),)) is expected
