//! Passes over a record: checks every byte, counts the values, and writes the JSON text of the data on request.

use std::collections::HashSet;

use crate::cursor::{Answer, Cursor, Stop};
use crate::pick::{skip, skip_all};
use crate::pinned::Pinned;
use crate::plain;
use crate::program::{Node, Program, Reread, Wider};
use crate::text::{single, Checked, Out, Text};

/// Beyond it, a reader that parses numbers as doubles reads another number (RFC 8259, section 6).
pub const LARGEST_EXACT: i64 = (1 << 53) - 1;
/// The last microsecond of the year 9999.
const LAST_INSTANT: i64 = 253_402_300_799_999_999;
const LONGEST_ID: usize = 200;
const LONGEST_ENVIRONMENT: usize = 64;
/// The most keys of a map that are compared pairwise.
const FEW: usize = 8;

/// The identity of an event, which precedes the data in its bodies.
pub struct Identity<'a> {
    pub event_id: &'a str,
    pub occurred_at: i64,
    pub entity_id: &'a str,
    pub environment: &'a str,
}

impl Identity<'_> {
    /// Writes a body up to its data; `begins` is its text before the timestamp.
    fn write(&self, begins: &[u8], out: &mut Text) -> Answer<()> {
        out.put(begins)?;
        plain::moment(self.occurred_at, 6, true, out)?;
        out.put(b"\",\"id\":")?;
        out.string(self.event_id)?;
        out.put(b",\"environment\":")?;
        out.string(self.environment)?;
        out.put(b",\"entity_id\":")?;
        out.string(self.entity_id)?;
        out.put(b",\"data\":")
    }

    /// The approximate number of bytes of that.
    fn size(&self, begins: &[u8]) -> usize {
        begins.len() + 160 + self.event_id.len() + self.entity_id.len()
    }

    /// Returns whether ids and environment are printable ASCII within their bounds; otherwise Python checks them.
    pub fn is_plain(&self) -> bool {
        is_plain(self.event_id, LONGEST_ID)
            && is_plain(self.entity_id, LONGEST_ID)
            && is_plain(self.environment, LONGEST_ENVIRONMENT)
    }
}

/// Reads a record whose Avro body starts at a position; `data` takes the JSON text of its data.
pub fn event<'a>(
    program: &'a Program,
    value: &'a [u8],
    body_at: usize,
    data: &mut impl Out,
) -> Answer<Identity<'a>> {
    let places = &program.places;
    let mut pass = Pass {
        nodes: &program.nodes,
        left: program.most_values,
        fills: 0,
    };
    let mut cursor = Cursor::new(value, body_at);
    let mut found = Identity {
        event_id: "",
        occurred_at: 0,
        entity_id: "",
        environment: "",
    };
    let fields = program.fields();
    pass.count(fields.len() as u64)?;
    for (place, field) in fields.iter().enumerate() {
        let node = &program.nodes[field.node];
        if place == places.data {
            pass.value(node, &mut cursor, data)?;
        } else if place == places.event_id {
            found.event_id = cursor.text()?;
        } else if place == places.entity_id {
            found.entity_id = cursor.text()?;
        } else if place == places.occurred_at {
            found.occurred_at = cursor.long()?;
        } else if place == places.environment {
            found.environment = match node {
                Node::Enum(symbols) => &symbols[cursor.index(symbols.len())?],
                _ => cursor.text()?,
            };
        } else {
            // No body has it, but its bytes must be valid.
            pass.value(node, &mut cursor, &mut Checked)?;
        }
    }
    if cursor.is_at_end() && (0..=LAST_INSTANT).contains(&found.occurred_at) {
        Ok(found)
    } else {
        Err(Stop::Unanswered)
    }
}

/// Reads such a record, and writes its body: the part before its data, and the data.
pub fn body<'a>(
    program: &'a Program,
    value: &'a [u8],
    body_at: usize,
) -> Answer<(Identity<'a>, Text, Text)> {
    let mut data = Text::sized(value.len() * 2)?;
    let found = event(program, value, body_at, &mut data)?;
    let mut head = Text::sized(found.size(&program.head))?;
    found.write(&program.head, &mut head)?;
    Ok((found, head, data))
}

/// Checks that a record whose body starts at a position is valid and can be rendered.
pub fn check(nodes: &[Node], root: &Node, most: u64, value: &[u8], body_at: usize) -> Answer<()> {
    let mut pass = Pass {
        nodes,
        left: most,
        fills: 0,
    };
    let mut cursor = Cursor::new(value, body_at);
    pass.value(root, &mut cursor, &mut Checked)?;
    if cursor.is_at_end() {
        Ok(())
    } else {
        Err(Stop::Unanswered)
    }
}

/// Writes the body of an event in a reader's schema. The record was read before, so its bytes are valid.
pub fn pinned(pair: &Pinned, value: &[u8], body_at: usize, identity: &Identity) -> Answer<Text> {
    let (root, _, data) = pair.written_data().ok_or(Stop::Unanswered)?;
    let nodes = &pair.nodes;
    let mut pass = Pass {
        nodes,
        left: u64::MAX,
        fills: pair.most_fills,
    };
    pass.fill(root.fills)?;
    let mut body = Text::sized(identity.size(&pair.head) + value.len() * 2)?;
    identity.write(&pair.head, &mut body)?;
    let mut cursor = Cursor::new(value, body_at);
    if pair.bare {
        // The envelope has texts and a time, which every reader that has them reads unchanged.
        pass.value(data, &mut cursor, &mut body)?;
        body.push(b'}')?;
        return Ok(body);
    }
    let starts = if root.in_order {
        Vec::new()
    } else {
        starts_of(nodes, root, &mut cursor)?
    };
    let mut done = 0;
    for (number, made) in root.fields.iter().enumerate() {
        let Some((place, node)) = made.from else {
            continue;
        };
        if root.in_order {
            skip_all(nodes, &root.written[done..place], &mut cursor)?;
            done = place + 1;
        } else {
            cursor = starts[place].clone();
        }
        if number == pair.data {
            pass.value(&nodes[node], &mut cursor, &mut body)?;
        } else {
            // No body has it, but a number that the reader would round refuses the record.
            pass.value(&nodes[node], &mut cursor, &mut Checked)?;
        }
    }
    body.push(b'}')?;
    Ok(body)
}

/// Returns the starts of the writer's fields, and moves to their end.
pub fn starts_of<'a>(
    nodes: &[Node],
    reread: &Reread,
    cursor: &mut Cursor<'a>,
) -> Answer<Vec<Cursor<'a>>> {
    let mut starts = Vec::new();
    starts.try_reserve(reread.written.len()).map_err(|_| Stop::NoMemory)?;
    for node in &reread.written {
        starts.push(cursor.clone());
        skip(nodes, &nodes[*node], cursor)?;
    }
    Ok(starts)
}

fn is_plain(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| (0x20..0x7f).contains(&byte))
}

struct Pass<'a> {
    nodes: &'a [Node],
    /// The number of further values that are allowed.
    left: u64,
    /// The number of further values that defaults may fill in.
    fills: u64,
}

impl Pass<'_> {
    #[inline]
    fn count(&mut self, values: u64) -> Answer<()> {
        self.left = self.left.checked_sub(values).ok_or(Stop::Unanswered)?;
        Ok(())
    }

    #[inline]
    fn fill(&mut self, values: u64) -> Answer<()> {
        self.fills = self.fills.checked_sub(values).ok_or(Stop::Unanswered)?;
        Ok(())
    }

    /// Writes one value. It nests as deep as the schema does, which `program` bounds.
    fn value(&mut self, node: &Node, cursor: &mut Cursor, out: &mut impl Out) -> Answer<()> {
        match node {
            Node::Text => out.string(cursor.text()?),
            Node::Union(branches) => {
                let branch = branches[cursor.index(branches.len())?];
                self.value(&self.nodes[branch], cursor, out)
            }
            Node::Record(fields) => {
                self.count(fields.len() as u64)?;
                out.push(b'{')?;
                for field in fields {
                    out.put(&field.key)?;
                    self.value(&self.nodes[field.node], cursor, out)?;
                }
                out.push(b'}')
            }
            Node::Array(items) => self.array(&self.nodes[*items], cursor, out),
            Node::Map(values) => self.map(&self.nodes[*values], cursor, out),
            Node::Enum(symbols) => out.string(&symbols[cursor.index(symbols.len())?]),
            Node::Null => out.put(b"null"),
            Node::Boolean => out.put(if boolean(cursor)? { b"true" } else { b"false" }),
            Node::Int => out.whole(int(cursor)?),
            Node::Long => out.whole(long(cursor)?),
            Node::Float => out.float(f32::from_le_bytes(cursor.exactly()?)),
            Node::Double => out.double(f64::from_le_bytes(cursor.exactly()?)),
            Node::Widened { int: is_int, to } => {
                let number = if *is_int { int(cursor)? } else { cursor.long()? };
                match to {
                    Wider::Text => {
                        out.push(b'"')?;
                        out.whole(number)?;
                        out.push(b'"')
                    }
                    to => out.double(widened(number, *to)?),
                }
            }
            Node::Reread(reread) => self.reread(reread, cursor, out),
            _ => {
                out.push(b'"')?;
                plain::write(node, cursor, out)?;
                out.push(b'"')
            }
        }
    }

    fn array(&mut self, item: &Node, cursor: &mut Cursor, out: &mut impl Out) -> Answer<()> {
        out.push(b'[')?;
        let mut is_first = true;
        loop {
            let items = cursor.block()?;
            if items == 0 {
                return out.push(b']');
            }
            for _ in 0..items {
                self.count(1)?;
                if !is_first {
                    out.push(b',')?;
                }
                is_first = false;
                self.value(item, cursor, out)?;
            }
        }
    }

    fn reread(&mut self, reread: &Reread, cursor: &mut Cursor, out: &mut impl Out) -> Answer<()> {
        self.fill(reread.fills)?;
        out.push(b'{')?;
        if reread.in_order {
            let mut done = 0;
            for made in &reread.fields {
                out.put(&made.key)?;
                let Some((place, node)) = made.from else {
                    out.put(&made.default)?;
                    continue;
                };
                skip_all(self.nodes, &reread.written[done..place], cursor)?;
                self.value(&self.nodes[node], cursor, out)?;
                done = place + 1;
            }
            skip_all(self.nodes, &reread.written[done..], cursor)?;
        } else {
            let starts = starts_of(self.nodes, reread, cursor)?;
            for made in &reread.fields {
                out.put(&made.key)?;
                match made.from {
                    Some((place, node)) => {
                        self.value(&self.nodes[node], &mut starts[place].clone(), out)?;
                    }
                    None => out.put(&made.default)?,
                }
            }
        }
        out.push(b'}')
    }

    fn map(&mut self, item: &Node, cursor: &mut Cursor, out: &mut impl Out) -> Answer<()> {
        out.push(b'{')?;
        let mut keys: Vec<&str> = Vec::new();
        loop {
            let items = cursor.block()?;
            if items == 0 {
                break;
            }
            for _ in 0..items {
                self.count(1)?;
                if !keys.is_empty() {
                    out.push(b',')?;
                }
                let key = cursor.text()?;
                keys.try_reserve(1).map_err(|_| Stop::NoMemory)?;
                keys.push(key);
                out.string(key)?;
                out.push(b':')?;
                self.value(item, cursor, out)?;
            }
        }
        if is_repeated(&keys)? {
            // For a repeated key, Python keeps the position of the first and the value of the last.
            return Err(Stop::Unanswered);
        }
        out.push(b'}')
    }
}

/// Returns a whole number as a reader's float or double, unless that rounds it.
#[inline]
pub fn widened(number: i64, to: Wider) -> Answer<f64> {
    let double = number as f64;
    let shown = match to {
        // The shown text counts: 2^30 is a float, but its shortest text is 1073741800.
        Wider::Float => single(double as f32).ok_or(Stop::Unanswered)?,
        Wider::Double | Wider::Text => double,
    };
    if shown as i128 == i128::from(number) {
        Ok(shown)
    } else {
        Err(Stop::Unanswered)
    }
}

fn is_repeated(keys: &[&str]) -> Answer<bool> {
    if keys.len() <= FEW {
        let mut placed = keys.iter().enumerate();
        return Ok(placed.any(|(at, key)| keys[..at].contains(key)));
    }
    let mut known = HashSet::new();
    known.try_reserve(keys.len()).map_err(|_| Stop::NoMemory)?;
    Ok(!keys.iter().all(|key| known.insert(*key)))
}

#[inline]
pub fn boolean(cursor: &mut Cursor) -> Answer<bool> {
    match cursor.exactly::<1>()? {
        [0] => Ok(false),
        [1] => Ok(true),
        _ => Err(Stop::Unanswered),
    }
}

#[inline]
pub fn int(cursor: &mut Cursor) -> Answer<i64> {
    let number = cursor.long()?;
    if i32::try_from(number).is_ok() {
        Ok(number)
    } else {
        Err(Stop::Unanswered)
    }
}

#[inline]
pub fn long(cursor: &mut Cursor) -> Answer<i64> {
    let number = cursor.long()?;
    if (-LARGEST_EXACT..=LARGEST_EXACT).contains(&number) {
        Ok(number)
    } else {
        Err(Stop::Unanswered)
    }
}

#[inline]
pub fn float(cursor: &mut Cursor) -> Answer<f64> {
    single(f32::from_le_bytes(cursor.exactly()?)).ok_or(Stop::Unanswered)
}
