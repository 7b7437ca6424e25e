# Two commands need no preparation but Python 3.11, make and git:
#
#   make demo    a virtual environment, the installation, and a network to watch
#   make test    the same with everything that checks it
#
# All tools live in .venv; "make clean" removes what was made.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
COVERAGE_FLOOR = 90

.PHONY: demo test check check-model types lint unit system sweep bench images clean

demo: $(VENV)/.installed
	$(BIN)/p2p demo

test: check unit system
	@echo "make test: everything passed"

check: lint types

lint: $(VENV)/.tested
	$(BIN)/ruff check .

types: $(VENV)/.tested
	$(BIN)/mypy

# In memory, in a minute: what "trial p2p" runs, with the share of lines and branches that it reaches.
unit: $(VENV)/.tested
	$(BIN)/coverage erase
	$(BIN)/coverage run -m twisted.trial p2p
	$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=$(COVERAGE_FLOOR)

# The whole system from outside: real processes, sockets and signals, packaging, the README's own commands.
system: $(VENV)/.tested
	$(BIN)/python -m twisted.trial tests

# Closed forms and published figures, at 10,000 peers: minutes, and 1.5 GB. "make unit" sees to the same at a small size.
check-model: $(VENV)/.tested
	$(BIN)/python -m p2p.test.model

# Our figures in the first table of docs/performance.md, measured anew on daemons that have nothing but what "pip install ." brings.
# It takes some ten minutes, and the machine should have nothing else to do.
PLAIN = $(VENV)/plain

bench: $(VENV)/.tested
	$(PYTHON) -m venv $(PLAIN)
	$(PLAIN)/bin/pip install --quiet --disable-pip-version-check .
	$(PLAIN)/bin/pip install --quiet --disable-pip-version-check --force-reinstall --no-deps .
	$(BIN)/python -m bench broadcast --python $(PLAIN)/bin/python --find --seconds 4 --repeat 3
	$(BIN)/python -m bench broadcast --python $(PLAIN)/bin/python --rate 5000 --repeat 5
	$(BIN)/python -m bench broadcast --python $(PLAIN)/bin/python --rate 1000 --repeat 3
	$(BIN)/python -m bench broadcast --python $(PLAIN)/bin/python --rate 5 --seconds 20 --repeat 3
	$(BIN)/python -m bench detect --python $(PLAIN)/bin/python --repeat 5
	$(BIN)/python -m bench register --python $(PLAIN)/bin/python --repeat 3

# The pictures of the docs, made anew from the code as it is.  That of the report is taken by Chromium, and kept in
# 256 colours, which makes it a quarter as large.
CHROMIUM ?= chromium
PICTURED = $(VENV)/pictured

images: $(VENV)/.tested
	$(BIN)/python -m bench plumtree picture docs/images/plumtree.png
	$(BIN)/python -m bench deaths --peers 100 --deaths 40 --every 1 --plot docs/images/detectors.png \
		detector=heartbeat detector=swim "detector=swim livenessInterval=0.5"
	$(BIN)/p2p simulate scenarios/long-partition.toml --set peers.options.overlay=hyparview --set measure.overlay=1.0 \
		--out $(PICTURED)/long-partition
	cp $(PICTURED)/long-partition/plots/overlay.png docs/images/partition.png
	$(BIN)/p2p simulate scenarios/partition.toml --out $(PICTURED)/partition
	$(CHROMIUM) --headless --no-sandbox --disable-gpu --hide-scrollbars --window-size=1300,900 \
		--screenshot=docs/images/report.png \
		"file://$(abspath $(PICTURED))/partition/report.html#t=60.6&message=31&theme=light"
	$(BIN)/python -c "from PIL import Image; name = 'docs/images/report.png'; \
		Image.open(name).convert('RGB').quantize(256, Image.Quantize.MAXCOVERAGE).save(name, optimize=True)"

# Every scenario with many seeds; it goes on where it was interrupted, and fails if anything that is expected does not hold.
# At their own size 200 seeds take hours. Take another SWEPT after a change of the code: what is there is not run again.
# For a quick look:
#
#   make sweep SEEDS=0:20 SWEEP="--set peers.count=24 --set peers.options.maxConnections=2" SWEPT=swept-small
SEEDS = 0:200
SWEEP =
SWEPT = swept

sweep: $(VENV)/.tested
	@status=0; \
	for scenario in scenarios/*.toml; do \
		$(BIN)/p2p sweep $$scenario --seeds $(SEEDS) $(SWEEP) --out $(SWEPT)/$$(basename $$scenario .toml) --resume \
			|| status=1; \
	done; \
	exit $$status

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(VENV)/bin/python setup.cfg pyproject.toml
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.tested: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[test]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp* .coverage* .mypy_cache .ruff_cache .hypothesis
	rm -rf *.log *.log.[0-9] *.state *.db *.db-wal *.db-shm swept* twisted/plugins/dropin.cache
	@# What p2p simulate has written, and no directory of somebody's, nor what a link leads to.
	for run in *-seed*; do if [ -f "$$run/results.json" ] && [ ! -L "$$run" ]; then rm -rf "$$run"; fi; done
