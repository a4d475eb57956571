//! palmd: watches a camera, follows a hand and turns gestures into events.

mod cli;

use std::process::ExitCode;

use palmd::health::CountingAllocator;

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fn main() -> ExitCode {
    cli::main()
}
