//! A server with the Remote Execution API, as a transport.

use std::io::Read;
use std::sync::OnceLock;

use bazel_remote_apis::build::bazel::remote::execution::v2::batch_update_blobs_request::Request as Update;
use bazel_remote_apis::build::bazel::remote::execution::v2::content_addressable_storage_client::ContentAddressableStorageClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    ActionResult, BatchReadBlobsRequest, BatchUpdateBlobsRequest, Digest as WireDigest,
    FindMissingBlobsRequest, GetActionResultRequest, UpdateActionResultRequest,
};
use mc_digest::digest::BlobDigest;
use prost::Message as _;
use tonic::{Code, Status};

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::transport::Transport;
use crate::transports::answer::MAX_RESULT;
use crate::transports::grpc::answers;
use crate::transports::grpc::call_log::LoggedChannel;
use crate::transports::grpc::capabilities::{NegotiatedCapabilities, value};
use crate::transports::grpc::connection::{Connection, Failure};
use crate::transports::grpc::raw::Method;
use crate::transports::grpc::read;
use crate::transports::grpc::resource::Travel;
use crate::transports::grpc::settings::Settings;
use crate::transports::grpc::write::Sending;

const GET_RESULT: Method = Method {
    path: "/build.bazel.remote.execution.v2.ActionCache/GetActionResult",
    limit: MAX_RESULT as usize,
};

/// The response repeats the result.
const UPDATE_RESULT: Method =
    Method { path: "/build.bazel.remote.execution.v2.ActionCache/UpdateActionResult", ..GET_RESULT };

const FIND_MISSING: Method = Method {
    path: "/build.bazel.remote.execution.v2.ContentAddressableStorage/FindMissingBlobs",
    limit: MAX_DIGESTS * PER_BLOB as usize,
};

const READ_BATCH: Method = Method {
    path: "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchReadBlobs",
    limit: 8 << 20,
};

/// The response contains a status for each rejected blob.
const UPDATE_BATCH: Method = Method {
    path: "/build.bazel.remote.execution.v2.ContentAddressableStorage/BatchUpdateBlobs",
    limit: 8 << 20,
};

/// Digests per request, at about 80 bytes each: far below the limit of a message.
const MAX_DIGESTS: usize = 10_000;

/// Overhead in bytes per blob of a batch.
const PER_BLOB: u64 = 128;

/// Larger blobs are transferred on their own.
const MAX_IN_BATCH: u64 = 512 << 10;

/// Size of the sample that decides about compression.
const SAMPLE: usize = 64 << 10;

/// A gRPC server.
pub struct Grpc {
    pub(crate) connection: Connection,
    agreed: OnceLock<Result<NegotiatedCapabilities, String>>,
}

impl Grpc {
    /// Creates a client for the server in the settings. The first operation connects.
    ///
    /// # Errors
    /// Fails if certificates, keys or headers cannot be used.
    pub fn new(settings: Settings) -> Result<Self, RemoteError> {
        Ok(Self { connection: Connection::new(settings)?, agreed: OnceLock::new() })
    }

    /// The negotiated capabilities; requested once.
    ///
    /// # Errors
    /// Fails if the server cannot be reached, or supports no common digest function.
    pub fn agreed(&self) -> Result<&NegotiatedCapabilities, RemoteError> {
        let agreed = self.agreed.get_or_init(|| {
            NegotiatedCapabilities::with(&self.connection).map_err(|error| error.to_string())
        });
        agreed.as_ref().map_err(|reason| RemoteError::Unusable(reason.clone()))
    }

    /// The connection to the server.
    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn instance_name(&self) -> String {
        self.connection.settings.instance.clone()
    }

    /// Client for calls whose responses contain no lists.
    pub(crate) fn blobs(&self) -> ContentAddressableStorageClient<LoggedChannel> {
        ContentAddressableStorageClient::new(self.connection.channel.clone())
    }

    /// The connection to the server.
    pub(crate) fn channel(&self) -> LoggedChannel {
        self.connection.channel.clone()
    }

    /// Groups blobs into batches; leaves out those that are too large for any batch.
    fn batches<'a, T>(
        &self,
        agreed: &NegotiatedCapabilities,
        blobs: &'a [T],
        size: impl Fn(&T) -> u64,
    ) -> Vec<Vec<&'a T>> {
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

    fn how_to_send(&self, agreed: &NegotiatedCapabilities, bytes: &[u8]) -> Travel {
        let is_asked = self.connection.settings.compress && agreed.zstd;
        if is_asked && bytes.len() as u64 >= self.connection.settings.compress_from && shrinks(bytes) {
            Travel::Zstd
        } else {
            Travel::Plain
        }
    }
}

/// Returns true if a sample from the middle of a blob compresses by a tenth or more: text does, weights do not.
fn shrinks(bytes: &[u8]) -> bool {
    let start = (bytes.len() / 2).saturating_sub(SAMPLE / 2);
    let sample = &bytes[start..bytes.len().min(start + SAMPLE)];
    zstd::bulk::compress(sample, 1).is_ok_and(|compressed| compressed.len() < sample.len() / 10 * 9)
}

/// Description of a request for several blobs.
fn n_blobs(n: usize) -> String {
    format!("{n} {}", if n == 1 { "blob" } else { "blobs" })
}

/// A digest in the API's encoding.
pub(crate) fn wire(digest: &BlobDigest) -> WireDigest {
    WireDigest { hash: digest.hash.to_string(), size_bytes: digest.n_bytes as i64 }
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
        self.connection.ask("GetActionResult", || {
            let request = self.connection.request_about(
                key.to_string(),
                GetActionResultRequest {
                    instance_name: self.instance_name(),
                    action_digest: Some(wire(key)),
                    digest_function: value(agreed.function) as i32,
                    ..GetActionResultRequest::default()
                },
            )?;
            match self.connection.wait(GET_RESULT.call(self.channel(), request)) {
                Ok(answer) => Ok(Some(answer)),
                Err(status) if status.code() == Code::NotFound => Ok(None),
                Err(status) => Err(Failure::Status(status)),
            }
        })
    }

    fn put_result(&self, key: &BlobDigest, result: &[u8], _named: &[BlobDigest]) -> Result<(), RemoteError> {
        let agreed = self.agreed()?;
        if !agreed.takes_results {
            return Err(self
                .connection
                .failed("UpdateActionResult", &Status::permission_denied("results are read-only")));
        }
        let sent = result;
        let result = ActionResult::decode(sent)
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
            let answer = self.connection.wait(UPDATE_RESULT.call(self.channel(), request))?;
            Ok(answers::repeats(&answer, sent)?)
        })
    }

    fn missing(&self, blobs: &[BlobDigest]) -> Result<Vec<BlobDigest>, RemoteError> {
        const MISSING: u32 = 2;
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
                let answer = self.connection.wait(FIND_MISSING.call(self.channel(), request))?;
                // At most all requested blobs are missing.
                Ok(answers::digests(&answer, MISSING, some.len())?)
            })?;
            missing.extend(answer);
        }
        Ok(missing)
    }

    fn read(&self, blob: &BlobDigest, first: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
        let agreed = self.agreed()?;
        let Settings { compress, compress_from, .. } = self.connection.settings;
        let is_asked = compress && agreed.zstd;
        // Weights do not compress, and large blobs are weights.
        let is_small = (compress_from..=MAX_IN_BATCH).contains(&blob.n_bytes);
        let travel = if is_asked && is_small { Travel::Zstd } else { Travel::Plain };
        read::open(&self.connection, agreed.function, travel, blob, first)
    }

    fn chunks(&self, blob: &BlobDigest) -> Result<Option<Vec<BlobDigest>>, RemoteError> {
        self.split(self.agreed()?, blob)
    }

    fn write_with_progress(
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
                let answer = self.connection.wait(READ_BATCH.call(self.channel(), request))?;
                Ok(answers::batch(&answer, batch.iter().copied().copied().collect())?)
            })?;
            read.extend(answer);
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
                let answer = self.connection.wait(UPDATE_BATCH.call(self.channel(), request))?;
                answers::taken(&answer).map_err(|status| self.refused(agreed, status))
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
            (true, false) => "zstd offered, not used".to_owned(),
            (true, true) => format!("zstd from {compress_from} bytes on"),
        };
        let offered = |is| if is && !chunk { "yes, not used".to_owned() } else { yes(is) };
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
    /// Some servers advertise one digest function but verify uploads with another.
    fn refused(&self, agreed: &NegotiatedCapabilities, status: Status) -> Failure {
        if status.code() != Code::InvalidArgument {
            return Failure::Status(status);
        }
        let (ours, other) = match agreed.function {
            DigestFunction::Blake3 => ("BLAKE3", "sha256"),
            DigestFunction::Sha256 => ("SHA-256", "blake3"),
        };
        let reason = format!(
            "{} advertises {ours} but rejects uploads with it ({}); try `--remote-digest-function={other}`",
            self.name(),
            status.message()
        );
        Failure::Other(RemoteError::Unusable(reason))
    }
}

#[cfg(test)]
mod tests {
    use mc_ir::reapi_result::decode_digest;

    use super::*;

    #[test]
    fn digests_survive_a_round_trip() {
        let digest = BlobDigest::of(b"abc");
        let back = |digest: WireDigest| decode_digest(&digest.encode_to_vec()).ok();
        assert_eq!(back(wire(&digest)), Some(digest));
        let wrong = WireDigest { hash: "abc".to_owned(), size_bytes: 3 };
        assert_eq!(back(wrong), None);
        assert_eq!(back(WireDigest { size_bytes: -1, ..wire(&digest) }), None);
    }

    #[test]
    fn text_compresses_and_noise_does_not() {
        assert!(shrinks("the same words again and again ".repeat(1000).as_bytes()));
        let noise: Vec<u8> =
            (0..8000_u64).flat_map(|seed| *BlobDigest::of(&seed.to_le_bytes()).hash.as_bytes()).collect();
        assert!(!shrinks(&noise));
    }
}
