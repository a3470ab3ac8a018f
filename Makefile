# "make help" lists the targets.

GO      ?= go
MODULE  := github.com/drover-org/drover
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
DATE    ?= $(shell git log -1 --format=%cI 2>/dev/null)
# Without a tag "git describe" is a bare hash: no version number, so not stamped.
NUMBER  := $(filter v%,$(VERSION))
STAMP   := -X $(MODULE)/internal/version.number=$(NUMBER) \
           -X $(MODULE)/internal/version.commit=$(COMMIT) \
           -X $(MODULE)/internal/version.date=$(DATE)

SHIM := internal/shim/embedded/bin/drover-shim
MAX_BINARY_MB := 60

.DEFAULT_GOAL := build
.PHONY: help build shim demo deps test race lint check bench bench-2m e2e conformance check-sched man clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: shim ## build bin/drover
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w $(STAMP)' -o bin/drover ./cmd/drover
	@size=$$(( $$(wc -c < bin/drover) / 1000000 )); \
	if [ $$size -gt $(MAX_BINARY_MB) ]; then echo "bin/drover has $$size MB, $(MAX_BINARY_MB) are allowed" >&2; exit 1; fi

# The supervisor is a program of its own that bin/drover carries inside.
shim:
	@mkdir -p $(dir $(SHIM))
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $(SHIM) ./cmd/drover-shim

demo: build ## start a dev agent and take a first job through its life
	@scripts/demo

deps: ## install what the tests need (root on Debian), or say what is missing
	@scripts/deps

test: build ## run all tests
	@scripts/test

race: shim ## run all tests with the race detector
	@scripts/test -race

lint: ## formatting, vet, staticcheck
	@scripts/lint

check: lint test ## everything that must hold before a change is handed in

bench: shim ## run the Go benchmarks
	$(GO) test -run '^$$' -bench . -benchmem ./...

bench-2m: build ## two million allocations on 6,100 simulated nodes (15 minutes at most, 12 GiB)
	GOMEMLIMIT=7500MiB $(GO) run ./scripts/scale -drover bin/drover -nodes 6100 -jobs 2000 -count 1000

e2e: build ## run only the stories, through the real binary
	DROVER_BIN=$(CURDIR)/bin/drover $(GO) test -count=1 -v ./test/...

conformance: build ## run the Go SDK's own tests against bin/drover
	$(GO) run ./scripts/conformance -drover bin/drover -expected test/conformance.txt

N ?= 20000
check-sched: ## play N random histories of large clusters through the scheduler
	SCHED_CASES=$(N) $(GO) test -count=1 -timeout 24h -run TestHistories ./internal/sched

man: build ## write bin/drover.1, the manual page
	bin/drover man > bin/drover.1

clean: ## remove what was built
	rm -rf bin $(SHIM)
