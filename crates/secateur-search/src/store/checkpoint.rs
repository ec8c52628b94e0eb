//! A value as bytes: a short header with version and checksum, then the value in postcard's
//! format.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// First bytes of every checkpoint; the last digits are the format's version.
const MAGIC: &[u8; 8] = b"secatr10";

/// FNV-1a, 64 bits: enough to notice a damaged file.
/// Source: Fowler, Noll and Vo, <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub fn checksum(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A value as bytes, or why it cannot be written down.
pub(super) fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, String> {
    let body = postcard::to_allocvec(value).map_err(|error| error.to_string())?;
    let mut bytes = Vec::with_capacity(body.len() + 16);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&checksum(body.iter().copied()).to_le_bytes());
    bytes.extend_from_slice(&body);
    Ok(bytes)
}

/// Reads what [`encode`] gave, or says what is wrong with it.
pub(super) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let Some((head, body)) = bytes.split_at_checked(16) else {
        return Err("it is shorter than a checkpoint's header".to_string());
    };
    if &head[..8] != MAGIC {
        return Err("it is not a checkpoint of this version".to_string());
    }
    if head[8..] != checksum(body.iter().copied()).to_le_bytes() {
        return Err("its checksum does not fit its content".to_string());
    }
    postcard::from_bytes(body).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_reads_back_and_damage_is_noticed() {
        let state = (vec![1.5f32, -2.0], "text".to_string(), 7u64);
        let good = encode(&state).unwrap();
        let read = |bytes: &[u8]| decode::<(Vec<f32>, String, u64)>(bytes);
        assert_eq!(read(&good).unwrap(), state);
        for cut in [0, 5, 15, 20, good.len() - 1] {
            assert!(read(&good[..cut]).is_err(), "cut at {cut}");
        }
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(read(&bad).is_err(), "flipped byte {at} went unnoticed");
        }
    }
}
