//! Through TLS and through proxies.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ferriwire::client::{ClientTls, DisconnectReason, ProxyError};
use ferriwire::{
    Client, ClientCertificates, ConnectFailure, Event, Listener, Namespace, Server, Tls, Transport,
};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;

use crate::support::tls::{Authority, der};
use crate::support::{fail, until, within};
use crate::{WAYS, Way, notes};

const ECHO: Event<String, String> = Event::new("echo");

#[tokio::test]
async fn encrypted_servers_are_reached_on_each_transport_directly_and_through_a_proxy() {
    let authority = Authority::new();
    let signed = authority.sign();
    let namespace = Namespace::new("/").on(ECHO, async |_, text: String| text);
    let server = Server::new()
        .namespace(namespace)
        .bind_all([Listener::tcp("127.0.0.1:0").tls(Tls::pem(&signed.chain, &signed.key))])
        .await
        .unwrap();
    let port = server.local_addr().port();
    let proxy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy_address = proxy.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = proxy.accept().await.unwrap();
            let mut asked = Vec::new();
            while !asked.ends_with(b"\r\n\r\n") {
                stream.read_buf(&mut asked).await.unwrap();
            }
            let expected = format!("CONNECT localhost:{port} HTTP/1.1\r\n");
            assert!(asked.starts_with(expected.as_bytes()));
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
            let mut onwards = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            tokio::spawn(async move {
                let _ = copy_bidirectional(&mut stream, &mut onwards).await;
            });
        }
    });
    for way in WAYS {
        for is_direct in [true, false] {
            let client = Client::builder(format!("https://localhost:{port}"))
                .tls(ClientTls::new().ca_pem(authority.pem()));
            let client = match is_direct {
                true => client.no_proxy(),
                false => client.proxy(format!("http://{proxy_address}")),
            };
            let client = within("connecting", way.of(client).connect())
                .await
                .unwrap();
            let answer = within("the answer", client.emit_with_ack(ECHO, "x")).await;
            assert_eq!(answer.unwrap(), "x", "{way:?}");
            within("the end", client.close()).await;
        }
    }
}

#[tokio::test]
async fn servers_that_ask_for_a_certificate_are_shown_one() {
    const WHO: Event<(), usize> = Event::new("who");
    let (authority, clients, stranger) = (Authority::new(), Authority::new(), Authority::new());
    let signed = authority.sign();
    let namespace = Namespace::new("/").on(WHO, async |socket: ferriwire::Socket, ()| {
        let shown = socket.request().extension::<ClientCertificates>();
        shown.map_or(0, |ClientCertificates(chain)| chain.len())
    });
    let tls = Tls::pem(&signed.chain, &signed.key).client_ca_pem(clients.pem());
    let server = Server::new()
        .namespace(namespace)
        .bind_all([Listener::tcp("127.0.0.1:0").tls(tls)])
        .await
        .unwrap();
    let address = format!("https://localhost:{}", server.local_addr().port());
    let trusting = || ClientTls::new().ca_pem(authority.pem());
    let showing = |by: &Authority| {
        let own = by.sign();
        trusting().certificate_pem(own.chain, own.key)
    };
    for way in WAYS {
        let client = |tls| {
            let client = way.of(Client::builder(&address).no_proxy()).tls(tls);
            within("an end of the attempt", client.connect())
        };
        let known = client(showing(&clients)).await.unwrap();
        let shown = within("an answer", known.emit_with_ack(WHO, ())).await;
        assert_eq!(shown.unwrap(), 1, "{way:?}");
        within("the end", known.close()).await;
        for tls in [showing(&stranger), trusting()] {
            let failure = client(tls).await.unwrap_err();
            assert!(matches!(failure, ConnectFailure::Network(_)), "{failure:?}");
        }
    }
}

/// A proxy that lets in who names itself, and how many it has let in.
async fn proxy(letting_in: fn(TcpStream) -> Asking) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("it works");
    let address = listener.local_addr().expect("it works");
    let let_in = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&let_in);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("it works");
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let (mut stream, port) = letting_in(stream).await;
                count.fetch_add(1, Ordering::Relaxed);
                let mut onwards = TcpStream::connect(("127.0.0.1", port))
                    .await
                    .expect("it works");
                let _ = copy_bidirectional(&mut stream, &mut onwards).await;
            });
        }
    });
    (address, let_in)
}

/// Gives the stream behind what the proxy was told, and the port that was asked for.
type Asking = Pin<Box<dyn Future<Output = (TcpStream, u16)> + Send>>;

fn by_connect(mut stream: TcpStream) -> Asking {
    Box::pin(async move {
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            assert_ne!(stream.read_buf(&mut asked).await.expect("it works"), 0);
        }
        let asked = String::from_utf8(asked).expect("it works");
        // me:s%cret
        let credentials = "proxy-authorization: basic bwu6cyvjcmv0\r\n";
        assert!(asked.to_lowercase().contains(credentials), "{asked}");
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .await
            .expect("it works");
        let target = asked.strip_prefix("CONNECT localhost:").expect("it works");
        let port = target
            .split(' ')
            .next()
            .expect("it works")
            .parse()
            .expect("it works");
        (stream, port)
    })
}

fn by_socks5(mut stream: TcpStream) -> Asking {
    Box::pin(async move {
        let mut head = [0; 2];
        stream.read_exact(&mut head).await.expect("it works");
        let mut methods = vec![0; head[1].into()];
        stream.read_exact(&mut methods).await.expect("it works");
        assert!(head[0] == 5 && methods.contains(&2), "{methods:?}");
        stream.write_all(&[5, 2]).await.expect("it works");
        let mut named = [0; 11];
        stream.read_exact(&mut named).await.expect("it works");
        assert_eq!(&named, b"\x01\x02me\x06s%cret");
        stream.write_all(&[1, 0]).await.expect("it works");
        let mut asked = [0; 5 + 9 + 2];
        stream.read_exact(&mut asked).await.expect("it works");
        assert_eq!(&asked[..14], b"\x05\x01\x00\x03\x09localhost");
        stream
            .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
            .await
            .expect("it works");
        (stream, u16::from_be_bytes([asked[14], asked[15]]))
    })
}

#[tokio::test]
async fn proxies_that_want_credentials_carry_each_transport() {
    let namespace = Namespace::new("/").on(ECHO, async |_, text: String| text);
    let server = crate::serve_one(namespace).await;
    let port = server.local_addr().port();
    let (by_connect, connected) = proxy(by_connect).await;
    let (by_socks5, socks) = proxy(by_socks5).await;
    for (proxy, let_in) in [
        (format!("http://me:s%25cret@{by_connect}"), connected),
        (format!("socks5h://me:s%25cret@{by_socks5}"), socks),
    ] {
        for way in WAYS {
            let before = let_in.load(Ordering::Relaxed);
            let client = Client::builder(format!("http://localhost:{port}")).proxy(&proxy);
            let client = within("connecting", way.of(client).connect()).await;
            let client = client.unwrap_or_else(|failure| fail(&format!("{proxy}: {failure}")));
            let last = match way {
                Way::Polling => Transport::Polling,
                Way::WebSocket | Way::Upgrade => Transport::WebSocket,
            };
            until("the transport", || client.transport() == Some(last)).await;
            let answer = within("the answer", client.emit_with_ack(ECHO, "x")).await;
            assert_eq!(answer.unwrap(), "x", "{proxy} {way:?}");
            within("the end", client.close()).await;
            let connections = let_in.load(Ordering::Relaxed) - before;
            let least = if way == Way::Upgrade { 2 } else { 1 };
            assert!(connections >= least, "{proxy} {way:?}: {connections}");
        }
    }
}

#[tokio::test]
async fn who_cannot_be_verified_is_an_error_of_the_first_attempt() {
    let (known, stranger) = (Authority::new(), Authority::new());
    let signed = stranger.sign();
    let server = Server::new()
        .namespace(Namespace::new("/"))
        .bind_all([Listener::tcp("127.0.0.1:0").tls(Tls::pem(&signed.chain, &signed.key))])
        .await
        .unwrap();
    let address = format!("https://localhost:{}", server.local_addr().port());
    for way in WAYS {
        let client = || way.of(Client::builder(&address).no_proxy());
        let careful = client().tls(ClientTls::new().ca_pem(known.pem()));
        let failure = within("an error", careful.connect()).await.unwrap_err();
        assert!(failure.to_string().contains("certificate"), "{failure}");
        let careless = client().tls(ClientTls::new().danger_accept_any_certificate());
        let client = within("connecting", careless.connect()).await.unwrap();
        within("the end", client.close()).await;
    }
}

#[tokio::test]
async fn what_a_proxy_says_is_found_in_the_error() {
    let client = Client::builder("http://localhost").proxy("socks4://localhost");
    let failure = within("an error", client.connect()).await.unwrap_err();
    let ConnectFailure::Network(error) = failure else {
        fail(&failure.to_string());
    };
    let error = error.get_ref().and_then(|error| error.downcast_ref());
    assert_eq!(error, Some(&ProxyError::Scheme));
}

/// A body whose length is not said ends with the stream: one that was cut off must not be taken for whole.
#[tokio::test]
async fn a_body_without_a_length_ends_where_its_server_says() {
    const ANSWER: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n\
        0{\"sid\":\"abc\",\"upgrades\":[],\"pingInterval\":25000,\"pingTimeout\":20000}";
    let authority = Authority::new();
    let signed = authority.sign();
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der(&signed.chain)], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    for is_cut in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = Client::builder(format!("https://localhost:{port}"))
            .no_proxy()
            .tls(ClientTls::new().ca_pem(authority.pem()))
            .transports([Transport::Polling]);
        let client = tokio::spawn(client.connect());
        let (stream, _) = within("a client", listener.accept()).await.unwrap();
        let mut stream = within("TLS", acceptor.accept(stream)).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            within("a request", stream.read_buf(&mut head))
                .await
                .unwrap();
        }
        stream.write_all(ANSWER.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        if is_cut {
            drop(stream);
            let result = within("an error", client).await.unwrap();
            assert!(
                matches!(result, Err(ConnectFailure::Network(_))),
                "{result:?}"
            );
        } else {
            stream.shutdown().await.unwrap();
            drop(stream);
            within("the next request", listener.accept()).await.unwrap();
            client.abort();
        }
    }
}

/// As over TCP, where nothing tells the end of a stream from a cut.
#[tokio::test]
async fn an_encrypted_websocket_that_is_cut_was_closed() {
    let authority = Authority::new();
    let signed = authority.sign();
    let server = Server::new()
        .namespace(Namespace::new("/"))
        .bind_all([Listener::tcp("127.0.0.1:0").tls(Tls::pem(&signed.chain, &signed.key))])
        .await
        .unwrap();
    let address = server.local_addr();
    let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = between.local_addr().unwrap().port();
    let cut = Arc::new(Notify::new());
    let is_cut = Arc::clone(&cut);
    let way = tokio::spawn(async move {
        let (mut stream, _) = between.accept().await.unwrap();
        let mut onwards = TcpStream::connect(address).await.unwrap();
        tokio::select! {
            _ = copy_bidirectional(&mut stream, &mut onwards) => {}
            () = is_cut.notified() => {}
        }
    });
    let (reasons, mut reason) = notes();
    let client = Client::builder(format!("https://localhost:{port}"))
        .no_proxy()
        .tls(ClientTls::new().ca_pem(authority.pem()))
        .transports([Transport::WebSocket])
        .on_disconnect(async move |_, why| reasons.send(why).expect("the test lives"));
    let client = within("connecting", client.connect()).await.unwrap();
    cut.notify_one();
    within("the cut", way).await.unwrap();
    let why = reason.next("the end").await;
    assert_eq!(why, DisconnectReason::TransportClose);
    assert!(client.is_active());
}
