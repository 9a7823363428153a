"""What `plan` and `apply` need: the plan of a folder of definition files, and carrying it out.

As for `ports`: the cluster and the API implement each of these, and each may raise what is said there. The files,
and the variables and files that have their secrets, are read where the command runs.
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
    """A plan that was carried out."""

    plan: Callable[[], ShownPlan]
    """Returns it as it is shown, which takes a while where it is long."""
    generated: Sequence[tuple[str, SigningSecret]]
    """Signing secrets that were generated, each with the id of its subscription, to be shown once."""
    jobs: Sequence[Job]
    """The replays of starts in the past."""
    takes_effect: Millis | None
    """From when all of it is in effect; None: it is at once."""
    wait: Callable[[], None]
    """Returns once that has come."""
    warning: str | None
    """What is to be known of what was written, during a rolling upgrade."""


class FolderCommands(Protocol):
    """A folder that was read."""

    @property
    def problems(self) -> Sequence[Problem]:
        """Problems of the files; while there are any, there is no plan."""

    def plan(self) -> ShownPlan:
        """Return what applying the files would change now, with problems located in them."""

    def apply(self, shown: ShownPlan) -> AppliedPlan:
        """Carry out the plan that was shown.

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
