//! The client: being built, see `docs/decisions/0009-client-driver.md`.

#![expect(dead_code, reason = "its driver comes next")]

mod transport;
