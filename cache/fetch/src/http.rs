//! HTTP requests and responses. The caller supplies the authentication headers; this module does not look up
//! credentials.

pub(crate) mod agents;
pub mod answer;
pub mod ask;
pub(crate) mod auth_headers;
mod explanation;
mod redirects;
pub mod refusal;
pub mod sending;
mod watched;
