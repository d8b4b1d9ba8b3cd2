//! Operations below a folder: their effects, and links, which no operation follows.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
    folder: Folder,
}

impl Fixture {
    /// A folder `inside`, next to a folder `outside` that contains a file.
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("inside")).unwrap();
        fs::create_dir(dir.path().join("outside")).unwrap();
        fs::write(dir.path().join("outside/thesis"), "years of work").unwrap();
        let folder = Folder::open(&dir.path().join("inside")).unwrap();
        Self { dir, folder }
    }

    fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Asserts that nothing outside has changed.
    fn assert_outside_is_untouched(&self) {
        let names: Vec<_> =
            fs::read_dir(self.path("outside")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["thesis"]);
        assert_eq!(fs::read_to_string(self.path("outside/thesis")).unwrap(), "years of work");
    }
}

fn p(path: &str) -> &Path {
    Path::new(path)
}

#[test]
fn files_and_folders_are_made_renamed_and_removed() {
    let Fixture { folder, .. } = &Fixture::new();
    folder.create_folder(p("a/b")).unwrap();
    folder.create_folder(p("a/b")).unwrap();
    folder.create_file(p("a/b/one"), 0o644).unwrap();
    assert_eq!(folder.create_file(p("a/b/one"), 0o644).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    fs::write(folder.at(p("a/b/one")), "text").unwrap();
    assert_eq!(folder.read(p("a/b/one"), 4).unwrap(), b"text");
    assert!(PathError::of(&folder.read(p("a/b/one"), 3).unwrap_err()).is_some());
    folder.rename(p("a/b/one"), folder, p("two")).unwrap();
    folder.create_file(p("three"), 0o600).unwrap();
    assert_eq!(folder.status_of(p("three")).unwrap().mode, 0o600);
    let clash = folder.rename_new(p("three"), folder, p("two")).unwrap_err();
    assert_eq!(clash.kind(), io::ErrorKind::AlreadyExists);
    folder.rename_new(p("three"), folder, p("a/three")).unwrap();
    folder.exchange(p("a"), folder, p("two")).unwrap();
    assert_eq!(folder.entries().unwrap().len(), 2);
    assert_eq!(folder.status_of(p("two")).unwrap().kind, Kind::Folder);
    folder.remove_file(p("a")).unwrap();
    folder.remove_file(p("a")).unwrap();
    assert!(folder.remove_folder(p("two")).is_err());
    folder.remove_all(p("two")).unwrap();
    folder.remove_all(p("two")).unwrap();
    assert_eq!(folder.entries().unwrap(), []);
}

#[test]
fn no_operation_follows_a_link_anywhere_on_its_path() {
    let fixture = Fixture::new();
    let Fixture { folder, .. } = &fixture;
    symlink("../outside", fixture.path("inside/link")).unwrap();
    fs::create_dir(fixture.path("inside/real")).unwrap();
    symlink("../../outside", fixture.path("inside/real/link")).unwrap();
    symlink("../outside/new", fixture.path("inside/dangling")).unwrap();
    symlink("../outside/thesis", fixture.path("inside/file")).unwrap();
    folder.create_file(p("mine"), 0o644).unwrap();
    for link in ["link", "real/link"] {
        let below = &*Path::new(link).join("x");
        let thesis = &*Path::new(link).join("thesis");
        let refusals = [
            folder.folder(p(link)).map(drop),
            folder.create_folder(p(link)).map(drop),
            folder.create_folder(below).map(drop),
            folder.create_new_folder(below),
            folder.open_file(thesis).map(drop),
            folder.create_file(below, 0o644).map(drop),
            folder.append(thesis, 0o644).map(drop),
            folder.open_or_create(thesis, 0o644).map(drop),
            folder.status_of(thesis).map(drop),
            folder.rename(thesis, folder, p("taken")),
            folder.rename(p("mine"), folder, below),
            folder.rename_new(p("mine"), folder, below),
            folder.exchange(p("mine"), folder, thesis),
            folder.remove_file(thesis),
            folder.remove_folder(below),
            folder.remove_all(thesis),
        ];
        for (index, refusal) in refusals.into_iter().enumerate() {
            let error = refusal.unwrap_err();
            let Some(PathError::Link { path, .. }) = PathError::of(&error) else {
                panic!("operation {index}: {error}");
            };
            assert_eq!(*path, fixture.path("inside").join(link));
            assert!(error.to_string().contains("is a symbolic link to"), "{error}");
        }
    }
    for name in ["dangling", "file"] {
        let opened =
            [folder.open_file(p(name)), folder.append(p(name), 0o644), folder.open_or_create(p(name), 0o644)];
        for opened in opened {
            assert!(matches!(PathError::of(&opened.unwrap_err()), Some(PathError::Link { .. })), "{name}");
        }
        let made = folder.create_file(p(name), 0o644).unwrap_err();
        assert_eq!(made.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(folder.status_of(p(name)).unwrap().kind, Kind::Link);
    }
    for path in ["../outside/thesis", "/etc/hosts", "a/../../outside/thesis", ""] {
        assert!(matches!(
            PathError::of(&folder.remove_all(p(path)).unwrap_err()),
            Some(PathError::NotBelow { .. })
        ));
    }
    // The link itself is removed or replaced, not its target.
    folder.remove_all(p("link")).unwrap();
    folder.remove_all(p("real")).unwrap();
    folder.rename(p("mine"), folder, p("dangling")).unwrap();
    folder.remove_file(p("file")).unwrap();
    fixture.assert_outside_is_untouched();
}

/// Records the operations that it receives.
#[derive(Debug, Default)]
struct RecordingObserver(std::sync::Mutex<Vec<String>>);

impl FileObserver for RecordingObserver {
    fn saw(&self, operation: &Operation<'_>) {
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        self.0.lock().unwrap().push(match operation {
            Operation::Opened { path, .. } => format!("open {}", name(path)),
            Operation::FolderMade { path } => format!("make {}", name(path)),
            Operation::Renamed { from, to } => format!("rename {} to {}", name(from), name(to)),
            Operation::Exchanged { one, other } => format!("swap {} and {}", name(one), name(other)),
            Operation::Removed { path } => format!("remove {}", name(path)),
            Operation::Synced { file } => format!("sync {}", file.metadata().unwrap().len()),
        });
    }
}

#[test]
fn an_observer_receives_only_operations_that_succeeded() {
    let scribe = Arc::new(RecordingObserver::default());
    let Fixture { folder, dir: _dir } = Fixture::new();
    let observer: Arc<dyn FileObserver> = Arc::<RecordingObserver>::clone(&scribe);
    let folder = folder.watched_by(Some(observer));
    let below = folder.create_folder(p("a/b")).unwrap();
    let file = below.create_file(p("one"), 0o600).unwrap();
    assert!(below.create_file(p("one"), 0o600).is_err());
    fs::write(below.at(p("one")), "text").unwrap();
    assert!(below.sync(&[&file]).iter().all(Result::is_ok));
    below.rename_new(p("one"), &folder, p("two")).unwrap();
    folder.exchange(p("two"), &folder, p("a")).unwrap();
    folder.remove_all(p("two")).unwrap();
    folder.remove_file(p("a")).unwrap();
    let seen = scribe.0.lock().unwrap();
    assert_eq!(
        *seen,
        [
            "make a",
            "make b",
            "open one",
            "sync 4",
            "rename one to two",
            "swap two and a",
            "remove two",
            "remove a"
        ]
    );
}

#[test]
fn the_free_space_of_a_file_system_is_reported() {
    let Fixture { folder, .. } = &Fixture::new();
    assert!((1 << 10..1 << 60).contains(&folder.room().unwrap()));
}

#[test]
fn other_than_regular_files_are_refused_without_blocking() {
    let Fixture { folder, dir } = &Fixture::new();
    let pipe = dir.path().join("inside/pipe");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    folder.create_new_folder(p("folder")).unwrap();
    for (name, found) in [("pipe", Kind::Pipe), ("folder", Kind::Folder)] {
        for opened in [folder.open_file(p(name)), folder.append(p(name), 0o644)] {
            let error = opened.unwrap_err();
            let Some(PathError::NotRegular { found: what, .. }) = PathError::of(&error) else {
                panic!("{name}: {error}");
            };
            assert_eq!(*what, found);
        }
    }
}

#[test]
fn deep_wide_and_read_only_folders_are_removed() {
    let Fixture { folder, dir } = &Fixture::new();
    symlink("../outside", dir.path().join("inside/link")).unwrap();
    let mut deep = Folder::open(folder.path()).unwrap();
    for depth in 0..1000 {
        deep.create_new_folder(p("down")).unwrap();
        if depth % 100 == 50 {
            deep.create_file(p("file"), 0o444).unwrap();
        }
        deep = Folder { path: PathBuf::new(), ..deep.folder(p("down")).unwrap() };
    }
    for index in 0..3000 {
        folder.create_folder(&p("down/wide").join(index.to_string())).unwrap();
    }
    fs::set_permissions(dir.path().join("inside/down/wide"), fs::Permissions::from_mode(0o555)).unwrap();
    folder.remove_all(p("down")).unwrap();
    assert_eq!(folder.entries().unwrap().len(), 1);
    folder.remove_all(p("link")).unwrap();
    assert!(dir.path().join("outside/thesis").exists());
}

#[test]
fn removing_a_folder_that_others_fill_ends() {
    let Fixture { folder, .. } = &Fixture::new();
    let is_done = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(std::sync::atomic::Ordering::Relaxed) {
                drop(folder.create_folder(p("busy/a/b")));
                drop(folder.create_file(p("busy/a/b/file"), 0o644));
            }
        });
        for _ in 0..500 {
            // Either result is fine; running forever is not.
            drop(folder.remove_all(p("busy")));
        }
        is_done.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    folder.remove_all(p("busy")).unwrap();
}
