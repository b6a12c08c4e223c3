//! A client whose token expires: it takes a fresh one for each attempt to join, from a file that somebody
//! else renews.
#![expect(clippy::print_stdout, reason = "a program at a terminal")]
use std::path::PathBuf;

use ferriwire::client::Reconnection;
use ferriwire::{Client, ConnectFailure};
use serde::Serialize;

#[derive(Serialize)]
struct SignIn {
    name: String,
    token: String,
}

/// Where a program of your own asks its identity provider.
async fn sign_in(file: PathBuf) -> std::io::Result<SignIn> {
    let token = std::fs::read_to_string(file)?.trim().to_owned();
    Ok(SignIn { name: "Grace".to_owned(), token })
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let url = args.next().expect("the address of the chat");
    let file = PathBuf::from(args.next().expect("the file with the token"));
    let client = Client::builder(url)
        .auth_with(move |attempt| {
            println!("token for attempt {}", attempt.number + 1);
            let file = file.clone();
            async move { Ok(sign_in(file).await?) }
        })
        .on_connect(async |client| {
            println!("connected as {}", client.id().as_deref().unwrap_or_default());
        })
        .on_reconnect(async |_, step| {
            if let Reconnection::Attempt { number, after } = step {
                println!("attempt {number} after {after:?}");
            }
        })
        .connect()
        .await;
    let client = match client {
        Err(ConnectFailure::Refused(error)) => {
            println!("refused: {}", error.message());
            return Ok(());
        }
        other => other?,
    };
    tokio::signal::ctrl_c().await?;
    client.close().await;
    Ok(())
}
