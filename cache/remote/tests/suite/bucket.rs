//! A bucket: signatures, layout, and multipart uploads.

use std::io::{Read, Write};
use std::net::TcpListener;

use mc_fetch::credentials::Credentials;
use mc_remote::aws::Account;
use mc_remote::download::Fetching;
use mc_remote::function::DigestFunction;
use mc_remote::transport::Transport;
use mc_remote::transports::s3::S3;
use tempfile::tempdir;

use crate::action::{Machine, client};
use crate::server::{Fault, Request, Server};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

fn account(variables: &[(&str, &str)]) -> Account {
    let keys = [("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"), ("AWS_SECRET_ACCESS_KEY", SECRET)];
    let variable = |name: &str| {
        let mut known = keys.iter().chain(variables);
        known.find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    Account::read(&variable, "", "").unwrap()
}

fn bucket(server: &Server, prefix: &str) -> S3 {
    let account = account(&[("AWS_ENDPOINT_URL", &server.root())]);
    S3::new(client(Credentials::default()), "team", prefix, account).unwrap()
}

#[test]
fn a_bucket_has_the_layout_of_http_caches() {
    let (server, folder) = (Server::new(), tempdir().unwrap());
    let maker =
        Machine::of(Box::new(bucket(&server, "some/mc/")), &folder.path().join("a"), Fetching::AtOnce);
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    let paths = server.paths();
    let n_results = paths.iter().filter(|path| path.starts_with("/team/some/mc/ac/")).count();
    let n_blobs = paths.iter().filter(|path| path.starts_with("/team/some/mc/cas/")).count();
    assert_eq!((n_results, n_results + n_blobs), (1, paths.len()));
    let user = Machine::of(Box::new(bucket(&server, "some/mc")), &folder.path().join("b"), Fetching::AtOnce);
    assert_eq!(user.lookup().unwrap().as_ref(), Some(&outputs));
    assert!(user.holds(&outputs));
    let stranger = Machine::of(Box::new(bucket(&server, "")), &folder.path().join("c"), Fetching::AtOnce);
    assert_eq!(stranger.lookup().unwrap(), None);
}

#[test]
fn a_large_blob_is_uploaded_in_parts_and_a_failed_part_is_retried() {
    let server = Server::new();
    let bucket = bucket(&server, "mc");
    let bytes: Vec<u8> = (0..(20 << 20) + 5).map(|index: u32| (index >> 10) as u8).collect();
    let blob = DigestFunction::Sha256.digest(&bytes);
    // Request 0 starts the upload.
    server.fail(Some((3, Fault::Drop)));
    bucket.write(&blob, &bytes).unwrap();
    // Start, three parts, one retry, and completion.
    assert_eq!(server.n_requests(), 6);
    assert_eq!(server.paths(), [format!("/team/mc/cas/{}", blob.hash)]);
    server.fail(None);
    let mut found = Vec::new();
    bucket.read(&blob, 1000).unwrap().unwrap().read_to_end(&mut found).unwrap();
    assert!(found == bytes[1000..]);
}

#[test]
fn a_failed_upload_leaves_nothing_and_displays_no_signature() {
    let server = Server::new();
    let bucket = bucket(&server, "mc");
    let bytes = vec![7; (8 << 20) + 1];
    let blob = DigestFunction::Sha256.digest(&bytes);
    // The completion of the upload, after two parts.
    server.fail(Some((3, Fault::Denied)));
    bucket.write(&blob, &bytes).unwrap_err();
    assert_eq!(server.paths(), Vec::<String>::new());
    server.fail(None);
    server.ask_for("nobody's");
    for error in [bucket.missing(&[blob]).unwrap_err(), bucket.put_result(&blob, b"x", &[]).unwrap_err()] {
        let reported = format!("{error} {error:?}");
        assert!(
            !reported.contains("Signature") && !reported.contains("AKIA") && !reported.contains(SECRET),
            "{reported}"
        );
    }
}

#[test]
fn aws_buckets_have_their_own_host() {
    let open = |name: &str, variables: &[(&str, &str)]| {
        S3::new(client(Credentials::default()), name, "mc", account(variables)).map(|bucket| bucket.name())
    };
    assert_eq!(open("team", &[("AWS_REGION", "eu-west-1")]).unwrap(), "s3://team/mc");
    assert_eq!(
        open("team", &[]).unwrap_err().to_string(),
        "`s3://team/mc`: Its region is unknown; set `AWS_REGION`"
    );
    let reported = open("team", &[("AWS_ENDPOINT_URL", "http://me:hush@h/")]).unwrap_err().to_string();
    assert!(reported.contains("endpoint") && !reported.contains("hush"), "{reported}");
}

#[test]
fn a_missing_bucket_is_not_an_empty_cache() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}/", listener.local_addr().unwrap());
    let gone = "<Error><Code>NoSuchBucket</Code><Message>Not there</Message></Error>";
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            Request::read(&stream).unwrap();
            let length = gone.len();
            let head = format!("HTTP/1.1 404 No\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            stream.write_all(format!("{head}{gone}").as_bytes()).unwrap();
        }
    });
    let account = account(&[("AWS_ENDPOINT_URL", &endpoint)]);
    let bucket = S3::new(client(Credentials::default()), "team", "", account).unwrap();
    let error = bucket.details().unwrap_err().to_string();
    assert!(error.contains("NoSuchBucket: Not there"), "{error}");
    let server = Server::new();
    assert_eq!(self::bucket(&server, "").details().unwrap()[0].0, "answers");
}
