//! (being written)
pub mod queue;
