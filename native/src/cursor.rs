//! Reads the parts of an Avro record one after the other, and never beyond its end.

/// Why a pass ended without an answer.
#[derive(Debug, PartialEq)]
pub enum Stop {
    /// The bytes or a value are not what this module answers for: Python decides, and says why.
    Unanswered,
    /// There is no memory for the text.
    NoMemory,
}

pub type Answer<T> = Result<T, Stop>;

/// A record's bytes and a place in them.
#[derive(Clone)]
pub struct Cursor<'a> {
    left: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// Starts at a place; a place beyond the end is the end.
    pub fn new(bytes: &'a [u8], at: usize) -> Self {
        Cursor {
            left: bytes.get(at..).unwrap_or_default(),
        }
    }

    pub fn is_at_end(&self) -> bool {
        self.left.is_empty()
    }

    /// Takes so many bytes.
    #[inline]
    pub fn take(&mut self, size: usize) -> Answer<&'a [u8]> {
        let (taken, left) = self.left.split_at_checked(size).ok_or(Stop::Unanswered)?;
        self.left = left;
        Ok(taken)
    }

    /// Takes as many bytes as an array of them has.
    #[inline]
    pub fn exactly<const N: usize>(&mut self) -> Answer<[u8; N]> {
        let (taken, left) = self.left.split_first_chunk().ok_or(Stop::Unanswered)?;
        self.left = left;
        Ok(*taken)
    }

    /// Takes a number: zigzag, seven bits a byte, of 64 bits at most.
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

    /// Takes a length, and so many bytes.
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

    /// Takes the number of one of so many alternatives.
    #[inline]
    pub fn index(&mut self, of: usize) -> Answer<usize> {
        let found = usize::try_from(self.long()?).map_err(|_| Stop::Unanswered)?;
        if found < of {
            Ok(found)
        } else {
            Err(Stop::Unanswered)
        }
    }

    /// Takes the head of a block of items, and returns how many there are; 0 ends them.
    #[inline]
    pub fn block(&mut self) -> Answer<u64> {
        let items = self.long()?;
        if items >= 0 {
            return Ok(items as u64);
        }
        // The block's size in bytes follows, which only readers that leave it out need.
        self.long()?;
        items
            .checked_neg()
            .map(|items| items as u64)
            .ok_or(Stop::Unanswered)
    }
}
