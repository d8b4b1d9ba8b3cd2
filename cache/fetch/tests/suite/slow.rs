//! Slow servers: every wait has a limit, but a server that keeps sending is not interrupted.

use std::io::Write;
use std::net::TcpListener;
use std::thread::sleep;
use std::time::{Duration, Instant};

use mc_fetch::client::Client;
use mc_fetch::credentials::Credentials;
use mc_fetch::http::ask::Ask;
use mc_fetch::proxies::Proxies;
use mc_fetch::stall_limit::StallLimit;
use mc_fetch::url::Url;

use crate::server::{Server, head};
use crate::world::{PATIENCE, World};

/// Limit on the whole test; each try takes at most about two idle timeouts.
const END: Duration = Duration::from_secs(12);

#[track_caller]
fn given_up(server: &Server) {
    let start = Instant::now();
    let error = World::new(server).fetch_a(server, b"abc").unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
    assert!(start.elapsed() < END, "{:?}", start.elapsed());
}

#[test]
fn a_server_that_never_answers_times_out() {
    given_up(&Server::new(|_, _| sleep(END)));
}

#[test]
fn a_server_that_stops_midway_times_out() {
    given_up(&Server::new(|_, stream| {
        head(stream, "200 OK", &[("Content-Length", "3")]);
        drop(stream.write_all(b"a"));
        sleep(END);
    }));
}

#[test]
fn a_dripping_head_times_out() {
    given_up(&Server::new(|_, stream| {
        for byte in
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Filler: 0123456789012345678901234567890123456789"
        {
            sleep(Duration::from_millis(100));
            if stream.write_all(&[*byte]).is_err() {
                return;
            }
        }
        sleep(END);
    }));
}

#[test]
fn a_dripping_body_times_out() {
    let server = Server::new(|_, stream| {
        head(stream, "200 OK", &[("Content-Length", "1000")]);
        for _ in 0..1000 {
            sleep(Duration::from_millis(100));
            if stream.write_all(b"x").is_err() {
                return;
            }
        }
    });
    let start = Instant::now();
    World::new(&server).fetch_a(&server, &[b'x'; 1000]).unwrap_err();
    assert!(start.elapsed() < END, "{:?}", start.elapsed());
}

#[test]
fn a_slow_but_steady_server_does_not_time_out() {
    let server = Server::new(|_, stream| {
        head(stream, "200 OK", &[("Content-Length", "8000")]);
        for _ in 0..8 {
            sleep(PATIENCE.idle / 3);
            drop(stream.write_all(&[b'x'; 1000]));
        }
    });
    assert_eq!(World::new(&server).fetch_a(&server, &[b'x'; 8000]).unwrap().len(), 8000);
    assert_eq!(server.requests().len(), 1);
}

/// A client that does not retry silent servers.
fn client(stall_limit: StallLimit) -> Client {
    Client::new(Credentials::default(), StallLimit { asks_silent: false, ..stall_limit }, &Proxies::default())
        .unwrap()
}

#[test]
fn a_server_that_timed_out_is_not_retried() {
    let stops = |is_begun: bool| {
        Server::new(move |_, stream| {
            if is_begun {
                head(stream, "200 OK", &[("Content-Length", "3")]);
            }
            sleep(END);
        })
    };
    for server in [stops(false), stops(true)] {
        let (url, start) = (Url::parse(&server.root()).unwrap(), Instant::now());
        let error = client(PATIENCE).text(&Ask::whole(&url), 10).unwrap_err().to_string();
        assert!(error.contains("cannot be read"), "{error}");
        assert!(start.elapsed() < 3 * PATIENCE.idle, "{:?}", start.elapsed());
        assert_eq!(server.requests().len(), 1);
    }
}

#[test]
fn an_upload_to_a_server_that_does_not_read_times_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    let bytes = vec![0; 64 << 20];
    let (client, start) = (client(PATIENCE), Instant::now());
    let error = client.put(&url, bytes.len() as u64, || &*bytes).unwrap_err().to_string();
    assert!(error.contains("sent nothing for 0.4 s"), "{error}");
    assert!(start.elapsed() < END / 2, "{:?}", start.elapsed());
}

#[test]
fn a_connection_attempt_has_its_own_timeout() {
    // The listener accepts connections but never answers the TLS handshake.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("https://{}/", listener.local_addr().unwrap())).unwrap();
    let start = Instant::now();
    let error = client(StallLimit { idle: END, ..PATIENCE }).text(&Ask::whole(&url), 10).unwrap_err();
    assert!(error.to_string().contains("no connection within 0.4 s"), "{error}");
    assert!(start.elapsed() < END / 4, "{:?}", start.elapsed());
}
