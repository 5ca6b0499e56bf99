# `make help` lists what there is. Debian 12 (or newer) with Swift 6.2 or newer; the rest is installed where possible.

SWIFT   ?= swift
PREFIX  ?= /usr/local
SESSION := Fixtures/sessions/mainnet-14000000-14000010.io
SOURCES := Sources Tests Package.swift
# So many tests at once: more make each last longer, and none of them end sooner.
WIDTH   ?= 4

.PHONY: help deps demo test build lint format docs bench problems autobahn idle fuzz torture soak sanitize live dependent install clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

deps: ## check the toolchain and install the C libraries that are needed
	@Tests/Scripts/install-dependencies.sh libssl-dev zlib1g-dev pkg-config

demo: deps ## build the command and stream recorded mainnet heads and logs through a real socket
	@$(SWIFT) build -c release --product headstream
	@Tests/Scripts/demo.sh "$$($(SWIFT) build -c release --show-bin-path)/headstream" $(SESSION)

test: deps ## run the tests, WIDTH (4) at once
	SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=$(WIDTH) $(SWIFT) test

build: deps ## debug (tests too) and release, without warnings
	@Tests/Scripts/build-without-warnings.sh debug --build-tests
	@Tests/Scripts/build-without-warnings.sh release

lint: ## check the format
	$(SWIFT) format lint --strict --recursive $(SOURCES)

format: ## format in place
	$(SWIFT) format --in-place --recursive $(SOURCES)

docs: deps ## DocC archives of the library targets, in .build/docs
	@Tests/Scripts/docs.sh

bench: deps ## measure beside the C++ rows; BENCH="--passes 5 --only burst" for less or more
	@Tests/Scripts/install-dependencies.sh g++ libsimdjson-dev python3 stunnel4 openssl
	@$(SWIFT) build -c release --product HeadstreamBench
	@$(SWIFT) build -c release --product HeadstreamConformance
	@folder=$$($(SWIFT) build -c release --show-bin-path); Tests/Bench/run.py --client "$$folder/HeadstreamBench" \
		--conformance "$$folder/HeadstreamConformance" $(BENCH)

problems: deps ## problems of other clients beside Headstream (they come from pip; ten minutes)
	@Tests/Scripts/install-dependencies.sh python3 python3-venv
	@$(SWIFT) build -c release --product HeadstreamBench
	@Tests/Bench/problems.py --client "$$($(SWIFT) build -c release --show-bin-path)/HeadstreamBench" $(PROBLEMS)

# What lives when a process ends is no leak; those that are have tests of their own.
sanitize: deps ## run the tests under the thread and the address sanitizer
	SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=$(WIDTH) \
	TSAN_OPTIONS="suppressions=$(CURDIR)/Tests/Scripts/thread-sanitizer.supp $(TSAN_OPTIONS)" \
	$(SWIFT) test --sanitize thread -Xswiftc -DHEADSTREAM_TSAN --scratch-path .build/sanitize-thread
	SWT_EXPERIMENTAL_MAXIMUM_PARALLELIZATION_WIDTH=$(WIDTH) ASAN_OPTIONS="detect_leaks=0 $(ASAN_OPTIONS)" \
	$(SWIFT) test --sanitize address --scratch-path .build/sanitize-address

autobahn: deps ## Autobahn|Testsuite on both ends, where a CPython 2.7 is; AUTOBAHN=--compression for its cases 12 and 13, --tls for a sample over wss
	@Tests/Scripts/install-dependencies.sh python3
	@$(SWIFT) build -c release --product HeadstreamConformance
	@Tests/Scripts/autobahn.py --driver "$$($(SWIFT) build -c release --show-bin-path)/HeadstreamConformance" $(AUTOBAHN)

idle: deps ## count the wake-ups of clients at rest
	@Tests/Scripts/install-dependencies.sh python3
	@$(SWIFT) build -c release --product HeadstreamConformance
	@Tests/Scripts/idle.py --program "$$($(SWIFT) build -c release --show-bin-path)/HeadstreamConformance"

fuzz: deps ## each fuzz target for SECONDS (60); FUZZ="FuzzJSON FuzzFrames" for some of them
	@Tests/Scripts/fuzz.sh $(or $(SECONDS),60) $(FUZZ)

torture: deps ## 100,000 seeds of the continuity property test; SEEDS=1000000 FIRST=500000 for others
	@Tests/Scripts/torture.sh $(or $(SEEDS),100000) $(or $(FIRST),1)

soak: deps ## gapless streams on real sockets with a disconnect every second, for SECONDS (600)
	@$(SWIFT) build -c release --product HeadstreamConformance
	@Tests/Scripts/soak.sh "$$($(SWIFT) build -c release --show-bin-path)/HeadstreamConformance" $(or $(SECONDS),600) $(SEED)

live: deps ## try the command, the recorder and gapless streams against a real node, where one is at hand
	@Tests/Scripts/live.sh
	@Tests/Scripts/live-continuity.sh
	@Tests/Scripts/live-tls.sh
	@Tests/Scripts/record-anvil.sh

dependent: deps ## build a package elsewhere on disk that depends on this one
	@Tests/Scripts/dependent.sh

install: deps ## build the command and put it into $(PREFIX)/bin
	$(SWIFT) build -c release --product headstream
	install -d "$(DESTDIR)$(PREFIX)/bin"
	install -m 755 "$$($(SWIFT) build -c release --show-bin-path)/headstream" "$(DESTDIR)$(PREFIX)/bin/headstream"

clean: ## forget what was built
	@rm -rf .build
