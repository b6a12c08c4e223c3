use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::engine::turn::Turn;

const BOUND: usize = 1024 * 1024;

fn message(len: usize) -> Arc<Encoded> {
    Arc::new(Encoded::text_message(&"x".repeat(len)))
}

/// A socket whose peer does not read, and the peer.
async fn deaf_socket() -> (Arc<BareSocket>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = TcpStream::connect(listener.local_addr().unwrap());
    let (peer, accepted) = tokio::join!(peer, listener.accept());
    let (stream, _) = accepted.unwrap();
    stream.writable().await.unwrap();
    (Arc::new(stream.into()), peer.unwrap())
}

/// A GET that arrived in the turn in which its session ran into the ping timeout was answered
/// with 200 and a close packet, when the outbox was dropped.
#[test]
fn a_poll_of_a_session_that_is_over_is_refused() {
    let outbox = Outbox::new(1024, Overflow::Close);
    outbox.use_polling();
    outbox.close();
    let (waiter, _answer) = oneshot::channel();
    assert!(outbox.attach_poll(waiter).is_err());
    assert!(!outbox.has_waiting_poll());
}

#[test]
fn a_poll_is_for_the_connection_task_when_there_is_something_to_judge() {
    let is_taken = |outbox: &Outbox| {
        let (waiter, _answer) = oneshot::channel();
        outbox.attach_plain_poll(waiter).ok()
    };
    let outbox = || {
        let outbox = Outbox::new(1024, Overflow::Close);
        outbox.use_polling();
        outbox
    };
    let open = outbox();
    assert_eq!(is_taken(&open), Some(false));
    // Another one waits.
    assert_eq!(is_taken(&open), None);
    let busy = outbox();
    busy.push(&message(1), false);
    assert_eq!(is_taken(&busy), Some(true));
    let ends = outbox();
    ends.begin_close(false);
    assert_eq!(is_taken(&ends), None);
    let contested = outbox();
    contested.contest();
    assert_eq!(is_taken(&contested), None);
    let upgraded = outbox();
    upgraded.use_task();
    assert_eq!(is_taken(&upgraded), None);
}

/// Each push beyond 64 KiB tried the full socket again, taking thousands of entries out and putting
/// them back: one deaf client cost seconds.
#[tokio::test]
async fn a_full_socket_is_tried_again_only_after_a_good_deal_more() {
    let outbox = Outbox::new(BOUND, Overflow::Close);
    let (stream, _peer) = deaf_socket().await;
    outbox.use_socket(stream);
    let small = message(10);
    let mut pushes = 0_u32;
    let mut tries = 0_u32;
    loop {
        pushes += 1;
        match outbox.push(&small, false) {
            Push::NeedsFlushNow => {
                let flushed = outbox.flush(true);
                // What the kernel took before it was full does not count.
                tries += u32::from(outbox.is_blocked());
                if flushed == Flushed::Overflow {
                    break;
                }
            }
            Push::Queued | Push::NeedsFlush => {}
            other @ (Push::Dropped | Push::Overflow | Push::Disconnected) => {
                panic!("{other:?} after {pushes} pushes")
            }
        }
    }
    // How much the kernel takes, and in how many gulps, is its own affair.
    let pushed = pushes as usize * small.len();
    let allowed = pushed / EAGER + 1;
    assert!(
        tries as usize <= allowed,
        "{tries} tries in {pushes} pushes"
    );
    assert_eq!(outbox.trouble(), Some(Trouble::SlowConsumer));
    assert_eq!(outbox.buffered_bytes(), 0);
    assert_eq!(outbox.push(&small, false), Push::Disconnected);
}

/// A loop of emits in a handler filled an outbox that only its own task may write, or whose
/// WebSocket was still arriving, and a reader of any speed was closed as too slow.
#[test]
fn what_nobody_could_try_to_write_is_bounded_at_a_multiple() {
    for transport in [Outbox::use_task, Outbox::hold] {
        let outbox = Outbox::new(BOUND, Overflow::Close);
        transport(&outbox);
        let kilobyte = message(1000);
        let mut pushed = 0;
        while outbox.push(&kilobyte, false) != Push::Overflow {
            assert_ne!(outbox.flush(true), Flushed::Overflow);
            pushed += kilobyte.len();
            assert!(pushed <= 9 * BOUND);
        }
        assert!(pushed > 7 * BOUND);
    }
}

#[test]
fn without_a_get_the_bound_of_a_polling_client_holds() {
    let outbox = Outbox::new(BOUND, Overflow::Close);
    outbox.use_polling();
    // One message of any size passes, and as much as the bound behind it.
    assert_eq!(outbox.push(&message(3 * BOUND), false), Push::NeedsFlushNow);
    assert_eq!(outbox.flush(true), Flushed::Done);
    assert_eq!(
        outbox.push(&message(BOUND - 100), false),
        Push::NeedsFlushNow
    );
    assert_eq!(outbox.flush(true), Flushed::Done);
    assert_eq!(outbox.push(&message(100), false), Push::NeedsFlushNow);
    assert_eq!(outbox.flush(true), Flushed::Overflow);
}

/// An outbox that was listed by a turn whose handler then computed for seconds was not flushed by
/// anybody else, and its client waited for that handler.
#[test]
fn each_turn_lists_an_outbox_for_itself() {
    let outbox = Outbox::new(BOUND, Overflow::Close);
    outbox.use_polling();
    let small = message(1);
    assert_eq!(outbox.push(&small, false), Push::NeedsFlush);
    assert_eq!(outbox.push(&small, false), Push::Queued);
    let turn = Turn::begin(None);
    assert_eq!(outbox.push(&small, false), Push::NeedsFlush);
    assert_eq!(outbox.push(&small, false), Push::Queued);
    drop(turn);
    outbox.flush(false);
    assert_eq!(outbox.push(&small, false), Push::NeedsFlush);
}

/// The official client acts upon `1` before it has handled what stands in front of it in the same
/// answer, and reported `transport close` in place of the server's disconnect.
#[test]
fn the_close_packet_comes_with_a_get_of_its_own() {
    for waits_before in [true, false] {
        let outbox = Outbox::new(BOUND, Overflow::Close);
        outbox.use_polling();
        let (waiter, mut answer) = oneshot::channel();
        let waiter = if waits_before {
            outbox.attach_poll(waiter).unwrap();
            None
        } else {
            Some(waiter)
        };
        outbox.push(&message(1), false);
        outbox.begin_close(true);
        if let Some(waiter) = waiter {
            outbox.attach_poll(waiter).unwrap();
        }
        assert_eq!(outbox.flush(false), Flushed::WakeTask);
        assert_eq!(answer.try_recv().unwrap().bytes, b"4x");
        assert!(!outbox.is_drained());
        let (waiter, mut answer) = oneshot::channel();
        outbox.attach_poll(waiter).unwrap();
        assert_eq!(outbox.flush(false), Flushed::WakeTask);
        assert_eq!(answer.try_recv().unwrap().bytes, b"6\x1e1");
        assert!(outbox.is_drained());
    }
}

#[test]
fn the_close_packet_ends_the_answer_otherwise() {
    for (waits, apart) in [("4x\x1e1", false), ("6\x1e1", true), ("6\x1e1", false)] {
        let outbox = Outbox::new(BOUND, Overflow::Close);
        outbox.use_polling();
        if waits.starts_with('4') {
            outbox.push(&message(1), false);
        }
        outbox.begin_close(apart);
        let (waiter, mut answer) = oneshot::channel();
        outbox.attach_poll(waiter).unwrap();
        assert_eq!(outbox.flush(false), Flushed::WakeTask);
        assert_eq!(answer.try_recv().unwrap().bytes, waits.as_bytes());
        assert!(outbox.is_drained());
    }
}

/// The answer to a GET that a POST caused overtook the answer to the POST.
#[test]
fn a_waiting_get_is_answered_behind_the_post() {
    let outbox = Outbox::new(BOUND, Overflow::Close);
    outbox.use_polling();
    let (waiter, mut answer) = oneshot::channel();
    outbox.attach_poll(waiter).unwrap();
    outbox.pause_polls();
    outbox.push(&message(1), false);
    outbox.flush(false);
    assert!(answer.try_recv().is_err());
    outbox.resume_polls();
    outbox.flush(false);
    assert_eq!(answer.try_recv().unwrap().bytes, b"4x");
}
