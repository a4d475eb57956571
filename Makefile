# palmd: `make demo` shows it at work, `make test` runs everything that is checked.

export PATH := $(HOME)/.cargo/bin:$(PATH)
TARGET := $(or $(CARGO_TARGET_DIR),target)

.PHONY: help setup models build demo test check bench train clean

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
	cargo fmt --check
	@if cargo clippy --version >/dev/null 2>&1; \
	then cargo clippy --all-targets --locked -- -D warnings; \
	else echo "check: clippy is not installed (Debian's Rust comes without it); lints skipped"; fi

test: models check ## everything that is checked, all tests included
	python3 -m unittest discover -s tests/python
	cargo test --locked

bench: build ## time a stage, allocator calls, memory
	$(TARGET)/release/palmd bench

train: setup ## train the gesture classifier anew
	models/train/run.sh

clean: ## delete what was built; models and their cache stay
	cargo clean
