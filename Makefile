# Each target is a thin name for one playbook or tool; the plain command works as well.
# ENV= names the inventory, ARGS= goes through: make converge ENV=production ARGS='--check --diff'
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:

ENV ?= lab
ARGS ?=
HOST ?= lab1

bin := .venv/bin
# Mitogen makes a converge with nothing to do several times faster. Where it is not installed,
# or with MITOGEN=no, plain Ansible does the same work.
MITOGEN ?= $(firstword $(wildcard $(CURDIR)/.venv/lib/python3*/site-packages/ansible_mitogen/plugins/strategy))
ifneq ($(filter-out no,$(MITOGEN)),)
accelerated := ANSIBLE_STRATEGY=mitogen_linear ANSIBLE_STRATEGY_PLUGINS=$(MITOGEN) ANSIBLE_DEPRECATION_WARNINGS=false
endif
vault := $(wildcard .vault-password)
# What has a handful of tasks is done sooner than Mitogen is there.
short_playbook := $(if $(vault),ANSIBLE_VAULT_PASSWORD_FILE=$(vault)) $(bin)/ansible-playbook -i inventories/$(ENV)
playbook := $(accelerated) $(short_playbook)
site = $(if $(SITE),-e site=$(SITE))
local_playbook := $(bin)/ansible-playbook -i localhost,

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 } /^## / { print "\n" substr($$0, 4) }' $(MAKEFILE_LIST)

## A host to try it on
up: ENV := lab
up: lab ## Make a throwaway host, converge it and print its address
	@$(MAKE) --no-print-directory converge ENV=lab
	@$(MAKE) --no-print-directory ready ENV=lab

down: setup ## Remove the throwaway host and all that was made for it
	@bin/quietly 'Removing the lab' $(local_playbook) tests/lab/destroy.yml
	@[ ! -d .lab ] || rmdir --ignore-fail-on-non-empty .lab

ssh: ## Log in to a host: make ssh HOST=lab1
	@bin/ssh inventories/$(ENV) $(HOST)

## Hosts of an inventory
init: ## Create a project that uses the collection: make init DIR=../servers [SOURCE=archive or git address]
	@bin/init "$(DIR)" "$(SOURCE)"

new-site: setup ## Add a site, by questions or make new-site ARGS='--source … --server-names …'
	@bin/new-site --env $(ENV) $(ARGS)

converge: setup ## Bring every host to what the inventory says
	@$(playbook) decanter.stack.site $(ARGS)

deploy: setup ## Release the sites' sources: make deploy [SITE=name]
	@$(playbook) decanter.stack.deploy $(site) $(ARGS)

rollback: setup ## Go back to the last good release: make rollback [SITE=name] [TO=release]
	@$(short_playbook) decanter.stack.rollback $(site) $(if $(TO),-e to=$(TO)) $(if $(FORCE),-e force=true) $(ARGS)

releases: setup ## Show what is live, and what there is to go back to
	@$(short_playbook) decanter.stack.releases $(site) $(ARGS)

certs: setup ## Show certificates; DRY_RUN=1 rehearses their renewal, FORCE=1 renews [SITE=name]
	@$(short_playbook) decanter.stack.certs $(site) $(if $(FORCE),-e force=true) $(if $(DRY_RUN),-e dry_run=true) $(ARGS)

carry: setup ## Bring certificates over from another machine: make carry FROM=admin@old HOST=name
	@bin/carry "$(FROM)" inventories/$(ENV) $(HOST)

maintenance: setup ## Close sites to visitors, or open them: make maintenance ON=1, OFF=1 [SITE=name]
	@$(short_playbook) decanter.stack.maintenance $(site) -e maintenance=$(if $(ON),on,$(if $(OFF),off)) $(ARGS)

unlock: setup ## Let go of a site whose deploy was cut off elsewhere: make unlock SITE=name
	@$(short_playbook) decanter.stack.unlock $(site) $(ARGS)

verify: setup ## Ask every site by its public address
	@$(playbook) decanter.stack.verify $(ARGS)

purge: setup ## Destroy the data of a site that is absent: make purge SITE=name
	@$(playbook) decanter.stack.purge -e purge_site=$(SITE) $(ARGS)

## Amazon Web Services
cloud_playbook = $(accelerated) AWS_EC2_METADATA_DISABLED=true $(local_playbook) -e inventory=$(CURDIR)/inventories/$(ENV)
provision: cloud ## Have at AWS what the inventory says, after the price: make provision ENV=staging [YES=1] [RESIZE=1]
	@$(cloud_playbook) decanter.stack.provision $(if $(YES),-e yes=true) $(if $(RESIZE),-e resize=true) $(ARGS)

teardown: cloud ## Destroy it, but for backups: make teardown ENV=staging [CONFIRM=staging] [KEEP=no] [PRODUCTION=production]
	@$(cloud_playbook) decanter.stack.teardown $(if $(CONFIRM),-e confirm=$(CONFIRM)) $(if $(KEEP),-e keep=$(KEEP)) \
	  $(if $(PRODUCTION),-e production=$(PRODUCTION)) $(ARGS)

## Working on Decanter
lint: setup ## Check style, types, shell scripts and playbooks
	@bin/test lint

test: ## Prove everything that CI proves; of the unit tests alone some: bin/test unit -- -k nginx
	@bin/test lint unit app default

test-all: ## Prove everything, the long scenarios too
	@bin/test lint unit app default browser releases cluster certificates cloud aws mysql applications upgrade

screenshots: ## Make the README's pictures anew, by the browser's tests (eight minutes)
	@bin/test browser
	@cp .lab/screenshots/readme/*.png docs/pictures/

bench: ## Measure against a shell script and a tutorial (twenty minutes, on a quiet machine)
	@bin/setup lab
	@bin/bench

audit: ## Have the front door looked at by those who look for faults (six minutes) [ARGS=--keep]
	@bin/setup lab
	@bin/audit $(ARGS)

bench-front: ## Measure the front door against what most people copy (five minutes, on a quiet machine)
	@bin/setup lab
	@bin/bench front $(ARGS)

bench-hosts: ## Measure what one, two and four web hosts cost (fifteen minutes, on a quiet machine)
	@bin/setup lab
	@bin/bench hosts

docs: setup ## Write the generated documentation again
	@bin/docs

docs-site: ## Serve the documentation site at http://localhost:8000
	@bin/docs-site serve

lock: setup ## Lock all requirements again, or those of one file: make lock ONLY=certbot
	@bin/lock $(ONLY)

.PHONY: help up down ssh init new-site converge deploy rollback releases certs carry maintenance unlock verify purge lint test test-all screenshots audit bench bench-front bench-hosts docs docs-site lock provision teardown setup lab cloud ready

setup:
	@bin/setup

lab:
	@bin/setup lab
	@bin/quietly 'Making the throwaway host' $(local_playbook) tests/lab/create.yml

cloud:
	@bin/setup
	@bin/setup aws

ready:
	@$(playbook) decanter.stack.ready >/dev/null && cat .lab/lab/ready
