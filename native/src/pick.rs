//! Picks the values of asked paths out of a record, as Python objects, and walks over all others.

use pyo3::exceptions::PyMemoryError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyList, PyString};
use pyo3::IntoPyObjectExt;

use crate::cursor::{Answer, Cursor, Stop};
use crate::pass::{boolean, float, int, long};
use crate::plain;
use crate::program::{Node, Program};
use crate::text::Text;

/// What is asked of a program's data.
#[pyclass(frozen, module = "hookstream_native")]
pub struct Selection {
    plan: Plan,
}

/// What is asked of a value.
enum Plan {
    /// The value as it is.
    Whole,
    /// A record or a map of which nothing is asked, but that it is one.
    Empty,
    /// Fields by their places, ascending, each with its name and what is asked of it.
    Record(Vec<(usize, Py<PyString>, Plan)>),
    /// Values by their keys.
    Map(Vec<(String, Py<PyString>, Plan)>),
    Array(Box<Plan>),
    Union(Vec<Plan>),
}

/// Ends a walk: an error of Python's, or a value that this module does not answer for.
enum End {
    Unanswered,
    Raised(PyErr),
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
    pub fn new(program: &Program, asked: &Bound<'_, PyDict>) -> PyResult<Self> {
        let data = program.field(program.places.data).unwrap_or(&Node::Null);
        Ok(Selection {
            plan: plan_of(program, data, asked)?,
        })
    }

    /// Returns what is selected of a record's data; None: Python answers.
    pub fn of<'py>(
        &self,
        py: Python<'py>,
        program: &Program,
        value: &[u8],
        body_at: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.find(py, program, &mut Cursor::new(value, body_at)) {
            Ok(found) => Ok(Some(found)),
            Err(End::Unanswered) => Ok(None),
            Err(End::Raised(raised)) => Err(raised),
        }
    }

    fn find<'py>(
        &self,
        py: Python<'py>,
        program: &Program,
        cursor: &mut Cursor,
    ) -> Result<Bound<'py, PyAny>, End> {
        let Node::Record(fields) = &program.nodes[program.root] else {
            return Err(End::Unanswered);
        };
        for field in &fields[..program.places.data] {
            skip(&program.nodes, &program.nodes[field.node], cursor)?;
        }
        let data = &program.nodes[fields[program.places.data].node];
        take(py, program, &self.plan, data, cursor)
    }
}

fn plan_of(program: &Program, node: &Node, asked: &Bound<'_, PyDict>) -> PyResult<Plan> {
    Ok(match node {
        Node::Record(_) | Node::Map(_) if asked.is_empty() => Plan::Empty,
        Node::Record(fields) => {
            let mut parts = Vec::new();
            for (place, field) in fields.iter().enumerate() {
                if let Some(below) = asked.get_item(&field.name)? {
                    let plan = plan_of(program, &program.nodes[field.node], below.cast()?)?;
                    let name = PyString::intern(asked.py(), &field.name);
                    parts.push((place, name.unbind(), plan));
                }
            }
            Plan::Record(parts)
        }
        Node::Map(values) => {
            let mut parts = Vec::new();
            for (key, below) in asked {
                let plan = plan_of(program, &program.nodes[*values], below.cast()?)?;
                let key: Bound<'_, PyString> = key.cast_into()?;
                parts.push((key.to_str()?.to_owned(), key.unbind(), plan));
            }
            Plan::Map(parts)
        }
        Node::Array(items) => Plan::Array(Box::new(plan_of(program, &program.nodes[*items], asked)?)),
        Node::Union(branches) => Plan::Union(
            branches
                .iter()
                .map(|branch| plan_of(program, &program.nodes[*branch], asked))
                .collect::<PyResult<_>>()?,
        ),
        _ => Plan::Whole,
    })
}

fn take<'py>(
    py: Python<'py>,
    program: &Program,
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
                    skip(&program.nodes, &program.nodes[field.node], cursor)?;
                }
                let inner = &program.nodes[fields[*place].node];
                made.set_item(name, take(py, program, below, inner, cursor)?)?;
                done = place + 1;
            }
            for field in &fields[done..] {
                skip(&program.nodes, &program.nodes[field.node], cursor)?;
            }
            Ok(made.into_any())
        }
        (Plan::Map(parts), Node::Map(values)) => {
            let made = PyDict::new(py);
            each(cursor, |cursor| {
                let key = cursor.bytes()?;
                let values = &program.nodes[*values];
                match parts.iter().find(|(asked, _, _)| asked.as_bytes() == key) {
                    Some((_, name, below)) => {
                        made.set_item(name, take(py, program, below, values, cursor)?)?;
                    }
                    None => skip(&program.nodes, values, cursor)?,
                }
                Ok::<(), End>(())
            })?;
            Ok(made.into_any())
        }
        (Plan::Array(below), Node::Array(items)) => {
            let made = PyList::empty(py);
            each(cursor, |cursor| {
                made.append(take(py, program, below, &program.nodes[*items], cursor)?)?;
                Ok::<(), End>(())
            })?;
            Ok(made.into_any())
        }
        (Plan::Union(plans), Node::Union(branches)) => {
            let branch = cursor.index(branches.len())?;
            take(py, program, &plans[branch], &program.nodes[branches[branch]], cursor)
        }
        (Plan::Empty, _) => {
            skip(&program.nodes, node, cursor)?;
            Ok(PyDict::new(py).into_any())
        }
        _ => leaf(py, node, cursor),
    }
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

/// Walks over one value of a record that was read before.
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
        Node::Reread(reread) => {
            let mut written = reread.written.iter();
            written.try_for_each(|node| skip(nodes, &nodes[*node], cursor))
        }
        Node::Array(items) => each(cursor, |cursor| skip(nodes, &nodes[*items], cursor)),
        Node::Map(values) => each(cursor, |cursor| {
            cursor.bytes()?;
            skip(nodes, &nodes[*values], cursor)
        }),
    }
}
