"""The entry of a new site: what is proposed, what is wrong with it, and how it is written.

Only what plugins/schema/sites.yml knows is proposed.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import textwrap
from pathlib import Path
from typing import Any

import yaml
from sites_check import SCHEMA, site_errors

from new_site.source import NATIVE, SERVICES, Source

ROOT = Path(__file__).resolve().parents[1]
PLAYBOOKS = ROOT / "playbooks"  # where relative paths of `sites` start
KEYS = SCHEMA["additionalProperties"]["properties"]

# Keys that no question is about.
GUESSED = (
    "requirements",
    "packages",
    "services",
    "env",
    "secrets_as",
    "health",
    "processes",
    "uploads",
    "gunicorn",
    "tls",
)
LONGEST = 110  # a line of an entry
REPLACE_ME = "REPLACE_ME"
SECRET = re.compile(r"(.*_)?(SECRET|TOKEN|PASSWORD|PASSWD|PASS|KEY|DSN|SALT)(_KEY)?")
# What Decanter, the system or a developer's machine sets.
NOT_ASKED_FOR = re.compile(
    r"(FLASK|PYTHON|GUNICORN|XDG|WERKZEUG|DECANTER|LC|CI|GITHUB|DEV|TEST)_.*"
    r"|DEBUG|TESTING|ENV|HOME|HOST|LANG|PATH|PORT|PWD|TMPDIR|TZ|USER|VIRTUAL_ENV|WEB_CONCURRENCY"
    r"|CREDENTIALS_DIRECTORY|REDIS_URL|MEMCACHED_SOCKET"
)
DATABASE_URL = re.compile(r"(DATABASE|DB|MYSQL|SQLALCHEMY_DATABASE|SQLALCHEMY)_UR[LI]")
DATABASE_PIECE = re.compile(
    r"(?:DATABASE|DB|MYSQL)_(?:(?P<host>HOST(?:NAME)?|SERVER)|(?P<port>PORT)|(?P<name>NAME|DATABASE|DB)"
    r"|(?P<user>USER(?:NAME)?)|(?P<password>PASS(?:WORD)?|PASSWD)|(?P<socket>(?:UNIX_)?SOCKET))"
)


def knows(*keys: str, value: str = "") -> bool:
    """Whether the schema has a key of a site, and where it has a choice of values, one of them."""
    node: Any = {"properties": KEYS}
    for key in keys:
        node = node.get("properties", {}).get(key)
        if node is None:
            return False
    choices = node.get("enum") or node.get("items", {}).get("enum")
    return not value or value in (choices or [])


def vault(name: str, key: str) -> str:
    return (
        f"{{{{ vault_sites.{name}.{key} }}}}" if "-" not in name else f"{{{{ vault_sites['{name}'].{key} }}}}"
    )


# --- What is proposed --------------------------------------------------------------------------


def is_elsewhere(group_vars: Path) -> bool:
    """Whether the environment's database is no host's own, by role mysql's variable."""
    texts = (path.read_text("utf-8") for path in sorted(group_vars.glob("*.yml")))
    return any(re.search(r"""^mysql_host:\s*["']?[^\s"'#]""", text, re.M) for text in texts)


def database_entry(site: str, source: Source, elsewhere: bool) -> dict[str, Any]:
    """How the application is told of its database, by the variables that it reads."""
    entry: dict[str, Any] = {"engine": "mysql"}
    urls = {name: "url" for name in source.env if DATABASE_URL.fullmatch(name)}
    matches = {name: match for name in source.env if (match := DATABASE_PIECE.fullmatch(name))}
    pieces = {name: match.lastgroup for name, match in matches.items()}
    # No socket leads to another host, and an application that asks for a password knows none.
    if elsewhere or (not urls and "password" in pieces.values()):
        entry |= {"auth": "password", "password": vault(site, "database_password")}
        pieces = {name: piece for name, piece in pieces.items() if piece != "socket"}
    other_driver = source.uses & {"mysqlclient", "mysqldb"} and "pymysql" not in source.uses
    if other_driver and knows("database", "scheme"):
        entry["scheme"] = "mysql+mysqldb"
    told = urls or pieces
    if told and told != {"DATABASE_URL": "url"} and knows("database", "variables"):
        entry["variables"] = told
    return entry


def variables(source: Source, database: bool) -> tuple[list[str], list[str], list[str]]:
    """Names that the application reads: its secrets, what it fails without, and what it may do without.

    Those of its database are told by `database`; where it is somewhere else its address is a secret.
    """
    secrets, needed, optional = [], [], []
    for name, required in sorted(source.env.items()):
        address, piece = DATABASE_URL.fullmatch(name), DATABASE_PIECE.fullmatch(name)
        if NOT_ASKED_FOR.fullmatch(name) or not re.fullmatch("[A-Z][A-Z0-9_]*", name):
            continue
        if database and (address or piece):
            continue
        secret = SECRET.fullmatch(name) or (address and (required or source.unsupported))
        (secrets if secret else needed if required else optional).append(name)
    return secrets, needed, optional


def make_entry(
    name: str, answers: dict[str, Any], source: Source, tls: dict[str, Any] | None, elsewhere: bool = False
) -> dict[str, Any]:
    """The entry, in the order in which the guide has its keys."""
    entry = {key: answers[key] for key in ("server_names", "source", "wsgi")}
    if source.requirements and knows("requirements"):
        entry["requirements"] = source.requirements
    if packages := sorted({package for name in source.uses & NATIVE.keys() for package in NATIVE[name]}):
        entry["packages"] = packages
    if answers.get("database"):
        entry["database"] = database_entry(name, source, elsewhere)
    services = [
        service
        for service, clients in SERVICES.items()
        if source.uses & clients and knows("services", value=service)
    ]
    if services:
        entry["services"] = services
    secrets, needed, _ = variables(source, "database" in entry)
    if needed:
        entry["env"] = dict.fromkeys(needed, REPLACE_ME)
    if secrets:
        entry["secrets"] = vault(name, "secrets")
    # An application that knows of credentials reads its secrets from files.
    if needs_vault(entry) and "CREDENTIALS_DIRECTORY" not in source.env:
        entry |= {"secrets_as": "environment"} if knows("secrets_as", value="environment") else {}
    if answers.get("migrate"):
        entry["migrate"] = answers["migrate"]
    if source.health:
        entry["health"] = {"path": source.health}
    if source.processes:
        entry["processes"] = source.processes
    if answers.get("static"):
        entry["static"] = answers["static"]
    if source.uploads and knows("uploads"):
        entry["uploads"] = source.uploads
    if source.worker_class and knows("gunicorn", "worker_class", value=source.worker_class):
        entry["gunicorn"] = {"worker_class": source.worker_class}
    return entry | ({"tls": tls} if tls else {})


def needs_vault(entry: dict[str, Any]) -> bool:
    return "secrets" in entry or "password" in entry.get("database", {})


def common_tls(sites: dict[str, Any]) -> dict[str, Any] | None:
    """Where the certificates of all the others come from, if it is one and the same place."""
    found = [site.get("tls") for site in sites.values() if isinstance(site, dict)]
    shared = bool(found) and all(tls == found[0] for tls in found)
    # A certificate that is provided is one site's own.
    return found[0] if shared and found[0] and found[0].keys() == {"mode"} else None


def unfinished(sites: dict[str, Any]) -> list[str]:
    """The sites that have a placeholder still, for which a converge is refused."""
    lines = [line for line in site_errors(sites, str(PLAYBOOKS)) if "placeholder" in line] if sites else []
    return [name for name in sites if any(line.startswith(f"sites.{name}.") for line in lines)]


def problems(sites: dict[str, Any], name: str, entry: dict[str, Any], secrets: list[str]) -> list[str]:
    """What would be refused because of this entry; what is still to be filled in stands for itself."""
    stand_in = "filled-in-by-then"
    settled = entry | ({"secrets": dict.fromkeys(secrets, stand_in)} if "secrets" in entry else {})
    if "env" in entry:
        settled["env"] = dict.fromkeys(entry["env"], stand_in)
    if "password" in entry.get("database", {}):
        settled["database"] = entry["database"] | {"password": stand_in}
    before = site_errors(sites, str(PLAYBOOKS)) if sites else []
    return [line for line in site_errors(sites | {name: settled}, str(PLAYBOOKS)) if line not in before]


def without_refused(
    sites: dict[str, Any], name: str, entry: dict[str, Any], secrets: list[str]
) -> tuple[dict[str, Any], list[str]]:
    """The entry without what is refused of what nobody asked for, so that a guess stops nobody; and why."""
    refused = []
    for line in problems(sites, name, entry, secrets):
        key = next((key for key in GUESSED if re.match(rf"sites\.{name}\.{key}\b", line)), None)
        if key:
            refused.append(line)
            entry = {other: value for other, value in entry.items() if other != key}
        elif line.startswith(f"sites.{name}.database.variables"):
            refused.append(line)
            database = {other: value for other, value in entry["database"].items() if other != "variables"}
            entry = entry | {"database": database}
    return entry, refused


# --- How it is written -------------------------------------------------------------------------


def flow(value: Any, inside: bool = False) -> str:
    """A value on one line; what has to be quoted is in double quotes, as everywhere in the inventories."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key}: {flow(item, True)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(flow(item, True) for item in value) + "]"
    # YAML asks for more quotes inside brackets than outside.
    text = yaml.safe_dump([value], default_flow_style=inside, width=10**6, allow_unicode=True).strip()
    plain = text[1:-1] if inside else text.removeprefix("- ")
    return json.dumps(value, ensure_ascii=False) if plain.startswith(("'", '"')) else plain


def written(name: str, entry: dict[str, Any], optional: list[str], indent: str) -> str:
    """The entry's lines, `indent` being what one level has in this file."""
    lines = [f"{indent}{name}:"]
    for key, value in entry.items():
        line = f"{indent * 2}{key}: {flow(value)}"
        if key != "env" and (len(line) <= LONGEST or not isinstance(value, dict | list)):
            lines.append(line)
            continue
        lines.append(f"{indent * 2}{key}:")
        if isinstance(value, dict):
            lines += [f"{indent * 3}{item}: {flow(text)}" for item, text in value.items()]
        else:
            lines += [f"{indent * 3}- {flow(item)}" for item in value]
    if optional:
        text = f"It reads these of its environment, too, and does without: {', '.join(optional)}"
        lines += textwrap.wrap(
            text, LONGEST, initial_indent=f"{indent * 2}# ", subsequent_indent=f"{indent * 2}# "
        )
    return "\n".join(lines) + "\n"


class Refused(Exception):
    """The file is not as it must be; the message says how."""


class Loader(yaml.SafeLoader):
    """Reads what is encrypted or unsafe as a text: it belongs to somebody else's entry."""


Loader.add_multi_constructor("!", lambda loader, suffix, node: f"a value of {suffix}")


class SitesFile:
    """An inventory's sites.yml, which a block at its end makes longer; nothing else of it changes."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        try:
            # As it stands: Python would turn every end of line into its own.
            self.text = self.path.read_bytes().decode("utf-8")
            self.content = yaml.load(self.text, Loader)
            root = yaml.compose(self.text, Loader)
        except OSError as error:
            raise Refused(f"{path}: {error.strerror}") from error
        except (UnicodeDecodeError, yaml.YAMLError) as error:
            raise Refused(
                f"{path}: found no YAML of one document ({' '.join(str(error).split())})"
            ) from error
        pairs = root.value if isinstance(root, yaml.MappingNode) else []
        key, node = pairs[-1] if pairs else (None, None)
        if key is None or key.value != "sites" or not self._is_block(node):
            raise Refused(
                f"{path}: found another form, expected `sites:` as its last key, an indented block a site"
            )
        self.sites: dict[str, Any] = self.content["sites"] or {}
        first = node.value[0][0].start_mark.column if self.sites else 2
        self.indent = " " * first

    @staticmethod
    def _is_block(node: yaml.Node) -> bool:
        if isinstance(node, yaml.ScalarNode):  # nothing, not even ~: the last site was taken out
            return node.tag == "tag:yaml.org,2002:null" and not node.value
        return isinstance(node, yaml.MappingNode) and not node.flow_style and node.start_mark.column > 0

    def append(self, name: str, entry: dict[str, Any], optional: list[str]) -> None:
        """Write the file with the entry at its end: all of it or, whatever happens, nothing."""
        block = written(name, entry, optional, self.indent)
        gap = "\n" if self.sites else ""
        text = self.text + ("" if self.text.endswith("\n") else "\n") + gap + block
        if "\r\n" in self.text:
            text = self.text + text[len(self.text) :].replace("\n", "\r\n")
        self._expect(text, self.content | {"sites": self.sites | {name: entry}})
        with tempfile.NamedTemporaryFile("wb", dir=self.path.parent, prefix=".sites-", delete=False) as file:
            new = Path(file.name)
            try:
                file.write(text.encode())
                file.close()
                shutil.copymode(self.path, new)
                new.replace(self.path)
            except BaseException:
                new.unlink(missing_ok=True)
                raise

    def _expect(self, text: str, content: dict[str, Any]) -> None:
        try:
            found = yaml.load(text, Loader)
        except yaml.YAMLError:
            found = None
        if found != content:
            raise Refused(
                f"{self.path}: found an end that nothing can be appended to, expected the last site's"
            )
