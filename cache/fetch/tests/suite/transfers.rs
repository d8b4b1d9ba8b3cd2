//! One file from a server that breaks off, contradicts itself or changes the file: the result is either the right bytes
//! or a clear error without a file.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;

use mc_fetch::client::Client;
use mc_fetch::credentials::Credentials;
use mc_fetch::proxies::Proxies;
use mc_fetch::url::Url;
use mc_ir::origin::Origin;

use crate::server::{Request, Server, answer, file, file_cut, head};
use crate::world::{PATIENCE, World, locked, noise, one};

const TAG: &str = "\"v1\"";

/// Returns the error of `mc fetch`, and checks that no complete folder was published.
#[track_caller]
fn refused(server: &Server, bytes: &[u8]) -> String {
    let world = World::new(server);
    let error = world.fetch_a(server, bytes).unwrap_err().to_string();
    let folder = world.fetcher.area.folder(&one(server), &[locked("a", bytes)]);
    assert!(!folder.exists(), "{error}");
    error
}

#[test]
fn a_file_arrives_and_is_not_fetched_again() {
    let bytes = noise(300_000);
    let sent = bytes.clone();
    let server = Server::new(move |request, stream| file(request, stream, TAG, &sent));
    let world = World::new(&server);
    assert_eq!(world.fetch_a(&server, &bytes).unwrap(), bytes);
    assert_eq!(world.fetch_a(&server, &bytes).unwrap(), bytes);
    assert_eq!(server.requests().len(), 1);
    assert_eq!(server.requests()[0].header("accept-encoding"), Some("identity"));
    assert_eq!(world.n_fetched(&one(&server), &[locked("a", &bytes)]).unwrap(), 0);
    assert!(!world.names().iter().any(|name| name.ends_with("/files/a")), "{:?}", world.names());
}

#[test]
fn a_connection_cut_after_any_byte_is_resumed_there() {
    let bytes = noise(2_000);
    for n_sent in [0, 1, 2, 7, 64, 1023, 1024, 1025, 1998, 1999] {
        let sent = bytes.clone();
        let server = Server::new(move |request, stream| {
            let n_sent = if request.n_before == 0 { n_sent } else { usize::MAX };
            file_cut(request, stream, TAG, &sent, n_sent);
        });
        assert_eq!(World::new(&server).fetch_a(&server, &bytes).unwrap(), bytes, "{n_sent}");
        let second = &server.requests()[1];
        assert_eq!(second.from(), (n_sent > 0).then_some(n_sent));
        assert_eq!(second.header("if-range"), (n_sent > 0).then_some(TAG));
    }
}

#[test]
fn a_truncated_head_is_retried() {
    let whole = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc";
    for n_sent in 0..whole.len() {
        let server = Server::new(move |request: &Request, stream: &mut std::net::TcpStream| {
            let n_sent = if request.n_before == 0 { n_sent } else { whole.len() };
            drop(stream.write_all(&whole[..n_sent]));
        });
        assert_eq!(World::new(&server).fetch_a(&server, b"abc").unwrap(), b"abc", "{n_sent}");
    }
}

#[test]
fn tries_with_progress_are_unlimited() {
    let bytes = noise(2_000_000);
    let sent = bytes.clone();
    let server = Server::new(move |request, stream| file_cut(request, stream, TAG, &sent, 200_000));
    assert_eq!(World::new(&server).fetch_a(&server, &bytes).unwrap(), bytes);
    assert_eq!(server.requests().len(), 10);
}

#[test]
fn tries_without_progress_are_limited() {
    let bytes = noise(2_000);
    let sent = bytes.clone();
    let server = Server::new(move |request, stream| file_cut(request, stream, TAG, &sent, 10));
    let error = refused(&server, &bytes);
    assert!(error.contains("cannot be read"), "{error}");
    assert_eq!(server.requests().len(), 4);
}

#[test]
fn a_second_process_resumes_after_the_first_was_killed() {
    let bytes = noise(100_000);
    let sent = bytes.clone();
    let server = Server::new(move |request, stream| file(request, stream, TAG, &sent));
    let world = World::new(&server);
    fs::write(world.part(&server), &bytes[..70_000]).unwrap();
    assert_eq!(world.n_fetched(&one(&server), &[locked("a", &bytes)]).unwrap(), 30_000);
    assert_eq!(server.requests()[0].from(), Some(70_000));
}

#[test]
fn a_complete_partial_file_needs_no_request() {
    let bytes = noise(100_000);
    let server = Server::new(|_, stream| answer(stream, "500 No", &[], b""));
    let world = World::new(&server);
    fs::write(world.part(&server), &bytes).unwrap();
    assert_eq!(world.fetch_a(&server, &bytes).unwrap(), bytes);
    assert!(server.requests().is_empty());
}

#[test]
fn a_partial_file_with_wrong_or_excess_bytes_is_downloaded_again() {
    let bytes = noise(100_000);
    let longer = [&bytes[..], b"more"].concat();
    for part in [&noise(100_001)[1..50_000], &noise(100_001)[1..], &longer] {
        let sent = bytes.clone();
        let server = Server::new(move |request, stream| file(request, stream, TAG, &sent));
        let world = World::new(&server);
        fs::write(world.part(&server), part).unwrap();
        assert_eq!(world.fetch_a(&server, &bytes).unwrap(), bytes);
        assert_eq!(server.requests().last().unwrap().from(), None);
    }
}

#[test]
fn a_server_without_ranges_starts_over() {
    let bytes = noise(100_000);
    let sent = bytes.clone();
    let server = Server::new(move |request, stream| {
        let n_sent = if request.n_before == 0 { 60_000 } else { sent.len() };
        head(stream, "200 OK", &[("Content-Length", "100000"), ("ETag", TAG)]);
        drop(stream.write_all(&sent[..n_sent]));
    });
    assert_eq!(World::new(&server).fetch_a(&server, &bytes).unwrap(), bytes);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn a_wrong_range_restarts_the_download() {
    let bytes = noise(1_000);
    for range in [
        "bytes 0-499/1000",
        "bytes 501-999/1000",
        "bytes 500-1000/1000",
        "bytes 500-499/1000",
        "bytes 500-999/2000",
        "bytes 500-999",
        "lines 500-999/1000",
        "",
    ] {
        let sent = bytes.clone();
        let server = Server::new(move |request, stream| match request.from() {
            Some(from) if request.n_before == 1 => {
                answer(
                    stream,
                    "206 Partial Content",
                    &[("Content-Range", range), ("ETag", TAG)],
                    &sent[from..],
                );
            }
            _ => file_cut(request, stream, TAG, &sent, if request.n_before == 0 { 500 } else { usize::MAX }),
        });
        assert_eq!(World::new(&server).fetch_a(&server, &bytes).unwrap(), bytes, "{range}");
        assert_eq!(server.requests()[2].from(), None, "{range}");
    }
}

#[test]
fn repeatedly_wrong_ranges_are_an_error() {
    let bytes = noise(1_000);
    let sent = bytes.clone();
    let server = Server::new(move |request, stream| match request.from() {
        Some(_) => answer(stream, "206 Partial Content", &[("Content-Range", "bytes 0-999/1000")], &sent),
        None => file_cut(request, stream, TAG, &sent, 500),
    });
    let error = refused(&server, &bytes);
    assert!(error.contains("expected the bytes from 500 on") || error.contains("cannot be read"), "{error}");
    assert!(server.requests().len() < 10);
}

#[test]
fn an_unrequested_partial_response_is_rejected() {
    let server = Server::new(|_, stream| {
        answer(stream, "206 Partial Content", &[("Content-Range", "bytes 0-2/3")], b"abc");
    });
    let error = refused(&server, b"abc");
    assert!(error.contains("status 206"), "{error}");
}

#[test]
fn a_version_change_between_two_parts_is_detected() {
    let (old, new) = (noise(1_000), noise(1_001)[1..].to_vec());
    for keeps_to_if_range in [true, false] {
        let (before, after) = (old.clone(), new.clone());
        let server = Server::new(move |request, stream| match request.n_before {
            0 => file_cut(request, stream, TAG, &before, 500),
            _ if keeps_to_if_range => file(request, stream, "\"v2\"", &after),
            _ => {
                let mut request = request.clone();
                request.headers.retain(|(name, _)| name != "if-range");
                file(&request, stream, "\"v2\"", &after);
            }
        });
        // Pinning records a single current version.
        assert_eq!(World::new(&server).lock_a(&server).unwrap(), new);
    }
}

#[test]
fn a_version_change_without_a_tag_is_detected_by_its_bytes() {
    let (old, new) = (noise(1_000), noise(1_001)[1..].to_vec());
    let (before, after) = (old, new.clone());
    let server = Server::new(move |request, stream| match request.n_before {
        0 => file_cut(request, stream, "", &before, 500),
        _ => file(request, stream, "", &after),
    });
    // Assembled from two versions the digest is wrong; the second attempt has the right one.
    assert_eq!(World::new(&server).fetch_a(&server, &new).unwrap(), new);
}

#[test]
fn a_weak_tag_proves_nothing_about_bytes() {
    let bytes = noise(1_000);
    let sent = bytes.clone();
    let server = Server::new(move |request, stream| {
        file_cut(request, stream, "W/\"v1\"", &sent, if request.n_before == 0 { 500 } else { usize::MAX });
    });
    let world = World::new(&server);
    assert_eq!(world.lock_a(&server).unwrap(), bytes);
    assert!(server.requests().iter().all(|request| request.header("if-range").is_none()));
}

#[test]
fn wrong_bytes_are_rejected_and_removed() {
    let wrong = noise(1_001)[1..].to_vec();
    let sent = wrong.clone();
    let server = Server::new(move |request, stream| file(request, stream, TAG, &sent));
    let world = World::new(&server);
    let right = noise(1_000);
    let error = world.fetch_a(&server, &right).unwrap_err();
    let origin = one(&server);
    let (expected, found) = (locked("a", &right).digest.hash, locked("a", &wrong).digest.hash);
    assert_eq!(
        error.to_string(),
        format!(
            "`a` of {origin} has other bytes than expected: expected blake3 {expected}, found blake3 {found}; \
             nothing of it was kept"
        )
    );
    assert!(error.help().unwrap().contains("mc lock --update"));
    assert!(!world.part(&server).exists());
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_wrong_length_is_rejected_before_the_download() {
    for (length, body, expected) in [
        ("4", &b"abcd"[..], "has a file of 4 bytes, expected 3"),
        ("2", b"ab", "has a file of 2 bytes, expected 3"),
        ("-3", b"abc", ""),
        ("3x", b"abc", ""),
        ("99999999999999999999", b"abc", ""),
    ] {
        let server = Server::new(move |_, stream| {
            head(stream, "200 OK", &[("Content-Length", length)]);
            drop(stream.write_all(body));
        });
        let error = refused(&server, b"abc");
        assert!(error.contains(expected), "{length}: {error}");
    }
}

#[test]
fn a_body_without_a_length_is_bounded_by_the_expected_length() {
    let endless = |n_bytes: usize| {
        Server::new(move |_, stream| {
            head(stream, "200 OK", &[]);
            drop(stream.write_all(&vec![b'x'; n_bytes]));
        })
    };
    let error = refused(&endless(5_000_000), b"xxx");
    assert!(error.contains("sent more than 3 bytes"), "{error}");
    assert!(refused(&endless(2), b"xxx").contains("ended after 2 of 3 bytes"));
    let server = endless(3);
    assert_eq!(World::new(&server).fetch_a(&server, b"xxx").unwrap(), b"xxx");
    // Its completeness cannot be checked, so it is not pinned.
    let error = World::new(&server).lock_a(&server).unwrap_err().to_string();
    assert!(error.contains("does not state the length of the file"), "{error}");
}

#[test]
fn chunked_bodies_are_joined_and_need_their_last_chunk() {
    let chunked = |body: &'static [u8]| {
        Server::new(move |_, stream| {
            head(stream, "200 OK", &[("Transfer-Encoding", "chunked")]);
            drop(stream.write_all(body));
        })
    };
    let server = chunked(b"2\r\nab\r\n1\r\nc\r\n0\r\n\r\n");
    assert_eq!(World::new(&server).lock_a(&server).unwrap(), b"abc");
    for cut in [&b"2\r\nab\r\n"[..], b"2\r\nab\r\n1\r\n", b"zz\r\nab", b"FFFFFFFFFFFFFFFFFF\r\nab"] {
        let server = chunked(cut);
        assert!(World::new(&server).lock_a(&server).is_err(), "{cut:?}");
    }
}

#[test]
fn compressed_bytes_are_rejected() {
    let server =
        Server::new(|_, stream| answer(stream, "200 OK", &[("Content-Encoding", "gzip")], b"\x1f\x8b\x08"));
    let error = refused(&server, b"abc");
    assert!(error.contains("in the encoding `gzip`"), "{error}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn an_empty_file_is_a_file() {
    let server = Server::new(|request, stream| file(request, stream, TAG, b""));
    let world = World::new(&server);
    assert_eq!(world.lock_a(&server).unwrap(), b"");
    assert_eq!(world.fetch_a(&server, b"").unwrap(), b"");
}

#[test]
fn statuses_are_reported_and_only_transient_ones_are_retried() {
    for (status, n_requests, expected) in [
        ("401 Unauthorized", 1, "refused access (status 401): who are you"),
        ("403 Forbidden", 1, "refused access (status 403): who are you"),
        ("404 Not Found", 1, "does not exist (status 404)"),
        ("410 Gone", 1, "does not exist (status 410)"),
        ("400 Bad Request", 1, "answered with status 400, expected 200"),
        ("204 No Content", 1, "answered with status 204"),
        ("429 Too Many Requests", 4, "answered with status 429"),
        ("500 Internal Server Error", 4, "answered with status 500"),
        ("503 Service Unavailable", 4, "answered with status 503"),
    ] {
        let server = Server::new(move |_, stream| {
            answer(stream, status, &[("X-Error-Message", "who are\tyou")], b"<html>");
        });
        let error = refused(&server, b"abc");
        assert!(error.contains(expected), "{status}: {error}");
        assert_eq!(server.requests().len(), n_requests, "{status}");
    }
}

#[test]
fn a_server_that_recovers_succeeds() {
    for status in ["429 Too Many Requests", "500 Oops", "502 Bad Gateway", "408 Request Timeout"] {
        let server = Server::new(move |request, stream| match request.n_before {
            0 | 1 => answer(stream, status, &[("Retry-After", "0")], b""),
            _ => file(request, stream, TAG, b"abc"),
        });
        assert_eq!(World::new(&server).fetch_a(&server, b"abc").unwrap(), b"abc");
    }
}

#[test]
fn a_requested_wait_is_observed_up_to_a_limit() {
    let server = Server::new(|request, stream| match request.n_before {
        0 => answer(stream, "429 Too Many Requests", &[("Retry-After", "1")], b""),
        _ => file(request, stream, TAG, b"abc"),
    });
    let start = std::time::Instant::now();
    assert_eq!(World::new(&server).fetch_a(&server, b"abc").unwrap(), b"abc");
    assert!(start.elapsed().as_millis() >= 1000);
    let server = Server::new(|_, stream| answer(stream, "503 Busy", &[("Retry-After", "86400")], b""));
    let error = refused(&server, b"abc");
    assert!(error.contains("asks to wait for 86400 s, but the limit is 2 s"), "{error}");
}

#[test]
fn a_response_that_is_not_http_is_an_error() {
    for text in
        ["", "\r\n\r\n", "SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 abc\r\n\r\n", "HTTP/1.1 200 OK\r\nx\r\n\r\n"]
    {
        let server = Server::new(move |_, stream| drop(stream.write_all(text.as_bytes())));
        let error = refused(&server, b"abc");
        assert!(error.contains("cannot be read") || error.contains("has a file"), "{text:?}: {error}");
    }
    // Endless headers.
    let server = Server::new(|_, stream| {
        drop(stream.write_all(b"HTTP/1.1 200 OK\r\n"));
        for _ in 0..20_000 {
            if stream.write_all(b"x-filler: 0123456789012345678901234567890123456789\r\n").is_err() {
                return;
            }
        }
    });
    refused(&server, b"abc");
}

#[test]
fn a_refused_connection_is_an_error() {
    let server = Server::new(|_, _| {});
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let origin = Origin::http(&format!("http://127.0.0.1:{port}/"), vec!["a".to_owned()]);
    let error = World::new(&server).fetch(&origin, &[locked("a", b"abc")]).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
}

#[test]
fn a_server_without_tls_is_an_error_and_receives_no_token() {
    let server = Server::new(|request, stream| file(request, stream, TAG, b"abc"));
    let base = format!("{}/", server.root().replace("http:", "https:"));
    let origin = Origin::http(&base, vec!["a".to_owned()]);
    let error = World::new(&server).fetch(&origin, &[locked("a", b"abc")]).unwrap_err().to_string();
    assert!(error.contains("cannot be read"), "{error}");
    assert!(server.requests().is_empty());
}

#[test]
fn an_early_refusal_of_a_large_upload_is_read() {
    // The server reads only the head.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = Url::parse(&format!("http://{}/cas/a", listener.local_addr().unwrap())).unwrap();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            answer(&mut stream, "413 Content Too Large", &[], b"");
        }
    });
    let client = Client::new(Credentials::default(), PATIENCE, &Proxies::default()).unwrap();
    let bytes = vec![0; 64 << 20];
    let error = client.put(&url, bytes.len() as u64, || &*bytes).unwrap_err();
    assert!(error.to_string().ends_with("/cas/a` refused the request as too large (status 413)"), "{error}");
    assert!(error.help().unwrap().contains("client_max_body_size"));
}
