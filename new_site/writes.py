"""Folders that Python code writes: Flask's instance folder, and folders with a constant name."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from new_site.databases import settings
from new_site.scopes import Visitor, last_name, text_in

UPLOAD_SETTING = re.compile(
    r"(?i)UPLOADS?_(FOLDER|DIR|DIRECTORY|PATH|DEST)|UPLOADED_\w+_DEST|MEDIA_(FOLDER|ROOT)"
)


@dataclass
class Writes:
    """The folders that a module writes."""

    instance: bool = False
    other_instance: bool = False  # Flask(instance_path=…) chooses the folder
    folders: set[str] = field(default_factory=set)  # relative to the source


def writes(tree: ast.Module) -> Writes:
    visitor = WritesVisitor()
    visitor.visit(tree)
    return visitor.writes


class WritesVisitor(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.writes = Writes()

    def visit(self, node: ast.AST) -> None:
        for name, value in settings(node):
            if UPLOAD_SETTING.fullmatch(name):
                self.add(text_in(value))
        super().visit(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.writes.instance |= node.attr in {"instance_path", "open_instance_resource"}
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        words = {word.arg: word.value for word in node.keywords}
        first = text_in(node.args[0]) if node.args else None
        match node.func:
            case ast.Name(id="Flask" | "APIFlask") | ast.Attribute(attr="Flask" | "APIFlask"):
                relative = words.get("instance_relative_config")
                self.writes.instance |= isinstance(relative, ast.Constant) and relative.value is True
                self.writes.other_instance |= "instance_path" in words
            case ast.Name(id="mkdir" | "makedirs") | ast.Attribute(attr="mkdir" | "makedirs") if first:
                self.add(first)
            case ast.Attribute(value=ast.Call(func=function, args=[path]), attr="mkdir") if (
                last_name(function) == "Path"
            ):
                self.add(text_in(path))
            case ast.Attribute(attr="connect") if first and first.startswith("instance/"):
                self.writes.instance = True
        self.generic_visit(node)

    def add(self, text: str | None) -> None:
        path = PurePosixPath(text or "")
        if not path.parts or path.is_absolute() or ".." in path.parts or "~" in path.parts[0]:
            return
        if path.parts[0] == "instance":
            self.writes.instance = True
        else:
            self.writes.folders.add(str(path))
