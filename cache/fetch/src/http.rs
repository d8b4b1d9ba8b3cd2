//! Requests over HTTP and their answers. Whoever asks brings the headers that say who that is: no credentials are looked
//! up here.

pub(crate) mod watched;
