//! Requests over HTTP and their answers. Whoever asks brings the headers that say who that is: no credentials are looked
//! up here.

pub(crate) mod agents;
pub mod answer;
pub mod ask;
pub(crate) mod auth_headers;
mod explanation;
mod redirects;
pub mod refusal;
pub mod sending;
mod watched;
