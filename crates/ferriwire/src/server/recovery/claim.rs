//! What a client that comes back says of itself.

use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ferriwire_proto::codec::{OwnedPayload, Payload};
use ferriwire_proto::log::Offset;
use ferriwire_proto::value::{Object, Value};
use serde::Deserialize;

/// The secret by which a client takes up its session in one namespace: the protocol's `pid`.
///
/// Whoever has it, and passes for the same client, gets what was sent to that client. Therefore
/// `Debug` shows nothing of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token([u8; 16]);

/// What a client asks for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// `None` when it cannot be one of ours.
    pub(super) token: Option<Token>,
    pub(super) seen: Seen,
}

/// The last event that the client has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// None that carried an offset.
    Nothing,
    Offset(Offset),
    Garbage,
}

/// The payload of a CONNECT, taken apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(super) claim: Option<Claim>,
    pub(super) fingerprint: Fingerprint,
}

/// What stands for an `auth` payload, so that two can be compared without keeping the first. With two
/// secret keys, because a client chooses what goes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(u64, u64);

/// The secret keys of fingerprints.
#[derive(Debug, Default)]
pub(super) struct FingerprintKeys(RandomState, RandomState);

#[derive(Deserialize)]
struct RawClaim {
    pid: String,
    #[serde(default)]
    offset: Value,
}

/// The members that are ours.
const MEMBERS: [&str; 2] = ["pid", "offset"];

/// Longer texts are none of ours, and not looked at.
const MAX_TEXT: usize = 64;

impl Token {
    /// The token of these bytes, which must come from a cryptographic random source.
    pub(super) fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    pub(super) fn encode(self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    fn parse(text: &str) -> Option<Self> {
        if text.len() > MAX_TEXT {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Token")
    }
}

impl Request {
    /// Takes `pid` and `offset` out, if the client comes back, and gives what is left for `auth`. An object whose `pid` is no text is
    /// the program's own business.
    pub(super) fn new(
        payload: Option<Payload<'_>>,
        keys: &FingerprintKeys,
    ) -> (Self, Option<OwnedPayload>) {
        let claim = payload.and_then(|payload| payload.decode::<RawClaim>().ok());
        let rest = claim.as_ref().and_then(|_| payload?.without(&MEMBERS));
        let of_program = rest.as_ref().map(OwnedPayload::as_payload).or(payload);
        let value = of_program.and_then(|payload| payload.decode().ok());
        let request = Self {
            claim: claim.as_ref().map(Claim::new),
            fingerprint: keys.fingerprint(&value.unwrap_or_else(empty)),
        };
        (request, rest)
    }
}

impl Claim {
    fn new(raw: &RawClaim) -> Self {
        let seen = match &raw.offset {
            Value::Null => Seen::Nothing,
            Value::String(text) => Offset::parse(text).map_or(Seen::Garbage, Seen::Offset),
            Value::Bool(_)
            | Value::Number(_)
            | Value::Array(_)
            | Value::Object(_)
            | Value::Binary(_) => Seen::Garbage,
        };
        Self {
            token: Token::parse(&raw.pid),
            seen,
        }
    }
}

impl FingerprintKeys {
    fn fingerprint(&self, value: &Value) -> Fingerprint {
        let hash = |keys: &RandomState| {
            let mut hasher = keys.build_hasher();
            hash_value(value, &mut hasher);
            hasher.finish()
        };
        Fingerprint(hash(&self.0), hash(&self.1))
    }
}

/// Nothing and an empty object are the same to whoever reads the payload.
fn empty() -> Value {
    Value::Object(Object::new())
}

/// As deep as the decoder allows, which is bounded.
fn hash_value(value: &Value, hasher: &mut impl Hasher) {
    std::mem::discriminant(value).hash(hasher);
    match value {
        Value::Null => {}
        Value::Bool(truth) => truth.hash(hasher),
        Value::Number(number) => number.to_string().hash(hasher),
        Value::String(text) => text.hash(hasher),
        Value::Binary(data) => data.hash(hasher),
        Value::Array(values) => {
            values.len().hash(hasher);
            for value in values {
                hash_value(value, hasher);
            }
        }
        Value::Object(members) => {
            members.len().hash(hasher);
            // Whatever the order in which the client wrote them.
            let mut members: Vec<_> = members.iter().collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in members {
                name.hash(hasher);
                hash_value(value, hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(text: &str, keys: &FingerprintKeys) -> Request {
        Request::new(Some(Payload::Json(text)), keys).0
    }

    #[test]
    fn a_claim_is_taken_out_of_what_auth_gets_to_see() {
        let keys = FingerprintKeys::default();
        let token = Token::from_random([7; 16]);
        let pid = token.encode();
        assert_eq!(pid.len(), 22);
        let text = format!(r#"{{"user":"ann","pid":"{pid}","offset":"nonsense"}}"#);
        let with = request(&text, &keys);
        let claim = with.claim.unwrap();
        assert!(claim.token == Some(token));
        assert_eq!(claim.seen, Seen::Garbage);
        let (_, rest) = Request::new(Some(Payload::Json(&text)), &keys);
        let rest: Value = rest.unwrap().as_payload().decode().unwrap();
        assert_eq!(
            rest,
            Value::Object([("user".to_owned(), "ann".into())].into())
        );
        let without = request(r#"{"user":"ann"}"#, &keys);
        assert!(without.claim.is_none());
        assert_eq!(with.fingerprint, without.fingerprint);
        assert_ne!(
            with.fingerprint,
            request(r#"{"user":"bob"}"#, &keys).fingerprint
        );
        assert_eq!(
            request(r#"{"user":"ann","room":1}"#, &keys).fingerprint,
            request(r#"{"room":1,"user":"ann"}"#, &keys).fingerprint
        );
        let (none, _) = Request::new(None, &keys);
        assert_eq!(none.fingerprint, request("{}", &keys).fingerprint);
    }

    #[test]
    fn whatever_else_is_claimed_is_no_token_of_ours() {
        let keys = FingerprintKeys::default();
        let long = "x".repeat(1_000_000);
        for pid in ["", "$", "short", "AAAAAAAAAAAAAAAAAAAAA=", &long] {
            let text = format!(r#"{{"pid":"{pid}"}}"#);
            let claim = request(&text, &keys).claim.unwrap();
            assert!(claim.token.is_none());
            assert_eq!(claim.seen, Seen::Nothing);
        }
        for text in [
            r#"{"pid":7}"#,
            r#"{"pid":null,"offset":"x"}"#,
            "{}",
            r#"{"offset":"x"}"#,
        ] {
            assert!(request(text, &keys).claim.is_none(), "{text}");
        }
    }

    #[test]
    fn an_offset_that_is_no_text_is_garbage_and_null_is_none() {
        let keys = FingerprintKeys::default();
        for (offset, expected) in [
            ("null", Seen::Nothing),
            ("1", Seen::Garbage),
            ("{}", Seen::Garbage),
            ("\"\"", Seen::Garbage),
            ("\"+\"", Seen::Garbage),
        ] {
            let text = format!(r#"{{"pid":"p","offset":{offset}}}"#);
            assert_eq!(request(&text, &keys).claim.unwrap().seen, expected);
        }
    }
}
