"""What each page of the table takes and shows: a page without a row here fails the tests."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class PageExpectation:
    """One good request for a page, by an administrator or by partner acme, whose own things it names."""

    says: str
    """What its text has; of an act, where it leads to."""
    status: int = 200
    params: dict[str, str] = field(default_factory=dict)
    """The parts of the path, which are of partner acme."""
    foreign: dict[str, str] | None = None
    """The same parts, of partner rival; None: the path names nothing of a partner."""
    query: str = ""
    form: dict[str, str] | None = None
    """What is filled into an act's form; None: it is no act."""

    def path(self, template: str, params: dict[str, str] | None = None) -> str:
        for name, value in (params or self.params).items():
            template = template.replace("{" + name + "}", value)
        return template + (f"?{self.query}" if self.query else "")


EXPECTATIONS: dict[str, PageExpectation] = {
    "show_login": PageExpectation("It is not kept in the browser", query="to=/ui/subscriptions"),
    "log_in": PageExpectation("is unknown, expired or revoked", 401, form={"token": "hs_adm_no"}),
    "log_out": PageExpectation("/ui/login", 303, form={}),
    "show_overview": PageExpectation("Success rate", query="window=24h"),
    "list_deliveries_page": PageExpectation("msg_ours", query="state=pending&subscription=crm"),
    "show_delivery": PageExpectation(
        "What was sent last",
        params={"delivery_id": "msg_ours"},
        foreign={"delivery_id": "msg_theirs"},
    ),
    "show_delivery_payload": PageExpectation(
        "As it would be rendered today",
        params={"delivery_id": "msg_ours"},
        foreign={"delivery_id": "msg_theirs"},
    ),
    "resend_delivery_page": PageExpectation(
        "/ui/deliveries/msg_ours",
        303,
        params={"delivery_id": "msg_ours"},
        foreign={"delivery_id": "msg_theirs"},
        form={"reason": "their outage is over"},
    ),
    "list_subscriptions_page": PageExpectation("pricing.completed", query="partner=acme"),
}
"""By the names of handlers."""
