//! The files of an origin as its server lists them, before any download.

use std::collections::BTreeSet;

use mc_ir::origin::{Origin, check_file_name};

use crate::checksum::Expected;
use crate::error::FetchError;
use crate::url::Url;

/// Limit on the files of an origin.
pub const MAX_FILES: usize = 10_000;

/// Limit on the size of a list of files, as text.
pub const MAX_LISTING: u64 = 32 << 20;

/// A file of a remote origin.
#[derive(Clone, Debug)]
pub struct RemoteFile {
    /// Its name, relative to its future folder.
    pub name: String,
    /// Its address.
    pub url: Url,
    /// Its expected properties.
    pub expected: Expected,
}

/// Sorts the files. Rejects duplicate names, names that leave the folder, and a name that is both a file and a folder.
///
/// # Errors
/// [`FetchError::Listing`].
pub fn checked(origin: &Origin, mut files: Vec<RemoteFile>) -> Result<Vec<RemoteFile>, FetchError> {
    let wrong = |what: String| FetchError::Listing { origin: origin.to_string(), what };
    if files.is_empty() {
        return Err(wrong("it contains no selected file".to_owned()));
    }
    if files.len() > MAX_FILES {
        return Err(wrong(format!("it lists {} files, but the limit is {MAX_FILES}", files.len())));
    }
    files.sort_by(|left, right| left.name.cmp(&right.name));
    for file in &files {
        check_file_name(&file.name).map_err(|error| wrong(error.message))?;
    }
    if let Some(pair) = files.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(wrong(format!("it lists `{}` twice", pair[0].name)));
    }
    let names: BTreeSet<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let folders =
        |name: &str| name.match_indices('/').map(|(end, _)| name[..end].to_owned()).collect::<Vec<_>>();
    if let Some(both) =
        names.iter().flat_map(|name| folders(name)).find(|folder| names.contains(folder.as_str()))
    {
        return Err(wrong(format!("it lists `{both}` as a file and as a folder")));
    }
    Ok(files)
}

/// Returns true if a name matches a pattern: `*` and `?` match characters except `/`, `**` matches all.
pub fn fits(pattern: &str, name: &str) -> bool {
    fn fits(pattern: &[u8], name: &[u8], budget: &mut u32) -> bool {
        // Patterns are short, but repeated `*` could backtrack exponentially.
        if *budget == 0 {
            return false;
        }
        *budget -= 1;
        match (pattern, name) {
            ([], []) => true,
            ([b'*', b'*', rest @ ..], _) => (0..=name.len()).any(|n| fits(rest, &name[n..], budget)),
            ([b'*', rest @ ..], _) => {
                let end = name.iter().position(|byte| *byte == b'/').unwrap_or(name.len());
                (0..=end).any(|n| fits(rest, &name[n..], budget))
            }
            ([b'?', rest @ ..], [byte, name @ ..]) if *byte != b'/' => fits(rest, name, budget),
            ([letter, rest @ ..], [byte, name @ ..]) if letter == byte => fits(rest, name, budget),
            _ => false,
        }
    }
    fits(pattern.as_bytes(), name.as_bytes(), &mut 100_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(names: &[&str]) -> Result<Vec<String>, String> {
        let file = |name: &&str| RemoteFile {
            name: (*name).to_owned(),
            url: Url::parse("https://h/").unwrap(),
            expected: Expected::default(),
        };
        let origin = Origin::http("https://h/", Vec::new());
        let files = checked(&origin, names.iter().map(file).collect()).map_err(|error| error.to_string())?;
        Ok(files.into_iter().map(|file| file.name).collect())
    }

    #[test]
    fn a_list_that_does_not_form_a_folder_is_rejected() {
        assert_eq!(check(&["b", "a/c"]), Ok(vec!["a/c".to_owned(), "b".to_owned()]));
        for wrong in
            [&["a", "a"][..], &["a", "b", "a/c"], &["../x"], &["/x"], &["a//b"], &["a\\b"], &[""], &[]]
        {
            assert!(check(wrong).is_err(), "{wrong:?}");
        }
        assert!(check(&vec!["a"; MAX_FILES + 1]).unwrap_err().contains("the limit is"));
    }

    #[test]
    fn patterns_match_names() {
        for (pattern, name, expected) in [
            ("*.json", "config.json", true),
            ("*.json", "a/config.json", false),
            ("**.json", "a/config.json", true),
            ("a/*", "a/b", true),
            ("?.b", "a.b", true),
            ("model-0000?-of-*", "model-00001-of-00002", true),
            ("", "a", false),
        ] {
            assert_eq!(fits(pattern, name), expected, "{pattern} {name}");
        }
        assert!(!fits(&"*a".repeat(40), &"a".repeat(60).replace("aa", "ab")));
    }
}
