"""The names of the headers that a tier record, a dead letter or an undecodable record carries.

All of ours begin with `hs-`; those of Kafka Connect (KIP-298) stand beside them on dead letters, so
that tools which know dead letters show these too.
"""

DELIVERY_ID = "hs-delivery-id"
SUBSCRIPTION_ID = "hs-subscription-id"
"""Absent: an event that is still to be identified and matched."""
PARTNER_ID = "hs-partner-id"
EVENT_TYPE = "hs-event-type"
EVENT_ID = "hs-event-id"
ATTEMPT = "hs-attempt"
STEP = "hs-step"
TRIGGER = "hs-trigger"
FIRST_AT = "hs-first-at"
EXPIRES_AT = "hs-expires-at"
DUE_AT = "hs-due-at"
DEFERRALS = "hs-deferrals"
DEFERRED_REASON = "hs-deferred-reason"
DEFERRED_SINCE = "hs-deferred-since"
WRITTEN_AT = "hs-written-at"
ORIGIN_TOPIC = "hs-origin-topic"
ORIGIN_PARTITION = "hs-origin-partition"
ORIGIN_OFFSET = "hs-origin-offset"
ORIGIN_TIMESTAMP = "hs-origin-timestamp"
FILTER_ASKED = "hs-filter-asked"
"""`no`: the subscription could not be read at the match, and its filter is still to be asked."""
LAST_OUTCOME = "hs-last-outcome"
LAST_STATUS = "hs-last-status"
LAST_ERROR = "hs-last-error"
REASON = "hs-reason"

TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"

OURS = "hs-"
CONNECT = "__connect."
CONNECT_TOPIC = "__connect.errors.topic"
CONNECT_PARTITION = "__connect.errors.partition"
CONNECT_OFFSET = "__connect.errors.offset"
CONNECT_NAME = "__connect.errors.connector.name"
CONNECT_STAGE = "__connect.errors.stage"
CONNECT_CLASS = "__connect.errors.exception.class.name"
CONNECT_MESSAGE = "__connect.errors.exception.message"

WIRE_FORMAT = frozenset({"__key_schema_id", "__value_schema_id"})
"""Headers without which a value cannot be decoded: they travel whatever the bounds say."""
