//! Running the networks.
//!
//! tract reads, types, checks and simplifies an ONNX file, and runs what comes of it. The nodes
//! that our kernels can compute are folded into operators of our own on the way: the hand networks
//! and the gesture classifier become one such operator each. The rooms, in the order in which a
//! model passes through them:
//!
//! - `model_file`: the file, held to an [`Expectation`], so that a wrong one is refused at load,
//!   by name, and not in the loop; `prelu` gives tract an operator that it lacks;
//! - `limits`: what a model may ask of the machine, checked before it is asked: of the file
//!   (`records` counts its parts), of each operator (`guarded`), and of the time to load (`patience`);
//! - `fold`: which nodes become ours ([`Folding`]), and their translation into layers;
//! - `plan`: layers in a fixed order over one arena; a run allocates nothing, and may share its
//!   work with a [`Team`];
//! - [`palmd_kernels`], a package of its own: the arithmetic of a layer, written once for all
//!   instruction sets;
//! - `network`: the whole, ready to run. The caller writes [`Network::input`] in place, calls
//!   [`Network::run`], and reads [`Network::output`].
//! - `pool`: memory for the operators that stay tract's, which allocate.

mod error;
mod fold;
mod guarded;
mod limits;
mod model_file;
mod network;
mod patience;
mod plan;
pub(crate) mod pool;
mod prelu;
mod records;
#[cfg(test)]
pub(crate) mod test_model;

pub use error::{InferenceError, ModelError};
pub use fold::Folding;
pub use limits::LimitError;
pub use model_file::{Expectation, ExpectedOutput};
pub use network::{LayerCost, Network};
pub use palmd_kernels::InstructionSet;
pub use patience::LOADING_THREAD;
pub use plan::{MOST_THREADS, Team};
pub use pool::Pool;
