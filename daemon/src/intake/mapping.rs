//! Arrays of the kernel side, mapped into this process: reading one takes no system call.
//!
//! With memory.rs the only file of the daemon with unsafe code. The memory changes while it is read: it is read and written word by
//! word, atomically, and never borrowed.

use std::{
    cell::OnceCell,
    io,
    marker::PhantomData,
    os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd},
    ptr::NonNull,
    sync::atomic::{AtomicU64, Ordering},
};

use zerocopy::{FromBytes, IntoBytes};

/// An array map of `T`, mapped piece by piece as it is looked at: what nobody uses takes none of this process's memory.
pub(super) struct Mapping<T> {
    map: OwnedFd,
    pieces: Vec<OnceCell<Piece>>,
    bytes: usize,
    entries: u32,
    entry: PhantomData<T>,
}

/// Bytes of a piece; whole pages of any size.
const PIECE: usize = 256 * 1024;

/// A piece that is mapped.
struct Piece {
    start: NonNull<AtomicU64>,
    bytes: usize,
}

// SAFETY: the mapping is valid for the life of this value from every thread, and all access to it is atomic.
unsafe impl Send for Piece {}

impl Piece {
    fn new(map: BorrowedFd<'_>, offset: usize, bytes: usize) -> io::Result<Self> {
        // SAFETY: a new mapping of a map's memory at an address of the kernel's choice; the kernel checks that the
        // map is at least so large.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                map.as_raw_fd(),
                libc::off_t::try_from(offset).map_err(io::Error::other)?,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        Ok(Self { start: NonNull::new(start.cast()).ok_or(io::ErrorKind::AddrNotAvailable)?, bytes })
    }

    fn word(&self, n: usize) -> &AtomicU64 {
        assert!(n * 8 < self.bytes, "inside the piece");
        // SAFETY: inside the mapping by the assertion above, and aligned as the mapping is.
        unsafe { self.start.add(n).as_ref() }
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        // SAFETY: exactly what `new` mapped, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}

impl<T: FromBytes + IntoBytes> Mapping<T> {
    const WORDS: usize = size_of::<T>() / 8;
    const WHOLE: () = assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() <= 8);

    /// Maps an array map of `entries` values of `T` that was made with BPF_F_MMAPABLE.
    pub(super) fn new(map: BorrowedFd<'_>, entries: u32) -> io::Result<Self> {
        let () = Self::WHOLE;
        let bytes = entries as usize * size_of::<T>();
        let pieces = (0..bytes.div_ceil(PIECE)).map(|_| OnceCell::new()).collect();
        let mapping = Self { map: map.try_clone_to_owned()?, pieces, bytes, entries, entry: PhantomData };
        // Whether it can be mapped at all is told now.
        mapping.piece(0)?;
        Ok(mapping)
    }

    /// Gives the pieces up until they are looked at again: their memory is the map's, but counts as this process's too.
    pub(super) fn unmap(&mut self) {
        self.pieces.iter_mut().for_each(|piece| drop(piece.take()));
    }

    fn piece(&self, n: usize) -> io::Result<&Piece> {
        let cell = self.pieces.get(n).ok_or(io::ErrorKind::InvalidInput)?;
        if let Some(piece) = cell.get() {
            return Ok(piece);
        }
        let piece = Piece::new(self.map.as_fd(), n * PIECE, PIECE.min(self.bytes - n * PIECE))?;
        Ok(cell.get_or_init(|| piece))
    }

    fn word(&self, index: u32, word: usize) -> &AtomicU64 {
        assert!(index < self.entries && word < Self::WORDS, "inside the mapping");
        let n = index as usize * Self::WORDS + word;
        let piece = match self.piece(n * 8 / PIECE) {
            Ok(piece) => piece,
            // The map was mapped in part already: only this process's own bounds are left as a reason.
            Err(error) => panic!("map a part of a table: {error}"),
        };
        piece.word(n % (PIECE / 8))
    }

    /// Entries.
    pub(super) fn len(&self) -> u32 {
        self.entries
    }

    /// One 64-bit word of an entry.
    pub(super) fn read_word(&self, index: u32, word: usize) -> u64 {
        self.word(index, word).load(Ordering::Acquire)
    }

    /// Overwrites one 64-bit word of an entry.
    pub(super) fn write_word(&self, index: u32, word: usize, value: u64) {
        self.word(index, word).store(value, Ordering::Release);
    }

    /// Adds to a word to which the kernel side may be adding too.
    pub(super) fn add_to_word(&self, index: u32, word: usize, value: u64) {
        self.word(index, word).fetch_add(value, Ordering::Relaxed);
    }

    /// Clears the bits of a word that are not in a mask.
    pub(super) fn keep_in_word(&self, index: u32, word: usize, mask: u64) {
        self.word(index, word).fetch_and(mask, Ordering::Relaxed);
    }

    /// A copy of an entry, each word as it was at some moment of the copying.
    pub(super) fn read(&self, index: u32) -> T {
        let mut value = T::new_zeroed();
        for (n, chunk) in value.as_mut_bytes().chunks_exact_mut(8).enumerate() {
            chunk.copy_from_slice(&self.read_word(index, n).to_ne_bytes());
        }
        value
    }

    /// Overwrites an entry that nobody on the kernel side uses.
    pub(super) fn write(&self, index: u32, value: &T)
    where
        T: zerocopy::Immutable,
    {
        for (n, chunk) in value.as_bytes().chunks_exact(8).enumerate() {
            let mut word = [0; 8];
            word.copy_from_slice(chunk);
            self.word(index, n).store(u64::from_ne_bytes(word), Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd as _};

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let file: File = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let mapping: Mapping<[u64; 4]> = Mapping::new(file.as_fd(), 8).unwrap();
        mapping.write(7, &[1, 2, 3, u64::MAX]);
        assert_eq!(mapping.read(7), [1, 2, 3, u64::MAX]);
        assert_eq!(mapping.read(6), [0; 4]);
        assert_eq!(mapping.read_word(7, 1), 2);
        assert_eq!(mapping.len(), 8);
    }

    #[test]
    fn an_entry_may_lie_in_two_pieces() {
        let file: File = tempfile::tempfile().unwrap();
        let entries = (2 * PIECE / 24) as u32;
        file.set_len(2 * PIECE as u64).unwrap();
        let mut mapping: Mapping<[u64; 3]> = Mapping::new(file.as_fd(), entries).unwrap();
        let last = entries - 1;
        let between = (PIECE / 24) as u32;
        assert!(between as usize * 24 < PIECE && (between as usize + 1) * 24 > PIECE);
        for index in [0, between, last] {
            mapping.write(index, &[u64::from(index), 2, 3]);
        }
        for index in [0, between, last] {
            assert_eq!(mapping.read(index), [u64::from(index), 2, 3]);
        }
        assert_eq!(mapping.read(between - 1), [0; 3]);
        mapping.unmap();
        assert_eq!(mapping.read(between), [u64::from(between), 2, 3]);
    }

    #[test]
    #[should_panic(expected = "inside the mapping")]
    fn beyond_the_end_there_is_nothing() {
        let file: File = tempfile::tempfile().unwrap();
        file.set_len(4096).unwrap();
        let mapping: Mapping<[u64; 4]> = Mapping::new(file.as_fd(), 8).unwrap();
        mapping.read(8);
    }
}
