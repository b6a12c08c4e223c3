//! Masking, which is the same as unmasking (RFC 6455 section 5.3).

/// Applies a masking key to `data`, whose first byte is byte number `offset` of its frame's payload.
pub fn mask(key: [u8; 4], offset: usize, data: &mut [u8]) {
    let mut key = key;
    key.rotate_left(offset % 4);
    // Eight bytes at a time is what the compiler turns into the widest registers there are.
    let narrow_key = u64::from(u32::from_ne_bytes(key));
    let wide_key = narrow_key | narrow_key << 32;
    let (chunks, rest) = data.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide_key).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_and_offset_agrees_with_the_definition() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        for len in 0..70 {
            for offset in 0..9 {
                let data: Vec<u8> = (0..len).collect();
                let expected: Vec<u8> = (offset..)
                    .zip(&data)
                    .map(|(position, byte)| byte ^ key[position % 4])
                    .collect();
                let mut masked = data;
                mask(key, offset, &mut masked);
                assert_eq!(masked, expected, "{len} bytes at {offset}");
            }
        }
    }

    #[test]
    fn the_example_of_the_specification() {
        let mut data = [0x7F, 0x9F, 0x4D, 0x51, 0x58];
        mask([0x37, 0xFA, 0x21, 0x3D], 0, &mut data);
        assert_eq!(&data, b"Hello");
    }
}
