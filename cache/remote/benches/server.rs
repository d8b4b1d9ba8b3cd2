//! Throughput of blobs to and from a server, compared with a plain gRPC copy of the same number of bytes in the same
//! run; and latency that parallel lookups hide.
//!
//! Run `MC_BENCH_SERVER=127.0.0.1:8980 cargo bench -p mc-remote` with a gRPC server at that address;
//! `tests/remote/run.sh` starts one. Without the variable nothing is measured.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use bazel_remote_apis::google::bytestream::{ReadRequest, WriteRequest};
use mc_fetch::credentials::Credentials;
use mc_fetch::tls::Pem;
use mc_fetch::url::Url;
use mc_ir::action::{Action, ActionContext, ActionError, ActionKind, ActionNode};
use mc_ir::label::{Label, PackageId};
use mc_ir::output::{Output, Outputs};
use mc_remote::download::Fetching;
use mc_remote::function::DigestFunction;
use mc_remote::local_action::LocalAction;
use mc_remote::notes::Notes;
use mc_remote::remote::Remote;
use mc_remote::signing::Signatures;
use mc_remote::transports::grpc::settings::{Place, Settings};
use mc_remote::transports::grpc::transport::Grpc;
use mc_store::local::store::LocalStore;
use mc_store::traits::BlobStore;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Parts of the composite: a small model's size, in tensors of the usual size.
const N_PARTS: u64 = 32;
const PART: usize = 8 << 20;
/// Bytes per message of the plain copy.
const PIECE: usize = 1 << 20;
/// Transfers in each direction; an even number, so that both go first equally often.
const N_ROUNDS: u64 = 6;
/// Lookups: the number of actions of a model with seven billion parameters.
const N_LOOKUPS: u64 = 700;

struct Step(u64);

impl Action for Step {
    fn kind(&self) -> ActionKind {
        ActionKind { name: "bench", version: 1 }
    }

    fn parameters(&self) -> Vec<(String, String)> {
        vec![("of".to_owned(), self.0.to_string())]
    }

    fn outputs(&self) -> Vec<String> {
        vec!["whole".to_owned()]
    }

    fn describe(&self) -> String {
        "an action".to_owned()
    }

    fn run(&self, _: &dyn ActionContext) -> std::result::Result<Outputs, ActionError> {
        Err(ActionError::failed("not run"))
    }
}

/// Bytes that no earlier run has used.
fn noise(seed: u64, n_bytes: usize) -> Vec<u8> {
    let started =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_nanos());
    let mut state = seed ^ started as u64 | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..n_bytes / 8).flat_map(|_| next().to_le_bytes()).collect()
}

fn node(number: u64) -> std::sync::Arc<ActionNode> {
    let label = Label::new(PackageId(String::new()), "bench");
    ActionNode::new(label, Box::new(Step(number)), Vec::new())
}

fn remote(server: SocketAddr, folder: &Path) -> Result<Remote> {
    let settings = Settings {
        place: Place::Plain(Url::parse(&format!("http://{server}"))?),
        instance: String::new(),
        credentials: Credentials::default(),
        headers: Vec::new(),
        pem: Pem::default(),
        connect: Duration::from_secs(5),
        idle: Duration::from_secs(60),
        n_retries: 3,
        function: None,
        compress: false,
        compress_from: 1024,
        chunk: true,
        keep_alive: None,
        log: None,
        version: "bench",
    };
    Ok(Remote::new(
        Box::new(Grpc::new(settings)?),
        Notes::open(folder, "bench"),
        Fetching::AtOnce,
        Signatures::default(),
    ))
}

/// Uploads the blobs one after the other, one stream each, without hashing.
async fn copy_up(server: SocketAddr, blobs: &[(String, Vec<u8>)]) -> Result<()> {
    let mut client = ByteStreamClient::connect(format!("http://{server}")).await?;
    for (name, bytes) in blobs {
        let resource = format!("uploads/{:032x}/blobs/{name}/{}", rand_name(name), bytes.len());
        let n_pieces = bytes.len().div_ceil(PIECE);
        let messages: Vec<WriteRequest> = bytes
            .chunks(PIECE)
            .enumerate()
            .map(|(index, data)| WriteRequest {
                resource_name: if index == 0 { resource.clone() } else { String::new() },
                write_offset: (index * PIECE) as i64,
                finish_write: index + 1 == n_pieces,
                data: data.to_vec(),
            })
            .collect();
        client.write(tokio_stream::iter(messages)).await?;
    }
    Ok(())
}

fn rand_name(name: &str) -> u128 {
    u128::from_str_radix(&name[..32], 16).unwrap_or(1)
}

/// Downloads each blob into a file of its own, without waiting for the disk.
async fn copy_down(server: SocketAddr, blobs: &[(String, Vec<u8>)], folder: &Path) -> Result<()> {
    let mut client =
        ByteStreamClient::connect(format!("http://{server}")).await?.max_decoding_message_size(16 << 20);
    for (name, bytes) in blobs {
        let resource_name = format!("blobs/{name}/{}", bytes.len());
        let mut stream =
            client.read(ReadRequest { resource_name, read_offset: 0, read_limit: 0 }).await?.into_inner();
        let mut n_bytes = 0;
        let mut file = std::fs::File::create(folder.join(name))?;
        while let Some(message) = stream.message().await? {
            file.write_all(&message.data)?;
            n_bytes += message.data.len();
        }
        if n_bytes != bytes.len() {
            return Err("the copy is not whole".into());
        }
    }
    Ok(())
}

fn seconds(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64())
}

/// The copy under test.
#[derive(Clone, Copy)]
enum Whose {
    Plain,
    Ours,
}

/// Both copies, in alternating order: leftovers of one on the disk and in memory must not favor or slow down the other.
fn in_turn(round: u64) -> [Whose; 2] {
    if round.is_multiple_of(2) { [Whose::Plain, Whose::Ours] } else { [Whose::Ours, Whose::Plain] }
}

/// Uploads and downloads a composite, and as many other bytes with the plain copy.
fn throughput(server: SocketAddr, round: u64, runtime: &tokio::runtime::Runtime) -> Result<[[f64; 2]; 2]> {
    let plain: Vec<(String, Vec<u8>)> = (0..N_PARTS)
        .map(|part| noise(1000 * round + part, PART))
        .map(|bytes| (DigestFunction::Sha256.digest(&bytes).hash.to_string(), bytes))
        .collect();
    let (maker, user) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let store = LocalStore::open(&maker.path().join("store"))?;
    let mut parts = Vec::new();
    for part in 0..N_PARTS {
        parts.push(store.put_bytes(&noise(1000 * round + 500 + part, PART))?);
    }
    // Unsynced writes must not slow down a later measurement.
    store.sync()?;
    let outputs = Outputs::from([("whole".to_owned(), Output::Composite(parts))]);
    let node = node(noise(round, 8).iter().fold(0, |number, &byte| number << 8 | u64::from(byte)));
    let made = LocalAction { node: &node, inputs: &[], source: &|_| None };
    let (to, from) = (remote(server, maker.path())?, remote(server, user.path())?);
    let theirs = LocalStore::open(&user.path().join("store"))?;
    let (mut up, mut down) = ([0.0; 2], [0.0; 2]);
    for whose in in_turn(round) {
        up[whose as usize] = match whose {
            Whose::Plain => seconds(|| runtime.block_on(copy_up(server, &plain)))?,
            Whose::Ours => seconds(|| Ok(to.upload(&store, &made, &outputs)?))?,
        };
    }
    for whose in in_turn(round) {
        down[whose as usize] = match whose {
            Whose::Plain => seconds(|| runtime.block_on(copy_down(server, &plain, user.path())))?,
            Whose::Ours => seconds(|| match from.lookup(&theirs, &made)? {
                Some((found, _)) if found == outputs => Ok(theirs.sync()?),
                _ => Err("not what was sent".into()),
            })?,
        };
    }
    Ok([up, down])
}

/// A proxy that adds latency but no limit on throughput.
fn far(server: SocketAddr, one_way: Duration) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(server) else { continue };
            let Ok((client_again, server_again)) =
                client.try_clone().and_then(|a| Ok((a, server.try_clone()?)))
            else {
                continue;
            };
            for (mut from, mut to) in [(client, server_again), (server, client_again)] {
                // Without this a small packet waits for the previous acknowledgment, which takes longer than the
                // latency.
                drop(to.set_nodelay(true));
                let (sender, late) = channel::<(Instant, Vec<u8>)>();
                thread::spawn(move || {
                    let mut buffer = vec![0; 1 << 16];
                    while let Ok(n_read) = from.read(&mut buffer) {
                        let is_end = n_read == 0;
                        if is_end
                            || sender.send((Instant::now() + one_way, buffer[..n_read].to_vec())).is_err()
                        {
                            return;
                        }
                    }
                });
                thread::spawn(move || {
                    for (due, bytes) in late {
                        thread::sleep(due.saturating_duration_since(Instant::now()));
                        if to.write_all(&bytes).is_err() {
                            return;
                        }
                    }
                    drop(to.shutdown(std::net::Shutdown::Write));
                });
            }
        }
    });
    Ok(address)
}

/// Duration of all lookups in seconds, with this many in parallel.
fn lookups(server: SocketAddr, n_askers: usize) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let store = LocalStore::open(&folder.path().join("store"))?;
    let remote = remote(server, folder.path())?;
    remote.function()?;
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let elapsed = seconds(|| {
        thread::scope(|scope| {
            for _ in 0..n_askers {
                scope.spawn(|| {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed) as u64;
                        if number >= N_LOOKUPS {
                            return;
                        }
                        let node = node(number);
                        let made = LocalAction { node: &node, inputs: &[], source: &|_| None };
                        if remote.lookup(&store, &made).is_err() {
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        Ok(())
    })?;
    if failed.into_inner() > 0 {
        return Err("a lookup failed".into());
    }
    Ok(elapsed)
}

fn main() -> Result<()> {
    let Ok(server) = std::env::var("MC_BENCH_SERVER") else { return Ok(()) };
    let server: SocketAddr = server.parse()?;
    let mut out = std::io::stdout().lock();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let rounds =
        (0..N_ROUNDS).map(|round| throughput(server, round, &runtime)).collect::<Result<Vec<_>>>()?;
    writeln!(
        out,
        "{} parts of {} MiB, speed as a share of a plain gRPC copy's, {N_ROUNDS} rounds together (and each)",
        N_PARTS,
        PART >> 20
    )?;
    for (way, name) in ["up", "down"].into_iter().enumerate() {
        let total = |whose: Whose| rounds.iter().map(|round| round[way][whose as usize]).sum::<f64>();
        let share = total(Whose::Plain) / total(Whose::Ours);
        let each: Vec<String> =
            rounds.iter().map(|round| format!("{:.2}", round[way][0] / round[way][1])).collect();
        writeln!(out, "  {name:<5} {share:.2}  ({})", each.join(", "))?;
    }
    writeln!(out, "{N_LOOKUPS} lookups, time in round trips of the way there")?;
    for round_trip in [2, 20, 100] {
        let way = far(server, Duration::from_millis(round_trip / 2))?;
        let round_trips = |seconds: f64| seconds * 1000.0 / round_trip as f64;
        let (sequential, actual) = (round_trips(lookups(way, 1)?), lookups(way, 32)?);
        writeln!(
            out,
            "  {round_trip:>3} ms  one after the other {sequential:>6.0}, 32 at a time {:>5.0}",
            round_trips(actual)
        )?;
    }
    Ok(())
}
