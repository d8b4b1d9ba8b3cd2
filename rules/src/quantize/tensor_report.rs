//! What is told of a stored tensor besides its bytes: its type, its size, and what was lost against its source.
//!
//! A tensor's step writes its report next to the bytes, so a report is there however the bytes came to be, from a run,
//! a store or a cache. The container joins the reports of its tensors in the order of the file.

use mc_encoding::quantization_error::QuantizationError;
use mc_encoding::stored_form::StoredForm;
use serde::{Deserialize, Serialize};

/// One tensor of a file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    /// Its name in the file. Two files may share a step under two names, so the step does not know it.
    pub name: String,
    /// What its step told.
    pub report: TensorReport,
}

/// What a tensor's step tells.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TensorReport {
    /// Its type: the name of a codec or of an encoding.
    #[serde(rename = "type")]
    pub codec: String,
    /// Bytes.
    pub bytes: u64,
    /// The root of the mean squared difference from the source.
    pub rmse: f64,
    /// The largest difference from the source, without its sign.
    pub max_error: f64,
    /// The ratio of signal to noise in decibels; none where nothing was lost.
    pub snr_db: Option<f64>,
    /// Blocks whose scale is out of range: they decode to no numbers.
    pub overflowed_blocks: u64,
    /// Blocks that became zeros, though their weights are not.
    pub vanished_blocks: u64,
    /// Whether there is importance, but none of it above zero.
    pub importance_is_zero: bool,
}

impl TensorReport {
    pub(crate) fn new(
        form: &StoredForm,
        bytes: u64,
        loss: &QuantizationError,
        importance: Option<&[f32]>,
    ) -> Self {
        // JSON has no infinities; a block out of range is told by its count.
        let finite = |value: f64| if value.is_finite() { value } else { f64::MAX };
        Self {
            codec: form.to_string(),
            bytes,
            rmse: finite(loss.rmse()),
            max_error: finite(loss.max_error.into()),
            snr_db: loss.snr_db(),
            overflowed_blocks: loss.n_overflowed_blocks,
            vanished_blocks: loss.n_vanished_blocks,
            importance_is_zero: importance.is_some_and(|weights| weights.iter().all(|weight| *weight == 0.0)),
        }
    }
}

impl Entry {
    /// What a person should know of; none where all is well.
    pub fn warnings(&self) -> Vec<String> {
        let Self { name, report } = self;
        let codec = &report.codec;
        let mut warnings = Vec::new();
        if report.overflowed_blocks > 0 {
            warnings.push(format!(
                "Tensor `{name}`: blocks of {codec} out of range, which decode to infinity or NaN: {}; choose a type \
                 with a wider range, such as `BF16`",
                report.overflowed_blocks
            ));
        }
        if report.vanished_blocks > 0 {
            warnings.push(format!(
                "Tensor `{name}`: blocks of {codec} that became zeros, because their weights are too small for a \
                 scale: {}",
                report.vanished_blocks
            ));
        }
        if report.importance_is_zero {
            warnings.push(format!(
                "Tensor `{name}`: the importance of every column is zero, so it says nothing; calibrate on more text"
            ));
        }
        warnings
    }
}

/// Joins the reports that the steps wrote.
///
/// # Errors
/// When the bytes of one are no report.
pub(crate) fn join<'a>(
    reports: impl Iterator<Item = (&'a str, Vec<u8>)>,
) -> Result<Vec<u8>, serde_json::Error> {
    let mut joined = b"[".to_vec();
    for (name, report) in reports {
        let report = serde_json::from_slice(&report)?;
        joined.extend_from_slice(if joined.len() == 1 { b"\n" } else { b",\n" });
        joined.extend(serde_json::to_vec(&Entry { name: name.to_owned(), report })?);
    }
    joined.extend_from_slice(b"\n]\n");
    Ok(joined)
}

/// The reports of a file's tensors.
///
/// # Errors
/// When the bytes are no such reports.
pub fn read(bytes: &[u8]) -> Result<Vec<Entry>, serde_json::Error> {
    serde_json::from_slice(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(loss: &QuantizationError, importance: &[f32]) -> Entry {
        let report = TensorReport::new(
            &StoredForm::Blocks(&mc_encoding::blocks::plain::F16),
            8,
            loss,
            Some(importance),
        );
        Entry { name: "w".to_owned(), report }
    }

    #[test]
    fn only_what_went_wrong_is_warned_of() {
        let sound = entry(&QuantizationError::of(&[1.0; 4], &[1.0; 4], 1), &[1.0]);
        assert_eq!(sound.warnings(), [""; 0]);
        let warnings =
            entry(&QuantizationError::of(&[1e6; 4], &[f32::INFINITY; 4], 1), &[0.0, 0.0]).warnings();
        assert_eq!(warnings.len(), 2);
        assert!(
            warnings[0]
                .contains("Tensor `w`: blocks of F16 out of range, which decode to infinity or NaN: 1;"),
            "{warnings:?}"
        );
    }

    #[test]
    fn joined_reports_read_back() {
        let entry = entry(&QuantizationError::of(&[1e6; 4], &[f32::INFINITY; 4], 1), &[0.0]);
        let report = serde_json::to_vec(&entry.report).unwrap();
        let joined = join([("w", report.clone()), ("v", report)].into_iter()).unwrap();
        let mut second = entry.clone();
        second.name = "v".to_owned();
        assert_eq!(read(&joined).unwrap(), [entry, second]);
        assert_eq!(read(&join(std::iter::empty()).unwrap()).unwrap(), []);
    }
}
