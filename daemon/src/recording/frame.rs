//! The bytes of a recording: what it begins with, and frames. Knows nothing of what a frame says.
//!
//! A file begins with 16 bytes: magic (8), format version (4), CRC-32 of these twelve (4). Then frames:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | length of the body |
//! | 4 | CRC-32 of the length and the body |
//! | 1 | body: kind |
//! | 4 | body: length of the payload, unpacked |
//! | | body: the payload, an LZ4 block |
//!
//! Numbers are little-endian. Each frame can be read without those before it.

/// Raised when a reader of the version before would misread what is written, or pass over a part of it. All before it are read.
pub const VERSION: u32 = 3;

/// A byte that is no text, a name, and ends of line: a copy through a text mode is found out.
const MAGIC: [u8; 8] = *b"\x89MMREC\r\n";
/// Bytes of the beginning.
pub(super) const BEGIN: usize = 16;
/// Bytes before a body.
pub(super) const HEAD: usize = 8;
/// Bytes of a body before its payload.
const BODY_HEAD: usize = 5;
/// A payload that is longer, unpacked, is none: a tick of all slots of the kernel side is shorter.
const LONGEST: usize = 256 << 20;
/// Bytes that LZ4 can make of one: a byte of a length stands for 255.
const EXPANSION: usize = 255;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Header = 1,
    Sight = 2,
    Names = 3,
    End = 4,
}

/// Why a beginning is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum NoBegin {
    Foreign,
    Damaged,
    Version(u32),
}

pub(super) fn begin() -> [u8; BEGIN] {
    let mut bytes = [0; BEGIN];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let sum = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

pub(super) fn check_begin(bytes: &[u8; BEGIN]) -> Result<(), NoBegin> {
    if bytes[..8] != MAGIC {
        return Err(NoBegin::Foreign);
    }
    if crc32fast::hash(&bytes[..12]) != word(bytes, 12) {
        return Err(NoBegin::Damaged);
    }
    match word(bytes, 8) {
        1..=VERSION => Ok(()),
        version => Err(NoBegin::Version(version)),
    }
}

/// A whole frame.
pub(super) fn encode(kind: Kind, payload: &[u8]) -> Result<Vec<u8>, String> {
    if payload.len() > LONGEST {
        return Err(format!("{} bytes are too many for a frame", payload.len()));
    }
    let packed = lz4_flex::block::compress(payload);
    let mut body = vec![0; BODY_HEAD];
    body[0] = kind as u8;
    body[1..].copy_from_slice(&(payload.len() as u32).to_le_bytes());
    body.extend_from_slice(&packed);
    Ok(sealed(&body))
}

/// A body with its head before it.
pub(super) fn sealed(body: &[u8]) -> Vec<u8> {
    let length = (body.len() as u32).to_le_bytes();
    [&length[..], &sum(&length, body).to_le_bytes(), body].concat()
}

/// Length of the body that follows.
pub(super) fn body_length(head: &[u8; HEAD]) -> Result<usize, String> {
    let length = word(head, 0) as usize;
    if (BODY_HEAD..=LONGEST).contains(&length) { Ok(length) } else { Err(format!("{length} is no length of a frame")) }
}

/// Kind and payload.
pub(super) fn decode(head: &[u8; HEAD], body: &[u8]) -> Result<(Kind, Vec<u8>), String> {
    if sum(&head[..4], body) != word(head, 4) {
        return Err("its checksum is wrong".to_owned());
    }
    let kind = [Kind::Header, Kind::Sight, Kind::Names, Kind::End].into_iter().find(|&kind| kind as u8 == body[0]);
    let kind = kind.ok_or_else(|| format!("its kind {} is unknown", body[0]))?;
    let length = word(body, 1) as usize;
    let packed = &body[BODY_HEAD..];
    // Room for it is made at once: not for more than the bytes can become.
    if length > LONGEST.min(packed.len().saturating_mul(EXPANSION)) {
        return Err(format!("{length} is no length of a payload of {} packed bytes", packed.len()));
    }
    let payload = lz4_flex::block::decompress(packed, length).map_err(|error| error.to_string())?;
    Ok((kind, payload))
}

fn sum(length: &[u8], body: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(length);
    hasher.update(body);
    hasher.finalize()
}

/// Four bytes as a number; there are four.
fn word(bytes: &[u8], at: usize) -> u32 {
    bytes[at..at + 4].iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_was_put_in() {
        let payload = b"again and again and again and again and again".to_vec();
        let frame = encode(Kind::Names, &payload).unwrap();
        assert!(frame.len() < payload.len() + HEAD + BODY_HEAD, "packed");
        let head = frame[..HEAD].try_into().unwrap();
        assert_eq!(body_length(head), Ok(frame.len() - HEAD));
        assert_eq!(decode(head, &frame[HEAD..]), Ok((Kind::Names, payload)));
    }

    #[test]
    fn what_is_no_beginning_is_told_apart() {
        assert_eq!(check_begin(&begin()), Ok(()));
        assert_eq!(check_begin(b"# HELP mmscope_x"), Err(NoBegin::Foreign));
        let mut damaged = begin();
        damaged[9] ^= 1;
        assert_eq!(check_begin(&damaged), Err(NoBegin::Damaged));
        let mut newer = begin();
        newer[8] = 9;
        let sum = crc32fast::hash(&newer[..12]);
        newer[12..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(check_begin(&newer), Err(NoBegin::Version(9)));
    }

    #[test]
    fn no_room_is_made_for_more_than_the_bytes_can_become() {
        let zeros = vec![0; 1 << 20];
        let frame = encode(Kind::Sight, &zeros).unwrap();
        let head = frame[..HEAD].try_into().unwrap();
        assert!(zeros.len() > 250 * frame.len() && decode(head, &frame[HEAD..]) == Ok((Kind::Sight, zeros)));
        let claims = sealed(&[&[Kind::Sight as u8][..], &(200_u32 << 20).to_le_bytes(), &[0; 9]].concat());
        let error = decode(claims[..HEAD].try_into().unwrap(), &claims[HEAD..]).unwrap_err();
        assert_eq!(error, "209715200 is no length of a payload of 9 packed bytes");
    }
}
