//! The code of a derived `ContentHash`.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{Data, DataEnum, DeriveInput, Error, Fields, Ident, Index, Member, Result, parse_quote};

use crate::attribute::Content;

/// Expands the derive for a struct or an enum.
///
/// # Errors
/// If a name is missing or given twice, or the item is a union.
pub(crate) fn expand(input: &DeriveInput) -> Result<TokenStream> {
    let content = Content::of(&input.attrs)?;
    let body = match &input.data {
        Data::Struct(data) if content.is_transparent => transparent(&data.fields)?,
        Data::Struct(data) => {
            let name = content.required_name(input.ident.span())?;
            let access = |member: &Member| quote!(&self.#member);
            let fields = fields(&data.fields, &access)?;
            quote! { state.name(#name); #fields state.end(); }
        }
        Data::Enum(data) => variants(data)?,
        Data::Union(_) => return Err(Error::new(input.ident.span(), "a union has no content to hash")),
    };
    let ident = &input.ident;
    let mut generics = input.generics.clone();
    for parameter in generics.type_params_mut() {
        parameter.bounds.push(parse_quote!(::mc_digest::content_hash::ContentHash));
    }
    let (parameters, arguments, condition) = generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #parameters ::mc_digest::content_hash::ContentHash for #ident #arguments #condition {
            fn content_hash(&self, state: &mut ::mc_digest::content_hash::ContentHasher) {
                #body
            }
        }
    })
}

fn transparent(fields: &Fields) -> Result<TokenStream> {
    let mut members = fields.members();
    match (members.next(), members.next()) {
        (Some(member), None) => {
            Ok(quote!(::mc_digest::content_hash::ContentHash::content_hash(&self.#member, state);))
        }
        _ => Err(Error::new(fields.span(), "`transparent` needs exactly one field")),
    }
}

fn variants(data: &DataEnum) -> Result<TokenStream> {
    let mut names = Names::default();
    let mut arms = Vec::new();
    for variant in &data.variants {
        let content = Content::of(&variant.attrs)?;
        let name = content.required_name(variant.ident.span())?;
        names.take(name, variant.ident.span())?;
        let ident = &variant.ident;
        let bindings: Vec<(Member, Ident)> =
            variant.fields.members().map(|member| (member.clone(), binding(&member))).collect();
        let patterns = bindings.iter().map(|(member, binding)| quote!(#member: #binding));
        let access = |member: &Member| {
            let binding = binding(member);
            quote!(#binding)
        };
        let hashed = fields(&variant.fields, &access)?;
        let unused = bindings.iter().map(|(_, binding)| quote!(let _ = #binding;));
        arms.push(quote! {
            Self::#ident { #(#patterns),* } => { #(#unused)* state.name(#name); #hashed state.end(); }
        });
    }
    Ok(quote!(match self { #(#arms)* }))
}

fn binding(member: &Member) -> Ident {
    match member {
        Member::Named(name) => format_ident!("field_{}", name),
        Member::Unnamed(Index { index, .. }) => format_ident!("field_{}", index),
    }
}

/// Feeds every field that is present, in the order of the names.
fn fields(fields: &Fields, access: &dyn Fn(&Member) -> TokenStream) -> Result<TokenStream> {
    let mut names = Names::default();
    let mut hashed = BTreeMap::new();
    for (field, member) in fields.iter().zip(fields.members()) {
        let content = Content::of(&field.attrs)?;
        if content.is_skipped {
            continue;
        }
        let name = content.required_name(field.span())?;
        names.take(name, field.span())?;
        let value = access(&member);
        let condition = if content.is_default_absent {
            quote!(!::mc_digest::content_hash::is_default(#value))
        } else {
            quote!(!::mc_digest::content_hash::ContentHash::is_absent(#value))
        };
        hashed.insert(name.to_owned(), quote!(if #condition { state.field(#name).field(#value); }));
    }
    let hashed = hashed.into_values();
    Ok(quote!(#(#hashed)*))
}

/// Names that are already in use.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn take(&mut self, name: &str, span: Span) -> Result<()> {
        if self.0.insert(name.to_owned()) {
            return Ok(());
        }
        Err(Error::new(span, format!("`{name}` is used twice as a name")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(input: &DeriveInput) -> String {
        expand(input).expect_err("the derive refuses it").to_string()
    }

    #[test]
    fn every_struct_variant_and_field_needs_a_name() {
        let expected = "expected `#[content(\"name\")]`: the name in the digest, which never changes";
        let unnamed: [DeriveInput; 4] = [
            parse_quote!(
                struct Weights {
                    #[content("rows")]
                    rows: u64,
                }
            ),
            parse_quote!(
                #[content("weights")]
                struct Weights {
                    rows: u64,
                }
            ),
            parse_quote!(
                enum Limit {
                    None,
                }
            ),
            parse_quote!(
                enum Limit {
                    #[content("bytes")]
                    Bytes(u64),
                }
            ),
        ];
        for input in &unnamed {
            assert_eq!(refused(input), expected);
        }
    }

    #[test]
    fn names_are_given_once() {
        let twice: [DeriveInput; 2] = [
            parse_quote!(
                #[content("w")]
                struct W {
                    #[content("a")]
                    a: u8,
                    #[content("a")]
                    b: u8,
                }
            ),
            parse_quote!(
                enum L {
                    #[content("a")]
                    A,
                    #[content("a")]
                    B,
                }
            ),
        ];
        for input in &twice {
            assert_eq!(refused(input), "`a` is used twice as a name");
        }
    }

    #[test]
    fn wrong_arguments_are_reported() {
        let unknown = parse_quote!(
            #[content("w")]
            struct W {
                #[content("a", optional)]
                a: u8,
            }
        );
        assert_eq!(refused(&unknown), "expected a name, `default`, `skip` or `transparent`");
        let several = parse_quote!(
            #[content("w")]
            #[content(transparent)]
            struct W(u8);
        );
        assert_eq!(refused(&several), "expected one `#[content(…)]`");
        let pair = parse_quote!(
            #[content(transparent)]
            struct W(u8, u8);
        );
        assert_eq!(refused(&pair), "`transparent` needs exactly one field");
        let union = parse_quote!(#[content("w")] union W { #[content("a")] a: u8 });
        assert_eq!(refused(&union), "a union has no content to hash");
    }
}
