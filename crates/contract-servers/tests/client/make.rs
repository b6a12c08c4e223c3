//! Servers of every make, with the behaviour that `tests/interop/servers/node.mjs` lists.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::ours::Ours;

const INTEROP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/interop");
const PYTHON: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../.setup/python/bin/python"
);

/// Who made a server.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Make {
    /// The official one, 4.8.
    Node4,
    /// The official one, 2.5, which speaks Engine.IO 3.
    Node2,
    /// python-socketio on aiohttp.
    Python,
    Ours,
}

impl Make {
    /// Of Engine.IO.
    pub(crate) fn revision(self) -> u8 {
        match self {
            Self::Node2 => 3,
            Self::Node4 | Self::Python | Self::Ours => 4,
        }
    }

    /// Whether clients come back to where they were. Then its events end with an offset.
    pub(crate) fn recovers(self) -> bool {
        match self {
            Self::Node4 | Self::Ours => true,
            Self::Node2 | Self::Python => false,
        }
    }
}

impl fmt::Display for Make {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Node4 => "Node.js 4.8",
            Self::Node2 => "Node.js 2.5",
            Self::Python => "Python",
            Self::Ours => "ours",
        })
    }
}

/// The files of a certificate for this machine.
#[derive(Clone)]
pub(crate) struct Certificate {
    pub(crate) authority: PathBuf,
    pub(crate) chain: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Makes one in a folder of that name.
    pub(crate) fn make(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        // A name of its own, or OpenSSL takes what it signs for signed by itself.
        let authority_name = "an authority of a test";
        params
            .distinguished_name
            .push(DnType::CommonName, authority_name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let params = CertificateParams::new(names).unwrap();
        let chain = params.signed_by(&key, &authority).unwrap();
        let written = |file: &str, text: String| {
            let path = folder.join(file);
            std::fs::write(&path, text).unwrap();
            path
        };
        Self {
            authority: written("authority.pem", authority.pem()),
            chain: written("chain.pem", chain.pem()),
            key: written("key.pem", key.serialize_pem()),
        }
    }
}

/// A running server. Dropping it kills it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    running: Running,
}

enum Running {
    Process(Box<Child>),
    Here(Ours),
}

impl Server {
    pub(crate) async fn start(make: Make, certificate: Option<&Certificate>) -> Self {
        let mut command = match make {
            Make::Node4 => node("4"),
            Make::Node2 => node("2"),
            Make::Python => python(),
            Make::Ours => {
                let ours = Ours::start(certificate.cloned()).await;
                let address = ours.address;
                let running = Running::Here(ours);
                return Self { address, running };
            }
        };
        command.env("PORT", "0").env_remove("TLS_CERT");
        if let Some(Certificate { chain, key, .. }) = certificate {
            command.env("TLS_CERT", chain).env("TLS_KEY", key);
        }
        let mut child = command
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the interpreter is there: run `cargo xtask setup`");
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap();
        let line = line.unwrap_or_else(|| panic!("{make} does not start: run `cargo xtask setup`"));
        let (_, address) = line.split_once("://").unwrap();
        Self {
            address: address.parse().unwrap(),
            running: Running::Process(Box::new(child)),
        }
    }

    /// Ends it without a word to anybody.
    pub(crate) async fn kill(self) {
        match self.running {
            Running::Process(mut child) => child.kill().await.unwrap(),
            Running::Here(ours) => ours.kill(),
        }
    }
}

fn node(version: &str) -> Command {
    let mut command = Command::new("node");
    let script = Path::new(INTEROP).join("servers/node.mjs");
    command.arg(script).arg(version);
    command
}

fn python() -> Command {
    let mut command = Command::new(PYTHON);
    command.arg(Path::new(INTEROP).join("servers/python.py"));
    command
}
