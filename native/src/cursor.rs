//! Reads the parts of an Avro record in order, and never beyond its end.

/// Why a pass ended without an answer.
#[derive(Debug, PartialEq)]
pub enum Stop {
    /// This module does not handle the bytes or a value: Python decides, and gives the reason.
    Unanswered,
    /// There is no memory for the text.
    NoMemory,
}

pub type Answer<T> = Result<T, Stop>;

/// A record's bytes and a position in them.
#[derive(Clone)]
pub struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at a position; one beyond the end is the end.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Cursor {
            left: bytes.get(at..).unwrap_or_default(),
        }
    }

    pub fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    /// Takes a number of bytes.
    #[inline]
    pub fn take(&mut self, size: usize) -> Answer<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(size).ok_or(Stop::Unanswered)?;
        self.left = left;
        Ok(taken)
    }

    /// Takes as many bytes as the array has.
    #[inline]
    pub fn exactly<const N: usize>(&mut self) -> Answer<[u8; N]> {
        let (taken, left) = self.left.split_first_chunk().ok_or(Stop::Unanswered)?;
        self.left = left;
        Ok(*taken)
    }

    /// Takes a number: zigzag, seven bits per byte, at most 64 bits.
    #[inline]
    pub fn long(&mut self) -> Answer<i64> {
        let mut found = 0u64;
        for (place, byte) in self.left.iter().take(10).enumerate() {
            if place == 9 && *byte > 1 {
                return Err(Stop::Unanswered);
            }
            found |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.left = &self.left[place + 1..];
                return Ok((found >> 1) as i64 ^ -((found & 1) as i64));
            }
        }
        Err(Stop::Unanswered)
    }

    /// Takes a length, and then as many bytes.
    #[inline]
    pub fn bytes(&mut self) -> Answer<&'a [u8]> {
        let size = usize::try_from(self.long()?).map_err(|_| Stop::Unanswered)?;
        self.take(size)
    }

    /// Takes text, whose bytes are UTF-8.
    #[inline]
    pub fn text(&mut self) -> Answer<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| Stop::Unanswered)
    }

    /// Takes the number of an alternative, below the given count.
    #[inline]
    pub fn index(&mut self, of: usize) -> Answer<usize> {
        let found = usize::try_from(self.long()?).map_err(|_| Stop::Unanswered)?;
        if found < of {
            Ok(found)
        } else {
            Err(Stop::Unanswered)
        }
    }

    /// Takes the header of a block of items, and returns their number; 0 ends the blocks.
    #[inline]
    pub fn block(&mut self) -> Answer<u64> {
        let items = self.long()?;
        if items >= 0 {
            return Ok(items as u64);
        }
        // The block's size in bytes follows, which only readers that skip the block need.
        self.long()?;
        items
            .checked_neg()
            .map(|items| items as u64)
            .ok_or(Stop::Unanswered)
    }
}
