//! Values to digests: a specified encoding that is hashed and never stored.
//!
//! Every value starts with a one-byte tag of its kind, and everything of variable length is preceded by its length. So
//! no two different values of one type, nor a value and a sequence of its parts, have the same encoding. Numbers are
//! little-endian.
//!
//! | value | tag | then |
//! |---|---|---|
//! | `false`, `true` | `0x01`, `0x02` | nothing |
//! | `u8 u16 u32 u64 u128` | `0x10`–`0x14` | the bytes |
//! | `i8 i16 i32 i64 i128` | `0x18`–`0x1c` | the bytes, two's complement |
//! | `usize`, `isize` | as `u64`, `i64` | the same on every machine |
//! | `f32`, `f64` | `0x20`, `0x21` | the bits, so `-0.0` differs from `0.0` |
//! | `char` | `0x28` | its scalar value as 4 bytes |
//! | `str` | `0x30` | length as `u64`, UTF-8 |
//! | [`Bytes`] | `0x31` | length as `u64`, the bytes |
//! | `None`, `Some(x)` | `0x40`, `0x41` | `x` |
//! | slice, array, `Vec` | `0x50` | length as `u64`, each item |
//! | `BTreeMap` | `0x51` | length as `u64`, each key and value, in key order |
//! | `BTreeSet` | `0x52` | length as `u64`, each item, in order |
//! | tuple | `0x53` | arity as one byte, each item |
//! | [`Digest`] | `0x60` | 32 bytes |
//! | [`BlobDigest`], [`ActionDigest`] | `0x61`, `0x62` | 32 bytes, size as `u64` |
//! | struct or enum variant | `0x70` | its name as length and UTF-8, then each field that is present: its name as a `str`, its value; then `0x71` |
//!
//! The derive macro of the same name writes structs and variants. It leaves out absent fields, so a new option keeps
//! the digest of every value that does not use it.
//!
//! Hash maps have no implementation on purpose: their order is not a property of their content. The encoding is part of
//! every action's identity: changing it changes every digest.

use crate::digest::{ActionDigest, BlobDigest, Digest};
use crate::hasher::Hasher;
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

pub use mc_digest_derive::ContentHash;

/// A value identified by its content. The project's own types derive it: `#[derive(ContentHash)]`, with a name for the
/// type and for every field.
pub trait ContentHash {
    /// Feeds the value's encoding to `state`.
    fn content_hash(&self, state: &mut ContentHasher);

    /// Returns true if a field with this value is left out of a struct's encoding.
    fn is_absent(&self) -> bool {
        false
    }
}

/// The hash of a value's encoding.
pub fn content_digest<T: ContentHash + ?Sized>(value: &T) -> Digest {
    let mut state = ContentHasher::new();
    value.content_hash(&mut state);
    state.finish()
}

/// Returns true if a value equals the default of its type bit for bit: `-0.0` does not.
pub fn is_default<T: ContentHash + Default>(value: &T) -> bool {
    content_digest(value) == content_digest(&T::default())
}

/// Hashes the encodings of values.
#[derive(Clone, Debug, Default)]
pub struct ContentHasher {
    hasher: Hasher,
}

impl ContentHasher {
    /// Creates a hasher without input.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a struct or enum variant with its name, for example `quantize.v1`; its fields follow.
    pub fn name(&mut self, name: &str) {
        self.tag(0x70);
        self.sized(name.as_bytes());
    }

    /// Ends the struct or enum variant that [`Self::name`] started.
    pub fn end(&mut self) {
        self.tag(0x71);
    }

    /// Feeds one value; the same as `value.content_hash(self)`, for chains of fields.
    pub fn field<T: ContentHash + ?Sized>(&mut self, value: &T) -> &mut Self {
        value.content_hash(self);
        self
    }

    /// The hash of everything fed so far.
    pub fn finish(&self) -> Digest {
        self.hasher.finish().hash
    }

    /// The hash of everything fed so far, as an action digest: with the encoding's size.
    pub fn finish_action(&self) -> ActionDigest {
        let BlobDigest { hash, n_bytes } = self.hasher.finish();
        ActionDigest { hash, n_bytes }
    }

    fn tag(&mut self, tag: u8) {
        self.hasher.update(&[tag]);
    }

    fn tagged(&mut self, tag: u8, bytes: &[u8]) {
        self.tag(tag);
        self.hasher.update(bytes);
    }

    fn len(&mut self, len: usize) {
        self.hasher.update(&(len as u64).to_le_bytes());
    }

    fn sized(&mut self, bytes: &[u8]) {
        self.len(bytes.len());
        self.hasher.update_parallel(bytes);
    }
}

/// A byte string, hashed as a whole. A slice of `u8` would be hashed item by item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes<'a>(pub &'a [u8]);

impl ContentHash for Bytes<'_> {
    fn content_hash(&self, state: &mut ContentHasher) {
        state.tag(0x31);
        state.sized(self.0);
    }
}

impl ContentHash for bool {
    fn content_hash(&self, state: &mut ContentHasher) {
        state.tag(if *self { 0x02 } else { 0x01 });
    }
}

macro_rules! numbers {
    ($($number:ty => $tag:literal),* $(,)?) => {$(
        impl ContentHash for $number {
            fn content_hash(&self, state: &mut ContentHasher) {
                state.tagged($tag, &self.to_le_bytes());
            }
        }
    )*};
}

numbers! {
    u8 => 0x10, u16 => 0x11, u32 => 0x12, u64 => 0x13, u128 => 0x14,
    i8 => 0x18, i16 => 0x19, i32 => 0x1a, i64 => 0x1b, i128 => 0x1c,
    f32 => 0x20, f64 => 0x21,
}

impl ContentHash for usize {
    fn content_hash(&self, state: &mut ContentHasher) {
        (*self as u64).content_hash(state);
    }
}

impl ContentHash for isize {
    fn content_hash(&self, state: &mut ContentHasher) {
        (*self as i64).content_hash(state);
    }
}

impl ContentHash for char {
    fn content_hash(&self, state: &mut ContentHasher) {
        state.tagged(0x28, &u32::from(*self).to_le_bytes());
    }
}

impl ContentHash for str {
    fn content_hash(&self, state: &mut ContentHasher) {
        state.tag(0x30);
        state.sized(self.as_bytes());
    }
}

impl ContentHash for String {
    fn content_hash(&self, state: &mut ContentHasher) {
        self.as_str().content_hash(state);
    }
}

impl<T: ContentHash> ContentHash for Option<T> {
    fn content_hash(&self, state: &mut ContentHasher) {
        match self {
            None => state.tag(0x40),
            Some(value) => {
                state.tag(0x41);
                value.content_hash(state);
            }
        }
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: ContentHash> ContentHash for [T] {
    fn content_hash(&self, state: &mut ContentHasher) {
        state.tag(0x50);
        state.len(self.len());
        for item in self {
            item.content_hash(state);
        }
    }
}

impl<T: ContentHash, const N: usize> ContentHash for [T; N] {
    fn content_hash(&self, state: &mut ContentHasher) {
        self.as_slice().content_hash(state);
    }
}

impl<T: ContentHash> ContentHash for Vec<T> {
    fn content_hash(&self, state: &mut ContentHasher) {
        self.as_slice().content_hash(state);
    }
}

impl<K: ContentHash, V: ContentHash> ContentHash for BTreeMap<K, V> {
    fn content_hash(&self, state: &mut ContentHasher) {
        state.tag(0x51);
        state.len(self.len());
        for (key, value) in self {
            key.content_hash(state);
            value.content_hash(state);
        }
    }
}

impl<T: ContentHash> ContentHash for BTreeSet<T> {
    fn content_hash(&self, state: &mut ContentHasher) {
        state.tag(0x52);
        state.len(self.len());
        for item in self {
            item.content_hash(state);
        }
    }
}

macro_rules! tuples {
    ($($arity:literal: $($item:ident . $idx:tt)*;)*) => {$(
        impl<$($item: ContentHash),*> ContentHash for ($($item,)*) {
            fn content_hash(&self, state: &mut ContentHasher) {
                state.tagged(0x53, &[$arity]);
                $(self.$idx.content_hash(state);)*
            }
        }
    )*};
}

tuples! {
    1: A.0;
    2: A.0 B.1;
    3: A.0 B.1 C.2;
    4: A.0 B.1 C.2 D.3;
}

impl ContentHash for () {
    fn content_hash(&self, state: &mut ContentHasher) {
        state.tagged(0x53, &[0]);
    }
}

impl ContentHash for Digest {
    fn content_hash(&self, state: &mut ContentHasher) {
        state.tagged(0x60, self.as_bytes());
    }
}

impl ContentHash for BlobDigest {
    fn content_hash(&self, state: &mut ContentHasher) {
        state.tagged(0x61, self.hash.as_bytes());
        state.hasher.update(&self.n_bytes.to_le_bytes());
    }
}

impl ContentHash for ActionDigest {
    fn content_hash(&self, state: &mut ContentHasher) {
        state.tagged(0x62, self.hash.as_bytes());
        state.hasher.update(&self.n_bytes.to_le_bytes());
    }
}

macro_rules! pointers {
    ($($pointer:ty),*) => {$(
        impl<T: ContentHash + ?Sized> ContentHash for $pointer {
            fn content_hash(&self, state: &mut ContentHasher) {
                (**self).content_hash(state);
            }

            fn is_absent(&self) -> bool {
                (**self).is_absent()
            }
        }
    )*};
}

pointers!(&T, Box<T>, Rc<T>, Arc<T>);

impl<T: ContentHash + ToOwned + ?Sized> ContentHash for Cow<'_, T> {
    fn content_hash(&self, state: &mut ContentHasher) {
        (**self).content_hash(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn differ<A: ContentHash + ?Sized, B: ContentHash + ?Sized>(left: &A, right: &B) {
        assert_ne!(content_digest(left), content_digest(right));
    }

    #[test]
    fn different_values_hash_differently() {
        differ(&1u8, &1u16);
        differ(&1u32, &1i32);
        differ(&0.0f32, &-0.0f32);
        differ(&0.0f32, &0u32);
        differ("", &Bytes(b""));
        differ(&["ab", "c"], &["a", "bc"]);
        differ(&[vec![1u8], vec![]], &[vec![], vec![1u8]]);
        differ(&None::<u8>, &Some(0u8));
        differ(&Some(None::<u8>), &None::<Option<u8>>);
        differ(&(1u8, 2u8), &[1u8, 2u8]);
        differ(&((1u8, 2u8), 3u8), &(1u8, (2u8, 3u8)));
        differ(&BlobDigest::of(b"a"), &ActionDigest::of(b"a"));
        differ(&BlobDigest::of(b"a").hash, &BlobDigest::of(b"a"));
    }

    #[test]
    fn owned_and_borrowed_values_hash_alike() {
        assert_eq!(content_digest("tone"), content_digest(&String::from("tone")));
        assert_eq!(content_digest(&[1u8, 2][..]), content_digest(&vec![1u8, 2]));
        assert_eq!(content_digest(&7usize), content_digest(&7u64));
        assert_eq!(content_digest(&Arc::new(7u8)), content_digest(&Box::new(7u8)));
    }

    /// The encoding is frozen: if this test fails, every cached action of every user is lost.
    #[test]
    fn the_encoding_is_the_one_in_the_table() {
        let mut state = ContentHasher::new();
        state.name("n");
        state.field("é").field(&Some(-2i16)).field(&[true]).field(&BTreeMap::from([(1u8, ())]));
        let mut expected = vec![0x70, 1, 0, 0, 0, 0, 0, 0, 0, b'n'];
        expected.extend([0x30, 2, 0, 0, 0, 0, 0, 0, 0, 0xc3, 0xa9]);
        expected.extend([0x41, 0x19, 0xfe, 0xff]);
        expected.extend([0x50, 1, 0, 0, 0, 0, 0, 0, 0, 0x02]);
        expected.extend([0x51, 1, 0, 0, 0, 0, 0, 0, 0, 0x10, 1, 0x53, 0]);
        assert_eq!(state.finish_action(), ActionDigest::of(&expected));
    }

    proptest! {
        #[test]
        fn equal_hashes_mean_equal_values(left: Vec<(String, Option<u32>)>, right: Vec<(String, Option<u32>)>) {
            prop_assert_eq!(left == right, content_digest(&left) == content_digest(&right));
        }
    }
}
