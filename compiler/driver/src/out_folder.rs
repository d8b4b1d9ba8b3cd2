//! Ownership of the folder `mc-out`.
//!
//! A build replaces the content of a target's folder, and `mc clean` removes everything, so both must know that users
//! keep no other files there. The first build that publishes outputs writes a `CACHEDIR.TAG`, which also makes backup
//! programs skip the folder. A folder that is empty, or holds only hidden files and files of the file system, may be
//! claimed.
//!
//! Source: <https://bford.info/cachedir/>.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use mc_files::folder::Folder;
use mc_files::status::Kind;

use crate::workspace::{OUT, Workspace};

/// The file that marks the folder as ours.
const TAG: &str = "CACHEDIR.TAG";

const TEXT: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
                    # This folder was made by mc. `mc clean` removes it; the next build makes it again.\n";

/// Names that a file system puts into its root.
const OF_FILE_SYSTEMS: [&str; 1] = ["lost+found"];

/// Number of checks of the folder, and the pause between them: a concurrent `mc clean` may remove the tag, and the
/// build writes it again.
const LOOKS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(100);

/// A foreign entry in the folder for outputs; `None` if the folder is ours, unclaimed, or missing.
///
/// A link or a file in its place is rejected by the code that writes or removes outputs.
///
/// # Errors
/// If the folder cannot be read.
pub(crate) fn foreign_entry(workspace: &Workspace) -> io::Result<Option<String>> {
    let mut found = foreign_entry_now(workspace)?;
    for _ in 1..LOOKS {
        if found.is_none() {
            break;
        }
        std::thread::sleep(PAUSE);
        found = foreign_entry_now(workspace)?;
    }
    Ok(found)
}

fn foreign_entry_now(workspace: &Workspace) -> io::Result<Option<String>> {
    let Ok(root) = Folder::open(&workspace.root) else { return Ok(None) };
    if !root.status_of(Path::new(OUT)).is_ok_and(|status| status.kind == Kind::Folder) {
        return Ok(None);
    }
    let entries = match root.folder(Path::new(OUT)).and_then(|folder| folder.entries()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    if entries.iter().any(|entry| entry.name == TAG) {
        return Ok(None);
    }
    let names = entries.iter().map(|entry| entry.name.to_string_lossy());
    let foreign = names.filter(|name| !name.starts_with('.') && !OF_FILE_SYSTEMS.contains(&name.as_ref()));
    Ok(foreign.map(std::borrow::Cow::into_owned).min())
}

/// Creates the folder if necessary, and marks it as ours. Called before and after outputs are written.
///
/// # Errors
/// If the folder cannot be made or written to.
pub(crate) fn claim(workspace: &Workspace) -> io::Result<()> {
    let out = Folder::open(&workspace.root)?.create_folder(Path::new(OUT))?;
    let tag = Path::new(TAG);
    if out.read(tag, TEXT.len() as u64).is_ok_and(|text| text == TEXT.as_bytes()) {
        return Ok(());
    }
    if out.status_of(tag).is_ok_and(|status| status.kind == Kind::Folder) {
        out.remove_all(tag)?;
    }
    // Atomic, because an incomplete tag would make the folder look foreign.
    let unfinished = PathBuf::from(format!(".mc-tag-{}", std::process::id()));
    out.create_file(&unfinished, 0o666)?.write_all(TEXT.as_bytes())?;
    out.rename(&unfinished, &out, tag)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use mc_ir::label::PackageId;

    use super::*;

    #[test]
    fn a_folder_is_ours_once_it_is_claimed_and_a_foreign_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace { root: dir.path().to_owned(), here: PackageId(String::new()) };
        assert_eq!(foreign_entry_now(&workspace).unwrap(), None);
        fs::create_dir_all(dir.path().join("mc-out/lost+found")).unwrap();
        fs::write(dir.path().join("mc-out/.hidden"), "").unwrap();
        assert_eq!(foreign_entry_now(&workspace).unwrap(), None);
        fs::write(dir.path().join("mc-out/notes"), "mine").unwrap();
        assert_eq!(foreign_entry(&workspace).unwrap().as_deref(), Some("notes"));
        claim(&workspace).unwrap();
        claim(&workspace).unwrap();
        assert_eq!(foreign_entry_now(&workspace).unwrap(), None);
        assert_eq!(fs::read_to_string(dir.path().join("mc-out/CACHEDIR.TAG")).unwrap(), TEXT);
    }

    #[test]
    fn a_damaged_tag_is_written_again() {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace { root: dir.path().to_owned(), here: PackageId(String::new()) };
        let tag = dir.path().join("mc-out/CACHEDIR.TAG");
        claim(&workspace).unwrap();
        let damages: [fn(&Path); 4] = [
            |tag| fs::write(tag, "Signature").unwrap(),
            |tag| fs::write(tag, format!("{TEXT}more")).unwrap(),
            |tag| std::os::unix::fs::symlink("elsewhere", tag).unwrap(),
            |tag| fs::create_dir(tag).unwrap(),
        ];
        for damage in damages {
            fs::remove_file(&tag).unwrap();
            damage(&tag);
            claim(&workspace).unwrap();
            assert!(!tag.is_symlink());
            assert_eq!(fs::read_to_string(&tag).unwrap(), TEXT);
        }
    }
}
