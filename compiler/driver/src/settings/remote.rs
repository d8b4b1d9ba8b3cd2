//! Settings of the remote cache and its workers.
//!
//! | source | applies to |
//! |---|---|
//! | [`RemoteChoices`] | everything that they set |
//! | [`DeclaredCache`] | the server that it names; but required signatures and a required cache apply to every server |
//! | defaults | the rest |

use regex::Regex;

use crate::settings::connection::Connection;
use crate::settings::declared::DeclaredCache;
use crate::settings::download::Download;
use crate::settings::error::SettingsError;
use crate::settings::server::Server;
use crate::settings::workers::WorkerSettings;

/// Default number of parallel lookups: enough to hide the latency of a server on another continent.
const N_ASKERS: usize = 32;

/// The choice of a server.
#[derive(Clone, Debug, Default)]
pub enum ServerChoice {
    /// The one that the workspace declares.
    #[default]
    Declared,
    /// None, regardless of the workspace.
    Off,
    /// The one at this URL.
    At(String),
}

/// Choices of the user.
#[derive(Clone, Debug, Default)]
pub struct RemoteChoices {
    /// The cache.
    pub server: ServerChoice,
    /// The server whose workers run actions.
    pub executor: ServerChoice,
    /// The name of the instance on the server.
    pub instance: Option<String>,
    /// True if results made here are uploaded.
    pub upload: Option<bool>,
    /// True if uploads run in the background.
    pub sends_behind: Option<bool>,
    /// True if results of the cache are used.
    pub accept: Option<bool>,
    /// True if a build fails when the cache fails.
    pub required: Option<bool>,
    /// The blobs that are downloaded.
    pub download: Option<Download>,
    /// Patterns of output paths that are always downloaded and written.
    pub download_regex: Vec<Regex>,
    /// True if compressible blobs are transferred compressed.
    pub compression: Option<bool>,
    /// True if only the new chunks of large blobs are transferred.
    pub chunking: Option<bool>,
    /// Number of parallel lookups.
    pub n_askers: Option<usize>,
}

/// Settings of the remote cache and its workers.
#[derive(Clone, Debug)]
pub struct RemoteSettings {
    /// The cache.
    pub server: Server,
    /// The name of the instance on the server; empty for the default one.
    pub instance: String,
    /// The server whose workers run actions.
    pub executor: Option<Server>,
    /// True if results made here are uploaded.
    pub upload: bool,
    /// True if uploads run in the background.
    pub sends_behind: bool,
    /// True if results of the cache are used.
    pub accept: bool,
    /// True if a build fails when the cache fails.
    pub required: bool,
    /// The blobs that are downloaded.
    pub download: Download,
    /// Patterns of output paths that are always downloaded and written.
    pub download_regex: Vec<Regex>,
    /// True if compressible blobs are transferred compressed.
    pub compression: bool,
    /// True if only the new chunks of large blobs are transferred.
    pub chunking: bool,
    /// Number of parallel lookups.
    pub n_askers: usize,
    /// The connection to the cache and to workers.
    pub connection: Connection,
    /// The settings of the workers.
    pub workers: WorkerSettings,
}

impl RemoteSettings {
    /// Combines the choices with the workspace's declaration; `None` if neither names a cache. Connection and worker
    /// settings are the defaults: the caller changes them afterwards.
    ///
    /// * `signs`: true if results made here are signed
    ///
    /// # Errors
    /// If they contradict each other, or a URL of the workspace names an unknown kind of server.
    pub fn new(
        choices: RemoteChoices,
        declared: &DeclaredCache,
        signs: bool,
    ) -> Result<Option<Self>, SettingsError> {
        // A workspace configures only its own server, except for the requirements on every server.
        let is_declared = matches!(choices.server, ServerChoice::Declared);
        let nothing = DeclaredCache::default();
        let of_workspace = if is_declared { declared } else { &nothing };
        let executor = chosen(choices.executor, of_workspace.executor.as_ref());
        // Workers read from and write to a cache; by default, that of their own server.
        let server = chosen(choices.server, of_workspace.address.as_ref()).or_else(|| executor.clone());
        let Some(server) = server else {
            return if choices.required == Some(true) { Err(SettingsError::NoCache) } else { Ok(None) };
        };
        if is_declared && declared.has_more {
            return Err(SettingsError::SeveralDeclared);
        }
        let server = Server::parse(&server).map_err(SettingsError::Cache)?;
        let executor = executor.map(|address| Server::parse(&address));
        Ok(Some(Self {
            server,
            executor: executor.transpose().map_err(SettingsError::Executor)?,
            instance: choices.instance.or_else(|| of_workspace.instance.clone()).unwrap_or_default(),
            // A machine with the signing key is there to make and upload results.
            upload: choices.upload.unwrap_or(of_workspace.upload || signs),
            sends_behind: choices.sends_behind.unwrap_or(true),
            accept: choices.accept.unwrap_or(true),
            required: choices.required.unwrap_or(declared.required),
            download: choices.download.or(declared.download).unwrap_or_default(),
            download_regex: choices.download_regex,
            compression: choices.compression.unwrap_or(of_workspace.compression),
            chunking: choices.chunking.or(of_workspace.chunking).unwrap_or(true),
            n_askers: choices.n_askers.unwrap_or(N_ASKERS),
            connection: Connection::default(),
            workers: WorkerSettings::default(),
        }))
    }
}

fn chosen(choice: ServerChoice, declared: Option<&String>) -> Option<String> {
    let address = match choice {
        ServerChoice::Declared => declared.cloned(),
        ServerChoice::Off => None,
        ServerChoice::At(address) => Some(address),
    };
    address.filter(|address| !address.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared() -> DeclaredCache {
        DeclaredCache {
            address: Some("grpc://workspace".to_owned()),
            instance: Some("main".to_owned()),
            executor: Some("grpc://workers".to_owned()),
            upload: true,
            required: true,
            compression: true,
            chunking: Some(false),
            download: Some(Download::Minimal),
            ..DeclaredCache::default()
        }
    }

    fn settings(choices: RemoteChoices, declared: &DeclaredCache) -> RemoteSettings {
        RemoteSettings::new(choices, declared, false).unwrap().unwrap()
    }

    #[test]
    fn a_workspace_configures_its_own_server_and_the_requirements_on_every_server() {
        let own = settings(RemoteChoices::default(), &declared());
        assert_eq!((own.server.text(), own.instance.as_str()), ("grpc://workspace", "main"));
        assert_eq!(own.executor.map(|it| it.text().to_owned()).as_deref(), Some("grpc://workers"));
        assert!(own.upload && own.required && own.compression && !own.chunking);
        let server = ServerChoice::At("grpc://other".to_owned());
        let other = settings(RemoteChoices { server, ..RemoteChoices::default() }, &declared());
        assert_eq!((other.server.text(), other.instance.as_str()), ("grpc://other", ""));
        assert!(other.executor.is_none() && !other.upload && !other.compression && other.chunking);
        assert!(other.required && other.download == Download::Minimal);
    }

    #[test]
    fn the_cache_defaults_to_that_of_the_workers() {
        let executor = ServerChoice::At("grpc://workers".to_owned());
        let choices = RemoteChoices { executor, ..RemoteChoices::default() };
        let settings = settings(choices, &DeclaredCache::default());
        assert_eq!(settings.server.text(), "grpc://workers");
    }

    #[test]
    fn a_missing_cache_is_an_error_only_if_one_is_required() {
        let off = RemoteChoices { server: ServerChoice::Off, ..RemoteChoices::default() };
        assert!(RemoteSettings::new(off.clone(), &declared(), false).unwrap().is_none());
        let required = RemoteChoices { required: Some(true), ..off };
        let error = RemoteSettings::new(required, &declared(), false).unwrap_err();
        assert!(matches!(error, SettingsError::NoCache), "{error}");
    }
}
