//! A disk in a state that a power loss may leave.
//!
//! Assumptions: synced data is present; the names in a folder are synced with the folder; a change of a name is present
//! completely or not at all, and a rename includes both names. Nothing else is assumed: of the other name changes, any
//! subset may be present, regardless of their order, and unsynced bytes may be missing or zero.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use mc_digest::digest::{BlobDigest, Digest};
use mc_store::record::{Kind, Reader, seal, unseal, unseal_first};
use mc_store::stamp::FileStamp;

use crate::power_loss::random::Random;
use crate::power_loss::recorder::{Id, Name, Op, ROOT, Recording};

/// The state after a power loss.
pub(crate) struct Disk<'a> {
    recording: &'a Recording,
    /// Number of completed operations.
    n_ops: usize,
    names: BTreeMap<Id, BTreeMap<OsString, Id>>,
    files: BTreeMap<Id, Vec<u8>>,
    /// Files that lost bytes.
    pub(crate) torn: BTreeSet<Id>,
    /// The stamps of the written files.
    stamps: BTreeMap<Id, FileStamp>,
    paths: BTreeMap<Id, PathBuf>,
}

impl<'a> Disk<'a> {
    /// The disk after a power loss that follows `n_ops` operations of a recording.
    pub(crate) fn after(recording: &'a Recording, n_ops: usize, random: &mut Random) -> Self {
        let mut disk = Self {
            recording,
            n_ops,
            names: BTreeMap::new(),
            files: BTreeMap::new(),
            torn: BTreeSet::new(),
            stamps: BTreeMap::new(),
            paths: BTreeMap::new(),
        };
        let percent_of_names = random.of(&[0, 30, 50, 70, 95, 100]);
        let percent_of_files = random.of(&[0, 50, 90, 100]);
        let ops = &recording.ops[..n_ops];
        for (index, op) in ops.iter().enumerate() {
            if is_durable(op, &ops[index + 1..]) || random.below(100) < percent_of_names {
                disk.apply(op);
            }
        }
        for (id, inode) in recording.inodes.iter().enumerate() {
            let Some(bytes) = &inode.bytes else { continue };
            let (synced, written) = lengths(ops, id);
            let mut bytes = bytes[..written].to_vec();
            if synced < written && random.below(100) >= percent_of_files {
                tear(&mut bytes, synced, random);
                disk.torn.insert(id);
            }
            disk.files.insert(id, bytes);
        }
        disk
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Link(name, id) | Op::Rename(_, name, id) => self.place(name, *id),
            Op::Exchange(one, one_id, other, other_id) => {
                self.place(one, *other_id);
                self.place(other, *one_id);
            }
            Op::Unlink((folder, name), id) => {
                if self.names.get(folder).and_then(|names| names.get(name)) == Some(id) {
                    self.names.entry(*folder).or_default().remove(name);
                }
            }
            Op::Write(..) | Op::Sync(_) | Op::SyncAll => {}
        }
    }

    /// Gives an inode its only name.
    fn place(&mut self, (folder, name): &Name, id: Id) {
        for names in self.names.values_mut() {
            names.retain(|_, other| *other != id);
        }
        self.names.entry(*folder).or_default().insert(name.clone(), id);
    }

    /// Writes the state to a folder, which is emptied first.
    ///
    /// Records about files of this disk, by inode number and times, are adjusted to the written files.
    pub(crate) fn write(&mut self, root: &Path) {
        fs::remove_dir_all(root).unwrap();
        fs::create_dir(root).unwrap();
        let mut notes = Vec::new();
        self.write_folder(ROOT, root, &mut BTreeSet::new(), &mut notes);
        for (id, path) in notes {
            let bytes = self.with_stamps(&self.files[&id]);
            fs::write(&path, bytes).unwrap();
        }
    }

    fn write_folder(
        &mut self,
        folder: Id,
        path: &Path,
        seen: &mut BTreeSet<Id>,
        notes: &mut Vec<(Id, PathBuf)>,
    ) {
        for (name, id) in self.names.get(&folder).cloned().unwrap_or_default() {
            let path = path.join(name);
            if !seen.insert(id) {
                continue;
            }
            if let Some(bytes) = self.files.get(&id) {
                if path.ends_with("memo/verified.log") || path.iter().any(|name| name == "out") {
                    notes.push((id, path));
                    continue;
                }
                fs::write(&path, bytes).unwrap();
                self.set_time(id, &path);
                self.stamps.insert(id, FileStamp::of(&fs::metadata(&path).unwrap()));
                self.paths.insert(id, path);
            } else {
                fs::create_dir(&path).unwrap();
                self.write_folder(id, &path, seen, notes);
            }
        }
    }

    fn set_time(&self, id: Id, path: &Path) {
        let Some(stamp) = self.recorded_stamp(id) else { return };
        let time = UNIX_EPOCH + Duration::from_nanos(stamp.modified_ns as u64);
        File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    /// The stamp that a file had at the power loss.
    fn recorded_stamp(&self, id: Id) -> Option<FileStamp> {
        let stamps = &self.recording.inodes[id].stamps;
        stamps.iter().rev().find(|(n_ops, _)| *n_ops <= self.n_ops).map(|(_, stamp)| *stamp)
    }

    /// The stamp to put in place of the recorded one, for the written file.
    fn stamp_now(&self, noted: &FileStamp) -> Option<FileStamp> {
        let id = self.recording.inodes.iter().rposition(|inode| inode.number == noted.inode)?;
        let recorded = self.recorded_stamp(id)?;
        let is_same = (recorded.modified_ns, recorded.changed_ns) == (noted.modified_ns, noted.changed_ns);
        let now = self.stamps.get(&id).filter(|_| is_same)?;
        // Sizes stay as recorded: a truncated file has another size.
        Some(FileStamp { n_bytes: noted.n_bytes, ..*now })
    }

    /// The bytes of a file of records, with the stamps that files have now.
    fn with_stamps(&self, bytes: &[u8]) -> Vec<u8> {
        if let Some(body) = unseal(LEFT, bytes) {
            return seal(LEFT, &self.left_with_stamps(body));
        }
        let (mut rest, mut log) = (bytes, Vec::new());
        while !rest.is_empty() {
            match unseal_first(VERIFIED, rest) {
                Some((body, after)) => {
                    let (hash, stamp) = body.split_at(32);
                    log.extend(seal(VERIFIED, &[hash, &self.encoded_now(stamp)].concat()));
                    rest = after;
                }
                None => {
                    log.push(rest[0]);
                    rest = &rest[1..];
                }
            }
        }
        log
    }

    /// The body of a record about the state of an output folder.
    fn left_with_stamps(&self, body: &[u8]) -> Vec<u8> {
        let mut reader = Reader::new(body);
        let n_files = reader.u64().unwrap();
        let (mut left, mut at) = (body.to_vec(), 8);
        for _ in 0..n_files {
            at += 8 + reader.sized().unwrap().len() + 8;
            for _ in 0..reader.u64().unwrap() {
                reader.blob_digest().unwrap();
                at += 40;
            }
            let stamp: [u8; STAMP] = reader.array().unwrap();
            left[at..at + STAMP].copy_from_slice(&self.encoded_now(&stamp));
            at += STAMP;
        }
        left
    }

    fn encoded_now(&self, encoded: &[u8]) -> Vec<u8> {
        let mut reader = Reader::new(encoded);
        let mut number = || reader.u64().unwrap();
        let (device, inode, n_bytes) = (number(), number(), number());
        let mut time = || i128::from_le_bytes(reader.array().unwrap());
        let (modified_ns, changed_ns) = (time(), time());
        let noted = FileStamp { device, inode, n_bytes, modified_ns, changed_ns };
        let now = self.stamp_now(&noted).unwrap_or(noted);
        let numbers = [now.device, now.inode, now.n_bytes].map(u64::to_le_bytes).concat();
        [numbers, now.modified_ns.to_le_bytes().to_vec(), now.changed_ns.to_le_bytes().to_vec()].concat()
    }

    /// For each blob: the hash in its file's name, the file's stamp, and the digest of its bytes.
    pub(crate) fn blobs(&self, root: &Path) -> Vec<(Digest, FileStamp, BlobDigest)> {
        let blobs = root.join("store/cas");
        let is_blob = |(_, path): &(&Id, &PathBuf)| path.starts_with(&blobs);
        let blob = |(id, path): (&Id, &PathBuf)| {
            let hash = path.file_name().unwrap().to_str().unwrap().parse().unwrap();
            (hash, self.stamps[id], BlobDigest::of(&self.files[id]))
        };
        self.paths.iter().filter(is_blob).map(blob).collect()
    }
}

/// Kinds of records with stamps.
const VERIFIED: Kind = *b"vrf1";
const LEFT: Kind = *b"out1";

/// Number of bytes of a stamp.
const STAMP: usize = 3 * 8 + 2 * 16;

/// Returns true if a name change is certainly on the disk.
fn is_durable(op: &Op, later: &[Op]) -> bool {
    let folders = match op {
        Op::Link((folder, _), _) | Op::Unlink((folder, _), _) => [*folder, *folder],
        Op::Rename((one, _), (other, _), _) | Op::Exchange((one, _), _, (other, _), _) => [*one, *other],
        Op::Write(..) | Op::Sync(_) | Op::SyncAll => return true,
    };
    later.iter().any(|op| match op {
        Op::Sync(id) => folders.contains(id),
        Op::SyncAll => true,
        _ => false,
    })
}

/// Number of synced bytes and of written bytes of a file.
fn lengths(ops: &[Op], file: Id) -> (usize, usize) {
    let (mut synced, mut written) = (0, 0);
    for op in ops {
        match op {
            Op::Write(id, n_bytes) if *id == file => written = *n_bytes,
            Op::Sync(id) if *id == file => synced = written,
            Op::SyncAll => synced = written,
            _ => {}
        }
    }
    (synced, written)
}

/// Drops some of the unsynced bytes.
fn tear(bytes: &mut Vec<u8>, synced: usize, random: &mut Random) {
    let somewhere = synced + random.below(bytes.len() - synced);
    match random.below(4) {
        0 => bytes.truncate(synced),
        1 => bytes.truncate(somewhere),
        2 => bytes[synced..].fill(0),
        _ => bytes[somewhere..].fill(0),
    }
}
