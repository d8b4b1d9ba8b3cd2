//! A web server that acts as an HTTP cache, a bucket and a registry at once, and performs an attack.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use mc_remote::function::DigestFunction;

use crate::attacks::Attack;
use crate::flow::{Given, Stream};

/// A request without its body.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) authorization: Option<String>,
    first: usize,
}

/// Starts a server that answers each request in its own thread.
pub(crate) fn serve(
    answer: impl Fn(&Request, &mut TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            // A client that disconnects is the purpose of these tests.
            thread::spawn(move || {
                let mut request = read(&stream)?;
                if request.method == "CONNECT" {
                    // It acts as the proxy and as the server behind it.
                    write!(stream, "HTTP/1.1 200 OK\r\n\r\n")?;
                    request = read(&stream)?;
                }
                answer(&request, &mut stream)
            });
        }
    });
    authority
}

fn read(stream: &TcpStream) -> io::Result<Request> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split(' ').map(str::to_owned);
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut request = Request { method, target, authorization: None, first: 0 };
    let mut n_bytes = 0;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header)?;
        let Some((name, value)) = header.split_once(':') else { break };
        let value = value.trim();
        match name.to_lowercase().as_str() {
            "authorization" => request.authorization = Some(value.to_owned()),
            "content-length" => n_bytes = value.parse().unwrap_or(0),
            "range" => {
                request.first = value.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap_or(0);
            }
            _ => {}
        }
    }
    io::copy(&mut reader.take(n_bytes), &mut io::sink())?;
    Ok(request)
}

/// A response with these headers, each followed by a line break.
pub(crate) fn say(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) -> io::Result<()> {
    let n_bytes = body.len();
    write!(stream, "HTTP/1.1 {status}\r\n{headers}content-length: {n_bytes}\r\nconnection: close\r\n\r\n")?;
    stream.write_all(body)
}

fn give(given: &Given, request: &Request, stream: &mut TcpStream) -> io::Result<()> {
    let head = |stream: &mut TcpStream, headers: String| {
        write!(stream, "HTTP/1.1 200 OK\r\n{headers}connection: close\r\n\r\n")
    };
    match given {
        Given::Missing => say(stream, "404 No", "", b""),
        Given::Bytes(bytes) if request.method == "HEAD" => {
            head(stream, format!("content-length: {}\r\n", bytes.len()))
        }
        Given::Bytes(bytes) => say(stream, "200 OK", "", bytes.get(request.first..).unwrap_or_default()),
        Given::Stream(Stream { declared, piece, n_pieces, pause }) => {
            match declared {
                Some(n_bytes) => head(stream, format!("content-length: {n_bytes}\r\n"))?,
                None => head(stream, "transfer-encoding: chunked\r\n".to_owned())?,
            }
            for _ in 0..*n_pieces {
                thread::sleep(*pause);
                if declared.is_none() {
                    write!(stream, "{:x}\r\n", piece.len())?;
                }
                stream.write_all(piece)?;
                if declared.is_none() {
                    stream.write_all(b"\r\n")?;
                }
            }
            Ok(())
        }
    }
}

/// Starts a server that performs an attack, and returns its authority.
pub(crate) fn attacking(attack: Attack) -> String {
    serve(move |request, stream| {
        let path = request.target.split('?').next().unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default();
        let name = name.strip_prefix("sha256:").unwrap_or(name);
        let blob = attack.blobs.get(name).unwrap_or(&Given::Missing);
        if !matches!(request.method.as_str(), "GET" | "HEAD") {
            return say(stream, "201 Created", "etag: \"tag\"\r\nlocation: /upload\r\n", b"");
        }
        if path.contains("/ac/") {
            return give(&attack.result, request, stream);
        }
        if !path.contains("/manifests/") {
            return give(blob, request, stream);
        }
        match &attack.result {
            Given::Bytes(result) => give(&Given::bytes(manifest(result)), request, stream),
            other => give(other, request, stream),
        }
    })
}

/// The artifact of a result, with the result embedded.
fn manifest(result: &[u8]) -> String {
    let (digest, data) = (DigestFunction::Sha256.digest(result).hash, BASE64_STANDARD.encode(result));
    format!(
        "{{\"config\": {{\"digest\": \"sha256:{digest}\", \"size\": {}, \"data\": \"{data}\"}}}}",
        result.len()
    )
}
