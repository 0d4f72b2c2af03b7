"""The WSGI or ASGI application of a source: the object that gunicorn imports."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tools.new_site.commands import WSGI
from tools.new_site.configurations import production_argument
from tools.new_site.files import has_template
from tools.new_site.modules import OBJECTS, Module
from tools.new_site.ranks import FIRST, is_importable, order, rank
from tools.new_site.starts import Start, Starts

FACTORIES = ("create_app", "make_app", "create_application")
WSGI_CLASSES = re.compile(
    r"(\S+\.)?(Flask|APIFlask|Eve|Bottle|OpenAPI|ASGIMiddleware|WSGIApp|WhiteNoise|ProxyFix"
    r"|DispatcherMiddleware|SharedDataMiddleware)|falcon\.(App|API)|wsgi"
)
ASGI_CLASSES = re.compile(
    r"(\S+\.)?(Quart|FastAPI|Starlette|Sanic|Litestar|BlackSheep|FastHTML|Robyn|Esmerald|ASGIApp|WsgiToAsgi)"
    r"|(blacksheep|falcon\.asgi|asgiref|starlette|fastapi|quart|sanic|litestar|socketio\.Async)\.\S+"
)
DASH = re.compile(r"(\S+\.)?Dash")


@dataclass
class Application:
    """The target for gunicorn, or the reason for a missing one."""

    wsgi: str = ""
    note: str = ""
    module: Module | None = None
    start: Start | None = None  # the command that names it
    is_asgi: bool = False


@dataclass
class Code:
    """The modules of a source, and the kinds of the objects in them."""

    modules: list[Module]
    by_name: dict[str, Module] = field(init=False)

    def __post_init__(self) -> None:
        for module in self.modules:
            module.rank = rank(module)
        self.modules = sorted(self.modules, key=order)
        self.by_name = {module.name: module for module in reversed(self.modules)}

    def kind(self, dotted: str, depth: int = 0) -> str:
        """Return wsgi, asgi or dash for the maker of an object; "unknown" for a function of others."""
        dotted, server, _ = (
            (dotted, "", "") if not dotted.endswith(".server") else dotted.partition(".server")
        )
        if depth > 9 or not dotted or dotted == "tuple":
            return ""
        if dotted.startswith("object "):
            owner, _, name = dotted.removeprefix("object ").rpartition(".")
            known = self.by_name.get(owner)
            return self.kind(known.objects.get(name, ""), depth + 1) or "unknown" if known else "unknown"
        owner, _, name = dotted.rpartition(".")
        module = self.by_name.get(owner)
        if module and name in module.functions:
            maker = module.functions[name].maker
            kind = self.kind(maker, depth + 1) if maker else "unknown"
        elif module and name in module.classes:
            kinds = [self.kind(base, depth + 1) for base in module.classes[name]]
            kind = next((kind for kind in kinds if kind and kind != "unknown"), "")
        elif ASGI_CLASSES.fullmatch(dotted):
            kind = "asgi"
        elif DASH.fullmatch(dotted):
            kind = "dash"
        elif WSGI_CLASSES.fullmatch(dotted):
            kind = "wsgi"
        else:
            kind = "unknown" if name[:1].islower() else ""
        if server:
            return "wsgi" if kind in {"dash", "unknown"} else ""
        return kind

    def targets(self, module: Module) -> Iterator[tuple[str, str]]:
        """Yield the objects and factories of a module with their kinds, the likeliest first."""
        for name in sorted(
            module.objects,
            key=lambda name: (name not in OBJECTS, OBJECTS.index(name) if name in OBJECTS else 0),
        ):
            kind = self.kind(module.objects[name])
            if kind in {"asgi", "dash", "wsgi"} or (kind == "unknown" and name in OBJECTS):
                yield name, kind
        for name in sorted(module.functions, key=lambda name: name not in FACTORIES):
            function = module.functions[name]
            kind = self.kind(function.maker) if function.maker else "unknown"
            if name not in FACTORIES and (kind != "wsgi" or name.startswith("_")):
                continue
            argument = production_argument(function.parameter, function.default, self.modules)
            if argument:
                yield f'{name}("{argument}")', kind
            elif not function.needs_arguments:
                yield f"{name}()", kind


def reachable(code: Code, name: str) -> set[str]:
    """Return the names of the modules that a module imports, directly or not, and its own."""
    found: set[str] = set()
    pending = [name]
    while pending:
        parts = pending.pop().split(".")
        # An import of a.b.c runs a and a.b as well; c may be a name in a.b.
        names = {".".join(parts[:count]) for count in range(1, len(parts) + 1)}
        for known in (names & code.by_name.keys()) - found:
            found.add(known)
            pending += code.by_name[known].references
    return found


def choose(code: Code, starts: Starts, folder: Path) -> Application:
    """Return the application that a start command names, else the likeliest in the code."""
    named = [start for start in starts.starts if start.server.wsgi and not has_template(start.server.wsgi)]
    # A module that does not exist here may be in another folder of the image.
    for start in sorted(named, key=lambda start: start.server.wsgi.partition(":")[0] not in code.by_name):
        if not WSGI.fullmatch(start.server.wsgi):
            continue
        target = start.server.wsgi
        application = checked(code, target, start)
        if application.wsgi or application.note:
            return application
    if starts.flask_app and (application := flask_app(code, starts.flask_app)).wsgi:
        return application
    return guessed(code)


def checked(code: Code, target: str, start: Start | None = None) -> Application:
    """Return a target that a command names, corrected by the code; a note where gunicorn cannot run it."""
    name, _, inside = target.partition(":")
    module = code.by_name.get(name)
    is_asgi = bool(start and start.server.is_asgi)
    if not module:
        return Application(target, start=start, is_asgi=is_asgi)
    plain = inside.partition("(")[0]
    if plain in module.functions and "(" not in inside and not module.functions[plain].needs_arguments:
        inside += "()"
    maker = module.objects.get(plain) or (f"{name}.{plain}" if plain in module.functions else "")
    kind = code.kind(maker) if maker else "unknown"
    if kind == "dash":
        return dash_server(code, module, inside, start)
    is_asgi = kind == "asgi" or (kind == "unknown" and is_asgi)
    return Application(f"{name}:{inside}", module=module, start=start, is_asgi=is_asgi)


def flask_app(code: Code, value: str) -> Application:
    """Return the application of FLASK_APP: a file or a module, with or without a name in it."""
    name, _, inside = value.partition(":")
    name = name.removeprefix("./").removesuffix(".py").removeprefix("src/").replace("/", ".")
    if has_template(value):
        return Application()
    if inside:
        return checked(code, f"{name}:{inside}()" if inside in FACTORIES else f"{name}:{inside}")
    return in_module(code, code.by_name[name]) if name in code.by_name else Application()


def guessed(code: Code) -> Application:
    """Return the likeliest application. An ASGI application next to a WSGI application may wrap it."""
    asgi, note = None, ""
    for module in code.modules:
        if not is_importable(module) or module.rank > 6:
            continue
        application = in_module(code, module)
        if application.wsgi and not application.is_asgi:
            return application
        asgi = asgi or (application if application.wsgi else None)
        note = note or application.note
    return asgi or Application(note=note)


def in_module(code: Code, module: Module) -> Application:
    """Return the application of a module. A script that imports a factory is not proposed."""
    other = Application()
    makes_flask = any(
        code.kind(maker) == "wsgi" and maker.endswith("Flask") for maker in module.objects.values()
    )
    is_script = module.is_script and not makes_flask and module.path.stem not in FIRST
    for name, kind in code.targets(module):
        if kind == "asgi" and not other.wsgi:
            other = Application(f"{module.name}:{name}", module=module, is_asgi=True)
        elif kind == "dash":
            server = f"{module.objects.get(name, '')}.server"
            if server not in module.objects.values():
                other = other if other.note or other.wsgi else dash_server(code, module, name)
        elif kind != "asgi" and kind and not (is_script and name in module.objects):
            return Application(f"{module.name}:{name}", module=module)
    return other


def dash_server(code: Code, module: Module, name: str, start: Start | None = None) -> Application:
    """Return the object of a module that has the WSGI application of a Dash object."""
    for other, maker in module.objects.items():
        if maker == f"{module.objects.get(name)}.server":
            return Application(f"{module.name}:{other}", module=module, start=start)
    problem = f"{module.path}: {name} is a Dash object, and gunicorn cannot import its attribute `server`."
    other = "server" if name.endswith("()") or name != "server" else "application"
    return Application(
        note=f"{problem} Add `{other} = {name}.server` to this file, and give {module.name}:{other} instead.",
        module=module,
        start=start,
    )
