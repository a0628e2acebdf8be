# SPDX-License-Identifier: MIT
# Every target sets the machine up first (.ci/setup: silent and instant when nothing changed).
# ARGS="..." is handed to the program of the target.

SHELL := /bin/bash
.DEFAULT_GOAL := help
ARGS ?=
PYTHON := .venv/bin/python
# Whoever forbids it has every LabVirt process of every test compile all of LabVirt anew: half a second each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup demo test pytest check format fuzz bench sweep faces pages crowd-test storm-test forks desktop-forks kiosk-boot stick-boot devices-test desktop-test home-test boot-test clean

help: ## Say what can be made
	@printf 'usage: make TARGET [ARGS="..."]\n\n'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do \
		printf '  %-13s %s\n' "$$name" "$$text"; done

setup: ## Install the Debian packages that are missing and make .venv (every other target does this first)
	@.ci/setup

demo: setup ## Show a lab of four terminals on this machine; Ctrl-C ends it. ARGS="--check --json FILE --terminals N"
	@.venv/bin/labvirt demo $(ARGS)

test: check pytest ## Run the checks, then all tests: the fast ones, then those with real guests and networks. ARGS go to pytest

# All of them: the fast ones side by side, a file at a time; those that own the machine's bridges and guests one by one.
pytest: setup ## Run the tests without the checks. ARGS="tests/unit -k lease", ARGS="-m 'not real'"
ifeq ($(strip $(ARGS)),)
	@$(PYTHON) -m pytest -m 'not real' --numprocesses auto --dist loadfile
	@$(PYTHON) -m pytest -m real
else
	@$(PYTHON) -m pytest $(ARGS)
endif

check: setup ## Judge the source: style and layout (ruff), types (mypy)
	@$(PYTHON) -m ruff check
	@$(PYTHON) -m ruff format --check
	@$(PYTHON) -m mypy

format: setup ## Let ruff mend layout, import order and what else is safe
	@$(PYTHON) -m ruff check --fix
	@$(PYTHON) -m ruff format

fuzz: setup ## Send 10,000 requests to the API, right and wrong ones, and judge every answer by its document (6 minutes). ARGS="-k labs"
	LABVIRT_FUZZ=10000 .venv/bin/python -m pytest -q -s tests/api/test_fuzz.py -o session_timeout=7200 $(ARGS)

bench: setup ## Measure, and compare with plain virsh in the same run. ARGS="--help" lists the benchmarks
	@$(PYTHON) tests/bench/run.py $(ARGS)

sweep: setup ## Kill the controller at every durable call of every verb on images (about an hour). ARGS="--verb publish-layer", "--sample 7"
	@$(PYTHON) -m tests.sweep.sweep $(ARGS)

faces: setup ## Take pictures of the kiosk's face in every state, language and size. ARGS="--folder DIR"
	@$(PYTHON) tests/kiosk/face_pictures.py $(ARGS)

pages: setup ## Take pictures of every page, light and dark, on a desk and on a phone. ARGS="-k dark"; LABVIRT_PICTURES=DIR (default: build/pages)
	LABVIRT_PICTURES=$${LABVIRT_PICTURES:-build/pages} $(PYTHON) -m pytest -q tests/browser/test_pictures.py $(ARGS)

crowd-test: setup ## As root: many kiosks and real guests at once, each shows its own (minutes). ARGS="--terminals 30 --clones --json FILE"
	@$(PYTHON) -m tests.system.crowd $(ARGS)

storm-test: setup ## As root: 40 terminals ask at once for real guests: places, times, pages, nobody hears an error (minutes). ARGS="--terminals N --clones --kill --json FILE"
	@$(PYTHON) -m tests.system.storm $(ARGS)

forks: setup ## As root: a hundred instant clones of one guest, all different, each with the right time (minutes). ARGS="--count 24 --json FILE"
	@$(PYTHON) -m tests.forks.hundred $(ARGS)

# What only the kiosk's recipe needs; `make kiosk-boot` installs what is missing, as root.
KIOSK_PACKAGES := mmdebstrap squashfs-tools zstd kmod ipxe-qemu

kiosk-boot: setup ## Build the kiosk and boot a PC with it from the network (5 minutes). ARGS="--json FILE --picture FILE --memory MIB"
	@dpkg -s $(KIOSK_PACKAGES) >/dev/null 2>&1 || apt-get install -y -q --no-install-recommends $(KIOSK_PACKAGES) >&2
	@$(PYTHON) -m tests.boot.kiosk $(ARGS)

STICK_PACKAGES := fdisk dosfstools mtools e2fsprogs ovmf

stick-boot: setup ## Start PCs from a USB stick and from their own disk, and with a network that dies (15 minutes). ARGS="--only bios|uefi|secureboot|disk|empty|networks --json FILE"
	@dpkg -s $(KIOSK_PACKAGES) $(STICK_PACKAGES) >/dev/null 2>&1 \
		|| apt-get install -y -q --no-install-recommends $(KIOSK_PACKAGES) $(STICK_PACKAGES) >&2
	@$(PYTHON) -m tests.boot.stick $(ARGS)

# Only this target's; freerdp2 in Debian 12, freerdp3 in 13.
DESKTOP_PACKAGES := mmdebstrap mtools e2fsprogs qemu-utils ovmf tesseract-ocr tesseract-ocr-eng

desktop-test: setup ## Build the desktop guest, show it on a terminal by RDP and on its SPICE display (4 minutes). ARGS="--json FILE --picture FILE"
	@dpkg -s $(DESKTOP_PACKAGES) >/dev/null 2>&1 || apt-get install -y -q --no-install-recommends $(DESKTOP_PACKAGES) >&2
	@command -v xfreerdp3 xfreerdp >/dev/null || apt-get install -y -q --no-install-recommends freerdp3-x11 >&2 \
		|| apt-get install -y -q --no-install-recommends freerdp2-x11 >&2
	@$(PYTHON) -m tests.desktop.proof $(ARGS)

desktop-forks: setup ## As root: freeze the desktop guest with its desktop open; its clones are other computers (10 minutes). ARGS="--pictures DIR"
	@dpkg -s $(DESKTOP_PACKAGES) >/dev/null 2>&1 || apt-get install -y -q --no-install-recommends $(DESKTOP_PACKAGES) >&2
	@$(PYTHON) -m tests.desktop.forks $(ARGS)

devices-test: setup ## Hear the terminal's loudspeakers, see its two screens, plug in a person's USB stick (15 minutes). ARGS="--only spice|rdp --pictures DIR --json FILE"
	@dpkg -s $(KIOSK_PACKAGES) $(DESKTOP_PACKAGES) >/dev/null 2>&1 \
		|| apt-get install -y -q --no-install-recommends $(KIOSK_PACKAGES) $(DESKTOP_PACKAGES) >&2
	@$(PYTHON) -m tests.boot.devices $(ARGS)

boot-test: setup ## Switch on a PC with an empty disk until its screen shows its RDP desktop. ARGS="--firmware bios|uefi|http|secureboot --adopt --json FILE"
	@dpkg -s $(KIOSK_PACKAGES) $(DESKTOP_PACKAGES) >/dev/null 2>&1 \
		|| apt-get install -y -q --no-install-recommends $(KIOSK_PACKAGES) $(DESKTOP_PACKAGES) >&2
	@$(PYTHON) -m tests.boot.boot $(ARGS)

# The file servers; freerdp as above.
HOME_PACKAGES := $(DESKTOP_PACKAGES) samba nfs-ganesha nfs-ganesha-vfs

home-test: setup ## Keep a desktop's work on a real SMB and a real NFS server, and without one (15 minutes). ARGS="--json FILE --picture FILE --only smb|nfs|none --blind"
	@dpkg -s $(HOME_PACKAGES) >/dev/null 2>&1 || apt-get install -y -q --no-install-recommends $(HOME_PACKAGES) >&2
	@command -v xfreerdp3 xfreerdp >/dev/null || apt-get install -y -q --no-install-recommends freerdp3-x11 >&2 \
		|| apt-get install -y -q --no-install-recommends freerdp2-x11 >&2
	@$(PYTHON) -m tests.homes.proof $(ARGS)

clean: ## Remove what the other targets made in this checkout: .venv, caches, built packages
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find labvirt kiosk images dhcp tests -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true
