//! The smallest client: says something in the lobby of the chat, and prints the number of the message.
#![expect(clippy::print_stdout, reason = "a program at a terminal")]
use ferriwire::{Client, Event};

const SAY: Event<(String, String), u64> = Event::new("say"); // (room, text); answered with an id

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).expect("the address of the chat");
    let auth = std::collections::HashMap::from([("name", "Ada"), ("token", "ferriwire")]);
    let client = Client::builder(url).auth(&auth).connect().await?;
    println!("{}", client.emit_with_ack(SAY, ("lobby", "hello, bot")).await?);
    client.close().await;
    Ok(())
}
