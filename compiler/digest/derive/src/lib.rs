//! The derive macro of `mc_digest::content_hash::ContentHash`.
//!
//! Every field has its own name in the digest, independent of its name in Rust: a field that is renamed, or moved within
//! its struct, keeps the digest. A field that is absent (`ContentHash::is_absent`), or that has `default` and its
//! type's default value, is not hashed, so that a new option keeps the digests of everything that does not use it.
//!
//! | attribute | on | meaning |
//! |---|---|---|
//! | `#[content("name")]` | a struct, a variant, a field | its name in the digest |
//! | `#[content("name", default)]` | a field | not hashed if it is the default of its type |
//! | `#[content(skip)]` | a field | never hashed: no byte depends on it |
//! | `#[content(transparent)]` | a struct with one field | hashed as that field |

mod attribute;
mod expand;

use proc_macro::TokenStream;
use syn::{DeriveInput, parse_macro_input};

/// Derives `ContentHash`; the module documentation lists the attributes.
#[proc_macro_derive(ContentHash, attributes(content))]
pub fn content_hash(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand::expand(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
