# What there is to do with a clone. What a command needs from the machine is looked at first (infra/local/needs).

# The scripts in infra/local look for the functions there.
export CARGO_TARGET_DIR := $(CURDIR)/target
# Where an HTTP proxy is set: this machine is asked without it.
export NO_PROXY := 127.0.0.1,localhost$(or $(no_proxy:%=,%),$(NO_PROXY:%=,%))
export no_proxy := $(NO_PROXY)
# For up, demo, bench, faults, test-obs, try-restore, upgrade and acceptance, as in: make up OPTIONS='--port 4600'
OPTIONS :=
# For upgrade: the revision that is deployed first.
FROM := HEAD
# For release: the tag that it is of, if there is one.
TAG :=
# For fuzz: seconds for each fuzzer, and names of some.
SECONDS := 60
TARGETS :=

.DEFAULT_GOAL := help
.PHONY: help needs demo up down test test-obs test-page screenshots lint build package release try-release try-restore \
    bench faults fuzz upgrade acceptance picture recording clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 13

needs:
	@infra/local/needs --parameters '$(PARAMETERS)' $(MAKECMDGOALS)

demo: build ## bring a disk image from OBS to an AMI, on this machine, and compare the bytes
	@infra/local/stack up $(OPTIONS) && infra/local/demo; status=$$?; infra/local/stack down; exit $$status

up: build ## start the whole stack on this machine (OBS_URL=… for a real OBS); target/local/env has its settings
	@infra/local/stack up $(OPTIONS)

down: ## end what "make up" started
	@infra/local/stack down

test: needs ## all checks and tests
	@infra/local/check test

test-obs: build ## run it with the source server of OBS 2.9.4 and nginx, by both of its doors
	@infra/local/test-obs $(OPTIONS)

test-page: needs ## the page at the root of the API, in a headless Chromium; with the settings of a stack, on that, too
	@infra/local/page test $(OPTIONS)

screenshots: needs ## pictures of the page, into docs/page
	@infra/local/page screenshots --write

lint: needs ## formatting, clippy, workflow and templates
	@infra/local/check lint

# The tools of the local stack are downloaded while the compiler works.
build: needs ## the functions, for this machine, into target/quick
	@infra/local/stack tools emulator sam & tools=$$!; \
	    cargo build --profile quick --locked --workspace --bins; status=$$?; wait $$tools && exit $$status

# All functions at once, on all cores: "sam build" alone builds one after the other. It finds them built.
FUNCTIONS := $(patsubst functions/%/src/main.rs,%,$(wildcard functions/*/src/main.rs))
ARCHITECTURE := $(if $(findstring x86_64,$(PARAMETERS)),x86_64,arm64)
BUILD_FUNCTIONS = cargo lambda build --release --locked $(if $(findstring arm64,$(ARCHITECTURE)),--arm64) $(FUNCTIONS:%=--bin %)
package release: export PATH := $(CURDIR)/target/tools/cargo-lambda/bin:$(PATH)
package: export SAM_CLI_TELEMETRY := 0
package: needs ## what "sam deploy" takes to AWS, into target/sam; PARAMETERS='Architecture=x86_64' for other processors
	@infra/local/stack tools sam cargo-lambda
	$(BUILD_FUNCTIONS)
	target/tools/sam/bin/sam build $(if $(PARAMETERS),--parameter-overrides $(PARAMETERS))

release: needs ## what is deployed without a compiler, into target/release-files; with PARAMETERS, as package
	@infra/local/stack tools cargo-lambda release
	$(BUILD_FUNCTIONS)
	infra/local/release --architecture $(ARCHITECTURE) --functions target/lambda $(if $(TAG),--tag $(TAG)) $(OPTIONS)

try-release: needs ## deploy the files of a release on this machine, with the AWS CLI alone
	@infra/local/try-release $(OPTIONS)

try-restore: build ## try what docs/operators.md says of backup and restore, on this machine
	@infra/local/try-restore $(OPTIONS)

bench: build ## how fast and how large the functions are; OPTIONS=--write writes docs/performance.md
	@infra/local/bench $(OPTIONS)

faults: build ## break every call to AWS in every way, and see what comes of it; OPTIONS=--write writes docs/faults.md
	@infra/local/faults $(OPTIONS)

fuzz: needs ## give invented input to every parser, a minute each: SECONDS=60 TARGETS='xz_index decode'
	@infra/local/fuzz --seconds $(SECONDS) $(TARGETS)

upgrade: build ## deploy this version over running jobs of another, and that over jobs of this one: FROM=<git revision>
	@infra/local/upgrade --from $(FROM) $(OPTIONS)

acceptance: needs ## try a release on AWS, in two accounts: OPTIONS='--service-profile P --user-profile Q --region R'
	@infra/local/acceptance $(OPTIONS)

picture: needs ## draw the picture of the README from docs/overview.dot
	@infra/local/picture

recording: build ## record "make demo" for the README, into docs/demo.svg
	@infra/local/recording

clean: ## end what runs, and remove everything that was built
	@for dir in local test test/try-release test/try-restore test/acceptance test-obs try-release try-restore faults bench upgrade acceptance; do infra/local/stack down --dir target/$$dir || exit; done
	rm -rf target
