//! Transfers large blobs as chunks: uploads only the missing chunks and lets the server join them; requests the chunk
//! list of a blob so that local chunks are not downloaded.
//!
//! Two encodings: the whole list in one message or, since version 2.13 of the API, a stream of lists.

use std::collections::BTreeSet;
use std::time::Instant;

use bazel_remote_apis::build::bazel::remote::execution::v2::chunking_function::Value as Chunking;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    GetChunkMappingRequest, RegisterChunkMappingRequest, SpliceBlobRequest, SplitBlobRequest,
};
use mc_digest::digest::BlobDigest;
use tonic::{Code, Status};

use crate::error::RemoteError;
use crate::transport::Transport;
use crate::transports::grpc::answers;
use crate::transports::grpc::capabilities::{NegotiatedCapabilities, value};
use crate::transports::grpc::connection::{Failure, silent};
use crate::transports::grpc::cut::{Cut, SMALLEST};
use crate::transports::grpc::raw::Method;
use crate::transports::grpc::resource::Travel;
use crate::transports::grpc::transport::{Grpc, wire};
use crate::transports::grpc::write::Sending;

/// Chunks per message of a stream, at about 80 bytes each.
const PER_MESSAGE: usize = 10_000;

/// Blobs with more chunks are transferred whole: 100 GB in chunks of the usual size.
const MAX_CHUNKS: usize = 200_000;

const SPLIT: Method =
    Method { path: "/build.bazel.remote.execution.v2.ContentAddressableStorage/SplitBlob", limit: 32 << 20 };

const CHUNK_MAPPING: Method = Method {
    path: "/build.bazel.remote.execution.v2.ContentAddressableStorage/GetChunkMapping",
    limit: 4 << 20,
};

impl Grpc {
    /// The chunks of a blob. `None` if the server cannot list them, or the list is invalid.
    pub(crate) fn split(
        &self,
        agreed: &NegotiatedCapabilities,
        blob: &BlobDigest,
    ) -> Result<Option<Vec<BlobDigest>>, RemoteError> {
        let is_large = agreed.cut.map_or(blob.n_bytes >= SMALLEST, |cut| cut.is_for(blob.n_bytes));
        if !agreed.splits || !self.connection().settings.chunk || !is_large {
            return Ok(None);
        }
        let method = if agreed.streams_chunks { "GetChunkMapping" } else { "SplitBlob" };
        self.connection.ask(method, || {
            let answer = if agreed.streams_chunks {
                self.chunk_mapping(agreed, blob)
            } else {
                self.split_blob(agreed, blob)
            };
            match answer {
                Ok(chunks) => Ok(chunks),
                // The blob can also be read without its chunks.
                Err(Failure::Status(status)) if says_no(&status) => Ok(None),
                Err(failure) => Err(failure),
            }
        })
    }

    fn split_blob(
        &self,
        agreed: &NegotiatedCapabilities,
        blob: &BlobDigest,
    ) -> Result<Option<Vec<BlobDigest>>, Failure> {
        let request = self.connection.request_about(
            blob.to_string(),
            SplitBlobRequest {
                instance_name: self.instance_name(),
                blob_digest: Some(wire(blob)),
                digest_function: value(agreed.function) as i32,
                chunking_function: Chunking::FastCdc2020 as i32,
            },
        )?;
        let answer = self.connection.wait(SPLIT.call(self.channel(), request))?;
        Ok(answers::chunks(&answer, Vec::new(), MAX_CHUNKS)?)
    }

    fn chunk_mapping(
        &self,
        agreed: &NegotiatedCapabilities,
        blob: &BlobDigest,
    ) -> Result<Option<Vec<BlobDigest>>, Failure> {
        let request = self.connection.request_about(
            blob.to_string(),
            GetChunkMappingRequest {
                instance_name: self.instance_name(),
                blob_digest: Some(wire(blob)),
                digest_function: value(agreed.function) as i32,
                chunking_function: Chunking::FastCdc2020 as i32,
            },
        )?;
        let mut answers = self.connection.wait(CHUNK_MAPPING.stream(self.channel(), request))?;
        let (began, idle) = (Instant::now(), self.connection.settings.idle);
        let mut chunks = Vec::new();
        while let Some(answer) = self.connection.wait(answers.message())? {
            let Some(more) = answers::chunks(&answer, chunks, MAX_CHUNKS)? else { return Ok(None) };
            chunks = more;
            // The whole list counts as one short response, even in several messages.
            if began.elapsed() > idle {
                return Err(Failure::Status(silent(idle)));
            }
        }
        Ok(Some(chunks))
    }

    /// Uploads the missing chunks of a blob and requests the join. Returns `false` if the server cannot do that; the
    /// blob is then uploaded whole.
    pub(crate) fn splice(
        &self,
        agreed: &NegotiatedCapabilities,
        cut: Cut,
        blob: &BlobDigest,
        bytes: &[u8],
    ) -> Result<bool, RemoteError> {
        let chunks = cut.chunks(agreed.function, bytes);
        let names: Vec<BlobDigest> = chunks.iter().map(|(name, _)| *name).collect();
        let missing: BTreeSet<BlobDigest> = self.missing(&names)?.into_iter().collect();
        let mut sent = BTreeSet::new();
        let (mut small, largest) = (Vec::new(), self.largest_in_batch()?);
        for &(name, bytes) in chunks.iter().filter(|(name, _)| missing.contains(name)) {
            if !sent.insert(name) {
                continue;
            }
            if name.n_bytes <= largest {
                small.push((name, bytes));
            } else {
                let (connection, function) = (&self.connection, agreed.function);
                let travel = Travel::Plain;
                Sending { connection, function, travel, blob: &name, bytes, sent: &|_| {} }.send()?;
            }
        }
        self.write_batch(&small)?;
        let method = if agreed.streams_chunks { "RegisterChunkMapping" } else { "SpliceBlob" };
        self.connection.ask(method, || {
            let joined = if agreed.streams_chunks {
                self.register_chunk_mapping(agreed, blob, &names)
            } else {
                self.splice_blob(agreed, blob, &names)
            };
            match joined {
                Ok(()) => Ok(true),
                Err(Failure::Status(status)) if status.code() == Code::AlreadyExists => Ok(true),
                // Chunks may have been evicted meanwhile, or the server advertises more than it supports.
                Err(Failure::Status(status)) if says_no(&status) => Ok(false),
                Err(failure) => Err(failure),
            }
        })
    }

    fn splice_blob(
        &self,
        agreed: &NegotiatedCapabilities,
        blob: &BlobDigest,
        chunks: &[BlobDigest],
    ) -> Result<(), Failure> {
        let request = self.connection.request_about(
            blob.to_string(),
            SpliceBlobRequest {
                instance_name: self.instance_name(),
                blob_digest: Some(wire(blob)),
                chunk_digests: chunks.iter().map(wire).collect(),
                digest_function: value(agreed.function) as i32,
                chunking_function: Chunking::FastCdc2020 as i32,
            },
        )?;
        let mut client = self.blobs();
        self.connection.wait(async { client.splice_blob(request).await })?;
        Ok(())
    }

    fn register_chunk_mapping(
        &self,
        agreed: &NegotiatedCapabilities,
        blob: &BlobDigest,
        chunks: &[BlobDigest],
    ) -> Result<(), Failure> {
        let mut messages: Vec<RegisterChunkMappingRequest> = chunks
            .chunks(PER_MESSAGE)
            .map(|chunks| RegisterChunkMappingRequest {
                chunk_digests: chunks.iter().map(wire).collect(),
                ..RegisterChunkMappingRequest::default()
            })
            .collect();
        // The first message identifies the blob.
        if let Some(first) = messages.first_mut() {
            first.instance_name = self.instance_name();
            first.blob_digest = Some(wire(blob));
            first.digest_function = value(agreed.function) as i32;
            first.chunking_function = Chunking::FastCdc2020 as i32;
        }
        let request = self.connection.request_about(blob.to_string(), tokio_stream::iter(messages))?;
        let mut client = self.blobs();
        self.connection.wait(async { client.register_chunk_mapping(request).await })?;
        Ok(())
    }
}

/// Returns true if a status rejects this operation for these chunks, without any wider meaning.
fn says_no(status: &Status) -> bool {
    matches!(
        status.code(),
        Code::NotFound
            | Code::Unimplemented
            | Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::Internal
            | Code::Unknown
            | Code::DataLoss
    )
}
