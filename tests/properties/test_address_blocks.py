"""Blocks of addresses contain the same addresses as Python's own parsing of both."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from hookstream.core.matching.pattern import parse

fours = st.sampled_from(["10.0.0.0", "10.0.0.255", "10.128.0.1", "192.168.1.7", "0.0.0.0"])  # noqa: S104  no socket is bound
sixes = st.sampled_from(["::", "2001:db8::1", "2001:db9::", "::ffff:10.0.0.1", "fe80::1"])
blocks = st.builds("{}/{}".format, fours, st.integers(0, 32)) | st.builds(
    "{}/{}".format, sixes, st.integers(0, 128)
)
addresses = (
    fours
    | sixes
    | st.ip_addresses().map(str)
    | st.sampled_from(
        [
            "010.0.0.1",
            "10.0.0",
            "10.0.0.256",
            "10.0.0.1 ",
            "1\u0661.0.0.1",
            "",
            "fe80::1%eth0",
            ":",
        ]
    )
    | st.text("0123456789.:ab", max_size=12)
)


def lies_in(text: str, block: str) -> bool:
    try:
        return ipaddress.ip_address(text) in ipaddress.ip_network(block, strict=False)
    except ValueError:
        return False


@given(asked=st.lists(blocks, min_size=1, max_size=6), text=addresses)
def test_an_address_is_in_the_same_blocks_as_by_python(asked: list[str], text: str) -> None:
    pattern = parse({"ip": [{"cidr": block} for block in asked]})
    assert pattern.matches({"ip": text}) == any(lies_in(text, block) for block in asked)
