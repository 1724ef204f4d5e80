# The few commands of everyday. CMake presets do the building; see CMakePresets.json.
#
#   make demo      install what is needed, build, run the main job
#   make test      all tests; ends with "N passed, N failed"
#   make lint      formatting, static analysis, layers, exported symbols
#   make bench     benchmarks beside their peers
#   make interop   files and tables against DuckDB and pypaimon
#   make format    reformat the sources
#   make install   install the program, the library and tarn.h (PREFIX=/usr/local)

PREFIX ?= /usr/local
PYTHON_ENV = build/python

all: build/tarn

build/tarn: release
release:
	@tools/setup build
	@[ -f build/build.ninja ] || tools/as_owner cmake --preset release >/dev/null
	@tools/as_owner cmake --build --preset release

demo: release
	@demo/run

test:
	@tools/setup build test
	@tools/run_tests

lint:
	@tools/setup build lint
	@tools/lint

format:
	@tools/setup build lint
	@git ls-files -co --exclude-standard '*.c' '*.h' | xargs clang-format -i

bench: release $(PYTHON_ENV)/ready
	@tools/setup peers
	@cmake --preset release >/dev/null
	@cmake --build --preset release --target benches
	@PATH="$(CURDIR)/$(PYTHON_ENV)/bin:$$PATH" bench/run

interop: release $(PYTHON_ENV)/ready
	@cmake --build --preset release --target lake_tool benches
	@PATH="$(CURDIR)/$(PYTHON_ENV)/bin:$$PATH" tests/interop/run

# The peers, from PyPI: needed here only, never by the program or its tests.
$(PYTHON_ENV)/ready: tools/python-requirements.txt
	@tools/python_env $(PYTHON_ENV)

install: release
	@tools/install build $(PREFIX)

clean:
	rm -rf build build-* demo-warehouse

.PHONY: all release demo test lint format bench interop install clean
