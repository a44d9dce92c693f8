# Everything a person does with this project; `make help` lists it.
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
PYTHON ?= python3
CONFIGURATION ?= release
BIN := .build/$(CONFIGURATION)
PACKAGES := libopenblas-dev libjpeg-dev libpng-dev libwebp-dev libgif-dev libtiff-dev libavformat-dev libavcodec-dev libswscale-dev libavutil-dev libzstd-dev libpcre2-dev libutf8proc-dev libyaml-dev pkg-config curl jq
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help deps build test test-neon test-clients test-json-schema bench-peers bench-guides load load-pictures test-families models-page sanitized fuzz families demo install clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install the missing system packages (Debian)
	@missing=$$(for package in $(PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'install ok installed' || printf '%s ' $$package; done); \
	if [ -n "$$missing" ]; then echo "installing $$missing"; \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
	@command -v swift >/dev/null || { echo 'Swift 6.3 is needed: https://www.swift.org/install' >&2; exit 1; }

build: deps ## build vlmc, vlm-serve and vlm-cache in .build/release
	swift build -c $(CONFIGURATION)

# As many tests at once as leave those that wait for a server or a clock their turn.
TESTS := swift test -c $(CONFIGURATION) --disable-testable-imports --experimental-maximum-parallelization-width 4

# Those wait for programs, on the threads that others need in time: they run by themselves.
PROGRAMS := ^EndToEndTests\.

# The clients are Python packages of exact versions, in .build/clients; without the package index they are skipped, by name.
CLIENTS := VLM_BIN=$(CURDIR)/$(BIN) Tests/Clients/run.sh

test: deps sanitized ## run every test
	.build/fuzz/image -runs=0 -verbosity=0 Tests/InputsTests/Fixtures/image/files
	.build/fuzz/kernel-checks -runs=0 -verbosity=0 Tests/Fuzz/Corpus/kernels
	Tests/Cross/run.sh
	$(TESTS) --skip '$(PROGRAMS)'
	$(TESTS) --skip-build --filter '$(PROGRAMS)'
	$(CLIENTS)

test-neon: ## hold the kernels of this machine and, under qemu, of 64-bit ARM to the same bits
	Tests/Cross/run.sh

test-clients: build ## try OpenAI's, Anthropic's and other clients with vlm-serve
	$(CLIENTS)

test-json-schema: deps ## hold guided answers against the public JSON-Schema-Test-Suite
	swift build -c $(CONFIGURATION) --build-tests
	TESTS="$(TESTS) --skip-build" Tests/JSONSchema/run.sh

bench-peers: build ## measure vlm-serve beside llama.cpp in turns, and write docs/performance.md
	VLM_BIN=$(CURDIR)/$(BIN) Tests/Benchmarks/Peers/run.sh

bench-guides: deps ## what guided answers cost a token over a vocabulary of 151 936
	swift build -c $(CONFIGURATION) --product guide-bench
	$(BIN)/guide-bench

load: build ## 64 clients for five minutes with vlm-serve; each answer must be what it is alone
	$(PYTHON) Tests/Benchmarks/Load/load.py $(BIN)

load-pictures: build ## how much new pictures slow the streams beside them
	$(PYTHON) Tests/Benchmarks/Load/pictures.py $(BIN)

SANITIZED := clang -gline-tables-only -O1 -fuse-ld=lld -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined
# Kernels load from any address; what pointers may not be is found where memory is touched, and looking at each takes two thirds of the compiling.
UNCHECKED := -fno-sanitize=alignment,pointer-overflow,object-size
FUZZER_FLAGS = -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=1024 -timeout=10 -print_final_stats=1 -verbosity=0 -artifact_prefix=.build/fuzz/

sanitized: deps
	@rm -rf .build/fuzz/objects
	@mkdir -p .build/fuzz/images .build/fuzz/kernels .build/fuzz/objects
	$(SANITIZED) -ISources/CImage/include Tests/Fuzz/image.c Sources/CImage/*.c -ljpeg -lpng -lwebp -lgif -o .build/fuzz/image
	ls Tests/Fuzz/kernels.c Sources/CKernels/*.c Sources/CKernels/*/*.c | xargs -P $$(nproc) -I{} sh -c \
	  '$(SANITIZED) -Wno-unused-command-line-argument $(UNCHECKED) -ISources/CKernels -ISources/CKernels/include -c {} -o .build/fuzz/objects/$$(echo {} | tr / -).o'
	$(SANITIZED) .build/fuzz/objects/*.o -o .build/fuzz/kernel-checks

fuzz: deps sanitized ## try damaged inputs of every kind, each for FUZZ_SECONDS (60)
	swift build -c $(CONFIGURATION) --product fuzz-targets
	swift build -c $(CONFIGURATION) --product vlm-video-frames
	.build/fuzz/image $(FUZZER_FLAGS) .build/fuzz/images Tests/InputsTests/Fixtures/image/files
	.build/fuzz/kernel-checks $(FUZZER_FLAGS) -max_len=400 -len_control=0 .build/fuzz/kernels Tests/Fuzz/Corpus/kernels
	$(BIN)/fuzz-targets --seconds $(FUZZ_SECONDS)

FAMILIES ?= --rest

families: ## make the tiny models that are not committed, in .build/families (FAMILIES='--extents odd': all, of other sizes)
	@if $(PYTHON) -c 'import sentencepiece, tiktoken, torch, transformers' 2>/dev/null; then \
	  cd Tests/Oracle && $(PYTHON) -m families $(FAMILIES) --out $(CURDIR)/.build/families; \
	else echo "families: skipped" $$(cat Tests/Families/Fixtures/generated.txt)", $(PYTHON) lacks what Tests/Oracle/requirements.txt lists"; fi

test-families: deps ## compare every family with transformers (VLM_FAMILIES=FOLDER: the records there as well)
	@[ -d .build/families ] || $(MAKE) families
	$(TESTS) --filter '\.(FamilyTests|FamilyInputTests|FamilyParityTests)/'

models-page: deps ## write docs/models.md and the README's table again
	VLM_BLESS=1 $(TESTS) --filter '\.ModelsPageTests/'

demo: build ## compile the demo model, serve it and ask about images
	Artifacts/Demo/demo.sh $(BIN)

install: build ## copy the programs to PREFIX/bin
	install -d $(DESTDIR)$(PREFIX)/bin
	install $(BIN)/vlmc $(BIN)/vlm-serve $(BIN)/vlm-cache $(BIN)/vlm-video-frames $(DESTDIR)$(PREFIX)/bin/

clean: ## remove what was built
	rm -rf .build
