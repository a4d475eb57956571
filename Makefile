# palmd: `make demo` shows it at work, `make test` runs everything that is checked.

export PATH := $(HOME)/.cargo/bin:$(PATH)
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help setup models build demo test check page-pictures bench bench-peers fuzz soak cross test-arm count-arm \
	deb deb-arm deb-arm64 deb-test synthetic machine-test machine-test-amd64 train evaluate clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

setup: ## install what is missing on Debian 12 or 13
	@scripts/setup.sh --quiet

models: setup ## prepare the hand networks
	@python3 models/prepare.py

build: models ## build the program (release)
	cargo build --release --locked

demo: build ## the whole pipeline on the synthetic hand
	$(TARGET)/release/palmd demo

check: setup ## formatting and lints
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

test: models check ## everything that is checked, all tests included
	@scripts/setup.sh --quiet --tests
	python3 -m unittest discover -s tests/python
	cargo test --workspace --locked
	cargo run --locked --example soak -- --days 4 --visits 10
	tests/page/run.sh $(TARGET)/debug/palmd
	scripts/sanitize.sh
	cross/test_kernels.sh
	systemd/verify.sh
	tests/machine/ci.sh

page-pictures: build ## the page's pictures in docs/, by its test
	tests/page/run.sh $(TARGET)/release/palmd --pictures

bench: build ## time a stage, allocator calls, memory
	$(TARGET)/release/palmd bench

bench-peers: models ## measure against other runtimes; writes docs/performance.md
	cargo build --release --locked --bins --examples
	@python3 benches/peers/measure.py

fuzz: ## half an hour of made-up input for each thing that strangers can hand to palmd; keeps what it finds
	fuzz/run.sh --keep 1800

soak: models ## a simulated month of people, faults and hostile readers; draws docs/soak.svg
	cargo run --release --locked --example soak -- --svg docs/soak.svg

cross: ## build for ARM, 64 and 32 bit (release)
	cross/cargo.sh aarch64 build --release --locked
	cross/cargo.sh armv7 build --release --locked

# It asks the kernel, for whom the emulator answers in its own way.
NOT_EMULATED := --skip a_file_that_is_no_video_node_says_so

test-arm: models ## all tests but those in documentation, built for ARM and run under an emulator
	cross/cargo.sh aarch64 test --workspace --tests --locked -- $(NOT_EMULATED)
	cross/cargo.sh armv7 test --workspace --tests --locked -- $(NOT_EMULATED)

count-arm: models ## instructions that an inference takes on ARM, beside XNNPACK's
	cross/count/count.py

deb: build ## a Debian package of the release build
	packaging/deb.sh

deb-arm: models cross ## Debian packages for ARM, 64 and 32 bit
	packaging/deb.sh aarch64
	packaging/deb.sh armv7

deb-test: deb ## install, upgrade, serve, remove and purge the package in a Debian of its own (as root)
	packaging/try.sh $(TARGET)/debian/palmd_*_$$(dpkg --print-architecture).deb
	packaging/serve.sh $(TARGET)/debian/palmd_*_$$(dpkg --print-architecture).deb

machine-test: ## run the packages in virtual machines with a camera, on a PC and on ARM
	@$(MAKE) --no-print-directory -j3 machine-test-amd64 machine-test-arm64-1 machine-test-arm64-2

machine-test-amd64: deb synthetic
	tests/machine/run.sh --arch amd64 --deb $(TARGET)/debian/palmd_*_amd64.deb

machine-test-arm64-%: deb-arm64 synthetic
	tests/machine/run.sh --arch arm64 --part $*/2 --deb $(TARGET)/debian/palmd_*_arm64.deb

synthetic: build
	cargo build --release --locked --example synthetic

deb-arm64: models
	cross/cargo.sh aarch64 build --release --locked
	packaging/deb.sh aarch64

train: setup ## train the gesture classifier anew; writes docs/model-card.md
	python3 -m venv models/.cache/train
	models/.cache/train/bin/pip install -q -r models/train/requirements.txt
	models/.cache/train/bin/python models/train/train.py
	models/.cache/train/bin/python models/train/card.py

EVALUATE := evaluate/.cache/python

evaluate: build ## measure the gestures on recorded hands and rendered video; writes docs/evaluation.md
	python3 -m venv $(EVALUATE)
	$(EVALUATE)/bin/pip install -q -r evaluate/requirements.txt
	$(EVALUATE)/bin/python evaluate/evaluate.py --palmd $(TARGET)/release/palmd $(if $(MODELS),--once --models $(MODELS)) --write

clean: ## delete what was built; models and their cache stay
	cargo clean
