//! One pass from the bytes of Avro records to the JSON text of hookstream's bodies.
#![forbid(unsafe_code)]

use pyo3::prelude::*;

/// The version of what this module and hookstream's Python agree on; each refuses another.
const CONTRACT: u32 = 1;

/// The hash of the files that this was built from (`python -m tools.native`), empty if nobody said it.
const SOURCE: &str = match option_env!("HOOKSTREAM_NATIVE_SOURCE") {
    Some(hash) => hash,
    None => "",
};

#[pymodule]
fn hookstream_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add("SOURCE", SOURCE)?;
    module.add("CONTRACT", CONTRACT)
}
