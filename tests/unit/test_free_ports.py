"""A port that a test or the demo takes is nobody else's when its server starts."""

import socket
from pathlib import Path

import pytest
from examples.demo.free_ports import free_port

from hookstream.adapters.dev import broker


def test_no_port_is_one_that_the_kernel_gives_to_a_connection() -> None:
    first, _ = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()

    assert all(1024 <= free_port() < int(first) for _ in range(200))


def test_no_port_is_one_of_a_development_broker() -> None:
    assert all(not broker.FIRST_PORT <= free_port() <= broker.LAST_PORT for _ in range(200))


def test_two_draws_are_not_the_same_port() -> None:
    assert len({free_port() for _ in range(200)}) == 200


def test_a_port_that_was_given_is_given_to_no_other_process() -> None:
    port = free_port()
    with socket.socket(type=socket.SOCK_DGRAM) as claim, pytest.raises(OSError, match="in use"):
        claim.bind(("127.0.0.1", port))


def test_few_ports_are_kept_so_that_descriptors_are_left() -> None:
    before = descriptors()
    for _ in range(300):
        free_port()
    assert descriptors() - before <= 256


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))
