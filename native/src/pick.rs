//! Picks the values at requested paths of a record, as Python objects, and skips all others.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyFloat, PyList, PyString};
use pyo3::IntoPyObjectExt;

use crate::cursor::{Answer, Cursor, Stop};
use crate::pass::{boolean, float, int, long, starts_of, widened};
use crate::pinned::Pinned;
use crate::plain;
use crate::program::{guarded, Node, Program, Reread, Wider};
use crate::text::Text;

/// The selection from the data of a program's records.
#[pyclass(frozen, module = "hookstream_native")]
pub struct Selection {
    source: Source,
    plan: Plan,
}

/// The program of the records.
enum Source {
    Own(Py<Program>),
    Pinned(Py<Pinned>),
}

/// The requested part of a value.
pub enum Plan {
    /// The value in its JSON form.
    Whole,
    /// The value as Python decodes it, without its logical type.
    Raw,
    /// A record or a map without requested values.
    Empty,
    /// Fields by their places, ascending, each with its name and its requested part.
    Record(Vec<(usize, Py<PyString>, Plan)>),
    /// Fields of a reader in its order, and whether the writer's are in the same one.
    Reread(Vec<Wanted>, bool),
    /// Values by their keys.
    Map(Vec<(String, Py<PyString>, Plan)>),
    Array(Box<Plan>),
    Union(Vec<Plan>),
}

/// The form in which values without parts are picked.
#[derive(Clone, Copy)]
pub enum Leaves<'a> {
    /// As in JSON; the function makes a value of a default's JSON text.
    InJson(Option<&'a Bound<'a, PyAny>>),
    /// See `Plan::Raw`.
    Raw,
}

/// A requested field of a reader.
pub struct Wanted {
    name: Py<PyString>,
    from: Origin,
}

pub enum Origin {
    /// The place of the writer's field, the type that it is read as, and its requested part.
    Written(usize, usize, Plan),
    /// Its whole default. Picked values are never changed, so all records share it.
    Default(Py<PyAny>),
}

/// Ends a walk: a Python error, or a value that this module does not handle.
pub enum End {
    Unanswered,
    Raised(PyErr),
}

impl End {
    /// Returns the result of a walk; None: Python answers.
    pub fn as_answer<T>(found: Result<T, End>) -> PyResult<Option<T>> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(End::Unanswered) => Ok(None),
            Err(End::Raised(raised)) => Err(raised),
        }
    }
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Unanswered => End::Unanswered,
            Stop::NoMemory => End::Raised(PyMemoryError::new_err("no memory for a value")),
        }
    }
}

impl From<PyErr> for End {
    fn from(raised: PyErr) -> Self {
        End::Raised(raised)
    }
}

impl Selection {
    /// Selects paths of the data in the records' own schema.
    pub fn own(program: &Bound<'_, Program>, asked: &Bound<'_, PyDict>) -> PyResult<Self> {
        let found = program.get();
        let data = found.field(found.places.data).unwrap_or(&Node::Null);
        Ok(Selection {
            plan: plan_of(&found.nodes, data, asked, Leaves::InJson(None))?,
            source: Source::Own(program.clone().unbind()),
        })
    }

    /// Selects paths of the data in a reader's schema. `loads` makes a default of its JSON text.
    pub fn pinned(
        pair: &Bound<'_, Pinned>,
        asked: &Bound<'_, PyDict>,
        loads: &Bound<'_, PyAny>,
    ) -> PyResult<Self> {
        let found = pair.get();
        let data = found.written_data().map_or(&Node::Null, |(_, _, data)| data);
        Ok(Selection {
            plan: plan_of(&found.nodes, data, asked, Leaves::InJson(Some(loads)))?,
            source: Source::Pinned(pair.clone().unbind()),
        })
    }

    fn find<'py>(&self, py: Python<'py>, cursor: &mut Cursor) -> Result<Bound<'py, PyAny>, End> {
        match &self.source {
            Source::Own(program) => {
                let program = program.get();
                let (nodes, fields) = (&program.nodes, program.fields());
                let data = fields.get(program.places.data).ok_or(Stop::Unanswered)?;
                for field in &fields[..program.places.data] {
                    skip(nodes, &nodes[field.node], cursor)?;
                }
                take(py, nodes, &self.plan, &nodes[data.node], cursor)
            }
            Source::Pinned(pair) => {
                let pair = pair.get();
                let (root, place, data) = pair.written_data().ok_or(Stop::Unanswered)?;
                if !pair.bare {
                    skip_all(&pair.nodes, &root.written[..place], cursor)?;
                }
                take(py, &pair.nodes, &self.plan, data, cursor)
            }
        }
    }
}

#[pymethods]
impl Selection {
    /// Returns the selection from a record that the program read before, or whose body the pair made before.
    ///
    /// None: Python answers.
    fn pick<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyBytes>,
        body_at: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        End::as_answer(guarded(|| self.find(py, &mut Cursor::new(value.as_bytes(), body_at)))?)
    }
}

impl Plan {
    /// Returns the requested part of a record whose body starts at a position.
    pub fn of<'py>(
        &self,
        py: Python<'py>,
        nodes: &[Node],
        root: &Node,
        value: &[u8],
        body_at: usize,
    ) -> Result<Bound<'py, PyAny>, End> {
        take(py, nodes, self, root, &mut Cursor::new(value, body_at))
    }
}

/// Returns the plan for the requested part of a type: names as nested objects.
pub fn plan_of(
    nodes: &[Node],
    node: &Node,
    asked: &Bound<'_, PyDict>,
    leaves: Leaves,
) -> PyResult<Plan> {
    let part = |node: usize, asked: &Bound<'_, PyDict>| plan_of(nodes, &nodes[node], asked, leaves);
    Ok(match node {
        Node::Record(_) | Node::Reread(_) | Node::Map(_) if asked.is_empty() => Plan::Empty,
        Node::Record(fields) => {
            let mut parts = Vec::new();
            for (place, field) in fields.iter().enumerate() {
                if let Some(below) = asked.get_item(&field.name)? {
                    let plan = part(field.node, below.cast()?)?;
                    let name = PyString::intern(asked.py(), &field.name);
                    parts.push((place, name.unbind(), plan));
                }
            }
            Plan::Record(parts)
        }
        Node::Reread(reread) => {
            let mut parts = Vec::new();
            let (mut done, mut in_order) = (0, true);
            for made in &reread.fields {
                let Some(below) = asked.get_item(&made.name)? else {
                    continue;
                };
                let from = match (made.from, leaves) {
                    (Some((place, node)), _) => {
                        in_order &= place >= done;
                        done = place + 1;
                        Origin::Written(place, node, part(node, below.cast()?)?)
                    }
                    (None, Leaves::InJson(Some(loads))) => {
                        let text = PyBytes::new(asked.py(), &made.default);
                        Origin::Default(loads.call1((text,))?.unbind())
                    }
                    (None, _) => Origin::Default(asked.py().None()),
                };
                let name = PyString::intern(asked.py(), &made.name).unbind();
                parts.push(Wanted { name, from });
            }
            Plan::Reread(parts, in_order)
        }
        Node::Map(values) => {
            let mut parts = Vec::new();
            for (key, below) in asked {
                let plan = part(*values, below.cast()?)?;
                let key: Bound<'_, PyString> = key.cast_into()?;
                parts.push((key.to_str()?.to_owned(), key.unbind(), plan));
            }
            Plan::Map(parts)
        }
        Node::Array(items) => Plan::Array(Box::new(part(*items, asked)?)),
        Node::Union(branches) => {
            let plans = branches.iter().map(|branch| part(*branch, asked));
            Plan::Union(plans.collect::<PyResult<_>>()?)
        }
        _ => match leaves {
            Leaves::InJson(_) => Plan::Whole,
            Leaves::Raw => Plan::Raw,
        },
    })
}

fn take<'py>(
    py: Python<'py>,
    nodes: &[Node],
    plan: &Plan,
    node: &Node,
    cursor: &mut Cursor,
) -> Result<Bound<'py, PyAny>, End> {
    match (plan, node) {
        (Plan::Record(parts), Node::Record(fields)) => {
            let made = PyDict::new(py);
            let mut done = 0;
            for (place, name, below) in parts {
                for field in &fields[done..*place] {
                    skip(nodes, &nodes[field.node], cursor)?;
                }
                let inner = &nodes[fields[*place].node];
                made.set_item(name, take(py, nodes, below, inner, cursor)?)?;
                done = place + 1;
            }
            for field in &fields[done..] {
                skip(nodes, &nodes[field.node], cursor)?;
            }
            Ok(made.into_any())
        }
        (Plan::Reread(parts, in_order), Node::Reread(reread)) => {
            if *in_order {
                reread_in_order(py, nodes, parts, reread, cursor)
            } else {
                reread_at_places(py, nodes, parts, reread, cursor)
            }
        }
        (Plan::Map(parts), Node::Map(values)) => {
            let made = PyDict::new(py);
            each(cursor, |cursor| {
                let key = cursor.bytes()?;
                let values = &nodes[*values];
                match parts.iter().find(|(asked, _, _)| asked.as_bytes() == key) {
                    Some((_, name, below)) => {
                        made.set_item(name, take(py, nodes, below, values, cursor)?)?;
                    }
                    None => skip(nodes, values, cursor)?,
                }
                Ok::<(), End>(())
            })?;
            Ok(made.into_any())
        }
        (Plan::Array(below), Node::Array(items)) => {
            let made = PyList::empty(py);
            each(cursor, |cursor| {
                made.append(take(py, nodes, below, &nodes[*items], cursor)?)?;
                Ok::<(), End>(())
            })?;
            Ok(made.into_any())
        }
        (Plan::Union(plans), Node::Union(branches)) => {
            let branch = cursor.index(branches.len())?;
            take(py, nodes, &plans[branch], &nodes[branches[branch]], cursor)
        }
        (Plan::Empty, _) => {
            skip(nodes, node, cursor)?;
            Ok(PyDict::new(py).into_any())
        }
        (Plan::Raw, _) => raw(py, node, cursor),
        _ => leaf(py, node, cursor),
    }
}

fn reread_in_order<'py>(
    py: Python<'py>,
    nodes: &[Node],
    parts: &[Wanted],
    reread: &Reread,
    cursor: &mut Cursor,
) -> Result<Bound<'py, PyAny>, End> {
    let made = PyDict::new(py);
    let mut done = 0;
    for wanted in parts {
        match &wanted.from {
            Origin::Written(place, node, below) => {
                skip_all(nodes, &reread.written[done..*place], cursor)?;
                made.set_item(&wanted.name, take(py, nodes, below, &nodes[*node], cursor)?)?;
                done = place + 1;
            }
            Origin::Default(value) => made.set_item(&wanted.name, value)?,
        }
    }
    skip_all(nodes, &reread.written[done..], cursor)?;
    Ok(made.into_any())
}

fn reread_at_places<'py>(
    py: Python<'py>,
    nodes: &[Node],
    parts: &[Wanted],
    reread: &Reread,
    cursor: &mut Cursor,
) -> Result<Bound<'py, PyAny>, End> {
    let made = PyDict::new(py);
    let starts = starts_of(nodes, reread, cursor)?;
    for wanted in parts {
        match &wanted.from {
            Origin::Written(place, node, below) => {
                let found = take(py, nodes, below, &nodes[*node], &mut starts[*place].clone())?;
                made.set_item(&wanted.name, found)?;
            }
            Origin::Default(value) => made.set_item(&wanted.name, value)?,
        }
    }
    Ok(made.into_any())
}

/// Calls for each item of all blocks.
fn each<E: From<Stop>>(
    cursor: &mut Cursor,
    mut item: impl FnMut(&mut Cursor) -> Result<(), E>,
) -> Result<(), E> {
    loop {
        let items = cursor.block()?;
        if items == 0 {
            return Ok(());
        }
        for _ in 0..items {
            item(cursor)?;
        }
    }
}

fn leaf<'py>(py: Python<'py>, node: &Node, cursor: &mut Cursor) -> Result<Bound<'py, PyAny>, End> {
    Ok(match node {
        Node::Text => PyString::new(py, cursor.text()?).into_any(),
        Node::Enum(symbols) => PyString::new(py, &symbols[cursor.index(symbols.len())?]).into_any(),
        Node::Null => py.None().into_bound(py),
        Node::Boolean => boolean(cursor)?.into_bound_py_any(py)?,
        Node::Int => int(cursor)?.into_bound_py_any(py)?,
        Node::Long => long(cursor)?.into_bound_py_any(py)?,
        Node::Float => PyFloat::new(py, float(cursor)?).into_any(),
        Node::Double => {
            let number = f64::from_le_bytes(cursor.exactly()?);
            if !number.is_finite() {
                return Err(End::Unanswered);
            }
            PyFloat::new(py, number).into_any()
        }
        Node::Widened { int: is_int, to } => {
            let number = if *is_int { int(cursor)? } else { cursor.long()? };
            match to {
                Wider::Text => {
                    PyString::new(py, itoa::Buffer::new().format(number)).into_any()
                }
                to => PyFloat::new(py, widened(number, *to)?).into_any(),
            }
        }
        _ => {
            let mut text = Text::sized(32)?;
            if !plain::write(node, cursor, &mut text)? {
                return Err(End::Unanswered);
            }
            let text = std::str::from_utf8(&text.bytes).map_err(|_| Stop::Unanswered)?;
            PyString::new(py, text).into_any()
        }
    })
}

/// Returns a value of a type that an envelope's field may have.
fn raw<'py>(py: Python<'py>, node: &Node, cursor: &mut Cursor) -> Result<Bound<'py, PyAny>, End> {
    match node {
        Node::Null | Node::Text | Node::Enum(_) => leaf(py, node, cursor),
        Node::Int | Node::Long | Node::LongText | Node::Moment { .. } => {
            Ok(cursor.long()?.into_bound_py_any(py)?)
        }
        Node::Uuid => Ok(PyBytes::new(py, &cursor.exactly::<16>()?).into_any()),
        _ => Err(End::Unanswered),
    }
}

/// Skips one value of a record that was read before.
pub fn skip(nodes: &[Node], node: &Node, cursor: &mut Cursor) -> Answer<()> {
    match node {
        Node::Null => Ok(()),
        Node::Boolean => cursor.take(1).map(drop),
        Node::Float => cursor.take(4).map(drop),
        Node::Double => cursor.take(8).map(drop),
        Node::Duration => cursor.take(12).map(drop),
        Node::Uuid => cursor.take(16).map(drop),
        Node::Fixed(size) | Node::FixedDecimal { size, .. } => cursor.take(*size).map(drop),
        Node::Text | Node::Bytes | Node::Decimal { .. } => cursor.bytes().map(drop),
        Node::Int
        | Node::Long
        | Node::LongText
        | Node::Date
        | Node::TimeMillis
        | Node::TimeMicros
        | Node::Moment { .. }
        | Node::Widened { .. }
        | Node::Enum(_) => cursor.long().map(drop),
        Node::Union(branches) => {
            let branch = branches[cursor.index(branches.len())?];
            skip(nodes, &nodes[branch], cursor)
        }
        Node::Record(fields) => fields
            .iter()
            .try_for_each(|field| skip(nodes, &nodes[field.node], cursor)),
        Node::Reread(reread) => skip_all(nodes, &reread.written, cursor),
        Node::Array(items) => each(cursor, |cursor| skip(nodes, &nodes[*items], cursor)),
        Node::Map(values) => each(cursor, |cursor| {
            cursor.bytes()?;
            skip(nodes, &nodes[*values], cursor)
        }),
    }
}

/// Skips the values of some types.
pub fn skip_all(nodes: &[Node], types: &[usize], cursor: &mut Cursor) -> Answer<()> {
    let mut types = types.iter();
    types.try_for_each(|node| skip(nodes, &nodes[*node], cursor))
}
