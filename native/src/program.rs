//! Compiles a schema once to a program over its types, which reads and renders records.

use std::panic::{catch_unwind, AssertUnwindSafe};

use pyo3::exceptions::{PyMemoryError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::cursor::{Answer, Stop};
use crate::pass::{self, Identity};
use crate::pick::Selection;
use crate::text::{Checked, Out, Text};

/// The most nested types: hookstream accepts no schema with half as many levels.
const MOST_LEVELS: usize = 64;
/// The most types of a program.
const MOST_NODES: usize = 50_000;
/// The most digits of a decimal: their number fits into 128 bits.
const MOST_DIGITS: u32 = 38;
/// Bytes of a record from which on the GIL is released: its pass takes longer than the switch.
const LARGE: usize = 16 << 10;

/// A type. Parts are given by their places among the program's types, before that of the whole.
pub enum Node {
    Null,
    Boolean,
    Int,
    Long,
    LongText,
    Float,
    Double,
    Text,
    Date,
    TimeMillis,
    TimeMicros,
    Moment {
        places: u32,
        utc: bool,
    },
    Bytes,
    Fixed(usize),
    Decimal {
        precision: u32,
        scale: usize,
    },
    FixedDecimal {
        size: usize,
        precision: u32,
        scale: usize,
    },
    Uuid,
    Duration,
    Enum(Vec<String>),
    Array(usize),
    Map(usize),
    Union(Vec<usize>),
    Record(Vec<Field>),
    /// A whole number as a reader's long that is text, float or double.
    Widened { int: bool, to: Wider },
    /// A record as a reader's: its fields in another order, or some left out or filled in.
    Reread(Reread),
}

#[derive(Clone, Copy)]
pub enum Wider {
    Text,
    Float,
    Double,
}

pub struct Reread {
    /// The types of the writer's fields.
    pub written: Vec<usize>,
    pub fields: Vec<Made>,
    /// The number of values that defaults fill in.
    pub fills: u64,
    /// Whether the reader's fields are in the order of the writer's.
    pub in_order: bool,
}

/// A field of a reader.
pub struct Made {
    pub name: String,
    /// See `Field::key`.
    pub key: Vec<u8>,
    /// The place of the writer's field, and the type that it is read as; None: its default.
    pub from: Option<(usize, usize)>,
    /// The JSON text of its default.
    pub default: Vec<u8>,
}

pub struct Field {
    pub name: String,
    /// The text before its value in a JSON object: its name as a key, and a comma unless it is the first.
    pub key: Vec<u8>,
    pub node: usize,
}

/// A type as Python describes it: its kind, texts (names of fields, symbols) and numbers (parts, sizes).
pub type Description = (String, Vec<String>, Vec<i64>);

/// The schema of an event, ready to be read.
#[pyclass(frozen, module = "hookstream_native")]
pub struct Program {
    pub nodes: Vec<Node>,
    pub root: usize,
    pub places: Places,
    /// The text of a body before its timestamp.
    pub head: Vec<u8>,
    /// The most values of a record.
    pub most_values: u64,
}

/// The places of the envelope's fields in the event's record.
pub struct Places {
    pub event_id: usize,
    pub occurred_at: usize,
    pub entity_id: usize,
    pub environment: usize,
    pub data: usize,
}

/// Returns the result of a pass over a number of bytes; None: Python answers.
pub fn passed<T: Send>(
    py: Python<'_>,
    size: usize,
    pass: impl FnOnce() -> Answer<T> + Send,
) -> PyResult<Option<T>> {
    let ended = if size > LARGE { py.detach(|| guarded(pass)) } else { guarded(pass) };
    match ended? {
        Ok(answer) => Ok(Some(answer)),
        Err(Stop::Unanswered) => Ok(None),
        Err(Stop::NoMemory) => Err(PyMemoryError::new_err("no memory for a body")),
    }
}

/// Returns the result of a pass.
///
/// A panic in this module becomes an exception like any other: hookstream then stops the record's
/// partition, and does not end.
pub fn guarded<T>(pass: impl FnOnce() -> T) -> PyResult<T> {
    catch_unwind(AssertUnwindSafe(pass)).map_err(|_| {
        PyRuntimeError::new_err(
            "a defect of hookstream-native: run with HOOKSTREAM_NATIVE=0, and report the record",
        )
    })
}

/// The identity of an event, whether it is plain ASCII within its bounds, and its body if it was made.
type Read<'py> = (
    Bound<'py, PyString>,
    i64,
    Bound<'py, PyString>,
    Bound<'py, PyString>,
    bool,
    Option<Bound<'py, PyBytes>>,
);

fn read_of<'py>(
    py: Python<'py>,
    found: &Identity,
    body: Option<Bound<'py, PyBytes>>,
) -> Read<'py> {
    (
        PyString::new(py, found.event_id),
        found.occurred_at,
        PyString::new(py, found.entity_id),
        PyString::new(py, found.environment),
        found.is_plain(),
        body,
    )
}

#[pymethods]
impl Program {
    /// Takes the types, the event's record last; the places of its fields `event_id`, `occurred_at`,
    /// `entity_id`, `environment` and `data`; the beginning of its bodies; the most values of a record.
    #[new]
    fn new(
        types: Vec<Description>,
        places: (usize, usize, usize, usize, usize),
        head: Vec<u8>,
        most_values: u64,
    ) -> PyResult<Self> {
        let nodes = nodes_of(&types).map_err(PyValueError::new_err)?;
        let root = nodes.len() - 1;
        let (event_id, occurred_at, entity_id, environment, data) = places;
        let made = Program {
            nodes,
            root,
            places: Places {
                event_id,
                occurred_at,
                entity_id,
                environment,
                data,
            },
            head,
            most_values,
        };
        made.check_envelope().map_err(PyValueError::new_err)?;
        Ok(made)
    }

    /// Returns the identity of the event in a record that can be rendered; None: Python answers.
    fn check<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyBytes>,
        body_at: usize,
    ) -> PyResult<Option<Read<'py>>> {
        let bytes = value.as_bytes();
        let event = passed(py, bytes.len(), || {
            pass::event(self, bytes, body_at, &mut Checked)
        })?;
        Ok(event.map(|event| read_of(py, &event, None)))
    }

    /// Returns the same, and the event's `standard` body; None: Python answers.
    fn read<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyBytes>,
        body_at: usize,
    ) -> PyResult<Option<Read<'py>>> {
        let bytes = value.as_bytes();
        let found = passed(py, bytes.len(), || pass::body(self, bytes, body_at))?;
        let Some((event, head, data)) = found else {
            return Ok(None);
        };
        let (head, data) = (&head.bytes, &data.bytes);
        let body = PyBytes::new_with(py, head.len() + data.len() + 1, |body| {
            body[..head.len()].copy_from_slice(head);
            body[head.len()..head.len() + data.len()].copy_from_slice(data);
            body[head.len() + data.len()] = b'}';
            Ok(())
        })?;
        Ok(Some(read_of(py, &event, Some(body))))
    }

    /// Returns a selection of its data: paths as nested objects, each name with the paths below it.
    fn select(slf: &Bound<'_, Self>, asked: &Bound<'_, PyDict>) -> PyResult<Selection> {
        Selection::own(slf, asked)
    }
}

impl Program {
    pub fn fields(&self) -> &[Field] {
        match &self.nodes[self.root] {
            Node::Record(fields) => fields,
            _ => &[],
        }
    }

    pub fn field(&self, place: usize) -> Option<&Node> {
        self.fields().get(place).map(|field| &self.nodes[field.node])
    }

    fn check_envelope(&self) -> Result<(), String> {
        let places = &self.places;
        let texts = [places.event_id, places.entity_id];
        let fits = texts
            .iter()
            .all(|place| matches!(self.field(*place), Some(Node::Text)))
            && matches!(
                self.field(places.occurred_at),
                Some(Node::Long | Node::Moment { places: 6, .. })
            )
            && matches!(self.field(places.environment), Some(Node::Text | Node::Enum(_)))
            && matches!(self.field(places.data), Some(Node::Record(_)));
        if fits {
            Ok(())
        } else {
            Err("the record has not the envelope of an event".to_owned())
        }
    }
}

pub fn nodes_of(types: &[Description]) -> Result<Vec<Node>, String> {
    if types.is_empty() || types.len() > MOST_NODES {
        return Err(format!("{} types", types.len()));
    }
    let mut nodes = Vec::with_capacity(types.len());
    let mut levels: Vec<usize> = Vec::with_capacity(types.len());
    for described in types {
        let node = node_of(described, nodes.len())?;
        let level = 1 + parts_of(&node).iter().map(|part| levels[*part]).max().unwrap_or(0);
        if level > MOST_LEVELS {
            return Err(format!("more than {MOST_LEVELS} levels of types"));
        }
        levels.push(level);
        nodes.push(node);
    }
    Ok(nodes)
}

fn parts_of(node: &Node) -> Vec<usize> {
    match node {
        Node::Array(part) | Node::Map(part) => vec![*part],
        Node::Union(parts) => parts.clone(),
        Node::Record(fields) => fields.iter().map(|field| field.node).collect(),
        Node::Reread(reread) => {
            let made = reread.fields.iter().filter_map(|made| made.from);
            let made = made.map(|(_, node)| node);
            reread.written.iter().copied().chain(made).collect()
        }
        _ => Vec::new(),
    }
}

fn node_of((kind, texts, numbers): &Description, before: usize) -> Result<Node, String> {
    let wrong = || format!("{kind} of {} texts and {numbers:?}", texts.len());
    let part = |number: &i64| {
        usize::try_from(*number)
            .ok()
            .filter(|part| *part < before)
            .ok_or_else(wrong)
    };
    let size = |number: &i64| usize::try_from(*number).map_err(|_| wrong());
    let digits = |precision: &i64, scale: &i64| {
        let precision = u32::try_from(*precision).map_err(|_| wrong())?;
        let scale = usize::try_from(*scale).map_err(|_| wrong())?;
        if precision == 0 || precision > MOST_DIGITS || scale > precision as usize {
            return Err(wrong());
        }
        Ok((precision, scale))
    };
    Ok(match (kind.as_str(), numbers.as_slice()) {
        ("null", []) => Node::Null,
        ("int as text", []) => Node::Widened { int: true, to: Wider::Text },
        ("int as float", []) => Node::Widened { int: true, to: Wider::Float },
        ("int as double", []) => Node::Widened { int: true, to: Wider::Double },
        ("long as float", []) => Node::Widened { int: false, to: Wider::Float },
        ("long as double", []) => Node::Widened { int: false, to: Wider::Double },
        ("reread", [fills, written, rest @ ..]) => {
            let written = size(written)?;
            if rest.len() < written || rest.len() - written != texts.len() {
                return Err(wrong());
            }
            let (written, sources) = rest.split_at(written);
            Node::Reread(reread(size(fills)?, written, sources, texts, part).ok_or_else(wrong)?)
        }
        ("boolean", []) => Node::Boolean,
        ("int", []) => Node::Int,
        ("long", []) => Node::Long,
        ("long as text", []) => Node::LongText,
        ("float", []) => Node::Float,
        ("double", []) => Node::Double,
        ("string", []) => Node::Text,
        ("date", []) => Node::Date,
        ("time-millis", []) => Node::TimeMillis,
        ("time-micros", []) => Node::TimeMicros,
        ("timestamp-millis", []) => Node::Moment { places: 3, utc: true },
        ("timestamp-micros", []) => Node::Moment { places: 6, utc: true },
        ("timestamp-nanos", []) => Node::Moment { places: 9, utc: true },
        ("local-timestamp-millis", []) => Node::Moment { places: 3, utc: false },
        ("local-timestamp-micros", []) => Node::Moment { places: 6, utc: false },
        ("local-timestamp-nanos", []) => Node::Moment { places: 9, utc: false },
        ("bytes", []) => Node::Bytes,
        ("fixed", [bytes]) => Node::Fixed(size(bytes)?),
        ("decimal", [precision, scale]) => {
            let (precision, scale) = digits(precision, scale)?;
            Node::Decimal { precision, scale }
        }
        ("fixed decimal", [bytes, precision, scale]) => {
            let (precision, scale) = digits(precision, scale)?;
            let size = size(bytes)?;
            Node::FixedDecimal {
                size,
                precision,
                scale,
            }
        }
        ("uuid", []) => Node::Uuid,
        ("duration", []) => Node::Duration,
        ("enum", []) => Node::Enum(texts.clone()),
        ("array", [items]) => Node::Array(part(items)?),
        ("map", [values]) => Node::Map(part(values)?),
        ("union", branches) => Node::Union(branches.iter().map(part).collect::<Result<_, _>>()?),
        ("record", parts) if parts.len() == texts.len() => Node::Record(
            texts
                .iter()
                .zip(parts)
                .enumerate()
                .map(|(place, (name, number))| {
                    Ok(Field {
                        name: name.clone(),
                        key: key_of(name, place > 0)?,
                        node: part(number)?,
                    })
                })
                .collect::<Result<_, String>>()?,
        ),
        _ => return Err(wrong()),
    })
}

/// Makes the fields of a reader from texts (name, default) and numbers (place, type), -1 for a default.
fn reread(
    fills: usize,
    written: &[i64],
    sources: &[i64],
    texts: &[String],
    part: impl Fn(&i64) -> Result<usize, String>,
) -> Option<Reread> {
    let written: Vec<usize> = written.iter().map(&part).collect::<Result<_, _>>().ok()?;
    let mut fields = Vec::with_capacity(texts.len() / 2);
    for (number, (texts, source)) in texts.chunks_exact(2).zip(sources.chunks_exact(2)).enumerate() {
        let from = match source {
            [-1, -1] => None,
            [place, node] => {
                let place = usize::try_from(*place).ok().filter(|at| *at < written.len())?;
                Some((place, part(node).ok()?))
            }
            _ => return None,
        };
        fields.push(Made {
            name: texts[0].clone(),
            key: key_of(&texts[0], number > 0).ok()?,
            from,
            default: texts[1].clone().into_bytes(),
        });
    }
    let places = || fields.iter().filter_map(|made| made.from).map(|(place, _)| place);
    let in_order = places().zip(places().skip(1)).all(|(one, next)| one < next);
    Some(Reread {
        written,
        fields,
        fills: fills as u64,
        in_order,
    })
}

fn key_of(name: &str, follows: bool) -> Result<Vec<u8>, String> {
    let mut key = Text::sized(name.len() + 4).map_err(|_| "no memory for a name".to_owned())?;
    let written = (if follows { key.push(b',') } else { Ok(()) })
        .and_then(|()| key.string(name))
        .and_then(|()| key.push(b':'));
    written.map_err(|_| "a name of a field is too long".to_owned())?;
    Ok(key.bytes)
}
