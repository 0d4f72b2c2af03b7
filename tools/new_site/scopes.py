"""A visitor of Python code that resolves names to the module or to a function."""

from __future__ import annotations

import ast
from collections.abc import Iterator

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


class Visitor(ast.NodeVisitor):
    """Visits what runs under gunicorn, and keeps the local names of the functions around a node."""

    def __init__(self) -> None:
        self.functions: list[Function] = []
        self.locals: list[set[str]] = []

    def is_local(self, name: str) -> bool:
        return any(name in names for names in self.locals)

    def visit_FunctionDef(self, node: Function) -> None:
        for decorator in getattr(node, "decorator_list", []):
            self.visit(decorator)
        self.visit(node.args)
        self.functions.append(node)
        self.locals.append(local_names(node))
        for child in node.body if isinstance(node.body, list) else [node.body]:
            self.visit(child)
        self.functions.pop()
        self.locals.pop()

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = visit_FunctionDef

    def visit_If(self, node: ast.If) -> None:
        if is_main_guard(node.test):
            for child in node.orelse:
                self.visit(child)
        else:
            self.generic_visit(node)


def is_main_guard(test: ast.expr) -> bool:
    """Return whether a condition is `__name__ == "__main__"`."""
    match test:
        case ast.Compare(left=ast.Name(id="__name__"), comparators=[ast.Constant(value="__main__")]):
            return True
    return False


def local_names(function: Function) -> set[str]:
    arguments = function.args
    names = {argument.arg for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}
    names |= {argument.arg for argument in (arguments.vararg, arguments.kwarg) if argument}
    outer: set[str] = set()
    for node in own_nodes(function):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                names.add(name)
            case ast.Global(names=declared) | ast.Nonlocal(names=declared):
                outer |= set(declared)
    return names - outer


def own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes of a scope without those of the functions and classes in it."""
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, INNER):
            pending += ast.iter_child_nodes(node)


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run on import, also those of branches, in their order."""
    for node in body:
        yield node
        match node:
            case ast.If():
                branches = [node.orelse] if is_main_guard(node.test) else [node.body, node.orelse]
            case ast.Try():
                branches = [
                    node.body,
                    *(handler.body for handler in node.handlers),
                    node.orelse,
                    node.finalbody,
                ]
            case ast.With() | ast.For() | ast.While():
                branches = [node.body]
            case _:
                branches = []
        for branch in branches:
            yield from statements(branch)


def last_name(node: ast.expr | None) -> str:
    """Return the last part of a dotted name, or ""."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def text_in(node: ast.AST | None) -> str | None:
    """Return the text of a constant, or None."""
    match node:
        case ast.Constant(value=str(text)):
            return text
    return None
