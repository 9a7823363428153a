//! Writes values whose JSON is a string of plain ASCII without escapes: times, decimals, bytes, digits.

use crate::cursor::{Answer, Cursor, Stop};
use crate::program::Node;
use crate::text::{Out, HEX};

const DAY: i64 = 86_400;
/// Days from the first of March of the year 0 to 1970-01-01.
const EPOCH: i64 = 719_468;
const FIRST_DAY: i64 = -719_162;
const LAST_DAY: i64 = 2_932_896;

/// Writes a value if its type is one of these; false: it is not, and no byte was taken.
#[inline]
pub fn write(node: &Node, cursor: &mut Cursor, out: &mut impl Out) -> Answer<bool> {
    match node {
        Node::LongText => out.whole(cursor.long()?)?,
        Node::Date => day(cursor.long()?, out)?,
        Node::TimeMillis => time(cursor.long()?, 3, out)?,
        Node::TimeMicros => time(cursor.long()?, 6, out)?,
        Node::Moment { places, utc } => moment(cursor.long()?, *places, *utc, out)?,
        Node::Bytes => out.base64(cursor.bytes()?)?,
        Node::Fixed(size) => out.base64(cursor.take(*size)?)?,
        Node::Decimal { precision, scale } => decimal(cursor.bytes()?, *precision, *scale, out)?,
        Node::FixedDecimal {
            size,
            precision,
            scale,
        } => decimal(cursor.take(*size)?, *precision, *scale, out)?,
        Node::Uuid => uuid(cursor.exactly()?, out)?,
        Node::Duration => duration(cursor.exactly()?, out)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Writes a number with a fixed number of digits.
fn digits(mut number: u64, places: usize, out: &mut impl Out) -> Answer<()> {
    let mut text = [b'0'; 20];
    for digit in text[..places].iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.put(&text[..places])
}

/// Writes a day of the years 1 to 9999, by the proleptic Gregorian calendar.
fn day(number: i64, out: &mut impl Out) -> Answer<()> {
    if !(FIRST_DAY..=LAST_DAY).contains(&number) {
        return Err(Stop::Unanswered);
    }
    // Years begin in March, so that a leap day is the last of its year; 146,097 days are 400 years.
    let shifted = number + EPOCH;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let in_month = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let mut text = *b"0000-00-00";
    for (place, value) in [(2, year / 100), (4, year % 100), (7, month), (10, in_month)] {
        text[place - 2] = b'0' + (value / 10) as u8;
        text[place - 1] = b'0' + (value % 10) as u8;
    }
    out.put(&text)
}

fn clock(second: i64, out: &mut impl Out) -> Answer<()> {
    let mut text = *b"00:00:00";
    for (place, value) in [(0, second / 3_600), (3, second / 60 % 60), (6, second % 60)] {
        text[place] = b'0' + (value / 10) as u8;
        text[place + 1] = b'0' + (value % 10) as u8;
    }
    out.put(&text)
}

fn time(number: i64, places: u32, out: &mut impl Out) -> Answer<()> {
    let unit = 10i64.pow(places);
    let second = number.div_euclid(unit);
    if !(0..DAY).contains(&second) {
        return Err(Stop::Unanswered);
    }
    clock(second, out)?;
    out.push(b'.')?;
    digits(number.rem_euclid(unit) as u64, places as usize, out)
}

/// Writes an instant as RFC 3339 with a number of decimal places of a second.
pub fn moment(number: i64, places: u32, utc: bool, out: &mut impl Out) -> Answer<()> {
    let unit = 10i64.pow(places);
    let second = number.div_euclid(unit);
    day(second.div_euclid(DAY), out)?;
    out.push(b'T')?;
    clock(second.rem_euclid(DAY), out)?;
    out.push(b'.')?;
    digits(number.rem_euclid(unit) as u64, places as usize, out)?;
    if utc {
        out.push(b'Z')?;
    }
    Ok(())
}

/// Writes a decimal from the big-endian bytes of its unscaled value; without bytes it is zero.
fn decimal(bytes: &[u8], precision: u32, scale: usize, out: &mut impl Out) -> Answer<()> {
    let negative = bytes.first().is_some_and(|byte| byte & 0x80 != 0);
    let sign = if negative { 0xff } else { 0 };
    // Bytes that only repeat the sign are dropped; the rest must fit.
    let beyond = bytes.len().saturating_sub(16);
    let (before, within) = bytes.split_at(beyond);
    if before.iter().any(|byte| *byte != sign)
        || (beyond > 0 && (within[0] ^ sign) & 0x80 != 0)
    {
        return Err(Stop::Unanswered);
    }
    let mut whole = [sign; 16];
    whole[16 - within.len()..].copy_from_slice(within);
    let unscaled = i128::from_be_bytes(whole);
    let size = unscaled.unsigned_abs();
    if size >= 10u128.pow(precision) {
        return Err(Stop::Unanswered);
    }
    if negative && size != 0 {
        out.push(b'-')?;
    }
    let mut buffer = itoa::Buffer::new();
    let found = buffer.format(size).as_bytes();
    if scale == 0 {
        return out.put(found);
    }
    let zeros = (scale + 1).saturating_sub(found.len());
    let mut padded = [b'0'; 80];
    padded[zeros..zeros + found.len()].copy_from_slice(found);
    let padded = &padded[..zeros + found.len()];
    let (above, below) = padded.split_at(padded.len() - scale);
    out.put(above)?;
    out.push(b'.')?;
    out.put(below)
}

fn uuid(bytes: [u8; 16], out: &mut impl Out) -> Answer<()> {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-')?;
        }
        out.put(&[HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]])?;
    }
    Ok(())
}

fn duration(bytes: [u8; 12], out: &mut impl Out) -> Answer<()> {
    let part = |at: usize| {
        let four = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        i64::from(u32::from_le_bytes(four))
    };
    let millis = part(8);
    out.push(b'P')?;
    out.whole(part(0))?;
    out.push(b'M')?;
    out.whole(part(4))?;
    out.put(b"DT")?;
    out.whole(millis / 1_000)?;
    out.push(b'.')?;
    digits((millis % 1_000) as u64, 3, out)?;
    out.push(b'S')
}
