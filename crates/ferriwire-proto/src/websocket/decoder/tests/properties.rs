//! Streams of frames under any chunking.

use proptest::prelude::*;

use super::*;

/// One thing to send: a message in fragments, with control frames between them.
#[derive(Clone, Debug)]
struct Sent {
    item: Received,
    /// Where the payload is cut into fragments.
    cuts: Vec<usize>,
    /// Which of the cuts are followed by a ping.
    pings: Vec<bool>,
    key: [u8; 4],
}

fn sent() -> impl Strategy<Value = Sent> {
    let payload = || prop::collection::vec(any::<u8>(), 0..=125);
    let item = prop_oneof![
        4 => "\\PC{0,60}".prop_map(Received::Text),
        1 => "[a\u{e9}\u{20ac}\u{1F600}]{100,400}".prop_map(Received::Text),
        3 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Received::Binary),
        1 => prop::collection::vec(any::<u8>(), 65_530..65_540).prop_map(Received::Binary),
        1 => payload().prop_map(Received::Ping),
        1 => payload().prop_map(Received::Pong),
    ];
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..4);
    let pings = prop::collection::vec(any::<bool>(), 4);
    (item, cuts, pings, any::<[u8; 4]>()).prop_map(|(item, cuts, pings, key)| {
        let len = payload_of(&item).len();
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
        cuts.sort_unstable();
        Sent {
            item,
            cuts,
            pings,
            key,
        }
    })
}

fn payload_of(item: &Received) -> Vec<u8> {
    match item {
        Received::Text(text) => text.clone().into_bytes(),
        Received::Binary(data) | Received::Ping(data) | Received::Pong(data) => data.clone(),
        Received::Close(frame) => frame.as_ref().map_or_else(Vec::new, |(code, reason)| {
            CloseFrame {
                code: *code,
                reason,
            }
            .encode()
        }),
    }
}

/// A stream, what it consists of, and after which number of bytes nothing is held.
#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    expected: Vec<Received>,
    idle_at: Vec<usize>,
}

impl Stream {
    fn new(all: &[Sent]) -> Self {
        let mut stream = Self::default();
        stream.idle_at.push(0);
        for sent in all {
            stream.append(sent);
            stream.idle_at.push(stream.bytes.len());
        }
        stream
    }

    fn append(&mut self, sent: &Sent) {
        let payload = payload_of(&sent.item);
        let opcode = match &sent.item {
            Received::Text(_) => OpCode::Text,
            Received::Binary(_) => OpCode::Binary,
            Received::Ping(_) => OpCode::Ping,
            Received::Pong(_) => OpCode::Pong,
            Received::Close(_) => OpCode::Close,
        };
        let mut opcode_here = opcode;
        let mut start = 0;
        for (cut, ping) in sent.cuts.iter().zip(&sent.pings) {
            if opcode.is_control() {
                break;
            }
            let frame = masked_with(sent.key, false, opcode_here, &payload[start..*cut]);
            self.bytes.extend(frame);
            if *ping {
                let ping = masked_with(sent.key, true, OpCode::Ping, &sent.key);
                self.bytes.extend(ping);
                self.expected.push(Received::Ping(sent.key.to_vec()));
            }
            opcode_here = OpCode::Continuation;
            start = *cut;
        }
        let last = masked_with(sent.key, true, opcode_here, &payload[start..]);
        self.bytes.extend(last);
        self.expected.push(sent.item.clone());
    }

    /// Cuts the bytes into pieces, using the sizes over and over.
    fn pieces(&self, sizes: &[usize]) -> Vec<&[u8]> {
        let mut rest = self.bytes.as_slice();
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (piece, behind) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = behind;
        }
        pieces
    }
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    let size = prop_oneof![1_usize..4, 1_usize..200, 1_usize..100_000];
    prop::collection::vec(size, 1..8)
}

fn unlimited() -> Decoder {
    let limits = Limits {
        max_message: usize::MAX,
        max_fragments: 0,
    };
    Decoder::new(Role::Server, limits)
}

proptest! {
    #[test]
    fn any_chunking_gives_what_was_sent(
        all in prop::collection::vec(sent(), 0..8),
        sizes in sizes(),
    ) {
        let stream = Stream::new(&all);
        let mut decoder = unlimited();
        let mut items = Vec::new();
        let mut fed = 0;
        for piece in stream.pieces(&sizes) {
            feed(&mut decoder, piece, &mut items).unwrap();
            fed += piece.len();
            prop_assert_eq!(decoder.is_idle(), stream.idle_at.contains(&fed));
        }
        prop_assert_eq!(items, stream.expected);
    }

    #[test]
    fn every_truncation_gives_a_beginning_and_no_violation(
        all in prop::collection::vec(sent(), 1..3),
        close in prop::option::of((3000_u16..5000, "\\PC{0,30}")),
    ) {
        let mut stream = Stream::new(&all);
        stream.append(&Sent {
            item: Received::Close(close),
            cuts: Vec::new(),
            pings: Vec::new(),
            key: [1, 2, 3, 4],
        });
        // Byte by byte every position is an end that might have been; only long payloads are
        // passed over in larger steps.
        let mut decoder = unlimited();
        let mut items = Vec::new();
        let size = if stream.bytes.len() > 10_000 { 97 } else { 1 };
        for piece in stream.bytes.chunks(size) {
            feed(&mut decoder, piece, &mut items).unwrap();
            prop_assert!(stream.expected.starts_with(&items));
        }
        prop_assert_eq!(items, stream.expected);
    }

    /// Neither the items nor the violation depend on where the network cuts.
    #[test]
    fn damaged_streams_fail_in_the_same_way_under_any_chunking(
        all in prop::collection::vec(sent(), 1..4),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        sizes in sizes(),
        limits in prop_oneof![
            Just(Limits::default()),
            Just(Limits { max_message: 200, max_fragments: 2 }),
        ],
    ) {
        let mut stream = Stream::new(&all);
        for (index, byte) in damage {
            let position = index.index(stream.bytes.len().min(400));
            stream.bytes[position] = byte;
        }
        let whole = decode_all(&mut Decoder::new(Role::Server, limits), &[&stream.bytes]);
        let pieces = stream.pieces(&sizes);
        let in_pieces = decode_all(&mut Decoder::new(Role::Server, limits), &pieces);
        prop_assert_eq!(whole, in_pieces);
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        is_server in any::<bool>(),
    ) {
        let role = if is_server { Role::Server } else { Role::Client };
        let whole = decode_all(&mut Decoder::new(role, Limits::default()), &[&bytes]);
        let by_byte: Vec<&[u8]> = bytes.chunks(1).collect();
        let in_pieces = decode_all(&mut Decoder::new(role, Limits::default()), &by_byte);
        prop_assert_eq!(whole, in_pieces);
    }
}
