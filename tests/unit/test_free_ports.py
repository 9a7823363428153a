"""A port that a test or the demo takes is nobody else's when its server starts."""

from pathlib import Path

from examples.demo.free_ports import free_port

from hookstream.adapters.dev import broker


def test_no_port_is_one_that_the_kernel_gives_to_a_connection() -> None:
    first, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()

    assert all(1024 <= free_port() < int(first) for _ in range(200))


def test_no_port_is_one_of_a_development_broker() -> None:
    assert all(not broker.FIRST_PORT <= free_port() <= broker.LAST_PORT for _ in range(200))


def test_two_draws_are_rarely_the_same_port() -> None:
    assert len({free_port() for _ in range(200)}) > 150
