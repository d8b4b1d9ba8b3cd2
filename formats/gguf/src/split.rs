//! Models split over several files: file names, the contents of each file, and the single file that they represent.
//!
//! The first file holds the keys and no tensors; the others hold tensors and no keys except their position in the
//! series. So the sizes of all but the first follow from the tensors alone, and changing a key leaves the large files
//! unchanged.
//!
//! Source: `gguf-split` and `llama_split_path` of llama.cpp. Its option `--no-tensor-first-split` gives the same
//! series.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::key_writer::Keys;
use crate::layout::{Layout, TensorPlan};
use crate::reader::Gguf;
use crate::value::Value;

/// The key of a file's index in its series, from 0.
pub const NUMBER_KEY: &str = "split.no";
/// The key of the number of files in the series.
pub const COUNT_KEY: &str = "split.count";
/// The key of the number of tensors in the whole model.
pub const TENSORS_KEY: &str = "split.tensors.count";

/// Maximum number of files in a series: names have five digits, keys 16 bits.
const MAX_FILES: usize = u16::MAX as usize;

/// A file's position in a series, according to its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The name before the numbers, including folders.
    pub stem: String,
    /// Number of the file, from 1.
    pub number: u32,
    /// Number of files.
    pub count: u32,
}

/// Reasons why a model cannot be split as requested, or files cannot be joined.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// A tensor is larger than the maximum file size.
    #[error(
        "Tensor `{name}` needs a file of {n_bytes} bytes, and tensors are not split; expected at most {max_bytes}"
    )]
    TensorTooLarge {
        /// The tensor.
        name: String,
        /// Size in bytes of a file with only this tensor.
        n_bytes: u64,
        /// Maximum size of a file in bytes.
        max_bytes: u64,
    },
    /// More files than the format supports.
    #[error("The model would be split into {0} files; the format supports at most {MAX_FILES}")]
    TooManyFiles(usize),
    /// The files do not belong together.
    #[error("File {number} of the series: {found}; expected {expected}. Take all files from the same place")]
    Series {
        /// Number of the file, from 1.
        number: usize,
        /// Value in this file.
        found: String,
        /// Value in the other files.
        expected: String,
    },
}

/// `STEM-00002-of-00005.gguf`.
pub fn file_name(stem: &str, number: usize, count: usize) -> String {
    format!("{stem}-{number:05}-of-{count:05}.gguf")
}

impl Place {
    /// Parses the name of a file in a series; `None` for other names.
    pub fn of(name: &str) -> Option<Self> {
        let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| {
            let is_number = text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<u32>().ok()).flatten()
        };
        let (number, count) = (digits(number)?, digits(count)?);
        (1..=count).contains(&number).then(|| Self { stem: stem.to_owned(), number, count })
    }

    /// The names of all files of the series, in order.
    pub fn names(&self) -> Vec<String> {
        (1..=self.count).map(|number| file_name(&self.stem, number as usize, self.count as usize)).collect()
    }
}

/// Assigns tensors to the files after the first: as many as fit, in order.
///
/// # Errors
/// If a single tensor is too large, or there are too many files.
pub fn partition(
    tensors: &[TensorPlan],
    max_bytes: u64,
    alignment: u64,
) -> Result<Vec<Range<usize>>, SplitError> {
    let n_bytes = |range: Range<usize>| {
        // The values of these keys do not affect the size.
        let layout = Layout::new(&place_keys(0, 0, 0), &tensors[range], alignment);
        layout.head.len() as u64
            + layout.tensors.iter().map(|stretch| stretch.n_bytes + stretch.padding).sum::<u64>()
    };
    let mut ranges = Vec::new();
    let mut start = 0;
    for end in 1..=tensors.len() {
        if n_bytes(start..end) <= max_bytes {
            continue;
        }
        if end - 1 > start {
            ranges.push(start..end - 1);
            start = end - 1;
        }
        let alone = n_bytes(start..end);
        if alone > max_bytes {
            let name = tensors[start].name.clone();
            return Err(SplitError::TensorTooLarge { name, n_bytes: alone, max_bytes });
        }
    }
    if start < tensors.len() {
        ranges.push(start..tensors.len());
    }
    match ranges.len() + 1 {
        n_files if n_files > MAX_FILES => Err(SplitError::TooManyFiles(n_files)),
        _ => Ok(ranges),
    }
}

/// The keys of a file's position: its index from 0, the number of files, and the number of tensors in all of them.
pub fn place_keys(number: usize, count: usize, n_tensors: usize) -> Keys {
    vec![
        (NUMBER_KEY.to_owned(), Value::U16(number as u16)),
        (COUNT_KEY.to_owned(), Value::U16(count as u16)),
        (TENSORS_KEY.to_owned(), Value::I32(n_tensors as i32)),
    ]
}

/// The single file that a series represents.
#[derive(Clone, Debug, PartialEq)]
pub struct Merged {
    /// Its layout: the head and the segment of each tensor.
    pub layout: Layout,
    /// The location of each tensor's bytes: a file index and the range in that file.
    pub tensors: Vec<(usize, Range<u64>)>,
}

/// Joins the heads of all files of a series, in order. The keys are those of the first, without its position.
///
/// # Errors
/// If a file is not the one expected at its position, or the tensors are not those announced.
pub fn merge(files: &[Gguf]) -> Result<Merged, SplitError> {
    let number_in = |file: &Gguf, key: &str| file.key(key).and_then(Value::as_u64);
    let shown =
        |number: Option<u64>| number.map_or_else(|| "nothing".to_owned(), |number| number.to_string());
    for (index, file) in files.iter().enumerate() {
        let expected_values = [(NUMBER_KEY, index as u64), (COUNT_KEY, files.len() as u64)];
        for (key, expected) in expected_values {
            let found = number_in(file, key);
            if found != Some(expected) {
                let found = format!("`{key}` is {}", shown(found));
                return Err(SplitError::Series { number: index + 1, found, expected: expected.to_string() });
            }
        }
    }
    let Some(first) = files.first() else {
        let (found, expected) = ("missing".to_owned(), "a file".to_owned());
        return Err(SplitError::Series { number: 1, found, expected });
    };
    let mut plans = Vec::new();
    let mut places = Vec::new();
    let mut seen = BTreeMap::new();
    for (index, file) in files.iter().enumerate() {
        for tensor in &file.tensors {
            if let Some(before) = seen.insert(tensor.name.as_str(), index) {
                let found = format!("it holds tensor `{}`, like file {}", tensor.name, before + 1);
                let expected = "each tensor once".to_owned();
                return Err(SplitError::Series { number: index + 1, found, expected });
            }
            plans.push(TensorPlan {
                name: tensor.name.clone(),
                kind: tensor.kind,
                dims: tensor.dims.clone(),
            });
            places.push((index, tensor.start..tensor.end));
        }
    }
    let announced = number_in(first, TENSORS_KEY);
    if announced.is_some_and(|announced| announced != plans.len() as u64) {
        let found = format!("`{TENSORS_KEY}` is {}", shown(announced));
        let expected = format!("{}, the number of tensors in the files", plans.len());
        return Err(SplitError::Series { number: 1, found, expected });
    }
    let is_place = |name: &str| [NUMBER_KEY, COUNT_KEY, TENSORS_KEY].contains(&name);
    let keys: Keys = first.to_keys().into_iter().filter(|(name, _)| !is_place(name)).collect();
    Ok(Merged { layout: Layout::new(&keys, &plans, first.alignment), tensors: places })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor_type::by_name;

    const ALIGNMENT: u64 = 32;

    fn plan(name: &str, rows: u64) -> TensorPlan {
        TensorPlan { name: name.to_owned(), kind: by_name("F32").unwrap(), dims: vec![8, rows] }
    }

    fn file(keys: &[(String, Value)], plans: &[TensorPlan]) -> Gguf {
        let layout = Layout::new(keys, plans, ALIGNMENT);
        let n_data: u64 = layout.tensors.iter().map(|stretch| stretch.n_bytes + stretch.padding).sum();
        Gguf::parse(&layout.head, layout.head.len() as u64 + n_data).unwrap()
    }

    fn series(plans: &[TensorPlan], max_bytes: u64) -> Vec<Gguf> {
        let ranges = partition(plans, max_bytes, ALIGNMENT).unwrap();
        let count = ranges.len() + 1;
        let mut first = vec![("general.architecture".to_owned(), Value::Text("llama".to_owned()))];
        first.extend(place_keys(0, count, plans.len()));
        let rest = ranges.into_iter().zip(1..);
        let rest = rest.map(|(range, number)| file(&place_keys(number, count, plans.len()), &plans[range]));
        std::iter::once(file(&first, &[])).chain(rest).collect()
    }

    #[test]
    fn a_file_name_gives_its_position_and_the_names_of_the_others() {
        let place = Place::of("dir/model-v1-00002-of-00003.gguf").unwrap();
        assert_eq!(place, Place { stem: "dir/model-v1".to_owned(), number: 2, count: 3 });
        assert_eq!(place.names()[2], "dir/model-v1-00003-of-00003.gguf");
        for other in [
            "m.gguf",
            "m-1-of-3.gguf",
            "m-00004-of-00003.gguf",
            "m-00000-of-00003.gguf",
            "m-+0001-of-00003.gguf",
        ] {
            assert_eq!(Place::of(other), None, "{other}");
        }
    }

    #[test]
    fn no_file_exceeds_the_limit_and_every_tensor_is_in_one_file() {
        let plans: Vec<TensorPlan> =
            (1..20).map(|rows| plan(&format!("t{rows}"), rows * 7 % 12 + 1)).collect();
        for max_bytes in [700, 900, 1500, 4000] {
            let ranges = partition(&plans, max_bytes, ALIGNMENT).unwrap();
            assert_eq!(
                ranges.iter().flat_map(Clone::clone).collect::<Vec<_>>(),
                (0..plans.len()).collect::<Vec<_>>()
            );
            for range in ranges {
                let layout = Layout::new(&place_keys(1, 9, 19), &plans[range], ALIGNMENT);
                let data: u64 = layout.tensors.iter().map(|stretch| stretch.n_bytes + stretch.padding).sum();
                assert!(layout.head.len() as u64 + data <= max_bytes);
            }
        }
    }

    #[test]
    fn a_tensor_above_the_limit_is_named() {
        let error = partition(&[plan("small", 1), plan("large", 100)], 1000, ALIGNMENT).unwrap_err();
        let SplitError::TensorTooLarge { name, n_bytes, .. } = error else { panic!("{error}") };
        assert_eq!(name, "large");
        assert!(n_bytes > 3200);
    }

    #[test]
    fn merging_gives_the_unsplit_file() {
        let plans: Vec<TensorPlan> = (1..20).map(|rows| plan(&format!("t{rows}"), rows)).collect();
        let files = series(&plans, 1500);
        assert!(files.len() > 3);
        let merged = merge(&files).unwrap();
        let keys = [("general.architecture".to_owned(), Value::Text("llama".to_owned()))];
        assert_eq!(merged.layout, Layout::new(&keys, &plans, ALIGNMENT));
        assert_eq!(merged.tensors.len(), plans.len());
    }

    #[test]
    fn files_that_do_not_belong_together_are_reported() {
        let plans: Vec<TensorPlan> = (1..9).map(|rows| plan(&format!("t{rows}"), rows)).collect();
        let files = series(&plans, 700);
        let message = |files: &[Gguf]| merge(files).unwrap_err().to_string();
        assert_eq!(
            message(&files[..2]),
            format!(
                "File 1 of the series: `split.count` is {}; expected 2. Take all files from the same place",
                files.len()
            )
        );
        let mut swapped = files.clone();
        swapped.swap(1, 2);
        assert!(message(&swapped).starts_with("File 2 of the series: `split.no` is 2; expected 1"));
        let mut twice = files.clone();
        twice[2].tensors = twice[1].tensors.clone();
        assert!(message(&twice).starts_with("File 3 of the series: it holds tensor `t1`"));
        let mut lacking = files;
        lacking[1].tensors.pop();
        assert!(message(&lacking).contains("`split.tensors.count` is 8; expected 7"));
    }
}
