"""Messages about failed builds: from captured logs of uv, from hostile text, and from a unit's result."""

from __future__ import annotations

import re
import time

import pytest
import yaml
from ansible_collections.decanter.stack.plugins.module_utils import build_log
from ansible_collections.decanter.stack.plugins.module_utils import debian_packages as packages
from repository import ROOT

LOGS = ROOT / "tests/unit/support/logs"
EXPECTED = yaml.safe_load((LOGS / "expected.yml").read_text())


def read(name: str) -> str:
    return (LOGS / f"{name}.log").read_text()


# --- Captured logs -----------------------------------------------------------------------------


def test_captured_logs_all_have_an_expected_message():
    found, expected = {path.stem for path in LOGS.glob("*.log")}, set(EXPECTED)
    assert found == expected, f"without expectation: {found - expected}, without log: {expected - found}"


@pytest.mark.parametrize("name", EXPECTED)
def test_captured_log_is_explained_with_fault_and_remedy(name):
    expected = EXPECTED[name]
    fault, remedy, heading, *rest = build_log.explain(read(name), expected["python"]).split("\n")
    assert fault == expected["fault"], f"expected the fault {expected['fault']!r}, got {fault!r}"
    assert remedy.startswith("Remedy: "), f"expected a remedy in the second line, got {remedy!r}"
    assert expected["remedy"] in remedy, f"expected {expected['remedy']!r} in the remedy, got {remedy!r}"
    assert heading == "The log ends:", f"expected the end of the log, got {heading!r}"
    assert 1 <= len(rest) <= 15, f"expected 1 to 15 lines of the log, got {len(rest)}"
    assert all(line.strip() for line in rest), f"expected no empty line, got {rest}"


@pytest.mark.parametrize("name", EXPECTED)
def test_captured_log_in_colour_has_the_same_message(name):
    plain = read(name)
    coloured = re.sub(r"^(error|hint|  cause):", "\x1b[1m\x1b[31m\\1\x1b[39m\x1b[0m:", plain, flags=re.M)
    python = EXPECTED[name]["python"]
    assert build_log.explain(coloured, python) == build_log.explain(plain, python)


@pytest.mark.parametrize("name", EXPECTED)
def test_captured_log_after_a_successful_step_has_the_same_fault(name):
    before = "Using Python 3.11.2 environment at: env\nResolved 3 packages in 1ms\nwarning: a warning\n"
    got = build_log.explain(before + read(name), EXPECTED[name]["python"]).split("\n")[0]
    assert got == EXPECTED[name]["fault"]


def test_captured_logs_name_no_real_host_and_no_home():
    hosts = {
        host
        for path in LOGS.glob("*.log")
        for host in re.findall(r"\w://(?:[^/\s@]+@)?([\w.-]+)", path.read_text())
    }
    assert hosts <= {"index.test", "index.invalid", "git.invalid"}, f"found the hosts {hosts}"
    for path in LOGS.glob("*.log"):
        assert not re.search(r"/root/|/home/|/tmp/\w", path.read_text()), (
            f"{path.name} contains a machine's path"
        )


# --- The failed package --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "package", "others"),
    [
        ("header_jpeg", "pillow==7.1.1", ("watchdog", "pathtools")),
        ("compiler", "misaka==2.1.1", ("pycparser", "cffi", "watchdog")),
        ("compiler_cxx", "greenlet==3.0.1", ("click",)),
        ("backend_transitive", "crashing==1.0", ("click", "itsdangerous")),
        ("hash_mismatch", "click==8.1.7", ("flask",)),
    ],
)
def test_message_names_the_package_that_failed(name, package, others):
    fault = build_log.explain(read(name), EXPECTED[name]["python"]).split("\n")[0]
    assert fault.startswith(package), f"expected {package} first, got {fault!r}"
    assert not [other for other in others if other in fault], f"expected none of {others}, got {fault!r}"


# --- Debian packages -----------------------------------------------------------------------------

HEADER = (
    "error: Failed to build `thing==1.0`\n  cause: Call to `b` failed (exit status: 1)\n\n"
    "         [stderr]\n         "
)


@pytest.mark.parametrize(
    ("output", "package"),
    [
        ("a.c:1:2: fatal error: Python.h: No such file or directory", "python3.12-dev"),
        ("a.c:1:2: fatal error: jpeglib.h: No such file or directory", "libjpeg-dev"),
        ("a.c:1:2: fatal error: zlib.h: No such file or directory", "zlib1g-dev"),
        ("a.c:1:2: fatal error: mysql.h: No such file or directory", "default-libmysqlclient-dev"),
        ("a.c:1:2: fatal error: libxml/xmlversion.h: No such file or directory", "libxml2-dev"),
        ("a.c:1:2: fatal error: libxslt/xslt.h: No such file or directory", "libxslt1-dev"),
        ("a.c:1:2: fatal error: openssl/ssl.h: No such file or directory", "libssl-dev"),
        ("/usr/bin/ld: cannot find -lz: No such file or directory", "zlib1g-dev"),
        ("/bin/sh: 1: xslt-config: not found", "libxslt1-dev"),
        ("sh: line 1: cmake: command not found", "cmake"),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'swig'", "swig"),
        ("error: command 'swig' failed: No such file or directory", "swig"),
        (
            "error: command '/usr/bin/x86_64-linux-gnu-gcc-12' failed: No such file or directory",
            "build-essential",
        ),
        ("CMake Error: No CMAKE_CXX_COMPILER could be found.", "build-essential"),
        ("configure: error: no acceptable C compiler found in $PATH", "build-essential"),
        ('../meson.build:20:12: ERROR: Dependency "openblas" not found, tried pkgconfig', "libopenblas-dev"),
    ],
)
def test_missing_part_suggests_its_debian_package(output, package):
    remedy = build_log.explain(HEADER + output, "3.12.1").split("\n")[1]
    assert re.search(rf"`packages: \[(?:[\w., -]+, )?{re.escape(package)}[,\]]", remedy), f"got {remedy!r}"


def test_missing_header_without_known_package_names_the_header():
    fault, remedy = build_log.explain(
        HEADER + "fatal error: odd/odd.h: No such file or directory", "3.12.1"
    ).split("\n")[:2]
    assert fault == "thing==1.0 cannot be built for Python 3.12.1: the header odd/odd.h is missing"
    assert "contains odd/odd.h to `packages`" in remedy and "`packages: []`" not in remedy, f"got {remedy!r}"


def test_package_table_can_be_replaced():
    log = HEADER + "fatal error: jpeglib.h: No such file or directory"
    assert "`packages: [own-jpeg]`" in build_log.explain(log, "3.12.1", {"jpeglib.h": "own-jpeg"})


def test_package_table_has_only_debian_names():
    invalid = [
        name
        for name in packages.PACKAGES.values()
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+(?:, [a-z0-9.+-]+)*", name)
    ]
    assert not invalid, f"expected names of Debian packages, got {invalid}"


# --- Untrusted text ------------------------------------------------------------------------------


def test_control_characters_and_escape_sequences_are_removed():
    log = (
        "error: Failed to build `evil\x1b]0;title\x07==1.0`\n  cause: Call to `b` failed (exit status: 1)\n\n"
        "         [stderr]\n         RuntimeError: \x1b[2Jred\x1b[31m\x9b1m\x00\x08\u202etxt\u200b\x85\n"
    )
    got = build_log.explain(log, "3.12.1")
    assert not re.search(r"[^\n\x20-\x7e…]", got), f"expected printable characters, got {got!r}"
    assert got.startswith(
        "evil==1.0 cannot be built for Python 3.12.1: its build backend failed: RuntimeError: redtxt"
    )


def test_carriage_return_cannot_overwrite_a_line():
    assert "\r" not in build_log.explain("error: bad\rerror: good\r\n", "3.12.1")


@pytest.mark.parametrize(
    "secret",
    [
        "https://ci:hunter2@index.test/simple",
        "https://hunter2@index.test/simple",
        "https://ci:p@hunter2@index.test/simple",
        "https://index.test/x.whl?a=1&access_token=hunter2",
    ],
)
def test_credentials_in_urls_are_hidden(secret):
    got = build_log.explain(f"error: Failed to fetch: {secret}\n  cause: Connection refused\n", "3.12.1")
    assert "hunter2" not in got, f"expected no credentials, got {got!r}"
    assert "index.test" in got


def test_ssh_user_git_stays_visible():
    assert "ssh://git@index.test" in build_log.explain(read("git_ssh"), "3.11.2")


def test_long_lines_and_many_lines_are_bounded():
    got = build_log.explain(
        "error: " + "x" * 5000 + "\n" + "\n".join("y" * 5000 for _ in range(500)), "3.12.1"
    )
    lines = got.split("\n")
    assert len(lines) == 18, f"expected 3 lines and 15 of the log, got {len(lines)}"
    assert max(map(len, lines)) <= 420, (
        f"expected lines of at most 420 characters, got {max(map(len, lines))}"
    )


def test_error_before_megabytes_of_output_is_found():
    noise = "         copying a file\n" * 200_000
    got = build_log.explain(HEADER + noise + "         RuntimeError: late\n", "3.12.1").split("\n")[0]
    assert got == "thing==1.0 cannot be built for Python 3.12.1: its build backend failed: RuntimeError: late"


@pytest.mark.parametrize(
    "log", ["", "\n\n", "error: ", "error: \n  cause: ", "hint: x", "error: {0} {x}\n", "\0" * 99]
)
def test_log_without_a_known_failure_has_three_parts(log):
    got = build_log.explain(log, "3.12.1").split("\n")
    assert got[0].startswith("the build failed: ") and got[1].startswith("Remedy: "), f"got {got}"


def test_output_of_a_backend_is_not_read_as_that_of_uv():
    """uv indents the output of a backend, so an indented error is not an error of uv."""
    forged = HEADER + "error: Failed to build `innocent==1.0`\n         RuntimeError: forged\n"
    got = build_log.explain(forged, "3.12.1").split("\n")[0]
    assert got.startswith("thing==1.0 "), f"expected the package that uv names, got {got!r}"


SIZE = 1 << 20
HOSTILE = {
    "spaces": " " * SIZE,
    "one word": "a" * SIZE,
    "words": "a " * (SIZE // 2),
    "dashes": "a-" * (SIZE // 2),
    "dots": "a." * (SIZE // 2),
    "lines": "\n" * SIZE,
    "short lines": "x\n" * (SIZE // 2),
    "errors": "error: x\n" * (SIZE // 9),
    "causes": "error: x\n" + "  cause: y\n" * (SIZE // 11),
    "hints": "error: x\n" + "hint: `a` was included because `b`\n" * (SIZE // 36),
    "long cause": "error: No solution found\n  cause: Because you require " + "a" * SIZE,
    "conclusions": "error: No solution found\n  cause: " + "we can conclude that x. " * (SIZE // 24),
    "requirements": "error: No solution found\n  cause: " + "you require a-1 and " * (SIZE // 20),
    "escapes": "\x1b[" * (SIZE // 2),
    "titles": "\x1b]" + "x" * SIZE,
    "C1": "\x90" * SIZE,
    "CSI": "\x9b" * SIZE,
    "parameters": "\x1b[" + "1;" * (SIZE // 2),
    "schemes": "a://" * (SIZE // 4),
    "credentials": "://" + "a" * SIZE,
    "many credentials": ("://" + "a:" * 250 + "/") * (SIZE // 504),
    "arguments": "?a" * (SIZE // 2),
    "repositories": "error: x\n  cause: Git operation failed\n         --- stderr\n"
    + "repository 'a" * (SIZE // 13),
    "configs": HEADER + "a_config_" * (SIZE // 9),
    "paths": HEADER + "command '/" + "a/" * (SIZE // 2),
    "commands": HEADER + "command '/a/" * (SIZE // 12),
    "source": HEADER + "a.c:1:2: " * (SIZE // 9),
    "packages": HEADER + "Package 'a', required by b" * (SIZE // 26),
    "exceptions": HEADER + ("A" * 80 + "." + "E" * 90 + "Erro\n         ") * (SIZE // 185),
    "backticks": "error: Failed to build " + "`a" * (SIZE // 2),
    "surrogates": "\udc80" * SIZE,
    "tabs": "\t" * SIZE,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_log_of_a_megabyte_is_explained_within_a_second(name):
    started = time.process_time()
    got = build_log.explain(HOSTILE[name], "3.12.1")
    seconds = time.process_time() - started
    assert seconds < 1, f"expected less than 1 s, took {seconds:.2f} s"
    assert len(got) < 6000, f"expected a bounded message, got {len(got)} characters"


# --- The unit ------------------------------------------------------------------------------------

LIMITS = {"oom-kill": "1G", "timeout": "1800 s", "disk": "4G"}


@pytest.mark.parametrize(
    ("result", "fault"),
    [
        ("oom-kill", "the build ran out of memory (limit 1G). Remedy: "),
        ("timeout", "the build took too long (limit 1800 s). Remedy: "),
        ("signal", "a signal killed the build. Remedy: "),
        ("core-dump", "the build crashed. Remedy: "),
        ("resources", "systemd could not start the build: the host lacks resources. Remedy: "),
        ("disk", "the build wrote more than 4G. Remedy: "),
        ("start-limit-hit", "the build's unit failed: start-limit-hit. Remedy: "),
    ],
)
def test_unit_result_is_one_line_with_its_limit(result, fault):
    got = build_log.unit_fault(result, LIMITS)
    assert got.startswith(fault) and got.endswith(".") and "\n" not in got, f"expected {fault!r}, got {got!r}"


@pytest.mark.parametrize("result", ["", "success", "exit-code"])
def test_unit_result_that_the_log_explains_is_empty(result):
    assert build_log.unit_fault(result, LIMITS) == ""


def test_unit_result_without_limits_has_no_number():
    assert build_log.unit_fault("oom-kill", {}).startswith("the build ran out of memory. ")
    assert build_log.unit_fault("disk", {}).startswith("the build wrote more than its disk limit. ")
