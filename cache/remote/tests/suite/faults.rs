use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::Duration;

use mc_digest::digest::BlobDigest;
use mc_fetch::credentials::Credentials;
use mc_fetch::credentials::netrc::Netrc;
use mc_fetch::url::Url;
use mc_remote::download::Fetching;
use mc_remote::error::RemoteError;
use mc_remote::lazy::LazyStore;
use mc_remote::transports::http::Http;
use mc_store::error::StoreError;
use mc_store::mapping::MappedFile;
use mc_store::traits::{BlobStore, BlobWriter};
use tempfile::tempdir;

use crate::action::{Machine, client};
use crate::server::{FAULTS, Fault, Server};

#[test]
fn a_result_of_one_machine_is_a_hit_on_another() {
    let (server, folder) = (Server::new(), tempdir().unwrap());
    let maker = Machine::new(&server.root(), &folder.path().join("a"));
    assert_eq!(maker.lookup().unwrap(), None);
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    let user = Machine::new(&server.root(), &folder.path().join("b"));
    assert_eq!(user.lookup().unwrap().as_ref(), Some(&outputs));
    assert!(user.holds(&outputs));
    // Local blobs are not requested again: one result and one tree.
    server.fail(None);
    assert_eq!(user.lookup().unwrap().as_ref(), Some(&outputs));
    assert_eq!(server.n_requests(), 2);
}

#[test]
fn under_any_faulty_response_a_result_is_right_or_absent() {
    let (server, folder) = (Server::new(), tempdir().unwrap());
    let maker = Machine::new(&server.root(), &folder.path().join("a"));
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    server.fail(None);
    let whole = Machine::new(&server.root(), &folder.path().join("b"));
    whole.lookup().unwrap();
    let n_requests = server.n_requests();
    assert!(n_requests >= 6, "{n_requests}");
    let mut n_right = 0;
    for at in 0..n_requests {
        for fault in FAULTS {
            server.fail(Some((at, fault)));
            let user = Machine::new(&server.root(), &folder.path().join(format!("{at} {fault:?}")));
            if let Ok(Some(found)) = user.lookup() {
                assert_eq!(found, outputs, "{fault:?} at request {at}");
                assert!(user.holds(&found), "{fault:?} at request {at}");
                n_right += 1;
            }
            server.fail(None);
            let later = Machine::new(&server.root(), &folder.path().join("later"));
            assert_eq!(later.lookup().unwrap().as_ref(), Some(&outputs));
        }
    }
    // A closed connection, an error status and a truncated response are retried and do no harm.
    assert!(n_right >= n_requests * 4, "{n_right} of {}", n_requests * FAULTS.len());
}

#[test]
fn faults_during_uploads_never_cause_wrong_results_later() {
    let folder = tempdir().unwrap();
    let server = Server::new();
    let maker = Machine::new(&server.root(), &folder.path().join("a"));
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    server.clear();
    server.fail(None);
    maker.upload(&outputs).unwrap();
    let n_requests = server.n_requests();
    for at in 0..n_requests {
        for fault in FAULTS {
            server.clear();
            server.fail(Some((at, fault)));
            let maker = Machine::new(&server.root(), &folder.path().join("b"));
            maker.run();
            let sent = maker.upload(&outputs);
            // Transient faults are retried.
            if matches!(fault, Fault::Drop | Fault::Broken) {
                sent.unwrap_or_else(|error| panic!("{fault:?} at request {at}: {error}"));
            }
            server.fail(None);
            let user = Machine::new(&server.root(), &folder.path().join("c"));
            if let Ok(Some(found)) = user.lookup() {
                assert_eq!(found, outputs, "{fault:?} at request {at}");
                assert!(user.holds(&found));
            }
        }
    }
}

#[test]
fn a_blob_of_several_concurrent_actions_is_transferred_once() {
    let (server, folder) = (Server::new(), tempdir().unwrap());
    let maker = Machine::new(&server.root(), &folder.path().join("a"));
    let outputs = maker.run();
    server.slow(Duration::from_millis(50));
    let at_once = |work: &(dyn Fn() + Sync)| {
        thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
    };
    at_once(&|| maker.upload(&outputs).unwrap());
    assert_eq!(server.n_moved("PUT", 2000), [1; 3]);
    let user = Machine::new(&server.root(), &folder.path().join("b"));
    at_once(&|| assert_eq!(user.lookup().unwrap().as_ref(), Some(&outputs)));
    assert_eq!(server.n_moved("GET", 2000), [1; 3]);
    assert!(user.holds(&outputs));
    // A server that lost them receives them again.
    server.clear();
    at_once(&|| maker.upload(&outputs).unwrap());
    assert_eq!(server.n_moved("PUT", 2000), [2; 3]);
}

#[test]
fn a_blob_received_damaged_is_uploaded_again() {
    let (server, folder) = (Server::new(), tempdir().unwrap());
    let maker = Machine::new(&server.root(), &folder.path().join("a"));
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    server.damage(5000);
    let user = Machine::new(&server.root(), &folder.path().join("b"));
    assert_eq!(user.lookup().unwrap(), None);
    let invalid_response = user.remote.invalid_response().unwrap();
    assert!(invalid_response.contains("the response was discarded"), "{invalid_response}");
    assert_eq!(user.remote.failure(), None);
    user.run();
    user.upload(&outputs).unwrap();
    let third = Machine::new(&server.root(), &folder.path().join("c"));
    assert_eq!(third.lookup().unwrap(), Some(outputs));
}

#[test]
fn a_failing_server_is_no_longer_asked() {
    let (server, folder) = (Server::new(), tempdir().unwrap());
    let user = Machine::new("http://127.0.0.1:1/", &folder.path().join("a"));
    assert!(user.lookup().unwrap_err().to_string().contains("refused"));
    assert!(user.remote.failure().is_some());
    assert_eq!(user.lookup().unwrap_err().to_string(), "The remote cache failed before");
    assert!(server.paths().is_empty());
}

#[test]
fn a_read_only_server_is_still_read() {
    let (server, folder) = (Server::new(), tempdir().unwrap());
    let maker = Machine::new(&server.root(), &folder.path().join("a"));
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    server.clear();
    // Seven requests only ask what is there, the next one uploads a blob.
    server.fail(Some((7, Fault::Denied)));
    assert!(maker.upload(&outputs).is_err());
    assert!(maker.remote.send_failure().is_some());
    assert_eq!(maker.remote.failure(), None);
    assert_eq!(maker.upload(&outputs).unwrap_err().to_string(), "The remote cache failed before");
    assert_eq!(maker.lookup().unwrap(), None);
}

#[test]
fn only_blobs_too_large_for_a_server_are_not_uploaded() {
    let (server, folder) = (Server::new(), tempdir().unwrap());
    let maker = Machine::new(&server.root(), &folder.path().join("a"));
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    server.clear();
    server.fail(Some((7, Fault::TooLarge)));
    let error = maker.upload(&outputs).unwrap_err().to_string();
    assert!(error.contains("(status 413); the server's operator can raise its limit"), "{error}");
    assert_eq!(maker.remote.send_failure(), None);
    assert_eq!(maker.lookup().unwrap(), None);
    maker.upload(&outputs).unwrap();
}

#[test]
fn a_server_that_sends_one_byte_per_response_is_abandoned() {
    let (server, folder) = (Server::new(), tempdir().unwrap());
    let maker = Machine::new(&server.root(), &folder.path().join("a"));
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    server.fail(None);
    server.drip();
    let user = Machine::new(&server.root(), &folder.path().join("b"));
    assert_eq!(user.lookup().unwrap(), None);
    assert!(user.remote.invalid_response().is_some());
    assert!(server.n_requests() < 200, "{}", server.n_requests());
}

/// A store on a full disk.
struct Full;

impl BlobStore for Full {
    fn contains(&self, _: &BlobDigest) -> Result<bool, StoreError> {
        Ok(false)
    }

    fn open(&self, _: &BlobDigest) -> Result<Option<MappedFile>, StoreError> {
        Ok(None)
    }

    fn writer(&self) -> Result<Box<dyn BlobWriter + '_>, StoreError> {
        Ok(Box::new(Self))
    }
}

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(StoreError::io("write", Path::new("blob"), io::ErrorKind::StorageFull.into()).into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BlobWriter for Full {
    fn finish(self: Box<Self>) -> Result<BlobDigest, StoreError> {
        unreachable!("nothing was written")
    }
}

#[test]
fn a_full_disk_does_not_count_against_the_server() {
    let (server, folder) = (Server::new(), tempdir().unwrap());
    let maker = Machine::new(&server.root(), &folder.path().join("a"));
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    let transport = Http::new(client(Credentials::default()), Url::parse(&server.root()).unwrap());
    let user = Machine::of(Box::new(transport), &folder.path().join("b"), Fetching::WhenRead);
    assert_eq!(user.lookup().unwrap().as_ref(), Some(&outputs));
    let blob = outputs["file"].parts()[0];
    let error = user.remote.bring(&Full, &[blob]).unwrap_err();
    assert!(matches!(error, RemoteError::Store(StoreError::DiskFull { .. })), "{error}");
    let lazy = LazyStore { local: &Full, remote: &user.remote };
    assert!(lazy.open(&blob).unwrap_err().is_disk_full());
    assert_eq!((user.remote.n_lost(), user.remote.failure()), (0, None));
    assert!(user.remote.promises(&blob));
}

#[test]
fn credentials_are_in_every_request_and_in_no_message() {
    let (server, folder) = (Server::new(), tempdir().unwrap());
    // `me:secret` in base 64.
    server.ask_for("Basic bWU6c2VjcmV0");
    let login = |password: &str| {
        let netrc = Netrc::parse(&format!("machine 127.0.0.1 login me password {password}"));
        let credentials = Credentials { netrc, ..Credentials::default() };
        Machine::with(&server.root(), &folder.path().join("a"), credentials)
    };
    let maker = login("secret");
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    assert_eq!(login("secret").lookup().unwrap().as_ref(), Some(&outputs));
    let stranger = login("guessed");
    stranger.run();
    for error in [stranger.upload(&outputs).unwrap_err(), stranger.lookup().unwrap_err()] {
        let message = error.to_string();
        assert!(message.contains("not with") && message.contains("; authenticate with"), "{message}");
        // `me:guessed` in base 64.
        assert!(!message.contains("bWU6Z3Vlc3NlZA"), "{message}");
    }
}
