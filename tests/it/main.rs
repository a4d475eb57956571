//! Tests across stations.

mod hand_over;
