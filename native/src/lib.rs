//! Turns the bytes of Avro records into the JSON text of hookstream's bodies, in one pass.
//!
//! hookstream's Python is the reference: a result of this module equals Python's, byte for byte.
//! Everything else (a refusal, a rare type) it leaves to Python by returning None, so that every reason
//! has one source.
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

/// The version of the contract between this module and hookstream's Python; each refuses another.
const CONTRACT: u32 = 4;

/// The hash of the files that this was built from (`python -m tools.native`), empty if it was not given.
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
