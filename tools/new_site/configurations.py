"""Variables that select a configuration, such as FLASK_CONFIG, and their value for production."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tools.new_site.scopes import last_name, text_in

if TYPE_CHECKING:
    from tools.new_site.modules import Module

REPLACE_ME = "REPLACE_ME"
SELECTOR = re.compile(
    r"([A-Z0-9]+_)*(CONFIG|CONFIGURATION|SETTINGS|ENV|ENVIRONMENT|STAGE|MODE|PROFILE)"
    r"(_(NAME|MODE|CLASS|TYPE|OBJECT|MODULE|SETUP))?"
)
# Names that select a configuration also without a default.
CERTAIN_SELECTOR = re.compile(
    r"([A-Z0-9]+_)?(CONFIG|CONFIGURATION|ENV|ENVIRONMENT)(_(NAME|MODE|CLASS|TYPE))?|(APP|FLASK)_SETTINGS"
)
PRODUCTION = re.compile(r"(?i)prod|production")
DEVELOPMENT = re.compile(r"(?i)dev|devel|develop|development|default|local|debug")
PRODUCTION_CLASS = re.compile(
    r"(Prod|Production)(Config|Configuration|Settings)?|(Config|Settings)(Prod|Production)"
)
DEVELOPMENT_CLASS = re.compile(r"(?i)(.*[.:])?(\w*(dev|default|local|debug)\w*|config|settings)")


@dataclass
class Configurations:
    """The configurations that a module defines and selects."""

    names: set[str] = field(default_factory=set)  # keys and comparisons, such as production
    classes: set[str] = field(default_factory=set)  # such as ProductionConfig
    composes_class: bool = False  # f"config.{name.title()}Config"
    is_object: set[str] = field(default_factory=set)  # variables with an import path as value


def configurations(tree: ast.Module) -> Configurations:
    found = Configurations()
    variables: dict[str, set[str]] = {}  # names in the code that hold a selector's value
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                variables[name] = variables_in(value)
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef(name=name):
                found.classes.add(name)
            case ast.Dict(keys=keys, values=values):
                names = {text for key in keys if (text := text_in(key))}
                found.names |= (
                    names if len(names) > 1 or any(not isinstance(v, ast.Constant) for v in values) else set()
                )
            case ast.Call(func=ast.Name(id="dict"), keywords=words):
                found.names |= {word.arg for word in words if word.arg}
            case ast.Call(func=ast.Attribute(attr="from_object"), args=[value, *_]):
                found.composes_class |= any(
                    isinstance(part, ast.JoinedStr | ast.BinOp) for part in ast.walk(value)
                )
                found.is_object |= variables.get(last_name(value), set()) | variables_in(value)
            case ast.Call(func=function, args=[value, *_]) if last_name(function) == "import_string":
                found.is_object |= variables.get(last_name(value), set()) | variables_in(value)
            case ast.Compare(comparators=[value, *_]):
                found.names |= {text for part in ast.walk(value) if (text := text_in(part))}
            case ast.MatchValue(value=value) if text := text_in(value):
                found.names.add(text)
            case ast.JoinedStr(values=[*_, ast.Constant(value=str(end))]) if re.match(
                r"Config|Settings", end
            ):
                found.composes_class = True
    return found


def variables_in(node: ast.expr) -> set[str]:
    """Return the selectors that an expression reads, such as `os.environ["APP_SETTINGS"]`.

    A selector that is the key of a table, as in `config[os.environ["FLASK_CONFIG"]]`, is not included.
    """
    match node:
        case ast.BoolOp(values=values):
            return {name for value in values for name in variables_in(value)}
        case (
            ast.Call(args=[ast.Constant(value=str(name)), *_])
            | ast.Subscript(slice=ast.Constant(value=str(name)))
        ):
            return {name} if SELECTOR.fullmatch(name) else set()
    return set()


def selected(modules: Iterable[Module]) -> dict[str, tuple[str, str]]:
    """Return, by variable, the configuration for production or REPLACE_ME, and the default.

    Variables with a default for production are not included, nor are those without evidence that
    they select a configuration.
    """
    modules = list(modules)
    required: dict[str, bool] = {}
    defaults: dict[str, set[str]] = {}
    for module in modules:
        for name, needed in module.reads.required.items():
            required[name] = required.get(name, False) or needed
            defaults.setdefault(name, set()).update(module.reads.defaults.get(name, ()))
    names = {name for module in modules for name in module.configurations.names if PRODUCTION.fullmatch(name)}
    files = {module.path.with_suffix("") for module in modules}
    found = {}
    for name, needed in required.items():
        if not SELECTOR.fullmatch(name) or any(is_production(text) for text in defaults[name]):
            continue
        default = next(iter(sorted(defaults[name])), "")
        if default and not (DEVELOPMENT.fullmatch(default) or DEVELOPMENT_CLASS.fullmatch(default)):
            continue
        if not default and not CERTAIN_SELECTOR.fullmatch(name):
            continue
        # A module in the folder of the default's, such as config/production.py for config/development.py.
        siblings = {path.name for path in files if path.with_name(default or "-") in files}
        value = value_for(name, default, names | set(filter(PRODUCTION.fullmatch, siblings)), modules)
        if value or default or needed:
            found[name] = value or REPLACE_ME, default
    return found


def is_production(text: str) -> bool:
    name = re.split(r"[.:]", text)[-1]
    return bool(PRODUCTION.fullmatch(name) or PRODUCTION_CLASS.fullmatch(name))


def value_for(name: str, default: str, names: set[str], modules: list[Module]) -> str:
    """Return the configuration for production in the form of the default, or ""."""
    classes = {
        (module.name, other)
        for module in modules
        for other in module.configurations.classes
        if PRODUCTION_CLASS.fullmatch(other)
    }
    if dotted := re.match(r".*[.:]", default):
        prefix = dotted[0]
        return next((prefix + other for module, other in sorted(classes) if prefix[:-1] == module), "")
    if (
        any(name in module.configurations.is_object for module in modules)
        and not default
        and len(classes) == 1
    ):
        return ".".join(*classes)
    if names:
        short = len(default) <= 4 and default.lower().startswith("dev")
        return sorted(
            names, key=lambda text: (text[:1].isupper() != default[:1].isupper(), (len(text) > 4) == short)
        )[0]
    if classes and any(module.configurations.composes_class for module in modules):
        found = PRODUCTION_CLASS.fullmatch(min(classes)[1])
        word = (found and found[1]) or "Production"
        return word if default[:1].isupper() else word.lower()
    return ""


def production_argument(parameter: str, default: str | None, modules: Iterable[Module]) -> str:
    """Return the argument that selects the configuration for production in a factory, or "".

    It is necessary where the parameter has no default, or one for development.
    """
    if not re.search(r"(?i)config|env|settings|mode", parameter):
        return ""
    if default is not None and not DEVELOPMENT.fullmatch(default):
        return ""
    names = {name for module in modules for name in module.configurations.names if PRODUCTION.fullmatch(name)}
    return value_for("", default or "", names, []) if names else ""
