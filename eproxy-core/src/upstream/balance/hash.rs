//! A stable hash of bytes: 64 bits, the same in every version, on every machine.
//!
//! Replicas that hash the same key must come to the same endpoint, so this is written down here and never changes: the
//! vectors among the tests hold it in place. It mixes well and is fast for short keys. It is no secret: who can choose
//! keys can choose where they lead.
//!
//! Eight bytes at a time, little endian, the last ones filled up with zeros. Each step is a permutation of the state for
//! a given word, and of the word for a given state, so two inputs of one length and one word never collide, and no word
//! gets the state stuck. The length goes in first: trailing zeros count.

/// The golden ratio's fraction; π's; both made odd.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const PI: u64 = 0x243f_6a88_85a3_08d3;

/// The hash of some bytes.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    let mut state = PI ^ (bytes.len() as u64).wrapping_mul(GOLDEN);
    for part in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..part.len()].copy_from_slice(part);
        state = (state.rotate_left(29) ^ mix(u64::from_le_bytes(word))).wrapping_mul(GOLDEN);
    }
    mix(state)
}

/// The `number`th of the numbers that belong to a hash: as good as independent of each other.
pub(in crate::upstream) fn nth(hash: u64, number: u64) -> u64 {
    mix(hash.wrapping_add(number.wrapping_mul(GOLDEN)))
}

/// A permutation of the numbers in which every bit of the input moves about half of the output's: the finaliser of
/// splitmix64.
pub(in crate::upstream) const fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn the_hash_is_what_it_has_always_been() {
        for (bytes, expected) in [
            (&b""[..], 0xe9e0_033e_3bad_af36),
            (b"a", 0xf464_e0e8_12b5_2ae0),
            (b"a\0", 0xce0c_dd80_15eb_cadc),
            (b"http://10.0.0.7:3000", 0xa378_5e32_c5a4_722d),
            (b"12345678", 0xd09f_4f3a_d436_cff0),
            (b"The quick brown fox jumps over the lazy dog", 0x66b6_a25b_a71d_2a52),
            (&[0xff; 17], 0xa8f2_3723_9d82_6c77),
        ] {
            assert_eq!(hash(bytes), expected, "{bytes:?} is {:#018x}", hash(bytes));
        }
        assert_eq!(
            (nth(1, 0), nth(1, 2)),
            (0x5692_161d_100b_05e5, 0xbeeb_8da1_658e_ec67),
            "{:#x?}",
            (nth(1, 0), nth(1, 2))
        );
    }

    #[test]
    fn a_million_keys_that_look_alike_have_a_million_hashes() {
        let hashes: HashSet<_> =
            (0..1_000_000).map(|number| hash(format!("user-{number}").as_bytes())).collect();
        assert_eq!(hashes.len(), 1_000_000);
    }

    #[test]
    fn every_bit_of_a_key_moves_half_of_the_hash() {
        for length in [1, 7, 8, 9, 24] {
            for bit in 0..length * 8 {
                let moved: u32 = (0..256_u64)
                    .map(|seed| {
                        let key: Vec<u8> = (0..length).map(|at| mix(seed * 64 + at as u64) as u8).collect();
                        let mut other = key.clone();
                        other[bit / 8] ^= 1 << (bit % 8);
                        (hash(&key) ^ hash(&other)).count_ones()
                    })
                    .sum();
                let mean = f64::from(moved) / 256.0;
                assert!((30.0..34.0).contains(&mean), "bit {bit} of {length} bytes moves {mean}");
            }
        }
    }

    #[test]
    fn hashes_of_consecutive_numbers_fill_buckets_evenly() {
        for shift in [0, 56] {
            let mut buckets = [0_i64; 256];
            (0..256_000_u32)
                .for_each(|number| buckets[(hash(&number.to_le_bytes()) >> shift) as usize & 255] += 1);
            let chi: f64 =
                buckets.iter().map(|count| ((count - 1000) * (count - 1000)) as f64 / 1000.0).sum();
            assert!((150.0..370.0).contains(&chi), "{chi}");
        }
    }
}
