//! The chat without async: what others say is printed, and what stands on standard input is said.
#![expect(clippy::print_stdout, reason = "a program at a terminal")]
use ferriwire::Event;
use ferriwire::client::blocking::Client;

const JOIN: Event<String> = Event::new("join");
const SAY: Event<(String, String), u64> = Event::new("say"); // (room, text); answered with an id
const SAID: Event<(u64, String, String, String)> = Event::new("said"); // (id, room, from, text)

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).expect("the address of the chat");
    let auth = std::collections::HashMap::from([("name", "Alan"), ("token", "ferriwire")]);
    let client = Client::builder(url)
        .auth(&auth)
        .on(SAID, |client, (_, room, from, text)| {
            println!("{from}: {text}");
            // A handler may wait, even for the server: it has a thread of its own.
            if text.ends_with('?') {
                println!("answered: {}", client.emit_with_ack(SAY, (&room, "who knows"))?);
            }
            Ok(())
        })
        .connect()?;
    client.emit_with_ack(JOIN, "lobby")?;
    println!("here as {}", client.id().as_deref().unwrap_or_default());
    for line in std::io::stdin().lines() {
        client.emit_with_ack(SAY, ("lobby", line?.as_str()))?;
    }
    client.close();
    Ok(())
}
