"""Makes TLS contexts check certificates in the same way with every Python."""

import ssl


def checking_alike(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return a context that checks certificates in the same way with every Python.

    From 3.13 on the default refuses chains that lack what RFC 5280 asks of authorities, such as an authority key
    identifier: those of many private ones do. It also trusts an intermediate authority on its own if it is named.
    Whether a peer is reached must not depend on the Python.
    """
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context
