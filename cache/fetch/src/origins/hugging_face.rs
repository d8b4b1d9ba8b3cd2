//! Repositories of Hugging Face, or of a server with the same API.

use mc_ir::origin::{Origin, is_commit};
use serde::Deserialize;

use crate::checksum::{Expected, ServerDigest};
use crate::client::Client;
use crate::error::FetchError;
use crate::http::ask::Ask;
use crate::origins::listing::{MAX_LISTING, RemoteFile, checked, fits};
use crate::url::Url;

/// Address of Hugging Face.
pub const ENDPOINT: &str = "https://huggingface.co";

/// Patterns of optional text files in a repository.
const OPTIONAL: [&str; 3] = ["LICENSE*", "LICENCE*", "NOTICE*"];

/// Files that a checkpoint does not need: weights in other formats, which are pickled or duplicates, and images.
const UNWANTED: [&str; 22] = [
    ".bin",
    ".pth",
    ".pt",
    ".ckpt",
    ".gguf",
    ".ggml",
    ".onnx",
    ".onnx_data",
    ".h5",
    ".msgpack",
    ".ot",
    ".tflite",
    ".mlmodel",
    ".png",
    ".jpg",
    ".jpeg",
    ".gif",
    ".webp",
    ".svg",
    ".mp4",
    ".pdf",
    ".gitattributes",
];

/// Weights in formats that can execute code.
const PICKLED: [&str; 4] = [".bin", ".pth", ".pt", ".ckpt"];

#[derive(Deserialize)]
struct Answer {
    sha: Option<String>,
    #[serde(default)]
    siblings: Vec<Sibling>,
}

#[derive(Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    size: Option<u64>,
}

/// Returns the current commit of a branch or tag.
///
/// # Errors
/// Fails if the server does not report it.
pub fn commit(
    client: &Client,
    endpoint: &Url,
    repository: &str,
    revision: &str,
) -> Result<String, FetchError> {
    ask(client, endpoint, repository, revision).map(|(commit, _)| commit)
}

/// The selected files of a commit.
///
/// * `patterns`: the files to select; if empty, those that a checkpoint needs
///
/// # Errors
/// Fails if the server cannot be reached, or its list cannot be used.
pub fn files(
    client: &Client,
    endpoint: &Url,
    origin: &Origin,
    (repository, revision, patterns): (&str, &str, &[String]),
) -> Result<Vec<RemoteFile>, FetchError> {
    let wrong = |what: String| FetchError::Listing { origin: origin.to_string(), what };
    let (commit, mut listed) = ask(client, endpoint, repository, revision)?;
    if commit != revision {
        return Err(wrong(format!("the server returned the commit `{commit}`")));
    }
    if let Some(pattern) = patterns
        .iter()
        .filter(|pattern| !OPTIONAL.contains(&pattern.as_str()))
        .find(|pattern| !listed.iter().any(|file| fits(pattern, &file.rfilename)))
    {
        return Err(wrong(format!("no file matches `{pattern}`")));
    }
    if patterns.is_empty() && !listed.iter().any(|file| file.rfilename.ends_with(".safetensors")) {
        let pickled = listed.iter().find(|file| PICKLED.iter().any(|end| file.rfilename.ends_with(end)));
        if let Some(file) = pickled {
            return Err(wrong(format!(
                "its weights are pickled (`{}`): reading them could execute code in them; \
                 name a revision with safetensors, or select other files with `files`",
                file.rfilename
            )));
        }
    }
    let is_wanted = |name: &str| match patterns {
        [] => !name.contains('/') && !UNWANTED.iter().any(|end| name.to_ascii_lowercase().ends_with(end)),
        _ => patterns.iter().any(|pattern| fits(pattern, name)),
    };
    listed.retain(|file| is_wanted(&file.rfilename));
    let file = |file: Sibling| RemoteFile {
        url: address(endpoint, repository, revision, &file.rfilename),
        expected: expected(&file),
        name: file.rfilename,
    };
    checked(origin, listed.into_iter().map(file).collect())
}

/// Address of a file.
pub fn address(endpoint: &Url, repository: &str, revision: &str, name: &str) -> Url {
    endpoint.below(&format!("{repository}/resolve/{revision}/{name}"))
}

fn expected(file: &Sibling) -> Expected {
    let sha256 = file.lfs.as_ref().and_then(|lfs| ServerDigest::sha256(lfs.sha256.as_deref()?));
    let git = || ServerDigest::git_blob(file.blob_id.as_deref()?);
    Expected {
        n_bytes: file.lfs.as_ref().and_then(|lfs| lfs.size).or(file.size),
        digest: None,
        // For a large file git records only its pointer.
        server: if file.lfs.is_some() { sha256 } else { git() },
    }
}

fn ask(
    client: &Client,
    endpoint: &Url,
    repository: &str,
    revision: &str,
) -> Result<(String, Vec<Sibling>), FetchError> {
    let url = endpoint.below(&format!("api/models/{repository}/revision/{revision}"));
    let url = url.with_query(&[("blobs", "true")]);
    let bytes = client.text(&Ask { accept: Some("application/json"), ..Ask::whole(&url) }, MAX_LISTING)?;
    let invalid_response = |what: String| FetchError::InvalidResponse { url: url.clone(), what };
    let answer: Answer = serde_json::from_slice(&bytes)
        .map_err(|error| invalid_response(format!("sent an invalid list of files: {error}")))?;
    let commit = answer.sha.filter(|commit| is_commit(commit));
    let commit = commit.ok_or_else(|| invalid_response("did not state its commit".to_owned()))?;
    Ok((commit, answer.siblings))
}
