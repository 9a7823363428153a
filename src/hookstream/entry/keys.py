"""The key ring that the settings name."""

from hookstream.adapters.keyring import KeyRing, read_ring, read_ring_file
from hookstream.adapters.system import random_bytes
from hookstream.errors import ConfigurationError
from hookstream.settings import Settings


def key_ring(settings: Settings) -> KeyRing:
    """Return the key ring, from the environment before the file.

    Raises:
        ConfigurationError: None is set, or the one that is set is invalid.
    """
    if settings.keys.ring is not None:
        return read_ring(settings.keys.ring, "HOOKSTREAM_KEYS__RING", random_bytes)
    if settings.keys.file is not None:
        return read_ring_file(settings.keys.file, random_bytes)
    raise ConfigurationError(
        "no key ring is set, and signing secrets are encrypted: set keys.file "
        "(`hookstream dev keys FILE` makes one for development) or HOOKSTREAM_KEYS__RING"
    )
