//! Files below an address, on any web server.

use mc_ir::origin::Origin;

use crate::checksum::Expected;
use crate::error::FetchError;
use crate::origins::listing::{RemoteFile, checked};
use crate::url::Url;

/// The files that the declaration lists. No request is sent, because a web server has no list.
///
/// # Errors
/// Fails if the address or a name cannot be used.
pub fn files(origin: &Origin, base: &str, names: &[String]) -> Result<Vec<RemoteFile>, FetchError> {
    let file = |name: &String| {
        Ok(RemoteFile {
            name: name.clone(),
            url: address(origin, base, name)?,
            expected: Expected::default(),
        })
    };
    checked(origin, names.iter().map(file).collect::<Result<_, FetchError>>()?)
}

/// Address of a file.
///
/// # Errors
/// Fails if the address cannot be used.
pub fn address(origin: &Origin, base: &str, name: &str) -> Result<Url, FetchError> {
    let base = Url::parse(base).map_err(|source| FetchError::Url { origin: origin.to_string(), source })?;
    Ok(base.below(name))
}
