"""Reads the secrets of a definition that comes over HTTP: its own values, and those that the row has.

It has no way to a variable or a file: it gets neither, and `{env}` and `{file}` are refused by their names.
"""

from collections.abc import Callable, Mapping

from hookstream.core.model.subscription import Secret, SigningSecret, Subscription
from hookstream.core.planning.secret_fields import NamedMaterial, SecretSource

SIGNING = "signing."
"""What the name of a kept signing secret begins with: it is none of a field's path."""
OF_FILES_ONLY = "is taken from definition files only: over HTTP, send {value: …}, or {generate: true} where it signs"
"""Why `{env}` and `{file}` are refused."""


class RequestSecrets:
    """The `SecretReader` of requests.

    Args:
        new_name: Makes the name of a secret whose material is in the request.
        present: The subscription as its row has it, opened; None: there is none yet.
    """

    def __init__(self, new_name: Callable[[], str], present: Subscription | None = None) -> None:
        self._new_name = new_name
        secrets: list[tuple[str, Secret]] = []
        signing: tuple[SigningSecret, ...] = ()
        if present is not None:
            secrets = list(present.endpoint.named_secrets())
            signing = present.endpoint.secrets
        self._kept: Mapping[str, NamedMaterial] = {
            **{path: NamedMaterial(secret.id, secret.value) for path, secret in secrets},
            **{SIGNING + each.id: NamedMaterial(each.id, b"") for each in signing},
        }

    def __call__(self, source: SecretSource, written: str) -> NamedMaterial | str:
        """Return the material of a source, or why there is none."""
        match source:
            case "value":
                return NamedMaterial(self._new_name(), written.encode("utf-8", "surrogatepass"))
            case "kept":
                return self._kept.get(written, "the subscription has no such secret")
            case _:
                return OF_FILES_ONLY
