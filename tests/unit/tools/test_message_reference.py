"""The reference of error messages: its texts and its completeness."""

import ast

import pytest

from tools import message_reference as reference
from tools.library import ROOT


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ('"a file"', ["a file"]),
        ('f"{path}: found {x!r}, expected a file"', ["…: found …, expected a file"]),
        ('"no file. " + remedy', ["no file. …"]),
        ("f'the {kind if kind else other} file'", ["the … file"]),
        ('"one file" if one else "two files"', ["one file", "two files"]),
        ("words", ["…"]),
    ],
)
def test_texts_replace_values_by_an_ellipsis(expression, expected):
    found = reference.texts(ast.parse(expression, mode="eval").body)
    assert found == expected, f"{expression}: expected {expected}, found {found}"


@pytest.mark.parametrize(
    "code",
    [
        'raise ValueError("found no file, expected one")',
        'module.fail_json(msg="found no file, expected one")',
        'error_line(steps, expected="found no file, expected one")',
        'expected = "found no file, expected one"',
        'def check():\n    yield "found no file, expected one"',
    ],
)
def test_messages_are_found_in_each_form(tmp_path, monkeypatch, code):
    monkeypatch.setattr(reference, "ROOT", tmp_path)
    (tmp_path / "module.py").write_text(code)
    found = reference.messages(("*.py",))
    assert found == ["found no file, expected one"], f"{code}: found {found}"


@pytest.mark.parametrize(("title", "patterns"), reference.SECTIONS.items(), ids=reference.SECTIONS)
def test_each_section_has_messages_of_each_pattern(title, patterns):
    missing = [pattern for pattern in patterns if not list(ROOT.glob(pattern))]
    assert not missing, f"{title}: found no file for {missing}"
    assert reference.messages(patterns), f"{title}: expected messages, found none"


def test_each_key_of_sites_has_its_expected_value():
    page = (ROOT / "docs/messages.md").read_text()
    for key in ("server_names", "tls.mode", "nginx.client_max_body_size", "static[].url"):
        assert f"| `{key}` | " in page, f"expected a row of {key} in docs/messages.md"
