//! Runs every attack over every transport.

use std::io::Write as _;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use mc_fetch::client::Client;
use mc_fetch::credentials::Credentials;
use mc_fetch::proxies::Proxies;
use mc_fetch::stall_limit::StallLimit;
use mc_fetch::url::Url;
use mc_remote::aws::Account;
use mc_remote::download::Fetching;
use mc_remote::function::DigestFunction;
use mc_remote::transport::Transport;
use mc_remote::transports::folder::Folder;
use mc_remote::transports::grpc::transport::Grpc;
use mc_remote::transports::http::Http;
use mc_remote::transports::oci::Oci;
use mc_remote::transports::s3::S3;
use tempfile::tempdir;

use crate::action::Machine;
use crate::attacks::{Attack, attacks};
use crate::memory;
use crate::rpc::{RpcServer, settings};
use crate::shared_folder;
use crate::web;

/// Idle timeout.
pub(crate) const PATIENCE: Duration = Duration::from_millis(300);

/// An attack that runs longer counts as endless. It normally takes a few tries of a few timeouts: a second or two on an
/// idle machine.
const LONGEST: Duration = Duration::from_secs(300);

/// Memory limit for an attack.
const MAX_MEMORY: usize = 200 << 20;

/// A client with short timeouts.
pub(crate) fn client(credentials: Credentials) -> Client {
    let patience = StallLimit {
        connect: PATIENCE,
        idle: PATIENCE,
        n_retries: 1,
        asks_silent: false,
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(1),
    };
    Client::new(credentials, patience, &Proxies::default()).unwrap()
}

/// Runs some work, and aborts all tests if it does not end: a test that waited for it would not end either.
pub(crate) fn in_time<T: Send>(what: &str, work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let (ended, ends) = channel();
        let working = scope.spawn(move || {
            let given = work();
            drop(ended);
            given
        });
        let began = Instant::now();
        if ends.recv_timeout(LONGEST) == Err::<(), _>(RecvTimeoutError::Timeout) {
            // Bypasses the harness, which buffers the output of tests until they end.
            let reported = format!("{what}: nothing after {:?}\n", began.elapsed());
            drop(std::io::stderr().write_all(reported.as_bytes()));
            std::process::abort();
        }
        working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// An attacking server, which runs until this is dropped, and the transport to it.
struct Attacker {
    transport: Box<dyn Transport>,
    _server: Option<RpcServer>,
}

fn attacker(transport: &str, attack: &Attack, dir: &Path) -> Attacker {
    let mut server = None;
    let client = || client(Credentials::default());
    let transport: Box<dyn Transport> = match transport {
        "gRPC" => {
            let server = server.insert(RpcServer::attacking(attack.clone()));
            Box::new(Grpc::new(settings(server.address)).unwrap())
        }
        "HTTP" => {
            let root = format!("http://{}/", web::attacking(attack.clone()));
            Box::new(Http::new(client(), Url::parse(&root).unwrap()))
        }
        "S3" => {
            let endpoint = format!("http://{}/", web::attacking(attack.clone()));
            let variable = |name: &str| match name {
                "AWS_ENDPOINT_URL" => Some(endpoint.clone()),
                "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("key".to_owned()),
                _ => None,
            };
            let account = Account::read(&variable, "", "").unwrap();
            Box::new(S3::new(client(), "team", "mc", account).unwrap())
        }
        "OCI" => Box::new(Oci::new(client(), &web::attacking(attack.clone()), "team/mc").unwrap()),
        _ => Box::new(Folder::open(dir).unwrap()),
    };
    Attacker { transport, _server: server }
}

fn run(transport: &str, attack: &Attack, fetching: Fetching) {
    let what = format!("{transport}, {fetching:?}: {}", attack.name);
    let dir = tempdir().unwrap();
    let Attacker { transport: way, _server } = attacker(transport, attack, dir.path());
    let machine = Machine::of(way, &dir.path().join("known"), fetching);
    if transport == "folder" {
        shared_folder::fill(dir.path(), attack, &machine);
    }
    let (found, peak) = memory::peak(|| {
        in_time(&what, || {
            let found = machine.lookup();
            if let Ok(Some(outputs)) = &found {
                // Promised blobs either arrive intact or are reported as lost.
                drop(machine.bring(outputs));
            }
            found
        })
    });
    assert!(peak < MAX_MEMORY, "{what}: {peak} bytes");
    if attack.is_right {
        let outputs = found.unwrap().unwrap_or_else(|| panic!("{what}: nothing found"));
        assert!(machine.holds(&outputs), "{what}");
        return;
    }
    let Ok(Some(outputs)) = found else { return };
    // The blob was promised, so its corruption is detected on download.
    assert_eq!(fetching, Fetching::WhenRead, "{what}");
    assert_eq!(outputs.keys().collect::<Vec<_>>(), ["file", "whole"], "{what}");
    assert!(machine.remote.n_lost() > 0 && !machine.holds(&outputs), "{what}");
}

fn run_all(transport: &'static str, function: DigestFunction) {
    let _alone = memory::alone();
    for attack in attacks(function) {
        for fetching in [Fetching::AtOnce, Fetching::WhenRead] {
            run(transport, &attack, fetching);
        }
    }
}

#[test]
fn no_attack_over_grpc_gives_a_wrong_result_or_costs_much() {
    run_all("gRPC", DigestFunction::Sha256);
}

#[test]
fn no_attack_over_http_gives_a_wrong_result_or_costs_much() {
    run_all("HTTP", DigestFunction::Sha256);
}

#[test]
fn no_attack_of_a_bucket_gives_a_wrong_result_or_costs_much() {
    run_all("S3", DigestFunction::Sha256);
}

#[test]
fn no_attack_of_a_registry_gives_a_wrong_result_or_costs_much() {
    run_all("OCI", DigestFunction::Sha256);
}

#[test]
fn no_attack_in_a_shared_folder_gives_a_wrong_result_or_costs_much() {
    run_all("folder", DigestFunction::Blake3);
}
