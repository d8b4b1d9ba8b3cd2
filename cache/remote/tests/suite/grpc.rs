use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bazel_remote_apis::build::bazel::remote::execution::v2::digest_function::Value as Function;
use mc_fetch::credentials::Credentials;
use mc_fetch::credentials::helper::Helper;
use mc_fetch::secret::header::SecretHeader;
use mc_remote::download::Fetching;
use mc_remote::function::DigestFunction;
use mc_remote::signing::{Signatures, Signer, Trusted};
use mc_remote::transports::grpc::call_log::CallLog;
use mc_remote::transports::grpc::settings::Settings;
use mc_remote::transports::grpc::transport::Grpc;
use serde_json::Value;
use tempfile::tempdir;

use crate::action::Machine;
pub(crate) use crate::action::settings;
use crate::grpc_server::{Abilities, GrpcServer};

pub(crate) fn machine(settings: Settings, known: &Path) -> Machine {
    Machine::of(Box::new(Grpc::new(settings).unwrap()), known, Fetching::AtOnce)
}

/// One machine uploads a result, and another finds it with every blob.
fn round_trip(server: &GrpcServer, change: &dyn Fn(&mut Settings)) {
    let folder = tempdir().unwrap();
    let new = |name: &str| {
        let mut settings = settings(server.address);
        change(&mut settings);
        machine(settings, &folder.path().join(name))
    };
    let maker = new("a");
    assert_eq!(maker.lookup().unwrap(), None);
    let outputs = maker.run_large();
    maker.upload(&outputs).unwrap();
    let user = new("b");
    assert_eq!(user.lookup().unwrap().as_ref(), Some(&outputs));
    assert!(user.holds(&outputs));
}

#[test]
fn a_result_of_one_machine_is_a_hit_on_another() {
    let server = GrpcServer::new(Abilities::default());
    round_trip(&server, &|settings| settings.instance = "main/team".to_owned());
    let seen = server.seen();
    assert!(seen.resources.iter().all(|name| name.starts_with("main/team/")), "{:?}", seen.resources);
    // Both machines request the capabilities once.
    assert_eq!(seen.calls["GetCapabilities"], 2);
    assert_eq!(seen.calls["FindMissingBlobs"], 1);
    assert_eq!(seen.calls["Write"], 1);
}

#[test]
fn blake3_is_used_if_the_server_supports_it() {
    let functions = vec![Function::Sha256, Function::Blake3];
    let server =
        GrpcServer::new(Abilities { functions, checks: DigestFunction::Blake3, ..Abilities::default() });
    round_trip(&server, &|_| {});
    assert!(server.seen().resources.iter().all(|name| name.contains("blobs/blake3/")));
}

#[test]
fn a_server_that_verifies_with_another_function_than_advertised_is_reported() {
    let functions = vec![Function::Sha256, Function::Blake3];
    let server = GrpcServer::new(Abilities { functions, ..Abilities::default() });
    let folder = tempdir().unwrap();
    let maker = machine(settings(server.address), &folder.path().join("a"));
    let outputs = maker.run();
    let error = maker.upload(&outputs).unwrap_err().to_string();
    assert!(error.contains("advertises BLAKE3 but rejects uploads with it"), "{error}");
    assert!(error.ends_with("try `--remote-digest-function=sha256`"), "{error}");
    round_trip(&server, &|settings| settings.function = Some(DigestFunction::Sha256));
}

#[test]
fn batches_respect_the_limit_of_the_server() {
    let server = GrpcServer::new(Abilities { max_batch: 65_536, ..Abilities::default() });
    round_trip(&server, &|_| {});
    let seen = server.seen();
    assert!(seen.largest_batch > 0 && seen.largest_batch <= 65_536, "{}", seen.largest_batch);
    // A blob that does not fit is sent alone.
    assert_eq!(seen.calls["Write"], 2);
}

#[test]
fn compressible_blobs_are_compressed_if_both_sides_agree() {
    let server = GrpcServer::new(Abilities { zstd: true, ..Abilities::default() });
    let folder = tempdir().unwrap();
    let text = vec![b'a'; 2_000_000];
    for (compress, expected) in [(false, false), (true, true)] {
        server.clear();
        server.look_away();
        let maker = machine(Settings { compress, ..settings(server.address) }, &folder.path().join("a"));
        let outputs = maker.gives(&text);
        maker.upload(&outputs).unwrap();
        let seen = server.seen();
        assert_eq!(seen.resources[0].contains("compressed-blobs/zstd/"), expected);
        assert_eq!(seen.n_bytes < text.len() / 10, expected);
        let user = machine(Settings { compress, ..settings(server.address) }, &folder.path().join("b"));
        assert_eq!(user.lookup().unwrap().as_ref(), Some(&outputs));
        assert!(user.holds(&outputs));
    }
}

#[test]
fn nothing_below_the_threshold_is_compressed() {
    let server = GrpcServer::new(Abilities { zstd: true, max_batch: 30_000, ..Abilities::default() });
    let folder = tempdir().unwrap();
    let text = vec![b'a'; 100_000];
    for (compress_from, expected) in [(100_001, false), (100_000, true)] {
        server.clear();
        server.look_away();
        let settings = || Settings { compress: true, compress_from, ..settings(server.address) };
        let maker = machine(settings(), &folder.path().join("a"));
        let outputs = maker.gives(&text);
        maker.upload(&outputs).unwrap();
        let user = machine(settings(), &folder.path().join("b"));
        assert_eq!(user.lookup().unwrap(), Some(outputs));
        let seen = server.seen();
        let large: Vec<&String> = seen.resources.iter().filter(|name| name.ends_with("/100000")).collect();
        assert_eq!(large.len(), 2);
        assert!(large.iter().all(|name| name.contains("zstd") == expected), "{large:?}");
    }
}

#[test]
fn a_connection_is_kept_alive_during_a_request() {
    /// The header of a PING frame: 8 bytes, type 6, no flags, stream 0.
    const PING: [u8; 9] = [0, 0, 8, 6, 0, 0, 0, 0, 0];
    let folder = tempdir().unwrap();
    let is_tried = |keep_alive| {
        // The server accepts everything and sends nothing.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let settings = settings(listener.local_addr().unwrap());
        let heard = thread::spawn(move || {
            let (mut connection, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            connection.read_to_end(&mut heard).unwrap();
            heard
        });
        let patience = Duration::from_secs(2);
        let settings = Settings { connect: patience, idle: patience, n_retries: 0, keep_alive, ..settings };
        let user = machine(settings, &folder.path().join("a"));
        user.lookup().unwrap_err();
        drop(user);
        heard.join().unwrap().windows(PING.len()).any(|bytes| bytes == PING)
    };
    assert!(is_tried(Some(Duration::from_millis(200))));
    assert!(!is_tried(None));
}

#[test]
fn a_requested_retry_delay_is_observed() {
    let folder = tempdir().unwrap();
    let waited = |asked: Duration, idle: Duration| {
        let server = GrpcServer::new(Abilities { puts_off: Some(asked), ..Abilities::default() });
        let user = machine(Settings { idle, ..settings(server.address) }, &folder.path().join("a"));
        let began = Instant::now();
        assert_eq!(user.lookup().unwrap(), None);
        assert_eq!(server.seen().calls["GetActionResult"], 2);
        began.elapsed()
    };
    // Without a request the client would retry after 0.1 to 0.2 seconds.
    let asked = Duration::from_millis(1200);
    assert!(waited(asked, Duration::from_secs(60)) >= asked);
    // No wait exceeds the idle timeout.
    let (hour, idle) = (Duration::from_secs(3600), Duration::from_secs(2));
    assert!((idle..hour).contains(&waited(hour, idle)));
}

#[test]
fn a_result_corrupted_in_transit_is_sent_again() {
    let server = GrpcServer::new(Abilities { garbles: true, ..Abilities::default() });
    round_trip(&server, &|_| {});
    assert_eq!(server.seen().calls["UpdateActionResult"], 2);
}

#[test]
fn every_call_is_logged_without_headers() {
    let server = GrpcServer::new(Abilities { resumes: true, ..Abilities::default() });
    let folder = tempdir().unwrap();
    let path = folder.path().join("calls.json");
    let new = |name: &str| {
        let log = Some(Arc::new(CallLog::open(&path).unwrap()));
        let headers = vec![SecretHeader::parse("x-team=a secret").unwrap()];
        machine(Settings { log, headers, ..settings(server.address) }, &folder.path().join(name))
    };
    let maker = new("a");
    assert_eq!(maker.lookup().unwrap(), None);
    let outputs = maker.run_large();
    maker.upload(&outputs).unwrap();
    drop(maker);
    assert_eq!(new("b").lookup().unwrap(), Some(outputs));

    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("secret") && !text.contains("x-team"), "{text}");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seen = server.seen();
    assert_eq!(lines.len(), seen.calls.values().sum::<usize>(), "{text}");
    let of = |method: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["method"].as_str().unwrap().ends_with(method)).collect()
    };
    let (asked, put) = (of("/GetActionResult"), of("/UpdateActionResult"));
    let statuses: Vec<&str> = asked.iter().map(|line| line["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["NotFound", "Ok"]);
    assert_eq!(put[0]["about"], asked[0]["about"]);
    assert_eq!(of("/BatchUpdateBlobs")[0]["method"].as_str().unwrap().split('.').count(), 6);
    let streams: Vec<&str> =
        of("/Write").into_iter().chain(of("/Read")).map(|line| line["about"].as_str().unwrap()).collect();
    assert_eq!(streams, seen.resources);
    // A little more than the bytes of the blobs themselves.
    let count = |method: &str, counter: &str| -> u64 {
        of(method).iter().map(|line| line[counter].as_u64().unwrap()).sum()
    };
    let n_bytes = |name: &&str| -> u64 { name.rsplit('/').next().unwrap().parse().unwrap() };
    let (sent, received) = (count("/Write", "bytes_sent"), count("/Read", "bytes_received"));
    let total: u64 = streams.iter().map(n_bytes).sum();
    assert!((total..total + 10_000).contains(&(sent + received)), "{sent} and {received}: {text}");
    assert!(lines.iter().all(|line| line["seconds"].as_f64().unwrap() < 60.0), "{text}");
}

#[test]
fn blobs_are_fetched_when_read_and_a_loss_is_reported() {
    let server = GrpcServer::new(Abilities::default());
    let folder = tempdir().unwrap();
    let maker = machine(settings(server.address), &folder.path().join("a"));
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    let lazy = |name: &str| {
        let server = Grpc::new(settings(server.address)).unwrap();
        Machine::of(Box::new(server), &folder.path().join(name), Fetching::WhenRead)
    };
    server.look_away();
    let user = lazy("b");
    assert_eq!(user.lookup().unwrap().as_ref(), Some(&outputs));
    assert!(!user.holds(&outputs));
    // Only the tree of the composite was downloaded.
    let seen = server.seen();
    assert_eq!((seen.calls.get("BatchReadBlobs"), seen.calls["Read"]), (None, 1));
    user.bring(&outputs).unwrap();
    assert!(user.holds(&outputs));
    assert_eq!(user.remote.n_lost(), 0);

    let user = lazy("c");
    assert_eq!(user.lookup().unwrap().as_ref(), Some(&outputs));
    server.lose(2000);
    user.bring(&outputs).unwrap();
    assert_eq!(user.remote.n_lost(), 1);
    // A result that names a missing blob does not count until it is uploaded again.
    assert_eq!(user.lookup().unwrap(), None);
    user.run();
    user.upload(&outputs).unwrap();
    let third = machine(settings(server.address), &folder.path().join("d"));
    assert_eq!(third.lookup().unwrap().as_ref(), Some(&outputs));
    assert!(third.holds(&outputs));
}

#[test]
fn a_server_with_read_only_results_is_still_read() {
    let server = GrpcServer::new(Abilities { takes_results: false, ..Abilities::default() });
    let folder = tempdir().unwrap();
    let maker = machine(settings(server.address), &folder.path().join("a"));
    let outputs = maker.run();
    let error = maker.upload(&outputs).unwrap_err().to_string();
    assert!(error.contains("results are read-only"), "{error}");
    assert_eq!(maker.lookup().unwrap(), None);
    assert_eq!(maker.remote.failure(), None);
}

#[test]
fn an_unreachable_server_causes_one_error_that_names_it() {
    let folder = tempdir().unwrap();
    let user = machine(settings("127.0.0.1:1".parse().unwrap()), &folder.path().join("a"));
    let error = user.lookup().unwrap_err().to_string();
    assert!(error.contains("grpc://127.0.0.1:1: GetCapabilities: Unavailable: "), "{error}");
    assert!(error.contains("refused"), "{error}");
    assert_eq!(user.lookup().unwrap_err().to_string(), "The remote cache failed before");
}

#[test]
fn with_trusted_keys_only_signed_results_count() {
    let (server, folder) = (GrpcServer::new(Abilities::default()), tempdir().unwrap());
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let (private, public) = (file("key.pem", PRIVATE), file("key.pub", PUBLIC));
    let new = |name: &str, signs: bool, asks: bool| {
        let signatures = Signatures {
            signer: signs.then(|| Signer::read(&private).unwrap()),
            trusted: asks.then(|| Trusted::read(&public).unwrap()),
        };
        let server = Box::new(Grpc::new(settings(server.address)).unwrap());
        Machine::signing(server, &folder.path().join(name), Fetching::AtOnce, signatures)
    };
    let stranger = new("a", false, false);
    let outputs = stranger.run();
    stranger.upload(&outputs).unwrap();
    let user = new("b", false, true);
    assert_eq!(user.lookup().unwrap(), None);
    assert_eq!(user.remote.n_unsigned(), 1);
    // A machine with a trusted key replaces it.
    let maker = new("c", true, true);
    maker.run();
    maker.upload(&outputs).unwrap();
    let user = new("d", false, true);
    let signed = Trusted::read(&public).unwrap().attesters().first().copied();
    assert_eq!(user.found().unwrap(), Some((outputs.clone(), signed)));
    assert_eq!(user.remote.n_unsigned(), 0);
    // Without trusted keys no signature is checked, and the result has no attester.
    assert_eq!(new("e", false, false).found().unwrap(), Some((outputs, None)));
}

#[test]
fn a_signer_replaces_results_without_a_trusted_signature() {
    let (server, folder) = (GrpcServer::new(Abilities::default()), tempdir().unwrap());
    let private = folder.path().join("key.pem");
    std::fs::write(&private, PRIVATE).unwrap();
    let new = |name: &str, signs: bool, trusted: Option<Trusted>| {
        let signatures = Signatures { signer: signs.then(|| Signer::read(&private).unwrap()), trusted };
        let server = Box::new(Grpc::new(settings(server.address)).unwrap());
        let machine = Machine::signing(server, &folder.path().join(name), Fetching::AtOnce, signatures);
        let outputs = machine.run();
        (machine, outputs)
    };
    let own = || Some(Signer::read(&private).unwrap().trusted());
    let (stranger, outputs) = new("a", false, None);
    assert!(stranger.lacks(&outputs));
    stranger.upload(&outputs).unwrap();
    assert!(!stranger.lacks(&outputs));
    let (maker, outputs) = new("b", true, own());
    assert!(maker.lacks(&outputs));
    maker.upload(&outputs).unwrap();
    assert!(!maker.lacks(&outputs));
    // A machine does not repeatedly upload its own signed result, even if it trusts only other keys.
    assert!(!new("c", true, Some(Trusted::default())).0.lacks(&outputs));
    assert!(new("d", false, Some(Trusted::default())).0.lacks(&outputs));
}

// Made with `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout`; they protect nothing.
const PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIPWMfuXZkU7MsXmTehb1J7/fSXn1iG2ri0FHk0+NN3mp\n-----END PRIVATE KEY-----\n";
const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAv3Q0vU1qhOn8Nwfg/bsdFYshwifW+U461/3Pg29jerg=\n-----END PUBLIC KEY-----\n";

#[cfg(unix)]
#[test]
fn a_refused_helper_answer_is_replaced_by_a_newer_one() {
    use std::os::unix::fs::PermissionsExt;

    let server = GrpcServer::new(Abilities { lets_in: Some("Bearer 2"), ..Abilities::default() });
    let folder = tempdir().unwrap();
    let program = folder.path().join("helper");
    let script = format!(
        "#!/bin/sh\necho >> {0}/runs\n\
         printf '{{\"headers\":{{\"Authorization\":[\"Bearer %s\"]}}}}' $(wc -l < {0}/runs)\n",
        folder.path().display()
    );
    let text = folder.path().join("text");
    std::fs::write(&text, script).unwrap();
    std::fs::set_permissions(&text, std::fs::Permissions::from_mode(0o755)).unwrap();
    // A file that another test's child process holds open for writing cannot be executed; a copy made by another
    // process can.
    assert!(std::process::Command::new("cp").arg("-p").args([&text, &program]).status().unwrap().success());
    let known = |helper| Credentials { helper: Some(helper), ..Credentials::default() };
    let credentials = known(Helper::new(&program));
    let user = machine(Settings { credentials, ..settings(server.address) }, &folder.path().join("a"));
    assert_eq!(user.lookup().unwrap(), None);
    // The third answer is refused, and so is the fourth.
    let credentials = known(Helper::new(&program));
    let stranger = machine(Settings { credentials, ..settings(server.address) }, &folder.path().join("b"));
    let refusal = stranger.lookup().unwrap_err().to_string();
    assert!(refusal.contains("Unauthenticated: who is it?; authenticate with"), "{refusal}");
    assert_eq!(std::fs::read_to_string(folder.path().join("runs")).unwrap().len(), 4);
}
