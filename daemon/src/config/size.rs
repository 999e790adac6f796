//! Lengths of files, as the configuration and the command line have them.

/// Shortest bound of a recording: its header and some ticks.
const LEAST_BYTES: u64 = 64 << 10;

/// A number of bytes such as `4096`, `64K`, `256M` or `2G`, long enough for a recording.
pub(crate) fn bytes(text: &str) -> Result<u64, String> {
    let units = [("K", 10), ("M", 20), ("G", 30)];
    let unit = units.into_iter().find_map(|(unit, shift)| Some((text.strip_suffix(unit)?, shift)));
    let (number, shift) = unit.unwrap_or((text, 0));
    let number: u64 =
        number.parse().map_err(|_| "it is no number of bytes, such as 4096, 64K, 256M or 2G".to_owned())?;
    let bytes = number.checked_mul(1 << shift).ok_or("that is more than a file can have")?;
    if bytes < LEAST_BYTES {
        return Err("less than 64K is no recording".to_owned());
    }
    Ok(bytes)
}
