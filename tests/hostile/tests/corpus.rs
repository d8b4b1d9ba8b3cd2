//! Reads every file of the corpus, and many mutations of each, without a panic and without much memory.
//!
//! The corpus has small valid files and the malformed ones on which a reader once failed.

use std::fs;
use std::path::Path;

use mc_hostile::allocations::{Watched, watch};
use mc_hostile::random::Random;
use mc_hostile::readers::READERS;

#[global_allocator]
static ALLOCATOR: Watched = Watched;

/// Number of mutations of each file.
const N_CHANGED: u64 = 200;

/// A copy with a few bytes flipped, cut, doubled or made extreme.
fn changed(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut copy = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(copy.len());
        match random.below(6) {
            _ if copy.is_empty() => copy.push(random.next() as u8),
            0 => copy.truncate(at),
            1 => copy[at] ^= 1 << random.below(8),
            2 => copy[at] = [0, 0xFF, b'9', b'"', b'{', b'[', b'-'][random.below(7)],
            3 => {
                let end = (at + 1 + random.below(32)).min(copy.len());
                let doubled = copy[at..end].to_vec();
                copy.splice(at..at, doubled);
            }
            4 => {
                let end = (at + 8).min(copy.len());
                copy[at..end].fill([0xFF, 0x7F, 0][random.below(3)]);
            }
            _ => {
                let end = (at + 1 + random.below(16)).min(copy.len());
                drop(copy.drain(at..end));
            }
        }
    }
    copy
}

#[test]
fn readers_of_any_bytes_neither_panic_nor_use_much_memory() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for reader in READERS {
        let mut files: Vec<_> =
            fs::read_dir(corpus.join(reader.name)).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        assert!(files.len() >= 3, "the corpus of {} has {} files", reader.name, files.len());
        for (number, file) in files.iter().enumerate() {
            let bytes = fs::read(file).unwrap();
            watch(reader, &bytes);
            let mut random = Random(number as u64);
            for _ in 0..N_CHANGED {
                watch(reader, &changed(&bytes, &mut random));
            }
        }
    }
}

#[test]
fn readers_refuse_empty_input() {
    for reader in READERS {
        watch(reader, b"");
        watch(reader, b"\0");
    }
}
