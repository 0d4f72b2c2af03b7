"""Error messages in the code, for docs/messages.md (tools/docs.py)."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator

from tools.library import ROOT

# The title of each section, and the files with its messages.
SECTIONS = {
    "YAML files of an inventory": ("plugins/plugin_utils/inventory_files/*.py",),
    "Rules of sites": ("plugins/plugin_utils/site_validation/*.py", "plugins/filter/sites*.py"),
    "Rules of hosts and variables": (
        "plugins/plugin_utils/inventory_validation/*.py",
        "plugins/filter/platform.py",
    ),
    "Sources and releases": (
        "plugins/action/*.py",
        "plugins/modules/release*.py",
        "plugins/module_utils/activation.py",
        "plugins/module_utils/live.py",
        "plugins/filter/release*.py",
    ),
    "Builds": (
        "plugins/module_utils/build*.py",
        "plugins/module_utils/takeover.py",
        "plugins/module_utils/python_builds.py",
        "plugins/modules/managed_python.py",
        "plugins/modules/locked_environment.py",
        "roles/python_app/files/build/*.py",
    ),
    "Certificates": (
        "plugins/modules/certificates_due.py",
        "plugins/module_utils/shared/certificate.py",
        "plugins/filter/certificates*.py",
        "roles/certbot/files/certificates/*.py",
    ),
    "Firewall, units and balancers": (
        "plugins/modules/ufw*.py",
        "plugins/module_utils/ufw*.py",
        "plugins/modules/unit*.py",
        "plugins/modules/balancer*.py",
        "roles/balancer/files/*.py",
    ),
    "AWS": (
        "plugins/filter/aws*.py",
        "plugins/modules/aws*.py",
        "roles/credentials/files/*.py",
        "roles/fleet/files/*.py",
        "roles/cloudwatch/files/*.py",
    ),
}
VALUE = "…"
MINIMUM = 3  # words that a message has without its values


def texts(node: ast.expr) -> list[str]:
    """Return the texts that an expression can have, with `…` for each value."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.JoinedStr(values=parts):
            joined = (texts(part) if isinstance(part, ast.Constant) else [VALUE] for part in parts)
            return ["".join(pieces) for pieces in itertools.product(*joined)]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return ["".join(pieces) for pieces in itertools.product(texts(left), texts(right))]
        case ast.IfExp(body=body, orelse=other):
            return [*texts(body), *texts(other)]
    return [VALUE]


def message_nodes(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield the expressions of messages: of raised errors, failed modules and validation."""
    for node in ast.walk(tree):
        match node:
            case ast.Raise(exc=ast.Call(args=[first, *_])):
                yield first
            case ast.Call(func=ast.Attribute(attr="fail_json"), keywords=keywords):
                yield from (keyword.value for keyword in keywords if keyword.arg == "msg")
            case ast.Call(func=ast.Name(id="error_line"), keywords=keywords):
                yield from (keyword.value for keyword in keywords if keyword.arg == "expected")
            case ast.Assign(targets=[ast.Name(id="expected")], value=value):
                yield value
            case ast.Yield(value=ast.JoinedStr() | ast.Constant() as value):
                yield value
            # The line of a file and the words of its error.
            case ast.Yield(value=ast.Tuple(elts=[_, value])) | ast.Return(value=ast.Tuple(elts=[_, value])):
                if any(text.lstrip(VALUE).startswith("found ") for text in texts(value)):
                    yield value


def messages(patterns: tuple[str, ...]) -> list[str]:
    """Return the messages of files, in alphabetical order."""
    found = {
        re.sub(rf"{VALUE}+", VALUE, " ".join(text.split()))
        for pattern in patterns
        for path in ROOT.glob(pattern)
        for node in message_nodes(ast.parse(path.read_text()))
        for text in texts(node)
    }
    return sorted((text for text in found if len(re.findall(r"[a-z]+", text)) >= MINIMUM), key=str.lower)
