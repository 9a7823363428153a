"""Definition files are read strictly, and every problem names file, line and path."""

import string
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from hookstream.adapters.definition_files import Definitions, read_definitions
from hookstream.adapters.definition_files.json_text import read_document
from hookstream.adapters.definition_files.yaml_text import FileRefused, read_documents, scalar
from hookstream.adapters.ed25519 import private_key
from hookstream.adapters.ready_templates import ready_templates
from hookstream.adapters.signing_keys import read_signing_key
from hookstream.core.delivery.address import origin
from hookstream.core.delivery.bodies.template import secrets_in
from hookstream.core.delivery.signing import (
    header_problem,
    write_private_key,
    write_public_key,
    write_secret,
)
from hookstream.core.model.json import Json
from hookstream.core.model.subscription import (
    Endpoint,
    Grant,
    Partner,
    Secret,
    SigningScheme,
    Subscription,
)
from hookstream.core.planning.body_format import TemplateRules
from hookstream.core.planning.declared import (
    Declared,
    DeclaredSecret,
    DeclaredSubscription,
    Problem,
    SigningKey,
)
from hookstream.core.planning.endpoint_fields import DefinitionRules
from hookstream.errors import InputRefused

KEY = bytes(range(24))
ENVIRON = {"ORDERS": write_secret(KEY), "SHORT": "whsec_AAAA"}


def signing_key(material: bytes) -> SigningKey | str:
    try:
        return read_signing_key(material.decode().strip())
    except InputRefused as refused:
        return str(refused)


RULES = DefinitionRules(
    url_problem=lambda _: None,
    header_problem=header_problem,
    pattern_problem=lambda _: None,
    templates=TemplateRules(ready_templates(), secrets_in),
    signing_key=signing_key,
    origin=origin,
    tls_problem=lambda _: None,
)

ACME = """
id: acme
name: Acme Print
grant:
  event_types: ["order.*"]
  environments: [live]
"""
ORDERS = """
id: orders
partner: acme
endpoint:
  url: https://acme.example/h
  signing_secrets: [{env: ORDERS}]
event_types: [order.generated]
"""


def read(folder: Path, environ: Mapping[str, str] = ENVIRON) -> Definitions:
    return read_definitions(folder, environ, RULES)


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def problems(folder: Path) -> list[str]:
    return [str(problem).replace(f"{folder}/", "") for problem in read(folder).problems]


def value(text: str) -> Json:
    (document,) = read_documents(text)
    return document.value


def test_a_folder_becomes_what_it_declares(tmp_path: Path) -> None:
    write(tmp_path, "partners/acme.yaml", ACME)
    write(tmp_path, "subscriptions/orders.yml", ORDERS)
    found = read(tmp_path)
    assert (found.declared, found.problems) == (
        Declared(
            (Partner("acme", "Acme Print", Grant(("order.*",), ("live",))),),
            (
                DeclaredSubscription(
                    Subscription(
                        "orders",
                        "acme",
                        Endpoint("https://acme.example/h", ()),
                        ("order.generated",),
                        active_from=0,
                    ),
                    (DeclaredSecret("env:ORDERS", KEY),),
                    place="subscriptions/orders.yml:2",
                ),
            ),
        ),
        [],
    )


def test_a_place_is_the_same_wherever_the_folder_lies_and_of_each_document_its_line(
    tmp_path: Path,
) -> None:
    for folder in ("here", "there/and/deeper"):
        (tmp_path / folder).mkdir(parents=True)
        write(tmp_path / folder, "partners/acme.yaml", ACME)
        other = ORDERS.replace("id: orders", "id: others")
        write(tmp_path / folder, "subscriptions/all.yaml", f"{ORDERS}---{other}")
        found = read(tmp_path / folder).declared.subscriptions
        second = 2 + ORDERS.count("\n")
        assert [each.place for each in found] == [
            "subscriptions/all.yaml:2",
            f"subscriptions/all.yaml:{second}",
        ]


def test_a_path_that_is_too_long_for_a_row_is_left_out(tmp_path: Path) -> None:
    write(tmp_path, "partners/acme.yaml", ACME)
    deep = tmp_path / "subscriptions" / ("d" * 250) / ("e" * 245)
    deep.mkdir(parents=True)
    (deep / "orders.yaml").write_text(ORDERS)
    assert [each.place for each in read(tmp_path).declared.subscriptions] == [""]


def test_a_file_may_contain_several_documents(tmp_path: Path) -> None:
    write(tmp_path, "partners/all.yaml", f"{ACME}---{ACME.replace('acme', 'zenith')}---\n")
    assert [partner.id for partner in read(tmp_path).declared.partners] == ["acme", "zenith"]


def test_problems_of_all_files_are_reported_with_file_line_and_path(tmp_path: Path) -> None:
    write(tmp_path, "partners/acme.yaml", ACME.replace("name:", "nmae:"))
    write(tmp_path, "partners/broken.yaml", "id: [")
    write(tmp_path, "subscriptions/orders.yaml", ORDERS.replace("[{env: ORDERS}]", "\n  - env: X"))
    assert problems(tmp_path) == [
        "partners/acme.yaml:2: partner acme: name: is missing",
        ("partners/acme.yaml:3: partner acme: nmae: there is no such field (did you mean name?)"),
        "partners/broken.yaml:2: is not YAML: did not find expected node content",
        (
            "subscriptions/orders.yaml:7: subscription orders: endpoint.signing_secrets[0]: "
            "the environment variable X is not set"
        ),
    ]


def test_a_duplicate_id_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "partners/a.yaml", ACME)
    write(tmp_path, "partners/b.yaml", ACME)
    assert problems(tmp_path) == [
        f"partners/b.yaml:2: partner acme: id: is also defined in {tmp_path}/partners/a.yaml".replace(
            f"{tmp_path}/", ""
        )
    ]


def test_a_problem_of_the_plan_is_found_in_its_file(tmp_path: Path) -> None:
    write(tmp_path, "subscriptions/orders.yaml", ORDERS)
    problem = Problem("subscription orders", "event_types[0]", "no schema is published")
    located = read(tmp_path).located(problem)
    assert located.where == f"{tmp_path}/subscriptions/orders.yaml:7"


def test_a_secret_is_read_from_a_file_beside_the_definition(tmp_path: Path) -> None:
    write(tmp_path, "subscriptions/orders.yaml", ORDERS.replace("env: ORDERS", "file: orders.key"))
    write(tmp_path, "subscriptions/orders.key", write_secret(KEY) + "\n")
    (subscription,) = read(tmp_path).declared.subscriptions
    assert subscription.secrets == (DeclaredSecret("file:orders.key", KEY),)


def test_a_private_key_of_v1a_is_read_with_its_public_key(tmp_path: Path) -> None:
    key = private_key(bytes(32))
    write(tmp_path, "subscriptions/orders.yaml", ORDERS.replace("env: ORDERS", "file: orders.key"))
    write(tmp_path, "subscriptions/orders.key", write_private_key(key) + "\n")
    (subscription,) = read(tmp_path).declared.subscriptions
    assert subscription.secrets == (
        DeclaredSecret(
            "file:orders.key", key.seed, SigningScheme.V1A, write_public_key(key.public)
        ),
    )


TEMPLATED = f"""{ORDERS}
format: template
template:
  routing_key: {{secret: key}}
  payload:
    summary: "order <$.data.order_number>"
template_secrets:
  key: {{file: routing.key}}
"""


def test_a_template_is_read_with_the_secrets_that_it_names(tmp_path: Path) -> None:
    write(tmp_path, "subscriptions/orders.yaml", TEMPLATED)
    write(tmp_path, "subscriptions/routing.key", "hush-hush\n")
    (subscription,) = read(tmp_path).declared.subscriptions
    row = subscription.row
    assert row.template == {
        "routing_key": {"secret": "key"},
        "payload": {"summary": "order <$.data.order_number>"},
    }
    assert row.endpoint.template_secrets == (("key", Secret("file:routing.key", b"hush-hush")),)
    assert "hush" not in repr(subscription)


@pytest.mark.parametrize("name", ["slack", "teams"])
def test_a_ready_template_is_read_by_its_name(tmp_path: Path, name: str) -> None:
    write(tmp_path, "subscriptions/o.yaml", f"{ORDERS}format: template\ntemplate: {name}\n")
    (subscription,) = read(tmp_path).declared.subscriptions
    assert subscription.row.template == ready_templates()[name]


def test_a_fault_in_a_template_is_reported_with_its_line(tmp_path: Path) -> None:
    write(tmp_path, "subscriptions/orders.yaml", TEMPLATED.replace("_number>", "_number"))
    write(tmp_path, "subscriptions/routing.key", "")
    assert problems(tmp_path) == [
        (
            "subscriptions/orders.yaml:15: subscription orders: template_secrets.key:"
            " the file subscriptions/routing.key is empty"
        ),
        (
            "subscriptions/orders.yaml:13: subscription orders: template.payload.summary: "
            "<$.data.order_number is no path such as <$.data.name>; \\<$. is the text itself"
        ),
    ]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("{env: SHORT}", "the signing secret has 3 bytes; it must have 24 to 64"),
        ("{file: none.key}", "cannot be read: No such file or directory"),
    ],
)
def test_an_invalid_secret_is_refused(tmp_path: Path, source: str, why: str) -> None:
    write(tmp_path, "subscriptions/orders.yaml", ORDERS.replace("{env: ORDERS}", source))
    (problem,) = problems(tmp_path)
    assert problem.endswith(why)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\n", "is empty"),
        (b"a" * 65_537, "has more than 65536 bytes"),
    ],
)
def test_material_without_or_with_too_many_bytes_is_refused(
    tmp_path: Path, value: bytes, why: str
) -> None:
    write(tmp_path, "subscriptions/orders.yaml", ORDERS.replace("env: ORDERS", "file: key.txt"))
    (tmp_path / "subscriptions" / "key.txt").write_bytes(value)
    (problem,) = problems(tmp_path)
    assert problem == (
        "subscriptions/orders.yaml:6: subscription orders: endpoint.signing_secrets[0]:"
        f" the file subscriptions/key.txt {why}"
    )


def test_material_is_read_without_the_line_break_that_ends_a_file(tmp_path: Path) -> None:
    auth = "auth: {bearer: {token: {file: token}}}\n  headers: {x-key: {env: KEY}}\n  url"
    write(tmp_path, "subscriptions/orders.yaml", ORDERS.replace("url", auth, 1))
    (tmp_path / "subscriptions" / "token").write_bytes(b"\xef\xbb\xbftoken\r\n")
    (subscription,) = read(tmp_path, {**ENVIRON, "KEY": "k-1\n"}).declared.subscriptions
    found = dict(subscription.row.endpoint.named_secrets())
    assert [found["headers.x-key"], found["auth.bearer.token"]] == [
        Secret("env:KEY", b"k-1"),
        Secret("file:token", b"token"),
    ]


def test_missing_material_is_noted_where_only_a_plan_is_asked_for(tmp_path: Path) -> None:
    auth = "auth: {bearer: {token: {env: NONE}}}\n  url"
    write(tmp_path, "subscriptions/orders.yaml", ORDERS.replace("url", auth, 1))
    found = read_definitions(tmp_path, ENVIRON, RULES, needs_secrets=False)
    assert (found.problems, found.notes) == (
        [],
        ["the environment variable NONE is not set: apply needs it"],
    )


def test_a_folder_without_definitions_is_refused(tmp_path: Path) -> None:
    """An empty plan of a mistyped folder, pruned, would delete everything."""
    with pytest.raises(InputRefused, match="neither a folder partners nor"):
        read(tmp_path)


def test_a_file_that_is_too_large_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "partners/acme.yaml", ACME + "#" * 300_000)
    assert problems(tmp_path) == ["partners/acme.yaml: has more than 262144 bytes"]


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "partners/acme.yaml", ACME)
    (tmp_path / "partners" / "b.yaml").write_bytes(b"id: \xff")
    assert problems(tmp_path) == ["partners/b.yaml:1: is not UTF-8: save it as UTF-8"]


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("a: on", "on"),
        ("a: no", "no"),
        ("a: 12:30", "12:30"),
        ("a: 2026-01-01", "2026-01-01"),
        ("a: 1.50", 1.5),
        ("a: 1e3", 1000.0),
        ("a: 1234567890123456789", 1234567890123456789),
        ("a: -0.100000000000000001", Decimal("-0.100000000000000001")),
        ("a: 12345678901234567890", Decimal(12345678901234567890)),
        ("a: 1e-400", Decimal("1e-400")),
        ("a: NO", "NO"),
        ("a: 12:30:00", "12:30:00"),
        ("a: 0x1F", "0x1F"),
        ("a: +1 555 1234", "+1 555 1234"),
        ("a: +12:30", "+12:30"),
        ("a: 1_000", "1_000"),
        ("a: .5", 0.5),
        ("a: true", True),
        ("a: 'true'", "true"),
        ("a: ~", None),
        ("a:", None),
        ("a: ''", ""),
        ("a: |\n  x\n  y\n", "x\ny\n"),
        ("a: [1, {b: c}]", [1, {"b": "c"}]),
    ],
)
def test_plain_words_of_yaml_stay_text(text: str, meaning: Json) -> None:
    """YAML 1.1 would make a boolean of `on`, 750 of `12:30`, and a date of the next."""
    assert value(text) == {"a": meaning}


def test_a_word_is_text_unless_all_of_it_is_one_of_yamls_own() -> None:
    own = dict.fromkeys(("", "~", "null", "Null", "NULL"))
    own |= dict.fromkeys(("true", "True", "TRUE"), True)
    own |= dict.fromkeys(("false", "False", "FALSE"), False)
    own |= {"0": 0, "-7": -7, ".5": 0.5, "1.": 1, "1e3": 1000, "-2.5E-1": -0.25}
    assert {word: scalar(word) for word in own} == own
    longer = [f"{before}{word}{after}" for word in own for before, after in ("x-", "-x", "xx")]
    texts = [*longer, *(character for character in string.printable if character not in own)]
    assert [scalar(text) for text in texts if not text.isdigit()] == [
        text for text in texts if not text.isdigit()
    ]


@pytest.mark.parametrize(
    ("word", "why"),
    [
        ("007", "begins with a zero or a plus"),
        ("-01.5", "begins with a zero or a plus"),
        ("+5", "begins with a zero or a plus"),
        (".inf", "is not a number that JSON can represent"),
        ("-.Inf", "is not a number that JSON can represent"),
        (".nan", "is not a number that JSON can represent"),
        ("1e401", "has an exponent beyond"),
        ("1e1000000000", "has an exponent beyond"),
        ("9" * 101, "has more than 100 digits"),
        ("9" * 5_000, "is not a number"),
    ],
)
def test_a_number_that_does_not_read_back_as_written_is_refused(word: str, why: str) -> None:
    with pytest.raises(FileRefused, match=why) as refused:
        list(read_documents(f"a: 1\nb: {word}"))
    assert (refused.value.line, "quote it" in refused.value.why) == (2, True)


@pytest.mark.parametrize(
    ("text", "line", "why"),
    [
        ("a: 1\na: 2", 2, "the field 'a' appears twice"),
        ("a: 1\n5: 2", 2, "a field's name must be text: quote it"),
        ("? [a]\n: 1", 1, "a field's name must be text: quote it"),
        ("a: &x 1", 1, "anchors and aliases are not supported: write it out"),
        ("a: *x", 1, "anchors and aliases are not supported: write it out"),
        ("a: !!python/name:os.system", 1, "tags (words that begin with !) are not supported"),
        ("a: " + "[" * 100_000, 1, "is nested more than 50 deep"),
        ("a: \x07", 1, "is not YAML: it contains a character that YAML does not allow"),
        ("a: b: c", 1, "is not YAML: mapping values are not allowed in this context"),
    ],
)
def test_unsupported_yaml_is_refused(text: str, line: int, why: str) -> None:
    with pytest.raises(FileRefused) as refused:
        list(read_documents(text))
    assert (refused.value.line, refused.value.why) == (line, why)


@pytest.mark.parametrize("number", ["1e99999999999999999999", "0e-99999999999999999999"])
def test_an_exponent_longer_than_a_machine_word_is_refused_with_its_line(number: str) -> None:
    with pytest.raises(FileRefused, match="exponent beyond") as refused:
        list(read_documents(f"a: 1\nb: [{number}]\n"))
    assert refused.value.line == 2
    with pytest.raises(FileRefused, match="exponent beyond"):
        read_document(f'{{"b": [{number}]}}')


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_whole_double_in_the_range_of_a_long_is_an_int_of_its_text(sign: str) -> None:
    """A release before compares a long with the binary value, which is 1234567890123456768."""
    for text in ("1.2345678901234568e18", "1234567890123456800.0"):
        (found,) = (each.value for each in read_documents(f"{sign}{text}"))
        assert found == int(f"{sign}1234567890123456800")
        assert type(found) is int
