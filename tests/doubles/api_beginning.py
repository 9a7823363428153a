"""What the world of the API's tests begins with: its rows, which are made once and the same in every world.

Making and reading them took longer than most tests that look at a world.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

from tests.doubles.access_rows import link_row, session_row
from tests.doubles.api_records import ACME, KEYS, RIVAL, failure_groups, subscription
from tests.doubles.clock import NOON
from tests.doubles.schemas import EVENT_TYPES, printprice

from hookstream.adapters.avro.published import earlier_own_schemas, own_schemas, schema_row
from hookstream.adapters.kafka.tables.log import TableRecord
from hookstream.adapters.ready_templates import ready_templates
from hookstream.adapters.system import random_bytes
from hookstream.adapters.tables.console_rows import token_key, write_token
from hookstream.adapters.tables.failure_group_rows import failure_group_key, write_failure_group
from hookstream.adapters.tables.holds_and_skips import hold_key, write_hold
from hookstream.adapters.tables.rows import write_partner
from hookstream.adapters.tables.sealed import Keys
from hookstream.adapters.tables.subscriptions import write_subscription
from hookstream.core.access.scopes import Scope
from hookstream.core.access.tokens import TOKEN_BYTES, ApiToken, token_hash, token_text
from hookstream.core.jobs.job import Job, JobState
from hookstream.core.model.hold import Hold, HoldKind
from hookstream.core.model.instant import DAY, Millis
from hookstream.core.model.json import JsonObject
from hookstream.core.model.subscription import Partner
from hookstream.core.model.topics import Topics
from hookstream.entry.admin.tables import SEALED, StateReader
from hookstream.settings import Settings, load


def new_token(
    scope: Scope, partner_id: str | None, expires: Millis, token_id: str
) -> tuple[str, str, bytes]:
    """Return the text of a new token, and the key and the value of its row."""
    if scope.is_of_partner and partner_id is None:
        partner_id = "acme"
    text = token_text(scope, random_bytes(TOKEN_BYTES))
    row = ApiToken(token_id, scope, partner_id, token_hash(text), NOON, expires)
    return text, token_key(token_id), write_token(row)


@dataclass(frozen=True, slots=True)
class Beginning:
    """The rows of two partners, a subscription of each, and a token of every scope."""

    settings: Settings
    records: tuple[TableRecord, ...]
    tokens: Mapping[Scope, str]
    """The text of one that admits to no partner but acme."""
    rival: str
    """The text of one that may change the rival's subscriptions."""
    readers: tuple[StateReader, StateReader]
    """What has read them: with the keys, and without."""

    def reader(self, keys: Keys) -> StateReader:
        """Return a reader that has read these rows, and reads only what comes after them."""
        names = self.settings.topics_names
        known = self.readers[keys is SEALED]
        reader = StateReader(names, keys)
        reader._schemas, reader._read = known._schemas, {**known._read}  # noqa: SLF001  as if it had read them
        return reader


def _job(job_id: str, subscription_id: str) -> Job:
    asked: JsonObject = {"subscription": subscription_id, "extent": "hush"}
    return Job(f"replay-{job_id}", "replay", asked, NOON, state=JobState.FAILED)


_PARTNERS = ACME, RIVAL, Partner("lonely", "Lonely", ACME.grant, owner="api")
_JOBS = _job("ours", "crm"), _job("others", "theirs")
_SUBSCRIPTIONS = (
    subscription("crm"),
    replace(subscription("filed", owner="files:core"), declared_at="subscriptions/hush.yaml:3"),
    subscription("theirs", "rival"),
)
_HOLD = Hold(HoldKind.ENDPOINT, "theirs", NOON, "hush-reason", "hush-operator")


def _rows_of_tables(names: Topics) -> list[tuple[str, str, bytes]]:
    return [
        *((names.schemas, *schema_row(printprice(each), 1)) for each in EVENT_TYPES),
        *((names.partners, each.id, write_partner(each)) for each in _PARTNERS),
        *((names.jobs, each.id, each.encode()) for each in _JOBS),
        *(
            (names.subscriptions, each.id, write_subscription(each, KEYS))
            for each in _SUBSCRIPTIONS
        ),
        (names.subscriptions, hold_key(_HOLD.kind, _HOLD.name), write_hold(_HOLD)),
        *(
            (names.console, failure_group_key(each.id), write_failure_group(each))
            for each in failure_groups()
        ),
    ]


@cache
def beginning() -> Beginning:
    # Read once and kept: what runs inline must not read files.
    own_schemas()
    earlier_own_schemas()
    ready_templates()
    settings = load(None, {}, {})
    names = settings.topics_names
    rows = _rows_of_tables(names)

    def token(scope: Scope, partner_id: str | None = None, token_id: str = "") -> str:
        token_id = token_id or f"tok-{scope.value.replace(':', '-')}-{len(rows)}"
        text, key, value = new_token(scope, partner_id, NOON + DAY, token_id)
        rows.append((names.console, key, value))
        return text

    tokens = {scope: token(scope) for scope in Scope}
    rival = token(Scope.PARTNER_MANAGE, "rival")
    for name, partner_id in (("ours", "acme"), ("theirs", "rival")):
        token(Scope.PARTNER_READ, partner_id, f"tok-{name}")
        rows.append((names.console, *session_row(f"ses-{name}", partner_id, f"tok-{name}", NOON)))
        rows.append((names.console, *link_row(f"lnk-{name}", partner_id, NOON)))
    records = tuple(
        TableRecord(table, key, value, offset, NOON)
        for offset, (table, key, value) in enumerate(rows, 1)
    )
    of_tables: dict[str, dict[str, TableRecord]] = defaultdict(dict)
    for record in records:
        of_tables[record.table][record.key] = record
    readers = StateReader(names, KEYS), StateReader(names, SEALED)
    for reader in readers:
        reader.state(of_tables)
    return Beginning(settings, records, tokens, rival, readers)
