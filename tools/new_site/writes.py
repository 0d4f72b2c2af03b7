"""Folders that Python code writes: Flask's instance folder, and folders with a constant name."""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from tools.new_site.databases import settings
from tools.new_site.scopes import Visitor, last_name, text_in

UPLOAD_SETTING = re.compile(
    r"(?i)UPLOADS?_(FOLDER|DIR|DIRECTORY|PATH|DEST)|UPLOADED_\w+_DEST|MEDIA_(FOLDER|ROOT)"
)


@dataclass
class Writes:
    """The folders that a module writes."""

    instance: bool = False
    other_instance: bool = False  # Flask(instance_path=…) chooses the folder
    folders: set[str] = field(default_factory=set)  # relative to the source
    relative: set[tuple[int, str]] = field(default_factory=set)  # levels above the file, and a path there


def writes(tree: ast.Module) -> Writes:
    visitor = WritesVisitor()
    for node in tree.body:
        for name, value in settings(node):
            if "__file__" in (text := ast.unparse(value)):
                visitor.bases[name] = levels(text)
    visitor.visit(tree)
    return visitor.writes


class WritesVisitor(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.writes = Writes()
        self.bases: dict[str, int] = {}  # top-level names of folders, by their levels above the file

    def visit(self, node: ast.AST) -> None:
        for name, value in settings(node):
            if UPLOAD_SETTING.fullmatch(name):
                self.add_path(value)
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
            case ast.Name(id="mkdir" | "makedirs") | ast.Attribute(attr="mkdir" | "makedirs") if node.args:
                self.add_path(node.args[0])
            case ast.Attribute(value=ast.Call(func=function, args=[path]), attr="mkdir") if (
                last_name(function) == "Path"
            ):
                self.add_path(path)
            case ast.Attribute(attr="connect") if first and first.startswith("instance/"):
                self.writes.instance = True
        self.generic_visit(node)

    def add_path(self, node: ast.expr) -> None:
        """Add a constant path, or one that starts at the file's folder or at `root_path`."""
        match node:
            case ast.Constant(value=str(text)):
                self.add(text)
            case ast.Call(func=ast.Attribute(attr="join"), args=[base, *parts]):
                texts = [found for part in parts if (found := text_in(part))]
                if len(texts) == len(parts):
                    self.add_relative(base, texts)
            case ast.BinOp(left=base, op=ast.Div(), right=ast.Constant(value=str(text))):
                self.add_relative(base, [text])

    def add_relative(self, base: ast.expr, parts: list[str]) -> None:
        path = PurePosixPath(*parts)
        text = ast.unparse(base)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            return
        if text in self.bases:
            self.writes.relative.add((self.bases[text], str(path)))
        elif "__file__" in text:
            self.writes.relative.add((levels(text), str(path)))
        elif isinstance(base, ast.Attribute) and base.attr == "root_path":
            self.writes.relative.add((1, str(path)))
        elif text in {"os.getcwd()", "Path.cwd()", "'.'"}:
            self.add(str(path))

    def add(self, text: str | None) -> None:
        path = PurePosixPath(text or "")
        if not path.parts or path.is_absolute() or ".." in path.parts or "~" in path.parts[0]:
            return
        if path.parts[0] == "instance":
            self.writes.instance = True
        else:
            self.writes.folders.add(str(path))


def levels(text: str) -> int:
    """Return how many folders an expression with __file__ is above the file; 1 is the file's own folder."""
    return text.count("dirname(") + text.count(".parent") + text.count("'..'") + text.count("pardir")
