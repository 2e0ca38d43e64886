# `make demo` and `make test` need only Python 3.11-3.13 with venv and pip; everything else is set up in .venv.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test quick lint setup clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -c "import sys; sys.exit(0 if (3, 11) <= sys.version_info[:2] < (3, 14) else f'latentnas needs Python 3.11-3.13, this is {sys.version.split()[0]}; try: make PYTHON=python3.12 ...')"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch $@

# Pretrain a latent space on NAS-Bench-201 cells, search in it on measured CIFAR-10 accuracies, write a report.
demo: $(STAMP)
	rm -rf runs/demo
	$(BIN)/latentnas pretrain nasbench201 --out runs/demo/latent --seed 0
	$(BIN)/latentnas search --space nasbench201 --latent runs/demo/latent --strategy latent-bo --evaluator tabular \
		--budget 100 --batch 5 --seed 0 --store sqlite:///runs/demo/campaign.db --report runs/demo/report

# Lint, types, and every test (the slow ones too).
test: lint
	$(BIN)/python -m pytest --durations=10

# The fast tests only.
quick: $(STAMP)
	$(BIN)/python -m pytest -m "not slow"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) runs build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
