//! TLS on our own listeners.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use ferriwire::{ClientCertificates, Config, Error, LimitKind, Limits, Listener, Tls};
use http::HeaderMap;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::mounting::works;
use crate::support::http::Http;
use crate::support::http2::Http2;
use crate::support::polling::Polling;
use crate::support::tls::{Authority, Folder, Signed, connect, der};
use crate::support::websocket::WebSocket;
use crate::support::{until, within};
use crate::{ANY_PORT, Echo, PATH, POLLING, WEBSOCKET, config};

const SHORT: Duration = Duration::from_millis(300);

fn pem(signed: &Signed) -> Tls {
    Tls::pem(&signed.chain, &signed.key)
}

async fn start(config: Config, tls: Tls) -> Echo {
    Echo::listen(config, [Listener::tcp(ANY_PORT).tls(tls)]).await
}

/// What a server shows.
async fn shown(authority: &Authority, address: SocketAddr) -> Vec<u8> {
    let stream = connect(&authority.client(None, &[]), address).await;
    let stream = stream.expect("the server is trusted");
    let (_, connection) = stream.get_ref();
    let chain = connection.peer_certificates().expect("it shows one");
    chain[0].to_vec()
}

#[tokio::test]
async fn everything_works_over_tls() {
    let authority = Authority::new();
    let mut echo = start(config(), pem(&authority.sign())).await;
    let endpoint = authority.endpoint(echo.addr(), "http/1.1");
    works(&endpoint).await;
    let request = echo.session().await;
    assert!(request.request().secure());
    assert!(request.request().address().is_some());
    assert!(
        request
            .request()
            .extension::<ClientCertificates>()
            .is_none()
    );
}

/// After some 128 writes the runtime has others run, and that counted as a client that does not read.
#[tokio::test]
async fn a_burst_of_small_messages_reaches_a_client_that_reads() {
    let authority = Authority::new();
    let mut echo = start(config(), pem(&authority.sign())).await;
    let endpoint = authority.endpoint(echo.addr(), "http/1.1");
    let mut websocket = WebSocket::connect(endpoint, WEBSOCKET, &[]).await.unwrap();
    assert!(websocket.text().await.starts_with("0{"));
    let session = echo.session().await;
    let text = |number| format!("{number:x>1000}");
    for number in 0..3_000 {
        session.send(text(number)).expect("it is open");
    }
    for number in 0..3_000 {
        assert_eq!(websocket.text().await, format!("4{}", text(number)));
    }
}

#[tokio::test]
async fn plain_and_tls_listeners_serve_one_server() {
    let authority = Authority::new();
    let tls = Listener::tcp(ANY_PORT).tls(pem(&authority.sign()));
    let mut echo = Echo::listen(config(), [Listener::tcp(ANY_PORT), tls]).await;
    let secured = authority.endpoint(echo.server.local_addrs()[1], "http/1.1");
    let mut plain = Polling::handshake(echo.addr(), PATH).await;
    let mut http = Http::connect(secured).await;
    assert_eq!(http.post(&plain.target(), "4here").await.text(), "ok");
    assert_eq!(plain.get().await.text(), "4here");
    assert!(!echo.session().await.request().secure());
}

#[tokio::test]
async fn the_client_chooses_http2_by_alpn() {
    let authority = Authority::new();
    let mut echo = start(config().http2_websocket(true), pem(&authority.sign())).await;
    let http = Http2::connect(authority.endpoint(echo.addr(), "h2")).await;
    assert_eq!(http.get(POLLING).await.status, 200);
    let mut headers = HeaderMap::new();
    headers.insert(
        "sec-websocket-version",
        http::HeaderValue::from_static("13"),
    );
    let mut websocket = http.websocket(WEBSOCKET, headers).await.unwrap();
    assert!(websocket.text().await.starts_with("0{"));
    websocket.send_text("4here").await;
    assert_eq!(websocket.text().await, "4here");
    for _ in 0..2 {
        assert!(echo.session().await.request().secure());
    }
    for (offered, chosen) in [
        (&["http/1.1"][..], Some("http/1.1")),
        (&["http/1.1", "h2"], Some("h2")),
        (&[], None),
    ] {
        let stream = connect(&authority.client(None, offered), echo.addr())
            .await
            .unwrap();
        let (_, connection) = stream.get_ref();
        assert_eq!(connection.alpn_protocol(), chosen.map(str::as_bytes));
    }
    let refused = connect(&authority.client(None, &["smtp"]), echo.addr()).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("NoApplicationProtocol"), "{refused}");
}

#[tokio::test]
async fn a_new_certificate_is_for_new_connections_and_old_ones_go_on() {
    let authority = Authority::new();
    let folder = Folder::new();
    let [first, second] = [authority.sign(), authority.sign()];
    let chain = folder.put("chain.pem", &first.chain);
    let key = folder.put("key.pem", &first.key);
    let tls = Tls::files(&chain, &key).reload_interval(Duration::ZERO);
    let echo = start(config(), tls).await;
    assert_eq!(shown(&authority, echo.addr()).await, *der(&first.chain));
    let endpoint = authority.endpoint(echo.addr(), "http/1.1");
    let mut polling = Polling::handshake(&endpoint, PATH).await;

    // Half of it is new, which does not fit together.
    folder.put("chain.pem", &second.chain);
    assert_eq!(shown(&authority, echo.addr()).await, *der(&first.chain));
    folder.put("chain.pem", "garbage");
    assert_eq!(shown(&authority, echo.addr()).await, *der(&first.chain));
    std::fs::remove_file(&chain).unwrap();
    assert_eq!(shown(&authority, echo.addr()).await, *der(&first.chain));
    folder.put("chain.pem", &second.chain);
    folder.put("key.pem", &second.key);
    assert_eq!(shown(&authority, echo.addr()).await, *der(&second.chain));

    assert_eq!(polling.post("4old").await.text(), "ok");
    assert_eq!(polling.get().await.text(), "4old");
}

#[tokio::test]
async fn files_are_not_looked_at_more_often_than_wanted() {
    let authority = Authority::new();
    let folder = Folder::new();
    let [first, second] = [authority.sign(), authority.sign()];
    let chain = folder.put("chain.pem", &first.chain);
    let key = folder.put("key.pem", &first.key);
    let tls = Tls::files(chain, key).reload_interval(Duration::MAX);
    let echo = start(config(), tls).await;
    folder.put("chain.pem", &second.chain);
    folder.put("key.pem", &second.key);
    assert_eq!(shown(&authority, echo.addr()).await, *der(&first.chain));
}

#[tokio::test]
async fn what_cannot_be_used_is_an_error_at_the_start() {
    let [one, other] = [Authority::new().sign(), Authority::new().sign()];
    let folder = Folder::new();
    let chain = folder.put("chain.pem", &one.chain);
    for (tls, says) in [
        (Tls::pem(&one.chain, &other.key), "key"),
        (Tls::pem("", &one.key), "no certificate"),
        (Tls::pem(&one.chain, ""), ""),
        (Tls::pem("-----BEGIN CERTIFICATE-----\n!", &one.key), ""),
        (
            Tls::files(&chain, folder.path("missing.pem")),
            "missing.pem",
        ),
        (pem(&one).client_ca_pem("garbage"), "no certificate"),
    ] {
        let started = ferriwire::engine::Server::new()
            .bind_all([Listener::tcp(ANY_PORT).tls(tls)])
            .await;
        let Err(error @ Error::Tls(_)) = started else {
            panic!("{says:?} was expected, not {started:?}");
        };
        assert!(error.to_string().to_lowercase().contains(says), "{error}");
    }
}

#[tokio::test]
async fn clients_show_a_certificate_where_that_is_wanted() {
    let [authority, clients, stranger] = [(); 3].map(|()| Authority::new());
    let known = clients.sign();
    for may_be_unknown in [false, true] {
        let tls = pem(&authority.sign())
            .client_ca_pem(clients.pem())
            .client_may_be_unknown(may_be_unknown);
        let mut echo = start(config(), tls).await;
        for (shows, is_known) in [
            (Some(&known), true),
            (Some(&stranger.sign()), false),
            (None, false),
        ] {
            let expected = is_known || (shows.is_none() && may_be_unknown);
            let connector = authority.client(shows, &["http/1.1"]);
            // In TLS 1.3 a client learns of the refusal when it reads.
            let answered = async {
                let mut stream = connect(&connector, echo.addr()).await?;
                let request =
                    crate::support::http::head("GET", POLLING, &[("Connection", "close")]);
                stream.write_all(&request).await?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await?;
                std::io::Result::Ok(answer.starts_with("HTTP/1.1 200"))
            };
            assert_eq!(answered.await.unwrap_or(false), expected, "{is_known}");
            if expected {
                let session = echo.session().await;
                let shown = session.request().extension::<ClientCertificates>();
                let shown = shown.map(|shown| shown.0[0].clone());
                assert_eq!(shown, shows.map(|signed| der(&signed.chain)));
            }
        }
    }
}

#[tokio::test]
async fn a_configuration_of_the_programs_own_is_taken_but_for_early_data() {
    let authority = Authority::new();
    let signed = authority.sign();
    let key = PrivateKeyDer::from_pem_slice(signed.key.as_bytes()).unwrap();
    let mut own = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![der(&signed.chain)], key)
        .unwrap();
    own.max_early_data_size = 1_000;
    let own = Arc::new(own);
    let tls = Tls::config(Arc::clone(&own)).client_ca_pem(authority.pem());
    let both = Listener::tcp(ANY_PORT).tls(tls);
    let refused = ferriwire::engine::Server::new().bind_all([both]).await;
    assert!(matches!(refused, Err(Error::Tls(_))), "{refused:?}");
    let echo = start(config(), Tls::config(own)).await;
    let http = Http2::connect(authority.endpoint(echo.addr(), "h2")).await;
    assert_eq!(http.get(POLLING).await.status, 200);
}

#[tokio::test]
async fn garbage_and_plain_http_end_their_connection_only() {
    let authority = Authority::new();
    let echo = start(config(), pem(&authority.sign())).await;
    let plain = crate::support::http::head("GET", POLLING, &[]);
    // SSLv2, and a record of a version that never was.
    let old = b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10\x01\x00\x80";
    for garbage in [
        &plain[..],
        &[0; 4_096],
        &[0xFF; 70_000],
        old,
        b"\x16\x09\x09\xFF\xFF",
    ] {
        let mut http = Http::connect(echo.addr()).await;
        let _ = http.try_send(garbage).await;
        let _ = http.finish().await;
        let answer = http.rest().await;
        assert!(answer.len() < 16, "an alert at most: {answer:?}");
    }
    let endpoint = authority.endpoint(echo.addr(), "http/1.1");
    assert_eq!(Http::connect(endpoint).await.get(POLLING).await.status, 200);
}

#[tokio::test]
async fn t_tls_01_a_client_hello_in_records_of_one_byte() {
    let authority = Authority::new();
    let echo = start(config(), pem(&authority.sign())).await;
    let (client, server) = tokio::io::duplex(64 * 1024);
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let connector = authority.client(None, &[]);
    let connecting = tokio::spawn(async move { connector.connect(name, client).await });
    let (mut from, mut to) = tokio::io::split(server);
    let mut record = [0; 5];
    within("the hello", from.read_exact(&mut record))
        .await
        .unwrap();
    let mut hello = vec![0; usize::from(u16::from_be_bytes([record[3], record[4]]))];
    within("the hello", from.read_exact(&mut hello))
        .await
        .unwrap();
    let pieces: Vec<u8> = hello
        .iter()
        .flat_map(|byte| [0x16, 3, 1, 0, 1, *byte])
        .collect();
    let mut stream = TcpStream::connect(echo.addr()).await.unwrap();
    stream.write_all(&pieces).await.unwrap();
    let (mut answers, mut requests) = stream.split();
    let both = async {
        tokio::join!(
            tokio::io::copy(&mut answers, &mut to),
            tokio::io::copy(&mut from, &mut requests)
        )
    };
    tokio::select! {
        connected = within("the handshake", connecting) => drop(connected.unwrap().unwrap()),
        _ = both => {}
    }
}

#[tokio::test]
async fn t_tls_02_a_close_notify_within_the_handshake_ends_it() {
    let authority = Authority::new();
    let limits = Limits::new().tls_handshake_timeout(Duration::from_secs(2));
    let echo = start(config().limits(limits), pem(&authority.sign())).await;
    let (client, mut server) = tokio::io::duplex(64 * 1024);
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let connector = authority.client(None, &[]);
    let connecting = tokio::spawn(async move { connector.connect(name, client).await });
    let mut hello = vec![0; 5];
    let read = within("the hello", server.read_exact(&mut hello));
    read.await.unwrap();
    hello.resize(5 + usize::from(u16::from_be_bytes([hello[3], hello[4]])), 0);
    let read = within("the hello", server.read_exact(&mut hello[5..]));
    read.await.unwrap();
    connecting.abort();
    let close_notify = [0x15, 3, 3, 0, 2, 1, 0];
    let half = &hello[..hello.len() / 2];
    for (bytes, ends) in [
        (close_notify.to_vec(), false),
        ([&hello[..], &close_notify].concat(), false),
        ([&hello[..], &close_notify].concat(), true),
        ([half, &close_notify].concat(), true),
    ] {
        let mut http = Http::connect(echo.addr()).await;
        http.send(&bytes).await;
        if ends {
            http.finish().await;
        }
        // The server closes; who turned in a circle would never come here.
        http.rest().await;
    }
    works(&authority.endpoint(echo.addr(), "http/1.1")).await;
}

/// All have one name, so that each may have signed each other.
#[tokio::test]
async fn t_tls_03_a_hundred_authorities_of_one_name_are_searched_in_bounded_time() {
    let [authority, clients] = [(); 2].map(|()| Authority::new());
    let tls = pem(&authority.sign()).client_ca_pem(clients.pem());
    let echo = start(config(), tls).await;
    let strangers: Vec<Authority> = (0..100).map(|_| Authority::new()).collect();
    let mut shown = strangers[0].sign();
    for stranger in &strangers {
        shown.chain.push_str(&stranger.pem());
    }
    for (shown, expected) in [(shown, false), (clients.sign(), true)] {
        let connector = authority.client(Some(&shown), &["http/1.1"]);
        let answered = async {
            let mut stream = connect(&connector, echo.addr()).await?;
            let request = crate::support::http::head("GET", POLLING, &[("Connection", "close")]);
            stream.write_all(&request).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer.starts_with("HTTP/1.1 200"))
        };
        assert_eq!(answered.await.unwrap_or(false), expected);
    }
}

#[tokio::test]
async fn a04_handshakes_that_stall_are_ended_and_keep_nobody_out() {
    let authority = Authority::new();
    let limits = Limits::new().max_tls_handshakes(20);
    let echo = start(config().limits(limits), pem(&authority.sign())).await;
    // A hello that promises more than it brings.
    let half = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    let mut stalled = Vec::new();
    for _ in 0..100 {
        let mut http = Http::connect(echo.addr()).await;
        http.send(half).await;
        stalled.push(http);
    }
    let endpoint = authority.endpoint(echo.addr(), "http/1.1");
    assert_eq!(
        Http::connect(&endpoint).await.get(POLLING).await.status,
        200
    );
    // The first had to make room long ago; its time would have been ten seconds.
    let begun = std::time::Instant::now();
    assert_eq!(stalled.remove(0).rest().await, b"");
    assert!(begun.elapsed() < Duration::from_secs(9));
    // Each that began beyond the twentieth displaced one.
    let stats = echo.server.stats();
    assert!(stats.limited(LimitKind::TlsHandshakes) >= 80);
    assert_eq!(stats.limited(LimitKind::TlsHandshakeTime), 0);
    within("the shutdown", echo.server.shutdown(SHORT)).await;
}

#[tokio::test]
async fn a_handshake_has_its_time_and_the_first_request_has_its_own() {
    let authority = Authority::new();
    let limits = Limits::new().tls_handshake_timeout(SHORT);
    let echo = start(config().limits(limits), pem(&authority.sign())).await;
    let mut silent = Http::connect(echo.addr()).await;
    assert_eq!(silent.rest().await, b"");
    let stats = echo.server.stats();
    assert_eq!(stats.limited(LimitKind::TlsHandshakeTime), 1);
    assert_eq!(stats.failed_tls_handshakes, 0);
    let limits = Limits::new().head_timeout(SHORT);
    let echo = start(config().limits(limits), pem(&authority.sign())).await;
    for protocol in ["http/1.1", "h2"] {
        let connector = authority.client(None, &[protocol]);
        let mut stream = connect(&connector, echo.addr()).await.unwrap();
        let mut rest = Vec::new();
        let end = within("the end", stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok() || end.unwrap_err().kind() == ErrorKind::UnexpectedEof);
    }
}

#[tokio::test]
async fn handshakes_that_fail_or_are_given_up_are_counted() {
    let authority = Authority::new();
    let echo = start(config(), pem(&authority.sign())).await;
    let failed = || echo.server.stats().failed_tls_handshakes;
    // No TLS at all, a hello that is given up, and a client that trusts somebody else.
    let mut plain = Http::connect(echo.addr()).await;
    plain
        .send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    plain.rest().await;
    until("the first", || failed() == 1).await;
    let mut half = Http::connect(echo.addr()).await;
    half.send(b"\x16\x03\x01\x02\x00\x01").await;
    drop(half);
    until("the second", || failed() == 2).await;
    let stranger = Authority::new().client(None, &["http/1.1"]);
    assert!(connect(&stranger, echo.addr()).await.is_err());
    until("the third", || failed() == 3).await;
    let endpoint = authority.endpoint(echo.addr(), "http/1.1");
    let response = Http::connect(&endpoint).await.get(POLLING).await;
    assert_eq!((response.status, failed()), (200, 3));
}

#[tokio::test]
async fn a70_curl_and_openssl_agree_on_versions_and_protocols() {
    let authority = Authority::new();
    let folder = Folder::new();
    let ca = folder.put("ca.pem", &authority.pem());
    let echo = start(config(), pem(&authority.sign())).await;
    let url = format!("https://localhost:{}{POLLING}", echo.addr().port());
    let curl = |options: &[&str]| {
        let mut command = Command::new("curl");
        let format = "%{http_code} %{http_version}";
        command.args(["-sS", "-o", "/dev/null", "-w", format, "--cacert"]);
        command.arg(&ca).args(options).arg(&url);
        async {
            let output = tokio::task::spawn_blocking(move || command.output())
                .await
                .unwrap();
            let output = output.expect("curl is installed");
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            (output.status.success(), text)
        }
    };
    for (options, answer) in [
        (&["--http2"][..], "200 2"),
        (&["--http1.1"], "200 1.1"),
        (&["--http2", "--tls-max", "1.2"], "200 2"),
        (&["--tlsv1.3"], "200 2"),
    ] {
        assert_eq!(
            curl(options).await,
            (true, answer.to_owned()),
            "{options:?}"
        );
    }
    for options in [
        &[
            "--tlsv1.0",
            "--tls-max",
            "1.1",
            "--ciphers",
            "DEFAULT@SECLEVEL=0",
        ][..],
        &[
            "--tlsv1.0",
            "--tls-max",
            "1.0",
            "--ciphers",
            "DEFAULT@SECLEVEL=0",
        ],
        &["--tls-max", "1.2", "--ciphers", "NULL@SECLEVEL=0"],
        &["--tls-max", "1.2", "--ciphers", "AES128-SHA"],
    ] {
        assert!(!curl(options).await.0, "{options:?}");
    }
}
