//! A bucket with results under `PREFIX/ac/HASH` and blobs under `PREFIX/cas/HASH`, like Bazel's HTTP caches.
//!
//! Every request has a signature in its URL, for one operation and a short time. A bucket verifies nothing, so
//! everything that it sends is verified here. Nothing is ever deleted; the bucket needs a lifecycle rule for that.

use std::io::Read;

use mc_digest::digest::BlobDigest;
use mc_fetch::client::Client;
use mc_fetch::error::FetchError;
use mc_fetch::http::ask::{Access, Ask};
use mc_fetch::http::sending::{Sending, Verb};
use mc_fetch::url::Url;

use crate::aws::Account;
use crate::aws::bucket::Bucket;
use crate::error::RemoteError;
use crate::function::DigestFunction;
use crate::transport::Transport;
use crate::transports::answer::{MAX_RESULT, bytes_from, greeting, missing, there};

/// Bytes per request, and per retry; larger blobs are uploaded in parts. AWS's own tools use this size; buckets allow 5
/// MiB to 5 GB.
const PART: usize = 8 << 20;

/// Limit on the parts of an upload, set by S3.
const MAX_PARTS: usize = 10_000;

/// Limit on the length of a part's tag; ten thousand are kept.
const MAX_TAG: usize = 256;

/// Limit on the length of an upload id, which becomes part of URLs.
const MAX_UPLOAD_ID: usize = 2048;

/// Limit on the size of a response about an upload.
const MAX_TEXT: u64 = 1 << 20;

/// A folder of a bucket.
pub struct S3 {
    client: Client,
    bucket: Bucket,
    /// Empty, or ends with a slash.
    prefix: String,
}

impl S3 {
    /// Creates a client for the cache below `prefix` without sending a request.
    ///
    /// * `client`: has no credentials, because requests are signed
    ///
    /// # Errors
    /// Fails if the location of the bucket is unknown.
    pub fn new(client: Client, bucket: &str, prefix: &str, account: Account) -> Result<Self, RemoteError> {
        let address = format!("s3://{bucket}/{prefix}");
        let wrong = |reason: String| RemoteError::Address { address: address.clone(), reason };
        let bucket = match (account.endpoint, account.region) {
            (Some(endpoint), region) => {
                let region = region.unwrap_or_else(|| "us-east-1".to_owned());
                Bucket::below(&endpoint, bucket, region, account.keys)
            }
            (None, Some(region)) => Bucket::of_aws(bucket, region, account.keys),
            (None, None) => return Err(wrong("Its region is unknown; set `AWS_REGION`".to_owned())),
        };
        let bucket = bucket.map_err(|error| wrong(format!("Its endpoint cannot be used: {error}")))?;
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Self { client, bucket, prefix })
    }

    fn key(&self, kind: &str, digest: &BlobDigest) -> String {
        format!("{}{kind}/{}", self.prefix, digest.hash)
    }

    fn write_parts(&self, key: &str, bytes: &[u8], sent: &dyn Fn(usize)) -> Result<(), RemoteError> {
        let url = self.bucket.signed("POST", key, &[("uploads", "1")]);
        let text = self.client.send(&Sending::to(Verb::Post, &url), &[])?.short_text(MAX_TEXT)?;
        let upload = element(&text, "UploadId")
            .filter(|upload| upload.len() <= MAX_UPLOAD_ID)
            .ok_or_else(|| invalid_response(&url, "did not start an upload, expected an `UploadId`"))?;
        let done = self.send_parts(key, upload, bytes, sent);
        if done.is_err() {
            // The bucket would keep the uploaded parts and charge for them. If this fails, a lifecycle rule has to
            // remove them.
            let url = self.bucket.signed("DELETE", key, &[("uploadId", upload)]);
            drop(self.client.send(&Sending::to(Verb::Delete, &url), &[]));
        }
        done
    }

    fn send_parts(
        &self,
        key: &str,
        upload: &str,
        bytes: &[u8],
        sent: &dyn Fn(usize),
    ) -> Result<(), RemoteError> {
        let (mut tags, mut n_sent) = (Vec::new(), 0);
        for (index, part) in bytes.chunks(PART.max(bytes.len().div_ceil(MAX_PARTS))).enumerate() {
            let number = (index + 1).to_string();
            let url = self.bucket.signed("PUT", key, &[("partNumber", &number), ("uploadId", upload)]);
            let answer = self.client.send(&Sending::to(Verb::Put, &url), part)?;
            let tag = answer.header("etag").filter(|tag| tag.len() <= MAX_TAG);
            let tag = tag.ok_or_else(|| invalid_response(&url, "returned no valid `ETag` for a part"))?;
            tags.push(tag.to_owned());
            n_sent += part.len();
            sent(n_sent);
        }
        let url = self.bucket.signed("POST", key, &[("uploadId", upload)]);
        let text = self
            .client
            .send(&Sending::to(Verb::Post, &url), parts(&tags).as_bytes())?
            .short_text(MAX_TEXT)?;
        // A successful request does not imply a successful upload.
        element(&text, "ETag")
            .ok_or_else(|| invalid_response(&url, "did not join the parts that were sent"))?;
        Ok(())
    }
}

/// The request body that completes an upload: its parts in order, by the server's tags.
fn parts(tags: &[String]) -> String {
    let part = |(index, tag): (usize, &String)| {
        format!("<Part><ETag>{}</ETag><PartNumber>{}</PartNumber></Part>", xml(tag), index + 1)
    };
    let parts: String = tags.iter().enumerate().map(part).collect();
    format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>")
}

/// Escapes a text as the content of an element.
fn xml(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[test]
fn part_tags_are_escaped() {
    let tags = ["\"abc\"".to_owned(), "</ETag>&'".to_owned()];
    assert_eq!(
        parts(&tags),
        "<CompleteMultipartUpload><Part><ETag>&quot;abc&quot;</ETag><PartNumber>1</PartNumber></Part>\
         <Part><ETag>&lt;/ETag&gt;&amp;&apos;</ETag><PartNumber>2</PartNumber></Part></CompleteMultipartUpload>"
    );
}

fn is_without_bucket(error: &FetchError) -> bool {
    matches!(error, FetchError::Missing { message, .. } if message.starts_with("NoSuchBucket"))
}

/// The text of an element. Namespaces are ignored: servers other than AWS's omit them.
fn element<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    rest.split_once(&format!("</{name}>")).map(|(found, _)| found)
}

fn invalid_response(url: &Url, what: &str) -> RemoteError {
    FetchError::InvalidResponse { url: url.clone(), what: what.to_owned() }.into()
}

impl Transport for S3 {
    fn name(&self) -> String {
        format!("s3://{}/{}", self.bucket.name(), self.prefix.trim_end_matches('/'))
    }

    fn function(&self) -> Result<DigestFunction, RemoteError> {
        Ok(DigestFunction::Sha256)
    }

    fn result(&self, key: &BlobDigest) -> Result<Option<Vec<u8>>, RemoteError> {
        let url = self.bucket.signed("GET", &self.key("ac", key), &[]);
        match self.client.text(&Ask::whole(&url), MAX_RESULT) {
            // A missing bucket is not the same as a missing result.
            Err(error) if is_without_bucket(&error) => Err(error.into()),
            found => there(found),
        }
    }

    fn put_result(&self, key: &BlobDigest, result: &[u8], _named: &[BlobDigest]) -> Result<(), RemoteError> {
        let url = self.bucket.signed("PUT", &self.key("ac", key), &[]);
        self.client.send(&Sending::to(Verb::Put, &url), result)?;
        Ok(())
    }

    fn details(&self) -> Result<Vec<(&'static str, String)>, RemoteError> {
        greeting(self)
    }

    fn missing(&self, blobs: &[BlobDigest]) -> Result<Vec<BlobDigest>, RemoteError> {
        let url = |blob: &BlobDigest| Ok(self.bucket.signed("HEAD", &self.key("cas", blob), &[]));
        missing(&self.client, blobs, &url, Access::Server)
    }

    fn read(&self, blob: &BlobDigest, first: u64) -> Result<Option<Box<dyn Read + Send>>, RemoteError> {
        let url = self.bucket.signed("GET", &self.key("cas", blob), &[]);
        bytes_from(&self.client, &Ask { from: first, ..Ask::whole(&url) })
    }

    fn write_with_progress(
        &self,
        blob: &BlobDigest,
        bytes: &[u8],
        sent: &dyn Fn(usize),
    ) -> Result<(), RemoteError> {
        let key = self.key("cas", blob);
        if bytes.len() > PART {
            return self.write_parts(&key, bytes, sent);
        }
        self.client.send(&Sending::to(Verb::Put, &self.bucket.signed("PUT", &key, &[])), bytes)?;
        Ok(())
    }
}
