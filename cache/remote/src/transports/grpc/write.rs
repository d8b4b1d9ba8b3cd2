//! A blob uploaded over ByteStream: in messages, resumed at the server's committed size if the server reports it.

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use bazel_remote_apis::google::bytestream::{QueryWriteStatusRequest, WriteRequest, WriteResponse};
use mc_digest::digest::BlobDigest;
use tokio::sync::mpsc::channel;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::transports::grpc::connection::{Connection, silent};
use crate::transports::grpc::resource::{Travel, uuid, writing};
use crate::transports::grpc::retry_delay::{delay, is_passing};

/// Bytes per message: large enough for few messages, small enough for every server's limit.
const MESSAGE: usize = 1 << 18;

/// Bytes between two progress reports: releasing memory after each report briefly stops all threads.
const REPORT_INTERVAL: usize = 1 << 22;

/// Messages buffered for sending.
const N_AHEAD: usize = 2;

/// Limit on the tries per blob, even with progress: a server that accepts a few bytes at a time is useless.
const MAX_TRIES: u32 = 50;

/// About as fast as a network; stronger compression would cost time.
const ZSTD_LEVEL: i32 = 1;

/// An upload of a blob.
pub(crate) struct Sending<'a> {
    /// The connection to the server.
    pub(crate) connection: &'a Connection,
    /// The server's digest function.
    pub(crate) function: DigestFunction,
    /// Encoding of the transfer.
    pub(crate) travel: Travel,
    /// Its server digest.
    pub(crate) blob: &'a BlobDigest,
    /// Its bytes.
    pub(crate) bytes: &'a [u8],
    /// Called with the number of bytes sent so far.
    pub(crate) sent: &'a dyn Fn(usize),
}

impl Sending<'_> {
    /// Uploads the blob, resuming where an earlier try ended.
    pub(crate) fn send(&self) -> Result<(), RemoteError> {
        let Self { connection, function, travel, blob, bytes, .. } = *self;
        let (mut name, mut first, mut furthest, mut n_failed, mut n_tries) = (None, 0, 0, 0, 0);
        loop {
            let resource_name = name.get_or_insert_with(|| {
                writing(&connection.settings.instance, function, travel, blob, &uuid())
            });
            let status = match self.once(resource_name, first)? {
                Ok(()) => return Ok(()),
                Err(status) => status,
            };
            n_tries += 1;
            if !is_passing(&status) || n_failed >= connection.settings.n_retries || n_tries >= MAX_TRIES {
                return Err(connection.failed("Write", &status));
            }
            n_failed += 1;
            thread::sleep(delay(n_failed, &status, connection.settings.idle));
            // A second compressed stream may differ from the first, so it cannot be resumed.
            let committed = match travel {
                Travel::Plain => committed(connection, resource_name)?,
                Travel::Zstd => None,
            };
            match committed.filter(|&n| n < bytes.len()) {
                Some(n) => {
                    // Progress means beyond the furthest position, not only the last: a server may move back and forth.
                    if n > furthest {
                        (furthest, n_failed) = (n, 0);
                    }
                    first = n;
                }
                None => (name, first) = (None, 0),
            }
        }
    }
}

/// Number of bytes of an interrupted write that the server has; `None` if it does not report that.
fn committed(connection: &Connection, resource_name: &str) -> Result<Option<usize>, RemoteError> {
    let message = QueryWriteStatusRequest { resource_name: resource_name.to_owned() };
    let request = connection.request_about(resource_name, message)?;
    let mut client = ByteStreamClient::new(connection.channel.clone());
    let answer = connection.wait(async { client.query_write_status(request).await });
    Ok(answer.ok().and_then(|answer| usize::try_from(answer.into_inner().committed_size).ok()))
}

impl Sending<'_> {
    /// One try. The outer error is local, the inner one is the server's.
    fn once(&self, resource_name: &str, first: usize) -> Result<Result<(), Status>, RemoteError> {
        let Self { connection, travel, bytes, .. } = *self;
        let idle = connection.settings.idle;
        let (sender, waiting) = channel::<WriteRequest>(N_AHEAD);
        let request = connection.request_about(resource_name, ReceiverStream::new(waiting))?;
        let mut client = ByteStreamClient::new(connection.channel.clone());
        let answer = connection.runtime.spawn(async move { client.write(request).await });
        let mut source = Source::new(travel, &bytes[first..])
            .map_err(|error| RemoteError::Local(format!("Cannot start zstd: {error}")))?;
        let mut offset = first;
        let mut is_silent = false;
        loop {
            let data = source
                .next()
                .map_err(|error| RemoteError::Local(format!("Cannot compress a blob: {error}")))?;
            let n_read = data.len();
            let finish_write = n_read < MESSAGE;
            let message = WriteRequest {
                resource_name: if offset == first { resource_name.to_owned() } else { String::new() },
                write_offset: offset as i64,
                finish_write,
                data,
            };
            offset += n_read;
            match connection
                .runtime
                .block_on(async { tokio::time::timeout(idle, sender.send(message)).await })
            {
                Ok(Ok(())) if finish_write => break,
                Ok(Ok(())) if travel == Travel::Plain && (offset - first).is_multiple_of(REPORT_INTERVAL) => {
                    (self.sent)(offset);
                }
                Ok(Ok(())) => {}
                // The server has already responded: it has the blob or refuses it.
                Ok(Err(_)) => break,
                Err(_) => {
                    is_silent = true;
                    break;
                }
            }
        }
        drop(sender);
        if is_silent {
            answer.abort();
            return Ok(Err(silent(idle)));
        }
        let abort = answer.abort_handle();
        let answered = connection.wait_for(answer_time(idle, bytes.len()), async {
            answer.await.unwrap_or_else(|error| Err(Status::internal(error.to_string())))
        });
        abort.abort();
        Ok(answered.and_then(|answer| check(&answer.into_inner(), travel, bytes.len(), offset)))
    }
}

/// Timeout for the response: a server first reads and hashes all bytes.
fn answer_time(idle: Duration, n_bytes: usize) -> Duration {
    const BYTES_PER_SECOND: f64 = 20e6;
    idle + Duration::from_secs_f64(n_bytes as f64 / BYTES_PER_SECOND)
}

/// Checks that the server received everything. A server that already had the blob reports its full size at once; after
/// a compressed upload it reports the number of compressed bytes, or -1.
fn check(answer: &WriteResponse, travel: Travel, n_bytes: usize, n_sent: usize) -> Result<(), Status> {
    let n_taken = answer.committed_size;
    let is_whole =
        n_taken == n_bytes as i64 || travel == Travel::Zstd && (n_taken == -1 || n_taken == n_sent as i64);
    if is_whole {
        return Ok(());
    }
    Err(Status::aborted(format!("it accepted {n_taken} of {n_bytes} bytes")))
}

/// Source of the bytes to send.
enum Source<'a> {
    Plain(&'a [u8]),
    Zstd(Box<zstd::stream::read::Encoder<'static, io::BufReader<&'a [u8]>>>),
}

impl<'a> Source<'a> {
    fn new(travel: Travel, bytes: &'a [u8]) -> io::Result<Self> {
        Ok(match travel {
            Travel::Plain => Self::Plain(bytes),
            Travel::Zstd => Self::Zstd(Box::new(zstd::stream::read::Encoder::new(bytes, ZSTD_LEVEL)?)),
        })
    }

    /// The bytes of the next message; all messages but the last are full.
    fn next(&mut self) -> io::Result<Vec<u8>> {
        let mut message = Vec::with_capacity(MESSAGE);
        match self {
            Self::Plain(bytes) => bytes.take(MESSAGE as u64).read_to_end(&mut message)?,
            Self::Zstd(encoder) => encoder.take(MESSAGE as u64).read_to_end(&mut message)?,
        };
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incomplete_write_is_detected() {
        let answer = |committed_size| WriteResponse { committed_size };
        assert!(check(&answer(10), Travel::Plain, 10, 10).is_ok());
        // The server had the blob before the last message was sent.
        assert!(check(&answer(10), Travel::Plain, 10, 4).is_ok());
        assert!(check(&answer(9), Travel::Plain, 10, 10).is_err());
        assert!(check(&answer(-1), Travel::Plain, 10, 10).is_err());
        for taken in [-1, 7, 10] {
            assert!(check(&answer(taken), Travel::Zstd, 10, 7).is_ok());
        }
        assert!(check(&answer(3), Travel::Zstd, 10, 7).is_err());
    }

    #[test]
    fn both_encodings_yield_all_bytes() {
        let bytes: Vec<u8> = (0..3_000_000_u32).map(|index| (index / 1000) as u8).collect();
        let sent = |travel| {
            let mut source = Source::new(travel, &bytes).unwrap();
            let mut sent = Vec::new();
            loop {
                let message = source.next().unwrap();
                sent.extend_from_slice(&message);
                if message.len() < MESSAGE {
                    return sent;
                }
            }
        };
        assert_eq!(sent(Travel::Plain), bytes);
        let compressed = sent(Travel::Zstd);
        assert!(compressed.len() < bytes.len() / 10);
        assert_eq!(zstd::stream::decode_all(&compressed[..]).unwrap(), bytes);
    }
}
