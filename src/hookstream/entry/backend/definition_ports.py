"""The ports of `plan` and `apply`: planning a folder of definition files, and applying the plan.

The cluster and the API implement each of these, and each raises the exceptions that `ports.py` documents. The
machine of the command reads the files, and the variables and files with their secrets.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hookstream.core.jobs.job import Job
from hookstream.core.model.instant import Millis
from hookstream.core.model.subscription import SigningSecret
from hookstream.core.planning.declared import Problem
from hookstream.core.planning.plan import PlanOptions
from hookstream.entry.admin.plan_view import ShownPlan


@dataclass(slots=True, frozen=True)
class AppliedPlan:
    """A plan that was applied."""

    plan: Callable[[], ShownPlan]
    """Returns it as it is shown, which takes a while if it is long."""
    generated: Sequence[tuple[str, SigningSecret]]
    """Generated signing secrets, each with the id of its subscription, to be shown once."""
    jobs: Sequence[Job]
    """The replays of starts in the past."""
    takes_effect: Millis | None
    """The instant from which all of it is in effect; None: immediately."""
    wait: Callable[[], None]
    """Returns at that instant."""
    warning: str | None
    """A warning about the written rows, during a rolling upgrade."""


class FolderCommands(Protocol):
    """A folder that was read."""

    @property
    def problems(self) -> Sequence[Problem]:
        """Problems of the files; with any of them, there is no plan."""

    def plan(self) -> ShownPlan:
        """Return what applying the files would change now, with problems located in them."""

    def apply(self, shown: ShownPlan) -> AppliedPlan:
        """Apply the plan that was shown.

        Raises:
            Conflict: The tables changed, and with them the plan.
        """


class DefinitionCommands(Protocol):
    """Reads folders."""

    def folder(
        self,
        folder: Path,
        environ: Mapping[str, str],
        options: PlanOptions,
        *,
        needs_keys: bool,
    ) -> FolderCommands:
        """Read a folder.

        Args:
            folder: The folder.
            environ: Variables that may have secrets.
            options: The options of the plan; its owner may be the folder's own name.
            needs_keys: Whether secrets are needed, to apply the plan.
        """
