//! The server under the test suite of the official Socket.IO client.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use contract_servers::{Date, GRACE, Outcome, config, limits, ready, run};
use ferriwire::engine::Request;
use ferriwire::{
    Args, Bytes, ConnectError, EmitError, Event, Handshake, Namespace, Recovery, Server, Socket,
    Value,
};
use tokio::time::sleep;

/// An event whose arguments do not matter.
type Plain = Event<Args>;
/// An event with one argument.
type Single = Event<Value>;

const ASDFASDF: Bytes = Bytes::from_static(b"asdfasdf");
const UTF8: [&str; 5] = [
    "てすと",
    "Я Б Г Д Ж Й",
    "Ä ä Ü ü ß",
    "utf8 — string",
    "utf8 — string",
];

/// How long each handshake takes at least.
const HANDSHAKE: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    run(3210, async |address| {
        let config = config()
            .ping_interval(Duration::from_secs(2))
            .ping_timeout(Duration::from_secs(20))
            .limits(
                limits()
                    .max_payload(1_000_000)
                    .connect_timeout(Duration::from_secs(45)),
            )
            .recovery(Recovery::new())
            .allow_request_async(async |_| {
                sleep(HANDSHAKE).await;
                Ok(())
            });
        let mut server = Server::new()
            .config(config)
            .namespace(main_namespace())
            .namespace(identified(Namespace::new("/foo")))
            .namespace(greeting())
            .namespace(closed());
        for name in ["/timeout_socket", "/valid", "/asd"] {
            server = server.namespace(Namespace::new(name));
        }
        let server = server.bind(address).await?;
        ready(format_args!("http://{}", server.local_addr())).await?;
        server.shutdown(GRACE).await;
        Outcome::Ok(())
    })
}

/// What is known about a socket of the main namespace.
struct Visitor {
    handshake: Value,
    /// `abuff1` has brought binary data.
    buffered: AtomicBool,
    /// How many of `blob1`, `blob2` and `blob3` have come, in this order.
    blobs: AtomicUsize,
}

fn main_namespace() -> Namespace<Visitor> {
    let namespace = Namespace::new("/").auth(async |handshake: Handshake| {
        if handshake.query("fail").is_some_and(|fail| !fail.is_empty()) {
            return Err(ConnectError::new("Auth failed (main namespace)"));
        }
        Ok(Visitor {
            handshake: describe(&handshake),
            buffered: AtomicBool::new(false),
            blobs: AtomicUsize::new(0),
        })
    });
    binary(dates(identified(namespace)))
        .on(Plain::new("hi"), async |socket, _| {
            Ok(socket.emit("hi", ())?)
        })
        // A bare `null` would be no argument at all.
        .on("echo", async |_, value: Value| Args(vec![value]))
        .on(Plain::new("ack"), async |socket, _| {
            let Args(answer) = socket.emit_with_ack("ack", ()).await?;
            if let [five, object] = answer.as_slice()
                && five.as_i64() == Some(5)
                && object.get("test").is_some_and(is_truthy)
            {
                socket.emit("got it", ())?;
            }
            Ok(())
        })
        .on(Plain::new("getUtf8"), async |socket, _| {
            for text in UTF8 {
                socket.emit("takeUtf8", text)?;
            }
            Ok(())
        })
        .on(Plain::new("false"), async |socket, _| {
            Ok(socket.emit("false", false)?)
        })
        .on("getHandshake", async |socket, _: Args| {
            socket.data().handshake.clone()
        })
}

fn dates(namespace: Namespace<Visitor>) -> Namespace<Visitor> {
    namespace
        .on("getAckDate", async |_, _: Args| Date::now().iso())
        .on(Plain::new("getDate"), async |socket, _| {
            Ok(socket.emit("takeDate", Date::now().iso())?)
        })
        .on(Plain::new("getDateObj"), async |socket, _| {
            let date = Value::from(Date::now().iso());
            Ok(socket.emit("takeDateObj", object([("date", date)]))?)
        })
}

fn binary(namespace: Namespace<Visitor>) -> Namespace<Visitor> {
    namespace
        .on(Plain::new("doge"), async |socket, _| {
            Ok(socket.emit("doge", ASDFASDF)?)
        })
        .on(Plain::new("getbin"), async |socket, _| {
            Ok(socket.emit("takebin", ASDFASDF)?)
        })
        .on(Single::new("buffa"), async |socket, data| {
            Ok(emit_if(&socket, is_binary(&data), "buffack")?)
        })
        .on(Single::new("jsonbuff"), async |socket, data| {
            Ok(emit_if(
                &socket,
                is_json_with_binary(&data),
                "jsonbuff-ack",
            )?)
        })
        .on(Single::new("jsonblob"), async |socket, data| {
            Ok(emit_if(
                &socket,
                is_json_with_binary(&data),
                "jsonblob-ack",
            )?)
        })
        .on("abuff1", async |socket, data: Value| {
            socket
                .data()
                .buffered
                .store(is_binary(&data), Ordering::Relaxed);
        })
        .on(Plain::new("abuff2"), async |socket, _| {
            let buffered = socket.data().buffered.load(Ordering::Relaxed);
            Ok(emit_if(&socket, buffered, "abuff2-ack")?)
        })
        .on(Single::new("blob"), async |socket, data| {
            Ok(emit_if(&socket, is_binary(&data), "back")?)
        })
        .on("blob1", async |socket, data: Value| {
            socket.data().is_next_blob(0, is_binary(&data));
        })
        .on("blob2", async |socket, data: Value| {
            socket
                .data()
                .is_next_blob(1, data.as_str() == Some("second"));
        })
        .on(Single::new("blob3"), async |socket, data| {
            let complete = socket.data().is_next_blob(2, is_binary(&data));
            Ok(emit_if(&socket, complete, "blob3-ack")?)
        })
}

impl Visitor {
    /// Counts a blob that is as it should be, if so many have come before it.
    fn is_next_blob(&self, before: usize, is_right: bool) -> bool {
        let order = Ordering::Relaxed;
        is_right
            && self
                .blobs
                .compare_exchange(before, before + 1, order, order)
                .is_ok()
    }
}

/// Tells clients their id.
fn identified<D: Send + Sync + 'static, S>(namespace: Namespace<D, S>) -> Namespace<D> {
    namespace.on("getId", async |socket, _: Args| socket.id().to_string())
}

/// Tells clients what they have presented, as soon as they have joined.
fn greeting() -> Namespace<Value> {
    Namespace::new("/abc")
        .auth(async |handshake: Handshake| Ok::<_, ConnectError>(describe(&handshake)))
        // A client that has gone meanwhile needs no greeting.
        .on_connect(async |socket| drop(socket.emit("handshake", socket.data())))
}

fn closed() -> Namespace {
    Namespace::new("/no").auth(async |_: Handshake| {
        Err::<(), _>(ConnectError::new("Auth failed (custom namespace)"))
    })
}

/// The `handshake` of the reference.
fn describe(handshake: &Handshake) -> Value {
    let request: &Request = handshake;
    let headers = request.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), Value::from(value.into_owned()))
    });
    let query = request
        .query_pairs()
        .map(|(name, value)| (name, value.into()));
    let issued = Date::of(request.issued());
    let address = request.address().map(|address| address.ip().to_string());
    object([
        ("headers", headers.collect()),
        ("time", issued.iso().into()),
        ("address", address.into()),
        ("xdomain", request.headers().contains_key("origin").into()),
        ("secure", request.secure().into()),
        ("issued", issued.unix_milliseconds().into()),
        ("url", request.uri().to_string().into()),
        ("query", query.collect()),
        ("auth", handshake.auth.clone()),
    ])
}

fn emit_if<D>(socket: &Socket<D>, wanted: bool, event: &str) -> Result<(), EmitError> {
    if wanted {
        socket.emit(event, ())
    } else {
        Ok(())
    }
}

fn is_binary(value: &Value) -> bool {
    value.as_binary().is_some()
}

fn is_json_with_binary(value: &Value) -> bool {
    let text = |name| value.get(name).and_then(Value::as_str);
    text("hello") == Some("lol")
        && value.get("message").is_some_and(is_binary)
        && text("goodbye") == Some("gotcha")
}

/// Whether JavaScript takes the value for true.
fn is_truthy(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(truth) => *truth,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(_) | Value::Object(_) | Value::Binary(_) => true,
    }
}

fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    entries
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}
