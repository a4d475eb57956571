//! palmd: the daemon and its tools.

fn main() {}
