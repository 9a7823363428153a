"""Reads when the validity of a certificate ends, by the library `cryptography`."""

from cryptography import x509

from hookstream.core.model.instant import Millis


def valid_until(pem: bytes) -> Millis | None:
    """Return when the validity of the first certificate ends; None if it cannot be read."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
    except ValueError:
        return None
    return int(certificate.not_valid_after_utc.timestamp()) * 1_000
