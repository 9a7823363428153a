"""Settings: the precedence of their sources, and unknown ones are refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from hookstream.errors import ConfigurationError
from hookstream.settings import Settings, load
from hookstream.settings.groups import (
    EgressSettings,
    EventsSettings,
    KafkaSettings,
    KeysSettings,
    RetrySettings,
    TopicsSettings,
    TracingSettings,
    WorkerSettings,
)


def file_of(folder: Path, text: str) -> Path:
    file = folder / "hookstream.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_settings_the_defaults_apply() -> None:
    assert load(None, {}, {}) == Settings()


def test_a_flag_goes_before_the_environment_before_the_file_before_the_default(
    tmp_path: Path,
) -> None:
    file = file_of(
        tmp_path,
        '[kafka]\nbootstrap_servers = "file:1"\n'
        '[topics]\nprefix = "file"\npartitions = 3\n[log]\nlevel = "debug"\n',
    )
    environ = {"HOOKSTREAM_TOPICS__PREFIX": "environ", "HOOKSTREAM_TOPICS__PARTITIONS": "4"}
    settings = load(file, environ, {"topics.partitions": 5})
    defaults = Settings()
    assert settings == replace(
        defaults,
        kafka=KafkaSettings(bootstrap_servers="file:1"),
        topics=TopicsSettings(prefix="environ", partitions=5),
        log=replace(defaults.log, level="debug"),
    )


def test_the_environment_may_name_the_file(tmp_path: Path) -> None:
    file = file_of(tmp_path, '[topics]\nprefix = "named"\n')
    settings = load(None, {"HOOKSTREAM_CONFIG": str(file)}, {})
    assert settings.topics_names.prefix == "named"


def test_names_with_a_single_underscore_are_left_alone() -> None:
    """Kubernetes injects such for every service called hookstream."""
    environ = {"HOOKSTREAM_PORT": "tcp://10.0.0.1:80", "HOOKSTREAM_SERVICE_HOST": "10.0.0.1"}
    assert load(None, environ, {}) == Settings()


def test_lists_come_as_commas_or_json_and_tables_as_json() -> None:
    environ = {
        "HOOKSTREAM_EVENTS__TOPICS": "printprice.*, other",
        "HOOKSTREAM_EGRESS__ALLOW": '["10.0.0.0/8", "fd00::/8"]',
        "HOOKSTREAM_KAFKA__CLIENT": '{"security.protocol": "SSL", "retries": 3}',
    }
    settings = load(None, environ, {})
    assert settings == replace(
        Settings(),
        events=EventsSettings(topics=("printprice.*", "other")),
        egress=EgressSettings(allow=("10.0.0.0/8", "fd00::/8")),
        kafka=KafkaSettings(client={"security.protocol": "SSL", "retries": 3}),
    )


def test_durations_and_sizes_have_units(tmp_path: Path) -> None:
    file = file_of(
        tmp_path,
        '[retry]\ntiers = ["0s", "2s", "1m"]\n'
        '[worker]\ndrain_deadline = "500ms"\nmax_bytes = "128MiB"\nwaiting_room_bytes = 1048576\n',
    )
    settings = load(file, {}, {})
    assert settings == replace(
        Settings(),
        retry=RetrySettings(tiers=(0, 2_000, 60_000)),
        worker=WorkerSettings(
            drain_deadline=500, max_bytes=128 * 1024 * 1024, waiting_room_bytes=1_048_576
        ),
    )


def test_a_path_in_the_file_is_relative_to_the_file(tmp_path: Path) -> None:
    file = file_of(tmp_path, '[keys]\nfile = "ring.json"\n')
    settings = load(file, {"HOOKSTREAM_TRACING__FILE": "spans.jsonl"}, {})
    assert settings == replace(
        Settings(),
        keys=KeysSettings(file=tmp_path / "ring.json"),
        tracing=TracingSettings(file=Path("spans.jsonl")),
    )


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (
            "HOOKSTREAM_RETRY__TIER",
            "0s",
            "HOOKSTREAM_RETRY__TIER: unknown setting retry.tier (did you mean retry.tiers?)",
        ),
        (
            "HOOKSTREAM_RETRY__TIERS",
            "5s,1m",
            (
                "HOOKSTREAM_RETRY__TIERS: retry.tiers must begin with 0s: redriven and replayed "
                "records enter through that tier"
            ),
        ),
        (
            "HOOKSTREAM_RETRY__TIERS",
            "0s,1m,5s",
            "HOOKSTREAM_RETRY__TIERS: retry.tiers must increase from each delay to the next",
        ),
        (
            "HOOKSTREAM_TOPICS__PARTITIONS",
            "many",
            "HOOKSTREAM_TOPICS__PARTITIONS: topics.partitions must be a whole number, not 'many'",
        ),
        (
            "HOOKSTREAM_TOPICS__PARTITIONS",
            "0",
            "HOOKSTREAM_TOPICS__PARTITIONS: topics.partitions must lie between 1 and 1000, not 0",
        ),
        (
            "HOOKSTREAM_TOPICS__PREFIX",
            "a b",
            (
                "HOOKSTREAM_TOPICS__PREFIX: topics.prefix must be 1 to 100 of the characters "
                "a-z A-Z 0-9 . _ -, not 'a b'"
            ),
        ),
        (
            "HOOKSTREAM_EGRESS__HTTPS_ONLY",
            "yes",
            "HOOKSTREAM_EGRESS__HTTPS_ONLY: egress.https_only must be true or false, not 'yes'",
        ),
        (
            "HOOKSTREAM_EGRESS__ALLOW",
            "10.1.1.1/8",
            (
                "HOOKSTREAM_EGRESS__ALLOW: egress.allow must have address ranges such as "
                "10.1.0.0/16: 10.1.1.1/8 has host bits set"
            ),
        ),
        (
            "HOOKSTREAM_EGRESS__CONNECT_TIMEOUT",
            "5",
            (
                "HOOKSTREAM_EGRESS__CONNECT_TIMEOUT: egress.connect_timeout '5' is not a duration "
                "such as 250ms, 5s, 30m, 2h or 14d"
            ),
        ),
        (
            "HOOKSTREAM_LOG__LEVEL",
            "loud",
            (
                "HOOKSTREAM_LOG__LEVEL: log.level must be one of debug, info, warning, error, "
                "not 'loud'"
            ),
        ),
        (
            "HOOKSTREAM_TRACING__RATIO",
            "nan",
            "HOOKSTREAM_TRACING__RATIO: tracing.ratio must be a number between 0 and 1, not nan",
        ),
        (
            "HOOKSTREAM_TRACING__EXPORTER",
            "file",
            "tracing.exporter is file: tracing.file must name it",
        ),
        (
            "HOOKSTREAM_KAFKA__GROUP_INSTANCE_ID",
            "one",
            (
                'kafka.group_instance_id works with kafka.group_protocol = "classic" only: with the '
                "other, brokers refuse a returning member for longer than a restart may take"
            ),
        ),
    ],
)
def test_a_refusal_states_where_what_and_why(name: str, value: str, sentence: str) -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(None, {name: value}, {})
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[kafak]\n", "unknown group [kafak] (did you mean kafka?)"),
        ("kafka = 1\n", "kafka is a group: write it as [kafka]"),
        ('[topics]\npartitions = "3"\n', "topics.partitions must be a whole number, not '3'"),
        ("[topics]\npartitions = true\n", "topics.partitions must be a whole number, not True"),
        (
            "[egress]\nconnect_timeout = 5\n",
            'egress.connect_timeout must be a duration in quotes such as "5s", not 5',
        ),
        (
            '[keys]\nring = "{}"\n',
            "keys.ring is a secret: set it in the environment as HOOKSTREAM_KEYS__RING",
        ),
    ],
)
def test_a_file_is_refused_by_its_name(tmp_path: Path, text: str, sentence: str) -> None:
    file = file_of(tmp_path, text)
    with pytest.raises(ConfigurationError) as refusal:
        load(file, {}, {})
    assert str(refusal.value) == f"{file}: {sentence}"


def test_settings_that_are_nested_too_deeply_are_refused(tmp_path: Path) -> None:
    deep = "[" * 5_000 + "]" * 5_000
    file = file_of(tmp_path, f"[topics]\nprefix = {deep}\n")
    with pytest.raises(ConfigurationError) as in_file:
        load(file, {}, {})
    with pytest.raises(ConfigurationError) as in_variable:
        load(None, {"HOOKSTREAM_EGRESS__ALLOW": deep}, {})
    assert str(in_file.value) == f"{file}: is nested too deeply"
    assert str(in_variable.value) == "HOOKSTREAM_EGRESS__ALLOW: egress.allow is nested too deeply"


def test_a_file_may_begin_with_the_mark_of_its_encoding(tmp_path: Path) -> None:
    file = file_of(tmp_path, '\ufeff[topics]\nprefix = "marked"\n')
    assert load(file, {}, {}).topics.prefix == "marked"


def test_a_file_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(Path("/nowhere/hookstream.toml"), {}, {})
    assert str(refusal.value) == (
        "the settings file /nowhere/hookstream.toml cannot be read: No such file or directory"
    )


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://jaeger.example/trace/", "must be a URL such as"),
        ("jaeger/{trace_id}", "must be a URL such as"),
        ("javascript:alert({trace_id})", "must be a URL such as"),
        ("https://[/{trace_id}", "must be a URL such as"),
        ("https://jaeger.example/a b/{trace_id}", "must be a URL such as"),
        ("https://jaeger.example/\u202e{trace_id}", "must be a URL such as"),
        ("https://me:hunter2@jaeger.example/{trace_id}", "must not have credentials"),
    ],
)
def test_an_address_of_traces_is_one_with_a_place_for_the_id(url: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=f"console.trace_url {why}") as refusal:
        load(None, {"HOOKSTREAM_CONSOLE__TRACE_URL": url}, {})
    assert "hunter2" not in str(refusal.value)


def test_an_address_of_traces_is_taken_as_it_is_and_may_be_missing() -> None:
    url = "http://localhost:16686/trace/{trace_id}?uiFind={trace_id}"
    found = load(None, {"HOOKSTREAM_CONSOLE__TRACE_URL": url}, {})
    assert (found.console.trace_url, load(None, {}, {}).console.trace_url) == (url, "")


@pytest.mark.parametrize(
    "wrong",
    [
        "worker",
        "worker:",
        ":9464",
        "worker:0",
        "worker:65536",
        "a b:1",
        "u@h:1",
        "h/p:1",
        "::1:9464",
        "a..b:1",
        "worker:\u0664",
        "x" * 64 + ":1",
    ],
)
def test_a_worker_is_named_by_host_and_port(wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=r"console\.workers must have addresses such as"):
        load(None, {"HOOKSTREAM_CONSOLE__WORKERS": wrong}, {})


LISTENING = ("worker.listen", "jobs.listen", "console.listen", "console.health_listen")


@pytest.mark.parametrize("name", LISTENING)
@pytest.mark.parametrize(
    "wrong",
    ["", "9464", ":9464", "h:", "h:x", "h:99999", "h:\u0664", "a..b:1", "a b:1", "x" * 64 + ":1"],
)
def test_what_cannot_be_listened_on_is_refused_with_the_settings(name: str, wrong: str) -> None:
    with pytest.raises(ConfigurationError, match=f"{name} must be an address such as"):
        load(None, {}, {name: wrong})


@pytest.mark.parametrize("right", ["0.0.0.0:0", "localhost:65535", "[::1]:9464", "::1:9464"])
def test_an_address_to_listen_on_is_taken_as_it_is(right: str) -> None:
    assert load(None, {}, {"worker.listen": right}).worker.listen == right


def test_workers_are_several_names_or_addresses_and_a_bounded_number() -> None:
    named = "workers.hookstream.svc:9464, 10.0.0.7:9464, [::1]:9464"
    found = load(None, {"HOOKSTREAM_CONSOLE__WORKERS": named}, {})
    assert found.console.workers == tuple(named.split(", "))
    assert load(None, {}, {}).console.workers == ()
    with pytest.raises(ConfigurationError, match=r"console\.workers must have 0 to 16 entries"):
        load(None, {"HOOKSTREAM_CONSOLE__WORKERS": ",".join(["w:1"] * 17)}, {})


def test_what_may_contain_a_secret_is_in_no_repr() -> None:
    environ = {
        "HOOKSTREAM_KEYS__RING": '{"a": "hunter2"}',
        "HOOKSTREAM_KAFKA__CLIENT": '{"sasl.password": "hunter2"}',
    }
    settings = load(None, environ, {})
    assert "hunter2" not in repr(settings)
