import ipaddress

import pytest

from hookstream.core.delivery.address import (
    Network,
    address_problem,
    host_of,
    scrub,
    url_problem,
)

LOOPBACK: list[Network] = [ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128")]

HOSTILE = [
    "0.0.0.0",  # noqa: S104 - an address to refuse, none to bind
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "169.254.170.2",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.1.1",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:169.254.169.254",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2620:4f:8000::1",
    "3fff::1",
    "4000::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "2001:db8::1%1",
]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "168.63.129.15",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "::ffff:8.8.8.8",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2a00::1",
]


@pytest.mark.parametrize("address", HOSTILE)
def test_an_address_that_is_not_public_is_never_dialled(address: str) -> None:
    assert address_problem(address) is not None


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_dialled(address: str) -> None:
    assert address_problem(address) is None


@pytest.mark.parametrize("text", ["", "localhost", "127.1", "2130706433", "0x7f.1", "1.2.3.4 "])
def test_an_invalid_address_is_not_connected_to(text: str) -> None:
    assert address_problem(text) is not None


@pytest.mark.parametrize("address", ["127.0.0.1", "::ffff:127.0.0.1", "::1", "::1%lo"])
def test_the_operators_networks_go_before_the_deny_list(address: str) -> None:
    assert address_problem(address, LOOPBACK) is None


def test_the_operators_networks_open_nothing_else() -> None:
    assert address_problem("10.0.0.1", LOOPBACK) == "10.0.0.1 is not a public address"


@pytest.mark.parametrize(
    "url",
    [
        "https://partner.example/hooks",
        "https://partner.example",
        "https://partner.example:443/a?b=c",
        "https://partner.example:8443/a",
        "https://xn--bcher-kva.example/",
        "https://a_b.partner.example/",
        "https://8.8.8.8/",
        "https://[2606:4700::1111]/",
        "HTTPS://Partner.Example/",
    ],
)
def test_a_public_https_url_can_be_an_endpoints(url: str) -> None:
    assert url_problem(url, https_only=True) is None


@pytest.mark.parametrize(
    "url",
    [
        "",
        "partner.example",
        "//partner.example/",
        "ftp://partner.example/",
        "file:///etc/passwd",
        "gopher://partner.example/",
        "https://",
        "https:///path",
        "http://partner.example/",
        "https://partner.example:80/",
        "https://partner.example:22/",
        "https://partner.example:0/",
        "https://partner.example:99999/",
        "https://partner.example:port/",
        "https://user@partner.example/",
        "https://user:word@partner.example/",
        "https://@partner.example/",
        "https://partner.example/#fragment",
        "https://partner.example/a b",
        "https://partner.example/\r\nhost: internal",
        "https://partner.example/\ttab",
        "https://pärtner.example/",
        "https://partner.example\\@internal/",
        "https://localhost/",
        "https://intranet/",
        "https://metadata.google.internal/",
        "https://printer.local/",
        "https://partner..example/",
        "https://.example/",
        "https://partner.example./",
        "https://-partner.example/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[fe80::1%25eth0]/",
        "https://[not-an-address]/",
        "https://169.254.169.254/latest/meta-data",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://127.1/",
        "https://0177.0.0.1/",
        "https://1.2.3.4.5/",
        "https://" + "a" * 254 + ".example/",
        "https://partner.example/" + "a" * 2048,
    ],
)
def test_a_url_that_cannot_be_an_endpoints_is_refused_when_it_is_written(url: str) -> None:
    assert url_problem(url, https_only=True) is not None


@pytest.mark.parametrize(
    "url", ["http://localhost:8080/", "http://sink.internal/", "http://partner.example:81/"]
)
def test_development_allows_http_any_port_and_private_names(url: str) -> None:
    """The check at dialling still decides on their addresses."""
    assert url_problem(url, https_only=False) is None


@pytest.mark.parametrize("https_only", [True, False])
def test_a_literal_address_needs_the_operators_networks_everywhere(https_only: bool) -> None:  # noqa: FBT001 - a parameter of the test
    url = "http://127.0.0.1:8080/hooks"

    verdicts = [
        url_problem(url, https_only=https_only),
        url_problem(url, https_only=https_only, allow=LOOPBACK),
    ]

    assert verdicts == ["127.0.0.1 is not a public address", None]


@pytest.mark.parametrize(
    "url", ["https://user:hunter2@partner.example/x", "https://partner.example:22/hunter2?hunter2"]
)
def test_a_refused_url_shows_no_secret(url: str) -> None:
    problem = url_problem(url, https_only=True)

    assert problem is not None
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://partner.example/hooks/T0K3N?key=s", "https://partner.example/…"),
        ("https://partner.example?key=s", "https://partner.example/…"),
        ("https://partner.example/#s", "https://partner.example/…"),
        ("https://user:word@partner.example:8443/x", "https://partner.example:8443/…"),
        ("https://partner.example/", "https://partner.example/"),
        ("https://partner.example", "https://partner.example/"),
        ("http://[::1]:81/x", "http://[::1]:81/…"),
        ("not a url", "…"),
        ("https://[broken", "…"),
        ("https://partner.example:port/", "…"),
    ],
)
def test_a_scrubbed_url_shows_where_and_nothing_secret(url: str, shown: str) -> None:
    assert scrub(url) == shown


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://Partner.Example:8443/x", "partner.example"),
        ("https://user@partner.example/", "partner.example"),
        ("http://[::1]:81/", "::1"),
        ("nothing", ""),
        ("https://[broken", ""),
    ],
)
def test_the_host_of_a_url_is_its_name_alone(url: str, host: str) -> None:
    assert host_of(url) == host
