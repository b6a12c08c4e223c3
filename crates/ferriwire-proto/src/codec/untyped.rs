//! Payloads with and without their types: what a catch-all listener sees, and what travels between
//! the nodes of a cluster.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::{Arguments, ArgumentsError, Bounds, serialize_arguments};
use super::{EncodeError, MAX_ATTACHMENTS, MAX_DEPTH};
use crate::value::{Args, Value};

/// The arguments of a payload, by the rules of [the codec](super).
///
/// # Errors
///
/// When `payload` cannot be sent.
pub fn to_args<P: Serialize + ?Sized>(payload: &P) -> Result<Args, EncodeError> {
    through_text(payload, |arguments| arguments.decode())?
        .map_err(|error| EncodeError::Serialize(error.to_string()))
}

/// The payload that these arguments are.
///
/// # Errors
///
/// When they do not fit `T`, or cannot be sent at all.
pub fn from_args<T: DeserializeOwned + 'static>(args: &Args) -> Result<T, ArgumentsError> {
    match through_text(args, |arguments| arguments.decode()) {
        Ok(decoded) => decoded,
        Err(error) => Err(ArgumentsError::Mismatch {
            path: String::new(),
            message: error.to_string(),
        }),
    }
}

/// Anything that serialises, as a value.
///
/// # Errors
///
/// When it cannot be sent.
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, EncodeError> {
    // One argument, also if it is a tuple.
    let Args(arguments) = to_args(&(value,))?;
    Ok(arguments.into_iter().next().unwrap_or_default())
}

/// What a value says.
///
/// # Errors
///
/// When it does not fit `T`.
pub fn from_value<T: DeserializeOwned + 'static>(value: &Value) -> Result<T, ArgumentsError> {
    match through_text(&(value,), |arguments| arguments.decode::<(T,)>()) {
        Ok(decoded) => decoded.map(|(value,)| value),
        Err(error) => Err(ArgumentsError::Mismatch {
            path: String::new(),
            message: error.to_string(),
        }),
    }
}

fn through_text<P: Serialize + ?Sized, R>(
    payload: &P,
    read: impl FnOnce(Arguments<'_>) -> R,
) -> Result<R, EncodeError> {
    let mut list = vec![b'['];
    let attachments = serialize_arguments(&mut list, false, payload, MAX_ATTACHMENTS, MAX_DEPTH)?;
    list.push(b']');
    let list =
        String::from_utf8(list).map_err(|error| EncodeError::Serialize(error.to_string()))?;
    let bounds = Bounds::counting(usize::MAX);
    Ok(read(Arguments::in_text(&list, 0, &attachments, bounds)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Named {
        name: String,
        data: Bytes,
    }

    fn named() -> Named {
        Named {
            name: "a".to_owned(),
            data: Bytes::from_static(&[0, 255]),
        }
    }

    #[test]
    fn payloads_survive_the_loss_of_their_type() {
        let payload = (1, named(), "text");
        let args = to_args(&payload).unwrap();
        assert_eq!(args.0.len(), 3);
        let data = args.0[1].get("data").and_then(Value::as_binary);
        assert_eq!(data, Some(&Bytes::from_static(&[0, 255])));
        let (number, back, text): (i32, Named, String) = from_args(&args).unwrap();
        assert_eq!((number, back, text.as_str()), (1, named(), "text"));
        assert_eq!(to_args(&()).unwrap(), Args::default());
        assert_eq!(to_args(&7).unwrap(), Args(vec![7.into()]));
    }

    #[test]
    fn a_value_is_one_whatever_it_is_made_of() {
        assert_eq!(to_value(&named()).unwrap().get("name"), Some(&"a".into()));
        let list = to_value(&(1, 2)).unwrap();
        assert_eq!(list, Value::Array(vec![1.into(), 2.into()]));
        assert_eq!(from_value::<(u8, u8)>(&list).unwrap(), (1, 2));
        assert_eq!(to_value(&()).unwrap(), Value::Null);
        assert_eq!(
            from_value::<Named>(&to_value(&named()).unwrap()).unwrap(),
            named()
        );
        assert!(from_value::<u8>(&"text".into()).is_err());
    }

    #[test]
    fn what_cannot_be_sent_has_no_untyped_form() {
        let data = vec![Bytes::from_static(&[1]); MAX_ATTACHMENTS + 1];
        assert_eq!(to_args(&data), Err(EncodeError::TooManyAttachments));
    }
}
