//! What a hostile peer may send (A16 to A19 and the advisories of other implementations).

use proptest::prelude::*;

use super::*;

fn refused(message: &str) -> Violation {
    match read(bytes(message)) {
        Err(violation) => violation,
        Ok(said) => panic!("{message} was taken as {said}"),
    }
}

/// The checks of the npm parser, and ours.
#[test]
fn what_is_no_packet_is_refused() {
    let malformed = |message: &str| {
        let violation = refused(message);
        assert!(
            matches!(violation, Violation::MessagePack(_)),
            "{message}: {violation}"
        );
    };
    malformed("");
    malformed("c0");
    malformed("90");
    malformed("c1");
    // Trailing bytes.
    malformed("82 a474797065 01 a36e7370 a12f 00");
    // No namespace, and one that is no text.
    malformed("81 a474797065 00");
    malformed("82 a474797065 00 a36e7370 07");
    // Two of them, and a name that is no text.
    malformed("83 a474797065 00 a36e7370 a12f a36e7370 a12f");
    malformed("83 a474797065 00 a36e7370 a12f c0 07");
    // Text that is not UTF-8: cut, overlong, a surrogate.
    malformed("82 a474797065 00 a36e7370 a2 2fc3");
    malformed("83 a474797065 02 a464617461 91 a2 c080 a36e7370 a12f");
    malformed("83 a474797065 02 a464617461 91 a3 eda080 a36e7370 a12f");

    for kind in [
        "05",
        "06",
        "ff",
        "a130",
        "c0",
        "cb3fe0000000000000",
        "d40000",
    ] {
        let message = format!("82 a474797065 {kind} a36e7370 a12f");
        assert_eq!(refused(&message), Violation::UnknownType, "{kind}");
    }
    assert_eq!(refused("81 a36e7370 a12f"), Violation::UnknownType);

    let shapes = [
        (
            "00",
            PacketKind::Connect,
            vec!["c0", "90", "a0", "07", "c400", "d7000000000000000000"],
        ),
        ("01", PacketKind::Disconnect, vec!["c0", "80", "90"]),
        (
            "02",
            PacketKind::Event,
            vec!["c0", "80", "a0", "90", "91c0", "9190", "d40000"],
        ),
        (
            "04",
            PacketKind::ConnectError,
            vec!["c0", "90", "07", "d40000"],
        ),
    ];
    for (kind, name, data) in shapes {
        for data in data {
            let message = format!("83 a474797065 {kind} a464617461 {data} a36e7370 a12f");
            assert_eq!(refused(&message), Violation::Shape(name), "{message}");
        }
    }
    let shape = Violation::Shape(PacketKind::Ack);
    assert_eq!(refused("83 a474797065 03 a26964 01 a36e7370 a12f"), shape);
}

#[test]
fn acknowledgement_ids_are_whole_numbers_that_javascript_can_hold() {
    let ack = |id: &str| format!("84 a474797065 03 a464617461 90 a26964 {id} a36e7370 a12f");
    for (id, number) in [
        ("00", 0_u64),
        ("cf 001fffffffffffff", 9_007_199_254_740_991),
        ("cb 433fffffffffffff", 9_007_199_254_740_991),
        ("d0 05", 5),
    ] {
        let said = read(bytes(&ack(id)));
        assert_eq!(said, Ok(format!("ack / {number} Ok([])")));
    }
    for id in [
        "ff",
        "cf 0020000000000000",
        "cb 4340000000000000",
        "cb 3fe0000000000000",
        "cb 7ff8000000000000",
        "cb 7ff0000000000000",
        "a131",
        "c0",
        "c2",
        "90",
        "d40000",
    ] {
        assert_eq!(refused(&ack(id)), Violation::AckId, "{id}");
    }
    assert_eq!(
        refused("83 a474797065 03 a464617461 90 a36e7370 a12f"),
        Violation::AckId
    );
}

/// Every cut of a valid packet is refused (GHSA-7xpx-rcqc-8qjh).
#[test]
fn every_prefix_is_refused_without_a_panic() {
    let user = User {
        name: "x".repeat(300),
        picture: Some(Bytes::from(vec![1; 300])),
    };
    let encoded = encode_event("/", Some(AckId(70_000)), "e", &(user, -5, 0.5), MAX_DEPTH).unwrap();
    let message = encoded.attachments().next().unwrap().clone();
    for end in 0..message.len() {
        assert!(read(message.slice(..end)).is_err(), "{end}");
    }
    assert!(read(message).is_ok());
}

#[test]
fn declared_lengths_are_not_believed() {
    for length in ["0001", "7fff", "ffff"] {
        for prefix in ["c5", "c8", "da", "dc", "de"] {
            assert!(read(event_with(&format!("{prefix} {length}"))).is_err());
        }
    }
    for length in ["00000020", "7fffffff", "80000000", "ffffffff"] {
        for prefix in ["c6", "c9", "db", "dd", "df"] {
            assert!(read(event_with(&format!("{prefix} {length}"))).is_err());
            assert!(read(bytes(&format!("{prefix} {length}"))).is_err());
        }
    }
    // A map that ends behind a name.
    assert!(read(bytes("81 a26964")).is_err());
}

fn nested(open: &[u8], depth: usize, inner: u8) -> Bytes {
    let mut message = bytes("83 a474797065 02 a36e7370 a12f a464617461 92 a165").to_vec();
    for _ in 0..depth {
        message.extend_from_slice(open);
    }
    message.push(inner);
    message.into()
}

/// GHSA-c6g7-r2mf-pf5g: nesting overflowed the stack of others. On a thread with little of it.
#[test]
fn arguments_nest_up_to_the_limit_on_a_small_stack() {
    let check = || {
        for open in [&[0x91][..], &[0x81, 0xa1, b'a'], &[0xdd, 0, 0, 0, 1]] {
            for depth in [1, MAX_DEPTH - 1, MAX_DEPTH] {
                let Args(values) = payload(nested(open, depth, 0xc0)).unwrap();
                let encoded = encode_event("/", None, "e", &Args(values), MAX_DEPTH).unwrap();
                let message = encoded.attachments().next().unwrap().clone();
                assert!(read(message).is_ok());
            }
            for depth in [MAX_DEPTH + 1, 10_000, 180_000] {
                assert_eq!(read(nested(open, depth, 0xc0)), Err(Violation::TooDeep));
            }
        }
        let connect = |depth: usize| {
            let mut message = bytes("83 a474797065 00 a36e7370 a12f a464617461").to_vec();
            message.extend(std::iter::repeat_n([0x81, 0xa1, b'a'], depth).flatten());
            message.push(0xc0);
            read(message.into())
        };
        assert!(connect(MAX_DEPTH).is_ok());
        assert_eq!(connect(MAX_DEPTH + 1), Err(Violation::TooDeep));
        // In an entry that nobody reads.
        let mut options = bytes("83 a474797065 00 a36e7370 a12f a76f7074696f6e73").to_vec();
        options.extend(std::iter::repeat_n(0x91, 900_000));
        options.push(0xc0);
        assert_eq!(read(options.into()), Err(Violation::TooDeep));
    };
    let thread = std::thread::Builder::new().stack_size(512 * 1024);
    thread.spawn(check).unwrap().join().unwrap();
}

#[test]
fn what_is_nested_too_deep_is_not_sent() {
    let nest = |depth| (0..depth).fold(Value::Null, |value, _| Value::Array(vec![value]));
    assert!(encode_event("/", None, "e", &(nest(MAX_DEPTH),), MAX_DEPTH).is_ok());
    let error = encode_event("/", None, "e", &(nest(MAX_DEPTH + 1),), MAX_DEPTH).unwrap_err();
    assert_eq!(error, EncodeError::TooDeep);
    let raw = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    let raw = RawValue::from_string(raw).unwrap();
    assert!(encode_event("/", None, "e", &raw, MAX_DEPTH).is_ok());
    let error = encode_event("/", None, "e", &(vec![raw],), MAX_DEPTH).unwrap_err();
    assert_eq!(error, EncodeError::TooDeep);
}

#[test]
fn the_limits_of_a_packet_hold() {
    let read_with = |message: Bytes, limits: Limits| {
        let mut decoder = Decoder::new();
        decoder
            .decode(Message::Binary(message), &limits)
            .map(|_| ())
    };
    let event = |name: &str, arguments: usize| {
        let args = Args(vec![Value::Null; arguments]);
        let encoded = encode_event("/", None, name, &args, MAX_DEPTH).unwrap();
        encoded.attachments().next().unwrap().clone()
    };
    let limits = Limits::default();
    assert_eq!(read_with(event("e", 256), limits), Ok(()));
    assert_eq!(
        read_with(event("e", 257), limits),
        Err(Violation::TooManyArguments { limit: 256 })
    );
    assert_eq!(read_with(event(&"x".repeat(256), 0), limits), Ok(()));
    assert_eq!(
        read_with(event(&"x".repeat(257), 0), limits),
        Err(Violation::NameTooLong {
            len: 257,
            limit: 256
        })
    );
    let message = event("e", 1);
    let (len, limit) = (message.len(), message.len() - 1);
    let at = |max_packet| Limits {
        max_packet,
        ..limits
    };
    assert_eq!(read_with(message.clone(), at(len)), Ok(()));
    assert_eq!(
        read_with(message, at(limit)),
        Err(Violation::TooLarge { len, limit })
    );
    for name in crate::packet::RESERVED {
        let name_hex: String = name.bytes().map(|byte| format!("{byte:02x}")).collect();
        let len = 0xa0 | name.len();
        let message = format!("83 a474797065 02 a464617461 91 {len:02x} {name_hex} a36e7370 a12f");
        assert_eq!(refused(&message), Violation::ReservedName(name.into()));
    }
}

#[test]
fn text_is_no_packet() {
    let mut decoder = Decoder::new();
    let outcome = decoder.decode(Message::Text("0".into()), &Limits::default());
    assert!(matches!(outcome, Err(Violation::UnexpectedText)));
}

/// One entry for each two bytes, and all with the same name.
#[test]
fn wide_maps_and_repeated_names_are_plain_data() {
    let count = 300_000_u32;
    let mut map = vec![0xdf];
    map.extend_from_slice(&count.to_be_bytes());
    map.extend(std::iter::repeat_n([0xa0, 0xc0], count as usize).flatten());
    let mut message = bytes("83 a474797065 02 a36e7370 a12f a464617461 92 a165").to_vec();
    message.extend(map);
    let value: Value = payload(message.into()).unwrap();
    assert_eq!(
        value,
        Value::from(BTreeMap::from([(String::new(), Value::Null)]))
    );
}

proptest! {
    #[test]
    fn random_bytes_are_harmless(message in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(read(message.into()));
    }

    /// A packet with some bytes changed comes further than random ones.
    #[test]
    fn damaged_packets_are_harmless(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let user = User { name: "name".into(), picture: Some(Bytes::from_static(&[1, 2, 3])) };
        let payload_of_many = (user, vec![1_u32, 300, 70_000], Shape::Tuple(1, "x".into()), -0.5);
        let encoded = encode_event("/", Some(AckId(5)), "e", &payload_of_many, MAX_DEPTH).unwrap();
        let mut message = encoded.attachments().next().unwrap().to_vec();
        for (index, byte) in changes {
            let index = index.index(message.len());
            message[index] = byte;
        }
        drop(read(message.clone().into()));
        let mut decoder = Decoder::new();
        if let Ok(Decoded::Packet(Packet { body: Body::Event { arguments, .. }, .. })) =
            decoder.decode(Message::Binary(message.into()), &Limits::default())
        {
            drop(arguments.decode::<(User, Vec<u32>, Shape, f64)>());
        }
    }
}
