//! A blob read over ByteStream. A few messages are received ahead of the reader, so that neither side waits for the
//! other.

use std::io::{self, Read};
use std::time::Duration;

use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use bazel_remote_apis::google::bytestream::{ReadRequest, ReadResponse};
use mc_digest::digest::BlobDigest;
use mc_fetch::stall_limit::StallReader;
use tokio::sync::mpsc::{Receiver, channel};
use tonic::{Code, Status, Streaming};

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::transports::grpc::connection::{Connection, Failure, as_io, silent};
use crate::transports::grpc::resource::{Travel, reading};

/// Messages buffered between receiver and reader, besides one on either side; a message has at most [`MAX_MESSAGE`]
/// bytes.
const N_AHEAD: usize = 1;

/// Limit on a message: servers stay below 4 MiB, the default limit of clients.
const MAX_MESSAGE: usize = (4 << 20) + (64 << 10);

/// Extra bytes allowed for a compressed blob, besides twice its size: many small frames, each with a header.
const MAX_OVERHEAD: u64 = 1 << 20;

/// Limit on the window of a compressed stream, as a power of two: the most that zstd's own levels need.
const MAX_WINDOW_LOG: u32 = 27;

/// Opens a blob from byte `first` on; `None` if it does not exist.
pub(crate) fn open(
    connection: &Connection,
    function: DigestFunction,
    travel: Travel,
    blob: &BlobDigest,
    first: u64,
) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
    let resource_name = reading(&connection.settings.instance, function, travel, blob);
    let read_offset = i64::try_from(first).unwrap_or(i64::MAX);
    let opened = connection.ask("Read", || {
        let message = ReadRequest { resource_name: resource_name.clone(), read_offset, read_limit: 0 };
        let request = connection.request_about(&resource_name, message)?;
        let mut client =
            ByteStreamClient::new(connection.channel.clone()).max_decoding_message_size(MAX_MESSAGE);
        // Some servers report a missing blob only in place of the first message.
        let opened = connection.wait(async {
            let mut stream = client.read(request).await?.into_inner();
            let message = stream.message().await?;
            Ok((stream, message))
        });
        match opened {
            Ok(opened) => Ok(Some(opened)),
            // The blob is shorter than expected, so there is nothing from this byte on.
            Err(status) if matches!(status.code(), Code::NotFound | Code::OutOfRange) => Ok(None),
            Err(status) => Err(Failure::Status(status)),
        }
    })?;
    let Some((stream, first)) = opened else { return Ok(None) };
    let idle = connection.settings.idle;
    let reader = StallReader::new(Messages::start(connection, stream, first, idle), idle);
    Ok(Some(match travel {
        Travel::Plain => Box::new(reader),
        Travel::Zstd => {
            let failed = |error: io::Error| RemoteError::Local(format!("Cannot start zstd: {error}"));
            // Frames may be empty, so the decoder could read forever.
            let reader = reader.take(blob.n_bytes.saturating_mul(2).saturating_add(MAX_OVERHEAD));
            let mut decoder = zstd::stream::read::Decoder::new(reader).map_err(failed)?;
            decoder.window_log_max(MAX_WINDOW_LOG).map_err(failed)?;
            Box::new(decoder)
        }
    }))
}

/// A reader over the messages of a stream.
struct Messages {
    waiting: Receiver<Result<Vec<u8>, Status>>,
    current: Vec<u8>,
    n_read: usize,
}

impl Messages {
    fn start(
        connection: &Connection,
        mut stream: Streaming<ReadResponse>,
        first: Option<ReadResponse>,
        idle: Duration,
    ) -> Self {
        let (sender, waiting) = channel(N_AHEAD);
        let Some(first) = first else { return Self { waiting, current: Vec::new(), n_read: 0 } };
        // The task ends with the stream, or when the reader is dropped.
        connection.runtime.spawn(async move {
            loop {
                // An empty message does not count as progress.
                let next = async {
                    loop {
                        match stream.message().await {
                            Ok(Some(message)) if message.data.is_empty() => tokio::task::yield_now().await,
                            other => return other,
                        }
                    }
                };
                let message = match tokio::time::timeout(idle, next).await {
                    Ok(Ok(None)) => return,
                    Ok(Ok(Some(message))) => Ok(message.data),
                    Ok(Err(status)) => Err(status),
                    Err(_) => Err(silent(idle)),
                };
                let is_last = message.is_err();
                if sender.send(message).await.is_err() || is_last {
                    return;
                }
            }
        });
        Self { waiting, current: first.data, n_read: 0 }
    }
}

impl Read for Messages {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.n_read == self.current.len() {
            match self.waiting.blocking_recv() {
                None => return Ok(0),
                Some(Ok(message)) => (self.current, self.n_read) = (message, 0),
                Some(Err(status)) => return Err(as_io(&status)),
            }
        }
        let rest = &self.current[self.n_read..];
        let n_read = rest.len().min(buffer.len());
        buffer[..n_read].copy_from_slice(&rest[..n_read]);
        self.n_read += n_read;
        Ok(n_read)
    }
}
