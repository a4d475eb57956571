//! Running the networks: tract reads, checks and simplifies an ONNX file once at load, and runs it
//! with some operators of our own.
//!
//! A [`Network`] is one model, ready to run: its caller writes [`Network::input`] in place, calls
//! [`Network::run`], and reads [`Network::output`]. What a model must look like is said by an
//! [`Expectation`], so that a wrong file is refused at load, by name, and not in the loop. Operators
//! that allocate do so in the network's own [`pool`].

mod depthwise;
mod error;
mod model_file;
mod network;
pub(crate) mod pool;
mod prelu;
#[cfg(test)]
pub(crate) mod test_model;

pub use error::{InferenceError, ModelError};
pub use model_file::{Expectation, ExpectedOutput};
pub use network::Network;
pub use pool::Pool;
