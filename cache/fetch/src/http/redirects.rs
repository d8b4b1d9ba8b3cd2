//! Redirects: the rules and the limit.

use ureq::Body;
use ureq::http::Response;

use crate::error::FetchError;
use crate::url::Url;

/// Limit on redirects, which ends loops.
pub(crate) const MAX_REDIRECTS: u32 = 10;

/// The error for an endless redirect.
pub(crate) fn circle(url: &Url) -> FetchError {
    FetchError::Redirect { url: url.clone(), what: format!("more than {MAX_REDIRECTS} times") }
}

/// The address that a redirect leads to.
pub(crate) fn target(url: &Url, response: &Response<Body>) -> Result<Url, FetchError> {
    let refuse = |what: String| FetchError::Redirect { url: url.clone(), what };
    let location = response.headers().get("location").and_then(|value| value.to_str().ok());
    let location = location.ok_or_else(|| refuse("without a destination".to_owned()))?;
    let next = url.join(location).map_err(|error| refuse(format!("to an invalid address: {error}")))?;
    url.may_lead_to(&next).map_err(refuse)?;
    Ok(next)
}
