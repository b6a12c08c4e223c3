//! What an operation on many sockets does on this server, whether its own program or another server
//! asks for it.

use std::sync::Arc;

use ferriwire_proto::codec::EncodeError;
use ferriwire_proto::encoded::Encoded;
use ferriwire_proto::packet::AckId;
use ferriwire_proto::value::Value;
use serde::Serialize;

use super::hub::Hub;
use super::membership::Membership;
use crate::cluster::{Flags, Seen, Selection};

/// Sends an event to the selected sockets.
pub(crate) fn emit<P: Serialize + ?Sized>(
    hub: &Hub,
    selection: &Selection,
    flags: &Flags,
    event: &str,
    payload: &P,
) -> Result<(), EncodeError> {
    let message = encode(hub, None, flags, event, payload)?;
    let Selection { to, except } = selection;
    if hub.is_observed() {
        let mut receivers = Vec::new();
        hub.send(to, except, message, flags.volatile, &mut |receiver| {
            receivers.push(Arc::clone(receiver));
        });
        hub.show_outgoing(&receivers, event, payload);
    } else {
        hub.send(to, except, message, flags.volatile, &mut |_| {});
    }
    Ok(())
}

/// One event with its modifiers, ready for every receiver.
pub(crate) fn encode<P: Serialize + ?Sized>(
    hub: &Hub,
    id: Option<AckId>,
    flags: &Flags,
    event: &str,
    payload: &P,
) -> Result<Encoded, EncodeError> {
    let key = flags.latest.as_deref().map(|key| hub.conflation_key(key));
    let message = hub.encode_event(id, event, payload)?;
    Ok(message
        .with_compress(flags.compress)
        .with_overflow(flags.overflow)
        .with_conflation_key(key))
}

pub(crate) fn join(hub: &Hub, selection: &Selection, rooms: &[Arc<str>]) {
    let selected = select(hub, selection);
    for room in rooms {
        for socket in &selected {
            if let Err(error) = socket.join(room) {
                tracing::debug!(socket = %socket.shown_id(), %error, "a socket cannot join a room");
            }
        }
    }
}

pub(crate) fn leave(hub: &Hub, selection: &Selection, rooms: &[Arc<str>]) {
    let selected = select(hub, selection);
    for room in rooms {
        selected.iter().for_each(|socket| socket.leave(room));
    }
}

pub(crate) fn disconnect(hub: &Hub, selection: &Selection, close: bool) {
    for socket in select(hub, selection) {
        socket.disconnect(close);
    }
}

/// The selected sockets as others may see them.
pub(crate) fn fetch(hub: &Hub, selection: &Selection) -> Vec<Seen> {
    let hooks = hub.hooks();
    let selected = hub.select(&selection.to, &selection.except).into_iter();
    let seen = selected.map(|(socket, data)| Seen {
        id: socket.id().clone(),
        rooms: socket.rooms(),
        data: hooks
            .as_ref()
            .map_or(Value::Null, |hooks| hooks.public(&data)),
    });
    seen.collect()
}

fn select(hub: &Hub, selection: &Selection) -> Vec<Arc<Membership>> {
    let selected = hub.select(&selection.to, &selection.except).into_iter();
    selected.map(|(socket, _)| socket).collect()
}
