"""Writes docs/settings.md, docs/commands.md and the routes of docs/api.md from the code they describe.

`make docs` runs it; a test fails while the pages say anything else than the code does.
"""

import ast
import copy
import dataclasses
import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from hookstream.core.model.instant import format_duration
from hookstream.entry.api.table import TABLE
from hookstream.entry.cli import root
from hookstream.settings import Settings, groups

ROOT = Path(__file__).parent.parent
SETTINGS_PAGE = ROOT / "docs" / "settings.md"
COMMANDS_PAGE = ROOT / "docs" / "commands.md"
API_PAGE = ROOT / "docs" / "api.md"

_SETTINGS_HEAD = """\
# Settings

A flag overrides the environment, which overrides the settings file, which overrides the default. An
unknown name is rejected, from any source.

- **File**: TOML, named by `--config` or `HOOKSTREAM_CONFIG`. A group is a table: `[kafka]`. Paths in
  it are relative to the file's folder.
- **Environment**: `HOOKSTREAM_GROUP__NAME`, with two underscores between group and name:
  `HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS`. Lists are separated by commas or JSON, tables are JSON.
  Names with a single underscore are ignored, because Kubernetes injects such names (`HOOKSTREAM_PORT`),
  but for `HOOKSTREAM_CONFIG`, `HOOKSTREAM_TOKEN` and [`HOOKSTREAM_NATIVE`](operating.md#the-native-accelerator).
- **Flags**: `--bootstrap-servers`, `--prefix`, and any other as `--set group.name=value`. They come
  before the command: `hookstream --prefix test worker`.

Durations are text with a unit: `250ms`, `5s`, `30m`, `2h`, `14d`. Sizes are bytes, or text such as
`64KiB` or `1MiB`.

```toml
[kafka]
bootstrap_servers = "kafka-1:9092,kafka-2:9092"

[kafka.client]
"security.protocol" = "SASL_SSL"
"sasl.mechanism" = "SCRAM-SHA-512"
"sasl.username" = "hookstream"

[retry]
tiers = ["0s", "5s", "30s", "1m", "5m", "15m", "30m", "1h", "2h", "6h", "12h", "24h"]

[keys]
file = "keyring.json"
```

A registry of schemas is a table with a name, `[registry.main]`; in the environment that is
`HOOKSTREAM_REGISTRY__MAIN__URLS`.

`sasl.password`, the key ring and a registry's password or token are secrets: set them in the environment
(`HOOKSTREAM_KAFKA__CLIENT` as JSON, which then replaces the file's table; `HOOKSTREAM_KEYS__RING`;
`HOOKSTREAM_REGISTRY__MAIN__PASSWORD`), or name a file that has them (`keys.file`, `password_file`).
"""

_COMMANDS_HEAD = """\
# Commands

Global options come before the command: `hookstream --prefix test worker`. They are
`--config FILE`, `--bootstrap-servers HOST:PORT`, `--prefix NAME`, `--set GROUP.NAME=VALUE` and
`--debug`; [settings](settings.md) lists all settings.

Exit codes: 0 done; 1 failed, or findings; 2 usage, configuration or refused input; 3 a plan that
has changes; 130 interrupted.
"""


def settings_page() -> str:
    """Return what docs/settings.md must say."""
    page = [_SETTINGS_HEAD]
    described = dict(_described(Path(groups.__file__)))
    for group in dataclasses.fields(Settings):
        named = groups.NAMED_GROUPS.get(group.name)
        made = getattr(Settings(), group.name) if named is None else named()
        kind = type(made).__name__
        name = group.name if named is None else f"{group.name}.<name>"
        page.append(f"\n## [{name}]\n\n{described[kind]}\n")
        page.append("| setting | what it means | value | default |\n|---|---|---|---|")
        for setting in dataclasses.fields(made):
            says = setting.metadata[groups.KIND].says
            default = _shown(getattr(made, setting.name), says)
            meaning = described[f"{kind}.{setting.name}"]
            page.append(f"| `{name}.{setting.name}` | {meaning} | {says} | {default} |")
    return "\n".join(page) + "\n"


def _described(file: Path) -> Iterator[tuple[str, str]]:
    """Yield the docstring of each class of a module, and the text below each of its fields."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if not isinstance(node, ast.ClassDef):
            continue
        yield node.name, ast.get_docstring(node) or ""
        for field, below in zip(node.body, node.body[1:], strict=False):
            match field, below:
                case (
                    ast.AnnAssign(target=ast.Name(id=name)),
                    ast.Expr(value=ast.Constant(value=str(text))),
                ):
                    # A line break would end the row of the table.
                    yield f"{node.name}.{name}", " ".join(text.split())
                case _:
                    pass


def _shown(value: object, says: str) -> str:
    """Return a default as somebody would write it."""
    match value:
        case None:
            return "unset"
        case bool():
            return f"`{str(value).lower()}`"
        case int() if says.startswith("duration"):
            return f"`{format_duration(value)}`"
        case int() if says.startswith("bytes"):
            return f"`{value >> 20}MiB`" if value % (1 << 20) == 0 else f"`{value >> 10}KiB`"
        case tuple() if "durations" in says:
            return "`" + " ".join(format_duration(delay) for delay in value) + "`"
        case tuple():
            return "`[" + ", ".join(f'"{part}"' for part in value) + "]`"
        case _:
            return f"`{value}`" if value else "empty"


def commands_page() -> str:
    """Return what docs/commands.md must say."""
    page = [_COMMANDS_HEAD]
    context = click.Context(root, info_name="hookstream")
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        if command is not None:
            page.extend(_command(command, name, context, level=2))
    return "\n".join(page)


def _command(
    command: click.Command, name: str, parent: click.Context, level: int
) -> Iterator[str]:
    """Yield a command's help, and of each command below it."""
    command = copy.copy(command)
    # A command that was run keeps the help option of that run, which has another name.
    command._help_option = None  # noqa: SLF001
    context = click.Context(command, parent=parent, info_name=name, max_content_width=96)
    yield f"{'#' * level} {context.command_path}\n"
    if not isinstance(command, click.Group):
        yield f"```text\n{command.get_help(context)}\n```\n"
        return
    # Releases of Python differ in whether a docstring is still indented.
    yield f"{inspect.cleandoc(command.help or '')}\n"
    for below in command.list_commands(context):
        found = command.get_command(context, below)
        if found is not None:
            yield from _command(found, below, context, level + 1)


def api_page() -> str:
    """Return the page about the API with the routes of its table."""
    above, head, _ = API_PAGE.read_text(encoding="utf-8").partition("## Routes\n")
    rows = [
        f"| `{route.method} {route.path}` | `{route.scope}` | {route.summary} |"
        for route in TABLE.routes
    ]
    return "\n".join(
        [above + head, "| route | token | what it does |", "|---|---|---|", *rows, ""]
    )


def main() -> None:
    """Write the pages."""
    pages = (
        (SETTINGS_PAGE, settings_page()),
        (COMMANDS_PAGE, commands_page()),
        (API_PAGE, api_page()),
    )
    for page, text in pages:
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
