//! Report on a stored tensor: its type, its size, and its error against the source.
//!
//! A tensor's action writes its report next to the bytes, so a report exists whether the bytes come from a
//! run, a store or a cache. The container joins the reports of its tensors in the order of the file.

use mc_encoding::quantization_error::QuantizationError;
use mc_encoding::stored_form::StoredForm;
use serde::{Deserialize, Serialize};

/// One tensor of a file.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Entry {
    /// Its name in the file. Two files may share an action under two names, so the action does not know the
    /// name.
    pub name: String,
    /// The report of its action.
    pub report: TensorReport,
}

/// Report that a tensor's action writes.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct TensorReport {
    /// Its type: the name of a codec or of an encoding.
    #[serde(rename = "type")]
    pub codec: String,
    /// Size in bytes.
    pub bytes: u64,
    /// The root of the mean squared difference from the source.
    pub rmse: f64,
    /// The largest absolute difference from the source.
    pub max_error: f64,
    /// The signal-to-noise ratio in decibels; `None` if the error is zero.
    pub snr_db: Option<f64>,
    /// Number of blocks whose scale is out of range; they do not decode to numbers.
    pub overflowed_blocks: u64,
    /// Number of blocks that became zeros although their weights are not zero.
    pub vanished_blocks: u64,
    /// True if importance is given but zero everywhere.
    pub importance_is_zero: bool,
}

impl TensorReport {
    pub(crate) fn new(
        form: &StoredForm,
        bytes: u64,
        loss: &QuantizationError,
        importance: Option<&[f32]>,
    ) -> Self {
        // JSON has no infinities; blocks that are out of range have a count of their own.
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
    /// Returns warnings for the user; empty if all is well.
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
                "Tensor `{name}`: the importance of every column is zero, so it has no effect; calibrate on more text"
            ));
        }
        warnings
    }
}

/// Joins the reports that the actions wrote.
///
/// # Errors
/// Fails if the bytes of one are not a report.
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

/// Reads the reports of a file's tensors.
///
/// # Errors
/// Fails if the bytes are not such reports.
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
    fn only_problems_are_warned_about() {
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
