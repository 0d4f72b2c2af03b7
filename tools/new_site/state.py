"""State of a process that requests change, which the workers of a site do not share."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.new_site.databases import settings
from tools.new_site.factories import Resolver
from tools.new_site.scopes import Visitor, last_name, statements

if TYPE_CHECKING:
    from tools.new_site.modules import Module

CONTAINERS = {"dict", "list", "set", "defaultdict", "deque", "OrderedDict", "Counter"}
CHANGES = {
    "add",
    "append",
    "appendleft",
    "clear",
    "discard",
    "extend",
    "insert",
    "pop",
    "popitem",
    "popleft",
    "remove",
    "setdefault",
    "update",
}
VIEWS = {
    "route",
    "get",
    "post",
    "put",
    "patch",
    "delete",
    "before_request",
    "before_app_request",
    "after_request",
    "errorhandler",
    "callback",
    "event",
    "on",
}
VIEW_CLASSES = {"View", "MethodView", "Resource"}
VERBS = {"get", "post", "put", "patch", "delete", "dispatch_request"}


@dataclass
class Scope:
    """The effects of a function, by dotted names; a name of the module itself has no dot."""

    changes: list[tuple[str, int]] = field(default_factory=list)
    calls: set[str] = field(default_factory=set)


@dataclass
class State:
    """The containers of a module, and the functions that change some."""

    containers: set[str] = field(default_factory=set)  # top-level names
    scopes: dict[str, Scope] = field(default_factory=dict)
    views: set[str] = field(default_factory=set)


def state(tree: ast.Module, resolve: Resolver) -> State:
    visitor = StateVisitor(tree, resolve)
    visitor.visit(tree)
    return visitor.found


class StateVisitor(Visitor):
    def __init__(self, tree: ast.Module, resolve: Resolver) -> None:
        super().__init__()
        self.resolve = resolve
        self.found = State()
        self.classes = {node.name for node in tree.body if isinstance(node, ast.ClassDef)}
        self.aliases: dict[str, str] = {}  # local names of items in a container
        self.view_class = False
        for node in statements(tree.body):
            owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
            for part in node.body if isinstance(node, ast.ClassDef) else [node]:
                containers = {name for name, value in settings(part) if is_container(value)}
                self.found.containers |= {owner + name for name in containers}

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        before, self.view_class = self.view_class, any(last_name(base) in VIEW_CLASSES for base in node.bases)
        self.generic_visit(node)
        self.view_class = before

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        name = getattr(node, "name", "")
        decorators = getattr(node, "decorator_list", [])
        called = [part.func if isinstance(part, ast.Call) else part for part in decorators]
        if any(isinstance(part, ast.Attribute) and part.attr in VIEWS for part in called) or (
            self.view_class and name in VERBS
        ):
            self.found.views.add(name)
        aliases, self.aliases = self.aliases, {}
        super().visit_FunctionDef(node)
        self.aliases = aliases

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = visit_FunctionDef

    @property
    def scope(self) -> Scope | None:
        """The function around a node, by its name: methods and nested functions have their own."""
        names = [name for function in self.functions if (name := getattr(function, "name", ""))]
        return self.found.scopes.setdefault(names[-1], Scope()) if names else None

    def change(self, target: ast.expr) -> None:
        while isinstance(target, ast.Subscript | ast.Call):
            if isinstance(target, ast.Call):  # data.setdefault("a", []).append(1)
                target = target.func.value if isinstance(target.func, ast.Attribute) else target.func
            else:
                target = target.value
        root = target
        while isinstance(root, ast.Attribute):
            root = root.value
        if not self.scope or not isinstance(root, ast.Name):
            return
        if root.id in self.aliases:
            self.scope.changes.append((self.aliases[root.id], target.lineno))
        elif not self.is_local(root.id):
            name = self.resolve(target)
            if (
                isinstance(target, ast.Attribute)
                and target.attr == "config"
                and root.id in {"app", "current_app"}
            ):
                name = "app.config"
                self.found.containers.add(name)
            self.scope.changes.append((name, target.lineno))

    def visit_Assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            # A name that is not local is declared global.
            if isinstance(target, ast.Subscript) or (
                isinstance(target, ast.Name) and target.id in self.found.containers
            ):
                self.change(target)
            self.alias(target, node.value)
        self.generic_visit(node)

    def visit_For(self, node: ast.For) -> None:
        self.alias(node.target, node.iter)
        self.generic_visit(node)

    def alias(self, target: ast.expr, value: ast.expr) -> None:
        """Note a local name for an item of a container, as in `cart = carts[1]`."""
        if not self.functions or not isinstance(target, ast.Name):
            return
        is_item = isinstance(value, ast.Subscript | ast.Name)
        if isinstance(value, ast.Call) and last_name(value.func) in {"get", "setdefault", "values", "next"}:
            is_item = True
        names = [part.id for part in ast.walk(value) if isinstance(part, ast.Name)]
        outer = [name for name in names if name in self.found.containers and not self.is_local(name)]
        if is_item and outer:
            self.aliases[target.id] = outer[0]

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self.change(target)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.change(node.target)
        target = node.target
        if isinstance(target, ast.Name) and self.scope and not self.is_local(target.id):
            self.found.containers.add(target.id)  # a counter, declared global
        owner = target.value if isinstance(target, ast.Attribute) else None
        if isinstance(owner, ast.Name) and owner.id in self.classes | {"app"}:
            self.found.containers.add(ast.unparse(target))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        if isinstance(node.func, ast.Attribute) and node.func.attr in CHANGES:
            self.change(node.func.value)
        if self.scope:
            self.scope.calls.add(self.resolve(node.func))
        for word in node.keywords:
            if word.arg == "view_func" and isinstance(word.value, ast.Name):
                self.found.views.add(word.value.id)
        self.generic_visit(node)


def is_container(value: ast.expr) -> bool:
    match value:
        case ast.Dict() | ast.List() | ast.Set() | ast.DictComp() | ast.ListComp() | ast.SetComp():
            return True
        case ast.Call(func=function):
            return last_name(function) in CONTAINERS
    return False


def shared_state(modules: list[Module]) -> Iterator[str]:
    """Yield a line for each top-level container that a view, or a function that a view calls, changes."""
    scopes = {
        f"{module.name}.{name}": (module, scope)
        for module in modules
        for name, scope in module.state.scopes.items()
    }
    containers = {f"{module.name}.{name}" for module in modules for name in module.state.containers}
    pending = [f"{module.name}.{name}" for module in modules for name in sorted(module.state.views)]
    visited, reported = set(pending), set()
    while pending:
        found = scopes.get(pending.pop(0))
        if not found:
            continue
        module, scope = found
        for name, number in scope.changes:
            dotted = name if name in containers else f"{module.name}.{name}"
            if dotted in containers and dotted not in reported:
                reported.add(dotted)
                problem = f"requests change `{name.rpartition('.')[2]}`, which every worker has for itself"
                remedy = "Keep it in the database, or in Redis (`services: [redis]`)."
                yield f"{module.path}:{number}: {problem} until a restart. {remedy}"
        for name in sorted(scope.calls):
            for dotted in (name, f"{module.name}.{name}"):
                if dotted in scopes and dotted not in visited:
                    visited.add(dotted)
                    pending.append(dotted)
