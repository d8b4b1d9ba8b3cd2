//! Diagnostics for invalid files and folders, and the set of files that a check reads.

use expect_test::expect;
use mc_analysis::memory::Memory;

use crate::fake::Fixture;
use crate::shown::{check_files, shown};

#[test]
fn broken_kdl_in_one_package_hides_no_errors_of_another() {
    check_files(
        &[
            ("broken/package.kdl", "note \"a\" file=\"n.txt\nnote \"b\" {\n"),
            (
                "whole/package.kdl",
                "note \"a\" file=\"gone.txt\"\njoin \"j\" { part \"//broken:b\"; part \":nothing\"; }\n",
            ),
        ],
        expect![[r#"
            error[kdl::string]: Expected `"` to close the string, found the end of the line
             --> broken/package.kdl:1:15
              |
            1 | note "a" file="n.txt
              |               ^^^^^^
              = help: Add `"`; put text of several lines between `"""` and `"""`, each on a line of its own
            error[kdl::block]: Expected `}` to close the block, found the end of the file
             --> broken/package.kdl:2:10
              |
            2 | note "b" {
              |          ^
              = help: Add a `}` where the block ends
            error[note::file]: `whole/gone.txt` does not exist
             --> whole/package.kdl:1:15
              |
            1 | note "a" file="gone.txt"
              |               ^^^^^^^^^^
            error[label::unknown]: There is no target `//whole:nothing`
             --> whole/package.kdl:2:36
              |
            2 | join "j" { part "//broken:b"; part ":nothing"; }
              |                                    ^^^^^^^^^^
              = help: `//whole` declares `a`, `j`
        "#]],
    );
}

#[test]
fn a_workspace_without_its_file() {
    let fixture = Fixture::over(Memory::new(&[("package.kdl", "note \"a\" file=\"gone.txt\"\n")]));
    expect![[r#"
        error[note::file]: `gone.txt` does not exist
         --> package.kdl:1:15
          |
        1 | note "a" file="gone.txt"
          |               ^^^^^^^^^^
        error[file::unreadable]: `workspace.kdl` does not exist
         --> workspace.kdl:1:1
          |
        1 |
          | ^
          = help: Write `workspace "name"` into a file `workspace.kdl` at the root
    "#]]
    .assert_eq(&shown(&fixture, &["//..."]));
}

#[test]
fn settings_of_the_workspace() {
    let text = "workspace\ncache { disk max-size=\"50 gigs\"; remote upload=1; dusk; }\ncash\n";
    check_files(
        &[("workspace.kdl", text)],
        expect![[r#"
            error[schema::missing]: `workspace` needs a string
             --> workspace.kdl:1:1
              |
            1 | workspace
              | ^^^^^^^^^
              = help: Write `workspace "…"`: The name of the workspace.
            error[schema::kind]: Expected a size such as `525MB` for `max-size`, found the string `50 gigs`
             --> workspace.kdl:2:23
              |
            2 | cache { disk max-size="50 gigs"; remote upload=1; dusk; }
              |                       ^^^^^^^^^
              = help: `gigs` is not a unit of size; the units are `KiB`, `MiB`, `GiB`, `TiB`, `KB`, `kB`, `MB`, `GB`, `TB`, `B`
            error[schema::missing]: `remote` needs a string
             --> workspace.kdl:2:34
              |
            2 | cache { disk max-size="50 gigs"; remote upload=1; dusk; }
              |                                  ^^^^^^
              = help: Write `remote "…"`: A remote cache, by URL.
            error[schema::kind]: Expected `#true` or `#false` for `upload`, found the number `1`
             --> workspace.kdl:2:48
              |
            2 | cache { disk max-size="50 gigs"; remote upload=1; dusk; }
              |                                                ^
            error[schema::unknown-attribute]: `cache` has no attribute `dusk`
             --> workspace.kdl:2:51
              |
            2 | cache { disk max-size="50 gigs"; remote upload=1; dusk; }
              |                                                   ^^^^
              = help: Did you mean `disk`?
            error[schema::unknown-attribute]: `cash` has no meaning here
             --> workspace.kdl:3:1
              |
            3 | cash
              | ^^^^
              = help: Known: `workspace`, `allow-outside`, `cache`
        "#]],
    );
}

#[test]
fn a_file_that_is_not_utf8() {
    let fixture = Fixture::new(&[("n.txt", "")]);
    fixture.files.write("package.kdl", b"note \"a\" file=\"n.txt\"\nnote \"caf\xe9\" file=\"n.txt\"\n");
    expect![[r#"
        error[file::encoding]: The file is not UTF-8 from byte 31 on
         --> package.kdl:2:10
          |
        2 | note "caf�" file="n.txt"
          |          ^
          = help: Save the file as UTF-8
    "#]]
    .assert_eq(&shown(&fixture, &["//..."]));
}

#[test]
fn a_folder_in_place_of_declarations() {
    let files = &[("a/package.kdl/x", ""), ("b/package.kdl", "join \"j\" { part \"//a:x\"; }\n")];
    check_files(
        files,
        expect![[r#"
        error[file::unreadable]: `a/package.kdl` is a folder, expected a file
         --> a/package.kdl:1:1
          |
        1 |
          | ^
    "#]],
    );
}

#[test]
fn a_folder_name_that_is_not_allowed_in_labels() {
    check_files(
        &[("my models/package.kdl", "join \"j\"\n")],
        expect![[r#"
        error[package::name]: The folder `my models` cannot be a package: a package has letters, digits and `-_.+/` only
         --> my models/package.kdl:1:1
          |
        1 | join "j"
          | ^
          = help: Rename the folder
    "#]],
    );
}

#[test]
fn only_requested_targets_and_their_dependencies_are_checked() {
    let files = [
        ("a/package.kdl", "note \"n\" file=\"gone.txt\"\nnote \"m\" file=\"also-gone.txt\"\n"),
        ("b/package.kdl", "count \"c\" of=\"//a:n\"\n"),
        ("c/package.kdl", "note \"n\" file=\"gone.txt\"\n"),
    ];
    expect![[r#"
        error[note::file]: `a/gone.txt` does not exist
         --> a/package.kdl:1:15
          |
        1 | note "n" file="gone.txt"
          |               ^^^^^^^^^^
    "#]]
    .assert_eq(&shown(&Fixture::new(&files), &["//b:c"]));
}
