# Each target runs one playbook or tool, which can also be run without make.
# ENV= names the inventory, ARGS= is passed on: make converge ENV=production ARGS='--check --diff'
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

ENV ?= lab
ARGS ?=
HOST ?= lab1

bin := .venv/bin
# Mitogen makes a converge without changes several times faster. If it is not installed,
# or with MITOGEN=no, Ansible's own strategy does the same work.
MITOGEN ?= $(firstword $(wildcard $(CURDIR)/.venv/lib/python3*/site-packages/ansible_mitogen/plugins/strategy))
ifneq ($(filter-out no,$(MITOGEN)),)
accelerated := ANSIBLE_STRATEGY=mitogen_linear ANSIBLE_STRATEGY_PLUGINS=$(MITOGEN) ANSIBLE_DEPRECATION_WARNINGS=false
endif
vault := $(wildcard .vault-password)
# Playbooks with few tasks run without Mitogen, because its start takes longer than their tasks.
vault_file := $(if $(vault),ANSIBLE_VAULT_PASSWORD_FILE=$(vault))
short_playbook := $(vault_file) $(bin)/ansible-playbook -i inventories/$(ENV)
check := $(vault_file) $(bin)/python -P plugins/plugin_utils/check_inventory.py -i inventories/$(ENV)
playbook := $(accelerated) $(short_playbook)
site = $(if $(SITE),-e site=$(SITE))
local_playbook := $(bin)/ansible-playbook -i localhost,

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 } /^## / { print "\n" substr($$0, 4) }' $(MAKEFILE_LIST)

## A lab host
up: ENV := lab
up: lab ## Create a lab host, converge it and print its address
	@$(MAKE) --no-print-directory converge ENV=lab
	@$(MAKE) --no-print-directory ready ENV=lab

down: setup ## Remove the lab host and its files
	@bin/quietly 'Removing the lab' $(local_playbook) tests/lab/destroy.yml
	@[ ! -d .lab ] || rmdir --ignore-fail-on-non-empty .lab

ssh: ## Log in to a host: make ssh HOST=lab1
	@bin/ssh inventories/$(ENV) $(HOST)

## Hosts of an inventory
init: ## Create a project that uses the collection: make init DIR=../servers [SOURCE=archive or git address]
	@bin/init "$(DIR)" "$(SOURCE)"

new-site: setup ## Add a site interactively, or make new-site ARGS='--source … --server-names …'
	@bin/new-site --env $(ENV) $(ARGS)

check: setup ## Validate the inventory without a connection to a host
	@$(check) $(ARGS)

converge: setup ## Configure every host as the inventory describes
	@$(playbook) decanter.stack.site $(ARGS)

deploy: setup ## Deploy the sources of sites: make deploy [SITE=name]
	@$(playbook) decanter.stack.deploy $(site) $(ARGS)

rollback: setup ## Roll back to the last good release: make rollback [SITE=name] [TO=release]
	@$(short_playbook) decanter.stack.rollback $(site) $(if $(TO),-e to=$(TO)) $(if $(FORCE),-e force=true) $(ARGS)

releases: setup ## List releases: the live one, and those for a rollback
	@$(short_playbook) decanter.stack.releases $(site) $(ARGS)

certs: setup ## List certificates; DRY_RUN=1 tests their renewal, FORCE=1 renews them [SITE=name]
	@$(short_playbook) decanter.stack.certs $(site) $(if $(FORCE),-e force=true) $(if $(DRY_RUN),-e dry_run=true) $(ARGS)

carry: setup ## Copy certificates from another machine: make carry FROM=admin@old HOST=name
	@bin/carry "$(FROM)" inventories/$(ENV) $(HOST)

maintenance: setup ## Enable or disable maintenance mode: make maintenance ON=1, OFF=1 [SITE=name]
	@$(short_playbook) decanter.stack.maintenance $(site) -e maintenance=$(if $(ON),on,$(if $(OFF),off)) $(ARGS)

unlock: setup ## Remove the deploy lock of an interrupted run on another machine: make unlock SITE=name
	@$(short_playbook) decanter.stack.unlock $(site) $(ARGS)

verify: setup ## Request every site at its public address
	@$(playbook) decanter.stack.verify $(ARGS)

purge: setup ## Delete the data of a site with state: absent: make purge SITE=name
	@$(playbook) decanter.stack.purge -e purge_site=$(SITE) $(ARGS)

## Amazon Web Services
cloud_playbook = $(accelerated) AWS_EC2_METADATA_DISABLED=true $(local_playbook) -e inventory=$(CURDIR)/inventories/$(ENV)
provision: cloud ## Show the price of the AWS resources, then create them: make provision ENV=staging [YES=1] [RESIZE=1]
	@$(cloud_playbook) decanter.stack.provision $(if $(YES),-e yes=true) $(if $(RESIZE),-e resize=true) $(ARGS)

teardown: cloud ## Delete the AWS resources, except backups: make teardown ENV=staging [CONFIRM=staging] [KEEP=no] [PRODUCTION=production]
	@$(cloud_playbook) decanter.stack.teardown $(if $(CONFIRM),-e confirm=$(CONFIRM)) $(if $(KEEP),-e keep=$(KEEP)) \
	  $(if $(PRODUCTION),-e production=$(PRODUCTION)) $(ARGS)

## Working on Decanter
lint: setup ## Check style, types, shell scripts and playbooks
	@bin/test lint

test: ## Run lint, unit tests and the default scenario; a selection of unit tests: bin/test unit -- -k nginx
	@bin/test lint unit app default

test-all: ## Run all tests, including all scenarios
	@DECANTER_ALL=1 bin/test lint unit app default browser releases cluster certificates cloud aws mysql applications upgrade getting_started

screenshots: ## Take the screenshots of the README again with the browser scenario (eight minutes)
	@bin/test browser
	@cp .lab/screenshots/readme/*.png docs/pictures/

bench: ## Measure against a shell script and a tutorial setup (twenty minutes, on an idle machine)
	@bin/setup lab
	@bin/bench

audit: ## Audit the public interface of a host with security scanners (six minutes) [ARGS=--keep]
	@bin/setup lab
	@bin/audit $(ARGS)

bench-front: ## Measure nginx against a common example configuration (five minutes, on an idle machine)
	@bin/setup lab
	@bin/bench front $(ARGS)

bench-hosts: ## Measure runs with one, two and four web hosts (fifteen minutes, on an idle machine)
	@bin/setup lab
	@bin/bench hosts

docs: setup ## Generate the reference documentation
	@bin/docs

docs-site: ## Serve the documentation site at http://localhost:8000
	@bin/docs-site serve

lock: setup ## Lock all requirements again, or those of one file: make lock ONLY=certbot
	@bin/lock $(ONLY)

.PHONY: help up down ssh init new-site check converge deploy rollback releases certs carry maintenance unlock verify purge lint test test-all screenshots audit bench bench-front bench-hosts docs docs-site lock provision teardown setup lab cloud ready

setup:
	@bin/setup

lab:
	@bin/setup lab
	@bin/quietly 'Creating the lab host' $(local_playbook) tests/lab/create.yml

cloud:
	@bin/setup
	@bin/setup aws

ready:
	@$(playbook) decanter.stack.ready >/dev/null && cat .lab/lab/ready
