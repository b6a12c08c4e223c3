//! Acknowledgements of broadcasts on several servers.

use std::time::Duration;

use ferriwire::cluster::{Body, InProcess, Question, RequestId, Selection};
use ferriwire::{Bytes, Config, Event, Limits, Server, Value};

use super::{NEVER, broadcast, enter, hear, rooms, say, servers, stranger};
use crate::client::asked;
use crate::start;
use crate::support::within;

#[tokio::test]
async fn all_clients_answer_a_broadcast_with_acknowledgement() {
    let bus = InProcess::new();
    let [a, b, c] = servers(&bus, |_| rooms()).await;
    let (mut one, one_id) = enter(&a, &["x"]).await;
    let (mut two, _) = enter(&b, &["x"]).await;
    let (mut three, _) = enter(&c, &["x"]).await;
    let ask = Event::<(), Value>::new("ask");
    let answers = a.handle("/").to("x").timeout(NEVER).emit_with_ack(ask, ());
    let mut answers = answers.expect("it exists");
    let id = asked(&mut one, r#"["ask"]"#).await;
    one.send(&format!("3{id}[1]")).await;
    let first = within("an answer", answers.next())
        .await
        .expect("one of three");
    assert_eq!(first.socket.expect("it is here").as_str(), one_id);
    assert_eq!(first.result.expect("an answer"), 1.into());
    let id = asked(&mut two, r#"["ask"]"#).await;
    two.send(&format!("61-{id}[{{\"_placeholder\":true,\"num\":0}}]"))
        .await;
    two.send_binary(&[1, 2, 3]).await;
    // Streamed: the third one has not answered.
    let second = within("an answer", answers.next())
        .await
        .expect("two of three");
    assert_eq!(second.socket, None);
    let second = second.result.expect("an answer");
    assert_eq!(second, Value::Binary(Bytes::from_static(&[1, 2, 3])));
    let id = asked(&mut three, r#"["ask"]"#).await;
    three.send(&format!("3{id}[3]")).await;
    let rest = within("the end", answers.collect()).await;
    assert!(rest.is_complete());
    assert_eq!(rest.values, [3.into()]);
}

#[tokio::test]
async fn nobody_is_waited_for_where_nobody_is() {
    let bus = InProcess::new();
    let [a, _b, _c] = servers(&bus, |_| rooms()).await;
    let answers = a.handle("/").all().timeout(NEVER).emit_with_ack("ask", ());
    let answers = within("an end", answers.expect("it exists").collect()).await;
    assert!(answers.is_complete() && answers.values.is_empty());
}

#[tokio::test]
async fn clients_that_are_silent_or_leave_are_missing_on_every_server() {
    let bus = InProcess::new();
    let [a, b] = servers(&bus, |_| rooms()).await;
    let (_silent, _) = enter(&b, &[]).await;
    let (mut leaves, _) = enter(&b, &[]).await;
    let (mut answers, _) = enter(&b, &[]).await;
    let ask = Event::<(), u64>::new("ask");
    let all = a.handle("/").all().timeout(Duration::from_millis(700));
    let collecting = all.emit_with_ack(ask, ()).expect("it exists").collect();
    let (responses, ()) = tokio::join!(within("the timeout", collecting), async {
        let id = asked(&mut answers, r#"["ask"]"#).await;
        answers.send(&format!("3{id}[7]")).await;
        asked(&mut leaves, r#"["ask"]"#).await;
        leaves.send("1").await;
    });
    assert_eq!(responses.values, [7]);
    let mut missing: Vec<_> = responses
        .missing
        .iter()
        .map(|missing| format!("{:?}", missing.error))
        .collect();
    missing.sort();
    assert_eq!(missing, ["Disconnected", "Timeout(700ms)"]);
}

#[tokio::test]
async fn clients_owe_nothing_to_servers_whose_time_is_over() {
    let bus = InProcess::new();
    let limits = Limits::new().max_pending_acks(1);
    let config = Config::new().limits(limits);
    let server = Server::new().config(config).namespace(rooms());
    let server = start(server.cluster(bus.clone())).await;
    let (id, link) = stranger(&bus).await;
    let (mut client, _) = enter(&server, &[]).await;
    let question = |byte, timeout| Question {
        request: RequestId::from_random([byte; 8]),
        timeout: Duration::from_millis(timeout),
    };
    say(&*link, &id, broadcast("ask", Some(question(1, 0)))).await;
    asked(&mut client, r#"["ask",1]"#).await;
    let body = Body::Receivers {
        request: question(1, 0).request,
        count: 1,
    };
    assert_eq!(hear(&*link).await.body, body);
    // The second question fits when the first one is forgotten, and is refused until then.
    let asked_at_last = loop {
        say(&*link, &id, broadcast("ask", Some(question(2, 60_000)))).await;
        assert!(matches!(
            hear(&*link).await.body,
            Body::Receivers { count: 1, .. }
        ));
        let settled = Body::Fetch {
            selection: Selection::default(),
            request: question(3, 0).request,
        };
        say(&*link, &id, settled).await;
        let next = hear(&*link).await;
        if matches!(&next.body, Body::Answer { answer: None, .. }) {
            assert!(matches!(hear(&*link).await.body, Body::Fetched { .. }));
            tokio::task::yield_now().await;
        } else {
            break next;
        }
    };
    assert!(matches!(asked_at_last.body, Body::Fetched { .. }));
    asked(&mut client, r#"["ask",1]"#).await;
}
