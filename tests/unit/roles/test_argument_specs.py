"""Each role's defaults equal the defaults of its argument specs."""

from __future__ import annotations

import pytest
import yaml
from repository import ROLES


@pytest.mark.parametrize("role", ROLES)
def test_defaults_and_specs_agree(role):
    defaults = yaml.safe_load((ROLES[role] / "defaults/main.yml").read_text()) or {}
    specs = yaml.safe_load((ROLES[role] / "meta/argument_specs.yml").read_text())["argument_specs"]
    options = specs["main"]["options"]
    expected = {name: option["default"] for name, option in options.items() if "default" in option}
    assert defaults == expected, f"role {role}: expected the defaults of the specs {expected}, got {defaults}"
    strays = [name for name in options if not name.startswith(f"{role}_")]
    assert not strays, f"role {role}: expected every variable to begin with {role}_, got {strays}"
