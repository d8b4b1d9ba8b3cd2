//! Opens the transport for the URL of a server.
//!
//! This module sets credentials and timeouts; [`super::cache`] makes the requests.

use std::sync::Arc;
use std::time::Duration;

use mc_fetch::client::Client;
use mc_fetch::credentials::Credentials;
use mc_fetch::origins::hugging_face;
use mc_fetch::origins::oci;
use mc_fetch::secret::header::SecretHeader;
use mc_fetch::stall_limit::StallLimit;
use mc_fetch::tls::Pem;
use mc_fetch::url::Url;
use mc_remote::address::Address;
use mc_remote::aws::Account;
use mc_remote::error::RemoteError;
use mc_remote::transport::Transport;
use mc_remote::transports::absent::Absent;
use mc_remote::transports::folder::Folder;
use mc_remote::transports::grpc::call_log::CallLog;
use mc_remote::transports::grpc::settings::{Place, Settings};
use mc_remote::transports::grpc::transport::Grpc;
use mc_remote::transports::http::Http;
use mc_remote::transports::oci::Oci;
use mc_remote::transports::s3::S3;

use crate::credentials::{aws, credentials, google};
use crate::event::{Event, EventSink};
use crate::remote_cache::error::{RemoteCacheError, Role};
use crate::settings::connection::Connection;
use crate::settings::remote::RemoteSettings;
use crate::warning::Warning;

/// Opens the transport. A server that cannot be used and is not required counts as absent.
pub(crate) fn open(
    settings: &RemoteSettings,
    events: &dyn EventSink,
) -> Result<Box<dyn Transport>, RemoteCacheError> {
    let RemoteSettings { connection, instance, .. } = settings;
    let address = settings.server.address();
    if !instance.is_empty() && !matches!(address, Address::Grpc(_)) {
        return Err(unusable(format!("only gRPC servers have instances such as `{instance}`")));
    }
    if connection.offline && !matches!(address, Address::Folder(_)) {
        if settings.required {
            return Err(RemoteCacheError::Offline);
        }
        return Ok(absent("no server may be contacted".to_owned()));
    }
    match way(settings, address)? {
        Ok(transport) => Ok(transport),
        Err(error) if settings.required => Err(RemoteCacheError::Unusable(error)),
        Err(error) => {
            let reason = error.to_string();
            events.event(Event::Warning(&Warning::RemoteCacheLeftOut { reason: reason.clone() }));
            Ok(absent(reason))
        }
    }
}

/// Creates the transport to a server.
///
/// # Errors
/// The outer ones are errors in settings, and also end a build that does not require the cache.
fn way(
    settings: &RemoteSettings,
    address: &Address,
) -> Result<Result<Box<dyn Transport>, RemoteError>, RemoteCacheError> {
    let connection = &settings.connection;
    let headers = headers(connection, Role::Cache, address)?;
    Ok(match address {
        Address::Folder(path) => Folder::open(path).map(|folder| Box::new(folder) as _),
        Address::Http(url) => {
            let credentials = Credentials { headers: meant_for(url, headers), ..who(connection, Some(url))? };
            Ok(Box::new(Http::new(client(connection, credentials)?, url.clone())))
        }
        Address::Grpc(place) => Ok(Box::new(grpc(settings, Role::Cache, place.clone())?)),
        Address::Oci { registry, repository } => {
            let url = oci::root(registry).map_err(|error| unusable(error.to_string()))?;
            let credentials =
                Credentials { headers: meant_for(&url, headers), ..who(connection, Some(&url))? };
            let client = client(connection, credentials)?;
            Oci::new(client, registry, repository).map(|repository| Box::new(repository) as _)
        }
        Address::S3 { bucket, prefix } => {
            // A signed request must not carry other credentials.
            let client = client(connection, Credentials::default())?;
            account(connection, bucket, prefix)
                .and_then(|account| S3::new(client, bucket, prefix, account))
                .map(|bucket| Box::new(bucket) as _)
        }
    })
}

fn absent(reason: String) -> Box<dyn Transport> {
    Box::new(Absent { name: "(not asked)".to_owned(), reason })
}

/// A server with the Remote Execution API.
pub(crate) fn grpc(settings: &RemoteSettings, role: Role, place: Place) -> Result<Grpc, RemoteCacheError> {
    let connection = &settings.connection;
    let settings = Settings {
        instance: settings.instance.clone(),
        credentials: who(connection, place.url())?,
        headers: headers(connection, role, &Address::Grpc(place.clone()))?,
        pem: pem(connection)?,
        place,
        connect: connection.connect,
        idle: connection.idle,
        n_retries: connection.n_retries,
        function: connection.function,
        compress: settings.compression,
        compress_from: connection.compress_from,
        chunk: settings.chunking,
        keep_alive: connection.keep_alive,
        log: call_log(connection)?,
        version: env!("CARGO_PKG_VERSION"),
    };
    Grpc::new(settings).map_err(RemoteCacheError::Unusable)
}

fn call_log(connection: &Connection) -> Result<Option<Arc<CallLog>>, RemoteCacheError> {
    let Some(path) = &connection.call_log else { return Ok(None) };
    let log = CallLog::open(path);
    let log = log.map_err(|source| RemoteCacheError::CallLog { path: path.clone(), source })?;
    Ok(Some(Arc::new(log)))
}

/// The user's headers, if the server may receive them.
fn headers(
    connection: &Connection,
    role: Role,
    address: &Address,
) -> Result<Vec<SecretHeader>, RemoteCacheError> {
    let headers = match role {
        Role::Cache => &connection.cache_headers,
        Role::Executor => &connection.executor_headers,
    };
    let may_be_reported = match address {
        Address::Http(url) | Address::Grpc(Place::Plain(url)) => url.is_private(),
        Address::Grpc(Place::Tls(_) | Place::Unix(_)) | Address::Oci { .. } => true,
        Address::Folder(_) | Address::S3 { .. } => false,
    };
    if headers.is_empty() || may_be_reported {
        Ok(headers.clone())
    } else {
        Err(RemoteCacheError::HeadersExposed(role))
    }
}

fn meant_for(url: &Url, headers: Vec<SecretHeader>) -> Vec<(Url, SecretHeader)> {
    headers.into_iter().map(|header| (url.clone(), header)).collect()
}

fn pem(connection: &Connection) -> Result<Pem, RemoteCacheError> {
    let tls = &connection.tls;
    let identity = tls.identity.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
    Pem::read(tls.authority.as_deref(), identity).map_err(RemoteCacheError::Tls)
}

/// The credentials for a server. The Hugging Face token is for no other server, and a Google token only for this one.
///
/// * `server`: its URL; `None` for a local socket
fn who(connection: &Connection, server: Option<&Url>) -> Result<Credentials, RemoteCacheError> {
    let hugging_face = Url::parse(hugging_face::ENDPOINT).map_err(|error| unusable(error.to_string()))?;
    let known = credentials(&connection.access, &hugging_face);
    let Some(server) = server.filter(|_| connection.google) else { return Ok(known) };
    if !server.is_private() {
        return Err(RemoteCacheError::GoogleExposed);
    }
    let google = google(&connection.access).map_err(RemoteCacheError::Google)?;
    Ok(Credentials { google: Some((server.clone(), google)), ..known })
}

/// The account for requests to a bucket.
fn account(connection: &Connection, bucket: &str, prefix: &str) -> Result<Account, RemoteError> {
    aws(&connection.access).map_err(|error| RemoteError::Address {
        address: format!("s3://{bucket}/{prefix}"),
        reason: error.to_string(),
    })
}

fn client(connection: &Connection, credentials: Credentials) -> Result<Client, RemoteCacheError> {
    let stall_limit = StallLimit {
        connect: connection.connect,
        idle: connection.idle,
        n_retries: connection.n_retries,
        // The build continues without it, and must not wait for the timeout several times.
        asks_silent: false,
        first_delay: Duration::from_millis(100),
        longest_delay: Duration::from_secs(5),
    };
    Client::over(credentials, stall_limit, &connection.access.proxies, &pem(connection)?)
        .map_err(RemoteCacheError::Proxy)
}

fn unusable(reason: String) -> RemoteCacheError {
    RemoteCacheError::Unusable(RemoteError::Unusable(reason))
}
