"""Environment variables that Python code reads with os.environ and os.getenv."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from tools.new_site.scopes import Visitor, text_in

MISSING = {"KeyError", "LookupError", "Exception", "BaseException"}


@dataclass
class Reads:
    """The variables that a module reads."""

    required: dict[str, bool] = field(default_factory=dict)  # by name: whether it fails without
    defaults: dict[str, set[str]] = field(default_factory=dict)  # by name: texts that replace it


def environment_reads(tree: ast.Module) -> Reads:
    visitor = EnvironmentVisitor()
    visitor.bind(tree)
    visitor.visit(tree)
    for name in visitor.tested & visitor.reads.required.keys():
        visitor.reads.required[name] = False
    return visitor.reads


class EnvironmentVisitor(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.reads = Reads()
        self.kinds: dict[str, str] = {}  # names: os, environ or getenv
        self.tested: set[str] = set()  # variables of which the code tests whether they exist
        self.caught = 0  # `try` statements around a node that handle a missing variable

    def bind(self, tree: ast.Module) -> None:
        """Note the names of os, os.environ and os.getenv. An import in a function counts as well."""
        for node in ast.walk(tree):
            match node:
                case ast.Import(names=names):
                    for alias in names:
                        if alias.name == "os" or (alias.name.startswith("os.") and not alias.asname):
                            self.kinds[alias.asname or "os"] = "os"
                case ast.ImportFrom(module="os", names=names, level=0):
                    for alias in names:
                        if alias.name in {"environ", "getenv"}:
                            self.kinds[alias.asname or alias.name] = alias.name
        for node in tree.body:
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value) if self.kind(value) == "environ":
                    self.kinds[name] = "environ"
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Attribute(value=owner, attr="get")):
                    if self.kind(owner) == "environ":
                        self.kinds[name] = "getenv"

    def kind(self, node: ast.expr | None) -> str:
        """Return environ or getenv for what a node stands for, or ""."""
        match node:
            case ast.Name(id=name) if not self.is_local(name):
                return self.kinds.get(name, "")
            case ast.Attribute(value=value, attr=("environ" | "getenv") as name) if self.kind(value) == "os":
                return name
        return ""

    def read(self, node: ast.expr) -> tuple[str, bool, ast.expr | None] | None:
        """Return the variable that a node reads, whether it is required, and its default."""
        match node:
            case ast.Subscript(value=value, slice=ast.Constant(value=str(name)), ctx=ast.Load()):
                return (name, not self.caught, None) if self.kind(value) == "environ" else None
            case ast.Call(func=function, args=[ast.Constant(value=str(name)), *others]):
                words = {word.arg: word.value for word in node.keywords}
                default = others[0] if others else words.get("default")
            case _:
                return None
        match function:
            case ast.Attribute(value=owner, attr=("get" | "pop") as method) if self.kind(owner) == "environ":
                return name, method == "pop" and default is None, default
            case ast.Attribute(attr="from_envvar"):  # Flask's: the variable names a file
                silent = default or words.get("silent")
                return name, not (isinstance(silent, ast.Constant) and silent.value), None
        return (name, False, default) if self.kind(function) == "getenv" else None

    def note(self, node: ast.expr, fallback: ast.expr | None = None) -> bool:
        if not (found := self.read(node)):
            return False
        name, required, default = found
        self.reads.required[name] = self.reads.required.get(name, False) or required
        texts = self.reads.defaults.setdefault(name, set())
        texts |= {text for value in (default, fallback) if (text := text_in(value)) is not None}
        return True

    def visit_Subscript(self, node: ast.Subscript) -> None:
        self.note(node)
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        self.note(node)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        if isinstance(node.op, ast.Or):
            self.note(node.values[0], node.values[-1])
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        name = text_in(node.left)
        if (
            name
            and isinstance(node.ops[0], ast.In | ast.NotIn)
            and self.kind(node.comparators[0]) == "environ"
        ):
            self.reads.required.setdefault(name, False)
            self.tested.add(name)
        self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        handled = any(handler.type is None or MISSING & names_in(handler.type) for handler in node.handlers)
        self.caught += handled
        for child in node.body:
            self.visit(child)
        self.caught -= handled
        for part in (*node.handlers, *node.orelse, *node.finalbody):
            self.visit(part)


def names_in(node: ast.expr) -> set[str]:
    return {child.id for child in ast.walk(node) if isinstance(child, ast.Name)}
