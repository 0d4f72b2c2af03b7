"""Mistakes in Python code that a development server hides and production reveals."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.new_site.databases import settings
from tools.new_site.environment import Reads
from tools.new_site.factories import Function, Resolver
from tools.new_site.scopes import Visitor, last_name, statements, text_in
from tools.new_site.state import shared_state

if TYPE_CHECKING:
    from tools.new_site.modules import Module

SECRET_KEY = re.compile(r"(?i)(\w*_)?SECRET_?KEY|\w*PASSWORD_SALT")
GENERATORS = re.compile(
    r"os\.urandom|(secrets|uuid|random)\.\w+|Crypto\S*\.get_random_bytes|cryptography\S*\.Fernet\.generate_key"
)
SCHEDULERS = re.compile(r"(Background|Gevent|Tornado|AsyncIO|Twisted|Qt)Scheduler|APScheduler")
SERVERS = {"app", "application", "server", "socketio"}
FACTORY = re.compile(r"(create|make|build)_\w*app\w*")


@dataclass
class Mistakes:
    """The mistakes of a module: a line number and a message each."""

    lines: list[tuple[int, str]] = field(default_factory=list)


def mistakes(tree: ast.Module, resolve: Resolver, reads: Reads, functions: dict[str, Function]) -> Mistakes:
    visitor = MistakesVisitor(tree, resolve, functions)
    visitor.variables = set(reads.required)
    visitor.visit(tree)
    return visitor.found


class MistakesVisitor(Visitor):
    def __init__(self, tree: ast.Module, resolve: Resolver, functions: dict[str, Function]) -> None:
        super().__init__()
        self.resolve = resolve
        self.own_functions = functions
        self.found = Mistakes()
        self.variables: set[str] = set()  # of the environment, which the module reads
        self.generated: set[str] = set()  # top-level names with a generated value
        for node in statements(tree.body):
            for name, value in settings(node):
                if self.is_generated(value):
                    self.generated.add(name)

    def visit(self, node: ast.AST) -> None:
        for name, value in settings(node):
            self.secret_key(name, value)
        super().visit(node)

    def secret_key(self, name: str, value: ast.expr) -> None:
        reads_key = any(map(SECRET_KEY.fullmatch, self.variables))
        if reads_key or not SECRET_KEY.fullmatch(name) or self.variables & set(texts_in(value)):
            return
        name = name.upper()
        remedy = f"Read {name} from the environment, and keep its value in `secrets`."
        if self.is_generated(value):
            problem = f"{name} is generated on import, so every worker and every restart has another one."
            self.note(value, f"{problem} {remedy}")
        elif text_in(value):
            self.note(
                value,
                f"{name} is in the source code, so everyone with access can forge sessions. {remedy}",
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

    def visit_Call(self, node: ast.Call) -> None:
        self.background(node)
        self.generic_visit(node)

    def background(self, node: ast.Call) -> None:
        dotted = self.resolve(node.func)
        name = dotted.rpartition(".")[2] or last_name(node.func)
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


def texts_in(node: ast.AST) -> Iterator[str]:
    return (text for part in ast.walk(node) if (text := text_in(part)))


def warnings_of(modules: Iterable[Module]) -> Iterator[str]:
    """Yield a line for each mistake: PATH:LINE, the problem, the remedy."""
    modules = list(modules)
    for module in modules:
        for number, line in module.mistakes.lines:
            yield f"{module.path}:{number}: {line}"
    yield from shared_state(modules)
