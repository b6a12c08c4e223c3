//! Acknowledgements of all receivers of a broadcast: 63, 64.

use std::time::Duration;

use ferriwire::{
    AckError, Answer, Config, EmitError, Event, Limits, Namespace, RunningServer, Transport,
};

use crate::client::{Client, asked};
use crate::support::within;
use crate::{serve, serve_with};

const VOTE: Event<String, bool> = Event::new("vote");
const ASKED: &str = r#"["vote","tea?"]"#;

async fn voters<const N: usize>() -> (RunningServer, [(Client, String); N]) {
    let namespace = Namespace::new("/")
        .on_connect(async |socket| drop(socket.join("voters")))
        .on("settle", async |_, _: ()| ());
    let server = serve(namespace).await;
    let mut voters = Vec::new();
    for index in 0..N {
        let transport = crate::client::TRANSPORTS[index % 2];
        voters.push(Client::connect_with_id(&server, transport).await);
    }
    (server, voters.try_into().ok().expect("as many"))
}

async fn answer(client: &mut Client, vote: &str) -> u64 {
    let id = asked(client, ASKED).await;
    client.send(&format!("3{id}[{vote}]")).await;
    id
}

#[tokio::test]
async fn every_receiver_answers_once_under_one_number() {
    let (server, mut voters) = voters::<3>().await;
    let answers = server.handle("/").to("voters").emit_with_ack(VOTE, "tea?");
    let answers = answers.expect("it exists");
    let mut ids = Vec::new();
    for (client, _) in &mut voters {
        ids.push(answer(client, "true").await);
    }
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    let answers = within("all answers", answers.all()).await;
    let mut sockets: Vec<_> = answers
        .iter()
        .map(|answer| answer.socket.as_ref().expect("it is here").to_string())
        .collect();
    let mut expected: Vec<_> = voters.iter().map(|(_, id)| id.clone()).collect();
    sockets.sort();
    expected.sort();
    assert_eq!(sockets, expected);
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer.result, Ok(true)))
    );
}

#[tokio::test]
async fn answers_come_as_they_arrive_also_those_that_do_not_fit() {
    let (server, mut voters) = voters::<2>().await;
    let answers = server.handle("/").all().emit_with_ack(VOTE, "tea?");
    let mut answers = answers.expect("it exists");
    answer(&mut voters[1].0, "\"perhaps\"").await;
    let first = within("an answer", answers.next()).await.expect("two");
    assert_eq!(
        first.socket.as_ref().expect("it is here").as_str(),
        voters[1].1
    );
    assert!(matches!(first.result, Err(AckError::Mismatch(_))));
    answer(&mut voters[0].0, "false").await;
    let second = within("an answer", answers.next()).await.expect("two");
    assert_eq!(
        second.socket.as_ref().expect("it is here").as_str(),
        voters[0].1
    );
    assert!(matches!(second.result, Ok(false)));
    assert!(within("the end", answers.next()).await.is_none());
    assert!(within("the end", answers.next()).await.is_none());
}

#[tokio::test]
async fn who_does_not_answer_in_time_is_told_behind_those_who_did() {
    let (server, mut voters) = voters::<3>().await;
    let timeout = Duration::from_millis(200);
    let handle = server.handle("/");
    let answers = handle.all().timeout(timeout).emit_with_ack(VOTE, "tea?");
    let answers = answers.expect("it exists");
    let id = answer(&mut voters[1].0, "true").await;
    let answers = within("all answers", answers.all()).await;
    assert_eq!(answers.len(), 3);
    assert_eq!(
        answers[0].socket.as_ref().expect("it is here").as_str(),
        voters[1].1
    );
    assert!(matches!(answers[0].result, Ok(true)));
    for late in &answers[1..] {
        assert!(matches!(late.result, Err(AckError::Timeout(waited)) if waited == timeout));
    }
    // A late answer finds nobody.
    let late = &mut voters[0].0;
    assert_eq!(asked(late, ASKED).await, id);
    late.send(&format!("3{id}[true]")).await;
    late.expect_nothing().await;
    assert_eq!(server.stats().unexpected_acks, 1);
}

#[tokio::test]
async fn who_leaves_is_not_waited_for() {
    let (server, mut voters) = voters::<3>().await;
    let handle = server.handle("/");
    let answers = handle
        .all()
        .timeout(Duration::MAX)
        .emit_with_ack(VOTE, "tea?");
    let answers = answers.expect("it exists");
    voters[0].0.send("1").await;
    handle
        .to("voters")
        .except(socket_id(&voters[1].1))
        .disconnect_sockets(false)
        .expect("it exists");
    answer(&mut voters[1].0, "true").await;
    let answers = within("all answers", answers.all()).await;
    assert_eq!(answers.len(), 3);
    let gone = |answer: &&Answer<bool>| matches!(answer.result, Err(AckError::Disconnected));
    assert_eq!(answers.iter().filter(gone).count(), 2);
}

#[tokio::test]
async fn without_receivers_it_ends_at_once() {
    let (server, _) = voters::<0>().await;
    let handle = server.handle("/");
    let answers = handle
        .to("voters")
        .timeout(Duration::MAX)
        .emit_with_ack(VOTE, "tea?");
    assert!(
        within("the end", answers.expect("it exists").all())
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn only_who_was_asked_answers_and_only_once() {
    let (server, mut voters) = voters::<2>().await;
    let handle = server.handle("/");
    let asked_one = socket_id(&voters[0].1);
    let mut answers = handle
        .to(asked_one)
        .emit_with_ack(VOTE, "tea?")
        .expect("it exists");
    let id = asked(&mut voters[0].0, ASKED).await;
    for (index, expected) in [(1, 1), (0, 1), (0, 2)] {
        let client = &mut voters[index].0;
        client.send(&format!("3{id}[true]")).await;
        client.expect_nothing().await;
        assert_eq!(server.stats().unexpected_acks, expected);
    }
    let answer = within("an answer", answers.next()).await.expect("one");
    assert_eq!(
        answer.socket.as_ref().expect("it is here").as_str(),
        voters[0].1
    );
    assert!(within("the end", answers.next()).await.is_none());
}

#[tokio::test]
async fn dropped_answers_are_forgotten() {
    let (server, mut voters) = voters::<1>().await;
    let answers = server.handle("/").all().emit_with_ack(VOTE, "tea?");
    drop(answers.expect("it exists"));
    answer(&mut voters[0].0, "true").await;
    voters[0].0.expect_nothing().await;
    assert_eq!(server.stats().unexpected_acks, 1);
}

#[tokio::test]
async fn collected_answers_are_apart_from_who_is_missing_and_why() {
    let (server, mut voters) = voters::<4>().await;
    let handle = server.handle("/");
    let timeout = Duration::from_millis(200);
    let answers = handle.all().timeout(timeout).emit_with_ack(VOTE, "tea?");
    let answers = answers.expect("it exists");
    answer(&mut voters[0].0, "true").await;
    answer(&mut voters[1].0, "\"perhaps\"").await;
    voters[2].0.send("1").await;
    let responses = within("all answers", answers.collect()).await;
    assert_eq!(responses.values, [true]);
    assert!(!responses.is_complete());
    let why = |id: &str| {
        let mut missing = responses.missing.iter();
        let missing =
            missing.find(|missing| missing.socket.as_ref().expect("it is here").as_str() == id);
        &missing.expect("it is missing").error
    };
    assert_eq!(responses.missing.len(), 3);
    assert!(matches!(why(&voters[1].1), AckError::Mismatch(_)));
    assert!(matches!(why(&voters[2].1), AckError::Disconnected));
    assert!(matches!(why(&voters[3].1), AckError::Timeout(waited) if *waited == timeout));
}

#[tokio::test]
async fn collecting_from_nobody_is_complete_at_once() {
    let (server, _) = voters::<0>().await;
    let answers = server.handle("/").all().emit_with_ack(VOTE, "tea?");
    let responses = within("the end", answers.expect("it exists").collect()).await;
    assert!(responses.is_complete() && responses.values.is_empty());
}

/// The limit of one socket's pending acknowledgements did not hold for broadcasts.
#[tokio::test]
async fn a_socket_owes_so_many_answers_to_broadcasts_and_no_more() {
    let namespace = Namespace::new("/").on("settle", async |_, _: ()| ());
    let config = Config::new().limits(Limits::new().max_pending_acks(2));
    let server = serve_with(config, namespace).await;
    let (mut client, id) = Client::connect_with_id(&server, Transport::WebSocket).await;
    let handle = server.handle("/");
    let ask = || handle.all().emit_with_ack(VOTE, "tea?").expect("it exists");
    let (first, second) = (ask(), ask());
    let beyond = within("an answer", ask().collect()).await;
    assert_eq!(
        beyond.missing[0]
            .socket
            .as_ref()
            .expect("it is here")
            .as_str(),
        id
    );
    assert!(matches!(
        beyond.missing[0].error,
        AckError::TooManyPending(2)
    ));
    // Who is not asked is not sent the event either.
    let number = answer(&mut client, "true").await;
    assert_eq!(asked(&mut client, ASKED).await, number + 1);
    client.expect_nothing().await;
    assert!(within("an answer", first.collect()).await.is_complete());
    // What was answered or dropped makes room.
    drop(second);
    let (third, fourth) = (ask(), ask());
    for _ in 0..2 {
        answer(&mut client, "false").await;
    }
    for answers in [third, fourth] {
        assert_eq!(within("an answer", answers.collect()).await.values, [false]);
    }
}

#[tokio::test]
async fn answers_that_time_out_leave_nothing_behind() {
    let namespace = Namespace::new("/").on("settle", async |_, _: ()| ());
    let config = Config::new().limits(Limits::new().max_pending_acks(2));
    let server = serve_with(config, namespace).await;
    let mut client = Client::connect(&server).await;
    let handle = server.handle("/");
    for _ in 0..6 {
        let broadcast = handle.all().timeout(Duration::from_millis(1));
        let answers = broadcast.emit_with_ack(VOTE, "tea?").expect("it exists");
        let responses = within("the timeout", answers.collect()).await;
        assert!(matches!(responses.missing[0].error, AckError::Timeout(_)));
        asked(&mut client, ASKED).await;
    }
    client.expect_nothing().await;
}

#[tokio::test]
async fn what_cannot_be_sent_is_an_error() {
    let (server, _) = voters::<0>().await;
    let missing = server.handle("/missing").all().emit_with_ack(VOTE, "tea?");
    assert!(matches!(missing, Err(EmitError::NoSuchNamespace(name)) if name == "/missing"));
    let reserved = server.handle("/").all().emit_with_ack("connect", ());
    assert!(matches!(reserved, Err(EmitError::Reserved(name)) if name == "connect"));
}

fn socket_id(text: &str) -> ferriwire::SocketId {
    text.parse().expect("a socket id")
}
