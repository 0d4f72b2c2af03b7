"""Rules of a site's WSGI application, as gunicorn imports it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.messages import (
    Steps,
    error_line,
)

WSGI = re.compile(r"([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*):([A-Za-z_]\w*)(\([^\n]*\))?", re.ASCII)


def is_wsgi(text: Any) -> bool:
    """Return whether gunicorn can import an application (gunicorn.util.import_app).

    For some errors, raise ValueError with the expected value.
    """
    if not isinstance(text, str):
        return True
    if not WSGI.fullmatch(text):
        name = next((part for part in text.partition(":")[0].split(".") if "-" in part), "")
        valid = name.replace("-", "_")
        if name and WSGI.fullmatch(text.replace(name, valid)):
            found = f"because {name} is not a module name"
            raise ValueError(f"{text.replace(name, valid)}, {found}: rename it to {valid} in the source")
        return False
    if not is_importable(text.partition(":")[2]):
        raise ValueError('literal values as arguments, such as create_app("production", debug=False)')
    return True


def is_importable(text: str) -> bool:
    """Return whether gunicorn can evaluate the part after the colon."""
    try:
        expression = ast.parse(text, mode="eval").body
        if isinstance(expression, ast.Call):
            for value in [*expression.args, *(keyword.value for keyword in expression.keywords)]:
                ast.literal_eval(value)
            expression = expression.func
    except (SyntaxError, TypeError, ValueError, RecursionError, MemoryError):
        return False
    return isinstance(expression, ast.Name)


def factory_lines(steps: Steps, wsgi: str, source: Path) -> Iterator[str]:
    """Yield an error if the application is a function of the source that a server must call first."""
    match = WSGI.fullmatch(wsgi)
    if not match or match[3]:
        return
    arguments = factory_arguments(source, match[1], match[2])
    if arguments is not None:
        call = f"{wsgi}({', '.join(f'{name}=…' for name in arguments)})"
        found = f"because {match[2]} is a function that returns the application"
        yield error_line(steps, wsgi, expected=f"{call}, {found}")


def factory_arguments(source: Path, module: str, name: str) -> list[str] | None:
    """Return the required arguments of a factory, or None if the object may be a WSGI application.

    A WSGI application is called with two positional arguments. A decorator may change the function.
    """
    path = source / module.replace(".", "/")
    for file in (path.with_name(f"{path.name}.py"), path / "__init__.py"):
        try:
            statements = ast.parse(file.read_bytes()).body
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        bound = [statement for statement in statements if name in _names(statement)]
        if len(bound) != 1 or not isinstance(bound[0], ast.FunctionDef) or bound[0].decorator_list:
            return None
        given = bound[0].args
        positional = [*given.posonlyargs, *given.args]
        required = positional[: len(positional) - len(given.defaults)]
        if given.vararg or len(required) == 2:
            return None
        return [argument.arg for argument in required]
    return None


def _names(statement: ast.stmt) -> set[str]:
    """Return the names that a statement of a module may bind."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    names = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    imported = (node for node in ast.walk(statement) if isinstance(node, ast.Import | ast.ImportFrom))
    return names | {
        (alias.asname or alias.name).partition(".")[0] for node in imported for alias in node.names
    }
