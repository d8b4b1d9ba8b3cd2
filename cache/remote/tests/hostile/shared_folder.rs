//! A shared folder in which another user planted files.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use mc_remote::download::Fetching;
use mc_remote::transports::folder::Folder;
use tempfile::tempdir;

use crate::action::Machine;
use crate::attacks::Attack;
use crate::flow::Given;
use crate::memory;
use crate::over_all_transports::in_time;

fn sharded(root: &Path, kind: &str, name: &str) -> PathBuf {
    root.join("blake3").join(kind).join(&name[..2]).join(name)
}

/// Writes a file; an endless one is a sparse file of 4 TB.
fn put(path: &Path, given: &Given) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    match given {
        Given::Missing => {}
        Given::Bytes(bytes) => fs::write(path, bytes).unwrap(),
        Given::Stream(_) => File::create(path).unwrap().set_len(4 << 40).unwrap(),
    }
}

/// Writes the result and the blobs of an attack into a folder.
pub(crate) fn fill(root: &Path, attack: &Attack, machine: &Machine) {
    let key = machine.remote.key(&machine.store, &machine.made()).unwrap();
    put(&sharded(root, "ac", &key.hash.to_string()), &attack.result);
    attack.blobs.iter().for_each(|(hash, given)| put(&sharded(root, "cas", hash), given));
}

/// A shared folder `team` next to another user's folder, whose files are old.
struct Scene {
    dir: tempfile::TempDir,
}

impl Scene {
    fn new() -> Self {
        let scene = Self { dir: tempdir().unwrap() };
        fs::create_dir_all(scene.team()).unwrap();
        fs::create_dir_all(scene.home().join("papers")).unwrap();
        for name in ["thesis", "papers/first"] {
            fs::write(scene.home().join(name), "years of work").unwrap();
            let long_ago = SystemTime::now() - Duration::from_secs(1 << 25);
            let file = File::options().write(true).open(scene.home().join(name)).unwrap();
            file.set_modified(long_ago).unwrap();
        }
        scene
    }

    fn team(&self) -> PathBuf {
        self.dir.path().join("team")
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn machine(&self, name: &str) -> Machine {
        let folder = Folder::open(&self.team()).unwrap();
        Machine::of(Box::new(folder), &self.dir.path().join(name), Fetching::AtOnce)
    }

    fn assert_home_is_untouched(&self, what: &str) {
        let mut names: Vec<_> =
            fs::read_dir(self.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["papers", "thesis"], "{what}");
        for name in ["thesis", "papers/first"] {
            let path = self.home().join(name);
            assert_eq!(fs::read_to_string(&path).unwrap(), "years of work", "{what}");
            let age = fs::metadata(&path).unwrap().modified().unwrap().elapsed().unwrap();
            assert!(age > Duration::from_secs(1 << 24), "{what}: {name} was touched");
        }
    }
}

#[test]
fn links_in_place_of_folders_redirect_nothing() {
    let _alone = memory::alone();
    for planted in ["blake3", "blake3/tmp", "blake3/ac", "blake3/cas"] {
        let scene = Scene::new();
        let link = scene.team().join(planted);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(scene.home(), &link).unwrap();
        let maker = scene.machine("maker");
        let outputs = maker.run();
        let reported = in_time(planted, || maker.upload(&outputs)).unwrap_err().to_string();
        assert!(reported.contains("is a symbolic link to"), "{planted}: {reported}");
        assert!(!matches!(scene.machine("user").lookup(), Ok(Some(_))), "{planted}");
        scene.assert_home_is_untouched(planted);
    }
    // The folder below a kind, for every prefix of a blob's hash.
    let scene = Scene::new();
    for kind in ["ac", "cas"] {
        fs::create_dir_all(scene.team().join("blake3").join(kind)).unwrap();
        for shard in 0..=255 {
            symlink(scene.home(), scene.team().join(format!("blake3/{kind}/{shard:02x}"))).unwrap();
        }
    }
    let maker = scene.machine("maker");
    let outputs = maker.run();
    assert!(maker.upload(&outputs).is_err());
    assert!(!matches!(scene.machine("user").lookup(), Ok(Some(_))));
    scene.assert_home_is_untouched("shards");
}

#[test]
fn objects_planted_in_place_of_files_are_not_opened_and_are_replaced() {
    let _alone = memory::alone();
    for planted in ["link", "link to nothing", "endless device", "pipe", "socket", "sparse file"] {
        let scene = Scene::new();
        let maker = scene.machine("maker");
        let outputs = maker.run();
        maker.upload(&outputs).unwrap();
        let mut sockets = Vec::new();
        for path in files_below(&scene.team()) {
            fs::remove_file(&path).unwrap();
            match planted {
                "link" => symlink(scene.home().join("thesis"), &path).unwrap(),
                "link to nothing" => symlink(scene.home().join("new"), &path).unwrap(),
                "endless device" => symlink("/dev/zero", &path).unwrap(),
                "pipe" => assert!(Command::new("mkfifo").arg(&path).status().unwrap().success()),
                // The path of a socket must be short.
                "socket" => {
                    let short = scene.dir.path().join("s");
                    sockets.push(UnixListener::bind(&short).unwrap());
                    fs::rename(&short, &path).unwrap();
                }
                _ => File::create(&path).unwrap().set_len(4 << 40).unwrap(),
            }
        }
        let user = scene.machine("user");
        let reported = in_time(planted, || user.lookup()).unwrap_err().to_string();
        assert!(reported.contains("sent an invalid result"), "{planted}: {reported}");
        // Other results are unaffected: the cache is still used, and local results replace the planted files.
        assert_eq!(user.remote.failure(), None, "{planted}");
        user.run();
        in_time(planted, || user.upload(&outputs)).unwrap();
        let next = scene.machine("next");
        assert_eq!(next.lookup().unwrap().as_ref(), Some(&outputs), "{planted}");
        assert!(next.holds(&outputs), "{planted}");
        assert!(files_below(&scene.team()).iter().all(|path| fs::symlink_metadata(path).unwrap().is_file()));
        scene.assert_home_is_untouched(planted);
    }
}

#[test]
fn planted_blobs_are_reported_and_rebuilt() {
    let _alone = memory::alone();
    let scene = Scene::new();
    let maker = scene.machine("maker");
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    for path in files_below(&scene.team().join("blake3/cas")) {
        fs::remove_file(&path).unwrap();
        symlink("/dev/zero", &path).unwrap();
    }
    let user = scene.machine("user");
    assert_eq!(in_time("links", || user.lookup()).unwrap(), None);
    let reported = user.remote.invalid_response().unwrap();
    assert!(reported.contains("is a symbolic link to `/dev/zero`"), "{reported}");
    assert_eq!(user.remote.failure(), None);
}

#[test]
fn unknown_names_are_left_alone() {
    let _alone = memory::alone();
    let scene = Scene::new();
    let long_ago = SystemTime::now() - Duration::from_secs(1 << 25);
    let unfinished = scene.team().join("blake3/tmp");
    fs::create_dir_all(unfinished.join("folder")).unwrap();
    fs::write(unfinished.join("folder/file"), "x").unwrap();
    symlink(scene.home(), unfinished.join("link")).unwrap();
    symlink(scene.home().join("thesis"), unfinished.join("file link")).unwrap();
    fs::write(unfinished.join("left behind"), "half").unwrap();
    File::options().write(true).open(unfinished.join("left behind")).unwrap().set_modified(long_ago).unwrap();
    fs::write(scene.team().join("README"), "ours").unwrap();
    fs::write(scene.team().join("blake3/other"), "theirs").unwrap();
    let maker = scene.machine("maker");
    let outputs = maker.run();
    maker.upload(&outputs).unwrap();
    assert_eq!(scene.machine("user").lookup().unwrap(), Some(outputs));
    assert!(!unfinished.join("left behind").exists());
    assert!(unfinished.join("folder/file").exists() && scene.team().join("README").exists());
    assert!(fs::symlink_metadata(unfinished.join("link")).is_ok());
    scene.assert_home_is_untouched("names");
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        match entry.file_type().unwrap().is_dir() {
            true => files.extend(files_below(&entry.path())),
            false => files.push(entry.path()),
        }
    }
    files
}
