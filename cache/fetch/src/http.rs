//! Requests over HTTP and their answers. Whoever asks brings the headers that say who that is: no credentials are looked
//! up here.

pub(crate) mod agents;
pub mod answer;
pub mod ask;
mod explanation;
mod redirects;
pub mod refusal;
pub mod sending;
pub(crate) mod told;
mod watched;
