//! The official clients against the servers for their own suites: each row of the contract.

const SUPPORT_ENGINE: &str = env!("CARGO_BIN_EXE_client-support-engine");
const SUPPORT_SOCKET: &str = env!("CARGO_BIN_EXE_client-support-socket");

#[test]
fn the_engine_client_gets_what_its_suite_expects() {
    interop::support(SUPPORT_ENGINE, "engine");
}

#[test]
fn the_socket_client_gets_what_its_suite_expects() {
    interop::support(SUPPORT_SOCKET, "socket");
}
