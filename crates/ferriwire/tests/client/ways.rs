//! Through TLS and through proxies.

use ferriwire::client::{ClientTls, ProxyError};
use ferriwire::{Client, ConnectFailure, Event, Listener, Namespace, Server, Tls};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::WAYS;
use crate::support::tls::Authority;
use crate::support::{fail, within};

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
