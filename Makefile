# Everything a person does with this project; `make help` lists it.
PREFIX ?= /usr/local
CONFIGURATION ?= release
BIN := .build/$(CONFIGURATION)
PACKAGES := libopenblas-dev libjpeg-dev libpng-dev libzstd-dev libpcre2-dev pkg-config curl jq
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

.PHONY: help deps build test demo install clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install the missing system packages (Debian)
	@missing=$$(for package in $(PACKAGES); do \
	  dpkg-query -W -f '$${Status}' $$package 2>/dev/null | grep -q 'install ok installed' || printf '%s ' $$package; done); \
	if [ -n "$$missing" ]; then echo "installing $$missing"; \
	  $(SUDO) apt-get update -qq && DEBIAN_FRONTEND=noninteractive $(SUDO) apt-get install -y -qq --no-install-recommends $$missing >/dev/null; fi
	@command -v swift >/dev/null || { echo 'Swift 6.3 is needed: https://www.swift.org/install' >&2; exit 1; }

build: deps ## build vlmc, vlm-serve and vlm-cache in .build/release
	swift build -c $(CONFIGURATION)

test: deps ## run every test
	swift test -c $(CONFIGURATION) --disable-testable-imports

demo: build ## compile the demo model, serve it and ask about pictures
	Artifacts/Demo/demo.sh $(BIN)

install: build ## copy the three programs to PREFIX/bin
	install -d $(DESTDIR)$(PREFIX)/bin
	install $(BIN)/vlmc $(BIN)/vlm-serve $(BIN)/vlm-cache $(DESTDIR)$(PREFIX)/bin/

clean: ## remove what was built
	rm -rf .build
