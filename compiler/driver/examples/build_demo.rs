//! Builds the demo model with a store of its own, and prints the events: `cargo run -p mc-driver --example build_demo`.
#![expect(clippy::print_stdout, reason = "an example shows what it is told")]

use std::path::Path;
use std::sync::Arc;

use mc_driver::build::engine::Engine;
use mc_driver::build::outputs::build_outputs;
use mc_driver::declarations::Declarations;
use mc_driver::error::Error;
use mc_driver::event::Event;
use mc_driver::settings::build::BuildSettings;
use mc_driver::settings::fetch::FetchSettings;
use mc_driver::store::Store;
use mc_driver::workspace::Workspace;

fn main() -> Result<(), Error> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let workspace = Workspace::at(&root, &root)?;
    let folder = tempfile::tempdir().expect("there is a folder for temporary files");
    let store = Arc::new(Store::new(Some(folder.path().to_owned())));
    let events = |event: Event<'_>| println!("{event}");
    let declarations = Declarations::open(&workspace, &store);
    let patterns = ["//models:roadtrip-q4km-ios".to_owned()];
    let targets = declarations.wanted(&patterns, &FetchSettings::default(), &events)?;
    let mut engine = Engine::open(&store, &BuildSettings::default(), &Arc::default(), &events)?;
    let outputs = build_outputs(&mut engine, &workspace, targets)?;
    for (path, output) in outputs.published.iter().flatten().flat_map(|published| &published.outputs) {
        println!("{path}: {} bytes", output.n_bytes());
    }
    outputs.finished.failures.iter().for_each(|failure| println!("{failure}"));
    Ok(())
}
