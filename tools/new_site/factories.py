"""Resolve names in Python code to their definitions, and find functions that create applications."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass

from tools.new_site.scopes import own_nodes, statements, text_in

Resolver = Callable[[ast.expr], str]


@dataclass
class Function:
    """A top-level function: the callable that creates its result, and its parameters."""

    maker: str
    needs_arguments: bool
    parameter: str = ""  # the first one, if no other is required
    default: str | None = None  # of this parameter, if it is a text


def resolver(name: str, is_package: bool, tree: ast.Module) -> Resolver:
    """Return a function that turns an expression such as `Shop` or `web.Shop` into a dotted path."""
    known: dict[str, str] = {}
    for node in statements(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            known[node.name] = f"{name}.{node.name}"
    for part in ast.walk(tree):
        match part:
            case ast.Import(names=names):
                for alias in names:
                    known[alias.asname or alias.name.partition(".")[0]] = (
                        alias.name if alias.asname else alias.name.partition(".")[0]
                    )
            case ast.ImportFrom(module=module, names=names, level=level):
                base = absolute(name, is_package, module or "", level)
                known |= {alias.asname or alias.name: f"{base}.{alias.name}".strip(".") for alias in names}

    def resolve(node: ast.expr) -> str:
        match node:
            case ast.Name(id=identifier):
                return known.get(identifier, identifier)
            case ast.Attribute(value=value, attr=attribute):
                owner = resolve(value)
                return f"{owner}.{attribute}" if owner else attribute
        return ""

    return resolve


def absolute(name: str, is_package: bool, module: str, level: int) -> str:
    """Return the absolute name of an imported module; `level` is the number of its leading dots."""
    if not level:
        return module
    parts = name.split(".")
    kept = len(parts) - level + is_package
    return ".".join([*parts[: max(kept, 0)], *([module] if module else [])])


def functions(tree: ast.Module, resolve: Resolver) -> dict[str, Function]:
    return {
        node.name: Function(returned(node, resolve), required_arguments(node), *first_parameter(node))
        for node in statements(tree.body)
        if isinstance(node, ast.FunctionDef)
    }


def first_parameter(function: ast.FunctionDef) -> tuple[str, str | None]:
    """Return the first parameter and its default, if a text there can select a configuration."""
    arguments = function.args
    names = [argument.arg for argument in arguments.posonlyargs + arguments.args]
    required = len(names) - len(arguments.defaults)
    if not names or required > 1 or None in arguments.kw_defaults:
        return "", None
    if required:
        return names[0], None
    default = text_in(arguments.defaults[0])
    return ("", None) if default is None else (names[0], default)


def returned(function: ast.FunctionDef, resolve: Resolver) -> str:
    """Return the dotted path of the callable that creates a function's result, "tuple" or "" if unknown."""
    makers: dict[str, str] = {}
    results: list[str] = []
    for node in sorted(own_nodes(function), key=lambda node: getattr(node, "lineno", 0)):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=maker))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=maker))
            ):
                makers[name] = resolve(maker)
            case ast.Return(value=ast.Call(func=maker)):
                results.append(resolve(maker))
            case ast.Return(value=ast.Name(id=name)):
                results.append(makers.get(name, ""))
            case ast.Return(value=ast.Attribute(value=ast.Name(id=name), attr="server")):
                results.append(f"{makers.get(name, '')}.server")
            case ast.Return(value=ast.Tuple()):
                results.append("tuple")
    return results[-1] if results else ""


def required_arguments(function: ast.FunctionDef) -> bool:
    arguments = function.args
    return (
        len(arguments.posonlyargs + arguments.args) > len(arguments.defaults) or None in arguments.kw_defaults
    )
