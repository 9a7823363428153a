//! Writes JSON text as orjson does, into bounded memory that may run out, or only checks it.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use pyo3::prelude::*;

use crate::cursor::{Answer, Stop};

/// The most bytes of text for one record; beyond them Python answers, which has its own bounds.
const MOST: usize = 16 << 20;

/// Takes the JSON text of a value, part by part.
pub trait Out {
    fn push(&mut self, byte: u8) -> Answer<()>;

    fn put(&mut self, text: &[u8]) -> Answer<()>;

    /// Takes a JSON string.
    fn string(&mut self, text: &str) -> Answer<()>;

    /// Takes a whole number.
    fn whole(&mut self, number: i64) -> Answer<()>;

    /// Takes a finite double; JSON has no others.
    fn double(&mut self, number: f64) -> Answer<()>;

    /// Takes a finite 32-bit float, as the double of its shortest text.
    fn float(&mut self, number: f32) -> Answer<()>;

    /// Takes the base64 of bytes, without quotes.
    fn base64(&mut self, bytes: &[u8]) -> Answer<()>;
}

/// Bytes of text that grow up to `MOST`.
pub struct Text {
    pub bytes: Vec<u8>,
}

impl Text {
    /// Reserves an approximate number of bytes.
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
        // Doubles each time, so that the cost is proportional to the text; never beyond the bound.
        let roomy = wanted.max(self.bytes.capacity() * 2).min(MOST);
        let reserved = self.bytes.try_reserve_exact(roomy - self.bytes.len());
        reserved.map_err(|_| Stop::NoMemory)
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
}

impl Out for Text {
    #[inline]
    fn push(&mut self, byte: u8) -> Answer<()> {
        self.room(1)?;
        self.bytes.push(byte);
        Ok(())
    }

    #[inline]
    fn put(&mut self, text: &[u8]) -> Answer<()> {
        self.room(text.len())?;
        self.bytes.extend_from_slice(text);
        Ok(())
    }

    #[inline]
    fn string(&mut self, text: &str) -> Answer<()> {
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

    #[inline]
    fn whole(&mut self, number: i64) -> Answer<()> {
        self.put(itoa::Buffer::new().format(number).as_bytes())
    }

    #[inline]
    fn double(&mut self, number: f64) -> Answer<()> {
        if !number.is_finite() {
            return Err(Stop::Unanswered);
        }
        self.put(zmij::Buffer::new().format_finite(number).as_bytes())
    }

    #[inline]
    fn float(&mut self, number: f32) -> Answer<()> {
        self.double(single(number).ok_or(Stop::Unanswered)?)
    }

    fn base64(&mut self, bytes: &[u8]) -> Answer<()> {
        // Written piece by piece: each but the last is a multiple of three, and so has no padding.
        let mut text = [0u8; 1024];
        for piece in bytes.chunks(768) {
            let size = STANDARD
                .encode_slice(piece, &mut text)
                .map_err(|_| Stop::Unanswered)?;
            self.put(&text[..size])?;
        }
        Ok(())
    }
}

/// Keeps no text: a pass over such an output only shows that there would be one.
pub struct Checked;

impl Out for Checked {
    #[inline]
    fn push(&mut self, _: u8) -> Answer<()> {
        Ok(())
    }

    #[inline]
    fn put(&mut self, _: &[u8]) -> Answer<()> {
        Ok(())
    }

    #[inline]
    fn string(&mut self, _: &str) -> Answer<()> {
        Ok(())
    }

    #[inline]
    fn whole(&mut self, _: i64) -> Answer<()> {
        Ok(())
    }

    #[inline]
    fn double(&mut self, number: f64) -> Answer<()> {
        if number.is_finite() {
            Ok(())
        } else {
            Err(Stop::Unanswered)
        }
    }

    #[inline]
    fn float(&mut self, number: f32) -> Answer<()> {
        self.double(f64::from(number))
    }

    #[inline]
    fn base64(&mut self, _: &[u8]) -> Answer<()> {
        Ok(())
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

/// Returns the double of a 32-bit float's shortest text; None: it is not finite.
pub fn single(number: f32) -> Option<f64> {
    if !number.is_finite() {
        return None;
    }
    zmij::Buffer::new().format_finite(number).parse().ok()
}

/// Returns how doubles are written, so that hookstream can compare its own encoder.
#[pyfunction]
pub fn number_texts(numbers: Vec<f64>) -> PyResult<Vec<String>> {
    Ok(numbers
        .into_iter()
        .map(|number| zmij::Buffer::new().format(number).to_owned())
        .collect())
}
