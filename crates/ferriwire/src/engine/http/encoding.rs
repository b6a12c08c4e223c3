//! Content codings: which one a client likes best, and compressing without holding up others
//! (RFC 9110, section 12.5.3; protocol 1.5 case 30).

use std::io::{self, Write};

use brotli::CompressorWriter;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::ACCEPT_ENCODING;

use super::fields::{Fields, text};

/// How much is compressed before others get their turn: about a millisecond's work.
const SLICE: usize = 32 * 1024;

/// The window of brotli as a power of two. Polling bodies are hardly larger, and the memory of an
/// encoder grows with it.
const BROTLI_WINDOW: u32 = 18;

/// Brotli's levels up to this one cost about as much as those of gzip.
const MAX_BROTLI_LEVEL: u8 = 5;

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    /// In the envelope of zlib, as HTTP has it.
    Deflate,
    Brotli,
}

impl Coding {
    /// The reference's order for polling; brotli comes last, because it takes the most memory.
    pub(crate) const FOR_POLLING: [Self; 3] = [Self::Gzip, Self::Deflate, Self::Brotli];

    /// Smallest first, for what is compressed once.
    pub(crate) const FOR_FILES: [Self; 3] = [Self::Brotli, Self::Gzip, Self::Deflate];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Gzip, Self::Deflate, Self::Brotli]
            .into_iter()
            .find(|coding| name.eq_ignore_ascii_case(coding.name()))
    }
}

/// The coding that the client likes best, of several the first in `order`. `None` when it likes its
/// answers as they are.
pub(crate) fn negotiate<F>(fields: &F, order: [Coding; 3]) -> Option<Coding>
where
    F: Fields + ?Sized,
{
    let mut listed = Listed::default();
    let mut is_named = false;
    for value in fields.named(&ACCEPT_ENCODING) {
        is_named = true;
        for item in text(value).unwrap_or_default().split(',') {
            listed.add(item);
        }
    }
    if !is_named {
        return None;
    }
    let weights = order.map(|coding| (coding, listed.weight(coding)));
    let best = weights.iter().map(|(_, weight)| *weight).max()?;
    if best == 0 || listed.identity.is_some_and(|identity| identity > best) {
        return None;
    }
    let (coding, _) = weights.iter().find(|(_, weight)| *weight == best)?;
    Some(*coding)
}

/// What a client lists, each with its weight in thousandths.
#[derive(Debug, Default)]
struct Listed {
    gzip: Option<u16>,
    deflate: Option<u16>,
    brotli: Option<u16>,
    identity: Option<u16>,
    others: Option<u16>,
}

impl Listed {
    fn add(&mut self, item: &str) {
        let mut parts = item.split(';');
        let name = parts.next().unwrap_or_default().trim();
        let weight = parts.find_map(|parameter| {
            let (key, value) = parameter.split_once('=')?;
            key.trim()
                .eq_ignore_ascii_case("q")
                .then(|| weight(value.trim()))
        });
        let weight = Some(weight.unwrap_or(1000));
        match Coding::parse(name) {
            Some(Coding::Gzip) => self.gzip = weight,
            Some(Coding::Deflate) => self.deflate = weight,
            Some(Coding::Brotli) => self.brotli = weight,
            None if name == "*" => self.others = weight,
            None if name.eq_ignore_ascii_case("identity") => self.identity = weight,
            None => {}
        }
    }

    fn weight(&self, coding: Coding) -> u16 {
        let listed = match coding {
            Coding::Gzip => self.gzip,
            Coding::Deflate => self.deflate,
            Coding::Brotli => self.brotli,
        };
        listed.or(self.others).unwrap_or(0)
    }
}

/// A weight of RFC 9110, section 12.4.2, in thousandths; 0 when it is none.
fn weight(text: &str) -> u16 {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    match whole {
        "1" if fraction.bytes().all(|digit| digit == b'0') => 1000,
        "0" => format!("{fraction:0<3}").parse().unwrap_or(0),
        _ => 0,
    }
}

/// Whether compressing so much takes more than one slice, so that several may be under way at once.
pub(crate) fn is_sliced(bytes: usize) -> bool {
    bytes > SLICE
}

/// Compresses in slices, between which other tasks get their turn.
pub(crate) async fn compress(content: &[u8], coding: Coding, level: u8) -> io::Result<Bytes> {
    let mut encoder = Encoder::new(coding, level);
    let mut slices = content.chunks(SLICE);
    if let Some(first) = slices.next() {
        encoder.write(first)?;
    }
    for slice in slices {
        tokio::task::yield_now().await;
        encoder.write(slice)?;
    }
    encoder.finish()
}

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Deflate(ZlibEncoder<Vec<u8>>),
    Brotli(Box<CompressorWriter<Vec<u8>>>),
}

impl Encoder {
    fn new(coding: Coding, level: u8) -> Self {
        let output = Vec::new();
        let zlib = Compression::new(u32::from(level));
        match coding {
            Coding::Gzip => Self::Gzip(GzEncoder::new(output, zlib)),
            Coding::Deflate => Self::Deflate(ZlibEncoder::new(output, zlib)),
            Coding::Brotli => Self::Brotli(Box::new(CompressorWriter::new(
                output,
                SLICE,
                u32::from(level.min(MAX_BROTLI_LEVEL)),
                BROTLI_WINDOW,
            ))),
        }
    }

    fn write(&mut self, slice: &[u8]) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.write_all(slice),
            Self::Deflate(encoder) => encoder.write_all(slice),
            Self::Brotli(encoder) => encoder.write_all(slice),
        }
    }

    fn finish(self) -> io::Result<Bytes> {
        match self {
            Self::Gzip(encoder) => encoder.finish().map(Bytes::from),
            Self::Deflate(encoder) => encoder.finish().map(Bytes::from),
            Self::Brotli(encoder) => Ok(encoder.into_inner().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use flate2::read::{GzDecoder, ZlibDecoder};
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn chosen(accepted: &[&'static str], order: [Coding; 3]) -> Option<Coding> {
        let mut headers = HeaderMap::new();
        for value in accepted {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_static(value));
        }
        negotiate(&headers, order)
    }

    #[test]
    fn the_coding_is_the_one_that_the_client_weighs_most() {
        use Coding::{Brotli, Deflate, Gzip};
        for (accepted, expected) in [
            (&[][..], None),
            (&[""], None),
            (&["gzip"], Some(Gzip)),
            (&["GZip"], Some(Gzip)),
            (&["deflate"], Some(Deflate)),
            (&["br"], Some(Brotli)),
            (&["gzip, deflate, br, zstd"], Some(Gzip)),
            (&["br, deflate , gzip"], Some(Gzip)),
            (&["gzip;q=0.5, br"], Some(Brotli)),
            (&["gzip;q=0.5", "br;q=0.501"], Some(Brotli)),
            (&["gzip;q=0, deflate;q=0.001"], Some(Deflate)),
            (&["gzip; Q=0.8 ,deflate;q=1.000"], Some(Deflate)),
            (&["*"], Some(Gzip)),
            (&["gzip;q=0, *;q=0.1"], Some(Deflate)),
            (&["*;q=0"], None),
            (&["identity"], None),
            (&["identity, gzip;q=0.5"], None),
            (&["identity;q=0.5, gzip;q=0.5"], Some(Gzip)),
            (&["identity;q=0, *;q=0"], None),
            (&["zstd, compress"], None),
            (&["gzip;q=nan, deflate;q=inf, br;q=1.5"], None),
            (&["gzip;q=0.1234"], None),
            (&["gzip;q=-1, br;q="], None),
            (&[";;;,,,=;q=1,gzip;;q=1"], Some(Gzip)),
        ] {
            assert_eq!(
                chosen(accepted, Coding::FOR_POLLING),
                expected,
                "{accepted:?}"
            );
        }
        let all = chosen(&["gzip, deflate, br"], Coding::FOR_FILES);
        assert_eq!(all, Some(Brotli));
    }

    #[test]
    fn a_header_that_is_not_text_asks_for_nothing() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_bytes(b"gzip\xff").unwrap();
        headers.insert(ACCEPT_ENCODING, value);
        assert_eq!(negotiate(&headers, Coding::FOR_POLLING), None);
    }

    #[tokio::test]
    async fn each_coding_is_read_back_at_every_size_and_level() {
        for size in [0, 1, 1024, SLICE - 1, SLICE, SLICE + 1, 3 * SLICE + 7] {
            let content: Vec<u8> = (0..size)
                .map(|at| (at % 251) as u8 ^ (at / 997) as u8)
                .collect();
            for coding in Coding::FOR_POLLING {
                for level in [0, 1, 6, 9] {
                    let packed = compress(&content, coding, level).await.unwrap();
                    let mut read = Vec::new();
                    match coding {
                        Coding::Gzip => GzDecoder::new(&packed[..]).read_to_end(&mut read),
                        Coding::Deflate => ZlibDecoder::new(&packed[..]).read_to_end(&mut read),
                        Coding::Brotli => {
                            brotli::Decompressor::new(&packed[..], 4096).read_to_end(&mut read)
                        }
                    }
                    .unwrap();
                    assert!(read == content, "{coding:?} {size} {level}");
                }
            }
        }
    }
}
