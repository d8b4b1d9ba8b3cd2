//! Servers that take their time: none is waited for without an end, and none is hurried that goes on.

use std::io::Write;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::server::{Server, head};
use crate::world::{PATIENCE, World};

/// The whole must end within this time; each of the tries takes at most about two idle times.
const END: Duration = Duration::from_secs(12);

#[track_caller]
fn given_up(server: &Server) {
    let start = Instant::now();
    let error = World::new(server).fetch_a(server, b"abc").unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
    assert!(start.elapsed() < END, "{:?}", start.elapsed());
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    given_up(&Server::new(|_, _| sleep(END)));
}

#[test]
fn a_server_that_stops_in_the_middle_is_given_up() {
    given_up(&Server::new(|_, stream| {
        head(stream, "200 OK", &[("Content-Length", "3")]);
        drop(stream.write_all(b"a"));
        sleep(END);
    }));
}

#[test]
fn a_head_that_drips_is_given_up() {
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
fn a_body_that_drips_is_given_up() {
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
fn a_slow_server_that_goes_on_is_waited_for() {
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
