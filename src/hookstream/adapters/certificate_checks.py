"""Certificates are checked alike with every Python, whoever is reached by TLS."""

import ssl


def checking_alike(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return a context that checks certificates in the same way with every Python.

    From 3.13 on the default refuses chains that lack what RFC 5280 asks of authorities, such as an authority key
    identifier: those of many private ones do. It also trusts an intermediate authority by itself, where that is named.
    Whether somebody is reached must not change with the Python.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
