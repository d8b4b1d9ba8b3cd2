//! A server that speaks the Remote Execution API, as a transport.

use std::io::Read;
use std::sync::OnceLock;

use bazel_remote_apis::build::bazel::remote::execution::v2::action_cache_client::ActionCacheClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::batch_update_blobs_request::Request as Update;
use bazel_remote_apis::build::bazel::remote::execution::v2::content_addressable_storage_client::ContentAddressableStorageClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    ActionResult, BatchReadBlobsRequest, BatchUpdateBlobsRequest, Digest as WireDigest,
    FindMissingBlobsRequest, GetActionResultRequest, UpdateActionResultRequest,
};
use mc_digest::digest::{BlobDigest, Digest};
use prost::Message as _;
use tonic::{Code, Status};

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::grpc::call_log::LoggedChannel;
use crate::grpc::capabilities::{Agreed, value};
use crate::grpc::connection::{Connection, Failure};
use crate::grpc::read;
use crate::grpc::resource::Travel;
use crate::grpc::settings::Settings;
use crate::grpc::write::Sending;
use crate::transport::Transport;

/// No result or batch of ours is longer; servers may put more into an answer than was asked for.
const MAX_ANSWER: usize = 32 << 20;

/// Digests in one question: some 80 bytes each, far below the limit of a message.
const MAX_DIGESTS: usize = 10_000;

/// Bytes that each blob of a batch needs besides its own.
const PER_BLOB: u64 = 128;

/// Larger blobs travel alone.
const MAX_IN_BATCH: u64 = 512 << 10;

/// How much of a blob tells whether it shrinks.
const SAMPLE: usize = 64 << 10;

/// A server.
pub struct Grpc {
    pub(crate) connection: Connection,
    agreed: OnceLock<Result<Agreed, String>>,
}

impl Grpc {
    /// The server that the settings lead to. It is asked when something is first wanted of it.
    ///
    /// # Errors
    /// When certificates, keys or headers cannot be used.
    pub fn new(settings: Settings) -> Result<Self, RemoteError> {
        Ok(Self { connection: Connection::new(settings)?, agreed: OnceLock::new() })
    }

    /// What was agreed upon; asked once.
    ///
    /// # Errors
    /// When the server cannot be reached, or knows no digest function of ours.
    pub fn agreed(&self) -> Result<&Agreed, RemoteError> {
        let agreed =
            self.agreed.get_or_init(|| Agreed::with(&self.connection).map_err(|error| error.to_string()));
        agreed.as_ref().map_err(|reason| RemoteError::Unusable(reason.clone()))
    }

    /// The way to the server.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn instance_name(&self) -> String {
        self.connection.settings.instance.clone()
    }

    pub(crate) fn blobs(&self) -> ContentAddressableStorageClient<LoggedChannel> {
        ContentAddressableStorageClient::new(self.connection.channel.clone())
            .max_decoding_message_size(MAX_ANSWER)
    }

    fn results(&self) -> ActionCacheClient<LoggedChannel> {
        ActionCacheClient::new(self.connection.channel.clone()).max_decoding_message_size(MAX_ANSWER)
    }

    /// Blobs in groups that fit into a batch; what is too large for any is left out.
    fn batches<'a, T>(&self, agreed: &Agreed, blobs: &'a [T], size: impl Fn(&T) -> u64) -> Vec<Vec<&'a T>> {
        let mut batches: Vec<Vec<&T>> = Vec::new();
        let mut n_bytes = u64::MAX;
        for blob in blobs {
            let needed = size(blob) + PER_BLOB;
            if needed > agreed.batch_bytes {
                continue;
            }
            if n_bytes.saturating_add(needed) > agreed.batch_bytes {
                batches.push(Vec::new());
                n_bytes = 0;
            }
            n_bytes += needed;
            batches.last_mut().expect("one was just begun").push(blob);
        }
        batches
    }

    fn how_to_send(&self, agreed: &Agreed, bytes: &[u8]) -> Travel {
        let is_asked = self.connection.settings.compress && agreed.zstd;
        if is_asked && bytes.len() as u64 >= self.connection.settings.compress_from && shrinks(bytes) {
            Travel::Zstd
        } else {
            Travel::Plain
        }
    }
}

/// Whether a stretch from the middle of a blob becomes a tenth smaller: text does, weights do not.
fn shrinks(bytes: &[u8]) -> bool {
    let start = (bytes.len() / 2).saturating_sub(SAMPLE / 2);
    let sample = &bytes[start..bytes.len().min(start + SAMPLE)];
    zstd::bulk::compress(sample, 1).is_ok_and(|compressed| compressed.len() < sample.len() / 10 * 9)
}

/// What a request for several blobs is about.
fn n_blobs(n: usize) -> String {
    format!("{n} {}", if n == 1 { "blob" } else { "blobs" })
}

/// A digest as the interface writes it.
pub(crate) fn wire(digest: &BlobDigest) -> WireDigest {
    WireDigest { hash: digest.hash.to_string(), size_bytes: digest.n_bytes as i64 }
}

/// A digest from the interface; `None` when it is none.
pub(crate) fn unwire(digest: &WireDigest) -> Option<BlobDigest> {
    let hash: Digest = digest.hash.parse().ok()?;
    Some(BlobDigest::new(hash, u64::try_from(digest.size_bytes).ok()?))
}

fn status_of(status: Option<&bazel_remote_apis::google::rpc::Status>) -> Result<(), Status> {
    match status {
        Some(status) if status.code != 0 => {
            let (code, details) = (Code::from_i32(status.code), status.encode_to_vec());
            Err(Status::with_details(code, status.message.clone(), details.into()))
        }
        _ => Ok(()),
    }
}

impl Transport for Grpc {
    fn name(&self) -> String {
        self.connection.name()
    }

    fn function(&self) -> Result<DigestFunction, RemoteError> {
        Ok(self.agreed()?.function)
    }

    fn result(&self, key: &BlobDigest) -> Result<Option<Vec<u8>>, RemoteError> {
        let agreed = self.agreed()?;
        let found = self.connection.ask("GetActionResult", || {
            let request = self.connection.request_about(
                key.to_string(),
                GetActionResultRequest {
                    instance_name: self.instance_name(),
                    action_digest: Some(wire(key)),
                    digest_function: value(agreed.function) as i32,
                    ..GetActionResultRequest::default()
                },
            )?;
            let mut client = self.results();
            match self.connection.wait(async { client.get_action_result(request).await }) {
                Ok(answer) => Ok(Some(answer.into_inner())),
                Err(status) if status.code() == Code::NotFound => Ok(None),
                Err(status) => Err(Failure::Status(status)),
            }
        })?;
        Ok(found.map(|result| result.encode_to_vec()))
    }

    fn put_result(&self, key: &BlobDigest, result: &[u8], _named: &[BlobDigest]) -> Result<(), RemoteError> {
        let agreed = self.agreed()?;
        if !agreed.takes_results {
            return Err(self
                .connection
                .failed("UpdateActionResult", &Status::permission_denied("results may only be read")));
        }
        let result = ActionResult::decode(result)
            .map_err(|error| RemoteError::Local(format!("A result cannot be read back: {error}")))?;
        self.connection.ask("UpdateActionResult", || {
            let request = self.connection.request_about(
                key.to_string(),
                UpdateActionResultRequest {
                    instance_name: self.instance_name(),
                    action_digest: Some(wire(key)),
                    action_result: Some(result.clone()),
                    digest_function: value(agreed.function) as i32,
                    ..UpdateActionResultRequest::default()
                },
            )?;
            let mut client = self.results();
            self.connection.wait(async { client.update_action_result(request).await })?;
            Ok(())
        })
    }

    fn missing(&self, blobs: &[BlobDigest]) -> Result<Vec<BlobDigest>, RemoteError> {
        let agreed = self.agreed()?;
        let mut missing = Vec::new();
        for some in blobs.chunks(MAX_DIGESTS) {
            let answer = self.connection.ask("FindMissingBlobs", || {
                let request = self.connection.request_about(
                    n_blobs(some.len()),
                    FindMissingBlobsRequest {
                        instance_name: self.instance_name(),
                        blob_digests: some.iter().map(wire).collect(),
                        digest_function: value(agreed.function) as i32,
                    },
                )?;
                let mut client = self.blobs();
                Ok(self.connection.wait(async { client.find_missing_blobs(request).await })?.into_inner())
            })?;
            missing.extend(answer.missing_blob_digests.iter().filter_map(unwire));
        }
        Ok(missing)
    }

    fn read(&self, blob: &BlobDigest, first: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
        let agreed = self.agreed()?;
        let Settings { compress, compress_from, .. } = self.connection.settings;
        let is_asked = compress && agreed.zstd;
        // Weights do not shrink, and they are what is large.
        let is_small = (compress_from..=MAX_IN_BATCH).contains(&blob.n_bytes);
        let travel = if is_asked && is_small { Travel::Zstd } else { Travel::Plain };
        read::open(&self.connection, agreed.function, travel, blob, first)
    }

    fn chunks(&self, blob: &BlobDigest) -> Result<Option<Vec<BlobDigest>>, RemoteError> {
        self.split(self.agreed()?, blob)
    }

    fn write_telling(
        &self,
        blob: &BlobDigest,
        bytes: &[u8],
        sent: &dyn Fn(usize),
    ) -> Result<(), RemoteError> {
        let agreed = self.agreed()?;
        if let Some(max) = agreed.max_blob_bytes.filter(|&max| blob.n_bytes > max) {
            return Err(RemoteError::TooLarge { server: self.name(), n_bytes: blob.n_bytes, max });
        }
        let cut = agreed.cut.filter(|cut| self.connection.settings.chunk && cut.is_for(blob.n_bytes));
        if let Some(cut) = cut
            && self.splice(agreed, cut, blob, bytes)?
        {
            return Ok(());
        }
        let (connection, function) = (&self.connection, agreed.function);
        let travel = self.how_to_send(agreed, bytes);
        Sending { connection, function, travel, blob, bytes, sent }.send()
    }

    fn largest_in_batch(&self) -> Result<u64, RemoteError> {
        Ok(self.agreed()?.batch_bytes.saturating_sub(PER_BLOB).min(MAX_IN_BATCH))
    }

    fn read_batch(&self, blobs: &[BlobDigest]) -> Result<Vec<(BlobDigest, Vec<u8>)>, RemoteError> {
        let agreed = self.agreed()?;
        let mut read = Vec::new();
        for batch in self.batches(agreed, blobs, |blob| blob.n_bytes) {
            let answer = self.connection.ask("BatchReadBlobs", || {
                let request = self.connection.request_about(
                    n_blobs(batch.len()),
                    BatchReadBlobsRequest {
                        instance_name: self.instance_name(),
                        digests: batch.iter().map(|blob| wire(blob)).collect(),
                        acceptable_compressors: Vec::new(),
                        digest_function: value(agreed.function) as i32,
                    },
                )?;
                let mut client = self.blobs();
                Ok(self.connection.wait(async { client.batch_read_blobs(request).await })?.into_inner())
            })?;
            // In whatever order they come; one that is not there is left out.
            for response in answer.responses {
                let is_there = response.status.as_ref().is_none_or(|status| status.code == 0);
                if let Some(digest) = response.digest.as_ref().and_then(unwire).filter(|_| is_there) {
                    read.push((digest, response.data));
                }
            }
        }
        Ok(read)
    }

    fn write_batch(&self, blobs: &[(BlobDigest, &[u8])]) -> Result<(), RemoteError> {
        let agreed = self.agreed()?;
        for batch in self.batches(agreed, blobs, |(blob, _)| blob.n_bytes) {
            self.connection.ask("BatchUpdateBlobs", || {
                let update = |(blob, bytes): &(BlobDigest, &[u8])| Update {
                    digest: Some(wire(blob)),
                    data: bytes.to_vec(),
                    compressor: 0,
                };
                let request = self.connection.request_about(
                    n_blobs(batch.len()),
                    BatchUpdateBlobsRequest {
                        instance_name: self.instance_name(),
                        requests: batch.iter().map(|blob| update(blob)).collect(),
                        digest_function: value(agreed.function) as i32,
                    },
                )?;
                let mut client = self.blobs();
                let answer =
                    self.connection.wait(async { client.batch_update_blobs(request).await })?.into_inner();
                for response in &answer.responses {
                    status_of(response.status.as_ref()).map_err(|status| self.refused(agreed, status))?;
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn details(&self) -> Result<Vec<(&'static str, String)>, RemoteError> {
        let agreed = self.agreed()?;
        let yes = |is: bool| if is { "yes" } else { "no" }.to_owned();
        let Settings { compress, compress_from, chunk, keep_alive, .. } = &self.connection.settings;
        let compression = match (agreed.zstd, compress) {
            (false, _) => "not offered".to_owned(),
            (true, false) => "zstd offered, not asked for".to_owned(),
            (true, true) => format!("zstd from {compress_from} bytes on"),
        };
        let offered = |is| if is && !chunk { "yes, not asked to".to_owned() } else { yes(is) };
        let kept_alive = keep_alive.map_or("no".to_owned(), |every| format!("every {every:?}"));
        Ok(vec![
            ("interface", format!("Remote Execution API {}", agreed.versions)),
            ("instance", if self.instance_name().is_empty() { "-".to_owned() } else { self.instance_name() }),
            ("batches", format!("{} bytes", agreed.batch_bytes)),
            (
                "largest blob",
                agreed.max_blob_bytes.map_or("no limit".to_owned(), |max| format!("{max} bytes")),
            ),
            ("compression", compression),
            ("joins chunks", offered(agreed.cut.is_some())),
            ("says chunks", offered(agreed.splits)),
            ("takes results", yes(agreed.takes_results)),
            ("runs actions", yes(agreed.executes)),
            ("connection is tried", kept_alive),
        ])
    }
}

impl Grpc {
    /// Some servers offer a digest function and then check what is sent with another.
    fn refused(&self, agreed: &Agreed, status: Status) -> Failure {
        if status.code() != Code::InvalidArgument {
            return Failure::Status(status);
        }
        let (ours, other) = match agreed.function {
            DigestFunction::Blake3 => ("BLAKE3", "sha256"),
            DigestFunction::Sha256 => ("SHA-256", "blake3"),
        };
        let reason = format!(
            "{} offers {ours} and refuses what is sent with it ({}); try `--remote-digest-function={other}`",
            self.name(),
            status.message()
        );
        Failure::Other(RemoteError::Unusable(reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_go_over_the_wire_and_back() {
        let digest = BlobDigest::of(b"abc");
        assert_eq!(unwire(&wire(&digest)), Some(digest));
        let wrong = WireDigest { hash: "abc".to_owned(), size_bytes: 3 };
        assert_eq!(unwire(&wrong), None);
        assert_eq!(unwire(&WireDigest { size_bytes: -1, ..wire(&digest) }), None);
    }

    #[test]
    fn text_shrinks_and_noise_does_not() {
        assert!(shrinks("the same words again and again ".repeat(1000).as_bytes()));
        let noise: Vec<u8> =
            (0..8000_u64).flat_map(|seed| *BlobDigest::of(&seed.to_le_bytes()).hash.as_bytes()).collect();
        assert!(!shrinks(&noise));
    }
}
