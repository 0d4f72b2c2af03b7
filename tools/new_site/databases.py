"""Databases: drivers, variables that hold an address, and addresses in Python code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tools.new_site.scopes import last_name, text_in

# Drivers of MySQL by the name of the distribution. `mysqldb` is the module of mysqlclient.
MYSQL = {"pymysql", "mysqlclient", "mysqldb", "mysql-connector-python"}
BRINGS = {"flask-mysqldb": "mysqlclient", "flask-mysql": "pymysql", "aiomysql": "pymysql"}
# Distributions by module, if their names differ.
MODULES = {"mysql.connector": "mysql-connector-python", "cx_Oracle": "cx-oracle", "MySQLdb": "mysqlclient"}
UNSUPPORTED = {
    **dict.fromkeys(("psycopg", "psycopg2", "psycopg2-binary", "asyncpg", "pg8000"), "PostgreSQL"),
    **dict.fromkeys(("pymongo", "flask-pymongo", "mongoengine"), "MongoDB"),
    **dict.fromkeys(("oracledb", "cx-oracle"), "Oracle Database"),
    **dict.fromkeys(("pyodbc", "pymssql"), "SQL Server"),
}
DRIVERS = MYSQL | UNSUPPORTED.keys()
SCHEMES = {
    **dict.fromkeys(("postgres", "postgresql"), "PostgreSQL"),
    **dict.fromkeys(("mongodb", "mongodb+srv"), "MongoDB"),
    "oracle": "Oracle Database",
    "mssql": "SQL Server",
}
# Libraries for any database, which is selected by its address.
MAPPERS = {
    "sqlalchemy",
    "flask-sqlalchemy-lite",
    "sqlmodel",
    "peewee",
    "flask-peewee",
    "pony",
    "dataset",
    "records",
}

DATABASE_URL = re.compile(r"(DATABASE|DB|MYSQL|SQLALCHEMY_DATABASE|SQLALCHEMY)_UR[LI]")
DATABASE_PIECE = re.compile(
    r"(?:DATABASE|DB|MYSQL)_(?:(?P<host>HOST(?:NAME)?|SERVER)|(?P<port>PORT)|(?P<name>NAME|DATABASE|DB)"
    r"|(?P<user>USER(?:NAME)?)|(?P<password>PASS(?:WORD)?|PASSWD)|(?P<socket>(?:UNIX_)?SOCKET))"
)
ADDRESS = re.compile(r"(postgres|postgresql|mysql|mariadb|sqlite|oracle|mssql|mongodb)(\+\w+)?://")
SETTING = re.compile(r"(?i).*(database|sqlalchemy|\bdb|_db|mongo).*|ur[il]|dsn")


def is_address(variable: str) -> bool:
    return bool(DATABASE_URL.fullmatch(variable) or DATABASE_PIECE.fullmatch(variable))


def scheme_of(url: str) -> str:
    """Return the kind of database of a URL: `mysql` of `mysql+pymysql://`."""
    return url.partition("://")[0].partition("+")[0]


def database_urls(tree: ast.Module) -> set[str]:
    """Return the database URLs of a module's settings and connections, without those in memory."""
    found: set[str] = set()
    constants = {
        name: value
        for node in tree.body
        for name, expression in settings(node)
        if isinstance(expression, ast.Constant) and isinstance(value := expression.value, str)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=function, args=[first, *_]) if last_name(function) in {
                "create_engine",
                "connect",
            }:
                found |= set(urls_in(first, constants))
                owner = function.value if isinstance(function, ast.Attribute) else None
                if last_name(owner) in {"sqlite3", "aiosqlite"} and ":memory:" not in ast.unparse(first):
                    found.add(f"sqlite+file://{text_in(first) or ''}")
            case ast.Call(func=function, args=[ast.Constant(value=str(path)), *_]) if last_name(function) in {
                "SqliteDatabase",
                "SqliteExtDatabase",
            }:
                found.add(f"sqlite+file://{path}")
        for name, setting in settings(node):
            if SETTING.fullmatch(name):
                found |= set(urls_in(setting, constants))
    return {url for url in found if ":memory:" not in url and url != "sqlite://"}


def settings(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names that a node gives a value: variables, attributes, items, keywords."""
    match node:
        case ast.Assign(targets=targets, value=value):
            yield from ((name, value) for target in targets if (name := setting_name(target)))
            for target in targets:
                if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
                    pairs = zip(target.elts, value.elts, strict=False)
                    yield from ((name, item) for part, item in pairs if (name := setting_name(part)))
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from ((name, value) for name in [setting_name(target)] if name)
        case ast.Dict(keys=keys, values=values):
            for key, item in zip(keys, values, strict=True):
                if (text := text_in(key)) is not None:
                    yield text, item
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), value, *_]) if (
            last_name(function) == "setdefault"
        ):
            yield name, value
        case ast.keyword(arg=str(name), value=value):
            yield name, value


def setting_name(target: ast.expr) -> str:
    match target:
        case ast.Subscript(slice=ast.Constant(value=str(name))):
            return name
    return last_name(target)


def urls_in(node: ast.expr, constants: dict[str, str]) -> Iterator[str]:
    """Yield the URLs in an expression. A part that is not constant becomes {}."""
    text = composed(node, constants)
    if ADDRESS.match(text):
        yield text
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield from urls_in(child, constants)


def composed(node: ast.expr, constants: dict[str, str]) -> str:
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name) if name in constants:
            return constants[name]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return composed(left, constants) + composed(right, constants)
        case ast.JoinedStr(values=values):
            return "".join(composed(value, constants) for value in values)
        case ast.FormattedValue(value=value):
            return composed(value, constants)
    return "{}"
