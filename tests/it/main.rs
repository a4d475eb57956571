//! Tests of palmd as a whole.

mod peers;
