//! The server's capabilities, requested once, and the resulting settings.

use bazel_remote_apis::build::bazel::remote::execution::v2::capabilities_client::CapabilitiesClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::digest_function::Value as Function;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    ExecutionCapabilities, GetCapabilitiesRequest, ServerCapabilities, compressor,
};
use tonic::Code;

use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::transports::grpc::connection::{Connection, Failure};
use crate::transports::grpc::cut::Cut;

/// The default limit on a message in gRPC implementations.
const MAX_MESSAGE: u64 = 4 << 20;

/// Limit on the capabilities response, a list of names and numbers.
const MAX_ANSWER: usize = 256 << 10;

/// Limit on the digest functions named in a message.
const MAX_NAMED: usize = 20;

/// Upper bound on the overhead of the messages around the blobs of a batch.
const SLACK: u64 = 16 << 10;

/// The first version of the API that streams lists of chunks.
const STREAMED_SINCE: (i32, i32) = (2, 13);

/// The negotiated settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegotiatedCapabilities {
    /// The digest function.
    pub function: DigestFunction,
    /// Limit on the bytes of blobs in one request.
    pub batch_bytes: u64,
    /// Limit on the size of a blob; `None` if unlimited.
    pub max_blob_bytes: Option<u64>,
    /// True if results may be written.
    pub takes_results: bool,
    /// True if streams may be compressed with zstd.
    pub zstd: bool,
    /// The chunking parameters, if the server joins chunks.
    pub cut: Option<Cut>,
    /// True if the server lists the chunks of a blob.
    pub splits: bool,
    /// True if lists of chunks are streamed in several messages.
    pub streams_chunks: bool,
    /// True if the server runs actions.
    pub executes: bool,
    /// The supported digest functions for actions; empty if the server names none.
    pub executes_in: Vec<DigestFunction>,
    /// The supported versions of the API.
    pub versions: String,
}

impl NegotiatedCapabilities {
    /// Requests the capabilities of a server.
    ///
    /// # Errors
    /// Fails if it does not answer, or supports no common digest function.
    pub fn with(connection: &Connection) -> Result<Self, RemoteError> {
        let settings = &connection.settings;
        let asked = connection.ask("GetCapabilities", || {
            let message = GetCapabilitiesRequest { instance_name: settings.instance.clone() };
            let request = connection.request(message)?;
            let mut client =
                CapabilitiesClient::new(connection.channel.clone()).max_decoding_message_size(MAX_ANSWER);
            let patience = settings.connect.min(settings.idle);
            let answer = connection.wait_for(patience, async { client.get_capabilities(request).await });
            match answer {
                Ok(answer) => Ok(Some(answer.into_inner())),
                // A plain blob store without a capabilities service.
                Err(status) if status.code() == Code::Unimplemented => Ok(None),
                Err(status) => Err(Failure::Status(status)),
            }
        })?;
        Self::from_capabilities(&asked.unwrap_or_default(), settings.function)
            .map_err(|reason| RemoteError::Address { address: connection.name(), reason })
    }

    fn from_capabilities(
        server: &ServerCapabilities,
        wanted: Option<DigestFunction>,
    ) -> Result<Self, String> {
        let version = |version: Option<_>| {
            let version: bazel_remote_apis::build::bazel::semver::SemVer = version.unwrap_or_default();
            (version.major, version.minor)
        };
        let (low, high) = (version(server.low_api_version.clone()), version(server.high_api_version.clone()));
        if low.0 > 2 || high.0 == 1 {
            return Err(format!(
                "it speaks versions {}.{} to {}.{} of the Remote Execution API; expected 2",
                low.0, low.1, high.0, high.1
            ));
        }
        let cache = server.cache_capabilities.clone().unwrap_or_default();
        let function = choose(&cache.digest_functions, wanted)?;
        let advertised = u64::try_from(cache.max_batch_total_size_bytes).unwrap_or(0);
        let batch_bytes =
            if advertised == 0 { MAX_MESSAGE } else { advertised.min(MAX_MESSAGE) }.saturating_sub(SLACK);
        let zstd = cache.supported_compressors.contains(&(compressor::Value::Zstd as i32));
        let takes_results =
            cache.action_cache_update_capabilities.is_none_or(|capabilities| capabilities.update_enabled);
        let executes =
            server.execution_capabilities.as_ref().is_some_and(|capabilities| capabilities.exec_enabled);
        let cut = cache.fast_cdc_2020_params.as_ref().filter(|_| cache.splice_blob_support);
        Ok(Self {
            cut: cut.and_then(Cut::of),
            splits: cache.split_blob_support,
            streams_chunks: high >= STREAMED_SINCE,
            function,
            batch_bytes,
            max_blob_bytes: u64::try_from(cache.max_cas_blob_size_bytes).ok().filter(|&max| max > 0),
            takes_results,
            zstd,
            executes,
            executes_in: server.execution_capabilities.as_ref().map(executes_in).unwrap_or_default(),
            versions: format!("{}.{} to {}.{}", low.0, low.1, high.0, high.1),
        })
    }
}

/// The digest functions that a server names for actions; servers before API version 2.3 name one.
fn executes_in(server: &ExecutionCapabilities) -> Vec<DigestFunction> {
    let named = |function: DigestFunction| {
        let number = value(function) as i32;
        server.digest_functions.contains(&number)
            || server.digest_functions.is_empty() && server.digest_function == number
    };
    [DigestFunction::Blake3, DigestFunction::Sha256].into_iter().filter(|&function| named(function)).collect()
}

/// Prefers BLAKE3, whose digests are already known, over SHA-256.
fn choose(offered: &[i32], wanted: Option<DigestFunction>) -> Result<DigestFunction, String> {
    let is_offered = |function: DigestFunction| {
        // A server that names none predates the list; all of those support SHA-256.
        offered.contains(&(value(function) as i32))
            || offered.is_empty() && function == DigestFunction::Sha256
    };
    let ours = [DigestFunction::Blake3, DigestFunction::Sha256];
    let mut acceptable = ours.into_iter().filter(|&function| wanted.is_none_or(|wanted| wanted == function));
    acceptable.find(|&function| is_offered(function)).ok_or_else(|| {
        let names: Vec<&str> = offered
            .iter()
            .take(MAX_NAMED)
            .map(|&number| Function::try_from(number).map_or("unknown", |function| function.as_str_name()))
            .collect();
        let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let expected = wanted.map_or("BLAKE3 or SHA256", |wanted| value(wanted).as_str_name());
        format!("its digest functions are {names}; expected {expected}")
    })
}

/// The API's number of a digest function.
pub(crate) fn value(function: DigestFunction) -> Function {
    match function {
        DigestFunction::Blake3 => Function::Blake3,
        DigestFunction::Sha256 => Function::Sha256,
    }
}

#[cfg(test)]
mod tests {
    use bazel_remote_apis::build::bazel::remote::execution::v2::CacheCapabilities;
    use bazel_remote_apis::build::bazel::semver::SemVer;

    use super::*;

    fn server(functions: &[Function], max_batch: i64) -> ServerCapabilities {
        let cache = CacheCapabilities {
            digest_functions: functions.iter().map(|&function| function as i32).collect(),
            max_batch_total_size_bytes: max_batch,
            ..CacheCapabilities::default()
        };
        let version = |major| Some(SemVer { major, ..SemVer::default() });
        ServerCapabilities {
            cache_capabilities: Some(cache),
            low_api_version: version(2),
            high_api_version: version(2),
            ..ServerCapabilities::default()
        }
    }

    #[test]
    fn blake3_is_preferred_if_supported() {
        let agreed =
            |functions: &[Function]| NegotiatedCapabilities::from_capabilities(&server(functions, 0), None);
        assert_eq!(agreed(&[Function::Sha256, Function::Blake3]).unwrap().function, DigestFunction::Blake3);
        assert_eq!(agreed(&[Function::Sha256]).unwrap().function, DigestFunction::Sha256);
        assert_eq!(agreed(&[]).unwrap().function, DigestFunction::Sha256);
        let error = agreed(&[Function::Md5, Function::Sha1]).unwrap_err();
        assert_eq!(error, "its digest functions are MD5, SHA1; expected BLAKE3 or SHA256");
        let wanted = NegotiatedCapabilities::from_capabilities(
            &server(&[Function::Sha256], 0),
            Some(DigestFunction::Blake3),
        );
        assert_eq!(wanted.unwrap_err(), "its digest functions are SHA256; expected BLAKE3");
    }

    #[test]
    fn batches_respect_the_limits_of_the_server_and_of_grpc() {
        let batch = |limit| {
            NegotiatedCapabilities::from_capabilities(&server(&[Function::Sha256], limit), None)
                .unwrap()
                .batch_bytes
        };
        assert_eq!(batch(0), (4 << 20) - SLACK);
        assert_eq!(batch(64 << 10), (64 << 10) - SLACK);
        assert_eq!(batch(64 << 20), (4 << 20) - SLACK);
        assert_eq!(batch(1000), 0);
    }

    #[test]
    fn the_digest_functions_of_actions_are_distinguished_from_those_of_blobs() {
        let executes = |digest_function, digest_functions: &[Function]| {
            let mut server = server(&[Function::Sha256, Function::Blake3], 0);
            server.execution_capabilities = Some(ExecutionCapabilities {
                digest_function: digest_function as i32,
                exec_enabled: true,
                digest_functions: digest_functions.iter().map(|&function| function as i32).collect(),
                ..ExecutionCapabilities::default()
            });
            let agreed = NegotiatedCapabilities::from_capabilities(&server, None).unwrap();
            assert!(agreed.executes && agreed.function == DigestFunction::Blake3);
            agreed.executes_in
        };
        assert_eq!(executes(Function::Sha256, &[]), [DigestFunction::Sha256]);
        assert_eq!(executes(Function::Sha256, &[Function::Sha256, Function::Blake3]).len(), 2);
        assert_eq!(executes(Function::Unknown, &[]), []);
    }

    #[test]
    fn another_version_of_the_api_is_refused() {
        let mut future = server(&[Function::Sha256], 0);
        future.low_api_version = Some(SemVer { major: 3, ..SemVer::default() });
        future.high_api_version = Some(SemVer { major: 3, minor: 1, ..SemVer::default() });
        let error = NegotiatedCapabilities::from_capabilities(&future, None).unwrap_err();
        assert_eq!(error, "it speaks versions 3.0 to 3.1 of the Remote Execution API; expected 2");
    }
}
