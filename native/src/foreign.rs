//! Checks the records of a foreign schema, which a mapping turns into events, and picks their envelope.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::pass;
use crate::pick::{plan_of, End, Leaves, Plan};
use crate::program::{guarded, nodes_of, passed, Description, Node};

/// A foreign schema, ready to be read.
#[pyclass(frozen, module = "hookstream_native")]
pub struct Foreign {
    nodes: Vec<Node>,
    root: usize,
    /// The most values of a record.
    most_values: u64,
    /// The fields of the envelope.
    envelope: Plan,
}

#[pymethods]
impl Foreign {
    /// Takes the types, the record last; the paths of its envelope, as nested objects; the most values
    /// of a record.
    #[new]
    fn new(types: Vec<Description>, asked: &Bound<'_, PyDict>, most_values: u64) -> PyResult<Self> {
        let nodes = nodes_of(&types).map_err(PyValueError::new_err)?;
        let root = nodes.len() - 1;
        if !matches!(nodes[root], Node::Record(_)) {
            return Err(PyValueError::new_err("the schema is not a record"));
        }
        let envelope = plan_of(&nodes, &nodes[root], asked, Leaves::Raw)?;
        Ok(Foreign {
            nodes,
            root,
            most_values,
            envelope,
        })
    }

    /// Returns the fields of the envelope, as Python decodes them; None: Python answers.
    ///
    /// If there is a result, the whole record is valid and can be rendered.
    fn read<'py>(
        &self,
        py: Python<'py>,
        value: &Bound<'py, PyBytes>,
        body_at: usize,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let (bytes, root) = (value.as_bytes(), &self.nodes[self.root]);
        let check = || pass::check(&self.nodes, root, self.most_values, bytes, body_at);
        if passed(py, bytes.len(), check)?.is_none() {
            return Ok(None);
        }
        End::as_answer(guarded(|| self.envelope.of(py, &self.nodes, root, bytes, body_at))?)
    }
}
