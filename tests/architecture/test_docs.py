"""The documentation covers everything: settings, commands, metrics, modules."""

import io
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from fastavro import schemaless_writer
from tests.conftest import ROOT
from tests.doubles.foreign import write_mapping
from tools.reference import (
    API_PAGE,
    COMMANDS_PAGE,
    SETTINGS_PAGE,
    api_page,
    commands_page,
    settings_page,
)

from hookstream.adapters.avro.codec import AvroCodec
from hookstream.adapters.avro.published import fingerprint_of
from hookstream.adapters.avro.registry import SchemaBook
from hookstream.adapters.definition_files.yaml_text import read_documents
from hookstream.adapters.json_bytes import json_bytes
from hookstream.core.delivery.bodies.batch import batch_body
from hookstream.core.delivery.bodies.formats import head_of, with_data
from hookstream.core.delivery.bodies.template import compile_template, secrets_in
from hookstream.core.delivery.identity import batch_id, delivery_id
from hookstream.core.delivery.signing import RequestHeaders, parse_secret
from hookstream.core.model.event import Event, Identified
from hookstream.core.model.json import JsonObject
from hookstream.core.model.record import Record
from hookstream.core.model.subscription import Batch, BodyFormat, Content
from hookstream.core.planning.body_format import TemplateRules, read_body
from hookstream.core.planning.reading import FieldReader
from hookstream.entry.admin.schema_books import book_of_files
from hookstream.entry.admin.schema_documents import SchemaDocuments
from hookstream.entry.cli.root import root
from hookstream.entry.pages.table import PAGES
from hookstream.receiver import BodySchema, members, verify

SOURCE = ROOT / "src" / "hookstream"
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
CONSOLE_PAGE = ROOT / "docs" / "console.md"
LARGEST_PICTURE = 120_000
"""Bytes. Every clone has them."""
METRICS = SOURCE / "adapters" / "telemetry" / "metrics.py"
API_METRICS = SOURCE / "adapters" / "telemetry" / "api_metrics.py"
FAILURE_METRICS = SOURCE / "adapters" / "telemetry" / "failure_metrics.py"
SUBSCRIPTION_METRICS = SOURCE / "adapters" / "telemetry" / "subscription_series.py"

# Their files are named one by one, since they have many subjects.
BY_FILE = {".", "pipeline", "adapters", "entry"}


def test_the_settings_page_matches_the_code() -> None:
    """`make docs` writes it again."""
    page = SETTINGS_PAGE.read_text(encoding="utf-8")
    assert page == settings_page()


def test_the_commands_page_matches_the_code() -> None:
    """`make docs` writes it again."""
    page = COMMANDS_PAGE.read_text(encoding="utf-8")
    assert page == commands_page()


def test_the_routes_on_the_page_about_the_api_match_the_table() -> None:
    """`make docs` writes them again."""
    assert API_PAGE.read_text(encoding="utf-8") == api_page()


def test_every_metric_is_documented() -> None:
    texts = [
        each.read_text(encoding="utf-8")
        for each in (METRICS, API_METRICS, FAILURE_METRICS, SUBSCRIPTION_METRICS)
    ]
    names = set(re.findall(r'"(hookstream_[a-z_]+)"', "".join(texts)))
    page = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    missing = sorted(name for name in names if name not in page)
    assert (bool(names), missing) == (True, [])


def test_the_codemap_names_every_folder_and_every_single_file() -> None:
    page = ARCHITECTURE.read_text(encoding="utf-8")
    modules = [
        module.relative_to(SOURCE)
        for module in SOURCE.rglob("*.py")
        if module.name != "__init__.py"
    ]
    folders = {module.parent.as_posix() for module in modules} - BY_FILE
    missing = [folder for folder in folders if f"{folder}/" not in page and not is_part(folder)]
    missing += [
        module.as_posix()
        for module in modules
        if module.parent.as_posix() in BY_FILE
        and re.search(rf"`{re.escape(module.name)}`", page) is None
    ]
    assert sorted(missing) == []


def is_part(folder: str) -> bool:
    """Return whether a folder is part of the command line, which is one subject."""
    return folder.startswith("entry/cli/")


def test_every_page_of_the_navigation_is_on_the_page_about_the_console() -> None:
    text = CONSOLE_PAGE.read_text(encoding="utf-8")
    paths = [each.path for each in PAGES.pages if each.nav]
    assert (bool(paths), [each for each in paths if f"`{each}`" not in text]) == (True, [])


def test_the_pictures_of_the_console_are_small_and_all_are_shown() -> None:
    """`make pictures` takes them again."""
    shown = re.findall(r"!\[[^]]+\]\(pictures/([^)]+)\)", CONSOLE_PAGE.read_text(encoding="utf-8"))
    files = sorted((CONSOLE_PAGE.parent / "pictures").iterdir())
    assert [each.name for each in files] == sorted(shown)
    assert [each.name for each in files if each.stat().st_size > LARGEST_PICTURE] == []


@pytest.mark.parametrize("page", ["README.md", "docs/for-partners.md"])
def test_the_request_on_a_page_is_one_that_hookstream_would_send(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    headers, body = request_on(text)
    [secret] = set(re.findall(r"whsec_[A-Za-z0-9+/]{20,}", text))

    at = int(headers["webhook-timestamp"])
    assert verify(headers, body, [secret], at).id == headers["webhook-id"]
    assert headers["content-length"] == str(len(body))
    made = RequestHeaders([parse_secret(secret)]).of(
        headers["webhook-id"], at, body, attempt=1, trigger="initial"
    )
    assert headers.items() >= dict(made).items()


def standard_on_the_page() -> JsonObject:
    """Return the `standard` body that the page for partners shows."""
    _, body = request_on((ROOT / "docs" / "for-partners.md").read_text(encoding="utf-8"))
    document: JsonObject = json.loads(body)
    return document


def test_the_other_bodies_on_the_page_for_partners_are_those_of_its_event() -> None:
    page = (ROOT / "docs" / "for-partners.md").read_text(encoding="utf-8")
    section = page.partition("\n## Other bodies\n")[2].partition("\n## ")[0]
    document = standard_on_the_page()
    cloud_head = json_bytes(head_of(document, BodyFormat.CLOUDEVENTS, Content.FULL))
    bodies = [
        json_bytes(head_of(document, BodyFormat.STANDARD, Content.THIN)),
        with_data(cloud_head, json_bytes(document["data"])),
        json_bytes(head_of(document, BodyFormat.CLOUDEVENTS, Content.THIN)),
    ]
    assert blocks(section, "json") == [body.decode() for body in bodies]


def test_the_batch_on_the_page_for_partners_is_one_that_hookstream_would_send() -> None:
    page = (ROOT / "docs" / "for-partners.md").read_text(encoding="utf-8")
    headers, body = request_on(page.partition("\n## Batches\n")[2].partition("\n## ")[0])
    [secret] = set(re.findall(r"whsec_[A-Za-z0-9+/]{20,}", page))

    at = int(headers["webhook-timestamp"])
    verified = verify(headers, body, [secret], at)
    events = [each.event for each in members(verified, body)]
    ids = [delivery_id(each["type"], each["id"], "crm") for each in events]
    assert events[0] == standard_on_the_page()
    assert ids[0] == request_on(page)[0]["webhook-id"]
    assert verified.id == batch_id(ids)
    made = RequestHeaders([parse_secret(secret)]).of_batch(verified.id, at, body)
    assert headers.items() >= dict(made).items()
    assert headers["content-length"] == str(len(body))
    assert not headers.keys() & {"hookstream-attempt", "hookstream-trigger"}
    around = batch_body(BodyFormat.STANDARD)
    assert around is not None
    assert around.of([*map(json_bytes, events)]) == body
    documents = SchemaDocuments.of_files(ROOT / "schemas")
    for event in events:
        schema = documents.json_schema(event["type"], 1, BodyFormat.STANDARD, batch=True)
        BodySchema(schema).check({"type": "hookstream.batch", "events": [event]})


def test_the_template_on_the_page_about_subscriptions_makes_the_body_below_it() -> None:
    page = (ROOT / "docs" / "subscriptions.md").read_text(encoding="utf-8")
    section = page.partition("\n### Templates\n")[2].partition("\n##")[0]
    [written] = blocks(section, "yaml")
    [definition] = read_documents(written)
    assert isinstance(definition.value, dict)
    assert definition.value.keys() == {"format", "template", "template_secrets"}
    template = compile_template(definition.value["template"])
    made = template.render(
        standard_on_the_page(), json_bytes, {"desk_key": "(its value)"}.get, 10_000
    )
    assert isinstance(made, bytes)
    assert blocks(section, "json") == [made.decode()]


def test_the_batches_on_the_page_about_subscriptions_are_read() -> None:
    page = (ROOT / "docs" / "subscriptions.md").read_text(encoding="utf-8")
    [written] = blocks(page.partition("\n### Batches\n")[2].partition("\n##")[0], "yaml")
    [definition] = read_documents(written)
    found: list[tuple[str, str]] = []
    reader = FieldReader(definition.value, "", lambda *problem: found.append(problem))
    body = read_body(reader, TemplateRules({}, secrets_in), lambda _, __: None)
    assert (body.batch, body.format, found) == (Batch(100, 200), BodyFormat.STANDARD, [])


def blocks(page: str, language: str) -> list[str]:
    return [each.rstrip("\n") for each in re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)]


def test_the_request_of_the_readme_carries_the_event_of_the_quickstart() -> None:
    _, body = request_on((ROOT / "README.md").read_text(encoding="utf-8"))
    event = json.loads((ROOT / "examples" / "quickstart" / "events.jsonl").read_bytes())
    assert json.loads(body).items() >= event.items()


def request_on(page: str) -> tuple[dict[str, str], bytes]:
    """Return headers and body of the request that a page shows whole."""
    head, _, body = page.partition("```http\n")[2].partition("```")[0].strip().partition("\n\n")
    return dict(line.split(": ", 1) for line in head.splitlines()[1:]), body.encode()


def test_the_record_on_the_page_for_producers_is_as_described(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "for-producers.md").read_text(encoding="utf-8")
    schema, delivered = (json.loads(block) for block in blocks(page, "json")[:2])
    value = bytes.fromhex(page.partition("```text\n")[2].partition("```")[0])
    file = tmp_path / schema["eventType"] / "v1.avsc"
    file.parent.mkdir()
    file.write_text(json.dumps(schema))

    checked = CliRunner().invoke(root, ["schemas", "check", str(tmp_path)])
    assert (checked.exit_code, checked.stdout) == (0, "1 schema checked, no problems found.\n")
    assert value[:2] + bytes.fromhex(fingerprint_of(schema)) == value[:10]
    assert f"{value[2:10].hex()}  " in page
    codec = AvroCodec(SchemaBook([schema]))
    record = Record("printprice.order.shipped", 0, 0, 1_795_892_484_957, None, value, ())
    found = codec.identify(record)
    assert isinstance(found, Identified)
    event = codec.decode(found, record)
    assert isinstance(event, Event)
    assert codec.document(event, 1) == delivered


def test_the_mapping_on_the_page_for_producers_makes_the_event_of_the_page(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "for-producers.md").read_text(encoding="utf-8")
    schema, delivered = (json.loads(block) for block in blocks(page, "json")[2:])
    [mapping] = blocks(page, "yaml")
    folder = write_mapping(tmp_path, mapping)
    (folder / "mappings" / "order_shipped_v1.avsc").rename(
        folder / "mappings" / "order_shipped.avsc"
    )
    (folder / "mappings" / "order_shipped.avsc").write_text(json.dumps(schema))
    book, problems = book_of_files(folder)
    assert problems == ()

    sent = {**delivered["data"], "shippedAt": 1_795_918_361_450}
    body = io.BytesIO()
    body.write(b"\xc3\x01" + bytes.fromhex(fingerprint_of(schema)))
    schemaless_writer(body, schema, sent)
    record = Record("shop.orders", 0, 0, 1_795_918_361_500, None, body.getvalue(), ())
    codec = AvroCodec(book)
    found = codec.identify(record)
    assert isinstance(found, Identified)
    event = codec.decode(found, record)
    assert isinstance(event, Event)
    assert codec.document(event, 1) == delivered


def test_links_between_pages_lead_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {link}"
        for page in pages
        for link in re.findall(r"\]\(([^)#:\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
        if not (page.parent / link).exists()
    ]
    assert broken == []


def test_every_log_event_is_dotted_and_documented() -> None:
    """`subject.what_happened`; the end of a lasting problem has the same name with `_over`."""
    page = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    named = {
        name
        for module in SOURCE.rglob("*.py")
        for name in re.findall(
            r"(?:logger\.(?:info|warning|error)|_say|LastingFailure|\b_log)\(\s*(?:self\._logger\.\w+,\s*)?"
            r'"([^"]+)"',
            module.read_text(encoding="utf-8"),
        )
    }
    assert len(named) > 40
    assert sorted(name for name in named if not re.fullmatch(r"[a-z_]+\.[a-z_]+", name)) == []
    assert sorted(name for name in named if f"`{name}`" not in page) == []
