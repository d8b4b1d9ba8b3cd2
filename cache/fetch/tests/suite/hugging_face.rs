//! Repositories of Hugging Face: listing, selection and rejected lists.

use std::fs;

use mc_fetch::checksum::sha256;
use mc_ir::origin::Origin;

use crate::server::{Server, answer, file};
use crate::world::World;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// `printf hello | git hash-object --stdin`.
const HELLO: &str = "b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0";

fn api(siblings: &str) -> String {
    format!("{{\"id\": \"org/name\", \"sha\": \"{COMMIT}\", \"private\": false, \"siblings\": [{siblings}]}}")
}

/// A repository that lists these files and serves `hello` for each.
fn repository(siblings: &str) -> Server {
    let listing = api(siblings);
    Server::new(move |request, stream| {
        if request.path.starts_with("/api/models/org/name/revision/") {
            answer(stream, "200 OK", &[("Content-Type", "application/json")], listing.as_bytes());
        } else {
            file(request, stream, "\"v1\"", b"hello");
        }
    })
}

fn origin(files: &[&str]) -> Origin {
    Origin::hugging_face("org/name", COMMIT, files.iter().map(|&name| name.to_owned()).collect())
}

#[track_caller]
fn refused(siblings: &str, expected: &str) {
    refused_of(siblings, &[], expected);
}

#[track_caller]
fn refused_of(siblings: &str, patterns: &[&str], expected: &str) {
    let server = repository(siblings);
    let world = World::new(&server);
    let error = world.lock(&origin(patterns)).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert!(world.names().is_empty() || !world.names().iter().any(|name| name.contains("x.json")), "{error}");
}

#[test]
fn a_checkpoint_is_pinned_with_the_digests_of_the_server() {
    let sha256 = sha256(b"hello");
    let server = repository(&format!(
        "{{\"rfilename\": \"config.json\", \"size\": 5, \"blobId\": \"{HELLO}\"}},
         {{\"rfilename\": \"model.safetensors\", \"size\": 5, \"blobId\": \"0\", \
           \"lfs\": {{\"sha256\": \"{sha256}\", \"size\": 5, \"pointerSize\": 1}}}},
         {{\"rfilename\": \"pytorch_model.bin\", \"size\": 5}}, {{\"rfilename\": \"original/params.json\"}},
         {{\"rfilename\": \".gitattributes\", \"size\": 5}}, {{\"rfilename\": \"Picture.PNG\"}},
         {{\"rfilename\": \"LICENSE\"}}"
    ));
    let world = World::new(&server);
    let files = world.lock(&origin(&[])).unwrap();
    let reported: Vec<_> = files.iter().map(|file| (file.name.as_str(), &file.sha256, &file.git)).collect();
    assert_eq!(
        reported,
        [
            ("LICENSE", &None, &None),
            ("config.json", &None, &Some(HELLO.to_owned())),
            ("model.safetensors", &Some(sha256), &None),
        ]
    );
    let mut paths: Vec<String> = server.requests().into_iter().map(|request| request.path).collect();
    paths.sort();
    assert_eq!(
        paths,
        [
            format!("/api/models/org/name/revision/{COMMIT}?blobs=true"),
            format!("/org/name/resolve/{COMMIT}/LICENSE"),
            format!("/org/name/resolve/{COMMIT}/config.json"),
            format!("/org/name/resolve/{COMMIT}/model.safetensors"),
        ]
    );
    let folder = world.fetch(&origin(&[]), &files).unwrap();
    assert_eq!(fs::read(folder.join("config.json")).unwrap(), b"hello");
    assert_eq!(server.requests().len(), 4);
    // A second pinning fetches only the list and the file without a digest of its own.
    let again = world.fetcher.lock(&origin(&[]), Some(&files), &|_| {}).unwrap();
    assert_eq!(again, files);
    let paths = server.requests().into_iter().skip(4).map(|request| request.path);
    assert_eq!(paths.filter(|path| path.contains("/resolve/")).count(), 1);
    assert!(world.fetch(&origin(&[]), &files).unwrap().join("config.json").exists());
}

#[test]
fn patterns_select_files() {
    let server =
        repository("{\"rfilename\": \"a.gguf\"}, {\"rfilename\": \"b/c.json\"}, {\"rfilename\": \"d.json\"}");
    let names = |patterns: &[&str]| -> Result<Vec<String>, String> {
        let files = World::new(&server).lock(&origin(patterns)).map_err(|error| error.to_string())?;
        Ok(files.into_iter().map(|file| file.name).collect())
    };
    assert_eq!(names(&["*.gguf"]).unwrap(), ["a.gguf"]);
    assert_eq!(names(&["**.json", "a*"]).unwrap(), ["a.gguf", "b/c.json", "d.json"]);
    assert!(names(&["*.json", "*.md"]).unwrap_err().contains("no file matches `*.md`"));
}

#[test]
fn a_server_that_contradicts_its_own_digests_is_rejected() {
    for wrong in [
        format!("\"size\": 5, \"blobId\": \"{COMMIT}\""),
        format!("\"size\": 5, \"lfs\": {{\"sha256\": \"{}\", \"size\": 5}}", "0".repeat(64)),
    ] {
        refused(&format!("{{\"rfilename\": \"x.json\", {wrong}}}"), "has other bytes than expected");
    }
    refused("{\"rfilename\": \"x.json\", \"size\": 6}", "has a file of 5 bytes, expected 6");
}

#[test]
fn implausible_lists_are_rejected() {
    refused_of("{\"rfilename\": \"../x.json\"}", &["**"], "it leaves its folder");
    refused_of("{\"rfilename\": \"/x.json\"}", &["**"], "it is absolute");
    refused_of("{\"rfilename\": \"a//x.json\"}", &["**"], "a part of it is empty");
    // Without patterns nothing below a folder is taken, so nothing above one either.
    refused("{\"rfilename\": \"../x.json\"}", "it contains no selected file");
    refused("{\"rfilename\": \"..\\\\x.json\"}", "not a valid file name");
    refused("{\"rfilename\": \"x.json\"}, {\"rfilename\": \"x.json\"}", "lists `x.json` twice");
    refused("{\"rfilename\": \"x\\u0000.json\"}", "not a valid file name");
    refused("", "it contains no selected file");
    refused("{\"rfilename\": \"pytorch_model.bin\"}", "its weights are pickled (`pytorch_model.bin`)");
    refused("{\"rfilename\": 5}", "sent an invalid list of files");
    let many: Vec<String> = (0..10_001).map(|n| format!("{{\"rfilename\": \"x.json{n}\"}}")).collect();
    refused(&many.join(","), "but the limit is 10000");
}

#[test]
fn a_list_is_read_up_to_a_limit() {
    let server = Server::new(|_, stream| {
        let body = vec![b' '; (32 << 20) + 1];
        answer(stream, "200 OK", &[], &body);
    });
    let error = World::new(&server).lock(&origin(&[])).unwrap_err().to_string();
    assert!(error.contains("sent more than 33554432 bytes"), "{error}");
}

#[test]
fn a_response_for_another_commit_is_rejected() {
    let listing = api("").replace(COMMIT, &COMMIT.replace('0', "1"));
    let server = Server::new(move |_, stream| answer(stream, "200 OK", &[], listing.as_bytes()));
    let error = World::new(&server).lock(&origin(&[])).unwrap_err().to_string();
    assert!(error.contains("the server returned the commit"), "{error}");
}

#[test]
fn a_branch_is_not_pinned_but_its_commit_is_reported() {
    let server = repository("");
    let world = World::new(&server);
    let branch = Origin::hugging_face("org/name", "main", Vec::new());
    assert!(world.lock(&branch).unwrap_err().to_string().contains("a branch can move"));
    assert!(server.requests().is_empty());
    let pin = world.fetcher.pin(&branch).unwrap();
    assert_eq!(pin, format!("hf \"org/name\" revision=\"{COMMIT}\""));
    assert_eq!(server.requests()[0].path, "/api/models/org/name/revision/main?blobs=true");
}
