//! Labels and packages as salsa knows them: by number.
#![expect(
    unused_lifetimes,
    reason = "the interned structs' lifetime is used by what salsa's macro makes of them"
)]

use mc_ir::label::{Label, PackageId};

use crate::db::Db;

/// A package inside salsa.
#[salsa::interned(debug)]
pub(crate) struct PackageKey<'db> {
    /// The package.
    #[returns(ref)]
    pub(crate) id: PackageId,
}

/// A label inside salsa.
#[salsa::interned(debug)]
pub(crate) struct TargetKey<'db> {
    /// The label.
    #[returns(ref)]
    pub(crate) label: Label,
}

/// The key of a package.
pub(crate) fn package_key<'db>(db: &'db dyn Db, id: &PackageId) -> PackageKey<'db> {
    PackageKey::new(db, id.clone())
}

/// The key of a label.
pub(crate) fn target_key<'db>(db: &'db dyn Db, label: &Label) -> TargetKey<'db> {
    TargetKey::new(db, label.clone())
}
