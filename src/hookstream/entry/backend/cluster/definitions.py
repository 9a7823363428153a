"""Definition files, planned on the tables and applied to them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hookstream.core.planning.declared import Problem
from hookstream.core.planning.plan import PlanOptions
from hookstream.entry.admin.definitions import FolderPlanner, generated_by, last_instant
from hookstream.entry.admin.plan_view import ShownPlan, shown_plan
from hookstream.entry.admin.tables import StateReader
from hookstream.entry.backend.cluster.access import ClusterAccess
from hookstream.entry.backend.definition_ports import AppliedPlan


@dataclass(slots=True, frozen=True)
class ClusterFolder:
    """Implements `FolderCommands`."""

    cluster: ClusterAccess
    planner: FolderPlanner
    reader: StateReader
    """Reads rows for the plan and for the writer; unchanged rows are read once."""

    @property
    def problems(self) -> Sequence[Problem]:
        return self.planner.problems

    def plan(self) -> ShownPlan:
        state = self.cluster.opened_state(self.reader)
        return shown_plan(
            self.planner.plan(state, self.cluster.now(), self.cluster.retained_since)
        )

    def apply(self, shown: ShownPlan) -> AppliedPlan:
        changed = self.cluster.change_opened(
            lambda writer: self.planner.apply(writer, shown.marks),
            self.planner.keys,
            self.reader,
        )
        made, writer = changed.result, changed.writer
        session, until = writer.session, last_instant(made)
        return AppliedPlan(
            lambda: shown_plan(made),
            generated_by(made),
            tuple(writer.started),
            until if until > session.now else None,
            lambda: session.wait_until(until),
            writer.warning,
        )


@dataclass(slots=True, frozen=True)
class ClusterDefinitions:
    """Implements `DefinitionCommands`."""

    cluster: ClusterAccess

    def folder(
        self,
        folder: Path,
        environ: Mapping[str, str],
        options: PlanOptions,
        *,
        needs_keys: bool,
    ) -> ClusterFolder:
        planner = FolderPlanner(
            self.cluster.settings,
            environ,
            folder,
            options,
            needs_keys=needs_keys,
            keys=self.cluster.keys,
        )
        reader = StateReader(self.cluster.settings.topics_names, planner.keys)
        return ClusterFolder(self.cluster, planner, reader)
