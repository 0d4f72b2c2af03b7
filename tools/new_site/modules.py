"""Python files of a source, parsed and not run, and the facts that an entry needs of each."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.new_site.configurations import Configurations, configurations
from tools.new_site.databases import database_urls
from tools.new_site.environment import Reads, environment_reads
from tools.new_site.factories import Function, Resolver, functions, resolver
from tools.new_site.files import LARGEST, python_files
from tools.new_site.mistakes import Mistakes, mistakes
from tools.new_site.scopes import is_main_guard, last_name, statements, text_in
from tools.new_site.state import State, state
from tools.new_site.writes import Writes, writes

OBJECTS = ("application", "app")  # usual names of an application

# Calls on import that prepare an application. Other calls in a top-level file indicate a script.
PREPARATION = {
    "add_url_rule",
    "append",
    "basicConfig",
    "dictConfig",
    "filterwarnings",
    "from_envvar",
    "from_file",
    "from_mapping",
    "from_object",
    "from_prefixed_env",
    "from_pyfile",
    "init",
    "init_app",
    "insert",
    "load_dotenv",
    "monkey_patch",
    "patch_all",
    "register_blueprint",
    "run",
    "setLevel",
    "simplefilter",
    "update",
}


@dataclass
class Module:
    """The facts of one Python file."""

    path: Path
    root: str = ""  # the folder that its name starts at: "" or "src"
    objects: dict[str, str] = field(default_factory=dict)  # top-level names, and what makes them
    functions: dict[str, Function] = field(default_factory=dict)
    classes: dict[str, list[str]] = field(default_factory=dict)  # with their bases
    imports: set[str] = field(default_factory=set)  # modules that it cannot do without
    optional_imports: set[str] = field(default_factory=set)
    references: set[str] = field(default_factory=set)  # dotted paths of imported modules and names
    is_script: bool = False
    rank: int = 0  # how likely it is the application's: 0 is the likeliest
    reads: Reads = field(default_factory=Reads)
    configurations: Configurations = field(default_factory=Configurations)
    writes: Writes = field(default_factory=Writes)
    mistakes: Mistakes = field(default_factory=Mistakes)
    state: State = field(default_factory=State)
    database_urls: set[str] = field(default_factory=set)  # at least their beginnings
    routes: list[str] = field(default_factory=list)
    prefixed: bool = False
    static: tuple[str, str] | None = None  # Flask's static_folder and its URL

    @property
    def name(self) -> str:
        parts = [*self.path.relative_to(self.root).parts[:-1], self.path.stem]
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def parsed(folder: Path) -> Iterator[Module]:
    """Yield the modules of a folder. Skip files that cannot be read, parsed or imported."""
    # A folder src with an __init__.py is a package of that name.
    source_folder = "" if (folder / "src/__init__.py").exists() else "src"
    for path in python_files(folder):
        root = source_folder if path.parts[0] == source_folder and len(path.parts) > 1 else ""
        try:
            if (folder / path).stat().st_size > LARGEST:
                continue
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse((folder / path).read_bytes())
            yield read_module(Module(path, root), tree)
        except (OSError, SyntaxError, ValueError, RecursionError):
            continue


def read_module(module: Module, tree: ast.Module) -> Module:
    resolve = resolver(module.name, module.path.stem == "__init__", tree)
    module.functions = functions(tree, resolve)
    module.reads = environment_reads(tree)
    module.configurations = configurations(tree)
    module.writes = writes(tree)
    module.mistakes = mistakes(tree, resolve, module.reads, module.functions)
    module.state = state(tree, resolve)
    module.database_urls = database_urls(tree)
    read_objects(module, tree, resolve)
    read_imports(module, tree, resolve)
    module.is_script = bool(set(calls_on_import(tree)) - PREPARATION)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            read_call(module, node)
    return module


def read_objects(module: Module, tree: ast.Module, resolve: Resolver) -> None:
    for node in statements(tree.body):
        match node:
            case ast.ClassDef(name=name):
                bases = [resolve(base) for base in node.bases]
                calls = [
                    part
                    for part in node.body
                    if isinstance(part, ast.FunctionDef) and part.name == "__call__"
                ]
                is_wsgi = any(len(call.args.args) == 3 for call in calls)  # self, environ, start_response
                module.classes[name] = [*bases, *(["wsgi"] if is_wsgi else [])]
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=ast.Call(func=function))
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.Call(func=function))
            ):
                module.objects[name] = resolve(function)
            case ast.Assign(
                targets=[ast.Name(id=name)], value=ast.Attribute(value=ast.Name(id=owner), attr="server")
            ):
                if owner in module.objects:
                    module.objects[name] = f"{module.objects[owner]}.server"
            case ast.ImportFrom(names=names) if module.path.stem == "wsgi":
                imported = [name for alias in names if (name := alias.asname or alias.name) in OBJECTS]
                module.objects |= {name: f"object {resolve(ast.Name(id=name))}" for name in imported}


def read_imports(module: Module, tree: ast.Module, resolve: Resolver) -> None:
    """Separate imports of the module itself from those in functions and in `try`."""
    required: set[ast.AST] = set()
    for statement in tree.body:
        is_branch = isinstance(statement, ast.If) and not is_main_guard(statement.test)
        required |= set(ast.walk(statement)) if is_branch else {statement}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found = {alias.name for alias in names}
                module.references |= found
            case ast.ImportFrom(module=name, names=names, level=level):
                module.references |= {resolve(ast.Name(id=alias.asname or alias.name)) for alias in names}
                found = {name} if name and not level else set()
            case _:
                continue
        (module.imports if node in required else module.optional_imports).update(found)


def calls_on_import(tree: ast.Module) -> Iterator[str]:
    """Yield the names of calls without a use of the result. Skip calls in an `if`, which may not run."""
    for node in statements([node for node in tree.body if not isinstance(node, ast.If)]):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            yield last_name(node.value.func)


def read_call(module: Module, node: ast.Call) -> None:
    name = last_name(node.func)
    words = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
    module.prefixed |= "url_prefix" in words
    if name == "Flask":
        folder = words.get("static_folder", "static")
        if isinstance(folder, str):
            url = words.get("static_url_path")
            url = f"/{Path(folder).name}" if url is None else url
            module.static = folder, f"/{str(url).strip('/')}/".replace("//", "/")
    text = text_in(node.args[0]) if node.args else None
    if text and text.startswith("/") and name in {"route", "get", "add_url_rule"}:
        module.routes.append(text)
