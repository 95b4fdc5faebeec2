# `make lab` opens the lessons, `make test` checks every claim, `make test-all` checks it at length. All set up what they
# need in .venv, the first time and whenever pyproject.toml or the core has changed; changes in Python files need no new
# set-up.

VENV ?= .venv
ARGS ?=

# The file that remembers which Python made the environment. Without a PYTHON= the environment that is there will do;
# another Python than that, or an environment that was not made here, is never wiped: see the rule for MADE_WITH.
THERE := $(firstword $(wildcard $(VENV)/.made-with-*))
ifeq ($(origin PYTHON),undefined)
PYTHON := python3
MADE_WITH := $(or $(THERE),$(VENV)/.made-with-$(PYTHON))
else
MADE_WITH := $(VENV)/.made-with-$(subst /,-,$(PYTHON))
endif

CORE := $(wildcard lazydestroy/*.pyx lazydestroy/*.pxi)

# Jupyter refuses to run as root unless it is told to, and in containers there is often nobody else.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

# A lesson that is only opened is not marked as changed.
CLEAN_TABS := --ServerApp.contents_manager_class=lazydestroy.contents.CourseContents

# Which extras of pyproject.toml a command wants, and whose wants are served along.
extras-lab := lab
extras-classroom := classroom
extras-test := lab,test
serves-classroom := lab
serves-test := lab classroom
extras-bench := bench
extras-lint := dev
extras-site := site

.PHONY: help lab test test-all bench notebooks students wheel lint clean contact-sheet course slides key sheet test-site site pdf grade
.DELETE_ON_ERROR:

help:
	@echo "make lab         open the lessons in JupyterLab      make lab ARGS='--no-browser --port 8899'"
	@echo "make test        check every claim, in minutes       make test ARGS='tests/test_units.py -x'"
	@echo "make test-all    run the long tests too: all notebooks, the browser, the long searches"
	@echo "make bench       measure, and print the table"
	@echo "make notebooks   execute the lessons afresh and save them      make notebooks ARGS=notebooks/reference/glossary.ipynb"
	@echo "make students    pack what students get: dist/lazydestroy-students.zip"
	@echo "make wheel       build and check what pip installs: dist/*.whl, dist/*.tar.gz"
	@echo "make course      make a folder for nbgrader: make course COURSE=my-course"
	@echo "make slides      make a deck of the lessons' pictures; of three of them: make slides ARGS='1 2 3'"
	@echo "make key         write the key to all exercises: build/teachers/key.html      make key ARGS='ada bob'"
	@echo "make sheet       write the test before and after the course, to print: build/teachers/sheet.html"
	@echo "make site        build the web site, which runs in the reader's browser, in build/site"
	@echo "make test-site   run every notebook of the site in Chromium, with the network cut"
	@echo "make pdf         print the course of the site into build/course.pdf"
	@echo "make grade       grade a course: make grade COURSE=my-course (see notebooks/reference/teaching.ipynb)"
	@echo "make lint        check style and types"
	@echo "make contact-sheet   put all pictures of the lessons on one page, build/contact-sheet.html"
	@echo "make clean       remove what the others made"
	@echo
	@echo "PYTHON=python3.13 names the Python to use, VENV=.venv-3.13 the folder to set up."

lab: $(VENV)/.has-lab
	$(VENV)/bin/jupyter lab $(AS_ROOT) --ServerApp.root_dir=. $(CLEAN_TABS) --LabApp.default_url=/lab/tree/notebooks/index.ipynb $(ARGS)

test: $(VENV)/.has-test
	$(VENV)/bin/python -m pytest --numprocesses=auto --dist=worksteal $(ARGS)

# With ARGS="-m long", only those that `make test` leaves out.
test-all: $(VENV)/.has-test
	$(VENV)/bin/python -m pytest --numprocesses=auto --dist=worksteal -m "" $(ARGS)

bench: $(VENV)/.has-bench
	$(VENV)/bin/python -m benchmarks $(ARGS)

notebooks: $(VENV)/.has-test
	$(VENV)/bin/python -m tests.refresh_notebooks $(ARGS)

# nbgrader, which comes next, is set up along.
course: $(VENV)/.has-classroom
	@$(VENV)/bin/python -m tools.course "$(COURSE)"

students:
	@"$(PYTHON)" -m tools.students $(ARGS)

wheel: $(VENV)/.has-lint
	sh tools/wheel.sh $(VENV)/bin

slides: $(VENV)/.has-classroom
	$(VENV)/bin/python -m tools.slides $(ARGS)

key sheet: $(VENV)/.has-classroom
	$(VENV)/bin/python -m tools.teachers $@ $(ARGS)

# With ARGS=--reading-only without what runs in the browser; that needs no more than this. Else: npm, for Pyodide; clang, lld
# and C headers for WebAssembly (Debian: clang-19 lld-19 wasi-libc); and a folder of wheels for Pyodide, PYODIDE_WHEELS. What
# is missing is said first, in a second.
#
# It is made in an environment of its own: in the others JupyterLab would load JupyterLite's kernel, and complain of it.
site:
	@"$(PYTHON)" -m tools.site --check $(ARGS)
	@$(MAKE) --no-print-directory VENV=$(VENV)-site $(VENV)-site/.has-site
	$(VENV)-site/bin/python -m tools.site $(ARGS)

test-site: $(VENV)/.has-test site
	SITE=build/site SITE_NOTEBOOKS=all $(VENV)/bin/python -m pytest -m "" tests/test_site.py $(ARGS)

# Prints what `make site` has built.
pdf: $(VENV)/.has-bench
	$(VENV)/bin/python -m tools.site.pdf $(ARGS)

# The program's status is 1 if something could not be graded, which it has said: for make that is no error.
grade: $(VENV)/.has-classroom
	@test -n "$(COURSE)" || { echo "Which course? make grade COURSE=my-course" >&2; exit 2; }
	@$(VENV)/bin/python -m lazydestroy.grading.course "$(COURSE)" $(ARGS) || [ $$? -eq 1 ]

# cython-lint looks for pycodestyle on the path
lint: $(VENV)/.has-lint
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	PATH="$(abspath $(VENV))/bin:$$PATH" cython-lint $(CORE)
	$(VENV)/bin/mypy
	$(VENV)/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(VENV)/bin/zizmor --offline --no-progress --quiet .github
	$(VENV)/bin/python -m tools.lessons
	$(VENV)/bin/python -m tools.hover

# Plain Python, no set-up.
contact-sheet:
	$(or $(wildcard $(VENV)/bin/python),python3) -m tools.contact_sheet

clean:
	rm -rf $(VENV) build dist lazydestroy.egg-info lazydestroy/_core.c lazydestroy/_core*.so
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache

$(MADE_WITH):
	@if [ -e "$(VENV)" ] && [ ! -e "$(VENV)/.unfinished" ]; then \
		echo "$(VENV) is there already, and was not made with $(PYTHON). Name another folder, such as" >&2; \
		echo "VENV=.venv-2, or remove this one: make clean VENV=$(VENV)" >&2; exit 1; fi
	@sh tools/check-prerequisites.sh "$(PYTHON)"
	@echo "Setting up $(VENV): this takes a minute or two, once."
	@mkdir -p $(VENV) && touch $(VENV)/.unfinished
	@"$(PYTHON)" -m venv $(VENV)
	@touch $@ && rm $(VENV)/.unfinished

# What an earlier version built for one Python alone would be found before the core that is built now. pip compiles no
# modules of an editable package; where Python may not write them either (PYTHONDONTWRITEBYTECODE, as in many containers),
# each notebook would compile them anew, which takes most of a second.
$(VENV)/.core: $(MADE_WITH) pyproject.toml $(CORE)
	@echo "Building lazydestroy, and installing it into $(VENV) ..."
	@rm -f lazydestroy/_core.c[py]*.so
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --editable .
	@$(VENV)/bin/python -m compileall -q lazydestroy
	@touch $@

# pip finds lazydestroy there, and installs only what the extras need: named by its folder, it would be built once more.
$(VENV)/.has-%: $(VENV)/.core
	@echo "Installing what its extras [$(extras-$*)] need ..."
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check "lazydestroy[$(extras-$*)]"
	@touch $@ $(foreach other,$(serves-$*),$(VENV)/.has-$(other))
