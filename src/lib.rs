//! palmd watches a camera, follows a hand and turns gestures into events.
//!
//! The modules are stations on the way of a frame, in this order:
//!
//! | module | what happens there |
//! |---|---|
//! | [`camera`] | frames come from a V4L2 buffer pool, a recording or the synthetic hand |
//! | [`pose`] | palm detection, landmarks, tracking and smoothing turn a frame into poses |
//! | [`window`] | poses are put on a 15 Hz grid and handed over to the classifier thread |
//! | [`gesture`] | the classifier scores the last 30 poses, rules turn scores into events |
//! | [`publish`] | events are written where somebody reads them |
//!
//! Beside the way stand [`inference`] (tract, the models, our own operators), [`health`]
//! (counters, allocator calls, page faults), [`memory`], [`config`], [`control`] and [`clock`].

pub mod camera;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemon;
pub mod gesture;
pub mod health;
pub mod inference;
pub mod memory;
pub mod pose;
pub mod publish;
pub mod window;
