//! palmd's kernels and what they need, out of its `src/inference`.
#![allow(dead_code, unused_imports, missing_docs, reason = "the plan that uses them is not here")]

#[path = "../../src/inference"]
pub mod inference {
    pub mod kernels;
    pub mod simd;
}
