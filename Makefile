# SPDX-License-Identifier: BSD-2-Clause
#
# The doors to the Meson build. Variables that may be set on the command line:
#   CC         the compiler (a change of it sets up the build directory again)
#   WERROR=1   warnings are errors
#   SUITE=     with `make test`: only these suites, as in SUITE=unit,scenario; SUITE=-source all but that
#   FUZZ=no, TSAN=no   with `make test`: not libFuzzer's, not ThreadSanitizer's
#   FILES=     with `make tidy`: only these
#   ROWS=, SECONDS=, ROUNDS=, PREFIXES=   with `make bench`
#   ONLY=, SEEDS=   with `make bbr`
#   DESTDIR=, prefix=   with `make install`

prefix ?= /usr/local
WERROR ?=
SUITE ?=
ROWS ?= *
SECONDS ?= 1
ROUNDS ?= 5
PREFIXES ?= $(wildcard ../shared/data/prefixes.txt.gz)
FILES ?=
BUILD ?= build
BUILD_TEST ?= build-test
BUILD_FUZZ ?= build-fuzz
BUILD_TSAN ?= build-tsan
BUILD_COVERAGE ?= build-coverage
BUILD_WINDOWS ?= build-windows
LAB_ARGS ?=
MINUTES ?= 30
DRIVER ?= auto
WORKERS ?= 1
SEEDS ?= 5

MESON_WERROR = -Dwerror=$(if $(filter-out 0 no false,$(WERROR)),true,false)
# Debian does not put these into the PATH of ordinary users.
export PATH := $(PATH):/usr/local/sbin:/usr/sbin:/sbin
ifneq ($(origin CC),default)
export CC
else
CC := cc
endif

# $(call configure,DIR,OPTIONS): set DIR up, again if compiler or options changed.
define configure
	@command -v meson >/dev/null && command -v ninja >/dev/null || \
		{ echo "meson or ninja is missing: run tools/setup" >&2; exit 1; }
	@if [ ! -f $(1)/build.ninja ] || [ "$$(cat $(1)/.configured 2>/dev/null)" != "$(CC) $(2)" ]; then \
		rm -rf $(1) && mkdir -p $(1) && echo "$(1): configuring for $(CC) $(2)" && \
		{ meson setup $(1) $(2) >$(1)/configure.log 2>&1 || { cat $(1)/configure.log; false; }; } && \
		echo "$(CC) $(2)" >$(1)/.configured; \
	fi
endef

# The path of a packet goes through many small files: with link-time optimisation a new flow takes a seventh fewer
# instructions. clang would need a linker of its own for it.
OPTIMISED = -Dbuildtype=debugoptimized -Doptimization=3 $(if $(findstring clang,$(CC)),,-Db_lto=true)

all:
	$(call configure,$(BUILD),-Dprefix=$(prefix) $(OPTIMISED) -Dtests=disabled $(MESON_WERROR))
	@tools/build $(BUILD)

setup:
	@tools/setup

lab: setup
	@$(MAKE) --no-print-directory all
	$(BUILD)/yangguan lab $(LAB_ARGS)

# Everything under AddressSanitizer and UndefinedBehaviorSanitizer. Where clang
# has libFuzzer, the fuzz targets are built a second time with it and run briefly.
test: setup
	$(call configure,$(BUILD_TEST),-Dbuildtype=debug -Db_sanitize=address$(comma)undefined -Db_lundef=false \
		-Dtests=enabled $(MESON_WERROR))
	@tools/build $(BUILD_TEST)
	@if [ -z "$(SUITE:-%=)" ] && [ "$(TSAN)" != no ]; then $(MAKE) --no-print-directory tsan; fi
	@if [ -z "$(SUITE:-%=)" ] && [ "$(FUZZ)" != no ] && tools/has-libfuzzer; then \
		$(MAKE) --no-print-directory fuzz-build CC=clang && \
		tests/summary $(BUILD_TEST)$(if $(SUITE),:$(SUITE)) $(BUILD_FUZZ):libfuzzer; \
	else \
		tests/summary $(BUILD_TEST)$(if $(SUITE),:$(SUITE)); \
	fi

# README's two commands on a machine that has nothing yet: the least Debian, made for this (tools/fresh); root.
fresh:
	@tools/fresh

# Every testable requirement of the RFCs on NAT, on our own TCP and on BGP's messages, one line each (docs/rfc.md).
# ONLY='4787 REQ-9' runs those whose name contains both words.
rfc: setup
	$(call configure,$(BUILD_TEST),-Dbuildtype=debug -Db_sanitize=address$(comma)undefined -Db_lundef=false \
		-Dtests=enabled $(MESON_WERROR))
	@ninja --quiet -C $(BUILD_TEST) tests/rfc/rfc
	@$(BUILD_TEST)/tests/rfc/rfc $(ONLY)

# Mixed traffic for MINUTES under the sanitizers, with the law of conservation checked (tests/soak/soak).
# DRIVER=xdp|tc|af_packet; as root all of them can be had.
soak: setup
	$(call configure,$(BUILD_TEST),-Dbuildtype=debug -Db_sanitize=address$(comma)undefined -Db_lundef=false \
		-Dtests=enabled $(MESON_WERROR))
	@ninja --quiet -C $(BUILD_TEST) yangguan
	@tests/soak/soak $(BUILD_TEST)/yangguan --minutes $(MINUTES) --driver $(DRIVER) --workers $(WORKERS)

# What several threads share, under ThreadSanitizer: rings, a group of workers with a thread for each, and a host.
TSAN_TESTS = src/base_ring_test src/daemon_run_log_ring_test src/base_grace_test src/stack_ip_fib_race_test src/stack_ip_lost_hops_test tests/scenario/scenario_workers_thread_test tests/scenario/scenario_host_thread_test
tsan: setup
	$(call configure,$(BUILD_TSAN),-Dbuildtype=debugoptimized -Db_sanitize=thread -Dtests=enabled $(MESON_WERROR))
	@ninja --quiet -C $(BUILD_TSAN) $(TSAN_TESTS)
	@for t in $(TSAN_TESTS); do $(BUILD_TSAN)/$$t || exit 1; done

# Linux and Yangguan side by side; root, some minutes. ROWS='veth-xdp*' measures only those (bench/run --list),
# SECONDS= is how long each of the windows takes, PREFIXES= a file with a full Internet table.
bench: setup all
	@tools/build $(BUILD) bench-programs
	@bench/run $(BUILD) --rows '$(ROWS)' --seconds $(SECONDS) --rounds $(ROUNDS) $(if $(PREFIXES),--prefixes $(PREFIXES))

# Congestion control over a path in virtual time, beside what is asked of it; tables and pictures in build/bbr.
# ONLY=loss runs the cells with that word; SEEDS=1 is quicker.
bbr: setup all
	@tools/build $(BUILD) bench/bbr_wire
	@bench/bbr/run $(BUILD)/yangguan $(BUILD)/bbr --seeds $(SEEDS) $(if $(ONLY),--only '$(ONLY)')

# All C files in the form of .clang-format (a test of the suite `tools` holds them to it).
format:
	@tools/format

# All C files against .clang-tidy, the program's own with the analyzer: half an hour of processor time. (The rest of it is a test of the
# suite `tools`.) FILES='src/base/pool.c ...' looks at those only.
tidy: setup
	$(call configure,$(BUILD_TEST),-Dbuildtype=debug -Db_sanitize=address$(comma)undefined -Db_lundef=false \
		-Dtests=enabled $(MESON_WERROR))
	@tools/build $(BUILD_TEST)
	@tools/tidy $(BUILD_TEST) $(FILES)

# The core for Windows, and its unit tests by wine (docs/windows.md).
windows:
	@command -v x86_64-w64-mingw32-gcc >/dev/null && [ -x /usr/lib/wine/wine64 ] || \
		{ echo "mingw-w64 or wine is missing: apt-get install gcc-mingw-w64-x86-64 wine64" >&2; exit 1; }
	@[ -f $(BUILD_WINDOWS)/build.ninja ] || env -u CC meson setup $(BUILD_WINDOWS) \
		--cross-file port/windows/cross.ini $(MESON_WERROR) >/dev/null
	@ninja --quiet -C $(BUILD_WINDOWS)
	@WINEDEBUG=-all meson test -C $(BUILD_WINDOWS) --no-rebuild --print-errorlogs

# Which lines the unit tests and scenarios execute, a room a line, and a page for each file.
coverage: setup
	$(call configure,$(BUILD_COVERAGE),-Dbuildtype=debug -Db_coverage=true -Dtests=enabled $(MESON_WERROR))
	@tools/build $(BUILD_COVERAGE)
	@find $(BUILD_COVERAGE) -name '*.gcda' -delete
	@tests/summary $(BUILD_COVERAGE):unit,scenario
	@tools/coverage $(BUILD_COVERAGE)

fuzz-build:
	$(call configure,$(BUILD_FUZZ),-Dbuildtype=debugoptimized -Dfuzz=true -Db_sanitize=address$(comma)undefined \
		-Db_lundef=false -Dtests=disabled $(MESON_WERROR))
	@tools/build $(BUILD_FUZZ)

install: all
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) $(BUILD_TEST) $(BUILD_FUZZ) $(BUILD_TSAN) $(BUILD_COVERAGE) build-ci-gcc build-ci-clang build-test-gcc build-test-clang

help:
	@echo 'make            build build/yangguan'
	@echo 'make lab        install what is missing, build, and run the lab (LAB_ARGS=--check: only check it)'
	@echo 'make test       install what is missing, build with sanitizers, run every test (SUITE=unit: only these)'
	@echo 'make rfc        the requirements of the RFCs on NAT, one scenario each (ONLY=6888: only these)'
	@echo 'make soak       half an hour of mixed traffic under the sanitizers (MINUTES=, DRIVER=, WORKERS=)'
	@echo 'make windows    the core for Windows, its unit tests by wine (docs/windows.md)'
	@echo 'make tsan       what threads share, under ThreadSanitizer (part of make test)'
	@echo "make bench      Linux and Yangguan side by side, root (ROWS='veth-*': only these; bench/README.md)"
	@echo 'make bbr        congestion control over a path in virtual time, with pictures (ONLY=loss, SEEDS=1; docs/bbr.md)'
	@echo 'make format     all C files in the form of .clang-format'
	@echo "make tidy       all C files against .clang-tidy, with the analyzer (FILES='a.c b.c': only these)"
	@echo 'make coverage   which lines the unit tests and scenarios execute (build-coverage/coverage/index.html)'
	@echo 'make install    install yangguan and its short name yg (DESTDIR, prefix)'
	@echo 'make fresh      both commands of README on the least Debian that can be had, made for this; root'
	@echo 'make setup      install what is missing'
	@echo 'make clean      remove what was built'
	@echo 'CC=clang and WERROR=1 work with each; other builds (ThreadSanitizer, libFuzzer) are at the top of meson.build'

comma := ,
.PHONY: all setup lab test fresh bench bbr rfc soak tsan windows format tidy coverage fuzz-build install clean help
