//! The limits of the reference, as far as they are safe.

use std::time::Duration;

use super::Limits;

impl Limits {
    /// The limits of the reference (Socket.IO for Node.js), for servers that take its place and whose
    /// clients rely on them. Where it has none, there is none, as long as what a client can make the
    /// server keep stays bounded by another limit.
    ///
    /// Not taken over, because nothing else would bound them: what waits for a client and for all
    /// ([`max_buffered`](Self::max_buffered), [`max_buffered_total`](Self::max_buffered_total)),
    /// [`memory`](Self::memory), [`max_connections`](Self::max_connections),
    /// [`max_tcp_connections`](Self::max_tcp_connections), acknowledgements and their
    /// time, running handlers and how long they outlive their client, dynamic namespaces and the length of
    /// their names, the depth of payloads ([`max_depth`](Self::max_depth)), TLS handshakes and HTTP/2 streams
    /// at a time, what waits for other servers, and the times of `auth`, event middleware, decisions,
    /// attachments, fragments and answers that are not taken. What is the same in both stays so. Behaviour
    /// that is no limit, such as JSONP or the check of origins, is not changed: that is
    /// [`Config`](crate::Config)'s.
    ///
    /// # Examples
    ///
    /// ```
    /// use ferriwire::{Config, Limits};
    ///
    /// let config = Config::new().limits(Limits::javascript().max_payload(4 * 1024 * 1024));
    /// ```
    #[must_use]
    pub fn javascript() -> Self {
        let seconds = Duration::from_secs;
        Self::new()
            // Who may come. `max_connections` and `max_tcp_connections` bound them all.
            .max_tcp_connections_per_address(usize::MAX)
            .max_unauthenticated(usize::MAX)
            .max_connections_per_address(usize::MAX)
            .handshakes_per_address(None)
            .handshakes_per_core(None)
            .unknown_sessions_per_address(None)
            // Connections.
            .head_timeout(seconds(60))
            .keep_alive_timeout(seconds(5))
            .max_headers(2_000)
            .tls_handshake_timeout(seconds(120))
            // Requests. `max_head_bytes` and `max_payload` bound them.
            .max_target(16 * 1024)
            .max_query_parameters(usize::MAX)
            .body_timeout(seconds(300))
            .min_body_rate(0)
            .max_packets_per_payload(usize::MAX)
            // WebSockets.
            .max_fragments(16_384)
            .ping_rate(None)
            .max_pending_pongs(60)
            .write_stall_timeout(seconds(45))
            // Socket.IO. `max_payload` bounds a packet, and rooms are joined by the program alone.
            .connect_timeout(seconds(45))
            .max_namespaces(usize::MAX)
            .max_event_name(usize::MAX)
            .max_arguments(usize::MAX)
            .event_rate(None)
            .max_rooms_per_socket(usize::MAX)
            .max_room_name(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings and their values, one in a line.
    fn lines(limits: &Limits) -> Vec<String> {
        // Its fields have types that take one line each, or are written out below.
        let text = format!("{limits:?}");
        let fields = text.trim_start_matches("Limits { ").split(", ");
        fields
            .map(|field| field.trim_end_matches(" }").to_owned())
            .collect()
    }

    /// The names of all settings, and their values.
    fn fields(limits: &Limits) -> Vec<(String, String)> {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in format!("{limits:#?}").lines() {
            let field = line
                .strip_prefix("    ")
                .and_then(|line| line.split_once(": "));
            match (field, fields.last_mut()) {
                (Some((name, value)), _) if !name.starts_with(' ') => {
                    fields.push((name.to_owned(), value.to_owned()));
                }
                (_, Some((_, value))) => value.push_str(line),
                (_, None) => {}
            }
        }
        fields
    }

    #[test]
    fn each_value_of_the_reference_is_taken_over_or_kept_on_purpose() {
        let unlimited = |name: &str| format!("{name}: {}", usize::MAX);
        let expected = [
            format!("max_tcp_connections_per_address: Some({})", usize::MAX),
            format!("max_unauthenticated: Some({})", usize::MAX),
            unlimited("max_connections_per_address"),
            "handshakes_per_address: None".to_owned(),
            "handshakes_per_core: None".to_owned(),
            "unknown_sessions_per_address: None".to_owned(),
            "max_target: 16384".to_owned(),
            unlimited("max_query_parameters"),
            "body_timeout: 300s".to_owned(),
            "min_body_rate: 0".to_owned(),
            unlimited("max_packets_per_payload"),
            "max_fragments: 16384".to_owned(),
            "ping_rate: None".to_owned(),
            "max_pending_pongs: 60".to_owned(),
            "write_stall_timeout: 45s".to_owned(),
            "connect_timeout: 45s".to_owned(),
            unlimited("max_rooms_per_socket"),
            unlimited("max_room_name"),
            unlimited("max_namespaces"),
            "max_headers: 2000".to_owned(),
            "head_timeout: 60s".to_owned(),
            "keep_alive_timeout: 5s".to_owned(),
            "tls_handshake_timeout: 120s".to_owned(),
            unlimited("max_event_name"),
            unlimited("max_arguments"),
            "event_rate: None".to_owned(),
        ];
        let defaults = lines(&Limits::new());
        let mut changed = lines(&Limits::javascript());
        changed.retain(|line| !defaults.contains(line));
        assert_eq!(changed, expected);
        let defaults = fields(&Limits::new());
        let mut kept = fields(&Limits::javascript());
        kept.retain(|field| defaults.contains(field));
        let kept: Vec<_> = kept.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            kept,
            [
                "max_tcp_connections",
                "max_connections",
                "memory",
                "max_buffered_total",
                "max_addresses",
                "max_payload",
                "fragments_timeout",
                "max_buffered",
                "answer_stall_timeout",
                "upgrade_timeout",
                "decision_timeout",
                "auth_timeout",
                "event_middleware_timeout",
                "ack_timeout",
                "max_running_handlers",
                "handler_grace",
                "max_pending_acks",
                "max_dynamic_namespaces",
                "max_head_bytes",
                "max_tls_handshakes",
                "max_http2_streams",
                "max_namespace_name",
                "max_attachments",
                "attachments_timeout",
                "max_depth",
                "event_flood_timeout",
                "cluster_timeout",
                "max_cluster_queue",
            ]
        );
    }
}
