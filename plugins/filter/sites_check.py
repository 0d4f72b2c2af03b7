"""Filters for the dictionary `sites`: what is wrong with it, and what its defaults make of it.

plugins/schema/sites.yml says what each key may be; this file adds what a schema cannot say
(host names, paths on the controller, keys that depend on each other) and words the errors.
"""

from __future__ import annotations

import ast
import difflib
import functools
import json
import re
from collections.abc import Callable, Iterator, Mapping
from os.path import expanduser, isdir, isfile, lexists  # unlike Path's, these never raise
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

# Every task's process imports this file. So YAML is read by its C library where there is one, and
# jsonschema, which takes a fifteenth of a second, is imported by the one task that validates.
from ansible.module_utils.common.yaml import yaml_load
from ansible.template import accept_args_markers, accept_lazy_markers
from ansible_collections.decanter.stack.plugins.module_utils.shared.addresses import (
    Address,
    is_example,
    parse_address,
    parse_network,
)
from ansible_collections.decanter.stack.plugins.plugin_utils.plain_data import (
    Unreadable,
    plain,
    plain_scalar,
)

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator, ValidationError

SCHEMA = yaml_load((Path(__file__).parents[1] / "schema/sites.yml").read_text("utf-8"))

KEY = re.compile(r"[A-Za-z_][\w-]{0,59}", re.ASCII)
LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123
HOST_NAME = re.compile(rf"(?=.{{1,253}}$)({LABEL}\.)+(?![0-9]+$){LABEL}")
PLACEHOLDER = re.compile("changeme|replace_me", re.IGNORECASE)
PLACEHOLDER_NAME = re.compile(r"(.*\.)?(example\.(com|org|net)|example)", re.IGNORECASE)
PEM = {
    "certificate": re.compile(r"\s*-----BEGIN CERTIFICATE-----"),
    "key": re.compile(r"\s*-----BEGIN ([A-Z]+ )*PRIVATE KEY-----"),
}
TYPES = {
    "string": "a string",
    "integer": "an integer",
    "boolean": "true or false",
    "array": "a list",
    "object": "a dictionary",
}
# What an application can be told of its database (plugins/filter/sites.py works it out), by `auth`.
PIECES = {
    "socket": {"url", "host", "name", "user", "socket"},
    "password": {"url", "host", "port", "name", "user", "password"},
}
# Those that a URL tells which authority to trust, and whose name to expect.
VERIFYING_SCHEMES = ("mysql", "mysql+mysqlconnector", "mysql+mysqldb", "mysql+pymysql")
# An environment variable, as systemd takes it from a file.
VARIABLE_VALUE = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f]*")
# What a secret says that the host fetches itself: the path of a parameter, or what was encrypted.
FETCHED = {
    "ssm:": (
        re.compile(r"ssm:(/[A-Za-z0-9_.-]+){1,15}"),
        "ssm: and the path of a parameter, such as ssm:/staging/harbour/SECRET_KEY",
    ),
    "kms:": (
        re.compile(r"kms:(?:[A-Za-z0-9+/]{4}){8,}(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"),
        "kms: and what AWS KMS has encrypted, in base64",
    ),
}
# What the list of sites that browsers have built in asks for, in seconds.
TWO_YEARS = 63072000
# A path that nginx can be told, and that is not the page that visitors come for.
OWN_PATH = re.compile(r"/[\w.~+@:,/-]+", re.ASCII)
# Files of other tools, and the command that exports what uv reads.
OTHER_TOOLS = {
    "Pipfile": "the Pipfile.lock that `pipenv lock` writes",
    "pdm.lock": "the pylock.toml that `pdm export --format pylock --output pylock.toml` writes",
    **dict.fromkeys(
        ("environment.yml", "environment.yaml", "conda-lock.yml"),
        "the requirements.txt that `pip freeze` writes in the conda environment",
    ),
    "pixi.lock": "a requirements.txt with the packages that `pixi list --explicit` shows",
    "package.json": "that of the Python application; `build: [npm ci]` installs packages of npm",
}
# Variables of a build that uv, the dynamic linker, Python or the shell read.
RESERVED_IN_BUILDS = (
    r"(UV_|LD_|PYTHON|PIP_|GIT_).*|PATH|HOME|ENV|IFS|SHELL|USER|TMPDIR|VIRTUAL_ENV|NO_COLOR|LC_ALL"
)
LONGEST_FOUND = 60

Steps = tuple[Any, ...]


# --- From Ansible's data to plain data ---------------------------------------------------------


def _key(key: Any, depth: int) -> Any:
    """Return a key as it was meant: YAML reads `on` without quotes as true. A site keeps its name."""
    return "on" if key is True and depth else plain_scalar(key)


# --- The words of an error ---------------------------------------------------------------------


def _line(steps: Steps, value: Any = None, found: str = "", expected: str = "") -> str:
    """Return the one line that says what is wrong with the value at a path."""
    schema, secret = _schema_at(steps)
    found = found or _found(value, secret)
    return f"{_path(steps)}: found {found}, expected {expected or _expected(schema)}"


def _schema_at(steps: Steps) -> tuple[Mapping[str, Any], bool]:
    """Return the schema of a path, and whether what is found there must not be printed."""
    node, secret = SCHEMA, False
    for step in steps:
        named = node.get("properties", {}).get(step)
        node = named or node.get("items") or node.get("additionalProperties")
        if not node:  # an unknown key may be a misspelt secret
            return {}, True
        secret = secret or node.get("secret", False)
    # What stands where a dictionary should be may be the secret that belongs inside it.
    return node, secret or node["type"] == "object"


def _path(steps: Steps) -> str:
    return "sites" + "".join(
        f".{step}" if isinstance(step, str) and KEY.fullmatch(step) else f"[{_shown(step)}]" for step in steps
    )


def _shown(value: Any) -> str:
    """Return a scalar as the user wrote it: shortened, on one line, printable everywhere."""
    if isinstance(value, Unreadable):
        return value.found
    if isinstance(value, str) and len(value) > LONGEST_FOUND:
        value = value[: LONGEST_FOUND - 1] + "…"
    text = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _found(value: Any, secret: bool) -> str:
    match value:
        case None:
            return "nothing"
        case dict() | list():
            kind = "dictionary" if isinstance(value, dict) else "list"
            return f"a {kind}" if value else f"an empty {kind}"
        case "":
            return "an empty string"
        case str() if secret or "PRIVATE KEY" in value:  # a bundle given as the certificate
            return "a string"
        case bool() if secret:
            return "a boolean"
        case int() | float() if secret:
            return "a number"
    return _shown(value)


def _expected(schema: Mapping[str, Any]) -> str:
    if "expected" in schema:
        return schema["expected"]
    if "enum" in schema:
        return f"one of: {', '.join(schema['enum'])}"
    if "minimum" in schema:
        return f"an integer from {schema['minimum']} to {schema['maximum']}"
    return TYPES[schema["type"]]


# --- What the schema refuses -------------------------------------------------------------------


def _is_server_name(name: Any) -> bool:
    """Refuse what is neither a host name nor an address; a ValueError's text says what to do."""
    if not isinstance(name, str) or _address(name) or HOST_NAME.fullmatch(name.removeprefix("*.")):
        return True
    if "*" in name:
        raise ValueError("a wildcard as its whole first label and nowhere else, as in *.example.com")
    if not name.isascii():
        raise ValueError("the name in its ASCII form, which is written xn--…")
    if HOST_NAME.fullmatch(name.lower()):
        raise ValueError(f"the name in lower case, {_shown(name.lower())}")
    return False


def _is_network(text: Any) -> bool:
    return not isinstance(text, str) or bool(parse_network(text))


def _address(name: str) -> Address | None:
    """Return a server name's IP address. nginx and browsers reject one with a zone."""
    return None if "%" in name else parse_address(name)


@functools.cache
def _validator() -> Draft202012Validator:
    """Return what checks data against the schema, by rules that are stricter than JSON Schema's."""
    from jsonschema import Draft202012Validator, FormatChecker, ValidationError, validators

    def pattern(_: Any, expected: str, value: Any, __: Any) -> Iterator[ValidationError]:
        # By itself Python lets $ match before a final newline and \w match any script.
        if isinstance(value, str) and not re.fullmatch(expected, value, re.ASCII):
            yield ValidationError("does not match")

    formats = FormatChecker(formats=())
    formats.checks("server-name", raises=ValueError)(_is_server_name)
    formats.checks("network")(_is_network)
    # JSON Schema calls 30.0 an integer, but it would be written to a file as 30.0.
    integers = Draft202012Validator.TYPE_CHECKER.redefine("integer", lambda _, v: type(v) is int)
    strict = validators.extend(Draft202012Validator, {"pattern": pattern}, type_checker=integers)
    return strict(SCHEMA, format_checker=formats)


def _refusal(rule: str | Mapping[str, str]) -> dict[str, str]:
    """Return the words of an error for a key that the schema lists under `refused`."""
    if isinstance(rule, str):
        return {"found": "a setting that is Decanter's own", "expected": rule}
    return {"found": "a key that was renamed", "expected": rule["renamed"]}


def _schema_lines(error: ValidationError) -> Iterator[str]:
    steps = tuple(error.absolute_path)
    value: Any = error.instance
    schema: Any = error.schema
    if error.validator == "required":
        yield from (_line((*steps, key)) for key in schema["required"] if key not in value)
    elif error.validator == "additionalProperties":
        known = sorted(schema["properties"])
        refused = schema.get("refused", {})
        for key in value.keys() & refused.keys():
            yield _line((*steps, key), **_refusal(refused[key]))
        for key in value.keys() - set(known) - refused.keys():
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f" (did you mean {near[0]}?)" if near else ""
            expected = f"one of: {', '.join(known)}{hint}"
            yield _line((*steps, key), found="an unknown key", expected=expected)
    elif "propertyNames" in error.schema_path:
        found = f"the name {_shown(value)}"
        yield _line((*steps, value), found=found, expected=_expected(schema))
    elif error.validator == "maxProperties":
        yield _line(steps, found=f"{len(value)} entries")
    else:
        yield _line(steps, value, expected=str(error.cause or _expected(schema)))


# --- What no schema can say --------------------------------------------------------------------


def _part(site: Any, *keys: str, kind: type = dict) -> Any:
    """Return what is under the keys if it is of that kind, else an empty one."""
    for key in keys:
        site = site.get(key) if isinstance(site, dict) else None
    return site if isinstance(site, kind) else kind()


def _site_lines(site_id: Any, site: Any, root: Path, database_host: str) -> Iterator[str]:
    if isinstance(site, dict) and isinstance(site.get("source"), dict):  # or the schema has said enough
        yield from _source_lines((site_id, "source"), site["source"], root)
    yield from _companion_lines((site_id, "timers"), _part(site, "processes"), _part(site, "timers"))
    wsgi = _part(site, "wsgi", kind=str)
    if re.fullmatch(_schema_at((site_id, "wsgi"))[0]["pattern"], wsgi, re.ASCII) and not _is_importable(wsgi):
        expected = 'literal values as arguments, such as create_app("production", debug=False)'
        yield _line((site_id, "wsgi"), wsgi, expected=expected)
    source = _home(_part(site, "source", "path", kind=str))
    if source and not isdir(root / source):
        yield _line((site_id, "source", "path"), site["source"]["path"])
    folder = root / source if source else None
    requirements = _part(site, "requirements", kind=str)
    if export := OTHER_TOOLS.get(PurePosixPath(requirements).name):
        yield _line((site_id, "requirements"), requirements, expected=f"a file that uv reads: {export}")
    if requirements and folder and isdir(folder) and not isfile(folder / requirements):
        yield _line((site_id, "requirements"), requirements)
    uploads = [path for path in _part(site, "uploads", kind=list) if isinstance(path, str)]
    yield from _upload_lines((site_id, "uploads"), uploads)
    yield from _install_lines((site_id, "install"), _part(site, "install", kind=list))
    yield from _index_lines(site_id, _part(site, "indexes", kind=list), _part(site, "build_secrets"))
    yield from _file_lines((site_id, "files"), _part(site, "files"), root, uploads)
    folders = _part(site, "static", kind=list)
    built = bool(_part(site, "build", kind=list))
    yield from _static_lines((site_id, "static"), folders, folder, uploads, built)
    yield from _database_lines((site_id, "database"), _part(site, "database"), database_host)
    yield from _told_lines(site_id, site)
    paths = _part(site, "sandbox", "ReadWritePaths", "value", kind=str)
    if any(not _is_its_own(Path(path.lstrip("-+")), site_id) for path in paths.split()):
        expected = "folders of the application's own, such as /var/lib/myproject"
        yield _line((site_id, "sandbox", "ReadWritePaths", "value"), paths, expected=expected)
    yield from _tls_lines((site_id, "tls"), _part(site, "tls"), root)
    names = _part(site, "server_names", kind=list)
    yield from _proof_lines((site_id, "server_names"), names, _part(site, "tls"))
    yield from _nginx_lines((site_id, "nginx"), _part(site, "nginx"), _part(site, "health", "path", kind=str))


def _nginx_lines(steps: Steps, nginx: dict[Any, Any], health: str) -> Iterator[str]:
    seen: dict[str, str] = {}
    for name in _part(nginx, "headers"):
        if isinstance(name, str) and (other := seen.setdefault(name.lower(), name)) != name:
            yield _line((*steps, "headers", name), found=f"{other} as well", expected="one of the two")
    hsts = _part(nginx, "hsts")
    seconds = hsts.get("seconds", 0)
    if hsts.get("preload") is True and not (
        hsts.get("subdomains") is True and isinstance(seconds, int) and seconds >= TWO_YEARS
    ):
        expected = f"subdomains: true and seconds: {TWO_YEARS}, at least, beside it"
        yield _line((*steps, "hsts", "preload"), True, expected=expected)
    if "basic_auth" in nginx and not OWN_PATH.fullmatch(health.split("?")[0]):
        expected = "health.path to be a path of its own, such as /healthz, for that is open to all"
        yield _line((*steps, "basic_auth"), found=_shown(health or "/"), expected=expected)


def _told_lines(site_id: Any, site: Any) -> Iterator[str]:
    """What an application is told twice, or cannot be told in this way."""
    env, secrets = _part(site, "env"), _part(site, "secrets")
    variables = _part(site, "database", "variables")
    for key, names, others, other in (
        (("secrets",), secrets, env, "env"),
        (("database", "variables"), variables, env, "env"),
        (("database", "variables"), variables, secrets, "secrets"),
    ):
        for name in names.keys() & others.keys():
            found = f"a name that is in {other} as well"
            yield _line((site_id, *key, name), found=found, expected="it in one of the two")
    if _part(site, "secret_delivery", kind=str) == "environment":
        rules = _schema_at((site_id, "env"))[0]["propertyNames"]
        names = _validator().evolve(schema=rules)
        for name, value in secrets.items():
            steps = (site_id, "secrets", name)
            for error in names.iter_errors(name):
                yield _line(steps, found=f"the name {_shown(name)}", expected=_expected(error.schema))
            if isinstance(value, str) and not VARIABLE_VALUE.fullmatch(value):
                yield _line(steps, value, expected="no control characters in an environment variable")
    for name, value in secrets.items():
        for kind, (pattern, expected) in FETCHED.items():
            if isinstance(value, str) and value.startswith(kind) and not pattern.fullmatch(value):
                yield _line((site_id, "secrets", name), value, expected=expected)
    password = _part(site, "database", "password", kind=str)
    if password.startswith(tuple(FETCHED)):
        expected = "the password itself, from Ansible Vault: who makes the database's user has to know it"
        yield _line((site_id, "database", "password"), password, expected=expected)
    if isinstance(site, dict) and site.get("instance_role") is True and site.get("outbound") is False:
        expected = "false where outbound is, for the role is asked for over the network"
        yield _line((site_id, "instance_role"), True, expected=expected)
    tcp = _part(site, "database", "auth", kind=str) == "password"
    if tcp and isinstance(site, dict) and site.get("outbound") is False:
        expected = "true, for with database.auth password the database is reached by TCP"
        yield _line((site_id, "outbound"), False, expected=expected)


def _is_importable(wsgi: str) -> bool:
    """Return whether gunicorn can evaluate what is after the colon (gunicorn.util.import_app)."""
    try:
        expression = ast.parse(wsgi.partition(":")[2], mode="eval").body
        if isinstance(expression, ast.Call):
            for value in [*expression.args, *(keyword.value for keyword in expression.keywords)]:
                ast.literal_eval(value)
            expression = expression.func
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return False
    return isinstance(expression, ast.Name)


def _is_its_own(path: Path, site_id: Any) -> bool:
    """Whether a site may be let write there: no part of the system, and nothing of other sites."""
    parts = path.parts
    if not path.is_absolute() or ".." in parts or len(parts) < 3:
        return False
    if parts[1] == "srv":
        return parts[2] == site_id and len(parts) > 3 and parts[3] not in ("releases", "venvs")
    return parts[1] not in ("boot", "etc", "proc", "sys", "usr")


def _home(path: str) -> str:
    return expanduser(path) if path.startswith("~/") else path


def _source_lines(steps: Steps, source: dict[Any, Any], root: Path) -> Iterator[str]:
    if "path" in source and "git" in source:
        yield _line((*steps, "git"), found="git beside path", expected="one of the two")
    elif "path" not in source and "git" not in source:
        yield _line((*steps, "path"))
    for key in ("version", "subdir", "key"):
        if key in source and "path" in source:
            yield _line((*steps, key), found=f"{key} beside path", expected=f"no {key} where path is")
    key = _part(source, "key", kind=str)
    if key and "path" not in source and not ("-----BEGIN" in key or isfile(root / _home(key))):
        yield _line((*steps, "key"), found="a path that does not exist")


def _companion_lines(steps: Steps, processes: dict[Any, Any], timers: dict[Any, Any]) -> Iterator[str]:
    for name in processes.keys() & timers.keys():
        found = f"the name {_shown(name)}"
        yield _line((*steps, name), found=found, expected="a name that no process has")


def _is_inside(source: Path, path: Path) -> bool:
    # Resolved, for a symbolic link may lead out; and the source itself is not for everyone.
    return isdir(path) and source.resolve() in path.resolve().parents


def _overlap(one: str, other: str) -> bool:
    """Whether one of two folders is in the other, or is it."""
    return PurePosixPath(one).is_relative_to(other) or PurePosixPath(other).is_relative_to(one)


def _upload_lines(steps: Steps, uploads: list[str]) -> Iterator[str]:
    for index, path in enumerate(uploads):
        if taken := [other for other in uploads[:index] if _overlap(path, other)]:
            yield _line((*steps, index), path, expected=f"a folder that has nothing to do with {taken[0]}")


def _install_lines(steps: Steps, install: list[Any]) -> Iterator[str]:
    from packaging.requirements import InvalidRequirement, Requirement

    for index, one in enumerate(install):
        if not isinstance(one, str) or one.startswith((".", "group:")):
            continue
        try:
            requirement = Requirement(one)
        except InvalidRequirement as error:
            yield _line((*steps, index), one, expected=f"a requirement ({str(error).splitlines()[0]})")
            continue
        if re.match(r"[a-z+]+://[^/]*@", requirement.url or ""):
            expected = "an address without credentials; `build_secrets` fills ${NAME} in a requirements file"
            yield _line((*steps, index), found="an address with credentials", expected=expected)


def _index_lines(site_id: Any, indexes: list[Any], secrets: dict[Any, Any]) -> Iterator[str]:
    names = [_part(index, "name", kind=str) for index in indexes]
    for number, name in enumerate(names):
        if name and name in names[:number]:
            expected = "a name that no other index of the site has"
            yield _line((site_id, "indexes", number, "name"), name, expected=expected)
    defaults = [number for number, index in enumerate(indexes) if _part(index, "default", kind=bool)]
    for number in defaults[1:]:
        yield _line((site_id, "indexes", number, "default"), True, expected="one default index at most")
    for name in secrets:
        if isinstance(name, str) and re.fullmatch(RESERVED_IN_BUILDS, name):
            expected = "another name, this variable has a meaning for the build itself"
            yield _line((site_id, "build_secrets", name), found=f"the name {_shown(name)}", expected=expected)


def _file_lines(steps: Steps, files: dict[Any, Any], root: Path, uploads: list[str]) -> Iterator[str]:
    paths = [path for path in files if isinstance(path, str)]
    for number, path in enumerate(paths):
        for key in ("path", "template"):
            here = _home(_part(files, path, key, kind=str))
            if here and not isfile(root / here):
                yield _line((*steps, path, key), here)
        others = [*paths[:number], *uploads, ".venv", ".package"]
        if taken := [other for other in others if _overlap(path, other)]:
            expected = f"a path that does not overlap {taken[0]}"
            yield _line((*steps, path), found=f"the path {_shown(path)}", expected=expected)


def _static_lines(
    steps: Steps, folders: list[Any], source: Path | None, uploads: list[str], built: bool
) -> Iterator[str]:
    seen: set[str] = set()
    for index, folder in enumerate(folders):
        url, path = _part(folder, "url", kind=str), _part(folder, "path", kind=str)
        if url and url in seen:
            yield _line((*steps, index, "url"), url, expected="a url that is not given twice")
        seen.add(url)
        # What a build makes is not there yet.
        is_due = source and path and isdir(source) and (lexists(source / path) or not built)
        if source and is_due and not _is_inside(source, source / path):
            yield _line((*steps, index, "path"), path)
        if path and any(PurePosixPath(path).is_relative_to(upload) for upload in uploads):
            expected = "a folder that is not among uploads, which the application serves"
            yield _line((*steps, index, "path"), path, expected=expected)


def _database_lines(steps: Steps, database: dict[Any, Any], host: str) -> Iterator[str]:
    """With a host the database is there, not on the site's own."""
    auth, step = database.get("auth", "socket"), (*steps, "password")
    if host and database and auth == "socket":
        yield _line((*steps, "auth"), auth, expected=f"password, for the database is elsewhere, on {host}")
    known = PIECES.get(auth if isinstance(auth, str) else "", set()) | ({"ca"} if host else set())
    variables = _part(database, "variables")
    for name, piece in variables.items():
        if (
            known
            and isinstance(piece, str)
            and piece not in known
            and piece in {"ca"}.union(*PIECES.values())
        ):
            where = (
                f"where auth is {auth}" if piece != "ca" else "where the database is on the site's own host"
            )
            yield _line(
                (*steps, "variables", name), piece, expected=f"one of: {', '.join(sorted(known))} {where}"
            )
    scheme = database.get("scheme", VERIFYING_SCHEMES[-1])
    if host and scheme not in VERIFYING_SCHEMES and "url" in variables.values():
        expected = (
            f"one of: {', '.join(VERIFYING_SCHEMES)} where the database is elsewhere, or no url in variables"
        )
        yield _line((*steps, "scheme"), scheme, expected=expected)
    if auth == "password" and "password" not in database:
        yield _line(step)
    if auth == "socket" and "password" in database:
        yield _line(step, database["password"], expected="no password where auth is socket")


def _tls_lines(steps: Steps, tls: dict[Any, Any], root: Path) -> Iterator[str]:
    provided = tls.get("mode", "self-signed") == "provided"
    for key, pem in PEM.items():
        value, step = tls.get(key), (*steps, key)
        if provided and key not in tls:
            yield _line(step)
        elif key in tls and not provided:
            yield _line(step, value, expected=f"no {key} where mode is not provided")
        elif value and isinstance(value, str) and not (pem.match(value) or isfile(root / _home(value))):
            yield _line(step, value, found="a path that does not exist" if key == "key" else "")
    if tls.get("mode", "self-signed") != "acme":
        for key in tls.keys() & {"challenge", "profile", "key_type"}:
            yield _line((*steps, key), tls[key], expected=f"no {key} where mode is not acme")


def _proof_lines(steps: Steps, names: list[Any], tls: dict[Any, Any]) -> Iterator[str]:
    """What no proof is made for, and a first name that nothing can be redirected to."""
    acme, by_dns = tls.get("mode") == "acme", tls.get("challenge") == "route53"
    for index, name in enumerate(names):
        if not isinstance(name, str):
            continue
        wildcard = name.startswith("*.")
        if wildcard and index == 0:
            expected = "a name without a wildcard first, which has an address to redirect to"
            yield _line((*steps, index), name, expected=expected)
        elif wildcard and acme and not by_dns:
            expected = "tls.challenge route53 for it, or each name written out"
            yield _line((*steps, index), name, expected=expected)
        elif acme and by_dns and _address(name):
            yield _line((*steps, index), name, expected="host names alone where tls.challenge is route53")


def _server_name_lines(sites: dict[Any, Any]) -> Iterator[str]:
    owners: dict[Any, Steps] = {}
    for site_id, site in sites.items():
        # What is not served claims no name: another site may have taken it over.
        served = _part(site, "state", kind=str) != "absent"
        for index, name in enumerate(_part(site, "server_names", kind=list)):
            if not isinstance(name, str):
                continue
            steps, address = (site_id, "server_names", index), _address(name)
            if served and (line := _taken(owners, address or name.lower(), steps, name)):
                yield line
            # RFC 5737 alone: inventories of tests use addresses of RFC 3849.
            documented = address and address.version == 4 and is_example(address)
            if documented or PLACEHOLDER_NAME.fullmatch(name):
                yield _placeholder_line(steps, name, "your own name")


def _database_name_lines(sites: dict[Any, Any]) -> Iterator[str]:
    """An absent site's database counts: it is kept, and `make purge` destroys it by its name."""
    owners: dict[Any, Steps] = {}
    for site_id, site in sites.items():
        if database := _part(site, "database"):
            name = database.get("name", _database_name(site_id))
            steps = (site_id, "database", "name")
            if isinstance(name, str) and (line := _taken(owners, name, steps, name)):
                yield line


def _taken(owners: dict[Any, Steps], name: Any, steps: Steps, found: str) -> str:
    """Note who owns a name; the line that says so where it is another."""
    owner = owners.setdefault(name, steps)
    if owner == steps:
        return ""
    return _line(steps, found, expected=f"a name that {_path(owner)} does not have already")


def _database_name(site_id: Any) -> str:
    return str(site_id).replace("-", "_")


def _placeholder_lines(value: Any, steps: Steps = ()) -> Iterator[str]:
    if isinstance(value, str) and PLACEHOLDER.search(value):
        yield _placeholder_line(steps, value, "your own value")
    elif isinstance(value, dict):
        for key, item in value.items():
            if isinstance(key, str) and PLACEHOLDER.search(key):
                yield _line((*steps, key), found="a placeholder", expected="a name of your own")
            yield from _placeholder_lines(item, (*steps, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _placeholder_lines(item, (*steps, index))


def _placeholder_line(steps: Steps, value: str, expected: str) -> str:
    found = _found(value, _schema_at(steps)[1])
    shown = "a placeholder" if found == "a string" else f"the placeholder {found}"
    return _line(steps, found=shown, expected=expected)


# --- The filters -------------------------------------------------------------------------------


@accept_args_markers
@accept_lazy_markers
def site_errors(sites: Any, source_root: Any, database_host: str = "") -> list[str]:
    """Return one line for each thing that is wrong with `sites`, whatever it is; never raise.

    Relative paths in `sites` start at source_root, a folder on the controller. The databases are on
    database_host; without one, on the site's own host.
    """
    found, root = plain(lambda: sites, _key), plain(lambda: source_root)
    lines = {line for error in _validator().iter_errors(found) for line in _schema_lines(error)}
    if not isinstance(root, str):
        lines.add(f"source_root: found {_found(root, True)}, expected a folder on the controller")
        root = "."
    if isinstance(found, dict):
        lines.update(_server_name_lines(found), _database_name_lines(found), _placeholder_lines(found))
        for site_id, site in found.items():
            lines.update(_site_lines(site_id, site, Path(root), database_host))
    return sorted(lines)


def with_defaults(sites: Any) -> Any:
    """Return a copy of `sites` with the schema's defaults at every depth; `sites` stays as it is.

    What site_errors would refuse is passed on as it is.
    """
    filled = _filled(sites, SCHEMA)
    for site_id, site in filled.items() if isinstance(filled, dict) else ():
        if database := _part(site, "database"):
            database.setdefault("name", _database_name(site_id))
    return filled


def _filled(value: Any, schema: Any) -> Any:
    if isinstance(value, list):
        return [_filled(item, schema.get("items", {})) for item in value]
    if not isinstance(value, dict):
        return value
    known, others = schema.get("properties", {}), schema.get("additionalProperties") or {}
    items = {key: sub["default"] for key, sub in known.items() if "default" in sub}
    # See _key.
    items.update({"on" if key is True and "on" in known else key: item for key, item in value.items()})
    return {key: _filled(item, known.get(key, others)) for key, item in items.items()}


class FilterModule:
    """What Ansible asks this file for."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"site_errors": site_errors, "with_defaults": with_defaults}
