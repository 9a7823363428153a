//! One pass from the bytes of Avro records to the JSON text of hookstream's bodies.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

/// The version of what this module and hookstream's Python agree on; each refuses another.
const CONTRACT: u32 = 1;

#[pymodule]
fn hookstream_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("CONTRACT", CONTRACT)
}
