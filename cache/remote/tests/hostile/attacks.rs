//! Attacks that apply to every kind of server.

use std::collections::BTreeMap;

use mc_digest::digest::BlobDigest;
use mc_ir::output::{Output, Outputs};
use mc_ir::reapi;
use mc_remote::function::DigestFunction;

use crate::flow::Given;

/// Contents of an attacking server: one result under every key, and blobs by hash.
#[derive(Clone)]
pub(crate) struct Attack {
    pub(crate) name: String,
    pub(crate) result: Given,
    pub(crate) blobs: BTreeMap<String, Given>,
    /// True if every response is correct in the end.
    pub(crate) is_right: bool,
}

/// Encodes a message with byte fields.
pub(crate) fn message(fields: &[(u32, &[u8])]) -> Vec<u8> {
    let mut message = Vec::new();
    for (number, bytes) in fields {
        varint(&mut message, u64::from(*number) << 3 | 2);
        varint(&mut message, bytes.len() as u64);
        message.extend_from_slice(bytes);
    }
    message
}

pub(crate) fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

/// Encodes a `Digest` of any size.
pub(crate) fn digest(hash: &str, n_bytes: u64) -> Vec<u8> {
    let mut digest = message(&[(1, hash.as_bytes())]);
    digest.push(2 << 3);
    varint(&mut digest, n_bytes);
    digest
}

fn of(blob: &BlobDigest) -> Vec<u8> {
    digest(&blob.hash.to_string(), blob.n_bytes)
}

/// A correct result and its blobs: a file, and a composite of two parts.
pub(crate) struct Right {
    pub(crate) result: Vec<u8>,
    pub(crate) file: BlobDigest,
    pub(crate) tree: BlobDigest,
    pub(crate) blobs: BTreeMap<String, Given>,
}

pub(crate) fn right(function: DigestFunction) -> Right {
    let all = [vec![1; 5000], vec![2; 70_000], vec![3; 200]];
    let [file, one, two] = all.each_ref().map(|bytes| function.digest(bytes));
    let outputs = Outputs::from([
        ("file".to_owned(), Output::File(file)),
        ("whole".to_owned(), Output::Composite(vec![one, two])),
    ]);
    let (result, trees) = reapi::encode_result_with(&|bytes| function.digest(bytes), &outputs, &|_| None);
    let tree = function.digest(&trees[0]);
    let blobs = all.into_iter().chain(trees);
    let blobs = blobs.map(|bytes| (function.digest(&bytes).hash.to_string(), Given::bytes(bytes))).collect();
    Right { result, file, tree, blobs }
}

/// A result with the file, the composite, and additional content.
fn with(right: &Right, file: &[u8], folder: &[u8], more: &[u8]) -> Vec<u8> {
    let file = message(&[(2, &message(&[(1, file), (2, &of(&right.file))]))]);
    let folder = message(&[(3, &message(&[(1, folder), (3, &of(&right.tree))]))]);
    [&file, &folder, more].concat()
}

/// All attacks.
pub(crate) fn attacks(function: DigestFunction) -> Vec<Attack> {
    let mut attacks = Vec::new();
    let Right { result, file, tree, blobs } = right(function);
    let right = right(function);
    let mut add = |name: &str, result: Given, blobs: BTreeMap<String, Given>, is_right: bool| {
        attacks.push(Attack { name: name.to_owned(), result, blobs, is_right });
    };
    add("nothing wrong", Given::bytes(result.clone()), blobs.clone(), true);

    // Names.
    for outside in [
        "../x",
        "../../../../tmp/x",
        "/tmp/x",
        "",
        ".",
        "..",
        "a//b",
        "a/../../x",
        "file/",
        "./file",
        "file\0",
        "a\\..\\b",
        "file\n",
        "\u{1b}[2Jfile",
        "\u{202e}elif",
        "file/x",
        "whole/x",
        "File",
        "other",
    ] {
        let wrong = with(&right, outside.as_bytes(), b"whole", b"");
        add(&format!("a file {outside:?}"), Given::bytes(wrong), blobs.clone(), false);
        let wrong = with(&right, b"file", outside.as_bytes(), b"");
        add(&format!("a folder {outside:?}"), Given::bytes(wrong), blobs.clone(), false);
        let more = message(&[(2, &message(&[(1, outside.as_bytes()), (2, &of(&file))]))]);
        let wrong = with(&right, b"file", b"whole", &more);
        add(&format!("one more file {outside:?}"), Given::bytes(wrong), blobs.clone(), false);
    }
    for (link, outside) in [(10, "../x"), (11, "whole"), (12, "file")] {
        let more = message(&[(link, &message(&[(1, outside.as_bytes()), (2, b"/etc/passwd")]))]);
        let wrong = with(&right, b"file", b"whole", &more);
        add(&format!("a link {outside:?}"), Given::bytes(wrong), blobs.clone(), false);
    }
    for (name, wrong) in [
        (
            "a file twice",
            with(&right, b"file", b"whole", &message(&[(2, &message(&[(1, b"file"), (2, &of(&file))]))])),
        ),
        ("a file and a folder of one name", with(&right, b"whole", b"whole", b"")),
        ("a name that is not text", with(&right, b"\xff\xfe", b"whole", b"")),
        ("a missing output", message(&[(2, &message(&[(1, b"file"), (2, &of(&file))]))])),
        ("nothing at all", Vec::new()),
    ] {
        add(name, Given::bytes(wrong), blobs.clone(), false);
    }

    // Expensive results.
    for field in [2_u8, 3, 9, 10, 12] {
        let bomb = [field << 3 | 2, 0].repeat((4 << 20) / 2 - 100);
        add(&format!("two million empty entries of field {field}"), Given::bytes(bomb), blobs.clone(), false);
    }
    let metadata = message(&[(9, &[11 << 3 | 2, 0].repeat(1 << 20))]);
    let noted = [&result[..], &metadata].concat();
    add("a million empty notes", Given::bytes(noted), blobs.clone(), true);
    let properties = message(&[(1, b"file"), (2, &of(&file)), (7, &[1 << 3 | 2, 0].repeat(1 << 20))]);
    add("a million empty properties", Given::bytes(message(&[(2, &properties)])), blobs.clone(), false);
    let mut many = Vec::new();
    (0..40_000).for_each(|index: u32| {
        many.extend(message(&[(2, &message(&[(1, index.to_string().as_bytes()), (2, &of(&file))]))]));
    });
    add("40,000 files", Given::bytes(many), blobs.clone(), false);
    let deep = (0..100_000).fold(vec![], |inner: Vec<u8>, _| {
        let mut head = vec![3 << 3 | 2];
        varint(&mut head, inner.len() as u64);
        // Built from the inside out; inner bytes are not moved.
        head.extend_from_slice(&inner[..inner.len().min(64)]);
        head
    });
    add("nested a hundred thousand times", Given::bytes(deep), blobs.clone(), false);
    add("five megabytes of zeros", Given::bytes(vec![0; 5 << 20]), blobs.clone(), false);
    add("cut off", Given::bytes(result[..result.len() - 1].to_vec()), blobs.clone(), false);
    add(
        "noise",
        Given::bytes((0..4000_u32).map(|n| ((n * n) >> 3) as u8).collect::<Vec<u8>>()),
        blobs.clone(),
        false,
    );
    add("an endless result", Given::endless(), blobs.clone(), false);
    add("a result that drips", Given::drip(), blobs.clone(), false);
    for declared in [0, 10, 100_000, 1 << 31, 1 << 32, 1 << 63, u64::MAX] {
        add(
            &format!("a result of {declared} bytes, as declared"),
            Given::lying(declared, 1000),
            blobs.clone(),
            false,
        );
    }

    // Digests and sizes.
    for (name, wrong) in [
        ("a size of -1", digest(&file.hash.to_string(), u64::MAX)),
        ("a size of -2^63", digest(&file.hash.to_string(), 1 << 63)),
        ("no hash", digest("", 5000)),
        ("half a hash", digest(&file.hash.to_string()[..32], 5000)),
        ("a path as a hash", digest(&format!("../../{}", &file.hash.to_string()[..58]), 5000)),
    ] {
        let file = message(&[(2, &message(&[(1, b"file"), (2, &wrong)]))]);
        let folder = message(&[(3, &message(&[(1, b"whole"), (3, &wrong)]))]);
        add(
            &format!("{name} of a file"),
            Given::bytes([file, with_folder(&tree)].concat()),
            blobs.clone(),
            false,
        );
        add(
            &format!("{name} of a tree"),
            Given::bytes([with_file(&right.file), folder].concat()),
            blobs.clone(),
            false,
        );
    }
    for n_bytes in [4999, 5001, 1 << 40, (1 << 63) - 1] {
        let wrong = message(&[(2, &message(&[(1, b"file"), (2, &digest(&file.hash.to_string(), n_bytes))]))]);
        let wrong = Given::bytes([wrong, with_folder(&tree)].concat());
        add(&format!("a file of {n_bytes} bytes, as declared"), wrong.clone(), blobs.clone(), false);
        let mut endless = blobs.clone();
        endless.insert(file.hash.to_string(), Given::endless());
        add(&format!("an endless file of {n_bytes} bytes, as declared"), wrong, endless, false);
    }

    // Trees.
    let part = |index: usize| message(&[(1, reapi::position_name(index).as_bytes()), (2, &of(&file))]);
    let trees: Vec<(&str, Vec<u8>)> = vec![
        ("a tree with a folder", message(&[(1, &message(&[(1, &part(0)), (2, &part(1))]))])),
        ("a tree with a link", message(&[(1, &message(&[(1, &part(0)), (3, &part(1))]))])),
        (
            "a tree with children that nothing names",
            message(&[(1, &message(&[(1, &part(0))])), (2, &part(0))]),
        ),
        (
            "a tree whose folder names itself",
            message(&[(1, &message(&[(2, &part(0))])), (2, &message(&[(2, &part(0))]))]),
        ),
        ("a tree with a part twice", message(&[(1, &message(&[(1, &part(0)), (1, &part(0))]))])),
        (
            "a tree with a part outside",
            message(&[(1, &message(&[(1, &message(&[(1, b"../../x"), (2, &of(&file))]))]))]),
        ),
        (
            "a tree of two hundred thousand parts",
            message(&[(
                1,
                &(0..200_000).flat_map(|index| message(&[(1, &part(index))])).collect::<Vec<u8>>(),
            )]),
        ),
        ("a tree of eight million empty parts", message(&[(1, &[1 << 3 | 2, 0].repeat(8 << 20))])),
        ("a tree that is noise", vec![0xff; 1000]),
    ];
    for (name, bytes) in trees {
        let digest = function.digest(&bytes);
        let mut blobs = blobs.clone();
        blobs.insert(digest.hash.to_string(), Given::bytes(bytes));
        add(name, Given::bytes([with_file(&right.file), with_folder(&digest)].concat()), blobs, false);
    }
    for (name, given) in [
        ("a missing tree", Given::Missing),
        ("a tree of wrong bytes", Given::bytes(vec![7; usize::try_from(tree.n_bytes).unwrap()])),
        ("an endless tree", Given::endless()),
        ("a tree that drips", Given::drip()),
    ] {
        let mut blobs = blobs.clone();
        blobs.insert(tree.hash.to_string(), given);
        add(name, Given::bytes(result.clone()), blobs, false);
    }
    for n_bytes in [60 << 20, 1 << 40] {
        let mut blobs = blobs.clone();
        blobs.insert(tree.hash.to_string(), Given::endless());
        let folder = with_folder(&BlobDigest::new(tree.hash, n_bytes));
        let name = format!("an endless tree of {n_bytes} bytes, as declared");
        add(&name, Given::bytes([with_file(&right.file), folder].concat()), blobs, false);
    }
    let same: Vec<u8> = (0..9000_u32)
        .flat_map(|index| message(&[(3, &message(&[(1, index.to_string().as_bytes()), (3, &of(&tree))]))]))
        .collect();
    add("one tree nine thousand times", Given::bytes(same), blobs.clone(), false);

    // Blobs.
    for (name, given) in [
        ("a blob that is gone", Given::Missing),
        ("a blob of other bytes", Given::bytes(vec![9; 5000])),
        ("another blob", blobs.iter().find(|(hash, _)| **hash != file.hash.to_string()).unwrap().1.clone()),
        ("a blob that is short", Given::bytes(vec![1; 4999])),
        ("a blob that is long", Given::bytes(vec![1; 5001])),
        ("an empty blob", Given::bytes(Vec::new())),
        ("an endless blob", Given::endless()),
        ("a blob that drips", Given::drip()),
        ("a blob that says it is short", Given::lying(10, 5000)),
        ("a blob that says it is long", Given::lying(1 << 40, 5000)),
        ("a blob of 2^63 bytes, as declared", Given::lying(1 << 63, 5000)),
    ] {
        let mut blobs = blobs.clone();
        blobs.insert(file.hash.to_string(), given);
        add(name, Given::bytes(result.clone()), blobs, false);
    }
    attacks
}

fn with_file(file: &BlobDigest) -> Vec<u8> {
    message(&[(2, &message(&[(1, b"file"), (2, &of(file))]))])
}

fn with_folder(tree: &BlobDigest) -> Vec<u8> {
    message(&[(3, &message(&[(1, b"whole"), (3, &of(tree))]))])
}
