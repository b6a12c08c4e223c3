//! The official browser client, served from memory.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;

use crate::error::Error;

/// The names under which the reference serves its client. Nothing else is ever looked up, and no
/// name from a request reaches the file system.
const FILES: [&str; 8] = [
    "socket.io.js",
    "socket.io.js.map",
    "socket.io.min.js",
    "socket.io.min.js.map",
    "socket.io.esm.min.js",
    "socket.io.esm.min.js.map",
    "socket.io.msgpack.min.js",
    "socket.io.msgpack.min.js.map",
];

#[derive(Debug)]
pub(crate) struct Bundle {
    files: BTreeMap<&'static str, Bytes>,
}

impl Bundle {
    /// Reads those of the eight files that are there; at least one has to be.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let mut files = BTreeMap::new();
        for name in FILES {
            if let Ok(content) = std::fs::read(folder.join(name)) {
                files.insert(name, Bytes::from(content));
            }
        }
        if files.is_empty() {
            return Err(Error::NoClientBundle(folder.to_owned()));
        }
        Ok(Self { files })
    }

    pub(crate) fn file(&self, name: &str) -> Option<(&'static str, Bytes)> {
        let (name, content) = self.files.get_key_value(name)?;
        let content_type = if name.ends_with(".map") {
            "application/json; charset=utf-8"
        } else {
            "application/javascript; charset=utf-8"
        };
        Some((content_type, content.clone()))
    }
}
