"""A logger that keeps its lines."""

from hookstream.core.model.attempt import AttemptRecord


class BookkeepingLogger:
    """A Logger whose lines a test can read."""

    def __init__(self) -> None:
        self.attempts: list[AttemptRecord] = []
        self.lines: list[tuple[str, str, dict[str, str | float | None]]] = []
        """Level, event, fields."""

    def attempt(self, record: AttemptRecord) -> None:
        self.attempts.append(record)

    def info(self, event: str, **fields: str | float | None) -> None:
        self.lines.append(("info", event, fields))

    def warning(self, event: str, **fields: str | float | None) -> None:
        self.lines.append(("warning", event, fields))

    def error(self, event: str, **fields: str | float | None) -> None:
        self.lines.append(("error", event, fields))
