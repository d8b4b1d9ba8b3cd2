//! The real file system: links, hidden files, and detection of changes.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use mc_analysis::analyze::analyze;
use mc_analysis::check::check;
use mc_analysis::database::Database;
use mc_analysis::disk::Disk;
use mc_analysis::packages::packages;

use crate::fake::{RULES, Words, label, pattern};

struct Folder {
    root: PathBuf,
    db: Database,
}

impl Folder {
    /// A new folder for the test with this name.
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        let db = Database::new(&root, RULES, Disk::new(&root));
        let folder = Self { root, db };
        folder.write("workspace.kdl", "workspace \"test\"\n");
        for (path, text) in files {
            folder.write(path, text);
        }
        folder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Sets the file's times far back, because most files were written long ago.
    fn age(&self, path: &str) {
        let file = fs::File::options().write(true).open(self.root.join(path)).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(3600)).unwrap();
    }

    #[cfg(unix)]
    fn link(&self, to: &str, path: &str) {
        std::os::unix::fs::symlink(to, self.root.join(path)).unwrap();
    }

    fn words(&self, target: &str) -> String {
        let analysis = analyze(&self.db, &label(target));
        match &analysis.providers {
            Ok(providers) => providers.get::<Words>().unwrap().0.clone(),
            Err(_) => analysis.rule_errors.iter().map(|rule_error| rule_error.message.clone()).collect(),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If the removal fails, the folder stays below Cargo's own folder for such files.
        fs::remove_dir_all(&self.root).unwrap_or_default();
    }
}

#[test]
fn a_pattern_finds_files_in_order_and_skips_hidden_ones() {
    let folder = Folder::new(
        "hidden",
        &[
            ("package.kdl", "folder \"f\" files=\"data/**/*.txt\"\nfolder \"h\" files=\"data/.*/*.txt\"\n"),
            ("data/b.txt", ""),
            ("data/a.txt", ""),
            ("data/.secret.txt", ""),
            ("data/.git/c.txt", ""),
            ("data/deep/d.txt", ""),
        ],
    );
    assert_eq!(folder.words("//:f"), "data/a.txt data/b.txt data/deep/d.txt");
    assert_eq!(folder.words("//:h"), "data/.git/c.txt");
}

#[cfg(unix)]
#[test]
fn links_to_files_are_found_and_links_to_folders_are_not_followed() {
    let folder = Folder::new(
        "links",
        &[
            (
                "package.kdl",
                "folder \"f\" files=\"**/*.txt\"\nnote \"n\" file=\"link.txt\"\nnote \"up\" file=\"data/up/data/a.txt\"\n",
            ),
            ("data/a.txt", "through a link"),
        ],
    );
    folder.link("data/a.txt", "link.txt");
    folder.link("..", "data/up");
    folder.link("data", "also-data");
    assert_eq!(folder.words("//:f"), "data/a.txt link.txt");
    assert_eq!(folder.words("//:n"), "through a link");
    assert_eq!(folder.words("//:up"), "through a link");
}

/// A package that reads files by name and by pattern, and a folder outside of its workspace with files and links.
#[cfg(unix)]
fn beside(name: &str) -> (Folder, PathBuf) {
    let folder = Folder::new(
        &format!("{name}/workspace"),
        &[
            (
                "package.kdl",
                "note \"n\" file=\"link.txt\"\nfolder \"f\" files=\"*.txt\"\nnote \"deep\" file=\"base/deep/a.txt\"\n\
                 folder \"g\" files=\"base/*.txt\"\nnote \"hub\" file=\"base/hub.txt\"\n",
            ),
            ("own.txt", "mine"),
        ],
    );
    let outside = folder.root.parent().unwrap().join("outside");
    // A run that was killed may have left it behind.
    fs::remove_dir_all(&outside).unwrap_or_default();
    fs::create_dir_all(outside.join("data/deep")).unwrap();
    fs::write(outside.join("data/deep/a.txt"), "theirs").unwrap();
    fs::write(outside.join("blob"), "blob").unwrap();
    std::os::unix::fs::symlink("../blob", outside.join("data/hub.txt")).unwrap();
    (folder, outside.canonicalize().unwrap())
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_out_of_the_workspace_is_an_error_with_a_hint() {
    let (folder, outside) = beside("outside");
    folder.link("../outside/data/deep/a.txt", "link.txt");
    folder.link("../outside/data", "base");
    let file = format!(
        "`link.txt` is a link to `../outside/data/deep/a.txt`, which leads out of the workspace; put the files into the \
         workspace, or permit it by `allow-outside \"{}/data/deep/a.txt\"` in `workspace.kdl`",
        outside.display()
    );
    assert_eq!(folder.words("//:n"), file);
    assert_eq!(folder.words("//:f"), file);
    let base = format!("`allow-outside \"{}/data\"`", outside.display());
    for target in ["//:deep", "//:g"] {
        assert!(folder.words(target).starts_with("`base` is a link to `../outside/data`, which leads out"));
        assert!(folder.words(target).contains(&base), "{}", folder.words(target));
    }
}

#[cfg(unix)]
#[test]
fn a_permission_applies_to_one_folder_and_its_contents() {
    let (mut folder, outside) = beside("permitted");
    folder.link("../outside/data/deep/a.txt", "link.txt");
    folder.link("../outside/data", "base");
    for allowed in [format!("{}/data", outside.display()), "../outside/data".to_owned()] {
        folder.write(
            "workspace.kdl",
            &format!("workspace \"test\"\nallow-outside \"/none\"\nallow-outside \"{allowed}\"\n"),
        );
        folder.db.refresh();
        assert_eq!(folder.words("//:n"), "theirs");
        assert_eq!(folder.words("//:deep"), "theirs");
        assert_eq!(folder.words("//:f"), "link.txt own.txt");
        // A link inside the permitted folder leads out of it again, as in the Hugging Face cache.
        let hub = folder.words("//:hub");
        assert!(hub.starts_with("`base/hub.txt` is a link to `../blob`, which leads out"), "{hub}");
    }
    folder.write("workspace.kdl", "workspace \"test\"\nallow-outside \"../outside\"\n");
    folder.db.refresh();
    assert_eq!(folder.words("//:hub"), "blob");
    // A folder whose name only shares a prefix.
    folder.write("workspace.kdl", "workspace \"test\"\nallow-outside \"../out\"\n");
    folder.db.refresh();
    assert!(folder.words("//:n").contains("leads out of the workspace"));
}

#[cfg(unix)]
#[test]
fn a_dangling_link_a_device_and_a_link_cycle_have_errors_of_their_own() {
    let folder = Folder::new(
        "bad-links",
        &[(
            "package.kdl",
            "note \"n\" file=\"gone.txt\"\nfolder \"f\" files=\"*.txt\"\nnote \"loop\" file=\"loop/a\"\n",
        )],
    );
    folder.link("nowhere", "gone.txt");
    folder.link("loop", "loop");
    let gone = "`gone.txt` is a link to `nowhere`, which does not exist";
    assert_eq!([folder.words("//:n"), folder.words("//:f")], [gone; 2]);
    let circle = folder.words("//:loop");
    assert!(circle.starts_with("`loop` is a link to `loop`, which cannot be followed"), "{circle}");
    fs::remove_file(folder.root.join("gone.txt")).unwrap();
    folder.link("/dev/zero", "gone.txt");
    let mut folder = folder;
    folder.db.refresh();
    assert!(folder.words("//:n").contains("leads out of the workspace"), "{}", folder.words("//:n"));
    folder.write("workspace.kdl", "workspace \"test\"\nallow-outside \"/dev\"\n");
    folder.db.refresh();
    assert_eq!(folder.words("//:n"), "`gone.txt` is neither a file nor a folder");
}

#[cfg(unix)]
#[test]
fn the_check_covers_declarations() {
    let folder = Folder::new("linked-declarations/workspace", &[("a/x", "")]);
    let outside = folder.root.parent().unwrap().join("package.kdl");
    fs::write(outside, "note \"secret\" 1 2 3\n").unwrap();
    folder.link("../../package.kdl", "a/package.kdl");
    let found = check(&folder.db, &[pattern("//...")]).shown;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].diagnostic.code, "file::outside");
    assert!(
        found[0]
            .diagnostic
            .message
            .starts_with("`a/package.kdl` is a link to `../../package.kdl`, which leads out")
    );
    assert!(!found[0].text.contains("secret"));
}

#[cfg(unix)]
#[test]
fn packages_behind_links_are_not_found_twice() {
    let folder = Folder::new("linked-packages", &[("a/package.kdl", ""), ("b/x", "")]);
    folder.link("../a", "b/a");
    let found: Vec<String> = packages(&folder.db).iter().map(ToString::to_string).collect();
    assert_eq!(found, ["//a"]);
}

#[test]
fn a_recently_written_file_is_read_again_whatever_its_stamp() {
    let mut folder = Folder::new("racy", &[("package.kdl", "note \"n\" file=\"n.txt\"\n"), ("n.txt", "abc")]);
    assert_eq!(folder.words("//:n"), "abc");
    folder.write("n.txt", "xyz");
    assert_eq!(folder.db.refresh(), 1);
    assert_eq!(folder.words("//:n"), "xyz");
}

#[test]
fn the_replacement_of_an_old_file_is_detected() {
    let mut folder =
        Folder::new("replaced", &[("package.kdl", "note \"n\" file=\"n.txt\"\n"), ("n.txt", "abc")]);
    folder.age("n.txt");
    assert_eq!(folder.words("//:n"), "abc");
    assert_eq!(folder.db.refresh(), 0);
    // Same size and same time, but another file.
    folder.write("new.txt", "xyz");
    folder.age("new.txt");
    fs::rename(folder.root.join("new.txt"), folder.root.join("n.txt")).unwrap();
    assert_eq!(folder.db.refresh(), 1);
    assert_eq!(folder.words("//:n"), "xyz");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_refused_without_blocking() {
    let folder = Folder::new("pipe", &[("package.kdl", "note \"n\" file=\"pipe\"\n")]);
    let made = std::process::Command::new("mkfifo").arg(folder.root.join("pipe")).status();
    assert!(made.unwrap().success());
    assert_eq!(folder.words("//:n"), "`pipe` is neither a file nor a folder");
}

#[test]
fn a_missing_workspace_is_reported() {
    let root = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("never-made");
    let db = Database::new(&root, RULES, Disk::new(&root));
    let found = check(&db, &[pattern("//...")]).shown;
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].diagnostic.message, "`workspace.kdl` does not exist");
}
