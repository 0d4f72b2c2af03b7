"""Mistakes in Python code that a development server hides and production reveals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from new_site.databases import settings
from new_site.environment import Reads
from new_site.factories import Function, Resolver
from new_site.scopes import Visitor, last_name, statements, text_in

if TYPE_CHECKING:
    from new_site.modules import Module

SECRET_KEY = re.compile(r"(?i)(\w*_)?SECRET_?KEY|\w*PASSWORD_SALT")
GENERATORS = re.compile(
    r"os\.urandom|(secrets|uuid|random)\.\w+|Crypto\S*\.get_random_bytes|cryptography\S*\.Fernet\.generate_key"
)
SCHEDULERS = re.compile(r"(Background|Gevent|Tornado|AsyncIO|Twisted|Qt)Scheduler|APScheduler")
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
}
VIEW_CLASSES = {"View", "MethodView", "Resource"}
VERBS = {"get", "post", "put", "patch", "delete", "dispatch_request"}
SERVERS = {"app", "application", "server", "socketio"}
FACTORY = re.compile(r"(create|make|build)_\w*app\w*")


@dataclass
class Scope:
    """What a function does, by dotted names; a name of the module itself has no dot."""

    changes: list[tuple[str, int]] = field(default_factory=list)
    calls: set[str] = field(default_factory=set)


@dataclass
class Mistakes:
    lines: list[tuple[int, str]] = field(default_factory=list)  # found in this module alone
    containers: set[str] = field(default_factory=set)  # top-level names
    scopes: dict[str, Scope] = field(default_factory=dict)
    views: set[str] = field(default_factory=set)


def mistakes(tree: ast.Module, resolve: Resolver, reads: Reads, functions: dict[str, Function]) -> Mistakes:
    visitor = MistakesVisitor(tree, resolve, functions)
    visitor.reads_key = any(SECRET_KEY.fullmatch(name) for name in reads.required)
    visitor.visit(tree)
    return visitor.found


class MistakesVisitor(Visitor):
    def __init__(self, tree: ast.Module, resolve: Resolver, functions: dict[str, Function]) -> None:
        super().__init__()
        self.resolve = resolve
        self.own_functions = functions
        self.found = Mistakes()
        self.reads_key = False
        self.view_class = False
        self.generated: set[str] = set()  # top-level names with a generated value
        for node in statements(tree.body):
            owner = f"{node.name}." if isinstance(node, ast.ClassDef) else ""
            for part in node.body if isinstance(node, ast.ClassDef) else [node]:
                containers = {name for name, value in settings(part) if is_container(value)}
                self.found.containers |= {owner + name for name in containers}
            for name, value in settings(node):
                if self.is_generated(value):
                    self.generated.add(name)

    def visit(self, node: ast.AST) -> None:
        for name, value in settings(node):
            self.secret_key(name, value)
        super().visit(node)

    def secret_key(self, name: str, value: ast.expr) -> None:
        if self.reads_key or not SECRET_KEY.fullmatch(name):
            return
        name = name.upper()
        remedy = f"Read {name} from the environment, and keep its value in `secrets`."
        if self.is_generated(value):
            problem = f"{name} is generated on import, so every worker and every restart has another one."
            self.note(value, f"{problem} {remedy}")
        elif text_in(value):
            self.note(
                value, f"{name} is in the source code, so everyone who reads it can forge sessions. {remedy}"
            )

    def is_generated(self, value: ast.expr) -> bool:
        return any(
            (isinstance(part, ast.Call) and self.generates(part.func))
            or (isinstance(part, ast.Name) and part.id in self.generated)
            for part in ast.walk(value)
        )

    def generates(self, function: ast.expr) -> bool:
        own = self.own_functions.get(last_name(function)) if isinstance(function, ast.Name) else None
        return bool(GENERATORS.fullmatch(own.maker if own else self.resolve(function)))

    def note(self, node: ast.AST, line: str) -> None:
        self.found.lines.append((getattr(node, "lineno", 1), line))

    # --- Functions and views ---

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
        super().visit_FunctionDef(node)

    visit_AsyncFunctionDef = visit_FunctionDef
    visit_Lambda = visit_FunctionDef

    @property
    def scope(self) -> Scope | None:
        """The function around a node, by its name: methods and nested functions have their own."""
        names = [name for function in self.functions if (name := getattr(function, "name", ""))]
        return self.found.scopes.setdefault(names[-1], Scope()) if names else None

    # --- Changes ---

    def change(self, target: ast.expr) -> None:
        while isinstance(target, ast.Subscript | ast.Call):
            if isinstance(target, ast.Call):  # data.setdefault("a", []).append(1)
                target = target.func.value if isinstance(target.func, ast.Attribute) else target.func
            else:
                target = target.value
        root = target
        while isinstance(root, ast.Attribute):
            root = root.value
        if self.scope and isinstance(root, ast.Name) and not self.is_local(root.id):
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
            if isinstance(target, ast.Subscript):
                self.change(target)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        for target in node.targets:
            if isinstance(target, ast.Subscript):
                self.change(target)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self.change(node.target)
        if isinstance(node.target, ast.Name) and self.scope and not self.is_local(node.target.id):
            self.found.containers.add(node.target.id)  # a counter, declared global
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = last_name(node.func)
        if isinstance(node.func, ast.Attribute) and name in CHANGES:
            self.change(node.func.value)
        if self.scope:
            self.scope.calls.add(self.resolve(node.func))
        for word in node.keywords:
            if word.arg == "view_func" and isinstance(word.value, ast.Name):
                self.found.views.add(word.value.id)
        self.background(node, name)
        self.generic_visit(node)

    def background(self, node: ast.Call, name: str) -> None:
        dotted = self.resolve(node.func)
        at_start = all(FACTORY.fullmatch(getattr(function, "name", "")) for function in self.functions)
        if SCHEDULERS.fullmatch(name):
            self.note(
                node,
                f"{name} runs every job once per worker of the web application. "
                "Run each job by `timers`, or the scheduler by `processes`.",
            )
        elif dotted in {"threading.Thread", "threading.Timer", "multiprocessing.Process"} and at_start:
            self.note(
                node,
                f"{dotted} starts once per worker of the web application. Run this work by `processes`.",
            )
        elif name == "run" and not self.functions and isinstance(node.func, ast.Attribute):
            owner = last_name(node.func.value)
            if owner in SERVERS:
                self.note(
                    node,
                    f"{owner}.run() starts a development server on import. "
                    'Put the call below `if __name__ == "__main__":`.',
                )


def is_container(value: ast.expr) -> bool:
    match value:
        case ast.Dict() | ast.List() | ast.Set() | ast.DictComp() | ast.ListComp() | ast.SetComp():
            return True
        case ast.Call(func=function):
            return last_name(function) in CONTAINERS
    return False


def warnings_of(modules: Iterable[Module]) -> Iterator[str]:
    """Yield a line for each mistake: PATH:LINE, the problem, the remedy."""
    modules = list(modules)
    for module in modules:
        for number, line in module.mistakes.lines:
            yield f"{module.path}:{number}: {line}"
    yield from shared_state(modules)


def shared_state(modules: list[Module]) -> Iterator[str]:
    """Yield a line for each top-level container that a view, or a function that a view calls, changes."""
    scopes = {
        f"{module.name}.{name}": (module, scope)
        for module in modules
        for name, scope in module.mistakes.scopes.items()
    }
    containers = {f"{module.name}.{name}" for module in modules for name in module.mistakes.containers}
    pending = [f"{module.name}.{name}" for module in modules for name in sorted(module.mistakes.views)]
    visited, reported = set(pending), set()
    while pending:
        module, scope = scopes.get(pending.pop(0), (None, None))
        if not module:
            continue
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
