//! Interned labels and packages.
#![expect(
    unused_lifetimes,
    reason = "the interned structs' lifetime is used by what salsa's macro makes of them"
)]

use mc_ir::label::{Label, PackageId};

use crate::db::Db;

/// An interned package.
#[salsa::interned(debug)]
pub(crate) struct PackageKey<'db> {
    /// The package.
    #[returns(ref)]
    pub(crate) id: PackageId,
}

/// An interned label.
#[salsa::interned(debug)]
pub(crate) struct TargetKey<'db> {
    /// The label.
    #[returns(ref)]
    pub(crate) label: Label,
}

/// Interns a package.
pub(crate) fn package_key<'db>(db: &'db dyn Db, id: &PackageId) -> PackageKey<'db> {
    PackageKey::new(db, id.clone())
}

/// Interns a label.
pub(crate) fn target_key<'db>(db: &'db dyn Db, label: &Label) -> TargetKey<'db> {
    TargetKey::new(db, label.clone())
}
