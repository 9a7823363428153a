//! One pass from the bytes of Avro records to the JSON text of hookstream's bodies.
//!
//! hookstream's Python is the reference: what this module answers is what Python answers, byte for byte.
//! Whatever it does not answer (a refusal, a rare type) it leaves to Python by returning None, so that
//! every reason has one author.
#![forbid(unsafe_code)]

mod cursor;
mod foreign;
mod pass;
mod pick;
mod pinned;
mod plain;
mod program;
mod text;

use pyo3::prelude::*;

/// The version of what this module and hookstream's Python agree on; each refuses another.
const CONTRACT: u32 = 4;

/// The hash of the files that this was built from (`python -m tools.native`), empty if nobody said it.
const SOURCE: &str = match option_env!("HOOKSTREAM_NATIVE_SOURCE") {
    Some(hash) => hash,
    None => "",
};

#[pymodule]
fn hookstream_native(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("CONTRACT", CONTRACT)?;
    module.add("SOURCE", SOURCE)?;
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<program::Program>()?;
    module.add_class::<pinned::Pinned>()?;
    module.add_class::<foreign::Foreign>()?;
    module.add_class::<pick::Selection>()?;
    module.add_function(wrap_pyfunction!(text::number_texts, module)?)
}
