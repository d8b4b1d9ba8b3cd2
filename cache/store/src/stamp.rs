//! File status as a cheap substitute for reading a file, and the conditions for trusting it.
//!
//! Equal stamps mean equal bytes, with one exception: a file written twice within one tick of the file system's clock
//! may keep its times. A stamp is therefore trusted only if the file had been unchanged for a while when its bytes were
//! read ([`FileStamp::is_quiet_at`]), or if the store set its modification time to a value that no ordinary write
//! produces (`settled_time`).

use mc_files::status::Status;

use crate::record::{Reader, Writer};
use std::fs::Metadata;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time for which a file must have been unchanged before its stamp is trusted. Two seconds is the coarsest clock of
/// common file systems (FAT); others tick every few milliseconds.
const QUIET: Duration = Duration::from_secs(2);

/// Device, inode, size and times of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileStamp {
    /// The device that holds the file.
    pub device: u64,
    /// The file's number on the device.
    pub inode: u64,
    /// The size in bytes.
    pub n_bytes: u64,
    /// Last modification of the bytes, in nanoseconds since 1970.
    pub modified_ns: i128,
    /// Last change of the bytes, the name or the permissions, in nanoseconds since 1970.
    pub changed_ns: i128,
}

impl FileStamp {
    /// The encoded size of a stamp.
    pub(crate) const N_BYTES: usize = 8 * 3 + 16 * 2;

    /// The stamp in a file's metadata.
    pub fn of(metadata: &Metadata) -> Self {
        Status::of(metadata).into()
    }

    /// Returns true if the file had been unchanged for a while at `now`, so that any later write changes its stamp.
    /// Always false for a file with a future time (a skewed clock).
    pub fn is_quiet_at(&self, now: SystemTime) -> bool {
        let Ok(since) = now.duration_since(UNIX_EPOCH) else { return false };
        let limit = since.saturating_sub(QUIET).as_nanos() as i128;
        self.modified_ns < limit && self.changed_ns < limit
    }

    /// Returns true if the modification time is the one that the store sets on its blobs.
    pub(crate) fn is_settled(&self) -> bool {
        let settled = settled_time().duration_since(UNIX_EPOCH).expect("the settled time is after 1970");
        self.modified_ns == settled.as_nanos() as i128
    }

    pub(crate) fn encode(&self, writer: &mut Writer) {
        writer.u64(self.device).u64(self.inode).u64(self.n_bytes);
        writer.bytes(&self.modified_ns.to_le_bytes()).bytes(&self.changed_ns.to_le_bytes());
    }

    pub(crate) fn decode(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            device: reader.u64()?,
            inode: reader.u64()?,
            n_bytes: reader.u64()?,
            modified_ns: i128::from_le_bytes(reader.array()?),
            changed_ns: i128::from_le_bytes(reader.array()?),
        })
    }
}

impl From<Status> for FileStamp {
    fn from(status: Status) -> Self {
        let Status { device, inode, n_bytes, modified_ns, changed_ns, .. } = status;
        Self { device, inode, n_bytes, modified_ns, changed_ns }
    }
}

/// The modification time of every blob in the store: 2000-01-01, 00:00 UTC. Any write sets the time to the present, so
/// the stamp reveals tampering even a microsecond after the blob was stored.
pub(crate) fn settled_time() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(946_684_800)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stamp_modified(time: SystemTime) -> FileStamp {
        let modified_ns = time.duration_since(UNIX_EPOCH).unwrap().as_nanos() as i128;
        FileStamp { device: 1, inode: 2, n_bytes: 3, modified_ns, changed_ns: modified_ns }
    }

    #[test]
    fn a_file_that_was_just_written_is_not_quiet() {
        let now = SystemTime::now();
        assert!(!stamp_modified(now).is_quiet_at(now));
        assert!(!stamp_modified(now + Duration::from_secs(60)).is_quiet_at(now));
        assert!(stamp_modified(now - Duration::from_secs(3)).is_quiet_at(now));
    }

    #[test]
    fn a_recent_change_of_permissions_is_not_quiet() {
        let now = SystemTime::now();
        let mut stamp = stamp_modified(now - Duration::from_secs(100));
        stamp.changed_ns = stamp_modified(now).changed_ns;
        assert!(!stamp.is_quiet_at(now));
    }

    proptest! {
        #[test]
        fn encoding_and_decoding_are_inverse(device: u64, inode: u64, n_bytes: u64, modified_ns: i128, changed_ns: i128) {
            let stamp = FileStamp { device, inode, n_bytes, modified_ns, changed_ns };
            let mut writer = Writer::default();
            stamp.encode(&mut writer);
            let bytes = writer.into_bytes();
            prop_assert_eq!(bytes.len(), FileStamp::N_BYTES);
            prop_assert_eq!(FileStamp::decode(&mut Reader::new(&bytes)), Some(stamp));
        }
    }
}
