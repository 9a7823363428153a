//! Writes JSON text as orjson does, into memory that is bounded and may run out.

use pyo3::prelude::*;

use crate::cursor::{Answer, Stop};

/// The most bytes of text that one record becomes; beyond them Python answers, which has its own bounds.
const MOST: usize = 16 << 20;

/// Bytes of text that grow up to `MOST`.
pub struct Text {
    pub bytes: Vec<u8>,
}

impl Text {
    /// Expects about so many bytes.
    pub fn sized(expected: usize) -> Answer<Self> {
        let mut made = Text { bytes: Vec::new() };
        made.room(expected.min(MOST))?;
        Ok(made)
    }

    #[inline]
    fn room(&mut self, more: usize) -> Answer<()> {
        if self.bytes.capacity() - self.bytes.len() >= more {
            return Ok(());
        }
        self.grow(more)
    }

    #[cold]
    fn grow(&mut self, more: usize) -> Answer<()> {
        let wanted = self.bytes.len().saturating_add(more);
        if wanted > MOST {
            return Err(Stop::Unanswered);
        }
        // Twice as much each time, so that text costs what it has; never beyond the bound.
        let roomy = wanted.max(self.bytes.capacity() * 2).min(MOST);
        let reserved = self.bytes.try_reserve_exact(roomy - self.bytes.len());
        reserved.map_err(|_| Stop::NoMemory)
    }

    #[inline]
    pub fn push(&mut self, byte: u8) -> Answer<()> {
        self.room(1)?;
        self.bytes.push(byte);
        Ok(())
    }

    #[inline]
    pub fn put(&mut self, text: &[u8]) -> Answer<()> {
        self.room(text.len())?;
        self.bytes.extend_from_slice(text);
        Ok(())
    }

    /// Writes a JSON string.
    #[inline]
    pub fn string(&mut self, text: &str) -> Answer<()> {
        let text = text.as_bytes();
        self.room(text.len() + 2)?;
        self.bytes.push(b'"');
        let mut done = 0;
        for (at, byte) in text.iter().enumerate() {
            if !ESCAPED[usize::from(*byte)] {
                continue;
            }
            self.put(&text[done..at])?;
            self.escape(*byte)?;
            done = at + 1;
        }
        self.put(&text[done..])?;
        self.push(b'"')
    }

    #[cold]
    fn escape(&mut self, byte: u8) -> Answer<()> {
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            0x08 => b'b',
            0x09 => b't',
            0x0a => b'n',
            0x0c => b'f',
            0x0d => b'r',
            _ => {
                let digits = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
                self.put(b"\\u00")?;
                return self.put(&digits);
            }
        };
        self.put(&[b'\\', short])
    }

    /// Writes a whole number.
    #[inline]
    pub fn whole(&mut self, number: i64) -> Answer<()> {
        self.put(itoa::Buffer::new().format(number).as_bytes())
    }

    /// Writes a finite double; JSON has no others.
    #[inline]
    pub fn double(&mut self, number: f64) -> Answer<()> {
        if !number.is_finite() {
            return Err(Stop::Unanswered);
        }
        self.put(zmij::Buffer::new().format_finite(number).as_bytes())
    }
}

pub const HEX: &[u8; 16] = b"0123456789abcdef";

static ESCAPED: [bool; 256] = escaped();

const fn escaped() -> [bool; 256] {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < 0x20 {
        table[byte] = true;
        byte += 1;
    }
    table[b'"' as usize] = true;
    table[b'\\' as usize] = true;
    table
}

/// Returns the double that the shortest text of a 32-bit float means; None: it is not finite.
pub fn single(number: f32) -> Option<f64> {
    if !number.is_finite() {
        return None;
    }
    zmij::Buffer::new().format_finite(number).parse().ok()
}

/// Returns how doubles are written, so that hookstream can compare its encoder's.
#[pyfunction]
pub fn number_texts(numbers: Vec<f64>) -> PyResult<Vec<String>> {
    Ok(numbers
        .into_iter()
        .map(|number| zmij::Buffer::new().format(number).to_owned())
        .collect())
}
