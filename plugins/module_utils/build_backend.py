"""Explain a build that the host's resources or a package's own build backend ended."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ansible_collections.decanter.stack.plugins.module_utils.build_failure import (
    Explanation,
    Failure,
    dotted,
    search,
)
from ansible_collections.decanter.stack.plugins.module_utils.debian_packages import COMPILER, PYTHON_HEADERS

NO_SPACE = r"No space left on device|Disk quota exceeded|os error 28\b"
NO_MEMORY = (
    r"^ {0,99}MemoryError\b|Cannot allocate memory|virtual memory exhausted|: out of memory|std::bad_alloc"
    r"|memory allocation of \d{1,20} bytes failed|Killed signal terminated program|signal: 9[ ,)]"
)
NO_PROCESS = r"Resource temporarily unavailable|can't start new thread|fork: retry"


def resources(failure: Failure, python: str, packages: Mapping[str, str]) -> Explanation | None:
    text = f"{failure.chain}\n{failure.output}"
    what = (
        f"the build of {failure.subject} for Python {python}"
        if failure.subject
        else f"the build for Python {python}"
    )
    if re.search(NO_SPACE, text):
        return (
            f"{what} failed: no space left on device",
            "free disk space on the host, or raise `python_app_build_disk_mb`",
        )
    if re.search(NO_MEMORY, text, re.M):
        killed = re.search(r"Killed signal|signal: 9", text)
        fault = (
            "failed: a process was killed, probably because memory ran out" if killed else "ran out of memory"
        )
        return (
            f"{what} {fault}",
            "raise `python_app_build_memory_mb`, use a larger host, or use a version with a wheel for "
            f"Python {dotted(python)}",
        )
    if re.search(NO_PROCESS, text):
        return (
            f"{what} failed: it cannot start another process",
            "raise `python_app_build_tasks`, or use a version with a wheel",
        )
    return None


# --- The backend -------------------------------------------------------------------------------

COMPILERS = r"(?:[\w.]{1,20}-){0,4}(?:gcc|g\+\+|cc|c\+\+|clang)(?:-\d{1,2})?"
NO_COMPILER = (
    rf"No such file or directory: '({COMPILERS})'",
    rf"command '(?:/[\w./-]{{1,200}}/)?({COMPILERS})' failed: No such file",
    rf"^(?:/bin/)?sh: \d{{1,4}}: ({COMPILERS}): not found",
    r"(Unknown compiler\(s\)|No CMAKE_C(?:XX)?_COMPILER could be found)",
    r"(no acceptable C compiler|you need a C compiler|gcc is not installed)",
)
NO_HEADER = (r"fatal error: ([\w./+-]{1,200}\.h(?:h|pp)?): No such file or directory",)
NO_LIBRARY = (
    r"cannot find -l([\w.+-]{1,100})",
    r"The headers or library files could not be found for ([\w.+-]{1,100})",
    r"Package '?([\w.+-]{1,100})'?(?: was not found in the pkg-config|, required by .{1,100}, not found)",
    r'Dependency "([\w.+-]{1,100})" not found',
    r"pkg-config --exists ([\w.+-]{1,100})' returned non-zero exit status 1\.",
    r"make sure the (libxml2 and libxslt) development packages are installed",
)
RUST = r"can't find Rust compiler|Rust not found|Cargo, the Rust package manager, is not installed"
NO_PROGRAM = (
    r"^(?:/bin/)?sh: (?:line )?(?:\d{1,4}: )?([\w.+-]{1,60}): (?:command )?not found",
    r"(?<![\w.+-])([\w.+-]{1,60}[_-]config) (?:executable )?not found",
    r"FileNotFoundError: \[Errno 2\] No such file or directory: '([\w.+-]{1,60})'",
    r"command '(?:/[\w./-]{1,200}/)?([\w.+-]{1,60})' failed: No such file",
)
# Headers and parts of CPython's C API that newer versions do not have.
REMOVED_HEADERS = ("longintrepr.h", "code.h", "frameobject.h", "eval.h", "node.h", "pyarena.h", "symtable.h")
SOURCE_FAULT = (
    r"(?:\.(?:c|cc|cpp|cxx|h|hpp|src|pyx|pxd):\d{1,9}:(?:\d{1,9}:)? error: "
    r"|^[\w./+-]{1,200}\.pyx:\d{1,9}:\d{1,9}: |CompileError: )(.{1,150})"
)
NO_NETWORK = (
    r"urlopen error|Connection refused|Network is unreachable|name resolution|Name or service not known"
    r"|ConnectionError|ConnectError|SSLError|Max retries exceeded"
)
EXCEPTION = re.compile(
    r"^(?:[\w.]{1,99}\.)?(?:[A-Z]\w{0,80}(?:Error|Exception|Exit|Missing|Failed)|Exception)\b(?:: .{0,200})?$"
)
# Distributions of modules that setup code imports.
DISTRIBUTIONS = {
    "pkg_resources": "setuptools<81",
    "Cython": "cython",
    "skbuild": "scikit-build",
    "pybind11": "pybind11",
    "setuptools_scm": "setuptools-scm",
    "yaml": "PyYAML",
}


def backend(failure: Failure, python: str, packages: Mapping[str, str]) -> Explanation | None:
    """Return what a build backend lacks, or how it failed."""
    call = search(r"^Call to `([^`]{1,200})` failed", "\n".join(failure.causes))
    if not call and not failure.error.startswith("Failed to"):
        return None
    subject = failure.subject or "the application"
    for hint in failure.hints:
        if match := re.search(
            r"was included because `([^`]{1,100})`(?: \(v([^)]{1,60})\))? depends on", hint
        ):
            subject += f" (required by {match[1]}{f'=={match[2]}' if match[2] else ''})"
            break
    problem, remedy = lacking(failure, python, packages) or failed(failure, python)
    return f"{subject} cannot be built for Python {python}: {problem}", remedy


def lacking(failure: Failure, python: str, packages: Mapping[str, str]) -> Explanation | None:
    """Return the header, compiler, library, program or module that a backend did not find."""
    output, short = failure.output, dotted(python)
    other = f'use a version with a wheel for Python {short}, or another Python (`python: "3.x"`)'

    def remedy(*names: str) -> str:
        found = [f"python{short}-dev" if name == PYTHON_HEADERS else name for name in names if name]
        return f"add `packages: [{', '.join(dict.fromkeys(found))}]`, {other}" if found else ""

    if header := first(NO_HEADER, output):
        if header in REMOVED_HEADERS:
            return f"its C code requires {header}, which Python {short} does not have", other
        package = packages.get(header) or packages.get(f"{header.partition('/')[0]}/")
        unknown = f"add the Debian package that contains {header} to `packages`, or {other}"
        return f"the header {header} is missing", remedy(package or "") or unknown
    if first(NO_COMPILER, output):
        compiler = first(NO_COMPILER[:3], output)
        name = f" ({compiler})" if compiler else ""
        # `python3-dev` as such: python3.x-dev exists only for the distribution's own version.
        return f"the compiler{name} is missing", f"add `packages: [{COMPILER}, {PYTHON_HEADERS}]`, {other}"
    if re.search(RUST, output):
        return "the Rust compiler (cargo) is missing", remedy(packages.get("cargo", "cargo"))
    program = first(NO_PROGRAM, output)
    library = first(NO_LIBRARY, output)
    if library and program not in ("pkg-config", "pkgconf"):
        package = packages.get(f"lib:{library}", "")
        tools = "pkg-config" if "pkg-config" in output else ""
        unknown = f"add the Debian package of lib{library} to `packages`, or {other}"
        return f"the library {library} is missing", remedy(package, tools) if package else unknown
    if program and not re.search(SOURCE_FAULT, output, re.M):
        also = ""
        if program.startswith("pkg") and (wanted := search(r"pkg-config --exists ([\w.+-]{1,100})", output)):
            also = packages.get(f"lib:{wanted}", "")
        unknown = f"add the Debian package that contains {program} to `packages`, or {other}"
        package = packages.get(program, "")
        return f"the program {program} is missing", remedy(package, also) if package else unknown
    return module(failure, python)


def module(failure: Failure, python: str) -> Explanation | None:
    """Return the module that setup code imports without declaring it, if that import was the last failure."""
    last = last_exception(failure.output)
    name = search(r"^(?:ModuleNotFound|Import)Error: No module named '?([\w.]{1,100})", last)
    if not name:
        return None
    if name == "distutils":
        return (
            f"it requires the module distutils, which Python {dotted(python)} does not have",
            'use a newer version of it, or an older Python (`python: "3.11"`)',
        )
    if f"import {name} as backend" in failure.output:
        return f"its build backend {name} does not exist", "use a newer version of it"
    distribution = DISTRIBUTIONS.get(name.partition(".")[0], name.partition(".")[0])
    package = re.split(r"[ \[<>=!~@]", failure.subject)[0] or "NAME"
    return (
        f"its setup code requires the module {name}, which it does not declare",
        "use a newer version of it, or add to the application's pyproject.toml: "
        f'[tool.uv.extra-build-dependencies] {package} = ["{distribution}"]',
    )


def failed(failure: Failure, python: str) -> Explanation:
    """Return how a backend failed, if no missing dependency was found."""
    causes, short = "\n".join(failure.causes), dotted(python)
    newer = f'use a newer version of it, or a Python older than {short} (`python: "3.x"`)'
    if not re.search(r"[=@]", failure.subject):
        newer = "correct the application's pyproject.toml or setup code; see the end of the log"
    if signal := search(r"failed \(signal: \d{1,3} \((\w{1,20})\)", causes):
        return f"{signal} killed its build backend", newer
    if fault := search(SOURCE_FAULT, failure.output):
        return f"its source code does not compile: {fault}", newer
    if exception := last_exception(failure.output):
        if re.search(NO_NETWORK, exception):
            newer = f"check `build_outbound`, or use a version with a wheel for Python {short}"
        elif re.search(r"Read-only file system|Permission denied", exception):
            newer = f"a build writes only into its own folder: use a version with a wheel for Python {short}"
        return f"its build backend failed: {exception}", newer
    if error := search(r"^(?:error|Error|ERROR): (.{1,200})", failure.output):
        return f"its build backend failed: {error}", newer
    if status := search(r"failed \((exit status: \d{1,3})\)", causes):
        return f"its build backend failed without a message ({status})", newer
    return (failure.detail[-1] if failure.detail else failure.error), newer


def last_exception(output: str) -> str:
    """Return the last line of a traceback, such as `RuntimeError: text`."""
    for line in reversed(output.split("\n")[-400:]):
        if EXCEPTION.match(line[:300]):
            return line.rstrip(" :")[:200]
    return ""


def first(patterns: tuple[str, ...], text: str) -> str:
    """Return what the first pattern that matches found."""
    return next((found for found in (search(pattern, text) for pattern in patterns) if found), "")
