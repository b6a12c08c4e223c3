//! Small servers by which others measure Ferriwire.
