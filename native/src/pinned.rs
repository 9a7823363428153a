//! Compiles a pair of schemas to a program that renders an event at another version than its record's.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyBytes, PyDict};

use crate::pass::{self, Identity};
use crate::pick::Selection;
use crate::program::{nodes_of, passed, Description, Node, Reread};

/// A pair of schemas: records of one, read as the other.
#[pyclass(frozen, module = "hookstream_native")]
pub struct Pinned {
    pub nodes: Vec<Node>,
    /// The place of `data` among the reader's fields.
    pub data: usize,
    /// The most values that defaults may fill into a record.
    pub most_fills: u64,
    /// Whether a record is only the data, since its envelope was read elsewhere.
    pub bare: bool,
    /// The text of a body before its timestamp.
    pub head: Vec<u8>,
}

#[pymethods]
impl Pinned {
    /// Takes the types, the event's record last; the place of `data` among the reader's fields; the most
    /// values that defaults may fill in; whether records are only the data; the beginning of its bodies.
    #[new]
    fn new(
        types: Vec<Description>,
        data: usize,
        most_fills: u64,
        bare: bool,
        head: Vec<u8>,
    ) -> PyResult<Self> {
        let nodes = nodes_of(&types).map_err(PyValueError::new_err)?;
        let made = Pinned {
            nodes,
            data,
            most_fills,
            bare,
            head,
        };
        if made.written_data().is_none() {
            return Err(PyValueError::new_err("the record has not the data of an event"));
        }
        Ok(made)
    }

    /// Returns the body of an event whose record was read before; None: Python answers.
    #[allow(clippy::too_many_arguments)]
    fn body<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyBytes>,
        body_at: usize,
        event_id: &str,
        occurred_at: i64,
        entity_id: &str,
        environment: &str,
    ) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let bytes = value.as_bytes();
        let identity = Identity {
            event_id,
            occurred_at,
            entity_id,
            environment,
        };
        let body = passed(py, bytes.len(), || pass::pinned(self, bytes, body_at, &identity))?;
        Ok(body.map(|body| PyBytes::new(py, &body.bytes)))
    }

    /// Returns a selection of its data, as `Program.select`; `loads` makes a value of JSON text.
    fn select(
        slf: &Bound<'_, Self>,
        asked: &Bound<'_, PyDict>,
        loads: &Bound<'_, PyAny>,
    ) -> PyResult<Selection> {
        Selection::pinned(slf, asked, loads)
    }
}

impl Pinned {
    /// Returns the event's record, the place of its data among the writer's fields, and the data's type.
    pub fn written_data(&self) -> Option<(&Reread, usize, &Node)> {
        let Some(Node::Reread(root)) = self.nodes.last() else {
            return None;
        };
        let (place, node) = root.fields.get(self.data)?.from?;
        Some((root, place, &self.nodes[node]))
    }
}
