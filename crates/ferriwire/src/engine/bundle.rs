//! The official browser client, in memory.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use sha1::{Digest as _, Sha1};
use tokio::sync::OnceCell;

use super::http::encoding::{Coding, compress};
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

/// What is smaller does not become smaller.
const MIN_COMPRESSED: usize = 1024;

/// Compressed once, read often.
const LEVEL: u8 = 9;

#[derive(Debug)]
pub(crate) struct Bundle {
    files: BTreeMap<&'static str, File>,
}

/// One file, and what has been asked for of its compressed forms.
#[derive(Debug)]
pub(crate) struct File {
    content: Bytes,
    content_type: &'static str,
    /// What its tags begin with: the beginning of a hash of the content.
    version: String,
    gzip: OnceCell<Bytes>,
    deflate: OnceCell<Bytes>,
    brotli: OnceCell<Bytes>,
}

impl Bundle {
    /// Reads those of the eight files that are there; at least one has to be.
    pub(crate) fn read(folder: &Path) -> Result<Self, Error> {
        let mut files = BTreeMap::new();
        for name in FILES {
            if let Ok(content) = std::fs::read(folder.join(name)) {
                files.insert(name, File::new(name, content.into()));
            }
        }
        if files.is_empty() {
            return Err(Error::NoClientBundle(folder.to_owned()));
        }
        Ok(Self { files })
    }

    pub(crate) fn file(&self, name: &str) -> Option<&File> {
        self.files.get(name)
    }
}

impl File {
    fn new(name: &str, content: Bytes) -> Self {
        let content_type = if name.ends_with(".map") {
            "application/json; charset=utf-8"
        } else {
            "application/javascript; charset=utf-8"
        };
        let hash = URL_SAFE_NO_PAD.encode(Sha1::digest(&content));
        Self {
            content,
            content_type,
            version: hash,
            gzip: OnceCell::new(),
            deflate: OnceCell::new(),
            brotli: OnceCell::new(),
        }
    }

    pub(crate) fn content_type(&self) -> &'static str {
        self.content_type
    }

    /// Whether it is worth compressing.
    pub(crate) fn is_compressible(&self) -> bool {
        self.content.len() >= MIN_COMPRESSED
    }

    /// The strong tag of one of its forms: each has bytes of its own, and so a tag of its own.
    pub(crate) fn tag(&self, coding: Option<Coding>) -> String {
        match coding {
            None => format!("\"{}\"", self.version),
            Some(coding) => format!("\"{}-{}\"", self.version, coding.name()),
        }
    }

    /// One of its forms, compressed when it is first asked for.
    pub(crate) async fn content(&self, coding: Option<Coding>) -> std::io::Result<Bytes> {
        let Some(coding) = coding else {
            return Ok(self.content.clone());
        };
        let form = match coding {
            Coding::Gzip => &self.gzip,
            Coding::Deflate => &self.deflate,
            Coding::Brotli => &self.brotli,
        };
        let compressed = form.get_or_try_init(|| compress(&self.content, coding, LEVEL));
        compressed.await.cloned()
    }
}
