//! Ways to servers, over sockets of this machine.

use std::net::SocketAddr;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::*;

/// Who signs certificates, and what it has signed for this machine.
struct Authority {
    pem: String,
    chain: String,
    key: String,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        params
            .distinguished_name
            .push(DnType::CommonName, "an authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let names = names();
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(names).unwrap();
        Self {
            pem: issuer.pem(),
            chain: params.signed_by(&key, &issuer).unwrap().pem(),
            key: key.serialize_pem(),
        }
    }

    /// One that is the server itself, as `openssl req -x509` makes them.
    fn of_itself(change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::new(names()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            chain: pem.clone(),
            key: key.serialize_pem(),
            pem,
        }
    }

    fn acceptor(&self, asks_clients: bool) -> TlsAcceptor {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = match asks_clients {
            true => {
                let mut roots = RootCertStore::empty();
                let authority = CertificateDer::from_pem_slice(self.pem.as_bytes()).unwrap();
                roots.add(authority).unwrap();
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            false => builder.with_no_client_auth(),
        };
        let chain = CertificateDer::from_pem_slice(self.chain.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(vec![chain], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        TlsAcceptor::from(Arc::new(config))
    }
}

fn names() -> [String; 2] {
    ["localhost".to_owned(), "127.0.0.1".to_owned()]
}

/// Says back what it is told. Over TLS it begins with the name and the protocol that the client has chosen.
async fn echo(acceptor: Option<TlsAcceptor>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut stream: Box<dyn Stream> = match acceptor {
                    None => Box::new(stream),
                    Some(acceptor) => {
                        let Ok(mut stream) = acceptor.accept(stream).await else {
                            return;
                        };
                        let (_, tls) = stream.get_ref();
                        let name = tls.server_name().unwrap_or("nobody").to_owned();
                        let protocol = tls.alpn_protocol().unwrap_or_default().to_vec();
                        let protocol = String::from_utf8(protocol).unwrap();
                        let hello = format!("{name} {protocol} ");
                        stream.write_all(hello.as_bytes()).await.unwrap();
                        Box::new(stream)
                    }
                };
                let mut said = [0; 5];
                if stream.read_exact(&mut said).await.is_ok() {
                    stream.write_all(&said).await.unwrap();
                    stream.shutdown().await.unwrap();
                }
            });
        }
    });
    address
}

/// A proxy that tells what it was asked, and leads to `server`, whoever was asked for.
async fn proxy(
    acceptor: Option<TlsAcceptor>,
    server: SocketAddr,
) -> (SocketAddr, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream: Box<dyn Stream> = match &acceptor {
                None => Box::new(stream),
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => Box::new(stream),
                    Err(_) => continue,
                },
            };
            let mut room = [0; 1024];
            let count = stream.read(&mut room).await.unwrap();
            let mut asked = room[..count].to_vec();
            if asked.first() == Some(&5) {
                // SOCKS: nobody needs to log in.
                stream.write_all(&[5, 0]).await.unwrap();
                let count = stream.read(&mut room).await.unwrap();
                asked = room[..count].to_vec();
                let granted = [5, 0, 0, 1, 0, 0, 0, 0, 0, 0];
                stream.write_all(&granted).await.unwrap();
            } else {
                let granted = b"HTTP/1.1 200 Connection established\r\n\r\n";
                stream.write_all(granted).await.unwrap();
            }
            tell.send(asked).unwrap();
            let mut onwards = TcpStream::connect(server).await.unwrap();
            tokio::spawn(async move {
                let _ = copy_bidirectional(&mut stream, &mut onwards).await;
            });
        }
    });
    (address, told)
}

fn named(proxy: &str, address: SocketAddr) -> ProxyChoice {
    ProxyChoice::Named(format!("{proxy}{address}").into())
}

/// What a server says to a client that says `hello`.
async fn hello(network: &Network, url: &str) -> io::Result<String> {
    let address = Address::parse(url).unwrap();
    let dialogue = async {
        let mut stream = network.connect(&address).await?;
        stream.write_all(b"hello").await?;
        stream.flush().await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        Ok(answer)
    };
    let dialogue = tokio::time::timeout(Duration::from_secs(20), dialogue);
    dialogue.await.expect("somebody hangs")
}

fn trusting(authority: &Authority) -> Option<ClientTls> {
    Some(ClientTls::new().ca_pem(&authority.pem))
}

#[tokio::test]
async fn a_server_is_reached_in_the_clear_and_encrypted() {
    let authority = Authority::new();
    let network = Network::new(trusting(&authority), ProxyChoice::Direct);
    let plain = echo(None).await;
    let url = format!("http://{plain}");
    assert_eq!(hello(&network, &url).await.unwrap(), "hello");
    let secure = echo(Some(authority.acceptor(false))).await.port();
    for (host, name) in [("localhost", "localhost"), ("127.0.0.1", "nobody")] {
        // An address is no name: there is no SNI for it (RFC 6066, 3). Twice: the second time with what is
        // known from the first.
        for _ in 0..2 {
            let answer = hello(&network, &format!("https://{host}:{secure}")).await;
            assert_eq!(answer.unwrap(), format!("{name} http/1.1 hello"));
        }
    }
}

#[tokio::test]
async fn a_server_that_nobody_knows_is_not_spoken_with() {
    let authority = Authority::new();
    let port = echo(Some(authority.acceptor(false))).await.port();
    let url = format!("https://localhost:{port}");
    let other = trusting(&Authority::new());
    let nobody = Some(ClientTls::new().ca_pem("no certificate"));
    let no_file = Some(ClientTls::new().ca_file("missing.pem"));
    for (tls, expected) in [
        (other, "certificate"),
        (nobody, "there is no certificate in it"),
        (no_file, "missing.pem"),
    ] {
        let error = hello(&Network::new(tls, ProxyChoice::Direct), &url).await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // Whom the system trusts, or that it trusts nobody: never this one.
    let of_system = Network::new(None, ProxyChoice::Direct);
    hello(&of_system, &url).await.unwrap_err();
    // A name that the certificate does not have.
    let network = Network::new(trusting(&authority), ProxyChoice::Direct);
    if let Ok(answer) = hello(&network, &format!("https://ip6-localhost:{port}")).await {
        panic!("{answer}");
    }
    let careless = Some(ClientTls::new().danger_accept_any_certificate());
    let careless = Network::new(careless, ProxyChoice::Direct);
    assert!(hello(&careless, &url).await.unwrap().ends_with("hello"));
}

#[tokio::test]
async fn a_certificate_that_is_named_is_trusted_if_it_is_the_servers_and_good() {
    let good = Authority::of_itself(|_| {});
    let old = Authority::of_itself(|params| params.not_after = date_time_ymd(2001, 1, 1));
    let elsewhere = Authority::of_itself(|params| params.subject_alt_names.clear());
    let other = Authority::of_itself(|_| {});
    for (server, named, host, is_good) in [
        (&good, &good, "localhost", true),
        (&good, &good, "127.0.0.1", true),
        (&good, &other, "localhost", false),
        (&elsewhere, &elsewhere, "localhost", false),
        (&old, &old, "localhost", false),
    ] {
        let port = echo(Some(server.acceptor(false))).await.port();
        let network = Network::new(trusting(named), ProxyChoice::Direct);
        let answer = hello(&network, &format!("https://{host}:{port}")).await;
        assert_eq!(answer.is_ok(), is_good, "{host}: {answer:?}");
        if let Err(error) = answer {
            assert!(error.to_string().contains("certificate"), "{error}");
        }
    }
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    let authority = Authority::new();
    let port = echo(Some(authority.acceptor(true))).await.port();
    let url = format!("https://localhost:{port}");
    let nameless = Network::new(trusting(&authority), ProxyChoice::Direct);
    hello(&nameless, &url).await.unwrap_err();
    let tls = ClientTls::new().ca_pem(&authority.pem);
    let known = tls.certificate_pem(&authority.chain, &authority.key);
    let known = Network::new(Some(known), ProxyChoice::Direct);
    assert!(hello(&known, &url).await.unwrap().ends_with("hello"));
}

#[tokio::test]
async fn a_configuration_of_the_program_is_used() {
    let authority = Authority::new();
    let port = echo(Some(authority.acceptor(false))).await.port();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(authority.pem.as_bytes()).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = ClientTls::config(Arc::new(config));
    let network = Network::new(Some(tls), ProxyChoice::Direct);
    let answer = hello(&network, &format!("https://localhost:{port}")).await;
    assert_eq!(answer.unwrap(), "localhost http/1.1 hello");
}

#[tokio::test]
async fn proxies_lead_to_servers() {
    let authority = Authority::new();
    let plain = echo(None).await;
    let secure = echo(Some(authority.acceptor(false))).await;
    // What reaches the proxy is what the address says, whoever answers behind it.
    let connect = |authority: &str| {
        format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n").into_bytes()
    };
    let by_name = |port: u16| {
        let mut request = vec![5, 1, 0, 3, 9];
        request.extend(b"localhost");
        request.extend(port.to_be_bytes());
        request
    };
    let by_address = [5, 1, 0, 1, 127, 0, 0, 1, 0, 80];
    let login = {
        let mut request = connect("localhost:80");
        request.truncate(request.len() - 2);
        request.extend(b"Proxy-Authorization: Basic dTpw\r\n\r\n");
        request
    };
    for (kind, is_encrypted, url, expected) in [
        (
            "http://",
            false,
            "http://localhost",
            connect("localhost:80"),
        ),
        ("http://", false, "http://[::1]:99", connect("[::1]:99")),
        ("http://u:p@", false, "http://localhost", login),
        (
            "http://",
            false,
            "https://localhost",
            connect("localhost:443"),
        ),
        (
            "https://",
            true,
            "http://localhost",
            connect("localhost:80"),
        ),
        (
            "https://",
            true,
            "https://localhost",
            connect("localhost:443"),
        ),
        ("socks5h://", false, "http://localhost", by_name(80)),
        ("socks5h://", false, "https://localhost", by_name(443)),
        ("socks5h://", false, "http://127.0.0.1", by_address.into()),
        ("socks5://", false, "http://127.0.0.1", by_address.into()),
    ] {
        let is_secure = url.starts_with("https");
        let server = if is_secure { secure } else { plain };
        let acceptor = is_encrypted.then(|| authority.acceptor(false));
        let (address, mut told) = proxy(acceptor, server).await;
        let network = Network::new(trusting(&authority), named(kind, address));
        let answer = hello(&network, url).await;
        let answer = answer.unwrap_or_else(|error| panic!("{kind} {url}: {error}"));
        assert!(answer.ends_with("hello"), "{kind} {url}: {answer}");
        assert_eq!(told.recv().await.unwrap(), expected, "{kind} {url}");
    }
}

#[tokio::test]
async fn names_are_resolved_here_unless_the_proxy_shall() {
    let (address, mut told) = proxy(None, echo(None).await).await;
    let network = Network::new(None, named("socks5://", address));
    hello(&network, "http://localhost").await.unwrap();
    let asked = told.recv().await.unwrap();
    // IPv4 or IPv6, as the machine has it.
    assert!(asked[3] == 1 || asked[3] == 4, "{asked:?}");
}

#[tokio::test]
async fn a_proxy_is_verified_even_when_servers_are_not() {
    let authority = Authority::new();
    let (address, _told) = proxy(Some(authority.acceptor(false)), echo(None).await).await;
    let careless = ClientTls::new()
        .ca_pem(&Authority::new().pem)
        .danger_accept_any_certificate();
    let network = Network::new(Some(careless), named("https://", address));
    hello(&network, "http://localhost").await.unwrap_err();
}

#[tokio::test]
async fn what_a_proxy_refuses_can_be_told_from_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut room = [0; 1024];
        let _ = stream.read(&mut room).await;
        let answer = b"HTTP/1.1 407 Who are you?\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer).await.unwrap();
    });
    for (proxy, expected) in [
        (named("http://", address), ProxyError::Refused(407)),
        (named("socks4://", address), ProxyError::Scheme),
    ] {
        let network = Network::new(None, proxy);
        let error = hello(&network, "http://localhost").await.unwrap_err();
        let error = error.get_ref().and_then(|error| error.downcast_ref());
        assert_eq!(error, Some(&expected));
    }
}

#[tokio::test]
async fn nobody_listens_is_an_error_of_the_network() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let network = Network::new(None, ProxyChoice::Direct);
    let error = hello(&network, &format!("http://{address}")).await;
    assert_eq!(error.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
}
