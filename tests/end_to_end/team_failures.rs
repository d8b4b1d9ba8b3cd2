//! A remote cache that fails, hangs, returns wrong data or loses blobs: the build continues, or ends in one error.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::background::Background;
use crate::safetensors_file::set_element;
use crate::sandbox::{BUNDLE, GGUF, MINUTES, Sandbox, Template, files_below};
use crate::team_cache::{SEND, TARGET, alone, clone, filled, folder};

#[test]
fn missing_blobs_are_remade() {
    let (first, team) = filled(TARGET);
    let second = clone();
    second.build(&[&team, "--remote-download-outputs=minimal", TARGET]);
    // The promised blobs were evicted: half of the blobs, none of the results.
    let blobs = files_below(&first.dir().join("team/blake3/cas"));
    for path in blobs.iter().step_by(2) {
        fs::remove_file(path).unwrap();
    }
    let built = second.build(&[&team, SEND, TARGET]);
    assert!(built.n_ran() > 5, "{}", built.n_ran());
    assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
    assert!(built.stderr.contains("missing that results name"), "{}", built.stderr);
    assert_eq!(second.files("mc-out"), first.files("mc-out"));
    // They are uploaded, too. The third clone remakes those that the second did not need, such as the tree of the
    // file's parts.
    let third = clone();
    assert!(third.build(&[&team, SEND, TARGET]).n_ran() < built.n_ran());
    assert_eq!(third.files("mc-out"), first.files("mc-out"));
    let fourth = clone();
    assert_eq!(fourth.build(&[&team, TARGET]).n_ran(), 0);
    assert_eq!(fourth.files("mc-out"), first.files("mc-out"));
}

#[test]
fn a_cleared_cache_is_not_a_failure() {
    let (first, team) = filled(GGUF);
    let promised = clone();
    promised.build(&[&team, "--remote-download-minimal", GGUF]);
    // All blobs, but not the results.
    fs::remove_dir_all(first.dir().join("team/blake3/cas")).unwrap();
    for second in [clone(), promised] {
        let built = second.build(&[&team, "--remote-cache-required", GGUF]);
        assert_eq!(built.digests(), Template::get().gguf.digests());
        assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
        assert!(built.stderr.contains("missing that results name; the"), "{}", built.stderr);
    }
}

#[test]
fn a_server_that_is_not_a_cache_is_reported() {
    static N_PUT: AtomicUsize = AtomicUsize::new(0);
    let team = server_that(|method| {
        N_PUT.fetch_add(usize::from(method == "PUT"), Ordering::Relaxed);
        ("200 OK", "<html>Who are you?</html>")
    });
    let built = clone().build(&[&team, SEND, TARGET]);
    assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
    assert!(built.stderr.contains(": 39 results could not be read ("), "{}", built.stderr);
    assert_eq!(built.digests(), alone().digests());
    // A page of another length is not a blob.
    let n_sent = N_PUT.load(Ordering::Relaxed);
    assert!(n_sent > 100, "{n_sent}");
    let ran = clone().mc(&["build", &team, "--remote-cache-required", TARGET]).exits(1);
    // An error that many actions encountered is reported once.
    assert_eq!(ran.errors().len(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("sent an invalid result"), "{}", ran.stderr);
}

#[test]
fn a_dead_server_costs_one_warning_or_one_error() {
    let sandbox = clone();
    let dead = "--remote-cache=http://127.0.0.1:1";
    let built = sandbox.build(&[dead, SEND, TARGET]);
    assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
    assert!(built.stderr.contains("is no longer used after a failure"), "{}", built.stderr);
    // The JSON output contains the warning, too.
    let warnings = built.document["warnings"].as_array().unwrap();
    assert!(
        warnings.len() == 1 && warnings[0].as_str().unwrap().contains("is no longer used"),
        "{warnings:?}"
    );
    assert_eq!(built.digests(), alone().digests());

    let times = ["--remote_timeout=2m", "--remote-connect-timeout=5s", "--remote_verify_downloads=true"];
    let ran =
        clone().mc(&[&["build", dead, "--remote-cache-required", TARGET], &times[..]].concat()).exits(1);
    assert_eq!(ran.errors().len(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("refused"), "{}", ran.stderr);
    clone().mc(&["build", dead, "--remote-cache-required", "--offline", TARGET]).exits(2);
}

#[test]
fn a_required_server_without_a_tls_handshake_costs_only_the_connect_timeout() {
    // It accepts connections, and never answers the handshake.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--remote-cache=https://{}", silent.local_addr().unwrap());
    let begun = Instant::now();
    let ran = clone()
        .mc(&["build", &address, "--remote-connect-timeout=1", "--remote-cache-required", TARGET])
        .exits(1);
    assert_eq!(ran.errors().len(), 1, "{}", ran.stderr);
    assert!(ran.stderr.contains("no connection within 1 s"), "{}", ran.stderr);
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[test]
fn a_required_server_that_fails_cancels_running_measurements() {
    static HAS_FAILED: AtomicBool = AtomicBool::new(false);
    let team = server_that(|_| match HAS_FAILED.load(Ordering::Relaxed) {
        true => ("500 Internal Server Error", ""),
        false => ("404 Not Found", ""),
    });
    let sandbox = Sandbox::warm_gguf();
    sandbox.repeat_evaluation(MINUTES);
    let mut build =
        Background::start(&sandbox, &["build", &team, "--keep-going", "--remote-cache-required", BUNDLE]);
    build.wait_for_measuring();
    HAS_FAILED.store(true, Ordering::Relaxed);
    assert_eq!(build.child.wait().unwrap().code(), Some(1));
    let reported = build.reported();
    assert_eq!(reported.matches("error").count(), 1, "{reported}");
    assert!(reported.contains("The remote cache http://") && !build.has_done("perplexity"), "{reported}");
    assert!(!sandbox.cache.join("tmp").exists(), "unfinished files were left behind");
}

#[test]
fn a_failure_with_another_reason_is_reported_before_that_of_the_cache() {
    let sandbox = clone();
    let weights = sandbox.path("models/base/model.safetensors");
    set_element(&weights, "model.layers.0.mlp.up_proj.weight", [0, 0], f32::NAN);
    // It has nothing and accepts nothing.
    let team = server_that(|method| if method == "PUT" { ("403 No", "") } else { ("404 Not Found", "") });
    let build = ["build", "--output=json", "--keep-going", &team, SEND, "--remote-cache-required", TARGET];
    let ran = sandbox.mc(&build).exits(1);
    let document = ran.json();
    let errors: Vec<String> =
        document["errors"].as_array().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 2, "{document}");
    assert!(errors[0].contains("blk.0.ffn_up.weight"), "{document}");
    assert!(errors[1].contains("does not accept any results of this build"), "{document}");
}

/// A server that stores nothing, and answers each method with a status and a text.
fn server_that(answers: impl Fn(&str) -> (&'static str, &'static str) + Send + Sync + 'static) -> String {
    let answer = move |mut connection: TcpStream| -> io::Result<()> {
        let (head, request) = head(&connection)?;
        let length =
            head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
        io::copy(&mut request.take(length.unwrap_or(0)), &mut io::sink())?;
        let method = head.split(' ').next().unwrap_or_default();
        let (status, text) = answers(method);
        let n_bytes = text.len();
        write!(connection, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {n_bytes}\r\n\r\n")?;
        if method != "HEAD" { connection.write_all(text.as_bytes()) } else { Ok(()) }
    };
    serve(answer)
}

/// The head of a request, and a reader of its body.
fn head(connection: &TcpStream) -> io::Result<(String, BufReader<TcpStream>)> {
    let mut request = BufReader::new(connection.try_clone()?);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") && request.read_line(&mut head)? > 0 {}
    Ok((head, request))
}

/// The option for a cache that answers each connection like this.
fn serve(answer: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("--remote-cache=http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // Errors of a closed connection are ignored.
            thread::spawn(move || drop(answer(connection)));
        }
    });
    address
}

/// A server that has nothing, and accepts uploads slowly.
fn slow_server() -> String {
    server_that(|method| {
        if method != "PUT" {
            return ("404 Not Found", "");
        }
        thread::sleep(Duration::from_millis(100));
        ("200 OK", "")
    })
}

/// A message with bytes fields only, each shorter than 128 bytes.
fn message(fields: &[(u8, &[u8])]) -> Vec<u8> {
    let field = |(number, bytes): &(u8, &[u8])| [&[number << 3 | 2, bytes.len() as u8], *bytes].concat();
    fields.iter().flat_map(field).collect()
}

/// A server that returns this for every result; repeated without an end if `is_endless`.
fn server_with(result: Vec<u8>, is_endless: bool) -> String {
    let answer = move |mut connection: TcpStream| -> io::Result<()> {
        let (head, _) = head(&connection)?;
        if !head.starts_with("GET") || !head.contains("/ac/") {
            return write!(connection, "HTTP/1.1 404 No\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
        }
        if !is_endless {
            let n_bytes = result.len();
            write!(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {n_bytes}\r\n\r\n")?;
            return connection.write_all(&result);
        }
        write!(connection, "HTTP/1.1 200 OK\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n")?;
        loop {
            write!(connection, "{:x}\r\n", result.len())?;
            connection.write_all(&result)?;
            connection.write_all(b"\r\n")?;
        }
    };
    serve(answer)
}

#[test]
fn hostile_servers_cost_one_warning_or_one_error_and_change_nothing_outside() {
    let digest = message(&[(1, "ab".repeat(32).as_bytes())]);
    let outside = message(&[(2, &message(&[(1, b"../../outside"), (2, &digest)]))]);
    let linked = message(&[(12, &message(&[(1, b"tensor"), (2, b"/etc/passwd")]))]);
    let other = message(&[(2, &message(&[(1, b"other"), (2, &digest)]))]);
    for (result, is_endless) in [
        (outside, false),
        (linked, false),
        (other, false),
        ([2 << 3 | 2, 0].repeat(1 << 20), false),
        (vec![0; 1 << 16], true),
    ] {
        let team = server_with(result, is_endless);
        let sandbox = clone();
        let built = sandbox.build(&[&team, TARGET]);
        assert_eq!(built.stderr.matches("warning:").count(), 1, "{}", built.stderr);
        assert_eq!(built.digests(), alone().digests());
        assert!(!sandbox.dir().join("outside").exists() && !sandbox.path("outside").exists());
        let ran = clone().mc(&["build", &team, "--remote-cache-required", TARGET]).exits(1);
        assert_eq!(ran.errors().len(), 1, "{}", ran.stderr);
    }
}

#[test]
fn an_interrupt_does_not_wait_for_a_server() {
    let sandbox = clone();
    for scheme in ["http", "grpc"] {
        // It accepts every connection, and never sends anything.
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("--remote-cache={scheme}://{}", listener.local_addr().unwrap());
        let options = ["build", &address, "--remote-timeout=3600", "--remote-connect-timeout=3600", TARGET];
        let mut build = Background::start(&sandbox, &options);
        let connection = listener.accept().unwrap();
        build.interrupt();
        let code = build.child.wait().unwrap().code();
        let said = build.reported();
        assert_eq!(code, Some(8), "{said}");
        drop(connection);
        assert!(said.contains("interrupted: every action that had finished is kept"), "{said}");
    }
}

#[test]
fn each_action_may_wait_for_its_upload() {
    let server = slow_server();
    let n_waited = |options: &[&str]| {
        let ran = clone().mc(&[&["build", &server, SEND, TARGET], options].concat()).exits(0);
        assert!(!ran.stderr.contains("warning") && ran.stderr.contains(": sent "), "{}", ran.stderr);
        ran.stderr.matches("waiting for ").count()
    };
    // The last action has just finished, and its upload takes a while.
    assert_eq!(n_waited(&[]), 1);
    assert_eq!(n_waited(&["--remote_cache_async=false"]), 0);
}

#[test]
fn damaged_blobs_of_the_cache_are_remade_here() {
    let maker = clone();
    let team = folder(&maker);
    let made = maker.build(&[&team, SEND, TARGET]);
    let mut n_damaged = 0;
    for path in files_below(&maker.dir().join("team/blake3/cas")) {
        let mut bytes = fs::read(&path).unwrap();
        if bytes.len() > 100_000 {
            bytes[50_000] ^= 1;
            fs::write(&path, bytes).unwrap();
            n_damaged += 1;
        }
    }
    assert!(n_damaged > 3);
    let built = clone().build(&[&team, SEND, TARGET]);
    assert!(built.n_ran() >= n_damaged, "{}", built.n_ran());
    assert!(built.stderr.contains("the response was discarded"), "{}", built.stderr);
    assert_eq!(built.digests(), made.digests());
    // They are repaired in the cache, too.
    assert_eq!(clone().build(&[&team, TARGET]).n_ran(), 0);
}
