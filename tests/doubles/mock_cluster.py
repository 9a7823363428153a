"""The mock cluster of the client library: three brokers in this process, and leaders that a test chooses."""

import ctypes
from pathlib import Path

import confluent_kafka
import pytest

_NO_LEADER = -1


def _library() -> ctypes.CDLL:
    """Return the library that the client came with."""
    packages = Path(confluent_kafka.__file__).parent.parent
    found = sorted(packages.glob("confluent_kafka*/**/librdkafka-*.so*"))
    if not found:
        pytest.skip("the client's library is not beside it, as wheels have it")
    return ctypes.CDLL(str(found[0]))


class MockCluster:
    """Three brokers, until the process ends: threads of clients may outlive a test."""

    def __init__(self) -> None:
        self._library = lib = _library()
        pointer, text = ctypes.c_void_p, ctypes.c_char_p
        lib.rd_kafka_conf_new.restype = lib.rd_kafka_new.restype = pointer
        lib.rd_kafka_new.argtypes = [ctypes.c_int, pointer, text, ctypes.c_size_t]
        lib.rd_kafka_conf_set.argtypes = [pointer, text, text, text, ctypes.c_size_t]
        lib.rd_kafka_mock_cluster_new.restype = pointer
        lib.rd_kafka_mock_cluster_new.argtypes = [pointer, ctypes.c_int]
        lib.rd_kafka_mock_cluster_bootstraps.restype = text
        lib.rd_kafka_mock_cluster_bootstraps.argtypes = [pointer]
        lib.rd_kafka_mock_topic_create.argtypes = [pointer, text, ctypes.c_int, ctypes.c_int]
        lib.rd_kafka_mock_partition_set_leader.argtypes = [
            pointer, text, ctypes.c_int32, ctypes.c_int32
        ]  # fmt: skip
        error = ctypes.create_string_buffer(512)
        settings = lib.rd_kafka_conf_new()
        # It connects to nobody itself, and would say so.
        lib.rd_kafka_conf_set(settings, b"log_level", b"0", error, len(error))
        handle = lib.rd_kafka_new(0, settings, error, len(error))
        self._cluster = lib.rd_kafka_mock_cluster_new(handle, 3)
        self.servers: str = lib.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def create(self, topic: str, partitions: int) -> None:
        """Make a topic, without replicas."""
        self._library.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1)

    def lead(self, topic: str, partition: int, broker: int = _NO_LEADER) -> None:
        """Have a broker, 1 to 3, lead a partition; without one nobody does."""
        self._library.rd_kafka_mock_partition_set_leader(
            self._cluster, topic.encode(), partition, broker
        )
