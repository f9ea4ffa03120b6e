# `make` says what there is. What a target does is in Go or in a script; here
# is only its name.

GO      ?= go
COMPOSE ?= docker compose

# The command line, and every service that also runs on its own.
binaries := lethe gateway pseudonymizer loader retention analyst compliance

# A test that cannot have what it needs fails, for each of these. Empty it to
# skip such tests: `make test LETHE_TEST_REQUIRE=`.
LETHE_TEST_REQUIRE ?= clickhouse chromium
export LETHE_TEST_REQUIRE

# What `lethe version` says.
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo development)

.PHONY: help run test test-race test-long check lint bench derive build engine browser screenshots compose clean go

help: ## say what there is (the default)
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

run: build engine ## build and start everything on this machine, with example events
	bin/lethe up --demo

test: go engine browser ## run every test
	$(GO) test -timeout 12m ./...
	$(GO) test -timeout 2m -tags crashpoints ./pkg/crashpoint

test-race: go engine browser ## run every test under the race detector
	$(GO) test -race -timeout 30m ./...

test-long: go engine browser ## run every test at its full size
	LETHE_TEST_LONG=1 $(GO) test -timeout 90m ./...

check: lint test ## what CI runs: lint and test

lint: go ## look for faults without running anything
	@files=$$(gofmt -l $$(git ls-files -co --exclude-standard '*.go')); \
	if [ -n "$$files" ]; then echo "gofmt would change:"; echo "$$files"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags crashpoints ./...
	$(GO) tool staticcheck ./...
	@pkg/openapi/lint/lint pipelines/derived/openapi.json

bench: go engine ## measure, and end with a table (docs/performance.md)
	$(GO) test -run '^$$' -bench . -benchmem -benchtime 0.5s -timeout 30m ./... | $(GO) run ./pkg/lethetest/benchtable

derive: go engine ## write anew what follows from the policy and the routes
	$(GO) test ./pipelines -update
	$(GO) test ./pkg/openapi -run TestTheWordsAreThoseOfTheSource -update
	$(GO) test ./services/lethe -run 'TestTheRulesInTheDocsAreThoseOfTheGate|TestTheDocumentDescribesEveryRoute' -update

build: go ## build every binary into bin/
	@mkdir -p bin
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-X github.com/lethe-pipeline/lethe/pkg/assembly.Version=$(VERSION)' -o bin/ $(addprefix ./services/,$(binaries))

engine: ## fetch the embedded ClickHouse into the user's cache, once
	@pkg/embedded/engine/fetch

browser: ## get what the tests of the console need, once
	@pkg/console/browser/install >/dev/null

screenshots: go engine browser ## make the pictures of the console in docs/img anew
	LETHE_SCREENSHOTS=$(CURDIR)/docs/img $(GO) test ./services/lethe -run TestScreenshots -count=1

compose: ## start every service as a container of its own
	COMPOSE_USER=$$(id -u):$$(id -g) $(COMPOSE) up --build

clean: ## remove what was built and the data of `make run`
	rm -rf bin data

go:
	@command -v $(GO) >/dev/null || { echo "Go is not installed; Lethe needs Go $$(sed -n 's/^go //p' go.mod) or later."; exit 1; }
