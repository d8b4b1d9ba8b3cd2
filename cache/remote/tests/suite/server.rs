//! A server that stores and returns blobs, with optional faults.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The fault of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The connection closes before the response.
    Drop,
    /// The response ends after this many bytes of its body.
    Cut(usize),
    /// One bit of the body is flipped.
    Flip,
    /// The body has one byte too many.
    Longer,
    /// The server reports an existing object as missing.
    Missing,
    /// The server reports an internal error.
    Broken,
    /// The server refuses access.
    Denied,
    /// The server reports that the body is too large.
    TooLarge,
    /// The server reports success and stores nothing.
    Forget,
}

/// Every fault, with truncation at several places.
pub(crate) const FAULTS: [Fault; 10] = [
    Fault::Drop,
    Fault::Cut(0),
    Fault::Cut(1),
    Fault::Cut(1000),
    Fault::Flip,
    Fault::Longer,
    Fault::Missing,
    Fault::Broken,
    Fault::Denied,
    Fault::Forget,
];

#[derive(Default)]
struct State {
    kept: BTreeMap<String, Vec<u8>>,
    n_requests: usize,
    /// The number of the faulty request, and its fault.
    fault: Option<(usize, Fault)>,
    /// True if responses end after one byte.
    drips: bool,
    /// Transferred objects: method, path, and number of bytes.
    moved: Vec<(String, String, usize)>,
    /// Delay of every transfer of a blob.
    pause: Duration,
    /// The required header.
    authorization: Option<String>,
}

const XMLNS: &str = "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"";

/// A server, which runs until the process ends.
pub(crate) struct Server {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Server {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                // A client may have disconnected.
                thread::spawn(move || drop(answer(stream, &state)));
            }
        });
        Self { port, state }
    }

    pub(crate) fn root(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    /// From now on request number `at` gets a fault; counting starts again at 0.
    pub(crate) fn fail(&self, fault: Option<(usize, Fault)>) {
        let mut state = self.state.lock().unwrap();
        state.n_requests = 0;
        state.fault = fault;
    }

    /// From now on every response with a body ends after its first byte.
    pub(crate) fn drip(&self) {
        self.state.lock().unwrap().drips = true;
    }

    /// From now on every transfer of a blob takes this long.
    pub(crate) fn slow(&self, pause: Duration) {
        self.state.lock().unwrap().pause = pause;
    }

    /// Number of transfers of each blob of at least `n_bytes`, by method (`PUT` or `GET`).
    pub(crate) fn n_moved(&self, way: &str, n_bytes: usize) -> Vec<usize> {
        let state = self.state.lock().unwrap();
        let mut n_moved: BTreeMap<&str, usize> = BTreeMap::new();
        for (method, path, n) in &state.moved {
            if method == way && *n >= n_bytes {
                *n_moved.entry(path).or_default() += 1;
            }
        }
        n_moved.into_values().collect()
    }

    /// From now on requests without this `Authorization` are refused, and the refusal repeats the header that they
    /// sent.
    pub(crate) fn ask_for(&self, authorization: &str) {
        self.state.lock().unwrap().authorization = Some(authorization.to_owned());
    }

    /// Requests since the last [`Server::fail`].
    pub(crate) fn n_requests(&self) -> usize {
        self.state.lock().unwrap().n_requests
    }

    /// Damages stored objects of this length.
    pub(crate) fn damage(&self, n_bytes: usize) {
        let mut state = self.state.lock().unwrap();
        for kept in state.kept.values_mut().filter(|kept| kept.len() == n_bytes) {
            kept[0] ^= 1;
        }
    }

    /// Removes everything.
    pub(crate) fn clear(&self) {
        self.state.lock().unwrap().kept.clear();
    }

    /// The paths of all stored objects.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.state.lock().unwrap().kept.keys().cloned().collect()
    }
}

/// A bucket's response to a request of a multipart upload: headers and text; `None` for any other request.
fn upload(state: &mut State, method: &str, path: &str, query: &str, body: &[u8]) -> Option<(String, String)> {
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
    let part = |number: usize| format!("part {number} of {path}");
    if method == "POST" && value("uploads").is_some() {
        let text = "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
            .to_owned();
        return Some((String::new(), text));
    }
    value("uploadId").filter(|upload| *upload == "u1")?;
    if let Some(number) = value("partNumber") {
        state.kept.insert(part(number.parse().unwrap()), body.to_vec());
        return Some((format!("etag: \"tag {number}\"\r\n"), String::new()));
    }
    let parts: Vec<Vec<u8>> = (1..).map_while(|number| state.kept.remove(&part(number))).collect();
    if method == "POST" {
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert_eq!(text.matches("<PartNumber>").count(), parts.len());
        assert!(text.contains("tag 1") && text.contains(&format!("tag {}", parts.len())), "{text}");
        state.kept.insert(path.to_owned(), parts.concat());
    }
    let text =
        format!("<CompleteMultipartUploadResult {XMLNS}><ETag>t</ETag></CompleteMultipartUploadResult>");
    Some((String::new(), text))
}

/// A complete request.
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: String,
    /// Names in lower case.
    headers: BTreeMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn read(stream: &TcpStream) -> std::io::Result<Self> {
        let mut reader = BufReader::new(stream);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let mut words = line.split(' ').map(str::to_owned);
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let mut headers = BTreeMap::new();
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let Some((name, value)) = header.split_once(':') else { break };
            headers.insert(name.to_lowercase(), value.trim().to_owned());
        }
        let mut found =
            Self { method, path: path.to_owned(), query: query.to_owned(), headers, body: Vec::new() };
        let n_bytes = found.header("content-length").parse().unwrap_or(0);
        found.body = vec![0; n_bytes];
        reader.read_exact(&mut found.body)?;
        Ok(found)
    }

    /// A header; empty if absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The first requested byte.
    pub(crate) fn first(&self) -> usize {
        let range = self.header("range").strip_prefix("bytes=");
        range.map_or(0, |range| range.trim_end_matches('-').parse().unwrap())
    }
}

fn answer(mut stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    let request = Request::read(&stream)?;
    let (first, authorization) = (request.first(), request.header("authorization").to_owned());
    let Request { method, path, query, mut body, .. } = request;
    let pause = state.lock().unwrap().pause;
    if path.starts_with("/cas/") && method != "HEAD" {
        thread::sleep(pause);
    }
    let mut state = state.lock().unwrap();
    let drips = state.drips && path.starts_with("/cas/");
    let fault = state.fault.filter(|(at, _)| *at == state.n_requests).map(|(_, fault)| fault);
    state.n_requests += 1;
    if state.authorization.as_ref().is_some_and(|asked| *asked != authorization) {
        return write!(
            stream,
            "HTTP/1.1 403 No\r\nx-error-message: not with {authorization}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
        );
    }
    if fault == Some(Fault::Drop) {
        return Ok(());
    }
    if fault == Some(Fault::Denied) {
        return write!(stream, "HTTP/1.1 403 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    if fault == Some(Fault::TooLarge) {
        return write!(stream, "HTTP/1.1 413 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    if fault == Some(Fault::Broken) {
        return write!(stream, "HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    if let Some((headers, text)) = upload(&mut state, &method, &path, &query, &body) {
        return write!(
            stream,
            "HTTP/1.1 200 OK\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{text}",
            text.len()
        );
    }
    if method == "PUT" {
        if fault != Some(Fault::Forget) {
            if fault == Some(Fault::Flip) && !body.is_empty() {
                body[0] ^= 1;
            }
            state.moved.push((method, path.clone(), body.len()));
            state.kept.insert(path, body);
        }
        return write!(stream, "HTTP/1.1 201 Created\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    }
    let kept = state.kept.get(&path).filter(|_| fault != Some(Fault::Missing)).cloned();
    if let Some(kept) = &kept {
        state.moved.push((method.clone(), path, kept.len()));
    }
    drop(state);
    let Some(kept) = kept else {
        return write!(stream, "HTTP/1.1 404 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    };
    let mut bytes = kept.get(first..).unwrap_or_default().to_vec();
    match fault {
        Some(Fault::Flip) if !bytes.is_empty() => {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
        }
        Some(Fault::Longer) => bytes.push(0),
        _ => {}
    }
    let status = if first > 0 { "206 Partial" } else { "200 OK" };
    write!(
        stream,
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\ncontent-range: bytes {first}-{}/{}\r\nconnection: close\r\n\r\n",
        bytes.len(),
        kept.len().saturating_sub(1),
        kept.len()
    )?;
    if method == "HEAD" {
        return Ok(());
    }
    let end = match fault {
        _ if drips => 1,
        Some(Fault::Cut(n)) => n.min(bytes.len().saturating_sub(1)),
        _ => bytes.len(),
    };
    stream.write_all(&bytes[..end])
}
