//! A bot in the lobby of the chat: it greets whoever speaks to it, and comes back when the chat was away.
#![expect(clippy::print_stdout, reason = "a program at a terminal")]
use ferriwire::client::ClientEvent;
use ferriwire::{Client, Event, Value};

const JOIN: Event<String> = Event::new("join");
const SAY: Event<(String, String), u64> = Event::new("say"); // (room, text); answered with an id

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).expect("the address of the chat");
    let auth = std::collections::HashMap::from([("name", "bot"), ("token", "ferriwire")]);
    let (bot, mut events) = Client::builder(url).auth(&auth).events().await?;
    while let Some(event) = events.next().await {
        match event {
            // Whoever comes back is in no room, unless the server has kept its session.
            ClientEvent::Connected { .. } => {
                bot.emit_with_ack(JOIN, "lobby").await?;
                println!("{} is in the lobby", bot.id().as_deref().unwrap_or_default());
            }
            ClientEvent::Event { name, args, .. } if name == "said" => {
                if let [_, room, from, text] = args.0.as_slice()
                    && let [Some(room), Some(from), Some(text)] =
                        [room, from, text].map(Value::as_str)
                {
                    println!("{from}: {text}");
                    if text.contains("bot") {
                        bot.emit(SAY, (room, format!("hello, {from}").as_str()))?;
                    }
                }
            }
            ClientEvent::Disconnected(reason) => println!("away: {reason}"),
            ClientEvent::Event { .. } | ClientEvent::ConnectError(_) => {}
            _ => {}
        }
    }
    Ok(())
}
