"""Every file that describes a service has the same services."""

from __future__ import annotations

import pytest
import yaml
from ansible_collections.decanter.stack.plugins.filter.sites_check import site_errors
from ansible_collections.decanter.stack.plugins.module_utils.site import SERVICES
from ansible_collections.decanter.stack.plugins.plugin_utils.site_validation.schema import SCHEMA
from repository import ROOT
from templates_cases import MINIMAL

ROLE = ROOT / "roles/services"
PROPERTIES = yaml.safe_load((ROLE / "vars/main.yml").read_text())["__services_properties"]


def test_schema_and_role_have_the_same_services():
    accepted = SCHEMA["additionalProperties"]["properties"]["services"]["items"]["enum"]
    assert sorted(accepted) == sorted(SERVICES) == sorted(PROPERTIES)


@pytest.mark.parametrize("service", SERVICES)
def test_service_has_one_package_and_its_templates(service):
    properties = PROPERTIES[service]
    assert properties["package"] == SERVICES[service].package
    configuration = properties["configuration"].replace("{site}", "site")
    for path in (f"/etc/systemd/system/{service}@.service", configuration):
        assert (ROLE / f"templates{path}.j2").exists(), f"{service}: expected a template of {path}"


@pytest.mark.parametrize("service", SERVICES)
def test_service_is_rejected_as_the_name_of_a_site(service):
    (error,) = site_errors({service: {**MINIMAL, "source": {"path": "."}}}, str(ROOT))
    assert error.startswith(f'sites.{service}: found the name "{service}"'), error
