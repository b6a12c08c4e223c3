//! The client for programs without async: what ends it, and from where it may be called.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::time::Duration;

use ferriwire::client::blocking::{Client, ClientBuilder};
use ferriwire::{
    ConnectError, ConnectFailure, Event, Handshake, Namespace, RunningServer, Server, Value,
};
use tokio::runtime::Runtime;

use crate::support::{PATIENCE, fail};

const ADD: Event<(i64, i64), i64> = Event::new("add");
const GO: Event<()> = Event::new("go");
const STEP: Event<u32> = Event::new("step");

/// A server on threads of its own.
struct Served {
    server: RunningServer,
    _runtime: Runtime,
}

impl Served {
    fn start() -> Self {
        let runtime = Runtime::new().expect("threads can be started");
        let adding = |name: &'static str| {
            let namespace = Namespace::new(name).on(ADD, async |_, (a, b)| a + b);
            namespace.on(GO, async |socket: ferriwire::Socket, ()| {
                for step in 0..2 {
                    socket.emit(STEP, step)?;
                }
                Ok(())
            })
        };
        let guarded = Namespace::new("/guarded").auth(async |_: Handshake<Value>| {
            Err::<(), _>(ConnectError::new("not welcome").data(Value::from(401)))
        });
        let server = Server::new()
            .namespace(adding("/"))
            .namespace(adding("/admin"))
            .namespace(guarded);
        let server = runtime.block_on(crate::serve(server));
        Self {
            server,
            _runtime: runtime,
        }
    }

    fn client(&self, namespace: &str) -> ClientBuilder {
        let address = self.server.local_addr();
        Client::builder(format!("http://{address}{namespace}")).configure(|builder| {
            let pause = Duration::from_millis(10);
            builder.no_proxy().reconnection_delay(pause, pause)
        })
    }
}

fn next<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(PATIENCE).expect("it happens")
}

#[test]
fn a_handler_that_panics_ends_nothing() {
    let served = Served::start();
    let (steps, stepped) = channel();
    let client = served
        .client("/")
        .on_connect(|_| fail("on purpose"))
        .on(STEP, move |_, step| {
            if step == 0 {
                fail("on purpose");
            }
            steps.send(step).expect("the test lives");
        })
        .connect()
        .unwrap();
    for _ in 0..2 {
        client.emit(GO, ()).unwrap();
        assert_eq!(next(&stepped), 1);
    }
    assert_eq!(client.emit_with_ack(ADD, (1, 2)).unwrap(), 3);
    client.close();
}

thread_local! {
    /// Dropped with its thread.
    static HELD: RefCell<Vec<Sender<()>>> = const { RefCell::new(Vec::new()) };
}

#[test]
fn both_threads_end_with_the_last_handle() {
    let served = Served::start();
    let (of_client, client_thread) = channel();
    let (of_handlers, handler_thread) = channel();
    let (handed, handle) = channel();
    let client = served
        .client("/")
        .configure(|builder| {
            builder.on_connect(async move |_| HELD.with_borrow_mut(|held| held.push(of_client)))
        })
        .on(STEP, move |client, step| {
            HELD.with_borrow_mut(|held| held.push(of_handlers.clone()));
            if step == 1 {
                handed.send(client).expect("the test lives");
            }
        })
        .connect()
        .unwrap();
    client.emit(GO, ()).unwrap();
    let other = next(&handle);
    drop(client);
    // One is left.
    assert_eq!(other.emit_with_ack(ADD, (1, 2)).unwrap(), 3);
    assert_eq!(client_thread.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(handler_thread.try_recv(), Err(TryRecvError::Empty));
    drop(other);
    let ended = Err(RecvTimeoutError::Disconnected);
    assert_eq!(client_thread.recv_timeout(PATIENCE), ended);
    assert_eq!(handler_thread.recv_timeout(PATIENCE), ended);
}

#[test]
fn a_further_namespace_is_joined_heard_and_left_alone() {
    let served = Served::start();
    let (steps, stepped) = channel();
    let (reasons, reason) = channel();
    let client = served.client("/").connect().unwrap();
    let admin = client
        .namespace("/admin")
        .on(STEP, move |client, step| {
            steps.send((client.id(), step)).expect("the test lives");
        })
        .on_disconnect(move |_, reason| reasons.send(reason).expect("the test lives"))
        .connect()
        .unwrap();
    admin.emit(GO, ()).unwrap();
    for step in [0, 1] {
        assert_eq!(next(&stepped), (admin.id(), step));
    }
    admin.disconnect();
    assert_eq!(next(&reason).as_str(), "io client disconnect");
    assert!(!admin.is_connected() && client.is_connected());
    assert_eq!(client.emit_with_ack(ADD, (1, 2)).unwrap(), 3);
    admin.connect();
    assert_eq!(admin.emit_with_ack(ADD, (3, 4)).unwrap(), 7);
    client.close();
    assert!(!admin.is_connected());
}

#[test]
fn who_is_not_let_in_is_told_why() {
    let served = Served::start();
    let is_refusal = |failure: &ConnectFailure| {
        matches!(failure, ConnectFailure::Refused(error)
            if error.message() == "not welcome" && error.details() == Some(&Value::from(401)))
    };
    let failure = served.client("/guarded").connect().unwrap_err();
    assert!(is_refusal(&failure), "{failure:?}");
    let client = served.client("/").connect().unwrap();
    let failure = client.namespace("/guarded").connect().unwrap_err();
    assert!(is_refusal(&failure), "{failure:?}");
    // The other namespace does not mind.
    assert_eq!(client.emit_with_ack(ADD, (1, 2)).unwrap(), 3);
    let failure = client.namespace("/").connect().unwrap_err();
    assert!(
        matches!(failure, ConnectFailure::AlreadyJoined),
        "{failure:?}"
    );
    client.close();

    let failure = Client::builder("gopher://localhost").connect().unwrap_err();
    assert!(
        matches!(failure, ConnectFailure::Configuration(_)),
        "{failure:?}"
    );
    // Nobody listens there any more.
    let gone = served
        .client("/")
        .configure(|builder| builder.reconnection(false));
    drop(served);
    let failure = gone.connect_retrying().unwrap_err();
    assert!(!is_refusal(&failure), "{failure:?}");
}

#[test]
fn handlers_may_call_whatever_waits() {
    let served = Served::start();
    let (sums, summed) = channel();
    let (ends, ended) = channel();
    let client = served
        .client("/")
        .configure(|builder| builder.close_timeout(Duration::from_millis(50)))
        .on(STEP, move |client, step| {
            if step == 0 {
                let own = client.emit_with_ack(ADD, (1, 2)).unwrap();
                let late = client.emit_with_ack_within(PATIENCE, ADD, (3, 4)).unwrap();
                let admin = client.namespace("/admin").connect().unwrap();
                let other = admin.emit_with_ack(ADD, (5, 6)).unwrap();
                sums.send([own, late, other]).expect("the test lives");
            } else {
                // It waits for this handler, as long as closing may take.
                client.close();
                ends.send(()).expect("the test lives");
            }
        })
        .connect()
        .unwrap();
    client.emit(GO, ()).unwrap();
    assert_eq!(next(&summed), [3, 7, 11]);
    next(&ended);
    assert!(client.emit(GO, ()).is_err());
}

#[test]
fn calls_from_async_code_panic_instead_of_blocking_it() {
    let served = Served::start();
    let client = served.client("/").connect().unwrap();
    let caller = Runtime::new().unwrap();
    let panicked = caller.block_on(async {
        // What does not wait can be called.
        client.emit(GO, ()).unwrap();
        let call = AssertUnwindSafe(|| client.emit_with_ack(ADD, (1, 2)));
        catch_unwind(call).expect_err("it panics")
    });
    let message = panicked
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panicked.downcast_ref::<&str>().copied());
    assert!(message.is_some_and(|text| text.contains("within a runtime")));
    assert_eq!(client.emit_with_ack(ADD, (1, 2)).unwrap(), 3);
    // Nor does it matter where the last handle is dropped.
    caller.block_on(async { drop(client) });
}
