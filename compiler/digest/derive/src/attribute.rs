//! The attribute `#[content(…)]`.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Ident, LitStr, Result, Token};

/// Arguments of one `#[content(…)]` attribute.
#[derive(Default)]
pub(crate) struct Content {
    /// The name in the digest.
    pub(crate) name: Option<String>,
    /// True if a field with the default value is not hashed.
    pub(crate) is_default_absent: bool,
    /// True if the field is never hashed.
    pub(crate) is_skipped: bool,
    /// True if the struct is hashed as its only field.
    pub(crate) is_transparent: bool,
}

impl Content {
    /// Reads the `content` attribute from an item's attributes.
    ///
    /// # Errors
    /// If there are several such attributes, or an argument is unknown.
    pub(crate) fn of(attributes: &[Attribute]) -> Result<Self> {
        let mut found = attributes.iter().filter(|attribute| attribute.path().is_ident("content"));
        let Some(attribute) = found.next() else {
            return Ok(Self::default());
        };
        if let Some(second) = found.next() {
            return Err(Error::new_spanned(second, "expected one `#[content(…)]`"));
        }
        attribute.parse_args()
    }

    /// Returns the name, which is required on every struct, variant and field.
    ///
    /// # Errors
    /// If there is no name.
    pub(crate) fn required_name(&self, span: Span) -> Result<&str> {
        let missing = "expected `#[content(\"name\")]`: the name in the digest, which never changes";
        self.name.as_deref().ok_or_else(|| Error::new(span, missing))
    }
}

impl Parse for Content {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut content = Self::default();
        while !input.is_empty() {
            if input.peek(LitStr) {
                content.name = Some(input.parse::<LitStr>()?.value());
            } else {
                let word: Ident = input.parse()?;
                match word.to_string().as_str() {
                    "default" => content.is_default_absent = true,
                    "skip" => content.is_skipped = true,
                    "transparent" => content.is_transparent = true,
                    _ => {
                        return Err(Error::new(
                            word.span(),
                            "expected a name, `default`, `skip` or `transparent`",
                        ));
                    }
                }
            }
            if !input.is_empty() {
                input.parse::<Token![,]>()?;
            }
        }
        Ok(content)
    }
}
