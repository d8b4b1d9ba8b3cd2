//! A web server on this machine with behavior that a test defines.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A received request.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Path and query.
    pub(crate) path: String,
    /// Headers, the names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The request body.
    pub(crate) body: String,
    /// Number of earlier requests for the same path.
    pub(crate) n_before: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The first byte of a `Range: bytes=N-` header.
    pub(crate) fn from(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// Handles one connection.
pub(crate) type Handler = dyn Fn(&Request, &mut TcpStream) + Send + Sync;

/// A server that runs until it is dropped.
pub(crate) struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    pub(crate) fn new(handler: impl Fn(&Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (seen, handler): (_, Arc<Handler>) = (Arc::clone(&requests), Arc::new(handler));
        // The thread ends with the process, because a blocked listener cannot be woken.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (seen, handler) = (Arc::clone(&seen), Arc::clone(&handler));
                thread::spawn(move || serve(stream, &seen, &*handler));
            }
        });
        Self { port, requests }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn root(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `http://localhost:PORT`: the same server under another name.
    pub(crate) fn other_root(&self) -> String {
        format!("http://localhost:{}", self.port)
    }

    pub(crate) fn authority(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Request>>, handler: &Handler) {
    let Some(mut request) = read(&stream) else { return };
    {
        let mut seen = seen.lock().unwrap();
        request.n_before = seen.iter().filter(|before| before.path == request.path).count();
        seen.push(request.clone());
    }
    handler(&request, &mut stream);
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let mut request = Request { path, headers: Vec::new(), body: String::new(), n_before: 0 };
    for line in reader.by_ref().lines() {
        let line = line.ok()?;
        if line.is_empty() {
            let n_bytes =
                request.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
            reader.take(n_bytes).read_to_string(&mut request.body).ok()?;
            return Some(request);
        }
        let (name, value) = line.split_once(':')?;
        request.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    None
}

/// Writes a response head; every response closes its connection. Write errors are ignored: the client may have left.
pub(crate) fn head(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)]) {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    drop(stream.write_all(format!("{text}\r\n").as_bytes()));
}

/// Writes a complete response.
pub(crate) fn answer(stream: &mut TcpStream, status: &str, headers: &[(&str, &str)], body: &[u8]) {
    let length = body.len().to_string();
    head(stream, status, &[&[("Content-Length", length.as_str())], headers].concat());
    drop(stream.write_all(body));
}

/// Serves a file correctly: ranges, `If-Range`, an entity tag.
pub(crate) fn file(request: &Request, stream: &mut TcpStream, tag: &str, bytes: &[u8]) {
    file_cut(request, stream, tag, bytes, usize::MAX);
}

/// Same as [`file`], but closes the connection after a number of bytes.
pub(crate) fn file_cut(request: &Request, stream: &mut TcpStream, tag: &str, bytes: &[u8], n_sent: usize) {
    let is_same = request.header("if-range").is_none_or(|wanted| wanted == tag);
    let (status, start, range) = match request.from().filter(|_| is_same) {
        Some(from) if from >= bytes.len() => {
            let range = format!("bytes */{}", bytes.len());
            return answer(stream, "416 Range Not Satisfiable", &[("Content-Range", &range)], b"");
        }
        Some(from) => {
            ("206 Partial Content", from, format!("bytes {from}-{}/{}", bytes.len() - 1, bytes.len()))
        }
        None => ("200 OK", 0, String::new()),
    };
    let rest = &bytes[start..];
    let length = rest.len().to_string();
    let mut headers = vec![("Content-Length", length.as_str()), ("ETag", tag)];
    if !range.is_empty() {
        headers.push(("Content-Range", &range));
    }
    head(stream, status, &headers);
    drop(stream.write_all(&rest[..n_sent.min(rest.len())]));
}
