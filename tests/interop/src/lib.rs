//! Runs the scripts of other implementations against our server.
