//! `device`: a device to which artifacts ship, and its limits.
//!
//! A device has no actions; bundles read its memory and its formats.

use mc_digest::content_hash::ContentHash;
use mc_ir::attribute::Record;
use mc_ir::provider::Providers;
use mc_ir::rule::{Rule, RuleContext};
use mc_ir::rule_error::RuleError;
use mc_ir::schema::{Arguments, ChildSchema, NodeSchema, Occurs, Presence, PropertySchema, ValueKind};

use crate::attributes::{place_of, text, text_property};

/// The container formats that a device can name.
pub const FORMATS: [&str; 6] = ["gguf", "mlx", "onnx", "litert", "coreml", "executorch"];

/// The `device` rule.
pub struct Device;

/// Provider of a device, read by a bundle.
#[derive(Clone, ContentHash, Debug, Eq, PartialEq)]
#[content("device-info")]
pub struct DeviceInfo {
    /// Its name.
    #[content("name")]
    pub name: String,
    /// Its operating system.
    #[content("os")]
    pub os: String,
    /// Its chip, by the maker's name.
    #[content("chip")]
    pub chip: Option<String>,
    /// Its total memory in bytes.
    #[content("ram")]
    pub ram: Option<u64>,
    /// The memory that one app may use, in bytes.
    #[content("app-memory")]
    pub app_memory: Option<u64>,
    /// The formats that it can run.
    #[content("formats")]
    pub formats: Vec<String>,
}

fn formats() -> Vec<&'static str> {
    FORMATS.to_vec()
}

fn systems() -> Vec<&'static str> {
    vec!["android", "ios", "linux", "macos", "windows"]
}

static CHIP: NodeSchema = NodeSchema::leaf("chip", "Its chip, by the maker's name.", ValueKind::Text);
static RAM: NodeSchema = NodeSchema::leaf("ram", "Its total memory.", ValueKind::Bytes);
static APP_MEMORY: NodeSchema = NodeSchema::leaf(
    "app-memory",
    "The memory that one app may use; a bundle that needs more fails.",
    ValueKind::Bytes,
);
static RUNS: NodeSchema = NodeSchema {
    name: "formats",
    doc: "The container formats that it can run; any by default.",
    arguments: Arguments::Many(ValueKind::OneOf(formats)),
    properties: &[],
    children: &[],
};

static SCHEMA: NodeSchema = NodeSchema {
    name: "device",
    doc: "A device to which models ship.",
    arguments: Arguments::None,
    properties: &[PropertySchema {
        name: "os",
        value: ValueKind::OneOf(systems),
        presence: Presence::Required,
        doc: "Its operating system.",
    }],
    children: &[
        ChildSchema { node: &CHIP, occurs: Occurs::Optional },
        ChildSchema { node: &RAM, occurs: Occurs::Optional },
        ChildSchema { node: &APP_MEMORY, occurs: Occurs::Optional },
        ChildSchema { node: &RUNS, occurs: Occurs::Optional },
    ],
};

impl Rule for Device {
    fn schema(&self) -> &'static NodeSchema {
        &SCHEMA
    }

    fn analyze(&self, ctx: &dyn RuleContext) -> Result<Providers, Vec<RuleError>> {
        let record = ctx.record();
        let info = DeviceInfo {
            name: ctx.label().name.clone(),
            os: text_property(record, "os").unwrap_or_default().to_owned(),
            chip: text(record, "chip").map(str::to_owned),
            ram: bytes(record, "ram"),
            app_memory: bytes(record, "app-memory"),
            formats: record.child("formats").map(words).unwrap_or_default(),
        };
        if let (Some(ram), Some(app_memory)) = (info.ram, info.app_memory)
            && app_memory > ram
        {
            let message =
                format!("`app-memory` is {app_memory} bytes, more than `ram`, which is {ram} bytes");
            return Err(vec![
                RuleError::new(place_of(record, "app-memory"), "device::memory", message)
                    .help("Make `app-memory` smaller than `ram`"),
            ]);
        }
        Ok(Providers::default().with(info))
    }
}

fn bytes(record: &Record, name: &str) -> Option<u64> {
    record.value(name).and_then(|placed| placed.value.as_bytes())
}

fn words(record: &Record) -> Vec<String> {
    record.arguments.iter().filter_map(|placed| placed.value.as_text()).map(str::to_owned).collect()
}
