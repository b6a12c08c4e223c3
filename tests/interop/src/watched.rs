//! Namespaces that remember what happened to their clients, for the scenarios of recovery: `/watched`,
//! and dynamic ones, `/room-{number}`.

use std::sync::{Arc, Mutex, PoisonError};

use ferriwire::{
    Args, ConnectError, EmitError, Event, Fresh, Gap, HandlerError, Handshake, Namespace,
    NamespaceHandle, Server,
};
use serde::Deserialize;

const SAY: Event<String, String> = Event::new("say");
/// What happened to all clients of the same name, in order.
const STORY: Event<(), Vec<String>> = Event::new("story");

#[derive(Deserialize)]
struct Credentials {
    name: String,
}

/// What `auth` makes of a client.
struct Visitor {
    name: String,
    room: Option<String>,
}

#[derive(Clone, Default)]
struct Stories(Arc<Mutex<Vec<(String, String)>>>);

/// Handles to these namespaces.
#[derive(Clone, Debug)]
pub struct Watched {
    fixed: NamespaceHandle,
    rooms: NamespaceHandle,
}

impl Watched {
    /// Adds them to a server.
    pub fn add_to(server: &mut Server) -> Self {
        let stories = Stories::default();
        Self {
            fixed: server
                .add(watched(Namespace::new("/watched"), &stories))
                .untyped(),
            rooms: server
                .add(watched(Namespace::pattern("/room-{number}"), &stories))
                .untyped(),
        }
    }

    /// Emits `news` to all clients in `namespace`, here or away.
    pub fn tell(&self, namespace: &str, news: &Args, volatile: bool) -> Result<(), EmitError> {
        let rooms = self.rooms.children();
        let all = rooms.iter().chain([&self.fixed]);
        for handle in all.filter(|handle| handle.name() == Some(namespace)) {
            let news = news.clone();
            if volatile {
                handle.all().volatile().emit("news", news)?;
            } else {
                handle.emit("news", news)?;
            }
        }
        Ok(())
    }
}

fn watched(namespace: Namespace<(), Fresh>, stories: &Stories) -> Namespace<Visitor> {
    let [screened, arrived, resumed, gone] = [(); 4].map(|()| stories.clone());
    let (authorized, told) = (stories.clone(), stories.clone());
    namespace
        .auth(async move |handshake: Handshake<Credentials>| {
            let name = handshake.auth.name;
            authorized.note(&name, "auth");
            if name == "nobody" {
                return Err(ConnectError::new("not welcome"));
            }
            let room = handshake.params.get("number").map(str::to_owned);
            Ok(Visitor { name, room })
        })
        .identity(|visitor| visitor.name.clone())
        .event_middleware(async move |socket, event, _| {
            if event == "say" {
                screened.note(&socket.data().name, "screened");
            }
            Ok::<_, HandlerError>(())
        })
        .on_connect(async move |socket| arrived.note(&socket.data().name, "connect"))
        .on_resume(async move |socket, _| resumed.note(&socket.data().name, "resume"))
        .on_gap(async move |socket, gap: Gap| {
            gone.note(&socket.data().name, &format!("gap: {gap}"));
        })
        .on(SAY, async |socket, text| {
            let room = socket.data().room.as_deref().unwrap_or("watched");
            format!("{text} in {room}")
        })
        .on(STORY, async move |socket, ()| told.of(&socket.data().name))
}

impl Stories {
    fn note(&self, name: &str, what: &str) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push((name.to_owned(), what.to_owned()));
    }

    fn of(&self, name: &str) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = all.iter().filter(|(whose, _)| whose == name);
        own.map(|(_, what)| what.clone()).collect()
    }
}
