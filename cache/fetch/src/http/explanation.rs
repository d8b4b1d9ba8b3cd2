//! A server's explanation of a refusal, in the formats of various servers.

/// The `error` or `message` of a JSON object.
pub(crate) fn json_error(body: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(body).ok()?;
    let registry = value.get("errors").and_then(|errors| errors.get(0));
    let said = [value.get("error"), value.get("message"), registry.and_then(|error| error.get("message"))];
    said.into_iter().flatten().find_map(|said| said.as_str().map(str::to_owned))
}

/// The code and the message of an S3 error in XML; the other elements may repeat what was signed.
pub(crate) fn xml_error(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let within = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once(&format!("</{name}>")).map(|(found, _)| found)
    };
    let code = within("Code")?;
    Some(within("Message").map_or_else(|| code.to_owned(), |message| format!("{code}: {message}")))
}

/// A text without control characters.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

#[test]
fn explanations_are_found_in_json_and_bucket_xml() {
    let xml = b"<?xml version=\"1.0\"?><Error><Code>NoSuchBucket</Code><Message>Not there</Message><Key>k</Key></Error>";
    assert_eq!(xml_error(xml).as_deref(), Some("NoSuchBucket: Not there"));
    assert_eq!(xml_error(b"<html>"), None);
    assert_eq!(json_error(br#"{"error": "gated"}"#).as_deref(), Some("gated"));
    assert_eq!(json_error(br#"{"errors": [{"message": "denied"}]}"#).as_deref(), Some("denied"));
    assert_eq!(json_error(b"<html>"), None);
}
