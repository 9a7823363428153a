"""Prints generated signing secrets, the only time that they can be seen."""

from collections.abc import Sequence

from rich.text import Text

from hookstream.core.model.subscription import SigningSecret
from hookstream.entry.admin.signing_secrets import secret_to_show
from hookstream.entry.cli.terminal import Terminal


def show_secrets(out: Terminal, secrets: Sequence[tuple[str, SigningSecret]]) -> None:
    """Print secrets, each with the id of its subscription; for a `v1a` key, its public key."""
    if secrets:
        out.text("Signing secrets, shown only once:", "bold")
    out.lines(
        Text(f"  {subscription_id}  {secret.id}  {secret_to_show(secret)}")
        for subscription_id, secret in secrets
    )
